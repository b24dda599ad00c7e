"""The embedded market as Binance serves it: ids, windows, weights, errors, candles."""

import gzip
import json
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest

from pipelines.simulator import tape
from pipelines.simulator.funding import settled_rate
from pipelines.simulator.history import History
from pipelines.simulator.listings import listings
from tests.wire_client import AFTER, DAY, DAY_MS, Ticks, ask, exchange, get

HOUR_MS = 3_600_000
MARKETS = [("spot", "BTCUSDT"), ("um", "ETHUSDT"), ("cm", "BTCUSD_PERP"), ("um", "BTCUSDT_260327")]
GZIPPED = "binance_rest/binance/testdata/http.json.gz"


@pytest.fixture(scope="module")
def history() -> History:
    return History(7, 0.02)


@pytest.fixture(scope="module")
def market(history):
    return exchange(history)


def happened(history: History, section: str, symbol: str) -> pl.DataFrame:
    listing = next(m for m in listings(DAY) if (m.market, m.symbol) == (section, symbol))
    prints = history.prints(listing, DAY)
    return tape.order_truth(history.state(listing.coin, DAY), prints)


# ---------- the tape


@pytest.mark.parametrize(("section", "symbol"), MARKETS)
def test_paging_by_id_returns_exactly_what_happened(market, history, section, symbol):
    real = happened(history, section, symbol)
    rows, first = [], int(real["trade_id"][0])
    while not rows or rows[-1]["T"] < DAY_MS[1]:
        page = ask(market, section, "aggTrades", symbol=symbol, fromId=first, limit=100)
        rows += page
        if len(page) < 100:
            break
        first = page[-1]["a"] + 1
    rows = [row for row in rows if row["T"] < DAY_MS[1]]
    assert [str(row["a"]) for row in rows] == real["trade_id"].to_list()
    assert [float(row["p"]) for row in rows] == real["price"].to_list()
    assert [row["T"] for row in rows] == real["event_at"].dt.epoch("ms").to_list()
    assert ["sell" if row["m"] else "buy" for row in rows] == real["side"].to_list()
    size = np.array([float(row["q"]) for row in rows])
    base = size * 100 / real["price"].to_numpy() if section == "cm" else size
    np.testing.assert_allclose(base, real["quantity_base"], rtol=1e-9)


@pytest.mark.parametrize(("section", "symbol"), MARKETS)
def test_windows_of_an_hour_make_up_the_day(market, history, section, symbol):
    found = []
    for start in range(*DAY_MS, HOUR_MS):
        window = {"startTime": start, "endTime": start + HOUR_MS - 1, "limit": 1000}
        page = ask(market, section, "aggTrades", symbol=symbol, **window)
        assert len(page) < 1000
        found += [str(row["a"]) for row in page]
    assert found == happened(history, section, symbol)["trade_id"].to_list()


def test_the_newest_page_ends_at_the_clock(history):
    noon = datetime(2026, 3, 10, 12, tzinfo=UTC)
    page = ask(exchange(history, at=noon), "um", "aggTrades", symbol="BTCUSDT", limit=50)
    assert len(page) == 50
    assert page[-1]["T"] <= noon.timestamp() * 1000
    real = happened(history, "um", "BTCUSDT").filter(pl.col("event_at") <= noon)
    assert str(page[-1]["a"]) == real["trade_id"][-1]


@pytest.mark.parametrize(("section", "symbol"), MARKETS[:3])
def test_fills_lie_behind_their_aggregates_without_a_hole(market, section, symbol):
    start = DAY_MS[0] + 9 * HOUR_MS
    orders = ask(market, section, "aggTrades", symbol=symbol, startTime=start, limit=20)
    first, last = orders[0]["f"], orders[-1]["l"]
    query = {"symbol": symbol, "fromId": first, "limit": last - first + 1}
    fills = ask(market, section, "historicalTrades", **query)
    assert [fill["id"] for fill in fills] == list(range(first, last + 1))
    for order in orders:
        behind = [fill for fill in fills if order["f"] <= fill["id"] <= order["l"]]
        assert sum(float(fill["qty"]) for fill in behind) == pytest.approx(float(order["q"]))
        assert {fill["price"] for fill in behind} == {order["p"]}
        assert {fill["isBuyerMaker"] for fill in behind} == {order["m"]}
    newest = ask(market, section, "trades", symbol=symbol, limit=5)
    [last_order] = ask(market, section, "aggTrades", symbol=symbol, limit=1)
    assert newest[-1]["id"] == last_order["l"]


