"""What does Deribit declare, pay and settle, in the contract's units? Pure functions of pages."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta

import polars as pl

from pipelines.archives.base import Decoded, instants
from pipelines.universe import Instrument
from pipelines.venues import deribit_wire as wire
from pipelines.venues.deribit_reading import PERCENT, known, named, read
from pipelines.venues.deribit_wire import Form
from warehouse.contract import (
    FUNDING,
    INDEX_PRICES,
    INSTANT,
    INSTRUMENTS,
    SETTLEMENTS,
    VOLATILITY_INDICES,
)
from warehouse.raw import Page

VENUE = "deribit"
SETTLED_S = 3_600  # `interest_1h`: what was paid in the hour that ends at the row
AVERAGED = timedelta(minutes=30)  # delivery prices are the index's mean over the last half hour


def instruments(pages: Sequence[Page], day: date, form: Form = wire.INSTRUMENT) -> Decoded:
    """Instruments as the venue declares them, as they were on `day`.

    Their names are parsed too, and a row that disagrees with its own name is refused.
    """
    found = read(pages, form, day, stamp=None)
    stamps = {"creation_timestamp": "listed_at", "expiration_timestamp": "expires_at"}
    stamped = found.frame.with_columns(
        instants(found.frame[name], "ms").alias(alias) for name, alias in stamps.items()
    )
    found = replace(found, frame=stamped).without(_disagreement())
    start = datetime.combine(day, time(), UTC)
    size = pl.coalesce("contract_size", "spec_size")
    rows = found.frame.with_columns(
        kind="named_kind",
        contract_size=size,
        lot_size=pl.col("min_trade_amount") / size,
        strike="named_strike",
        option_type="named_type",
        expires_at="named_expiry",
        delisted_at=pl.when(~pl.col("is_active")).then("named_expiry"),
        native_symbol="instrument_name",
        valid_from=pl.lit(start, INSTANT),
        valid_to=pl.lit(start + timedelta(days=1), INSTANT),
    )
    return found.decoded({INSTRUMENTS: rows})


def funding(pages: Sequence[Page], instrument: Instrument) -> Decoded:
    """What was paid in the hour that ends at each row. `interest_8h` overlaps and is not added."""
    found = read(pages, wire.FUNDING, None)
    rows = found.frame.with_columns(
        **named(instrument),
        kind=pl.lit("settled"),
        rate="interest_1h",
        interval_s=SETTLED_S,
        index_price=known("index_price"),
    )
    return replace(found, instruments=frozenset({instrument})).decoded({FUNDING: rows})


def index_prices(pages: Sequence[Page], underlying: str, at: datetime | None = None) -> Decoded:
    """One reading of an index, for the snapshot `at`, else at the stamp of its envelope."""
    found = read(pages, wire.STAMPED_INDEX, None, "usOut", "us")
    price = pl.col("index_price")
    rows = found.frame.with_columns(
        venue=pl.lit(VENUE),
        underlying=pl.lit(underlying),
        instrument_id=pl.lit(f"{VENUE}:{index_name(underlying)}"),
        event_at=pl.lit(at, INSTANT) if at else "event_at",
        open=price,
        high=price,
        low=price,
        close=price,
    )
    return found.decoded({INDEX_PRICES: rows})


def volatility_indices(pages: Sequence[Page], underlying: str, interval_s: int) -> Decoded:
    """Candles of the volatility index, percent on the wire, each under its start."""
    found = read(pages, wire.VOLATILITY, None)
    rows = found.frame.with_columns(
        pl.col("open", "high", "low", "close") * PERCENT,
        venue=pl.lit(VENUE),
        underlying=pl.lit(underlying),
        instrument_id=pl.lit(volatility_index_id(underlying)),
        interval_s=interval_s,
    )
    return found.decoded({VOLATILITY_INDICES: rows})


def settlements(pages: Sequence[Page], day: date) -> Decoded:
    """Deliveries at expiry, whose price is the index's average, and daily settlements."""
    found = read(pages, wire.SETTLEMENT, day).without(
        pl.when(~pl.col("type").is_in(["delivery", "settlement"])).then(pl.lit("type_unreadable"))
    )
    is_delivery = pl.col("type") == "delivery"
    rows = found.frame.with_columns(
        kind="type",
        delivery_price=pl.when(is_delivery).then(known("index_price")),
        window_start=pl.when(is_delivery).then(pl.col("named_expiry") - AVERAGED),
        window_end=pl.when(is_delivery).then("named_expiry"),
        mark_price=known("mark_price"),
        index_price=known("index_price"),
    )
    return found.decoded({SETTLEMENTS: rows})


def index_name(underlying: str) -> str:
    """The venue's name of the index of a coin in dollars."""
    return f"{underlying.lower()}_usd"


def volatility_index_id(underlying: str) -> str:
    """Our name of the volatility index of a coin: the venue's, after the venue."""
    return f"{VENUE}:{underlying.lower()}dvol"


def _disagreement() -> pl.Expr:
    """Why a declaration is not to be believed; NULL where it is."""
    wanted = pl.col("named_kind").replace({"perp": "future"})
    agrees = (
        (pl.col("kind") == wanted)
        & pl.col("strike").eq_missing(pl.col("named_strike")).or_(pl.col("strike").is_null())
        & pl.col("option_type").eq_missing(pl.col("named_type"))
        & (pl.col("expires_at").eq_missing(pl.col("named_expiry")) | _endless())
    )
    return (
        pl.when(pl.col("creation_timestamp").is_not_null() & pl.col("listed_at").is_null())
        .then(pl.lit("creation_timestamp_in_another_unit"))
        .when(~agrees)
        .then(pl.lit("name_disagrees_with_fields"))
    )


def _endless() -> pl.Expr:
    """Spot and perpetuals are declared to expire in the year 3000."""
    return pl.col("named_expiry").is_null()
