"""Is flow calm, elevated or toxic, judged by the past of the same series alone?

A level is entered at one share of the past and left at a lower one, so that a figure that hovers
about a threshold does not flicker between two levels.
"""

import math
from enum import IntEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


class Toxicity(IntEnum):
    UNKNOWN = 0
    CALM = 1
    ELEVATED = 2
    TOXIC = 3


class Rule(NamedTuple):
    """When a level is entered and left: shares of the past below the figure, 0 to 1.

    The past is the `window` hours before the row, of which at least `minimum` have a figure.
    """

    elevated_enter: float
    elevated_exit: float
    toxic_enter: float
    toxic_exit: float
    window: int
    minimum: int


class States(NamedTuple):
    """One per row: a `Toxicity`, and the share of the past below the figure, NaN if unknown."""

    state: NDArray[np.int8]
    past_share: Floats


def states(hours: ArrayLike, values: ArrayLike, rule: Rule) -> States:
    """The level in each of ascending whole hours, from figures of hours strictly before it.

    A row with fewer than `rule.minimum` figures in the hours before, or without a figure of its
    own (NaN), is UNKNOWN, and the level then starts anew. A figure that only equals the past is
    above none of it: a series that stands still is calm. ValueError where hours do not ascend or a
    rule would leave a level above where it enters it.

    >>> rule = Rule(0.5, 0.3, 0.9, 0.6, window=10, minimum=3)
    >>> states(range(6), [1.0, 2.0, 3.0, 4.0, 2.5, 0.5], rule).state
    array([0, 0, 0, 3, 2, 1], dtype=int8)
    """
    at = np.array(hours, dtype=np.int64)
    x = np.array(values, dtype=np.float64)
    if at.shape != x.shape or at.ndim != 1:
        raise ValueError(f"toxicity: hours of shape {at.shape}, values of shape {x.shape}")
    if (bad := np.flatnonzero(np.diff(at) <= 0)).size:
        raise ValueError(f"toxicity: hours must ascend, {at[bad[0] + 1]} follows {at[bad[0]]}")
    checked(rule)
    return States(*_states(at, np.where(np.isfinite(x), x, np.nan), *rule))


def checked(rule: Rule) -> None:
    """ValueError where the rule contradicts itself."""
    low, low_exit, high, high_exit, window, minimum = rule
    if not (0.0 <= low_exit <= low <= high <= 1.0 and low_exit <= high_exit <= high):
        raise ValueError(
            f"toxicity: elevated enters at {low} and exits at {low_exit}, "
            f"toxic enters at {high} and exits at {high_exit}"
        )
    if not 1 <= minimum <= window:
        raise ValueError(f"toxicity: at least {minimum} figures in a window of {window} hours")


@kernel
def _states(
    at: Integers,
    x: Floats,
    elevated_enter: float,
    elevated_exit: float,
    toxic_enter: float,
    toxic_exit: float,
    window: int,
    minimum: int,
) -> tuple[NDArray[np.int8], Floats]:
    state, share = np.zeros(at.size, np.int8), np.full(at.size, math.nan)
    level, first = 0, 0
    for i in range(at.size):
        while at[first] < at[i] - window:
            first += 1
        known, below = 0, 0
        for j in range(first, i):
            if not math.isnan(x[j]):
                known += 1
                below += x[j] < x[i]
        if math.isnan(x[i]) or known < minimum:
            level = 0
            continue
        share[i] = below / known
        if share[i] >= toxic_enter or (level == 3 and share[i] >= toxic_exit):
            level = 3
        elif share[i] >= elevated_enter or (level >= 2 and share[i] >= elevated_exit):
            level = 2
        else:
            level = 1
        state[i] = level
    return state, share
