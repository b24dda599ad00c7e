"""How do days arrive in one process? The schedule's steps, one after the other, on one clock.

    tick          states of both venues, every so often; asked for again while they are fresh
    00:40         the day that is over, and the one before it once more: late and corrected rows
    end           what is missing is asked for again, the portfolio imported, one build, one publish

On the embedded market time is stepped from one to the next. Real venues have only their present: of
a day that is past the states are gaps.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

from assets import building, repairing
from assets.feeding import Feed
from pipelines import live
from pipelines.ingest import ImportReport, import_paths
from pipelines.live import DAY_QUESTIONS, SNAPSHOT_QUESTIONS, UNAVAILABLE, TableReport
from pipelines.venues import offering, venues
from pipelines.venues.base import DAY
from warehouse import publish as publishing
from warehouse.location import Location
from warehouse.manifest import Gap, manifests
from warehouse.publish import Generation

Progress = Callable[[str, int, int], None]

DUE = timedelta(minutes=40)  # after midnight a venue has the day before together
PATIENCE = timedelta(seconds=130)  # longer than a ban without a term, shorter than a state is fresh
TICK_ATTEMPTS = 3
OK, INCOMPLETE, BAD_DATA, VENUE_UNAVAILABLE = 0, 1, 65, 69


@dataclass(frozen=True, slots=True)
class RunReport:
    """What days brought. `rows` by table and `units` by status are as the lake has them now.

    `received` counts rows that were sent, also again; `revised` units whose rows had been others.
    """

    days: tuple[date, ...]
    rows: dict[str, int]
    units: dict[str, int]
    gaps: tuple[tuple[str, str, Gap], ...]  # table, venue
    received: int
    quarantined: int
    revised: int
    asked_again: int
    failed_checks: tuple[str, ...]
    errors: tuple[str, ...]
    imported: ImportReport | None
    generation: Generation | None
    exit_code: int


@dataclass(slots=True)
class Tally:
    """What happened so far."""

    progress: Progress | None
    planned: int
    done: int = 0
    received: int = 0
    quarantined: int = 0
    revised: int = 0
    failed_checks: set[str] = field(default_factory=set)

    def step(self, name: str) -> None:
        self.done += 1
        if self.progress:
            self.progress(name, self.done, max(self.planned, self.done))

    def note(self, reports: Sequence[TableReport]) -> tuple[TableReport, ...]:
        for report in reports:
            self.received += report.received
            self.quarantined += report.quarantined
            self.revised += len(report.revised)
            partition = f"{report.table}/venue={report.venue}/day={report.day}"
            self.failed_checks |= {
                f"{partition}: {check.column_name} {check.expectation}: {check.reason}"
                for check in report.checks
                if check.is_blocking and not check.is_passed
            }
        return tuple(reports)


def run(
    feed: Feed,
    days: Sequence[date],
    *,
    every: timedelta,
    portfolio: Path | None = None,
    progress: Progress | None = None,
) -> RunReport:
    """Let `days` pass, then build and publish once. Troubles of sources are told, not raised.

    Raises as `build` and `publish` do, and `WrongWorld` where the folder holds another world.
    """
    line, location = feed.line, feed.line.location
    location.claim(line.world)
    tally = Tally(progress, _planned(feed, days, every))
    for day in days:
        _live_through(feed, day, every, tally)
        feed.reach(_due(day))
        for asked in (day, day - DAY):
            if asked in days:
                _pull(feed, asked, tally)
    if feed.is_stepped:
        feed.reach(_due(days[-1] + DAY))
        _pull(feed, days[-1], tally)
    asked_again = _mend(feed, days, tally)
    for day in days:
        _close(feed, day, every, tally)
    imported = _import(feed, days, portfolio, tally)
    generation = _build(location, feed, tally, progress)
    return _report(location, days, tally, asked_again, imported, generation)


# ---------- the steps
def _live_through(feed: Feed, day: date, every: timedelta, tally: Tally) -> None:
    for at in _ticks(day, every):
        if not feed.reach(at):
            continue
        for venue in venues():
            if any(venue in offering(question) for question in SNAPSHOT_QUESTIONS):
                _take(feed, venue, at, tally)
                tally.step(f"{venue} {at:%Y-%m-%d %H:%M}")


def _take(feed: Feed, venue: str, at: datetime, tally: Tally) -> None:
    """The states of one instant, asked for again while they can still be had."""
    for attempt in range(TICK_ATTEMPTS):
        reports = tally.note(live.ingest_snapshot(feed.line, venue, at))
        is_last = attempt + 1 == TICK_ATTEMPTS
        if is_last or not any(report.errors for report in reports) or not feed.wait(PATIENCE):
            return


def _pull(feed: Feed, day: date, tally: Tally) -> None:
    for venue, question in _questions():
        tally.note(live.ingest_day(feed.line, venue, question, day))
        tally.step(f"{venue} {question} {day}")


def _mend(feed: Feed, days: Sequence[date], tally: Tally) -> int:
    """Ask again for what is missing, a few times; how many units were asked for."""
    asked = 0
    for _ in range(feed.mending_passes):
        holes = [h for h in repairing.holes(feed.line.location, days) if h.is_repairable]
        if not holes:
            break
        feed.wait(PATIENCE)
        asked += len(holes)
        tally.note(repairing.ask_again(feed.line, holes))
    return asked


def _close(feed: Feed, day: date, every: timedelta, tally: Tally) -> None:
    """Say which ticks were taken, and put the day's snapshots together."""
    if feed.line.transport.clock() < _due(day) - DUE:
        return
    for venue in venues():
        tally.note(live.roll_call(feed.line, venue, day, every))
        live.compact_day(feed.line, venue, day)


