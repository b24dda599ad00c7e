"""Which variance comes next, by what the past alone can tell, and how well was that told so far?

Corsi (2009), "A simple approximate long-memory model of realized volatility", Journal of Financial
Econometrics 7(2), beside an exponential and a naive mean. Series are realised variances on even
steps, NaN where missing; a forecast in row t uses rows up to t and is of the mean per step over
the `horizon` steps after it.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.moments import solve

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

COMPLETE_SHARE = 0.9  # of the steps of a mean must be there
MINIMUM_LOSSES = 30


def targets(variance: ArrayLike, horizon: int) -> Floats:
    """What row t's forecast is of: the mean of the next `horizon` rows, known in row t + horizon.

    NaN where fewer than 90 % of them are there or the window has not closed.

    >>> targets([1.0, 2.0, 4.0, 6.0], 2)
    array([ 3.,  5., nan, nan])
    """
    x = _series("targets", variance)
    _whole("targets", "horizon", horizon)
    out = np.full(x.size, np.nan)
    out[: max(x.size - horizon, 0)] = trailing_means(x, horizon)[horizon:]
    return out


def naive(variance: ArrayLike, horizon: int) -> Floats:
    """The next `horizon` steps will be as the last were; NaN with less than 90 % of them.

    >>> naive([1.0, 2.0, 4.0], 2)
    array([nan, 1.5, 3. ])
    """
    x = _series("naive", variance)
    _whole("naive", "horizon", horizon)
    return trailing_means(x, horizon)


def ewma(variance: ArrayLike, half_life: float) -> Floats:
    """Mean of the past with weights that halve every `half_life` steps; a missing step ages it.

    Weights sum to one from the first row on. RiskMetrics' daily 0.94 is a half-life of 11.2 days.

    >>> ewma([1.0, 4.0], 1.0).round(12)
    array([1., 3.])
    """
    x = _series("ewma", variance)
    if not 0.0 < half_life < math.inf:
        raise ValueError(f"ewma: half-life of {half_life} steps")
    return _ewma(x, 0.5 ** (1.0 / half_life))


def har(
    variance: ArrayLike,
    horizon: int,
    lags: tuple[int, ...] = (24, 168, 720),
    window: int = 8760,
    minimum: int = 100,
    is_log: bool = True,
    begin: int = 0,
) -> Floats:
    """Least squares of the next `horizon` steps on the means of the last `lags` steps.

    Refitted in every row from `begin` on over the last `window` rows whose target has closed, of
    which `minimum` must be complete. In logs by default, with half the residual variance added
    before taking the exponential; in levels NaN where the forecast is not above zero. Means are
    missing with less than 90 % of their steps.
    """
    x = _series("har", variance)
    _whole("har", "horizon", horizon)
    if not lags or list(lags) != sorted(set(lags)) or lags[0] < 1:
        raise ValueError(f"har: lags {lags}, must ascend from 1 or more")
    if minimum < len(lags) + 2 or window < minimum:
        raise ValueError(f"har: at least {minimum} of {window} rows for {len(lags)} lags")
    columns = np.array([*(trailing_means(x, n) for n in lags), targets(x, horizon)])
    with np.errstate(invalid="ignore", divide="ignore"):
        rows = np.log(np.where(columns > 0.0, columns, np.nan)) if is_log else columns
    found = _har(rows, horizon, window, minimum, is_log, max(begin, 0))
    return np.where(found > 0.0, found, np.nan)


def qlike(target: ArrayLike, forecast: ArrayLike) -> Floats:
    """Loss target/forecast - ln(target/forecast) - 1; NaN unless both are above zero.

    Patton (2011), Journal of Econometrics 160(1): it ranks forecasts right even where the target is
    measured with noise.
    """
    t, f = np.asarray(target, dtype=np.float64), np.asarray(forecast, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        ratio = np.where((t > 0.0) & (f > 0.0), t / f, np.nan)
        return np.asarray(ratio - np.log(ratio) - 1.0)


def trailing_loss(variance: ArrayLike, forecast: ArrayLike, horizon: int, window: int) -> Floats:
    """Mean QLIKE of the forecasts of the last `window` rows whose target has closed by row t.

    NaN with fewer than 30 of them.
    """
    x, f = _series("trailing loss", variance), _series("trailing loss", forecast)
    if x.size != f.size:
        raise ValueError(f"trailing loss: {x.size} variances, {f.size} forecasts")
    _whole("trailing loss", "window", window)
    loss = qlike(targets(x, horizon), f)
    closed = np.full(x.size, np.nan)
    closed[horizon:] = loss[: max(x.size - horizon, 0)]
    return _means(closed, window, MINIMUM_LOSSES)


def trailing_means(x: Floats, length: int) -> Floats:
    """Mean of the last `length` rows; NaN before them or with less than 90 % of them present."""
    out = _means(x, length, math.ceil(COMPLETE_SHARE * length))
    out[: length - 1] = np.nan
    return out


def _series(name: str, values: ArrayLike) -> Floats:
    x = np.array(values, dtype=np.float64)
    if x.ndim != 1:
        raise ValueError(f"{name}: series of shape {x.shape}")
    if (x < 0.0).any():
        raise ValueError(f"{name}: variance of {x[x < 0.0][0]}")
    return np.where(np.isfinite(x), x, np.nan)


def _whole(name: str, what: str, value: int) -> None:
    if value < 1:
        raise ValueError(f"{name}: {what} of {value} rows")


@kernel
def _means(x: Floats, length: int, minimum: int) -> Floats:
    # Each row adds up its own window: the result does not depend on where the series begins.
    out = np.full(x.size, math.nan)
    for t in range(x.size):
        total, count = 0.0, 0
        for s in range(max(t - length + 1, 0), t + 1):
            if not math.isnan(x[s]):
                total += x[s]
                count += 1
        if count >= minimum:
            out[t] = total / count
    return out


@kernel
def _ewma(x: Floats, decay: float) -> Floats:
    out = np.full(x.size, math.nan)
    total, weight = 0.0, 0.0
    for t in range(x.size):
        total *= decay
        weight *= decay
        if not math.isnan(x[t]):
            total += x[t]
            weight += 1.0
        if weight > 0.0:
            out[t] = total / weight
    return out


@kernel
def _har(rows: Floats, horizon: int, window: int, minimum: int, is_log: bool, begin: int) -> Floats:
    lags = len(rows) - 1
    count = rows.shape[1]
    complete = np.ones(count, np.bool_)
    for t in range(count):
        for j in range(lags + 1):
            complete[t] &= not math.isnan(rows[j, t])
    out = np.full(count, math.nan)
    for t in range(begin, count):
        last = t - horizon
        first = max(last - window + 1, 0)
        mean, slopes, noise = _fit(rows, complete, first, last + 1, minimum)
        value = mean[lags]
        for j in range(lags):
            value += slopes[j] * (rows[j, t] - mean[j])
        out[t] = math.exp(value + 0.5 * noise) if is_log else value
    return out


@kernel
def _fit(
    rows: Floats, complete: NDArray[np.bool_], first: int, end: int, minimum: int
) -> tuple[Floats, Floats, float]:
    """Means of regressors and target, slopes, residual variance; NaN where they are not found."""
    size = len(rows)
    mean, slopes = np.full(size, math.nan), np.full(size - 1, math.nan)
    used = first + np.flatnonzero(complete[first : max(end, first)])
    if used.size < minimum:
        return mean, slopes, math.nan
    for j in range(size):
        mean[j] = rows[j][used].mean()
    moment = np.zeros((size, size))
    for s in used:
        for j in range(size):
            for i in range(j + 1):
                moment[j, i] += (rows[j, s] - mean[j]) * (rows[i, s] - mean[i])
    solve(moment, slopes)
    noise = moment[size - 1, size - 1]
    for j in range(size - 1):
        noise -= slopes[j] * moment[size - 1, j]
    return mean, slopes, max(noise, 0.0) / (used.size - size)
