"""Which holes can be asked for again, and what comes of it?"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby

from assets.held import INCOMPLETE, OK, VENUE_UNAVAILABLE
from pipelines import live
from pipelines.live import DAY_QUESTIONS, SNAPSHOT_QUESTIONS, UNAVAILABLE, Line, TableReport
from pipelines.venues import offering
from warehouse.lake import Partition, Unit, manifests, read_manifest
from warehouse.location import Location

BY_INSTRUMENT = frozenset({"trades"})  # questions that can be asked of some instruments alone


@dataclass(frozen=True, slots=True)
class Hole:
    """A unit that lacks rows known to exist. `hopeless` says why asking again is of no use."""

    partition: Partition
    unit: Unit
    hopeless: str | None

    @property
    def is_repairable(self) -> bool:
        return self.hopeless is None

    @property
    def question(self) -> str:
        """What is asked for to fill it; empty where nothing does."""
        table = self.partition.table
        return next((q for q, tables in DAY_QUESTIONS.items() if table in tables), "")


@dataclass(frozen=True, slots=True)
class Repaired:
    """Which holes are no more, why the others are left, and whether a venue could not be had."""

    filled: tuple[Hole, ...]
    left: tuple[tuple[Hole, str], ...]
    is_unavailable: bool = False

    @property
    def exit_code(self) -> int:
        if self.is_unavailable:
            return VENUE_UNAVAILABLE
        return INCOMPLETE if any(hole.is_repairable for hole, _ in self.left) else OK


def holes(location: Location, days: Collection[date] | None = None) -> list[Hole]:
    """Every unit that is a gap, of `days` or of all there are, in the order of their partitions."""
    return [
        Hole(manifest.partition, unit, _why_not(manifest.partition, unit))
        for manifest in manifests(location)
        if days is None or manifest.partition.day in days
        for unit in manifest.units
        if unit.status == "gap"
    ]


def ask_again(line: Line, found: Iterable[Hole]) -> list[TableReport]:
    """Ask for holes that can be filled, each question once for a venue and day."""
    reports: list[TableReport] = []
    wanted = [hole for hole in found if hole.is_repairable]
    for (venue, day, question), own in groupby(sorted(wanted, key=_asked), key=_asked):
        reports += _ask(line, venue, day, question, list(own))
    return reports


def repair(line: Line) -> Repaired:
    """Ask again for every hole that can be filled."""
    found = holes(line.location)
    reports = ask_again(line, found)
    now = [(hole, _unit_now(line.location, hole)) for hole in found]
    return Repaired(
        filled=tuple(hole for hole, unit in now if unit.status != "gap"),
        left=tuple(
            (hole, hole.hopeless or f"asked again, and still: {unit.proof}")
            for hole, unit in now
            if unit.status == "gap"
        ),
        is_unavailable=any(g.cause == UNAVAILABLE for report in reports for g in report.gaps),
    )


def _unit_now(location: Location, hole: Hole) -> Unit:
    return read_manifest(location, hole.partition).unit(hole.unit.name) or hole.unit


def _ask(
    line: Line, venue: str, day: date, question: str, own: Sequence[Hole]
) -> tuple[TableReport, ...]:
    only = {hole.unit.instrument_id for hole in own}
    if question in BY_INSTRUMENT and None not in only:
        names = frozenset(name for name in only if name)
        return live.ingest_day(line, venue, question, day, only=names)
    return live.ingest_day(line, venue, question, day)


def _asked(hole: Hole) -> tuple[str, date, str]:
    return hole.partition.venue, hole.partition.day, hole.question


def _why_not(partition: Partition, unit: Unit) -> str | None:
    table, venue = partition.table, partition.venue
    if table in SNAPSHOT_QUESTIONS:
        return "a state that was not asked for in time cannot be had later"
    if not unit.source.endswith(" api"):
        return f"{unit.source} lacks it; import a better file"
    own = next((q for q, tables in DAY_QUESTIONS.items() if table in tables), None)
    if own is None or venue not in offering(own):
        return f"{venue} cannot be asked for {table}"
    return None
