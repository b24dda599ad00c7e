"""How do an instrument's prints become pieces of its day, with the proof that they are all?"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial

import polars as pl

from pipelines.archives.base import SourceError, SourceRefused, SourceUnavailable
from pipelines.transport import Session, Transport
from pipelines.universe import Instrument
from pipelines.venues import deribit_endpoints as ends
from pipelines.venues import deribit_proofs as proofs
from pipelines.venues import deribit_rows as rows
from pipelines.venues import deribit_wire as wire
from pipelines.venues.base import Fetched, Proof, Window, interrupted, one_line
from pipelines.venues.deribit_tape import Tape
from pipelines.venues.deribit_wire import Form
from pipelines.venues.pieces import Source, pieces
from warehouse.contract import TRADES
from warehouse.raw import Page

CHUNK_PAGES = 50  # in one piece
CANDLE_ATTEMPTS = 3


def prints(transport: Transport, item: Instrument, window: Window) -> Iterator[Fetched]:
    """One instrument's prints, some pages at a time, the last of them with the proof.

    Trouble ends them with what came before it and a gap.
    """
    cutter, name = _Cutter(item, window), item.native_symbol
    with transport.session(item.venue, f"trades {name}@{window.start.isoformat()}") as session:
        tape = Tape(session, name, item.instrument_id, window, transport.clock())
        pages: list[Page] = []
        known: list[pl.DataFrame | None] = []
        told, trouble = None, None
        try:
            for answers in tape.runs():
                if len(pages) >= CHUNK_PAGES:
                    yield from cutter.cut(pages, known, session.land())
                    pages, known = [], []
                pages += [answer.page for answer in answers]
                known += [wire.columns(answer.rows, wire.TRADE) for answer in answers]
        except (SourceUnavailable, SourceRefused) as error:
            trouble = error
        last = cutter.cut(pages, known, ())
        try:
            for _ in range(CANDLE_ATTEMPTS if trouble is None else 0):
                told = candle(session, name, window, tape.now)
                if told is None or proofs.agrees(cutter.volume_base, told):
                    break  # nothing in a candle says whose and of which day it is
        except SourceUnavailable as error:
            trouble = error
        raw = session.land()
    proof, notices = cutter.proven(tape, told, trouble)
    yield from (replace(piece, raw=raw, proof=proof, notices=notices) for piece in last)


def source_of(
    unit: str | None,
    at: datetime,
    raw: tuple[str, ...],
    pages: Sequence[Page],
    form: Form,
    window: Window | None = None,
) -> Source:
    """Where the rows of `pages` come from; of a day's table, those in `window` were asked for."""
    inside = window.holds("event_at") if window else None
    return Source(unit, at.date(), raw, partial(_texts, pages, form, 0), inside)


def candle(session: Session, name: str, window: Window, now: datetime) -> float | None:
    """The day's volume as the venue tells it, base coin; None while it does not, or never does."""
    if now < window.end + proofs.GRACE:
        return None
    params = {
        "instrument_name": name,
        "start_timestamp": window.start_ms,
        "end_timestamp": window.end_ms - 1,
        "resolution": "1D",
    }
    try:
        answer = session.ask(ends.CANDLES, params, partial(ends.unreadable_candles, window))
    except SourceRefused:
        return None
    found = proofs.candle_volume(answer.rows[0], window)
    return found if isinstance(found, float) else None


@dataclass(slots=True)
class _Cutter:
    """What was cut of one instrument's prints so far."""

    item: Instrument
    window: Window
    received: int = 0
    refused: int = 0
    volume_base: float = 0.0

    def cut(
        self,
        pages: Sequence[Page],
        known: Sequence[pl.DataFrame | None],
        raw: tuple[str, ...],
    ) -> list[Fetched]:
        """Pieces of these pages, without a proof."""
        day, before = self.window.start, self.received
        decoded = rows.trades(pages, day.date(), rows_before=before, known=known)
        source = replace(
            source_of(self.item.instrument_id, day, raw, pages, wire.TRADE, self.window),
            texts=partial(_texts, pages, wire.TRADE, before),
        )
        found = pieces(decoded, source, table=TRADES.name, proof=None)
        trades = next(piece for piece in found if piece.table == TRADES.name)
        self.received += trades.received
        self.refused += trades.refused.height
        self.volume_base += float(trades.frame["quantity_base"].sum())
        return found

    def proven(
        self, tape: Tape, candle_base: float | None, trouble: SourceError | None
    ) -> tuple[Proof, tuple[str, ...]]:
        """The proof of all, and a notice where the venue's candle tells another volume or none."""
        name = self.item.instrument_id
        if trouble and tape.after is None:
            proof = interrupted(trouble, name, self.window, since=tape.last_at, now=tape.now)
            return replace(proof, gaps=(*tape.holes, *proof.gaps)), ()
        proof = proofs.of_prints(tape, tape.now, self.refused, self.volume_base, candle_base)
        if trouble:
            return proof, (one_line(trouble),)
        if candle_base is None or proofs.agrees(self.volume_base, candle_base):
            return proof, ()
        notice = (
            f"{self.item.native_symbol}: the prints are {self.volume_base:g} base, "
            f"the venue's candle says {candle_base:g}"
        )
        return proof, (notice,)


def _texts(
    pages: Sequence[Page], form: Form, before: int, numbers: Sequence[int]
) -> dict[int, str]:
    """Rows as they came, by number; the first of these pages has the number after `before`."""
    found = wire.row_texts([page.text for page in pages], form, [n - before for n in numbers])
    return {number + before: text for number, text in found.items()}
