"""How is a raw SVI slice fitted to quotes, when some of them may be grossly wrong?

Those that outliers.py finds are left out; the rest gets the search of search.py.
"""

import math

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.outliers import MIN_STRIKES, distinct, trusted
from warehouse.functions.search import best_of_starts
from warehouse.functions.slices import derivatives, minimum_of_g

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

OK, TOO_FEW_STRIKES, NOT_FINITE, NOT_POSITIVE, NO_TIME, NOT_CONVERGED = range(6)


@kernel
def fit_many(
    k: Floats, w: Floats, weight: Floats, offsets: Integers, t_years: Floats
) -> tuple[Floats, NDArray[np.int8], NDArray[np.bool_]]:
    """Row i is fitted to quotes offsets[i]:offsets[i + 1].

    Columns are a, b, rho, m, sigma, rmse_iv, min_g, lee_left, lee_right; NaN where unfittable. The
    flags, one per quote, are of those left out as grossly wrong.
    """
    out = np.full((t_years.size, 9), np.nan)
    status = np.empty(t_years.size, np.int8)
    is_wrong = np.zeros(k.size, np.bool_)
    for i in range(t_years.size):
        part = slice(offsets[i], offsets[i + 1])
        status[i] = fit_one(k[part], w[part], weight[part], t_years[i], out[i], is_wrong[part])
    return out, status, is_wrong


@kernel
def fit_one(
    k: Floats,
    w: Floats,
    weight: Floats,
    t_years: float,
    out: Floats,
    is_wrong: NDArray[np.bool_],
) -> int:
    x, v, scale = np.empty(k.size), np.empty(k.size), np.empty(k.size)
    place = np.empty(k.size, np.int64)
    state, n = gather(k, w, weight, t_years, x, v, scale, place)
    if state != OK:
        return state
    x, v, scale = x[:n], v[:n], scale[:n]
    theta, is_done = best_of_starts(x, v, scale)
    kept = trusted(theta, x, v, scale)
    if not kept.all():
        theta, is_done = best_of_starts(x[kept], v[kept], scale[kept])
    right, left = theta[1], theta[2]
    slope = 0.5 * (right + left)
    out[0], out[1], out[3], out[4] = theta[0], slope, theta[3], math.exp(theta[4])
    out[2] = 0.5 * (right - left) / slope if slope > 0.0 else 0.0
    gap, used = 0.0, 0
    for i in range(n):
        is_wrong[place[i]] = not kept[i]
        if kept[i]:
            model = math.sqrt(max(derivatives(out, x[i])[0], 0.0))
            gap += (model - math.sqrt(v[i])) ** 2
            used += 1
    out[5], out[6] = math.sqrt(gap / used / t_years), minimum_of_g(out)
    out[7], out[8] = left, right
    return OK if is_done else NOT_CONVERGED


@kernel
def gather(
    k: Floats,
    w: Floats,
    weight: Floats,
    t_years: float,
    x: Floats,
    v: Floats,
    scale: Floats,
    place: Integers,
) -> tuple[int, int]:
    """Fill in the quotes with a weight; what is wrong with them, and how many there are.

    Residuals times `scale` are in errors of the quote's own volatility.
    """
    if not 0.0 < t_years < math.inf:
        return NO_TIME, 0
    n = 0
    for i in range(k.size):
        if not math.isfinite(k[i] + w[i] + weight[i]):
            return NOT_FINITE, n
        if weight[i] < 0.0 or (weight[i] > 0.0 and w[i] <= 0.0):
            return NOT_POSITIVE, n
        if weight[i] > 0.0:
            x[n], v[n], place[n] = k[i], w[i], i
            scale[n] = 0.5 * weight[i] / math.sqrt(w[i] * t_years)
            n += 1
    return (OK if distinct(x[:n]) >= MIN_STRIKES else TOO_FEW_STRIKES), n
