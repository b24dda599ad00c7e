"""Which forced orders came as one wave, and how much do such orders breed others?

A cluster is a chain of forced orders on one side of an instrument in which none follows the one
before later than a gap. The branching ratio is the share of orders that others set off in a Hawkes
process: Hardiman and Bouchaud (2014), "Branching-ratio approximation for the self-exciting Hawkes
process", Physical Review E 90, 062807: 1 - sqrt(mean / variance) of the counts in bins that are
long beside the memory of the process, here 0 where counts vary less than a Poisson process's.
Orders that a feed leaves out make it too low.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MINIMUM_ORDERS = 30
MINIMUM_BINS = 100


@dataclass(frozen=True, slots=True)
class Clusters:
    """One entry per cluster, in order of its first order: the rows that belong to it."""

    is_buy: NDArray[np.bool_]
    rows: tuple[Integers, ...]


def clusters(at: ArrayLike, is_buy: ArrayLike, gap: int, minimum: int = 2) -> Clusters:
    """Chains of at least `minimum` orders on a side, none more than `gap` after the one before.

    `at` ascends; raises ValueError where it does not, or shapes disagree.

    >>> found = clusters([0, 5, 6, 30, 34], [True, False, True, True, True], 10)
    >>> [r.tolist() for r in found.rows]
    [[0, 2], [3, 4]]
    """
    t, buy = np.asarray(at, dtype=np.int64), np.asarray(is_buy, dtype=np.bool_)
    if t.shape != buy.shape or t.ndim != 1:
        raise ValueError(f"clusters: shapes {t.shape}, {buy.shape}, must be one and flat")
    if (np.diff(t) < 0).any():
        raise ValueError("clusters: times must ascend")
    if gap < 0 or minimum < 1:
        raise ValueError(f"clusters: gap of {gap}, at least {minimum} orders")
    found = []
    for side in (True, False):
        rows = np.flatnonzero(buy == side)
        cuts = np.flatnonzero(np.diff(t[rows]) > gap) + 1
        found += [(r[0], side, r) for r in np.split(rows, cuts) if r.size >= minimum]
    found.sort(key=lambda each: each[0])
    return Clusters(np.array([f[1] for f in found], dtype=np.bool_), tuple(f[2] for f in found))


def branching_ratio(
    at: ArrayLike, until: ArrayLike, since: int, window: int, width: int
) -> tuple[Floats, Integers]:
    """The ratio from orders strictly before each of `until`, and how many there were.

    Counted in bins of `width` that end at `until` and begin at `since` or `window` before, whatever
    is later. NaN with fewer than 30 orders or 100 bins. `at` ascends.

    Even orders breed none:

    >>> branching_ratio(range(0, 2000, 10), [2000], 0, 10_000, 10)[0]
    array([0.])
    """
    t, ends = np.asarray(at, dtype=np.int64), np.asarray(until, dtype=np.int64)
    if (np.diff(t) < 0).any():
        raise ValueError("branching ratio: times must ascend")
    if not 0 < width <= window:
        raise ValueError(f"branching ratio: bins of {width} in {window}")
    return _branching(t, ends, since, window, width)


@kernel
def _branching(
    at: Integers, until: Integers, since: int, window: int, width: int
) -> tuple[Floats, Integers]:
    ratio, orders = np.full(until.size, np.nan), np.zeros(until.size, dtype=np.int64)
    for i in range(until.size):
        bins = (until[i] - max(since, until[i] - window)) // width
        begin = until[i] - bins * width
        first, last = np.searchsorted(at, begin), np.searchsorted(at, until[i])
        orders[i] = last - first
        if orders[i] < MINIMUM_ORDERS or bins < MINIMUM_BINS:
            continue
        squares, held, place = 0.0, 0.0, -1
        for j in range(first, last):
            k = (at[j] - begin) // width
            if k != place:
                squares += held * held
                held, place = 0.0, k
            held += 1.0
        squares += held * held
        mean = orders[i] / bins
        variance = (squares - bins * mean * mean) / (bins - 1)
        ratio[i] = 1.0 - np.sqrt(mean / variance) if variance > mean else 0.0
    return ratio, orders
