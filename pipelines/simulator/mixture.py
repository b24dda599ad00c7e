"""What does an option cost when the forward's law is a mixture of lognormals?

The law lies outside the SVI family, and nothing here is shared with the warehouse's own numerics:
a market that priced with them would mark its own homework. All components are scaled by one total
standard deviation, and exp(s Z) divided by its mean grows in convex order with s, so expiries with
growing total variance admit no calendar arbitrage.
"""

import math

import numpy as np
from numpy.typing import ArrayLike

from pipelines.simulator.world import YEAR_S, Floats, Parameters

_erfc = np.frompyfunc(math.erfc, 1, 1)


def normal_cdf(x: ArrayLike) -> Floats:
    """Standard normal distribution function."""
    return np.asarray(0.5 * _erfc(-np.asarray(x, float) / math.sqrt(2.0)), dtype=float)


def black(
    forward: ArrayLike, strike: ArrayLike, deviation: ArrayLike, is_call: ArrayLike
) -> Floats:
    """Undiscounted Black price in the forward's currency; `deviation` is vol x sqrt(t) > 0."""
    f, k, s = (np.asarray(value, float) for value in (forward, strike, deviation))
    flip = np.where(is_call, 1.0, -1.0)
    d1 = np.log(f / k) / s + s / 2
    return np.asarray(flip * (f * normal_cdf(flip * d1) - k * normal_cdf(flip * (d1 - s))))


def component_forwards(parameters: Parameters, deviation: ArrayLike) -> Floats:
    """Forward of each component over the whole law's forward; the weighted mean is exactly 1.

    Shape: the deviation's, with one axis more for the components.
    """
    s = np.asarray(deviation, float)[..., None]
    means = np.exp(parameters.shifts * s + 0.5 * (parameters.widths * s) ** 2)
    return np.asarray(means / (means @ parameters.weights)[..., None])


def price(
    parameters: Parameters,
    forward: ArrayLike,
    strike: ArrayLike,
    deviation: ArrayLike,
    is_call: ArrayLike,
) -> Floats:
    """Undiscounted price under the mixture, in the forward's currency. Arguments broadcast."""
    f, k, s, call = np.broadcast_arrays(forward, strike, deviation, is_call)
    ratios = component_forwards(parameters, s)
    parts = black(
        f[..., None] * ratios, k[..., None], s[..., None] * parameters.widths, call[..., None]
    )
    return np.asarray(parts @ parameters.weights)


def total_deviation(parameters: Parameters, variance: ArrayLike, t_years: ArrayLike) -> Floats:
    """Square root of the variance expected until expiry, from the path's own variance state."""
    t = np.asarray(t_years, float)
    speed = parameters.reversion
    gap = np.asarray(variance, float) - parameters.variance_mean
    total = parameters.variance_mean * t - gap * np.expm1(-speed * t) / speed
    return np.asarray(np.sqrt(total))


def implied_vol(
    price_forward: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    t_years: ArrayLike,
    is_call: ArrayLike,
) -> Floats:
    """Black vol, annualised decimal; NaN where no vol in (0, 8) gives the price.

    Newton's steps, halved into the bracket where they would leave it.
    """
    p, f, k, t, call = np.broadcast_arrays(price_forward, forward, strike, t_years, is_call)
    # the out-of-the-money twin has all the information and none of the cancellation
    is_in = np.where(call, f > k, f < k)
    value = np.where(is_in, p - np.abs(f - k), p)
    twin_is_call = call ^ is_in
    high = 8.0 * np.sqrt(t)
    can = (value > 1e-12 * f) & (value < black(f, k, high, twin_is_call))
    found = np.full(value.shape, np.nan)
    deviation = _deviation(value[can], f[can], k[can], twin_is_call[can], high[can])
    found[can] = deviation / np.sqrt(t[can])
    return found


def _deviation(v: Floats, f: Floats, k: Floats, is_call: np.ndarray, high: Floats) -> Floats:
    """The total deviation at which Black gives `v`, between zero and `high`."""
    below, above = np.zeros(v.shape), high.copy()
    s = np.clip(np.sqrt(2 * np.abs(np.log(f / k))), 0.02, 0.5 * high)  # where vega is greatest
    for _ in range(40):
        gap = black(f, k, s, is_call) - v
        below, above = np.where(gap < 0, s, below), np.where(gap < 0, above, s)
        d1 = np.log(f / k) / s + s / 2
        slope = f * np.exp(-0.5 * d1 * d1) / math.sqrt(2 * math.pi)
        step = s - gap / np.maximum(slope, 1e-300)
        is_inside = (step > below) & (step < above)
        following = np.where(is_inside, step, 0.5 * (below + above))
        if np.all(np.abs(following - s) <= 1e-13 * (1 + s)):
            break
        s = following
    return np.asarray(s)


def greeks(
    forward: Floats, strike: Floats, vol: Floats, t_years: Floats, is_call: Floats
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Black delta, gamma, vega per vol point, theta per day, rho per point: the venue's units."""
    root = np.sqrt(t_years)
    d1 = np.log(forward / strike) / (vol * root) + vol * root / 2
    density = np.exp(-0.5 * d1 * d1) / math.sqrt(2 * math.pi)
    flip = np.where(is_call, 1.0, -1.0)
    delta = flip * normal_cdf(flip * d1)
    gamma = density / (forward * vol * root)
    vega = forward * density * root / 100
    value = black(forward, strike, vol * root, is_call)
    # within its last day an option cannot lose more than it is worth
    theta = -np.minimum(forward * density * vol / (2 * root) / 365, value)
    exercised = flip * normal_cdf(flip * (d1 - vol * root))
    rho = strike * t_years * exercised / 100
    return delta, gamma, vega, theta, rho


def years(seconds: ArrayLike) -> Floats:
    """ACT/365F, to the second."""
    return np.asarray(seconds, float) / YEAR_S
