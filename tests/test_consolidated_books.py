"""Which venues take part in a consolidated ladder, and what is said of those that do not?"""

from datetime import datetime, timedelta

import duck_sql
import polars as pl

DAY = datetime(2026, 3, 1)  # noqa: DTZ001
FEES = [("a", 10.0), ("b", 30.0)]
LEVELS = [
    {"is_bid": True, "price": 99.0, "quantity_base": 1e6},
    {"is_bid": False, "price": 101.0, "quantity_base": 1e6},
]


def moment(second: float) -> datetime:
    return DAY + timedelta(seconds=second)


def book(venue: str, at: float, stood: float | None = None, known: float | None = None) -> dict:
    """A book of a spot pair, asked for at a second of the day."""
    stands = moment(at if stood is None else stood)
    return {
        "venue": venue,
        "underlying": "X",
        "kind": "spot",
        "instrument_id": f"{venue}:X/USD",
        "day_at": DAY,
        "snapshot_at": moment(at),
        "quoted_at": stands,
        "stood_at": stands,
        "available_at": stands if known is None else moment(known),
        "is_availability_assumed": False,
        "contract_type": None,
        "contract_size": None,
        "lot_size": 1.0,
        "is_dollar": True,
        "levels": LEVELS,
    }


def ladder(*books: dict) -> dict[float, tuple[list[str], list[str], float]]:
    """By second of the day: the venues that take part, the flags, the age of the oldest book."""
    types = {"contract_type": pl.String, "contract_size": pl.Float64}
    every = pl.DataFrame(list(books), schema_overrides=types)
    depths = every.select("instrument_id", "snapshot_at", book_status=pl.lit("ok"), mid_price=100.0)
    fees = pl.DataFrame(
        {
            "venue": [venue for venue, _ in FEES],
            "taker_bps": [bps for _, bps in FEES],
            "kind": "spot",
            "contract_type": "*",
            "tier": "regular",
            "valid_from": moment(-1e6),
            "valid_to": moment(1e6),
        }
    )
    frames = {"int_books": every, "int_book_depths": depths, "fees": fees}
    with duck_sql.world(frames, [], ["consolidated_ladder"]) as world:
        found = world.sql(
            "select epoch(snapshot_at) as at, instrument_ids, quality_flags, oldest_book_age_s "
            "from consolidated_ladder where side = 'buy' and notional_usd = 10000"
        ).fetchall()
    start = DAY.replace(tzinfo=None) - datetime(1970, 1, 1)  # noqa: DTZ001
    return {
        at - start.total_seconds(): ([name[0] for name in names], flags, age)
        for at, names, flags, age in found
    }


def test_a_venue_whose_first_book_comes_in_the_evening_is_not_missed_in_the_morning():
    found = ladder(book("a", 0), book("a", 60), book("b", 72_000), book("a", 80_000))
    assert found == {
        0: (["a"], [], 0),
        60: (["a"], [], 0),
        72_000: (["b"], ["book_missing"], 0),
        80_000: (["a"], ["book_missing"], 0),
    }


def test_a_book_that_was_not_known_yet_is_not_missed():
    found = ladder(book("b", 0, known=100), book("a", 50), book("a", 150))
    assert found[50] == (["a"], [], 0)
    assert found[150] == (["a"], ["book_missing"], 0)


def test_a_venue_without_a_known_fee_is_left_out_and_said_to_be():
    found = ladder(book("a", 0), book("c", 0), book("a", 60), book("c", 120))
    assert found == {0: (["a"], ["fee_unknown"], 0), 60: (["a"], ["book_missing"], 0)}


def test_a_book_of_a_minute_later_is_not_of_the_same_market():
    late = book("b", 0, stood=63)
    found = ladder(book("b", -60), book("a", 0, stood=3), late, book("a", 100), book("b", 102))
    assert found[0] == (["a"], ["book_missing"], 0)
    assert found[102] == (["a", "b"], [], 2)
    assert ladder(book("a", 0, stood=62), late)[0] == (["a", "b"], [], 1)


def test_books_of_one_instant_that_came_apart_are_as_old_as_they_are():
    found = ladder(book("a", 0, stood=-3), book("b", 0, stood=4))
    assert found[0] == (["a", "b"], ["books_apart"], 7)
