"""What do the commands that ask venues demand of their arguments, and how do they run?"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

import typer

from assets import backfill, feeding, held, repairing, running
from assets.backfill import Brought
from assets.feeding import Feed
from assets.held import Held
from assets.partitions import FIRST_DAY, VENUES
from assets.repairing import Repaired
from assets.running import RunReport
from hedgehouse.arrivals import Share, days_between
from hedgehouse.stopping import Progress, stoppable
from pipelines.settings import Settings
from pipelines.simulator.history import History
from pipelines.simulator.wire.faults import parse
from warehouse.location import Clock, Location

HOURLY_MINUTES = 60  # of the embedded market: enough to see a day, and quick

Source = Literal["simulator", "live"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run is asked to do."""

    source: Source
    days: tuple[date, ...]
    underlyings: tuple[str, ...]
    every: timedelta
    seed: int
    size: float
    faults: str
    portfolio: Path | None
    with_archives: bool = False  # of the embedded market: quotes and the days before as files


def asked(
    source: Source,
    first: date,
    count: int,
    *,
    underlyings: Sequence[str],
    every_minutes: int | None,
    seed: int,
    size: float,
    faults: str,
    portfolio: Path | None,
    clock: Clock,
) -> Asked:
    """The run that is wanted. Raises `BadParameter` naming what cannot be."""
    days = known_days(first, first + timedelta(days=count - 1), clock)
    if portfolio and not portfolio.exists():
        raise typer.BadParameter(f"{portfolio}: no such file or folder")
    if source == "live" and faults:
        raise typer.BadParameter("--faults is for the simulator: real venues have their own")
    try:
        parse(faults, seed)
        History(seed, size)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    return Asked(
        source,
        days,
        known_underlyings(underlyings),
        _every(source, every_minutes),
        seed,
        size,
        faults,
        portfolio,
    )


def run(
    location: Location, wanted: Asked, *, clock: Clock, progress: Progress
) -> tuple[RunReport, Share | None]:
    """Run it; of the embedded market its own share is told too."""

    def act(told: Progress) -> tuple[RunReport, Share | None]:
        with _feed(location, wanted, clock) as feed:
            report = running.run(
                feed,
                wanted.days,
                every=wanted.every,
                portfolio=wanted.portfolio,
                with_archives=wanted.with_archives,
                progress=told,
            )
            return report, share_of(feed)

    return stoppable(act, progress)


def share_of(feed: Feed) -> Share | None:
    """What the embedded market did so far."""
    if feed.market is None:
        return None
    log = feed.market.server.log()
    return Share(feed.market.cpu_s(), log["requests"], log["faults"])


def bring(
    location: Location,
    days: Sequence[date],
    *,
    venues: Sequence[str],
    tables: Sequence[str],
    clock: Clock,
    progress: Progress,
) -> tuple[list[Brought], Held]:
    """Ask for days that are over, unless they are held complete, of the world the folder holds."""
    venues, tables = known("venue", venues, VENUES), known("table", tables, backfill.TABLES)

    def act(told: Progress) -> list[Brought]:
        with feeding.again(location, clock=clock, underlyings=Settings().underlyings) as feed:
            return backfill.bring_days(feed.live, days, venues=venues, tables=tables, progress=told)

    return stoppable(act, progress), held.of(location, days)


def repair(location: Location, *, clock: Clock) -> Repaired:
    """Ask again for every gap that can be repaired."""
    if not location.lake.is_dir():
        return Repaired((), ())
    with (
        feeding.again(location, clock=clock, underlyings=Settings().underlyings) as feed,
        feed.live.line() as line,
    ):
        return repairing.repair(line)


def known_days(first: date, last: date, clock: Clock) -> tuple[date, ...]:
    """The days from one to the other. Raises `BadParameter` where one cannot be asked for."""
    today = clock().astimezone(UTC).date()
    if last < first:
        raise typer.BadParameter(f"{last} is before {first}")
    if last > today:
        raise typer.BadParameter(f"{last} is in the future; it is {today}")
    if first < FIRST_DAY:
        raise typer.BadParameter(
            f"{first} is before {FIRST_DAY}, the first day (HEDGEHOUSE_FIRST_DAY)"
        )
    return days_between(first, last)


def known_underlyings(wanted: Sequence[str]) -> tuple[str, ...]:
    """Those wanted, else all. Raises `BadParameter` naming one that is none."""
    return known("underlying", wanted, Settings().underlyings)


def known(kind: str, wanted: Sequence[str], there: Sequence[str]) -> tuple[str, ...]:
    """Those wanted, else all there are. Raises `BadParameter` naming one that is none."""
    for name in wanted:
        if name not in there:
            raise typer.BadParameter(f"{kind} {name!r} is none of {', '.join(there)}")
    return tuple(wanted) or tuple(there)


def start_of(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _every(source: Source, minutes: int | None) -> timedelta:
    usual = HOURLY_MINUTES if source == "simulator" else Settings().snapshot_every_s // 60
    wanted = usual if minutes is None else minutes
    if wanted < 1 or 60 % wanted:
        raise typer.BadParameter(f"--every was {wanted}; it must divide an hour, in minutes")
    return timedelta(minutes=wanted)


def _feed(location: Location, wanted: Asked, clock: Clock) -> AbstractContextManager[Feed]:
    if wanted.source == "live":
        return feeding.real(
            location, clock=clock, underlyings=wanted.underlyings, every=wanted.every
        )
    return feeding.simulated(
        location,
        seed=wanted.seed,
        size=wanted.size,
        faults=wanted.faults,
        at=start_of(wanted.days[0]),
        underlyings=wanted.underlyings,
        every=wanted.every,
    )
