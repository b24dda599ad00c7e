"""What do Binance's books mean: whole ones, and the changes that a stream tells?

A book is taken whole or not at all: one with a level that cannot be read is no book.
"""

from collections.abc import Sequence
from datetime import datetime

import polars as pl

from expectations.gate import ROW_NUMBER
from pipelines.archives.base import Decoded
from pipelines.venues import binance_wire as wire
from pipelines.venues.binance_reading import Read, Subject, decoded, read, sizes
from warehouse.contract import BOOKS, INSTANT
from warehouse.raw import Page

SIDES = {"bids": "bid", "asks": "ask"}


def books(subject: Subject, at: datetime, pages: Sequence[Page], depth: int) -> Decoded:
    """The best `depth` levels a side of every book, as the state at `at`."""
    found = read(subject, pages, wire.DEPTH)
    every = levels(found)
    found = found.without(_fault(every, positive=True)).without(
        pl.when(pl.col("bids").list.len() + pl.col("asks").list.len() == 0).then(
            pl.lit("levels_missing")
        )
    )
    is_kept = pl.col(ROW_NUMBER).is_in(found.frame[ROW_NUMBER].implode())
    _, base, _ = sizes("quantity", "price")
    rows = every.filter(is_kept, pl.col("level") <= depth).with_columns(
        snapshot_at=pl.lit(at, INSTANT),
        quoted_at=pl.when(pl.col("time").is_not_null()).then("event_at"),
        quantity_base=base,
    )
    return decoded(found, (BOOKS, rows.sort(BOOKS.sort)))


def changes(subject: Subject, pages: Sequence[Page]) -> tuple[Read, pl.DataFrame]:
    """The messages of a depth stream, and the levels that they set; a quantity of 0 removes one.

    Messages are numbered: each begins after the one before ends (spot, `first_id`), or names it
    (futures, `previous_id`).
    """
    found = read(subject, pages, wire.DEPTH_UPDATE)
    every = levels(found)
    found = found.without(_fault(every, positive=False))
    return found, every.filter(pl.col(ROW_NUMBER).is_in(found.frame[ROW_NUMBER].implode()))


def levels(found: Read) -> pl.DataFrame:
    """One row per level with its message's columns: side, level (1 is the first), price, quantity.

    What cannot be read in a level is NULL.
    """
    sides = [
        found.frame.rename({field: "pairs"})
        .drop(*(other for other in SIDES if other != field))
        .with_columns(side=pl.lit(side), level=pl.int_ranges(1, pl.col("pairs").list.len() + 1))
        for field, side in SIDES.items()
    ]
    exploded = pl.concat(sides).explode("pairs", "level", empty_as_null=False)
    places = {"price": 0, "quantity": 1}
    return exploded.with_columns(
        pl.col("pairs").list.get(place, null_on_oob=True).cast(pl.Float64, strict=False).alias(name)
        for name, place in places.items()
    ).drop("pairs")


def _fault(every: pl.DataFrame, *, positive: bool) -> pl.Expr:
    """Why the message of a row is no book: a level that is none, or levels out of order."""
    price, quantity = pl.col("price"), pl.col("quantity")
    is_level = price.is_finite() & quantity.is_finite() & (price > 0) & (quantity >= 0)
    if positive:
        is_level &= quantity > 0
    step = price.diff().over(ROW_NUMBER, "side")
    is_ordered = pl.when(side="bid").then(step < 0).otherwise(step > 0)
    bad = every.filter(~is_level.fill_null(value=False))[ROW_NUMBER]
    if not positive:
        return _named(bad, "levels_unreadable")
    mixed = every.filter(~is_ordered)[ROW_NUMBER]
    return pl.coalesce(_named(bad, "levels_unreadable"), _named(mixed, "levels_out_of_order"))


def _named(numbers: pl.Series, reason: str) -> pl.Expr:
    return pl.when(pl.col(ROW_NUMBER).is_in(numbers.unique().implode())).then(pl.lit(reason))