@pytest.mark.parametrize(("section", "symbol"), MARKETS)
def test_candles_count_what_the_tape_says(market, history, section, symbol):
    real = happened(history, section, symbol)
    rows = ask(
        market, section, "klines", symbol=symbol, interval="1h",
        startTime=DAY_MS[0], endTime=DAY_MS[1] - 1,
    )  # fmt: skip
    assert [row[0] for row in rows] == list(range(*DAY_MS, HOUR_MS))
    orders = [
        row
        for start in range(*DAY_MS, HOUR_MS)
        for row in ask(
            market, section, "aggTrades", symbol=symbol, startTime=start,
            endTime=start + HOUR_MS - 1, limit=1000,
        )
    ]  # fmt: skip
    assert sum(row[8] for row in rows) == sum(row["l"] - row["f"] + 1 for row in orders)
    volume = sum(float(row["q"]) for row in orders)
    assert sum(float(row[5]) for row in rows) == pytest.approx(volume, abs=1e-6)
    taken = sum(float(row["q"]) for row in orders if not row["m"])
    assert sum(float(row[9]) for row in rows) == pytest.approx(taken, abs=1e-6)
    assert max(float(row[2]) for row in rows) == real["price"].max()


# ---------- marks, funding, states


def test_settlements_follow_the_formula_over_the_premium_that_was_shown(market):
    rows = ask(
        market, "um", "fundingRate", symbol="BTCUSDT", startTime=DAY_MS[0], endTime=DAY_MS[1] - 1
    )
    assert [round(row["fundingTime"] / HOUR_MS) * HOUR_MS for row in rows] == list(
        range(DAY_MS[0], DAY_MS[1], 8 * HOUR_MS)
    )
    candles = ask(
        market, "um", "premiumIndexKlines", symbol="BTCUSDT", interval="1m",
        startTime=DAY_MS[0], endTime=DAY_MS[0] + 8 * HOUR_MS - 1,
    )  # fmt: skip
    opens = np.array([float(row[1]) for row in candles])
    weights = np.arange(1, len(opens) + 1)
    expected = float(settled_rate(opens @ weights / weights.sum()))
    assert float(rows[1]["fundingRate"]) == pytest.approx(expected, abs=2e-8)


def test_the_adjusted_market_declares_its_interval_and_keeps_it(history):
    """In some months its interval is four hours for a week."""
    paid = {}
    for month in range(1, 13):
        at = datetime(2027, month, 16, 1, tzinfo=UTC)
        market = exchange(history, at=at)
        [row] = ask(market, "um", "fundingInfo")
        end = int(at.timestamp() * 1000)
        settled = ask(
            market, "um", "fundingRate", symbol="ETHUSDT", startTime=end - 24 * HOUR_MS, endTime=end
        )
        paid[month] = (row["fundingIntervalHours"], len(settled))
    assert set(paid.values()) == {(8, 3), (4, 6)}


def test_the_mark_is_index_and_premium(market):
    row = ask(market, "um", "premiumIndex", symbol="BTCUSDT")
    [candle] = ask(market, "um", "premiumIndexKlines", symbol="BTCUSDT", interval="1m", limit=1)
    premium = float(row["markPrice"]) / float(row["indexPrice"]) - 1
    assert premium == pytest.approx(float(candle[1]), abs=5e-6)
    [coin] = ask(market, "cm", "premiumIndex", symbol="BTCUSD_PERP")
    assert coin["pair"] == "BTCUSD"
    dated = ask(market, "um", "premiumIndex", symbol="BTCUSDT_260626")
    assert dated["nextFundingTime"] == 0


