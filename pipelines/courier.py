"""How do bytes cross the wire? In the place of ccxt's own HTTP session, at a fifth of its work.

It sends and receives, and follows no redirection. What goes wrong on the way is told in ccxt's
classes; what an answer's status means is left to ccxt.
"""

import select
import ssl
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from socket import socket
from urllib.parse import SplitResult, urlsplit

import ccxt
import certifi

HEADERS = {"User-Agent": "hedgehouse", "Accept": "*/*"}
EITHER = 32 + zlib.MAX_WBITS  # packed as gzip or as zlib, whichever its head says


@dataclass(frozen=True, slots=True)
class Came:
    """An answer, whatever its status."""

    status: int
    reason: str
    headers: Mapping[str, str]
    content: bytes


@dataclass(slots=True)
class Courier:
    """One thread's connections; they are kept open between questions."""

    timeout_s: float
    headers: Mapping[str, str] = field(default_factory=lambda: HEADERS)  # read by ccxt
    _open: dict[str, HTTPConnection] = field(default_factory=dict)

    def request(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> Came:
        """What came. Raises ccxt's errors where nothing whole did."""
        parts = urlsplit(url)
        place = f"{parts.scheme}://{parts.netloc}"
        try:
            connection = self._connection(place, parts)
            connection.request(method, url[len(place) :] or "/", body, headers)
            answer = connection.getresponse()
            content = answer.read()
            if answer.headers.get("Content-Encoding") in ("gzip", "deflate"):
                content = zlib.decompress(content, EITHER)
        except (OSError, HTTPException, zlib.error) as error:
            self._drop(place)
            raise _told(f"{method} {url}", error) from error
        if answer.will_close:
            self._drop(place)
        return Came(answer.status, answer.reason, answer.headers, content)  # type: ignore[arg-type]

    def close(self) -> None:
        for place in list(self._open):
            self._drop(place)

    def _connection(self, place: str, parts: SplitResult) -> HTTPConnection:
        """The one that is open, unless the other side has closed it in the meantime."""
        held = self._open.get(place)
        if held is not None and held.sock and _has_word(held.sock):
            self._drop(place)
        if place not in self._open:
            self._open[place] = (
                HTTPSConnection(parts.netloc, timeout=self.timeout_s, context=_trust())
                if parts.scheme == "https"
                else HTTPConnection(parts.netloc, timeout=self.timeout_s)
            )
        return self._open[place]

    def _drop(self, place: str) -> None:
        if held := self._open.pop(place, None):
            held.close()


def _has_word(held: socket) -> bool:
    """Whether there is something to be read before anything was asked: a farewell."""
    poll = select.poll()
    poll.register(held, select.POLLIN)
    return bool(poll.poll(0))


def _told(question: str, error: Exception) -> ccxt.BaseError:
    text = f"{question}: {type(error).__name__}: {error}"
    if isinstance(error, TimeoutError):
        return ccxt.RequestTimeout(text)
    return (ccxt.ExchangeError if isinstance(error, ssl.SSLError) else ccxt.NetworkError)(text)


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context(cafile=certifi.where())