def _import(
    feed: Feed, days: Sequence[date], portfolio: Path | None, tally: Tally
) -> ImportReport | None:
    path = portfolio or feed.portfolio(days)
    if path is None:
        return None
    report = import_paths(
        feed.line.location, [path], clock=feed.line.transport.clock, world=feed.line.world
    )
    tally.step(path.name)
    return report


def _build(
    location: Location, feed: Feed, tally: Tally, progress: Progress | None
) -> Generation | None:
    """None where nothing was ever committed."""
    clock = feed.line.transport.clock
    try:
        building.build(location, clock=clock, progress=progress)
    except building.EmptyLake:
        return None
    tally.step("build")
    made = publishing.publish(location, clock=clock)
    tally.step("publish")
    return made


# ---------- what came of it
def _report(
    location: Location,
    days: Sequence[date],
    tally: Tally,
    asked_again: int,
    imported: ImportReport | None,
    generation: Generation | None,
) -> RunReport:
    rows, units, gaps = Counter[str](), Counter[str](), list[tuple[str, str, Gap]]()
    for manifest in manifests(location):
        if manifest.partition.day not in days:
            continue
        place = manifest.partition
        rows[place.table] += sum(part.rows for part in manifest.current_parts())
        units.update(unit.status for unit in manifest.units)
        gaps += [(place.table, place.venue, gap) for u in manifest.units for gap in u.gaps]
    errors = tuple(
        dict.fromkeys(f"{v} {t}: {g.detail}" for t, v, g in gaps if g.cause == UNAVAILABLE)
    )
    return RunReport(
        days=tuple(days),
        rows=dict(sorted(rows.items())),
        units=dict(sorted(units.items())),
        gaps=tuple(gaps),
        received=tally.received,
        quarantined=tally.quarantined,
        revised=tally.revised,
        asked_again=asked_again,
        failed_checks=tuple(sorted(tally.failed_checks)),
        errors=(*errors, *(imported.errors if imported else ())),
        imported=imported,
        generation=generation,
        exit_code=_exit_code(units, gaps, tally, imported),
    )


def _exit_code(
    units: Counter[str],
    gaps: Sequence[tuple[str, str, Gap]],
    tally: Tally,
    imported: ImportReport | None,
) -> int:
    codes = [OK, imported.exit_code if imported else OK]
    if units["gap"] or tally.failed_checks:
        codes.append(INCOMPLETE)
    if any(gap.cause == UNAVAILABLE for _, _, gap in gaps):
        codes.append(VENUE_UNAVAILABLE)
    return max(codes)


# ---------- the calendar
def _ticks(day: date, every: timedelta) -> Iterator[datetime]:
    start = datetime.combine(day, time(), UTC)
    yield from (start + n * every for n in range(-(-DAY // every)))


def _due(day: date) -> datetime:
    """When a day is asked for."""
    return datetime.combine(day, time(), UTC) + DAY + DUE


def _questions() -> list[tuple[str, str]]:
    return [
        (venue, question)
        for venue in venues()
        for question in DAY_QUESTIONS
        if venue in offering(question)
    ]


def _planned(feed: Feed, days: Sequence[date], every: timedelta) -> int:
    asking = [v for v in venues() if any(v in offering(q) for q in SNAPSHOT_QUESTIONS)]
    ticks = sum(feed.is_stepped for day in days for _ in _ticks(day, every))
    pulls = 2 * len(days) - (not feed.is_stepped)
    return ticks * len(asking) + pulls * len(_questions()) + 3
