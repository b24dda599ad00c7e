"""How likely is a shock in the next step, by what the past alone can tell?

The forecast that any model must beat is the base rate, the share of outcomes so far that were
shocks. One logistic model for all series tilts it by features, with no tilt to begin with, and is
updated after every outcome: an online Laplace approximation (Spiegelhalter and Lauritzen 1990,
"Sequential updating of conditional probabilities on directed graphical structures", Networks 20)
with a normal prior, which is a Kalman step on the logit.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

MINIMUM_OUTCOMES = 30
PRIOR_SLOPE = 0.25  # variance of a slope per standard deviation of its feature
PRIOR_LEVEL = 0.05  # and of what is added to the logit of the base rate
FURTHEST = 4.0  # standard deviations that a feature may count


@dataclass(frozen=True, slots=True)
class Forecasts:
    """One entry per row; NaN before 30 outcomes were known.

    `brier` and `naive_brier` are mean squared errors of the forecasts whose outcome is known in the
    row, `scored` how many those are.
    """

    probability: Floats
    base_rate: Floats
    brier: Floats
    naive_brier: Floats
    scored: Integers


def forecast(
    step: ArrayLike, previous: ArrayLike, is_shock: ArrayLike, features: ArrayLike
) -> Forecasts:
    """The probability of a shock in the step after each row.

    `step` ascends and counts steps; `previous` is the row of the same series in the step before, -1
    where there is none; `is_shock` whether this step had one, which is the outcome of the forecast
    in that row. `features` are one row per feature, NaN counts as average. Rows of a step are all
    scored and learnt from before any of them is forecast. Raises ValueError where they disagree.
    """
    t, before = np.asarray(step, dtype=np.int64), np.asarray(previous, dtype=np.int64)
    y, x = np.asarray(is_shock, dtype=np.bool_), np.asarray(features, dtype=np.float64)
    if not t.shape == before.shape == y.shape == x.shape[1:] or x.ndim != 2:
        raise ValueError(f"shocks: shapes {t.shape}, {before.shape}, {y.shape}, {x.shape}")
    if (np.diff(t) < 0).any():
        raise ValueError("shocks: steps must ascend")
    known = before >= 0
    if (before >= t.size).any() or (t[before[known]] != t[known] - 1).any():
        raise ValueError("shocks: a row before is not of the step before")
    n = t.size
    probability, base_rate, brier, naive = np.full((4, n), np.nan)
    scored = np.zeros(n, dtype=np.int64)
    z = standardised(t, np.ascontiguousarray(x.T))
    _forecast(t, before, y.astype(np.float64), z, probability, base_rate, brier, naive, scored)
    return Forecasts(probability, base_rate, brier, naive, scored)


@kernel
def standardised(step: Integers, x: Floats) -> Floats:
    """Features in standard deviations of those of earlier steps, and a column of ones."""
    n, k = x.shape
    z = np.ones((n, k + 1))
    mean, square, seen = np.zeros(k), np.zeros(k), np.zeros(k)
    first = 0  # of the rows of this step, which none of them has seen
    for i in range(n):
        while step[first] < step[i]:
            for j in range(k):
                if not np.isnan(x[first, j]):
                    seen[j] += 1.0
                    moved = x[first, j] - mean[j]
                    mean[j] += moved / seen[j]
                    square[j] += moved * (x[first, j] - mean[j])
            first += 1
        for j in range(k):
            z[i, j] = standard(x[i, j], mean[j], square[j], seen[j])
    return z


@kernel
def _forecast(
    step: Integers, previous: Integers, shock: Floats, z: Floats,
    probability: Floats, base_rate: Floats, brier: Floats, naive: Floats, scored: Integers,
) -> None:  # fmt: skip
    n, size = z.shape
    weight, spread = np.zeros(size), PRIOR_SLOPE * np.eye(size)
    spread[-1, -1] = PRIOR_LEVEL
    outcomes, shocks, loss, naive_loss, count = 0, 0.0, 0.0, 0.0, 0
    odds = np.zeros(n)  # the logit of the base rate that each row knew
    ahead = 0  # rows whose outcome has been learnt from: all of a step before any is forecast
    for i in range(n):
        while ahead < n and step[ahead] == step[i]:
            b = previous[ahead]
            if b >= 0:
                outcomes += 1
                shocks += shock[ahead]
                learn(weight, spread, z[b], odds[b], shock[ahead])
                if not np.isnan(probability[b]):
                    loss += (probability[b] - shock[ahead]) ** 2
                    naive_loss += (base_rate[b] - shock[ahead]) ** 2
                    count += 1
            ahead += 1
        scored[i] = count
        usual = (shocks + 0.5) / (outcomes + 1.0)
        odds[i] = math.log(usual / (1.0 - usual))
        if outcomes >= MINIMUM_OUTCOMES:
            probability[i] = logistic(odds[i] + inner(weight, z[i]))
            base_rate[i] = usual
        if count:
            brier[i], naive[i] = loss / count, naive_loss / count


@kernel
def learn(weight: Floats, spread: Floats, z: Floats, odds: float, y: float) -> None:
    """One outcome: a Kalman step on the logit."""
    p = logistic(odds + inner(weight, z))
    size = weight.size
    gain = np.zeros(size)
    for i in range(size):
        gain[i] = inner(spread[i], z)
    noise = 1.0 / max(p * (1.0 - p), 1e-6)
    total = noise + inner(gain, z)
    for i in range(size):
        for j in range(size):
            spread[i, j] -= gain[i] * gain[j] / total
    for i in range(size):
        weight[i] += gain[i] * noise / total * (y - p)


@kernel
def standard(x: float, mean: float, square: float, seen: float) -> float:
    """A feature in standard deviations of those seen, 0 where it is missing or they do not vary."""
    if np.isnan(x) or seen < 2.0 or square <= 0.0:
        return 0.0
    return float(min(max((x - mean) / math.sqrt(square / (seen - 1.0)), -FURTHEST), FURTHEST))


@kernel
def logistic(x: float) -> float:
    return 1.0 / (1.0 + math.exp(-min(max(x, -30.0), 30.0)))


@kernel
def inner(a: Floats, b: Floats) -> float:
    total = 0.0
    for i in range(a.size):
        total += a[i] * b[i]
    return total
