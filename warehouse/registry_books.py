"""Which functions of order books can SQL call?

A book is one row, its levels a list of records in any order. What registry.py says of missing
values holds here: a level of which something is missing does not count.
"""

from itertools import pairwise
from typing import cast

import numpy as np
import pyarrow as pa

from warehouse.arrow import (
    FLAG,
    FLAGS,
    NUMBER,
    NUMBERS,
    TEXT,
    Array,
    Floats,
    Integers,
    Lists,
    SqlFunction,
    calls_with,
    declared,
    list_of,
    names_of,
    nullable,
    numbers,
    ragged,
    record,
    record_type,
)
from warehouse.functions import books
from warehouse.functions.split import Venue, splits

COUNT = pa.int32()
SIDES = ("bid", "ask")

DEPTHS = record_type(
    "mid_price",
    *(f"{side}_price" for side in SIDES),
    *(f"{side}_quantity_base" for side in SIDES),
    *(f"depth_{side}_{width:.0f}bps" for side in SIDES for width in books.WIDTHS_BPS),
    *(f"reach_{side}_bps" for side in SIDES),
    *(f"recorded_{side}" for side in SIDES),
    bid_levels=COUNT,
    ask_levels=COUNT,
    unusable_levels=COUNT,
    doubled_levels=COUNT,
    book_status=TEXT,
)
RUNG = pa.struct(
    [
        ("side", TEXT),
        ("notional", NUMBER),
        ("vwap", NUMBER),
        ("slippage_bps", NUMBER),
        ("levels_used", COUNT),
        ("is_fillable", FLAG),
    ]
)
SPLIT = pa.struct(
    [
        ("side", TEXT),
        ("notional", NUMBER),
        ("filled", NUMBER),
        ("vwap", NUMBER),
        *((f"{name}_bps", NUMBER) for name in ("slippage", "fee", "cost", "gap")),
        ("is_fillable", FLAG),
        ("shares", NUMBERS),
        ("best_single", TEXT),
        ("best_single_cost_bps", NUMBER),
    ]
)


def book_depths(book: Lists) -> Array:
    given = end_to_end(book)
    found = books.depths(*given)
    n = found.mid.size
    is_nothing = np.diff(given[-1]) == 0
    columns = [
        found.mid,
        *found.price.T,
        *found.quantity.T,
        *found.depth.reshape(n, len(SIDES) * len(books.WIDTHS_BPS)).T,
        *found.reach.T,
        *np.where(is_nothing, np.nan, found.recorded.T),
    ]
    counts = (*found.levels.T, found.unusable, found.doubled)
    whole = [pa.array(c.astype(np.int32), mask=is_nothing) for c in counts]
    return record(DEPTHS, [*columns, *whole, names_of(books.BookStatus, found.status)])


def book_ladder(book: Lists) -> Array:
    given = end_to_end(book)
    found = books.ladders(*given)
    is_there = np.diff(given[-1]) > 0
    _, sides, sizes = found.vwap.shape
    n = int(is_there.sum())
    columns = [
        pa.array(np.tile(np.repeat(["buy", "sell"], sizes), n), type=TEXT),
        pa.array(np.tile(books.NOTIONALS, n * sides)),
        nullable(found.vwap[is_there].ravel()),
        nullable(found.slippage_bps[is_there].ravel()),
        pa.array(found.levels_used[is_there].ravel().astype(np.int32)),
        pa.array(found.is_fillable[is_there].ravel()),
    ]
    ends = np.concatenate([[0], np.cumsum(is_there)]) * sides * sizes
    return list_of(RUNG, ends, columns)


