"""Which share of a bar's volume was bought, judged by its price change alone?

Easley, López de Prado & O'Hara (2016), "Discerning Information from Trade Data", Journal of
Financial Economics 120(2): a bar that rises by z standard deviations bought the share F(z) of its
volume, where F is the normal law or Student's t.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.normal import distribution

Floats = NDArray[np.float64]

TERMS = 300  # of the continued fraction, at most


def bought_shares(change: ArrayLike, deviation: ArrayLike, degrees: float = math.inf) -> Floats:
    """Share of volume bought, 0 to 1, of bars that moved by `change`; arguments broadcast.

    `degrees` of freedom of Student's t; infinite is the normal law. A deviation of zero leaves
    the limit: all, nothing, or one half of a bar that did not move. NaN where either is NaN.
    ValueError unless degrees are above zero.

    >>> bought_shares([0.0, 1.0, -1.0], 1.0).round(4)
    array([0.5   , 0.8413, 0.1587])
    """
    if not degrees > 0.0:
        raise ValueError(f"bulk: {degrees} degrees of freedom, must be above zero")
    moved, scale = np.broadcast_arrays(
        np.asarray(change, dtype=np.float64), np.asarray(deviation, dtype=np.float64)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        z = np.where(moved == 0.0, 0.0 * scale, moved / scale)
    return _shares(z.ravel(), float(degrees)).reshape(z.shape)


@kernel
def _shares(z: Floats, degrees: float) -> Floats:
    out = np.empty(z.size)
    for i in range(z.size):
        out[i] = distribution(z[i]) if math.isinf(degrees) else student(z[i], degrees)
    return out


@kernel
def student(z: float, degrees: float) -> float:
    """Student's distribution function: half the incomplete beta function is its tail."""
    if math.isnan(z):
        return z
    if math.isinf(z):
        return 1.0 if z > 0.0 else 0.0
    square = z * z
    # On either side of the mean of the law the fraction of one of the two tails converges at once.
    if square * (degrees + 2.0) < 3.0 * degrees:
        x = square / (degrees + square)
        tail = 0.5 - 0.5 * incomplete_beta(0.5, 0.5 * degrees, x)
    else:
        tail = 0.5 * incomplete_beta(0.5 * degrees, 0.5, degrees / (degrees + square))
    return 1.0 - tail if z > 0.0 else tail


@kernel
def incomplete_beta(a: float, b: float, x: float) -> float:
    """I_x(a, b) by the even part of its continued fraction (DLMF 8.17.22), modified Lentz."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
        + a * math.log(x) + b * math.log1p(-x)
    ) / a  # fmt: skip
    tiny = 1e-300
    c, d = 1.0, 1.0 / max(1.0 - (a + b) * x / (a + 1.0), tiny)
    value = d
    for m in range(1, TERMS):
        even = m * (b - m) * x / ((a + 2 * m - 1.0) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1.0))
        step = 1.0
        for term in (even, odd):
            d = 1.0 + term * d
            d = 1.0 / (d if abs(d) > tiny else tiny)
            c = 1.0 + term / c
            c = c if abs(c) > tiny else tiny
            value *= c * d
            step = c * d
        if abs(step - 1.0) < 1e-15:
            break
    return front * value
