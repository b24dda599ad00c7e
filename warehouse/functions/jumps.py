"""How volatile was it, judged by fine returns, and how much of that came in jumps?

Barndorff-Nielsen & Shephard (2004, 2006), Journal of Financial Econometrics 2(1) and 4(1);
Andersen, Dobrev & Schaumburg (2012) for the median and the minimum; equal to R's highfrequency.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.windows import (
    LONGEST_STEPS,
    YEAR_S,
    checked_step,
    instants,
    log_returns,
)

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BIPOWER = math.pi / 2.0
MEDIAN = math.pi / (6.0 - 4.0 * math.sqrt(3.0) + math.pi)
MINIMUM = math.pi / (math.pi - 2.0)
TRIPOWER = (2.0 ** (2.0 / 3.0) * math.gamma(7.0 / 6.0) / math.gamma(0.5)) ** -3
SPREAD = math.pi**2 / 4.0 + math.pi - 5.0  # variance of bipower minus realised, per return
MEASURES = 9


@dataclass(frozen=True, slots=True)
class Measures:
    """One per window end; NaN with fewer than three returns, or where nothing moved.

    Volatilities are annualised decimals: `up_vol`^2 + `down_vol`^2 = `realized_vol`^2. `jump_share`
    is 1 - bipower/realised variance, not below zero; `jump_z` the ratio statistic of the same,
    nearly standard normal without jumps. `kurtosis` is taken about zero: 3 for a normal law.
    """

    realized_vol: Floats
    bipower_vol: Floats
    up_vol: Floats
    down_vol: Floats
    median_vol: Floats
    minimum_vol: Floats
    jump_share: Floats
    jump_z: Floats
    kurtosis: Floats
    returns_used: Integers
    gaps_excluded: Integers


def measures(
    at_s: ArrayLike,
    price: ArrayLike,
    ends_s: ArrayLike,
    window_s: int,
    step_s: int,
    year_s: float = YEAR_S,
) -> Measures:
    """Measures from the prices at times in [end - window_s, end] of each end, `step_s` apart.

    A price that is not finite or not above zero is missing. Returns over more than three steps are
    excluded and counted; a shorter gap counts by the time it took. ValueError unless times ascend.

    >>> found = measures([0, 1, 2, 3], np.exp([0.0, 0.1, 0.0, 0.1]), [3], 3, 1, 1.0)
    >>> found.realized_vol.round(12), found.kurtosis.round(12)
    (array([0.1]), array([1.]))
    """
    prices = np.array(price, dtype=np.float64).ravel()
    at = instants("measures", at_s, prices.size)
    checked_step("measures", step_s, window_s)
    usable = (prices > 0.0) & (prices < np.inf)
    ends = np.array(ends_s, dtype=np.int64).ravel()
    out, counts = _measures(at[usable], prices[usable], ends, window_s, step_s, year_s)
    return Measures(*out, *counts)


@kernel
def _measures(
    at: Integers, price: Floats, ends: Integers, window: int, step: int, year: float
) -> tuple[Floats, Integers]:
    out = np.full((MEASURES, ends.size), math.nan)
    counts = np.zeros((2, ends.size), np.int64)
    returns, elapsed = log_returns(at, price, LONGEST_STEPS * step)
    for i in range(ends.size):
        begin = np.searchsorted(at, ends[i] - window) + 1
        end = np.searchsorted(at, ends[i] + 1)
        time = 0.0
        for j in range(begin, end):
            if math.isnan(returns[j]):
                counts[1, i] += 1
            else:
                counts[0, i] += 1
                time += elapsed[j]
        if counts[0, i] > 2:
            out[:, i] = _of_returns(returns[begin:end], counts[0, i], year / time)
    return out, counts


@kernel
def _of_returns(returns: Floats, count: int, scale: float) -> Floats:
    """The measures; neighbours on either side of a gap make no pair, and means make up for it."""
    up = down = fourth = pairs = least = middle = quarticity = 0.0
    pair_count = triple_count = 0
    for j in range(returns.size):
        r = returns[j]
        if math.isnan(r):
            continue
        up += r * r if r > 0.0 else 0.0
        down += r * r if r < 0.0 else 0.0
        fourth += r * r * r * r
        before = abs(returns[j - 1]) if j > 0 else math.nan
        if math.isnan(before):
            continue
        a = abs(r)
        pairs += a * before
        least += min(a, before) * min(a, before)
        pair_count += 1
        first = abs(returns[j - 2]) if j > 1 else math.nan
        if not math.isnan(first):
            between = max(min(a, before), min(max(a, before), first))
            middle += between * between
            quarticity += (a * before * first) ** (4.0 / 3.0)
            triple_count += 1
    out = np.full(MEASURES, math.nan)
    total = up + down
    bipower = BIPOWER * (count - 1) * pairs / pair_count
    out[0], out[1] = math.sqrt(total * scale), math.sqrt(bipower * scale)
    out[2], out[3] = math.sqrt(up * scale), math.sqrt(down * scale)
    out[4] = math.sqrt(MEDIAN * count * middle / triple_count * scale)
    out[5] = math.sqrt(MINIMUM * count * least / pair_count * scale)
    if total > 0.0:
        out[6] = max(1.0 - bipower / total, 0.0)
        tripower = TRIPOWER * count * count * quarticity / triple_count
        noise = SPREAD / count * max(1.0, tripower / (bipower * bipower))
        out[7] = (1.0 - bipower / total) / math.sqrt(noise)
        out[8] = count * fourth / (total * total)
    return out
