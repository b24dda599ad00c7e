"""How are kernels compiled? Once, by numba, in strict floating point, kept where a disk allows."""

from collections.abc import Callable
from typing import Any, TypeVar, cast

from numba import njit

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def kernel(function: Kernel) -> Kernel:
    """`function` compiled at its first call for the types of its arguments.

    Division by zero gives inf or NaN, since data must not raise. The machine code is kept beside
    the module, or in the user's cache folder where the package is read-only; where neither can be
    written it is compiled anew in each process.
    """
    try:
        return cast(Kernel, njit(function, cache=True, error_model="numpy", nogil=True))
    except RuntimeError as e:
        if "no locator available" not in str(e):
            raise
        return cast(Kernel, njit(function, error_model="numpy", nogil=True))


def inlined(function: Kernel) -> Kernel:
    """`function` for kernels alone, of which it becomes a part: loops around it can be vectorised.

    Without branches, and without loops over constants, which numba guards by a branch.
    """
    return cast(Kernel, njit(function, error_model="numpy", inline="always"))
