"""What do Deribit's prints and states mean, in the contract's units? Pure functions of pages.

Inverse perpetuals and futures are sized in dollars, options and everything linear in coins; implied
volatilities are percent; a price or volatility of zero says that there is none. What cannot be read
is refused with a reason: rows kept and rows refused are all that came.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime

import numpy as np
import polars as pl

from expectations.gate import ROW_NUMBER
from pipelines.archives.base import Decoded
from pipelines.universe import Instrument
from pipelines.venues import deribit_wire as wire
from pipelines.venues.deribit_reading import Read, is_in_dollars, iv, known, read, sizes
from pipelines.venues.deribit_wire import Form
from pipelines.venues.json_rows import PAGE
from warehouse.contract import (
    BOOKS,
    FUNDING,
    INSTANT,
    LIQUIDATIONS,
    OPTION_QUOTES,
    QUOTES,
    TRADES,
)
from warehouse.raw import Page

INDICATIVE_S = 28_800  # `current_funding`: the rate per eight hours that is in force
LIQUIDATED = {"T": ["taker"], "M": ["maker"], "MT": ["taker", "maker"], "none": []}


def trades(
    pages: Sequence[Page],
    day: date,
    form: Form = wire.TRADE,
    *,
    rows_before: int = 0,
    known: Sequence[pl.DataFrame | None] | None = None,
) -> Decoded:
    """Prints, and of forced ones the sides that were liquidated. `day` dates contract sizes.

    Rows are numbered after `rows_before`; `known` are each page's columns, where made.
    """
    found = (
        read(pages, form, day, known=known)
        .numbered_after(rows_before)
        .without(
            pl.when(~pl.col("direction").is_in(["buy", "sell"]))
            .then(pl.lit("direction_unreadable"))
            .when(~pl.col("liquidation").is_in(list(LIQUIDATED)))
            .then(pl.lit("liquidation_unreadable"))
            .when(pl.col("price") == 0)
            .then(pl.lit("price_missing"))
        )
    )
    usd, base = sizes("amount", "price", "index_price")
    own = pl.col("contracts")
    rows = found.frame.with_columns(
        sequence="trade_seq",
        side="direction",
        quantity_base=base,
        quantity_contracts=pl.coalesce(own, pl.col("amount") / pl.col("spec_size")),
        notional_usd=usd,
        iv=iv("iv"),
        is_block=pl.col("block_trade_id").is_not_null() | pl.col("block_rfq_id").is_not_null(),
        is_liquidation=(pl.col("liquidation") != "none").fill_null(value=False),
    )
    return found.decoded({TRADES: rows, LIQUIDATIONS: _liquidations(rows)})


def tickers(
    pages: Sequence[Page], day: date, at: datetime | None = None, form: Form = wire.TICKER
) -> Decoded:
    """States of options, perpetuals and futures, and perpetuals' funding rate in force.

    `at` is the snapshot they belong to; without it each is one by itself, at the venue's stamp.
    """
    found = read(pages, form, day)
    rows = _states(found.frame, at, "best_bid", "best_ask").with_columns(
        index_price=known("index_price"),
        open_interest_usd=_interest_usd(known("index_price")),
        last_price=known("last_price"),
        volume_24h_usd="stats.volume_usd",
        venue_iv_bid=iv("bid_iv"),
        venue_iv_mark=iv("mark_iv"),
        venue_iv_ask=iv("ask_iv"),
        venue_delta="greeks.delta",
        venue_gamma="greeks.gamma",
        venue_vega="greeks.vega",
        venue_theta="greeks.theta",
    )
    in_force = pl.col("current_funding").is_not_null() & (pl.col("named_kind") == "perp")
    rates = rows.filter(in_force).with_columns(
        kind=pl.lit("indicative"),
        event_at="snapshot_at",
        rate="current_funding",
        interval_s=INDICATIVE_S,
    )
    is_option = pl.col("named_kind") == "option"
    return found.decoded(
        {OPTION_QUOTES: rows.filter(is_option), QUOTES: rows.filter(~is_option), FUNDING: rates}
    )


def summaries(
    pages: Sequence[Page],
    at: datetime,
    index_price: float | None = None,
    form: Form = wire.SUMMARY,
) -> Decoded:
    """The whole chain, and whatever else the summaries tell of, at `at`; sizes they do not tell."""
    found = read(pages, form, at.date(), "creation_timestamp")
    none = pl.lit(None, pl.Float64)
    stated = found.frame.with_columns(bid_amount=none, ask_amount=none)
    index = pl.lit(index_price, pl.Float64)
    rows = _states(stated, at, "bid", "ask").with_columns(
        index_price=index,
        open_interest_usd=_interest_usd(pl.coalesce(index, known("underlying_price"))),
        last_price=known("last"),
        volume_24h_usd="volume_usd",
        venue_iv_mark=iv("mark_iv"),
    )
    is_option = pl.col("named_kind") == "option"
    return found.decoded({OPTION_QUOTES: rows.filter(is_option), QUOTES: rows.filter(~is_option)})


def books(
    pages: Sequence[Page], day: date, at: datetime | None = None, form: Form = wire.BOOK
) -> Decoded:
    """Levels of books, one book a page. A book with a damaged level is refused whole."""
    found = _whole_books(pages, form, read(pages, form, day))
    _, base = sizes("amount", "price", "price")
    rows = found.frame.with_columns(
        snapshot_at=pl.lit(at, INSTANT) if at else "event_at",
        quoted_at="event_at",
        quantity_base=base,
    )
    return found.decoded({BOOKS: rows})


def with_the_unquoted(
    decoded: Decoded, listed: Sequence[Instrument], at: datetime
) -> tuple[Decoded, int]:
    """The chain with a row for each listed option, and how many were not told of."""
    chain = decoded.rows[OPTION_QUOTES.name]
    told = set(chain["instrument_id"])
    rows = [
        {
            "venue": item.venue,
            "underlying": item.underlying,
            "instrument_id": item.instrument_id,
            "snapshot_at": at,
            "price_unit": "coin" if item.contract_type == "inverse" else "usd",
            ROW_NUMBER: None,
        }
        for item in listed
        if item.instrument_id not in told
    ]
    if not rows:
        return decoded, 0
    unquoted = pl.DataFrame(rows, schema_overrides={"snapshot_at": INSTANT, ROW_NUMBER: pl.Int64})
    padded = OPTION_QUOTES.conform(unquoted).with_columns(unquoted[ROW_NUMBER])
    whole = {**decoded.rows, OPTION_QUOTES.name: pl.concat([chain, padded])}
    return replace(decoded, rows=whole), len(rows)


def _whole_books(pages: Sequence[Page], form: Form, found: Read) -> Read:
    """Nothing of books of which a level cannot be read."""
    found = found.without(pl.when(pl.col("price") == 0).then(pl.lit("price_missing")))
    if found.refused.is_empty():
        return found
    ends = np.cumsum(wire.row_counts([page.text for page in pages], form))
    damaged = np.unique(np.searchsorted(ends, found.refused[ROW_NUMBER].to_numpy()))
    is_damaged = pl.col(PAGE).is_in(damaged.tolist())
    return found.without(pl.when(is_damaged).then(pl.lit("in_a_damaged_book")))


def _states(frame: pl.DataFrame, at: datetime | None, bid: str, ask: str) -> pl.DataFrame:
    """Quotes, mark and open interest; `bid` and `ask` are how the wire names them."""
    _, bid_base = sizes(f"{bid}_amount", f"{bid}_price", "mark_price")
    _, ask_base = sizes(f"{ask}_amount", f"{ask}_price", "mark_price")
    _, interest_base = sizes("open_interest", "mark_price", "mark_price")
    bid_price, ask_price = known(f"{bid}_price"), known(f"{ask}_price")
    return frame.with_columns(
        snapshot_at=pl.lit(at, INSTANT) if at else "event_at",
        quoted_at="event_at",
        bid_price=bid_price,
        bid_quantity_base=pl.when(bid_price.is_not_null()).then(bid_base),
        ask_price=ask_price,
        ask_quantity_base=pl.when(ask_price.is_not_null()).then(ask_base),
        mark_price=known("mark_price"),
        underlying_price=known("underlying_price"),
        price_unit=pl.when("is_inverse").then(pl.lit("coin")).otherwise(pl.lit("usd")),
        open_interest_contracts=pl.col("open_interest") / pl.col("spec_size"),
        open_interest_base=interest_base,
    )


def _interest_usd(index: pl.Expr) -> pl.Expr:
    interest = pl.col("open_interest")
    linear = pl.when("is_dollar").then(interest * known("mark_price"))
    is_option = pl.col("named_kind") == "option"
    return (
        pl.when(is_in_dollars())
        .then(interest)
        .when(is_option)
        .then(interest * index)
        .otherwise(linear)
    )


def _liquidations(rows: pl.DataFrame) -> pl.DataFrame:
    """A row for each side that was forced: the taker's is the print's, the maker's the other."""
    other = pl.col("direction").replace({"buy": "sell", "sell": "buy"})
    forced = rows.filter("is_liquidation").with_columns(
        party=pl.col("liquidation").replace_strict(LIQUIDATED, return_dtype=pl.List(pl.String))
    )
    return forced.explode("party").with_columns(
        side=pl.when(pl.col("party") == "taker").then("direction").otherwise(other)
    )
