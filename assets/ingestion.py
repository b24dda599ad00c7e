"""Days that a venue can be asked for again: one step per question, one asset per table."""

from collections.abc import Iterator
from datetime import date

import dagster as dg

from assets import results
from assets.line import DAYS_SHARE, LiveLine
from assets.partitions import days_of, venue_and_day
from pipelines.live import DAY_QUESTIONS, SNAPSHOT_QUESTIONS, TableReport, ingest_day

# Beyond the waits of the transport, which knows what the venue said. Drawn, so that many days that
# failed together do not come back together.
RETRY = dg.RetryPolicy(
    max_retries=3, delay=30, backoff=dg.Backoff.EXPONENTIAL, jitter=dg.Jitter.FULL
)


def _day_asset(question: str, retry_policy: dg.RetryPolicy | None) -> dg.AssetsDefinition:
    partitions = days_of(question)

    @dg.multi_asset(
        name=f"{question}_of_a_day",
        specs=[results.lake_spec(question, partitions)],
        check_specs=results.check_specs(question, partitions),
        partitions_def=partitions,
        retry_policy=retry_policy,
        op_tags={"hedgehouse/question": question},
    )
    def ask(
        context: dg.AssetExecutionContext, live: dg.ResourceParam[LiveLine]
    ) -> Iterator[results.Result]:
        venue, day = venue_and_day(context)
        with live.line(DAYS_SHARE) as line:
            reports = ingest_day(line, venue, question, day)
        for event in results.events(live.location, reports, except_of=[question]):
            context.log_event(event)
        _say(context, reports, day)
        yield from results.results(live.location, reports, question, retries=live.retries)

    return ask


def _say(context: dg.AssetExecutionContext, reports: tuple[TableReport, ...], day: date) -> None:
    for report in reports:
        context.log.info(
            "%s %s %s: %d rows of %d received, %s",
            report.table, report.venue, day, report.rows, report.received, report.state,
        )  # fmt: skip
        for line in (*report.notices, *report.errors):
            context.log.warning("%s %s %s: %s", report.table, report.venue, day, line)


DAY_ASSETS = tuple(_day_asset(question, RETRY) for question in DAY_QUESTIONS)
# The same for a command, which tells at once what failed: whoever reads it can ask again.
DAY_STEPS = tuple(_day_asset(question, None) for question in DAY_QUESTIONS)

# Tables that come beside the rows of a question, and have none of their own.
BESIDE = tuple(
    results.lake_spec(table, days_of(table), deps=[results.lake_key(question)])
    for question, tables in DAY_QUESTIONS.items()
    for table in tables
    if table not in DAY_QUESTIONS and table not in SNAPSHOT_QUESTIONS
)
