"""At which forward do calls and puts of one expiry agree?

Put-call parity is a line in the strike: C - P = 1 - K/F for coin-settled options quoted in coin,
C - P = D (F - K) for options quoted in US dollars. It is fitted to the strikes where all four
prices are quoted, weighted by 1/half-spread^2 of C - P, with outliers cut off by Tukey's biweight.
It starts where a minority of strikes cannot move it: a weighted median, the median pairwise slope.
D is taken from the slope only where the strikes tell it; elsewhere it is 1.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.robust import biweight, median, median_slope, weighted_median

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

ROUNDS = 50
DISCOUNT_ERROR = 0.02  # a standard error of D above which a D like 1 is not told from 1


class ParityStatus(IntEnum):
    """What came of one fit; every number is NaN unless `OK`."""

    OK = 0
    TOO_FEW_STRIKES = 1
    NO_SOLUTION = 2


OK, TOO_FEW_STRIKES, NO_SOLUTION = map(int, ParityStatus)


@dataclass(frozen=True, slots=True)
class Parity:
    """`forward` and `standard_error` in US dollars.

    `discount_factor` is NaN for coin quotes and where the strikes do not tell it.
    """

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
        np.array(a, dtype=np.float64).ravel()
        for a in (strike, call_bid, call_ask, put_bid, put_ask)
    )
    ends, coin = np.array([0, k.size], dtype=np.int64), np.array([is_coin], dtype=np.bool_)
    numbers, used, status = parity_many(k, cb, ca, pb, pa, ends, coin)
    forward, error, discount = map(float, numbers[0])
    return Parity(forward, error, discount, int(used[0]), ParityStatus(int(status[0])))


@kernel
def parity_many(
    strike: Floats,
    call_bid: Floats,
    call_ask: Floats,
    put_bid: Floats,
    put_ask: Floats,
    offsets: Integers,
    is_coin: NDArray[np.bool_],
) -> tuple[Floats, Integers, NDArray[np.int8]]:
    """`parity` of many expiries, the i-th of rows offsets[i]:offsets[i + 1].

    Columns are forward, standard error and discount factor; then strikes used, and status.
    """
    out = np.full((is_coin.size, 3), np.nan)
    used, status = np.zeros(is_coin.size, np.int64), np.empty(is_coin.size, np.int8)
    for i in range(is_coin.size):
        a, b = offsets[i], offsets[i + 1]
        k, middle, half = usable(
            strike[a:b], call_bid[a:b], call_ask[a:b], put_bid[a:b], put_ask[a:b]
        )
        used[i], status[i] = k.size, TOO_FEW_STRIKES
        if distinct(k) < (2 if is_coin[i] else 3):
            continue
        discount = math.nan
        if is_coin[i]:
            forward, error, used[i] = through_one(k, middle, half)
        else:
            forward, discount, error, slope_error, used[i] = line(k, middle, half)
            if slope_error > DISCOUNT_ERROR and abs(discount - 1.0) <= 3.0 * slope_error:
                discount = math.nan
                forward, error, used[i] = undiscounted(k, middle, half)
        status[i] = NO_SOLUTION
        if forward > 0.0 and not discount <= 0.0:
            out[i, 0], out[i, 1], out[i, 2], status[i] = forward, error, discount, OK
    return out, used, status


@kernel
def usable(
    strike: Floats, call_bid: Floats, call_ask: Floats, put_bid: Floats, put_ask: Floats
) -> tuple[Floats, Floats, Floats]:
    """Strike, C - P and its half spread where all four prices are quoted and not crossed.

    A locked market is not known without error: it counts as the tightest of the others.
    """
    k, middle, half = np.empty(strike.size), np.empty(strike.size), np.empty(strike.size)
    asks = np.empty(strike.size)
    n, tightest = 0, math.inf
    for i in range(strike.size):
        cb, ca, pb, pa = call_bid[i], call_ask[i], put_bid[i], put_ask[i]
        is_whole = strike[i] > 0.0 and cb > 0.0 and pb > 0.0 and ca >= cb and pa >= pb
        if is_whole and math.isfinite(strike[i] + ca + pa):
            k[n], middle[n], half[n] = (
                strike[i],
                0.5 * (cb + ca - pb - pa),
                0.5 * (ca - cb + pa - pb),
            )
            asks[n] = ca + pa
            tightest = min(tightest, half[n] if half[n] > 0.0 else math.inf)
            n += 1
    if n > 0 and tightest == math.inf:
        tightest = 1e-6 * median(asks[:n])
    for i in range(n):
        half[i] = max(half[i], tightest)
    return k[:n], middle[:n], half[:n]


@kernel
def distinct(k: Floats) -> int:
    count = 0
    for i in range(k.size):
        is_new = True
        for j in range(i):
            is_new = is_new and k[j] != k[i]
        count += is_new
    return count


@kernel
def through_one(k: Floats, middle: Floats, half: Floats) -> tuple[float, float, int]:
    """F, its standard error and the strikes used, of 1 - middle = K/F."""
    n = k.size
    residual, trust, ratio = np.empty(n), np.empty(n), np.empty(n)
    for i in range(n):
        ratio[i] = (1.0 - middle[i]) / k[i]
    slope, used, moment = weighted_median(ratio, k / half), 0, 0.0
    for _ in range(ROUNDS):
        for i in range(n):
            residual[i] = (1.0 - middle[i] - slope * k[i]) / half[i]
        used = biweight(residual, trust)
        moment = product = 0.0
        for i in range(n):
            q = trust[i] * (k[i] / half[i]) ** 2
            moment += q
            product += q * ratio[i]
        before, slope = slope, product / moment
        if abs(slope - before) <= 1e-14 * abs(slope):
            break
    misfit = noise = 0.0
    for i in range(n):
        misfit += trust[i] * ((1.0 - middle[i] - slope * k[i]) / half[i]) ** 2
        noise += (trust[i] * k[i] / half[i]) ** 2 / 3.0
    variance = max(misfit / max(used - 1, 1), noise / moment) / moment
    if not slope > 0.0:
        return math.nan, math.nan, used
    return 1.0 / slope, math.sqrt(variance) / (slope * slope), used


@kernel
def line(k: Floats, middle: Floats, half: Floats) -> tuple[float, float, float, float, int]:
    """F, D, their standard errors (of F first) and the strikes used, of middle = D (F - K)."""
    n = k.size
    residual, trust = np.empty(n), np.empty(n)
    discount = -median_slope(k, middle)
    level, used = weighted_median(middle + discount * k, 1.0 / half), 0
    total = centre = moment = 0.0
    for _ in range(ROUNDS):
        for i in range(n):
            residual[i] = (middle[i] - level + discount * k[i]) / half[i]
        used = biweight(residual, trust)
        total = centre = mean = 0.0
        for i in range(n):
            q = trust[i] / half[i] ** 2
            total += q
            centre += q * k[i]
            mean += q * middle[i]
        centre, mean = centre / total, mean / total
        moment = product = 0.0
        for i in range(n):
            q = trust[i] / half[i] ** 2
            moment += q * (k[i] - centre) ** 2
            product += q * (k[i] - centre) * (middle[i] - mean)
        if moment <= 0.0:
            return math.nan, math.nan, math.nan, math.nan, used
        before, discount = discount, -product / moment
        level = mean + discount * centre
        if abs(discount - before) <= 1e-14 * abs(discount):
            break
    misfit = 0.0
    for i in range(n):
        misfit += trust[i] * ((middle[i] - level + discount * k[i]) / half[i]) ** 2
    # Widths enter as variances half^2/3 of observations weighted 1/half^2.
    unit = max(misfit / max(used - 2, 1), 1.0 / 3.0)
    if not discount > 0.0:
        return math.nan, discount, math.nan, math.sqrt(unit / moment), used
    forward = level / discount
    # F = mean/D + centre: both errors at the centre of the strikes, where they are independent.
    reach = ((forward - centre) ** 2 / moment + 1.0 / total) / discount**2
    return forward, discount, math.sqrt(unit * reach), math.sqrt(unit / moment), used


@kernel
def undiscounted(k: Floats, middle: Floats, half: Floats) -> tuple[float, float, int]:
    """F, its standard error and the strikes used, of middle = F - K."""
    n = k.size
    residual, trust = np.empty(n), np.empty(n)
    forward, used, total = weighted_median(middle + k, 1.0 / half), 0, 0.0
    for _ in range(ROUNDS):
        for i in range(n):
            residual[i] = (middle[i] + k[i] - forward) / half[i]
        used = biweight(residual, trust)
        total = mean = 0.0
        for i in range(n):
            total += trust[i] / half[i] ** 2
            mean += trust[i] / half[i] ** 2 * (middle[i] + k[i])
        before, forward = forward, mean / total
        if abs(forward - before) <= 1e-14 * abs(forward):
            break
    misfit = 0.0
    for i in range(n):
        misfit += trust[i] * ((middle[i] + k[i] - forward) / half[i]) ** 2
    unit = max(misfit / max(used - 1, 1), 1.0 / 3.0)
    return forward, math.sqrt(unit / total), used
