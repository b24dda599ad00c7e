"""Is a quote or a book used before the moment whose state it shows?"""

from datetime import datetime, timedelta

import duck_sql
import polars as pl
import pytest

DAY = datetime(2026, 3, 1)  # noqa: DTZ001
NAME = {"venue": "v", "underlying": "X", "instrument_id": "v:X/USD"}
STAMP = pl.Datetime("us")
SIDES = {"bid_price": 99.0, "ask_price": 101.0, "bid_quantity_base": 1.0, "ask_quantity_base": 1.0}
BEST = {f"best_{name}": value for name, value in SIDES.items()}
QUOTE_TYPES = {
    **dict.fromkeys(("day_at", "snapshot_at", "received_at", "available_at"), STAMP),
    **dict.fromkeys(SIDES, pl.Float64),
    "is_every_update": pl.Boolean,
}
BOOK_TYPES = {
    **dict.fromkeys(("snapshot_at", "stood_at", "available_at"), STAMP),
    **dict.fromkeys(BEST, pl.Float64),
}


def moment(second: float) -> datetime:
    return DAY + timedelta(seconds=second)


def table(rows: list[dict], types: dict) -> pl.DataFrame:
    schema = dict.fromkeys(NAME, pl.String) | types
    return pl.DataFrame(rows, schema=schema)


def quote(at: float, received: float, is_every_update: bool | None) -> dict:
    times = {"snapshot_at": moment(at), "received_at": moment(received)}
    known = {"available_at": moment(received), "day_at": DAY}
    return NAME | SIDES | times | known | {"is_every_update": is_every_update}


def book(at: float, stood: float) -> dict:
    times = {"snapshot_at": moment(at), "stood_at": moment(stood), "available_at": moment(stood)}
    return NAME | BEST | times


def priced(prints: list[float], quotes: list[dict], books: list[dict]) -> list[int]:
    """How many prints of each minute have a mid, by the models of a day and the one after."""
    trades = [
        NAME
        | {
            "day_at": DAY + timedelta(days=int(at // 86_400)),
            "event_at": moment(at),
            "available_at": moment(at),
            "sequence": n,
            "aggressor_sign": 1,
            "price": 101.0,
            "quantity_base": 1.0,
            "notional_usd": 101.0,
            "is_block": False,
        }
        for n, at in enumerate(prints)
    ]
    instruments = pl.DataFrame({"instrument_id": ["v:X/USD"], "kind": ["spot"]})
    with duck_sql.world(
        {
            "stg_trades": pl.DataFrame(trades),
            "stg_quotes": table(quotes, QUOTE_TYPES),
            "int_book_depths": table(books, BOOK_TYPES),
            "stg_instruments": instruments,
        },
        [],
        ["int_flow_days"],
    ) as world:
        (days,) = zip(*world.sql("select minutes from int_flow_days").fetchall(), strict=True)
    found = sorted((m["minute"], m["priced"]) for day in days for m in day if m["buys"])
    return [count for _, count in found]


@pytest.mark.parametrize(
    ("is_every_update", "counted"),
    [(None, [0, 1]), (False, [1, 1]), (True, [1, 1])],
    ids=["asked", "recorded now and then", "recorded whole"],
)
def test_what_a_venue_answers_later_has_no_mid_before(is_every_update, counted):
    quotes = [quote(300, 361, is_every_update), quote(360, 361, is_every_update)]
    assert priced([302, 362], quotes, []) == counted


def test_a_book_counts_from_the_moment_it_shows():
    assert priced([302, 362], [], [book(300, 361)]) == [0, 1]
    assert priced([302, 362], [], [book(300, 300), book(360, 360.5)]) == [1, 1]


def test_an_answer_from_after_midnight_counts_on_the_day_after():
    midnight = 86_400
    late = midnight + 2
    assert priced([midnight + 1, midnight + 63], [quote(midnight - 1, late, None)], []) == [0, 0]
    assert priced([midnight - 0.5, late + 1], [quote(midnight - 1, late, None)], []) == [0, 1]
    assert priced([midnight - 0.5, late + 1], [], [book(midnight - 1, late)]) == [0, 1]


@pytest.mark.parametrize(
    ("quoted", "received", "stood"),
    [(40, 90, 40), (-9, 90, 0), (None, 90, 90), (None, None, 0)],
    ids=["stamped after", "unchanged since before", "not stamped", "nothing known"],
)
def test_a_book_stands_from_its_stamp_or_its_receipt(quoted, received, stood):
    levels = [
        NAME
        | {
            "day_at": DAY,
            "snapshot_at": DAY,
            "quoted_at": None if quoted is None else moment(quoted),
            "received_at": None if received is None else moment(received),
            "available_at": moment(100),
            "is_availability_assumed": False,
            "side": side,
            "price": price,
            "quantity_base": 1.0,
        }
        for side, price in (("bid", 99.0), ("ask", 101.0))
    ]
    types = dict.fromkeys(("quoted_at", "received_at"), STAMP)
    instruments = pl.DataFrame(
        {
            **{name: ["spot"] for name in ("kind", "contract_type")},
            "instrument_id": ["v:X/USD"],
            "quote": ["USD"],
            "contract_size": [1.0],
            "lot_size": [1.0],
            "valid_from": [DAY],
            "valid_to": [moment(1e6)],
        }
    )
    frames = {
        "stg_books": pl.DataFrame(levels, schema_overrides=types),
        "stg_instruments": instruments,
    }
    with duck_sql.world(frames, ["quote_assets"], ["int_books", "int_book_depths"]) as world:
        assert world.sql("select stood_at from int_book_depths").fetchall() == [(moment(stood),)]
