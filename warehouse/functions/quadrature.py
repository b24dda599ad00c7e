"""Which variance does a fitted slice replicate over all strikes, and how much of it was quoted?

The continuous strip, 2 integral of the out-of-the-money price over dK/K^2 (Carr & Madan 1998,
"Towards a theory of volatility trading"), by adaptive Gauss-Legendre over k = ln(K/F); slices are
raw SVI (a, b, rho, m, sigma).
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.normal import SQRT_HALF, distribution, scaled_tail
from warehouse.functions.slices import derivatives

Floats = NDArray[np.float64]


class VarianceStatus(IntEnum):
    """What came of one integral; numbers are NaN unless `OK`."""

    OK = 0
    NO_SLICE = 1
    NOT_POSITIVE = 2
    UNBOUNDED = 3


OK, NO_SLICE, NOT_POSITIVE, UNBOUNDED = map(int, VarianceStatus)

FAR = 2000.0  # abs(k) beyond which a wing that still matters is called unbounded
RELATIVE = 1e-12
DEEPEST = 40  # halvings of a panel

_nodes, _weights = np.polynomial.legendre.leggauss(10)
NODES, WEIGHTS = tuple(map(float, _nodes)), tuple(map(float, _weights))


@dataclass(frozen=True, slots=True)
class SliceVariance:
    """`total_variance` is sigma^2 T; `coverage_share` of it comes from the strikes named."""

    total_variance: Floats
    coverage_share: Floats
    status: NDArray[np.int8]


def slice_variance(
    params: ArrayLike,
    k_low: ArrayLike = -math.inf,
    k_high: ArrayLike = math.inf,
    has_flat_wings: bool = False,
) -> SliceVariance:
    """Model-free total variance of slices, and the share of it from k_low to k_high.

    `params` is one slice or an array of five rows, which broadcasts with the others. Wings are the
    slice's own, which a fit to one side's quotes can make absurd; `has_flat_wings` freezes total
    variance beyond k_low and k_high instead, as an index should. A wing
    whose integral does not settle within abs(k) of 2000 is `UNBOUNDED`: its slope is near 2.
    ValueError if k_low is above k_high.

    >>> float(slice_variance([0.04, 0.0, 0.0, 0.0, 0.1]).total_variance.round(12))
    0.04
    """
    a, b, rho, m, sigma = np.asarray(params, dtype=np.float64)
    whole = np.broadcast_arrays(a, b, rho, m, sigma, k_low, k_high)
    rows = np.array([np.ravel(v) for v in whole], dtype=np.float64).T.copy()
    if (bad := np.flatnonzero(rows[:, 5] > rows[:, 6])).size:
        low, high = rows[bad[0], 5:]
        raise ValueError(f"slice variance: k_low {low} above k_high {high}")
    out, status = _slice_variances(rows, has_flat_wings)
    shape = whole[0].shape
    return SliceVariance(out[0].reshape(shape), out[1].reshape(shape), status.reshape(shape))


@kernel
def _slice_variances(rows: Floats, is_flat: bool) -> tuple[Floats, NDArray[np.int8]]:
    out = np.full((2, len(rows)), math.nan)
    status = np.empty(len(rows), np.int8)
    for i in range(len(rows)):
        p, low, high = rows[i, :5], rows[i, 5], rows[i, 6]
        limits = (low, high) if is_flat else (-math.inf, math.inf)
        if not np.isfinite(p).all() or math.isnan(low) or math.isnan(high):
            status[i] = NO_SLICE
            continue
        scale = total_variance(p, 0.0, limits)
        if not scale > 0.0:
            status[i] = NOT_POSITIVE
            continue
        left, right = wing(p, 0.0, -1.0, scale, limits), wing(p, 0.0, 1.0, scale, limits)
        total = left + right
        if math.isnan(total):
            status[i] = NOT_POSITIVE
        elif math.isinf(total):
            status[i] = UNBOUNDED
        else:
            status[i] = OK
            out[0, i] = total
            out[1, i] = between(p, low, high, scale, limits, left, right) / total
    return out, status


@kernel
def between(
    p: Floats,
    low: float,
    high: float,
    scale: float,
    limits: tuple[float, float],
    left: float,
    right: float,
) -> float:
    """Variance from strikes low to high, given that of either side of the forward."""
    below = left if low == -math.inf else panels(p, min(low, 0.0), 0.0, scale, limits)
    above = right if high == math.inf else panels(p, 0.0, max(high, 0.0), scale, limits)
    if low > 0.0:
        above -= panels(p, 0.0, low, scale, limits)
        below = 0.0
    if high < 0.0:
        below -= panels(p, high, 0.0, scale, limits)
        above = 0.0
    return below + above


@kernel
def wing(p: Floats, start: float, side: float, scale: float, limits: tuple[float, float]) -> float:
    """Integral from `start` outwards, in widening pieces until one no longer counts."""
    total, at, width = 0.0, start, 2.0 * math.sqrt(scale)
    while abs(at) < FAR:
        to = at + side * width
        part = panels(p, min(at, to), max(at, to), scale, limits)
        total += part
        if math.isnan(part) or abs(part) <= RELATIVE * total:
            return total
        at = to
        width *= 1.5
    return math.inf


@kernel
def panels(p: Floats, low: float, high: float, scale: float, limits: tuple[float, float]) -> float:
    """Adaptive integral between two strikes on one side of the forward; NaN if w is not above 0."""
    lows, highs = np.empty(DEEPEST + 2), np.empty(DEEPEST + 2)
    wholes = np.empty(DEEPEST + 2)
    lows[0], highs[0], wholes[0] = low, high, panel(p, low, high, limits)
    least = (high - low) * 2.0**-DEEPEST
    count, total = 1, 0.0
    while count > 0:
        count -= 1
        a, b, whole = lows[count], highs[count], wholes[count]
        middle = 0.5 * (a + b)
        first, second = panel(p, a, middle, limits), panel(p, middle, b, limits)
        if math.isnan(first + second):
            return math.nan
        if abs(first + second - whole) <= RELATIVE * scale or b - a <= least:
            total += first + second
        else:
            lows[count], highs[count], wholes[count] = a, middle, first
            lows[count + 1], highs[count + 1], wholes[count + 1] = middle, b, second
            count += 2
    return total


@kernel
def panel(p: Floats, low: float, high: float, limits: tuple[float, float]) -> float:
    half, middle = 0.5 * (high - low), 0.5 * (high + low)
    total = 0.0
    for i in range(len(NODES)):
        total += WEIGHTS[i] * integrand(p, middle + half * NODES[i], limits)
    return half * total


@kernel
def total_variance(p: Floats, k: float, limits: tuple[float, float]) -> float:
    return derivatives(p, min(max(k, limits[0]), limits[1]))[0]


@kernel
def integrand(p: Floats, k: float, limits: tuple[float, float]) -> float:
    """2 Q/K per unit of k: Q is the put below the forward, the call at and above it."""
    w = total_variance(p, k, limits)
    if not w > 0.0:
        return math.nan
    root = math.sqrt(w)
    d1 = 0.5 * root - k / root
    d2 = d1 - root
    side = 1.0 if k >= 0.0 else -1.0
    # exp(-k) phi(d1) = phi(d2): in this form nothing overflows, however far out.
    bell = 0.5 * math.exp(-0.5 * d2 * d2)
    u, v = side * d1, side * d2
    gain = bell * scaled_tail(-u * SQRT_HALF) if u < 0.0 else math.exp(-k) * distribution(u)
    cost = bell * scaled_tail(-v * SQRT_HALF) if v < 0.0 else distribution(v)
    return 2.0 * side * (gain - cost)
