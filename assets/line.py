"""Which market, which folder and whose clock do the assets work with?"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

import dagster as dg

from pipelines.live import Line
from pipelines.settings import Settings
from pipelines.simulator.embedded import Embedded
from pipelines.transport import Transport
from warehouse.location import Clock, Location, World, default_root

# A tick is never kept waiting by a day that is fetched at the same time in another process: each
# spends its own share of the venue's budget.
DAYS_SHARE, TICKS_SHARE = 0.75, 0.25


@dataclass(frozen=True, slots=True)
class LiveLine:
    """The live line as a resource: `step` moves the market's clock where it does not run itself.

    With `retries` a step that failed is tried again after a while; a command tells of it instead.
    With `is_apart` venues are asked at the same time, so that none waits for another; where waiting
    moves the clock they take turns.
    """

    location: Location
    clock: Clock
    world: World
    settings: Settings
    transport: Callable[[Settings], Transport]
    step: Callable[[datetime], object]
    retries: bool = True
    is_apart: bool = False

    @contextmanager
    def line(self, share: float = 1.0) -> Iterator[Line]:
        """The line, with a share of every venue's rate budget, until the block is left."""
        scale = self.settings.rate_scale * share
        with self.transport(self.settings.model_copy(update={"rate_scale": scale})) as transport:
            yield Line(self.location, transport, self.settings.underlyings, self.world)


def from_environment() -> LiveLine:
    """The line that the environment describes, on the wall clock.

    Raises ValueError where the embedded market is wanted and no gateway leads to it.
    """
    settings, location = Settings(), Location(default_root())
    if settings.source == "simulator" and settings.gateway is None:
        raise ValueError(
            "HEDGEHOUSE_SOURCE is simulator and HEDGEHOUSE_GATEWAY is not set; start "
            "`hedgehouse simulate --port PORT` and set it to http://127.0.0.1:PORT"
        )

    def transport(wanted: Settings) -> Transport:
        return Transport(location, clock=now, settings=wanted, sleep=time.sleep)

    world = world_of(settings)
    return LiveLine(location, now, world, settings, transport, lambda at: None, is_apart=True)


def stepped(market: Embedded, settings: Settings) -> LiveLine:
    """The line to a market whose clock stands until it is stepped."""
    world = World("simulator", seed=market.seed)
    return LiveLine(
        market.location,
        market.clock,
        world,
        settings,
        lambda wanted: market.transport(),
        market.step,
    )


def world_of(settings: Settings) -> World:
    """What a data folder holds that is filled with these settings."""
    if settings.source == "simulator":
        return World("simulator", seed=settings.seed)
    return World("real", mode="live")


def now() -> datetime:
    """The daemon's clock, which everything below is given."""
    return datetime.now(UTC)


@dg.resource(description="Which market, which folder and whose clock the assets work with.")
def live(_: dg.InitResourceContext) -> LiveLine:
    return from_environment()
