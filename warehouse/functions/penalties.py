"""How badly do the slices of one snapshot miss their quotes, and what arbitrage do they hold?

One slice is a, R = b (1 + rho), L = b (1 - rho), m, ln sigma: five numbers of `theta` each, in the
order of time. A slice touches itself and its neighbours only, so the normal equations are a band.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

BAND = 9
LEAST_G, LEAST_GAP = 1e-3, 1e-4  # aimed at: g, and w2 - w1 over w1 + w2
LEAST_SHARE = 0.05  # of the least variance quoted that a slice is to keep everywhere


class Quotes(NamedTuple):
    """Quotes ends[i]:ends[i + 1] belong to slice i; a misfit is scale (w(k) - w)."""

    k: Floats
    w: Floats
    scale: Floats
    ends: Integers


@kernel
def sweep(
    theta: Floats,
    quotes: Quotes,
    inner: Floats,
    outer: Floats,
    force: float,
    normal: Floats,
    gradient: Floats,
) -> float:
    """Cost of misfits and penalties, with their normal equations unless `gradient` is empty.

    Row i of `inner` are the k where g of slice i is looked at, of `outer` those where it is
    compared with the slice before; `force` is what one unit of arbitrage weighs.
    """
    for a in range(gradient.size):
        gradient[a] = 0.0
        for b in range(max(0, a - BAND), a + 1):
            normal[a, b] = 0.0
    cost = 0.0
    for i in range(quotes.ends.size - 1):
        own = theta[5 * i : 5 * i + 5]
        cost += misfits(own, quotes, i, normal, gradient)
        quoted = quotes.w[quotes.ends[i] : quotes.ends[i + 1]]
        floor = LEAST_SHARE * quoted.min()
        cost += butterflies(own, inner[i], floor, force, 5 * i, normal, gradient)
        if i > 0:
            pair = theta[5 * i - 5 : 5 * i + 5]
            cost += crossings(pair, outer[i], force, 5 * i - 5, normal, gradient)
    return cost


@kernel
def misfits(own: Floats, quotes: Quotes, i: int, normal: Floats, gradient: Floats) -> float:
    by, cost = np.empty(5), 0.0
    for j in range(quotes.ends[i], quotes.ends[i + 1]):
        e = quotes.scale[j] * (level(own, quotes.k[j], by) - quotes.w[j])
        for a in range(5):
            by[a] *= quotes.scale[j]
        cost += add(by, e, 5 * i, normal, gradient)
    return cost


@kernel
def butterflies(
    own: Floats,
    places: Floats,
    floor: float,
    force: float,
    at: int,
    normal: Floats,
    gradient: Floats,
) -> float:
    """What g lacks at each place; where variance is below the floor, what that lacks."""
    by1, by2, row, cost = np.empty(5), np.empty(5), np.empty(5), 0.0
    for k in places:
        w = level(own, k, row)
        if w < floor:
            e = force * (1.0 - w / floor)
            for a in range(5):
                row[a] *= -force / floor
        else:
            w1, w2 = bend(own, k, by1, by2)
            lean = 1.0 - 0.5 * k * w1 / w
            bound = 0.25 * w1 * w1 * (1.0 / w + 0.25)
            e = force * (LEAST_G - lean * lean + bound - 0.5 * w2)
            of_w = lean * k * w1 / (w * w) + 0.25 * w1 * w1 / (w * w)
            of_w1 = -lean * k / w - 0.5 * w1 * (1.0 / w + 0.25)
            for a in range(5):
                row[a] = -force * (of_w * row[a] + of_w1 * by1[a] + 0.5 * by2[a])
        if e > 0.0:
            cost += add(row, e, at, normal, gradient)
    return cost


@kernel
def crossings(
    pair: Floats, places: Floats, force: float, at: int, normal: Floats, gradient: Floats
) -> float:
    """What the later of two slices lacks at each place, and what its wing slopes lack."""
    row, cost = np.empty(10), 0.0
    for k in places:
        before = level(pair[:5], k, row[:5])
        after = level(pair[5:], k, row[5:])
        total = max(abs(before) + abs(after), 1e-300)
        lack = (before - after) / total
        e = force * (LEAST_GAP + lack)
        if e > 0.0:
            for a in range(5):
                row[a] *= force / total * (1.0 - math.copysign(lack, before))
                row[5 + a] *= force / total * (-1.0 - math.copysign(lack, after))
            cost += add(row, e, at, normal, gradient)
    for side in (1, 2):
        total = pair[side] + pair[5 + side]
        lack = (pair[side] - pair[5 + side]) / total
        e = force * (LEAST_GAP + lack)
        if e > 0.0:
            row[:] = 0.0
            row[side] = force / total * (1.0 - lack)
            row[5 + side] = force / total * (-1.0 - lack)
            cost += add(row, e, at, normal, gradient)
    return cost


@kernel
def add(row: Floats, e: float, at: int, normal: Floats, gradient: Floats) -> float:
    """Add one residual and its derivatives by the parameters from `at` on; returns its cost."""
    if gradient.size > 0:
        for a in range(row.size):
            gradient[at + a] += row[a] * e
            for b in range(a + 1):
                normal[at + a, at + b] += row[a] * row[b]
    return e * e


@kernel
def level(theta: Floats, k: float, by: Floats) -> float:
    """w at k, its derivatives by the five parameters in `by`."""
    z, sigma = k - theta[3], math.exp(theta[4])
    r = math.sqrt(z * z + sigma * sigma)
    half, tilt = 0.5 * (theta[1] + theta[2]), 0.5 * (theta[1] - theta[2])
    by[0], by[1], by[2] = 1.0, 0.5 * (r + z), 0.5 * (r - z)
    by[3], by[4] = -tilt - half * z / r, half * sigma * sigma / r
    return float(theta[0] + tilt * z + half * r)


@kernel
def bend(theta: Floats, k: float, by1: Floats, by2: Floats) -> tuple[float, float]:
    """w' and w'' at k, their derivatives by the five parameters in `by1` and `by2`."""
    z, sigma = k - theta[3], math.exp(theta[4])
    r = math.sqrt(z * z + sigma * sigma)
    half, tilt = 0.5 * (theta[1] + theta[2]), 0.5 * (theta[1] - theta[2])
    lean, share = z / r, (sigma / r) * (sigma / r)
    curve = share / r
    by1[0], by1[1], by1[2] = 0.0, 0.5 * (lean + 1.0), 0.5 * (lean - 1.0)
    by1[3], by1[4] = -half * curve, -half * z * curve
    by2[0], by2[1], by2[2] = 0.0, 0.5 * curve, 0.5 * curve
    by2[3], by2[4] = 3.0 * half * curve * lean / r, half * curve * (2.0 - 3.0 * share)
    return tilt + half * lean, half * curve
