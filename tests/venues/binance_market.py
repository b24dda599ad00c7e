"""A small Binance on loopback: three markets of one coin, their prints numbered from anywhere."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

from pipelines.settings import Settings
from pipelines.transport import Transport
from pipelines.venues.base import Window, milliseconds
from pipelines.venues.binance import Binance
from tests.misbehaving import Asked, Said, Server, json
from warehouse.location import Location

DAY = date(2026, 3, 10)
WINDOW = Window.day(DAY)
SECOND_MS, HOUR_MS = 1_000, 3_600_000
SPOT, PERP, INVERSE, FUTURE = "BTCUSDT", "BTCUSDT", "BTCUSD_PERP", "BTCUSD_260327"
FUTURE_MS = 1_774_598_400_000  # 2026-03-27 08:00
HOSTS = {"api.binance.com": "spot", "fapi.binance.com": "um", "dapi.binance.com": "cm"}


@contextmanager
def opened(server: Server, market: "Market", folder: Path) -> Iterator[Binance]:
    """The venue as it is asked in tests: on loopback, without waiting, by the market's clock."""
    settings = Settings(gateway=server.address, rate_scale=1e6, timeout_s=5, book_depth=5)
    with Transport(
        Location(folder),
        clock=lambda: market.now,
        settings=settings,
        sleep=lambda _: None,
        draw=lambda: 0.0,
    ) as transport:
        yield Binance(transport, settings)


