"""Where do numbers lie, and how steep is their line, when some of them are wrong?"""

import math

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]

CUTOFF = 4.685  # biweight: 95 % efficient on normal residuals


@kernel
def median(values: Floats) -> float:
    return float(np.median(values))


@kernel
def biweight(z: Floats, trust: Floats) -> int:
    """Fill in Tukey's weight of each residual; returns how many are above zero.

    Their scale is 1.4826 MAD, at least what the quotes' width says.
    """
    size = np.empty(z.size)
    for i in range(z.size):
        size[i] = abs(z[i])
    scale = CUTOFF * max(1.4826 * median(size), 1.0 / math.sqrt(3.0))
    used = 0
    for i in range(z.size):
        trust[i] = max(1.0 - (z[i] / scale) ** 2, 0.0) ** 2
        used += trust[i] > 0.0
    return used


@kernel
def weighted_median(values: Floats, weight: Floats) -> float:
    """The value at which half the weight is reached."""
    order, half, reached = np.argsort(values), 0.5 * weight.sum(), 0.0
    for i in order:
        reached += weight[i]
        if reached >= half:
            return float(values[i])
    return float(values[order[-1]])


@kernel
def median_slope(x: Floats, y: Floats) -> float:
    """Median of the slopes of all pairs (Theil 1950, Sen 1968)."""
    slopes = np.empty(x.size * (x.size - 1) // 2)
    count = 0
    for i in range(x.size):
        for j in range(i):
            if x[i] != x[j]:
                slopes[count] = (y[i] - y[j]) / (x[i] - x[j])
                count += 1
    return median(slopes[:count])
