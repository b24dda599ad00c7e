"""How is a day of one instrument asked for: its prints, and the funding that it paid?"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime

from pipelines.archives.base import SourceError, SourceRefused, SourceUnavailable
from pipelines.transport import Answer, Session
from pipelines.venues import binance_proofs as proofs
from pipelines.venues import binance_rows as rows
from pipelines.venues.base import (
    DAY,
    Fetched,
    Row,
    Window,
    interrupted,
    milliseconds,
    one_line,
)
from pipelines.venues.binance_endpoints import PAGE, QUESTIONS
from pipelines.venues.binance_listing import Listed
from pipelines.venues.binance_reading import Read
from pipelines.venues.binance_states import texts_of
from pipelines.venues.binance_tape import Candle, Tape
from pipelines.venues.json_columns import Rows
from pipelines.venues.pieces import Source, pieces
from warehouse.contract import FUNDING, TRADES
from warehouse.raw import Page

PIECE_PAGES = 100  # of prints, held at once
SHOWN_BEFORE = 3 * DAY  # settlements before the window, which show how long an interval is


def prints(
    session: Session, item: Listed, window: Window, now: datetime, patience: int
) -> Iterator[Fetched]:
    """The window's prints in pieces, the last of them with the proof.

    Trouble ends them with what came before it and a gap.
    """
    candle: Candle | None = None
    trouble: SourceError | None = None
    try:
        candle = _candle(session, item, window) if now >= window.end + proofs.GRACE else None
    except (SourceUnavailable, SourceRefused) as error:  # the prints may be had all the same
        trouble = error
    tape = Tape(
        session,
        QUESTIONS[item.market].aggregates,
        item.symbol,
        item.instrument.instrument_id,
        window,
        now,
        candle,
        patience,
    )
    held, volume, refused = list[Answer](), 0.0, 0
    try:
        for answer in tape.pages():
            if len(held) == PIECE_PAGES:
                piece = _piece(session, item, window, held)
                volume, refused = volume + _volume(item, piece), refused + piece.refused.height
                yield piece
                held = []
            held.append(answer)
    except (SourceUnavailable, SourceRefused) as error:
        trouble = error
    last = _piece(session, item, window, held)
    volume, refused = volume + _volume(item, last), refused + last.refused.height
    if trouble and tape.after is None:
        lost = interrupted(trouble, tape.instrument_id, window, since=tape.last_at, now=now)
        yield replace(last, proof=replace(lost, gaps=(*tape.holes, *lost.gaps)))
        return
    proof = proofs.of_prints(tape, volume, refused, counts_all=item.market == "spot")
    yield replace(last, proof=proof, notices=(one_line(trouble),) if trouble else ())


def paid(session: Session, item: Listed, window: Window, now: datetime) -> Iterator[Fetched]:
    """The window's settlements, and the interval that each of them ends."""
    asked = QUESTIONS[item.market]
    if asked.funding is None or asked.intervals is None:
        raise ValueError(f"binance {item.symbol}: the {item.market} market pays no funding")
    start_ms, end_ms = milliseconds(window.start - SHOWN_BEFORE), window.end_ms - 1

    def fault(settlements: Sequence[Row]) -> str | None:
        for row in settlements:
            stamp = row.get("fundingTime") if isinstance(row, dict) else None
            if type(stamp) is int and not start_ms <= stamp <= end_ms:
                return f"holds a settlement of {stamp}"
        return None

    name, day = item.instrument.instrument_id, window.start.date()
    span = {"startTime": start_ms, "endTime": end_ms, "limit": PAGE}
    pages: list[Page] = []
    declared, trouble = rows.Intervals({}, 0), None
    try:
        declared = rows.intervals([session.ask(asked.intervals, {}).page])
        pages = [session.ask(asked.funding, {"symbol": item.symbol} | span, fault).page]
    except (SourceUnavailable, SourceRefused) as error:
        trouble = interrupted(error, name, window, now=now)
    decoded = rows.settlements(item.subject(day), pages, declared.declared_s)
    proof = trouble or proofs.of_funding(name, window, decoded.rows[FUNDING.name], now)
    source = Source(name, day, session.land(), texts_of(pages), window.holds("event_at"))
    yield from pieces(decoded, source, table=FUNDING.name, proof=proof, notices=declared.notices)


def premiums(session: Session, item: Listed, window: Window) -> Read:
    """The premium index of a perpetual, minute by minute: open, high, low, close as fractions.

    Funding follows from it. No table of the lake has it, so rows are handed over as they are read.
    """
    endpoint = QUESTIONS[item.market].premium_candles
    if endpoint is None:
        raise ValueError(f"binance {item.symbol}: the {item.market} market has no premium index")
    pages, start_ms = [], window.start_ms
    while start_ms < window.end_ms:
        span = {"startTime": start_ms, "endTime": window.end_ms - 1, "limit": PAGE}
        answer = session.ask(endpoint, {"symbol": item.symbol, "interval": "1m"} | span)
        starts = [row[0] for row in answer.rows if isinstance(row, list) and type(row[0]) is int]
        if not starts:
            break
        if max(starts) < start_ms:
            raise SourceUnavailable(f"binance {item.symbol}: premium index stuck at {start_ms}")
        pages.append(answer.page)
        start_ms = max(starts) + 1
    return rows.candles(item.subject(window.start.date()), pages)


def _piece(session: Session, item: Listed, window: Window, answers: Sequence[Answer]) -> Fetched:
    day, pages = window.start.date(), [answer.page for answer in answers]
    source = Source(
        item.instrument.instrument_id,
        day,
        session.land(),
        texts_of(pages),
        window.holds("event_at"),
    )
    known = [answer.rows.frame if isinstance(answer.rows, Rows) else None for answer in answers]
    decoded = rows.trades(item.subject(day), pages, known_columns=known)
    (piece,) = pieces(decoded, source, table=TRADES.name, proof=None)
    return piece


def _volume(item: Listed, piece: Fetched) -> float:
    is_inverse = item.instrument.contract_type == "inverse"
    return float(piece.frame["quantity_contracts" if is_inverse else "quantity_base"].sum())


def _candle(session: Session, item: Listed, window: Window) -> Candle | None:
    """The venue's own candle of the window, if that is a day."""
    if window != Window.day(window.start.date()):
        return None
    span = {"startTime": window.start_ms, "endTime": window.end_ms - 1, "limit": 1}

    def fault(candles: Sequence[Row]) -> str | None:
        starts = [row[0] for row in candles if isinstance(row, list) and row]
        return None if starts in ([], [window.start_ms]) else f"holds the candles of {starts}"

    asked = {"symbol": item.symbol, "interval": "1d"} | span
    page = session.ask(QUESTIONS[item.market].candles, asked, fault).page
    found = rows.candles(item.subject(window.start.date()), [page]).frame
    return Candle(*found.select("trade_count", "volume").row(0)) if found.height else None
