"""`make serve` starts a market and Dagster together, on loopback, and ends them together."""

import argparse
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from assets import serving

ROOT = Path(__file__).parents[1]


def wanted(*words: str) -> argparse.Namespace:
    return serving._arguments(words)


def test_the_embedded_market_is_the_default_and_the_gateway_leads_to_it(tmp_path: Path) -> None:
    told = serving.environment_of(wanted("--data", str(tmp_path), "--market-port", "8999"), {})
    assert told["HEDGEHOUSE_SOURCE"] == "simulator"
    assert told["HEDGEHOUSE_GATEWAY"] == "http://127.0.0.1:8999"
    assert told["HEDGEHOUSE_DATA"] == str(tmp_path)
    assert told["DAGSTER_HOME"] == str(tmp_path / "dagster")


def test_the_real_venues_are_asked_without_a_gateway_and_at_their_own_rates() -> None:
    told = serving.environment_of(wanted("--source", "live"), {"HEDGEHOUSE_RATE_SCALE": "0.5"})
    assert told["HEDGEHOUSE_SOURCE"] == "live"
    assert told["HEDGEHOUSE_RATE_SCALE"] == "0.5"
    assert "HEDGEHOUSE_GATEWAY" not in told


def test_only_the_loopback_is_listened_on() -> None:
    command = serving.dagster_command(wanted())
    assert command[command.index("-h") + 1] == "127.0.0.1"


def test_make_passes_its_variables_on() -> None:
    line = subprocess.run(
        [
            "make",
            "-n",
            "--no-print-directory",
            "serve",
            "SOURCE=live",
            "SERVE_DATA=house",
            "PORT=3123",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    words = line[line.index("assets.serving") :].replace("\\\n", " ").split()
    told = wanted(*(word.strip('"') for word in words[1:]))
    assert (told.source, told.data, told.port) == ("live", "house", 3123)


def test_a_market_that_cannot_start_is_told_and_nothing_is_left(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)  # these tests keep their own
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # and not listening: the port is taken, and nobody answers
        port = str(taken.getsockname()[1])
        code = serving.main(["--data", str(tmp_path), "--market-port", port, "--size", "0.002"])
    assert code == 1
    assert "serve: the market ended" in capfd.readouterr().err


def test_another_program_on_the_port_is_not_taken_for_the_market(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    started: list[list[str]] = []
    monkeypatch.setattr(serving, "_start", lambda _, command, __: started.append(command))
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        port = foreign.getsockname()[1]
        code = serving.main(["--data", str(tmp_path), "--market-port", str(port)])
    assert code == 1
    assert f"port {port} is taken by another program" in capfd.readouterr().err
    assert started == []


def test_the_process_that_ended_is_named_with_its_code(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    ends = [sys.executable, "-c", "raise SystemExit(7)"]
    monkeypatch.setattr(serving, "dagster_command", lambda wanted: ends)
    assert serving.main(["--data", str(tmp_path), "--source", "live"]) == 1
    assert "serve: Dagster ended with exit code 7" in capfd.readouterr().err


def test_what_is_ended_takes_its_children_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "child"
    program = (
        "import os, signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: os._exit(0))\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
        f"open({str(pid_file)!r}, 'w').write(f'{{child.pid}} ')\n"
        "time.sleep(600)\n"
    )
    with serving.ExitStack() as running:
        environment = {**os.environ, "DAGSTER_HOME": str(tmp_path)}
        process = serving._start(running, [sys.executable, "-c", program], environment)
        while not (pid_file.exists() and pid_file.read_text().endswith(" ")):
            assert process.poll() is None
    child = int(pid_file.read_text())
    for _ in range(1_000):  # a killed process takes a moment to go
        if not is_alive(child):
            break
        time.sleep(0.01)
    assert not is_alive(child)
    assert process.returncode in (0, -signal.SIGTERM, -signal.SIGKILL)


def is_alive(pid: int) -> bool:
    """Zombies are dead: nobody may be left to bury them."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
