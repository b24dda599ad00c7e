"""Which quotes of a slice are grossly wrong: too far from what all the others say?

Quotes are taken away one by one, first whose loss lets the cost fall most, the rest being fitted
again each time; only then are those taken away judged, against the slice of the rest, so that two
wrong ones cannot hide each other (Rosner 1983, Technometrics 25; Hadi & Simonoff 1993, JASA 88).

Wrong is what lies both more than 4 of its own errors, say half spreads, and more than 6 standard
errors of prediction from that slice; a wing that only one quote tells of has a wide one. No more
than one quote in eight is judged so. Residuals are in errors of the quotes' own volatilities.
"""

import math

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.search import best_of_starts, damped_solve, normal_equations

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

MIN_STRIKES = 5  # as many as parameters
OWN_ERRORS, STANDARD_ERRORS = 4.0, 6.0
QUOTES_PER_WRONG = 8
LOW_SHARE = 0.25  # of the median total variance: what is lower weighs no more than what is not
LEAST_ERROR = 1.0 / math.sqrt(3.0)  # of a price that lies anywhere between bid and ask


@kernel
def trusted(theta: Floats, k: Floats, w: Floats, scale: Floats) -> Flags:
    """False for each quote that is grossly wrong; `theta` is the slice fitted to all of them."""
    kept = np.ones(k.size, np.bool_)
    weight = 2.0 * scale * np.sqrt(w)  # of distances in the root of variance
    floor = LOW_SHARE * np.median(w)
    if w.min() < floor:
        # Per unit of variance such a quote weighs so much that the slice would bend to it.
        scale = scale * np.sqrt(np.minimum(w / floor, 1.0))
        theta = best_of_starts(k, w, scale)[0]
    taken = np.empty(k.size // QUOTES_PER_WRONG, np.int64)
    found = 0
    while found < taken.size:
        place, distance = farthest(theta, k, w, scale, kept)
        if not distance > OWN_ERRORS:
            break
        place = best_taken(k, w, scale, kept, place)
        kept[place] = False
        if distinct(k[kept]) < MIN_STRIKES:
            kept[place] = True
            break
        taken[found] = place
        found += 1
        theta = best_of_starts(k[kept], w[kept], scale[kept])[0]
    if found > 0:
        judge(theta, k, w, scale, weight, kept, taken[:found])
    return kept


@kernel
def wrong_many(
    params: Floats, t_years: Floats, k: Floats, w: Floats, weight: Floats, ends: Integers
) -> Flags:
    """Which quotes were left out of slices (a, b, rho, m, sigma) that calibration.py fitted?

    Slice i has quotes ends[i]:ends[i + 1]; those without a weight are not wrong.
    """
    out = np.zeros(k.size, np.bool_)
    for i in range(t_years.size):
        p = params[i]
        if not (np.isfinite(p).all() and p[4] > 0.0 and 0.0 < t_years[i] < math.inf):
            continue
        theta = np.array([p[0], p[1] * (1.0 + p[2]), p[1] * (1.0 - p[2]), p[3], math.log(p[4])])
        at = ends[i] + usable(k, w, weight, ends[i], ends[i + 1])
        x, v = k[at], w[at]
        scale = 0.5 * weight[at] / np.sqrt(v * t_years[i])
        row, most = np.empty(5), 0.0
        for j in range(x.size):
            most = max(most, abs(residual(theta, x[j], v[j], scale[j], row)))
        # A quote that was left out lies far off.
        if most > OWN_ERRORS and distinct(x) >= MIN_STRIKES:
            out[at] = ~trusted(best_of_starts(x, v, scale)[0], x, v, scale)
    return out


@kernel
def usable(k: Floats, w: Floats, weight: Floats, first: int, last: int) -> Integers:
    """Places after `first` of the quotes with a weight."""
    part = slice(first, last)
    known = np.isfinite(k[part] + w[part] + weight[part])
    return np.flatnonzero(known & (weight[part] > 0.0) & (w[part] > 0.0))


@kernel
def distinct(k: Floats) -> int:
    found = 0
    for i in range(k.size):
        is_new = True
        for j in range(i):
            is_new = is_new and k[j] != k[i]
        found += is_new
    return found


@kernel
def farthest(theta: Floats, k: Floats, w: Floats, scale: Floats, kept: Flags) -> tuple[int, float]:
    """The kept quote without which the cost falls most, and how far it lies from the others.

    To first order: e^2 / (1 - h) and e / (1 - h), h being its leverage.
    """
    curvature = matrix_of(theta, k[kept], w[kept], scale[kept])
    row = np.empty(5)
    place, most, distance = -1, -1.0, 0.0
    for i in range(k.size):
        if not kept[i]:
            continue
        e = residual(theta, k[i], w[i], scale[i], row)
        leverage = through(curvature, row)
        # A slice bent to a wrong quote may be one of which some parameter means nothing.
        rest = max(1.0 - leverage, 1e-6) if math.isfinite(leverage) else 1.0
        if e * e / rest > most:
            place, most, distance = i, e * e / rest, abs(e) / rest
    return place, distance


@kernel
def best_taken(k: Floats, w: Floats, scale: Floats, kept: Flags, place: int) -> int:
    """That of `place` and the kept ends without which the others are fitted best.

    A slice turns so far towards a wrong quote at its end that the first order points elsewhere.
    """
    at = np.flatnonzero(kept)
    best, least = place, math.inf
    for candidate in (place, at[np.argmin(k[at])], at[np.argmax(k[at])]):
        rest = at[at != candidate]
        theta = best_of_starts(k[rest], w[rest], scale[rest])[0]
        cost, row = 0.0, np.empty(5)
        for i in rest:
            cost += residual(theta, k[i], w[i], scale[i], row) ** 2
        if cost < least:
            best, least = candidate, cost
    return best


@kernel
def judge(
    theta: Floats,
    k: Floats,
    w: Floats,
    scale: Floats,
    weight: Floats,
    kept: Flags,
    taken: Integers,
) -> None:
    """Give back the quotes taken away that are not far enough from the slice of the rest."""
    curvature = matrix_of(theta, k[kept], w[kept], scale[kept])
    row = np.empty(5)
    cost, free = 0.0, -5
    for i in range(k.size):
        if kept[i]:
            cost += residual(theta, k[i], w[i], scale[i], row) ** 2
            free += 1
    spread = max(math.sqrt(cost / max(free, 1)), LEAST_ERROR)
    for i in taken:
        model = w[i] + residual(theta, k[i], w[i], scale[i], row) / scale[i]
        e = weight[i] * abs(math.sqrt(max(model, 0.0)) - math.sqrt(w[i]))
        error = spread * math.sqrt(1.0 + through(curvature, row))
        kept[i] = not (e > OWN_ERRORS and e > STANDARD_ERRORS * error)


@kernel
def matrix_of(theta: Floats, k: Floats, w: Floats, scale: Floats) -> Floats:
    curvature, gradient = np.zeros((5, 5)), np.empty(5)
    normal_equations(theta, k, w, scale, curvature, gradient)
    return curvature


@kernel
def residual(theta: Floats, k: float, w: float, scale: float, row: Floats) -> float:
    """In own errors; fills in its derivatives."""
    z, variance = k - theta[3], math.exp(2.0 * theta[4])
    half, tilt = 0.5 * (theta[1] + theta[2]), 0.5 * (theta[1] - theta[2])
    r = math.sqrt(z * z + variance)
    row[0], row[1], row[2] = scale, 0.5 * scale * (r + z), 0.5 * scale * (r - z)
    row[3], row[4] = -scale * (tilt + half * z / r), scale * half * variance / r
    return float(scale * (theta[0] + tilt * z + half * r - w))


@kernel
def through(curvature: Floats, row: Floats) -> float:
    """row' (J'J)^-1 row."""
    step = row.copy()
    damped_solve(curvature.copy(), 1e-9, step)
    total = 0.0
    for i in range(5):
        total += row[i] * step[i]
    return total
