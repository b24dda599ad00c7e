"""What do Binance's answers and messages mean, in the contract's units? Pure functions of pages.

Spot and USD-M are sized in the base coin, COIN-M in contracts of a fixed number of dollars. What
cannot be read is refused with a reason: rows kept and rows refused are all that came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import polars as pl

from expectations.gate import ROW_NUMBER
from pipelines import universe
from pipelines.archives.base import Decoded
from pipelines.venues import binance_wire as wire
from pipelines.venues.binance_reading import Read, Subject, decoded, known, read, sizes
from pipelines.venues.binance_wire import Form
from pipelines.venues.json_rows import typed
from warehouse.contract import FUNDING, INDEX_PRICES, INSTANT, LIQUIDATIONS, QUOTES, TRADES
from warehouse.raw import Page

FORCED = ("INSURANCE_FUND", "ADL")  # order types of prints that no trader asked for
FEWEST_GAPS = 3  # in a row show an interval; with fewer, a lost settlement could pass for one
NO_NUMBER = pl.lit(None, pl.Float64)


def trades(
    subject: Subject,
    pages: Sequence[Page],
    form: Form = wire.AGGREGATE,
    known_columns: Sequence[pl.DataFrame | None] = (),
) -> Decoded:
    """Prints, or prints aggregated by order: the buyer being the maker, the taker sold.

    `known_columns` are each page's columns, where they were made already.
    """
    found = read(subject, pages, form, known_columns)
    usd, base, contracts = sizes("size", "price")
    names = found.frame.columns
    forced = pl.col("order_type").is_in(FORCED) if "order_type" in names else pl.lit(False)
    rows = found.frame.with_columns(
        trade_id=pl.col("id").cast(pl.String),
        side=pl.when("is_buyer_maker").then(pl.lit("sell")).otherwise(pl.lit("buy")),
        quantity_base=pl.coalesce("size_base", base) if "size_base" in names else base,
        quantity_contracts=contracts,
        notional_usd=usd,
        is_block=pl.lit(False),
        is_liquidation=forced.fill_null(value=False),
        sequence="id",
    )
    return decoded(found, (TRADES, rows))


def quotes(subject: Subject, pages: Sequence[Page], form: Form = wire.BEST) -> Decoded:
    """Best bid and ask, at the venue's stamp; spot has none, so there the time of receipt."""
    found = read(subject, pages, form)
    rows = found.frame.with_columns(
        snapshot_at="event_at",
        bid_price=known("bid_price"),
        bid_quantity_base=_quoted("bid"),
        ask_price=known("ask_price"),
        ask_quantity_base=_quoted("ask"),
    )
    return decoded(found, (QUOTES, rows))


def marks(
    subject: Subject,
    pages: Sequence[Page],
    form: Form = wire.MARK,
    declared_s: Mapping[str, int] | None = None,
    at: datetime | None = None,
) -> Decoded:
    """Mark and index, and of perpetuals the funding rate that the venue forecasts.

    `declared_s` is the interval by symbol, in seconds, where the venue declares one. `at` is the
    snapshot that the forecasts belong to; without it each is one by itself, at the venue's stamp.
    """
    is_perp = pl.col("kind") == "perp"
    unpriced = pl.when(is_perp & pl.col("rate").is_null()).then(pl.lit("rate_missing"))
    found = read(subject, pages, form).without(unpriced)
    rows = found.frame.with_columns(
        snapshot_at="event_at",
        mark_price=known("mark_price"),
        index_price=pl.when("is_dollar").then(known("index_price")),
    )
    rates = rows.filter(is_perp).with_columns(
        kind=pl.lit("indicative"),
        event_at=pl.lit(at, INSTANT) if at else "event_at",
        interval_s=_declared(declared_s),
    )
    return decoded(found, (QUOTES, rows), (FUNDING, rates))


