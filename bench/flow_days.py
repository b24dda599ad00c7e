"""How long do all flow and carry marts of a simulated day take, and does a day more cost a day?

From an imported lake to marts, by dbt in a process of its own, tests apart. Options are not
imported: nothing here reads them.
"""

import os
import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from assets.building import DBT
from pipelines.ingest import import_paths
from pipelines.simulator import market
from warehouse.location import Location, World

DAY, SEED = date(2026, 3, 10), 7
LENGTHS, SMALL = (1, 5, 25), 0.02  # days, and the size of each
MARTS = ("+path:models/marts/flow", "+path:models/marts/carry")


def run() -> list[tuple[str, str]]:
    """(what, result) per line."""
    with TemporaryDirectory() as folder:
        whole = lake(Path(folder), "whole", DAY, 1, 1.0)
        seconds = built(whole, DAY, 1)
        grown = [
            (days, built(lake(Path(folder), "grown", DAY, days, SMALL), DAY, days))
            for days in LENGTHS
        ]
    (first, short), (_, middle), (last, long) = grown
    slope = (long - short) / (last - first)
    before, beyond = (middle - short) / (LENGTHS[1] - first), (long - middle) / (last - LENGTHS[1])
    return [
        ("a simulated day through all flow and carry marts", f"{seconds:.1f} s"),
        (f"small days: {', '.join(map(str, LENGTHS))}", f"{short:.1f}, {middle:.1f}, {long:.1f} s"),
        ("a day more, from the first to the last length", f"{slope:.2f} s"),
        ("a day more beyond the middle length / before it", f"{beyond / before:.2f}"),
    ]


def lake(folder: Path, name: str, first: date, days: int, size: float) -> Location:
    """A lake of so many days; those that are there already stay."""
    location = Location(folder / name / "data")
    if not location.root.exists():
        location.claim(World("simulator", seed=SEED))
    for day in (first + timedelta(days=n) for n in range(days)):
        archives = folder / name / str(day)
        if archives.exists():
            continue
        made = market.write(archives, seed=SEED, day=day, size=size)
        for path in made.archives.rglob("*OPTIONS*"):
            path.unlink()
        report = import_paths(
            location, [made.archives], clock=_clock, world=World("simulator", seed=SEED)
        )
        if report.exit_code:
            raise RuntimeError(f"{day}: {report.errors}")
    return location


def built(location: Location, first: date, days: int) -> float:
    """Seconds to make the marts of so many days in a file of their own."""
    folder = location.root.parent / "dbt"
    database = folder / "warehouse.duckdb"
    database.unlink(missing_ok=True)
    folder.mkdir(exist_ok=True)
    start = time.perf_counter()
    process = subprocess.run(
        [sys.executable, "-c", "import sys; from dbt.cli.main import cli; cli(sys.argv[1:])",
         "--quiet", "build", "--select", *MARTS, "--exclude", "resource_type:test",
         "resource_type:unit_test", "--event-time-start", str(first - timedelta(days=1)),
         "--event-time-end", str(first + timedelta(days=days + 1)), "--project-dir", str(DBT),
         "--profiles-dir", str(DBT), "--target-path", str(folder / "target"),
         "--log-path", str(folder / "logs")],
        env={**os.environ, "HEDGEHOUSE_DBT_PATH": str(database),
             "HEDGEHOUSE_DATA": str(location.root), "HEDGEHOUSE_COMMITTED_BY": "",
             "DBT_SEND_ANONYMOUS_USAGE_STATS": "false"},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    if process.returncode:
        raise RuntimeError(process.stdout[-2_000:])
    return time.perf_counter() - start


def _clock() -> datetime:
    return datetime(2026, 11, 1, tzinfo=UTC)
