"""What solves a small symmetric positive definite system of equations?"""

import math

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]


@kernel
def solve_band(matrix: Floats, band: int, damping: float, x: Floats) -> None:
    """Overwrite x by the solution of matrix y = x, by Cholesky; `matrix` is used up.

    Only its lower half within `band` of the diagonal is read. A pivot that rounding has made
    negative counts as tiny.
    """
    n = x.size
    for a in range(n):
        first = max(0, a - band)
        for b in range(first, a + 1):
            v = matrix[a, b]
            for c in range(max(first, b - band), b):
                v -= matrix[a, c] * matrix[b, c]
            if b < a:
                matrix[a, b] = v / matrix[b, b]
            else:
                matrix[a, a] = math.sqrt(max(v + damping * v, 1e-300))
        for c in range(first, a):
            x[a] -= matrix[a, c] * x[c]
        x[a] /= matrix[a, a]
    for a in range(n - 1, -1, -1):
        for c in range(a + 1, min(a + band + 1, n)):
            x[a] -= matrix[c, a] * x[c]
        x[a] /= matrix[a, a]
