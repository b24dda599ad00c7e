"""How do requests come in and answers go out? The exchange as an ASGI application."""

import asyncio
import json
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from datetime import datetime
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from pipelines.simulator.history import day_of
from pipelines.simulator.wire import faults
from pipelines.simulator.wire.clock import micros
from pipelines.simulator.wire.exchange import Exchange
from pipelines.simulator.wire.reply import Reply

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class Protocol(HttpToolsProtocol):
    """HTTP whose application may cut the connection: ASGI alone cannot."""

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {
            "connection": {"reset": self._reset, "close": self.transport.close}
        }

    def _reset(self) -> None:
        """Without a farewell: what lingers is thrown away and the other side is told so."""
        ends = self.transport.get_extra_info("socket")
        ends.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


class Application:
    """GET is a venue's answer; paths that begin with `/__` control the world."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        if scope["path"].startswith("/__"):
            reply = self._control(scope["method"], scope["path"], await _body(receive))
        else:
            reply = self.exchange.reply(scope["path"], scope["query_string"].decode())
        if reply.pause_s:
            await asyncio.sleep(reply.pause_s)
        connection = scope["extensions"]["connection"]
        if reply.is_cut:
            connection["reset"]()
            await asyncio.sleep(0)  # until the server has noticed
            return
        await _send(reply, send)
        if reply.declared is not None:
            connection["close"]()
            await asyncio.sleep(0)

    def _control(self, method: str, path: str, body: bytes) -> Reply:
        try:
            return _json(200, self._controlled(method, path, body))
        except (ValueError, KeyError, TypeError) as error:
            return _json(400, {"error": f"{path}: {error}"})

    def _set_clock(self, asked: dict[str, str]) -> None:
        """The clock moves only to where the world has a day, and when that day is made."""
        clock = self.exchange.clock
        at = datetime.fromisoformat(asked["now"]) if "now" in asked else clock.now()
        self.exchange.history.warm(day_of(micros(at)))
        if "run" in asked:
            clock.run(at)
        else:
            clock.step(at)

    def _controlled(self, method: str, path: str, body: bytes) -> dict[str, object]:
        """Clock and faults are read by GET and set by POST; the log is only read."""
        asked = json.loads(body) if method == "POST" else {}
        match path:
            case "/__clock":
                if method == "POST":
                    self._set_clock(asked)
                return {"now": self.exchange.clock.now().isoformat()}
            case "/__faults":
                if method == "POST":
                    spec = faults.parse(asked["spec"], int(asked.get("seed", 0)))
                    self.exchange.use(spec)
                rules = self.exchange.mischief.faults.rules
                return {"rules": [rule.kind for rule in rules]}
            case "/__log":
                return self.exchange.log()
            case _:
                raise ValueError("there is only /__clock, /__faults and /__log")


def _json(status: int, body: dict[str, object]) -> Reply:
    return Reply(status, json.dumps(body).encode())


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


async def _send(reply: Reply, send: Send) -> None:
    length = len(reply.body) if reply.declared is None else reply.declared
    headers = {"Content-Type": reply.kind, "Content-Length": str(length), **reply.headers}
    await send(
        {
            "type": "http.response.start",
            "status": reply.status,
            "headers": [(k.lower().encode(), v.encode()) for k, v in headers.items()],
        }
    )
    # a body that is short of its declared length is left open, for the connection to be cut
    more = reply.declared is not None
    await send({"type": "http.response.body", "body": reply.body, "more_body": more})
