"""Does everything that was recorded of Binance decode, and to what the venue itself says?"""

import gzip
import json
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import cache, partial
from pathlib import Path

import polars as pl
import pytest

from expectations.gate import ROW_NUMBER
from pipelines import universe
from pipelines.archives.base import Decoded
from pipelines.venues import binance_books as books
from pipelines.venues import binance_listing as listing
from pipelines.venues import binance_rows as rows
from pipelines.venues import binance_wire as wire
from pipelines.venues.binance_reading import Subject, quarter
from pipelines.venues.json_rows import row_texts, typed
from pipelines.venues.json_rows import rows as rows_of
from tests.venues.binance_recorded import (
    ANSWERS,
    MARKET_OF,
    STREAMS,
    answers,
    messages,
    routes,
    symbol_of,
)
from warehouse.raw import Page

DAY = date(2024, 8, 8)
AT = datetime(2024, 8, 8, 12, tzinfo=UTC)
Kept = tuple[int, pl.DataFrame]  # messages kept, and the rows or messages refused


def kept_rows(decoded: Decoded) -> Kept:
    """Messages of which a row was kept: every decoder's first table has a row per message."""
    return next(iter(decoded.rows.values()))[ROW_NUMBER].n_unique(), decoded.refused


def changes(subject: Subject, pages: Sequence[Page]) -> Kept:
    found, _ = books.changes(subject, pages)
    return found.frame.height, found.refused


def candles(subject: Subject, pages: Sequence[Page], form: wire.Form = wire.CANDLE) -> Kept:
    found = rows.candles(subject, pages, form)
    return found.frame.height, found.refused


def decoding(decode: Callable[..., Decoded], *more: object) -> Callable[..., Kept]:
    return lambda subject, pages: kept_rows(decode(subject, pages, *more))


def of_book(subject: Subject, pages: Sequence[Page]) -> Kept:
    return kept_rows(books.books(subject, AT, pages, 1_000))


EVENTS: dict[str, Callable[[Subject, Sequence[Page]], Kept]] = {
    "trade": decoding(rows.trades, wire.STREAMED_PRINT),
    "aggTrade": decoding(rows.trades),
    "bookTicker": decoding(rows.quotes, wire.STREAMED_BEST),
    "depthUpdate": changes,
    "depth": of_book,
    "kline": partial(candles, form=wire.STREAMED_CANDLE),
}


@cache
def stream(path: Path) -> tuple[dict[str, list[Page]], Counter[str]]:
    return wire.sorted_streams(messages(path))


def message_count(path: Path) -> int:
    with gzip.open(path, "rt") as file:
        return sum(1 for line in file if line.strip() and not line.startswith("wss:"))


@pytest.mark.parametrize("name", STREAMS)
def test_every_message_of_a_stream_decodes(name, recorded):
    found, counts = stream(recorded / name)
    assert set(counts) <= set(EVENTS)  # there is no message of another type
    assert counts.total() == message_count(recorded / name) > 0
    symbol = "BTCUSD_PERP" if STREAMS[name] == "cm" else "BTCUSDT"
    for event, pages in found.items():
        kept, refused = EVENTS[event](Subject(STREAMS[name], DAY, symbol), pages)
        assert refused.is_empty(), (event, refused["reason"].value_counts())
        assert kept == counts[event]


@pytest.mark.parametrize("name", ANSWERS)
def test_every_recorded_answer_decodes(name, recorded):
    for page in answers(recorded / name):
        if page.request.endswith("exchangeInfo"):
            kept, refused = of_list(ANSWERS[name], page)
            assert kept == len(json.loads(page.text)["symbols"])
        else:
            kept, refused = of_book(Subject(ANSWERS[name], DAY, symbol_of(page)), [page])
            assert kept == 1
        assert refused.is_empty()


def of_list(market: universe.Market, page: Page) -> Kept:
    return kept_rows(listing.instruments(Subject(market, DAY), listing.symbols([page])))


