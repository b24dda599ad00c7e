"""What runs in the embedded market's own process? The server, and what its client has written.

The wanted world is the one argument, a JSON object. Standard output says the port, then answers
each line of standard input; the process ends with standard input.
"""

import json
import sys
import time
from dataclasses import replace
from datetime import date, datetime
from pathlib import Path
from typing import Any

from pipelines.simulator import bulk, portfolio, truth
from pipelines.simulator.history import History
from pipelines.simulator.wire import faults
from pipelines.simulator.wire.faults import Faults
from pipelines.simulator.wire.server import SimulatorError, serve
from pipelines.simulator.world import COINS

ARCHIVES = "archives"  # the folder of what can be downloaded, beside that of the portfolio


def main(text: str) -> None:
    """Serve, and do what standard input says, until it ends."""
    wanted = json.loads(text)
    try:
        history = History(wanted["seed"], wanted["size"])
        spec = _unskewed(faults.parse(wanted["faults"], wanted["seed"]))
        at = datetime.fromisoformat(wanted["at"])
        with serve(history, faults=spec, rate_scale=wanted["rate_scale"], at=at) as server:
            _answer({"port": server.port})
            for line in sys.stdin:
                _answer(_done(history, json.loads(line)))
    except (ValueError, OSError, SimulatorError) as error:
        _answer({"error": str(error)})


def _done(history: History, command: dict[str, Any]) -> dict[str, Any]:
    days = [date.fromisoformat(day) for day in command["days"]]
    if days:
        truth.write(Path(command["truth"]), history, days)
        wanted = [coin for coin in COINS if coin.name in command["coins"]]
        states = {coin.name: history.state(coin, days[0]) for coin in wanted}
        portfolio.write(Path(command["market"]), states, days[0])
    if archived := [date.fromisoformat(day) for day in command.get("archives", ())]:
        bulk.write(Path(command["market"]) / ARCHIVES, history, archived)
    return {"cpu_s": time.process_time()}


def _unskewed(spec: Faults) -> Faults:
    """The clock that the server is given is ahead already."""
    return replace(spec, rules=tuple(rule for rule in spec.rules if rule.kind != "skew"))


def _answer(told: dict[str, Any]) -> None:
    print(json.dumps(told), flush=True)  # noqa: T201


if __name__ == "__main__":
    main(sys.argv[1])
