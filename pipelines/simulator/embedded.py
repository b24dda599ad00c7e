"""How do days of the embedded market pass without waiting? Served apart, on a clock that is moved.

The market runs in a process of its own, so that its share of the work is told apart. Client and
server have one clock. It stands still until it is stepped, and whoever waits moves it on instead:
a day passes as fast as it can be asked for, and the same run is the same again.
"""

import json
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Lock
from typing import IO, Any

from pipelines.settings import Settings
from pipelines.simulator.served import ARCHIVES
from pipelines.simulator.wire import faults as wire_faults
from pipelines.simulator.wire.server import START, Server, SimulatorError
from pipelines.transport import Transport
from warehouse.location import Location

RATE_SCALE = 1_000.0  # of the budgets, on both sides: only the machine limits a run
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class VirtualClock:
    """The time of client and server. The venue's may be ahead by `skew_s`."""

    def __init__(self, server: Server, at: datetime, skew_s: float) -> None:
        self._server, self._at, self._skew = server, at, timedelta(seconds=skew_s)
        self._lock = Lock()
        self.step(at)

    def __call__(self) -> datetime:
        return self._at

    def step(self, at: datetime) -> None:
        """Move both to an instant."""
        with self._lock:
            self._move(at)

    def sleep(self, seconds: float) -> None:
        """Wait without waiting."""
        with self._lock:
            self._move(self._at + timedelta(seconds=seconds))

    def ticks(self) -> float:
        """Seconds of a clock that a rate budget is spent by."""
        return (self._at - EPOCH).total_seconds()

    def _move(self, at: datetime) -> None:
        self._at = at  # first, so that the venue never tells of what is still to come
        self._server.step(at + self._skew)


@dataclass(frozen=True, slots=True)
class Embedded:
    """A market at hand: its clock, the way to it, and what it says of itself."""

    location: Location
    server: Server
    clock: VirtualClock
    seed: int
    commands: "Commands"

    def step(self, at: datetime) -> None:
        """Let it be `at`, for the market and for whoever asks its clock."""
        self.clock.step(at)

    def transport(self) -> Transport:
        """The way to every venue; its waits move the clock."""
        settings = Settings(gateway=self.server.url, rate_scale=RATE_SCALE, keys={})
        return Transport(
            self.location,
            clock=self.clock,
            settings=settings,
            sleep=self.clock.sleep,
            now=self.clock.ticks,
            draw=random.Random(self.seed).random,  # noqa: S311 - the same waits every time
        )

    @property
    def portfolio(self) -> Path:
        """Where the books of the demonstration are written."""
        return self.location.market / "portfolio"

    def tell(self, days: Sequence[date], coins: Sequence[str]) -> None:
        """Write what really happened on `days` to truth, and the books that are held from the first
        on in these coins."""
        self.commands.say(
            {
                "days": [str(day) for day in days],
                "coins": list(coins),
                "truth": str(self.location.truth.resolve()),
                "market": str(self.location.market.resolve()),
            }
        )

    def archive(self, days: Sequence[date]) -> Path:
        """The folder of the files that hold each change of the best quotes on `days`, and prints of
        the days before."""
        market = self.location.market.resolve()
        self.commands.say(
            {"days": [], "archives": [str(day) for day in days], "market": str(market)}
        )
        return market / ARCHIVES

    def cpu_s(self) -> float:
        """Seconds of processor time that the market has taken so far."""
        return float(self.commands.say({"days": []})["cpu_s"])


class Commands:
    """What the market's process is told beside the wire: one JSON object a line, answered so."""

    def __init__(self, send: IO[str], heard: IO[str]) -> None:
        self._send, self._heard, self._lock = send, heard, Lock()

    def say(self, command: dict[str, Any]) -> dict[str, Any]:
        """Raises `SimulatorError` where the market cannot do it, or is no more."""
        with self._lock:
            try:
                self._send.write(json.dumps(command) + "\n")
                self._send.flush()
            except BrokenPipeError:
                raise SimulatorError("simulator: the market has ended") from None
            return self.heard()

    def heard(self) -> dict[str, Any]:
        """The next answer."""
        line = self._heard.readline()
        if not line:
            raise SimulatorError("simulator: the market has ended; its last words are above")
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise SimulatorError(answer["error"])
        return answer


@contextmanager
def embedded(
    location: Location,
    *,
    seed: int,
    size: float = 1.0,
    faults: str = "",
    at: datetime = START,
) -> Iterator[Embedded]:
    """Serve the world of `seed` until the block is left; nothing is written before `tell`.

    `faults` with `skew` put the venues' clocks ahead of ours. Raises ValueError for faults that
    cannot be read, `SimulatorError` where the market cannot start.
    """
    spec = wire_faults.parse(faults, seed)
    wanted = {
        "seed": seed,
        "size": size,
        "faults": faults,
        "at": at.isoformat(),
        "rate_scale": RATE_SCALE,
    }
    command = [sys.executable, "-m", "pipelines.simulator.served", json.dumps(wanted)]
    # in a session of its own, or Ctrl-C would end it before its client
    with subprocess.Popen(  # noqa: S603
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as child:
        if child.stdin is None or child.stdout is None:
            raise SimulatorError("simulator: the market was started without pipes")
        try:
            commands = Commands(child.stdin, child.stdout)
            server = Server(int(commands.heard()["port"]))
            clock = VirtualClock(server, at, spec.amount("skew"))
            yield Embedded(location, server, clock, seed, commands)
        finally:
            child.stdin.close()
