"""Who answers, and how does time pass meanwhile? Real venues, or the embedded market."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from pipelines.live import PROMPT, Line
from pipelines.settings import Settings
from pipelines.simulator.embedded import Embedded, embedded
from pipelines.transport import Transport
from warehouse.location import Clock, Location, World


@dataclass(frozen=True, slots=True)
class Feed:
    """The line to the venues, and its clock. `market` is the embedded one, where it answers."""

    line: Line
    market: Embedded | None = None

    @property
    def is_stepped(self) -> bool:
        """Whether time can be moved, so that a past day's states are asked for at their times."""
        return self.market is not None

    @property
    def mending_passes(self) -> int:
        return 3 if self.market else 1

    def reach(self, at: datetime) -> bool:
        """Let it be `at` if that can be; whether states of that instant can be had now."""
        if self.market and self.market.clock() < at:
            self.market.step(at)
        return timedelta() <= self.line.transport.clock() - at <= PROMPT

    def wait(self, period: timedelta) -> bool:
        """Let time pass where that costs none; whether it has."""
        if self.market is None:
            return False
        self.market.clock.sleep(period.total_seconds())
        return True

    def portfolio(self, days: Sequence[date]) -> Path | None:
        """The embedded market's own books; with them it tells what really happened on `days`."""
        if self.market is None:
            return None
        self.market.tell(days)
        return self.market.portfolio


@contextmanager
def simulated(
    location: Location,
    *,
    seed: int,
    size: float,
    faults: str,
    at: datetime,
    underlyings: tuple[str, ...],
) -> Iterator[Feed]:
    """The embedded market from `at` on. Raises as `embedded`, and `WrongWorld`."""
    world = World("simulator", seed=seed)
    location.claim(world)
    with (
        embedded(location, seed=seed, size=size, faults=faults, at=at) as market,
        market.transport() as transport,
    ):
        yield Feed(Line(location, transport, underlyings, world), market)


@contextmanager
def real(location: Location, *, clock: Clock, underlyings: tuple[str, ...]) -> Iterator[Feed]:
    """The venues themselves, or what stands behind the gateway of the settings."""
    with Transport(location, clock=clock, settings=Settings()) as transport:
        yield Feed(Line(location, transport, underlyings, World("real", mode="live")))
