"""The embedded market as Deribit serves it: paging, limits, errors, and what the answers say."""

import gzip
import json
from datetime import UTC, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.simulator import tape, truth
from pipelines.simulator.history import History
from pipelines.simulator.tardis import write_best_quotes
from pipelines.simulator.wire.deribit_trades import find
from pipelines.simulator.world import BTC, ETH
from tests.wire_client import AFTER, DAY, DAY_MS, ask, exchange, get

HOUR_MS = 3_600_000
PERPETUAL = "BTC-PERPETUAL"


@pytest.fixture(scope="module")
def history() -> History:
    return History(7, 0.02)


@pytest.fixture(scope="module")
def market(history):
    return exchange(history)


def happened(history: History, instrument_id: str) -> pl.DataFrame:
    return tape.truth("BTC", history.tape(BTC, DAY)).filter(instrument_id=instrument_id)


def by_sequence(market, name: str, first: int, count: int = 100) -> list[dict]:
    """Every trade from a sequence on, page by page."""
    rows: list[dict] = []
    while True:
        page = ask(
            market, "deribit", "get_last_trades_by_instrument",
            instrument_name=name, start_seq=first, count=count, sorting="asc",
        )  # fmt: skip
        rows += page["trades"]
        if not page["has_more"]:
            return rows
        first = rows[-1]["trade_seq"] + 1


# ---------- the tape


def test_paging_by_sequence_returns_exactly_what_happened(market, history):
    real = happened(history, "deribit:BTC/USD:BTC")
    rows = by_sequence(market, PERPETUAL, int(real["sequence"][0]), 37)
    rows = [row for row in rows if row["timestamp"] < DAY_MS[1]]
    assert [row["trade_seq"] for row in rows] == real["sequence"].to_list()
    assert [row["trade_id"] for row in rows] == real["trade_id"].to_list()
    assert [row["price"] for row in rows] == real["price"].to_list()
    assert [row["direction"] for row in rows] == real["side"].to_list()
    stamps = real["event_at"].dt.epoch("ms").to_list()
    assert [row["timestamp"] for row in rows] == stamps
    sizes = [row["amount"] / row["price"] for row in rows]
    np.testing.assert_allclose(sizes, real["quantity_base"])


def test_descending_pages_hold_the_same_trades(market, history):
    real = happened(history, "deribit:BTC/USD:BTC")["sequence"]
    first, last = int(real[0]), int(real[-1])
    found: list[int] = []
    while not found or found[-1] > first:
        page = ask(
            market, "deribit", "get_last_trades_by_instrument", instrument_name=PERPETUAL,
            start_seq=first, end_seq=found[-1] - 1 if found else last, count=100,
        )  # fmt: skip
        found += [row["trade_seq"] for row in page["trades"]]
    assert found == list(range(last, first - 1, -1))


def test_a_window_of_time_holds_its_first_and_last_millisecond(market, history):
    real = happened(history, "deribit:BTC/USD:BTC")
    stamps = real["event_at"].dt.epoch("ms")
    start, end = int(stamps[10]), int(stamps[60])
    page = ask(
        market, "deribit", "get_last_trades_by_instrument_and_time", instrument_name=PERPETUAL,
        start_timestamp=start, end_timestamp=end, count=1000, sorting="asc",
    )  # fmt: skip
    inside = real.filter(pl.lit(stamps).is_between(start, end))
    assert [row["trade_seq"] for row in page["trades"]] == inside["sequence"].to_list()
    assert page["has_more"] is False


def test_sequences_go_on_over_midnight(market):
    page = ask(
        market, "deribit", "get_last_trades_by_instrument_and_time", instrument_name=PERPETUAL,
        start_timestamp=DAY_MS[1] - 6 * HOUR_MS, end_timestamp=DAY_MS[1] + HOUR_MS, count=1000,
        sorting="asc",
    )  # fmt: skip
    stamps = [row["timestamp"] for row in page["trades"]]
    assert stamps[0] < DAY_MS[1] <= stamps[-1]
    assert set(np.diff([row["trade_seq"] for row in page["trades"]])) == {1}