def book_split(
    venue: Lists,
    book: Lists,
    lot: Lists,
    is_inverse: Lists,
    fee_bps: Lists,
    reference: Array,
) -> Array:
    """One row per group of books; the outer lists have an entry per venue. No venue, no rows."""
    outer, offsets = ragged("book_split", [venue, book, lot, is_inverse, fee_bps])
    names = [str(name) for name in outer[0].to_pylist()]
    sides, prices, sizes, ends = end_to_end(cast(Lists, outer[1]))
    lots, fees = numbers(outer[2]), numbers(outer[4])
    inverse = outer[3].fill_null(False).to_numpy(zero_copy_only=False)
    rows: list[tuple[object, ...]] = []
    row_ends = [0]
    for (a, b), middle in zip(pairwise(offsets), numbers(reference), strict=True):
        offers = [
            Venue(
                sides[ends[i] : ends[i + 1]],
                prices[ends[i] : ends[i + 1]],
                sizes[ends[i] : ends[i + 1]],
                lots[i],
                bool(inverse[i]),
                (fees[i],),
            )
            for i in range(a, b)
        ]
        rows += split_rows(offers, names[a:b], middle)
        row_ends.append(len(rows))
    columns = list(zip(*rows, strict=True)) or [()] * len(SPLIT)
    arrays = [
        pa.array(column, type=field.type) for column, field in zip(columns, SPLIT, strict=True)
    ]
    return list_of(SPLIT, np.array(row_ends), arrays)


def split_rows(offers: list[Venue], names: list[str], middle: float) -> list[tuple[object, ...]]:
    """The split of each side and size; a venue without terms is an error of the query."""
    if not offers or np.isnan(middle):
        return []
    found = splits(offers, books.NOTIONALS, middle)
    unit = np.array([v.lot if v.is_inverse else v.lot * middle for v in offers])
    rows: list[tuple[object, ...]] = []
    for s, side in enumerate(("buy", "sell")):
        for i, size in enumerate(books.NOTIONALS):
            is_fillable = bool(np.isfinite(found.cost_bps[s, i]))
            measured = (found.slippage_bps, found.fee_bps, found.cost_bps, found.gap_bps)
            bps = [float(m[s, i]) if is_fillable else None for m in measured]
            single = int(found.single[s, i])
            vwap = middle * (1.0 + (1 - 2 * s) * 1e-4 * found.slippage_bps[s, i])
            filled = found.filled_usd[s, i]
            shares = (found.lots[s, i] * unit / filled).tolist()
            rows.append(
                (
                    side,
                    size,
                    float(filled) if is_fillable else None,
                    float(vwap) if is_fillable else None,
                    *bps,
                    is_fillable,
                    shares if is_fillable else None,
                    names[single] if single >= 0 else None,
                    float(found.single_cost_bps[s, i]) if single >= 0 else None,
                )
            )
    return rows


def end_to_end(book: Lists) -> tuple[np.ndarray, Floats, Floats, Integers]:
    """The levels of all books, as the functions take them."""
    (rows,), offsets = ragged("books", [book])
    side, price, size = cast("pa.StructArray", rows).flatten()
    bid, p = calls_with(side, price)
    return bid, p, numbers(size), offsets


LEVELS = pa.list_(pa.struct([("is_bid", FLAG), ("price", NUMBER), ("quantity_base", NUMBER)]))
BOOK = (("levels", LEVELS),)

BOOKS = (
    SqlFunction(
        "book_depths",
        BOOK,
        DEPTHS,
        "Best quotes of a book and the value, in quote currency, resting within 5 to 100 bps of "
        "its middle per side; NULL where the levels end before. Status: ok, empty, one_sided, "
        "crossed.",
        book_depths,
    ),
    SqlFunction(
        "book_ladder",
        BOOK,
        pa.list_(RUNG),
        "Mean price and cost against the middle of market orders of 10,000 to 5,000,000 of quote "
        "currency that walk a book, per side; NULL where the levels end first.",
        book_ladder,
    ),
    SqlFunction(
        "book_split",
        (
            ("venue", pa.list_(TEXT)),
            ("levels", pa.list_(LEVELS)),
            *declared("lot", dtype=NUMBERS),
            ("is_inverse", FLAGS),
            *declared("fee_bps", dtype=NUMBERS),
            *declared("reference"),
        ),
        pa.list_(SPLIT),
        "Cheapest split, in whole lots and after taker fees, of market orders of 10,000 to "
        "5,000,000 US dollars over several books; costs are against a reference price that all "
        "share, lots in base coin or (inverse) US dollars.",
        book_split,
    ),
)
