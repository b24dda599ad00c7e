"""The embedded market alone: it serves in real time, says what it served, and ends when told."""

import json
import re
import signal
import socket
import subprocess
import sys
from http.client import HTTPConnection

import pytest

from hedgehouse import cli

COMMAND = "import sys; from hedgehouse.cli import run; sys.exit(run(sys.argv[1:]))"
PATH = "/www.deribit.com/api/v2/public/get_index_price?index_name=btc_usd"


@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_from_the_dates_same_time_of_day_and_ends_when_it_is_told(kind):
    words = ["simulate", "--port", "0", "--size", "0.002", "--date", "2026-03-10", "--json"]
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *words, "--faults", "html:1"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as child:
        said = child.stderr.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+) serves .* from 2026-03-10T", said)
        assert found, said
        for _ in range(2):
            connection = HTTPConnection("127.0.0.1", int(found[1]), timeout=30)
            connection.request("GET", PATH)
            body = connection.getresponse().read()
            connection.close()
        assert json.loads(body)["result"]["index_price"] > 0
        child.send_signal(kind)
        out, err = child.communicate(timeout=60)
    assert child.returncode == 0, err
    told = json.loads(out)
    assert told["requests"] == {PATH[1:].partition("?")[0]: 2}
    assert told["faults"] == {"html": 1}
    assert "Traceback" not in err
    assert "get_index_price x2" in err
    assert "fault html x1" in err


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--faults", "flood"], "faults: 'flood' in 'flood' is none of"),
        (["--date", "2050-01-01"], "world: day was 2050-01-01"),
        (["--date", "March"], "'March' is no date"),
    ],
)
def test_a_market_that_cannot_be_is_a_matter_of_usage(capsys, arguments, error):
    assert cli.run(["simulate", "--port", "0", "--size", "0.002", *arguments]) == 2
    assert error in capsys.readouterr().err


def test_a_port_that_is_taken_is_one_clear_line(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.run(["simulate", "--port", str(port), "--size", "0.002"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line for line in told if "INFO" not in line] == [
        f"hedgehouse: Invalid value: simulator: port {port}: Address already in use"
    ]
