"""What a partition holds and what it rests on: the record whose replacement is the commit."""

import json
import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, fields, is_dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from warehouse.contract import LAKE_TABLES, VERSION
from warehouse.location import Location, write_durably

# Of parts whose entry does not say: entries have done so since version 3.
UNSTATED_VERSION = 2

_SAFE = re.compile(r"[a-z0-9][a-z0-9_.-]*")
_HOUR = re.compile(r"/\d\dh$")  # of a unit that is an hour of its instrument's day


class PartitionError(ValueError):
    """A partition's name, or what it is asked to hold, makes no sense."""


class ManifestError(ValueError):
    """A manifest on disk cannot be read; the message names the file."""


@dataclass(frozen=True, slots=True, order=True)
class Partition:
    """A table's rows of one venue and UTC day. Names are checked, so no path leaves the lake."""

    table: str
    venue: str
    day: date

    def __post_init__(self) -> None:
        if self.table not in LAKE_TABLES:
            raise PartitionError(f"lake: no table {self.table!r}; tables are {sorted(LAKE_TABLES)}")
        if not _SAFE.fullmatch(self.venue):
            raise PartitionError(f"{self.table}: venue was {self.venue!r}, not a lower-case name")

    @property
    def name(self) -> str:
        """The folder, relative to the lake."""
        return f"{self.table}/venue={self.venue}/day={self.day.isoformat()}"

    def folder(self, location: Location) -> Path:
        return location.lake / self.name


@dataclass(frozen=True, slots=True)
class Gap:
    """A known hole: rows missing between two that are there."""

    instrument_id: str
    started_at: datetime
    ended_at: datetime
    cause: str
    missing_count: int | None
    detail: str
    repaired_by: str | None = None


@dataclass(frozen=True, slots=True)
class Unit:
    """What a commit replaces as a whole: an instrument's day, a chain snapshot, a portfolio state.

    A source whose files are hours has units `<instrument>/<hour>h`, each a part of the day's.
    `rank` orders sources: a unit held from a higher rank is never replaced from a lower one;
    `removed_at` is set when a revision took its place.
    """

    name: str
    instrument_id: str | None
    status: str
    rows: int
    source: str
    rank: int
    proof: str
    raw: tuple[str, ...]
    first_sequence: int | None = None
    last_sequence: int | None = None
    gaps: tuple[Gap, ...] = ()
    committed_at: datetime | None = None
    removed_at: datetime | None = None

    def counted(self, by: datetime | None) -> bool:
        """Whether the unit was committed and not yet replaced at `by`; None means now."""
        return _counted(self.committed_at, self.removed_at, by)


@dataclass(frozen=True, slots=True)
class Part:
    """A Parquet file of a partition; `removed_at` is set when a revision took its place.

    `contract_version` tells which columns it has.
    """

    name: str
    sha256: str
    rows: int
    bytes: int
    first_event_at: datetime | None
    last_event_at: datetime | None
    units: tuple[str, ...]
    added_at: datetime
    removed_at: datetime | None = None
    contract_version: int = UNSTATED_VERSION

    def counted(self, by: datetime | None) -> bool:
        """Whether the part was committed and not yet removed at `by`; None means now."""
        return _counted(self.added_at, self.removed_at, by)


@dataclass(frozen=True, slots=True)
class Check:
    """The result of one expectation on what one source brought to a partition."""

    source_path: str
    expectation: str
    column_name: str
    is_blocking: bool
    is_passed: bool
    evaluated_count: int
    unexpected_count: int
    reason: str
    checked_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The committed content of one partition; `former_units` are those that were replaced."""

    partition: Partition
    parts: tuple[Part, ...] = ()
    units: tuple[Unit, ...] = ()
    checks: tuple[Check, ...] = ()
    contract_version: int = field(default=VERSION)
    former_units: tuple[Unit, ...] = ()

    def unit(self, name: str) -> Unit | None:
        return next((u for u in self.units if u.name == name), None)

    def current_parts(self, committed_by: datetime | None = None) -> tuple[Part, ...]:
        return tuple(p for p in self.parts if p.counted(committed_by))

    def counted_units(self, committed_by: datetime | None = None) -> tuple[Unit, ...]:
        """The units that count at `committed_by` (default now)."""
        held = (*self.units, *self.former_units)
        return tuple(u for u in held if u.counted(committed_by))

    def write(self, location: Location) -> None:
        """Replace the manifest on disk: this is the commit."""
        text = json.dumps(self, default=_plain, sort_keys=True)
        write_durably(self.partition.folder(location) / "manifest.json", text.encode())


def read_manifest(location: Location, partition: Partition) -> Manifest:
    """The partition's committed content; empty when nothing was ever committed."""
    path = partition.folder(location) / "manifest.json"
    try:
        text = path.read_text()
    except FileNotFoundError:
        return Manifest(partition)
    try:
        return _from_json(partition, json.loads(text))
    except (ValueError, KeyError, TypeError) as error:
        raise ManifestError(f"{path}: cannot be read as a manifest: {error}") from error


