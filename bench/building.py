"""Does one more day cost what a day costs, or what all days cost?"""

import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from assets.building import build
from pipelines.ingest import import_paths
from pipelines.simulator import market
from warehouse.location import Location, World

FIRST, DAYS, SIZE, SEED = date(2026, 3, 2), 5, 0.2, 7


def run() -> list[tuple[str, str]]:
    """Seconds to import and build a day when 0, 1, ... days are there, against the second day."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        location = Location(root / "data")
        location.claim(World("simulator", seed=SEED))
        seconds = [_one_more(location, root, FIRST + timedelta(days=n)) for n in range(DAYS)]
        started = time.perf_counter()
        build(location, clock=_clock, full_refresh=True)
        whole = time.perf_counter() - started
    more = [s / seconds[1] for s in seconds[2:]]
    return [
        ("import and build of the first day", f"{seconds[0]:.1f} s"),
        ("of the second day", f"{seconds[1]:.1f} s"),
        ("of days 3, 4, 5 against the second", ", ".join(f"{ratio:.2f}" for ratio in more)),
        ("full build of all 5 days against the last day alone", f"{whole / seconds[-1]:.2f}"),
    ]


def _one_more(location: Location, root: Path, day: date) -> float:
    made = market.write(root / str(day), seed=SEED, day=day, size=SIZE)
    started = time.perf_counter()
    paths = [made.archives, made.portfolio]
    report = import_paths(location, paths, clock=_clock, world=World("simulator", seed=SEED))
    if report.exit_code:
        raise RuntimeError(f"{day}: {report.errors}")
    build(location, clock=_clock)
    return time.perf_counter() - started


def _clock() -> datetime:
    return datetime(2026, 11, 1, tzinfo=UTC)
