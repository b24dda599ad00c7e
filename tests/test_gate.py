"""Great Expectations decides which rows are kept, and says why the others are not."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from expectations import gate
from expectations.gate import ROW_NUMBER, GateRefused, Ledger
from warehouse.contract import FUNDING, LAKE, OPTION_QUOTES, TRADES, Table

MIDNIGHT = datetime(2024, 8, 8, tzinfo=UTC)


def trades(count: int = 4, **columns: object) -> pl.DataFrame:
    """Good trades, a second apart, but for the columns given."""
    good = {
        "venue": "binance",
        "underlying": "BTC",
        "instrument_id": "binance:BTC/USDT",
        "trade_id": [str(n) for n in range(count)],
        "event_at": [MIDNIGHT + timedelta(seconds=n) for n in range(count)],
        "side": ["buy", "sell"] * (count // 2) + ["buy"] * (count % 2),
        "price": [60_000.0 + n for n in range(count)],
        "quantity_base": 0.5,
        "is_block": False,
        "is_liquidation": False,
    }
    return numbered(TRADES, pl.DataFrame(good | columns))


def numbered(table: Table, rows: pl.DataFrame) -> pl.DataFrame:
    return table.conform(rows).with_columns(pl.int_range(1, rows.height + 1).alias(ROW_NUMBER))


def test_good_rows_are_kept_as_they_are():
    frame = trades()
    audit = gate.audit(TRADES, frame)
    assert audit.kept.equals(frame)
    assert audit.refused.is_empty()
    assert audit.evaluated == {date(2024, 8, 8): 4}


@pytest.mark.parametrize(
    ("column", "values", "reason"),
    [
        ("price", [1.0, None, 1.0, 2.0], "price_missing"),
        ("price", [1.0, 0.0, 1.0, 2.0], "price_out_of_bounds"),
        ("price", [1.0, -1.0, 1.0, 2.0], "price_out_of_bounds"),
        ("price", [1.0, float("inf"), 1.0, 2.0], "price_out_of_bounds"),
        ("price", [1.0, float("nan"), 1.0, 2.0], "price_missing"),
        ("side", ["buy", "bid", "sell", None], "side_unknown"),
        ("iv", [0.5, 51.0, None, 0.1], "iv_out_of_bounds"),
        ("notional_usd", [0.0, -1.0, None, 0.1], "notional_usd_out_of_bounds"),
        ("trade_id", ["a", None, "b", "c"], "trade_id_missing"),
        ("event_at", [MIDNIGHT, None, MIDNIGHT, MIDNIGHT], "event_at_missing"),
    ],
)
def test_only_the_row_that_breaks_a_promise_is_refused(column, values, reason):
    audit = gate.audit(TRADES, trades(**{column: values}))
    assert audit.refused.rows() == [(2, reason)]
    assert audit.kept[ROW_NUMBER].to_list() == [1, 3, 4]


def test_a_constant_column_that_breaks_a_promise_refuses_every_row():
    audit = gate.audit(TRADES, trades(quantity_base=0.0))
    assert audit.refused["reason"].to_list() == ["quantity_base_out_of_bounds"] * 4
    assert audit.kept.is_empty()


def test_a_row_is_refused_once_for_the_first_promise_it_breaks():
    audit = gate.audit(TRADES, trades(price=[None, 1.0, -1.0, 2.0], side=["x", "buy", "x", "buy"]))
    assert audit.refused.rows() == [(1, "side_unknown"), (3, "side_unknown")]


@settings(max_examples=15, deadline=None)
@given(prices=st.lists(st.one_of(st.none(), st.floats(-10, 10)), min_size=1, max_size=30))
def test_every_row_is_either_kept_or_refused_and_kept_rows_keep_the_contract(prices):
    audit = gate.audit(TRADES, trades(len(prices), price=pl.Series(prices, dtype=pl.Float64)))
    numbers = [*audit.kept[ROW_NUMBER], *audit.refused[ROW_NUMBER]]
    assert sorted(numbers) == list(range(1, len(prices) + 1))
    assert all(price > 0 for price in audit.kept["price"])


def test_chunks_are_judged_apart_and_told_together(monkeypatch):
    monkeypatch.setattr(gate, "CHUNK_ROWS", 3)
    audit = gate.audit(TRADES, trades(7, price=[1.0, 2.0, 0.0, 3.0, 0.0, 4.0, 5.0]))
    assert audit.refused[ROW_NUMBER].to_list() == [3, 5]
    assert audit.kept.height == 5
    assert audit.evaluated == {date(2024, 8, 8): 7}


def test_a_frame_of_other_columns_stops_the_unit():
    with pytest.raises(GateRefused, match="trades: columns were"):
        gate.audit(TRADES, trades().drop("price"))
    with pytest.raises(GateRefused, match="trades: columns were"):
        gate.audit(TRADES, trades().select(pl.all().exclude("price"), "price"))


def options(**columns: object) -> pl.DataFrame:
    good = {
        "venue": "deribit",
        "underlying": "BTC",
        "instrument_id": ["a", "b", "c"],
        "snapshot_at": MIDNIGHT,
        "price_unit": "coin",
    }
    return numbered(OPTION_QUOTES, pl.DataFrame(good | columns))


def test_a_median_volatility_in_percent_stops_the_unit():
    with pytest.raises(GateRefused, match=r"venue_iv_unit: was 44\.0\. Venues send percent or"):
        gate.audit(OPTION_QUOTES, options(venue_iv_mark=[43.0, 44.0, 45.0]))


def test_a_chain_without_volatilities_has_no_wrong_unit():
    assert gate.audit(OPTION_QUOTES, options()).kept.height == 3


def test_a_crossed_quote_is_told_and_kept():
    audit = gate.audit(OPTION_QUOTES, options(bid_price=[0.3, 0.1, None], ask_price=0.2))
    ledger = Ledger(OPTION_QUOTES, "file")
    ledger.add(audit)
    (crossed,) = (c for c in ledger.checks([date(2024, 8, 8)]) if c.expectation == "crossed")
    assert audit.kept.height == 3
    assert (crossed.is_blocking, crossed.is_passed, crossed.unexpected_count) == (False, False, 1)


def test_findings_are_counted_by_day():
    rows = trades(
        event_at=[MIDNIGHT, MIDNIGHT, MIDNIGHT + timedelta(days=1), None],
        price=[1.0, -1.0, -1.0, 1.0],
    )
    ledger = Ledger(TRADES, "file")
    ledger.add(gate.audit(TRADES, rows))

    def told(days: list[date | None]) -> tuple[int, int]:
        (check,) = (c for c in ledger.checks(days) if c.expectation == "price_out_of_bounds")
        assert check.is_passed  # of what was kept
        return check.evaluated_count, check.unexpected_count

    assert told([date(2024, 8, 8)]) == (2, 1)
    assert told([date(2024, 8, 9), None]) == (2, 1)


def test_every_check_states_its_reason_and_has_a_name_of_its_own():
    for table in LAKE:
        suite = gate.validation.suite(table)
        assert all(promise.reason for promise in suite)
        assert len({promise.breach for promise in suite}) == len(suite)


def test_an_implausible_rate_is_told_and_kept():
    rows = pl.DataFrame(
        {"venue": "v", "underlying": "u", "instrument_id": "i", "kind": "settled",
         "event_at": [MIDNIGHT], "rate": [0.2]}
    )  # fmt: skip
    audit = gate.audit(FUNDING, numbered(FUNDING, rows))
    assert audit.kept.height == 1
    assert [f.promise.breach for f in audit.findings if not f.is_passed] == ["rate_beyond_caps"]


@pytest.mark.parametrize(("violations", "is_passed"), [(0, True), (3, False)])
def test_a_table_of_violations_must_be_empty(violations, is_passed):
    check = gate.empty(
        "key_repeated", "file", violations=violations, evaluated=9, is_blocking=True, reason="why"
    )
    assert (check.is_passed, check.unexpected_count, check.evaluated_count) == (
        is_passed,
        violations,
        9,
    )


def test_a_source_that_is_mostly_bad_is_refused_as_a_whole():
    check = gate.refused_share(TRADES, "file", 10, {"price_missing": 5})
    assert (check.is_passed, check.evaluated_count, check.unexpected_count) == (True, 10, 5)
    words = r"trades: refused_share: 6 of 10 rows were refused \(60%\), 4 of them as b"
    with pytest.raises(GateRefused, match=words):
        gate.refused_share(TRADES, "file", 10, {"a": 2, "b": 4})


def test_a_promise_broken_by_a_row_that_is_kept_has_failed_and_stops_the_unit(monkeypatch):
    monkeypatch.setattr(gate, "_named_first", lambda reasons, *_: reasons)  # refuses no row
    ledger = Ledger(TRADES, "file")
    ledger.add(gate.audit(TRADES, trades(price=[1.0, -1.0, 1.0, 2.0])))
    checks = ledger.checks([date(2024, 8, 8)])
    assert [c.expectation for c in checks if not c.is_passed] == ["price_out_of_bounds"]
    with pytest.raises(GateRefused, match="a day: price_out_of_bounds: 1 of 4 rows broke it"):
        gate.require("a day", checks)


def test_a_check_that_does_not_block_stops_nothing():
    failed = gate.empty(
        "numbers_missing", "file", violations=1, evaluated=9, is_blocking=False, reason="why"
    )
    assert not failed.is_passed
    gate.require("a day", [failed])