def open_interest(subject: Subject, pages: Sequence[Page], form: Form = wire.INTEREST) -> Decoded:
    """Open interest; what is not counted on the wire needs a mark, unless its value is given too.

    A linear contract is one coin, so that contracts and coins are one number there.
    """
    found = read(subject, pages, form)
    value = pl.col("value") if "value" in found.frame.columns else NO_NUMBER
    interest = pl.col("interest")
    linear = pl.when("is_dollar").then(value)
    rows = found.frame.with_columns(
        snapshot_at="event_at",
        open_interest_contracts=interest,
        open_interest_base=pl.when("is_inverse").then(value).otherwise(interest),
        open_interest_usd=pl.when("is_inverse")
        .then(interest * pl.col("contract_size"))
        .otherwise(linear),
    )
    return decoded(found, (QUOTES, rows))


def day_tickers(subject: Subject, pages: Sequence[Page], form: Form = wire.DAY_TICKER) -> Decoded:
    """Last price and the rolling day's volume; what never traded has no last price."""
    found = read(subject, pages, form)
    inverse = pl.col("volume") * pl.col("contract_size")
    linear = pl.when("is_dollar").then("volume_quote")
    has_volume = "volume" in found.frame.columns
    rows = found.frame.with_columns(
        snapshot_at="event_at",
        last_price=known("last_price"),
        volume_24h_usd=pl.when("is_inverse").then(inverse).otherwise(linear)
        if has_volume
        else NO_NUMBER,
    )
    return decoded(found, (QUOTES, rows))


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds between settlements by symbol, where the venue declares them; rows it cannot mean."""

    declared_s: Mapping[str, int]
    refused: int

    @property
    def notices(self) -> tuple[str, ...]:
        text = f"{self.refused} declarations of funding intervals cannot be read"
        return (text,) if self.refused else ()


def intervals(pages: Sequence[Page]) -> Intervals:
    """What the venue declares: only symbols whose interval or cap was ever changed are told."""
    frame, refused = typed([page.text for page in pages], wire.FUNDING_INFO.shape)
    hours = frame.rename(dict(wire.FUNDING_INFO.names))
    known_hours = hours.filter(pl.col("interval_hours") > 0)
    seconds = known_hours.select("symbol", pl.col("interval_hours") * 3_600)
    count = refused.height + hours.height - known_hours.height
    return Intervals(dict(seconds.iter_rows()), count)


def settlements(
    subject: Subject, pages: Sequence[Page], declared_s: Mapping[str, int] | None = None
) -> Decoded:
    """Funding as it was paid, with the interval that ends at each settlement.

    `declared_s` is the venue's interval by symbol as it stands now, in seconds. Where the rows show
    another one theirs holds, for what is declared today says nothing about last month. A longer gap
    for once is a lost settlement, a shorter one a shorter interval.
    """
    found = read(subject, pages, wire.FUNDING_RATE)
    gap, declared = pl.col("gap"), pl.col("declared")
    rows = found.frame.sort("symbol", "event_at").with_columns(
        kind=pl.lit("settled"),
        declared=_declared(declared_s),
        gap=_whole_hours(pl.col("event_at").diff()).over("symbol"),
        mark_price=known("mark_price"),
    )
    rows = rows.with_columns(run=gap.rle_id().over("symbol"))
    shown = pl.when(pl.len().over("symbol", "run") >= FEWEST_GAPS).then(gap)
    usual = shown.forward_fill().backward_fill().over("symbol")
    rows = rows.with_columns(
        interval_s=pl.when(gap == declared)
        .then(gap)
        .otherwise(pl.coalesce(shown, pl.min_horizontal(pl.coalesce(usual, declared), gap)))
    )
    return decoded(found, (FUNDING, rows))


def liquidations(
    subject: Subject, pages: Sequence[Page], form: Form = wire.FORCED_ORDER
) -> Decoded:
    """Forced orders as they were filled. They have no number; the stream tells one a second."""
    found = read(subject, pages, form)
    usd, base, contracts = sizes("size", "price")
    rows = found.frame.with_columns(
        trade_id=pl.col("time").cast(pl.String),
        side=pl.col("order_side").str.to_lowercase(),
        quantity_base=base,
        quantity_contracts=contracts,
        notional_usd=usd,
    )
    return decoded(found, (LIQUIDATIONS, rows))


def candles(subject: Subject, pages: Sequence[Page], form: Form = wire.CANDLE) -> Read:
    """Candles of prices, marks or premiums, with their volume in base coin and contracts.

    The second volume is quote currency on spot and USD-M, coins on COIN-M.
    """
    found = read(subject, pages, form)
    is_inverse = pl.col("is_inverse")
    frame = found.frame.with_columns(
        volume_base=pl.when(is_inverse).then("other_volume").otherwise("volume"),
        volume_contracts=pl.when(is_inverse).then("volume"),
        volume_usd=pl.when(is_inverse)
        .then(pl.col("volume") * pl.col("contract_size"))
        .when("is_dollar")
        .then("other_volume"),
    )
    return Read(frame, found.refused, found.instruments)


def index_prices(subject: Subject, pages: Sequence[Page], form: Form = wire.CANDLE) -> Decoded:
    """Candles of the index under a perpetual, which has the name of its pair."""
    found = read(subject, pages, form)
    length = pl.col("close_time") - pl.col("time") + 1
    frame = found.frame.with_columns(
        instrument_id=pl.format("{}:{}", "venue", pl.col("symbol").str.strip_suffix("_PERP")),
        interval_s=length // 1_000,
    )
    return decoded(found, (INDEX_PRICES, frame.filter("is_dollar")))


def snapshot(at: datetime, parts: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Rows of quotes from several answers as the one state at `at`: what each of them knows.

    Open interest counted in dollars (inverse) or coins (linear) is valued at the mark.
    """
    keys = ["venue", "underlying", "instrument_id"]
    facts = [name for name in QUOTES.schema if name not in (*keys, "snapshot_at", "received_at")]
    names = [*QUOTES.schema, ROW_NUMBER]
    none = pl.DataFrame(schema=QUOTES.schema | {ROW_NUMBER: pl.Int64})
    every = pl.concat([none, *(part.select(names) for part in parts)])
    merged = every.group_by(keys).agg(
        pl.col("received_at").max(), pl.col(facts).drop_nulls().last(), pl.col(ROW_NUMBER).min()
    )
    quote = pl.col("instrument_id").str.extract("/([^:]+)")
    in_dollars = quote.is_in(sorted(universe.dollar_assets()))
    base, usd = pl.col("open_interest_base"), pl.col("open_interest_usd")
    valued = merged.with_columns(
        snapshot_at=pl.lit(at, INSTANT),
        open_interest_base=pl.coalesce(base, usd / pl.col("mark_price")),
        open_interest_usd=pl.coalesce(usd, pl.when(in_dollars).then(base * pl.col("mark_price"))),
    ).sort(QUOTES.sort)
    return QUOTES.conform(valued).with_columns(valued[ROW_NUMBER])


def _declared(declared_s: Mapping[str, int] | None) -> pl.Expr:
    return pl.col("symbol").replace_strict(
        dict(declared_s or {}), default=None, return_dtype=pl.Int64
    )


def _quoted(side: str) -> pl.Expr:
    """Size at the best price in base coin, where there is a price."""
    _, base, _ = sizes(f"{side}_size", f"{side}_price")
    return pl.when(known(f"{side}_price").is_not_null()).then(base)


def _whole_hours(gap: pl.Expr) -> pl.Expr:
    """Seconds, to the next whole hour, since stamps jitter; NULL for one settlement told twice."""
    seconds = (gap.dt.total_milliseconds() / 3.6e6).round() * 3_600
    return pl.when(seconds > 0).then(seconds.cast(pl.Int64))
