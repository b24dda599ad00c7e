"""Who answers a run, and how does time pass meanwhile? Real venues, or the embedded market."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

from assets.line import LiveLine
from pipelines.live import PROMPT
from pipelines.settings import Settings
from pipelines.simulator.embedded import Embedded, embedded
from pipelines.transport import Transport
from warehouse.location import Clock, Location, World, WrongWorld, write_durably

NOTE = "market.json"


@dataclass(frozen=True, slots=True)
class Feed:
    """The line to the venues, and its clock. `market` is the embedded one, where it answers."""

    live: LiveLine
    market: Embedded | None = None

    @property
    def is_stepped(self) -> bool:
        """Whether time can be moved, so that a past day's states are asked for at their times."""
        return self.market is not None

    def reach(self, at: datetime) -> bool:
        """Let it be `at` if that can be; whether states of that instant can be had now."""
        self.live.step(at)
        return timedelta() <= self.live.clock() - at <= PROMPT

    def wait(self, period: timedelta) -> bool:
        """Let time pass where that costs none; whether it has."""
        if self.market is None:
            return False
        self.market.clock.sleep(period.total_seconds())
        return True

    def portfolio(self, days: Sequence[date]) -> Path | None:
        """The embedded market's own books, in the coins that are asked for; with them it tells what
        really happened on `days`."""
        if self.market is None:
            return None
        self.market.tell(days, self.live.settings.underlyings)
        return self.market.portfolio

    def archives(self, days: Sequence[date]) -> Path | None:
        """What can be downloaded of the embedded market beside `days`; None of real venues."""
        return self.market.archive(days) if self.market else None


@contextmanager
def simulated(
    location: Location,
    *,
    seed: int,
    size: float,
    faults: str,
    at: datetime,
    underlyings: tuple[str, ...],
    every: timedelta,
) -> Iterator[Feed]:
    """The embedded market from `at` on. Raises as `embedded`, and `WrongWorld`."""
    world = World("simulator", seed=seed)
    location.claim(world)
    _note(location, {"size": size, "faults": faults})
    with (
        embedded(location, seed=seed, size=size, faults=faults, at=at) as market,
        market.transport() as transport,
    ):

        def step(wanted: datetime) -> None:
            if market.clock() < wanted:
                market.step(wanted)

        settings = _settings(transport.settings, underlyings, every)
        live = LiveLine(
            location, market.clock, world, settings, lambda _: transport, step, retries=False
        )
        yield Feed(live, market)


@contextmanager
def real(
    location: Location, *, clock: Clock, underlyings: tuple[str, ...], every: timedelta
) -> Iterator[Feed]:
    """The venues themselves, or what stands behind the gateway of the settings."""
    world = World("real", mode="live")
    location.claim(world)
    settings = _settings(Settings(), underlyings, every)
    # one for all steps, and with it one budget; closed by a step, it opens again for the next
    with Transport(location, clock=clock, settings=settings) as transport:
        yield Feed(
            LiveLine(
                location,
                clock,
                world,
                settings,
                lambda _: transport,
                lambda _: None,
                retries=False,
                is_apart=True,
            )
        )


@contextmanager
def again(location: Location, *, clock: Clock, underlyings: tuple[str, ...]) -> Iterator[Feed]:
    """The world that the folder holds, by the clock; the venues themselves where it is empty.

    The embedded market is the one that was asked last.
    """
    world, every = location.world(), timedelta(seconds=Settings().snapshot_every_s)
    if world is None or world.origin == "real" or world.seed is None:
        with real(location, clock=clock, underlyings=underlyings, every=every) as feed:
            yield feed
        return
    asked = _noted(location)
    with simulated(
        location,
        seed=world.seed,
        size=float(asked["size"]),
        faults=str(asked["faults"]),
        at=clock(),
        underlyings=underlyings,
        every=every,
    ) as feed:
        yield feed


def _note(location: Location, asked: dict[str, float | str]) -> None:
    """Which market was asked: its seed stands in the world's name."""
    location.market.mkdir(parents=True, exist_ok=True)
    write_durably(location.market / NOTE, json.dumps(asked).encode())


def _noted(location: Location) -> dict[str, float | str]:
    path = location.market / NOTE
    try:
        found: dict[str, float | str] = json.loads(path.read_text())
    except FileNotFoundError:
        raise WrongWorld(
            f"{location.root}: holds a market of files, which cannot be asked again"
        ) from None
    return found


def _settings(own: Settings, underlyings: tuple[str, ...], every: timedelta) -> Settings:
    wanted = {"underlyings": underlyings, "snapshot_every_s": int(every.total_seconds())}
    return own.model_copy(update=wanted)
