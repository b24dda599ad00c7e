"""Which of two prices moves first, and by how much, seen at moments of their own?"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MINIMUM = 100  # moves of either price
BLOCKS = 50  # stretches of the day whose sums give the error
MINIMUM_T = 4.0  # of the largest of many contrasts
MINIMUM_GAIN_T = 3.0  # of that contrast over the best one that clocks cannot tell from none


class LeadLagStatus(IntEnum):
    """How a lead ended."""

    OK = 0
    TOO_FEW = 1  # moves
    NO_CORRELATION = 2  # at any lag
    NOT_IDENTIFIED = 3  # below what the clocks allow to tell apart


@dataclass(frozen=True, slots=True)
class LeadLag:
    """A lead of the first price over the second; NaN where the status says so."""

    lag_us: float  # of maximal contrast, positive where the first leads
    contrast: float  # absolute covariance of log returns at that lag
    correlation: float  # at that lag, of the returns between prints
    correlation_at_zero: float
    standard_error: float  # of correlation, from the sums of stretches of the day
    lead_lag_ratio: float  # squared correlations where the first leads over those where it follows
    status: LeadLagStatus


NOTHING = LeadLag(np.nan, np.nan, np.nan, np.nan, np.nan, np.nan, LeadLagStatus.TOO_FEW)


def lead(
    first_at: ArrayLike,
    first: ArrayLike,
    second_at: ArrayLike,
    second: ArrayLike,
    lags: ArrayLike,
    skew: float,
) -> LeadLag:
    """How long the second log price follows the first, by the contrast of Hayashi and Yoshida.

    Times and `lags` are whole microseconds; times ascend, and of several prices at one time the
    last counts. `skew` is what two clocks may differ by: a lag within it, or one whose contrast is
    not clearly above that of the lags within it, is not identified, whatever the estimate says.
    The second price is seen `lag` earlier, and products of returns whose intervals overlap are
    added: no common grid, hence nothing lost to it. Cost is linear in prints for each lag.
    Raises ValueError where times descend.

    Hayashi & Yoshida (2005), Bernoulli 11(2). Hoffmann, Rosenbaum & Yoshida (2013),
    Bernoulli 19(2).
    """
    at_x, x = _by_time(np.asarray(first_at, np.int64), np.asarray(first, np.float64))
    at_y, y = _by_time(np.asarray(second_at, np.int64), np.asarray(second, np.float64))
    shifts = np.asarray(lags, dtype=np.int64)
    if min(x.size, y.size) <= MINIMUM or min(np.ptp(x), np.ptp(y)) == 0:
        return NOTHING
    scale = np.sqrt(float(np.sum(np.diff(x) ** 2)) * float(np.sum(np.diff(y) ** 2)))
    found = _sums(at_x, x, at_y, y, shifts, _stretches(at_x, BLOCKS), BLOCKS)
    correlation = found.sum(axis=1) / scale
    best = int(np.argmax(np.abs(correlation)))
    error = _error(found[best]) / scale
    close = np.flatnonzero(np.abs(shifts) <= skew)
    within = int(close[np.argmax(np.abs(correlation[close]))]) if close.size else best
    gain = found[best] * np.sign(correlation[best]) - found[within] * np.sign(correlation[within])
    if not abs(correlation[best]) > MINIMUM_T * error:
        status = LeadLagStatus.NO_CORRELATION
    elif best == within or not gain.sum() > MINIMUM_GAIN_T * _error(gain):
        status = LeadLagStatus.NOT_IDENTIFIED
    else:
        status = LeadLagStatus.OK
    squared = correlation**2
    behind = float(squared[shifts < 0].sum())
    at_zero = correlation[shifts == 0]
    return LeadLag(
        float(shifts[best]),
        float(abs(correlation[best]) * scale),
        float(correlation[best]),
        float(at_zero[0]) if at_zero.size else np.nan,
        error,
        float(squared[shifts > 0].sum()) / behind if behind > 0 else np.nan,
        status,
    )


def contrasts(
    first_at: ArrayLike, first: ArrayLike, second_at: ArrayLike, second: ArrayLike, lags: ArrayLike
) -> Floats:
    """Covariances of log returns by Hayashi and Yoshida, one per lag; NaN without two prices."""
    at_x, x = _by_time(np.asarray(first_at, np.int64), np.asarray(first, np.float64))
    at_y, y = _by_time(np.asarray(second_at, np.int64), np.asarray(second, np.float64))
    if min(x.size, y.size) < 2:
        return np.full(np.size(lags), np.nan)
    shifts = np.asarray(lags, dtype=np.int64)
    return np.asarray(_sums(at_x, x, at_y, y, shifts, _stretches(at_x, 1), 1)[:, 0])


def _error(sums: Floats) -> float:
    """Standard error of the total of sums of stretches of time."""
    return float(np.std(sums, ddof=1) * np.sqrt(sums.size))


def _by_time(at: Integers, price: Floats) -> tuple[Integers, Floats]:
    """The last price of each time; prices that are no number do not count."""
    known = np.isfinite(price)
    at, price = at[known], price[known]
    if at.size and (step := np.diff(at)).size and step.min() < 0:
        raise ValueError(f"lead_lag: times must ascend, {at[1:][step < 0][0]} us does not")
    last = np.append(np.diff(at) > 0, True) if at.size else np.zeros(0, dtype=bool)
    return at[last], price[last]


def _stretches(at: Integers, count: int) -> Integers:
    """Which of `count` equal stretches of the whole time each moment lies in."""
    return np.asarray((at - at[0]) * count // (at[-1] - at[0] + 1))


@kernel
def _sums(
    at_x: Integers,
    x: Floats,
    at_y: Integers,
    y: Floats,
    lags: Integers,
    stretch: Integers,
    stretches: int,
) -> Floats:
    """Products of overlapping returns, the second price `lag` earlier, per lag and stretch."""
    total = np.zeros((lags.size, stretches))
    for k in range(lags.size):
        lag = lags[k]
        low, high = 0, 0
        for i in range(1, at_x.size):
            # The second price at or before the return's start and at or after its end.
            start, end = at_x[i - 1] + lag, at_x[i] + lag
            while low + 1 < at_y.size and at_y[low + 1] <= start:
                low += 1
            while high + 1 < at_y.size and at_y[high] < end:
                high += 1
            total[k, stretch[i]] += (x[i] - x[i - 1]) * (y[high] - y[low])
    return total
