"""What is an option worth on its forward, which volatility does a price imply, how does it move?

Black (1976), undiscounted: prices are in the forward's currency. Volatilities are annualised
decimals, `t_years` is ACT/365. Arguments broadcast; data never raises: what is undefined is NaN,
and `implied_vol` says why.
"""

import math
from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.lanes import invert_lanes, normalise
from warehouse.functions.normalised import invert, log_moneyness, undiscounted
from warehouse.functions.sensitivities import in_coin, in_dollars

Floats = NDArray[np.float64]

EPSILON = 2.0**-52
BLOCK = 512  # options at a time, so that what is between stays in the fastest cache


class Status(IntEnum):
    """What came of inverting one price; the volatility is NaN unless `OK`."""

    OK = 0
    BELOW_INTRINSIC = 1
    AT_INTRINSIC = 2
    ABOVE_BOUND = 3
    NO_QUOTE = 4
    EXPIRED = 5
    NOT_FINITE = 6


OK, BELOW_INTRINSIC, AT_INTRINSIC, ABOVE_BOUND, NO_QUOTE, EXPIRED, NOT_FINITE = map(int, Status)


@dataclass(frozen=True, slots=True)
class Greeks:
    """Derivatives of the value of an option on one unit of the underlying; NaN where undefined.

    Vega, vanna and volga are per 1.00 of volatility, theta and charm (the drift of delta) per year
    that passes, rho per 1.00 of the rate with the forward fixed.
    """

    delta: Floats
    gamma: Floats
    vega: Floats
    theta: Floats
    rho: Floats
    vanna: Floats
    volga: Floats
    charm: Floats


def price(
    forward: ArrayLike, strike: ArrayLike, t_years: ArrayLike, vol: ArrayLike, is_call: ArrayLike
) -> Floats:
    """Undiscounted price; the intrinsic value where vol or time is zero.

    NaN unless forward and strike are above zero, vol and time at least zero, and all four finite.

    >>> price(100.0, 100.0, 1.0, 0.2, True).round(6)
    np.float64(7.965567)
    """
    (f, k, t, v, call), shape = _flat((forward, strike, t_years, vol), is_call)
    return _prices(f, k, t, v, call).reshape(shape)


def implied_vol(
    price: ArrayLike, forward: ArrayLike, strike: ArrayLike, t_years: ArrayLike, is_call: ArrayLike
) -> tuple[Floats, NDArray[np.int8]]:
    """Annualised volatility and `Status` of each undiscounted price.

    A price of zero or NaN is `NO_QUOTE`; one within a rounding error of the intrinsic value of an
    in-the-money option is `AT_INTRINSIC`, since its volatility would be noise. Forward and strike
    must be finite and above zero, else `NOT_FINITE`.

    >>> implied_vol(7.965567455405804, 100.0, 100.0, 1.0, True)[0].round(12)
    np.float64(0.2)
    """
    (p, f, k, t, call), shape = _flat((price, forward, strike, t_years), is_call)
    vol, status = _implied_vols(p, f, k, t, call)
    return vol.reshape(shape), status.reshape(shape)


def greeks(
    forward: ArrayLike, strike: ArrayLike, t_years: ArrayLike, vol: ArrayLike, is_call: ArrayLike
) -> Greeks:
    """Of the value in dollars; NaN at zero vol or time, where greeks jump.

    >>> greeks(100.0, 100.0, 1.0, 0.2, True).delta.round(6)
    np.float64(0.539828)
    """
    (f, k, t, v, call), shape = _flat((forward, strike, t_years, vol), is_call)
    return Greeks(*(row.reshape(shape) for row in in_dollars(f, k, t, v, call)))


def coin_greeks(
    forward: ArrayLike, strike: ArrayLike, t_years: ArrayLike, vol: ArrayLike, is_call: ArrayLike
) -> Greeks:
    """Of the value in coin V/F, premium-adjusted: what a holder who counts in coin is exposed to.

    Delta is F d(V/F)/dF = delta - V/F, the units of underlying that hedge the coin value; gamma is
    its slope, gamma - delta/F + V/F^2; vanna and charm are its other slopes. Vega, theta, rho and
    volga are those in dollars over F.

    >>> coin_greeks(100.0, 100.0, 1.0, 0.2, True).delta.round(6)
    np.float64(0.460172)
    """
    (f, k, t, v, call), shape = _flat((forward, strike, t_years, vol), is_call)
    return Greeks(*(row.reshape(shape) for row in in_coin(f, k, t, v, call)))


def _flat(
    numbers: tuple[ArrayLike, ...], is_call: ArrayLike
) -> tuple[list[NDArray[Any]], tuple[int, ...]]:
    arrays = [np.asarray(a, dtype=np.float64) for a in numbers]
    whole = np.broadcast_arrays(*arrays, np.asarray(is_call, dtype=np.bool_))
    # Copies: numba compiles a kernel anew for each pattern of read-only or strided arguments.
    return [a.flatten() for a in whole], whole[0].shape


@kernel
def status_of(price: float, forward: float, strike: float, t_years: float, is_call: bool) -> int:
    """Why a price has no volatility, or `OK`."""
    if not (0.0 < forward < math.inf and 0.0 < strike < math.inf and abs(t_years) < math.inf):
        return NOT_FINITE
    if t_years <= 0.0:
        return EXPIRED
    if price == 0.0 or math.isnan(price):
        return NO_QUOTE
    if math.isinf(price):
        return NOT_FINITE
    intrinsic = max(forward - strike, 0.0) if is_call else max(strike - forward, 0.0)
    bound = forward if is_call else strike
    noise = EPSILON * max(forward, strike) if intrinsic > 0.0 else 0.0
    if price < intrinsic - noise:
        return BELOW_INTRINSIC
    if price <= intrinsic + noise:
        return AT_INTRINSIC
    return ABOVE_BOUND if price >= bound * (1.0 - EPSILON) else OK


@kernel
def _implied_vols(
    price: Floats,
    forward: Floats,
    strike: Floats,
    t_years: Floats,
    is_call: NDArray[np.bool_],
) -> tuple[Floats, NDArray[np.int8]]:
    vol, status = np.empty(price.size), np.empty(price.size, np.int8)
    x, b, lack = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for first in range(0, price.size, BLOCK):
        n = min(BLOCK, price.size - first)
        here = slice(first, first + n)
        normalise(price[here], forward[here], strike[here], is_call[here], x[:n], b[:n], lack[:n])
        invert_lanes(x[:n], b[:n], lack[:n], vol[here])
        for i in range(n):
            j = first + i
            status[j] = status_of(price[j], forward[j], strike[j], t_years[j], is_call[j])
            if status[j] != OK:
                vol[j] = math.nan
                continue
            if math.isnan(vol[j]):
                vol[j] = invert(-abs(log_moneyness(forward[j], strike[j])), b[i], lack[i])
            vol[j] /= math.sqrt(t_years[j])
            if not 0.0 < vol[j] < math.inf:
                vol[j], status[j] = math.nan, NOT_FINITE
    return vol, status


@kernel
def _prices(
    forward: Floats, strike: Floats, t_years: Floats, vol: Floats, is_call: NDArray[np.bool_]
) -> Floats:
    out = np.empty(forward.size)
    for i in range(forward.size):
        f, k = forward[i], strike[i]
        s = vol[i] * math.sqrt(t_years[i])
        if not (
            0.0 < f < math.inf and 0.0 < k < math.inf and 0.0 <= s < math.inf and vol[i] >= 0.0
        ):
            out[i] = math.nan
            continue
        out[i] = undiscounted(f, k, s, is_call[i])
    return out
