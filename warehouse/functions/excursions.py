"""When does a series leave what was usual, how far, and how long until it is back?

What is usual in a row is the median of strictly earlier rows; it is frozen when an excursion
begins, so that the excursion itself does not move the yardstick by which it ends.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
NONE = -1


@dataclass(frozen=True, slots=True)
class Excursions:
    """One entry per excursion; places are rows, -1 where there is none yet.

    It lasts from `start` to the row before `end`; `worst` is the row furthest out and `half` the
    first one halfway back from there. `history` counts the rows behind `baseline`.
    """

    start: Integers
    end: Integers
    worst: Integers
    half: Integers
    baseline: Floats
    threshold: Floats
    history: Integers


def trailing_median(
    at: ArrayLike,
    x: ArrayLike,
    group: ArrayLike,
    window: int,
    spacing: int = 0,
    minimum: int = 1,
) -> tuple[Floats, Integers]:
    """Lower median of the earlier rows of the same group at most `window` back, and their number.

    Of rows closer than `spacing` to the last one that counts none counts; rows that are NaN never
    do. NaN below `minimum` of them. Rows of one instant are earlier in their order. `at` ascends.

    >>> trailing_median([0, 1, 2, 3], [5.0, 1.0, 3.0, 9.0], [0, 0, 0, 0], 10)[0]
    array([nan,  5.,  1.,  3.])
    """
    t, v, g = _series("trailing median", at, x, group)
    if window < 1 or spacing < 0 or minimum < 1:
        raise ValueError(f"trailing median: window {window}, spacing {spacing}, minimum {minimum}")
    base, count = np.full(v.size, np.nan), np.zeros(v.size, dtype=np.int64)
    for each in np.unique(g):
        rows = np.flatnonzero(g == each)
        base[rows], count[rows] = _medians(t[rows], v[rows], window, spacing, minimum)
    return base, count


def excursions(
    x: ArrayLike,
    baseline: ArrayLike,
    history: ArrayLike,
    group: ArrayLike,
    start_ratio: float,
    end_ratio: float,
    floor: float = 0.0,
) -> Excursions:
    """Runs that begin beyond `start_ratio` of the baseline and end at `end_ratio` of it.

    Ratios above 1 look for highs, which must exceed `floor` too, below 1 for lows. A row without a
    value neither begins nor ends anything; one of another group is held to its own baseline, and
    ends what it cannot be held to.

    >>> found = excursions([1, 9, 4, 1], [1, 1, 1, 1], [9, 9, 9, 9], [0, 0, 0, 0], 3, 1.5)
    >>> found.start.tolist(), found.end.tolist(), found.half.tolist(), found.threshold.tolist()
    ([1], [3], [2], [3.0])
    """
    v = np.asarray(x, dtype=np.float64)
    _, _, g = _series("excursions", np.arange(v.size), v, group)
    base, count = np.asarray(baseline, np.float64), np.asarray(history, np.int64)
    is_high = start_ratio > 1.0
    if not (start_ratio > end_ratio >= 1.0 if is_high else 0.0 < start_ratio < end_ratio <= 1.0):
        raise ValueError(f"excursions: from {start_ratio} to {end_ratio} of what is usual")
    places, levels = _excursions(
        v, base, g, start_ratio, end_ratio, floor, 1.0 if is_high else -1.0
    )
    start = places[:, 0]
    return Excursions(
        start, places[:, 1], places[:, 2], places[:, 3], levels[:, 0], levels[:, 1], count[start]
    )


def runs(flags: ArrayLike) -> tuple[Integers, Integers]:
    """First row of each run of true rows and the first after it, -1 where the run is not over.

    >>> runs([False, True, True, False, True])
    (array([1, 4]), array([ 3, -1]))
    """
    f = np.concatenate([[False], np.asarray(flags, dtype=np.bool_), [False]])
    turn = np.diff(f.astype(np.int8))
    start, end = np.flatnonzero(turn == 1), np.flatnonzero(turn == -1)
    return start, np.where(end == f.size - 2, NONE, end)


def _series(
    name: str, at: ArrayLike, x: ArrayLike, group: ArrayLike
) -> tuple[Integers, Floats, Integers]:
    t, g = np.asarray(at, dtype=np.int64), np.asarray(group, dtype=np.int64)
    v = np.asarray(x, dtype=np.float64)
    if not t.shape == v.shape == g.shape or v.ndim != 1:
        raise ValueError(f"{name}: shapes {t.shape}, {v.shape}, {g.shape}, must be one and flat")
    if (np.diff(t) < 0).any():
        raise ValueError(f"{name}: times must ascend")
    return t, v, g


@kernel
def _medians(
    at: Integers, x: Floats, window: int, spacing: int, minimum: int
) -> tuple[Floats, Integers]:
    base, count = np.full(x.size, np.nan), np.zeros(x.size, dtype=np.int64)
    ranked = np.empty(x.size)
    kept = np.empty(x.size, dtype=np.int64)  # rows that count, in time
    first = last = size = 0
    for i in range(x.size):
        while first < last and at[kept[first]] < at[i] - window:
            place = np.searchsorted(ranked[:size], x[kept[first]])
            for j in range(place, size - 1):
                ranked[j] = ranked[j + 1]
            size -= 1
            first += 1
        count[i] = size
        if size >= minimum:
            base[i] = ranked[(size - 1) // 2]
        if np.isnan(x[i]) or (last > 0 and at[i] < at[kept[last - 1]] + spacing):
            continue
        place = np.searchsorted(ranked[:size], x[i])
        for j in range(size, place, -1):
            ranked[j] = ranked[j - 1]
        ranked[place] = x[i]
        size += 1
        kept[last] = i
        last += 1
    return base, count


@kernel
def _excursions(
    x: Floats, base: Floats, group: Integers, begin: float, back: float, floor: float, sign: float
) -> tuple[Integers, Floats]:
    places = np.full((x.size, 4), -1, dtype=np.int64)
    levels = np.empty((x.size, 2))
    n, is_open = 0, False
    for i in range(x.size):
        if np.isnan(x[i]):
            continue
        if is_open:
            start, worst = places[n, 0], places[n, 2]
            same = group[i] == group[start]
            yard = levels[n, 0] if same else base[i]
            if same and sign * x[i] > sign * x[worst]:
                places[n, 2], places[n, 3] = i, -1
            elif same and places[n, 3] < 0 and sign * (x[i] - 0.5 * (x[worst] + yard)) <= 0.0:
                places[n, 3] = i
            if not sign * (x[i] - back * yard) > 0.0:
                places[n, 1] = i
                n, is_open = n + 1, False
            continue
        beyond = sign * (x[i] - begin * base[i]) > 0.0
        if beyond and (sign < 0.0 or x[i] > floor):
            places[n, 0] = places[n, 2] = i
            levels[n, 0], levels[n, 1] = base[i], begin * base[i]
            if sign > 0.0:
                levels[n, 1] = max(levels[n, 1], floor)
            is_open = True
    n += is_open
    return places[:n], levels[:n]
