"""With which power of its size does flow move the price: one half, as often found, or another?

For orders Almgren, Thum, Hauptmann & Li (2005), "Direct estimation of equity market impact", Risk
18; here for the flow and move of equal steps of time, small ones included.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]

MINIMUM = 100
LOWEST, HIGHEST, STEP = 0.05, 1.5, 0.05
GOLDEN = (math.sqrt(5.0) - 1.0) / 2.0
HALVINGS = 30


def power(flow: ArrayLike, move: ArrayLike) -> tuple[float, float]:
    """The power d of move = a + c sign(flow) abs(flow)^d by least squares, and its standard error.

    NaN with fewer than 100 steps that have both, where flow moves the price against itself, and
    where the best power is not inside 0.05 to 1.5. ValueError where the lengths differ.
    """
    x, y = np.array(flow, dtype=np.float64), np.array(move, dtype=np.float64)
    if x.shape != y.shape or x.ndim != 1:
        raise ValueError(f"power: flow of shape {x.shape}, move of shape {y.shape}")
    found, error = power_of(x, y)
    return float(found), float(error)


@kernel
def power_of(flow: Floats, move: Floats) -> tuple[float, float]:
    """The power and its standard error."""
    is_known = ~np.isnan(flow + move)
    x, y = flow[is_known], move[is_known]
    if x.size < MINIMUM or not np.max(np.abs(x)) > 0.0:
        return math.nan, math.nan
    x = x / np.max(np.abs(x))
    y = y - y.mean()
    best, least = 0, math.inf
    count = round((HIGHEST - LOWEST) / STEP) + 1
    for i in range(count):
        loss = _fit(x, y, LOWEST + i * STEP)[0]
        if loss < least:
            best, least = i, loss
    if best == 0 or best == count - 1:
        return math.nan, math.nan
    d = _least(x, y, LOWEST + (best - 1) * STEP, LOWEST + (best + 1) * STEP)
    loss, c, error = _fit(x, y, d)
    return (d, error) if c > 0.0 and loss > 0.0 else (math.nan, math.nan)


@kernel
def _least(x: Floats, y: Floats, low: float, high: float) -> float:
    """Where between two powers the loss is least, by golden section."""
    a, b = high - GOLDEN * (high - low), low + GOLDEN * (high - low)
    at_a, at_b = _fit(x, y, a)[0], _fit(x, y, b)[0]
    for _ in range(HALVINGS):
        if at_a < at_b:
            high, b, at_b = b, a, at_a
            a = high - GOLDEN * (high - low)
            at_a = _fit(x, y, a)[0]
        else:
            low, a, at_a = a, b, at_b
            b = low + GOLDEN * (high - low)
            at_b = _fit(x, y, b)[0]
    return 0.5 * (low + high)


@kernel
def _fit(x: Floats, y: Floats, d: float) -> tuple[float, float, float]:
    """Loss and coefficient at a power, and the standard error of the power; y has mean zero."""
    z, g = np.zeros(x.size), np.zeros(x.size)
    for i in range(x.size):
        if x[i] != 0.0:
            z[i] = math.copysign(abs(x[i]) ** d, x[i])
            g[i] = z[i] * math.log(abs(x[i]))
    z -= z.mean()
    g -= g.mean()
    zz, zy, yy, gg, zg = 0.0, 0.0, 0.0, 0.0, 0.0
    for i in range(x.size):
        zz += z[i] * z[i]
        zy += z[i] * y[i]
        yy += y[i] * y[i]
        gg += g[i] * g[i]
        zg += z[i] * g[i]
    c = zy / zz
    loss = yy - c * zy
    free = gg * zz - zg * zg
    variance = loss / (x.size - 3) * zz / free / (c * c) if free > 0.0 else math.nan
    return loss, c, math.sqrt(max(variance, 0.0))
