"""A lake of prints whose buckets can be counted by hand: a lost day, holes, blocks, split prints.

A spot pair trades on the 1st, 2nd and 4th of March (the 3rd was never committed, and 40 numbers of
the 2nd are missing), an inverse perpetual on the 1st and 2nd, a linear one on the 1st beside spot.
"""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import polars as pl

from pipelines import universe
from warehouse import lake
from warehouse.contract import LAKE_TABLES
from warehouse.location import Location

FIRST, SECOND, FOURTH = (date(2026, 3, d) for d in (1, 2, 4))
SPOT = universe.binance("spot", "AAAUSDT")
LINEAR = universe.binance("um", "AAAUSDT")
INVERSE = universe.binance("cm", "BTCUSD_PERP")
STEP = 0.01  # base coins of spot and linear
CONTRACT_USD = 100.0
COUNTS = {
    (SPOT, FIRST): 1500,
    (SPOT, SECOND): 1800,
    (SPOT, FOURTH): 4000,
    (INVERSE, FIRST): 900,
    (INVERSE, SECOND): 1100,
    (LINEAR, FIRST): 700,
}
HOLE = (300, 340)  # numbers of the 2nd that never came
DONE = datetime(2026, 3, 6, tzinfo=UTC)


def clock() -> datetime:
    """When everything here is built."""
    return DONE


def start(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def plant(location: Location) -> None:
    """Commit the world: prints, the instruments they name, quotes and funding of the perpetual."""
    for instrument, day in COUNTS:
        commit(location, "trades", instrument, day, prints(instrument, day))
        facts = universe.observations([instrument], day).to_dicts()
        commit(location, "instruments", instrument, day, facts)
    commit(location, "quotes", LINEAR, FIRST, quotes())
    for day in {row["event_at"].date() for row in funding()}:
        rows = [row for row in funding() if row["event_at"].date() == day]
        commit(location, "funding", LINEAR, day, rows)


def commit(
    location: Location,
    table: str,
    instrument: universe.Instrument,
    day: date,
    rows: list[dict[str, Any]],
    at: datetime = DONE - timedelta(days=1),
) -> None:
    """Commit `rows` as the unit of an instrument and day."""
    declared = LAKE_TABLES[table]
    types = {n: t for n, t in declared.schema.items() if n in rows[0]}
    frame = declared.conform(pl.DataFrame(rows, schema_overrides=types)).sort(declared.sort)
    name = instrument.instrument_id
    unit = lake.Unit(name, name, "unprovable", frame.height, "planted", 10, "planted", ("aa",))
    partition = lake.Partition(table, instrument.venue, day)
    with lake.stage(location, partition) as part:
        part.write(frame)
        staged = part.finish([name])
        lake.commit(location, partition, units=[unit], parts=[staged], checks=[], at=at)


def prints(instrument: universe.Instrument, day: date) -> list[dict[str, Any]]:
    """The day's prints, in order; every 97th is a block, and one of the linear has no side."""
    count = COUNTS[instrument, day]
    draw = np.random.default_rng([day.day, count])
    moments = np.sort(draw.integers(0, 86_400_000, count))
    prices = 50 * np.exp(np.cumsum(draw.normal(0, 5e-4, count)))
    sizes = draw.geometric(0.02, count) * np.where(draw.random(count) < 0.01, 40, 1)
    is_buy = draw.random(count) < 0.5 + 0.3 * np.sin(np.arange(count) / 150)
    rows = []
    for n in range(count):
        if instrument is SPOT and day == SECOND and HOLE[0] <= n < HOLE[1]:
            continue
        price = round(float(prices[n]), 2)
        contracts = int(sizes[n])
        is_inverse = instrument is INVERSE
        base = contracts * CONTRACT_USD / price if is_inverse else round(contracts * STEP, 2)
        number = day.day * 100_000 + n
        side = "buy" if is_buy[n] else "sell"
        rows.append(
            {
                "venue": instrument.venue,
                "underlying": instrument.underlying,
                "instrument_id": instrument.instrument_id,
                "trade_id": str(number),
                "event_at": start(day) + timedelta(milliseconds=int(moments[n])),
                "received_at": start(day) + timedelta(milliseconds=int(moments[n]) + 40),
                "side": None if instrument is LINEAR and n == 5 else side,
                "price": price,
                "quantity_base": base,
                "quantity_contracts": float(contracts) if is_inverse else None,
                "notional_usd": contracts * CONTRACT_USD if is_inverse else base * price,
                "is_block": n % 97 == 0,
                "is_liquidation": False,
                "sequence": number,
            }
        )
    return rows


def quotes() -> list[dict[str, Any]]:
    """Twenty hours of the linear perpetual, a mark every minute and a bid without an ask."""
    draw = np.random.default_rng(5)
    return [
        {
            "venue": LINEAR.venue,
            "underlying": LINEAR.underlying,
            "instrument_id": LINEAR.instrument_id,
            "snapshot_at": start(FIRST) + timedelta(minutes=n),
            "received_at": start(FIRST) + timedelta(minutes=n, seconds=1),
            "mark_price": 50 + round(float(draw.normal(0, 0.05)), 4),
            "bid_price": 49.9,
        }
        for n in range(1, 1200)
    ]


def funding() -> list[dict[str, Any]]:
    """Settlements every 8 h, jittered, without declared intervals; the sixth was lost.

    What is indicated is for 4 h.
    """
    rows = []
    for n in range(9):
        at = start(FIRST) + timedelta(hours=8 * n, milliseconds=3 * n)
        for kind, moment, rate in (
            ("indicative", at - timedelta(minutes=90), 0.00015),
            ("indicative", at - timedelta(minutes=30), 0.0009),
            ("settled", at, 0.0001),
        ):
            if n != 5 and moment >= start(FIRST):
                rows.append(
                    {
                        "venue": LINEAR.venue,
                        "underlying": LINEAR.underlying,
                        "instrument_id": LINEAR.instrument_id,
                        "kind": kind,
                        "event_at": moment,
                        "received_at": moment,
                        "rate": rate,
                        "interval_s": None if kind == "settled" else 14_400,
                    }
                )
    return rows
