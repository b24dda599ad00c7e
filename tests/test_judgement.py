"""What no declaration of a column says of books, candles and settlements is judged at the gate."""

from datetime import UTC, datetime, timedelta

import polars as pl
import pytest

from expectations import gate
from expectations.gate import ROW_NUMBER, Audit, GateRefused, Ledger
from warehouse.contract import BOOKS, INDEX_PRICES, SETTLEMENTS, VOLATILITY_INDICES, Table

NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
CANDLE = {"open": 2.0, "high": 4.0, "low": 1.0, "close": 3.0}


def audited(table: Table, **columns: object) -> Audit:
    named = {"venue": "deribit", "underlying": "BTC", "instrument_id": "deribit:x"}
    rows = table.conform(pl.DataFrame(named | columns))
    return gate.audit(table, rows.with_row_index(ROW_NUMBER, 1).cast({ROW_NUMBER: pl.Int64}))


def book(bids: list[float], asks: list[float], at: datetime = NOON) -> pl.DataFrame:
    sides = [("bid", n, price) for n, price in enumerate(bids, 1)]
    sides += [("ask", n, price) for n, price in enumerate(asks, 1)]
    rows = pl.DataFrame(sides, schema=["side", "level", "price"], orient="row")
    return rows.with_columns(snapshot_at=at, quantity_base=1.0)


def broken(audit: Audit) -> dict[str, int]:
    return {
        f.promise.breach: sum(f.unexpected.values()) for f in audit.findings if f.unexpected
    }  # a promise without a place in rows has no count


def test_a_sound_book_breaks_no_promise():
    audit = audited(BOOKS, **book([99, 98], [101, 102]).to_dict())
    assert broken(audit) == {}
    assert audit.kept.height == 4


def test_a_locked_book_is_no_crossed_one():
    assert broken(audited(BOOKS, **book([100], [100]).to_dict())) == {}


def test_a_crossed_book_is_told_and_kept():
    crossed, sound = book([101, 98], [100, 102]), book([99], [101], NOON + timedelta(minutes=5))
    audit = audited(BOOKS, **pl.concat([crossed, sound]).to_dict())
    assert audit.kept.height == 6
    assert broken(audit) == {"crossed": 2}
    ledger = Ledger(BOOKS, "page")
    ledger.add(audit)
    (check,) = (c for c in ledger.checks([NOON.date()]) if c.expectation == "crossed")
    assert (check.is_blocking, check.is_passed, check.unexpected_count) == (False, False, 2)
    assert check.column_name == "price"


@pytest.mark.parametrize(
    "rows",
    [book([98, 99], [101]), book([99, 99], [101]), book([99], [101, 100])],
    ids=["bids rise", "a level twice", "asks fall"],
)
def test_a_book_whose_levels_are_out_of_order_is_refused_whole_and_others_stay(rows):
    sound = book([99], [101], NOON + timedelta(minutes=5))
    audit = audited(BOOKS, **pl.concat([rows, sound]).to_dict())
    assert audit.refused["reason"].to_list() == ["levels_unordered"] * 3
    assert audit.kept["snapshot_at"].unique().to_list() == [NOON + timedelta(minutes=5)]


def test_books_are_judged_alike_in_whatever_order_their_levels_come():
    rows = book([99, 98, 97], [101, 102]).sample(fraction=1, shuffle=True, seed=4)
    assert broken(audited(BOOKS, **rows.to_dict())) == {}


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"high": 0.5, "open": 0.5, "close": 0.5}, "high_below_low"),
        ({"open": 5.0}, "high_below_open"),
        ({"close": 5.0}, "high_below_close"),
        ({"open": 0.5}, "open_below_low"),
        ({"close": 0.5}, "close_below_low"),
    ],
)
def test_a_candle_that_leaves_its_own_range_is_refused(wrong, reason):
    candles = [CANDLE, CANDLE | wrong]
    columns = {name: [candle[name] for candle in candles] for name in CANDLE}
    audit = audited(INDEX_PRICES, event_at=[NOON, NOON + timedelta(minutes=1)], **columns)
    assert audit.refused.rows() == [(2, reason)]
    assert audit.kept["event_at"].to_list() == [NOON]


def test_a_reading_is_a_candle_without_extent():
    reading = dict.fromkeys(CANDLE, 90_000.0)
    assert broken(audited(INDEX_PRICES, event_at=[NOON], **reading)) == {}


def test_a_volatility_index_in_percent_stops_the_unit():
    percent = dict.fromkeys(CANDLE, 53.49)
    with pytest.raises(
        GateRefused, match=r"volatility_indices\.close: volatility_unit: was 53\.49"
    ):
        audited(VOLATILITY_INDICES, event_at=[NOON], **percent)
    decimals = dict.fromkeys(CANDLE, 0.5349)
    assert audited(VOLATILITY_INDICES, event_at=[NOON], **decimals).kept.height == 1


def test_a_delivery_needs_a_price_and_a_daily_settlement_none():
    audit = audited(
        SETTLEMENTS,
        kind=["delivery", "delivery", "settlement"],
        event_at=[NOON] * 3,
        delivery_price=[90_000.0, None, None],
    )
    assert audit.refused.rows() == [(2, "delivery_unpriced")]


def test_a_window_that_ends_before_it_starts_is_refused():
    half_hour = timedelta(minutes=30)
    audit = audited(
        SETTLEMENTS,
        kind="delivery",
        event_at=[NOON] * 2,
        delivery_price=90_000.0,
        window_start=[NOON - half_hour, NOON],
        window_end=[NOON, NOON - half_hour],
    )
    assert audit.refused.rows() == [(2, "window_reversed")]
