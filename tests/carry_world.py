"""Thirty hours of one coin at two venues, made so that basis, curve and carry are known beforehand.

Spot trades against USDT, which loses 2 % of its dollar at hour 15; deribit's contracts are in
dollars. Forwards are spot times exp(rate x T), with the rate of `planted_rate`.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Any

import duck_sql
import duckdb
import numpy as np
import polars as pl

START = datetime(2026, 3, 1)  # noqa: DTZ001
HOURS = 30
STEP = timedelta(minutes=15)
MARKS = [START + STEP * n for n in range(1, 4 * HOURS + 1)]
DEPEG_AT, DEPEGGED = START + timedelta(hours=15), 0.98
HALF_SPREAD = 2e-4
PREMIUM = {"binance:X/USDT:USDT": 3e-4, "deribit:X/USD:X": 5e-4}
EXPIRIES = {
    f"deribit:X/USD:X-{at:%y%m%d}": at
    for at in (datetime(2026, 3, d, 8) for d in (1, 2, 6, 20))  # noqa: DTZ001
} | {
    f"deribit:X/USD:X-{at:%y%m%d}": at
    for at in (datetime(2026, m, 26, 8) for m in (4, 6, 9))  # noqa: DTZ001
}
LONE = "binance:X/USDT:USDT-260626"  # the only future of its venue
SPOT, PEG = "binance:X/USDT", "kraken:USDT/USD"
MARKET = "okx:Y/USD:Y"  # whose index follows no spot
YEAR = timedelta(days=365)

SEEDS = (
    "quote_assets",
    "basis_rules",
    "fees",
    "margins",
    "borrow_rates",
    "carry_rules",
    "funding_intervals",
    "funding_rules",
)
MODELS = (
    "int_basis_quotes",
    "int_spot_prices",
    "int_stablecoin_rates",
    "basis",
    "basis_curve",
    "roll_calendar",
    "int_carry_legs",
    "int_carry_ladder",
    "int_carry_funding",
    "int_indications",
    "int_funding_known",
    "int_carry_indications",
    "int_carry_positions",
    "int_carry_rungs",
    "int_carry_costs",
    "net",
    "effectiveness",
)
NAIVE = pl.Datetime("us")
QUOTES = pl.Schema(
    {
        "venue": pl.String,
        "underlying": pl.String,
        "instrument_id": pl.String,
        "snapshot_at": NAIVE,
        "received_at": NAIVE,
        "available_at": NAIVE,
        "is_availability_assumed": pl.Boolean,
        "is_every_update": pl.Boolean,
        "bid_price": pl.Float64,
        "ask_price": pl.Float64,
        "mid_price": pl.Float64,
        "mark_price": pl.Float64,
        "last_price": pl.Float64,
        "index_price": pl.Float64,
    }
)
TRADES = pl.Schema(
    {
        "venue": pl.String,
        "underlying": pl.String,
        "instrument_id": pl.String,
        "snapshot_at": NAIVE,
        "kind": pl.String,
        "base": pl.String,
        "quote": pl.String,
        "contract_type": pl.String,
        "expires_at": NAIVE,
        "close_price": pl.Float64,
        "traded_at": NAIVE,
        "available_at": NAIVE,
        "is_availability_assumed": pl.Boolean,
    }
)


def planted_rate(t_years: float) -> float:
    """Continuously compounded, annualised."""
    return 0.05 + 0.02 * t_years


def dollars(at: datetime) -> float:
    """The coin in dollars: a walk of 40 bps a step that a seed fixes."""
    return float(WALK[MARKS.index(at)])


WALK = 100 * np.exp(np.cumsum(np.random.default_rng(7).normal(0, 4e-3, len(MARKS))))


def usdt(at: datetime) -> float:
    """One USDT in dollars."""
    return DEPEGGED if at >= DEPEG_AT else 1.0


def forward(at: datetime, expires_at: datetime) -> float:
    """Dollars per coin."""
    t = (expires_at - at) / YEAR
    return dollars(at) * float(np.exp(planted_rate(t) * t))


def quote(instrument: str, at: datetime, mid: float, **more: Any) -> dict[str, Any]:
    """A two-sided quote a second before the mark, known at once."""
    half = HALF_SPREAD * mid
    venue, symbol = instrument.split(":", 1)
    seen = at - timedelta(seconds=1)
    return {
        "venue": venue,
        "underlying": symbol.split("/")[0],
        "instrument_id": instrument,
        "snapshot_at": seen,
        "available_at": seen,
        "is_availability_assumed": False,
        "bid_price": mid - half,
        "ask_price": mid + half,
        "mid_price": mid,
    } | more


def quotes() -> Iterator[dict[str, Any]]:
    """Every market at every mark, but for what `holes` leave out."""
    for at in MARKS:
        coin, peg = dollars(at), usdt(at)
        yield quote(SPOT, at, coin / peg)
        yield quote(PEG, at, peg)
        for instrument, premium in PREMIUM.items():
            own = peg if "USDT" in instrument else 1.0
            yield quote(instrument, at, coin * (1 + premium) / own)
        for instrument, expires_at in EXPIRIES.items():
            # One that has expired is still quoted for a while.
            if at < expires_at + timedelta(hours=1):
                yield quote(instrument, at, forward(at, expires_at))
        yield quote(LONE, at, forward(at, EXPIRIES["deribit:X/USD:X-260626"]) / peg)
        yield quote(MARKET, at, 50.0, index_price=48.0)
        yield quote("okx:Y/USD", at, 50.0)


NAMES = (SPOT, PEG, *PREMIUM, *EXPIRIES, LONE, MARKET, "okx:Y/USD")


def instruments(names: Iterable[str] = NAMES) -> pl.DataFrame:
    """What each is, for ever."""
    rows = []
    for name in names:
        base, rest = name.split(":", 1)[1].split("/")
        money, _, settled = rest.partition(":")
        settle, _, date = settled.partition("-")
        rows.append(
            {
                "instrument_id": name,
                "kind": "future" if date else "perp" if settle else "spot",
                "base": base,
                "quote": money,
                "contract_type": ("inverse" if settle == base else "linear") if settle else None,
                "expires_at": datetime.strptime(date + "08", "%y%m%d%H") if date else None,  # noqa: DTZ007
                "valid_from": datetime(2020, 1, 1),  # noqa: DTZ001
                "valid_to": datetime(2100, 1, 1),  # noqa: DTZ001
            }
        )
    return pl.DataFrame(rows, schema_overrides={"expires_at": NAIVE})


def funding() -> pl.DataFrame:
    """Forty days before the start: binance pays every 8 h, deribit every hour half as much."""
    rows = []
    for instrument, interval_h, rate in (
        ("binance:X/USDT:USDT", 8, 2e-4),
        ("deribit:X/USD:X", 1, 1e-4 / 8),
    ):
        for n in range(40 * 24 // interval_h):
            at = START - timedelta(hours=interval_h * n) + timedelta(milliseconds=4)
            if instrument.startswith("binance") and n == 10:
                continue  # a settlement that was lost
            rows.append(
                {
                    "venue": instrument.split(":")[0],
                    "underlying": "X",
                    "instrument_id": instrument,
                    "event_at": at,
                    # every third settlement pays a tenth
                    "rate": rate * (0.1 if (n * interval_h // 8) % 3 == 0 else 1.0),
                    "interval_s": 3600 * interval_h,
                    "rate_available_at": at + timedelta(seconds=15),
                    "available_at": at + timedelta(seconds=15),
                    "quality_flags": ["missing_settlement"] if n == 9 else [],
                    "apr": rate * 8760 / interval_h,
                    "is_capped": False,
                }
            )
    return pl.DataFrame(rows).sort("instrument_id", "event_at")


def ladder() -> pl.DataFrame:
    """Books of the binance markets: slippage grows by the root of the size."""
    rows = [
        {
            "instrument_id": instrument,
            "side": side,
            "notional_usd": size,
            "snapshot_at": at,
            "slippage_bps": 1e4 * HALF_SPREAD + 0.2 * np.sqrt(size) if size < 1e6 else None,
            "book_status": "ok",
            "available_at": at,
        }
        for at in MARKS[3::4]
        for instrument in (SPOT, "binance:X/USDT:USDT", LONE)
        for side in ("buy", "sell")
        for size in (1e4, 1e5, 2.5e5, 1e6)
    ]
    return pl.DataFrame(rows)


def world(
    rows: list[dict[str, Any]],
    as_of: datetime | None = None,
    names: Iterable[str] = NAMES,
    pays: float = 1,
) -> duckdb.DuckDBPyConnection:
    """Marts over quotes, knowing what could be known by `as_of`; funding pays so often its own."""
    until = as_of or datetime(9999, 12, 31)  # noqa: DTZ001
    known = pl.col("available_at") <= until
    indicative = (
        funding()
        .with_columns(kind=pl.lit("indicative"), is_availability_assumed=pl.lit(value=False))
        .clear()
    )
    frames = {
        "stg_quotes": pl.DataFrame(rows, schema=QUOTES).filter(known),
        "stg_instruments": instruments(names),
        "int_basis_trades": pl.DataFrame(schema=TRADES),
        "funding": funding().with_columns(pl.col("rate", "apr") * pays).filter(known),
        "stg_funding": indicative,
        "slippage_ladder": ladder().filter(known),
    }
    return duck_sql.world(frames, SEEDS, MODELS, str(until))


def recorded_futures(quotes: pl.DataFrame) -> duckdb.DuckDBPyConnection:
    """Basis, curve and rolls of one snapshot of Deribit's bitcoin futures, as Tardis spells it."""
    rows = []
    for symbol, stamp, bid, ask in quotes.select(
        "symbol", "timestamp", "bid_price", "ask_price"
    ).iter_rows():
        date = symbol.removeprefix("BTC-")
        expiry = "" if date == "PERPETUAL" else f"-{datetime.strptime(date, '%d%b%y'):%y%m%d}"  # noqa: DTZ007
        at = datetime(1970, 1, 1) + timedelta(microseconds=stamp)  # noqa: DTZ001
        own = quote(f"deribit:BTC/USD:BTC{expiry}", at, (bid + ask) / 2)
        rows.append(own | {"bid_price": bid, "ask_price": ask})
    frames = {
        "stg_quotes": pl.DataFrame(rows, schema=QUOTES),
        "stg_instruments": instruments([row["instrument_id"] for row in rows]),
        "int_basis_trades": pl.DataFrame(schema=TRADES),
    }
    return duck_sql.world(frames, SEEDS, MODELS[:6])


