"""How far does one order move the mid in the end, when orders and quotes answer each other?

Hasbrouck (1991), "Measuring the information content of stock trades", Journal of Finance 46: in
trade time the revision of the mid after an order depends on the orders up to it and on earlier
revisions, the side of an order on both before it. What one more order moves the mid in total is the
sum of the revisions that follow a shock to its side.
"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.regression import solve

Floats = NDArray[np.float64]

LAGS, STEPS = 5, 20


def order_impact(side: ArrayLike, revision: ArrayLike) -> tuple[float, int]:
    """Sum of the 21 revisions from an unexpected buy on, and from how many orders it was fitted.

    `side` is +1 or -1 per order, `revision` the change of the mid from just before it to just
    before the next one. An order counts where it and its five predecessors have revisions; the
    impact is NaN where the sides never vary or too few orders count to fit twelve coefficients.
    ValueError where the lengths differ.
    """
    x, r = np.array(side, dtype=np.float64), np.array(revision, dtype=np.float64)
    if x.shape != r.shape or x.ndim != 1:
        raise ValueError(f"order impact: {x.shape} sides, {r.shape} revisions")
    found, n = impact_of(x, r)
    return float(found), int(n)


@kernel
def impact_of(x: Floats, r: Floats) -> tuple[float, int]:
    """The impact and the number of orders that count."""
    size = 2 * LAGS + 2
    gram, answer = np.zeros((size, size)), np.zeros(size)
    row = np.ones(size)
    n, known = 0, 0
    for t in range(x.size):
        if math.isnan(r[t]):
            known = 0
            continue
        known += 1
        if known <= LAGS:
            continue
        # The constant, what came before, and last the order itself.
        for lag in range(1, LAGS + 1):
            row[lag] = r[t - lag]
            row[LAGS + lag] = x[t - lag]
        row[size - 1] = x[t]
        n += 1
        for a in range(size):
            answer[a] += row[a] * r[t]
            for b in range(a + 1):
                gram[a, b] += row[a] * row[b]
    if n <= 2 * size:
        return math.nan, n
    sides = gram[size - 1, : size - 1].copy()
    smaller = gram[: size - 1, : size - 1].copy()
    if not solve(gram, answer) or not solve(smaller, sides):
        return math.nan, n
    return _response(answer, sides), n


@kernel
def _response(revision: Floats, side: Floats) -> float:
    """Sum of the revisions after a shock of one to the side; the constants move nothing."""
    x, r = np.zeros(STEPS + 1), np.zeros(STEPS + 1)
    x[0] = 1.0
    total = 0.0
    for t in range(STEPS + 1):
        for lag in range(1, min(t, LAGS) + 1):
            x[t] += side[lag] * r[t - lag] + side[LAGS + lag] * x[t - lag]
            r[t] += revision[lag] * r[t - lag] + revision[LAGS + lag] * x[t - lag]
        r[t] += revision[2 * LAGS + 1] * x[t]
        total += r[t]
    return total
