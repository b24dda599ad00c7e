"""Tables of many venues: what perpetuals paid and their open interest, BTC and ETH, as Parquet.

Files are `funding_<what>_<month>_<month>.parquet` with timestamp, venue, coin and funding_rate, and
`open_interest_<month>_<month>.parquet` with oi_usd instead. A rate is the decimal paid for the
interval that ends at its stamp, which jitters by less than a second; intervals are not declared.
Which contract of a venue is meant is not said either: it is the linear perpetual with the most
trade. Binance's rates are those of its USD-M archive.
"""

import re
from functools import partial
from pathlib import Path

import polars as pl

from expectations.gate import ROW_NUMBER
from pipelines.archives import parquet
from pipelines.archives.base import Decoded, Feed, Period, Rows, SourceRefused, divided, outside
from pipelines.universe import Instrument
from warehouse.contract import FUNDING, INSTANT, QUOTES, Table

NAME = re.compile(r"(funding|open_interest)(?:_\w+)?_(\d{4}-\d{2})_(\d{4}-\d{2})\.parquet")
RANK = 10  # a venue's own archive declares its intervals
UNNAMED = "unnamed"

# The native symbol of a coin's perpetual, and in what it is quoted and settled; as ccxt has them.
CONTRACTS = {
    "binance": ("{}USDT", "USDT"),
    "bybit": ("{}USDT", "USDT"),
    "dydx": ("{}-USD", "USDC"),
    "hyperliquid": ("{}", "USDC"),
    "kraken": ("PF_{}USD", "USD"),
    "lighter": ("{}", "USDC"),
    "okx": ("{}-USDT-SWAP", "USDT"),
}
COINS = ("BTC", "ETH")
KRAKENS_NAMES = {"BTC": "XBT"}
SCHEDULE_S = 3_600  # settlements are on full hours
STAMPS: dict[str, pl.DataType] = {
    "timestamp": INSTANT,
    "venue": pl.String(),
    "coin": pl.String(),
}
KINDS: dict[str, tuple[Table, str]] = {
    "funding": (FUNDING, "funding_rate"),
    "open_interest": (QUOTES, "oi_usd"),
}


def recognise(path: Path) -> tuple[Feed, ...] | None:
    """One job for each venue that the file tells of; None where its name is none of ours.

    Raises `SourceRefused` where it is ours and names no months, or has other columns.
    """
    found = NAME.fullmatch(path.name)
    if found is None:
        return None
    kind, first, last = found.groups()
    try:
        period = Period(Period.parse(first).start, Period.parse(last).end)
    except ValueError:
        raise SourceRefused(f"{path}: {first} to {last} are no months") from None
    table, column = KINDS[kind]
    layout = pl.Schema(STAMPS | {column: pl.Float64()})
    parquet.check(path, layout)
    stamps = _stamps(path)
    return tuple(
        Feed(
            path=path,
            venue=venue,
            source=f"tables of venues {kind}",
            rank=RANK,
            period=period,
            tables=(table.name,),
            layout=layout,
            decode=partial(decode, table, venue, period),
            unit=str if table is FUNDING else "{}/ticker".format,
            usual_interval_s=_usual(stamps, venue) if table is FUNDING else {},
        )
        for venue in stamps["venue"].unique().sort()
    )


def decode(table: Table, venue: str, period: Period, rows: Rows) -> Decoded:
    """The rows of one venue: settlements, or states that tell open interest and nothing else."""
    numbered = rows.frame.with_row_index(ROW_NUMBER, rows.first_row).cast({ROW_NUMBER: pl.Int64})
    own = numbered.filter(_named() == venue)
    seen = {coin: perpetual(venue, coin) for coin in COINS if venue in CONTRACTS}
    known, strange = divided(
        own,
        pl.when(pl.lit(venue not in CONTRACTS))
        .then(pl.lit("venue_unknown"))
        .when(~pl.col("coin").is_in(list(seen)).fill_null(value=False))
        .then(pl.lit("coin_unknown")),
    )
    names = {coin: item.instrument_id for coin, item in seen.items()}
    made = known.with_columns(
        underlying="coin",
        instrument_id=pl.col("coin").replace_strict(names, default=None, return_dtype=pl.String),
        **{table.time: pl.col("timestamp")},
        **_measures(table),
    )
    inside, elsewhere = outside(made, period, table.time)
    conformed = table.conform(inside).with_columns(inside[ROW_NUMBER])
    refused = pl.concat([strange, elsewhere]).sort(ROW_NUMBER)
    return Decoded({table.name: conformed}, refused, frozenset(seen.values()))


def perpetual(venue: str, coin: str) -> Instrument:
    """The linear perpetual of a coin at one of the known venues."""
    symbol, quote = CONTRACTS[venue]
    name = KRAKENS_NAMES.get(coin, coin) if venue == "kraken" else coin
    return Instrument(venue, symbol.format(name), "perp", coin, quote, quote, "linear")


def _measures(table: Table) -> dict[str, pl.Expr]:
    if table is FUNDING:
        return {"kind": pl.lit("settled"), "rate": pl.col("funding_rate")}
    return {"open_interest_usd": pl.col("oi_usd")}


def _named() -> pl.Expr:
    return pl.col("venue").fill_null(UNNAMED)


def _stamps(path: Path) -> pl.DataFrame:
    """When each venue told of each coin, to the full hour: venue, coin, due (seconds)."""
    second = pl.col("timestamp").dt.epoch("s")
    due = (second + SCHEDULE_S // 2) // SCHEDULE_S * SCHEDULE_S
    told = pl.scan_parquet(path, glob=False).select(_named(), "coin", due.alias("due"))
    try:
        return told.unique().sort("venue", "coin", "due").collect()
    except pl.exceptions.PolarsError as error:
        raise SourceRefused(f"{path}: is damaged: {error}") from error


def _usual(stamps: pl.DataFrame, venue: str) -> dict[str, int]:
    """The most frequent step between the settlements of each instrument, in seconds."""
    if venue not in CONTRACTS:
        return {}
    steps = (
        stamps.filter(pl.col("venue") == venue, pl.col("coin").is_in(COINS))
        .drop_nulls()
        .with_columns(pl.col("due").diff().over("coin").alias("step"))
        .drop_nulls()
        .group_by("coin", "step")
        .len()
        .sort("coin", "len", "step", descending=[False, True, False])
        .unique("coin", keep="first", maintain_order=True)
    )
    return {perpetual(venue, coin).instrument_id: step for coin, step, _ in steps.iter_rows()}