def test_books_are_ordered_and_begin_at_the_best_quotes(market):
    for section, symbol in MARKETS:
        book = ask(market, section, "depth", symbol=symbol, limit=20)
        best = ask(market, section, "ticker/bookTicker", symbol=symbol)
        best = best[0] if isinstance(best, list) else best
        bids, asks = ([float(level[0]) for level in book[side]] for side in ("bids", "asks"))
        assert bids == sorted(bids, reverse=True)
        assert asks == sorted(asks)
        assert book["bids"][0] == [best["bidPrice"], best["bidQty"]]
        assert book["asks"][0] == [best["askPrice"], best["askQty"]]


def test_buyers_print_at_the_ask_and_sellers_at_the_bid(history):
    [order] = ask(exchange(history), "um", "aggTrades", symbol="BTCUSDT", limit=1)
    then = datetime.fromtimestamp(order["T"] / 1000, UTC)
    best = ask(exchange(history, at=then), "um", "ticker/bookTicker", symbol="BTCUSDT")
    side = "bidPrice" if order["m"] else "askPrice"
    assert float(best[side]) == pytest.approx(float(order["p"]), abs=1.0)


# ---------- limits and errors


@pytest.mark.parametrize(
    ("section", "name", "query", "code"),
    [
        ("spot", "aggTrades", {"symbol": "NEXOUSDT"}, -1121),
        ("um", "aggTrades", {}, -1102),
        ("um", "aggTrades", {"symbol": "btc usdt"}, -1100),
        ("um", "aggTrades", {"symbol": "BTCUSDT", "startTime": 1, "endTime": 3_600_002}, -1127),
        ("um", "aggTrades", {"symbol": "BTCUSDT", "fromId": 1, "startTime": 1}, -1128),
        ("um", "aggTrades", {"symbol": "BTCUSDT", "limit": 1001}, -1130),
        ("um", "aggTrades", {"symbol": "BTCUSDT", "startTime": 2, "endTime": 1}, -1023),
        ("cm", "klines", {"symbol": "BTCUSD_PERP", "interval": "7m"}, -1120),
    ],
)
def test_a_bad_request_gets_the_venues_error(market, section, name, query, code):
    reply = get(market, section, name, **query)
    assert reply.status == 400
    assert json.loads(reply.body)["code"] == code


def test_spot_serves_at_most_a_thousand_however_many_are_asked_for(market):
    assert len(ask(market, "spot", "aggTrades", symbol="BTCUSDT", limit=5000)) == 1000


def test_weights_are_counted_per_host_and_minute_and_refused_beyond(history):
    ticks = Ticks()
    market = exchange(history, scale=1.0, ticks=ticks)
    last = None
    for _ in range(120):
        last = get(market, "um", "aggTrades", symbol="BTCUSDT", limit=1)
    assert last.status == 200
    assert last.headers["X-MBX-USED-WEIGHT-1M"] == "2400"
    refused = get(market, "um", "aggTrades", symbol="BTCUSDT", limit=1)
    assert refused.status == 429
    assert json.loads(refused.body)["code"] == -1003
    assert refused.headers["Retry-After"] == "60"
    assert get(market, "spot", "time").status == 200  # another host, another budget
    ticks.at = 60.0
    assert get(market, "um", "aggTrades", symbol="BTCUSDT", limit=1).status == 200


def test_who_does_not_wait_is_banned(history):
    ticks = Ticks()
    market = exchange(history, scale=0.001, ticks=ticks)
    statuses = [get(market, "um", "aggTrades", symbol="BTCUSDT").status for _ in range(30)]
    assert statuses[0] == 429
    assert statuses[-1] == 418
    ticks.at = 60.0
    assert get(market, "um", "time").status == 418
    ticks.at = 130.0
    assert get(market, "um", "time").status == 200


def test_deribits_credits_refill_with_time(history):
    ticks = Ticks()
    market = exchange(history, scale=1.0, ticks=ticks)
    statuses = [get(market, "deribit", "get_time").status for _ in range(101)]
    assert statuses == [200] * 100 + [429]
    refused = get(market, "deribit", "get_time")
    assert json.loads(refused.body)["error"]["code"] == 10028
    assert int(refused.headers["Retry-After"]) >= 1
    ticks.at = 0.5
    assert [get(market, "deribit", "get_time").status for _ in range(11)] == [200] * 10 + [429]


