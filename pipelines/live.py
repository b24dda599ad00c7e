"""What comes of asking a venue for a table's day, or for its state now?

One path from question to commit, for the schedule and the command line alike. The source's troubles
never raise: what could not be had is a gap with its cause, and is told. Every answer that is one
whole (a list of instruments, a snapshot) is spoken for by a unit `<venue>:<underlying>` without
rows, so that an empty day is proven and a failed one is seen.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from expectations.gate import GateRefused
from pipelines import continuity
from pipelines.archives.base import SourceError
from pipelines.arrivals import Arrivals
from pipelines.continuity import API
from pipelines.landing import Landed, land, worst
from pipelines.observing import Register
from pipelines.transport import Transport
from pipelines.universe import Instrument
from pipelines.venues import offering, venues
from pipelines.venues.base import DAY, REST_RANK, Fetched, Proof, Venue, Window, snapshot_unit
from warehouse.contract import INSTRUMENTS, TRADES
from warehouse.lake import Check, Gap, Partition, Unit, commit, compact, read_manifest, restate
from warehouse.location import Location, World

# What is asked for, and the tables that an answer fills: the first is the question's own.
DAY_QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "instruments": ("instruments",),
    "trades": ("trades", "liquidations"),
    "funding": ("funding",),
    "volatility_indices": ("volatility_indices",),
    "settlements": ("settlements",),
}
SNAPSHOT_QUESTIONS: Mapping[str, tuple[str, ...]] = {
    "quotes": ("quotes", "funding"),
    "option_quotes": ("option_quotes",),
    "books": ("books",),
    "index_prices": ("index_prices",),
}
MISSED, NOT_RETRIEVABLE, UNAVAILABLE = "missed_tick", "not_retrievable", "source_unavailable"
PROMPT = timedelta(minutes=5)  # a state asked for later than this is another state


@dataclass(frozen=True, slots=True)
class Line:
    """What the live line works with. `transport` has the clock."""

    location: Location
    transport: Transport
    underlyings: tuple[str, ...]
    world: World
    _venues: dict[str, Venue] = field(default_factory=dict, repr=False, compare=False)

    def venue(self, slug: str) -> Venue:
        """The venue, always the same one: it remembers what is listed."""
        if slug not in self._venues:
            self._venues[slug] = venues()[slug](self.transport, self.transport.settings)
        return self._venues[slug]


@dataclass(frozen=True, slots=True)
class TableReport:
    """What one call brought to one table of one venue and day.

    `received` = `rows` + `quarantined` + `apart`, which lay outside the window or came twice.
    `units` counts by status; `revised` are units whose rows had been others; `errors` are what
    could not be had or was refused as a whole, one line each.
    """

    table: str
    venue: str
    day: date
    state: str
    rows: int = 0
    received: int = 0
    quarantined: int = 0
    apart: int = 0
    units: Mapping[str, int] = field(default_factory=Counter)
    gaps: tuple[Gap, ...] = ()
    checks: tuple[Check, ...] = ()
    revised: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()


def ingest_day(
    line: Line,
    venue: str,
    question: str,
    day: date,
    *,
    underlyings: Sequence[str] | None = None,
    only: Collection[str] | None = None,
) -> tuple[TableReport, ...]:
    """Ask for a day and commit what came, one report per table that the answers fill.

    `only` names the instruments to ask for again, where the question goes by instrument.
    """
    window = Window.day(day)
    limited = {} if only is None else {"only": only}
    asked = {
        underlying: getattr(line.venue(venue), question)(underlying, window, **limited)
        for underlying in underlyings or line.underlyings
    }
    found = _bring(line, venue, question, DAY_QUESTIONS[question], asked, window)
    if question == TRADES.name:
        continuity.settle(line.location, TRADES, venue, [day])
    return found


def ingest_snapshot(
    line: Line, venue: str, at: datetime, questions: Collection[str] = tuple(SNAPSHOT_QUESTIONS)
) -> tuple[TableReport, ...]:
    """Take the states of one instant, one report per table. What is held of it is passed over.

    A state that is asked for too late is another state: that tick is missed.
    """
    found: list[TableReport] = []
    for question in questions:
        if venue not in offering(question):
            continue
        if line.transport.clock() - at > PROMPT:
            found.append(_missed(line, Partition(question, venue, at.date()), at))
            continue
        held = read_manifest(line.location, Partition(question, venue, at.date()))
        wanted = [
            underlying
            for underlying in line.underlyings
            if not (unit := held.unit(snapshot_unit(underlying, at))) or unit.status == "gap"
        ]
        asked = {u: getattr(line.venue(venue), question)(u, at) for u in wanted}
        window = Window(at, at)
        found += _bring(line, venue, question, SNAPSHOT_QUESTIONS[question], asked, window)
    return tuple(found)


def roll_call(line: Line, venue: str, day: date, every: timedelta) -> tuple[TableReport, ...]:
    """Say of every snapshot table which ticks of the day's grid are held, and which never were.

    A tick that nobody asked for in time is a gap: `missed_tick`, or `not_retrievable` where none of
    the day's was ever asked for.
    """
    return tuple(
        _called(line, Partition(question, venue, day), every)
        for question in SNAPSHOT_QUESTIONS
        if venue in offering(question)
    )


def compact_day(line: Line, venue: str, day: date) -> None:
    """Merge the day's snapshots into one part per table; readers notice nothing."""
    for table in {t for tables in SNAPSHOT_QUESTIONS.values() for t in tables}:
        compact(line.location, Partition(table, venue, day), line.transport.clock())


