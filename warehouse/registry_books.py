"""Which functions of order books can SQL call?

A book is one row, its levels as lists of equal length in any order. What registry.py says of
missing values holds here: a level of which something is missing does not count.
"""

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


def book_depths(is_bid: Lists, price: Lists, quantity: Lists) -> Array:
    found = books.depths(*levels("book_depths", is_bid, price, quantity))
    n = found.mid.size
    columns = [
        found.mid,
        *found.price.T,
        *found.quantity.T,
        *found.depth.reshape(n, -1).T,
        *found.reach.T,
        *found.recorded.T,
    ]
    counts = (*found.levels.T, found.unusable, found.doubled)
    whole = [pa.array(c.astype(np.int32)) for c in counts]
    return record(DEPTHS, [*columns, *whole, names_of(books.BookStatus, found.status)])


def book_ladder(is_bid: Lists, price: Lists, quantity: Lists) -> Array:
    found = books.ladders(*levels("book_ladder", is_bid, price, quantity))
    n, sides, sizes = found.vwap.shape
    side = np.tile(np.repeat(["buy", "sell"], sizes), n)
    columns = [
        pa.array(side, type=TEXT),
        pa.array(np.tile(books.NOTIONALS, n * sides)),
        nullable(found.vwap.ravel()),
        nullable(found.slippage_bps.ravel()),
        pa.array(found.levels_used.ravel().astype(np.int32)),
        pa.array(found.is_fillable.ravel()),
    ]
    return list_of(RUNG, np.arange(n + 1) * sides * sizes, columns)


def levels(
    name: str, is_bid: Lists, price: Lists, quantity: Lists
) -> tuple[np.ndarray, Floats, Floats, Integers]:
    """The books end to end, as the functions take them."""
    (sides, prices, sizes), offsets = ragged(name, [is_bid, price, quantity])
    bid, p = calls_with(sides, prices)
    return bid, p, numbers(sizes), offsets


BOOK = (("is_bid", FLAGS), *declared("price", "quantity_base", dtype=NUMBERS))

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
)