# ---------- the collection of REST answers, some of which its makers cut, edited or left out
REST: dict[str, Callable[[Subject, Sequence[Page]], Kept]] = {
    "aggTrades": decoding(rows.trades),
    "trades": decoding(rows.trades, wire.PRINT),
    "historicalTrades": decoding(rows.trades, wire.PRINT),
    "bookTicker": decoding(rows.quotes),
    "24hr": decoding(rows.day_tickers),
    "price": decoding(rows.day_tickers, wire.LAST),
    "premiumIndex": decoding(rows.marks),
    "openInterest": decoding(rows.open_interest),
    "openInterestHist": decoding(rows.open_interest, wire.INTEREST_HISTORY),
    "fundingRate": decoding(rows.settlements),
    "klines": candles,
    "continuousKlines": candles,
    "markPriceKlines": candles,
    "indexPriceKlines": decoding(rows.index_prices),
    "depth": of_book,
}
# Account, orders, transfers, ratios of accounts, compositions of indices, the time: no market data
# that the lake has a table for.
OTHERS = {
    *("account", "allOrders", "openOrders", "order", "test", "userDataStream", "getall", "address"),
    *("apply", "depositAddress.html", "withdraw.html", "withdrawHistory.html", "time", "avgPrice"),
    *("indexInfo", "basis", "globalLongShortAccountRatio", "takerBuySellVol"),
    *("takerlongshortRatio", "topLongShortAccountRatio", "topLongShortPositionRatio"),
}


def market_of(path: str, params: dict[str, str]) -> universe.Market:
    first = path.split("/")[1]
    return MARKET_OF.get(first, "cm" if "pair" in params else "um")


def subject_of(path: str, params: dict[str, str]) -> Subject:
    market = market_of(path, params)
    symbol = params.get("symbol", params.get("pair"))
    if symbol and market == "cm" and "_" not in symbol:
        symbol += "_PERP"
    return Subject(market, DAY, symbol)


def test_every_answer_of_the_rest_collection_decodes_or_is_counted(recorded):
    counts = Counter[str]()
    for asked, params, data in routes(recorded):
        method, path = asked.split()
        name = path.rsplit("/", 1)[1]
        counts[name] += 1
        page = Page(path, json.dumps(data), AT.isoformat())
        if name == "exchangeInfo":
            kept, refused = of_list(market_of(path, params), page)
            assert (kept, refused.height) == (len(data["symbols"]), 0)
        elif name == "fundingInfo":
            found = rows.intervals([page])
            assert len(found.declared_s) == len(data or [])
            assert found.refused == (data is None)
        elif method == "GET" and name in REST:
            kept, refused = REST[name](subject_of(path, params), [page])
            assert kept + refused.height == len(list(rows_of([page.text])))
            texts = row_texts([page.text], refused[ROW_NUMBER].to_list())
            for text in texts.values():
                assert is_broken_by_its_makers(text), (path, params, text)
        else:
            assert name in OTHERS
    assert counts.total() == sum(1 for _ in routes(recorded)) > 150


def is_broken_by_its_makers(text: str) -> bool:
    """No answer at all, the venue's own error, or a print whose `m` was renamed to nothing."""
    row = json.loads(text)
    return row is None or "code" in row or ("" in row and "m" not in row)


# ---------- what the venue says itself
def test_notionals_are_what_the_venue_says_of_the_same_prints(recorded):
    seen = Counter[str]()
    for asked, params, data in routes(recorded):
        path = asked.split()[1]
        if path.rsplit("/", 1)[1] not in ("trades", "historicalTrades") or "code" in data:
            continue
        market = market_of(path, params)
        page = Page(path, json.dumps(data), AT.isoformat())
        frame = rows.trades(subject_of(path, params), [page], wire.PRINT).rows["trades"]
        for row, said in zip(frame.rows(named=True), data, strict=True):
            if market == "cm":
                size = row["quantity_contracts"] * 100 / row["price"]
                assert size == pytest.approx(float(said["baseQty"]), abs=1e-8)
                assert row["notional_usd"] == row["quantity_contracts"] * 100
            elif params["symbol"].endswith("USDT"):
                cut = 0.01 if market == "um" else 1e-8  # the venue drops what is below
                assert -1e-8 < row["notional_usd"] - float(said["quoteQty"]) < cut
            else:
                assert row["notional_usd"] is None
            seen[market] += 1
    assert seen["spot"] > 10
    assert seen["um"] > 5
    assert seen["cm"] > 10


