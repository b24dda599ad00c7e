"""Which prints of an instrument fall into a window? Found by number, which has no holes.

The first print of the window is looked up by time; from the one before it pages are asked for by
number until one shows a print past the window's end. So the numbers of neighbouring days join, and
a number that is not there is a print that is missing: it is asked for again, then at the host that
keeps history, and what is missing then is a hole.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pipelines.archives.base import SourceRefused
from pipelines.transport import Answer, Complaint, Session
from pipelines.venues.base import Endpoint, Window, milliseconds
from pipelines.venues.deribit_endpoints import BY_NUMBER, BY_TIME, HISTORY, NEWEST, PAGE, moment
from pipelines.venues.json_columns import Rows
from warehouse.lake import Gap

FRUITLESS = 4  # asking in vain this often, two hosts in turn, shows that a print cannot be had
MOST_HOLES = 1_000  # beyond them, what else is missing is one

Stamps = dict[int, int]  # milliseconds by number


@dataclass(slots=True)
class Tape:
    """One instrument's prints around a window. What came of it is known when `runs` has ended.

    `before` and `after` are the numbers of the prints next to the window, `first` and `last` those
    of the prints inside, the last at `last_at`. `holes` are runs of numbers that could not be had.
    """

    session: Session
    name: str
    instrument_id: str
    window: Window
    now: datetime
    before: int | None = None
    after: int | None = None
    first: int | None = None
    last: int | None = None
    last_at: datetime | None = None
    holes: list[Gap] = field(default_factory=list)
    _hosts: list[str | None] = field(default_factory=lambda: [None, HISTORY])
    _latest: tuple[int, int] | None = None  # number and stamp of the print met last
    _seen: int = 0  # the highest number that was told of
    _bounds: tuple[int, int] = field(init=False)

    def __post_init__(self) -> None:
        self._bounds = (self.window.start_ms, self.window.end_ms)

    def runs(self) -> Iterator[list[Answer]]:
        """Answers with prints of the window, in order; those to one run of numbers together."""
        first = self._first_number()
        if first is None:
            return
        for span in self._spans(max(1, first - 1)):
            yield span.answers
            self._note(span)

    def _first_number(self) -> int | None:
        """The first print at or after the window's start; None where the venue has none."""
        newest = self._newest()
        if newest is None:
            return None
        number, stamp = newest
        self._seen = number
        if stamp < self.window.start_ms:
            self.before = number
            return None
        end = max(milliseconds(self.now), self.window.end_ms, stamp)
        bounds: dict[str, Any] = {"start_timestamp": self.window.start_ms, "end_timestamp": end}

        def fault(rows: Sequence[Any]) -> str | None:
            lack = f"is empty, though print {number} came at {moment(stamp).isoformat()}"
            return None if numbers(rows) else lack

        found = self._ask(BY_TIME, bounds | {"count": 1, "sorting": "asc"}, fault)
        return min(numbers(found.rows))

    def _newest(self) -> tuple[int, int] | None:
        """Number and stamp of the last print of all."""
        found = numbers(self._ask(NEWEST, {"count": 1, "sorting": "desc"}).rows)
        return max(found.items()) if found else None

    def _spans(self, low: int) -> Iterator["Span"]:
        waiting = [self._span(low, low + PAGE - 1)]
        while low > 1 and waiting[0].first_stamp() >= self.window.start_ms:
            low, high = max(1, low - PAGE), low - 1  # the time misled: look further back
            waiting.insert(0, self._span(low, high))
        yield from waiting
        last = waiting[-1]
        while not last.is_end and last.last_stamp() < self.window.end_ms:
            last = self._span(last.high + 1, last.high + PAGE)
            yield last

    def _span(self, low: int, high: int) -> "Span":
        """The prints numbered `low` to `high`, asked for until they are there or nobody has any."""
        span = Span(low, high)
        span.add(*self._page(low, high))
        if high not in span.stamps:
            newest = self._newest()
            # An older answer can be served again; what has been seen once does not go away.
            self._seen = max(self._seen, newest[0] if newest else 0, *span.stamps)
            span.top = max(low - 1, min(high, self._seen))
        tries = 0
        while (missing := span.missing()) and tries < FRUITLESS:
            host = self._hosts[tries % len(self._hosts)]
            span.add(*self._page(missing[0], missing[-1], host))
            tries = tries + 1 if len(span.missing()) == len(missing) else 0
        return span

    def _page(self, low: int, high: int, *hosts: str | None) -> tuple[Answer, Stamps]:
        found: Stamps = {}

        def fault(rows: Sequence[Any]) -> str | None:
            nonlocal found
            found = numbers(rows)
            least, most = min(found, default=low), max(found, default=high)
            if low <= least and most <= high:
                return None
            return f"holds prints {least} to {most}, where {low} to {high} were asked for"

        params = {"start_seq": low, "end_seq": high, "count": PAGE, "sorting": "asc"}
        return self._ask(BY_NUMBER, params, fault, *hosts), found

    def _ask(
        self,
        endpoint: Endpoint,
        params: Mapping[str, Any],
        fault: Complaint | None = None,
        *hosts: str | None,
    ) -> Answer:
        """The answer of the first host that does not refuse. A host that refuses comes last."""
        full = {"instrument_name": self.name, **params}

        def wrong(rows: Sequence[Any]) -> str | None:
            if stranger := _stranger(rows, self.name):
                return f"holds a print of {stranger}"
            return fault(rows) if fault else None

        *others, last = hosts or tuple(self._hosts)
        for host in others:
            try:
                return self.session.ask(replace(endpoint, host=host), full, wrong)
            except SourceRefused:
                self._hosts = [held for held in self._hosts if held != host] + [host]
        return self.session.ask(replace(endpoint, host=last), full, wrong)

    def _note(self, span: "Span") -> None:
        """Follow the numbers: where the window begins and ends, and what is missing between."""
        if self._latest is None:
            self._latest = (min(span.stamps, default=1) - 1 if span.low > 1 else 0, 0)
        if not self._is_all_inside(span):
            self._note_each(span)
        if span.is_end:
            self._note_hole(span.top + 1, self._bounds[1])

    def _is_all_inside(self, span: "Span") -> bool:
        """Whether the page joins the one before, has no hole, and lies within the window."""
        start, end = self._bounds
        is_joined = self._latest is not None and self._latest[0] == span.low - 1
        if not (is_joined and len(span.stamps) == span.high - span.low + 1):
            return False
        if not start <= min(span.stamps.values()) <= max(span.stamps.values()) < end:
            return False
        stamp = span.stamps[span.high]
        self.first, self.last, self.last_at = self.first or span.low, span.high, moment(stamp)
        self._latest = (span.high, stamp)
        return True

    def _note_each(self, span: "Span") -> None:
        start, end = self._bounds
        for number in sorted(span.stamps):
            stamp = span.stamps[number]
            self._note_hole(number, stamp)
            self._latest = (number, stamp)
            if stamp < start:
                self.before = number
            elif stamp < end:
                self.first, self.last, self.last_at = self.first or number, number, moment(stamp)
            else:
                self.after = self.after or number

    def _note_hole(self, number: int, stamp: int) -> None:
        """Note the numbers between the print met last and this one, if they may be the window's."""
        latest, began = self._latest or (0, 0)
        is_outside = stamp < self._bounds[0] or began >= self._bounds[1]
        if number <= latest + 1 or is_outside:
            return
        low, high = latest + 1, number - 1
        detail = f"ids {low} to {high}" if high > low else f"id {low}"
        started_at = max(self.window.start, moment(began))
        held = self.holes[-1] if self.holes else None
        if held and (held.started_at == started_at or len(self.holes) >= MOST_HOLES):
            count = (held.missing_count or 0) + high - low + 1
            self.holes[-1] = replace(
                held,
                ended_at=moment(stamp),
                missing_count=count,
                detail=f"{held.detail.split(' ... ')[0]} ... {detail}",
            )
            return
        self.holes.append(
            Gap(
                self.instrument_id,
                started_at,
                moment(stamp),
                "sequence_hole",
                high - low + 1,
                detail,
            )
        )


