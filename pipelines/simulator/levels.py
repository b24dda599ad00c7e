"""Where does every day begin? The coin's price, variance and premium at each midnight, and counts.

A day is simulated as a bridge between two midnights. So any day can be made alone, whatever range
was asked for, and joins its neighbours: prices, ids and sequences go on where they stopped.
"""

from dataclasses import dataclass
from datetime import date
from functools import cache

import numpy as np

from pipelines.simulator.world import (
    END,
    EPOCH,
    Coin,
    Floats,
    Ints,
    Listing,
    draw_parameters,
    stream,
)

LISTED_AHEAD = 400  # days after the last one, on which something listed before expires
DAYS = (END - EPOCH).days + LISTED_AHEAD
PULL = 1.0  # of the log price to its start, per year: prices stay plausible over the years
FEWEST_TRADES = 600  # a day: with fewer, a neighbour's first hour could be empty and prove nothing
PREMIUM_DEVIATION = 0.00012
VARIANCE_FLOOR = 0.3  # of its mean


@dataclass(frozen=True, slots=True)
class Levels:
    """One value per midnight since the epoch; variance annualised, premium a fraction of spot."""

    log_price: Floats
    variance: Floats
    premium_noise: Floats  # around its mean


@cache
def levels(coin: Coin, seed: int) -> Levels:
    """The midnights of one coin in the world of this seed."""
    p = draw_parameters(coin, seed)
    rng = stream(seed, coin.name, "levels")
    common = stream(seed, "levels").standard_normal(DAYS)
    own = rng.standard_normal((2, DAYS))
    anchor = x = float(np.log(p.start_price))
    v, step = p.variance_mean, 1 / 365
    price, variance = np.empty(DAYS + 1), np.empty(DAYS + 1)
    price[0], variance[0] = x, v
    for i in range(DAYS):
        shock = 0.8 * common[i] + 0.6 * own[0, i]
        turn = p.leverage * shock + np.sqrt(1 - p.leverage**2) * own[1, i]
        x += PULL * step * (anchor - x) + np.sqrt(v * step) * shock
        v += (
            p.reversion * (p.variance_mean - v) * step
            + p.vol_of_variance * np.sqrt(v * step) * turn
        )
        v = max(v, VARIANCE_FLOOR * p.variance_mean)
        price[i + 1], variance[i + 1] = x, v
    return Levels(price, variance, PREMIUM_DEVIATION * rng.standard_normal(DAYS + 1))


def place(day: date) -> int:
    """Days since the epoch. Raises ValueError where the world knows of no such day."""
    days = (day - EPOCH).days
    if not 0 <= days < DAYS:
        raise ValueError(f"world: day was {day}; it has {EPOCH} to {END}, the end excluded")
    return days


@cache
def daily_counts(listing: Listing, seed: int, size: float) -> Ints:
    """Prints of the market on each day since the epoch; none before listing or after expiry."""
    rng = stream(seed, listing.market, listing.symbol, "counts")
    variance = levels(listing.coin, seed).variance[:DAYS]
    busy = np.sqrt(variance / variance.mean()) * np.exp(0.15 * rng.standard_normal(DAYS))
    usual = max(listing.daily_trades * size, FEWEST_TRADES if listing.expires is None else 40)
    counts = np.round(usual * np.clip(busy, 0.92, 1.6)).astype(np.int64)
    counts[: place(listing.listed)] = 0
    if listing.expires is not None:
        last = place(listing.expires)
        counts[last] //= 3  # trading ends at eight
        counts[last + 1 :] = 0
    return np.asarray(counts)


@cache
def first_ids(listing: Listing, seed: int, size: float) -> Ints:
    """Sequence of the first print of each day since the epoch, and of the day after the last."""
    counts = daily_counts(listing, seed, size)
    return np.asarray(listing.first_id + np.concatenate([[0], np.cumsum(counts)]))
