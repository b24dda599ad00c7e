"""How do the lists of a query become the prints and quotes of an instrument and a period?

Entries come in any order and are brought into one; an entry without a time tells nothing and is
left out.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from warehouse.arrow import FLAG, NUMBER, WHOLE, Array, Integers, Lists, list_of, numbers, stacked
from warehouse.functions.tape import Prints, Quotes

PRINT = pa.struct(
    [
        ("at_us", WHOLE),
        ("sequence", WHOLE),
        ("sign", WHOLE),
        ("price", NUMBER),
        ("size", NUMBER),
        ("usd", NUMBER),
        ("known_us", WHOLE),
    ]
)
QUOTE = pa.struct(
    [
        ("at_us", WHOLE),
        ("bid", NUMBER),
        ("ask", NUMBER),
        ("bid_size", NUMBER),
        ("ask_size", NUMBER),
        ("known_us", WHOLE),
        ("is_book", FLAG),
        ("is_every_update", FLAG),
    ]
)
TAPE = (("prints", pa.list_(PRINT)), ("quotes", pa.list_(QUOTE)))
PERIOD = (("start_us", WHOLE), ("end_us", WHOLE))
Rows = Sequence[Array]


def read_prints(entries: "pa.StructArray") -> Prints:
    """Prints by time, then by the venue's number, then by what they say: one order for one list.

    Of one moment without numbers a buyer's sweep rises and a seller's falls, so that the last fill
    is the furthest.
    """
    at, sequence, side, *measures, known = columns(entries)
    price, size, usd = map(numbers, measures)
    times, sign, known_us = map(whole, (at, side, known))
    o = in_order(times, [usd, size, price, sign * price, sign, whole(sequence)])
    return Prints(times[o], sign[o], price[o], size[o], usd[o], known_us[o])


def read_quotes(entries: "pa.StructArray") -> Quotes:
    """Quotes by time; where a book and a quote tell of one moment, the quote is the last.

    What was asked for does not say whether it is every update.
    """
    at, *sides, known, of_book, every = columns(entries)
    bid, ask, bid_size, ask_size = map(numbers, sides)
    times, known_us, is_book, is_every = whole(at), whole(known), flag(of_book), flag(every)
    is_asked = flag(every.is_null())
    o = in_order(times, [bid_size, ask_size, bid, ask, known_us, ~is_book])
    told = (bid[o], ask[o], bid_size[o], ask_size[o])
    return Quotes(times[o], *told, known_us[o], is_book[o], is_every[o], is_asked[o])


def columns(entries: "pa.StructArray") -> list[Array]:
    """The fields of the entries that have a time."""
    timed = entries
    if entries.field("at_us").null_count:
        timed = entries.filter(entries.field("at_us").is_valid())
    return [timed.field(i) for i in range(timed.type.num_fields)]


def in_order(times: Integers, ties: Sequence[NDArray[Any]]) -> Integers | slice:
    """The order by time and, within a moment, by the last of `ties`, then the one before it."""
    step = np.diff(times)
    if (step > 0).all():
        return slice(None)
    order = np.arange(times.size) if (step >= 0).all() else np.argsort(times, kind="stable")
    is_same = np.diff(times[order]) == 0
    tied = np.flatnonzero(np.append(is_same, False) | np.insert(is_same, 0, False))
    # Only entries that share their moment need the other columns, and keep their places together.
    among = order[tied]
    order[tied] = among[np.lexsort((*(t[among] for t in ties), times[among]))]
    return order


def whole(column: Array) -> Integers:
    """A writable copy of whole numbers, 0 where missing: for arrays that may not be written a
    kernel is compiled once more."""
    return np.array(column.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)


def flag(column: Array) -> NDArray[np.bool_]:
    """A writable copy of flags, false where missing."""
    return np.array(column.fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_)


def per_period(
    returns: pa.StructType, compute: Callable[..., Rows], *readers: Callable[..., Any]
) -> Callable[..., Array]:
    """`compute` over what the readers make of each row's lists, and its period.

    NULL without a period.
    """

    def call(*arguments: Any) -> Array:
        *lists, start_us, end_us = arguments
        tables: list[Rows] = []
        for row, (start, end) in enumerate(zip(start_us, end_us, strict=True)):
            if start.is_valid and end.is_valid:
                told = [r(entries(c, row)) for r, c in zip(readers, lists, strict=True)]
                tables.append(compute(*told, start.as_py(), end.as_py()))
            else:
                tables.append(())
        ends = np.cumsum([0, *(len(t[0]) if t else 0 for t in tables)])
        is_null = pa.array([not t for t in tables], type=FLAG)
        return list_of(returns, ends, stacked(returns, [t for t in tables if t]), is_null)

    return call


def entries(lists: Lists, row: int) -> "pa.StructArray":
    """The entries of a row's list, none where it is NULL."""
    start, end = lists.offsets[row].as_py(), lists.offsets[row + 1].as_py()
    return cast(pa.StructArray, lists.values[start : end if lists[row].is_valid else start])
