"""How do bytes cross the wire? In the place of ccxt's own HTTP session, at a third of its work.

It sends and receives, and follows no redirection. What goes wrong on the way is told in ccxt's
classes; what an answer's status means is left to ccxt.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import ccxt
import certifi
import requests
import urllib3

ERROR = 400  # from this status on
HEADERS = {"User-Agent": "hedgehouse", "Accept": "*/*"}


@dataclass(slots=True)
class Came:
    """An answer, as much of it as ccxt looks at."""

    status_code: int
    reason: str
    headers: Mapping[str, str]
    content: bytes
    encoding: str = "utf-8"

    @property
    def text(self) -> str:
        return self.content.decode(self.encoding, "replace")

    def raise_for_status(self) -> None:
        if self.status_code >= ERROR:
            raise requests.HTTPError(f"{self.status_code} {self.reason}")


@dataclass(slots=True)
class Courier:
    """One thread's connections; they are kept open between questions."""

    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)
    cookies: dict[str, str] = field(default_factory=dict)  # ccxt clears them; none is ever kept
    _pool: urllib3.PoolManager = field(
        default_factory=lambda: urllib3.PoolManager(retries=False, ca_certs=certifi.where())
    )

    def request(self, method: str, url: str, **asked: Any) -> Came:
        """What came, whatever its status. Raises ccxt's errors where nothing whole did."""
        try:
            answer = self._pool.request(
                method,
                url,
                body=asked.get("data"),
                headers=asked["headers"],
                timeout=asked["timeout"],
                redirect=False,
            )
        except urllib3.exceptions.TimeoutError as error:
            raise ccxt.RequestTimeout(f"{method} {url}: {error}") from error
        except urllib3.exceptions.SSLError as error:
            raise ccxt.ExchangeError(f"{method} {url}: {error}") from error
        except urllib3.exceptions.HTTPError as error:
            raise ccxt.NetworkError(f"{method} {url}: {error}") from error
        return Came(answer.status, answer.reason or "", answer.headers, answer.data)

    def close(self) -> None:
        self._pool.clear()
