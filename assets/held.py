"""What do the days of a folder come to? As the manifests have them now, and how bad that is."""

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, datetime

from pipelines.live import UNAVAILABLE
from warehouse.location import Location
from warehouse.manifest import Gap, Manifest, manifests

OK, INCOMPLETE, VENUE_UNAVAILABLE = 0, 1, 69


@dataclass(frozen=True, slots=True)
class Found:
    """A known hole and where it is."""

    table: str
    venue: str
    gap: Gap


@dataclass(frozen=True, slots=True)
class Held:
    """Rows by table, units by status, holes, and blocking checks that failed."""

    rows: dict[str, int]
    units: dict[str, int]
    gaps: tuple[Found, ...]
    failed_checks: tuple[str, ...]

    @property
    def unavailable(self) -> tuple[str, ...]:
        """What a venue could not be had for, a line each."""
        lost = (f for f in self.gaps if f.gap.cause == UNAVAILABLE)
        return tuple(dict.fromkeys(f"{f.venue} {f.table}: {f.gap.detail}" for f in lost))

    @property
    def exit_code(self) -> int:
        if self.unavailable:
            return VENUE_UNAVAILABLE
        return INCOMPLETE if self.units.get("gap") or self.failed_checks else OK


def of(location: Location, days: Collection[date]) -> Held:
    """What is held of these days."""
    rows, units = Counter[str](), Counter[str]()
    gaps, failed = list[Found](), set[str]()
    for manifest in _of(location, days):
        place = manifest.partition
        rows[place.table] += sum(part.rows for part in manifest.current_parts())
        units.update(unit.status for unit in manifest.units)
        gaps += [Found(place.table, place.venue, gap) for u in manifest.units for gap in u.gaps]
        failed |= {
            f"{place.name}: {check.source_path}: {check.expectation}: {check.reason}"
            for check in manifest.checks
            if check.is_blocking and not check.is_passed
        }
    return Held(
        rows={table: count for table, count in sorted(rows.items()) if count},
        units=dict(sorted(units.items())),
        gaps=tuple(gaps),
        failed_checks=tuple(sorted(failed)),
    )


def replaced(location: Location, days: Collection[date]) -> int:
    """How many units of these days were replaced by others so far.

    Lists of instruments replace what their names had said; that is no revision of the venue's. Nor
    is what is known of rows that stay.
    """
    return sum(
        (unit.name, unit.removed_at) in gone
        for manifest in _of(location, days)
        if manifest.partition.table != "instruments"
        for gone in [{(n, p.removed_at) for p in manifest.parts for n in p.units if p.removed_at}]
        for unit in manifest.former_units
    )


def last_commit(location: Location, day: date, venues: Collection[str]) -> datetime | None:
    """When something of the day was last committed; None where nothing is held."""
    stamps = (
        unit.committed_at
        for manifest in _of(location, [day])
        if manifest.partition.venue in venues
        for unit in manifest.units
        if unit.committed_at
    )
    return max(stamps, default=None)


def _of(location: Location, days: Collection[date]) -> list[Manifest]:
    return [manifest for manifest in manifests(location) if manifest.partition.day in days]
