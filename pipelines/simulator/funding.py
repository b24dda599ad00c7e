"""What do perpetuals pay? The venues' formulas over the premium that the market showed."""

from datetime import date

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from pipelines.simulator.paths import MINUTES, State
from pipelines.simulator.world import DAY_S, Floats, epoch_us, stream

INTEREST = 0.0001  # per settlement, unscaled
CLAMP = 0.0005
DAMPER = 0.00025
INTERVAL_S = 28_800


def settled_rate(premium: ArrayLike) -> Floats:
    """Binance: F = P + clamp(I - P, -0.05 %, +0.05 %) per eight hours.

    >>> settled_rate([0.0002, 0.0015]).round(6)
    array([0.0001, 0.001 ])
    """
    p = np.asarray(premium, float)
    return np.asarray(p + np.clip(INTEREST - p, -CLAMP, CLAMP))


def damped_rate(premium: ArrayLike) -> Floats:
    """Deribit: max(0.025 %, P) + min(-0.025 %, P) per eight hours, paid continuously.

    >>> damped_rate([0.0002, 0.001]).round(6)
    array([0.     , 0.00075])
    """
    p = np.asarray(premium, float)
    return np.asarray(np.maximum(DAMPER, p) + np.minimum(-DAMPER, p))


def average_premium(premium: Floats) -> float:
    """Time-weighted as the venue does it: the n-th sample of the interval weighs n."""
    weights = np.arange(1, len(premium) + 1)
    return float(premium @ weights / weights.sum())


def settlements(state: State, seed: int, day: date) -> pl.DataFrame:
    """Every settlement of the month until the day's end: premium_average, rate, event_at.

    Intervals that end inside the day average the simulated premium; earlier ones are drawn.
    """
    rng = stream(seed, state.coin.name, "funding")
    past = (day.day - 1) * DAY_S // INTERVAL_S + 1  # including the day's own midnight
    drawn = state.parameters.premium_mean + 0.0003 * rng.standard_normal(past)
    premium = state.premium["um"]
    lived = [
        average_premium(premium[(end_s - INTERVAL_S <= MINUTES) & (end_s > MINUTES)])
        for end_s in range(INTERVAL_S, DAY_S, INTERVAL_S)
    ]
    average = np.concatenate([drawn, lived])
    due_s = INTERVAL_S * (np.arange(len(average)) + 1 - past)
    jitter_ms = rng.integers(0, 12, len(average))
    stamps = epoch_us(day) + due_s * 1_000_000 + jitter_ms * 1_000
    return pl.DataFrame(
        {
            "instrument_id": pl.repeat(
                f"binance:{state.coin.name}/USDT:USDT", len(average), eager=True
            ),
            "event_at": pl.Series(stamps).cast(pl.Datetime("us", "UTC")),
            "premium_average": average,
            "rate": settled_rate(average).round(8),
        }
    )
