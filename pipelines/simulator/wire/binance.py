"""How does Binance answer over HTTP? Its endpoints by host and path, their weights, its errors."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipelines.simulator.history import History
from pipelines.simulator.wire.binance_market import Market, pair
from pipelines.simulator.wire.binance_params import Params, refusal
from pipelines.simulator.wire.binance_trades import Tape
from pipelines.simulator.wire.faults import Faults
from pipelines.simulator.wire.reply import Answer, Refusal
from pipelines.simulator.world import Listing

HOSTS = {"api.binance.com": "spot", "fapi.binance.com": "um", "dapi.binance.com": "cm"}
ROOTS = {"spot": "/api/v3/", "um": "/fapi/v1/", "cm": "/dapi/v1/"}
SPOT_DEPTH = (5, 10, 20, 50, 100, 500, 1_000, 5_000)
FUTURES_DEPTH = (5, 10, 20, 50, 100, 500, 1_000)
ONLY_FUTURES = (
    *("premiumIndex", "premiumIndexKlines", "indexPriceKlines", "markPriceKlines"),
    *("fundingRate", "fundingInfo", "openInterest"),
)
Endpoint = Callable[[Params], Answer]


@dataclass(frozen=True, slots=True)
class Binance:
    """One section of the venue at one instant. `clock_us` is its own clock, which may be wrong."""

    history: History
    faults: Faults
    market: str
    now_us: int
    clock_us: int

    def answer(self, path: str, query: Mapping[str, str]) -> Answer:
        """The body of one endpoint. Raises `Refusal` as the venue would refuse."""
        root = ROOTS[self.market]
        name = path.removeprefix(root)
        endpoint = self._endpoints().get(name) if path.startswith(root) else None
        if endpoint is None or (self.market == "spot" and name in ONLY_FUTURES):
            raise Refusal(404, -5000, f"Path {path}, Method GET is invalid")
        return endpoint(Params(query))

    def _endpoints(self) -> dict[str, Endpoint]:
        now, spot = self._now, self.market == "spot"
        return {
            "time": lambda p: _json({"serverTime": self.clock_us // 1_000}),
            "exchangeInfo": lambda p: _json(now.exchange_info(), 20 if spot else 1),
            "aggTrades": lambda p: self._tape(p).aggregates(p),
            "trades": lambda p: self._tape(p).fills(p, by_id=False),
            "historicalTrades": lambda p: self._tape(p).fills(p, by_id=True),
            "klines": lambda p: self._tape(p).candles(p),
            "premiumIndexKlines": lambda p: _json(now.premium_candles(p, self._one(p)), 2),
            "indexPriceKlines": self._index_candles,
            "markPriceKlines": lambda p: _json(now.mark_candles(p, self._one(p)), 2),
            "premiumIndex": self._premium,
            "fundingRate": self._funding_rates,
            "fundingInfo": lambda p: _json(now.funding_info()),
            "openInterest": lambda p: _json(now.open_interest(self._one(p))),
            "depth": self._depth,
            "ticker/bookTicker": self._best,
            "ticker/24hr": self._statistics,
        }

    @property
    def _now(self) -> Market:
        return Market(self.history, self.market, self.now_us)

    def _tape(self, params: Params) -> Tape:
        return Tape(self.history, self.faults, self._ever(params), self.now_us)

    def _one(self, params: Params) -> Listing:
        """The market that is asked for, among those that trade now."""
        return _named(params.symbol(), self._now.listings())

    def _ever(self, params: Params) -> Listing:
        """The market that is asked for, also one that was delivered lately."""
        return _named(params.symbol(), self._now.known())

    def _some(self, params: Params) -> Sequence[Listing]:
        """One market, some of a list, those of a pair, or all."""
        listed = self._now.listings()
        if params.has("symbol"):
            return [_named(params.symbol(), listed)]
        if params.has("symbols"):
            try:
                names = json.loads(params.text("symbols"))
            except json.JSONDecodeError:
                raise refusal(-1100, "Illegal characters found in parameter 'symbols'.") from None
            return [_named(str(name), listed) for name in names]
        if params.has("pair"):
            return [m for m in listed if pair(m) == params.symbol("pair")]
        return listed

    def _rows(
        self, params: Params, rows: list[dict[str, object]], weights: tuple[int, int]
    ) -> Answer:
        """One object for one symbol, except COIN-M, which always answers with a list."""
        one = params.has("symbol") and self.market != "cm"
        weight = weights[0] if params.has("symbol") else weights[1]
        return _json(rows[0] if one else rows, weight)

    def _best(self, params: Params) -> Answer:
        rows = [self._now.best(m) for m in self._some(params)]
        return self._rows(params, rows, (2, 4 if self.market == "spot" else 5))

    def _premium(self, params: Params) -> Answer:
        rows = [self._now.premium(m) for m in self._some(params)]
        return self._rows(params, rows, (1, 10))

    def _statistics(self, params: Params) -> Answer:
        rows = []
        for listing in self._some(params):
            row = Tape(self.history, self.faults, listing, self.now_us).day_statistics()
            if row and self.market == "spot":
                row |= {k: v for k, v in self._now.best(listing).items() if k != "symbol"}
                row["prevClosePrice"] = row["openPrice"]
            if row and self.market == "cm":
                row["pair"] = pair(listing)
            if row:
                rows.append(row)
        return self._rows(params, rows, (2, 80) if self.market == "spot" else (1, 40))

    def _index_candles(self, params: Params) -> Answer:
        name = params.symbol("pair")
        listing = next((m for m in self._now.listings() if pair(m) == name), None)
        if listing is None:
            raise refusal(-1121, "Invalid symbol.")
        return _json(self._now.index_candles(params, listing.coin), 2)

    def _depth(self, params: Params) -> Answer:
        listing, spot = self._one(params), self.market == "spot"
        limit = params.limit(100 if spot else 500, 5_000 if spot else 1_000, is_clipped=spot)
        if limit not in (SPOT_DEPTH if spot else FUTURES_DEPTH) and not spot:
            raise refusal(-4021, f"{limit} is not valid depth limit.")
        weight = 5 if limit <= 100 else 25 if limit <= 500 else 50
        return _json(self._now.depth(listing, limit), weight if spot else max(2, weight // 3))

    def _funding_rates(self, params: Params) -> Answer:
        listings = [m for m in self._some(params) if m.expires is None]
        rows = [
            json.dumps(row, separators=(",", ":"))
            for row in self._now.funding_rates(params, listings)
        ]
        return Answer("[", rows, "]", "fundingRate")


def _named(symbol: str, listings: Sequence[Listing]) -> Listing:
    for listing in listings:
        if listing.symbol == symbol:
            return listing
    raise refusal(-1121, "Invalid symbol.")


def _json(body: object, weight: int = 1) -> Answer:
    return Answer(json.dumps(body, separators=(",", ":")), weight=weight)


def error(refused: Refusal) -> bytes:
    """The body of a refusal."""
    return json.dumps(
        {"code": refused.code, "msg": refused.message}, separators=(",", ":")
    ).encode()


def too_many(status: int, wait_s: float, limit: float) -> Refusal:
    """Beyond the budget: 429 first, 418 for those who go on."""
    wait = str(max(1, round(wait_s)))
    message = (
        f"Too much request weight used; current limit is {limit:.0f} request weight per 1 MINUTE. "
        "Please use WebSocket Streams for live updates to avoid polling the API."
    )
    if status == 418:
        message = "Way too much request weight used; IP banned. Please use WebSocket Streams."
    return Refusal(status, -1003, message, headers={"Retry-After": wait})


def maintenance() -> Refusal:
    """What the venue says while it is being mended."""
    return Refusal(503, -1016, "This service is no longer available.")
