"""Which law of the settlement price does one raw SVI slice imply?

Breeden & Litzenberger (1978), Journal of Business 51(4), in the closed form of Gatheral & Jacquier
(2014): with d2 = -k/sqrt w - sqrt w/2 the density of k = ln(S_T/F) is g(k) phi(d2)/sqrt w and its
distribution N(-d2) + phi(d2) (sqrt w)'. Slices are raw SVI (a, b, rho, m, sigma).
"""

import math
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions import normal
from warehouse.functions.compiled import kernel
from warehouse.functions.slices import density_sign, derivatives, minimum_of_g

Floats = NDArray[np.float64]


class LawStatus(IntEnum):
    """What one slice implies; a law with a negative density is no law, and says so."""

    OK = 0
    NO_SLICE = 1
    NOT_POSITIVE = 2
    NEGATIVE_DENSITY = 3


OK, NO_SLICE, NOT_POSITIVE, NEGATIVE = map(int, LawStatus)

FAR = 1000.0  # abs(k) up to which mass and mean are counted
POINTS = 200  # of each half of the grid on which quantiles and negative stretches are bracketed


@dataclass(frozen=True, slots=True)
class Law:
    """One value per slice, or one per slice and level; NaN where undefined.

    `mass` is the probability within abs(k) of 1000 and `mean_error` E[S_T]/F - 1 over the same
    range: what a wing loses to zero or infinity is missing. `negative_mass` is the size of what
    lies under zero. `quantile_k` is ln(S_T/F), NaN where the distribution passes its level more
    than once. `probability_below` is of S_T below (1 - drop) F, NaN where it is no probability.
    """

    quantile_k: Floats
    probability_below: Floats
    mass: Floats
    mean_error: Floats
    negative_mass: Floats
    minimum_g: Floats
    status: NDArray[np.int8]


def law(params: ArrayLike, levels: ArrayLike = (), drops: ArrayLike = (0.1, 0.2, 0.3)) -> Law:
    """The law of each slice: `params` has five rows and a column per slice.

    `levels` are of the quantiles, in (0, 1), `drops` of the probabilities, below 1; ValueError
    otherwise. Quantiles have shape (slices, levels), probabilities (slices, drops).

    >>> flat = [[0.04], [0.0], [0.0], [0.0], [0.1]]
    >>> law(flat, [0.5]).quantile_k.round(12)
    array([[-0.02]])
    """
    p = np.array(params, dtype=np.float64)
    if p.ndim != 2 or p.shape[0] != 5:
        raise ValueError(f"law: slices of shape {p.shape}, must have five rows")
    at, down = (np.array(v, dtype=np.float64).ravel() for v in (levels, drops))
    if not ((at > 0.0) & (at < 1.0)).all():
        raise ValueError(f"law: levels {at}, must lie between 0 and 1")
    if not (down < 1.0).all():
        raise ValueError(f"law: drops {down}, must be below 1")
    quantiles, below, numbers, status = _laws(p.T.copy(), at, np.log1p(-down))
    mass, mean_error, negative_mass, minimum_g = numbers.T.copy()
    return Law(quantiles, below, mass, mean_error, negative_mass, minimum_g, status)


def density(params: ArrayLike, k: ArrayLike) -> Floats:
    """Density of ln(S_T/F) at k, one slice; NaN where total variance is not above zero."""
    p, at = np.array(params, dtype=np.float64), np.asarray(k, dtype=np.float64)
    return np.array([density_at(p, v) for v in at.ravel()]).reshape(at.shape)


def distribution(params: ArrayLike, k: ArrayLike) -> Floats:
    """Probability that ln(S_T/F) is below k, one slice; NaN where variance is not above zero."""
    p, at = np.array(params, dtype=np.float64), np.asarray(k, dtype=np.float64)
    return np.array([below_at(p, v) for v in at.ravel()]).reshape(at.shape)


@kernel
def density_at(p: Floats, k: float) -> float:
    w = derivatives(p, k)[0]
    if not w > 0.0:
        return math.nan
    root = math.sqrt(w)
    return density_sign(p, k) * normal.density(k / root + 0.5 * root) / root


@kernel
def below_at(p: Floats, k: float) -> float:
    w, slope, _, _ = derivatives(p, k)
    if not w > 0.0:
        return math.nan
    root = math.sqrt(w)
    z = k / root + 0.5 * root
    return normal.distribution(z) + normal.density(z) * 0.5 * slope / root


@kernel
def above_at(p: Floats, k: float) -> float:
    """1 - `below_at` without cancellation in the upper tail."""
    w, slope, _, _ = derivatives(p, k)
    root = math.sqrt(w)
    z = k / root + 0.5 * root
    return normal.distribution(-z) - normal.density(z) * 0.5 * slope / root


