"""Which slices of one snapshot, near a surface without arbitrage, fit its quotes best without any?

Levenberg-Marquardt over all expiries at once, under penalties on the arbitrage at places on a grid;
each round raises them and adds the places where exact checks find the worst.
"""

import math

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.crossings import FAR, calendar_slack, far
from warehouse.functions.linear import solve_band
from warehouse.functions.penalties import BAND, Quotes, level, sweep
from warehouse.functions.search import STEEPEST, explicit
from warehouse.functions.slices import lowest_g

Floats = NDArray[np.float64]

PLACES = 24  # of each grid
ROUNDS, STEPS = 10, 20
FIRST_FORCE, LIFT = 0.05, 5.0  # of the penalties, and by how much they rise from round to round
ANCHOR = 0.01  # what a place of the grid weighs beside the best quote when a slice moves


@kernel
def is_clean(rows: Floats, inner: Floats, outer: Floats) -> bool:
    """Is no g below zero, and do no neighbours cross? Fills in where g and the gap are least.

    Far beyond the window in which raw slices are judged: what was repaired is to hold everywhere.
    """
    found = True
    for i in range(rows.shape[0]):
        least, place = lowest_g(rows[i], FAR)
        found = found and least >= 0.0
        inner[i] = place if math.isfinite(place) else rows[i, 3]
        if i > 0:
            least, place, wing = calendar_slack(rows[i - 1], rows[i])
            found = found and least >= 0.0 and wing >= 0.0
            outer[i] = place if math.isfinite(place) else rows[i, 3]
    return found


@kernel
def refitted(start: Floats, quotes: Quotes) -> tuple[Floats, bool]:
    """The slices reached from `start`, and whether they are clean."""
    count = start.shape[0]
    theta, low, high = np.empty(5 * count), np.empty(5 * count), np.empty(5 * count)
    rows = start.copy()
    for i in range(count):
        at, quoted = slice(5 * i, 5 * i + 5), slice(quotes.ends[i], quotes.ends[i + 1])
        freed(start[i], theta[at])
        bounds(quotes.k[quoted], theta[at], low[at], high[at])
    inner, outer = np.empty((count, PLACES + ROUNDS)), np.empty((count, 2 * PLACES + ROUNDS))
    spread(rows, inner, outer)
    # At one, a unit of arbitrage weighs as much as a variance that is wrong by its own size.
    force = FIRST_FORCE * math.sqrt(np.sum((quotes.scale * quotes.w) ** 2) / quotes.k.size)
    for turn in range(ROUNDS):
        descend(theta, quotes, inner, outer, force, low, high)
        for i in range(count):
            unfreed(theta[5 * i : 5 * i + 5], rows[i])
        if is_clean(rows, inner[:, PLACES + turn], outer[:, 2 * PLACES + turn]):
            return rows, True
        force *= LIFT
    return rows, False


@kernel
def descend(
    theta: Floats,
    quotes: Quotes,
    inner: Floats,
    outer: Floats,
    force: float,
    low: Floats,
    high: Floats,
) -> None:
    """Levenberg-Marquardt in place, inside the bounds."""
    n = theta.size
    normal, matrix, gradient, step = np.empty((n, n)), np.empty((n, n)), np.empty(n), np.empty(n)
    none, nothing, trial = np.empty((0, 0)), np.empty(0), np.empty(n)
    damping = 1e-3
    cost = sweep(theta, quotes, inner, outer, force, normal, gradient)
    for _ in range(STEPS):
        damped(normal, gradient, damping, theta, low, high, matrix, step)
        solve_band(matrix, BAND, damping, step)
        move(theta, step, low, high, quotes, inner, trial)
        reached = sweep(trial, quotes, inner, outer, force, none, nothing)
        if reached < cost:
            is_flat = cost - reached <= 1e-4 * cost
            theta[:] = trial
            if is_flat:
                return
            cost = sweep(theta, quotes, inner, outer, force, normal, gradient)
            damping = max(0.2 * damping, 1e-7)
        else:
            damping *= 5.0
            if damping > 1e8:
                return


