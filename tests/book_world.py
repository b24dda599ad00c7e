"""Books of one coin on two venues whose faults are known: one lost, one crossed, one without asks.

Every ten minutes of an hour and a half, and what Deribit shows it shows two seconds earlier.
"""

from datetime import datetime, timedelta
from typing import Any

from flow_world import FIRST, SPOT, commit, start

from pipelines import universe
from warehouse.location import Location

ELSEWHERE = universe.deribit("AAA_USDT")
TIMES = 16
LOST, CROSSED, ONE_SIDED, THIN = 4, 7, 9, 12  # which of the times
LEVELS, STEP, COINS = 3, 0.01, 100.0
MIDDLES = {SPOT: 50.0, ELSEWHERE: 50.02}


def at(n: int, instrument: universe.Instrument = SPOT) -> datetime:
    """When the n-th book of an instrument was taken."""
    early = timedelta(seconds=2 if instrument is ELSEWHERE else 0)
    return start(FIRST) + timedelta(hours=6, seconds=10, minutes=10 * n) - early


def plant(location: Location) -> None:
    """Commit the books of both venues and the instrument that nothing else names."""
    commit(
        location,
        "instruments",
        ELSEWHERE,
        FIRST,
        universe.observations([ELSEWHERE], FIRST).to_dicts(),
    )
    for instrument in MIDDLES:
        times = [n for n in range(TIMES) if (instrument, n) != (ELSEWHERE, LOST)]
        rows = [row for n in times for row in book(instrument, n)]
        commit(location, "books", instrument, FIRST, rows)


def book(instrument: universe.Instrument, n: int) -> list[dict[str, Any]]:
    """The levels of one book, three a side."""
    is_faulty = instrument is SPOT
    size = COINS / 10 if is_faulty and n == THIN else COINS
    shift = 3 * STEP if is_faulty and n == CROSSED else 0.0
    sides = ("bid",) if is_faulty and n == ONE_SIDED else ("bid", "ask")
    return [
        {
            "venue": instrument.venue,
            "underlying": instrument.underlying,
            "instrument_id": instrument.instrument_id,
            "snapshot_at": at(n, instrument),
            "received_at": at(n, instrument) + timedelta(seconds=1),
            "side": side,
            "level": level + 1,
            "price": round(
                MIDDLES[instrument] + (shift - (level + 1) * STEP) * (1 if side == "bid" else -1), 2
            ),
            "quantity_base": size,
        }
        for side in sides
        for level in range(LEVELS)
    ]
