"""Binance: spot, USD-M and COIN-M under one name. https://developers.binance.com/docs

Aggregated prints are numbered without a hole, which is cursor and proof in one. Quotes and books
are states: what was not asked for in time cannot be had later.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from pipelines.archives.base import SourceRefused
from pipelines.settings import Settings
from pipelines.transport import Answer, Session, Transport
from pipelines.universe import Market
from pipelines.venues import binance_days, binance_listing, binance_states
from pipelines.venues import binance_proofs as proofs
from pipelines.venues import binance_rows as rows
from pipelines.venues.base import Fetched, Proof, Venue, Window, snapshot_unit
from pipelines.venues.binance_endpoints import QUESTIONS
from pipelines.venues.binance_listing import Listed
from pipelines.venues.binance_reading import Subject
from pipelines.venues.binance_states import FRESH, Part, joined, texts, texts_of
from pipelines.venues.pieces import Source, pieces
from warehouse.contract import BOOKS, INDEX_PRICES, INSTRUMENTS, QUOTES, Table

MARKETS: tuple[Market, ...] = ("spot", "um", "cm")
LISTED_FOR = timedelta(hours=1)  # the list is long and changes by the day
PATIENCE = 3  # how often an answer with a hole is asked for again before the hole is believed
MOMENT = timedelta(microseconds=1)


class Binance(Venue):
    """Underlyings are coins: BTC, ETH. Of their instruments those quoted in dollars are asked."""

    slug = "binance"

    def __init__(self, transport: Transport, settings: Settings) -> None:
        super().__init__(transport, settings)
        self._lists: dict[Market, tuple[datetime, list[Listed]]] = {}

    # ---------- what can be had for any day
    def instruments(self, underlying: str, window: Window) -> Iterator[Fetched]:
        """Every instrument of the coin on the three lists, whatever it is quoted in."""
        for market in MARKETS:
            with self._session(f"{market} instruments", underlying, window.start) as session:
                page = binance_listing.symbols([_list(session, market).page])
                raw = session.land()
            decoded = binance_listing.instruments(Subject(market, window.start.date()), page)
            kept = decoded.rows[INSTRUMENTS.name].filter(underlying=underlying)
            items = frozenset(i for i in decoded.instruments if i.underlying == underlying)
            own = replace(decoded, rows={INSTRUMENTS.name: kept}, instruments=items)
            source = Source(None, window.start.date(), raw, texts_of(page))
            proof = Proof("complete", "the venue's own list")
            yield from pieces(own, source, table=INSTRUMENTS.name, proof=proof)

    def trades(
        self, underlying: str, window: Window, only: Collection[str] | None = None
    ) -> Iterator[Fetched]:
        """Prints aggregated by order; of the instruments in `only` where it is given."""
        for item in self._listed(underlying, window.start):
            name = item.instrument.instrument_id
            if item.is_of(window) and (only is None or name in only):
                with self._session("trades", name, window.start) as session:
                    patience = min(PATIENCE, self.settings.attempts - 1)
                    now = self.transport.clock()
                    yield from binance_days.prints(session, item, window, now, patience)

    def funding(
        self, underlying: str, window: Window, only: Collection[str] | None = None
    ) -> Iterator[Fetched]:
        """What perpetuals paid, with the interval that each settlement ends; those in `only`."""
        for item in self._listed(underlying, window.start):
            name = item.instrument.instrument_id
            is_wanted = item.instrument.kind == "perp" and (only is None or name in only)
            if is_wanted and item.is_of(window):
                with self._session("funding", name, window.start) as session:
                    yield from binance_days.paid(session, item, window, self.transport.clock())

    # ---------- what can be had now or never
    def quotes(self, underlying: str, at: datetime) -> Iterator[Fetched]:
        """Best prices, marks, open interest and day volume; and the funding that is forecast."""
        self._demand_now(QUOTES.name, at)
        items = self._trading(underlying, at)
        with self._session(QUOTES.name, underlying, at) as session:
            declared = binance_states.declared(session)
            asked = partial(binance_states.quotes, session, at=at, declared_s=declared.declared_s)
            told = [asked(item) for item in items]
            parts = [part for answers in told for part in answers]
            raw = session.land()
        states = joined(parts, QUOTES)
        merged = rows.snapshot(at, [states.rows[QUOTES.name]])
        proof = proofs.of_states(len(items), states.refused.height)
        source = Source(snapshot_unit(underlying, at), at.date(), raw, texts(parts))
        yield from pieces(
            replace(states, rows=dict(states.rows) | {QUOTES.name: merged}),
            source,
            table=QUOTES.name,
            proof=proof,
            notices=declared.notices,
        )

    def books(self, underlying: str, at: datetime) -> Iterator[Fetched]:
        """Books of everything that is trading."""
        self._demand_now(BOOKS.name, at)
        items, depth = self._trading(underlying, at), self.settings.book_depth
        with self._session(BOOKS.name, underlying, at) as session:
            parts = [binance_states.book(session, item, at, depth) for item in items]
            raw = session.land()
        yield from self._snapshot(BOOKS, underlying, at, parts, raw)

    def index_prices(self, underlying: str, at: datetime) -> Iterator[Fetched]:
        """The indices under the perpetuals, minute by minute, as far as minutes are over."""
        self._demand_now(INDEX_PRICES.name, at)
        items = [i for i in self._trading(underlying, at) if i.instrument.kind == "perp"]
        with self._session(INDEX_PRICES.name, underlying, at) as session:
            parts = [binance_states.index(session, item, at) for item in items]
            raw = session.land()
        yield from self._snapshot(INDEX_PRICES, underlying, at, parts, raw)

    def _snapshot(
        self, table: Table, underlying: str, at: datetime, parts: list[Part], raw: tuple[str, ...]
    ) -> Iterator[Fetched]:
        states = joined(parts, table)
        proof = proofs.of_states(len(parts), states.refused.height)
        source = Source(snapshot_unit(underlying, at), at.date(), raw, texts(parts))
        yield from pieces(states, source, table=table.name, proof=proof)

    def _session(self, table: str, subject: str, at: datetime) -> Session:
        return self.transport.session(self.slug, f"{table} {subject}@{at.isoformat()}")

    def _demand_now(self, table: str, at: datetime) -> None:
        now = self.transport.clock()
        if abs(now - at) > FRESH:
            raise SourceRefused(
                f"binance {table}@{at.isoformat()}: it is {now.isoformat()}, and a state that was "
                "not asked for in time cannot be had"
            )

    def _trading(self, underlying: str, at: datetime) -> list[Listed]:
        """What can be traded at this moment."""
        found = self._listed(underlying, at)
        return [item for item in found if item.is_trading and item.is_of(Window(at, at + MOMENT))]

    def _listed(self, underlying: str, at: datetime) -> list[Listed]:
        """What is on the lists of now, and quoted in dollars."""
        found = [item for market in MARKETS for item in self._list_of(market, at)]
        own = [item for item in found if item.instrument.underlying == underlying]
        return sorted(own, key=lambda item: item.instrument.instrument_id)

    def _list_of(self, market: Market, at: datetime) -> list[Listed]:
        now = self.transport.clock()
        read_at, held = self._lists.get(market, (now - LISTED_FOR, []))
        if now - read_at < LISTED_FOR:
            return held
        with self._session(f"{market} list", "all", at) as session:
            pages = binance_listing.symbols([_list(session, market).page])
        self._lists[market] = (now, binance_listing.in_dollars(market, now.date(), pages))
        return self._lists[market][1]


def _list(session: Session, market: Market) -> Answer:
    return session.ask(QUESTIONS[market].listing, {})
