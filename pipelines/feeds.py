"""How do a file's judged rows become committed units? Day by day, in the order of their table."""

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from itertools import groupby
from pathlib import Path

import polars as pl

from expectations import gate
from expectations.gate import ROW_NUMBER
from pipelines import continuity, quarantine
from pipelines.archives import opening
from pipelines.archives.base import Feed
from pipelines.continuity import UNNUMBERED, Span, Tracker
from pipelines.intake import Intake
from pipelines.observing import Register
from pipelines.snapshots import Chain
from pipelines.spool import Spool
from pipelines.universe import Instrument
from warehouse.contract import Table
from warehouse.lake import Check, Outcome, Partition, StagedPart, Unit, commit, stage
from warehouse.location import Location

ONE_SNAPSHOT = "a snapshot as it was recorded; nothing shows that the whole chain is in it"
EDGE_RANK = 10  # a state at the file's first instant: the file of the day before knows more

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FileReport:
    """What one file brought to one table; `state` is committed or unchanged."""

    path: Path
    table: str
    venue: str
    days: tuple[date, ...]
    rows: int
    quarantined: int
    state: str
    notices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Work:
    """One file's import: what is imported, where to, and what its evidence is called."""

    location: Location
    feed: Feed
    sha256: str
    at: datetime
    register: Register

    def unit(self, span: Span) -> Unit:
        is_numbered = not self.feed.usual_interval_s
        return Unit(
            name=self.feed.unit(span.instrument_id),
            instrument_id=span.instrument_id,
            status="unprovable",  # until its neighbours are looked at
            rows=span.rows,
            source=self.feed.source,
            rank=self.feed.rank,
            proof=UNNUMBERED if is_numbered else continuity.usual(span),
            raw=(self.sha256,),
            first_sequence=span.first_sequence if is_numbered else None,
            last_sequence=span.last_sequence if is_numbered else None,
            gaps=tuple(span.gaps),
        )

    def snapshot(self, underlying: str, instant: datetime, rows: int) -> Unit:
        is_edge = instant == datetime.combine(self.feed.period.start, datetime.min.time(), UTC)
        return Unit(
            name=f"{underlying}@{instant.isoformat()}",
            instrument_id=None,
            status="unprovable",
            rows=rows,
            source=self.feed.source,
            rank=EDGE_RANK if is_edge else self.feed.rank,
            proof=ONE_SNAPSHOT,
            raw=(self.sha256,),
        )


@dataclass(frozen=True, slots=True)
class Landed:
    """What came of one day of one table."""

    day: date
    rows: int
    outcome: Outcome
    repeated: pl.DataFrame
    is_numbered: bool = False


def land(work: Work, intake: Intake, instruments: dict[str, Instrument]) -> FileReport:
    """Commit an intake day by day, state anew what is proven, and quarantine what was refused."""
    store = intake.store
    if isinstance(store, Spool):
        landed = list(_spooled_days(work, intake, store, instruments))
    else:
        landed = list(_chain_days(work, intake, store, instruments))
    if any(day.is_numbered for day in landed):
        days = [day.day for day in landed]
        continuity.settle(work.location, intake.table, work.feed.venue, days)
    repeated = [day.repeated for day in landed]
    if isinstance(store, Chain):
        repeated.append(store.repeated())
    intake.refused.extend(f.select(ROW_NUMBER, reason=pl.lit("duplicate_key")) for f in repeated)
    refused = intake.refusals()
    _quarantine(work, intake.table, refused)
    return _report(work, intake.table, landed, refused)


def _spooled_days(
    work: Work, intake: Intake, spool: Spool, instruments: dict[str, Instrument]
) -> Iterator[Landed]:
    repeated_keys, refused = spool.repeated_keys(), intake.refusals()[ROW_NUMBER].to_list()
    usual_s, ends = work.feed.usual_interval_s, None
    undated: tuple[date | None, ...] = (None,)  # rows without a readable day: told with the first
    for day, frames in spool.days():
        partition = Partition(intake.table.name, work.feed.venue, day)
        tracker = Tracker(intake.table, repeated_keys, refused, usual_s, ends)
        repeated = []
        with stage(work.location, partition) as part:
            for frame in frames:
                kept, again = tracker.take(frame)
                repeated.append(again)
                part.write(intake.table.conform(kept))
            units = [work.unit(span) for span in tracker.spans.values()]
            staged = part.finish([unit.name for unit in units])
            checks = [
                *intake.ledger.checks((day, *undated)),
                *_checks_of_order(intake, tracker),
            ]
            seen = [instruments[name] for name in tracker.spans]
            outcome = _commit(work, partition, units, [staged], checks, seen)
        undated, ends = (), tracker.ends
        is_numbered = any(unit.last_sequence is not None for unit in units)
        yield Landed(day, staged.rows, outcome, pl.concat(repeated), is_numbered)


