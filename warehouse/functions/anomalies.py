"""Is a funding rate unusual, and has its level shifted, judged by what was paid before it?

Every figure of a row comes from rows strictly before it; only the row's own rate is compared with
them. Rates are per eight hours, so that a venue whose interval changes is compared with itself.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.windows import Floats, Integers, instants

EIGHT_HOURS_S = 28_800
DAY_S = 86_400
MINIMUM = 30  # rows below which a window says nothing
FLOOR = 1e-5  # of the robust scale: 0.1 bp per eight hours
NORMAL = 1.4826  # deviation of a normal over its median absolute deviation
SAME = 1e-12  # rates that differ by less are equal: recorders leave rounding behind

# The change-point rule (Page 1954, Biometrika 41): in units of the robust scale and of eight hours.
DRIFT = 1.0  # what a level may differ without ever being called a shift
LIMIT = 8.0  # the sum at which it is
CLIP = 4.0  # the most one row may say: a single settlement is a spike, not a shift
MEMORY_S = 30 * DAY_S
SPAN_S = 7 * DAY_S  # rows that cover less time, however many, are one mood and not a level


@dataclass(frozen=True, slots=True)
class Trailing:
    """Of the rows before each row and within the window; NaN below 30 of them.

    `near_share` is the share of them within half a step of their median.
    """

    count: Integers
    mean: Floats
    deviation: Floats
    median: Floats
    mad: Floats
    near_share: Floats


@dataclass(frozen=True, slots=True)
class Shifts:
    """`direction` is 1 or -1 on the row that completes a shift, else 0; `is_watching` is False
    while fewer than 30 rows or 7 days are known since the last one. `onset` is the row at which
    the shift is estimated to have begun, -1 where there is none; `up` and `down` are the sums
    before a reset.
    """

    direction: NDArray[np.int8]
    is_watching: NDArray[np.bool_]
    onset: Integers
    up: Floats
    down: Floats


def trailing(at_s: ArrayLike, value: ArrayLike, step: ArrayLike, window_s: int) -> Trailing:
    """What the rows of [t - window_s, t) look like; times ascend, values are finite.

    `step` is the smallest difference that the source can state at each row, 0 where unknown.
    """
    at, x, steps = _checked("trailing", at_s, value, step)
    if window_s <= 0:
        raise ValueError(f"trailing: window of {window_s} s, must be above zero")
    count, columns = _trailing(at, x, steps, window_s)
    return Trailing(count, *columns)


def scale(mad: ArrayLike, step: ArrayLike) -> Floats:
    """The robust scale: max(1.4826 MAD, one step, 0.1 bp), per eight hours.

    >>> scale([0.0, 1e-4], [0.0, 0.0])
    array([1.0000e-05, 1.4826e-04])
    """
    spread = NORMAL * np.asarray(mad, dtype=np.float64)
    return np.asarray(np.maximum(np.maximum(spread, np.asarray(step, dtype=np.float64)), FLOOR))


def shifts(at_s: ArrayLike, value: ArrayLike, step: ArrayLike, length_s: ArrayLike) -> Shifts:
    """Where the level of a series changes for good: two one-sided cumulative sums.

    Each row adds its distance from the median of the rows since the last shift (7 to 30 days),
    over their robust scale, clipped to 4, less 1, times its length in eight hours. A sum above 8
    is a shift; the rows since the sum last left zero are then the new level. `length_s` is the
    interval that each rate is for.
    """
    at, x, steps = _checked("shifts", at_s, value, step)
    length = np.array(length_s, dtype=np.float64).ravel()
    if length.size != x.size or (length <= 0).any():
        raise ValueError(f"shifts: {length.size} lengths for {x.size} rows, must be above zero")
    return Shifts(*_shifts(at, x, steps, length / EIGHT_HOURS_S, DRIFT, LIMIT))


def _checked(
    name: str, at_s: ArrayLike, value: ArrayLike, step: ArrayLike
) -> tuple[Integers, Floats, Floats]:
    x = np.array(value, dtype=np.float64).ravel()
    if (bad := np.flatnonzero(~np.isfinite(x))).size:
        raise ValueError(f"{name}: value {x[bad[0]]} in row {bad[0]}, must be finite")
    steps = np.nan_to_num(np.array(step, dtype=np.float64).ravel())
    if steps.size != x.size:
        raise ValueError(f"{name}: {steps.size} steps for {x.size} values")
    return instants(name, at_s, x.size), x, steps


# ---- a window whose values are kept in order


@kernel
def _insert(kept: Floats, count: int, value: float) -> None:
    place = np.searchsorted(kept[:count], value)
    for i in range(count, place, -1):
        kept[i] = kept[i - 1]
    kept[place] = value


@kernel
def _remove(kept: Floats, count: int, value: float) -> None:
    for i in range(np.searchsorted(kept[:count], value), count - 1):
        kept[i] = kept[i + 1]


@kernel
def _middle(kept: Floats, count: int) -> float:
    half = count // 2
    return float(kept[half] if count % 2 else 0.5 * (kept[half - 1] + kept[half]))


@kernel
def _spread(kept: Floats, count: int, middle: float) -> float:
    """Median distance from the middle, walking outwards from it on both sides."""
    right = np.searchsorted(kept[:count], middle)
    left = right - 1
    before = distance = 0.0
    for _ in range(count // 2 + 1):
        before = distance
        if right >= count or (left >= 0 and middle - kept[left] <= kept[right] - middle):
            distance = middle - kept[left]
            left -= 1
        else:
            distance = kept[right] - middle
            right += 1
    return float(distance if count % 2 else 0.5 * (before + distance))


@kernel
def _near(kept: Floats, count: int, middle: float, step: float) -> float:
    room = 0.5 * step + SAME
    low = np.searchsorted(kept[:count], middle - room)
    high = np.searchsorted(kept[:count], middle + room, side="right")
    return float((high - low) / count)


@kernel
def _trailing(
    at: Integers, x: Floats, step: Floats, window: int
) -> tuple[Integers, tuple[Floats, Floats, Floats, Floats, Floats]]:
    n = x.size
    counts = np.zeros(n, np.int64)
    mean, deviation = np.full(n, np.nan), np.full(n, np.nan)
    median, mad, near = np.full(n, np.nan), np.full(n, np.nan), np.full(n, np.nan)
    kept, first = np.empty(n), 0
    for i in range(n):
        while at[first] < at[i] - window:
            _remove(kept, i - first, x[first])
            first += 1
        count = i - first
        counts[i] = count
        if count >= MINIMUM:
            mean[i] = x[first:i].mean()
            deviation[i] = np.sqrt(((x[first:i] - mean[i]) ** 2).sum() / (count - 1))
            median[i] = _middle(kept, count)
            mad[i] = _spread(kept, count, median[i])
            near[i] = _near(kept, count, median[i], step[i])
        _insert(kept, count, x[i])
    return counts, (mean, deviation, median, mad, near)


@kernel
def _shifts(
    at: Integers, x: Floats, step: Floats, weight: Floats, drift: float, limit: float
) -> tuple[NDArray[np.int8], NDArray[np.bool_], Integers, Floats, Floats]:
    n = x.size
    direction, watching = np.zeros(n, np.int8), np.zeros(n, np.bool_)
    onset = np.full(n, -1)
    ups, downs = np.zeros(n), np.zeros(n)
    kept, first = np.empty(n), 0
    up = down = 0.0
    up_from = down_from = 0
    for i in range(n):
        while first < i and at[first] < at[i] - MEMORY_S:
            _remove(kept, i - first, x[first])
            first += 1
        count = i - first
        if count >= MINIMUM and at[i] - at[first] >= SPAN_S:
            middle = _middle(kept, count)
            width = max(NORMAL * _spread(kept, count, middle), step[i], FLOOR)
            distance = min(max((x[i] - middle) / width, -CLIP), CLIP)
            up_from = i if up == 0.0 else up_from
            down_from = i if down == 0.0 else down_from
            up = max(0.0, up + (distance - drift) * weight[i])
            down = max(0.0, down - (distance + drift) * weight[i])
            watching[i], ups[i], downs[i] = True, up, down
        _insert(kept, count, x[i])
        if max(up, down) > limit:
            direction[i] = 1 if up > down else -1
            onset[i] = up_from if up > down else down_from
            for row in range(first, onset[i]):
                _remove(kept, i + 1 - row, x[row])
            first = onset[i]
            up = down = 0.0
    return direction, watching, onset, ups, downs
