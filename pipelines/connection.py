"""How does one question cross the wire? By ccxt's implicit methods, which sign and send.

Its unified methods, its markets, its paging and its throttle are not used: they take a broken page
for no rows. What came is caught before ccxt makes anything of it, and of large tables it is shown
the envelope alone.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import ccxt

from pipelines.courier import Courier
from pipelines.settings import Settings
from pipelines.venues.json_columns import cut

SCHEMES = ("https://", "http://")

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
        secrets = {
            "apiKey": held.key.get_secret_value() if held else None,
            "secret": held.secret.get_secret_value() if held else None,
        }
        self._exchange = getattr(ccxt, venue)(
            secrets
            | {
                "enableRateLimit": False,
                "timeout": int(settings.timeout_s * 1000),
                "session": Courier(),
            }
        )
        self._exchange.urls["api"] = _addresses(
            self._exchange.urls["api"], self._exchange.hostname, host, settings
        )
        self._exchange.logger = _silence
        self._exchange.on_rest_response = self._caught
        self._read_all = self._exchange.parse_json
        self._exchange.parse_json = self._read
        self._reply: Reply | None = None
        self._table: tuple[str, ...] | None = None
        self._rows: bytes | None = None

    def ask(
        self, method: str, params: Mapping[str, Any], table: tuple[str, ...] | None = None
    ) -> tuple[Reply | None, Any, ccxt.BaseError | None]:
        """What came, what ccxt read in it, and its complaint; no reply where nothing came.

        `table` are the keys that lead to a long list of rows: of those only the text is taken.
        """
        self._reply, self._rows, self._table = None, None, table
        try:
            payload = getattr(self._exchange, method)(dict(params))
        except ccxt.BaseError as error:
            return self._reply, None, error
        if self._reply and self._rows is not None:
            self._reply = replace(self._reply, rows=self._rows)
        return self._reply, payload, None

    def close(self) -> None:
        self._exchange.session.close()

    def _read(self, text: str) -> Any:
        """In the place of ccxt's `parse_json`: the envelope alone, where there is a table in it."""
        found = None if self._table is None else cut(text, self._table)
        if found is None:
            return self._read_all(text)
        envelope, self._rows = found
        return envelope

    def _caught(  # ccxt's signature
        self,
        code: int,
        reason: str,
        url: str,
        method: str,
        response_headers: Mapping[str, str],
        response_body: str,
        request_headers: object,
        request_body: object,
    ) -> str:
        text = response_body.strip()
        self._reply = Reply(code, response_headers, text)
        return text


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