@kernel
def move(
    theta: Floats,
    step: Floats,
    low: Floats,
    high: Floats,
    quotes: Quotes,
    inner: Floats,
    trial: Floats,
) -> None:
    """m and sigma take the step; a, R and L are those that come nearest to what it promises.

    Taken by themselves they would leave the bottom of the valley in which all five trade off.
    """
    by, found = np.empty(5), np.empty(6)
    for i in range(inner.shape[0]):
        at = slice(5 * i, 5 * i + 5)
        own = theta[at]
        first, last = quotes.ends[i], quotes.ends[i + 1]
        n = last - first
        k, w, scale = np.empty(n + PLACES), np.empty(n + PLACES), np.empty(n + PLACES)
        k[:n], scale[:n] = quotes.k[first:last], quotes.scale[first:last]
        k[n:] = inner[i, :PLACES]
        unit = ANCHOR * np.max(quotes.scale[first:last] * quotes.w[first:last])
        for j in range(n + PLACES):
            now = level(own, k[j], by)
            w[j] = now + np.dot(by, step[at])
            if j >= n:
                scale[j] = unit / max(now, 1e-12)
        m = min(max(own[3] + step[5 * i + 3], low[5 * i + 3]), high[5 * i + 3])
        tau = min(max(own[4] + step[5 * i + 4], low[5 * i + 4]), high[5 * i + 4])
        found[5] = math.inf
        explicit(k, w, scale, m, math.exp(tau), 0.0, found)
        trial[at] = found[:5]
        trial[5 * i + 1] = max(trial[5 * i + 1], low[5 * i + 1])
        trial[5 * i + 2] = max(trial[5 * i + 2], low[5 * i + 2])


@kernel
def damped(
    normal: Floats,
    gradient: Floats,
    damping: float,
    theta: Floats,
    low: Floats,
    high: Floats,
    matrix: Floats,
    step: Floats,
) -> None:
    """Fill the equations of the next step; a parameter at its bound that would leave it stays."""
    for a in range(theta.size):
        step[a] = -gradient[a]
        for b in range(max(0, a - BAND), a + 1):
            matrix[a, b] = normal[a, b]
        matrix[a, a] += 1e-30
        if (theta[a] <= low[a] and step[a] < 0.0) or (theta[a] >= high[a] and step[a] > 0.0):
            step[a], matrix[a, a] = 0.0, math.inf


@kernel
def freed(row: Floats, theta: Floats) -> None:
    theta[0], theta[3], theta[4] = row[0], row[3], math.log(row[4])
    theta[1], theta[2] = row[1] * (1.0 + row[2]), row[1] * (1.0 - row[2])


@kernel
def unfreed(theta: Floats, row: Floats) -> None:
    row[0], row[1], row[3] = theta[0], 0.5 * (theta[1] + theta[2]), theta[3]
    row[2], row[4] = 0.5 * (theta[1] - theta[2]) / row[1], math.exp(theta[4])


@kernel
def bounds(k: Floats, theta: Floats, low: Floats, high: Floats) -> None:
    """Those of search.py, widened to hold where the search starts."""
    first, last = k.min(), k.max()
    width = max(last - first, 1e-6)
    low[0], high[0] = -math.inf, math.inf
    low[1] = low[2] = 1e-9
    high[1] = high[2] = STEEPEST
    low[3], high[3] = min(first - width, theta[3]), max(last + width, theta[3])
    low[4] = min(math.log(1e-3 * width), theta[4])
    high[4] = max(math.log(10.0 * width), theta[4])


@kernel
def spread(rows: Floats, inner: Floats, outer: Floats) -> None:
    """Places even in asinh((k - m)/sigma): own ones, and those of the slice before."""
    for i in range(rows.shape[0]):
        grid(rows[i], far(rows[i], rows[i]), inner[i, :PLACES])
        before = rows[max(i - 1, 0)]
        reach = far(before, rows[i])
        grid(rows[i], reach, outer[i, :PLACES])
        grid(before, reach, outer[i, PLACES : 2 * PLACES])
        # Slots of later rounds.
        inner[i, PLACES:] = rows[i, 3]
        outer[i, 2 * PLACES :] = rows[i, 3]


@kernel
def grid(row: Floats, reach: float, places: Floats) -> None:
    m, sigma = row[3], row[4]
    u0, u1 = math.asinh((-reach - m) / sigma), math.asinh((reach - m) / sigma)
    for j in range(places.size):
        places[j] = m + sigma * math.sinh(u0 + (u1 - u0) * j / (places.size - 1))
