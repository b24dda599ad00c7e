"""How does the smile move when the forward does, and which delta follows from it?

Bergomi (2009), "Smile dynamics IV", Risk; Hull & White (2017), "Optimal delta hedging for options",
Journal of Banking & Finance 82. Skew is d iv/dk at k = ln(K/F) = 0; vega is per 1.00 of volatility.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.moments import product, solve
from warehouse.functions.slices import derivatives

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MINIMUM_STEPS = 30


@dataclass(frozen=True, slots=True)
class Stickiness:
    """One per row; NaN with fewer than 30 steps, or where skew times return does not vary.

    `ratio` is 1 where volatility sticks to strikes and 0 where it sticks to moneyness.
    """

    ratio: Floats
    standard_error: Floats
    r_squared: Floats
    steps_used: Integers


@dataclass(frozen=True, slots=True)
class HullWhite:
    """Coefficients a, b, c with their standard errors; NaN with fewer than 30 observations.

    `gain` is 1 - (squared hedge error with them) / (that of Black's delta), in the sample itself.
    """

    coefficients: Floats
    standard_errors: Floats
    gain: float
    observations: int


def skew_stickiness(
    atm_iv: ArrayLike, atm_skew: ArrayLike, forward: ArrayLike, window: int
) -> Stickiness:
    """Slope of changes in at-the-money volatility on (skew before) x (log return of the forward).

    Rows are even steps of one expiry, NaN where missing; a step needs both of its ends, and row t
    uses the `window` steps up to it. With a constant; the standard error is Newey and West's with
    floor(4 (n/100)^(2/9)) lags.
    """
    columns = [np.array(v, dtype=np.float64).ravel() for v in (atm_iv, atm_skew, forward)]
    if len(sizes := {c.size for c in columns}) > 1:
        raise ValueError(f"stickiness: columns of {sorted(sizes)} rows, must be equally long")
    if window < MINIMUM_STEPS:
        raise ValueError(f"stickiness: window of {window} steps, needs {MINIMUM_STEPS}")
    iv, skew, at = columns
    change, move = np.full(iv.size, np.nan), np.full(iv.size, np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        change[1:] = np.diff(iv)
        move[1:] = skew[:-1] * np.diff(np.log(np.where(at > 0.0, at, np.nan)))
    known = np.isfinite(change) & np.isfinite(move)
    (ratio, error, r_squared), used = _stickiness(change, move, known, window)
    return Stickiness(ratio, error, r_squared, used)


def fixed_strike_change(
    strike: ArrayLike,
    params_before: ArrayLike,
    forward_before: ArrayLike,
    t_before: ArrayLike,
    params_after: ArrayLike,
    forward_after: ArrayLike,
    t_after: ArrayLike,
) -> Floats:
    """Change of volatility at a strike between two raw SVI slices, each read at its own ln(K/F).

    `params` are one slice or five rows, which broadcast with the others. NaN where strike, forward,
    time or variance is not above zero.

    >>> fixed_strike_change(9.0, [0.04, 0, 0, 0, 1], 10.0, 1.0, [0.09, 0, 0, 0, 1], 11.0, 1.0)
    array(0.1)
    """
    first, second = (np.asarray(p, dtype=np.float64) for p in (params_before, params_after))
    moved = (forward_before, t_before, forward_after, t_after)
    whole = np.broadcast_arrays(strike, *moved, *first, *second)
    columns = np.array([np.ravel(v) for v in whole], dtype=np.float64)
    slices = columns[5:10].T.copy(), columns[10:].T.copy()
    before = _strike_vols(columns[0], columns[1], columns[2], slices[0])
    after = _strike_vols(columns[0], columns[3], columns[4], slices[1])
    return np.asarray((after - before).reshape(whole[0].shape))


def stickiness_delta(
    delta: ArrayLike,
    vega: ArrayLike,
    forward: ArrayLike,
    atm_skew: ArrayLike,
    slope: ArrayLike,
    ratio: ArrayLike,
) -> Floats:
    """Minimum-variance delta: Black's plus vega times what volatility at the strike does per USD.

    `slope` is d iv/dk at the strike's own k, `ratio` the skew-stickiness ratio: the smile moves
    with the forward and its level by ratio x skew per unit of log return, so a strike's volatility
    by ratio x atm_skew - slope. NaN unless the forward is above zero.

    >>> stickiness_delta(0.5, 100.0, 1000.0, -0.2, -0.2, 1.0)
    array(0.5)
    """
    level = np.asarray(forward, dtype=np.float64)
    with np.errstate(invalid="ignore", divide="ignore"):
        per_usd = (np.multiply(ratio, atm_skew) - slope) / np.where(level > 0.0, level, np.nan)
        return np.asarray(delta + np.multiply(vega, per_usd))


def hull_white_delta(
    delta: ArrayLike,
    vega: ArrayLike,
    forward: ArrayLike,
    t_years: ArrayLike,
    coefficients: ArrayLike,
) -> Floats:
    """Minimum-variance delta: delta + vega/(F sqrt T) (a + b delta + c delta^2).

    NaN unless forward and time are above zero.
    """
    a, b, c = np.asarray(coefficients, dtype=np.float64)
    d, f, t = (np.asarray(v, dtype=np.float64) for v in (delta, forward, t_years))
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = np.where((f > 0.0) & (t > 0.0), f * np.sqrt(t), np.nan)
        return np.asarray(d + vega / scale * (a + d * (b + d * c)))


def hull_white_fit(
    price_change: ArrayLike,
    forward_change: ArrayLike,
    delta: ArrayLike,
    vega: ArrayLike,
    forward: ArrayLike,
    t_years: ArrayLike,
) -> HullWhite:
    """Coefficients that make the hedge errors of past steps least, options of all strikes pooled.

    Prices, delta, vega, forward and time are of the step's beginning; changes are in the currency
    of the prices. Rows with a NaN, or without time or forward, are passed over. Standard errors
    are White's.
    """
    given = (price_change, forward_change, delta, vega, forward, t_years)
    columns = [np.array(v, dtype=np.float64).ravel() for v in given]
    if len(sizes := {c.size for c in columns}) > 1:
        raise ValueError(f"hull white: columns of {sorted(sizes)} rows, must be equally long")
    value, move, d, v, f, t = columns
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        scale = v / np.sqrt(np.where(t > 0.0, t, np.nan)) * move / np.where(f > 0.0, f, np.nan)
        rows = np.array([scale, scale * d, scale * d * d, value - d * move])
    rows = rows[:, np.isfinite(rows).all(axis=0)]
    coefficients, errors, gain = _hull_white(rows)
    return HullWhite(coefficients, errors, gain, rows.shape[1])


@kernel
def _strike_vols(strike: Floats, forward: Floats, t_years: Floats, params: Floats) -> Floats:
    out = np.full(strike.size, math.nan)
    for i in range(strike.size):
        if strike[i] > 0.0 and forward[i] > 0.0 and t_years[i] > 0.0:
            w = derivatives(params[i], math.log(strike[i] / forward[i]))[0]
            if w > 0.0:
                out[i] = math.sqrt(w / t_years[i])
    return out


@kernel
def _stickiness(
    change: Floats, move: Floats, known: NDArray[np.bool_], window: int
) -> tuple[Floats, Integers]:
    out = np.full((3, change.size), math.nan)
    used = np.zeros(change.size, np.int64)
    for t in range(change.size):
        begin = max(t - window + 1, 0)
        steps = begin + np.flatnonzero(known[begin : t + 1])
        used[t] = steps.size
        if steps.size >= MINIMUM_STEPS:
            out[:, t] = _line(move[steps], change[steps])
    return out, used


@kernel
def _line(x: Floats, y: Floats) -> Floats:
    """Slope, its Newey-West error and R squared of y on x with a constant."""
    out = np.full(3, math.nan)
    n = x.size
    around, beside = x - x.mean(), y - y.mean()
    across, spread = product(around, around), product(beside, beside)
    if not across > 1e-24 * n * np.max(np.abs(x)) ** 2 or not across > 0.0:
        return out
    out[0] = product(around, beside) / across
    score = around * (beside - out[0] * around)
    lags = int(4.0 * (n / 100.0) ** (2.0 / 9.0))
    total = product(score, score)
    for lag in range(1, min(lags, n - 1) + 1):
        total += 2.0 * (1.0 - lag / (lags + 1.0)) * product(score[lag:], score[: n - lag])
    out[1] = math.sqrt(max(total, 0.0) * n / (n - 2)) / across
    if spread > 0.0:
        out[2] = out[0] * out[0] * across / spread
    return out


@kernel
def _hull_white(rows: Floats) -> tuple[Floats, Floats, float]:
    slopes, errors = np.full(3, math.nan), np.full(3, math.nan)
    n = rows.shape[1]
    if n < MINIMUM_STEPS:
        return slopes, errors, math.nan
    moment = _products(rows)
    solve(moment, slopes)
    if math.isnan(slopes[0]):
        return slopes, errors, math.nan
    residual = rows[3] - slopes[0] * rows[0] - slopes[1] * rows[1] - slopes[2] * rows[2]
    bread = np.empty((3, 3))
    for j in range(3):
        # Column j of the inverse is the slopes on a variable whose product is 1 with j alone.
        moment[3, :3] = 0.0
        moment[3, j] = 1.0
        solve(moment, bread[j])
    meat = _products(rows[:3] * residual)
    for j in range(3):
        total = 0.0
        for i in range(3):
            for m in range(3):
                total += bread[j, i] * meat[max(i, m), min(i, m)] * bread[j, m]
        errors[j] = math.sqrt(max(total, 0.0) * n / (n - 3))
    black = product(rows[3], rows[3])
    gain = 1.0 - product(residual, residual) / black if black > 0.0 else math.nan
    return slopes, errors, gain


@kernel
def _products(rows: Floats) -> Floats:
    """Sums of products of each two rows, lower half."""
    size = len(rows)
    out = np.zeros((size, size))
    for s in range(rows.shape[1]):
        for j in range(size):
            for i in range(j + 1):
                out[j, i] += rows[j, s] * rows[i, s]
    return out
