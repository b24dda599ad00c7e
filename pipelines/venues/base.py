"""What does a venue declare, and what does it hand over?

A venue is one class: its questions (`Endpoint`) with what an answer must look like, and a method
for every table it has, named as the table. Methods of day tables take (underlying, window), those
of `SNAPSHOTS` take (underlying, at). An answer is asked for once, and all it holds is handed over:
a method may yield pieces of other tables beside its own. A method that goes from instrument to
instrument hands over what it has of one that cannot be had, its proof a gap, and goes on; where
the answer is one whole, trouble is raised.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import polars as pl

from expectations.gate import REFUSED
from pipelines.budget import Budget
from pipelines.settings import Settings
from pipelines.universe import Instrument
from pipelines.venues.json_shape import Shape
from warehouse.lake import Gap

if TYPE_CHECKING:
    from pipelines.transport import Transport

SNAPSHOTS = frozenset({"quotes", "option_quotes", "books", "index_prices"})  # not to be had later
REST_RANK = 10  # archives know better
UNAVAILABLE = "source_unavailable"  # the cause of a gap: asked for, and not to be had today
DAY = timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Status = Literal["complete", "open", "gap", "unprovable"]
Row = Mapping[str, Any] | Sequence[Any]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A question to a venue, and what its answer must look like.

    `method` is ccxt's implicit method; `rows` are the keys that lead to the rows (or to the one
    row, where `is_single`); `shape` names what a row must have, `present` what it must at least
    hold as null. Answers of endpoints with a `page_size` are pages, no two of which are equal.
    Of an `is_table` the rows are many and flat, and read as columns. `host` stands in for the
    venue's usual one.
    """

    method: str
    rows: tuple[str, ...]
    shape: Shape
    budget: Budget
    cost: float = 1
    page_size: int | None = None
    present: tuple[str, ...] = ()
    is_single: bool = False
    may_be_empty: bool = False
    is_table: bool = False
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Half-open: the start belongs to it, the end does not."""

    start: datetime
    end: datetime

    @classmethod
    def day(cls, day: date) -> "Window":
        start = datetime.combine(day, time(), UTC)
        return cls(start, start + DAY)

    @property
    def start_ms(self) -> int:
        return milliseconds(self.start)

    @property
    def end_ms(self) -> int:
        return milliseconds(self.end)

    def holds(self, column: str) -> pl.Expr:
        return (pl.col(column) >= self.start) & (pl.col(column) < self.end)


@dataclass(frozen=True, slots=True)
class Proof:
    """What the last piece of a unit says of the whole."""

    status: Status
    text: str
    first_sequence: int | None = None
    last_sequence: int | None = None
    gaps: tuple[Gap, ...] = ()


@dataclass(frozen=True, slots=True)
class Fetched:
    """A piece of a unit: rows of `table` with `row_number`, in the table's order.

    A unit comes in one piece or in several, in order; the last one has the proof. Without a `unit`
    each instrument of the piece is one. Of the rows that came some are in `frame`, some in
    `refused` (row_number, reason), and `apart` of them lie outside the window or came twice;
    `texts` gives rows as they came, by number. `raw` are the digests of the landed pages. `notices`
    tell what is odd and refuses nothing.
    """

    table: str
    unit: str | None
    day: date
    frame: pl.DataFrame
    raw: tuple[str, ...]
    texts: Callable[[Sequence[int]], Mapping[int, str]]
    refused: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REFUSED))
    apart: int = 0
    proof: Proof | None = None
    instruments: frozenset[Instrument] = frozenset()
    notices: tuple[str, ...] = ()

    @property
    def received(self) -> int:
        return self.frame.height + self.refused.height + self.apart


class Venue:
    """What all venues share. `slug` is ccxt's name of the exchange and ours of the venue."""

    slug: ClassVar[str]

    def __init__(self, transport: "Transport", settings: Settings) -> None:
        self.transport, self.settings = transport, settings


def interrupted(
    error: Exception,
    instrument_id: str,
    window: Window,
    *,
    since: datetime | None = None,
    now: datetime | None = None,
) -> Proof:
    """What is known of an instrument's window after `error`: nothing, from `since` on till now."""
    text = one_line(error)
    start = max(window.start, since or window.start)
    end = max(start, min(window.end, now or window.end))
    return Proof("gap", text, gaps=(Gap(instrument_id, start, end, UNAVAILABLE, None, text),))


def one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def milliseconds(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(milliseconds=1)


def snapshot_unit(underlying: str, at: datetime) -> str:
    return f"{underlying}@{at.isoformat()}"


__all__ = [
    "DAY",
    "REST_RANK",
    "SNAPSHOTS",
    "UNAVAILABLE",
    "Budget",
    "Endpoint",
    "Fetched",
    "Proof",
    "Row",
    "Shape",
    "Status",
    "Venue",
    "Window",
    "interrupted",
    "milliseconds",
    "one_line",
    "snapshot_unit",
]
