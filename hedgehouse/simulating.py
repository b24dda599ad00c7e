"""How does the embedded market run alone, in real time, for whoever asks it?"""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from threading import Event

from hedgehouse.console import log
from pipelines.simulator.history import History
from pipelines.simulator.wire.faults import Faults
from pipelines.simulator.wire.server import Server, serve

TOLD_EVERY_S = 5.0


def simulate(
    world: History, *, port: int, faults: Faults, rate_scale: float, at: datetime
) -> dict[str, dict[str, int]]:
    """Serve from `at` on, until somebody stops it; return what was asked for and what went wrong.

    Raises `SimulatorError` where the port is taken or the world has no such day.
    """
    with (
        _asked_to_stop() as stop,
        serve(world, port=port, faults=faults, rate_scale=rate_scale, at=at) as server,
    ):
        server.run(at)
        log.info("%s serves the world of seed %d from %s on", server.url, world.seed, _clock(at))
        told: dict[str, Counter[str]] = {"requests": Counter(), "faults": Counter()}
        while not stop.wait(TOLD_EVERY_S):
            told = _tell(server, told)
        _tell(server, told)
        return server.log()


def _tell(server: Server, before: dict[str, Counter[str]]) -> dict[str, Counter[str]]:
    """A line for every path that was asked for since `before`, and for every fault."""
    now = {kind: Counter(counts) for kind, counts in server.log().items()}
    for path, count in sorted((now["requests"] - before["requests"]).items()):
        log.info("%s %s x%d", _clock(server.now()), path, count)
    for kind, count in sorted((now["faults"] - before["faults"]).items()):
        log.info("%s fault %s x%d", _clock(server.now()), kind, count)
    return now


def _clock(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"


@contextmanager
def _asked_to_stop() -> Iterator[Event]:
    """Set by Ctrl-C and by SIGTERM; what these did before is put back at the end."""
    stop = Event()
    kinds = (signal.SIGINT, signal.SIGTERM)
    former = [signal.signal(kind, lambda *_: stop.set()) for kind in kinds]
    try:
        yield stop
    finally:
        for kind, handler in zip(kinds, former, strict=True):
            signal.signal(kind, handler)
