"""What time is it in the simulated world? Stepped by hand, or running as the wall clock does."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock:
    """Stands still until it is stepped, or runs on from where it was set.

    `ticks` gives seconds of any monotonic clock; it is read only while the clock runs.
    """

    def __init__(self, at: datetime, ticks: Callable[[], float]) -> None:
        self._ticks = ticks
        self._set_us = micros(at)
        self._since: float | None = None

    def now_us(self) -> int:
        """Microseconds since 1970."""
        if self._since is None:
            return self._set_us
        return self._set_us + round((self._ticks() - self._since) * 1e6)

    def now(self) -> datetime:
        return EPOCH + timedelta(microseconds=self.now_us())

    def step(self, at: datetime) -> None:
        """Stand still at an instant."""
        self._set_us, self._since = micros(at), None

    def run(self, at: datetime | None = None) -> None:
        """Run on from an instant, or from where the clock stands."""
        self._set_us = self.now_us() if at is None else micros(at)
        self._since = self._ticks()


def micros(at: datetime) -> int:
    """Microseconds since 1970. Raises ValueError where the instant has no zone."""
    if at.tzinfo is None:
        raise ValueError(f"clock: {at.isoformat()} has no zone; write 2026-03-10T00:40:00Z")
    return (at - EPOCH) // timedelta(microseconds=1)