# ---------- how answers are committed
def _bring(
    line: Line,
    venue: str,
    question: str,
    tables: Sequence[str],
    asked: Mapping[str, Iterator[Fetched]],
    window: Window,
) -> tuple[TableReport, ...]:
    day = window.start.date()
    tables = [table for table in tables if venue in offering(table)]
    line.location.claim(line.world)  # before anything is asked, and landed in another's folder
    with ExitStack() as stack:
        arrivals = {
            table: stack.enter_context(
                Arrivals(line.location, Partition(table, venue, day), question)
            )
            for table in tables
        }
        wholes: list[Unit] = []
        instruments: set[Instrument] = set()
        raw = ""
        for underlying, pieces in asked.items():
            proofs: list[Proof] = []
            try:
                for piece in pieces:
                    arrivals[piece.table].take(piece)
                    seen = set(piece.frame["instrument_id"].unique())
                    instruments |= {i for i in piece.instruments if i.instrument_id in seen}
                    raw = piece.raw[-1] if piece.raw else raw
                    if piece.proof and piece.table == question:
                        proofs.append(piece.proof)
            except SourceError as error:
                proofs.append(_failure(venue, underlying, window, str(error)))
            wholes.append(_whole(venue, underlying, window, proofs))
        if refusal := _observe(line, venue, question, day, instruments, raw):
            for arrived in arrivals.values():
                arrived.failure = refusal
        return tuple(
            _committed(line, Partition(table, venue, day), arrivals, question, wholes, window)
            for table in tables
        )


def _committed(
    line: Line,
    partition: Partition,
    all_arrivals: Mapping[str, Arrivals],
    question: str,
    wholes: Sequence[Unit],
    window: Window,
) -> TableReport:
    """Commit one table. What came beside another question's rows is as whole as they are."""
    arrivals = all_arrivals[partition.table]
    is_beside = partition.table != question
    if is_beside:
        arrivals.vouched(all_arrivals[question].proofs)
    is_snapshot = window.start == window.end
    if is_snapshot:  # the day's roll call speaks for all of them; only a failure is a unit here
        wholes = [u for u in wholes if u.status == "gap" and u.gaps and not is_beside]
    done = land(arrivals, wholes, window, line.transport.clock())
    return _report(partition, arrivals, done, wholes)


def _report(
    partition: Partition, arrivals: Arrivals, done: Landed, wholes: Sequence[Unit]
) -> TableReport:
    units = (*done.units, *wholes)
    failed = [unit.proof for unit in units if _is_failure(unit)]
    return TableReport(
        table=partition.table,
        venue=partition.venue,
        day=partition.day,
        state=done.state,
        rows=arrivals.rows if not done.errors else 0,
        received=arrivals.received,
        quarantined=done.quarantined,
        apart=arrivals.apart,
        units=Counter(unit.status for unit in units),
        gaps=tuple(gap for unit in units for gap in unit.gaps),
        checks=done.checks,
        revised=done.revised,
        notices=done.notices,
        errors=(*done.errors, *dict.fromkeys(failed)),
    )


def _is_failure(unit: Unit) -> bool:
    return any(gap.cause == UNAVAILABLE for gap in unit.gaps)


def _failure(venue: str, underlying: str, window: Window, error: str) -> Proof:
    gap = Gap(f"{venue}:{underlying}", window.start, window.end, UNAVAILABLE, None, error)
    return Proof("gap", error, gaps=(gap,))


def _whole(venue: str, underlying: str, window: Window, proofs: Sequence[Proof]) -> Unit:
    """The unit without rows that speaks for a whole answer, by the worst of its proofs."""
    status = worst([proof.status for proof in proofs]) if proofs else "unprovable"
    said = list(dict.fromkeys(proof.text for proof in proofs if proof.status == status))
    text = said[0] if len(said) == 1 else f"{len(proofs)} answers, the worst of them {status}"
    whole, is_snapshot = f"{venue}:{underlying}", window.start == window.end
    return Unit(
        name=snapshot_unit(underlying, window.start) if is_snapshot else whole,
        instrument_id=None,
        status=status,
        rows=0,
        source=f"{venue}{API}",
        rank=REST_RANK,
        proof=text if proofs else "nothing was listed",
        raw=(),
        gaps=tuple(g for proof in proofs for g in proof.gaps if g.instrument_id == whole),
    )


