"""Is volatility in its calm or its wild state, judged by the past alone?

Hamilton (1989), Econometrica 57(2): two normal states that switch as a Markov chain. Probabilities
are filtered, never smoothed: row t uses rows up to t, and so do the parameters.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]

ROUNDS = 100  # of expectation and maximisation, at most
SETTLED = 1e-8  # gain of log likelihood per row at which they end
NARROWEST = 0.05  # a state's deviation, as a share of that of all rows
PARAMETERS = 6  # means, deviations and chances to stay of the calm and the wild state


@dataclass(frozen=True, slots=True)
class Regimes:
    """One per row; NaN before the first fit, or where nothing varied in its window.

    `probability` is of the wild state, the one with the higher mean; `separation` the distance of
    the two means in units of the pooled deviation: near or below 1 there are no two states.
    """

    probability: Floats
    calm_mean: Floats
    wild_mean: Floats
    calm_stay: Floats
    wild_stay: Floats
    separation: Floats


def fit(x: ArrayLike) -> Floats:
    """Means, deviations and chances to stay of the calm and the wild state, by maximum likelihood.

    NaN rows are passed over; NaN parameters with fewer than ten rows or none that differ. Starts
    from the lower and the upper half and ends after 100 rounds at most.
    """
    return _fit(_finite("regimes", x))


def filtered(x: ArrayLike, parameters: ArrayLike) -> Floats:
    """Probability of the wild state in each row, from rows up to it; `parameters` as from `fit`.

    A NaN row only lets the chain go on. The first row's prior is the chain's long-run share.

    >>> filtered([0.0, 4.0], [0.0, 4.0, 1.0, 1.0, 0.5, 0.5]).round(4)
    array([3.000e-04, 9.997e-01])
    """
    p = np.array(parameters, dtype=np.float64)
    if p.shape != (PARAMETERS,):
        raise ValueError(f"regimes: parameters of shape {p.shape}, must be six")
    if np.isfinite(p).all() and not ((p[2:] > 0.0).all() and (p[4:] < 1.0).all()):
        raise ValueError(f"regimes: parameters {p}, deviations and chances must be above zero")
    return _filtered(_finite("regimes", x), p)


def regimes(
    x: ArrayLike,
    window: int,
    minimum: int = 100,
    refit: int = 24,
    first_step: int = 0,
    begin: int = 0,
) -> Regimes:
    """Filtered probabilities with parameters fitted anew every `refit` rows on the last `window`.

    `x` is, say, the logarithm of realised variance on even steps. Row 0 is step `first_step` of a
    calendar, and fits fall on steps that `refit` divides, so that they do not depend on where a
    series begins. Each fit needs `minimum` rows that are numbers. Rows before the fit that serves
    row `begin` are left NaN.
    """
    values = _finite("regimes", x)
    if not 10 <= minimum <= window or refit < 1:
        raise ValueError(f"regimes: at least {minimum} of {window} rows, a fit every {refit}")
    return Regimes(*_regimes(values, window, minimum, refit, first_step % refit, begin))


def _finite(name: str, values: ArrayLike) -> Floats:
    x = np.array(values, dtype=np.float64)
    if x.ndim != 1:
        raise ValueError(f"{name}: series of shape {x.shape}")
    return np.where(np.isfinite(x), x, np.nan)


@kernel
def _regimes(x: Floats, window: int, minimum: int, refit: int, phase: int, first: int) -> Floats:
    out = np.full((6, x.size), math.nan)
    for t in range((refit - phase) % refit, x.size, refit):
        if t + refit <= first:
            continue
        begin = max(t - window + 1, 0)
        if np.count_nonzero(~np.isnan(x[begin : t + 1])) < minimum:
            continue
        p = _fit(x[begin : t + 1])
        end = min(t + refit, x.size)
        out[0, t:end] = _filtered(x[begin:end], p)[t - begin :]
        pooled = math.sqrt(0.5 * (p[2] * p[2] + p[3] * p[3]))
        for row, value in ((1, p[0]), (2, p[1]), (3, p[4]), (4, p[5])):
            out[row, t:end] = value
        out[5, t:end] = (p[1] - p[0]) / pooled
    return out


@kernel
def _densities(v: float, p: Floats) -> tuple[float, float, float]:
    """Densities of both states over the larger one, and that one's logarithm."""
    if math.isnan(v):
        return 1.0, 1.0, 0.0
    a, b = (v - p[0]) / p[2], (v - p[1]) / p[3]
    calm, wild = -0.5 * a * a - math.log(p[2]), -0.5 * b * b - math.log(p[3])
    top = max(calm, wild)
    return math.exp(calm - top), math.exp(wild - top), top


