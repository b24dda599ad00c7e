"""A venue's server on loopback that says exactly what a test tells it to, well-formed or not."""

import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from urllib.parse import parse_qsl, urlsplit

import orjson


@dataclass(frozen=True, slots=True)
class Said:
    """One answer. `cut` bytes of the promised body never come; a reset sends nothing at all."""

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int = 0
    is_reset: bool = False


@dataclass(frozen=True, slots=True)
class Asked:
    """One request as it arrived."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]


Reaction = Callable[[Asked], Said]


@dataclass(slots=True)
class Server:
    """What it was asked, and how it reacts: by a script said once each, then by `reaction`."""

    address: str
    asked: list[Asked] = field(default_factory=list)
    script: list[Said] = field(default_factory=list)
    reaction: Reaction | None = None
    lock: Lock = field(default_factory=Lock)

    def react(self, asked: Asked) -> Said:
        with self.lock:
            self.asked.append(asked)
            if self.script:
                return self.script.pop(0)
        if self.reaction is None:
            return Said(b"nothing is left to say", 599)
        return self.reaction(asked)


def result(value: object, **envelope: object) -> Said:
    """Deribit's envelope around `value`."""
    return json({"jsonrpc": "2.0", "result": value, "usOut": 1_700_000_000_000_000} | envelope)


def json(value: object, status: int = 200, **headers: str) -> Said:
    return Said(orjson.dumps(value), status, {"Content-Type": "application/json"} | headers)


@contextmanager
def serving() -> Iterator[Server]:
    server = Server("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            asked = Asked(parts.path, dict(parse_qsl(parts.query)), dict(self.headers.items()))
            said = server.react(asked)
            if said.is_reset:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()
                return
            self.send_response(said.status)
            for name, value in said.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(said.body)))
            self.end_headers()
            self.wfile.write(said.body[: len(said.body) - said.cut])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

        def finish(self) -> None:
            if self.connection.fileno() >= 0:  # a reset connection has nothing left to flush
                super().finish()

    class Listener(ThreadingHTTPServer):
        daemon_threads = True

        def shutdown_request(self, request: object) -> None:
            if request.fileno() >= 0:
                super().shutdown_request(request)

    with Listener(("127.0.0.1", 0), Handler) as listener:
        server.address = f"http://127.0.0.1:{listener.server_address[1]}"
        thread = Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()
