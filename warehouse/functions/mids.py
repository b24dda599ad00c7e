"""What was the mid of the last best quote at or before a moment?

A quote counts until the next one of its stream, at most five seconds long: an older one says where
the market was, not where it is. Crossed and one-sided quotes have no mid and end the one before.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

SECOND_US = 1_000_000
LONGEST_AGE_S = 5.0


@dataclass(frozen=True, slots=True)
class Mids:
    """One entry per moment; `age_s` is that of the last quote, whether it has a mid or not."""

    mid: Floats
    age_s: Floats


def asof(
    at_us: ArrayLike,
    quote_us: ArrayLike,
    bid: ArrayLike,
    ask: ArrayLike,
    longest_age_s: float = LONGEST_AGE_S,
) -> Mids:
    """Mids at moments, from quotes of one instrument; both in microseconds and ascending.

    Of quotes of one moment the last counts. The mid is NaN before the first quote, where the last
    one is older than `longest_age_s`, one-sided (a side NaN or not above zero) or crossed; a locked
    one, bid equal to ask, has a mid. ValueError where times descend or columns differ in length.

    >>> asof([1, 9_000_000], [0], [99.0], [101.0]).mid
    array([100.,  nan])
    """
    at, quoted = ascending("moments", at_us), ascending("quotes", quote_us)
    bids, asks = (np.ascontiguousarray(side, dtype=np.float64) for side in (bid, ask))
    if bids.shape != quoted.shape or asks.shape != quoted.shape:
        raise ValueError(f"mids: {quoted.size} quotes, {bids.size} bids and {asks.size} asks")
    # numpy asks for large pages, kernels do not.
    middles, mid, age_s = np.empty(quoted.size), np.empty(at.size), np.empty(at.size)
    _middles(bids, asks, middles)
    _asof(at, quoted, middles, round(longest_age_s * SECOND_US), mid, age_s)
    return Mids(mid, age_s)


def ascending(name: str, at_us: ArrayLike) -> Integers:
    """Moments as integers; ValueError naming the first that is before the one before it."""
    at = np.ascontiguousarray(at_us, dtype=np.int64)
    if at.ndim != 1:
        raise ValueError(f"mids: {name} of shape {at.shape}, must be one series")
    if (bad := first_descent(at)) >= 0:
        raise ValueError(f"mids: {name} must ascend, {at[bad]} follows {at[bad - 1]}")
    return at


@kernel
def first_descent(at: Integers) -> int:
    """Place of the first value below the one before it, -1 where there is none."""
    for i in range(1, at.size):
        if at[i] < at[i - 1]:
            return i
    return -1


@kernel
def middle(bid: float, ask: float) -> float:
    """Mean of a two-sided quote that is not crossed, else NaN."""
    if 0.0 < bid <= ask < math.inf:
        return 0.5 * (bid + ask)
    return math.nan


@kernel
def last_until(at: int, times: Integers, place: int) -> int:
    """Place of the last time at or before `at`, searched from `place` onwards; -1 for none."""
    while place + 1 < times.size and times[place + 1] <= at:
        place += 1
    return place


@kernel
def standing(
    at: int, quoted: Integers, bid: Floats, ask: Floats, place: int, longest_us: int
) -> float:
    """Mid of the quote at `place` at the moment `at`; NaN where it is too old or there is none."""
    if place < 0 or at - quoted[place] > longest_us:
        return math.nan
    return middle(bid[place], ask[place])


@kernel
def _middles(bid: Floats, ask: Floats, out: Floats) -> None:
    for i in range(out.size):
        out[i] = middle(bid[i], ask[i])


@kernel
def _asof(
    at: Integers, quoted: Integers, middles: Floats, longest: int, mid: Floats, age: Floats
) -> None:
    """Fill mid and age in one walk along both series.

    Each step moves on by a moment or by a quote. Which of them is not decided by a branch, since
    nobody could guess it: a moment is written until no later quote is at or before it.
    """
    i, q = 0, 0
    while i < at.size and (quoted.size == 0 or at[i] < quoted[0]):
        mid[i] = age[i] = math.nan
        i += 1
    while i < at.size:
        elapsed = at[i] - quoted[q]
        mid[i] = middles[q] if elapsed <= longest else math.nan
        age[i] = elapsed / SECOND_US
        following = min(q + 1, quoted.size - 1)
        step = int((following > q) & (quoted[following] <= at[i]))
        q += step
        i += 1 - step