def _chain_days(
    work: Work, intake: Intake, chain: Chain, instruments: dict[str, Instrument]
) -> Iterator[Landed]:
    """A day's snapshots share one part, and a later commit still replaces each by itself."""
    expiries = {name: item.expires_at for name, item in instruments.items()}
    found = sorted(chain.snapshots(expiries), key=lambda snapshot: (snapshot[1], snapshot[0]))
    days: Sequence[date | None] = tuple(intake.ledger.evaluated)  # all told with the first day
    for day, of_day in groupby(found, key=lambda snapshot: snapshot[1].date()):
        partition = Partition(intake.table.name, work.feed.venue, day)
        units, names, repeats = list[Unit](), set[str](), 0
        with stage(work.location, partition) as part:
            for instant, of_instant in groupby(of_day, key=lambda snapshot: snapshot[1]):
                snapshots = [(underlying, rows) for underlying, _, rows in of_instant]
                together = pl.concat([rows for _, rows in snapshots]).sort(intake.table.sort)
                part.write(intake.table.conform(together))
                repeats += together.height - together.select(pl.struct(intake.table.key)).n_unique()
                units.extend(work.snapshot(name, instant, rows.height) for name, rows in snapshots)
                names.update(together["instrument_id"])
            staged = part.finish([unit.name for unit in units])
            checks = [
                *intake.ledger.checks(days),
                _check_of_keys(intake, kept=staged.rows, repeats=repeats),
            ]
            seen = [instruments[name] for name in sorted(names)]
            outcome = _commit(work, partition, units, [staged], checks, seen)
        days = ()
        yield Landed(day, staged.rows, outcome, pl.DataFrame(schema={ROW_NUMBER: pl.Int64}))


def _commit(
    work: Work,
    partition: Partition,
    units: Sequence[Unit],
    parts: Sequence[StagedPart],
    checks: Sequence[Check],
    seen: Sequence[Instrument],
) -> Outcome:
    """Instruments first, so that no row is ever committed without its instrument.

    Raises `GateRefused` before anything is committed where a blocking check failed.
    """
    gate.require(partition.name, checks)
    path = str(work.feed.path)
    work.register.observe(seen, partition.day, raw=work.sha256, path=path, at=work.at)
    outcome = commit(work.location, partition, units=units, parts=parts, checks=checks, at=work.at)
    rows = sum(unit.rows for unit in units)
    log.info("%s: %d units, %d rows %s", partition.name, len(units), rows, outcome.state)
    return outcome


def _checks_of_order(intake: Intake, tracker: Tracker) -> list[Check]:
    """The assertions on tables of violations, which polars finds."""
    kept = sum(span.rows for span in tracker.spans.values())
    holes = sum(len(span.gaps) for span in tracker.spans.values())
    return [
        _check_of_keys(intake, kept=kept, repeats=tracker.still_repeated),
        gate.empty(
            "numbers_missing",
            intake.ledger.source_path,
            violations=holes,
            evaluated=kept,
            is_blocking=False,
            reason="A hole in the venue's own numbers is a row that exists and is not here.",
        ),
    ]


def _check_of_keys(intake: Intake, *, kept: int, repeats: int) -> Check:
    return gate.empty(
        "key_repeated",
        intake.ledger.source_path,
        violations=repeats,
        evaluated=kept,
        is_blocking=True,
        reason=f"One row per {intake.table.grain}: a print counted twice is volume invented.",
    )


def _quarantine(work: Work, table: Table, refused: pl.DataFrame) -> None:
    quarantine.write(
        work.location,
        refused,
        partial(opening.chunks, work.feed.path, work.feed.layout),
        table_name=table.name,
        venue=work.feed.venue,
        source_path=str(work.feed.path),
        sha256=work.sha256,
        at=work.at,
    )


def _report(
    work: Work, table: Table, landed: Sequence[Landed], refused: pl.DataFrame
) -> FileReport:
    reasons = Counter(refused["reason"])
    notices = [f"{count} rows in quarantine: {reason}" for reason, count in reasons.most_common()]
    better: dict[str, list[date]] = {}
    for day in landed:
        for name in day.outcome.refused:
            better.setdefault(name, []).append(day.day)
    notices.extend(
        f"{name} of {_shown(days)} is held from a better source" for name, days in better.items()
    )
    is_new = any(day.outcome.state == "committed" for day in landed)
    return FileReport(
        work.feed.path,
        table.name,
        work.feed.venue,
        tuple(day.day for day in landed),
        sum(day.rows for day in landed),
        refused.height,
        "committed" if is_new else "unchanged",
        tuple(notices),
    )


def _shown(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{len(days)} days from {days[0]} to {days[-1]}"
