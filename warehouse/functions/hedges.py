"""Which delta would have hedged the options of an expiry best, by what was known before each move?

Beside Black's stand the two that expect volatility to move with the forward: that of Hull & White
(2017), "Optimal delta hedging for options", Journal of Banking & Finance 82, which learns a
quadratic in delta from past hedge errors, and that of the skew-stickiness ratio (Bergomi 2009),
which learns one number from past changes of volatility at the forward.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.moments import product, solve
from warehouse.functions.normal import density, distribution, quantile
from warehouse.functions.slices import derivatives, log_strike_of_delta

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HEDGED_DELTAS = (0.1, 0.25, 0.4, 0.5, 0.6, 0.75, 0.9)  # of the calls that are followed
MINIMUM_MOVES = 10  # seventy hedge errors to learn from, and as many to judge by


@dataclass(frozen=True, slots=True)
class Hedges:
    """One per step: what its window teaches, and how past lessons did within it.

    `coefficients` are a, b, c of Hull & White, from the `moves_used` moves of the window.
    `hull_white_gain` and `stickiness_gain` are the shares of the squared hedge errors of Black's
    delta that the two others would have removed over `moves_hedged` moves of the window, each
    hedged with what the moves before it in the window taught. NaN below 10 moves.
    """

    coefficients: Floats
    hull_white_gain: Floats
    stickiness_gain: Floats
    moves_used: Integers
    moves_hedged: Integers


def hedges(
    params: ArrayLike, forward: ArrayLike, t_years: ArrayLike, window: int, begin: int = 0
) -> Hedges:
    """Of the even steps of one expiry, one row (a, b, rho, m, sigma) of `params` each.

    A move is from one step to the next, for seven calls of fixed strikes whose deltas at its
    beginning are 0.1 to 0.9; missing steps are NaN. Row t uses the `window` moves up to it; rows
    before `begin` stay NaN. ValueError where columns differ in length.
    """
    rows = np.array(params, dtype=np.float64).reshape(-1, 5)
    level, t = (np.array(v, dtype=np.float64).ravel() for v in (forward, t_years))
    if not rows.shape[0] == level.size == t.size:
        raise ValueError(f"hedges: {rows.shape[0]} slices, {level.size} forwards, {t.size} times")
    found, counts = _hedges(rows, level, t, window, begin)
    return Hedges(found[:, :3], found[:, 3], found[:, 4], counts[:, 0], counts[:, 1])


def hull_white_call_delta(delta: ArrayLike, a: ArrayLike, b: ArrayLike, c: ArrayLike) -> Floats:
    """Minimum-variance delta of a call whose forward delta N(d1) is `delta`.

    Theirs is delta + vega / (F sqrt(T)) (a + b delta + c delta^2), and vega / (F sqrt(T)) is the
    normal density at d1. NaN unless delta is between 0 and 1.

    >>> float(hull_white_call_delta(0.5, -0.1, 0.0, 0.0).round(4))
    0.4601
    """
    whole = np.broadcast_arrays(delta, a, b, c)
    d, *terms = (np.array(v, dtype=np.float64).ravel() for v in whole)
    return _hull_white_deltas(d, *terms).reshape(whole[0].shape)


@kernel
def _hull_white_deltas(delta: Floats, a: Floats, b: Floats, c: Floats) -> Floats:
    out = np.empty(delta.size)
    for i in range(delta.size):
        d = delta[i]
        out[i] = d + density(quantile(d)) * (a[i] + d * (b[i] + d * c[i]))
    return out


@kernel
def _hedges(
    params: Floats, forward: Floats, t_years: Floats, window: int, begin: int
) -> tuple[Floats, Integers]:
    size = t_years.size
    out, counts = np.full((size, 5), math.nan), np.zeros((size, 2), np.int64)
    first = max(begin - window, 0)  # the first step that a move of a wanted window starts from
    calls = np.full((max(size - 1, 0), len(HEDGED_DELTAS), 6), math.nan)
    smiles = np.full((max(size - 1, 0), 2), math.nan)
    for s in range(first, size - 1):
        follow(params[s : s + 2], forward[s : s + 2], t_years[s : s + 2], calls[s], smiles[s])
    for step in range(begin, size):
        judge(calls, smiles, max(step - window, 0), step, out[step], counts[step])
    return out, counts


@kernel
def follow(params: Floats, forward: Floats, t_years: Floats, calls: Floats, smile: Floats) -> None:
    """Fill in one move; what a missing slice leaves unknown stays NaN.

    Per call: Hull & White's three variables, the hedge error of Black's delta, what the value
    gains per unit of stickiness, and what it loses along the smile. Of the smile: skew x log return
    and the change of volatility at the forward.
    """
    for side in range(2):
        if not (forward[side] > 0.0 and t_years[side] > 0.0 and np.isfinite(params[side]).all()):
            return
    w, w1, _, _ = derivatives(params[0], 0.0)
    w_after = derivatives(params[1], 0.0)[0]
    if not (w > 0.0 and w_after > 0.0):
        return
    move, years = forward[1] - forward[0], t_years[0]
    skew = 0.5 * w1 / math.sqrt(w * years)
    smile[0] = skew * math.log(forward[1] / forward[0])
    smile[1] = math.sqrt(w_after / t_years[1]) - math.sqrt(w / years)
    for i, delta in enumerate(HEDGED_DELTAS):
        k = log_strike_of_delta(params[0], delta)
        strike = forward[0] * math.exp(k)
        w, w1, _, _ = derivatives(params[0], k)
        w_after = derivatives(params[1], math.log(strike / forward[1]))[0]
        if not (w > 0.0 and w_after > 0.0):
            continue
        change = call(forward[1], strike, w_after) - call(forward[0], strike, w)
        bump = density(quantile(delta)) * move  # vega / (F sqrt(T)) times the move
        calls[i, 0], calls[i, 1], calls[i, 2] = bump, bump * delta, bump * delta * delta
        calls[i, 3] = change - delta * move
        # Volatility of a strike moves by R skew - slope per unit of log return.
        calls[i, 4] = bump * math.sqrt(years) * skew
        calls[i, 5] = bump * 0.5 * w1 / math.sqrt(w)


@kernel
def call(forward: float, strike: float, w: float) -> float:
    sd = math.sqrt(w)
    d1 = math.log(forward / strike) / sd + 0.5 * sd
    return float(forward * distribution(d1) - strike * distribution(d1 - sd))


@kernel
def judge(
    calls: Floats, smiles: Floats, first: int, last: int, out: Floats, counts: Integers
) -> None:
    """Learn from the moves first:last one after the other, hedging each with what is known."""
    moment, line, slopes = np.zeros((4, 4)), np.zeros(5), np.full(3, math.nan)
    black = hull_white = sticky = 0.0
    used = hedged = 0
    for s in range(first, last):
        if math.isnan(calls[s, 0, 0]):
            continue
        ratio = slope_of(line)
        if not math.isnan(slopes[0]):
            hedged += 1
            for i in range(calls.shape[1]):
                row = calls[s, i]
                if not math.isnan(row[0]):
                    black += row[3] ** 2
                    hull_white += (row[3] - product(slopes, row[:3])) ** 2
                    # Where the skew is flat there is no ratio, and Black's delta stands.
                    lean = 0.0 if math.isnan(ratio) else ratio * row[4] - row[5]
                    sticky += (row[3] - lean) ** 2
        learn(calls[s], smiles[s], moment, line)
        used += 1
        if used >= MINIMUM_MOVES:
            slopes[:] = math.nan
            solve(moment, slopes)
    counts[0], counts[1] = used, hedged
    out[:3] = slopes
    if hedged >= MINIMUM_MOVES and black > 0.0:
        out[3], out[4] = 1.0 - hull_white / black, 1.0 - sticky / black


@kernel
def learn(calls: Floats, smile: Floats, moment: Floats, line: Floats) -> None:
    """Add a move to the sums of both regressions."""
    for i in range(calls.shape[0]):
        if not math.isnan(calls[i, 0]):
            for a in range(4):
                for b in range(a + 1):
                    moment[a, b] += calls[i, a] * calls[i, b]
    x, y = smile[0], smile[1]
    line += np.array([1.0, x, y, x * x, x * y])


@kernel
def slope_of(line: Floats) -> float:
    """Of a regression with a constant; NaN where x does not vary."""
    n, x, y, xx, xy = line
    across = n * xx - x * x
    if not across > 1e-12 * n * xx:
        return math.nan
    return float((n * xy - x * y) / across)
