"""How does Deribit answer over HTTP? JSON-RPC envelopes, its endpoints and its errors."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from pipelines.simulator import noise
from pipelines.simulator.history import History
from pipelines.simulator.wire.deribit_market import Markets
from pipelines.simulator.wire.deribit_params import Params
from pipelines.simulator.wire.deribit_reference import Reference
from pipelines.simulator.wire.deribit_trades import Tapes
from pipelines.simulator.wire.faults import Faults
from pipelines.simulator.wire.reply import Answer, Refusal

HOST = "www.deribit.com"
HISTORY_HOST = "history.deribit.com"  # the same tape without its limit of a day
ROOT = "/api/v2/public/"
Endpoint = Callable[[Params], Answer]


@dataclass(frozen=True, slots=True)
class Deribit:
    """The venue at one instant. `clock_us` is its own clock, which may be wrong."""

    history: History
    faults: Faults
    now_us: int
    clock_us: int
    is_history: bool = False

    def answer(self, path: str, query: Mapping[str, str]) -> Answer:
        """The result of one method. Raises `Refusal` as the venue would refuse."""
        name = path.removeprefix(ROOT)
        endpoint = self._endpoints().get(name) if path.startswith(ROOT) else None
        if endpoint is None:
            raise Refusal(400, -32601, "Method not found")
        return endpoint(Params(query))

    def _endpoints(self) -> dict[str, Endpoint]:
        tapes = Tapes(self.history, self.faults, self.now_us, self.is_history)
        markets = Markets(self.history, self.now_us)
        reference = Reference(self.history, self.faults, self.now_us)
        return {
            "get_instruments": reference.instruments,
            "get_last_trades_by_instrument": tapes.by_instrument,
            "get_last_trades_by_instrument_and_time": tapes.by_instrument_and_time,
            "get_last_trades_by_currency": tapes.by_currency,
            "get_last_trades_by_currency_and_time": tapes.by_currency_and_time,
            "get_funding_rate_history": reference.funding_history,
            "get_book_summary_by_currency": markets.summaries,
            "ticker": markets.ticker,
            "get_order_book": markets.order_book,
            "get_index_price": markets.index_price,
            "get_volatility_index_data": markets.volatility_index,
            "get_tradingview_chart_data": reference.chart,
            "get_last_settlements_by_currency": reference.settlements,
            "get_delivery_prices": reference.delivery_prices,
            "get_time": lambda params: Answer(str(self.clock_us // 1_000)),
        }


def envelope(answer: Answer, target: str, clock_us: int) -> Answer:
    """The result in its JSON-RPC frame, with the venue's microseconds."""
    spent = 200 + int(800 * noise.uniform(noise.key(target)))
    tail = f',"usIn":{clock_us},"usOut":{clock_us + spent},"usDiff":{spent},"testnet":false}}'
    return Answer(
        f'{{"jsonrpc":"2.0","result":{answer.head}',
        answer.rows,
        f"{answer.tail}{tail}",
        answer.stream,
        answer.weight,
    )


def error(refusal: Refusal, clock_us: int) -> bytes:
    """The body of a refusal."""
    body: dict[str, object] = {"message": refusal.message, "code": refusal.code}
    if refusal.data is not None:
        body["data"] = refusal.data
    frame = {
        "jsonrpc": "2.0",
        "error": body,
        "usIn": clock_us,
        "usOut": clock_us + 100,
        "usDiff": 100,
        "testnet": False,
    }
    return json.dumps(frame, separators=(",", ":")).encode()


def too_many(wait_s: float) -> Refusal:
    """Beyond the budget."""
    wait = str(max(1, round(wait_s)))
    return Refusal(429, 10028, "too_many_requests", {"wait": wait_s}, {"Retry-After": wait})


def maintenance() -> Refusal:
    """What the venue says while it is being mended."""
    return Refusal(503, 11051, "system_maintenance")