# ---------- against what was recorded


@pytest.fixture(scope="module")
def routes(recorded):
    return json.loads(gzip.decompress((recorded / GZIPPED).read_bytes()))["routes"]


@pytest.mark.parametrize(
    ("section", "name", "query"),
    [
        ("spot", "aggTrades", {"symbol": "BTCUSDT"}),
        ("spot", "trades", {"symbol": "BTCUSDT"}),
        ("spot", "klines", {"symbol": "BTCUSDT", "interval": "5m"}),
        ("spot", "ticker/24hr", {"symbol": "BTCUSDT"}),
        ("spot", "ticker/bookTicker", {"symbol": "BTCUSDT"}),
        ("spot", "depth", {"symbol": "BTCUSDT"}),
        ("um", "aggTrades", {"symbol": "BTCUSDT"}),
        ("um", "trades", {"symbol": "BTCUSDT"}),
        ("um", "fundingRate", {"symbol": "BTCUSDT"}),
        ("um", "fundingInfo", {}),
        ("um", "premiumIndex", {"symbol": "BTCUSDT"}),
        ("um", "openInterest", {"symbol": "BTCUSDT"}),
        ("um", "depth", {"symbol": "BTCUSDT"}),
        ("um", "ticker/bookTicker", {}),
        ("cm", "aggTrades", {"symbol": "BTCUSD_PERP"}),
        ("cm", "trades", {"symbol": "BTCUSD_PERP"}),
        ("cm", "fundingRate", {"symbol": "BTCUSD_PERP"}),
        ("cm", "premiumIndex", {}),
        ("cm", "openInterest", {"symbol": "BTCUSD_PERP"}),
        ("cm", "depth", {"symbol": "BTCUSD_PERP"}),
        ("cm", "ticker/24hr", {"symbol": "BTCUSD_PERP"}),
        ("cm", "ticker/bookTicker", {"symbol": "BTCUSD_PERP"}),
        ("cm", "indexPriceKlines", {"pair": "BTCUSD", "interval": "5m"}),
    ],
)
def test_answers_have_the_fields_and_types_that_were_recorded(routes, market, section, name, query):
    root = {"spot": "/api/v3/", "um": "/fapi/v1/", "cm": "/dapi/v1/"}[section]
    recordings = routes[f"{root}{name}"]["GET"]
    theirs = next(r["data"] for r in recordings if r["data"] and "code" not in r["data"])
    assert_alike(theirs, ask(market, section, name, **query), name)


def assert_alike(theirs: object, ours: object, place: str) -> None:
    """The same kinds of values under the same names; of lists, in their first rows."""
    assert type(theirs) is type(ours), place
    if isinstance(theirs, dict):
        assert theirs.keys() <= ours.keys(), place
        for key, value in theirs.items():
            assert_alike(value, ours[key], f"{place}.{key}")
    elif isinstance(theirs, list) and theirs:
        assert_alike(theirs[0], ours[0], f"{place}[0]")


def test_exchange_info_has_the_filters_that_tell_tick_and_lot(routes, market):
    for section, path in (("spot", "/api/v3/"), ("um", "/fapi/v1/"), ("cm", "/dapi/v1/")):
        theirs = routes[f"{path}exchangeInfo"]["GET"][0]["data"]["symbols"][0]
        ours = ask(market, section, "exchangeInfo")["symbols"]
        for key in ("symbol", "baseAsset", "quoteAsset", "filters"):
            assert type(ours[0][key]) is type(theirs[key])
        for key in ("contractType", "deliveryDate", "onboardDate", "marginAsset", "pair"):
            assert (key in theirs) == (key in ours[0])
        filters = {f["filterType"]: f for f in ours[0]["filters"]}
        assert float(filters["PRICE_FILTER"]["tickSize"]) > 0
        assert float(filters["LOT_SIZE"]["stepSize"]) > 0
    assert ask(market, "um", "time") == {"serverTime": int(AFTER.timestamp() * 1000)}
