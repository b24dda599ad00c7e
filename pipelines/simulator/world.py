"""Which coins, markets and episodes does the embedded world have, and with which parameters?"""

import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY_S = 86_400
YEAR_S = 31_536_000
EPOCH = date(2019, 1, 1)  # the world's first day
END = date(2036, 1, 1)  # and the one after its last


@dataclass(frozen=True, slots=True)
class Coin:
    """What the venues fix about a coin: ticks in quote currency, sizes in coin or US dollars."""

    name: str
    start_low: float
    start_high: float
    perpetual_tick: float
    future_tick: float
    perpetual_contract_usd: int
    option_lot: float
    strike_steps: tuple[int, ...]
    median_size: float
    vol_low: float
    vol_high: float


BTC = Coin(
    "BTC", 60_000, 90_000, 0.5, 2.5, 10, 0.1, (250, 500, 1_000, 2_000, 5_000, 10_000), 0.01, 0.38,
    0.55,
)  # fmt: skip
ETH = Coin("ETH", 1_900, 3_200, 0.05, 0.25, 1, 1.0, (5, 10, 25, 50, 100, 200), 0.2, 0.5, 0.75)
COINS = (BTC, ETH)


@dataclass(frozen=True, slots=True)
class Listing:
    """One market whose prints are simulated. `lot` is in coin, for cm and deribit in contracts."""

    market: str  # spot, um, cm: Binance's archive folders; deribit
    coin: Coin
    symbol: str
    instrument_id: str
    tick: float
    lot: float
    contract_usd: int  # 0 where sizes are in coin
    daily_trades: int
    first_id: int
    listed: date = EPOCH
    expires: date | None = None  # of a dated future, at 08:00 UTC


# the markets that are written as archive files, and those whose flow moves prices among them
LISTINGS = (
    Listing("spot", BTC, "BTCUSDT", "binance:BTC/USDT", 0.01, 1e-5, 0, 84_000, 6_012_345_000),
    Listing("um", BTC, "BTCUSDT", "binance:BTC/USDT:USDT", 0.1, 1e-3, 0, 114_000, 1_412_345_000),
    Listing("cm", BTC, "BTCUSD_PERP", "binance:BTC/USD:BTC", 0.1, 1, 100, 8_000, 212_345_000),
    Listing("spot", ETH, "ETHUSDT", "binance:ETH/USDT", 0.01, 1e-4, 0, 48_000, 3_312_345_000),
    Listing("um", ETH, "ETHUSDT", "binance:ETH/USDT:USDT", 0.01, 1e-3, 0, 68_000, 812_345_000),
    Listing("deribit", BTC, "BTC-PERPETUAL", "deribit:BTC/USD:BTC", 0.5, 1, 10, 9_000, 1_234_500),
    Listing("deribit", ETH, "ETH-PERPETUAL", "deribit:ETH/USD:ETH", 0.05, 1, 1, 7_000, 1_234_500),
)
MAKERS = ("spot", "um")  # of prices: net taker flow in these markets moves the coin
PLACEBOS = ("one_sided", "volume", "volatility")  # one of each a day


