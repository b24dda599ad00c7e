"""How volatile was it, judged by bars?

Parkinson (1980), Garman & Klass (1980), Rogers & Satchell (1991), Yang & Zhang (2000), as in R's
TTR; close-to-close here has zero mean, and estimators that take a mean out are named demeaned.
What finer returns tell about jumps stands in jumps.py.
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


@dataclass(frozen=True, slots=True)
class RangeVols:
    """Annualised decimals, one per window end; NaN with fewer than two usable bars in it."""

    close_close: Floats
    close_close_demeaned: Floats
    parkinson: Floats
    garman_klass: Floats
    rogers_satchell: Floats
    yang_zhang_demeaned: Floats
    bars_used: Integers
    gaps_excluded: Integers


def range_vols(
    at_s: ArrayLike,
    open_price: ArrayLike,
    high: ArrayLike,
    low: ArrayLike,
    close: ArrayLike,
    ends_s: ArrayLike,
    window_s: int,
    step_s: int,
    year_s: float = YEAR_S,
) -> RangeVols:
    """Estimates over [end - window_s, end) of each end, from bars of `step_s` keyed by their start.

    A bar counts where its prices are finite, above zero and within its high and low, and where it
    has ended by `end`. Returns between closes over more than three steps are excluded and counted;
    a shorter gap counts by the time it took. Yang-Zhang also takes the close before the window.
    ValueError unless times ascend.

    >>> two = range_vols([0, 60], [1, 1], [1.1, 1.1], [1, 1], [1, 1], [120], 120, 60, 60.0)
    >>> two.parkinson.round(12) == (np.log(1.1) / np.sqrt(4 * np.log(2))).round(12)
    array([ True])
    """
    columns = [np.array(c, dtype=np.float64).ravel() for c in (open_price, high, low, close)]
    if len(sizes := {c.size for c in columns}) > 1:
        raise ValueError(f"range vols: columns of {sorted(sizes)} bars, must be equally long")
    at = instants("range vols", at_s, columns[0].size)
    checked_step("range vols", step_s, window_s)
    first, highest, lowest, last = columns
    with np.errstate(invalid="ignore"):
        usable = (lowest > 0.0) & (highest < np.inf)
        usable &= (lowest <= np.minimum(first, last)) & (highest >= np.maximum(first, last))
    ends = np.array(ends_s, dtype=np.int64).ravel()
    bars = np.array([c[usable] for c in columns])
    vols, counts = _range_vols(at[usable], bars, ends, window_s, step_s, year_s)
    return RangeVols(*vols, *counts)


@kernel
def _range_vols(
    at: Integers, bars: Floats, ends: Integers, window: int, step: int, year: float
) -> tuple[Floats, Integers]:
    vols = np.full((6, ends.size), math.nan)
    counts = np.zeros((2, ends.size), np.int64)
    returns, elapsed = log_returns(at, bars[3], LONGEST_STEPS * step)
    for i in range(ends.size):
        begin = np.searchsorted(at, ends[i] - window)
        end = np.searchsorted(at, ends[i] - step + 1)
        counts[0, i] = max(end - begin, 0)
        for j in range(begin + 1, end):
            counts[1, i] += math.isnan(returns[j])
        if end - begin < 2:
            continue
        closes = _close_close(returns[begin + 1 : end], elapsed[begin + 1 : end], year)
        vols[0, i], vols[1, i] = closes
        ranges = _ranges(bars[:, begin:end])
        vols[2:5, i] = np.sqrt(ranges * year / step)
        n = end - begin
        share = 0.34 / (1.34 + (n + 1) / (n - 1))
        jumps, bodies = _sessions(bars, returns, begin, end)
        total = jumps + share * bodies + (1.0 - share) * ranges[2]
        vols[5, i] = math.sqrt(total * year / step)
    return vols, counts


@kernel
def _close_close(returns: Floats, elapsed: Integers, year: float) -> tuple[float, float]:
    """Zero-mean and demeaned volatility of the returns that are numbers."""
    total, squares, time, count = 0.0, 0.0, 0.0, 0
    for j in range(returns.size):
        if not math.isnan(returns[j]):
            total += returns[j]
            squares += returns[j] * returns[j]
            time += elapsed[j]
            count += 1
    if count == 0:
        return math.nan, math.nan
    mean, around = total / count, 0.0
    for j in range(returns.size):
        if not math.isnan(returns[j]):
            around += (returns[j] - mean) * (returns[j] - mean)
    spread = math.sqrt(around / (count - 1) * year * count / time) if count > 1 else math.nan
    return math.sqrt(squares * year / time), spread


@kernel
def _ranges(bars: Floats) -> Floats:
    """Variance per bar by Parkinson, Garman-Klass and Rogers-Satchell."""
    out = np.zeros(3)
    for j in range(bars.shape[1]):
        first, high, low, last = bars[:, j]
        reach, body = math.log(high / low), math.log(last / first)
        out[0] += reach * reach / (4.0 * math.log(2.0))
        out[1] += 0.5 * reach * reach - (2.0 * math.log(2.0) - 1.0) * body * body
        out[2] += math.log(high / last) * math.log(high / first)
        out[2] += math.log(low / last) * math.log(low / first)
    for i in range(3):
        out[i] = max(out[i] / bars.shape[1], 0.0)
    return out


@kernel
def _sessions(bars: Floats, returns: Floats, begin: int, end: int) -> tuple[float, float]:
    """Sample variances of close-to-open jumps and of open-to-close bodies."""
    jumps, bodies = np.empty(end - begin), np.empty(end - begin)
    count = 0
    for j in range(begin, end):
        bodies[j - begin] = math.log(bars[3, j] / bars[0, j])
        if j > 0 and not math.isnan(returns[j]):
            jumps[count] = math.log(bars[0, j] / bars[3, j - 1])
            count += 1
    return _variance(jumps[:count]), _variance(bodies)


@kernel
def _variance(x: Floats) -> float:
    if x.size < 2:
        return math.nan
    mean, around = x.mean(), 0.0
    for v in x:
        around += (v - mean) * (v - mean)
    return around / (x.size - 1)
