"""Which prints of an instrument fall into a window? Aggregates are numbered without a hole.

The first one is looked up by time, an hour at a time, and the one before it shows that it is the
first. From there pages are asked for by number until one shows a print past the window's end, or
there is no more. A number that is not there is asked for again; what is missing then is a hole.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from operator import lt
from typing import Any

from pipelines.transport import Answer, Complaint, Session
from pipelines.venues.base import EPOCH, Endpoint, Window, milliseconds
from pipelines.venues.binance_endpoints import PAGE
from pipelines.venues.json_columns import Rows
from warehouse.lake import Gap

HOUR = timedelta(hours=1)  # the longest span of time that may be asked for
MOST_HOLES = 1_000  # beyond them, what else is missing is one


@dataclass(frozen=True, slots=True)
class Prints:
    """Aggregates in the order in which they came: numbers, stamps in milliseconds, and of how many
    prints each is made."""

    numbers: Sequence[int]
    stamps: Sequence[int]
    counts: Sequence[int]

    @property
    def is_run(self) -> bool:
        """Whether the numbers follow each other without a hole."""
        numbers = self.numbers
        is_rising = all(map(lt, numbers, numbers[1:]))
        return is_rising and (not numbers or numbers[-1] - numbers[0] + 1 == len(numbers))


@dataclass(frozen=True, slots=True)
class Candle:
    """The venue's own count and volume of the window, in the unit in which prints are sized."""

    count: int
    volume: float


@dataclass(slots=True)
class Tape:
    """One instrument's prints around a window. What came of it is known when `pages` has ended.

    `before` and `after` are the numbers of the prints next to the window, `first` and `last` those
    of the prints inside, which stand for `count` prints. `holes` are runs of numbers that could not
    be had: an answer that shows one is asked for `patience` times more before it is believed.
    """

    session: Session
    endpoint: Endpoint
    symbol: str
    instrument_id: str
    window: Window
    now: datetime
    candle: Candle | None
    patience: int
    before: int | None = None
    after: int | None = None
    first: int | None = None
    last: int | None = None
    count: int = 0
    holes: list[Gap] = field(default_factory=list)
    _latest: tuple[int, int] | None = None  # number and stamp of the print met last

    @property
    def last_at(self) -> datetime | None:
        """When the print met last happened."""
        return _instant(self._latest[1]) if self._latest else None

    def pages(self) -> Iterator[Answer]:
        """Every page with prints of the window, in order."""
        answer = self._beginning()
        while answer is not None and answer.rows:
            yield answer
            self._note(prints(answer.rows))
            number, stamp = self._latest or (0, 0)
            if stamp >= self.window.end_ms:
                return
            answer = self._following(number + 1)

    def _beginning(self) -> Answer | None:
        """The page with the first print at or after the window's start; None where there is none.

        A page by time may lack what it should begin with, so the print before it is looked at.
        """
        answer = self._first_by_time()
        if answer is None:
            self._note_nothing()
            return None
        first = prints(answer.rows).numbers[0]
        while first > 0:
            found = prints(self._page(first - 1, limit=1).rows)
            if first - 1 not in found.numbers:  # the venue has dropped what is older
                return answer
            if found.stamps[0] < self.window.start_ms:
                self.before = first - 1
                return answer
            first = max(0, first - PAGE)
            answer = self._page(first)
        self.before = -1  # the first of all: nothing can be missing before it
        return answer

    def _first_by_time(self) -> Answer | None:
        """Looked for again if the venue's own candle says that there is something to be found."""
        for _ in range(1 + self.patience if self.candle and self.candle.count else 1):
            start, end = self.window.start, min(self.window.end, self.now)
            while start < end:
                until = min(start + HOUR, self.window.end)
                low, high = milliseconds(start), milliseconds(until) - 1
                params = {"startTime": low, "endTime": high, "limit": PAGE}
                unpaged = replace(self.endpoint, page_size=None)  # the same page may come again
                answer = self._ask(unpaged, params, _Fault(None, self.patience, (low, high)))
                if answer.rows:
                    return answer
                start = until
        return None

    def _following(self, number: int) -> Answer:
        """The prints from `number` on; none of them only if the newest print of all is older."""
        answer = self._page(number)
        for _ in range(self.patience):
            if answer.rows:
                break
            newest = self._ask(replace(self.endpoint, page_size=None), {"limit": 1}, _Fault())
            if max(prints(newest.rows).numbers, default=-1) < number:
                break
            answer = self._page(number)
        return answer

    def _page(self, number: int, limit: int = PAGE) -> Answer:
        """The prints from `number` on."""
        params = {"fromId": number, "limit": limit}
        return self._ask(self.endpoint, params, _Fault(number, self.patience))

    def _ask(self, endpoint: Endpoint, params: dict[str, Any], fault: Complaint) -> Answer:
        return self.session.ask(endpoint, {"symbol": self.symbol} | params, fault)

    def _note_nothing(self) -> None:
        if self.candle and self.candle.count:
            span = (self.window.start, self.window.end)
            detail = f"prints counted by the venue's own candle: {self.candle.count}"
            self.holes.append(Gap(self.instrument_id, *span, "not_served", None, detail))

    def _note(self, found: Prints) -> None:
        """Follow the numbers: where the window begins and ends, and what is missing between."""
        window = self.window
        is_inside = window.start_ms <= min(found.stamps) and max(found.stamps) < window.end_ms
        joins = self._latest is None or found.numbers[0] == self._latest[0] + 1
        if is_inside and joins and found.is_run:
            self.first = found.numbers[0] if self.first is None else self.first
            self.last = found.numbers[-1]
            self.count += sum(found.counts)
            self._latest = (found.numbers[-1], found.stamps[-1])
            return
        for item in zip(found.numbers, found.stamps, found.counts, strict=True):
            self._note_one(*item)

    def _note_one(self, number: int, stamp: int, count: int) -> None:
        if self._latest is not None:
            self._note_hole(number, stamp)
        self._latest = (number, stamp)
        if stamp < self.window.start_ms:
            self.before = number
        elif stamp < self.window.end_ms:
            self.first = number if self.first is None else self.first
            self.last = number
            self.count += count
        elif self.after is None:
            self.after = number

    def _note_hole(self, number: int, stamp: int) -> None:
        latest, began = self._latest or (0, 0)
        is_outside = stamp < self.window.start_ms or began >= self.window.end_ms
        if number == latest + 1 or is_outside:
            return
        low, high = latest + 1, number - 1
        detail = f"ids {low} to {high}" if high > low else f"id {low}"
        held = self.holes[-1] if self.holes else None
        if held and len(self.holes) >= MOST_HOLES:
            self.holes[-1] = replace(
                held,
                ended_at=_instant(stamp),
                missing_count=(held.missing_count or 0) + high - low + 1,
                detail=f"{held.detail.split(' ... ')[0]} ... {detail}",
            )
            return
        began_at = max(self.window.start, _instant(began))
        count = high - low + 1
        self.holes.append(
            Gap(self.instrument_id, began_at, _instant(stamp), "sequence_hole", count, detail)
        )


