"""No-trade bands around a target delta, from the cost of trading and the aversion to risk."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def whalley_wilmott(
    forward: ArrayLike,
    gamma: ArrayLike,
    cost_rate: ArrayLike,
    risk_aversion: ArrayLike,
    t_years: ArrayLike,
    rate: ArrayLike = 0.0,
) -> NDArray[np.float64]:
    """Half width of the band, in units of delta (underlying).

    Arguments broadcast. `gamma` is the netted book's, in coin per USD; `cost_rate` is one way, a
    fraction of the value traded; `risk_aversion` is per USD; `rate` discounts over `t_years`. NaN
    where an argument is NaN, a cost is negative, or the aversion is not above zero.

    Whalley & Wilmott (1997), Mathematical Finance 7(3), equation for small proportional costs.

    >>> whalley_wilmott(60_000, 2e-5, 5e-4, 1e-5, 1.0).round(5)
    np.float64(0.12164)
    """
    cost = np.where(np.less(cost_rate, 0.0), np.nan, cost_rate)
    aversion = np.where(np.greater(risk_aversion, 0.0), risk_aversion, np.nan)
    discount = np.exp(-np.multiply(rate, t_years))
    width: NDArray[np.float64] = np.cbrt(
        1.5 * discount * np.multiply(cost, forward) * np.square(gamma) / aversion
    )
    return width