@kernel
def mean_above(p: Floats, k: float) -> float:
    """E[S_T; ln(S_T/F) > k]/F = N(d1) - phi(d1) (sqrt w)'."""
    w, slope, _, _ = derivatives(p, k)
    root = math.sqrt(w)
    d1 = 0.5 * root - k / root
    return normal.distribution(d1) - normal.density(d1) * 0.5 * slope / root


@kernel
def mean_below(p: Floats, k: float) -> float:
    """1 - `mean_above` without cancellation in the lower tail."""
    w, slope, _, _ = derivatives(p, k)
    root = math.sqrt(w)
    d1 = 0.5 * root - k / root
    return normal.distribution(-d1) + normal.density(d1) * 0.5 * slope / root


@kernel
def _laws(
    params: Floats, levels: Floats, log_drops: Floats
) -> tuple[Floats, Floats, Floats, NDArray[np.int8]]:
    count = len(params)
    quantiles = np.full((count, levels.size), math.nan)
    below = np.full((count, log_drops.size), math.nan)
    numbers = np.full((count, 4), math.nan)
    status = np.empty(count, np.int8)
    for i in range(count):
        p = params[i]
        status[i] = _status(p)
        if status[i] in (NO_SLICE, NOT_POSITIVE):
            continue
        numbers[i, 0] = 1.0 - below_at(p, -FAR) - above_at(p, FAR)
        numbers[i, 1] = -mean_below(p, -FAR) - mean_above(p, FAR)
        k = _grid(p)
        numbers[i, 2] = _negative_mass(p, k)
        numbers[i, 3] = minimum_of_g(p)
        if status[i] == OK and numbers[i, 2] > 0.0:
            status[i] = NEGATIVE
        cumulative = np.empty(k.size)
        for j in range(k.size):
            cumulative[j] = below_at(p, k[j])
        for j in range(levels.size):
            quantiles[i, j] = _quantile(p, k, cumulative, levels[j])
        for j in range(log_drops.size):
            share = below_at(p, log_drops[j])
            below[i, j] = share if 0.0 <= share <= 1.0 else math.nan
    return quantiles, below, numbers, status


@kernel
def _status(p: Floats) -> int:
    if not np.isfinite(p).all():
        return NO_SLICE
    lowest = p[0] + p[1] * p[4] * math.sqrt(max(1.0 - p[2] * p[2], 0.0))
    least = minimum_of_g(p)
    if math.isnan(least) or not lowest > 0.0:
        return NOT_POSITIVE
    return NEGATIVE if least < 0.0 else OK


@kernel
def _grid(p: Floats) -> Floats:
    """Strikes out to `FAR`, half of them dense at the forward and half where the slice bends."""
    k = np.empty(2 * POINTS)
    for side, centre, scale in ((0, 0.0, math.sqrt(derivatives(p, 0.0)[0])), (1, p[3], p[4])):
        low, high = math.asinh((-FAR - centre) / scale), math.asinh((FAR - centre) / scale)
        for j in range(POINTS):
            u = low + (high - low) * j / (POINTS - 1)
            k[side * POINTS + j] = centre + scale * math.sinh(u)
    k.sort()
    return k


@kernel
def _negative_mass(p: Floats, k: Floats) -> float:
    """What the distribution falls where g is below zero, the ends of each stretch refined."""
    total, start = 0.0, k[0]
    was_negative = density_sign(p, k[0]) < 0.0
    for j in range(1, k.size):
        is_negative = density_sign(p, k[j]) < 0.0
        if is_negative and not was_negative:
            start = _root_of_g(p, k[j - 1], k[j])
        if was_negative and not is_negative:
            total += below_at(p, start) - below_at(p, _root_of_g(p, k[j - 1], k[j]))
        was_negative = is_negative
    if was_negative:
        total += below_at(p, start) - below_at(p, k[-1])
    return total


@kernel
def _root_of_g(p: Floats, low: float, high: float) -> float:
    is_negative = density_sign(p, low) < 0.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        if (density_sign(p, middle) < 0.0) == is_negative:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)


@kernel
def _quantile(p: Floats, k: Floats, cumulative: Floats, level: float) -> float:
    """k where the distribution passes `level`; NaN if never or more than once."""
    at = -1
    for j in range(1, k.size):
        if (cumulative[j - 1] < level) != (cumulative[j] < level):
            if at >= 0:
                return math.nan
            at = j
    if at < 0:
        return math.nan
    low, high = float(k[at - 1]), float(k[at])
    for _ in range(60):
        middle = 0.5 * (low + high)
        if below_at(p, middle) < level:
            low = middle
        else:
            high = middle
    return 0.5 * (low + high)
