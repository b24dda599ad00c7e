"""Which raw SVI slice costs least, given quotes that are all to be trusted?

Quasi-explicit seeds (De Marco & Martini, Zeliade 2009: for given m and sigma the rest is a convex
problem in three unknowns), then Levenberg-Marquardt with analytic derivatives inside bounds. The
free parameters are a, the wing slopes R = b (1 + rho) and L = b (1 - rho), both in [0, 2], m, and
ln sigma. Kernels are plain loops: they compile in seconds where array expressions take a minute.
"""

import math

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]

STEEPEST = 2.0  # a steeper wing would give the price no finite mean (Lee 2004)
STARTS = 3
M_SEEDS, SIGMA_SEEDS = 9, 6
MAX_STEPS = 100


@kernel
def best_of_starts(k: Floats, w: Floats, scale: Floats) -> tuple[Floats, bool]:
    """(a, R, L, m, ln sigma) of the least cost, and whether its search ended by itself.

    The seed of each sigma is its best m; the searches start from the best of these.
    """
    first, last, floor = k[0], k[0], w[0]
    for i in range(k.size):
        first, last, floor = min(first, k[i]), max(last, k[i]), min(floor, w[i])
    floor *= 1e-4
    width = last - first
    low = np.array([-math.inf, 0.0, 0.0, first - width, math.log(1e-3 * width)])
    high = np.array([math.inf, STEEPEST, STEEPEST, last + width, math.log(10.0 * width)])
    seeds = np.empty((SIGMA_SEEDS, 6))
    for j in range(SIGMA_SEEDS):
        seeds[j, 5] = math.inf
        sigma = width * 0.02 * 100.0 ** (j / (SIGMA_SEEDS - 1))
        for i in range(M_SEEDS):
            m = first + width * i / (M_SEEDS - 1)
            explicit(k, w, scale, m, sigma, floor, seeds[j])
    best, theta = np.empty(5), np.empty(5)
    cost, is_done = math.inf, False
    for _ in range(STARTS):
        j = 0
        for i in range(1, SIGMA_SEEDS):
            j = i if seeds[i, 5] < seeds[j, 5] else j
        seeds[j, 5] = math.inf
        for i in range(5):
            theta[i] = seeds[j, i]
        found, done = descend(theta, k, w, scale, low, high, floor)
        if found < cost:
            cost, is_done = found, done
            for i in range(5):
                best[i] = theta[i]
    return best, is_done


@kernel
def explicit(
    k: Floats, w: Floats, scale: Floats, m: float, sigma: float, floor: float, seed: Floats
) -> None:
    """Put the best a, R, L for this m and sigma into `seed` if they cost less than it does."""
    n = k.size
    right, left = np.empty(n), np.empty(n)
    total = mean_r = mean_l = mean_w = 0.0
    for i in range(n):
        z = k[i] - m
        r = math.sqrt(z * z + sigma * sigma)
        right[i], left[i] = 0.5 * (r + z), 0.5 * (r - z)
        q = scale[i] * scale[i]
        total += q
        mean_r += q * right[i]
        mean_l += q * left[i]
        mean_w += q * w[i]
    mean_r, mean_l, mean_w = mean_r / total, mean_l / total, mean_w / total
    rr = rl = ll = rw = lw = ww = 0.0
    for i in range(n):
        q = scale[i] * scale[i]
        x, y, v = right[i] - mean_r, left[i] - mean_l, w[i] - mean_w
        rr += q * x * x
        rl += q * x * y
        ll += q * y * y
        rw += q * x * v
        lw += q * y * v
        ww += q * v * v
    found_r, found_l, cost = 0.0, 0.0, math.inf
    for corner in range(5):
        # Inside the square [0, 2]^2, else on one of its four edges.
        if corner == 0:
            det = rr * ll - rl * rl
            x, y = (rw * ll - lw * rl) / det, (lw * rr - rw * rl) / det
            if not (0.0 <= x <= STEEPEST and 0.0 <= y <= STEEPEST):
                continue
        elif corner <= 2:
            x = STEEPEST * (corner - 1)
            y = min(max((lw - rl * x) / ll, 0.0), STEEPEST)
        else:
            y = STEEPEST * (corner - 3)
            x = min(max((rw - rl * y) / rr, 0.0), STEEPEST)
        c = ww - 2.0 * (x * rw + y * lw) + x * x * rr + 2.0 * x * y * rl + y * y * ll
        if c < cost:
            found_r, found_l, cost = x, y, c
    a = mean_w - found_r * mean_r - found_l * mean_l
    lift = max(floor - sigma * math.sqrt(found_r * found_l) - a, 0.0)
    cost += total * lift * lift
    if cost < seed[5]:
        seed[0], seed[1], seed[2] = a + lift, found_r, found_l
        seed[3], seed[4], seed[5] = m, math.log(sigma), cost


