"""What do perpetuals pay? The venues' dated formulas over the premium that the market showed."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from pipelines.simulator import noise
from pipelines.simulator.paths import premium
from pipelines.simulator.world import DAY_S, Coin, Floats, epoch_us

INTEREST = 0.0001  # per settlement, unscaled
CLAMP = 0.0005
CAP = 0.02  # of a settled rate
DAMPER = 0.00025
DERIBIT_CAP = 0.005  # of the eight-hour rate
INTERVAL_S = 28_800
SCALED_SINCE = datetime(2025, 9, 18, 8, 1, tzinfo=UTC)  # from then on rates shrink with intervals


def settled_rate(average: ArrayLike, hours: int = 8, *, is_scaled: bool = True) -> Floats:
    """Binance: F = [P + clamp(I - P, -0.05 %, +0.05 %)] / (8 / N), within the cap.

    Before 2025-09-18 08:01 UTC there was no division: pass `is_scaled` False.

    >>> settled_rate([0.0002, 0.0015]).round(6)
    array([0.0001, 0.001 ])
    >>> settled_rate([0.0015], 4).round(6)
    array([0.0005])
    """
    p = np.asarray(average, float)
    rate = p + np.clip(INTEREST - p, -CLAMP, CLAMP)
    return np.asarray(np.clip(rate * (hours / 8 if is_scaled else 1.0), -CAP, CAP))


def damped_rate(premium: ArrayLike) -> Floats:
    """Deribit: max(0.025 %, P) + min(-0.025 %, P) per eight hours, paid continuously.

    >>> damped_rate([0.0002, 0.001]).round(6)
    array([0.     , 0.00075])
    """
    p = np.asarray(premium, float)
    return np.clip(np.maximum(DAMPER, p) + np.minimum(-DAMPER, p), -DERIBIT_CAP, DERIBIT_CAP)


def average_premium(premium: Floats) -> float:
    """Time-weighted as the venue does it: the n-th sample of the interval weighs n."""
    weights = np.arange(1, len(premium) + 1)
    return float(premium @ weights / weights.sum())


def settlements(coin: Coin, seed: int, market: str, symbol: str, days: list[date]) -> pl.DataFrame:
    """Binance's settlements whose time lies in `days`: premium_average, rate, event_at.

    A row at midnight pays for the last eight hours of the day before.
    """
    rows = [
        _settlement(coin, seed, market, symbol, day, hour) for day in days for hour in (0, 8, 16)
    ]
    return pl.DataFrame(
        rows,
        schema={
            "instrument_id": pl.String,
            "event_at": pl.Datetime("us", "UTC"),
            "premium_average": pl.Float64,
            "rate": pl.Float64,
        },
        orient="row",
    )


def _settlement(
    coin: Coin, seed: int, market: str, symbol: str, day: date, hour: int
) -> tuple[str, datetime, float, float]:
    lived = day if hour else day - timedelta(days=1)
    end = (hour or 24) * 60
    average = average_premium(premium(coin, seed, lived, market)[end - 480 : end])
    due_us = epoch_us(day) + hour * 3_600_000_000
    jitter_ms = int(12 * noise.uniform(noise.key(seed, symbol, "settlement"), due_us))
    at = datetime.fromtimestamp((due_us + jitter_ms * 1_000) // 1_000 / 1_000, UTC)
    rate = settled_rate(average, is_scaled=at >= SCALED_SINCE)
    instrument = (
        f"binance:{coin.name}/USDT:USDT"
        if market == "um"
        else f"binance:{coin.name}/USD:{coin.name}"
    )
    return instrument, at, average, round(float(rate), 8)


def hourly_interest(coin: Coin, seed: int, days: list[date]) -> Floats:
    """Deribit's interest of each hour of `days`: the eight-hour rate's share, minute by minute."""
    parts = [damped_rate(premium(coin, seed, day, "deribit")[: DAY_S // 60]) for day in days]
    return np.asarray(np.concatenate(parts).reshape(-1, 60).mean(axis=1) / 8)


def month_until(day: date) -> list[date]:
    """The days of the month up to and with this one."""
    return [day.replace(day=n) for n in range(1, day.day + 1)]
