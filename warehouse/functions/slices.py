"""What shape has one raw SVI slice: its derivatives, its density, its wings, its deltas?

w(k) = a + b (rho (k - m) + sqrt((k - m)^2 + sigma^2)), k = ln(K/F), w = iv^2 T: Gatheral & Jacquier
(2014), "Arbitrage-free SVI volatility surfaces", Quantitative Finance 14(1).
"""

import math

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.normal import quantile

Floats = NDArray[np.float64]

POINTS = 160  # of the grid on which minima of g are bracketed


@kernel
def derivatives(p: Floats, k: float) -> tuple[float, float, float, float]:
    """w, w', w'' and w''' at k."""
    b, rho, sigma = p[1], p[2], p[4]
    z = k - p[3]
    r = math.hypot(z, sigma)
    if r == 0.0:
        return p[0], b * rho, math.nan, math.nan
    bend = b * (sigma / r) * (sigma / r) / r
    return p[0] + b * (rho * z + r), b * (rho + z / r), bend, -3.0 * bend * z / (r * r)


@kernel
def density_sign(p: Floats, k: float) -> float:
    """Durrleman's g: the implied density is not negative at k if and only if g is not."""
    w, w1, w2, _ = derivatives(p, k)
    if w <= 0.0:
        return math.nan
    lean = 1.0 - 0.5 * k * w1 / w
    return lean * lean - 0.25 * w1 * w1 * (1.0 / w + 0.25) + 0.5 * w2


@kernel
def density_slope(p: Floats, k: float) -> float:
    """g'."""
    w, w1, w2, w3 = derivatives(p, k)
    pull = k * w1 / w
    lean = 1.0 - 0.5 * pull
    lean1 = -0.5 * (w1 + k * w2 - pull * w1) / w
    bound = 0.5 * w1 * w2 * (1.0 / w + 0.25) - 0.25 * w1 * w1 * w1 / (w * w)
    return 2.0 * lean * lean1 - bound + 0.5 * w3


@kernel
def minimum_of_g(p: Floats) -> float:
    """Least g for k within max(1.5, 6 sd) of the forward and in the limit of both wings.

    NaN where total variance is not above zero.
    """
    return lowest_g(p, 1.0)[0]


@kernel
def lowest_g(p: Floats, windows: float) -> tuple[float, float]:
    """The least g up to that many windows, and the k it is at: infinite in the limit of a wing.

    The grid is even in asinh((k - m)/sigma), so that it is fine where the slice bends; where g'
    turns from falling to rising it is refined by bisection.
    """
    w0 = derivatives(p, 0.0)[0]
    if not w0 > 0.0:
        return math.nan, math.nan
    span = windows * max(1.5, 6.0 * math.sqrt(w0))
    m, sigma = p[3], max(p[4], 1e-9)
    u0, u1 = math.asinh((-span - m) / sigma), math.asinh((span - m) / sigma)
    k = np.empty(POINTS)
    left, right = wing_limit(p[1] * (1.0 - p[2])), wing_limit(p[1] * (1.0 + p[2]))
    least, place = (left, -math.inf) if left < right else (right, math.inf)
    for i in range(POINTS):
        k[i] = m + sigma * math.sinh(u0 + (u1 - u0) * i / (POINTS - 1))
        g = density_sign(p, k[i])
        if math.isnan(g):
            return math.nan, math.nan
        if g < least:
            least, place = g, k[i]
    falls = density_slope(p, k[0]) < 0.0
    for i in range(1, POINTS):
        fell, falls = falls, density_slope(p, k[i]) < 0.0
        if fell and not falls:
            at = flat_place(p, k[i - 1], k[i])
            g = density_sign(p, at)
            if g < least:
                least, place = g, at
    return least, place


@kernel
def flat_place(p: Floats, low: float, high: float) -> float:
    """Where g' changes sign between `low` and `high`."""
    for _ in range(50):
        middle = 0.5 * (low + high)
        if density_slope(p, middle) < 0.0:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@kernel
def wing_limit(slope: float) -> float:
    """g at infinity of a wing where w grows like `slope` abs(k); 1 where it stays flat."""
    return 0.25 - slope * slope / 16.0 if slope > 0.0 else 1.0


@kernel
def log_strike_of_delta(p: Floats, call_delta: float) -> float:
    """k with N(d1) = `call_delta` at the slice's own variance; NaN if none in abs(k) < 50."""
    target = quantile(call_delta)
    w0 = derivatives(p, 0.0)[0]
    if math.isnan(target) or not w0 > 0.0:
        return math.nan
    low, high, step = 0.0, 0.0, math.sqrt(w0)
    while first_argument(p, low) < target and low > -50.0:
        low -= step
        step *= 1.5
    while first_argument(p, high) > target and high < 50.0:
        high += step
        step *= 1.5
    if not first_argument(p, low) >= target >= first_argument(p, high):
        return math.nan
    for _ in range(80):
        middle = 0.5 * (low + high)
        if first_argument(p, middle) > target:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@kernel
def log_strikes_of_delta(params: Floats, call_delta: Floats) -> Floats:
    """One slice per row of `params`, one delta for each."""
    k = np.empty(call_delta.size)
    for i in range(call_delta.size):
        k[i] = log_strike_of_delta(params[i], call_delta[i])
    return k


@kernel
def first_argument(p: Floats, k: float) -> float:
    """d1 = -k/sqrt w + sqrt w/2; NaN where w is not above zero."""
    w = derivatives(p, k)[0]
    if not w > 0.0:
        return math.nan
    root = math.sqrt(w)
    return 0.5 * root - k / root
