"""What does a surface of SVI slices say at constant tenors?

Total variance is linear in time at fixed forward log-moneyness k = ln(K/F); deltas are solved on
the slice in between, with its own volatility. Nothing is extrapolated in time.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.normal import quantile
from warehouse.functions.slices import derivatives

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

TENOR_DAYS = (1.0, 2.0, 3.0, 7.0, 14.0, 21.0, 30.0, 60.0, 90.0, 120.0, 180.0, 270.0, 365.0)
CALL_DELTAS = tuple(n / 20 for n in range(1, 20))
DAYS_A_YEAR = 365.0
FARTHEST = 50.0  # abs(k) at which the search for a delta ends
AT_DELTA = 5  # columns k, iv, total_variance, strike, and 1 where either slice is out of quotes
AT_FORWARD = 4  # columns total_variance, forward, d iv/dk, d2 iv/dk2


@dataclass(frozen=True, slots=True)
class Grid:
    """Arrays of (surfaces, tenors), of deltas of (surfaces, tenors, deltas); NaN if undefined.

    `before` and `after` are places in the surface's own list of the slices that enclose the tenor,
    equal where one falls on it, -1 on a side that has none. `is_beyond_quotes`: at that k one of
    the two is not supported by quotes. `slope`, `curvature` are of volatility in k at k = 0.
    """

    k: Floats
    iv: Floats
    total_variance: Floats
    strike: Floats
    is_beyond_quotes: NDArray[np.bool_]
    before: Integers
    after: Integers
    atm_iv: Floats
    forward: Floats
    slope: Floats
    curvature: Floats


def grid(
    params: ArrayLike,
    t_years: ArrayLike,
    forward: ArrayLike,
    k_low: ArrayLike,
    k_high: ArrayLike,
    offsets: ArrayLike,
    tenor_days: ArrayLike = TENOR_DAYS,
    call_deltas: ArrayLike = CALL_DELTAS,
) -> Grid:
    """Surface i has slices offsets[i] to offsets[i + 1], in any order.

    `params` has five rows (a, b, rho, m, sigma) and a column per slice, `k_low` and `k_high` are
    the least and greatest k of its quotes. Slices without parameters, time or positive variance at
    the forward are passed over. The logarithm of a tenor's forward is linear in time. Deltas are of
    undiscounted forward calls. ValueError where offsets do not cut the slices.
    """
    rows = np.vstack(
        [
            np.atleast_2d(np.asarray(params, dtype=np.float64)),
            *(np.asarray(v, dtype=np.float64) for v in (t_years, forward, k_low, k_high)),
        ]
    )
    ends = np.array(offsets, dtype=np.int64)
    if ends.size == 0 or ends[0] != 0 or ends[-1] != rows.shape[1] or (np.diff(ends) < 0).any():
        raise ValueError(f"grid: offsets do not cut {rows.shape[1]} slices")
    tenors, deltas = (np.array(v, dtype=np.float64).ravel() for v in (tenor_days, call_deltas))
    at_delta, at_forward, places = _grids(rows.T.copy(), ends, tenors / DAYS_A_YEAR, deltas)
    variance = at_forward[..., 0]
    with np.errstate(invalid="ignore", divide="ignore"):
        atm_iv = np.sqrt(variance / (tenors / DAYS_A_YEAR))
    k, iv, total_variance, strike, beyond = np.moveaxis(at_delta, -1, 0)
    before, after = np.moveaxis(places, -1, 0)
    return Grid(
        k,
        iv,
        total_variance,
        strike,
        beyond > 0.0,
        before,
        after,
        atm_iv,
        *np.moveaxis(at_forward[..., 1:], -1, 0),
    )


@kernel
def _grids(
    rows: Floats, ends: Integers, tenors: Floats, deltas: Floats
) -> tuple[Floats, Floats, Integers]:
    count = ends.size - 1
    at_delta = np.full((count, tenors.size, deltas.size, AT_DELTA), math.nan)
    at_forward = np.full((count, tenors.size, AT_FORWARD), math.nan)
    places = np.full((count, tenors.size, 2), -1)
    targets = np.empty(deltas.size)
    for n in range(deltas.size):
        targets[n] = quantile(deltas[n])
    for i in range(count):
        surface = rows[ends[i] : ends[i + 1]]
        for j in range(tenors.size):
            before, after = enclosing(surface, tenors[j])
            places[i, j, 0], places[i, j, 1] = before, after
            if before < 0 or after < 0:
                continue
            near, far = surface[before], surface[after]
            span = far[5] - near[5]
            share = (tenors[j] - near[5]) / span if span > 0.0 else 0.0
            at_forward[i, j] = read_forward(near, far, share, tenors[j])
            for n in range(deltas.size):
                at_delta[i, j, n] = read_delta(near, far, share, tenors[j], targets[n])
    return at_delta, at_forward, places


@kernel
def enclosing(surface: Floats, t: float) -> tuple[int, int]:
    """Places of the last usable slice not after `t` and of the first not before it, or -1."""
    before, after = -1, -1
    for i in range(surface.shape[0]):
        expiry = surface[i, 5]
        if not (0.0 < expiry < math.inf and derivatives(surface[i], 0.0)[0] > 0.0):
            continue
        if expiry <= t and (before < 0 or expiry > surface[before, 5]):
            before = i
        if expiry >= t and (after < 0 or expiry < surface[after, 5]):
            after = i
    if before >= 0 and surface[before, 5] == t:
        after = before
    return before, after


@kernel
def blended(near: Floats, far: Floats, share: float, k: float) -> tuple[float, float, float]:
    """w, w' and w'' of the slice in between."""
    w0, slope0, bend0, _ = derivatives(near, k)
    if share == 0.0:
        return w0, slope0, bend0
    w1, slope1, bend1, _ = derivatives(far, k)
    rest = 1.0 - share
    return rest * w0 + share * w1, rest * slope0 + share * slope1, rest * bend0 + share * bend1