def _observe(
    line: Line, venue: str, question: str, day: date, instruments: Collection[Instrument], raw: str
) -> str:
    """No row without its instrument; of those listed the venue's own list says more.

    Returns why the gate refuses one, empty where it does not.
    """
    listed = read_manifest(line.location, Partition(INSTRUMENTS.name, venue, day)).units
    held = {unit.name for unit in listed}
    unseen = [item for item in instruments if item.instrument_id not in held]
    if unseen and question != INSTRUMENTS.name:
        at, path = line.transport.clock(), f"{venue} {question}"
        try:
            Register(line.location).observe(unseen, day, raw=raw, path=path, at=at)
        except GateRefused as error:
            return str(error)
    return ""


# ---------- the ticks of a day
def _missed(line: Line, partition: Partition, at: datetime) -> TableReport:
    """A tick that comes too late: a gap, unless it is held."""
    line.location.claim(line.world)
    now = line.transport.clock()
    text = f"{at:%Y-%m-%d %H:%M} was asked for at {now:%Y-%m-%d %H:%M}, more than {PROMPT} later"
    units = [
        Unit(
            name=snapshot_unit(underlying, at),
            instrument_id=None,
            status="gap",
            rows=0,
            source=f"{partition.venue}{API}",
            rank=REST_RANK,
            proof=text,
            raw=(),
            gaps=(Gap(f"{partition.venue}:{underlying}", at, at, MISSED, 1, text),),
        )
        for underlying in line.underlyings
    ]
    done = commit(line.location, partition, units=units, parts=(), checks=(), at=now)
    fresh = [unit for unit in units if unit.name not in done.refused]
    return TableReport(
        partition.table,
        partition.venue,
        partition.day,
        done.state,
        units=Counter(unit.status for unit in fresh),
        gaps=tuple(gap for unit in fresh for gap in unit.gaps),
        notices=(text,) if fresh else (),
    )


def _called(line: Line, partition: Partition, every: timedelta) -> TableReport:
    held = read_manifest(line.location, partition)
    now = line.transport.clock()
    window = Window.day(partition.day)
    due = [at for at in _grid(window, every) if at <= now - PROMPT]
    changes, fresh = {}, []
    for underlying in line.underlyings:
        asked = {u.name: u for u in held.units if u.name.startswith(f"{underlying}@")}
        unit = _tally(partition, underlying, window, due, asked, every, is_over=now >= window.end)
        own = held.unit(unit.name)
        if own is None:
            fresh.append(unit)
        elif (renewed := replace(unit, committed_at=own.committed_at)) != own:
            changes[own] = renewed
    line.location.claim(line.world)
    if fresh:
        commit(line.location, partition, units=fresh, parts=(), checks=(), at=now)
    if changes:
        restate(line.location, partition, changes)
    units = [*fresh, *changes.values()]
    return TableReport(
        partition.table,
        partition.venue,
        partition.day,
        "committed" if units else "unchanged",
        units=Counter(unit.status for unit in units),
        gaps=tuple(gap for unit in units for gap in unit.gaps),
    )


def _tally(
    partition: Partition,
    underlying: str,
    window: Window,
    due: Sequence[datetime],
    asked: Mapping[str, Unit],
    every: timedelta,
    *,
    is_over: bool,
) -> Unit:
    """What is held of the ticks that were due; those that failed speak for themselves."""
    missed = [at for at in due if snapshot_unit(underlying, at) not in asked]
    failed = sum(unit.status == "gap" for unit in asked.values())
    cause = MISSED if asked else NOT_RETRIEVABLE
    name = f"{partition.venue}:{underlying}"
    gaps = tuple(
        Gap(
            name,
            max(window.start, run[0] - every),
            min(window.end, run[-1] + every),
            cause,
            len(run),
            f"{len(run)} ticks of every {every} from {run[0]:%H:%M} to {run[-1]:%H:%M}",
        )
        for run in _runs(missed, every)
    )
    status = "gap" if missed or failed else "complete" if is_over else "open"
    proof = f"{len(due) - len(missed) - failed} of {len(due)} ticks, one every {every}"
    return Unit(name, None, status, 0, f"{partition.venue}{API}", REST_RANK, proof, (), gaps=gaps)


def _grid(window: Window, every: timedelta) -> list[datetime]:
    return [window.start + n * every for n in range(-(-DAY // every))]


def _runs(missed: Sequence[datetime], every: timedelta) -> list[list[datetime]]:
    """Neighbouring ticks together."""
    runs: list[list[datetime]] = []
    for at in missed:
        if runs and at - runs[-1][-1] == every:
            runs[-1].append(at)
        else:
            runs.append([at])
    return runs
