"""Where is the embedded market reached? On loopback, in a thread of this process or in a child."""

import json
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPConnection
from typing import cast

import uvicorn

from pipelines.simulator.history import History
from pipelines.simulator.paths import DEFAULT_DAY
from pipelines.simulator.wire.application import Application, Protocol
from pipelines.simulator.wire.clock import Clock
from pipelines.simulator.wire.exchange import Exchange
from pipelines.simulator.wire.faults import Faults
from pipelines.simulator.world import instant

LOOPBACK = "127.0.0.1"
MOST_SECONDS = 600  # to wait for a large day to be made
START = instant(DEFAULT_DAY, 0)


class SimulatorError(RuntimeError):
    """The embedded market did not start, or refused what it was told."""


@dataclass(frozen=True, slots=True)
class Server:
    """A running market: `url` is what HEDGEHOUSE_GATEWAY is set to."""

    port: int

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    def step(self, at: datetime) -> None:
        """Set the world's clock, and wait until its day is made."""
        self._post("/__clock", {"now": at.isoformat()})

    def run(self, at: datetime | None = None) -> None:
        """Let the world's clock run with real time, from an instant or from where it stands."""
        self._post("/__clock", {"run": True} | ({} if at is None else {"now": at.isoformat()}))

    def now(self) -> datetime:
        """What the world's clock says."""
        return datetime.fromisoformat(str(self._ask("GET", "/__clock", None)["now"]))

    def use(self, spec: str, seed: int = 0) -> None:
        """Set the faults."""
        self._post("/__faults", {"spec": spec, "seed": seed})

    def log(self) -> dict[str, dict[str, int]]:
        """Requests by path and faults by kind, so far."""
        return cast(dict[str, dict[str, int]], self._ask("GET", "/__log", None))

    def _post(self, path: str, body: dict[str, object]) -> None:
        self._ask("POST", path, json.dumps(body))

    def _ask(self, method: str, path: str, body: str | None) -> dict[str, object]:
        connection = HTTPConnection(LOOPBACK, self.port, timeout=MOST_SECONDS)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            told = cast(dict[str, object], json.loads(answer.read()))
        finally:
            connection.close()
        if answer.status != 200:
            raise SimulatorError(f"simulator: {told['error']}")
        return told


@contextmanager
def serve(
    world: History,
    *,
    port: int = 0,
    faults: Faults = Faults(),  # noqa: B008 - frozen
    rate_scale: float = 1.0,
    at: datetime = START,
    ticks: Callable[[], float] = time.monotonic,
) -> Iterator[Server]:
    """Serve the world from a thread of this process until the block is left.

    `port` 0 takes a free one. The clock stands at `at` until it is stepped. Budgets of the venues
    are multiplied by `rate_scale` and spent in real time, told by `ticks`.
    """
    exchange = Exchange(world, Clock(at, ticks), ticks, rate_scale)
    exchange.use(faults)
    listening = _listen(port)
    running = uvicorn.Server(_config(exchange))
    thread = threading.Thread(target=running.run, args=([listening],), daemon=True)
    thread.start()
    try:
        yield Server(listening.getsockname()[1])
    finally:
        running.should_exit = True
        thread.join()
        listening.close()


@contextmanager
def serve_apart(
    world: History,
    *,
    port: int = 0,
    faults: str = "",
    rate_scale: float = 1.0,
    at: datetime = START,
) -> Iterator[Server]:
    """The same from a process of its own, so that its work is not its client's.

    Leaving the block ends the process; so does the death of this one. Raises `SimulatorError` where
    it cannot start, for example on a port that is taken.
    """
    wanted = {
        "seed": world.seed,
        "size": world.size,
        "port": port,
        "faults": faults,
        "rate_scale": rate_scale,
        "at": at.isoformat(),
    }
    command = [sys.executable, "-m", "pipelines.simulator.wire.server", json.dumps(wanted)]
    with subprocess.Popen(  # noqa: S603
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        try:
            told = child.stdout.readline() if child.stdout else ""
            if not told.strip().isdecimal():
                raise SimulatorError(told.strip() or "simulator: the market did not start")
            yield Server(int(told))
        finally:
            child.stdin.close() if child.stdin else None


def main(text: str) -> None:
    """Serve until standard input ends; the port is the first line of standard output."""
    from pipelines.simulator.wire.faults import parse

    wanted = json.loads(text)
    try:
        served = serve(
            History(wanted["seed"], wanted["size"]),
            port=wanted["port"],
            faults=parse(wanted["faults"], wanted["seed"]),
            rate_scale=wanted["rate_scale"],
            at=datetime.fromisoformat(wanted["at"]),
        )
        with served as server:
            print(server.port, flush=True)  # noqa: T201
            sys.stdin.read()
    except (ValueError, SimulatorError) as error:
        print(error, flush=True)  # noqa: T201


def _listen(port: int) -> socket.socket:
    # named TCP, or asyncio leaves Nagle's algorithm on, and each answer waits 40 ms for it
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
    except OSError as error:
        listening.close()
        raise SimulatorError(f"simulator: port {port}: {error.strerror}") from error
    listening.listen(128)
    return listening


def _config(exchange: Exchange) -> uvicorn.Config:
    return uvicorn.Config(
        Application(exchange),
        http=Protocol,
        ws="none",
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_graceful_shutdown=1,
    )


if __name__ == "__main__":
    main(sys.argv[1])