def test_every_option_print_is_served_under_its_own_sequence(market, history):
    real = tape.truth("ETH", history.tape(ETH, DAY))
    window = {"start_timestamp": DAY_MS[0], "end_timestamp": DAY_MS[1] - 1, "count": 1000}
    served = []
    for name in history.tape(ETH, DAY).symbols:
        method = "get_last_trades_by_instrument_and_time"
        served += ask(market, "deribit", method, instrument_name=name, **window)["trades"]
    assert sorted(row["trade_id"] for row in served) == sorted(real["trade_id"])
    options = [row for row in served if row["instrument_name"].count("-") == 3]
    assert all(row["contracts"] == row["amount"] for row in options)
    # below intrinsic value there is no vol, and the venue writes zero
    assert np.mean([0 < row["iv"] < 500 for row in options]) > 0.8
    assert any("block_trade_id" in row for row in served)


def test_a_currencys_tape_reaches_back_a_day_and_is_empty_beyond_without_an_error(market):
    now = int(AFTER.timestamp() * 1000)
    method = "get_last_trades_by_currency_and_time"
    old = ask(
        market, "deribit", method, currency="BTC",
        start_timestamp=now - 30 * HOUR_MS, end_timestamp=now - 26 * HOUR_MS,
    )  # fmt: skip
    assert old == {"trades": [], "has_more": False}
    fresh = ask(
        market, "deribit", method, currency="BTC", kind="option",
        start_timestamp=now - 23 * HOUR_MS, end_timestamp=now, count=1000,
    )["trades"]  # fmt: skip
    assert fresh
    assert all(row["instrument_name"].count("-") == 3 for row in fresh)


def test_the_history_host_reaches_back_further(market):
    now = int(AFTER.timestamp() * 1000)
    query = f"currency=BTC&start_timestamp={now - 60 * HOUR_MS}&end_timestamp={now - 50 * HOUR_MS}"
    path = "/history.deribit.com/api/v2/public/get_last_trades_by_currency_and_time"
    assert json.loads(market.reply(path, query).body)["result"]["trades"]


def test_nothing_later_than_the_clock_is_served(history):
    noon = datetime(2026, 3, 10, 12, tzinfo=UTC)
    market = exchange(history, at=noon)
    now = int(noon.timestamp() * 1000)
    [newest] = ask(
        market, "deribit", "get_last_trades_by_instrument", instrument_name=PERPETUAL, count=1
    )["trades"]
    assert newest["timestamp"] <= now
    later = ask(
        market, "deribit", "get_last_trades_by_instrument", instrument_name=PERPETUAL,
        start_seq=newest["trade_seq"] + 1, sorting="asc",
    )  # fmt: skip
    assert later == {"trades": [], "has_more": False}
    rows = ask(
        market, "deribit", "get_funding_rate_history", instrument_name=PERPETUAL,
        start_timestamp=DAY_MS[0], end_timestamp=DAY_MS[1],
    )  # fmt: skip
    assert rows[-1]["timestamp"] == now


def test_an_option_once_expired_is_still_on_the_tape(market, history):
    gone = next(s for s in history.tape(BTC, DAY).symbols if s.startswith("BTC-10MAR26"))
    assert find(history, gone).expires == DAY
    active = ask(market, "deribit", "get_instruments", currency="BTC", kind="option")
    expired = ask(market, "deribit", "get_instruments", currency="BTC", expired="true")
    assert gone not in {row["instrument_name"] for row in active}
    assert gone in {row["instrument_name"] for row in expired}
    assert all(not row["is_active"] for row in expired)
    assert get(market, "deribit", "ticker", instrument_name=gone).status == 400


# ---------- states


def test_the_chain_has_a_row_for_every_listed_option_and_agrees_with_its_ticker(history):
    market = exchange(history, at=datetime(2026, 3, 10, 12, 5, tzinfo=UTC))
    listed = ask(market, "deribit", "get_instruments", currency="BTC", kind="option")
    rows = ask(market, "deribit", "get_book_summary_by_currency", currency="BTC", kind="option")
    names = [row["instrument_name"] for row in rows]
    assert sorted(names) == sorted(row["instrument_name"] for row in listed)
    assert any(row["bid_price"] is None for row in rows)
    for row in rows[:40]:
        ticker = ask(market, "deribit", "ticker", instrument_name=row["instrument_name"])
        assert ticker["mark_price"] == row["mark_price"]
        assert ticker["mark_iv"] == row["mark_iv"]
        assert ticker["best_bid_price"] == (row["bid_price"] or 0.0)
        assert ticker["open_interest"] == row["open_interest"]
        assert ticker["underlying_price"] == row["underlying_price"]