def partitions(location: Location, table: str | None = None) -> list[Partition]:
    """Every partition that was ever committed to, sorted."""
    found = []
    for path in location.lake.glob(f"{table or '*'}/venue=*/day=*/manifest.json"):
        day, venue = path.parent.name, path.parent.parent.name
        name = path.parent.parent.parent.name
        found.append(
            Partition(name, venue[len("venue=") :], date.fromisoformat(day[len("day=") :]))
        )
    return sorted(found)


def manifests(location: Location, table: str | None = None) -> list[Manifest]:
    """The committed content of every partition, sorted."""
    return [read_manifest(location, p) for p in partitions(location, table)]


def of_day(unit: str) -> str:
    """The name of the day's unit that an hour's is part of; of any other unit its own."""
    return _HOUR.sub("", unit)


def restamped(manifest: Manifest, units: Iterable[Unit]) -> Manifest:
    """The manifest with `units` in place of those of the same names."""
    renewed = {u.name: u for u in manifest.units} | {u.name: u for u in units}
    return replace(manifest, units=tuple(renewed[name] for name in sorted(renewed)))


def revised(
    manifest: Manifest, units: Iterable[Unit], at: datetime, displaced: Collection[str] = ()
) -> Manifest:
    """The manifest with `units` committed at `at`; those they replace are kept as former ones.

    `displaced` are units of other names whose rows they replace too.
    """
    fresh = {u.name: replace(u, committed_at=at) for u in units}
    gone = {*fresh, *displaced}
    former = (replace(u, removed_at=at) for u in manifest.units if u.name in gone)
    staying = replace(
        manifest,
        units=tuple(u for u in manifest.units if u.name not in displaced),
        former_units=(*manifest.former_units, *former),
    )
    return restamped(staying, fresh.values())


def _counted(added_at: datetime | None, removed_at: datetime | None, by: datetime | None) -> bool:
    if by is None:
        return removed_at is None
    was_there = added_at is None or added_at <= by
    return was_there and (removed_at is None or removed_at > by)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if is_dataclass(value):
        return {part.name: getattr(value, part.name) for part in fields(value)}
    raise TypeError(f"a manifest cannot hold {type(value).__name__}")


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def _from_json(partition: Partition, found: dict[str, Any]) -> Manifest:
    return Manifest(
        partition,
        tuple(_part(p) for p in found["parts"]),
        tuple(_unit(u) for u in found["units"]),
        tuple(Check(**{**c, "checked_at": _instant(c["checked_at"])}) for c in found["checks"]),
        found["contract_version"],
        tuple(_unit(u) for u in found.get("former_units", ())),
    )


def _part(found: dict[str, Any]) -> Part:
    times = ("first_event_at", "last_event_at", "added_at", "removed_at")
    stamps = {name: _instant(found[name]) for name in times}
    return Part(**{**found, **stamps, "units": tuple(found["units"])})


def _unit(found: dict[str, Any]) -> Unit:
    gaps = tuple(
        Gap(
            **{
                **gap,
                "started_at": datetime.fromisoformat(gap["started_at"]),
                "ended_at": datetime.fromisoformat(gap["ended_at"]),
            }
        )
        for gap in found["gaps"]
    )
    stamps = {name: _instant(found.get(name)) for name in ("committed_at", "removed_at")}
    return Unit(**{**found, **stamps, "raw": tuple(found["raw"]), "gaps": gaps})
