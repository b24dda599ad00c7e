"""How do pieces of units that a venue sent become parts? Judged in chunks, divided unit by unit.

Great Expectations costs the same for ten rows as for ten thousand, so that pieces of many units are
judged together and divided again. Small units share a part; one that is large gets its own and
never stands in memory as a whole. A row that is held already keeps the time at which it was first
received: asking twice does not move what could be known when.
"""

from bisect import bisect_right
from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from itertools import accumulate
from types import TracebackType

import polars as pl

from expectations import gate
from expectations.gate import ROW_NUMBER, GateRefused
from pipelines.quarantine import Refusal
from pipelines.venues.base import Fetched, Proof
from warehouse.contract import LAKE_TABLES
from warehouse.lake import Partition, Stage, StagedPart, read, read_manifest, stage
from warehouse.location import Location

CHUNK_ROWS = 131_072  # judged at once, and the most that a unit has in memory
UNNAMED = "answer"  # whose row it is cannot be said


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
        self.location, self.partition = location, partition
        self.table = LAKE_TABLES[partition.table]
        self.subject = f"{partition.venue} {question}"
        self.held = read_manifest(location, partition)
        self.ledger = gate.Ledger(self.table, self.subject)
        self._stages = ExitStack()
        self._waiting: list[Fetched] = []
        self._open: _Open | None = None
        self._pool: dict[str, pl.DataFrame] = {}
        self.parts: list[StagedPart] = []
        self.rows_of_unit: dict[str, int] = {}
        self.raw: dict[str, tuple[str, ...]] = {}
        self.refusals: dict[str, list[Refusal]] = {}
        self.same: set[str] = set()
        self.notices: list[str] = []
        self.is_beside = False  # another question's rows came along
        self.failure = ""  # of the gate, on a whole chunk
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
        self.notices.extend(piece.notices)
        if piece.unit is not None:
            self.raw[piece.unit] = (*self.raw.get(piece.unit, ()), *piece.raw)
            if piece.proof:
                self.proofs[piece.unit] = piece.proof
        elif piece.proof:
            for name in piece.frame["instrument_id"].unique():
                self.proofs[name], self.raw[name] = piece.proof, piece.raw
        self._note_refused(piece, piece.refused)
        self._waiting.append(piece)
        if sum(waiting.frame.height for waiting in self._waiting) >= CHUNK_ROWS:
            self._judged()

    def vouched(self, proofs: Mapping[str, Proof]) -> None:
        """These rows came beside those of another table, and are as whole as they are."""
        self.is_beside = True
        self.proofs = {
            name: replace(proof, first_sequence=None, last_sequence=None, gaps=())
            for name, proof in proofs.items()
        }

    def close(self) -> None:
        """No more pieces come."""
        self._judged()
        self._close()
        self._write_pool()

    # ---------- judging
    def _judged(self) -> None:
        """Judge what waits; once a chunk cannot be right, nothing that follows is looked at."""
        try:
            if not self.failure:
                self._judge()
        except GateRefused as error:
            self.failure = str(error)

    def _judge(self) -> None:
        """Put what waits to the gate, and what is kept to its units."""
        pieces, self._waiting = self._waiting, []
        if not any(piece.frame.height for piece in pieces):
            return
        frames = [piece.frame.select(self.table.schema.names()) for piece in pieces]
        whole = pl.concat(frames).with_row_index(ROW_NUMBER).cast({ROW_NUMBER: pl.Int64})
        starts = [0, *accumulate(frame.height for frame in frames)]
        audit = gate.audit(self.table, whole)
        self.ledger.add(audit)
        for number, reason in audit.refused.rows():
            place = bisect_right(starts, number) - 1
            own = pieces[place].frame.row(number - starts[place], named=True)
            row = pl.DataFrame({ROW_NUMBER: [own[ROW_NUMBER]], "reason": [reason]})
            self._note_refused(pieces[place], row, by=str(own["instrument_id"]))
        kept = self._first_received(audit.kept.select(self.table.schema.names()))
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
            unit.own = self._stages.enter_context(stage(self.location, self.partition))
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
        self.rows_of_unit[unit.name] = self.rows_of_unit.get(unit.name, 0) + unit.rows
        if unit.own is not None:
            self.parts.append(unit.own.finish([unit.name]))
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
        self.same |= pool.keys() - fresh.keys()
        if fresh:
            part = self._stages.enter_context(stage(self.location, self.partition))
            part.write(pl.concat(fresh.values()).sort(self.table.sort, maintain_order=True))
            self.parts.append(part.finish(sorted(fresh)))

    # ---------- what is held
    def _rows_held(self, names: Collection[str]) -> pl.LazyFrame | None:
        """The rows of the parts in which those units are."""
        folder, wanted = self.partition.folder(self.location), set(names)
        parts = [p for p in self.held.current_parts() if p.rows and wanted.intersection(p.units)]
        return read(self.table, [folder / p.name for p in parts]) if parts else None

    def _held_units(self, pool: dict[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
        """The held rows of those units; a snapshot is new by nature."""
        names = [name for name in pool if "@" not in name and self.held.unit(name)]
        scanned = self._rows_held(names)
        if scanned is None:
            return {}
        rows = scanned.filter(pl.col("instrument_id").is_in(names)).collect()
        found = rows.sort(self.table.sort, maintain_order=True).partition_by(
            "instrument_id", as_dict=True, maintain_order=True
        )
        return {str(name): frame for (name,), frame in found.items()}

    def _first_received(self, rows: pl.DataFrame) -> pl.DataFrame:
        """The rows, with the time of the first receipt where the same row is held."""
        if rows.is_empty() or "received_at" not in rows.columns:
            return rows
        scanned = self._rows_held(rows["instrument_id"].unique().to_list())
        if scanned is None:
            return rows
        time = self.table.time
        low, high = rows[time].min(), rows[time].max()
        held = scanned.filter(
            pl.col("instrument_id").is_in(rows["instrument_id"].unique().to_list()),
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

    def _note_refused(self, piece: Fetched, refused: pl.DataFrame, *, by: str = "") -> None:
        """`by` is the instrument of a row that the gate refused; empty where decoding did."""
        if refused.is_empty():
            return
        texts = piece.texts(refused[ROW_NUMBER].to_list())
        for number, reason in refused.select(ROW_NUMBER, "reason").rows():
            name = piece.unit or by or UNNAMED
            text = texts.get(number, "")
            row = Refusal(number, reason, text, piece.raw[-1], bool(by))
            self.refusals.setdefault(name, []).append(row)