def test_books_are_ordered_and_begin_at_the_best_quotes(market):
    book = ask(market, "deribit", "get_order_book", instrument_name=PERPETUAL, depth=20)
    bids, asks = ([level[0] for level in book[side]] for side in ("bids", "asks"))
    assert len(bids) == len(asks) == 20
    assert bids == sorted(bids, reverse=True)
    assert asks == sorted(asks)
    assert bids[0] == book["best_bid_price"] < asks[0] == book["best_ask_price"]


def test_interest_of_eight_hours_is_the_sum_of_its_hours(market, history):
    rows = ask(
        market, "deribit", "get_funding_rate_history", instrument_name=PERPETUAL,
        start_timestamp=DAY_MS[0], end_timestamp=DAY_MS[1] - 1,
    )  # fmt: skip
    assert [row["timestamp"] for row in rows] == list(range(*DAY_MS, HOUR_MS))
    hourly = [row["interest_1h"] for row in rows]
    for i in range(8, 24):
        assert rows[i]["interest_8h"] == pytest.approx(sum(hourly[i - 7 : i + 1]), abs=1e-15)
    assert rows[5]["prev_index_price"] == rows[4]["index_price"]


def test_funding_history_is_cut_at_744_rows(market):
    rows = ask(
        market, "deribit", "get_funding_rate_history", instrument_name=PERPETUAL,
        start_timestamp=DAY_MS[0] - 800 * HOUR_MS, end_timestamp=DAY_MS[0],
    )  # fmt: skip
    assert len(rows) == 744
    assert rows[-1]["timestamp"] == DAY_MS[0]


def test_candles_count_what_the_tape_says(market, history):
    real = happened(history, "deribit:BTC/USD:BTC")
    chart = ask(
        market, "deribit", "get_tradingview_chart_data", instrument_name=PERPETUAL,
        start_timestamp=DAY_MS[0], end_timestamp=DAY_MS[1] - 1, resolution=60,
    )  # fmt: skip
    assert sum(chart["volume"]) == pytest.approx(real["quantity_base"].sum(), abs=1e-6)
    assert max(chart["high"]) == real["price"].max()
    assert min(chart["low"]) == real["price"].min()
    assert chart["close"][-1] == real["price"][-1]


def test_settlements_are_paged_by_continuation_without_a_repetition(market):
    found, word = [], "none"
    for _ in range(40):
        page = ask(
            market, "deribit", "get_last_settlements_by_currency", currency="BTC", count=7,
            type="delivery", continuation=word,
        )  # fmt: skip
        found += page["settlements"]
        word = page["continuation"]
        if found and found[-1]["timestamp"] < DAY_MS[0]:
            break
    keys = [(row["timestamp"], row["instrument_name"]) for row in found]
    assert len(set(keys)) == len(keys)
    of_day = [row for row in found if row["timestamp"] == DAY_MS[0] + 8 * HOUR_MS]
    prices = ask(market, "deribit", "get_delivery_prices", index_name="btc_usd", count=2)["data"]
    assert prices[0]["date"] == "2026-03-10"
    assert {row["index_price"] for row in of_day} == {prices[0]["delivery_price"]}
    assert {row["instrument_name"].split("-")[1] for row in of_day} == {"10MAR26"}


def test_the_volatility_index_is_near_the_chains_vol(market):
    index = ask(
        market, "deribit", "get_volatility_index_data", currency="BTC", resolution=3600,
        start_timestamp=DAY_MS[0], end_timestamp=DAY_MS[1] - 1,
    )["data"]  # fmt: skip
    assert len(index) == 24
    rows = ask(market, "deribit", "get_book_summary_by_currency", currency="BTC", kind="option")
    near = [
        row["mark_iv"]
        for row in rows
        if "24APR26" in row["instrument_name"]
        and abs(float(row["instrument_name"].split("-")[2]) / row["underlying_price"] - 1) < 0.05
    ]
    assert abs(index[-1][4] - np.mean(near)) < 8
    assert all(low <= min(o, c) and max(o, c) <= high for _, o, high, low, c in index)


# ---------- the envelope and the errors


