"""Which observations fall into each trailing window, and which steps between them are too long?"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

YEAR_S = 31_536_000.0
LONGEST_STEPS = 3  # a longer gap between two observations is excluded and counted


def instants(name: str, at_s: ArrayLike, size: int) -> Integers:
    """`at_s` as integers; ValueError unless there are `size` of them, strictly ascending."""
    at = np.array(at_s, dtype=np.int64).ravel()
    if at.size != size:
        raise ValueError(f"{name}: {at.size} times for {size} observations")
    if (bad := np.flatnonzero(np.diff(at) <= 0)).size:
        raise ValueError(f"{name}: times must ascend, {at[bad[0] + 1]} follows {at[bad[0]]}")
    return at


def checked_step(name: str, step_s: int, window_s: int) -> None:
    """ValueError unless the window holds at least one step."""
    if not 0 < step_s <= window_s:
        raise ValueError(f"{name}: window of {window_s} s, step of {step_s} s")


@kernel
def log_returns(at: Integers, price: Floats, longest: int) -> tuple[Floats, Integers]:
    """ln of each price over the one before and the time between them; NaN over a longer gap.

    Prices are finite and above zero. The first has no return: NaN over time zero.
    """
    returns, elapsed = np.full(at.size, math.nan), np.zeros(at.size, np.int64)
    for i in range(1, at.size):
        elapsed[i] = at[i] - at[i - 1]
        if elapsed[i] <= longest:
            returns[i] = math.log(price[i] / price[i - 1])
    return returns, elapsed
