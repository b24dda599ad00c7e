"""Which prints does a whole chain have in a window? Asked for at once, in the order of time.

Options are many and most trade little: one by one they cost more questions than they have prints.
So pages of all of them are asked for by time, each from the last stamp of the one before. A page
that says that there are more holds as many as were asked for; the last is asked for once more with
exactly as many, and still says that there are no more. What then came of an option is believed if
its numbers have no hole and the venue's own candle tells the same volume. Every other option is
asked for by number, as if it had not been swept.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import polars as pl

from pipelines.archives.base import SourceError, SourceRefused, SourceUnavailable
from pipelines.transport import Answer, Session, Transport
from pipelines.universe import Instrument
from pipelines.venues import deribit_proofs as proofs
from pipelines.venues import deribit_reading as reading
from pipelines.venues import deribit_rows as rows
from pipelines.venues import deribit_wire as wire
from pipelines.venues.base import Fetched, Window, milliseconds, one_line
from pipelines.venues.deribit_endpoints import BY_NUMBER, HISTORY, PAGE, moment
from pipelines.venues.deribit_prints import candle, prints, source_of
from pipelines.venues.json_columns import Rows
from pipelines.venues.pieces import pieces
from warehouse.contract import TRADES

FEWEST = 10  # options; fewer are asked for one by one
KEPT = timedelta(hours=23)  # how far back the first host surely knows all prints of a currency
MOST_IN_VAIN = 3  # candles in a row; then none can be had
ENDINGS = 3  # how often the last page may say something else when it is asked for again
BY_CURRENCY = replace(
    BY_NUMBER,
    method="publicGetGetLastTradesByCurrencyAndTime",
    page_size=None,
)


def swept(
    transport: Transport,
    underlying: str,
    items: Sequence[Instrument],
    window: Window,
    only: Collection[str] | None,
) -> Iterator[Fetched]:
    """The prints of these options, and without `only` of others that are in no list."""
    found, doubtful, trouble = list[Fetched](), list(items), list[SourceError]()
    if len(items) >= FEWEST and transport.clock() > window.start:
        try:
            found, doubtful = _sweep(transport, underlying, items, window, only)
        except (SourceUnavailable, SourceRefused) as error:
            trouble.append(error)
    yield from found
    for item in doubtful:
        for piece in prints(transport, item, window):
            notices = tuple(f"not swept: {one_line(error)}" for error in trouble)
            trouble.clear()  # told once
            yield replace(piece, notices=(*piece.notices, *notices))


def _sweep(
    transport: Transport,
    underlying: str,
    items: Sequence[Instrument],
    window: Window,
    only: Collection[str] | None,
) -> tuple[list[Fetched], list[Instrument]]:
    """The pieces of the options that are believed, and the options that are not."""
    day, now = window.start, transport.clock()
    with transport.session("deribit", f"trades {underlying} options@{day.isoformat()}") as session:
        tape = _Tape(session, underlying, window, now)
        answers = list(tape.pages())
        pages = [answer.page for answer in answers]
        decoded = rows.trades(pages, day.date(), known=tape.frames)
        whole = pieces(
            decoded,
            source_of(None, day, (), pages, wire.TRADE, window),
            table=TRADES.name,
            proof=None,
        )
        known = {item.instrument_id: item for item in items}
        seen = {item.instrument_id: item for item in decoded.instruments}
        wanted = known if only is not None else seen | known
        units = _units(whole[0], wanted)
        damaged, notices = _damage(whole[0])
        runs = [name for name, unit in units.items() if unit.is_run and name not in damaged]
        told = _candles(session, [wanted[name] for name in runs], window, now)
        raw = session.land()
    believed = {
        name: proof
        for name, base in told.items()
        if (proof := proofs.of_swept(units[name], window, now, base)) is not None
    }
    came = Counter(decoded.rows[TRADES.name]["instrument_id"])
    found = [
        replace(
            piece,
            unit=name,
            frame=frame,
            raw=raw,
            refused=piece.refused.clear(),
            apart=came[name] - frame.height if piece.table == TRADES.name else 0,
            proof=believed[name],
            instruments=frozenset({wanted[name]}),
        )
        for piece in whole
        for name, frame in _frames(piece, believed).items()
    ]
    if found and notices:
        found[0] = replace(found[0], notices=notices)
    return found, [item for name, item in wanted.items() if name not in believed]


def _candles(
    session: Session, items: Sequence[Instrument], window: Window, now: datetime
) -> dict[str, float | None]:
    """The venue's own volumes. Raises where it tells none, one time after the other."""
    told: dict[str, float | None] = {}
    in_vain = 0
    for item in items:
        try:
            told[item.instrument_id] = candle(session, item.native_symbol, window, now)
            in_vain = 0
        except SourceUnavailable:  # the option is asked for by itself
            in_vain += 1
            if in_vain == MOST_IN_VAIN:
                raise
    return told


