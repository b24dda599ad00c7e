"""How are days brought by one process? The daemon's assets, one venue's day after the other.

The command line calls this: no daemon, no queue, no event log that stays.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import dagster as dg

from assets.ingestion import DAY_ASSETS
from assets.line import LiveLine
from assets.partitions import VENUES, key_of
from assets.publishing import generation
from assets.schedules import tick_config
from assets.snapshots import SNAPSHOT_ASSETS, tick
from assets.transform import models
from pipelines.live import DAY_QUESTIONS, SNAPSHOT_QUESTIONS
from pipelines.venues import offering
from warehouse.lake import Partition, read_manifest
from warehouse.location import Location

TABLES = (*DAY_QUESTIONS, *SNAPSHOT_QUESTIONS)
Progress = Callable[[str, int, int], None]

QUIETLY = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a venue's day: held already, or asked for, with a line per failure."""

    venue: str
    day: date
    was_held: bool
    errors: tuple[str, ...]


def is_held(location: Location, venue: str, day: date, tables: Collection[str] = TABLES) -> bool:
    """Whether each of the day tables that the venue offers is held, and proven whole."""
    for question in DAY_QUESTIONS:
        if question in tables and venue in offering(question):
            units = read_manifest(location, Partition(question, venue, day)).units
            if not units or any(unit.status != "complete" for unit in units):
                return False
    return True


def bring_days(
    live: LiveLine,
    days: Sequence[date],
    *,
    venues: Collection[str] = VENUES,
    tables: Collection[str] = TABLES,
    progress: Progress | None = None,
) -> list[Brought]:
    """Ask for days that are over, passing over what is held complete; nothing raises.

    `progress` is told what is done, how much of it, and of how much.
    """
    wanted = [(venue, day) for day in sorted(days) for venue in sorted(venues)]
    found: list[Brought] = []
    for venue, day in wanted:
        if is_held(live.location, venue, day, tables):
            found.append(Brought(venue, day, was_held=True, errors=()))
        else:
            errors = tuple(bring(live, venue, day, tables))
            found.append(Brought(venue, day, was_held=False, errors=errors))
        if progress:
            progress(f"{venue} {day}", len(found), len(wanted))
    return found


def take_ticks(live: LiveLine, day: date, *, every: timedelta | None = None) -> list[str]:
    """Step through a day and take its snapshots; what failed is told, a line each."""
    every = every or timedelta(seconds=live.settings.snapshot_every_s)
    start = datetime.combine(day, time(), UTC)
    count = -(-timedelta(days=1) // every)
    return take([start + n * every for n in range(count)], live)


def take(
    instants: Sequence[datetime], live: LiveLine, instance: dg.DagsterInstance | None = None
) -> list[str]:
    """Take the states of all venues at these instants; what failed is told, a line each."""
    with _open(instance) as log:
        result = tick.execute_in_process(
            run_config={**tick_config(list(instants)), **QUIETLY},
            resources={"live": live},
            instance=log,
            raise_on_error=False,
        )
    return _errors(result)


def build_and_publish(live: LiveLine, instance: dg.DagsterInstance | None = None) -> list[str]:
    """Bring the marts up to date and publish them; what failed is told, a line each."""
    return materialize([models, generation], live, None, instance)


def bring(
    live: LiveLine,
    venue: str,
    day: date,
    tables: Collection[str] = TABLES,
    instance: dg.DagsterInstance | None = None,
) -> Iterator[str]:
    """Ask for what a venue has of a day, whether it is held or not; a line for each failure."""
    for asset in (*DAY_ASSETS, *SNAPSHOT_ASSETS):
        key = key_of(venue, day)
        partitions = asset.partitions_def
        is_wanted = any(asset_key.path[-1] in tables for asset_key in asset.keys)
        if is_wanted and partitions and partitions.has_partition_key(key):
            yield from materialize([asset], live, key, instance)


def materialize(
    assets: Sequence[dg.AssetsDefinition],
    live: LiveLine,
    key: dg.MultiPartitionKey | None,
    instance: dg.DagsterInstance | None = None,
) -> list[str]:
    """Run the assets in this process; a line for each step that failed."""
    with _open(instance) as log:
        result = dg.materialize(
            assets,
            partition_key=key,
            resources={"live": live},
            instance=log,
            run_config=QUIETLY,
            raise_on_error=False,
        )
    return _errors(result)


@contextmanager
def _open(instance: dg.DagsterInstance | None) -> Iterator[dg.DagsterInstance]:
    """The instance that is given, or one of its own, which takes a moment to make."""
    if instance is not None:
        yield instance
        return
    with dg.DagsterInstance.ephemeral() as own:
        yield own


def _errors(result: dg.ExecuteInProcessResult) -> list[str]:
    found = []
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            said = data.user_failure_data
            told = said.description if said else data.error.message if data.error else None
            found.append(" ".join((told or "failed").split()))
    return found
