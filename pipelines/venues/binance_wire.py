"""What does Binance send? Every message that is read: its fields, their types, our names for them.

REST answers spell field names out, streams abbreviate them; both mean the same rows.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pipelines.venues.json_shape import Shape, Type
from warehouse.raw import Page


@dataclass(frozen=True, slots=True)
class Form:
    """The shape of a message on the wire, and what its fields are called here."""

    shape: Shape
    names: Mapping[str, str]


def _form(
    required: Mapping[str, tuple[str, Type]],
    optional: Mapping[str, tuple[str, Type]] | None = None,
    places: tuple[str, ...] = (),
) -> Form:
    others = optional or {}
    shape = Shape(
        {wire: kind for wire, (_, kind) in required.items()},
        {wire: kind for wire, (_, kind) in others.items()},
        places,
    )
    return Form(shape, {wire: name for wire, (name, _) in {**required, **others}.items()})


# ---------- prints
# {"a":15683430,"p":"0.3528","q":"58.0","f":19862790,"l":19862790,"T":1633998523963,"m":false}
AGGREGATE = _form(
    {
        "a": ("id", "integer"),
        "p": ("price", "decimal"),
        "q": ("size", "decimal"),
        "f": ("first_id", "integer"),
        "l": ("last_id", "integer"),
        "T": ("time", "integer"),
        "m": ("is_buyer_maker", "flag"),
    },
    {"s": ("symbol", "text")},
)
# {"id":1,"price":"19100.5","qty":"1","baseQty":"0.005","time":1607294296479,"isBuyerMaker":true}
PRINT = _form(
    {
        "id": ("id", "integer"),
        "price": ("price", "decimal"),
        "qty": ("size", "decimal"),
        "time": ("time", "integer"),
        "isBuyerMaker": ("is_buyer_maker", "flag"),
    },
    {"baseQty": ("size_base", "decimal"), "quoteQty": ("size_quote", "decimal")},
)
# {"e":"trade","T":1723161257679,"s":"BTCUSD_PERP","t":849714402,"p":"61804.8","q":"4","m":false}
STREAMED_PRINT = _form(
    {
        "t": ("id", "integer"),
        "p": ("price", "decimal"),
        "q": ("size", "decimal"),
        "T": ("time", "integer"),
        "m": ("is_buyer_maker", "flag"),
        "s": ("symbol", "text"),
    },
    {"X": ("order_type", "text")},
)
# {"e":"forceOrder","E":1,"o":{"s":"BTCUSDT","S":"SELL","ap":"9910","z":"0.014","T":1568014460893}}
FORCED_ORDER = _form(
    {
        "s": ("symbol", "text"),
        "S": ("order_side", "text"),
        "ap": ("price", "decimal"),
        "z": ("size", "decimal"),
        "T": ("time", "integer"),
    }
)

# ---------- states
BEST = _form(
    {
        "symbol": ("symbol", "text"),
        "bidPrice": ("bid_price", "decimal"),
        "bidQty": ("bid_size", "decimal"),
        "askPrice": ("ask_price", "decimal"),
        "askQty": ("ask_size", "decimal"),
    },
    {"time": ("time", "integer")},
)
STREAMED_BEST = _form(
    {
        "s": ("symbol", "text"),
        "u": ("update_id", "integer"),
        "b": ("bid_price", "decimal"),
        "B": ("bid_size", "decimal"),
        "a": ("ask_price", "decimal"),
        "A": ("ask_size", "decimal"),
    },
    {"T": ("time", "integer")},
)
MARK = _form(
    {
        "symbol": ("symbol", "text"),
        "markPrice": ("mark_price", "decimal"),
        "indexPrice": ("index_price", "decimal"),
        "time": ("time", "integer"),
    },
    # Empty on dated futures, which pay no funding.
    {"lastFundingRate": ("rate", "decimal"), "nextFundingTime": ("funds_next", "integer")},
)
STREAMED_MARK = _form(
    {"s": ("symbol", "text"), "p": ("mark_price", "decimal"), "E": ("time", "integer")},
    {
        "i": ("index_price", "decimal"),
        "r": ("rate", "decimal"),
        "T": ("funds_next", "integer"),
    },
)
INTEREST = _form(
    {
        "symbol": ("symbol", "text"),
        "openInterest": ("interest", "decimal"),
        "time": ("time", "integer"),
    }
)
INTEREST_HISTORY = _form(
    {
        "sumOpenInterest": ("interest", "decimal"),
        "sumOpenInterestValue": ("value", "decimal"),
        "timestamp": ("time", "integer"),
    },
    {
        "symbol": ("symbol", "text"),
        "pair": ("pair", "text"),  # COIN-M names no instrument but a pair and a kind of contract
        "contractType": ("contract_type", "text"),
    },
)
DAY_TICKER = _form(
    {
        "symbol": ("symbol", "text"),
        "lastPrice": ("last_price", "decimal"),
        "volume": ("volume", "decimal"),
        "closeTime": ("time", "integer"),
    },
    {
        "quoteVolume": ("volume_quote", "decimal"),
        "baseVolume": ("volume_base", "decimal"),
        "weightedAvgPrice": ("vwap", "decimal"),
    },
)
LAST = _form(
    {"symbol": ("symbol", "text"), "price": ("last_price", "decimal")},
    {"time": ("time", "integer")},
)

# ---------- books
_LEVELS: Mapping[str, tuple[str, Type]] = {"bids": ("bids", "levels"), "asks": ("asks", "levels")}
DEPTH = _form(
    {"lastUpdateId": ("last_id", "integer"), **_LEVELS},
    {"T": ("time", "integer"), "symbol": ("symbol", "text")},  # neither on spot
)
DEPTH_UPDATE = _form(
    {
        "s": ("symbol", "text"),
        "E": ("time", "integer"),
        "U": ("first_id", "integer"),
        "u": ("last_id", "integer"),
        "b": ("bids", "levels"),
        "a": ("asks", "levels"),
    },
    {"pu": ("previous_id", "integer")},  # not on spot
)

# ---------- funding
FUNDING_RATE = _form(
    {
        "symbol": ("symbol", "text"),
        "fundingTime": ("time", "integer"),
        "fundingRate": ("rate", "decimal"),
    },
    {"markPrice": ("mark_price", "decimal")},
)
FUNDING_INFO = _form(
    {"symbol": ("symbol", "text"), "fundingIntervalHours": ("interval_hours", "integer")}
)

# ---------- candles: of prices, marks, indices and premiums alike
CANDLE = _form(
    {
        "open_time": ("time", "integer"),
        "open": ("open", "decimal"),
        "high": ("high", "decimal"),
        "low": ("low", "decimal"),
        "close": ("close", "decimal"),
        "volume": ("volume", "decimal"),
        "close_time": ("close_time", "integer"),
        "other_volume": ("other_volume", "decimal"),
        "count": ("trade_count", "integer"),
    },
    places=(
        *("open_time", "open", "high", "low", "close", "volume"),
        *("close_time", "other_volume", "count"),
    ),
)
STREAMED_CANDLE = _form(
    {
        "s": ("symbol", "text"),
        "t": ("time", "integer"),
        "o": ("open", "decimal"),
        "h": ("high", "decimal"),
        "l": ("low", "decimal"),
        "c": ("close", "decimal"),
        "v": ("volume", "decimal"),
        "T": ("close_time", "integer"),
        "q": ("other_volume", "decimal"),
        "n": ("trade_count", "integer"),
    }
)

# ---------- the listing, its filters lifted up: one row per symbol
LISTING = _form(
    {
        "symbol": ("symbol", "text"),
        "baseAsset": ("base_asset", "text"),
        "quoteAsset": ("quote_asset", "text"),
        "tickSize": ("tick_size", "decimal"),
        "stepSize": ("lot_size", "decimal"),
    },
    # None of these on spot; the size of a contract on COIN-M alone, elsewhere it is one coin.
    {
        "marginAsset": ("margin_asset", "text"),
        "deliveryDate": ("delivers", "integer"),
        "onboardDate": ("listed", "integer"),
        "contractSize": ("wire_contract_size", "number"),
        "status": ("status", "text"),
        "contractStatus": ("contract_status", "text"),
    },
)

# ---------- streams
NESTED = {"kline": "k", "forceOrder": "o"}  # where the row stands inside the event


def sorted_streams(messages: Iterable[Page]) -> tuple[dict[str, list[Page]], Counter[str]]:
    """Messages of a combined stream as pages of one row each, by event; and how many of each.

    What is no event is counted under `other`, and so is text that is no JSON.
    """
    found: dict[str, list[Page]] = defaultdict(list)
    counts: Counter[str] = Counter()
    for message in messages:
        event, row = _event(message.text)
        counts[event] += 1
        found[event].append(Page(message.request, row, message.received_at))
    return dict(found), counts


def _event(text: str) -> tuple[str, str]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return "other", text
    row: Any = message.get("data") if isinstance(message, dict) else None
    if not isinstance(row, dict):
        is_depth = isinstance(message, dict) and "lastUpdateId" in message
        return ("depth" if is_depth else "other"), text
    stream = str(message.get("stream")).partition("@")[2].partition("@")[0]
    event = row.get("e", stream)  # spot's bookTicker does not say what it is; its stream does
    if not isinstance(event, str):
        return "other", text
    return event, json.dumps(row.get(NESTED[event], row) if event in NESTED else row)
