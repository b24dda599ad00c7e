"""What may Binance be asked, on which market, at what cost, and what must the answer look like?

Spot (api), USD-M (fapi) and COIN-M (dapi) are three hosts, each with its own weight per minute.
A bucket holds a quarter of the minute and refills at three quarters of it, so that no minute,
wherever it begins, sees more than the venue allows.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pipelines.budget import Budget
from pipelines.universe import Market
from pipelines.venues import binance_wire as wire
from pipelines.venues.base import Endpoint, Shape
from pipelines.venues.binance_wire import Form

PAGE = 1_000  # prints, the most there are in one answer
LISTED = Shape({"symbol": "text", "baseAsset": "text", "quoteAsset": "text"})


@dataclass(frozen=True, slots=True)
class Questions:
    """The endpoints of one market; None where it has no such thing."""

    listing: Endpoint
    aggregates: Endpoint
    candles: Endpoint
    books: Endpoint
    best: Endpoint
    day_ticker: Endpoint
    marks: Endpoint | None = None
    open_interest: Endpoint | None = None
    funding: Endpoint | None = None
    intervals: Endpoint | None = None
    index_candles: Endpoint | None = None
    premium_candles: Endpoint | None = None


def _budget(name: str, weight_per_minute: float) -> Budget:
    return Budget(name, tokens=weight_per_minute / 4, per_s=weight_per_minute * 3 / 4 / 60)


def _list(budget: Budget, method: str, form: Form, *, cost: float) -> Endpoint:
    return Endpoint(method, (), form.shape, budget, cost=cost, may_be_empty=True)


def _pages(budget: Budget, method: str, *, cost: float) -> Endpoint:
    listed = _list(budget, method, wire.AGGREGATE, cost=cost)
    return replace(listed, page_size=PAGE, is_table=True)


def _one(
    budget: Budget, method: str, form: Form, *, cost: float, is_single: bool = True
) -> Endpoint:
    return Endpoint(method, (), form.shape, budget, cost=cost, is_single=is_single)


SPOT = _budget("binance spot", 6_000)
USD_M = _budget("binance usd-m", 2_400)
COIN_M = _budget("binance coin-m", 2_400)

QUESTIONS: Mapping[Market, Questions] = {
    "spot": Questions(
        listing=Endpoint("publicGetExchangeInfo", ("symbols",), LISTED, SPOT, cost=20),
        aggregates=_pages(SPOT, "publicGetAggTrades", cost=4),
        candles=_list(SPOT, "publicGetKlines", wire.CANDLE, cost=2),
        books=_one(SPOT, "publicGetDepth", wire.DEPTH, cost=5),
        best=_one(SPOT, "publicGetTickerBookTicker", wire.BEST, cost=2),
        day_ticker=_one(SPOT, "publicGetTicker24hr", wire.DAY_TICKER, cost=2),
    ),
    "um": Questions(
        listing=Endpoint("fapiPublicGetExchangeInfo", ("symbols",), LISTED, USD_M, cost=1),
        aggregates=_pages(USD_M, "fapiPublicGetAggTrades", cost=20),
        candles=_list(USD_M, "fapiPublicGetKlines", wire.CANDLE, cost=5),
        books=_one(USD_M, "fapiPublicGetDepth", wire.DEPTH, cost=2),
        best=_one(USD_M, "fapiPublicGetTickerBookTicker", wire.BEST, cost=2),
        day_ticker=_one(USD_M, "fapiPublicGetTicker24hr", wire.DAY_TICKER, cost=1),
        marks=_one(USD_M, "fapiPublicGetPremiumIndex", wire.MARK, cost=1),
        open_interest=_one(USD_M, "fapiPublicGetOpenInterest", wire.INTEREST, cost=1),
        funding=_list(USD_M, "fapiPublicGetFundingRate", wire.FUNDING_RATE, cost=5),
        intervals=_list(USD_M, "fapiPublicGetFundingInfo", wire.FUNDING_INFO, cost=1),
        index_candles=_list(USD_M, "fapiPublicGetIndexPriceKlines", wire.CANDLE, cost=5),
        premium_candles=_list(USD_M, "fapiPublicGetPremiumIndexKlines", wire.CANDLE, cost=5),
    ),
    "cm": Questions(
        listing=Endpoint("dapiPublicGetExchangeInfo", ("symbols",), LISTED, COIN_M, cost=1),
        aggregates=_pages(COIN_M, "dapiPublicGetAggTrades", cost=20),
        candles=_list(COIN_M, "dapiPublicGetKlines", wire.CANDLE, cost=5),
        books=_one(COIN_M, "dapiPublicGetDepth", wire.DEPTH, cost=2),
        # COIN-M answers a list even where one symbol was asked for.
        best=_one(COIN_M, "dapiPublicGetTickerBookTicker", wire.BEST, cost=2, is_single=False),
        day_ticker=_one(
            COIN_M, "dapiPublicGetTicker24hr", wire.DAY_TICKER, cost=1, is_single=False
        ),
        marks=_one(COIN_M, "dapiPublicGetPremiumIndex", wire.MARK, cost=10, is_single=False),
        open_interest=_one(COIN_M, "dapiPublicGetOpenInterest", wire.INTEREST, cost=1),
        funding=_list(COIN_M, "dapiPublicGetFundingRate", wire.FUNDING_RATE, cost=5),
        intervals=_list(COIN_M, "dapiPublicGetFundingInfo", wire.FUNDING_INFO, cost=1),
        index_candles=_list(COIN_M, "dapiPublicGetIndexPriceKlines", wire.CANDLE, cost=5),
        premium_candles=_list(COIN_M, "dapiPublicGetPremiumIndexKlines", wire.CANDLE, cost=5),
    ),
}

# Depths that may be asked for, with what they cost; futures take no others.
DEPTHS: Mapping[Market, tuple[tuple[int, float], ...]] = {
    "spot": ((100, 5), (500, 25), (1_000, 50), (5_000, 250)),
    "um": ((5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1_000, 20)),
    "cm": ((5, 2), (10, 2), (20, 2), (50, 2), (100, 5), (500, 10), (1_000, 20)),
}


def books_of(market: Market, depth: int) -> tuple[Endpoint, int]:
    """The question for a book of at least `depth` levels a side, or the deepest there is."""
    limit, cost = next((d for d in DEPTHS[market] if d[0] >= depth), DEPTHS[market][-1])
    return replace(QUESTIONS[market].books, cost=cost), limit
