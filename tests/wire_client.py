"""How tests talk to the embedded market: straight to the exchange, or as ccxt would over HTTP."""

import json
from datetime import UTC, date, datetime
from typing import Any
from urllib.parse import urlencode

import ccxt

from pipelines.simulator.history import History
from pipelines.simulator.wire import faults
from pipelines.simulator.wire.clock import Clock
from pipelines.simulator.wire.exchange import Exchange
from pipelines.simulator.wire.reply import Reply

DAY = date(2026, 3, 10)
AFTER = datetime(2026, 3, 11, 0, 40, tzinfo=UTC)
DAY_MS = (1_773_100_800_000, 1_773_187_200_000)
HOSTS = {"spot": "api.binance.com/api/v3", "um": "fapi.binance.com/fapi/v1"}
HOSTS |= {"cm": "dapi.binance.com/dapi/v1", "deribit": "www.deribit.com/api/v2/public"}


class Ticks:
    """A monotonic clock that tests move."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        return self.at


def exchange(
    history: History,
    *,
    at: datetime = AFTER,
    spec: str = "",
    seed: int = 0,
    scale: float = 1e9,
    ticks: Ticks | None = None,
) -> Exchange:
    """The market without a socket."""
    told = ticks or Ticks()
    made = Exchange(history, Clock(at, told), told, scale)
    made.use(faults.parse(spec, seed))
    return made


def get(market: Exchange, section: str, name: str, **query: Any) -> Reply:
    return market.reply(f"/{HOSTS[section]}/{name}", urlencode(query))


def ask(market: Exchange, section: str, name: str, **query: Any) -> Any:
    """The rows or the result of an answer that must be good."""
    reply = get(market, section, name, **query)
    assert reply.status == 200, reply.body
    body = json.loads(reply.body)
    return body["result"] if section == "deribit" else body


def rewired(client: ccxt.Exchange, base: str) -> ccxt.Exchange:
    """The client with every request for https://HOST/path sent to BASE/HOST/path."""

    def walk(urls: Any) -> Any:
        if isinstance(urls, dict):
            return {name: walk(url) for name, url in urls.items()}
        return urls.replace("https://", f"{base}/") if isinstance(urls, str) else urls

    client.urls["api"] = walk(client.urls["api"])
    return client
