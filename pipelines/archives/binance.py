"""Binance's public archive: trades, aggTrades and fundingRate of spot, USD-M and COIN-M.

The layout is `<market>/<daily|monthly>/<kind>/<symbol>/<symbol>-<kind>-<period>.zip` with a
`.CHECKSUM` beside each file. Spot files have no header and count microseconds from 2025 on;
futures files have had a header since 2022 and count milliseconds.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial
from pathlib import Path

import polars as pl

from expectations.gate import ROW_NUMBER
from pipelines import universe
from pipelines.archives.base import (
    Decoded,
    Feed,
    Layout,
    Lines,
    Period,
    SourceRefused,
    Unit,
    instants,
    outside,
)
from pipelines.archives.decoding import Dtypes, typed
from pipelines.universe import Instrument, Market, UnknownSymbol
from warehouse.contract import FUNDING, TRADES, Table

NAME = re.compile(
    r"(?P<symbol>[^-/]+)-(?P<kind>trades|aggTrades|fundingRate)-(?P<period>[\d-]+)\.(?:zip|csv)"
)
MICROSECONDS_SINCE = date(2025, 1, 1)  # spot alone

TRADE_COLUMNS = "id,price,qty,{other},time,is_buyer_maker"
AGG_COLUMNS = (
    "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
)
FUNDING_COLUMNS = "calc_time,funding_interval_hours,last_funding_rate"
COLUMNS = {
    ("trades", "spot"): TRADE_COLUMNS.format(other="quote_qty") + ",is_best_match",
    ("trades", "um"): TRADE_COLUMNS.format(other="quote_qty"),
    ("trades", "cm"): TRADE_COLUMNS.format(other="base_qty"),
    ("aggTrades", "spot"): AGG_COLUMNS + ",is_best_match",
    ("aggTrades", "um"): AGG_COLUMNS,
    ("aggTrades", "cm"): AGG_COLUMNS,
    ("fundingRate", "um"): FUNDING_COLUMNS,
    ("fundingRate", "cm"): FUNDING_COLUMNS,
}
DTYPES: Dtypes = {
    "id": pl.Int64,
    "agg_trade_id": pl.Int64,
    "price": pl.Float64,
    "qty": pl.Float64,
    "quantity": pl.Float64,
    "base_qty": pl.Float64,
    "time": pl.Int64,
    "transact_time": pl.Int64,
    "is_buyer_maker": pl.Boolean,
    "calc_time": pl.Int64,
    "funding_interval_hours": pl.Int64,
    "last_funding_rate": pl.Float64,
}
NAMES = {"agg_trade_id": "id", "quantity": "qty", "transact_time": "time", "calc_time": "time"}


@dataclass(frozen=True, slots=True)
class Subject:
    """What the rows of a file are about, and how they count time."""

    instrument: Instrument
    period: Period
    unit: Unit


def recognise(path: Path) -> Feed | None:
    """The job that the file's name and folders describe; None where it is none of ours.

    Raises `SourceRefused` where it is ours and names no date, market or instrument.
    """
    found = NAME.fullmatch(path.name)
    if found is None:
        return None
    kind, symbol = found["kind"], found["symbol"]
    try:
        period = Period.parse(found["period"])
    except ValueError:
        raise SourceRefused(f"{path}: {found['period']} is no day and no month") from None
    market = _market(path, symbol)
    if (kind, market) not in COLUMNS:
        raise SourceRefused(f"{path}: the {market} market has no {kind}")
    try:
        instrument = universe.binance(market, symbol)
    except UnknownSymbol as error:
        raise SourceRefused(f"{path}: {error}") from error
    is_micro = market == "spot" and period.start >= MICROSECONDS_SINCE
    subject = Subject(instrument, period, "us" if is_micro else "ms")
    table, rank, decode = KINDS[kind]
    return Feed(
        path=path,
        venue="binance",
        source=f"binance archive {kind}",
        rank=rank,
        period=period,
        tables=(table.name,),
        layout=partial(layout, path, tuple(COLUMNS[kind, market].split(","))),
        decode=partial(decode, subject),
    )


def layout(path: Path, columns: tuple[str, ...], line: str) -> Layout:
    """Whether the first line is the header that this kind of file has, or already a row."""
    cells = tuple(cell.strip() for cell in line.split(","))
    if cells == columns:
        return Layout(columns, True)
    if not any(cell[:1].isdigit() for cell in cells):
        raise SourceRefused(f"{path}: header was {line[:200]!r}, not {','.join(columns)!r}")
    return Layout(columns, False)


def trades(subject: Subject, lines: Lines) -> Decoded:
    """Prints, or prints aggregated by order: the buyer being the maker, the taker sold.

    849714402,61804.8,4,0.00647199,1723161257679,false     COIN-M: contracts, and coins beside
    12796828,1.22200000,8.28000000,10.11816,1721779217795,True,True     spot: coins
    """
    frame, unreadable = _read(lines)
    instrument = subject.instrument
    size = universe.spec(instrument, subject.period.start).contract_size
    is_inverse = instrument.contract_type == "inverse"
    if not is_inverse:
        base, contracts = pl.col("qty"), pl.lit(None, pl.Float64)
    elif "base_qty" in frame.columns:
        base, contracts = pl.col("base_qty"), pl.col("qty")
    else:
        base, contracts = pl.col("qty") * size / pl.col("price"), pl.col("qty")
    dollars = pl.col("qty") * (pl.lit(size) if is_inverse else pl.col("price"))
    is_dollar = instrument.quote in universe.dollar_assets()
    rows = frame.select(
        *_identity(instrument),
        trade_id=pl.col("id").cast(pl.String),
        event_at=instants(frame["time"], subject.unit),
        side=pl.when("is_buyer_maker").then(pl.lit("sell")).otherwise(pl.lit("buy")),
        price="price",
        quantity_base=base,
        quantity_contracts=contracts,
        notional_usd=dollars if is_dollar else pl.lit(None, pl.Float64),
        is_block=pl.lit(False),
        is_liquidation=pl.lit(False),
        sequence="id",
        **{ROW_NUMBER: ROW_NUMBER},
    )
    return _decoded(TRADES, subject, rows, unreadable)


def funding(subject: Subject, lines: Lines) -> Decoded:
    """Settlements: 1741449600001,8,0.00001208 is paid for the eight hours that end there."""
    frame, unreadable = _read(lines)
    rows = frame.select(
        *_identity(subject.instrument),
        kind=pl.lit("settled"),
        event_at=instants(frame["time"], subject.unit),
        rate="last_funding_rate",
        interval_s=pl.col("funding_interval_hours") * 3_600,
        **{ROW_NUMBER: ROW_NUMBER},
    )
    return _decoded(FUNDING, subject, rows, unreadable)


KINDS: dict[str, tuple[Table, int, Callable[[Subject, Lines], Decoded]]] = {
    "trades": (TRADES, 30, trades),
    "aggTrades": (TRADES, 20, trades),
    "fundingRate": (FUNDING, 30, funding),
}


def _market(path: Path, symbol: str) -> Market:
    """From the archive's folders; outside them, from a symbol that only one market has."""
    folders = path.resolve().parent.parts
    for place, folder in enumerate(folders):
        if folder == "spot":
            return "spot"
        if folder == "futures" and folders[place + 1 : place + 2] in (("um",), ("cm",)):
            return "um" if folders[place + 1] == "um" else "cm"
    if "USD_" in symbol:
        return "cm"
    raise SourceRefused(
        f"{path}: {symbol} may be spot or futures; keep the archive's folders in the path "
        "(spot, futures/um, futures/cm)"
    )


def _read(lines: Lines) -> tuple[pl.DataFrame, pl.DataFrame]:
    dtypes = {name: DTYPES[name] for name in lines.columns if name in DTYPES}
    frame, unreadable = typed(lines, dtypes, required=tuple(dtypes))
    return frame.rename({old: new for old, new in NAMES.items() if old in dtypes}), unreadable


def _identity(instrument: Instrument) -> list[pl.Expr]:
    return [
        pl.lit(instrument.venue).alias("venue"),
        pl.lit(instrument.underlying).alias("underlying"),
        pl.lit(instrument.instrument_id).alias("instrument_id"),
    ]


def _decoded(
    table: Table, subject: Subject, rows: pl.DataFrame, unreadable: pl.DataFrame
) -> Decoded:
    inside, elsewhere = outside(rows, subject.period, table.time)
    conformed = table.conform(inside).with_columns(inside[ROW_NUMBER])
    return Decoded(
        {table.name: conformed},
        pl.concat([unreadable, elsewhere]),
        frozenset([subject.instrument]),
    )
