"""What is asked for when: ticks, nights, and marts when days are done."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.schedule_definition import ScheduleExecutionData
from dagster._core.definitions.sensor_definition import SensorExecutionData

from assets import schedules
from assets.definitions import defs
from assets.line import LiveLine, world_of
from assets.results import lake_key
from assets.schedules import Seen, is_due
from pipelines.settings import Settings
from pipelines.transport import Transport
from warehouse.location import Location

NIGHT = datetime(2026, 3, 11, 0, 40, tzinfo=UTC)
TICK = datetime(2026, 3, 11, 9, 30, tzinfo=UTC)


@pytest.fixture
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    folder = str(tmp_path_factory.mktemp("dagster"))
    with dg.DagsterInstance.local_temp(folder) as made:
        yield made


def line_at(path: Path, now: datetime) -> LiveLine:
    settings, location = Settings(), Location(path)

    def transport(wanted: Settings) -> Transport:
        return Transport(location, clock=lambda: now, settings=wanted)

    return LiveLine(location, lambda: now, world_of(settings), settings, transport, lambda at: None)


def asked(schedule: dg.ScheduleDefinition, at: datetime) -> list[dg.RunRequest]:
    with dg.build_schedule_context(
        scheduled_execution_time=at, repository_def=defs.get_repository_def()
    ) as context:
        return list(schedule.evaluate_tick(context).run_requests or ())


def ticked(path: Path, instance: dg.DagsterInstance, now: datetime) -> ScheduleExecutionData:
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=TICK,
        repository_def=defs.get_repository_def(),
        resources={"live": line_at(path, now)},
    ) as context:
        return schedules.every_tick.evaluate_tick(context)


def left(instance: dg.DagsterInstance, job: str, status: dg.DagsterRunStatus) -> str:
    """A run that is where the daemon would see it."""
    run = dg.DagsterRun(job_name=job, status=status)
    return instance.add_run(run).run_id


@pytest.mark.filterwarnings("ignore:Non-compliant tag keys")  # Dagster's own, of two dimensions
def test_a_night_asks_for_yesterday_and_the_two_days_before_at_every_venue() -> None:
    nightly = {s.name: s for s in schedules.SCHEDULES if s.name.startswith("nightly")}
    assert all(s.cron_schedule == "40 0 * * *" for s in nightly.values())
    keys = {request.partition_key for request in asked(nightly["nightly_days_of_all"], NIGHT)}
    days = ("2026-03-08", "2026-03-09", "2026-03-10")
    assert keys == {f"{day}|{venue}" for day in days for venue in ("binance", "deribit")}
    alone = asked(nightly["nightly_days_of_deribit"], NIGHT)
    assert {request.partition_key for request in alone} == {f"{day}|deribit" for day in days}


def test_every_table_with_days_or_ticks_is_asked_for_in_some_night() -> None:
    jobs = {found.name: defs.resolve_job_def(found.name) for found in schedules.DAY_JOBS}
    found = {key for job in jobs.values() for key in job.asset_layer.executable_asset_keys}
    tables = (*schedules.DAY_QUESTIONS, *schedules.SNAPSHOT_QUESTIONS)
    assert found == {lake_key(table) for table in tables}


def test_no_day_before_the_first_is_asked_for() -> None:
    first = schedules.FIRST_DAY
    assert schedules.days_of_night(first + timedelta(days=1)) == [first]
    assert schedules.days_of_night(date(2026, 3, 11)) == [date(2026, 3, d) for d in (8, 9, 10)]


def test_a_tick_asks_for_its_own_instant(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    (request,) = ticked(tmp_path, instance, TICK + timedelta(seconds=3)).run_requests or ()
    assert request.run_config == {
        "ops": {"take_ticks": {"config": {"at": ["2026-03-11T09:30:00+00:00"]}}}
    }


def test_a_tick_is_left_out_while_the_one_before_is_still_taken(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    run_id = left(instance, "tick", dg.DagsterRunStatus.STARTED)
    told = ticked(tmp_path, instance, TICK)
    assert not told.run_requests
    assert run_id in (told.skip_message or "")


def test_a_tick_follows_one_that_has_ended(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    left(instance, "tick", dg.DagsterRunStatus.FAILURE)
    assert ticked(tmp_path, instance, TICK).run_requests


def test_a_tick_that_comes_too_late_is_not_taken_for_another(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    told = ticked(tmp_path, instance, TICK + timedelta(minutes=12))
    assert not told.run_requests
    assert "a gap" in (told.skip_message or "")


@pytest.mark.parametrize(("every_s", "cron"), [(300, "*/5 * * * *"), (3600, "0 * * * *")])
def test_the_ticks_follow_their_setting(every_s: int, cron: str) -> None:
    assert schedules.cron_of(every_s) == cron


def test_ticks_that_would_not_stand_on_the_same_minutes_of_every_hour_are_refused() -> None:
    with pytest.raises(ValueError, match="was 420; 3600 is no multiple of it"):
        Settings(snapshot_every_s=420)


# ---------- marts
def at(minute: int, *, days: int = 0, ticks: int = 0) -> Seen:
    moment = datetime(2026, 3, 11, tzinfo=UTC) + timedelta(minutes=minute)
    return Seen(days, ticks, moment.isoformat())


@pytest.mark.parametrize(
    ("newest", "are_days_running", "due"),
    [
        (at(1, days=9, ticks=7), False, True),  # days are done
        (at(1, days=9, ticks=7), True, False),  # days are being asked for
        (at(59, days=8, ticks=9), False, False),  # snapshots alone
        (at(60, days=8, ticks=9), False, True),  # an hour of them
        (at(60, days=9, ticks=7), True, True),  # days for more than an hour
        (at(600, days=8, ticks=7), False, False),  # nothing new
    ],
)
def test_marts_are_due_when_days_are_done_and_else_once_an_hour(
    newest: Seen, are_days_running: bool, due: bool
) -> None:
    assert is_due(at(0, days=8, ticks=7), newest, are_days_running=are_days_running) is due


def sensed(
    path: Path, instance: dg.DagsterInstance, now: datetime, cursor: str | None = None
) -> SensorExecutionData:
    with dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        repository_def=defs.get_repository_def(),
        resources={"live": line_at(path, now)},
    ) as context:
        return schedules.build_when_due.evaluate_tick(context)


def arrived(instance: dg.DagsterInstance, table: str) -> None:
    event = dg.AssetMaterialization(lake_key(table), partition="2026-03-10|deribit")
    instance.report_runless_asset_event(event)


def built(
    instance: dg.DagsterInstance, told: SensorExecutionData, status: dg.DagsterRunStatus
) -> None:
    """The run that was asked for has ended so."""
    (request,) = told.run_requests or ()
    run = dg.DagsterRun(job_name="build_and_publish", status=status, tags=dict(request.tags))
    instance.add_run(run)


def test_a_day_that_has_come_is_built_once(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    assert not sensed(tmp_path, instance, TICK).run_requests
    arrived(instance, "trades")
    first = sensed(tmp_path, instance, TICK)
    assert len(first.run_requests or ()) == 1
    built(instance, first, dg.DagsterRunStatus.SUCCESS)
    later = TICK + timedelta(days=1)
    assert not sensed(tmp_path, instance, later, first.cursor).run_requests


def test_a_build_that_failed_is_asked_for_again_after_a_while_without_anything_new(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    arrived(instance, "trades")
    first = sensed(tmp_path, instance, TICK)
    built(instance, first, dg.DagsterRunStatus.FAILURE)
    arrived(instance, "trades")  # not even what is new hurries it
    early = sensed(tmp_path, instance, TICK + timedelta(minutes=9), first.cursor)
    assert "failed" in (early.skip_message or "")
    second = sensed(tmp_path, instance, TICK + timedelta(minutes=10), first.cursor)
    assert len(second.run_requests or ()) == 1
    assert (second.run_requests or ())[0].run_key != (first.run_requests or ())[0].run_key
    built(instance, second, dg.DagsterRunStatus.SUCCESS)
    assert not sensed(tmp_path, instance, TICK + timedelta(hours=9), second.cursor).run_requests


def test_snapshots_alone_are_built_once_an_hour(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    arrived(instance, "option_quotes")
    first = sensed(tmp_path, instance, TICK)
    built(instance, first, dg.DagsterRunStatus.SUCCESS)
    arrived(instance, "quotes")
    cursor = first.cursor
    assert not sensed(tmp_path, instance, TICK + timedelta(minutes=59), cursor).run_requests
    assert sensed(tmp_path, instance, TICK + timedelta(minutes=60), cursor).run_requests


def test_no_build_is_asked_for_beside_another(tmp_path: Path, instance: dg.DagsterInstance) -> None:
    arrived(instance, "trades")
    left(instance, "build_and_publish", dg.DagsterRunStatus.STARTED)
    assert "under way" in (sensed(tmp_path, instance, TICK).skip_message or "")
