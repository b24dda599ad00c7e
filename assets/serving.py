"""What does `make serve` start? Dagster's interface and daemon, and the market that they ask.

The embedded market runs beside them unless the real venues are wanted; what ends takes the others
with it.
"""

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).parents[1]
LOOPBACK = "127.0.0.1"
PATIENCE_S = 30.0
POLL_S = 0.2
Process = subprocess.Popen[bytes]


class NotServed(RuntimeError):
    """A process did not start, or ended by itself; the message names it."""


def main(arguments: Sequence[str]) -> int:
    """Serve until one process ends or a signal comes; the exit code."""
    wanted = _arguments(arguments)
    environment = environment_of(wanted, os.environ)
    home = Path(environment["DAGSTER_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    shutil.copy(ROOT / "dagster.yaml", home / "dagster.yaml")
    for number in (signal.SIGTERM, signal.SIGINT):  # the latter is ignored by a shell's background
        signal.signal(number, _interrupt)
    with ExitStack() as running:
        try:
            started: dict[str, Process] = {}
            if wanted.source == "simulator":
                _refuse_foreign(wanted.market_port)
                market = _start(running, market_command(wanted), environment)
                started["the market"] = market
                _wait_for(market, wanted.market_port)
            started["Dagster"] = _start(running, dagster_command(wanted), environment)
            _watch(started)
        except KeyboardInterrupt:
            return 0
        except NotServed as error:
            sys.stderr.write(f"serve: {error}\n")
            return 1


def environment_of(wanted: argparse.Namespace, given: Mapping[str, str]) -> dict[str, str]:
    """What the processes are told. With real venues a gateway that was given stays."""
    data = Path(wanted.data).resolve()
    told = {
        **given,
        "HEDGEHOUSE_DATA": str(data),
        "HEDGEHOUSE_SOURCE": wanted.source,
        "DAGSTER_HOME": str(data / "dagster"),
    }
    if wanted.source == "simulator":
        told["HEDGEHOUSE_GATEWAY"] = f"http://{LOOPBACK}:{wanted.market_port}"
        told["HEDGEHOUSE_SEED"] = str(wanted.seed)
        told["HEDGEHOUSE_RATE_SCALE"] = str(wanted.rate_scale)
    return told


def market_command(wanted: argparse.Namespace) -> list[str]:
    words = ["--port", wanted.market_port, "--seed", wanted.seed, "--size", wanted.size]
    words += ["--rate-scale", wanted.rate_scale, "--quiet"]
    return [_program("hedgehouse"), "simulate", *map(str, words)]


def dagster_command(wanted: argparse.Namespace) -> list[str]:
    workspace = str(ROOT / "workspace.yaml")
    return [_program("dagster"), "dev", "-w", workspace, "-h", LOOPBACK, "-p", str(wanted.port)]


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="serve", description=__doc__)
    parser.add_argument("--data", default="serve-data")
    parser.add_argument("--source", choices=("simulator", "live"), default="simulator")
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--market-port", type=int, default=8931)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--size", type=float, default=0.25)
    parser.add_argument("--rate-scale", type=float, default=20.0)
    return parser.parse_args(arguments)


def _program(name: str) -> str:
    """A command of the environment that runs this, whatever the path says."""
    return str(Path(sys.executable).with_name(name))


def _start(running: ExitStack, command: list[str], environment: Mapping[str, str]) -> Process:
    # In a session of its own: Ctrl-C comes to us alone, and we end each as it likes to be ended.
    process = subprocess.Popen(  # noqa: S603 - our own words
        command, cwd=environment["DAGSTER_HOME"], env=dict(environment), start_new_session=True
    )
    running.callback(_end, process)
    return process


def _end(process: Process) -> None:
    """Ask it to end, then end what is left of its session: its children must not outlive it."""
    process.terminate()
    with suppress(subprocess.TimeoutExpired):
        process.wait(PATIENCE_S)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _watch(started: Mapping[str, Process]) -> NoReturn:
    """Raises `NotServed` when the first of them has ended."""
    while True:
        for name, process in started.items():
            _refuse_ended(name, process)
        time.sleep(POLL_S)


def _wait_for(market: Process, port: int) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        is_answered = _is_answered(port)
        _refuse_ended("the market", market)  # after it: another program may have come first
        if is_answered:
            return
        time.sleep(POLL_S)
    raise NotServed(f"the market did not answer on port {port} within {PATIENCE_S:.0f} s")


def _refuse_ended(name: str, process: Process) -> None:
    code = process.poll()
    if code is not None:
        raise NotServed(f"{name} ended with exit code {code}")


def _refuse_foreign(port: int) -> None:
    """Else its answers would be taken for those of our market, of whatever seed."""
    if _is_answered(port):
        raise NotServed(f"port {port} is taken by another program; name another with --market-port")


def _is_answered(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((LOOPBACK, port)) == 0


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
