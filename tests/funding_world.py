"""Funding as staging would show it: of seven venues as recorded, and of markets made by hand."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import duck_sql
import duckdb
import polars as pl

NAIVE = pl.Datetime("us")
SEEDS = ("funding_formulas", "funding_caps", "funding_intervals", "funding_rules", "fees")
MODELS = ("int_settlements", "funding", "funding_anomalies")
HOURLY = (*MODELS, "int_indications", "int_funding_known", "int_open_interest", "funding_1h")
NO_QUOTES = pl.DataFrame(
    schema={
        "instrument_id": pl.String,
        "snapshot_at": NAIVE,
        "available_at": NAIVE,
        "open_interest_usd": pl.Float64,
    }
)
QUOTED = {"binance": "USDT", "bybit": "USDT", "okx": "USDT", "hyperliquid": "USDC"}
FUNDING = pl.Schema(
    {
        "venue": pl.String,
        "underlying": pl.String,
        "instrument_id": pl.String,
        "kind": pl.String,
        "event_at": NAIVE,
        "received_at": NAIVE,
        "available_at": NAIVE,
        "is_availability_assumed": pl.Boolean,
        "rate": pl.Float64,
        "interval_s": pl.Int64,
    }
)


def identity(venue: str, coin: str) -> str:
    """The perpetual of a coin that a venue is known for."""
    quote = QUOTED.get(venue, "USD")
    return f"{venue}:{coin}/{quote}:{quote}"


def recorded_rates(folder: Path) -> pl.DataFrame:
    """The recorded settlements; no interval is declared, as in the file."""
    found = pl.read_parquet(folder / "funding" / "funding_7_venues_2025-03_2026-01.parquet")
    return staged(
        found.rename({"coin": "underlying", "funding_rate": "rate"}).with_columns(
            event_at=pl.col("timestamp").dt.replace_time_zone(None),
        )
    )


def staged(rows: pl.DataFrame) -> pl.DataFrame:
    """Settlements in the form of stg_funding: known a minute after they happened."""
    names = [identity(v, c) for v, c in rows.select("venue", "underlying").iter_rows()]
    filled = rows.with_columns(
        pl.Series("instrument_id", names, pl.String),
        kind=pl.lit("settled"),
        received_at=pl.lit(None, NAIVE),
        available_at=pl.col("event_at") + timedelta(seconds=60),
        is_availability_assumed=pl.lit(True),
    )
    absent = [n for n in FUNDING if n not in filled.columns]
    missing = [pl.lit(None, FUNDING[n]).alias(n) for n in absent]
    return filled.with_columns(missing).select(pl.col(n).cast(t) for n, t in FUNDING.items())


def settled(
    rates: Sequence[float],
    *,
    hours: int = 8,
    venue: str = "v",
    start: datetime = datetime(2026, 1, 1),  # noqa: DTZ001
    interval_s: int | None = None,
) -> pl.DataFrame:
    """Settlements of one market made by hand, `hours` apart."""
    at = [start + timedelta(hours=hours * n) for n in range(len(rates))]
    rows = {"venue": venue, "underlying": "X", "event_at": at, "rate": rates}
    rows |= {"interval_s": [interval_s] * len(at)}
    return staged(pl.DataFrame(rows, schema_overrides={"interval_s": pl.Int64, "event_at": NAIVE}))


def instruments(funding: pl.DataFrame) -> pl.DataFrame:
    """The perpetuals named in `funding`, all linear."""
    rows = funding.select("venue", "underlying", "instrument_id").unique()
    return rows.with_columns(
        kind=pl.lit("perp"), base=pl.col("underlying"), contract_type=pl.lit("linear")
    )


def built(
    funding: pl.DataFrame, models: Sequence[str] = MODELS, **frames: pl.DataFrame
) -> duckdb.DuckDBPyConnection:
    """The carry models over `funding`."""
    given = {"stg_funding": funding, "stg_instruments": instruments(funding), **frames}
    return duck_sql.world(given, SEEDS, models)


def recorded_open_interest(folder: Path) -> pl.DataFrame:
    """The recorded open interest in the form of stg_quotes, known five seconds after its stamp."""
    found = pl.read_parquet(folder / "funding" / "open_interest_2025-12_2026-01.parquet")
    names = [identity(v, c) for v, c in found.select("venue", "coin").iter_rows()]
    at = pl.col("timestamp").dt.replace_time_zone(None)
    return found.select(
        pl.Series("instrument_id", names, pl.String),
        at.alias("snapshot_at"),
        (at + timedelta(seconds=5)).alias("available_at"),
        pl.col("oi_usd").alias("open_interest_usd"),
    )
