"""Which functions of prints against quotes can SQL call?

Each takes the prints and the best quotes of one instrument around one period, a list of structs
each, in any order: `read_prints` and `read_quotes` bring them into one. What registry.py says of
missing values holds here; an entry without a time tells nothing and is left out.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from warehouse.arrow import (
    FLAG,
    NUMBER,
    NUMBERS,
    WHOLE,
    Array,
    Integers,
    Lists,
    SqlFunction,
    declared,
    list_of,
    nullable,
    numbers,
    ragged,
    record,
    record_type,
    stacked,
)
from warehouse.functions import imbalance, impact, pin, spreads
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


# ---- lists into series


def read_prints(entries: "pa.StructArray") -> Prints:
    """Prints by time, then by the venue's number, then by what they say: one order for one list."""
    at, sequence, side, *measures, known = columns(entries)
    price, size, usd = map(numbers, measures)
    times, sign, known_us = map(whole, (at, side, known))
    o = in_order(times, [usd, size, price, sign, whole(sequence)])
    return Prints(times[o], sign[o], price[o], size[o], usd[o], known_us[o])


def read_quotes(entries: "pa.StructArray") -> Quotes:
    """Quotes by time; where a book and a quote tell of one moment, the quote is the last."""
    at, *sides, known, of_book, every = columns(entries)
    bid, ask, bid_size, ask_size = map(numbers, sides)
    times, known_us, is_book, is_every = whole(at), whole(known), flag(of_book), flag(every)
    o = in_order(times, [bid_size, ask_size, bid, ask, known_us, ~is_book])
    told = (bid[o], ask[o], bid_size[o], ask_size[o])
    return Quotes(times[o], *told, known_us[o], is_book[o], is_every[o])


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
    """Whole numbers, 0 where missing."""
    return np.asarray(column.fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)


def flag(column: Array) -> NDArray[np.bool_]:
    """Flags, false where missing."""
    return np.asarray(column.fill_null(False).to_numpy(zero_copy_only=False), dtype=np.bool_)


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


# ---- spreads

HORIZONS = ("1s", "5s", "1m", "5m")
MINUTE = pa.struct(
    [
        *((name, WHOLE) for name in ("minute", "buys", "sells", "unsided", "turns", "priced")),
        *((name, WHOLE) for name in ("of_books", "newest_us", "known_us")),
        *((name, NUMBER) for name in ("weight", "effective", "age_s", "quoted", "quoted_s")),
        *((f"count_{h}", WHOLE) for h in HORIZONS),
        *((f"weight_{h}", NUMBER) for h in HORIZONS),
        *((f"realised_{h}", NUMBER) for h in HORIZONS),
        *((f"moved_{h}", NUMBER) for h in HORIZONS),
    ]
)


def _spread_minutes(prints: Prints, quotes: Quotes, start_us: int, end_us: int) -> Rows:
    m = spreads.minutes(prints, quotes, start_us, end_us)
    counted = (m.minute, m.buys, m.sells, m.unsided, m.turns, m.priced, m.of_books)
    summed = (m.weight, m.effective, m.age_s, m.quoted, m.quoted_s)
    return [
        *map(pa.array, (*counted, m.newest_us, m.known_us)),
        *map(nullable, summed),
        *map(pa.array, m.later_count),
        *map(nullable, (*m.later_weight, *m.realised, *m.moved)),
    ]


spread_minutes = per_period(MINUTE, _spread_minutes, read_prints, read_quotes)


# ---- price impact

KYLE = ("kyle_lambda", "kyle_error", "kyle_r_squared")
MEASURES = (
    *KYLE,
    "roll_bps",
    "roll_covariance",
    "amihud",
    "order_impact_bps",
    "power",
    "power_error",
)
SIZES = ("kyle_n", "roll_n", "amihud_n", "order_n")
COUNTS = ("hour", "prints", "unsided", "newest_us", "known_us", *SIZES)
HOUR = pa.struct([*((n, WHOLE) for n in COUNTS), *((n, NUMBER) for n in MEASURES)])


def _impact_hours(prints: Prints, quotes: Quotes, start_us: int, end_us: int) -> Rows:
    h = impact.hours(prints, quotes, start_us, end_us)
    counted = [pa.array(getattr(h, name)) for name in COUNTS]
    return [*counted, *(nullable(getattr(h, name)) for name in MEASURES)]


impact_hours = per_period(HOUR, _impact_hours, read_prints, read_quotes)


# ---- imbalance

LEAN = pa.struct(
    [
        *((name, WHOLE) for name in ("minute", "updates", "unrecorded", "one_sided", "crossed")),
        *((name, WHOLE) for name in ("newest_us", "known_us")),
        *((name, NUMBER) for name in ("imbalance_base", "depth_base")),
    ]
)


def _imbalance_minutes(quotes: Quotes, start_us: int, end_us: int) -> Rows:
    m = imbalance.minutes(quotes, start_us, end_us)
    counted = (m.minute, m.updates, m.unrecorded, m.one_sided, m.crossed, m.newest_us, m.known_us)
    return [*map(pa.array, counted), nullable(m.imbalance), nullable(m.depth)]


imbalance_minutes = per_period(LEAN, _imbalance_minutes, read_quotes)


# ---- informed trading

PIN = record_type("pin", "alpha", "delta", "mu", "eps_b", "eps_s", "log_likelihood", days=WHOLE)


def pin_estimate(buys: Lists, sells: Lists) -> Array:
    (bought, sold), offsets = ragged("pin_estimate", [buys, sells])
    b, s = numbers(bought), numbers(sold)
    found = [pin.pin(b[low:high], s[low:high]) for low, high in pairwise(offsets)]
    rows = np.array([[getattr(f, field.name) for field in PIN] for f in found]).reshape(-1, 8).T
    # Nothing asked, nothing found: a count of days would look like an answer.
    days = pa.array([f.days or None for f in found], type=WHOLE)
    return record(PIN, [*rows[:7], days])


IMPACTS = (
    SqlFunction(
        "spread_minutes",
        (*TAPE, *PERIOD),
        pa.list_(MINUTE),
        "Sums of spreads and markouts per minute of a period, given its prints and those of five "
        "minutes before it, and the quotes from five seconds before those on; `minute` counts "
        "from 1970, sums are weighted by value at the mid, in basis points.",
        spread_minutes,
    ),
    SqlFunction(
        "impact_hours",
        (*TAPE, *PERIOD),
        pa.list_(HOUR),
        "Kyle's lambda, Roll's spread, Amihud's ratio, the impact of an order and the power of "
        "size per hour of a period, given its prints and those of five minutes before it, and the "
        "quotes from five seconds before it on; `hour` counts from 1970.",
        impact_hours,
    ),
    SqlFunction(
        "imbalance_minutes",
        (TAPE[1], *PERIOD),
        pa.list_(LEAN),
        "Order-flow imbalance per minute of a period, given its quotes and the last one before it; "
        "`minute` counts from 1970, sizes are in base coins; NULL where not every update of the "
        "minute was recorded or a side was missing.",
        imbalance_minutes,
    ),
    SqlFunction(
        "pin_estimate",
        declared("buys", "sells", dtype=NUMBERS),
        PIN,
        "Probability of informed trading and the parameters behind it from daily counts of buys "
        "and sells; rates are trades a day. NULL with fewer than 30 days.",
        pin_estimate,
    ),
)
