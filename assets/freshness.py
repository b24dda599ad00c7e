"""How fresh is each table at each venue? By partition: filling an old day makes nothing fresh."""

from collections.abc import Callable
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


def _check(
    table: str, judge: Callable[[LiveLine, str], dict[str, str]]
) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        name=FRESH,
        asset=lake_key(table),
        description="At every venue the last closed day is here, or the last snapshots are.",
    )
    def fresh(live: dg.ResourceParam[LiveLine]) -> dg.AssetCheckResult:
        stale = judge(live, table)
        return dg.AssetCheckResult(
            passed=not stale,
            severity=dg.AssetCheckSeverity.WARN,
            metadata=stale,
            description="; ".join(f"{venue} {what}" for venue, what in stale.items()) or None,
        )

    return fresh


def stale_days(live: LiveLine, table: str) -> dict[str, str]:
    """The venues whose last day that should be here is not, and what is missing."""
    day = last_day(live.clock())
    stale = [v for v in offering(table) if not has(live.location, table, v, day)]
    return dict.fromkeys(stale, f"lacks {day}")


def stale_snapshots(live: LiveLine, table: str) -> dict[str, str]:
    """The venues whose last snapshot is some ticks old, and when it was taken."""
    now = live.clock()
    longest = TICKS_MISSED * timedelta(seconds=live.settings.snapshot_every_s)
    taken = {v: newest_snapshot(live.location, table, v, now) for v in offering(table)}
    return {
        venue: f"last taken {at.isoformat() if at else 'more than a day ago'}"
        for venue, at in taken.items()
        if at is None or now - at > longest
    }


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


CHECKS = (
    *(_check(table, stale_days) for table in DAY_QUESTIONS),
    *(_check(table, stale_snapshots) for table in SNAPSHOT_QUESTIONS),
)