@dataclass(slots=True)
class _Fault:
    """What is wrong with a page: order, other numbers or times; a hole, `patience` times."""

    asked: int | None = None
    patience: int = 0
    span: tuple[int, int] | None = None  # milliseconds, both ends included

    def __call__(self, rows: Sequence[Any]) -> str | None:
        found = prints(rows)
        if not found.numbers:
            return None
        low, high = found.numbers[0], found.numbers[-1]
        if not all(map(lt, found.numbers, found.numbers[1:])):
            return "is out of order"
        earliest, latest = min(found.stamps), max(found.stamps)
        if self.span and not self.span[0] <= earliest <= latest <= self.span[1]:
            return f"has prints of {_instant(earliest)} to {_instant(latest)}"
        if self.asked is not None and low < self.asked:
            return f"begins with id {low}, before id {self.asked} that was asked for"
        is_whole = found.is_run and self.asked in (None, low)
        if self.patience > 0 and not is_whole:
            self.patience -= 1
            return f"lacks some of the ids {self.asked or low} to {high}"
        return None


FIELDS = ("a", "T", "f", "l")


def prints(rows: Sequence[Any]) -> Prints:
    """The prints of a page, of rows that can be read so far."""
    if isinstance(rows, Rows) and rows.frame is not None:
        held = [rows.frame[name] for name in FIELDS]
        if not any(column.null_count() for column in held):
            counts = (held[3] - held[2] + 1).to_list()
            return Prints(held[0].to_list(), held[1].to_list(), counts)
    try:
        columns = [[row[name] for row in rows] for name in FIELDS]
    except (KeyError, TypeError, IndexError):
        columns = []
    if not columns or any(set(map(type, column)) - {int} for column in columns):
        good = [row for row in rows if _is_print(row)]
        columns = [[row[name] for row in good] for name in FIELDS]
    numbers, stamps, first, last = columns
    return Prints(
        numbers, stamps, [end - start + 1 for start, end in zip(first, last, strict=True)]
    )


def _is_print(row: Any) -> bool:
    return type(row) is dict and all(type(row.get(name)) is int for name in FIELDS)


def _instant(stamp: int) -> datetime:
    return EPOCH + timedelta(milliseconds=stamp)