def recorded_books(books: dict[str, pl.DataFrame]) -> duckdb.DuckDBPyConnection:
    """The basis per minute of best quotes whose stamps are in milliseconds, by instrument."""
    milliseconds = pl.Datetime("ms")
    parts = [
        book.select(
            venue=pl.lit("binance"),
            underlying=pl.lit("BTC"),
            instrument_id=pl.lit(instrument),
            snapshot_at=pl.col("exch_ts_ms").cast(milliseconds).cast(NAIVE),
            received_at=pl.col("ts_ms").cast(milliseconds).cast(NAIVE),
            available_at=pl.max_horizontal("exch_ts_ms", "ts_ms").cast(milliseconds).cast(NAIVE),
            is_availability_assumed=pl.lit(value=False),
            is_every_update=pl.lit(value=False),
            bid_price="best_bid",
            ask_price="best_ask",
            mid_price=(pl.col("best_bid") + pl.col("best_ask")) / 2,
            mark_price=pl.lit(None, dtype=pl.Float64),
            last_price=pl.lit(None, dtype=pl.Float64),
            index_price=pl.lit(None, dtype=pl.Float64),
        )
        for instrument, book in books.items()
    ]
    frames = {
        "stg_quotes": pl.concat(parts),
        "stg_instruments": instruments(books),
        "int_basis_trades": pl.DataFrame(schema=TRADES),
    }
    return duck_sql.world(frames, SEEDS, (*MODELS[:3], "basis_1m"))