@kernel
def _filter(x: Floats, p: Floats, predicted: Floats, updated: Floats) -> float:
    """Wild state's probability before and after each row; returns the log likelihood."""
    total = 0.0
    before = (1.0 - p[4]) / (2.0 - p[4] - p[5])
    for t in range(x.size):
        predicted[t] = before
        calm, wild, top = _densities(x[t], p)
        likelihood = (1.0 - before) * calm + before * wild
        updated[t] = before * wild / likelihood
        total += top + math.log(likelihood)
        before = updated[t] * p[5] + (1.0 - updated[t]) * (1.0 - p[4])
    return total


@kernel
def _filtered(x: Floats, p: Floats) -> Floats:
    predicted, updated = np.empty(x.size), np.full(x.size, math.nan)
    if not np.isnan(p).any():
        _filter(x, p, predicted, updated)
    return updated


@kernel
def _start(x: Floats) -> Floats:
    """Both halves of the rows, each state expected to last twenty."""
    p = np.full(PARAMETERS, math.nan)
    known = np.sort(x[~np.isnan(x)])
    if known.size < 10 or known[0] == known[-1]:
        return p
    half = known.size // 2
    p[0], p[1] = known[:half].mean(), known[half:].mean()
    floor = NARROWEST * known.std()
    p[2], p[3] = max(known[:half].std(), floor), max(known[half:].std(), floor)
    p[4], p[5] = 0.95, 0.95
    return p


@kernel
def _fit(x: Floats) -> Floats:
    p = _start(x)
    if math.isnan(p[0]):
        return p
    floor = NARROWEST * x[~np.isnan(x)].std()
    predicted, updated = np.empty(x.size), np.empty(x.size)
    before = -math.inf
    for _ in range(ROUNDS):
        likelihood = _filter(x, p, predicted, updated)
        if likelihood - before < SETTLED * x.size:
            break
        before = likelihood
        _improve(x, p, predicted, updated, floor)
    if p[0] > p[1]:
        p[0], p[1] = p[1], p[0]
        p[2], p[3] = p[3], p[2]
        p[4], p[5] = p[5], p[4]
    return p


@kernel
def _improve(x: Floats, p: Floats, predicted: Floats, updated: Floats, floor: float) -> None:
    """One round: each state's share of each row of the window (Kim 1994), then its moments."""
    sums = np.zeros((2, 3))  # per state: rows, sum, squares about the old mean
    stays, visits = np.zeros(2), np.zeros(2)
    after = updated[-1]
    for t in range(x.size - 1, -1, -1):
        if t < x.size - 1:
            up, next_up = updated[t], predicted[t + 1]
            from_wild = after * up * p[5] / next_up
            from_calm = after * (1.0 - up) * (1.0 - p[4]) / next_up
            calm_to_calm = (1.0 - after) * (1.0 - up) * p[4] / (1.0 - next_up)
            wild = from_wild + (1.0 - after) * up * (1.0 - p[5]) / (1.0 - next_up)
            stays[0] += calm_to_calm
            stays[1] += from_wild
            visits[0] += calm_to_calm + from_calm
            visits[1] += wild
            after = wild
        if not math.isnan(x[t]):
            for state in range(2):
                share = after if state == 1 else 1.0 - after
                gap = x[t] - p[state]
                sums[state, 0] += share
                sums[state, 1] += share * gap
                sums[state, 2] += share * gap * gap
    for state in range(2):
        if sums[state, 0] > 1e-6 and visits[state] > 1e-6:
            move = sums[state, 1] / sums[state, 0]
            p[state] += move
            p[2 + state] = max(
                math.sqrt(max(sums[state, 2] / sums[state, 0] - move * move, 0.0)), floor
            )
            p[4 + state] = min(max(stays[state] / visits[state], 1e-4), 1.0 - 1e-4)
