"""Deribit: inverse BTC and ETH options, futures and perpetuals. https://docs.deribit.com

Prints are numbered without a hole (`trade_seq`), which is cursor and proof in one. Chains, quotes
and books are states: what was not asked for in time cannot be had later.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

import polars as pl

from pipelines.archives.base import SourceRefused, SourceUnavailable
from pipelines.settings import Settings
from pipelines.transport import Answer, Session, Transport
from pipelines.universe import Instrument
from pipelines.venues import deribit_endpoints as ends
from pipelines.venues import deribit_facts as facts
from pipelines.venues import deribit_proofs as proofs
from pipelines.venues import deribit_rows as rows
from pipelines.venues import deribit_wire as wire
from pipelines.venues.base import Fetched, Proof, Venue, Window, interrupted, snapshot_unit
from pipelines.venues.deribit_prints import prints, source_of
from pipelines.venues.deribit_sweep import swept
from pipelines.venues.pieces import pieces
from warehouse.contract import INSTRUMENTS
from warehouse.raw import Page

KINDS = ("future", "option")
CHAIN_ATTEMPTS = 3
PAID_EVERY = timedelta(seconds=facts.SETTLED_S)
END = (None, "", "none")  # how a continuation says that there is none


class Deribit(Venue):
    """Underlyings are the coins in which its instruments settle: BTC, ETH."""

    slug = "deribit"

    def __init__(self, transport: Transport, settings: Settings) -> None:
        super().__init__(transport, settings)
        self._lists: dict[str, tuple[datetime, list[Instrument]]] = {}

    # ---------- what can be had for any day
    def instruments(self, underlying: str, window: Window) -> Iterator[Fetched]:
        """Every future and option that was listed in the window, expired ones included."""
        with self._session("instruments", underlying, window.start) as session:
            pages = self._listing(session, underlying)
            raw = session.land()
        decoded = facts.instruments(pages, window.start.date())
        source = source_of(None, window.start, raw, pages, wire.INSTRUMENT)
        source = replace(source, inside=_listed_in(window))
        proof = Proof("complete", "the venue's own list of what is and what has expired")
        yield from pieces(decoded, source, table="instruments", proof=proof)

    def trades(
        self, underlying: str, window: Window, only: Collection[str] | None = None
    ) -> Iterator[Fetched]:
        """Prints, and liquidations beside them; of the instruments in `only` where it is given."""
        alive = self._alive(underlying, window)
        items = [item for item in alive if only is None or item.instrument_id in only]
        for item in items:
            if item.kind != "option":
                yield from prints(self.transport, item, window)
        options = [item for item in items if item.kind == "option"]
        yield from swept(self.transport, underlying, options, window, only)

    def liquidations(
        self, underlying: str, window: Window, only: Collection[str] | None = None
    ) -> Iterator[Fetched]:
        """Forced prints. No other answer tells of them, so all prints are asked for."""
        for piece in self.trades(underlying, window, only):
            if piece.table == "liquidations":
                yield piece

    def funding(
        self, underlying: str, window: Window, only: Collection[str] | None = None
    ) -> Iterator[Fetched]:
        """What perpetuals paid, hour by hour; those in `only` where it is given."""
        for item in self._alive(underlying, window):
            if item.kind == "perp" and (only is None or item.instrument_id in only):
                yield from self._paid(item, window)

    def volatility_indices(self, underlying: str, window: Window) -> Iterator[Fetched]:
        """Candles of the volatility index that are closed."""
        interval_s = self.settings.volatility_index_s
        every, name = timedelta(seconds=interval_s), facts.volatility_index_id(underlying)
        with self._session("volatility_indices", underlying, window.start) as session:
            answers = list(self._candles(session, underlying, window, interval_s))
            raw = session.land()
        now, pages = self.transport.clock(), [answer.page for answer in answers]
        decoded = facts.volatility_indices(pages, underlying, interval_s)
        closed = replace(window, end=max(window.start, min(window.end, now - every)))
        source = source_of(name, window.start, raw, pages, wire.VOLATILITY, closed)
        stamps = [at for answer in answers for at in ends.stamped(answer.rows, "timestamp")]
        proof = proofs.of_intervals(name, window, stamps, every, now)
        yield from pieces(decoded, source, table="volatility_indices", proof=proof)

    def settlements(self, underlying: str, window: Window) -> Iterator[Fetched]:
        """Deliveries and daily settlements, paged from the window's end back past its start."""
        pages: list[Page] = []
        with self._session("settlements", underlying, window.start) as session:
            for kind in ("delivery", "settlement"):
                pages += self._settled(session, underlying, kind, window)
            raw = session.land()
        decoded = facts.settlements(pages, window.start.date())
        source = source_of(None, window.start, raw, pages, wire.SETTLEMENT, window)
        is_over = self.transport.clock() >= window.end + proofs.GRACE
        proof = Proof("complete" if is_over else "open", "paged back past the start of the window")
        yield from pieces(decoded, source, table="settlements", proof=proof)

    # ---------- what can be had now or never
    def quotes(self, underlying: str, at: datetime) -> Iterator[Fetched]:
        """Best prices, marks and open interest of perpetuals and futures; funding in force."""
        self._demand_now("quotes", at)
        with self._session("quotes", underlying, at) as session:
            items = [item for item in self._listed(session, underlying, at) if item.strike is None]
            pages = [self._ticker(session, item, at) for item in items]
            raw = session.land()
        decoded = rows.tickers(pages, at.date(), at)
        source = source_of(snapshot_unit(underlying, at), at, raw, pages, wire.TICKER)
        proof = Proof("complete", f"all {len(items)} perpetuals and futures that are listed")
        yield from pieces(decoded, source, table="quotes", proof=proof)

    def option_quotes(self, underlying: str, at: datetime) -> Iterator[Fetched]:
        """The whole listed chain, with the index of the same moment."""
        self._demand_now("option_quotes", at)
        with self._session("option_quotes", underlying, at) as session:
            index = self._index(session, underlying, at).rows[0]["index_price"]
            items, summary = self._chain(session, underlying, at)
            swept = (
                [self._ticker(session, item, at) for item in items]
                if self.settings.is_sweeping_tickers
                else []
            )
            raw = session.land()
        decoded = rows.summaries([summary.page], at, index)
        unit = snapshot_unit(underlying, at)
        source = source_of(unit, at, raw, [summary.page], wire.SUMMARY)
        if swept:
            decoded = rows.tickers(swept, at.date(), at)
            source = source_of(unit, at, raw, swept, wire.TICKER)
        decoded, absent = rows.with_the_unquoted(decoded, items, at)
        proof = Proof("complete", f"all {len(items)} options that are listed")
        if absent:
            proof = Proof("unprovable", f"{absent} of {len(items)} listed options were not told of")
        yield from pieces(decoded, source, table="option_quotes", proof=proof)

    def books(self, underlying: str, at: datetime) -> Iterator[Fetched]:
        """Books of perpetuals and futures."""
        self._demand_now("books", at)
        with self._session("books", underlying, at) as session:
            items = [item for item in self._listed(session, underlying, at) if item.strike is None]
            depth = {"depth": self.settings.book_depth}
            pages = [
                session.ask(
                    ends.BOOK,
                    {"instrument_name": item.native_symbol} | depth,
                    ends.state_of(item, at),
                ).page
                for item in items
            ]
            raw = session.land()
        decoded = rows.books(pages, at.date(), at)
        source = source_of(snapshot_unit(underlying, at), at, raw, pages, wire.BOOK)
        proof = Proof("complete", f"all {len(items)} perpetuals and futures that are listed")
        yield from pieces(decoded, source, table="books", proof=proof)

    def index_prices(self, underlying: str, at: datetime) -> Iterator[Fetched]:
        """The index of the coin in dollars."""
        self._demand_now("index_prices", at)
        with self._session("index_prices", underlying, at) as session:
            pages = [self._index(session, underlying, at).page]
            raw = session.land()
        decoded = facts.index_prices(pages, underlying, at)
        source = source_of(snapshot_unit(underlying, at), at, raw, pages, wire.STAMPED_INDEX)
        proof = Proof("complete", "one reading")
        yield from pieces(decoded, source, table="index_prices", proof=proof)

    # ---------- how each is asked for
    def _session(self, table: str, subject: str, at: datetime) -> Session:
        return self.transport.session(self.slug, f"{table} {subject}@{at.isoformat()}")

    def _demand_now(self, table: str, at: datetime) -> None:
        now = self.transport.clock()
        if abs(now - at) > ends.FRESH:
            raise SourceRefused(
                f"deribit {table}@{at.isoformat()}: it is {now.isoformat()}, and a state that was "
                "not asked for in time cannot be had"
            )

    def _listing(self, session: Session, underlying: str) -> list[Page]:
        """What is listed and what has expired lately, declared by the venue."""
        return [
            session.ask(
                ends.LISTING,
                {"currency": underlying, "kind": kind, "expired": expired},
                ends.is_empty if expired == "false" else None,
            ).page
            for kind in KINDS
            for expired in ("false", "true")
        ]

    def _alive(self, underlying: str, window: Window) -> list[Instrument]:
        """What was listed at some time in the window."""
        with self._session("instruments", underlying, window.start) as session:
            decoded = facts.instruments(self._listing(session, underlying), window.start.date())
        alive = decoded.rows[INSTRUMENTS.name].filter(_listed_in(window))
        names = set(alive["instrument_id"])
        found = [item for item in decoded.instruments if item.instrument_id in names]
        return sorted(found, key=lambda item: item.instrument_id)

    def _listed(
        self, session: Session, underlying: str, at: datetime, *, is_anew: bool = False
    ) -> list[Instrument]:
        """What is listed at this moment, asked for once unless `is_anew`."""
        if self._lists.get(underlying, (None,))[0] != at or is_anew:
            self._lists[underlying] = (at, self._list_of(session, underlying, at))
        return self._lists[underlying][1]

    def _list_of(self, session: Session, underlying: str, at: datetime) -> list[Instrument]:
        pages = [
            session.ask(
                ends.LISTING,
                {"currency": underlying, "kind": kind, "expired": "false"},
                ends.is_empty,
            ).page
            for kind in KINDS
        ]
        found = facts.instruments(pages, at.date()).instruments
        alive = [item for item in found if item.expires_at is None or item.expires_at > at]
        return sorted(alive, key=lambda item: item.instrument_id)

    def _chain(
        self, session: Session, underlying: str, at: datetime
    ) -> tuple[list[Instrument], Answer]:
        """The options that are listed, and a summary that tells of all of them if it can be had."""
        for attempt in range(CHAIN_ATTEMPTS):
            listed = self._listed(session, underlying, at, is_anew=attempt > 0)
            items = [item for item in listed if item.strike is not None]
            summary = session.ask(
                ends.SUMMARY,
                {"currency": underlying, "kind": "option"},
                partial(ends.stale, at, "creation_timestamp"),
            )
            rows_told = (row for row in summary.rows if isinstance(row, dict))
            told = {str(row.get("instrument_name")) for row in rows_told}
            if told.issuperset(item.native_symbol for item in items):
                break
        return items, summary

    def _ticker(self, session: Session, item: Instrument, at: datetime) -> Page:
        params = {"instrument_name": item.native_symbol}
        return session.ask(ends.TICKERS[item.kind], params, ends.state_of(item, at)).page

    def _index(self, session: Session, underlying: str, at: datetime) -> Answer:
        return session.ask(ends.INDEX, {"index_name": facts.index_name(underlying)})

    def _paid(self, item: Instrument, window: Window) -> list[Fetched]:
        params = {
            "instrument_name": item.native_symbol,
            "start_timestamp": window.start_ms - 1,
            "end_timestamp": window.end_ms,
        }
        asked = partial(ends.outside, window, ends.FUNDING_SLACK)
        name, now = item.instrument_id, self.transport.clock()
        pages: list[Page] = []
        with self._session("funding", item.native_symbol, window.start) as session:
            try:
                answer = session.ask(ends.FUNDING, params, asked)
            except (SourceUnavailable, SourceRefused) as error:
                proof = interrupted(error, name, window, now=now)
            else:
                pages = [answer.page]
                stamps = list(ends.stamped(answer.rows, "timestamp"))
                proof = proofs.of_intervals(name, window, stamps, PAID_EVERY, now)
            raw = session.land()
        decoded = facts.funding(pages, item)
        source = source_of(name, window.start, raw, pages, wire.FUNDING, window)
        return pieces(decoded, source, table="funding", proof=proof)

    def _candles(
        self, session: Session, underlying: str, window: Window, interval_s: int
    ) -> Iterator[Answer]:
        """Pages from the window's end back to its start; a page that leads nowhere is an error."""
        end: object = window.end_ms - 1
        while end not in END:
            params = {
                "currency": underlying,
                "start_timestamp": window.start_ms,
                "end_timestamp": end,
                "resolution": str(interval_s),
            }
            asked = partial(ends.outside, window, timedelta(0))
            answer = session.ask(ends.VOLATILITY, params, asked)
            yield answer
            further = answer.payload["result"].get("continuation")
            if further not in END and not (type(further) is int and further < end):  # type: ignore[operator]
                raise SourceUnavailable(
                    f"deribit volatility index of {underlying}: stuck at {further!r} after {end}"
                )
            end = further

    def _settled(
        self, session: Session, underlying: str, kind: str, window: Window
    ) -> Iterator[Page]:
        """Pages from the window's end back past its start; one that leads nowhere is an error."""
        further: object = None
        while True:
            params = {
                "currency": underlying,
                "type": kind,
                "count": ends.PAGE,
                "search_start_timestamp": window.end_ms,
            }
            asked = params if further is None else params | {"continuation": further}
            answer = session.ask(ends.SETTLEMENTS, asked)
            yield answer.page
            stamps = list(ends.stamped(answer.rows, "timestamp"))
            before, further = further, answer.payload["result"].get("continuation")
            if further in END or (stamps and min(stamps) < window.start_ms):
                return
            if further == before:
                raise SourceUnavailable(
                    f"deribit settlements of {underlying}: stuck at {further!r}"
                )


def _listed_in(window: Window) -> pl.Expr:
    return (pl.col("listed_at").is_null() | (pl.col("listed_at") < window.end)) & (
        pl.col("expires_at").is_null() | (pl.col("expires_at") > window.start)
    )
