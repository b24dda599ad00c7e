"""Every table in the lake and every operational source, declared once.

Ingestion conforms frames to these tables, `expectations` audits them, and `warehouse.render` writes
the dbt sources, the data dictionary and the JSON Schemas from them. To change a schema, change it
here and run `hedgehouse contract --write`.
"""

from dataclasses import dataclass, replace

import polars as pl

VERSION = 3  # rises with every change of what a table holds, so that builds are made anew
INSTANT = pl.Datetime("us", "UTC")


class ContractError(ValueError):
    """A frame does not have the shape its table promises."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column. Its name ends in its unit wherever a unit applies.

    `low` and `high` are inclusive bounds, `above` an exclusive lower bound; all bind non-null values.
    `since` is the contract's version that brought the column: parts written before hold NULL there.
    """

    name: str
    dtype: pl.DataType | type[pl.DataType]
    doc: str
    nullable: bool = False
    low: float | None = None
    high: float | None = None
    above: float | None = None
    one_of: tuple[str, ...] = ()
    since: int = 1

    def optional(self, doc: str | None = None) -> "Column":
        return replace(self, nullable=True, doc=doc or self.doc)

    def named(self, name: str, doc: str) -> "Column":
        return replace(self, name=name, doc=doc)


@dataclass(frozen=True, slots=True)
class Table:
    """One table. `grain` completes the sentence "one row per ...".

    `time` is the column that says to which UTC day a row belongs; `sort` is the order of rows in a
    part, which begins with the key's leading columns so that equal keys are neighbours.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    time: str
    sort: tuple[str, ...]
    columns: tuple[Column, ...]

    @property
    def schema(self) -> pl.Schema:
        return pl.Schema({c.name: c.dtype for c in self.columns})

    def column(self, name: str) -> Column:
        return next(c for c in self.columns if c.name == name)

    def conform(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return `frame` with exactly this table's columns, order and types.

        A nullable column that is absent becomes NULL, NaN becomes NULL. Raises `ContractError`
        naming table and columns where a required column is absent or a value cannot be cast.
        """
        required = [c.name for c in self.columns if not c.nullable]
        if missing := [name for name in required if name not in frame.columns]:
            raise ContractError(f"{self.name}: missing columns {missing}")
        absent = [pl.lit(None).alias(c.name) for c in self.columns if c.name not in frame.columns]
        try:
            return (
                frame.with_columns(absent)
                .select(self.schema.names())
                .cast(self.schema, strict=True)
                .with_columns(pl.col(pl.Float64).fill_nan(None))
            )
        except pl.exceptions.PolarsError as error:
            raise ContractError(f"{self.name}: {error}") from error


# ---------- the vocabulary: one object per name, used by every table that has the column
VENUE = Column(
    "venue", pl.String, "Exchange, lower case; spot, perpetuals, futures and options alike."
)
UNDERLYING = Column("underlying", pl.String, "Coin the instrument depends on: BTC, ETH, NEXO.")
INSTRUMENT_ID = Column(
    "instrument_id", pl.String, "`venue:unified-symbol`, e.g. deribit:BTC/USD:BTC-240927-60000-C."
)
PORTFOLIO_ID = Column("portfolio_id", pl.String, "The user's name of a portfolio.")
COIN = Column("coin", pl.String, "Currency of a balance: BTC, USDT.")

EVENT_AT = Column("event_at", INSTANT, "When it happened, by the venue's clock, UTC.")
RECEIVED_AT = Column(
    "received_at", INSTANT, "When the recorder saw it, UTC; NULL where nobody recorded that.", True
)
SNAPSHOT_AT = Column("snapshot_at", INSTANT, "Instant whose state the row describes, UTC.")
AS_OF_AT = Column("as_of_at", INSTANT, "Instant from which the portfolio's state holds, UTC.")
QUOTED_AT = Column(
    "quoted_at", INSTANT, "Venue's stamp of the state that the snapshot shows, UTC.", True
)

