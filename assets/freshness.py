"""How fresh is each table at each venue? By partition: filling an old day makes nothing fresh."""

from collections.abc import Iterator
from datetime import date, datetime, timedelta

import dagster as dg

from assets.line import LiveLine
from assets.results import lake_key
from pipelines.live import DAY_QUESTIONS, SNAPSHOT_QUESTIONS
from pipelines.venues import offering
from warehouse.lake import Manifest, Partition, read_manifest
from warehouse.location import Location

FRESH = "fresh"
DONE_BY = timedelta(hours=3)  # after midnight the day before is here
TICKS_MISSED = 3
ONE_DAY = timedelta(days=1)


@dg.multi_asset_check(
    name="freshness",
    specs=[
        dg.AssetCheckSpec(
            FRESH,
            asset=lake_key(table),
            description="At every venue the last closed day is here, or the last snapshots are.",
        )
        for table in (*DAY_QUESTIONS, *SNAPSHOT_QUESTIONS)
    ],
)
def freshness(
    context: dg.AssetCheckExecutionContext, live: dg.ResourceParam[LiveLine]
) -> Iterator[dg.AssetCheckResult]:
    """What should be here by now, and is it?"""
    now = live.clock()
    every = timedelta(seconds=live.settings.snapshot_every_s)
    for table in DAY_QUESTIONS:
        day = last_day(now)
        stale = [v for v in offering(table) if not has(live.location, table, v, day)]
        yield _result(table, dict.fromkeys(stale, f"lacks {day}"))
    for table in SNAPSHOT_QUESTIONS:
        ages = {v: newest_snapshot(live.location, table, v, now) for v in offering(table)}
        yield _result(
            table,
            {
                venue: f"last taken {at.isoformat() if at else 'more than a day ago'}"
                for venue, at in ages.items()
                if at is None or now - at > TICKS_MISSED * every
            },
        )


def last_day(now: datetime) -> date:
    """The last closed day that is due at `now`."""
    return (now - DONE_BY).date() - ONE_DAY


def has(location: Location, table: str, venue: str, day: date) -> bool:
    """Whether something is known of that day, and none of it is a gap."""
    units = read_manifest(location, Partition(table, venue, day)).units
    return bool(units) and all(unit.status != "gap" for unit in units)


def newest_snapshot(location: Location, table: str, venue: str, now: datetime) -> datetime | None:
    """The last snapshot of today or yesterday; None where there is none."""
    for day in (now.date(), now.date() - ONE_DAY):
        if taken := _taken(read_manifest(location, Partition(table, venue, day))):
            return max(taken)
    return None


def _taken(held: Manifest) -> list[datetime]:
    return [
        datetime.fromisoformat(unit.name.partition("@")[2])
        for unit in held.units
        if "@" in unit.name and unit.status != "gap"
    ]


def _result(table: str, stale: dict[str, str]) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        asset_key=lake_key(table),
        check_name=FRESH,
        passed=not stale,
        severity=dg.AssetCheckSeverity.WARN,
        metadata=dict(stale),
        description="; ".join(f"{venue} {what}" for venue, what in stale.items()) or None,
    )
