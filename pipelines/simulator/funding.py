"""What do perpetuals pay? The venues' dated formulas over the premium that the market showed."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from pipelines.simulator import noise
from pipelines.simulator.paths import premium
from pipelines.simulator.world import DAY_S, Coin, Floats, Listing, epoch_us

INTEREST = 0.0001  # per settlement, unscaled
CLAMP = 0.0005
CAP = 0.02  # of a settled rate
DAMPER = 0.00025
DERIBIT_CAP = 0.005  # of the eight-hour rate
ADJUSTED = "binance:ETH/USDT:USDT"
EPOCH_AT = datetime(1970, 1, 1, tzinfo=UTC)
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
    rate = np.maximum(DAMPER, p) + np.minimum(-DAMPER, p)
    return np.asarray(np.clip(rate, -DERIBIT_CAP, DERIBIT_CAP))


def average_premium(premium: Floats) -> float:
    """Time-weighted as the venue does it: the n-th sample of the interval weighs n."""
    weights = np.arange(1, len(premium) + 1)
    return float(premium @ weights / weights.sum())


def is_adjustable(listing: Listing) -> bool:
    """Whether the venue sometimes changes the market's interval: one perpetual of each world."""
    return listing.instrument_id == ADJUSTED


def interval_hours(seed: int, listing: Listing, day: date) -> int:
    """Hours between settlements on a day: in some months four hours for a week, else eight."""
    if not is_adjustable(listing) or not 12 <= day.day < 19:
        return 8
    drawn = float(noise.uniform(noise.key(seed, "interval"), day.year * 12 + day.month))
    return 4 if drawn < 0.3 else 8


def settlements(seed: int, listing: Listing, days: list[date]) -> pl.DataFrame:
    """Binance's settlements whose time lies in `days`: premium_average, rate, event_at.

    A row at midnight pays for the last hours of the day before.
    """
    rows = [
        _settlement(seed, listing, day, hour)
        for day in days
        for hour in range(0, 24, interval_hours(seed, listing, day))
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
    seed: int, listing: Listing, day: date, hour: int
) -> tuple[str, datetime, float, float]:
    lived = day if hour else day - timedelta(days=1)
    hours = interval_hours(seed, listing, lived)
    end = (hour or 24) * 60
    path = premium(listing.coin, seed, lived, listing.market)[end - 60 * hours : end]
    average = average_premium(path)
    due_us = epoch_us(day) + hour * 3_600_000_000
    drawn = noise.uniform(noise.key(seed, listing.market, listing.symbol, "settlement"), due_us)
    at = EPOCH_AT + timedelta(microseconds=due_us + int(12 * drawn) * 1_000)
    rate = float(settled_rate(average, hours, is_scaled=at >= SCALED_SINCE))
    return listing.instrument_id, at, average, round(rate, 8)


def hourly_interest(coin: Coin, seed: int, days: list[date]) -> Floats:
    """Deribit's interest of each hour of `days`: the eight-hour rate's share, minute by minute."""
    parts = [damped_rate(premium(coin, seed, day, "deribit")[: DAY_S // 60]) for day in days]
    return np.asarray(np.concatenate(parts).reshape(-1, 60).mean(axis=1) / 8)


def month_until(day: date) -> list[date]:
    """The days of the month up to and with this one."""
    return [day.replace(day=n) for n in range(1, day.day + 1)]