@dataclass(frozen=True, slots=True)
class Episode:
    """A while that looks unusual; only an informed one moves the price. Seconds after midnight.

    `kind` is informed (one-sided orders of those who know where the price goes), or one of three
    placebos: one_sided (orders of somebody who knows nothing), volume (many orders on both sides)
    or volatility (the price swings, and nobody knew).
    """

    coin: str
    is_informed: bool
    kind: str
    direction: int
    start_s: int
    end_s: int
    log_move: float


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the seed decides about one coin for ever. Vols and rates are annualised decimals."""

    start_price: float
    variance_mean: float
    reversion: float  # of variance, per year
    vol_of_variance: float
    leverage: float  # correlation of price and variance shocks
    premium_mean: float
    carry_long: float
    carry_short: float
    weights: Floats  # of the mixture's components
    shifts: Floats  # their means, in units of total standard deviation
    widths: Floats  # their standard deviations, in the same units


@dataclass(frozen=True, slots=True)
class Plan:
    """What is planted in one day of a coin."""

    impact: Floats  # multiplier of price impact, per hour; nothing in some hours
    premium_shock: float  # to the perpetuals' premium, for four hours; zero on quiet days
    shock_start_s: int
    episodes: tuple[Episode, ...]


def stream(seed: int, *names: str) -> np.random.Generator:
    """An independent generator per purpose, so that one more draw here moves nothing there."""
    return np.random.Generator(np.random.PCG64([seed, zlib.crc32("/".join(names).encode())]))


@cache
def draw_parameters(coin: Coin, seed: int) -> Parameters:
    """The parameters of one coin in the world of this seed."""
    rng = stream(seed, coin.name, "parameters")
    vol = rng.uniform(coin.vol_low, coin.vol_high)
    crash, boom = rng.uniform(0.10, 0.18), rng.uniform(0.10, 0.20)
    return Parameters(
        start_price=float(np.round(rng.uniform(coin.start_low, coin.start_high), 2)),
        variance_mean=float(vol**2),
        reversion=float(rng.uniform(12, 24)),
        vol_of_variance=float(rng.uniform(0.8, 1.4)),
        leverage=float(rng.uniform(-0.6, -0.2)),
        premium_mean=float(rng.uniform(-0.0001, 0.0004)),
        carry_long=float(rng.uniform(0.03, 0.08)),
        carry_short=float(rng.uniform(-0.02, 0.05)),
        weights=np.array([1 - crash - boom, crash, boom]),
        shifts=np.array([0.0, rng.uniform(-1.5, -1.0), rng.uniform(0.5, 1.1)]),
        widths=np.array([rng.uniform(0.72, 0.85), rng.uniform(1.2, 1.5), rng.uniform(1.0, 1.3)]),
    )


@cache
def draw_plan(coin: Coin, day: date, seed: int) -> Plan:
    """One day's plan: four hours without impact, a premium shock, six episodes.

    A fifth of the days has no shock, a fifth one that the funding clamp hides.
    """
    rng = stream(seed, coin.name, "plan", day.isoformat())
    impact = rng.uniform(0.5, 1.5, 24)
    impact[rng.choice(24, 4, replace=False)] = 0.0
    size = rng.choice([0.0, 0.0004, 0.0014, 0.0017, 0.0020])
    return Plan(
        impact=impact,
        premium_shock=float(rng.choice([-1, 1]) * size),
        shock_start_s=int(rng.integers(9 * 3_600, 12 * 3_600)),
        episodes=_episodes(rng, coin, impact),
    )


def _episodes(rng: np.random.Generator, coin: Coin, impact: Floats) -> tuple[Episode, ...]:
    """Three informed bursts and one placebo of each kind, in hours of their own with impact."""
    hours = [h for h in range(1, 23) if impact[h] > 0]
    episodes = []
    for place, hour in enumerate(rng.permutation(hours)[:6]):
        start_s = int(hour) * 3_600 + int(rng.integers(120, 1_800))
        episodes.append(
            Episode(
                coin=coin.name,
                is_informed=place < 3,
                kind="informed" if place < 3 else PLACEBOS[place - 3],
                direction=int(rng.choice([-1, 1])),
                start_s=start_s,
                end_s=start_s + int(rng.integers(600, 1_500)),
                log_move=float(rng.uniform(0.003, 0.005)) if place < 3 else 0.0,
            )
        )
    return tuple(sorted(episodes, key=lambda e: e.start_s))


def instant(day: date, second: float) -> datetime:
    """The UTC instant `second` seconds after the day's midnight, to the microsecond."""
    midnight = datetime.combine(day, time(), UTC)
    return midnight + timedelta(microseconds=round(second * 1e6))


def epoch_us(day: date) -> int:
    """Microseconds from 1970 to the day's midnight, UTC."""
    return (day - date(1970, 1, 1)).days * DAY_S * 1_000_000
