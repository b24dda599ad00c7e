"""How are days brought by one process? The daemon's assets, one venue's day after the other.

The command line calls this: no daemon, no queue, no event log that stays.
"""

import builtins
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import dagster as dg
from dagster_shared.error import SerializableErrorInfo  # what a step failed by has no public name

from assets.ingestion import DAY_STEPS
from assets.line import LiveLine
from assets.partitions import VENUES, key_of
from assets.publishing import generation
from assets.schedules import tick_config
from assets.snapshots import SNAPSHOT_STEPS, tick_once
from assets.transform import models
from pipelines.live import DAY_QUESTIONS, SNAPSHOT_QUESTIONS
from pipelines.venues import offering
from warehouse.lake import Partition, read_manifest
from warehouse.location import Location

TABLES = (*DAY_QUESTIONS, *SNAPSHOT_QUESTIONS)
Progress = Callable[[str, int, int], None]

QUIETLY = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}
FAILED, DISK = 1, 74
DISK_CLASSES = frozenset({"IOException"})  # beside OSError and what is one: DuckDB's


@dataclass(frozen=True, slots=True)
class Failed:
    """A step that failed: by its own word, which the lake tells too, or by a crash."""

    text: str
    exit_code: int
    is_crash: bool


@dataclass(frozen=True, slots=True)
class Brought:
    """What became of a venue's day: held already, or asked for, with the steps that failed."""

    venue: str
    day: date
    was_held: bool
    failed: tuple[Failed, ...] = ()

    @property
    def errors(self) -> tuple[str, ...]:
        """A line for each."""
        return tuple(failed.text for failed in self.failed)

    @property
    def exit_code(self) -> int:
        return max((failed.exit_code for failed in self.failed), default=0)


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
            found.append(Brought(venue, day, was_held=True))
        else:
            failed = tuple(bring(live, venue, day, tables))
            found.append(Brought(venue, day, was_held=False, failed=failed))
        if progress:
            progress(f"{venue} {day}", len(found), len(wanted))
    return found


def take_ticks(live: LiveLine, day: date, *, every: timedelta | None = None) -> list[Failed]:
    """Step through a day and take its snapshots; what failed is told."""
    every = every or timedelta(seconds=live.settings.snapshot_every_s)
    start = datetime.combine(day, time(), UTC)
    count = -(-timedelta(days=1) // every)
    return take([start + n * every for n in range(count)], live)


def take(
    instants: Sequence[datetime], live: LiveLine, instance: dg.DagsterInstance | None = None
) -> list[Failed]:
    """Take the states of all venues at these instants; what failed is told."""
    with _open(instance) as log:
        result = tick_once.execute_in_process(
            run_config={**tick_config(list(instants)), **QUIETLY},
            resources={"live": live},
            instance=log,
            raise_on_error=False,
        )
    return _failed(result)


def build_and_publish(live: LiveLine, instance: dg.DagsterInstance | None = None) -> list[Failed]:
    """Bring the marts up to date and publish them; what failed is told."""
    return materialize([models, generation], live, None, instance)


def bring(
    live: LiveLine,
    venue: str,
    day: date,
    tables: Collection[str] = TABLES,
    instance: dg.DagsterInstance | None = None,
) -> Iterator[Failed]:
    """Ask for what a venue has of a day, whether it is held or not; the steps that failed."""
    for asset in (*DAY_STEPS, *SNAPSHOT_STEPS):
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
) -> list[Failed]:
    """Run the assets in this process; the steps that failed."""
    with _open(instance) as log:
        result = dg.materialize(
            assets,
            partition_key=key,
            resources={"live": live},
            instance=log,
            run_config=QUIETLY,
            raise_on_error=False,
        )
    return _failed(result)


@contextmanager
def _open(instance: dg.DagsterInstance | None) -> Iterator[dg.DagsterInstance]:
    """The instance that is given, or one of its own, which takes a moment to make."""
    if instance is not None:
        yield instance
        return
    with dg.DagsterInstance.ephemeral() as own:
        yield own


def _failed(result: dg.ExecuteInProcessResult) -> list[Failed]:
    found = []
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if said := data.user_failure_data:
                text = " ".join((said.description or "failed").split())
                found.append(Failed(text, FAILED, is_crash=False))
            else:
                found.append(_crash(event.step_key, data.error))
    return found


def _crash(step: str | None, error: SerializableErrorInfo | None) -> Failed:
    """What a step did not expect; Dagster's own error wraps it."""
    own = error.cause or error if error else None
    said = " ".join(own.message.split()) if own else "failed"
    code = DISK if own and _is_of_disk(own.cls_name or "") else FAILED
    return Failed(f"{step}: {said}", code, is_crash=True)


def _is_of_disk(name: str) -> bool:
    """Only the name of a class comes out of a step."""
    kind = getattr(builtins, name, None)
    return name in DISK_CLASSES or (isinstance(kind, type) and issubclass(kind, OSError))
