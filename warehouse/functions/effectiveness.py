"""How much of an exposure's risk does a hedge take away, by the past alone?"""

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MINIMUM = 20  # changes below which there is no ratio, and before which none is tried on the next
MINIMUM_TAIL = 100  # changes below which there is no one per cent quantile
TAIL = 0.01
ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True)
class Effectiveness:
    """One entry per row, of the window that ends with it. NaN is undefined; changes as given."""

    used: Integers  # changes of the window that are known of both
    correlation: Floats
    ratio: Floats  # of minimum variance: covariance over the hedge's variance
    standard_error: Floats  # of ratio, robust to changing variance (White, with n / (n - 2))
    r_squared: Floats
    exposure_deviation: Floats
    residual_deviation: Floats  # of exposure less ratio times hedge
    variance_reduction: Floats  # by ratios of the earlier changes of the window, 1 is all
    tail_low: Floats  # 1 % quantile of the residual
    tail_high: Floats  # 99 %
    shortfall_low: Floats  # mean of the residuals not above tail_low
    shortfall_high: Floats  # mean of those not below tail_high


def rolling(exposure: ArrayLike, hedge: ArrayLike, window: int) -> Effectiveness:
    """Minimum-variance hedges of the last `window` changes, one change per row and NaN if unknown.

    What is undone is tried as a hedger would have to: within the window each change meets the ratio
    of the changes before it, so that no hedge is praised for the moves that chose it.

    Ederington (1979), Journal of Finance 34(1), with the error of White (1980), Econometrica 48(4).
    """
    x, y = np.asarray(hedge, dtype=np.float64), np.asarray(exposure, dtype=np.float64)
    if x.shape != y.shape or window < 1:
        raise ValueError(f"rolling: {y.size} changes, {x.size} of the hedge, window {window}")
    known = np.isfinite(x) & np.isfinite(y)
    before = np.full(window - 1, np.nan)
    views = [
        sliding_window_view(np.concatenate([before, np.where(known, v, np.nan)]), window)
        if x.size
        else np.empty((0, window))
        for v in (y, x)
    ]
    parts = [
        _windows(views[0][i : i + ROWS_AT_ONCE], views[1][i : i + ROWS_AT_ONCE])
        for i in range(0, x.size, ROWS_AT_ONCE)
    ]
    columns = np.concatenate([np.empty((12, 0)), *parts], axis=1)
    return Effectiveness(columns[0].astype(np.int64), *columns[1:])


def _windows(y: Floats, x: Floats) -> Floats:
    """The columns of `Effectiveness` of windows that are rows."""
    known = np.isfinite(x)
    n = known.sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        dx, dy = _centred(x, known, n), _centred(y, known, n)
        xx, yy, xy = (dx * dx).sum(axis=1), (dy * dy).sum(axis=1), (dx * dy).sum(axis=1)
        ratio = xy / xx
        left = np.where(known, dy - ratio[:, None] * dx, 0.0)
        robust = (dx * dx * left * left).sum(axis=1) * n / (n - 2)
        found = [
            xy / np.sqrt(xx * yy),
            ratio,
            np.sqrt(robust) / xx,
            xy * xy / (xx * yy),
            np.sqrt(yy / (n - 1)),
            np.sqrt((left * left).sum(axis=1) / (n - 2)),
            _tried(y, x, known),
        ]
        tails = _tails(np.where(known, left, np.nan), n)
    enough = (n >= MINIMUM) & (xx > 0) & (yy > 0)
    ruled = [np.where(enough, column, np.nan) for column in (*found, *tails)]
    return np.array([n.astype(np.float64), *ruled])


def _centred(values: Floats, known: NDArray[np.bool_], n: Integers) -> Floats:
    mean = np.where(known, values, 0.0).sum(axis=1) / n
    return np.where(known, values - mean[:, None], 0.0)


def _tried(y: Floats, x: Floats, known: NDArray[np.bool_]) -> Floats:
    """Share of variance undone by ratios of earlier changes; NaN below `MINIMUM` tries."""

    def earlier(values: Floats) -> Floats:
        sums = np.cumsum(np.where(known, values, 0.0), axis=1)
        return np.concatenate([np.zeros((len(sums), 1)), sums[:, :-1]], axis=1)

    count, sx, sy = earlier(np.ones_like(x)), earlier(x), earlier(y)
    ratio = (earlier(x * y) - sx * sy / count) / (earlier(x * x) - sx * sx / count)
    is_tried = known & (count >= MINIMUM) & np.isfinite(ratio)
    n = is_tried.sum(axis=1)
    hedged = _centred(np.where(is_tried, y - ratio * x, np.nan), is_tried, n)
    bare = _centred(y, is_tried, n)
    share = 1 - (hedged * hedged).sum(axis=1) / (bare * bare).sum(axis=1)
    return np.where(n >= MINIMUM, share, np.nan)


def _tails(left: Floats, n: Integers) -> list[Floats]:
    """Quantiles and means beyond them, NaN below `MINIMUM_TAIL` changes."""
    ordered = np.sort(left, axis=1)  # NaN comes last
    found = []
    for share in (TAIL, 1 - TAIL):
        place = share * np.maximum(n - 1, 0)
        lower = np.floor(place).astype(np.int64)
        upper = np.minimum(lower + 1, np.maximum(n - 1, 0))
        rows = np.arange(len(left))
        low, high = ordered[rows, lower], ordered[rows, upper]
        found.append(low + (place - lower) * (high - low))
    beyond = [left <= found[0][:, None], left >= found[1][:, None]]
    found += [np.where(b, left, 0.0).sum(axis=1) / b.sum(axis=1) for b in beyond]
    return [np.where(n >= MINIMUM_TAIL, column, np.nan) for column in found]