@pytest.mark.parametrize(
    ("method", "query", "code"),
    [
        ("get_last_trades_by_instrument", {"instrument_name": "BTC-28MAR99-1-C"}, 13020),
        ("get_last_trades_by_instrument", {"instrument_name": "DOGE"}, -32602),
        ("get_last_trades_by_instrument", {}, -32602),
        ("get_last_trades_by_instrument", {"instrument_name": PERPETUAL, "count": 1001}, -32602),
        ("get_last_trades_by_instrument", {"instrument_name": PERPETUAL, "start_seq": "x"}, -32602),
        ("get_book_summary_by_currency", {"currency": "XRP"}, -32602),
        ("get_nothing", {}, -32601),
    ],
)
def test_a_bad_request_gets_the_venues_error(market, method, query, code):
    reply = get(market, "deribit", method, **query)
    body = json.loads(reply.body)
    assert reply.status == 400
    assert body["error"]["code"] == code
    assert "result" not in body


def test_the_envelope_has_the_venues_clock(market):
    body = json.loads(get(market, "deribit", "get_time").body)
    assert body["jsonrpc"] == "2.0"
    assert body["result"] == int(AFTER.timestamp() * 1000)
    assert body["usOut"] - body["usIn"] == body["usDiff"]


def test_answers_have_the_fields_and_types_that_were_recorded(recorded, market):
    """Number for number and text for text; what is null there may be null here."""
    with gzip.open(recorded / "venue_wire_31s/DERIBIT.0.gz", "rt") as lines:
        theirs = json.loads(next(lines).split(": ", 1)[1])["result"]
    ours = ask(market, "deribit", "get_instruments", currency="BTC")
    assert_alike(theirs[0], next(row for row in ours if row["kind"] == "option"))
    tickers = []
    with gzip.open(recorded / "venue_wire_31s/DERIBIT.ws.1.0.gz", "rt") as lines:
        for line in lines:
            if '"channel":"ticker.' in line:
                tickers.append(json.loads(line.split(": ", 1)[1])["params"]["data"])
    name = next(row["instrument_name"] for row in ours if row["kind"] == "option")
    ticker = ask(market, "deribit", "ticker", instrument_name=name)
    assert_alike(tickers[0], ticker)
    assert_alike(tickers[0]["greeks"], ticker["greeks"])
    assert_alike(tickers[0]["stats"], ticker["stats"])


def assert_alike(theirs: dict, ours: dict) -> None:
    for key, value in theirs.items():
        assert key in ours, key
        if value is not None and ours[key] is not None:
            assert type(ours[key]) is type(value), key


# ---------- the world behind


def test_prices_lie_outside_svi_but_admit_no_arbitrage_between_strikes(market):
    rows = ask(market, "deribit", "get_book_summary_by_currency", currency="BTC", kind="option")
    calls = {
        float(row["instrument_name"].split("-")[2]): row["mark_price"]
        for row in rows
        if "26JUN26" in row["instrument_name"] and row["instrument_name"].endswith("C")
    }
    strikes = np.array(sorted(calls))
    prices = np.array([calls[k] for k in strikes])
    slopes = np.diff(prices) / np.diff(strikes)
    assert (slopes <= 0).all()
    assert (np.diff(slopes) >= -1e-9).all()


def test_the_truth_of_served_days_is_written_once_per_day(history, tmp_path):
    truth.write(tmp_path, history, [DAY])
    once = pl.read_parquet(tmp_path / "trades.parquet")
    truth.write(tmp_path, history, [DAY - timedelta(days=1), DAY])
    both = pl.read_parquet(tmp_path / "trades.parquet")
    assert len(both.filter(pl.col("event_at").dt.date() == DAY)) == len(once)
    assert len(both) > len(once)
    assert not both.select("instrument_id", "trade_id").is_duplicated().any()
    paid = pl.read_parquet(tmp_path / "funding.parquet").filter(pl.col("event_at").dt.date() == DAY)
    assert len(paid) == 4 * 3 + 2 * 24


def test_the_recorded_best_quotes_are_those_that_were_served(history, tmp_path):
    path = write_best_quotes(tmp_path, history, DAY)
    rows = pl.read_csv(path).filter(symbol=PERPETUAL)
    assert len(rows) == 86_399
    for place in (0, 40_000, 86_398):
        row = rows.row(place, named=True)
        at = datetime.fromtimestamp(row["timestamp"] / 1e6, UTC)
        ticker = ask(exchange(history, at=at), "deribit", "ticker", instrument_name=PERPETUAL)
        for side in ("bid", "ask"):
            for what in ("price", "amount"):
                assert row[f"{side}_{what}"] == ticker[f"best_{side}_{what}"]
