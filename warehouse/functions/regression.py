"""Which line fits best, and how sure is its slope when errors hang together in time?

The Newey-West error of a few hundred steps is too small twice: a step with much flow pulls the line
towards itself, so that its residual is too small, and the variance is itself estimated. The
interval mends both. It takes, instead of each step's score, what leaving the step out changes (the
jackknife of MacKinnon & White 1985, Journal of Econometrics 29), under the same Bartlett weights,
and instead of 1.96 the critical value for a window that is a share of the sample (Kiefer &
Vogelsang 2005, Econometric Theory 21).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]
# Below this share of its column a pivot is rounding: the columns are not independent.
SMALLEST_PIVOT = 1e-10
# A step that decides the slope alone leaves no more than rounding to the others.
LEAST_LEFT = 1e-10
# Their critical value at 95 %: a cubic in the share of the sample that Bartlett weights reach. Its
# figures were not compared with the printed table, but with 200,000 samples of white noise: 2.010
# beside 2.002 at 360 steps, 2.109 beside 2.100 at 100.
CRITICAL = (1.9600, 2.9694, 0.4160, -0.5324)


@dataclass(frozen=True, slots=True)
class Slope:
    """Slope, its Newey-West standard error and 95 % interval; NaN where `x` does not vary.

    The interval is not the slope plus or minus 1.96 errors but wider: the module says by what. It
    is NaN where one step alone decides the slope.
    """

    slope: float
    standard_error: float
    low: float
    high: float
    r_squared: float
    n: int


def slope(x: ArrayLike, y: ArrayLike) -> Slope:
    """Least squares of y on x and a constant, over steps of equal length.

    A step where either is NaN is left out of the fit and keeps its place in time. Newey & West
    (1987), Econometrica 55: Bartlett weights, floor(4 (n/100)^(2/9)) lags, no correction for small
    samples. ValueError where the lengths differ.

    >>> slope([0, 1, 2], [1, 3, 5]).slope
    2.0
    """
    a, b = np.array(x, dtype=np.float64), np.array(y, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"slope: x of shape {a.shape}, y of shape {b.shape}")
    return Slope(*slope_of(a, b))


@kernel
def slope_of(x: Floats, y: Floats) -> tuple[float, float, float, float, float, int]:
    """Slope, standard error, both ends of the interval, R2 and number of steps that count."""
    n, mean_x, mean_y = 0, 0.0, 0.0
    for i in range(x.size):
        if not math.isnan(x[i] + y[i]):
            n += 1
            mean_x += (x[i] - mean_x) / n
            mean_y += (y[i] - mean_y) / n
    xx, xy, yy = 0.0, 0.0, 0.0
    for i in range(x.size):
        if not math.isnan(x[i] + y[i]):
            xx += (x[i] - mean_x) * (x[i] - mean_x)
            xy += (x[i] - mean_x) * (y[i] - mean_y)
            yy += (y[i] - mean_y) * (y[i] - mean_y)
    if n < 2 or not xx > 0.0:
        return math.nan, math.nan, math.nan, math.nan, math.nan, n
    fit = xy / xx
    score, change, least_left = np.zeros(x.size), np.zeros(x.size), 1.0
    for i in range(x.size):
        if not math.isnan(x[i] + y[i]):
            from_mean = x[i] - mean_x
            left = 1.0 - 1.0 / n - from_mean * from_mean / xx
            least_left = min(least_left, left)
            score[i] = from_mean * (y[i] - mean_y - fit * from_mean)
            change[i] = score[i] / max(left, LEAST_LEFT)
    r_squared = fit * xy / yy if yy > 0.0 else math.nan
    half = critical(n) * math.sqrt(max(long_run(change, n), 0.0)) / xx
    if least_left <= LEAST_LEFT:
        half = math.nan
    error = math.sqrt(max(long_run(score, n), 0.0)) / xx
    return fit, error, fit - half, fit + half, r_squared, n


@kernel
def long_run(score: Floats, n: int) -> float:
    """Bartlett-weighted sum of the products of scores up to the lag that `n` of them call for."""
    lags = lags_of(n)
    total = 0.0
    for lag in range(lags + 1):
        weight = 1.0 - lag / (lags + 1.0)
        products = 0.0
        for i in range(lag, score.size):
            products += score[i] * score[i - lag]
        total += (weight if lag == 0 else 2.0 * weight) * products
    return total


@kernel
def lags_of(n: int) -> int:
    """Lags that Newey and West's rule gives `n` steps."""
    return int(4.0 * (n / 100.0) ** (2.0 / 9.0))


@kernel
def critical(n: int) -> float:
    """How many errors a 95 % interval reaches to each side when the error is itself estimated."""
    b = (lags_of(n) + 1.0) / n
    return CRITICAL[0] + b * (CRITICAL[1] + b * (CRITICAL[2] + b * CRITICAL[3]))


@kernel
def solve(matrix: Floats, x: Floats) -> bool:
    """Overwrite x by the solution of the normal equations; false where columns are not independent.

    Only the lower half of the symmetric matrix is read; it is used up.
    """
    n = x.size
    for a in range(n):
        scale = matrix[a, a]
        for b in range(a + 1):
            v = matrix[a, b]
            for c in range(b):
                v -= matrix[a, c] * matrix[b, c]
            if b < a:
                matrix[a, b] = v / matrix[b, b]
            elif not v > SMALLEST_PIVOT * scale:
                return False
            else:
                matrix[a, a] = math.sqrt(v)
        for c in range(a):
            x[a] -= matrix[a, c] * x[c]
        x[a] /= matrix[a, a]
    for a in range(n - 1, -1, -1):
        for c in range(a + 1, n):
            x[a] -= matrix[c, a] * x[c]
        x[a] /= matrix[a, a]
    return True