@dataclass(slots=True)
class Market:
    """What the venue knows, by market and symbol. Tests change it before they ask."""

    prints: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    candles: dict[tuple[str, str], list[Any] | None] = field(default_factory=dict)
    settlements: list[dict[str, Any]] = field(default_factory=list)
    declared: list[dict[str, Any]] = field(default_factory=list)
    now: datetime = field(default_factory=lambda: WINDOW.end + timedelta(hours=1))

    def react(self, asked: Asked) -> Said:
        """`/fapi.binance.com/fapi/v1/aggTrades` and the like."""
        _, host, *_, name = asked.path.split("/")
        market, params = HOSTS[host], dict(asked.params)
        symbol = params.get("symbol", params.get("pair", ""))
        match name:
            case "exchangeInfo":
                return json({"symbols": listed(market)})
            case "aggTrades":
                return json(self.aggregates(market, symbol, params))
            case "klines":
                candle = self.candles.get((market, symbol), self.candle(market, symbol))
                return json([candle] if candle else [])
            case "fundingRate":
                low, high = int(params["startTime"]), int(params["endTime"])
                own = [s for s in self.settlements if s["symbol"] == symbol]
                return json([s for s in own if low <= s["fundingTime"] <= high])
            case "fundingInfo":
                return json(self.declared)
            case "indexPriceKlines" | "premiumIndexKlines":
                value = 60_000.0 if name == "indexPriceKlines" else -0.0005
                first = -(-int(params["startTime"]) // 60_000) * 60_000
                starts = range(first, int(params["endTime"]), 60_000)[: int(params["limit"])]
                return json([candle_of(start, 60_000, [value], 0.0, 0) for start in starts])
        state = self.state(market, symbol, name, params)
        is_list = market == "cm" and name in ("bookTicker", "24hr", "premiumIndex")
        return json([state] if is_list else state)

    def aggregates(
        self, market: str, symbol: str, params: dict[str, str]
    ) -> Sequence[dict[str, Any]]:
        every = [
            p for p in self.prints.get((market, symbol), []) if p["T"] < milliseconds(self.now)
        ]
        limit = int(params["limit"])
        if "fromId" in params:
            return [p for p in every if p["a"] >= int(params["fromId"])][:limit]
        if "startTime" in params:
            low, high = int(params["startTime"]), int(params["endTime"])
            assert high - low < HOUR_MS
            return [p for p in every if low <= p["T"] <= high][:limit]
        return every[-limit:]

    def candle(self, market: str, symbol: str) -> list[Any]:
        own = [p for p in self.prints.get((market, symbol), []) if _is_of_day(p["T"])]
        volume = sum(float(p["q"]) for p in own)
        count = sum(p["l"] - p["f"] + 1 for p in own)
        prices = [float(p["p"]) for p in own] or [60_000.0]
        return candle_of(WINDOW.start_ms, 24 * HOUR_MS, prices, volume, count)

    def state(self, market: str, symbol: str, name: str, params: dict[str, str]) -> dict[str, Any]:
        now = milliseconds(self.now)
        stamp = {} if market == "spot" else {"time": now}
        size = "30" if market == "cm" else "0.5"
        match name:
            case "bookTicker":
                best = {"bidPrice": "59999.9", "bidQty": size, "askPrice": "60000.1"}
                return {"symbol": symbol, "askQty": size} | best | stamp
            case "24hr":
                volumes = {"volume": "1000", "quoteVolume": "60000000", "baseVolume": "1.67"}
                return {"symbol": symbol, "lastPrice": "60000", "closeTime": now} | volumes
            case "premiumIndex":
                rate = "" if symbol == FUTURE else "0.0001"
                marks = {"markPrice": "60001.5", "indexPrice": "60000.5", "lastFundingRate": rate}
                return {"symbol": symbol, "time": now, "nextFundingTime": 0} | marks
            case "openInterest":
                return {"symbol": symbol, "openInterest": "2000", "time": now}
            case "depth":
                levels = range(int(params["limit"]))
                bids = [[f"{59_999.9 - 0.1 * n:.1f}", size] for n in levels]
                asks = [[f"{60_000.1 + 0.1 * n:.1f}", size] for n in levels]
                return {"lastUpdateId": 7, "bids": bids, "asks": asks} | (
                    {"T": now} if stamp else {}
                )
        raise AssertionError(f"nobody should ask for {name}")


def printed(
    number: int, stamp: int, *, price: str = "60000.0", size: str = "1", prints: int = 1
) -> dict[str, Any]:
    last = number * 10
    return {
        "a": number,
        "p": price,
        "q": size,
        "f": last - prints + 1,
        "l": last,
        "T": stamp,
        "m": number % 2 == 0,
    }


def a_day(count: int, *, first: int = 1_000, step_ms: int = 20 * SECOND_MS) -> list[dict[str, Any]]:
    """One print before the day, `count` inside, evenly spread, and one in the day after."""
    start = WINDOW.start_ms
    inside = [printed(first + n, start + n * step_ms) for n in range(count)]
    return [
        printed(first - 1, start - 5),
        *inside,
        printed(first + count, WINDOW.end_ms + 3),
    ]


def listed(market: str) -> list[dict[str, Any]]:
    filters = [
        {"filterType": "PRICE_FILTER", "tickSize": "0.10"},
        {"filterType": "LOT_SIZE", "stepSize": "0.001"},
    ]
    common = {"baseAsset": "BTC", "filters": filters}
    never = {"deliveryDate": 4_133_404_800_000, "onboardDate": 1_569_398_400_000}
    if market == "spot":
        own = {"symbol": SPOT, "quoteAsset": "USDT", "status": "TRADING"}
        other = {"symbol": "BTCEUR", "quoteAsset": "EUR", "status": "TRADING"}
        halted = {"symbol": "BTCPAX", "quoteAsset": "PAX", "status": "BREAK"}
        return [common | item for item in (own, other, halted)]
    if market == "um":
        own = {"symbol": PERP, "quoteAsset": "USDT", "marginAsset": "USDT", "status": "TRADING"}
        return [common | never | own]
    coin = {
        "quoteAsset": "USD",
        "marginAsset": "BTC",
        "contractStatus": "TRADING",
        "contractSize": 100,
    }
    future = {"symbol": FUTURE, "deliveryDate": FUTURE_MS}
    return [common | never | coin | item for item in ({"symbol": INVERSE}, future)]


def candle_of(
    start: int, length: int, prices: Sequence[float], volume: float, count: int
) -> list[Any]:
    high, low = f"{max(prices)}", f"{min(prices)}"
    cells = [start, f"{prices[0]}", high, low, f"{prices[-1]}", f"{volume}", start + length - 1]
    return [*cells, f"{volume * prices[0]}", count, "0", "0", "0"]


def _is_of_day(stamp: int) -> bool:
    return WINDOW.start_ms <= stamp < WINDOW.end_ms


def moment(hour: int) -> datetime:
    return datetime(DAY.year, DAY.month, DAY.day, hour, tzinfo=UTC)
