"""How far does flow move the price, hour by hour?

Kyle (1985), Econometrica 53; Roll (1984), Journal of Finance 39; Amihud (2002), Journal of
Financial Markets 5; Hasbrouck's answer to an order is in autoregression.py, the power of size in
power.py.
Returns are of the mid in basis points over steps of ten seconds: returns of prices carry the bounce
between bid and ask, whose sign is the flow's own, and bias a lambda.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.autoregression import impact_of
from warehouse.functions.compiled import kernel
from warehouse.functions.mids import SECOND_US, last_until, standing
from warehouse.functions.power import power_of
from warehouse.functions.regression import slope_of
from warehouse.functions.spreads import BPS, LONGEST_AGE_US, MINUTE_US
from warehouse.functions.tape import Prints, Quotes, checked_period

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HOUR_S, STEP_S = 3600, 10
HOUR_US, STEP_US = HOUR_S * SECOND_US, STEP_S * SECOND_US
STEPS = HOUR_S // STEP_S
# Fewer steps or orders than this give no lambda and no answer of orders to each other.
KYLE_MINIMUM = 100
ROLL_MINIMUM, AMIHUD_MINIMUM = 30, 10
LONGEST_PAUSE_MINUTES = 5


@dataclass(frozen=True, slots=True)
class Hours:
    """One entry per hour with prints; `hour` counts from 1970, NaN where there is too little.

    `kyle_lambda` in basis points per million US dollars with its standard error and 95 % interval
    (regression.py), over `kyle_n` steps; `roll_bps` the spread that the bounce of prices implies,
    NaN where their changes do not reverse (`roll_covariance` in squared basis points is then above
    0); `amihud` in basis points per million US dollars over `amihud_n` minutes; `order_impact_bps`
    per order, from `order_n`; `power` of size in impact with its standard error.
    """

    hour: Integers
    prints: Integers
    unsided: Integers
    newest_us: Integers
    known_us: Integers
    kyle_n: Integers
    roll_n: Integers
    amihud_n: Integers
    order_n: Integers
    kyle_lambda: Floats
    kyle_error: Floats
    kyle_low: Floats
    kyle_high: Floats
    kyle_r_squared: Floats
    roll_bps: Floats
    roll_covariance: Floats
    amihud: Floats
    order_impact_bps: Floats
    power: Floats
    power_error: Floats


def hours(prints: Prints, quotes: Quotes, start_us: int, end_us: int) -> Hours:
    """Measures of each hour of [start_us, end_us), which begins and ends with an hour.

    Give the prints from five minutes and the quotes from five seconds before the start on. Steps
    are [a, b): their return is that of the mid at a to the mid at b, their flow that of the prints
    from a until before b. Prints of one moment are one order, at the last of their prices and with
    the side of their sum. ValueError where the period has no whole hours.
    """
    checked_period("impact", start_us, end_us, HOUR_S)
    count = (end_us - start_us) // HOUR_US
    whole, measured = np.zeros((9, count), np.int64), np.full((11, count), np.nan)
    _hours(
        (prints.at_us, prints.sign, prints.price, prints.size, prints.usd, prints.known_us),
        (quotes.at_us, quotes.bid, quotes.ask, quotes.known_us),
        start_us,
        whole,
        measured,
    )
    traded = np.flatnonzero(whole[1] > 0)
    whole[0] = start_us // HOUR_US + np.arange(count)
    return Hours(*whole[:, traded], *measured[:, traded])


def roll(price: ArrayLike) -> tuple[float, float]:
    """Roll's spread in basis points and the covariance behind it, of consecutive order prices.

    The spread is NaN where the covariance of successive log changes is not negative, both with
    fewer than 30 changes.

    >>> round(roll(np.tile([99.0, 101.0], 200))[0])
    400
    """
    spread, covariance, _ = _roll(np.array(price, dtype=np.float64))
    return spread, covariance


@kernel
def _hours(
    prints: tuple[Integers, Integers, Floats, Floats, Floats, Integers],
    quotes: tuple[Integers, Floats, Floats, Integers],
    start: int,
    whole: Integers,
    measured: Floats,
) -> None:
    at, sign, price, size, usd, known = prints
    quoted, bid, ask, quote_known = quotes
    for h in range(whole.shape[1]):
        begin = start + h * HOUR_US
        first, last = np.searchsorted(at, begin), np.searchsorted(at, begin + HOUR_US)
        if first == last:
            continue
        q0 = np.searchsorted(quoted, begin - LONGEST_AGE_US)
        # A quote at the end of the hour tells what the hour came to.
        q1 = np.searchsorted(quoted, begin + HOUR_US, side="right")
        told = (quoted[q0:q1], bid[q0:q1], ask[q0:q1])
        whole[1, h] = last - first
        whole[2, h] = np.sum(sign[first:last] == 0)
        whole[3, h], whole[4, h] = at[last - 1], known[first:last].max()
        if q1 > q0:
            whole[3, h] = max(whole[3, h], quoted[q1 - 1])
            whole[4, h] = max(whole[4, h], quote_known[q0:q1].max())
        moves = _moves(begin, told)
        flow = _flow(begin, at[first:last], sign[first:last], usd[first:last])
        fit = slope_of(flow, moves)
        whole[5, h] = fit[5]
        if whole[5, h] >= KYLE_MINIMUM:
            for i, figure in enumerate(fit[:5]):
                measured[i, h] = figure
        orders = _orders(at[first:last], sign[first:last], price[first:last], size[first:last])
        measured[5, h], measured[6, h], whole[6, h] = _roll(orders[2])
        pause = np.searchsorted(at, begin - LONGEST_PAUSE_MINUTES * MINUTE_US)
        measured[7, h], whole[7, h] = _amihud(
            begin, at[pause:last], price[pause:last], usd[pause:last]
        )
        sides, revisions = _revisions(orders, told)
        found, whole[8, h] = impact_of(sides, revisions)
        if whole[8, h] >= KYLE_MINIMUM:
            measured[8, h] = found
        measured[9, h], measured[10, h] = power_of(flow, moves)


@kernel
def _moves(begin: int, told: tuple[Integers, Floats, Floats]) -> Floats:
    """Log returns of the mid over the steps of an hour, basis points."""
    quoted, bid, ask = told
    moves = np.full(STEPS, math.nan)
    q, before = -1, math.nan
    for i in range(STEPS + 1):
        mark = begin + i * STEP_US
        q = last_until(mark, quoted, q)
        mid = standing(mark, quoted, bid, ask, q, LONGEST_AGE_US)
        if i > 0:
            moves[i - 1] = BPS * math.log(mid / before)
        before = mid
    return moves


@kernel
def _flow(begin: int, at: Integers, sign: Integers, usd: Floats) -> Floats:
    """Taker buys less sells over the steps of an hour, millions of US dollars."""
    flow = np.zeros(STEPS)
    for i in range(at.size):
        if sign[i] != 0:
            flow[(at[i] - begin) // STEP_US] += 1e-6 * sign[i] * usd[i]
    return flow


@kernel
def _orders(
    at: Integers, sign: Integers, price: Floats, size: Floats
) -> tuple[Integers, Floats, Floats]:
    """Time, signed size and last price of the prints of each moment."""
    times, signed, last = np.empty(at.size, np.int64), np.empty(at.size), np.empty(at.size)
    n = -1
    for i in range(at.size):
        if i == 0 or at[i] > at[i - 1]:
            n += 1
            times[n], signed[n] = at[i], 0.0
        signed[n] += sign[i] * size[i]
        last[n] = price[i]
    return times[: n + 1], signed[: n + 1], last[: n + 1]


@kernel
def _revisions(
    orders: tuple[Integers, Floats, Floats], told: tuple[Integers, Floats, Floats]
) -> tuple[Floats, Floats]:
    """Side of each order that has one, and how the mid moved until just before the next, in bps."""
    times, signed, _ = orders
    quoted, bid, ask = told
    sides, revisions = np.empty(times.size), np.empty(times.size)
    n, q, before = 0, -1, math.nan
    for i in range(times.size):
        if signed[i] == 0.0 or math.isnan(signed[i]):
            continue
        q = last_until(times[i] - 1, quoted, q)
        mid = standing(times[i] - 1, quoted, bid, ask, q, LONGEST_AGE_US)
        if n > 0:
            revisions[n - 1] = BPS * math.log(mid / before)
        sides[n], before = math.copysign(1.0, signed[i]), mid
        n += 1
    return sides[: max(n - 1, 0)], revisions[: max(n - 1, 0)]


@kernel
def _roll(price: Floats) -> tuple[float, float, int]:
    """Spread in basis points, covariance of successive changes, number of changes."""
    n = max(price.size - 1, 0)
    if n < ROLL_MINIMUM:
        return math.nan, math.nan, n
    change = np.empty(n)
    for i in range(n):
        change[i] = BPS * math.log(price[i + 1] / price[i])
    mean, covariance = change.mean(), 0.0
    for i in range(1, n):
        covariance += (change[i] - mean) * (change[i - 1] - mean)
    covariance /= n - 1
    return 2.0 * math.sqrt(-covariance) if covariance < 0.0 else math.nan, covariance, n


@kernel
def _amihud(begin: int, at: Integers, price: Floats, usd: Floats) -> tuple[float, int]:
    """Mean of abs(return of a minute's last price) per volume, and the number of minutes.

    The return is since the last minute with prints, which lies at most five minutes back.
    """
    total, n = 0.0, 0
    last_minute, last_price = -1, math.nan
    i = 0
    while i < at.size:
        minute, volume = at[i] // MINUTE_US, 0.0
        while i < at.size and at[i] // MINUTE_US == minute:
            volume += 1e-6 * usd[i]
            i += 1
        is_near = last_minute >= 0 and minute - last_minute <= LONGEST_PAUSE_MINUTES
        if is_near and minute * MINUTE_US >= begin and volume > 0.0:
            total += abs(BPS * math.log(price[i - 1] / last_price)) / volume
            n += 1
        last_minute, last_price = minute, price[i - 1]
    return total / n if n >= AMIHUD_MINIMUM else math.nan, n
