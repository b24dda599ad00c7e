"""How do pieces of units that a venue sent become one commit? Judged in chunks, unit by unit.

Great Expectations costs the same for ten rows as for ten thousand, so that pieces of many units are
judged together and divided again. Small units share a part; one that is large gets its own and
never stands in memory as a whole. A row that is held already keeps the time at which it was first
received: asking twice does not move what could be known when.
"""

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import accumulate
from types import TracebackType

import polars as pl

from expectations import gate
from expectations.gate import ROW_NUMBER, GateRefused
from pipelines import quarantine
from pipelines.continuity import API
from pipelines.venues.base import REST_RANK, Fetched, Proof, Window
from warehouse.contract import INSTRUMENTS, LAKE_TABLES
from warehouse.lake import (
    Check,
    Gap,
    Partition,
    Stage,
    StagedPart,
    Unit,
    commit,
    read_manifest,
    restate,
    stage,
)
from warehouse.location import Location

CHUNK_ROWS = 131_072  # judged at once, and the most that a unit has in memory
STATUSES = ("gap", "open", "unprovable", "complete")  # from worst to best
UNNAMED = "answer"  # whose row it is cannot be said
REFUSED_BY_GATE, QUARANTINED = "gate_refused", "quarantined"
UNNAMED = "answer"  # whose row it is cannot be said
DECLARED_RANK = 20  # a venue's own list of instruments knows more than their names and the seeds


@dataclass(frozen=True, slots=True)
class Arrived:
    """What was committed, and what of it was not."""

    state: str
    units: tuple[Unit, ...]
    revised: tuple[str, ...]
    checks: tuple[Check, ...]
    quarantined: int
    errors: tuple[str, ...]
    notices: tuple[str, ...]


@dataclass(slots=True)
class _Open:
    """The unit whose pieces are coming: in memory, or in a part of its own once it is large."""

    name: str
    frames: list[pl.DataFrame] = field(default_factory=list)
    rows: int = 0
    own: Stage | None = None