@kernel
def descend(
    theta: Floats, k: Floats, w: Floats, scale: Floats, low: Floats, high: Floats, floor: float
) -> tuple[float, bool]:
    """Levenberg-Marquardt in place: the cost reached, and whether it could fall no further.

    Each trial takes m and sigma from the damped step and solves for the rest, so that the search
    walks along the bottom of the valley in which a, R, L and sigma trade off against each other.
    """
    damping, nothing = 1e-3, 0.0
    for i in range(k.size):
        nothing += 1e-30 * (scale[i] * w[i]) ** 2
    curvature, gradient, step, trial = np.empty((5, 5)), np.empty(5), np.empty(5), np.empty(6)
    cost = normal_equations(theta, k, w, scale, curvature, gradient)
    for _ in range(MAX_STEPS):
        if cost <= nothing:
            return cost, True
        low[0] = floor - math.exp(theta[4]) * math.sqrt(theta[1] * theta[2])
        solve_inside(curvature, gradient, damping, theta, low, high, step)
        m = min(max(theta[3] + step[3], low[3]), high[3])
        tau = min(max(theta[4] + step[4], low[4]), high[4])
        trial[5] = math.inf
        explicit(k, w, scale, m, math.exp(tau), floor, trial)
        reached = cost_of(trial, k, w, scale)
        if reached < cost:
            is_flat = cost - reached <= 1e-10 * cost
            for j in range(5):
                theta[j] = trial[j]
            cost = normal_equations(theta, k, w, scale, curvature, gradient)
            damping = max(0.2 * damping, 1e-6)
            if is_flat:
                return cost, True
        else:
            damping *= 4.0
            if damping > 1e8:
                return cost, True
    return cost, False


@kernel
def cost_of(theta: Floats, k: Floats, w: Floats, scale: Floats) -> float:
    variance = math.exp(2.0 * theta[4])
    half, tilt = 0.5 * (theta[1] + theta[2]), 0.5 * (theta[1] - theta[2])
    cost = 0.0
    for i in range(k.size):
        z = k[i] - theta[3]
        e = scale[i] * (theta[0] + tilt * z + half * math.sqrt(z * z + variance) - w[i])
        cost += e * e
    return cost


@kernel
def normal_equations(
    theta: Floats, k: Floats, w: Floats, scale: Floats, curvature: Floats, gradient: Floats
) -> float:
    """Fill J'J and J'e; return the cost e'e."""
    variance = math.exp(2.0 * theta[4])
    half, tilt = 0.5 * (theta[1] + theta[2]), 0.5 * (theta[1] - theta[2])
    row = np.empty(5)
    cost = 0.0
    for a in range(5):
        gradient[a] = 0.0
        for b in range(a + 1):
            curvature[a, b] = 0.0
    for i in range(k.size):
        z, q = k[i] - theta[3], scale[i]
        r = math.sqrt(z * z + variance)
        e = q * (theta[0] + tilt * z + half * r - w[i])
        row[0], row[1], row[2] = q, 0.5 * q * (r + z), 0.5 * q * (r - z)
        row[3], row[4] = -q * (tilt + half * z / r), q * half * variance / r
        cost += e * e
        for a in range(5):
            gradient[a] += row[a] * e
            for b in range(a + 1):
                curvature[a, b] += row[a] * row[b]
    return cost


@kernel
def solve_inside(
    curvature: Floats,
    gradient: Floats,
    damping: float,
    theta: Floats,
    low: Floats,
    high: Floats,
    step: Floats,
) -> None:
    """The damped step; a parameter at its bound that would leave it stays."""
    matrix = np.zeros((5, 5))
    for a in range(5):
        step[a] = -gradient[a]
        is_leaving = (theta[a] <= low[a] and step[a] < 0.0) or (
            theta[a] >= high[a] and step[a] > 0.0
        )
        if is_leaving or curvature[a, a] <= 0.0:
            step[a], matrix[a, a] = 0.0, 1.0
            continue
        for b in range(a + 1):
            matrix[a, b] = curvature[a, b]
    for a in range(5):
        for b in range(a):
            if step[b] == 0.0 or step[a] == 0.0:
                matrix[a, b] = 0.0
    damped_solve(matrix, damping, step)


@kernel
def damped_solve(root: Floats, damping: float, x: Floats) -> None:
    """Overwrite x by the solution; `root` holds the matrix in its lower half and is used up.

    Cholesky. Only m and ln sigma are damped, by a share of the curvature that is left once a, R and
    L follow them; a share of the whole, which can be a million times more, would stop the search.
    """
    for a in range(5):
        for b in range(a + 1):
            v = root[a, b]
            own = v
            for c in range(b):
                v -= root[a, c] * root[b, c]
                own = v if c == 2 else own
            if b < a:
                root[a, b] = v / root[b, b]
            else:
                v += damping * own if a > 2 else 0.0
                root[a, a] = math.sqrt(max(v, 1e-300))
        for c in range(a):
            x[a] -= root[a, c] * x[c]
        x[a] /= root[a, a]
    for a in range(4, -1, -1):
        for c in range(a + 1, 5):
            x[a] -= root[c, a] * x[c]
        x[a] /= root[a, a]
