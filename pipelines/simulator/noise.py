"""Random numbers that are a function of what they are for: the same question, the same answer."""

import zlib

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pipelines.simulator.world import Floats

_STEP = np.uint64(0x9E3779B97F4A7C15)


def key(*names: object) -> int:
    """A number that stands for a purpose."""
    return zlib.crc32("/".join(str(name) for name in names).encode())


def keys(names: list[str]) -> NDArray[np.uint64]:
    """A number for each name."""
    return np.array([zlib.crc32(name.encode()) for name in names], dtype=np.uint64)


def uniform(purpose: int, *counters: ArrayLike) -> Floats:
    """Uniform in [0, 1), one per element of the broadcast counters (whole numbers)."""
    state: NDArray[np.uint64] | np.uint64 = np.uint64(purpose)
    with np.errstate(over="ignore"):
        for counter in counters:
            number = np.asarray(counter).astype(np.int64).view(np.uint64)
            state = _mix((state + number) * _STEP + _STEP)
        return np.asarray(_mix(state + _STEP) >> np.uint64(11)) * 2.0**-53


def normal(purpose: int, *counters: ArrayLike) -> Floats:
    """Standard normal, one per element of the broadcast counters."""
    radius = np.sqrt(-2 * np.log1p(-uniform(purpose, *counters)))
    return np.asarray(radius * np.cos(2 * np.pi * uniform(purpose + 1, *counters)))


def _mix(z: np.uint64 | NDArray[np.uint64]) -> NDArray[np.uint64]:
    """The finaliser of SplitMix64."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(z ^ (z >> np.uint64(31)))
