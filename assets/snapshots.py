"""States that a venue tells of now or never: taken at every tick, called over when the day ends."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from assets import results
from assets.ingestion import RETRY
from assets.line import TICKS_SHARE, LiveLine
from assets.partitions import VENUES, key_of, venue_and_day, venue_days
from pipelines.live import (
    SNAPSHOT_QUESTIONS,
    Line,
    TableReport,
    compact_day,
    ingest_snapshot,
    roll_call,
)
from pipelines.venues import offering


def _snapshot_assets(
    names: tuple[str, ...], questions: Sequence[str], retry_policy: dg.RetryPolicy | None
) -> dg.AssetsDefinition:
    """The tables that the same venues offer: one step, since one answer is not without the rest."""
    partitions = venue_days(names)

    @dg.multi_asset(
        name=f"snapshots_of_{'_and_'.join(names)}",
        specs=[results.lake_spec(question, partitions) for question in questions],
        check_specs=[s for q in questions for s in results.check_specs(q, partitions)],
        partitions_def=partitions,
        retry_policy=retry_policy,
    )
    def take_or_call(
        context: dg.AssetExecutionContext, live: dg.ResourceParam[LiveLine]
    ) -> Iterator[results.Result]:
        """Take the states of now where the day is under way; else say which of its ticks are
        missing, and merge the others into one part."""
        venue, day = venue_and_day(context)
        with live.line(TICKS_SHARE) as line:
            found = list(_day(line, venue, day, live.clock(), _every(live), questions))
        by_table = {report.table: report for report in results.merged(found)}
        failures: list[dg.Failure] = []
        for question in questions:
            reports = [by_table[t] for t in SNAPSHOT_QUESTIONS[question] if t in by_table]
            for event in results.events(live.location, reports, except_of=[question]):
                context.log_event(event)
            try:
                yield from results.results(live.location, reports, question, retries=live.retries)
            except dg.Failure as failure:  # the other tables are told of first
                failures.append(failure)
        if failures:
            raise failures[0]

    return take_or_call


def _day(
    line: Line,
    venue: str,
    day: date,
    now: datetime,
    every: timedelta,
    questions: Sequence[str],
) -> Iterator[TableReport]:
    if day == now.date():
        yield from ingest_snapshot(line, venue, now.replace(microsecond=0), questions)
    yield from (r for r in roll_call(line, venue, day, every) if r.table in questions)
    if day < now.date():
        compact_day(line, venue, day)


def _by_offer() -> dict[tuple[str, ...], list[str]]:
    found: dict[tuple[str, ...], list[str]] = {}
    for question in SNAPSHOT_QUESTIONS:
        found.setdefault(tuple(sorted(offering(question))), []).append(question)
    return found


SNAPSHOT_ASSETS = tuple(
    _snapshot_assets(names, questions, RETRY) for names, questions in _by_offer().items()
)
SNAPSHOT_STEPS = tuple(  # for a command, which tells at once what failed
    _snapshot_assets(names, questions, None) for names, questions in _by_offer().items()
)


class Ticks(dg.Config):
    """The instants whose states are taken, as ISO texts; those that are held are passed over."""

    at: list[str]


@dg.op
def take_ticks(
    context: dg.OpExecutionContext, config: Ticks, live: dg.ResourceParam[LiveLine]
) -> None:
    """Ask all venues for their states at each instant, and call the roll of the day so far.

    It is no step of an asset: one process serves all venues and tables, and never waits for a
    venue whose days are being fetched.
    """
    instants = sorted(datetime.fromisoformat(text).astimezone(UTC) for text in config.at)
    with live.line(TICKS_SHARE) as line:
        told = results.merged(_taken(live, line, instants))
    for event in results.events(live.location, told):
        context.log_event(event)
    for question in SNAPSHOT_QUESTIONS:
        _evaluate(context, [r for r in told if r.table in SNAPSHOT_QUESTIONS[question]], question)
    if errors := [f"{r.table} of {r.venue}: {line}" for r in told for line in r.errors]:
        raise dg.Failure("; ".join(errors), allow_retries=live.retries)


def _taken(live: LiveLine, line: Line, instants: Sequence[datetime]) -> list[TableReport]:
    """The states of every venue; a venue that does not answer costs the others nothing."""
    days = sorted({at.date() for at in instants})
    if not live.is_apart:
        found: list[TableReport] = []
        for at in instants:
            live.step(at)
            for venue in VENUES:
                found += ingest_snapshot(line, venue, at)
        return [*found, *(r for venue in VENUES for r in _called(live, line, venue, days))]

    def taken(venue: str) -> list[TableReport]:
        found = [report for at in instants for report in ingest_snapshot(line, venue, at)]
        return [*found, *_called(live, line, venue, days)]

    with ThreadPoolExecutor(len(VENUES), thread_name_prefix="tick") as pool:
        return [report for found in pool.map(taken, VENUES) for report in found]


def _called(live: LiveLine, line: Line, venue: str, days: Sequence[date]) -> Iterator[TableReport]:
    for day in days:
        yield from roll_call(line, venue, day, _every(live))


def _evaluate(context: dg.OpExecutionContext, told: list[TableReport], question: str) -> None:
    """The checks of what came, on the partitions that it came to."""
    for report in told:
        if report.table == question:
            beside = [r for r in told if (r.venue, r.day) == (report.venue, report.day)]
            for check in results.checks(beside, question):
                evaluation = dg.AssetCheckEvaluation(
                    asset_key=results.lake_key(question),
                    check_name=str(check.check_name),
                    passed=check.passed,
                    metadata=check.metadata,
                    severity=check.severity,
                    partition=str(key_of(report.venue, report.day)),
                )
                # Under the run's own name: a check is kept once per run, and replaced by a retry.
                event = dg.DagsterEvent(
                    dg.DagsterEventType.ASSET_CHECK_EVALUATION.value,
                    job_name=context.job_name,
                    event_specific_data=evaluation,
                )
                context.instance.report_dagster_event(event, run_id=context.run_id)


def _every(live: LiveLine) -> timedelta:
    return timedelta(seconds=live.settings.snapshot_every_s)


@dg.job(
    name="tick",
    executor_def=dg.in_process_executor,
    tags={"hedgehouse/tick": "all", "dagster/max_runtime": "600", "dagster/priority": "10"},
    op_retry_policy=dg.RetryPolicy(max_retries=1, delay=5),
)
def tick() -> None:
    """The states of all venues at one instant."""
    take_ticks()


@dg.job(name="tick_of_a_command", executor_def=dg.in_process_executor)
def tick_once() -> None:
    """The same for a command, which asks again when its own clock says so."""
    take_ticks()
