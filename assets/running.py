"""How do days arrive in one process? The schedule's steps, one after the other, on one clock.

    tick          states of all venues, every so often; asked for again while they are fresh
    00:40         the day that is over, and the one before it once more: late and corrected rows
    end           what is missing is asked for again, the portfolio imported, one build, one publish

On the embedded market time is stepped from one to the next. Real venues have only their present: of
a day that is past the states are gaps.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import dagster as dg

from assets import backfill, held, repairing
from assets.backfill import Failed
from assets.feeding import Feed
from assets.held import Held
from assets.partitions import VENUES
from pipelines.ingest import ImportReport, import_paths
from pipelines.venues.base import DAY
from warehouse import publish as publishing
from warehouse.location import Location
from warehouse.manifest import manifests
from warehouse.publish import Generation

Progress = Callable[[str, int, int], None]

DUE = timedelta(minutes=40)  # after midnight a venue has the day before together
PATIENCE = timedelta(seconds=130)  # longer than a ban without a term, shorter than a state is fresh
TICK_ATTEMPTS, MENDING_PASSES = 3, 3
OK = 0


@dataclass(frozen=True, slots=True)
class RunReport:
    """What days came to. `revised` counts units whose rows had been others, `asked_again` those
    that were missing at first. `generation` is None where nothing was built: nothing is held, or
    `errors` say why.
    """

    days: tuple[date, ...]
    held: Held
    revised: int
    asked_again: int
    errors: tuple[str, ...]
    imported: ImportReport | None
    generation: Generation | None
    exit_code: int


@dataclass(frozen=True, slots=True)
class Gathered:
    """How many units were missing at first, and the steps that crashed: no gap tells of them."""

    asked_again: int
    crashes: tuple[Failed, ...]


class _Steps:
    """Tells how far the run is."""

    def __init__(self, progress: Progress | None, planned: int) -> None:
        self._progress, self._planned, self._done = progress, planned, 0

    def begin(self, name: str) -> None:
        if self._progress:
            self._progress(name, self._done, max(self._planned, self._done))
        self._done += 1

    def skip(self) -> None:
        self._done += 1


def run(
    feed: Feed,
    days: Sequence[date],
    *,
    every: timedelta,
    portfolio: Path | None = None,
    with_archives: bool = False,
    progress: Progress | None = None,
) -> RunReport:
    """Let `days` pass, then build and publish once. What goes wrong is told, not raised.

    If `with_archives`, the embedded market's files of every best quote on these days, and of prints
    on the days before, are imported as well.
    """
    location = feed.live.location
    before = held.replaced(location, days)
    steps = _Steps(progress, _planned(feed, days, every))
    with dg.DagsterInstance.ephemeral() as instance:
        gathered = gather(feed, days, every=every, instance=instance, steps=steps)
        steps.begin("portfolio")
        archives = feed.archives(days) if with_archives else None
        imported = _import(feed, days, portfolio, archives)
        steps.begin("build and publish")
        is_held = _is_anything_held(location)
        unbuilt = backfill.build_and_publish(feed.live, instance) if is_held else []
    generation = publishing.current(location) if not unbuilt else None
    found = held.of(location, days)
    failed = (*gathered.crashes, *unbuilt)
    told = (
        *found.unavailable,
        *(imported.errors if imported else ()),
        *dict.fromkeys(one.text for one in failed),
    )
    codes = (found.exit_code, imported.exit_code if imported else OK)
    return RunReport(
        days=tuple(days),
        held=found,
        revised=held.replaced(location, days) - before,
        asked_again=gathered.asked_again,
        errors=told,
        imported=imported,
        generation=generation,
        exit_code=max([*codes, *(one.exit_code for one in failed)]),
    )


def gather(
    feed: Feed,
    days: Sequence[date],
    *,
    every: timedelta,
    instance: dg.DagsterInstance,
    steps: _Steps | None = None,
) -> Gathered:
    """Let `days` pass, and ask again for what was missing."""
    location, steps = feed.live.location, steps or _Steps(None, 0)
    known = {day: held.last_commit(location, day, VENUES) for day in days}
    missing = set[tuple[str, str]]()
    crashes: list[Failed] = []
    for day in days:
        crashes += _take(feed, day, every, known[day], steps, instance)
        feed.reach(_due(day))
        for asked in (day, day - DAY):
            if asked in days:
                crashes += _pull(feed, asked, known[asked], steps, instance)
        missing |= _missing(location, days)
    if feed.is_stepped:
        feed.reach(_due(days[-1] + DAY))
        crashes += _pull(feed, days[-1], known[days[-1]], steps, instance)
        for at in filter(None, known.values()):
            feed.reach(at)
    _mend(feed, days, missing)
    return Gathered(len(missing), tuple(crashes))


# ---------- the steps
def _take(
    feed: Feed,
    day: date,
    every: timedelta,
    known: datetime | None,
    steps: _Steps,
    instance: dg.DagsterInstance,
) -> list[Failed]:
    """The day's states, each asked for again while it can still be had; the steps that crashed.

    Of what is `known` since an instant no earlier word is asked for: time in a folder never runs
    backwards, though a market that is stepped again does.
    """
    crashes: list[Failed] = []
    for at in _ticks(day, every):
        if (known and at < known) or not feed.reach(at):
            steps.skip()
            continue
        steps.begin(f"{at:%Y-%m-%d %H:%M}")
        for attempt in range(TICK_ATTEMPTS):
            failed = backfill.take([at], feed.live, instance)
            if not failed or attempt + 1 == TICK_ATTEMPTS or not feed.wait(PATIENCE):
                break
        crashes += _crashed(failed)
    return crashes


def _pull(
    feed: Feed,
    day: date,
    known: datetime | None,
    steps: _Steps,
    instance: dg.DagsterInstance,
) -> list[Failed]:
    """The day as the venues have it now; the steps that crashed."""
    crashes: list[Failed] = []
    for venue in VENUES:
        if known and feed.live.clock() < known:
            steps.skip()
            continue
        steps.begin(f"{venue} {day}")
        crashes += _crashed(backfill.bring(feed.live, venue, day, instance=instance))
    return crashes


def _crashed(failed: Iterable[Failed]) -> list[Failed]:
    """What failed by its own word is in the lake: gaps, and checks that did not pass."""
    return [one for one in failed if one.is_crash]


def _mend(feed: Feed, days: Sequence[date], missing: set[tuple[str, str]]) -> None:
    """Ask again for what is missing still, a few times."""
    for _ in range(MENDING_PASSES if feed.is_stepped else 1):
        holes = [h for h in repairing.holes(feed.live.location, days) if h.is_repairable]
        if not holes:
            break
        missing |= _missing(feed.live.location, days)
        feed.wait(PATIENCE)
        with feed.live.line() as line:
            repairing.ask_again(line, holes)


def _missing(location: Location, days: Sequence[date]) -> set[tuple[str, str]]:
    """Units that can be asked for again, by partition and name."""
    found = repairing.holes(location, days)
    return {(hole.partition.name, hole.unit.name) for hole in found if hole.is_repairable}


def _import(
    feed: Feed, days: Sequence[date], portfolio: Path | None, archives: Path | None
) -> ImportReport | None:
    path = feed.portfolio(days)
    paths = [portfolio or path, archives]
    if any(paths):
        return import_paths(
            feed.live.location,
            [p for p in paths if p],
            clock=feed.live.clock,
            world=feed.live.world,
        )
    return None


def _is_anything_held(location: Location) -> bool:
    return any(part.rows for manifest in manifests(location) for part in manifest.current_parts())


# ---------- the calendar
def _ticks(day: date, every: timedelta) -> Iterator[datetime]:
    start = datetime.combine(day, time(), UTC)
    yield from (start + n * every for n in range(-(-DAY // every)))


def _due(day: date) -> datetime:
    """When a day is asked for."""
    return datetime.combine(day, time(), UTC) + DAY + DUE


def _planned(feed: Feed, days: Sequence[date], every: timedelta) -> int:
    ticks = sum(1 for day in days for _ in _ticks(day, every))
    pulls = 2 * len(days) - (not feed.is_stepped)
    return ticks + pulls * len(VENUES) + 2
