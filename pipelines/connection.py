"""How does one question cross the wire? By ccxt's implicit methods, which sign and send.

Its unified methods, its markets, its paging and its throttle are not used: they take a broken page
for no rows. What came is caught before ccxt makes anything of it, and of long tables it is shown
the envelope alone, in which it finds errors.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import ccxt

from pipelines.courier import Courier
from pipelines.settings import Settings
from pipelines.venues.json_columns import cut

SCHEMES = ("https://", "http://")
ERROR = 400  # statuses from this one on

# ccxt's own log shows the headers of requests, and headers show keys.
_silence = logging.getLogger("hedgehouse.ccxt")
_silence.disabled = True


@dataclass(frozen=True, slots=True)
class Reply:
    """What came over the wire: nothing is made of it yet. `rows` is the text of a table in it."""

    status: int
    headers: Mapping[str, str]
    text: str
    rows: bytes | None = None


class Connection:
    """One thread's way to one venue's host. ccxt's objects are not safe to share."""

    def __init__(self, venue: str, host: str | None, settings: Settings) -> None:
        held = settings.keys.get(venue)
        self._courier = Courier(settings.timeout_s)
        self._exchange = getattr(ccxt, venue)(
            {
                "apiKey": held.key.get_secret_value() if held else None,
                "secret": held.secret.get_secret_value() if held else None,
                "enableRateLimit": False,
                "session": self._courier,
            }
        )
        self._exchange.urls["api"] = _addresses(
            self._exchange.urls["api"], self._exchange.hostname, host, settings
        )
        self._exchange.logger = _silence
        self._exchange.fetch = self._fetch
        self._reply: Reply | None = None
        self._table: tuple[str, ...] | None = None

    def ask(
        self, method: str, params: Mapping[str, Any], table: tuple[str, ...] | None = None
    ) -> tuple[Reply | None, Any, ccxt.BaseError | None]:
        """What came, what was read in it, and ccxt's complaint; no reply where nothing came.

        `table` are the keys that lead to a long list of rows: of those only the text is taken.
        """
        self._reply, self._table = None, table
        try:
            payload = getattr(self._exchange, method)(dict(params))
        except ccxt.BaseError as error:
            return self._reply, None, error
        return self._reply, payload, None

    def close(self) -> None:
        self._courier.close()

    def _fetch(
        self, url: str, method: str = "GET", headers: object = None, body: str | None = None
    ) -> Any:
        """In the place of ccxt's `fetch`, which makes objects of all rows before it looks."""
        exchange = self._exchange
        sent = exchange.prepare_request_headers(headers)
        came = self._courier.request(method, url, sent, body.encode() if body else None)
        text = came.content.decode("utf-8", "replace").strip()
        cut_out = None if self._table is None else cut(text, self._table)
        payload, rows = cut_out or (exchange.parse_json(text), None)
        self._reply = Reply(came.status, came.headers, text, rows)
        told = (came.status, came.reason, url, method)
        is_known = exchange.handle_errors(*told, came.headers, text, payload, sent, body)
        if came.status >= ERROR:
            if not is_known:
                exchange.handle_http_status_code(*told, text)
            raise ccxt.ExchangeError(f"{exchange.id} {method} {url}")
        return text if payload is None else payload


def _addresses(addresses: Any, hostname: str | None, host: str | None, settings: Settings) -> Any:
    """ccxt's addresses of a venue, at `host` where one is named, behind the gateway if there is."""
    if isinstance(addresses, dict):
        return {
            name: _addresses(inner, hostname, host, settings) for name, inner in addresses.items()
        }
    if not isinstance(addresses, str) or not addresses.startswith(SCHEMES):
        return addresses
    url = addresses.replace("{hostname}", hostname or "")
    if host:
        path = url.split("://", 1)[1].partition("/")[2]
        url = f"{host}/{path}".rstrip("/")
    return settings.address(url)