def _frames(piece: Fetched, names: Collection[str]) -> dict[str, pl.DataFrame]:
    """Rows by unit; of prints for each, be there any or not."""
    parts = piece.frame.partition_by("instrument_id", as_dict=True, maintain_order=True)
    found = {str(name): frame for (name,), frame in parts.items()}
    if piece.table == TRADES.name:
        return {name: found.get(name, piece.frame.clear()) for name in names}
    return {name: frame for name, frame in found.items() if name in names}


@dataclass(frozen=True, slots=True)
class Unit:
    """What came of one option in the window."""

    rows: int = 0
    first: int | None = None
    last: int | None = None
    numbers: int = 0
    volume_base: float = 0.0

    @property
    def is_run(self) -> bool:
        """Whether the numbers follow each other without a hole, each once."""
        if self.first is None or self.last is None:
            return self.rows == 0
        return self.last - self.first + 1 == self.numbers == self.rows


def _units(piece: Fetched, names: Collection[str]) -> dict[str, Unit]:
    grouped = piece.frame.group_by("instrument_id", maintain_order=True).agg(
        pl.len().alias("rows"),
        pl.col("sequence").min().alias("first"),
        pl.col("sequence").max().alias("last"),
        pl.col("sequence").n_unique().alias("numbers"),
        pl.col("quantity_base").sum(),
    )
    found = {name: Unit(*told) for name, *told in grouped.iter_rows()}
    return {name: found.get(name, Unit()) for name in names}


def _damage(piece: Fetched) -> tuple[frozenset[str], tuple[str, ...]]:
    """Which options have a print that was refused; and a notice of those that name none."""
    texts = piece.texts(piece.refused["row_number"].to_list()).values()
    names = [str(json.loads(text).get("instrument_name")) for text in texts]
    items = {name: reading.instrument(name) for name in names}
    strange = sorted(name for name, item in items.items() if item is None)
    notice = f"{len(strange)} names in the prints of the currency are of no instrument: {strange}"
    found = frozenset(item.instrument_id for item in items.values() if item is not None)
    return found, (notice,) if strange else ()


@dataclass(slots=True)
class _Tape:
    """The prints of all options of a coin, by time; `frames` are the columns of each page."""

    session: Session
    underlying: str
    window: Window
    now: datetime
    frames: list[pl.DataFrame | None] = field(default_factory=list)

    def pages(self) -> Iterator[Answer]:
        """Every page of the window, as far as it is over."""
        start, endings = self.window.start_ms, 0
        while True:
            answer, frame = self._page(start, PAGE)
            self.frames.append(frame)
            yield answer
            if _has_more(answer.rows):
                latest = int(frame["timestamp"].max())  # type: ignore[arg-type]
                # where one moment fills a page, numbers show what is missing
                start = latest if latest > start else start + 1
                continue
            again, same = self._page(start, max(1, frame.height))
            if not _has_more(again.rows) and same.height == frame.height:
                return
            endings += 1
            if endings == ENDINGS:
                raise SourceUnavailable(
                    f"deribit options of {self.underlying}: what there is from "
                    f"{moment(start).isoformat()} on is told in another way each time"
                )

    def _page(self, start: int, count: int) -> tuple[Answer, pl.DataFrame]:
        end = min(self.window.end_ms, milliseconds(self.now)) - 1
        frame = pl.DataFrame()

        def fault(found: Sequence[Any]) -> str | None:
            nonlocal frame
            columns, has_more = wire.columns(found, wire.TRADE), _has_more(found)
            if columns is None:
                return "holds a print that cannot be read"
            if has_more is None:
                return "does not say whether there are more"
            if columns.height > count or (has_more and columns.height < count):
                return f"holds {columns.height} prints of {count} and says that there are more"
            stamps = columns["timestamp"]
            if columns.height and not stamps.is_between(start, end).all():
                return f"holds prints of {stamps.min()!r} to {stamps.max()!r}, not asked for"
            frame = columns
            return None

        params = {
            "currency": self.underlying,
            "kind": "option",
            "start_timestamp": start,
            "end_timestamp": end,
            "count": count,
            "sorting": "asc",
        }
        is_old = self.now - self.window.start > KEPT
        endpoint = replace(BY_CURRENCY, host=HISTORY if is_old else None)
        return self.session.ask(endpoint, params, fault), frame


def _has_more(found: Sequence[Any]) -> bool | None:
    """What the envelope says; None where it does not."""
    said = found.envelope["result"].get("has_more") if isinstance(found, Rows) else None
    return said if isinstance(said, bool) else None
