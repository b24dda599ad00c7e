"""What does a curve of dated contracts say at constant tenors?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

CURVED, OFFSET = 3, 4  # contracts from which a curvature, and beside it a level, can be fitted


@dataclass(frozen=True, slots=True)
class Tenors:
    """One entry per curve and tenor. Rates are continuously compounded, annualised decimals.

    Of the curve's own columns every tenor repeats the same value. NaN is undefined.
    """

    rate: Floats  # NaN outside the listed tenors
    fit_rate: Floats  # of the smooth fit, inside the listed tenors
    near_years: Floats  # of the contracts on either side; equal where one stands at the tenor
    far_years: Floats
    contracts_used: Integers  # 0, 1 or 2 of them make the rate
    contracts_listed: Integers
    fit_error: Floats  # of a contract's log ratio about the fit, with the fit's freedom taken off
    leave_one_out_error: Floats  # root mean square of log ratios against their neighbours
    level: Floats  # log ratio of the fit at no time at all; NaN below four contracts


def constant(t_years: Floats, log_ratio: Floats, offsets: Integers, tenors: Floats) -> Tenors:
    """Rates at `tenors` (years) of curves of ln(forward / spot) at `t_years`, laid end to end.

    The curve of row i is `offsets[i]` to `offsets[i + 1]`, in any order; contracts without time or
    ratio do not count, and of two at the same time the mean does. Between contracts the log ratio
    is linear in time, which is a flat forward rate; beyond them there is nothing. The smooth fit is
    by least squares: a t + b t^2, from four contracts on with a level besides, since a spot that is
    stale or of another market lifts all log ratios alike.

    >>> found = constant(np.array([0.1, 0.3]), np.array([0.01, 0.05]), np.array([0, 2]),
    ...     np.array([0.2, 0.4]))
    >>> found.rate.round(6)
    array([0.15,  nan])
    """
    rows = _constant(
        np.asarray(t_years, dtype=np.float64),
        np.asarray(log_ratio, dtype=np.float64),
        np.asarray(offsets, dtype=np.int64),
        np.asarray(tenors, dtype=np.float64),
    )
    rate, fit_rate, near, far, used, listed, error, left_out, level = rows.T
    counts = (used.astype(np.int64), listed.astype(np.int64))
    return Tenors(rate, fit_rate, near, far, *counts, error, left_out, level)


@kernel
def _constant(t_years: Floats, log_ratio: Floats, offsets: Integers, tenors: Floats) -> Floats:
    out = np.full(((offsets.size - 1) * tenors.size, 9), np.nan)
    for row in range(offsets.size - 1):
        first, last = offsets[row], offsets[row + 1]
        t, x = _curve(t_years[first:last], log_ratio[first:last])
        fit, error = _fit(t, x)
        left_out = _left_out(t, x)
        for j in range(tenors.size):
            line = out[row * tenors.size + j]
            line[4], line[5] = 0, t.size
            line[6], line[7] = error, left_out
            if t.size >= OFFSET:
                line[8] = fit[0]
            _at(t, x, fit, tenors[j], line)
    return out


@kernel
def _curve(t_years: Floats, log_ratio: Floats) -> tuple[Floats, Floats]:
    """The contracts that count, in the order of their times, each time once."""
    t, x, weight = np.empty(t_years.size), np.empty(t_years.size), np.zeros(t_years.size)
    n = 0
    for i in range(t_years.size):
        if not (t_years[i] > 0 and np.isfinite(t_years[i]) and np.isfinite(log_ratio[i])):
            continue
        place = n
        while place > 0 and t[place - 1] > t_years[i]:
            place -= 1
        if place > 0 and t[place - 1] == t_years[i]:
            weight[place - 1] += 1
            x[place - 1] += (log_ratio[i] - x[place - 1]) / weight[place - 1]
            continue
        for j in range(n, place, -1):
            t[j], x[j], weight[j] = t[j - 1], x[j - 1], weight[j - 1]
        t[place], x[place], weight[place] = t_years[i], log_ratio[i], 1
        n += 1
    return t[:n], x[:n]


@kernel
def _at(t: Floats, x: Floats, fit: Floats, tenor: float, line: Floats) -> None:
    """Rate, fitted rate, neighbours and their number at one tenor."""
    if not tenor > 0 or t.size == 0 or tenor < t[0] or tenor > t[-1]:
        return
    far = np.searchsorted(t, tenor)
    near = far if t[far] == tenor else far - 1
    share = (tenor - t[near]) / (t[far] - t[near]) if far > near else 0.0
    line[0] = (x[near] + share * (x[far] - x[near])) / tenor
    line[1] = (fit[0] + fit[1] * tenor + fit[2] * tenor * tenor) / tenor
    line[2], line[3] = t[near], t[far]
    line[4] = far - near + 1


@kernel
def _left_out(t: Floats, x: Floats) -> float:
    """How far contracts lie from the line between their neighbours; NaN below three."""
    if t.size < CURVED:
        return np.nan
    total = 0.0
    for i in range(1, t.size - 1):
        share = (t[i] - t[i - 1]) / (t[i + 1] - t[i - 1])
        total += (x[i] - x[i - 1] - share * (x[i + 1] - x[i - 1])) ** 2
    return float(np.sqrt(total / (t.size - 2)))


@kernel
def _fit(t: Floats, x: Floats) -> tuple[Floats, float]:
    """Level, slope and curvature by least squares, and the error of a contract about them."""
    coefficients = np.full(3, np.nan)
    if t.size < CURVED:
        return coefficients, np.nan
    first = 0 if t.size >= OFFSET else 1
    scale = t[-1]  # for numbers of one size in the normal equations
    size = 3 - first
    matrix, right = np.zeros((size, size)), np.zeros(size)
    for i in range(t.size):
        u = t[i] / scale
        for a in range(size):
            right[a] += u ** (a + first) * x[i]
            for b in range(size):
                matrix[a, b] += u ** (a + b + 2 * first)
    solved = _solved(matrix, right)
    coefficients[0] = 0.0
    for a in range(size):
        coefficients[a + first] = solved[a] / scale ** (a + first)
    total = 0.0
    for i in range(t.size):
        total += (
            x[i] - coefficients[0] - coefficients[1] * t[i] - coefficients[2] * t[i] ** 2
        ) ** 2
    return coefficients, float(np.sqrt(total / (t.size - size)))


@kernel
def _solved(matrix: Floats, right: Floats) -> Floats:
    """A small symmetric positive definite system by elimination, which needs no LAPACK."""
    a, b = matrix.copy(), right.copy()
    n = b.size
    for i in range(n):
        for j in range(i + 1, n):
            factor = a[j, i] / a[i, i]
            for k in range(i, n):
                a[j, k] -= factor * a[i, k]
            b[j] -= factor * b[i]
    for i in range(n - 1, -1, -1):
        for k in range(i + 1, n):
            b[i] -= a[i, k] * b[k]
        b[i] /= a[i, i]
    return b