PRICE = Column(
    "price", pl.Float64, "Quote currency per unit of base; option prints in coin.", above=0
)
QUANTITY_BASE = Column("quantity_base", pl.Float64, "Size in units of the base coin.", above=0)
QUANTITY_CONTRACTS = Column(
    "quantity_contracts", pl.Float64, "Size in the venue's contracts.", True, above=0
)
NOTIONAL_USD = Column(
    "notional_usd",
    pl.Float64,
    "Size in US dollars, dollar stablecoins counted as 1; NULL for other quote currencies.",
    True,
    low=0,
)
BID_PRICE = Column(
    "bid_price", pl.Float64, "Best bid, quote currency per base; NULL without a bid.", True, above=0
)
ASK_PRICE = Column(
    "ask_price",
    pl.Float64,
    "Best ask, quote currency per base; NULL without an ask.",
    True,
    above=0,
)
BID_QUANTITY = Column(
    "bid_quantity_base", pl.Float64, "Size at the best bid, base coin.", True, low=0
)
ASK_QUANTITY = Column(
    "ask_quantity_base", pl.Float64, "Size at the best ask, base coin.", True, low=0
)
MARK_PRICE = Column(
    "mark_price", pl.Float64, "Venue's mark price, quote currency per base.", True, above=0
)
INDEX_PRICE = Column(
    "index_price", pl.Float64, "Venue's index price of the underlying, USD.", True, above=0
)
LAST_PRICE = Column(
    "last_price", pl.Float64, "Last traded price, quote currency per base.", True, above=0
)
IV = Column("iv", pl.Float64, "Implied volatility, annualised decimal.", True, low=0, high=50)
OPEN_INTEREST = (
    Column("open_interest_contracts", pl.Float64, "Open interest, venue contracts.", True, low=0),
    Column("open_interest_base", pl.Float64, "Open interest, base coin.", True, low=0),
    Column("open_interest_usd", pl.Float64, "Open interest, US dollars.", True, low=0),
)
VOLUME_24H = Column(
    "volume_24h_usd", pl.Float64, "Venue's rolling day volume, US dollars.", True, low=0
)
SIDE = Column(
    "side",
    pl.String,
    "Taker's side; NULL where the source does not say.",
    True,
    one_of=("buy", "sell"),
)
FLAG = Column("is_block", pl.Boolean, "")
GREEK = Column("venue_delta", pl.Float64, "", True)


INSTRUMENTS = Table(
    "instruments",
    "instrument and validity interval, cut at UTC days",
    ("instrument_id", "valid_from"),
    "valid_from",
    ("instrument_id", "valid_from"),
    (
        VENUE,
        UNDERLYING,
        INSTRUMENT_ID,
        Column(
            "kind", pl.String, "What is traded.", one_of=("spot", "perp", "future", "option", "amm")
        ),
        Column("base", pl.String, "Base currency."),
        Column("quote", pl.String, "Quote currency."),
        Column("settle", pl.String, "Currency of profit and loss; NULL for spot.", True),
        Column(
            "contract_type",
            pl.String,
            "How profit is paid; NULL for spot.",
            True,
            one_of=("linear", "inverse", "quanto"),
        ),
        Column(
            "contract_size",
            pl.Float64,
            "One contract: base coin where linear, US dollars where inverse; NULL if unknown.",
            True,
            above=0,
        ),
        Column(
            "tick_size",
            pl.Float64,
            "Smallest price step, quote currency; NULL if unknown.",
            True,
            above=0,
        ),
        Column(
            "lot_size",
            pl.Float64,
            "Smallest order step, in contracts; NULL if unknown.",
            True,
            above=0,
        ),
        Column("strike", pl.Float64, "Strike of an option, USD.", True, above=0),
        Column("option_type", pl.String, "Right of an option.", True, one_of=("call", "put")),
        Column("expires_at", INSTANT, "Expiry, UTC; NULL for spot and perpetuals.", True),
        Column("listed_at", INSTANT, "Listing, UTC; NULL if unknown.", True),
        Column("delisted_at", INSTANT, "Delisting, UTC; NULL if unknown or still listed.", True),
        Column("native_symbol", pl.String, "The venue's own name."),
        Column(
            "valid_from",
            INSTANT,
            "Start of the interval in which these facts are known to hold, UTC.",
        ),
        Column("valid_to", INSTANT, "End of that interval, exclusive, UTC."),
    ),
)

TRADES = Table(
    "trades",
    "print",
    ("instrument_id", "trade_id"),
    "event_at",
    ("instrument_id", "sequence", "event_at", "trade_id"),
    (
        VENUE,
        UNDERLYING,
        INSTRUMENT_ID,
        Column("trade_id", pl.String, "The venue's id of the print."),
        EVENT_AT,
        RECEIVED_AT,
        SIDE,
        PRICE,
        QUANTITY_BASE,
        QUANTITY_CONTRACTS,
        NOTIONAL_USD,
        MARK_PRICE,
        INDEX_PRICE,
        IV,
        FLAG.named("is_block", "Whether it was negotiated off the book."),
        FLAG.named("is_liquidation", "Whether it was forced."),
        Column("combo_id", pl.String, "Combo whose leg the print is.", True),
        Column(
            "sequence", pl.Int64, "The venue's gapless number of the print, where it has one.", True
        ),
    ),
)

