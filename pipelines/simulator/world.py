"""Which coins, markets and episodes does the embedded world have, and with which parameters?"""

import zlib
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

DAY_S = 86_400
YEAR_S = 31_536_000
MARGIN_S = 3_600  # simulated on both sides of the day, so that its neighbours have edges to write
FIRST_S, LAST_S = -MARGIN_S, DAY_S + MARGIN_S


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


LISTINGS = (
    Listing("spot", BTC, "BTCUSDT", "binance:BTC/USDT", 0.01, 1e-5, 0, 84_000, 6_012_345_000),
    Listing("um", BTC, "BTCUSDT", "binance:BTC/USDT:USDT", 0.1, 1e-3, 0, 114_000, 7_412_345_000),
    Listing("cm", BTC, "BTCUSD_PERP", "binance:BTC/USD:BTC", 0.1, 1, 100, 8_000, 1_112_345_000),
    Listing("spot", ETH, "ETHUSDT", "binance:ETH/USDT", 0.01, 1e-4, 0, 48_000, 3_312_345_000),
    Listing("um", ETH, "ETHUSDT", "binance:ETH/USDT:USDT", 0.01, 1e-3, 0, 68_000, 6_812_345_000),
    Listing("deribit", BTC, "BTC-PERPETUAL", "deribit:BTC/USD:BTC", 0.5, 1, 10, 9_000, 391_234_500),
    Listing("deribit", ETH, "ETH-PERPETUAL", "deribit:ETH/USD:ETH", 0.05, 1, 1, 7_000, 271_234_500),
)


@dataclass(frozen=True, slots=True)
class Episode:
    """A burst of one-sided orders; only an informed one moves the price. Seconds after midnight."""

    coin: str
    is_informed: bool
    direction: int
    start_s: int
    end_s: int
    log_move: float


@dataclass(frozen=True, slots=True)
class Parameters:
    """What the seed decides about one coin. Vols and rates are annualised decimals."""

    start_price: float
    variance_start: float
    variance_mean: float
    reversion: float  # of variance, per year
    vol_of_variance: float
    leverage: float  # correlation of price and variance shocks
    premium_mean: float
    premium_shock: float
    shock_start_s: int
    carry_long: float
    carry_short: float
    weights: Floats  # of the mixture's components
    shifts: Floats  # their means, in units of total standard deviation
    widths: Floats  # their standard deviations, in the same units
    impact: Floats  # hourly multiplier of price impact over the whole simulated span


def stream(seed: int, *names: str) -> np.random.Generator:
    """An independent generator per purpose, so that one more draw here moves nothing there."""
    return np.random.Generator(np.random.PCG64([seed, zlib.crc32("/".join(names).encode())]))


def draw_parameters(coin: Coin, seed: int) -> Parameters:
    """The parameters of one coin in the world of this seed."""
    rng = stream(seed, coin.name, "parameters")
    vol = rng.uniform(coin.vol_low, coin.vol_high)
    hours = (LAST_S - FIRST_S) // 3_600
    impact = rng.uniform(0.5, 1.5, hours)
    impact[rng.choice(np.arange(1, hours - 1), 4, replace=False)] = 0.0
    crash, boom = rng.uniform(0.10, 0.18), rng.uniform(0.10, 0.20)
    return Parameters(
        start_price=float(np.round(rng.uniform(coin.start_low, coin.start_high), 2)),
        variance_start=float((vol * rng.uniform(0.85, 1.25)) ** 2),
        variance_mean=float(vol**2),
        reversion=float(rng.uniform(12, 24)),
        vol_of_variance=float(rng.uniform(1.2, 2.0)),
        leverage=float(rng.uniform(-0.6, -0.2)),
        premium_mean=float(rng.uniform(-0.0001, 0.0004)),
        premium_shock=float(rng.choice([-1, 1]) * rng.uniform(0.0012, 0.0020)),
        shock_start_s=int(rng.integers(9 * 3_600, 12 * 3_600)),
        carry_long=float(rng.uniform(0.03, 0.08)),
        carry_short=float(rng.uniform(-0.02, 0.05)),
        weights=np.array([1 - crash - boom, crash, boom]),
        shifts=np.array([0.0, rng.uniform(-1.5, -1.0), rng.uniform(0.5, 1.1)]),
        widths=np.array([rng.uniform(0.72, 0.85), rng.uniform(1.2, 1.5), rng.uniform(1.0, 1.3)]),
        impact=impact,
    )


def draw_episodes(coin: Coin, parameters: Parameters, seed: int) -> tuple[Episode, ...]:
    """Three informed bursts and as many placebos, each in an hour of its own that has impact."""
    rng = stream(seed, coin.name, "episodes")
    margin = MARGIN_S // 3_600
    hours = [h for h in range(1, 24) if parameters.impact[h + margin] > 0]
    episodes = []
    for place, hour in enumerate(rng.permutation(hours)[:6]):
        start_s = int(hour) * 3_600 + int(rng.integers(120, 1_800))
        episodes.append(
            Episode(
                coin=coin.name,
                is_informed=place < 3,
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
