"""How near to the truth are the surfaces of an embedded market whose smiles are not SVI?"""

from datetime import UTC, date, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from assets.building import build
from hedgehouse import connect
from hedgehouse.scores import score
from pipelines.ingest import import_paths
from pipelines.simulator import market
from warehouse.location import Location, World
from warehouse.publish import publish

DAY, SIZE, SEED = date(2026, 3, 10), 0.3, 7


def run() -> list[tuple[str, str]]:
    """Distances in half spreads, arbitrage found, dear quotes found: (what, result) per line."""
    with TemporaryDirectory() as folder:
        location = _published(Path(folder))
        with connect(location.root, clock=_clock) as house:
            told = score(house, location.truth)
    return told.lines()


def _published(root: Path) -> Location:
    location, world = Location(root / "data"), World("simulator", seed=SEED)
    location.claim(world)
    made = market.write(root, seed=SEED, day=DAY, size=SIZE, truth=location.truth)
    report = import_paths(location, [made.archives, made.portfolio], clock=_clock, world=world)
    if report.exit_code:
        raise RuntimeError(f"{DAY}: {report.errors}")
    build(location, clock=_clock)
    publish(location, clock=_clock)
    return location


def _clock() -> datetime:
    return datetime(2026, 3, 12, tzinfo=UTC)
