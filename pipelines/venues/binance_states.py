"""How are Binance's states of one moment asked for: best prices, marks, books, indices?"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

import polars as pl

from expectations.gate import REFUSED, ROW_NUMBER
from pipelines.archives.base import Decoded
from pipelines.transport import Answer, Complaint, Session
from pipelines.universe import Instrument
from pipelines.venues import binance_books
from pipelines.venues import binance_rows as rows
from pipelines.venues.base import Endpoint, Row, milliseconds
from pipelines.venues.binance_endpoints import QUESTIONS, books_of
from pipelines.venues.binance_listing import Listed
from pipelines.venues.json_rows import row_texts
from warehouse.contract import Table
from warehouse.raw import Page

FRESH = timedelta(minutes=10)  # what is older is not the state of now
FRESH_MS = FRESH // timedelta(milliseconds=1)
MINUTE, INDEX_SPAN = timedelta(minutes=1), timedelta(minutes=5)

Part = tuple[Decoded, Answer]
Texts = Callable[[Sequence[int]], Mapping[int, str]]


def declared(session: Session) -> rows.Intervals:
    """Seconds between settlements by symbol, where the venue declares them."""
    endpoints = [asked.intervals for asked in QUESTIONS.values() if asked.intervals]
    return rows.intervals([session.ask(endpoint, {}).page for endpoint in endpoints])


def quotes(
    session: Session, item: Listed, at: datetime, declared_s: Mapping[str, int]
) -> Iterator[Part]:
    """All that is told of an instrument, answer by answer."""
    asked, subject = QUESTIONS[item.market], item.subject(at.date())
    endpoints = (
        (asked.best, rows.quotes, None),
        (asked.day_ticker, rows.day_tickers, None),
        (asked.marks, partial(rows.marks, declared_s=declared_s, at=at), at),
        (asked.open_interest, rows.open_interest, None),
    )
    for endpoint, decode, fresh_at in endpoints:
        if endpoint is not None:
            answer = _asked(session, endpoint, item, fresh_at)
            yield decode(subject, [answer.page]), answer


def book(session: Session, item: Listed, at: datetime, depth: int) -> Part:
    """The best `depth` levels a side."""
    endpoint, limit = books_of(item.market, depth)
    answer = _asked(session, endpoint, item, None, limit=limit)
    return binance_books.books(item.subject(at.date()), at, [answer.page], depth), answer


def index(session: Session, item: Listed, at: datetime) -> Part:
    """The last minutes of the index under a perpetual."""
    endpoint = QUESTIONS[item.market].index_candles
    if endpoint is None:
        raise ValueError(f"binance {item.symbol}: the {item.market} market has no index")
    end = at.replace(second=0, microsecond=0)
    start_ms, end_ms = milliseconds(end - INDEX_SPAN), milliseconds(end) - 1
    params = {
        "pair": item.symbol.removesuffix("_PERP"),
        "interval": "1m",
        "startTime": start_ms,
        "endTime": end_ms,
        "limit": 100,
    }

    def fault(candles: Sequence[Row]) -> str | None:
        starts = [row[0] for row in candles if isinstance(row, list) and type(row[0]) is int]
        if starts and not start_ms <= min(starts) <= max(starts) <= end_ms:
            return f"holds minutes from {min(starts)} to {max(starts)}"
        return None

    answer = session.ask(endpoint, params, fault)
    return rows.index_prices(item.subject(at.date()), [answer.page]), answer


def joined(parts: Sequence[Part], table: Table) -> Decoded:
    """The answers as one, their rows numbered through; rows of `table` in any case."""
    tables: dict[str, list[pl.DataFrame]] = {
        table.name: [pl.DataFrame(schema=table.schema | {ROW_NUMBER: pl.Int64})]
    }
    refused, seen, before = [pl.DataFrame(schema=REFUSED)], set[Instrument](), 0
    number = pl.col(ROW_NUMBER)
    for decoded, answer in parts:
        for name, frame in decoded.rows.items():
            tables.setdefault(name, []).append(frame.with_columns(number + before))
        refused.append(decoded.refused.with_columns(number + before))
        seen |= decoded.instruments
        before += len(answer.rows)
    every = {name: pl.concat(frames) for name, frames in tables.items()}
    return Decoded(every, pl.concat(refused), frozenset(seen))


def texts(parts: Sequence[Part]) -> Texts:
    """Rows of the answers as they came, by the numbers that `joined` gives them."""
    return texts_of([answer.page for _, answer in parts])


def texts_of(pages: Sequence[Page]) -> Texts:
    return partial(row_texts, [page.text for page in pages])


def _asked(
    session: Session, endpoint: Endpoint, item: Listed, fresh_at: datetime | None, **more: int
) -> Answer:
    fault: Complaint = partial(_fault, item.symbol, fresh_at)
    return session.ask(endpoint, {"symbol": item.symbol} | more, fault)


def _fault(symbol: str, fresh_at: datetime | None, told: Sequence[Row]) -> str | None:
    """Whether the answer tells of another instrument, or of another time than `fresh_at`."""
    for row in told:
        if not isinstance(row, Mapping):
            continue
        name, stamp = row.get("symbol", symbol), row.get("time")
        if isinstance(name, str) and name != symbol:
            return f"tells of {name}"
        if fresh_at and type(stamp) is int and abs(stamp - milliseconds(fresh_at)) > FRESH_MS:
            return f"is of another time, {stamp}"
    return None
