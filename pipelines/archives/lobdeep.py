"""lobdeep: whole order books of Binance as Parquet, one hour of arrival each, a thousand deep.

Files are `lobdeep_<coin>_<fut|spot>_<day>_<hour>.parquet`. A row is one book, taken about ten times
a second: `exch_ts_ms` is the venue's stamp of it, `ts_ms` the recorder's, both in milliseconds;
prices and sizes in base coin stand in lists, best first. What changed in between is not recorded.
"""

import re
from functools import partial
from pathlib import Path

import polars as pl

from expectations.gate import ROW_NUMBER
from pipelines import universe
from pipelines.archives.base import (
    Decoded,
    Feed,
    Period,
    Rows,
    SourceRefused,
    divided,
    instants,
    outside,
)
from pipelines.universe import Instrument, Market, UnknownSymbol
from warehouse.contract import BOOKS, QUOTES

NAME = re.compile(r"lobdeep_([a-z0-9]+)_(fut|spot)_(\d{4}-\d{2}-\d{2})_(\d{2})\.parquet")
MARKETS: dict[str, Market] = {"fut": "um", "spot": "spot"}
RANK = 20  # every best quote, where Tardis recorded it, knows more

# Of the thousand: an order of 5,000,000 US dollars, the largest whose slippage is told, was filled
# by the first 500 levels of each of 5,118 books of BTCUSDT, the thinnest of which held 5,057,000.
# Twice as many levels are twice the rows, for prices that nothing asks of.
DEPTH = 500

PRICES = pl.List(pl.Float64)
COLUMNS: dict[str, pl.DataType] = {
    "ts_ms": pl.Int64(),
    "exch_ts_ms": pl.Int64(),
    "venue": pl.String(),
    "market_type": pl.String(),
    "symbol": pl.String(),
    "best_bid": pl.Float64(),
    "best_ask": pl.Float64(),
    "bids_px": PRICES,
    "bids_qty": PRICES,
    "asks_px": PRICES,
    "asks_qty": PRICES,
}
LAYOUT = pl.Schema(COLUMNS)
SIDES = {"ask": "asks", "bid": "bids"}  # in the order of the table
FACTS = {
    "symbol": pl.String,
    "venue_name": pl.String,
    "underlying": pl.String,
    "instrument_id": pl.String,
}


def recognise(path: Path) -> Feed | None:
    """The job that the file's name describes; None where it is none of ours.

    Raises `SourceRefused` where it is ours and names no day.
    """
    found = NAME.fullmatch(path.name)
    if found is None:
        return None
    _, market, day, hour = found.groups()
    try:
        period = Period.parse(day)
    except ValueError:
        raise SourceRefused(f"{path}: {day} is no day") from None
    return Feed(
        path=path,
        venue="binance",
        source="lobdeep books",
        rank=RANK,
        period=period,
        tables=(QUOTES.name, BOOKS.name),
        layout=LAYOUT,
        decode=partial(decode, market, period),
        unit=f"{{}}/{hour}h".format,  # the next hour's file must not replace this one's
    )


def decode(market: str, period: Period, rows: Rows) -> Decoded:
    """Each book's best quotes, and its best `DEPTH` levels a side, at the venue's stamp of it."""
    frame = rows.frame.with_row_index(ROW_NUMBER, rows.first_row).with_columns(
        pl.col(ROW_NUMBER).cast(pl.Int64),
        instants(rows.frame["exch_ts_ms"], "ms").alias("snapshot_at"),
        instants(rows.frame["ts_ms"], "ms").alias("received_at"),
    )
    known, seen = _instruments(frame["symbol"].drop_nulls().unique(), market)
    told, strange = divided(
        frame.join(known, on="symbol", how="left", maintain_order="left"), _strangeness(market)
    )
    of_day, elsewhere = outside(told, period, "received_at")
    dated, late = outside(of_day, period, "snapshot_at")
    sound, broken = divided(dated, _fault())
    refused = pl.concat([strange, elsewhere, late, broken])
    made = sound.with_columns(venue="venue_name", quoted_at="snapshot_at")
    quotes, books = _quotes(made), _books(made)
    return Decoded(
        {
            QUOTES.name: QUOTES.conform(quotes).with_columns(quotes[ROW_NUMBER]),
            BOOKS.name: BOOKS.conform(books).with_columns(books[ROW_NUMBER]),
        },
        refused.sort(ROW_NUMBER),
        seen,
    )


