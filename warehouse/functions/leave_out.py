"""What does a raw SVI slice say of a strike when the quotes at that strike are left out of its fit?

The fit goes on from the slice of all quotes, which is near: a few steps of search.py's search.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.outliers import MIN_STRIKES, distinct, wrong_many
from warehouse.functions.search import STEEPEST, damped_solve, descend, normal_equations
from warehouse.functions.slices import derivatives

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One value per quote, NaN where too few strikes are left or there is no slice.

    `error_iv` is the standard error of `iv` from how far the other quotes lie off their own fit,
    NaN where they are no more than the parameters. `is_inside`: the others reach on both sides.
    `is_outlier`: outliers.py leaves it out of every fit.
    """

    iv: Floats
    error_iv: Floats
    quotes_left: Integers
    is_inside: NDArray[np.bool_]
    is_outlier: NDArray[np.bool_]


def left_out(
    params: ArrayLike,
    t_years: ArrayLike,
    k: ArrayLike,
    total_variance: ArrayLike,
    weight: ArrayLike,
    offsets: ArrayLike,
) -> LeftOut:
    """Slice i (column i of `params`: a, b, rho, m, sigma) has quotes offsets[i] to offsets[i + 1].

    Quotes and weights are as in `svi.fit`: a weight of zero is not fitted, yet has its strike left
    out like any other, and so do quotes that are grossly wrong. Quotes of one k should be
    neighbours: they share one fit. ValueError where offsets do not cut the quotes.
    """
    rows = np.atleast_2d(np.array(params, dtype=np.float64)).T.copy()
    times = np.array(t_years, dtype=np.float64).ravel()
    x, w, q = (np.array(v, dtype=np.float64).ravel() for v in (k, total_variance, weight))
    ends = np.array(offsets, dtype=np.int64)
    if not (x.size == w.size == q.size == ends[-1] and rows.shape == (ends.size - 1, 5)):
        raise ValueError(f"left out: offsets do not cut {x.size} quotes of {rows.shape[0]} slices")
    wrong = wrong_many(rows, times, x, w, q, ends)
    q[wrong] = 0.0
    numbers, counts = _left_out(rows, times, x, w, q, ends)
    return LeftOut(numbers[:, 0], numbers[:, 1], counts[:, 0], counts[:, 1] > 0, wrong)


@kernel
def _left_out(
    params: Floats, t_years: Floats, k: Floats, w: Floats, weight: Floats, ends: Integers
) -> tuple[Floats, Integers]:
    numbers = np.full((k.size, 2), math.nan)
    counts = np.zeros((k.size, 2), np.int64)
    for i in range(t_years.size):
        if not (np.isfinite(params[i]).all() and 0.0 < t_years[i] < math.inf):
            continue
        for j in range(ends[i], ends[i + 1]):
            if j > ends[i] and k[j] == k[j - 1]:
                numbers[j], counts[j] = numbers[j - 1], counts[j - 1]
                continue
            quotes = slice(ends[i], ends[i + 1])
            left, variance, scale = others(k[quotes], w[quotes], weight[quotes], k[j])
            counts[j, 0] = left.size
            if distinct(left) < MIN_STRIKES:
                continue
            counts[j, 1] = left.min() < k[j] < left.max()
            has_all = left.size == np.count_nonzero(weight[quotes] > 0.0)
            level, error = read(params[i], left, variance, scale, k[j], has_all)
            iv = math.sqrt(level / t_years[i])
            numbers[j, 0], numbers[j, 1] = iv, error / (2.0 * iv * t_years[i])
    return numbers, counts


@kernel
def others(k: Floats, w: Floats, weight: Floats, at: float) -> tuple[Floats, Floats, Floats]:
    """Log-moneyness, variance and scale of the quotes with a weight at other strikes."""
    x, v, scale = np.empty(k.size), np.empty(k.size), np.empty(k.size)
    n = 0
    for i in range(k.size):
        if k[i] != at and weight[i] > 0.0 and w[i] > 0.0 and math.isfinite(k[i] + w[i] + weight[i]):
            x[n], v[n], scale[n] = k[i], w[i], weight[i] / math.sqrt(w[i])
            n += 1
    return x[:n], v[:n], scale[:n]


@kernel
def read(
    p: Floats, k: Floats, w: Floats, scale: Floats, at: float, has_all: bool
) -> tuple[float, float]:
    """Total variance at `at` of the slice fitted to these quotes, and its standard error.

    Where the slice was fitted to all of them (`has_all`) it is that slice.
    """
    theta = np.array(
        [p[0], p[1] * (1.0 + p[2]), p[1] * (1.0 - p[2]), p[3], math.log(max(p[4], 1e-12))]
    )
    if not has_all:
        first, last, floor = k.min(), k.max(), 1e-4 * w.min()
        width = last - first
        low = np.array([-math.inf, 0.0, 0.0, first - width, math.log(1e-3 * width)])
        high = np.array([math.inf, STEEPEST, STEEPEST, last + width, math.log(10.0 * width)])
        theta[3] = min(max(theta[3], low[3]), high[3])
        theta[4] = min(max(theta[4], low[4]), high[4])
        descend(theta, k, w, scale, low, high, floor)
    found = np.array([theta[0], 0.5 * (theta[1] + theta[2]), 0.0, theta[3], math.exp(theta[4])])
    found[2] = 0.5 * (theta[1] - theta[2]) / found[1] if found[1] > 0.0 else 0.0
    return derivatives(found, at)[0], error_at(theta, k, w, scale, at)


@kernel
def error_at(theta: Floats, k: Floats, w: Floats, scale: Floats, at: float) -> float:
    """Standard error of total variance at `at`: the gradient through the inverse of J'J."""
    if k.size <= 5:
        return math.nan
    curvature, gradient = np.zeros((5, 5)), np.empty(5)
    cost = normal_equations(theta, k, w, scale, curvature, gradient)
    z, variance = at - theta[3], math.exp(2.0 * theta[4])
    half, tilt = 0.5 * (theta[1] + theta[2]), 0.5 * (theta[1] - theta[2])
    r = math.sqrt(z * z + variance)
    slope = np.array(
        [1.0, 0.5 * (r + z), 0.5 * (r - z), -(tilt + half * z / r), half * variance / r]
    )
    step = slope.copy()
    damped_solve(curvature, 1e-9, step)
    total = 0.0
    for i in range(5):
        total += slope[i] * step[i]
    return math.sqrt(max(total, 0.0) * cost / (k.size - 5))
