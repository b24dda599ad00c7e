"""What slopes do the moments of a few variables give, without a library of linear algebra?"""

import math

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]


@kernel
def solve(moment: Floats, slopes: Floats) -> None:
    """Slopes of the last variable on the others by Cholesky, from sums of products.

    `moment` is square, its lower half filled; `slopes` has one entry less and is left as it is
    where the others depend on each other.
    """
    n = slopes.size
    root = np.zeros((n, n))
    for j in range(n):
        for i in range(j + 1):
            left = moment[j, i]
            for m in range(i):
                left -= root[j, m] * root[i, m]
            if i < j:
                root[j, i] = left / root[i, i]
            elif left > 1e-12 * moment[j, j]:
                root[j, j] = math.sqrt(left)
            else:
                return
    middle = np.empty(n)
    for j in range(n):
        middle[j] = moment[n, j]
        for m in range(j):
            middle[j] -= root[j, m] * middle[m]
        middle[j] /= root[j, j]
    for j in range(n - 1, -1, -1):
        slopes[j] = middle[j]
        for m in range(j + 1, n):
            slopes[j] -= root[m, j] * slopes[m]
        slopes[j] /= root[j, j]


@kernel
def product(x: Floats, y: Floats) -> float:
    """Sum of x y. (numpy's dot would need a library at run time.)"""
    total = 0.0
    for i in range(x.size):
        total += x[i] * y[i]
    return total
