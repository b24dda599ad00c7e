"""Which surface without any arbitrage passes through the quotes of all expiries at once?

Extended SSVI: w(k) = theta/2 (1 + rho phi k + sqrt((phi k + rho)^2 + 1 - rho^2)), phi = psi/theta,
with a theta, rho and psi of its own for each expiry (Hendriks & Martini 2019). Sufficient against
butterflies: psi <= min(4/(1 + abs rho), 2 sqrt(theta/(1 + abs rho))), Gatheral & Jacquier (2014).
Sufficient against crossings: theta2 >= theta1, psi2/theta2 <= psi1/theta1 and
abs(rho2 psi2 - rho1 psi1) <= psi2 - psi1, which also reads psi2 >= psi1 p with p the larger of
(1 + rho1)/(1 + rho2) and (1 - rho1)/(1 - rho2).

The search runs over numbers without bounds, each of which gives such a surface (as in Mingone 2022,
"No arbitrage global parametrization for the eSSVI volatility surface"): rho = tanh, theta grows
from p times the one before by an exponential, and psi is a share, by the logistic function, of the
way between its bounds. Those after it bound it too: what is free at one expiry must be at the next.
"""

import math

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.linear import solve_band
from warehouse.functions.penalties import Quotes
from warehouse.functions.slices import derivatives

Floats = NDArray[np.float64]

MAX_STEPS, FLAT = 25, 1e-3
STEEPEST_RHO = 0.995
ROOM = 1e-3  # kept to every bound, so that rounding crosses none
LEAST_GROWTH = 1e-9  # of theta beyond its bound: without it psi would have no room between its own


@kernel
def unfold(unknown: Floats, unit: Floats, rows: Floats) -> None:
    """Fill one row (a, b, rho, m, sigma) per expiry; `unit` is the size of each step of theta."""
    n = unit.size
    theta, rho, cap, growth = np.empty(n), np.empty(n), np.empty(n), np.ones(n)
    for i in range(n):
        rho[i] = STEEPEST_RHO * math.tanh(unknown[3 * i + 1])
        theta[i] = unit[i] * (1e-6 + math.exp(min(max(unknown[3 * i], -30.0), 5.0)))
        if i > 0:
            up, down = (1.0 + rho[i - 1]) / (1.0 + rho[i]), (1.0 - rho[i - 1]) / (1.0 - rho[i])
            growth[i] = max(up, down)
            theta[i] += theta[i - 1] * growth[i] * (1.0 + LEAST_GROWTH)
        wide = 1.0 + abs(rho[i])
        cap[i] = (1.0 - ROOM) * min(4.0 / wide, 2.0 * math.sqrt(theta[i] / wide))
    for i in range(n - 2, -1, -1):
        cap[i] = min(cap[i], (1.0 - ROOM * 0.01) * cap[i + 1] / growth[i + 1])
    psi = 0.0
    for i in range(n):
        low, high = psi * growth[i], cap[i]
        if i > 0:
            high = min(high, psi * theta[i] / theta[i - 1])
        share = 1.0 / (1.0 + math.exp(-min(max(unknown[3 * i + 2], -30.0), 30.0)))
        psi = low + (high - low) * (ROOM + (1.0 - 2.0 * ROOM) * share)
        root, width = math.sqrt(1.0 - rho[i] * rho[i]), theta[i] / psi
        rows[i, 0], rows[i, 1], rows[i, 2] = 0.5 * theta[i] * root * root, 0.5 * psi, rho[i]
        rows[i, 3], rows[i, 4] = -rho[i] * width, root * width


@kernel
def starting(raw: Floats, unknown: Floats, unit: Floats) -> None:
    """Level and skew of the raw slices, psi in the middle of what is left to it."""
    before = 0.0
    for i in range(unit.size):
        w, slope, _, _ = derivatives(raw[i], 0.0)
        w = max(w, 1e-12)
        unit[i] = max(w - before, 0.05 * w)
        before = max(w, before)
        wings = min(max(2.0 * raw[i, 1], 1e-12), 2.0 * math.sqrt(w))
        lean = min(max(slope / wings, -0.9), 0.9)
        unknown[3 * i], unknown[3 * i + 1], unknown[3 * i + 2] = 0.0, math.atanh(lean), 0.0


@kernel
def residuals(rows: Floats, quotes: Quotes, out: Floats) -> float:
    """Fill `out` with scale (w(k) - w) of each quote; returns the sum of squares."""
    cost = 0.0
    for i in range(rows.shape[0]):
        a, b, rho, m, sigma = rows[i]
        for j in range(quotes.ends[i], quotes.ends[i + 1]):
            z = quotes.k[j] - m
            w = a + b * (rho * z + math.sqrt(z * z + sigma * sigma))
            out[j] = quotes.scale[j] * (w - quotes.w[j])
            cost += out[j] * out[j]
    return cost


@kernel
def surface(raw: Floats, quotes: Quotes) -> Floats:
    """One row (a, b, rho, m, sigma) per expiry of a surface without arbitrage.

    Expiries ascend, `raw` holds their raw slices; Levenberg-Marquardt on the sum of squares.
    """
    n, count = 3 * raw.shape[0], quotes.k.size
    unknown, trial, unit = np.empty(n), np.empty(n), np.empty(n // 3)
    rows, here, there = np.empty((n // 3, 5)), np.empty(count), np.empty(count)
    normal, matrix, step = np.empty((n, n)), np.empty((n, n)), np.empty(n)
    starting(raw, unknown, unit)
    unfold(unknown, unit, rows)
    cost = residuals(rows, quotes, here)
    slopes = differences(unknown, unit, quotes, here, rows, normal)
    damping = 1e-2
    for _ in range(MAX_STEPS):
        for a in range(n):
            matrix[a, : a + 1] = normal[a, : a + 1]
            matrix[a, a] += damping * (normal[a, a] + 1e-9 * cost) + 1e-300
            step[a] = -slopes[a]
        solve_band(matrix, n, 0.0, step)
        for a in range(n):
            trial[a] = unknown[a] + min(max(step[a], -2.0), 2.0)
        unfold(trial, unit, rows)
        reached = residuals(rows, quotes, there)
        if reached < cost:
            is_flat = cost - reached <= FLAT * cost
            unknown[:], here[:], cost = trial, there, reached
            if is_flat:
                break
            slopes = differences(unknown, unit, quotes, here, rows, normal)
            damping = max(0.2 * damping, 1e-9)
        else:
            damping *= 5.0
    unfold(unknown, unit, rows)
    return rows


@kernel
def differences(
    unknown: Floats, unit: Floats, quotes: Quotes, here: Floats, rows: Floats, normal: Floats
) -> Floats:
    """The lower half of J'J into `normal`; returns J'e. `rows` is used up."""
    n, h = unknown.size, 1e-6
    jacobian, slopes = np.empty((n, here.size)), np.empty(n)
    for a in range(n):
        kept = unknown[a]
        unknown[a] = kept + h
        unfold(unknown, unit, rows)
        residuals(rows, quotes, jacobian[a])
        unknown[a] = kept
        for j in range(here.size):
            jacobian[a, j] = (jacobian[a, j] - here[j]) / h
        slopes[a] = np.dot(jacobian[a], here)
        for b in range(a + 1):
            normal[a, b] = np.dot(jacobian[a], jacobian[b])
    return slopes