def _instruments(symbols: pl.Series, market: str) -> tuple[pl.DataFrame, frozenset[Instrument]]:
    found = {}
    for symbol in symbols.sort():
        try:
            found[symbol] = universe.binance(MARKETS[market], symbol)
        except UnknownSymbol:
            continue  # its rows are refused one by one
    facts = [(s, item.venue, item.underlying, item.instrument_id) for s, item in found.items()]
    return pl.DataFrame(facts, schema=FACTS, orient="row"), frozenset(found.values())


def _strangeness(market: str) -> pl.Expr:
    is_of_file = (pl.col("venue") == "Binance") & (pl.col("market_type") == market)
    return (
        pl.when(~is_of_file.fill_null(value=False))
        .then(pl.lit("market_of_another_file"))
        .when(pl.col("instrument_id").is_null())
        .then(pl.lit("symbol_unknown"))
    )


def _fault() -> pl.Expr:
    """Why a row is no book: one observation, which is taken whole or not at all.

    A book that is told again with the same stamp is the same book.
    """
    prices = {"best_bid": "bids_px", "best_ask": "asks_px"}
    is_listed = pl.all_horizontal(
        pl.col(f"{side}_{what}").list.eval(_is_level()).list.all()
        & (pl.col(f"{side}_px").list.len() == pl.col(f"{side}_qty").list.len())
        for side in SIDES.values()
        for what in ("px", "qty")
    )
    is_ordered = (pl.col("bids_px").list.diff().list.max().fill_null(-1) < 0) & (
        pl.col("asks_px").list.diff().list.min().fill_null(1) > 0
    )
    is_best = pl.all_horizontal(
        pl.col(best).eq_missing(pl.col(side).list.first()) for best, side in prices.items()
    )
    levels = pl.col("bids_px").list.len() + pl.col("asks_px").list.len()
    again = pl.struct("instrument_id", "snapshot_at")
    return (
        pl.when(~is_listed.fill_null(value=False))
        .then(pl.lit("levels_unreadable"))
        .when(levels == 0)
        .then(pl.lit("levels_missing"))
        .when(~is_ordered)
        .then(pl.lit("levels_out_of_order"))
        .when(~is_best)
        .then(pl.lit("best_price_disagrees_with_levels"))
        .when(~again.is_first_distinct())
        .then(pl.lit("duplicate_key"))
    )


def _is_level() -> pl.Expr:
    return (pl.element().is_finite() & (pl.element() > 0)).fill_null(value=False)


def _quotes(books: pl.DataFrame) -> pl.DataFrame:
    """A book about every tenth of a second: what the best quote did in between is not in it."""
    best = {
        f"{side}_{name}": pl.col(f"{field}_{what}").list.first()
        for side, field in SIDES.items()
        for name, what in (("price", "px"), ("quantity_base", "qty"))
    }
    return books.with_columns(**best, is_every_update=pl.lit(False))


def _books(books: pl.DataFrame) -> pl.DataFrame:
    """One row per level, in the order of the table."""
    sides = [
        books.drop(
            "best_bid", "best_ask", *(f"{f}_{w}" for f in SIDES.values() for w in ("px", "qty"))
        )
        .with_columns(
            books[f"{field}_px"].list.head(DEPTH).alias("price"),
            books[f"{field}_qty"].list.head(DEPTH).alias("quantity_base"),
        )
        .with_columns(
            side=pl.lit(side), level=pl.int_ranges(1, pl.col("price").list.len().cast(pl.Int64) + 1)
        )
        .explode("price", "quantity_base", "level", empty_as_null=False)
        for side, field in SIDES.items()
    ]
    return pl.concat(sides).sort(BOOKS.sort)
