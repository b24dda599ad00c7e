"""Which instruments does Binance list, and with what tick, lot and contract size?"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import polars as pl

from pipelines import universe
from pipelines.archives.base import Decoded, instants
from pipelines.universe import Instrument, Market
from pipelines.venues.base import Window
from pipelines.venues.binance_reading import Subject, decoded, read
from pipelines.venues.binance_wire import LISTING
from pipelines.venues.json_rows import typed
from warehouse.contract import INSTRUMENTS
from warehouse.raw import Page

FOREVER_MS = 4_000_000_000_000  # perpetuals are "delivered" in 2100
STEPS = {"PRICE_FILTER": "tickSize", "LOT_SIZE": "stepSize"}


@dataclass(frozen=True, slots=True)
class Listed:
    """An instrument on a list of the venue."""

    market: Market
    instrument: Instrument
    listed_at: datetime | None
    is_trading: bool

    @property
    def symbol(self) -> str:
        return self.instrument.native_symbol

    def subject(self, day: date) -> Subject:
        return Subject(self.market, day, self.symbol)

    def is_of(self, window: Window) -> bool:
        """Whether it may have been traded in the window."""
        has_begun = self.listed_at is None or self.listed_at < window.end
        expires_at = self.instrument.expires_at
        return has_begun and (expires_at is None or expires_at > window.start)


def symbols(pages: Sequence[Page]) -> list[Page]:
    """Pages of exchangeInfo as pages of their symbols alone, ticks and lots lifted up to them."""
    return [Page(page.request, _lifted(page.text), page.received_at) for page in pages]


def in_dollars(market: Market, day: date, pages: Sequence[Page]) -> list[Listed]:
    """What `pages`, made by `symbols`, list as quoted in dollars."""
    decoded = instruments(Subject(market, day), pages)
    listed = decoded.rows[INSTRUMENTS.name].select("instrument_id", "listed_at")
    since = dict(listed.iter_rows())
    frame, _ = typed([page.text for page in pages], LISTING.shape)
    states = frame.select("symbol", pl.coalesce("status", "contractStatus"))
    trading = {symbol for symbol, status in states.iter_rows() if status == "TRADING"}
    return [
        Listed(market, item, since[item.instrument_id], item.native_symbol in trading)
        for item in decoded.instruments
        if item.instrument_id in since and item.quote in universe.dollar_assets()
    ]


def instruments(subject: Subject, pages: Sequence[Page]) -> Decoded:
    """Instruments as listed on the subject's day, of `pages` made by `symbols`.

    What a symbol says must agree with the assets and the delivery that stand beside it.
    """
    found = read(subject, pages, LISTING)
    known = {item.native_symbol: item for item in found.instruments}
    said = pl.DataFrame(
        [
            (symbol, item.base, item.quote, item.settle, item.contract_type, item.expires_at)
            for symbol, item in known.items()
        ],
        schema={
            name: INSTRUMENTS.schema.get(name, pl.String)
            for name in ("symbol", "base", "quote", "settle", "contract_type", "expires_at")
        },
        orient="row",
    )
    start = datetime.combine(subject.day, time(), UTC)
    frame = found.frame.join(said, on="symbol", how="left", maintain_order="left")
    is_ending = pl.col("delivers") < FOREVER_MS
    delivered = instants(frame["delivers"], "ms")
    frame = frame.with_columns(
        native_symbol="symbol",
        listed_at=instants(frame["listed"], "ms"),
        delivered_at=pl.when(is_ending).then(delivered),
        tick_size=_positive("tick_size"),
        lot_size=_positive("lot_size"),
        contract_size=pl.coalesce("wire_contract_size", "contract_size"),
        valid_from=pl.lit(start, INSTRUMENTS.schema["valid_from"]),
        valid_to=pl.lit(start + timedelta(days=1), INSTRUMENTS.schema["valid_to"]),
    ).with_columns(delisted_at=pl.when(kind="perp").then("delivered_at"))
    found = replace(found, frame=frame).without(_disagreement())
    return decoded(found, (INSTRUMENTS, found.frame.sort(INSTRUMENTS.sort)))


def _disagreement() -> pl.Expr:
    settle = pl.coalesce("settle", "margin_asset")
    return (
        pl.when(
            (pl.col("base_asset") != pl.col("base")) | (pl.col("quote_asset") != pl.col("quote"))
        )
        .then(pl.lit("assets_disagree_with_symbol"))
        .when(settle != pl.col("margin_asset"))
        .then(pl.lit("margin_disagrees_with_symbol"))
        .when(pl.col("expires_at") != pl.col("delivered_at"))
        .then(pl.lit("delivery_disagrees_with_symbol"))
    )


def _positive(name: str) -> pl.Expr:
    """Zero is how the venue says that there is no such step."""
    return pl.when(pl.col(name) > 0).then(pl.col(name))


def _lifted(text: str) -> str:
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return text
    listed = answer.get("symbols") if isinstance(answer, dict) else None
    if not isinstance(listed, list):
        return text
    return json.dumps([_with_steps(row) for row in listed])


def _with_steps(row: Any) -> Any:
    """The row with the steps of its filters beside its own fields."""
    filters = row.get("filters") if isinstance(row, dict) else None
    if not isinstance(filters, list):
        return row
    steps: dict[str, Any] = {}
    for rule in filters:
        if isinstance(rule, Mapping) and rule.get("filterType") in STEPS:
            field = STEPS[rule["filterType"]]
            steps[field] = rule.get(field)
    return {name: value for name, value in row.items() if name != "filters"} | steps