QUOTES = Table(
    "quotes",
    "instrument and snapshot: top of book, marks, open interest of spot, perpetuals and futures",
    ("instrument_id", "snapshot_at"),
    "snapshot_at",
    ("instrument_id", "snapshot_at"),
    (
        VENUE,
        UNDERLYING,
        INSTRUMENT_ID,
        SNAPSHOT_AT,
        RECEIVED_AT,
        BID_PRICE,
        BID_QUANTITY,
        ASK_PRICE,
        ASK_QUANTITY,
        MARK_PRICE,
        INDEX_PRICE,
        LAST_PRICE,
        *OPEN_INTEREST,
        VOLUME_24H,
        Column(
            "is_every_update",
            pl.Boolean,
            "True: one of a stream in which every change of the best quote was recorded; FALSE or "
            "NULL: a snapshot, between which and the next the quote may have changed.",
            True,
            since=3,
        ),
    ),
)

OPTION_QUOTES = Table(
    "option_quotes",
    "option and snapshot: the whole listed chain, a row even when there is no quote",
    ("instrument_id", "snapshot_at"),
    "snapshot_at",
    ("snapshot_at", "instrument_id"),
    (
        VENUE,
        UNDERLYING,
        INSTRUMENT_ID,
        SNAPSHOT_AT,
        QUOTED_AT,
        RECEIVED_AT,
        BID_PRICE.optional("Best bid in `price_unit` per base coin; NULL without a bid."),
        BID_QUANTITY,
        ASK_PRICE.optional("Best ask in `price_unit` per base coin; NULL without an ask."),
        ASK_QUANTITY,
        MARK_PRICE.optional("Venue's mark price in `price_unit` per base coin."),
        LAST_PRICE.optional("Last traded price in `price_unit` per base coin."),
        Column("price_unit", pl.String, "Unit of the prices.", one_of=("coin", "usd")),
        IV.named("venue_iv_bid", "Venue's implied volatility of the bid, annualised decimal."),
        IV.named("venue_iv_mark", "Venue's implied volatility of the mark, annualised decimal."),
        IV.named("venue_iv_ask", "Venue's implied volatility of the ask, annualised decimal."),
        GREEK.named("venue_delta", "Venue's delta, in its own convention."),
        GREEK.named("venue_gamma", "Venue's gamma, in its own convention."),
        GREEK.named("venue_vega", "Venue's vega, in its own convention."),
        GREEK.named("venue_theta", "Venue's theta, in its own convention."),
        Column(
            "underlying_price",
            pl.Float64,
            "The venue's own forward of that expiry, USD per base.",
            True,
            above=0,
        ),
        INDEX_PRICE,
        *OPEN_INTEREST,
        VOLUME_24H,
    ),
)

FUNDING = Table(
    "funding",
    "instrument and settlement or indication",
    ("instrument_id", "kind", "event_at"),
    "event_at",
    ("instrument_id", "kind", "event_at"),
    (
        VENUE,
        UNDERLYING,
        INSTRUMENT_ID,
        Column(
            "kind", pl.String, "Paid, or the venue's forecast.", one_of=("settled", "indicative")
        ),
        EVENT_AT,
        RECEIVED_AT,
        Column(
            "rate", pl.Float64, "Decimal per interval; positive: longs pay shorts.", low=-1, high=1
        ),
        Column(
            "interval_s",
            pl.Int64,
            "Seconds of the interval that ends at the row, as declared by the source; NULL if it declares none.",
            True,
            above=0,
        ),
        MARK_PRICE,
        INDEX_PRICE,
    ),
)

POSITIONS = Table(
    "positions",
    "position of a portfolio from a time until superseded by the portfolio's next state",
    ("portfolio_id", "as_of_at", "instrument_id"),
    "as_of_at",
    ("portfolio_id", "as_of_at", "instrument_id"),
    (
        PORTFOLIO_ID,
        AS_OF_AT,
        VENUE,
        UNDERLYING,
        INSTRUMENT_ID,
        Column(
            "quantity_contracts", pl.Float64, "Signed size in contracts; or quantity_base.", True
        ),
        Column(
            "quantity_base", pl.Float64, "Signed size in base coin; or quantity_contracts.", True
        ),
        Column("entry_price", pl.Float64, "Price paid, quote currency per base.", True, above=0),
        Column("margin_mode", pl.String, "How it is margined.", True, one_of=("cross", "isolated")),
    ),
)

