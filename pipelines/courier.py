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
from http.client import HTTPConnection, HTTPException, HTTPMessage, HTTPSConnection
from socket import socket
from typing import Any
from urllib.parse import SplitResult, urlsplit

import ccxt
import certifi
import requests

ERROR = 400  # from this status on
HEADERS = {"User-Agent": "hedgehouse", "Accept": "*/*"}
EITHER = 32 + zlib.MAX_WBITS  # packed as gzip or as zlib, whichever its head says


@dataclass(slots=True)
class Came:
    """An answer, as much of it as ccxt looks at."""

    status_code: int
    reason: str
    headers: Mapping[str, str] | HTTPMessage
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
    _open: dict[str, HTTPConnection] = field(default_factory=dict)

    def request(self, method: str, url: str, **asked: Any) -> Came:
        """What came, whatever its status. Raises ccxt's errors where nothing whole did."""
        parts = urlsplit(url)
        place = f"{parts.scheme}://{parts.netloc}"
        try:
            connection = self._connection(place, parts, asked["timeout"])
            target = url[len(place) :] or "/"
            connection.request(method, target, asked.get("data"), asked["headers"])
            answer = connection.getresponse()
            content = answer.read()
            if answer.headers.get("Content-Encoding") in ("gzip", "deflate"):
                content = zlib.decompress(content, EITHER)
        except (OSError, HTTPException, zlib.error) as error:
            self._drop(place)
            raise _told(f"{method} {url}", error) from error
        if answer.will_close:
            self._drop(place)
        return Came(answer.status, answer.reason, answer.headers, content)

    def close(self) -> None:
        for place in list(self._open):
            self._drop(place)

    def _connection(self, place: str, parts: SplitResult, timeout_s: float) -> HTTPConnection:
        """The one that is open, unless the other side has closed it in the meantime."""
        held = self._open.get(place)
        if held is not None and held.sock and _has_word(held.sock):
            self._drop(place)
        if place not in self._open:
            self._open[place] = (
                HTTPSConnection(parts.netloc, timeout=timeout_s, context=_trust())
                if parts.scheme == "https"
                else HTTPConnection(parts.netloc, timeout=timeout_s)
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
