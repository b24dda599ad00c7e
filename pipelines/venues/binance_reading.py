"""How do pages of Binance become typed rows that know their time and their instrument?"""

from calendar import FRIDAY
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import polars as pl

from expectations.gate import ROW_NUMBER
from pipelines import universe
from pipelines.archives.base import Decoded, divided, instants
from pipelines.universe import EXPIRY_HOUR, Instrument, Market, UnknownSymbol
from pipelines.venues.binance_wire import Form
from pipelines.venues.json_rows import PAGE, typed
from warehouse.contract import INSTANT, Table
from warehouse.instants import instant
from warehouse.raw import Page

QUARTERS = {"CURRENT_QUARTER": 0, "NEXT_QUARTER": 1}
FACTS = pl.Schema(
    {
        "symbol": pl.String,
        "venue": pl.String,
        "underlying": pl.String,
        "instrument_id": pl.String,
        "kind": pl.String,
        "is_inverse": pl.Boolean,
        "is_dollar": pl.Boolean,
        "contract_size": pl.Float64,
    }
)


@dataclass(frozen=True, slots=True)
class Subject:
    """What pages are about: the market, the day whose contract facts hold, the symbol asked for."""

    market: Market
    day: date
    symbol: str | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """Typed rows with their times and the facts of their instruments, and what was refused."""

    frame: pl.DataFrame
    refused: pl.DataFrame
    instruments: frozenset[Instrument]

    def without(self, reason: pl.Expr) -> "Read":
        """The same without the rows for which there is a `reason` to refuse them."""
        frame, refused = divided(self.frame, reason)
        every = pl.concat([self.refused, refused]).sort(ROW_NUMBER)
        return Read(frame, every, self.instruments)


def read(
    subject: Subject,
    pages: Sequence[Page],
    form: Form,
    known_columns: Sequence[pl.DataFrame | None] = (),
) -> Read:
    """The pages' rows under our names. What the wire may leave out is NULL.

    `known_columns` are each page's columns, where they were made already.
    A row without a stamp of the venue happened, as far as we can know, when it was received.
    """
    frame, refused = typed([page.text for page in pages], form.shape, known_columns)
    received = pl.Series([instant(page.received_at) for page in pages], dtype=INSTANT)
    frame = frame.rename(dict(form.names)).with_columns(
        received.gather(frame[PAGE]).alias("received_at")
    )
    frame = frame.with_columns(_stamp(frame), _symbol(subject, frame))
    facts, instruments = _facts(subject, frame["symbol"].unique())
    frame = frame.join(facts, on="symbol", how="left", maintain_order="left")
    return Read(frame, refused, instruments).without(
        pl.when(pl.col("event_at").is_null())
        .then(pl.lit("time_in_another_unit"))
        .when(pl.col("symbol").is_null())
        .then(pl.lit("symbol_missing"))
        .when(pl.col("instrument_id").is_null())
        .then(pl.lit("symbol_unknown"))
    )


def decoded(found: Read, *rows: tuple[Table, pl.DataFrame]) -> Decoded:
    """Rows by table, each with the table's columns and the number of the row it came from."""
    return Decoded(
        {table.name: table.conform(frame).with_columns(frame[ROW_NUMBER]) for table, frame in rows},
        found.refused,
        found.instruments,
    )


def sizes(amount: str, price: str) -> tuple[pl.Expr, pl.Expr, pl.Expr]:
    """An amount in dollars (NULL where the quote currency is none), base coin and contracts.

    Linear amounts are coins, for which no contracts are stated.
    """
    inverse = pl.col(amount) * pl.col("contract_size")
    linear = pl.when("is_dollar").then(pl.col(amount) * pl.col(price))
    return (
        pl.when("is_inverse").then(inverse).otherwise(linear),
        pl.when("is_inverse").then(inverse / known(price)).otherwise(pl.col(amount)),
        pl.when("is_inverse").then(amount),
    )


def known(name: str) -> pl.Expr:
    """The value; zero stands for none."""
    return pl.when(pl.col(name) != 0).then(pl.col(name))


def quarter(pair: str, contract_type: str, at: datetime) -> str | None:
    """The symbol of a kind of contract: the last Friday of this quarter, or of the next, at 08:00.

    >>> quarter("BTCUSD", "CURRENT_QUARTER", datetime(2020, 10, 18, tzinfo=UTC))
    'BTCUSD_201225'
    """
    if contract_type == "PERPETUAL":
        return f"{pair}_PERP"
    if contract_type not in QUARTERS:
        return None
    months = (at.year * 12 + at.month - 1) // 3 * 3 + 3  # the first month after this quarter
    ends = [_last_friday(months + 3 * step) for step in range(3)]
    expiry = [end for end in ends if end > at][QUARTERS[contract_type]]
    return f"{pair}_{expiry:%y%m%d}"


def _last_friday(months: int) -> datetime:
    """The last Friday before month number `months` since year 0, at the hour of expiry."""
    last = datetime(months // 12, months % 12 + 1, 1, EXPIRY_HOUR, tzinfo=UTC) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - FRIDAY) % 7)


def _stamp(frame: pl.DataFrame) -> pl.Series:
    """NULL where a stamp is there and is no time in milliseconds."""
    if "time" not in frame.columns:
        return frame["received_at"].alias("event_at")
    stamped = instants(frame["time"], "ms")
    received = pl.when(frame["time"].is_null()).then(frame["received_at"])
    return pl.select(pl.coalesce(stamped, received).alias("event_at")).to_series()


def _symbol(subject: Subject, frame: pl.DataFrame) -> pl.Series:
    symbols = pl.Series("symbol", [subject.symbol] * frame.height, pl.String)
    if "pair" in frame.columns:
        known_times = instants(frame["time"], "ms")
        named = zip(frame["pair"], frame["contract_type"], known_times, strict=True)
        symbols = pl.Series(
            "symbol",
            [
                quarter(*row) if None not in row else symbols[place]
                for place, row in enumerate(named)
            ],
            pl.String,
        )
    if "symbol" not in frame.columns:
        return symbols
    return pl.select(pl.coalesce(frame["symbol"], symbols).alias("symbol")).to_series()


def _facts(subject: Subject, symbols: pl.Series) -> tuple[pl.DataFrame, frozenset[Instrument]]:
    found = {
        symbol: item
        for symbol in symbols.drop_nulls()
        if (item := instrument(subject.market, symbol))
    }
    rows: list[dict[str, Any]] = [
        {
            "symbol": symbol,
            "venue": item.venue,
            "underlying": item.underlying,
            "instrument_id": item.instrument_id,
            "kind": item.kind,
            "is_inverse": item.contract_type == "inverse",
            "is_dollar": item.quote in universe.dollar_assets(),
            "contract_size": universe.spec(item, subject.day).contract_size,
        }
        for symbol, item in found.items()
    ]
    return pl.DataFrame(rows, schema=FACTS), frozenset(found.values())


def instrument(market: Market, symbol: str) -> Instrument | None:
    """The instrument of a symbol, or None where it is none. Letters of any script may be in it."""
    if not symbol.replace("_", "").isalnum():
        return None
    try:
        return universe.binance(market, symbol)
    except UnknownSymbol:
        return None