BALANCES = Table(
    "balances",
    "portfolio and coin at a time",
    ("portfolio_id", "as_of_at", "coin"),
    "as_of_at",
    ("portfolio_id", "as_of_at", "coin"),
    (
        PORTFOLIO_ID,
        AS_OF_AT,
        COIN,
        Column("cash", pl.Float64, "Settled cash, units of the coin; may be negative.", True),
        Column("equity", pl.Float64, "Cash plus unrealised profit, units of the coin."),
        Column(
            "haircut", pl.Float64, "Share of value not counted as collateral.", True, low=0, high=1
        ),
    ),
)

BOOKS = Table(
    "books",
    "instrument, snapshot, side and level",
    ("instrument_id", "snapshot_at", "side", "level"),
    "snapshot_at",
    ("instrument_id", "snapshot_at", "side", "level"),
    (
        VENUE,
        UNDERLYING,
        INSTRUMENT_ID,
        SNAPSHOT_AT,
        QUOTED_AT,
        RECEIVED_AT,
        Column("side", pl.String, "Side of the book.", one_of=("bid", "ask")),
        Column("level", pl.Int64, "Place on its side, 1 is the best price.", low=1),
        PRICE,
        QUANTITY_BASE,
    ),
)

OPEN_HIGH_LOW_CLOSE = tuple(
    Column(
        name, pl.Float64, f"{doc}; an index in USD, a volatility an annualised decimal.", above=0
    )
    for name, doc in (
        ("open", "First value of the interval"),
        ("high", "Highest value"),
        ("low", "Lowest value"),
        ("close", "Last value of the interval"),
    )
)
INDEX_ID = INSTRUMENT_ID.named(
    "instrument_id", "`venue:index`, by the venue's own name of the index: deribit:btc_usd."
)
CANDLE_S = Column(
    "interval_s",
    pl.Int64,
    "Seconds of the interval that begins at the row, usable from its end; NULL for one reading.",
    True,
    above=0,
)

INDEX_PRICES = Table(
    "index_prices",
    "index and reading",
    ("instrument_id", "event_at"),
    "event_at",
    ("instrument_id", "event_at"),
    (VENUE, UNDERLYING, INDEX_ID, EVENT_AT, RECEIVED_AT, CANDLE_S, *OPEN_HIGH_LOW_CLOSE),
)

VOLATILITY_INDICES = Table(
    "volatility_indices",
    "volatility index and interval",
    ("instrument_id", "event_at"),
    "event_at",
    ("instrument_id", "event_at"),
    (VENUE, UNDERLYING, INDEX_ID, EVENT_AT, RECEIVED_AT, CANDLE_S, *OPEN_HIGH_LOW_CLOSE),
)

SETTLEMENTS = Table(
    "settlements",
    "instrument and delivery, or daily settlement",
    ("instrument_id", "kind", "event_at"),
    "event_at",
    ("instrument_id", "kind", "event_at"),
    (
        VENUE,
        UNDERLYING,
        INSTRUMENT_ID,
        Column(
            "kind",
            pl.String,
            "Delivered at expiry, or settled for the day.",
            one_of=("delivery", "settlement"),
        ),
        EVENT_AT,
        RECEIVED_AT,
        Column(
            "delivery_price",
            pl.Float64,
            "Price of the underlying at which it was delivered, USD; NULL for daily settlements.",
            True,
            above=0,
        ),
        Column(
            "window_start",
            INSTANT,
            "Start of the window over which that price is averaged, UTC.",
            True,
        ),
        Column("window_end", INSTANT, "End of that window, UTC.", True),
        MARK_PRICE.optional("Mark price of the instrument then, quote currency; options in coin."),
        INDEX_PRICE,
    ),
)

LIQUIDATIONS = Table(
    "liquidations",
    "forced order's print and liquidated side",
    ("instrument_id", "trade_id", "side"),
    "event_at",
    ("instrument_id", "event_at", "trade_id", "side"),
    (
        VENUE,
        UNDERLYING,
        INSTRUMENT_ID,
        Column("trade_id", pl.String, "The venue's id of the print."),
        EVENT_AT,
        RECEIVED_AT,
        Column(
            "side",
            pl.String,
            "Side of the forced order: a buy closes a short.",
            one_of=("buy", "sell"),
        ),
        PRICE,
        QUANTITY_BASE,
        QUANTITY_CONTRACTS,
        NOTIONAL_USD,
    ),
)

