"""At which forward do calls and puts of one expiry agree?

Put-call parity is a line in the strike: C - P = 1 - K/F for coin-settled options quoted in coin,
C - P = D (F - K) for options quoted in US dollars. It is fitted to the strikes where all four
prices are quoted, weighted by 1/half-spread^2 of C - P, with outliers cut off by Tukey's biweight.
It starts where a minority of strikes cannot move it: a weighted median, the median pairwise slope.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]

CUTOFF = 4.685  # biweight: 95 % efficient on normal residuals
ROUNDS = 50


class ParityStatus(IntEnum):
    """What came of one fit; every number is NaN unless `OK`."""

    OK = 0
    TOO_FEW_STRIKES = 1
    NO_SOLUTION = 2


@dataclass(frozen=True, slots=True)
class Parity:
    """`forward` and `standard_error` in US dollars; `discount_factor` is NaN for coin quotes."""

    forward: float
    standard_error: float
    discount_factor: float
    strikes_used: int
    status: ParityStatus


def parity(
    strike: ArrayLike,
    call_bid: ArrayLike,
    call_ask: ArrayLike,
    put_bid: ArrayLike,
    put_ask: ArrayLike,
    is_coin: bool,
) -> Parity:
    """The parity forward of one expiry from one row per strike; NaN or zero is a missing quote.

    A strike counts when all four prices are above zero and neither side is crossed. Coin quotes
    need two such strikes, US dollar quotes three. `standard_error` is the larger of what the
    residuals and what the quotes' own width (half spread / sqrt 3) say; `strikes_used` are those
    that the cut-off left with a weight. `NO_SOLUTION` when the fitted forward or discount factor is
    not above zero.
    """
    k, cb, ca, pb, pa = (
        np.array(a, dtype=np.float64) for a in (strike, call_bid, call_ask, put_bid, put_ask)
    )
    with np.errstate(invalid="ignore"):
        usable = (k > 0.0) & (cb > 0.0) & (pb > 0.0) & (ca >= cb) & (pa >= pb)
        usable &= np.isfinite(k + ca + pa)
    k, cb, ca, pb, pa = (a[usable] for a in (k, cb, ca, pb, pa))
    if np.unique(k).size < (2 if is_coin else 3):
        return Parity(math.nan, math.nan, math.nan, int(k.size), ParityStatus.TOO_FEW_STRIKES)
    middle = 0.5 * (cb + ca - pb - pa)
    half = 0.5 * (ca - cb + pa - pb)
    # A locked market is not known without error: it counts as the tightest of the others.
    tightest = half[half > 0.0].min(initial=math.inf)
    half = np.maximum(half, tightest if tightest < math.inf else 1e-6 * float(np.median(ca + pa)))
    if is_coin:
        slope, error, used = _through_one(k, middle, half)
        forward, discount = 1.0 / slope if slope > 0.0 else math.nan, math.nan
        error *= forward * forward
    else:
        forward, discount, error, used = _line(k, middle, half)
    if not forward > 0.0 or discount <= 0.0:
        return Parity(math.nan, math.nan, math.nan, used, ParityStatus.NO_SOLUTION)
    return Parity(forward, error, discount, used, ParityStatus.OK)


def _through_one(k: Floats, middle: Floats, half: Floats) -> tuple[float, float, int]:
    """1/F, its standard error and the strikes used, of 1 - middle = K/F."""
    y = 1.0 - middle
    slope = weighted_median(y / k, k / half)
    weight = 1.0 / half**2
    for _ in range(ROUNDS):
        trust = biweight((y - slope * k) / half)
        w = weight * trust
        before, slope = slope, float(np.sum(w * k * y) / np.sum(w * k * k))
        if abs(slope - before) <= 1e-14 * abs(slope):
            break
    moment = float(np.sum(w * k * k))
    used = int(np.count_nonzero(trust))
    residual = float(np.sum(w * (y - slope * k) ** 2)) / max(used - 1, 1)
    noise = float(np.sum((w * k * half) ** 2)) / 3.0 / moment
    return slope, math.sqrt(max(residual, noise) / moment), used


def _line(k: Floats, middle: Floats, half: Floats) -> tuple[float, float, float, int]:
    """F, D, the standard error of F and the strikes used, of middle = D (F - K)."""
    discount = -median_slope(k, middle)
    level = weighted_median(middle + discount * k, 1.0 / half)
    weight = 1.0 / half**2
    for _ in range(ROUNDS):
        trust = biweight((middle - level + discount * k) / half)
        w = weight * trust
        centre = float(np.sum(w * k) / np.sum(w))
        mean = float(np.sum(w * middle) / np.sum(w))
        moment = float(np.sum(w * (k - centre) ** 2))
        if moment <= 0.0:
            return math.nan, math.nan, math.nan, int(np.count_nonzero(trust))
        before, discount = discount, -float(np.sum(w * (k - centre) * (middle - mean))) / moment
        level = mean + discount * centre
        if abs(discount - before) <= 1e-14 * abs(discount):
            break
    forward = level / discount if discount > 0.0 else math.nan
    used = int(np.count_nonzero(trust))
    residual = float(np.sum(w * (middle - level + discount * k) ** 2)) / max(used - 2, 1)
    # F = mean/D + centre: both errors at the centre of the strikes, where they are independent.
    reach = ((forward - centre) ** 2 / moment + 1.0 / float(np.sum(w))) / discount**2
    # Widths enter as variances half^2/3 of observations weighted 1/half^2.
    error = math.sqrt(max(residual, 1.0 / 3.0) * reach)
    return forward, discount, error, used


def biweight(z: Floats) -> Floats:
    """Tukey's weight of each residual over its scale: 1.4826 MAD, at least the quotes' width."""
    scale = max(1.4826 * float(np.median(np.abs(z))), 1.0 / math.sqrt(3.0))
    return np.asarray(np.square(np.maximum(1.0 - np.square(z / (CUTOFF * scale)), 0.0)))


def weighted_median(values: Floats, weight: Floats) -> float:
    """The value at which half the weight is reached."""
    order = np.argsort(values)
    reached = np.cumsum(weight[order])
    return float(values[order][np.searchsorted(reached, 0.5 * reached[-1])])


@kernel
def median_slope(x: Floats, y: Floats) -> float:
    """Median of the slopes of all pairs (Theil 1950, Sen 1968)."""
    slopes = np.empty(x.size * (x.size - 1) // 2)
    count = 0
    for i in range(x.size):
        for j in range(i):
            if x[i] != x[j]:
                slopes[count] = (y[i] - y[j]) / (x[i] - x[j])
                count += 1
    return float(np.median(slopes[:count]))