@kernel
def read_forward(near: Floats, far: Floats, share: float, t: float) -> Floats:
    w, slope, bend = blended(near, far, share, 0.0)
    root = math.sqrt(w / t)
    steepness = 0.5 * slope / w
    out = np.empty(AT_FORWARD)
    out[0], out[1] = w, forward_between(near, far, share)
    out[2], out[3] = root * steepness, root * (0.5 * bend / w - steepness * steepness)
    return out


@kernel
def forward_between(near: Floats, far: Floats, share: float) -> float:
    if not (near[6] > 0.0 and far[6] > 0.0):
        return math.nan
    return math.exp((1.0 - share) * math.log(near[6]) + share * math.log(far[6]))


@kernel
def read_delta(near: Floats, far: Floats, share: float, t: float, target: float) -> Floats:
    out = np.full(AT_DELTA, math.nan)
    k = strike_of_delta(near, far, share, target)
    if math.isnan(k):
        return out
    w = blended(near, far, share, k)[0]
    low, high = near[7], near[8]
    if share > 0.0:
        low, high = max(low, far[7]), min(high, far[8])
    out[0], out[1], out[2] = k, math.sqrt(w / t), w
    out[3] = forward_between(near, far, share) * math.exp(k)
    out[4] = 0.0 if low <= k <= high else 1.0
    return out


@kernel
def strike_of_delta(near: Floats, far: Floats, share: float, target: float) -> float:
    """k where d1 = `target`, by Newton inside a bracket; NaN if none in abs(k) < 50."""
    w = blended(near, far, share, 0.0)[0]
    if math.isnan(target) or not w > 0.0:
        return math.nan
    low, high, step = 0.0, 0.0, math.sqrt(w)
    while gap(near, far, share, low, target)[0] < 0.0 and low > -FARTHEST:
        low -= step
        step *= 1.5
    while gap(near, far, share, high, target)[0] > 0.0 and high < FARTHEST:
        high += step
        step *= 1.5
    if not gap(near, far, share, low, target)[0] >= 0.0 >= gap(near, far, share, high, target)[0]:
        return math.nan
    k = 0.5 * (low + high)
    for _ in range(100):
        distance, slope = gap(near, far, share, k, target)
        if distance > 0.0:
            low = k
        else:
            high = k
        newton = k - distance / slope
        moved = newton if low < newton < high else 0.5 * (low + high)
        if abs(moved - k) <= 1e-15 * (1.0 + abs(k)):
            return moved
        k = moved
    return k


@kernel
def gap(near: Floats, far: Floats, share: float, k: float, target: float) -> tuple[float, float]:
    """d1 - target and its slope in k; NaN where w is not above zero."""
    w, slope, _ = blended(near, far, share, k)
    if not w > 0.0:
        return math.nan, math.nan
    root = math.sqrt(w)
    return (
        0.5 * root - k / root - target,
        0.25 * slope / root - 1.0 / root + 0.5 * k * slope / (w * root),
    )
