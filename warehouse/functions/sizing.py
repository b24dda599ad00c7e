"""How large are the volume buckets of each day, and which one is open when it begins?

Daily totals alone tell; vpin.py cuts the prints. Sizes, and the deviation that classifies bars in
bulk, rest on the days with trades among the 20 calendar days before, else on the day itself.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Floats = NDArray[np.float64]

BUCKETS_A_DAY = 50
DAYS_OF_HISTORY = 20
NO_UNIT = -1


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


def plan(volume_lots: ArrayLike, step_lots: ArrayLike = 1) -> Plan:
    """Bucket sizes and the open bucket at the start of each of consecutive calendar days.

    `volume_lots` is one instrument's volume per day; 0 is a day without trades, `NO_UNIT` a day
    that was never committed: it drops the open bucket, and the day after is `is_restarted`. Size
    is the mean volume / 50, rounded to whole `step_lots` and at least one, of the days with trades
    among the 20 calendar days before, else of the day itself (`is_own_day`).
    """
    volume = np.maximum(np.array(volume_lots, dtype=np.int64), NO_UNIT)
    step = np.broadcast_to(np.asarray(step_lots, dtype=np.int64), volume.shape)
    if step.size and step.min() < 1:
        raise ValueError(f"vpin: sizes in steps of {step.min()} lots, needs at least 1")
    return Plan(*_plan(volume, step))


def deviations(
    volume_lots: ArrayLike, count: ArrayLike, total: ArrayLike, square: ArrayLike
) -> Floats:
    """Standard deviation of bars on the days that size each day's buckets (n - 1); NaN below two.

    Per calendar day as in `plan`: how many bars, the sum of their changes, of their squares.
    """
    volume = np.maximum(np.array(volume_lots, dtype=np.int64), NO_UNIT)
    return _deviations(volume, *(np.array(c, dtype=np.float64) for c in (count, total, square)))


@kernel
def _deviations(volume: Integers, count: Floats, total: Floats, square: Floats) -> Floats:
    out = np.full(volume.size, math.nan)
    for d in range(volume.size):
        first, end, traded = max(0, d - DAYS_OF_HISTORY), d, 0
        for e in range(first, d):
            traded += volume[e] > 0
        if traded == 0:
            first, end = d, d + 1
        n, s, q = 0.0, 0.0, 0.0
        for e in range(first, end):
            if volume[e] > 0:
                n += count[e]
                s += total[e]
                q += square[e]
        if n >= 2.0:
            out[d] = math.sqrt(max(q - s * s / n, 0.0) / (n - 1.0))
    return out


@kernel
def _plan(
    volume: Integers, step: Integers
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
            whole = BUCKETS_A_DAY * traded * step[d]
            size[d] = max((2 * past + whole) // (2 * whole), 1) * step[d]
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
