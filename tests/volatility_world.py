"""Option chains whose smile sticks to strikes, an index beside them, and four days of prints.

The chain is option_world's with a spot price that moves and vols fixed by strike. A perpetual
prints every minute, a spot pair every five and, in one hour, for more dollars than the perpetual.
"""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import option_world
import pytest
from option_world import SLICES, years

from pipelines import universe
from warehouse.functions import svi
from warehouse.location import Location, World

DAYS = tuple(date(2026, 3, d) for d in (8, 9, 10, 11))
SNAPSHOTS = tuple(
    datetime(2026, 3, 10, 5, 5, tzinfo=UTC) + timedelta(minutes=30 * n) for n in range(52)
)
PERPETUAL = universe.binance("um", "BTCUSDT")
SPOT = universe.binance("spot", "BTCUSDT")
BUSY_SPOT = datetime(2026, 3, 9, 5, tzinfo=UTC)
CANDLE_S = 60


def spot(at: datetime) -> float:
    """The planted index, never still."""
    step = (at - SNAPSHOTS[0]).total_seconds() / 1800
    return float(70_000 * np.exp(0.006 * np.sin(1.3 * step) + 0.004 * np.sin(0.37 * step)))


def planted_slice(at: datetime, expiry: datetime) -> tuple[float, ...]:
    """The slice at a time: each strike keeps the vol that it had at the first snapshot."""
    a, b, rho, m, sigma = SLICES[expiry]
    left = years(at, expiry) / years(SNAPSHOTS[0], expiry)
    moved = np.log(option_world.forward(at, expiry) / option_world.forward(SNAPSHOTS[0], expiry))
    return a * left, b * left, rho, m - moved, sigma


def vol(at: datetime, expiry: datetime, strike: float) -> float:
    """The planted implied vol of a strike."""
    k = np.log(strike / option_world.forward(at, expiry))
    variance = svi.total_variance(planted_slice(at, expiry), k)
    return float(np.sqrt(variance / years(at, expiry)))


def published_iv(at: datetime) -> float:
    """Close of the venue's index in the candle that ends at a time."""
    return 0.4 + (at - SNAPSHOTS[0]).total_seconds() * 1e-6


def plant(location: Location, days: tuple[date, ...], revision: int = 0) -> None:
    """Commit the world's rows of these days."""
    location.claim(World("real"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(option_world, "spot", spot)
        patch.setattr(option_world, "vol", vol)
        option_world.plant(location, tuple(at for at in SNAPSHOTS if at.date() in days))
        for day in days:
            _index(location, day)
            revise(location, day, revision)


def revise(location: Location, day: date, revision: int) -> None:
    """Commit the prints of a day, another draw for each revision."""
    known = universe.observations([PERPETUAL, SPOT], day).to_dicts()
    option_world.commit(location, "instruments", "binance", day, "traded", known)
    for instrument, minutes in ((PERPETUAL, 1), (SPOT, 5)):
        rows = _prints(instrument, day, minutes, revision)
        unit = instrument.instrument_id
        option_world.commit(location, "trades", "binance", day, unit, rows)


def _index(location: Location, day: date) -> None:
    # The candle that begins with a snapshot has not ended by then.
    rows = [
        {
            "venue": "deribit",
            "underlying": "BTC",
            "instrument_id": "deribit:btc_volatility",
            "event_at": end - timedelta(seconds=CANDLE_S),
            "received_at": end + timedelta(seconds=2),
            "interval_s": CANDLE_S,
            **dict.fromkeys(("open", "high", "low", "close"), published_iv(end)),
        }
        for at in SNAPSHOTS
        if at.date() == day
        for end in (
            at - timedelta(minutes=10),
            at - timedelta(minutes=1),
            at + timedelta(minutes=1),
        )
    ]
    if rows:
        option_world.commit(location, "volatility_indices", "deribit", day, "index", rows)


def _prints(
    instrument: universe.Instrument, day: date, minutes: int, revision: int
) -> list[option_world.Row]:
    draw = np.random.default_rng([day.day, minutes, revision])
    count = 1440 // minutes
    prices = 70_000 * np.exp(np.cumsum(draw.normal(0, 4e-4 * minutes**0.5, count)))
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    rows = []
    for n, price in enumerate(np.round(prices, 1).tolist()):
        at = start + timedelta(minutes=minutes * n, seconds=7)
        is_busy = instrument is SPOT and BUSY_SPOT <= at < BUSY_SPOT + timedelta(hours=1)
        size = 50.0 if is_busy else 0.1
        rows.append(
            {
                "venue": instrument.venue,
                "underlying": instrument.underlying,
                "instrument_id": instrument.instrument_id,
                "trade_id": f"{day.day}-{n}",
                "event_at": at,
                "received_at": at + timedelta(milliseconds=40),
                "side": "buy",
                "price": price,
                "quantity_base": size,
                "notional_usd": size * price,
                "is_block": False,
                "is_liquidation": False,
                "sequence": day.day * 10_000 + n,
            }
        )
    return rows