@dataclass(slots=True)
class Span:
    """The prints numbered `low` to `high`, of which the venue has those up to `top`."""

    low: int
    high: int
    top: int = field(init=False)
    stamps: Stamps = field(default_factory=dict)
    answers: list[Answer] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.top = self.high

    @property
    def is_end(self) -> bool:
        return self.top < self.high

    def add(self, answer: Answer, found: Stamps) -> None:
        """Take what is new in an answer; one that brings nothing is not kept."""
        if not self.answers:
            self.answers, self.stamps = [answer], found
        elif found.keys() - self.stamps.keys():
            self.answers.append(answer)
            self.stamps = self.stamps | found

    def missing(self) -> list[int]:
        if len(self.stamps) == self.top - self.low + 1:
            return []
        return [n for n in range(self.low, self.top + 1) if n not in self.stamps]

    def first_stamp(self) -> float:
        return self.stamps[min(self.stamps)] if self.stamps else math.inf

    def last_stamp(self) -> float:
        return self.stamps[max(self.stamps)] if self.stamps else -math.inf


def numbers(rows: Sequence[Any]) -> Stamps:
    """Stamps by number, of the rows that have both."""
    if isinstance(rows, Rows) and rows.frame is not None:
        both = [rows.frame[name] for name in ("trade_seq", "timestamp")]
        if not any(column.null_count() for column in both):
            return dict(zip(*(column.to_list() for column in both), strict=True))
    try:
        found = {row["trade_seq"]: row["timestamp"] for row in rows}
    except (TypeError, KeyError):  # a damaged row, which decoding refuses
        found = {}
    if found and all(set(map(type, side)) == {int} for side in (found, found.values())):
        return found
    return {
        row["trade_seq"]: row["timestamp"]
        for row in rows
        if type(row) is dict
        and type(row.get("trade_seq")) is int
        and type(row.get("timestamp")) is int
    }


def _stranger(rows: Sequence[Any], name: str) -> str | None:
    """The name of another instrument, where a row has one."""
    if isinstance(rows, Rows) and rows.frame is not None:
        held = rows.frame["instrument_name"]
        others = held.filter(held != name)
        return str(others[0]) if others.len() else None
    try:
        if [row["instrument_name"] for row in rows].count(name) == len(rows):
            return None
    except (TypeError, KeyError):  # a damaged row, which decoding refuses
        pass
    names = [row.get("instrument_name") for row in rows if type(row) is dict]
    return next((held for held in names if isinstance(held, str) and held != name), None)