def test_open_interest_is_worth_what_the_venue_says_it_is(recorded):
    """USD-M states it in dollars, COIN-M in coins: each implies a price of its day."""
    prices = {"LTCUSDT": (40, 60), "BTCUSDT": (11_000, 12_000), "BTCUSD": (11_000, 12_000)}
    seen = 0
    for asked, params, data in routes(recorded):
        if not asked.endswith("openInterestHist"):
            continue
        page = Page(asked, json.dumps(data), AT.isoformat())
        subject = subject_of(asked.split()[1], params)
        frame = rows.open_interest(subject, [page], wire.INTEREST_HISTORY).rows["quotes"]
        price = frame["open_interest_usd"] / frame["open_interest_base"]
        low, high = prices[params.get("symbol", params.get("pair"))]
        assert price.is_between(low, high).all()
        seen += frame.height
    assert seen > 20


def test_marks_of_perpetuals_lie_by_their_index_and_days_by_their_average(recorded):
    marked, priced = 0, 0
    for asked, params, data in routes(recorded):
        path = asked.split()[1]
        page, subject = Page(path, json.dumps(data), AT.isoformat()), subject_of(path, params)
        if path.endswith("premiumIndex"):
            decoded = rows.marks(subject, [page])
            perps = decoded.rows["quotes"].join(decoded.rows["funding"], on="instrument_id")
            assert (perps["mark_price"] / perps["index_price"]).is_between(0.98, 1.02).all()
            assert perps["rate"].is_between(-0.01, 0.01).all()
            marked += perps.height
        if path.startswith(("/fapi", "/dapi")) and path.endswith("24hr") and "code" not in data:
            told = data if isinstance(data, list) else [data]
            frame = rows.day_tickers(subject, [page]).rows["quotes"]
            for row, said in zip(frame.rows(named=True), told, strict=True):
                coins = float(said.get("baseVolume", said["volume"]))
                average = float(said["weightedAvgPrice"])
                assert row["volume_24h_usd"] == pytest.approx(coins * average, rel=1e-3)
                priced += 1
    assert marked > 3
    assert priced > 5


def test_candles_of_contracts_are_worth_their_coins_at_the_prices_of_the_minute(recorded):
    """So contract sizes are right: 100 dollars of BTC, 10 of every other coin."""
    found, _ = stream(recorded / "venue_wire_31s/BINANCE_DELIVERY.ws.1.0.gz")
    frame = rows.candles(Subject("cm", DAY), found["kline"], wire.STREAMED_CANDLE).frame
    implied = frame["volume_usd"] / frame["volume_base"]
    assert (implied <= frame["high"] * (1 + 1e-6)).all()
    assert (implied >= frame["low"] * (1 - 1e-6)).all()
    assert frame["underlying"].n_unique() >= 5


def test_the_lists_agree_with_the_seeds_on_contract_sizes_and_names(recorded):
    for name in (n for n in ANSWERS if n.endswith(".0.gz") and "http" not in n):
        market = ANSWERS[name]
        (page,) = answers(recorded / name)
        decoded = listing.instruments(Subject(market, DAY), listing.symbols([page]))
        for row in decoded.rows["instruments"].rows(named=True):
            item = universe.binance(market, row["native_symbol"])
            assert universe.spec(item, DAY).contract_size == row["contract_size"]
            assert row["expires_at"] == item.expires_at


def test_prints_of_the_stream_are_numbered_without_a_hole(recorded):
    for name in (n for n in STREAMS if "ws_raw/usdm" not in n and "ws_raw" in n):
        found, _ = stream(recorded / name)
        frame = rows.trades(Subject(STREAMS[name], DAY), found["trade"], wire.STREAMED_PRINT).rows[
            "trades"
        ]
        assert frame["sequence"].diff().drop_nulls().unique().to_list() == [1]


