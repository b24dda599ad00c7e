"""Which prints of an instrument stand between two sequence numbers, on which days?"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from pipelines.simulator.world import Ints


@dataclass(frozen=True, slots=True)
class Numbering:
    """`ids[i]` numbers the first print of the i-th day from `first`; the last is the end."""

    first: date
    ids: Ints

    def day_of(self, number: int) -> date:
        """The day of an existing number."""
        return self.first + timedelta(days=int(np.searchsorted(self.ids, number, "right")) - 1)

    def of_day(self, day: date) -> tuple[int, int]:
        """First number of a day and of the next; equal where the instrument did not trade."""
        place = min(max((day - self.first).days, 0), len(self.ids) - 1)
        after = min(max((day - self.first).days + 1, 0), len(self.ids) - 1)
        return int(self.ids[place]), int(self.ids[after])

    def days(self, low: int, high: int, *, newest_first: bool) -> Iterator[tuple[date, int, int]]:
        """Each day with prints in [low, high], with the first and last number on it."""
        low, high = max(low, int(self.ids[0])), min(high, int(self.ids[-1]) - 1)
        while low <= high:
            day = self.day_of(high if newest_first else low)
            start, end = self.of_day(day)
            yield day, max(low, start), min(high, end - 1)
            if newest_first:
                high = start - 1
            else:
                low = end
