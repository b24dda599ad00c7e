"""When is what asked for? Ticks every few minutes, days each night, marts when it is time."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import (
    UnresolvedAssetJobDefinition as AssetJob,  # what define_asset_job returns has no public name
)

from assets import freshness
from assets.ingestion import DAY_ASSETS
from assets.line import LiveLine
from assets.partitions import FIRST_DAY, VENUES, key_of
from assets.publishing import generation
from assets.results import lake_key
from assets.snapshots import SNAPSHOT_ASSETS, tick
from assets.transform import models
from pipelines.live import DAY_QUESTIONS, SNAPSHOT_QUESTIONS
from pipelines.settings import Settings

NIGHT = "40 0 * * *"
PULLED_AGAIN = 3  # yesterday and the two days before: venues correct what they told
TOO_LATE = timedelta(minutes=4)  # beyond it a state is not the state of its tick
BUILD_EVERY = timedelta(hours=1)
BUILD_AGAIN = timedelta(minutes=10)  # after a build that failed
SEEN_TAG = "hedgehouse/seen"  # on a build: the name of what it was asked for
SETTINGS = Settings()
SCHEDULED = (
    dg.DefaultScheduleStatus.RUNNING if SETTINGS.is_scheduled else dg.DefaultScheduleStatus.STOPPED
)
SENSED = dg.DefaultSensorStatus.RUNNING if SETTINGS.is_scheduled else dg.DefaultSensorStatus.STOPPED
UNFINISHED = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def _by_partitions() -> dict[tuple[str, ...], list[dg.AssetsDefinition]]:
    """What is offered by the same venues is asked for in one run."""
    found: dict[tuple[str, ...], list[dg.AssetsDefinition]] = {}
    for asset in (*DAY_ASSETS, *SNAPSHOT_ASSETS):
        found.setdefault(_venues_of(asset), []).append(asset)
    return found


def _venues_of(asset: dg.AssetsDefinition) -> tuple[str, ...]:
    partitions = asset.partitions_def
    if not isinstance(partitions, dg.MultiPartitionsDefinition):
        raise dg.DagsterInvalidDefinitionError(f"{asset.key}: is not cut by venue and day")
    return tuple(partitions.get_partitions_def_for_dimension("venue").get_partition_keys())


@dataclass(frozen=True, slots=True)
class DayJob:
    """The job for days of tables that the same venues offer."""

    venues: tuple[str, ...]
    name: str
    job: AssetJob


def _job(names: tuple[str, ...], assets: list[dg.AssetsDefinition]) -> DayJob:
    name = f"days_of_{'all' if names == VENUES else '_and_'.join(names)}"
    job = dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*assets) - dg.AssetSelection.checks(*freshness.CHECKS),
        executor_def=dg.in_process_executor,
        description=f"A day of what {' and '.join(names)} offer, a step per question.",
    )
    return DayJob(names, name, job)


def _nightly(found: DayJob) -> dg.ScheduleDefinition:
    @dg.schedule(
        job=found.job,
        cron_schedule=NIGHT,
        execution_timezone="UTC",
        name=f"nightly_{found.name}",
        default_status=SCHEDULED,
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        """Yesterday, and the two days before once more."""
        night = context.scheduled_execution_time.astimezone(UTC).date()
        for day in days_of_night(night):
            for venue in found.venues:
                key = key_of(venue, day)
                yield dg.RunRequest(run_key=f"{night} {found.name} {key}", partition_key=key)

    return nightly


def days_of_night(night: date) -> list[date]:
    """The days that are asked for in a night, oldest first."""
    days = (night - timedelta(days=back) for back in range(PULLED_AGAIN, 0, -1))
    return [day for day in days if day >= FIRST_DAY]


def cron_of(every_s: int) -> str:
    minutes = every_s // 60
    return "0 * * * *" if minutes == 60 else f"*/{minutes} * * * *"


@dg.schedule(
    job=tick,
    cron_schedule=cron_of(SETTINGS.snapshot_every_s),
    execution_timezone="UTC",
    default_status=SCHEDULED,
)
def every_tick(
    context: dg.ScheduleEvaluationContext, live: dg.ResourceParam[LiveLine]
) -> dg.RunRequest | dg.SkipReason:
    """A tick, unless the one before is still being taken: then this one is a gap."""
    at = context.scheduled_execution_time.astimezone(UTC)
    if (late := live.clock() - at) > TOO_LATE:
        return dg.SkipReason(f"it is {late} late, and its states are gone: a gap")
    filters = dg.RunsFilter(job_name=tick.name, statuses=UNFINISHED)
    if running := context.instance.get_runs(filters, limit=1):
        return dg.SkipReason(f"run {running[0].run_id} still takes the tick before: a gap")
    return dg.RunRequest(run_key=at.isoformat(), run_config=tick_config([at]))


def tick_config(instants: list[datetime]) -> dict[str, object]:
    """Run configuration of `tick`."""
    return {"ops": {"take_ticks": {"config": {"at": [at.isoformat() for at in instants]}}}}


build_and_publish = dg.define_asset_job(
    "build_and_publish",
    selection=dg.AssetSelection.assets(models, generation),
    executor_def=dg.in_process_executor,
    tags={"hedgehouse/build": "all"},
    description="The marts over the days that changed, and a generation of them.",
)


@dataclass(frozen=True, slots=True)
class Seen:
    """Up to which event of days and of snapshots marts were asked for, and when."""

    days: int = 0
    ticks: int = 0
    at: str = "1970-01-01T00:00:00+00:00"

    @property
    def name(self) -> str:
        return f"{self.days} {self.ticks} {self.at}"


def is_due(seen: Seen, newest: Seen, *, are_days_running: bool) -> bool:
    """Whether marts are wanted: when days are done, and of all else once an hour."""
    now, before = datetime.fromisoformat(newest.at), datetime.fromisoformat(seen.at)
    is_new = newest.days > seen.days or newest.ticks > seen.ticks
    return (newest.days > seen.days and not are_days_running) or (
        is_new and now - before >= BUILD_EVERY
    )


@dg.sensor(
    job=build_and_publish,
    minimum_interval_seconds=60,
    default_status=SENSED,
)
def build_when_due(
    context: dg.SensorEvaluationContext, live: dg.ResourceParam[LiveLine]
) -> dg.SensorResult | dg.SkipReason:
    """Marts and a generation when days are done, or when an hour of snapshots has come.

    What was asked for last is asked for again, after a while, until a build of it has succeeded.
    """
    newest = Seen(
        _newest(context.instance, DAY_QUESTIONS),
        _newest(context.instance, SNAPSHOT_QUESTIONS),
        live.clock().isoformat(),
    )
    if _count(context.instance, dg.RunsFilter(job_name=build_and_publish.name)):
        return dg.SkipReason("a build is under way")
    seen = Seen(**json.loads(context.cursor)) if context.cursor else Seen()
    if context.cursor and not _is_built(context.instance, seen):
        again = datetime.fromisoformat(seen.at) + BUILD_AGAIN
        if live.clock() < again:
            return dg.SkipReason(f"the last build failed; it is asked for again at {again:%H:%M}")
        return _asked(newest)
    running = _count(context.instance, dg.RunsFilter(tags={VENUE_TAG: list(VENUES)}))
    if not is_due(seen, newest, are_days_running=running > 0):
        return dg.SkipReason(f"nothing new that is due; {running} days are being asked for")
    return _asked(newest)


def _asked(newest: Seen) -> dg.SensorResult:
    request = dg.RunRequest(run_key=newest.name, tags={SEEN_TAG: newest.name})
    return dg.SensorResult(run_requests=[request], cursor=json.dumps(asdict(newest)))


def _is_built(instance: dg.DagsterInstance, seen: Seen) -> bool:
    filters = dg.RunsFilter(
        job_name=build_and_publish.name,
        tags={SEEN_TAG: seen.name},
        statuses=[dg.DagsterRunStatus.SUCCESS],
    )
    return instance.get_runs_count(filters) > 0


VENUE_TAG = "dagster/partition/venue"


def _newest(instance: dg.DagsterInstance, tables: Mapping[str, object]) -> int:
    """The number of the latest event that brought rows to one of the tables."""
    found = [instance.fetch_materializations(lake_key(name), limit=1).records for name in tables]
    return max((record.storage_id for records in found for record in records), default=0)


def _count(instance: dg.DagsterInstance, filters: dg.RunsFilter) -> int:
    return instance.get_runs_count(
        dg.RunsFilter(job_name=filters.job_name, tags=filters.tags, statuses=UNFINISHED)
    )


judge_freshness = dg.define_asset_job(
    "judge_freshness",
    selection=dg.AssetSelection.checks(*freshness.CHECKS),
    executor_def=dg.in_process_executor,
)


@dg.schedule(
    job=judge_freshness,
    cron_schedule="7 * * * *",
    execution_timezone="UTC",
    default_status=SCHEDULED,
)
def hourly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest:
    """Whether what should be here is here."""
    return dg.RunRequest(run_key=context.scheduled_execution_time.isoformat())


DAY_JOBS = tuple(_job(names, assets) for names, assets in _by_partitions().items())
JOBS: tuple[AssetJob | dg.JobDefinition, ...] = (
    *(found.job for found in DAY_JOBS),
    tick,
    build_and_publish,
    judge_freshness,
)
SCHEDULES = (*(_nightly(found) for found in DAY_JOBS), every_tick, hourly)
SENSORS = (build_when_due,)
