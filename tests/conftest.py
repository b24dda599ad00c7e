"""What tests share: where outside data is, and one small simulated world, built once."""

import fcntl
import os
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from hypothesis import settings

from warehouse.location import Location, World

# Kernels compile at their first call, and machines are busy: a deadline would measure those.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

SHARED = Path(__file__).parents[2] / "shared"
SEED = 7
DAY = date(2026, 3, 10)


def _folder(variable: str, default: Path) -> Path:
    folder = Path(os.environ.get(variable, default))
    if not folder.is_dir():
        pytest.skip(f"{folder} is absent; name the folder in {variable}")
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long files first, so that the two processes end together."""
    items.sort(key=lambda item: item.get_closest_marker("whole") is None)


@pytest.fixture(scope="session")
def reference() -> Path:
    """Numbers computed by others; see its README for tolerances."""
    return _folder("HEDGEHOUSE_REFERENCE", SHARED / "reference")


@pytest.fixture(scope="session")
def recorded() -> Path:
    """Market data recorded from real venues by others."""
    return _folder("HEDGEHOUSE_RECORDED", SHARED / "recorded")


def clock() -> datetime:
    """Two days after the simulated one: everything in it has settled."""
    return datetime(2026, 3, 12, tzinfo=UTC)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Location:
    """A small simulated day, imported, built and published. Tests read it and never write to it."""
    from assets.building import build
    from pipelines.ingest import import_paths
    from pipelines.simulator import market
    from warehouse.publish import publish

    base = tmp_path_factory.getbasetemp()
    shared = base if worker_id == "master" else base.parent
    root = shared / "simulated"
    with (shared / "simulated.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        location = Location(root / "data")
        if not location.pointer.exists():
            made = market.write(root, seed=SEED, day=DAY, size=0.03, truth=location.truth)
            world = World("simulator", seed=SEED)
            location.claim(world)
            paths = [made.archives, made.portfolio]
            report = import_paths(location, paths, clock=clock, world=world)
            assert report.exit_code == 0, report.errors
            build(location, clock=clock)
            publish(location, clock=clock)
    return location
