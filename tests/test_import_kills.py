"""An import that is killed at any moment leaves nothing lost, doubled or partial."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path

import archive_files
import warm_importer
from archive_files import CHAIN_HEADER, DAY, option_row, spot_row

from pipelines.ingest import import_paths
from warehouse import lake
from warehouse.location import Location

KILLS = int(os.environ.get("HEDGEHOUSE_KILLS", "20"))
DAYS = [DAY + timedelta(days=n) for n in range(4)]
ROWS = 300


class Warm:
    """The warmed process: it starts imports, which may be killed."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def _say(self) -> int:
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def ended(self) -> int:
        return os.waitstatus_to_exitcode(int(self._process.stdout.readline()))

    def run(self) -> int:
        """Import to the end; the exit code."""
        self._say()
        return self.ended()

    def kill_after(self, seconds: float) -> bool:
        """Start an import and kill it; whether it was still running."""
        child = self._say()
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
        return self.ended() < 0


@contextmanager
def warmed(root: Path, source: Path):
    command = [sys.executable, warm_importer.__file__, str(root), str(source)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout.readline() == "warm\n"
        yield Warm(process)
        process.stdin.close()


def archives(root: Path) -> Path:
    """Four days of trades, one of them with a bad and a repeated row, and a chain."""
    for n, day in enumerate(DAYS):
        lines = [spot_row(n * ROWS + k, day) for k in range(ROWS)]
        if n == 2:
            lines += [lines[-1], "1,x,1,1,1,True,True"]
        archive_files.binance(root, lines, period=day.isoformat())
    options = [option_row(30.0 * n, f"BTC-27SEP24-{60 + n % 5}000-C") for n in range(100)]
    archive_files.tardis(root, "options_chain", CHAIN_HEADER, options)
    return root


def held(location: Location) -> dict[date, int]:
    """Rows by day; what is committed is whole, and its parts have the digests in the manifest."""
    counts = {}
    for manifest in lake.manifests(location):
        folder = manifest.partition.folder(location)
        for part in manifest.current_parts():
            content = (folder / part.name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == part.sha256
        if manifest.partition.table == "trades":
            counts[manifest.partition.day] = sum(unit.rows for unit in manifest.units)
    return counts


def statuses(location: Location) -> list[tuple[str, str, str, int]]:
    return [
        (manifest.partition.name, unit.name, unit.status, unit.rows)
        for manifest in lake.manifests(location)
        for unit in manifest.units
    ]


def test_a_killed_import_loses_nothing_and_doubles_nothing(tmp_path):
    source, chance = archives(tmp_path / "source"), random.Random(11)
    undisturbed, location = Location(tmp_path / "undisturbed"), Location(tmp_path / "house")
    assert import_paths(undisturbed, [source], clock=archive_files.clock).exit_code == 0
    with warmed(location.root, source) as importer:
        killed = sum(importer.kill_after(chance.uniform(0, 0.5)) for _ in range(KILLS // 2))
        assert all(rows == ROWS for rows in held(location).values())
        # from an empty folder again, so that kills fall on first commits and not on repeats alone
        for partition in lake.partitions(location):
            (partition.folder(location) / "manifest.json").unlink()
        killed += sum(importer.kill_after(chance.uniform(0, 0.5)) for _ in range(KILLS // 2))
        assert all(rows == ROWS for rows in held(location).values())
        assert importer.run() == 0
    assert killed > 0
    assert held(location) == dict.fromkeys(DAYS, ROWS)
    for table in ("trades", "option_quotes", "instruments"):
        assert lake.scan(location, table).collect().equals(lake.scan(undisturbed, table).collect())
    assert statuses(location) == statuses(undisturbed)
    refused = [archive_files.quarantined(one, "trades") for one in (location, undisturbed)]
    assert refused[0].height == 2
    assert refused[0].equals(refused[1])
    assert not list(location.work.iterdir())