class Arrivals:
    """The pieces of one table, venue and day that one call brings. To be used as a context."""

    def __init__(self, location: Location, partition: Partition, question: str) -> None:
        self._location, self._partition = location, partition
        self._table = LAKE_TABLES[partition.table]
        self._subject = f"{partition.venue} {question}"
        self._held = read_manifest(location, partition)
        self._ledger = gate.Ledger(self._table, self._subject)
        self._stages = ExitStack()
        self._waiting: list[Fetched] = []
        self._open: _Open | None = None
        self._pool: dict[str, pl.DataFrame] = {}
        self._parts: list[StagedPart] = []
        self._rows: dict[str, int] = {}
        self._raw: dict[str, tuple[str, ...]] = {}
        self._refusals: dict[str, list[quarantine.Refusal]] = {}
        self._same: set[str] = set()
        self._notices: list[str] = []
        self._is_beside = False  # another question's rows came along
        self._failure = ""  # of the gate, on a whole chunk
        self.received = self.apart = self.rows = 0
        self.proofs: dict[str, Proof] = {}

    def __enter__(self) -> "Arrivals":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self._stages.close()

    def take(self, piece: Fetched) -> None:
        """Take a piece; the gate looks at it once there are enough rows."""
        self.received += piece.received
        self.apart += piece.apart
        self._notices.extend(piece.notices)
        if piece.unit is not None:
            self._raw[piece.unit] = (*self._raw.get(piece.unit, ()), *piece.raw)
            if piece.proof:
                self.proofs[piece.unit] = piece.proof
        elif piece.proof:
            for name in piece.frame["instrument_id"].unique():
                self.proofs[name], self._raw[name] = piece.proof, piece.raw
        self._note_refused(piece, piece.refused)
        self._waiting.append(piece)
        if sum(waiting.frame.height for waiting in self._waiting) >= CHUNK_ROWS:
            self._judged()

    def vouched(self, proofs: Mapping[str, Proof]) -> None:
        """These rows came beside those of another table, and are as whole as they are."""
        self._is_beside = True
        self.proofs = {
            name: replace(proof, first_sequence=None, last_sequence=None, gaps=())
            for name, proof in proofs.items()
        }

    def commit(self, whole: Sequence[Unit], window: Window, at: datetime) -> Arrived:
        """Commit what came, with the units of `whole`, which say something of all of it.

        A check that blocks leaves what is held, and gaps where nothing is.
        """
        self._judged()
        self._close()
        self._write_pool()
        checks: list[Check] = []
        try:
            checks = [*self._ledger.checks((self._partition.day, None)), self._share()]
            gate.require(self._partition.name, checks)
        except GateRefused as error:
            self._failure = self._failure or str(error)
        if self._failure:
            return self._refused(checks, whole, window, at)
        units = [self._unit(name, window) for name in self._names()]
        every = [*units, *whole]
        brought = [u for u in every if u.name not in self._same and not self._is_said(u)]
        outcome = commit(
            self._location,
            self._partition,
            units=brought,
            parts=self._parts,
            checks=self._with_earlier(checks),
            at=at,
        )
        is_restated = self._restate(every, set(outcome.refused))
        for name in {*self._names(), UNNAMED} - set(outcome.refused):
            self._quarantine(name, at)
        return Arrived(
            "committed" if is_restated else outcome.state,
            tuple(units),
            tuple(n for n in outcome.revised if n in self._rows),
            tuple(checks),
            sum(len(found) for found in self._refusals.values()),
            (),
            (*self._notices, *(f"{name}: what is held is better" for name in outcome.refused)),
        )

    # ---------- judging
    def _judged(self) -> None:
        """Judge what waits; once a chunk cannot be right, nothing that follows is looked at."""
        try:
            if not self._failure:
                self._judge()
        except GateRefused as error:
            self._failure = str(error)

    def _judge(self) -> None:
        """Put what waits to the gate, and what is kept to its units."""
        pieces, self._waiting = self._waiting, []
        if not any(piece.frame.height for piece in pieces):
            return
        frames = [piece.frame.select(self._table.schema.names()) for piece in pieces]
        whole = pl.concat(frames).with_row_index(ROW_NUMBER).cast({ROW_NUMBER: pl.Int64})
        starts = [0, *accumulate(frame.height for frame in frames)]
        audit = gate.audit(self._table, whole)
        self._ledger.add(audit)
        for number, reason in audit.refused.rows():
            place = bisect_right(starts, number) - 1
            own = pieces[place].frame.row(number - starts[place], named=True)
            row = pl.DataFrame({ROW_NUMBER: [own[ROW_NUMBER]], "reason": [reason]})
            self._note_refused(pieces[place], row, by=str(own["instrument_id"]))
        kept = self._first_received(audit.kept.select(self._table.schema.names()))
        numbers = audit.kept[ROW_NUMBER]
        for place, piece in enumerate(pieces):
            low, high = (
                int(numbers.search_sorted(starts[place])),
                int(numbers.search_sorted(starts[place + 1])),
            )
            self._divide(piece, kept.slice(low, high - low))

    def _divide(self, piece: Fetched, rows: pl.DataFrame) -> None:
        if piece.unit is not None:
            self._append(piece.unit, rows)
            return
        for (name,), own in rows.partition_by(
            "instrument_id", as_dict=True, maintain_order=True
        ).items():
            self._append(str(name), own)

    def _append(self, name: str, rows: pl.DataFrame) -> None:
        if rows.is_empty():
            return
        if self._open is None or self._open.name != name:
            self._close()
            self._open = _Open(name)
        unit = self._open
        unit.rows += rows.height
        self.rows += rows.height
        if unit.own is None and unit.rows > CHUNK_ROWS:
            unit.own = self._stages.enter_context(stage(self._location, self._partition))
            for frame in unit.frames:
                unit.own.write(frame)
            unit.frames = []
        if unit.own is None:
            unit.frames.append(rows)
        else:
            unit.own.write(rows)

    def _close(self) -> None:
        """The unit under way is at its end."""
        unit, self._open = self._open, None
        if unit is None:
            return
        self._rows[unit.name] = self._rows.get(unit.name, 0) + unit.rows
        if unit.own is not None:
            self._parts.append(unit.own.finish([unit.name]))
            return
        self._pool[unit.name] = pl.concat([*self._before(unit.name), *unit.frames])
        if sum(frame.height for frame in self._pool.values()) > CHUNK_ROWS:
            self._write_pool()

    def _before(self, name: str) -> list[pl.DataFrame]:
        """What came of the unit before others came between, as of several lists."""
        return [self._pool.pop(name)] if name in self._pool else []

    def _write_pool(self) -> None:
        """One part of the units that are not held as they came."""
        pool, self._pool = self._pool, {}
        if not pool:
            return
        held = self._held_units(pool)
        fresh = {n: f for n, f in pool.items() if n not in held or not held[n].equals(f)}
        self._same |= pool.keys() - fresh.keys()
        if fresh:
            part = self._stages.enter_context(stage(self._location, self._partition))
            part.write(pl.concat(fresh.values()).sort(self._table.sort, maintain_order=True))
            self._parts.append(part.finish(sorted(fresh)))

    # ---------- what is held
    def _rows_held(self) -> pl.LazyFrame | None:
        folder = self._partition.folder(self._location)
        names = [folder / part.name for part in self._held.current_parts() if part.rows]
        return pl.scan_parquet(names, glob=False) if names else None

    def _held_units(self, pool: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """The held rows of those units; a snapshot is new by nature."""
        scanned = self._rows_held()
        names = [name for name in pool if "@" not in name and self._held.unit(name)]
        if scanned is None or not names:
            return {}
        rows = scanned.filter(pl.col("instrument_id").is_in(names)).collect()
        found = rows.sort(self._table.sort, maintain_order=True).partition_by(
            "instrument_id", as_dict=True, maintain_order=True
        )
        return {str(name): frame for (name,), frame in found.items()}

    def _first_received(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows, with the time of the first receipt where the same row is held."""
        scanned = self._rows_held()
        if scanned is None or rows.is_empty() or "received_at" not in rows.columns:
            return rows
        time = self._table.time
        low, high = rows[time].min(), rows[time].max()
        held = scanned.filter(
            pl.col("instrument_id").is_in(rows["instrument_id"].unique()),
            pl.col(time).is_between(pl.lit(low), pl.lit(high)),
        )
        said = [name for name in rows.columns if name != "received_at"]
        joined = rows.lazy().join(
            held.rename({"received_at": "first_received_at"}),
            on=said,
            how="left",
            nulls_equal=True,
            maintain_order="left",
        )
        first = pl.coalesce("first_received_at", "received_at")
        return joined.with_columns(received_at=first).select(rows.columns).collect()

    def _is_said(self, unit: Unit) -> bool:
        """Whether the like is held of a unit without rows, though perhaps in other words."""
        held = self._held.unit(unit.name)
        return held is not None and not held.rows and (0, unit.status) == (unit.rows, held.status)

    def _restate(self, units: Sequence[Unit], refused: set[str]) -> bool:
        """Of units whose rows are held already, say what is known now; whether a status changed."""
        held = read_manifest(self._location, self._partition)
        changes = {
            own: new
            for unit in units
            if unit.name not in refused and (own := held.unit(unit.name)) is not None
            if (new := _renewed(own, unit)) is not None
        }
        if changes:
            restate(self._location, self._partition, changes)
        return any(own.status != new.status for own, new in changes.items())

    # ---------- what is said of it
    def _names(self) -> list[str]:
        return sorted(self._rows if self._is_beside else {*self._rows, *self.proofs})

    def _unit(self, name: str, window: Window) -> Unit:
        proof = self.proofs.get(name) or Proof("gap", "its end did not come")
        gaps, status = list(proof.gaps), proof.status
        by_gate = [r for r in self._refusals.get(name, ()) if r.is_by_gate]
        if by_gate:
            reasons = ", ".join(sorted({refusal.reason for refusal in by_gate}))
            detail = f"refused: {reasons}"
            gaps.append(Gap(name, window.start, window.end, QUARANTINED, len(by_gate), detail))
            status = "gap"
        return Unit(
            name=name,
            instrument_id=None if "@" in name else name,
            status=status,
            rows=self._rows.get(name, 0),
            source=f"{self._partition.venue}{API}",
            rank=DECLARED_RANK if self._table is INSTRUMENTS else REST_RANK,
            proof=proof.text,
            raw=self._raw.get(name, ()),
            first_sequence=proof.first_sequence,
            last_sequence=proof.last_sequence,
            gaps=tuple(gaps),
        )

    def _share(self) -> Check:
        reasons = Counter(r.reason for found in self._refusals.values() for r in found)
        return gate.refused_share(self._table, self._subject, self.received - self.apart, reasons)

    def _with_earlier(self, checks: Sequence[Check]) -> list[Check]:
        """Snapshots of a day are checked one by one, and the day's record sums them up."""
        if not any("@" in name for name in self._rows):
            return list(checks)
        earlier = {(c.source_path, c.expectation, c.column_name): c for c in self._held.checks}
        return [
            replace(
                check,
                is_passed=check.is_passed and past.is_passed,
                evaluated_count=check.evaluated_count + past.evaluated_count,
                unexpected_count=check.unexpected_count + past.unexpected_count,
            )
            if (past := earlier.get((check.source_path, check.expectation, check.column_name)))
            else check
            for check in checks
        ]

    def _refused(
        self, checks: Sequence[Check], whole: Sequence[Unit], window: Window, at: datetime
    ) -> Arrived:
        """Nothing of what came is committed: a gap where nothing is held."""
        error = self._failure
        names = sorted({*self._raw, *self.proofs} if not self._is_beside else self._raw)
        failed = [
            replace(
                self._unit(name, window),
                status="gap",
                rows=0,
                proof=error,
                first_sequence=None,
                last_sequence=None,
                gaps=(Gap(name, window.start, window.end, REFUSED_BY_GATE, None, error),),
            )
            for name in names
        ]
        units = [*failed, *(replace(u, status="gap", proof=error) for u in whole)]
        outcome = commit(
            self._location, self._partition, units=units, parts=(), checks=checks, at=at
        )
        notices = tuple(self._notices)
        return Arrived(outcome.state, tuple(units), (), tuple(checks), 0, (error,), notices)

    def _note_refused(self, piece: Fetched, refused: pl.DataFrame, *, by: str = "") -> None:
        """`by` is the instrument of a row that the gate refused; empty where decoding did."""
        if refused.is_empty():
            return
        texts = piece.texts(refused[ROW_NUMBER].to_list())
        for number, reason in refused.select(ROW_NUMBER, "reason").rows():
            name = piece.unit or by or UNNAMED
            text = texts.get(number, "")
            row = quarantine.Refusal(number, reason, text, piece.raw[-1], bool(by))
            self._refusals.setdefault(name, []).append(row)

    def _quarantine(self, name: str, at: datetime) -> None:
        quarantine.hold(
            self._location,
            self._refusals.get(name, []),
            table_name=self._table.name,
            venue=self._partition.venue,
            subject=f"{self._subject} {name} {self._partition.day}",
            at=at,
        )


def worst(statuses: Sequence[str]) -> str:
    return min(statuses, key=STATUSES.index)


def _renewed(held: Unit, fresh: Unit) -> Unit | None:
    """The held unit as it is known now; None where nothing is new, or what is held knows more."""
    if held.rows != fresh.rows or held.rank != fresh.rank:
        return None
    if STATUSES.index(fresh.status) < STATUSES.index(held.status):
        return None
    renewed = replace(
        held,
        status=fresh.status,
        proof=fresh.proof,
        first_sequence=fresh.first_sequence,
        last_sequence=fresh.last_sequence,
        gaps=fresh.gaps,
    )
    return None if renewed == held else renewed
