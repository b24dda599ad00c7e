"""What are the prints and the best quotes of one instrument, in order of time?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.mids import SECOND_US, ascending

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Prints:
    """Prints by ascending time, microseconds since 1970.

    `sign` is +1 where the taker bought, -1 where he sold, 0 where nobody told; `size` is in base
    coins, `usd` the same in US dollars or NaN; `known_us` is when each could be known. ValueError
    where times descend or columns differ in length.
    """

    at_us: Integers
    sign: Integers
    price: Floats
    size: Floats
    usd: Floats
    known_us: Integers

    def __post_init__(self) -> None:
        checked("prints", self.at_us, self.sign, self.price, self.size, self.usd, self.known_us)


@dataclass(frozen=True, slots=True)
class Quotes:
    """Best quotes by ascending time, microseconds since 1970; a missing side is NaN.

    Of quotes of one moment the last counts. `is_book` says that a quote is the first level of a
    whole book, `is_every_update` that no change between it and the one before is missing,
    `is_asked` that it was asked for and so belongs to no stream. Sizes are in base coins.
    ValueError where times descend or columns differ in length.
    """

    at_us: Integers
    bid: Floats
    ask: Floats
    bid_size: Floats
    ask_size: Floats
    known_us: Integers
    is_book: Booleans
    is_every_update: Booleans
    is_asked: Booleans

    def __post_init__(self) -> None:
        sides = (self.bid, self.ask, self.bid_size, self.ask_size)
        flags = (self.is_book, self.is_every_update, self.is_asked)
        checked("quotes", self.at_us, *sides, self.known_us, *flags)


def checked(name: str, at_us: Integers, *columns: NDArray[np.generic]) -> None:
    """ValueError unless times ascend and every column is as long."""
    ascending(name, at_us)
    if len(sizes := {at_us.size, *(c.size for c in columns)}) > 1:
        raise ValueError(f"{name}: columns of {sorted(sizes)} values, must be equally long")


def checked_period(name: str, start_us: int, end_us: int, step_s: int) -> None:
    """ValueError unless the period holds whole steps."""
    step = step_s * SECOND_US
    if start_us % step or end_us % step or end_us < start_us:
        raise ValueError(f"{name}: {start_us} to {end_us} us is no number of {step_s} s steps")
