"""Which variance does a chain of options replicate, listed strike by strike?

Cboe (2014), "The CBOE Volatility Index - VIX" (white paper): variance T = 2 sum dK/K^2 e^(RT) Q(K)
- (F/K0 - 1)^2, Q the mid of the out-of-the-money option. The same integral over a fitted slice
stands in quadrature.py.
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class StripStatus(IntEnum):
    """What came of one strip; its variance is NaN unless `OK`."""

    OK = 0
    NO_TIME = 1
    NO_FORWARD = 2
    TOO_FEW_STRIKES = 3
    DUPLICATE_STRIKES = 4
    NOT_POSITIVE = 5


OK, NO_TIME, NO_FORWARD, TOO_FEW, DUPLICATE, NOT_POSITIVE = map(int, StripStatus)
COLUMNS = 6  # total_variance, forward, k0, lowest_strike, highest_strike, strikes_used


@dataclass(frozen=True, slots=True)
class Strip:
    """`total_variance` is sigma^2 T of the expiry; strikes between the two named were summed."""

    total_variance: float
    forward: float
    k0: float
    lowest_strike: float
    highest_strike: float
    strikes_used: int
    status: StripStatus


def replicate(
    strike: ArrayLike,
    call_bid: ArrayLike,
    call_ask: ArrayLike,
    put_bid: ArrayLike,
    put_ask: ArrayLike,
    t_years: float,
    rate: float = 0.0,
    forward: float = math.nan,
) -> Strip:
    """Cboe's strip of one expiry; quotes in the currency of the strikes, one entry per strike.

    A quote counts where 0 < bid <= ask; any other is a zero bid, and two of them in a row going out
    from K0 end that side. Without a `forward` it comes from the strike where call and put differ
    least. K0 is the highest strike at or below the forward with both quotes. `rate` is continuously
    compounded and 0 for undiscounted prices. Needs K0 and an option on either side of it.
    """
    columns = _columns(strike, call_bid, call_ask, put_bid, put_ask)
    one = (np.array([v], dtype=np.float64) for v in (t_years, rate, forward))
    ends = np.array([0, columns.shape[1]], dtype=np.int64)
    rows, status = _strips(columns, ends, *one)
    variance, at, k0, lowest, highest, used = map(float, rows[0])
    return Strip(variance, at, k0, lowest, highest, int(used), StripStatus(int(status[0])))


def replicate_many(
    strike: ArrayLike,
    call_bid: ArrayLike,
    call_ask: ArrayLike,
    put_bid: ArrayLike,
    put_ask: ArrayLike,
    offsets: ArrayLike,
    t_years: ArrayLike,
    rate: ArrayLike = 0.0,
    forward: ArrayLike = math.nan,
) -> tuple[Floats, NDArray[np.int8]]:
    """`replicate` of many expiries end to end; expiry i has entries offsets[i] to offsets[i + 1].

    Rows are total_variance, forward, k0, lowest_strike, highest_strike, strikes_used; beside them
    their `StripStatus`.
    """
    columns = _columns(strike, call_bid, call_ask, put_bid, put_ask)
    ends = np.array(offsets, dtype=np.int64)
    if ends.size == 0 or ends[0] != 0 or ends[-1] != columns.shape[1] or (np.diff(ends) < 0).any():
        raise ValueError(f"strip: offsets do not cut {columns.shape[1]} strikes")
    count = ends.size - 1
    each = (np.array(np.broadcast_to(v, count), np.float64) for v in (t_years, rate, forward))
    return _strips(columns, ends, *each)


def constant_tenor_iv(
    t_years: ArrayLike, total_variance: ArrayLike, tenor_years: ArrayLike
) -> Floats:
    """Volatility at a tenor, total variance linear in time between neighbouring expiries.

    Expiries without a variance are passed over, in any order; NaN outside their range (nothing is
    extrapolated) and where variance is not above zero. ValueError if two expiries coincide.

    >>> constant_tenor_iv([0.05, 0.10], [0.002, 0.006], [0.05, 0.075, 0.2]).round(6)
    array([0.2    , 0.23094,     nan])
    """
    t, w = np.asarray(t_years, dtype=np.float64), np.asarray(total_variance, dtype=np.float64)
    if t.shape != w.shape or t.ndim != 1:
        raise ValueError(f"constant tenor: {t.shape} expiries, {w.shape} variances")
    known = np.isfinite(t) & np.isfinite(w)
    order = np.argsort(t[known])
    t, w = t[known][order], w[known][order]
    if (np.diff(t) == 0.0).any():
        raise ValueError("constant tenor: two variances for one expiry")
    at = np.asarray(tenor_years, dtype=np.float64)
    if t.size == 0:
        return np.full(at.shape, np.nan)
    between = np.interp(at, t, w, left=np.nan, right=np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.sqrt(np.where((between > 0.0) & (at > 0.0), between / at, np.nan)))


def _columns(*given: ArrayLike) -> Floats:
    columns = [np.array(a, dtype=np.float64).ravel() for a in given]
    if len(sizes := {c.size for c in columns}) > 1:
        raise ValueError(f"strip: columns of {sorted(sizes)} entries, must be equally long")
    return np.array(columns)


@kernel
def _strips(
    columns: Floats, ends: Integers, t_years: Floats, rate: Floats, forward: Floats
) -> tuple[Floats, NDArray[np.int8]]:
    rows = np.full((ends.size - 1, COLUMNS), np.nan)
    status = np.empty(ends.size - 1, np.int8)
    for i in range(ends.size - 1):
        chain = columns[:, ends[i] : ends[i + 1]]
        rows[i, 5] = 0.0
        status[i] = _strip(chain, t_years[i], rate[i], forward[i], rows[i])
    return rows, status


@kernel
def _mid(bid: float, ask: float) -> float:
    return 0.5 * (bid + ask) if 0.0 < bid <= ask < math.inf else math.nan


@kernel
def _strip(chain: Floats, t_years: float, rate: float, forward: float, row: Floats) -> int:
    if not (0.0 < t_years < math.inf and abs(rate) < math.inf):
        return NO_TIME
    strike, call, put = _ladder(chain)
    if (np.diff(strike) == 0.0).any():
        return DUPLICATE
    growth = math.exp(rate * t_years)
    if math.isnan(forward):
        forward = _parity(strike, call, put, growth)
    if not 0.0 < forward < math.inf:
        return NO_FORWARD
    row[1] = forward
    centre = -1
    for j in range(strike.size):
        if strike[j] <= forward and not math.isnan(call[j] + put[j]):
            centre = j
    if centre < 0:
        return TOO_FEW
    row[2] = strike[centre]
    used, price = _selected(strike, call, put, centre)
    row[3], row[4], row[5] = used[0], used[-1], used.size
    if not used[0] < row[2] < used[-1]:
        return TOO_FEW
    gap = forward / row[2] - 1.0
    total = 2.0 * growth * _sum(used, price) - gap * gap
    if not 0.0 < total < math.inf:
        return NOT_POSITIVE
    row[0] = total
    return OK


@kernel
def _ladder(chain: Floats) -> tuple[Floats, Floats, Floats]:
    """Strikes ascending, mids of call and put; NaN where there is no usable quote."""
    listed = np.flatnonzero((chain[0] > 0.0) & (chain[0] < math.inf))
    order = listed[np.argsort(chain[0][listed])]
    call, put = np.empty(order.size), np.empty(order.size)
    for j in range(order.size):
        at = order[j]
        call[j], put[j] = _mid(chain[1, at], chain[2, at]), _mid(chain[3, at], chain[4, at])
    return chain[0][order], call, put


@kernel
def _parity(strike: Floats, call: Floats, put: Floats, growth: float) -> float:
    """Forward at the strike where call and put differ least, the lowest of equals."""
    least, forward = math.inf, math.nan
    for j in range(strike.size):
        if abs(call[j] - put[j]) < least:
            least = abs(call[j] - put[j])
            forward = strike[j] + growth * (call[j] - put[j])
    return forward


@kernel
def _selected(strike: Floats, call: Floats, put: Floats, centre: int) -> tuple[Floats, Floats]:
    """Strikes and prices of the strip, ascending: puts below, calls above, both at the centre."""
    price = np.full(strike.size, math.nan)
    price[centre] = 0.5 * (call[centre] + put[centre])
    zeros = 0
    for j in range(centre - 1, -1, -1):
        price[j] = put[j]
        zeros = zeros + 1 if math.isnan(put[j]) else 0
        if zeros == 2:
            break
    zeros = 0
    for j in range(centre + 1, strike.size):
        price[j] = call[j]
        zeros = zeros + 1 if math.isnan(call[j]) else 0
        if zeros == 2:
            break
    kept = ~np.isnan(price)
    return strike[kept], price[kept]


@kernel
def _sum(strike: Floats, price: Floats) -> float:
    """sum dK/K^2 Q(K): dK is half the distance between neighbours, at the ends the whole one."""
    total, last = 0.0, strike.size - 1
    for j in range(strike.size):
        if j == 0:
            width = strike[1] - strike[0]
        elif j == last:
            width = strike[last] - strike[last - 1]
        else:
            width = 0.5 * (strike[j + 1] - strike[j - 1])
        total += width * price[j] / (strike[j] * strike[j])
    return total
