"""Do flags of a row tell of what it rests on, and of nothing that came later?"""

from datetime import datetime, timedelta

import duck_sql
import polars as pl
import pytest

DAY = datetime(2026, 3, 1)  # noqa: DTZ001
NAME = {"venue": "v", "underlying": "X", "instrument_id": "v:X"}


def moment(second: float) -> datetime:
    return DAY + timedelta(seconds=second)


def cluster_flags(marked: list[int]) -> list[tuple[float, list[str]]]:
    """Begin and flags of two waves, at 0 s and at 1,000 s, with the orders `marked` assumed."""
    orders = [
        NAME
        | {
            "trade_id": str(n),
            "event_at": moment(at),
            "available_at": moment(at + 1),
            "is_availability_assumed": n in marked,
            "is_side_assumed": n in marked,
            "side": "sell",
            "price": 100.0,
            "notional_usd": 10.0,
        }
        for n, at in enumerate((0, 10, 1_000, 1_010))
    ]
    bars = {"minute_at": DAY, "available_at": DAY, "close_price": 1.0, "instrument_id": "other"}
    world = duck_sql.world(
        {"int_liquidations": pl.DataFrame(orders), "bars_1m": pl.DataFrame([bars])},
        ["liquidation_feeds"],
        ["liquidation_clusters"],
    )
    with world:
        query = "select started_at, quality_flags from liquidation_clusters order by 1"
        found = world.sql(query).fetchall()
    own = {"side_assumed", "assumed_availability"}
    return [((at - DAY).total_seconds(), sorted(own.intersection(flags))) for at, flags in found]


@pytest.mark.parametrize(
    ("marked", "first", "second"),
    [([], 0, 0), ([1], 2, 2), ([2], 0, 2), ([3], 0, 2)],
    ids=["none", "in the first", "in the second", "at its end"],
)
def test_a_wave_is_not_flagged_for_orders_of_a_later_one(marked, first, second):
    every = ["assumed_availability", "side_assumed"]
    assert cluster_flags(marked) == [(0, every[:first]), (1_000, every[:second])]


@pytest.mark.parametrize(
    ("marked", "flagged"),
    [([], []), ([2], [10, 30]), ([3], [30]), ([4], [30])],
    ids=["none", "as it ended", "after it", "while another lasts"],
)
def test_an_event_is_not_flagged_for_books_after_it(marked, flagged):
    crossed = (1, 3, 4)  # of five books: one event that ends, and one that is ongoing
    books = [
        NAME
        | {
            "snapshot_at": moment(10 * n),
            "available_at": moment(10 * n + 1),
            "is_availability_assumed": n in marked,
            "best_bid_price": 103.0 if n in crossed else 99.0,
            "best_ask_price": 101.0,
            "thinner_width_bps": 0,
            "thinner_depth_usd": 5.0,
        }
        for n in range(5)
    ]
    gap = {"cause": "", "table_name": "none", "started_at": DAY, "ended_at": DAY}
    world = duck_sql.world(
        {
            "int_book_depths": pl.DataFrame(books),
            "gaps": pl.DataFrame([{"venue": "v", "instrument_id": "v:X"} | gap]),
            "stg_instruments": pl.DataFrame([{"instrument_id": "v:X", "underlying": "X"}]),
            "bars_1m": pl.DataFrame(
                [{"instrument_id": "v:X", "minute_at": DAY, "available_at": DAY}]
            ),
        },
        [],
        ["liquidity_events"],
    )
    with world:
        found = world.sql(
            "select started_at, list_contains(quality_flags, 'assumed_availability') "
            "from liquidity_events order by 1"
        ).fetchall()
    assert [(at - DAY).total_seconds() for at, _ in found] == [10, 30]
    assert [(at - DAY).total_seconds() for at, is_flagged in found if is_flagged] == flagged
