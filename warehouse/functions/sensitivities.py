"""How does the value of an option on its forward move, in dollars and in coin?

Black (1976), one option at a time; x = ln F/K, s = vol sqrt(T), d1 = x/s + s/2, d2 = d1 - s. A coin
value is V/F, and d(V/F)/dx is plus or minus K/F N(plus or minus d2): every derivative of it follows
without a difference of nearly equal numbers.
"""

import math

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.normal import density, distribution
from warehouse.functions.normalised import log_moneyness, undiscounted

Floats = NDArray[np.float64]

COUNT = 8  # delta, gamma, vega, theta, rho, vanna, volga, charm


@kernel
def in_dollars(
    forward: Floats, strike: Floats, t_years: Floats, vol: Floats, is_call: NDArray[np.bool_]
) -> Floats:
    """One column per option; NaN where the greeks are undefined."""
    out = np.full((COUNT, forward.size), np.nan)
    for i in range(forward.size):
        f, k, t, v = forward[i], strike[i], t_years[i], vol[i]
        if not is_alive(f, k, t, v):
            continue
        root_t = math.sqrt(t)
        s = v * root_t
        d1, d2 = arguments(f, k, s)
        phi = density(d1)
        out[0, i] = distribution(d1) if is_call[i] else -distribution(-d1)
        out[1, i] = phi / (f * s)
        out[2, i] = f * phi * root_t
        out[3, i] = -0.5 * f * phi * v / root_t
        out[4, i] = -t * undiscounted(f, k, s, is_call[i])
        out[5, i] = -phi * d2 / v
        out[6, i] = out[2, i] * d1 * d2 / v
        out[7, i] = 0.5 * phi * d2 / t
    return out


@kernel
def in_coin(
    forward: Floats, strike: Floats, t_years: Floats, vol: Floats, is_call: NDArray[np.bool_]
) -> Floats:
    """One column per option; NaN where the greeks are undefined."""
    out = np.full((COUNT, forward.size), np.nan)
    for i in range(forward.size):
        f, k, t, v = forward[i], strike[i], t_years[i], vol[i]
        if not is_alive(f, k, t, v):
            continue
        root_t = math.sqrt(t)
        s = v * root_t
        d1, d2 = arguments(f, k, s)
        phi = density(d1)
        exercised = distribution(d2) if is_call[i] else -distribution(-d2)
        out[0, i] = k / f * exercised
        out[1, i] = (phi / s - out[0, i]) / f
        out[2, i] = phi * root_t
        out[3, i] = -0.5 * phi * v / root_t
        out[4, i] = -t * undiscounted(f, k, s, is_call[i]) / f
        out[5, i] = -phi * d1 / v
        out[6, i] = out[2, i] * d1 * d2 / v
        out[7, i] = 0.5 * phi * d1 / t
    return out


@kernel
def is_alive(forward: float, strike: float, t_years: float, vol: float) -> bool:
    """Are all four finite and above zero?"""
    return (
        0.0 < forward < math.inf
        and 0.0 < strike < math.inf
        and 0.0 < t_years < math.inf
        and 0.0 < vol < math.inf
    )


@kernel
def arguments(forward: float, strike: float, s: float) -> tuple[float, float]:
    """d1 and d2."""
    h = log_moneyness(forward, strike) / s
    return h + 0.5 * s, h - 0.5 * s
