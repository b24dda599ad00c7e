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
def calendar_slack(earlier: Floats, later: Floats) -> tuple[float, float]:
    """Least w2 - w1 over all k, and the lesser excess of the later slice's wing slopes.

    The slices do not cross if and only if neither is below zero. NaN, NaN where a parameter is NaN.
    """
    right = later[1] * (1.0 + later[2]) - earlier[1] * (1.0 + earlier[2])
    left = later[1] * (1.0 - later[2]) - earlier[1] * (1.0 - earlier[2])
    spread = max(derivatives(earlier, 0.0)[0], derivatives(later, 0.0)[0], 0.0)
    reach = FAR * max(1.5, 6.0 * math.sqrt(spread))
    least = min(least_on_grid(earlier, later, later, reach), limits(earlier, later, right, left))
    least = min(least, least_on_grid(earlier, later, earlier, reach))
    wing = min(right, left)
    return (least, wing) if math.isfinite(least + wing) else (math.nan, math.nan)


@kernel
def limits(earlier: Floats, later: Floats, right: float, left: float) -> float:
    """w2 - w1 at infinity where two wings are parallel; the level at k = 0 where none are."""
    least = derivatives(later, 0.0)[0] - derivatives(earlier, 0.0)[0]
    if right == 0.0:
        slope = later[1] * (1.0 + later[2])
        least = min(least, later[0] - earlier[0] - slope * (later[3] - earlier[3]))
    if left == 0.0:
        slope = later[1] * (1.0 - later[2])
        least = min(least, later[0] - earlier[0] + slope * (later[3] - earlier[3]))
    return least


@kernel
def least_on_grid(earlier: Floats, later: Floats, bends: Floats, reach: float) -> float:
    """Least w2 - w1 within `reach`, on a grid even in asinh((k - m)/sigma) of the slice `bends`."""
    m, sigma = bends[3], max(bends[4], 1e-9)
    u0, u1 = math.asinh((-reach - m) / sigma), math.asinh((reach - m) / sigma)
    least, last, fell = math.inf, -reach, False
    for i in range(POINTS):
        k = m + sigma * math.sinh(u0 + (u1 - u0) * i / (POINTS - 1))
        w1, slope1, _, _ = derivatives(earlier, k)
        w2, slope2, _, _ = derivatives(later, k)
        least = min(least, w2 - w1)
        falls = slope2 < slope1
        if fell and not falls:
            least = min(least, refined_slack(earlier, later, last, k))
        last, fell = k, falls
    return least


@kernel
def refined_slack(earlier: Floats, later: Floats, low: float, high: float) -> float:
    """w2 - w1 where its slope changes sign between `low` and `high`."""
    for _ in range(50):
        middle = 0.5 * (low + high)
        if derivatives(later, middle)[1] < derivatives(earlier, middle)[1]:
            low = middle
        else:
            high = middle
    k = 0.5 * (low + high)
    return derivatives(later, k)[0] - derivatives(earlier, k)[0]


@kernel
def calendar_slacks(earlier: Floats, later: Floats) -> tuple[Floats, Floats]:
    """One pair of slices per row of two arrays of five columns."""
    least, wing = np.empty(earlier.shape[0]), np.empty(earlier.shape[0])
    for i in range(earlier.shape[0]):
        least[i], wing[i] = calendar_slack(earlier[i], later[i])
    return least, wing
