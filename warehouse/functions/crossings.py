"""Do two raw SVI slices of one underlying cross, where, and by how much?

Calendar arbitrage is a strike at which the later slice has less total variance. Both wings are
straight in the limit, so beyond every strike the slopes decide, and between them w2 - w1 has few
minima: they are bracketed on grids fine where either slice bends, and refined.
"""

import math

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.slices import derivatives

Floats = NDArray[np.float64]

POINTS = 80  # of the grid of either slice
FAR = 100.0  # reach of the grids in windows; further out both slices are straight


@kernel
def calendar_slack(earlier: Floats, later: Floats) -> tuple[float, float, float]:
    """Least w2 - w1 over all k, that k, and the lesser excess of the later slice's wing slopes.

    The slices do not cross if and only if neither slack is below zero. NaN where a parameter is.
    """
    right = later[1] * (1.0 + later[2]) - earlier[1] * (1.0 + earlier[2])
    left = later[1] * (1.0 - later[2]) - earlier[1] * (1.0 - earlier[2])
    wing = min(right, left)
    one = least_on_grid(earlier, later, later)
    other = least_on_grid(earlier, later, earlier)
    least, place = one if one[0] < other[0] else other
    limit = limit_of_parallels(earlier, later, right, left)
    if limit < least:
        least, place = limit, math.inf
    if not math.isfinite(least + wing):
        return math.nan, math.nan, math.nan
    return least, place, wing


@kernel
def limit_of_parallels(earlier: Floats, later: Floats, right: float, left: float) -> float:
    """w2 - w1 at infinity on a side where both wings have one slope; infinite where neither has."""
    least = math.inf
    if right == 0.0:
        slope = later[1] * (1.0 + later[2])
        least = min(least, later[0] - earlier[0] - slope * (later[3] - earlier[3]))
    if left == 0.0:
        slope = later[1] * (1.0 - later[2])
        least = min(least, later[0] - earlier[0] + slope * (later[3] - earlier[3]))
    return least


@kernel
def far(one: Floats, other: Floats) -> float:
    """Up to which abs(k) two slices are looked at."""
    most = max(derivatives(one, 0.0)[0], derivatives(other, 0.0)[0], 0.0)
    return FAR * max(1.5, 6.0 * math.sqrt(most))


@kernel
def least_on_grid(earlier: Floats, later: Floats, bends: Floats) -> tuple[float, float]:
    """Least w2 - w1 and its k, on a grid even in asinh((k - m)/sigma) of the slice `bends`."""
    reach = far(earlier, later)
    m, sigma = bends[3], max(bends[4], 1e-9)
    u0, u1 = math.asinh((-reach - m) / sigma), math.asinh((reach - m) / sigma)
    least, place, last, fell = math.inf, math.nan, -reach, False
    for i in range(POINTS):
        k = m + sigma * math.sinh(u0 + (u1 - u0) * i / (POINTS - 1))
        slack, slope = gap(earlier, later, k)
        if slack < least:
            least, place = slack, k
        if fell and slope >= 0.0:
            at = flat_gap(earlier, later, last, k)
            slack = gap(earlier, later, at)[0]
            if slack < least:
                least, place = slack, at
        last, fell = k, slope < 0.0
    return least, place


@kernel
def flat_gap(earlier: Floats, later: Floats, low: float, high: float) -> float:
    """Where the slope of w2 - w1 changes sign between `low` and `high`."""
    for _ in range(50):
        middle = 0.5 * (low + high)
        if gap(earlier, later, middle)[1] < 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@kernel
def gap(earlier: Floats, later: Floats, k: float) -> tuple[float, float]:
    """w2 - w1 and its slope."""
    w1, slope1, _, _ = derivatives(earlier, k)
    w2, slope2, _, _ = derivatives(later, k)
    return w2 - w1, slope2 - slope1


@kernel
def calendar_slacks(earlier: Floats, later: Floats) -> tuple[Floats, Floats, Floats]:
    """One pair of slices per row of two arrays of five columns."""
    n = earlier.shape[0]
    least, place, wing = np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        least[i], place[i], wing[i] = calendar_slack(earlier[i], later[i])
    return least, place, wing
