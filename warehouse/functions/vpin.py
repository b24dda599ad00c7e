"""Which prints fill which volume bucket, in whole lots and split exactly?

Easley, López de Prado & O'Hara (2012), "Flow Toxicity and Liquidity in a High-frequency World",
Review of Financial Studies 25(5). A bucket is a fixed number of lots; a print larger than what is
left of the open bucket fills it and goes on into the next ones. Lots are integers, so results do
not depend on the order of summation. `plan` finds each day's open bucket from daily totals alone;
with it `fragments` cuts every day by itself.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]

BUCKETS_A_DAY = 50
DAYS_OF_HISTORY = 20
NO_UNIT = -1


class Buckets(NamedTuple):
    """One row per full bucket; indices are of its first and last print in the arrays given."""

    start_index: Integers
    end_index: Integers
    buy_lots: Integers
    sell_lots: Integers


class Fragments(NamedTuple):
    """One row per bucket touched: `bucket_offset` 0 is the bucket that was open on entry."""

    bucket_offset: Integers
    start_index: Integers
    end_index: Integers
    buy_lots: Integers
    sell_lots: Integers
    is_full: Booleans


class Plan(NamedTuple):
    """One row per calendar day: how buckets stand when it begins.

    `bucket_lots` is the size of buckets opened on the day and 0 where no volume tells it;
    `open_bucket_lots` is the size of the bucket open at the start, which is `bucket_lots` when
    `open_lots` is 0; `first_bucket` is its running number.
    """

    bucket_lots: Integers
    first_bucket: Integers
    open_lots: Integers
    open_bucket_lots: Integers
    is_own_day: Booleans
    is_restarted: Booleans


def buckets(
    lots: ArrayLike,
    is_buy: ArrayLike,
    bucket_lots: int,
    open_lots: int = 0,
    open_buy_lots: int = 0,
    open_bucket_lots: int | None = None,
) -> Buckets:
    """Full buckets of a series of prints; the last, unfilled one is left out.

    `bucket_lots` is the size of buckets opened from now on. On entry a bucket of `open_bucket_lots`
    (by default `bucket_lots`) holds `open_lots`, of which `open_buy_lots` are buys; its start index
    is its first print here. ValueError if a size is below one lot, a print is negative, or the open
    bucket is already full.

    >>> buckets([3, 5, 4], [True, False, True], 4)[:3]
    (array([0, 1, 2]), array([1, 1, 2]), array([3, 0, 4]))
    """
    cut = fragments(lots, is_buy, bucket_lots, open_lots, open_bucket_lots)
    full = cut.is_full
    buy, sell = cut.buy_lots[full], cut.sell_lots[full]
    if full.any():
        buy[0] += open_buy_lots
        sell[0] += open_lots - open_buy_lots
    return Buckets(cut.start_index[full], cut.end_index[full], buy, sell)


def fragments(
    lots: ArrayLike,
    is_buy: ArrayLike,
    bucket_lots: int,
    open_lots: int = 0,
    open_bucket_lots: int | None = None,
) -> Fragments:
    """What these prints put into each bucket they touch, the last and still open one included.

    Sums of one bucket's fragments over consecutive pieces of a series are the bucket.

    >>> fragments([3, 5], [True, False], 4).sell_lots
    array([1, 4])
    """
    size = np.array(lots, dtype=np.int64)
    buy = np.array(is_buy, dtype=np.bool_)
    first = bucket_lots if open_bucket_lots is None else open_bucket_lots
    if size.shape != buy.shape or size.ndim != 1:
        raise ValueError(f"vpin: lots of shape {size.shape}, is_buy of shape {buy.shape}")
    if bucket_lots < 1 or first < 1:
        raise ValueError(f"vpin: bucket of {min(bucket_lots, first)} lots, needs at least 1")
    if not 0 <= open_lots < first:
        raise ValueError(f"vpin: open bucket holds {open_lots} of {first} lots")
    if size.size and size.min() < 0:
        raise ValueError(f"vpin: print of {size.min()} lots")
    total = int(size.sum()) + open_lots
    count = 1 if total <= first else 1 - (first - total) // bucket_lots
    rows, used = _cut(size, buy, bucket_lots, open_lots, first, count)
    filled = np.full(used, bucket_lots, np.int64)
    filled[:1] = first - open_lots
    is_full = rows[2, :used] + rows[3, :used] == filled
    offset = np.arange(used, dtype=np.int64)
    return Fragments(
        offset, rows[0, :used], rows[1, :used], rows[2, :used], rows[3, :used], is_full
    )


def plan(volume_lots: ArrayLike) -> Plan:
    """Bucket sizes and the open bucket at the start of each of consecutive calendar days.

    `volume_lots` is one instrument's volume per day; 0 is a day without trades, `NO_UNIT` a day
    that was never committed: it drops the open bucket, and the day after is `is_restarted`. Size
    is the mean volume / 50, rounded and at least one lot, of the days with trades among the 20
    calendar days before, else of the day itself (`is_own_day`).
    """
    return Plan(*_plan(np.maximum(np.array(volume_lots, dtype=np.int64), NO_UNIT)))


@kernel
def _cut(
    lots: Integers, is_buy: Booleans, bucket_lots: int, open_lots: int, first: int, count: int
) -> tuple[Integers, int]:
    rows = np.zeros((4, count), np.int64)
    bucket, room = 0, first - open_lots
    is_touched = False
    for i in range(lots.size):
        left = lots[i]
        while left > 0:
            if room == 0:
                bucket += 1
                room = bucket_lots
                is_touched = False
            part = min(left, room)
            if not is_touched:
                rows[0, bucket] = i
                is_touched = True
            rows[1, bucket] = i
            rows[2 if is_buy[i] else 3, bucket] += part
            left -= part
            room -= part
    return rows, bucket + 1 if is_touched else 0


@kernel
def _plan(
    volume: Integers,
) -> tuple[Integers, Integers, Integers, Integers, Booleans, Booleans]:
    days = volume.size
    size, number = np.zeros(days, np.int64), np.zeros(days, np.int64)
    held, open_size = np.zeros(days, np.int64), np.zeros(days, np.int64)
    own, restarted = np.zeros(days, np.bool_), np.zeros(days, np.bool_)
    bucket, lots, lots_size = 0, 0, 0
    is_begun = False
    for d in range(days):
        past, traded = 0, 0
        for e in range(max(0, d - DAYS_OF_HISTORY), d):
            if volume[e] > 0:
                past += volume[e]
                traded += 1
        if traded == 0 and volume[d] > 0:
            own[d] = True
            past, traded = volume[d], 1
        if traded > 0:
            whole = BUCKETS_A_DAY * traded
            size[d] = max((2 * past + whole) // (2 * whole), 1)
        if d > 0 and volume[d - 1] == NO_UNIT:
            restarted[d] = is_begun and volume[d] != NO_UNIT
            if lots > 0:
                bucket += 1
                lots = 0
        is_begun = is_begun or volume[d] != NO_UNIT
        number[d], held[d] = bucket, lots
        open_size[d] = lots_size if lots > 0 else size[d]
        if volume[d] <= 0:
            continue
        rest = volume[d] - (open_size[d] - lots)
        if rest < 0:
            lots += volume[d]
            lots_size = open_size[d]
        else:
            bucket += 1 + rest // size[d]
            lots = rest % size[d]
            lots_size = size[d]
    return size, number, held, open_size, own, restarted