LAKE: tuple[Table, ...] = (
    INSTRUMENTS,
    TRADES,
    QUOTES,
    OPTION_QUOTES,
    BOOKS,
    FUNDING,
    LIQUIDATIONS,
    INDEX_PRICES,
    VOLATILITY_INDICES,
    SETTLEMENTS,
    POSITIONS,
    BALANCES,
)


# ---------- operational sources: what the manifests, the gate and publishing know of themselves
TABLE_NAME = Column("table_name", pl.String, "Lake table.")
DAY_AT = Column("day_at", INSTANT, "Start of the UTC day of the partition.")
UNIT = Column(
    "unit",
    pl.String,
    "What is replaced as a whole: an instrument's day or a snapshot; `venue:underlying` tells of all "
    "that was asked of a venue.",
)
ROW_COUNT = Column("row_count", pl.Int64, "Rows.", low=0)
STATUS = Column(
    "status",
    pl.String,
    "complete: proven whole; open: the day goes on; gap: rows known to exist are missing; unprovable: "
    "nothing missing is known, and wholeness is not proven.",
    one_of=("complete", "open", "gap", "unprovable"),
)
SOURCE = Column("source", pl.String, "Which source was decoded, e.g. binance archive trades.")

OPS_MANIFEST = Table(
    "manifest",
    "part of a partition, current or removed by a revision or by compaction",
    ("table_name", "venue", "day_at", "part_name", "added_at"),
    "added_at",
    ("table_name", "venue", "day_at", "added_at", "part_name"),
    (
        TABLE_NAME,
        VENUE,
        DAY_AT,
        Column("part_name", pl.String, "File, relative to the lake."),
        Column("sha256", pl.String, "Digest of the file, hexadecimal."),
        ROW_COUNT,
        Column("byte_count", pl.Int64, "Bytes.", low=0),
        Column("first_event_at", INSTANT, "Earliest row, UTC; NULL when it holds none.", True),
        Column("last_event_at", INSTANT, "Latest row, UTC; NULL when it holds none.", True),
        Column("added_at", INSTANT, "When the part was committed, UTC."),
        Column("removed_at", INSTANT, "When it was replaced, UTC; NULL while it counts.", True),
    ),
)
OPS_COVERAGE = Table(
    "coverage",
    "unit of a partition as it counts now",
    ("table_name", "venue", "day_at", "unit"),
    "day_at",
    ("table_name", "venue", "day_at", "unit"),
    (
        VENUE,
        TABLE_NAME,
        INSTRUMENT_ID.optional(
            "Instrument of the unit; NULL for snapshots, whole answers and portfolios."
        ),
        DAY_AT,
        UNIT,
        STATUS,
        ROW_COUNT,
        SOURCE,
        Column("proof", pl.String, "What the status rests on, in words."),
        Column("raw_sha256", pl.String, "Digests of the raw inputs, comma-separated."),
        Column("committed_at", INSTANT, "When the unit was committed, UTC."),
    ),
)
OPS_REVISIONS = Table(
    "revisions",
    "unit that a later commit replaced, for each time it did",
    ("table_name", "venue", "day_at", "unit", "committed_at", "revised_at"),
    "revised_at",
    ("table_name", "venue", "day_at", "unit", "revised_at", "committed_at"),
    (
        TABLE_NAME,
        VENUE,
        DAY_AT,
        INSTRUMENT_ID.optional(
            "Instrument of the unit; NULL for snapshots, whole answers and portfolios."
        ),
        UNIT,
        Column("committed_at", INSTANT, "When what was replaced had been committed, UTC."),
        Column("revised_at", INSTANT, "When it was replaced, UTC."),
        Column("status_before", pl.String, "Status of what was replaced."),
        Column("status_after", pl.String, "Status of what took its place."),
        Column("row_count_before", pl.Int64, "Rows that were replaced.", low=0),
        Column("row_count_after", pl.Int64, "Rows that took their place.", low=0),
        Column("source_before", pl.String, "Source of what was replaced."),
        Column("source_after", pl.String, "Source of what took its place."),
        Column("raw_sha256_before", pl.String, "Digests of its raw inputs, comma-separated."),
        Column("raw_sha256_after", pl.String, "Digests of the new raw inputs, comma-separated."),
    ),
)
OPS_GAPS = Table(
    "gaps",
    "known hole in the data",
    ("venue", "table_name", "instrument_id", "started_at", "cause", "detail"),
    "started_at",
    ("venue", "table_name", "instrument_id", "started_at", "cause", "detail"),
    (
        VENUE,
        TABLE_NAME,
        INSTRUMENT_ID.named(
            "instrument_id",
            "Instrument that lacks rows; `venue:underlying` where a whole answer is missing.",
        ),
        Column("started_at", INSTANT, "Last row before the hole, or its first instant, UTC."),
        Column("ended_at", INSTANT, "First row after the hole, or its end, UTC."),
        Column(
            "cause",
            pl.String,
            "Why: absent_in_source, sequence_hole, less_than_candle, not_served, source_unavailable, "
            "gate_refused, quarantined, missed_tick, not_retrievable, or unlisted by its unit.",
        ),
        Column("missing_count", pl.Int64, "Rows known to be missing; NULL if unknown.", True),
        Column("detail", pl.String, "The missing range, e.g. ids 17 to 19."),
        Column(
            "repaired_by",
            pl.String,
            "Source of the unit that filled the hole; NULL while it is open.",
            True,
        ),
    ),
)
OPS_QUALITY = Table(
    "quality",
    "expectation and commit of a partition",
    ("table_name", "venue", "day_at", "source_path", "expectation", "column_name"),
    "checked_at",
    ("table_name", "venue", "day_at", "source_path", "expectation", "column_name"),
    (
        TABLE_NAME,
        VENUE,
        DAY_AT,
        Column("source_path", pl.String, "File or request that was checked."),
        Column("expectation", pl.String, "What was expected."),
        Column("column_name", pl.String, "Column it speaks of; empty when of the whole table."),
        Column("is_blocking", pl.Boolean, "Whether a failure stops the unit."),
        Column("is_passed", pl.Boolean, "Whether it held for every row that was kept."),
        Column("evaluated_count", pl.Int64, "Rows looked at.", low=0),
        Column("unexpected_count", pl.Int64, "Rows that broke it; they are in quarantine.", low=0),
        Column("reason", pl.String, "Why it is expected."),
        Column("checked_at", INSTANT, "When it was checked, UTC."),
    ),
)
OPS_QUARANTINE = Table(
    "quarantine",
    "refused row",
    ("source_sha256", "row_number", "reason"),
    "refused_at",
    ("table_name", "venue", "source_path", "row_number"),
    (
        TABLE_NAME,
        VENUE,
        Column("source_path", pl.String, "File the row came from."),
        Column("source_sha256", pl.String, "Digest of that file, hexadecimal."),
        Column(
            "row_number",
            pl.Int64,
            "Place of the row in the file, counted from 1 after the header.",
            low=1,
        ),
        Column("reason", pl.String, "Why it was refused."),
        Column("row_text", pl.String, "The row as it stood."),
        Column("refused_at", INSTANT, "When it was refused, UTC."),
    ),
)
OPS_GENERATIONS = Table(
    "generations",
    "published generation, or event of the pointer",
    ("generation", "event", "published_at"),
    "published_at",
    ("published_at",),
    (
        Column("generation", pl.String, "Name of the generation."),
        Column(
            "event",
            pl.String,
            "What happened.",
            one_of=("published", "rolled_back_to", "as_of_build"),
        ),
        Column("published_at", INSTANT, "When the pointer moved, UTC."),
        Column("as_of_at", INSTANT, "Rows knowable by then are in it, UTC."),
        Column("committed_by_at", INSTANT, "Revisions committed by then are in it, UTC."),
        Column(
            "data_through_at",
            INSTANT,
            "Where the market ends in it, UTC: its last event; NULL while it holds none.",
            True,
        ),
        Column(
            "world_origin",
            pl.String,
            "Where its data come from.",
            one_of=("real", "simulator"),
        ),
        Column(
            "world_mode",
            pl.String,
            "archive: the world ends with its data; live: it goes on, and signals age by the clock.",
            one_of=("archive", "live"),
        ),
        Column("contract_version", pl.Int64, "Version of the contract.", low=1),
    ),
)

OPS: tuple[Table, ...] = (
    OPS_MANIFEST,
    OPS_COVERAGE,
    OPS_REVISIONS,
    OPS_GAPS,
    OPS_QUALITY,
    OPS_QUARANTINE,
    OPS_GENERATIONS,
)

LAKE_TABLES: dict[str, Table] = {table.name: table for table in LAKE}
OPS_TABLES: dict[str, Table] = {table.name: table for table in OPS}