@pytest.mark.parametrize("name", [n for n in STREAMS if "ws_raw" in n and "0809" not in n])
def test_a_book_followed_by_its_changes_is_the_best_quote_that_the_venue_tells(name, recorded):
    """From the one snapshot on, at every update that both streams number alike."""
    market, (found, _) = STREAMS[name], stream(recorded / name)
    symbol = "BTCUSD_PERP" if market == "cm" else "BTCUSDT"
    subject = Subject(market, DAY, symbol)
    snapshot = json.loads(found["depth"][0].text)
    book = {
        side: {float(price): float(size) for price, size in snapshot[side]}
        for side in ("bids", "asks")
    }
    told, _ = books.changes(subject, found["depthUpdate"])
    later = told.frame.filter(pl.col("last_id") > snapshot["lastUpdateId"]).head(400)
    _, levels = books.changes(subject, found["depthUpdate"])
    by_message = levels.partition_by(ROW_NUMBER, as_dict=True)
    best = {
        row["update_id"]: (row["bid_price"], row["ask_price"])
        for row in quoted(found["bookTicker"])
    }
    compared = 0
    for message in later.rows(named=True):
        apply(book, by_message.get((message[ROW_NUMBER],)))
        if message["last_id"] in best:
            assert (max(book["bids"]), min(book["asks"])) == best[message["last_id"]]
            compared += 1
    assert compared > 20


def quoted(pages: Sequence[Page]) -> list[dict]:
    frame, _ = typed([page.text for page in pages], wire.STREAMED_BEST.shape)
    return frame.rename(dict(wire.STREAMED_BEST.names)).rows(named=True)


def apply(book: dict[str, dict[float, float]], levels: pl.DataFrame | None) -> None:
    for row in levels.rows(named=True) if levels is not None else []:
        side = book["bids" if row["side"] == "bid" else "asks"]
        if row["quantity"]:
            side[row["price"]] = row["quantity"]
        else:
            side.pop(row["price"], None)


@pytest.mark.parametrize("market", ["um", "cm"])
def test_marks_and_forced_orders_of_a_stream_decode(market):
    """Payloads as the venue's documentation has them: nobody recorded any."""
    symbol = "BTCUSD_PERP" if market == "cm" else "BTCUSDT"
    mark = {"e": "markPriceUpdate", "E": 1562305380000, "s": symbol, "p": "11794.15"}
    mark |= {"i": "11784.62", "P": "11784.25", "r": "0.00038167", "T": 1562306400000}
    order = {"s": symbol, "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "3", "p": "9910"}
    order |= {"ap": "9910", "X": "FILLED", "l": "3", "z": "3", "T": 1568014460893}
    events = [mark, {"e": "forceOrder", "E": 1568014460893, "o": order}]
    sent = [{"stream": f"{symbol.lower()}@x", "data": event} for event in events]
    found, _ = wire.sorted_streams([Page("", json.dumps(m), AT.isoformat()) for m in sent])
    subject = Subject(market, DAY)
    marks = rows.marks(subject, found["markPriceUpdate"], wire.STREAMED_MARK).rows
    assert marks["quotes"]["mark_price"].item() == 11794.15
    assert marks["funding"]["rate"].item() == 0.00038167
    forced = rows.liquidations(subject, found["forceOrder"]).rows["liquidations"]
    worth = 300 if market == "cm" else 3 * 9_910
    assert forced.select("side", "notional_usd").row(0) == ("sell", worth)


def test_quarters_end_on_the_last_friday():
    at = datetime(2020, 10, 18, tzinfo=UTC)
    assert quarter("BTCUSD", "CURRENT_QUARTER", at) == "BTCUSD_201225"
    assert quarter("BTCUSD", "NEXT_QUARTER", at) == "BTCUSD_210326"
    after = datetime(2020, 12, 25, 9, tzinfo=UTC)
    assert quarter("BTCUSD", "CURRENT_QUARTER", after) == "BTCUSD_210326"
    assert quarter("BTCUSD", "PERPETUAL", at) == "BTCUSD_PERP"
    assert quarter("BTCUSD", "ALL", at) is None
