"""What does Binance say of its markets now? Books, marks, funding, open interest, listings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from pipelines.simulator import books, funding
from pipelines.simulator.books import Side
from pipelines.simulator.history import DAY_US, History, day_of, second_of
from pipelines.simulator.listings import of_market
from pipelines.simulator.paths import PULLS, State
from pipelines.simulator.wire.binance_params import Params
from pipelines.simulator.wire.binance_trades import (
    PRICE_DECIMALS,
    candle_opens,
    price_text,
    size_text,
)
from pipelines.simulator.world import DAY_S, EPOCH, Coin, Floats, Ints, Listing, epoch_us

HOUR_S = 3_600
DELIVERED_DAYS = 3  # for so long a delivered future stays on the list
FOREVER_MS = 4_133_404_800_000  # delivery date of a perpetual
MOST_FUNDING = 1_000
MARKED_DAYS = 4


@dataclass(frozen=True, slots=True)
class Market:
    """One section of the venue (spot, um or cm) at one instant."""

    history: History
    market: str
    now_us: int

    @property
    def day(self) -> date:
        return day_of(self.now_us)

    @property
    def second(self) -> float:
        return second_of(self.now_us)

    @property
    def ms(self) -> int:
        return self.now_us // 1_000

    def listings(self) -> list[Listing]:
        """What trades now."""
        return [m for m in of_market(self.market, self.day) if not self.is_delivered(m)]

    def known(self) -> list[Listing]:
        """What trades now or was delivered lately."""
        days = [self.day - timedelta(days=n) for n in range(DELIVERED_DAYS + 1)]
        return list(dict.fromkeys(m for day in days for m in of_market(self.market, day)))

    def is_delivered(self, listing: Listing) -> bool:
        if listing.expires is None:
            return False
        return self.now_us >= epoch_us(listing.expires) + 8 * HOUR_S * 1_000_000

    def state(self, coin: Coin) -> State:
        return self.history.state(coin, self.day)

    def fair(self, listing: Listing) -> float:
        return float(self.state(listing.coin).fair(listing, np.array([self.second]))[0])

    def index(self, coin: Coin) -> float:
        return float(self.state(coin).spot(np.array([self.second]))[0])

    def book(self, listing: Listing, levels: int) -> tuple[Side, Side]:
        return books.book(self.state(listing.coin), listing, self.second, levels)

    # ---------- books

    def best(self, listing: Listing) -> dict[str, object]:
        """Best quotes of one market."""
        bid, ask = self.book(listing, 1)
        row: dict[str, object] = {
            "symbol": listing.symbol,
            "bidPrice": price_text(bid.price, self.market)[0],
            "bidQty": size_text(bid.lots, listing)[0],
            "askPrice": price_text(ask.price, self.market)[0],
            "askQty": size_text(ask.lots, listing)[0],
        }
        if self.market != "spot":
            row["time"] = self.ms
        if self.market == "cm":
            row["pair"] = pair(listing)
        return row

    def depth(self, listing: Listing, limit: int) -> dict[str, object]:
        """Levels of both sides, best first."""
        bids, asks = self.book(listing, min(limit, books.LEVELS))
        row: dict[str, object] = {"lastUpdateId": self.now_us // 1_000 - 1_500_000_000_000}
        if self.market != "spot":
            row |= {"E": self.ms, "T": self.ms - 5}
        if self.market == "cm":
            row |= {"symbol": listing.symbol, "pair": pair(listing)}
        return row | {"bids": _levels(bids, listing), "asks": _levels(asks, listing)}

    # ---------- marks and funding

    def premium(self, listing: Listing) -> dict[str, object]:
        """Mark, index and what the running interval has brought so far."""
        row: dict[str, object] = {"symbol": listing.symbol}
        if self.market == "cm":
            row["pair"] = pair(listing)
        forever = listing.expires is None
        index = self.index(listing.coin)
        row |= {
            "markPrice": f"{self.fair(listing):.8f}",
            "indexPrice": f"{index:.8f}",
            "estimatedSettlePrice": f"{index:.8f}",
            "lastFundingRate": "",
            "interestRate": "",
            "nextFundingTime": 0,
            "time": self.ms,
        }
        if forever:
            hours = funding.interval_hours(self.history.seed, listing, self.day)
            row |= {
                "lastFundingRate": f"{self._running_rate(listing, hours):.8f}",
                "interestRate": f"{funding.INTEREST:.8f}",
                "nextFundingTime": (self.ms // (hours * 3_600_000) + 1) * hours * 3_600_000,
            }
        elif self.market == "um":
            row |= {"lastFundingRate": "0.00000000", "interestRate": "0.00000000"}
        return row

    def _running_rate(self, listing: Listing, hours: int) -> float:
        minute = int(self.second // 60)
        start = minute // (60 * hours) * 60 * hours
        path = self.state(listing.coin).premium[listing.market][start : minute + 1]
        return float(funding.settled_rate(funding.average_premium(path), hours))

    def funding_rates(self, params: Params, listings: Sequence[Listing]) -> list[dict[str, object]]:
        """Settlements, oldest first: from `startTime` on, or the newest."""
        start, end = params.window()
        limit = params.limit(100, MOST_FUNDING, is_clipped=True)
        until = self.now_us if end is None else min(end * 1_000 + 999, self.now_us)
        rows = [row for m in listings for row in self._settled(m, start, until, limit)]
        rows.sort(key=lambda row: (row[0], row[1]))
        kept = rows[:limit] if start is not None else rows[-limit:]
        return [
            {
                "symbol": symbol,
                "fundingTime": at_us // 1_000,
                "fundingRate": f"{rate:.8f}",
                "markPrice": mark,
            }
            for at_us, symbol, rate, mark in kept
        ]

    def _settled(
        self, listing: Listing, start: int | None, until: int, limit: int
    ) -> list[tuple[int, str, float, str]]:
        first = day_of(max(start * 1_000, epoch_us(EPOCH) + DAY_US)) if start is not None else None
        last = day_of(until)
        if first is None:
            first = max(last - timedelta(days=limit // 3 + 1), EPOCH + timedelta(days=1))
        last = min(last, first + timedelta(days=limit // 3 + 1))
        days = [first + timedelta(days=n) for n in range((last - first).days + 1)]
        rows = funding.settlements(self.history.seed, listing, days)
        stamps = rows["event_at"].dt.epoch("us")
        is_short = len(days) <= MARKED_DAYS  # every mark costs the making of a day
        return [
            (at, listing.symbol, rate, self._mark_then(listing, at) if is_short else "")
            for at, rate in zip(stamps, rows["rate"], strict=True)
            if (0 if start is None else start * 1_000) <= at <= until
        ]

    def _mark_then(self, listing: Listing, at_us: int) -> str:
        """The mark at a settlement."""
        state = self.history.state(listing.coin, day_of(at_us))
        return f"{float(state.fair(listing, np.array([second_of(at_us)]))[0]):.8f}"

    def funding_info(self) -> list[dict[str, object]]:
        """Markets whose cap or interval was ever adjusted."""
        return [
            {
                "symbol": m.symbol,
                "adjustedFundingRateCap": f"{funding.CAP:.8f}",
                "adjustedFundingRateFloor": f"{-funding.CAP:.8f}",
                "fundingIntervalHours": funding.interval_hours(self.history.seed, m, self.day),
                "disclaimer": False,
                "updateTime": epoch_us(self.day.replace(day=1)) // 1_000,
            }
            for m in self.listings()
            if funding.is_adjustable(m)
        ]

    def premium_candles(self, params: Params, listing: Listing) -> list[list[object]]:
        """OHLC of the premium index, minute by minute underneath."""
        step, (start, end) = params.interval(), params.window()
        limit = params.limit(500, 1_500, is_clipped=False)
        rows: list[list[object]] = []
        for open_ms in candle_opens(step, start, end, limit, self.ms).tolist():
            close_ms = min(open_ms + step, self.ms)
            path = self._premium_path(listing, open_ms, close_ms)
            shown = [f"{v:.8f}" for v in (path[0], max(path), min(path), path[-1])]
            count = max(1, (close_ms - open_ms) // 5_000)
            rows.append([open_ms, *shown, "0", open_ms + step - 1, "0", count, "0", "0", "0"])
        return rows

    def _premium_path(self, listing: Listing, open_ms: int, close_ms: int) -> list[float]:
        first, last = open_ms // 60_000, max(close_ms // 60_000, open_ms // 60_000 + 1)
        values = []
        for minute in range(first, last + 1):
            day = date(1970, 1, 1) + timedelta(days=minute // 1_440)
            path = self.history.premium(listing.coin, day)
            values.append(PULLS[self.market] * float(path[minute % 1_440]))
        return values

    def index_candles(self, params: Params, coin: Coin) -> list[list[object]]:
        """OHLC of the index."""
        return self._candles(params, lambda state, at: state.spot(at), coin)

    def mark_candles(self, params: Params, listing: Listing) -> list[list[object]]:
        """OHLC of the mark."""
        return self._candles(params, lambda state, at: state.fair(listing, at), listing.coin)

    def _candles(
        self, params: Params, price: Callable[[State, Floats], Floats], coin: Coin
    ) -> list[list[object]]:
        step, (start, end) = params.interval(), params.window()
        limit = params.limit(500, 1_500, is_clipped=False)
        rows: list[list[object]] = []
        for open_ms in candle_opens(step, start, end, limit, self.ms).tolist():
            close_ms = min(open_ms + step, self.ms + 1)
            seconds = np.arange(open_ms // 1_000, max(close_ms // 1_000, open_ms // 1_000 + 1))
            path = self._path(price, coin, seconds)
            shown = [f"{v:.8f}" for v in (path[0], path.max(), path.min(), path[-1])]
            count = len(seconds)
            rows.append([open_ms, *shown, "0", open_ms + step - 1, "0", count, "0", "0", "0"])
        return rows

    def _path(self, price: Callable[[State, Floats], Floats], coin: Coin, seconds: Ints) -> Floats:
        days = np.unique(seconds // DAY_S)
        parts = [
            price(
                self.history.state(coin, day_of(int(day) * DAY_US)),
                seconds[seconds // DAY_S == day] % DAY_S * 1.0,
            )
            for day in days
        ]
        return np.concatenate(parts)

    def open_interest(self, listing: Listing) -> dict[str, object]:
        """In coin, of COIN-M markets in contracts."""
        lots = self._interest_lots(listing, self.now_us)
        row: dict[str, object] = {
            "symbol": listing.symbol,
            "openInterest": size_text(np.array([lots]), listing)[0],
            "time": self.ms,
        }
        if self.market == "cm":
            row |= {"pair": pair(listing), "contractType": contract_type(listing, self.day)}
        return row

    def _interest_lots(self, listing: Listing, at_us: int) -> int:
        state = self.history.state(listing.coin, day_of(at_us))
        usd = books.open_interest_usd(state, listing, second_of(at_us))
        if listing.contract_usd:
            return round(usd / listing.contract_usd)
        price = float(state.fair(listing, np.array([second_of(at_us)]))[0])
        return round(usd / price / listing.lot)

    # ---------- listings

    def exchange_info(self) -> dict[str, object]:
        """Every market with its filters."""
        rates = [
            {
                "rateLimitType": "REQUEST_WEIGHT",
                "interval": "MINUTE",
                "intervalNum": 1,
                "limit": 6_000 if self.market == "spot" else 2_400,
            }
        ]
        body: dict[str, object] = {
            "timezone": "UTC",
            "serverTime": self.ms,
            "rateLimits": rates,
            "exchangeFilters": [],
        }
        if self.market == "um":
            body |= {"futuresType": "U_MARGINED", "assets": [{"asset": "USDT"}]}
        return body | {"symbols": [self._symbol(m) for m in self.known()]}

    def _symbol(self, listing: Listing) -> dict[str, object]:
        coin, decimals = listing.coin.name, 8 if self.market == "spot" else None
        tick = f"{listing.tick:.{decimals}f}" if decimals else f"{listing.tick:.2f}"
        step = str(size_text(np.array([1]), listing)[0])
        row: dict[str, object] = {
            "symbol": listing.symbol,
            "status": "SETTLING" if self.is_delivered(listing) else "TRADING",
            "baseAsset": coin,
            "quoteAsset": "USD" if self.market == "cm" else "USDT",
            "baseAssetPrecision": 8,
            "quotePrecision": 8,
            "orderTypes": ["LIMIT", "MARKET"],
            "filters": [
                {
                    "filterType": "PRICE_FILTER",
                    "minPrice": tick,
                    "maxPrice": "1000000",
                    "tickSize": tick,
                },
                {"filterType": "LOT_SIZE", "minQty": step, "maxQty": "1000000", "stepSize": step},
            ],
        }
        if self.market == "spot":
            return row | {
                "isSpotTradingAllowed": True,
                "isMarginTradingAllowed": True,
                "permissions": [],
                "permissionSets": [["SPOT", "MARGIN"]],
            }
        delivery = FOREVER_MS
        if listing.expires is not None:
            delivery = epoch_us(listing.expires) // 1_000 + 8 * 3_600_000
        row |= {
            "pair": pair(listing),
            "contractType": contract_type(listing, self.day),
            "deliveryDate": delivery,
            "onboardDate": epoch_us(listing.listed) // 1_000 + 8 * 3_600_000,
            "marginAsset": coin if self.market == "cm" else "USDT",
            "pricePrecision": PRICE_DECIMALS[self.market],
            "quantityPrecision": 0 if self.market == "cm" else 3,
            "maintMarginPercent": "2.5000",
            "requiredMarginPercent": "5.0000",
            "liquidationFee": "0.012500",
            "underlyingType": "COIN",
            "underlyingSubType": ["PoW"],
            "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
        }
        if self.market == "cm":
            row["contractStatus"] = row.pop("status")
            row["contractSize"] = listing.contract_usd
        return row


def pair(listing: Listing) -> str:
    """BTCUSD of BTCUSD_PERP and of BTCUSD_260327."""
    return listing.symbol.split("_")[0]


def contract_type(listing: Listing, day: date) -> str:
    """The venue's word: the nearest quarter's future is the current one."""
    if listing.expires is None:
        return "PERPETUAL"
    dated = sorted(m.expires for m in of_market(listing.market, day) if m.expires is not None)
    return "CURRENT_QUARTER" if listing.expires == dated[0] else "NEXT_QUARTER"


def _levels(side: Side, listing: Listing) -> list[tuple[str, str]]:
    prices, sizes = price_text(side.price, listing.market), size_text(side.lots, listing)
    return list(zip(prices, sizes, strict=True))
