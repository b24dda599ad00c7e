"""What has happened until now in the world of one seed? Any day, made when it is asked for."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TypeVar, cast

import numpy as np

from pipelines.simulator import funding, prints, tape
from pipelines.simulator.levels import first_ids
from pipelines.simulator.paths import State, premium, simulate_coin
from pipelines.simulator.prints import Prints
from pipelines.simulator.tape import CurrencyTape
from pipelines.simulator.world import COINS, DAY_S, END, EPOCH, Coin, Floats, Ints, Listing

Made = TypeVar("Made")
DAY_US = DAY_S * 1_000_000
KEPT_DAYS = 3  # in memory, of each kind and market; of a small world more
MOST_KEPT_DAYS = 60


@dataclass(frozen=True, slots=True)
class History:
    """The world of one seed. `size` scales the number of prints and of listed options.

    The same seed and size are the same world, whichever days are asked for first.
    """

    seed: int
    size: float = 1.0
    _made: dict[Hashable, "OrderedDict[Hashable, object]"] = field(
        default_factory=dict, repr=False, compare=False
    )

    def __post_init__(self) -> None:
        if self.seed < 0 or not self.size >= 0.001:
            raise ValueError(
                f"world: seed was {self.seed}, size was {self.size}; need seed >= 0 and "
                "size >= 0.001"
            )

    def state(self, coin: Coin, day: date) -> State:
        return self._once(
            ("state", coin.name), day, lambda: simulate_coin(coin, self.seed, self.size, day)
        )

    def prints(self, listing: Listing, day: date) -> Prints:
        """One market's day at Binance."""
        return self._once(
            (listing.market, listing.symbol),
            day,
            lambda: prints.prints(self.state(listing.coin, day), listing),
        )

    def tape(self, coin: Coin, day: date) -> CurrencyTape:
        """One coin's day at Deribit."""
        return self._once(
            ("tape", coin.name), day, lambda: tape.currency_tape(self.state(coin, day))
        )

    def premium(self, coin: Coin, day: date) -> Floats:
        """Premium of a whole perpetual over spot, per minute."""
        return premium(coin, self.seed, day, "um")

    def interest(self, coin: Coin, day: date) -> Floats:
        """Deribit's interest of the 48 hours that end with the day, hour by hour."""
        return self._once(
            ("interest", coin.name),
            day,
            lambda: funding.hourly_interest(coin, self.seed, [day - timedelta(days=1), day]),
        )

    def first_ids(self, listing: Listing) -> Ints:
        """Id of the first print of each day since the epoch."""
        return first_ids(listing, self.seed, self.size)

    def warm(self, day: date) -> None:
        """Make a day, and the one before, before somebody waits for them.

        Raises ValueError where the world has no such day.
        """
        if not EPOCH < day < END:
            first = EPOCH + timedelta(days=1)
            raise ValueError(f"world: day was {day}; it has {first} to {END}, the end excluded")
        for coin in COINS:
            self.tape(coin, day - timedelta(days=1))
            self.tape(coin, day)

    def _once(self, kind: Hashable, day: date, make: Callable[[], Made]) -> Made:
        days = self._made.setdefault(kind, OrderedDict())
        if day not in days:
            days[day] = make()
            while len(days) > max(KEPT_DAYS, min(MOST_KEPT_DAYS, int(8 / self.size))):
                days.popitem(last=False)
        days.move_to_end(day)
        return cast(Made, days[day])


def day_of(at_us: int) -> date:
    """The UTC day of an instant in microseconds since 1970."""
    return date(1970, 1, 1) + timedelta(days=at_us // DAY_US)


def second_of(at_us: int) -> float:
    """Seconds after that day's midnight."""
    return (at_us % DAY_US) / 1e6


def day_of_id(ids: Ints, number: int) -> date:
    """The day in which the print of that id lies, by the days' first ids."""
    return EPOCH + timedelta(days=int(np.searchsorted(ids, number, "right")) - 1)
