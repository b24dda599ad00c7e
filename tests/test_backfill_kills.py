"""Whatever is killed in the middle of a backfill, every day of it ends complete, once."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import polars as pl
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.test_utils import environ

from assets.definitions import defs
from assets.partitions import VENUES, key_of
from assets.results import lake_key
from pipelines.simulator import truth
from pipelines.simulator.history import History
from pipelines.simulator.wire.server import serve_apart
from warehouse.lake import Partition, orphans, read_manifest, scan
from warehouse.location import Location

pytestmark = pytest.mark.whole

ROOT = Path(__file__).parents[1]
HISTORY = History(7, 0.002)
IS_LONG = "HEDGEHOUSE_KILLS" in os.environ  # then twenty partitions, else six: each is a process
DAYS = [date(2026, 3, 1) + timedelta(days=n) for n in range(10 if IS_LONG else 3)]
AFTER = datetime(2026, 3, 20, tzinfo=UTC)  # by then every day has been over for long
PARTITIONS = [(venue, day) for day in DAYS for venue in VENUES]
IN_THE_MIDDLE = len(PARTITIONS) // 4
POLLS, POLL_S = 6_000, 0.2


class Deployment:
    """A code server and a daemon on one folder, as `make serve` has them, without the interface."""

    def __init__(self, home: Path, environment: dict[str, str]) -> None:
        self.home, self._environment = home, environment
        self._running: list[subprocess.Popen[bytes]] = []
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = str(free.getsockname()[1])
        where = f"{{host: 127.0.0.1, port: {self._port}, location_name: assets.definitions}}"
        (home / "workspace.yaml").write_text(f"load_from: [{{grpc_server: {where}}}]\n")

    def start(self) -> None:
        port = ["-h", "127.0.0.1", "-p", self._port]
        self._start(["api", "grpc", "-m", "assets.definitions", *port])
        wait_until(self._answers, "the code server answers")
        self._start(["_daemon", "run", "-w", str(self.home / "workspace.yaml")])

    def kill(self) -> None:
        """Everything at once, workers too: each was started in one of these sessions."""
        for process in self._running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self._running = []

    def _start(self, words: list[str]) -> None:
        module, *rest = words
        name = "dagster" if module == "api" else f"dagster.{module}"
        command = [sys.executable, "-m", name, *([module] if module == "api" else []), *rest]
        with (self.home / f"{module}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                env=self._environment,
                cwd=self.home,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._running.append(process)

    def _answers(self) -> bool:
        assert all(process.poll() is None for process in self._running), self.home
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", int(self._port))) == 0


def wait_until(is_so: Callable[[], bool], what: str) -> None:
    for _ in range(POLLS):
        if is_so():
            return
        time.sleep(POLL_S)
    raise AssertionError(f"in vain: {what}")


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """Dagster on the project's own settings, looking more often whether processes live."""
    home = tmp_path / "dagster"
    home.mkdir()
    settings = (ROOT / "dagster.yaml").read_text()
    for slow, quick in (
        ("poll_interval_seconds: 15", "poll_interval_seconds: 2"),
        ("start_timeout_seconds: 120", "start_timeout_seconds: 60"),
    ):
        assert slow in settings
        settings = settings.replace(slow, quick)
    (home / "dagster.yaml").write_text(settings)
    with serve_apart(HISTORY, at=AFTER, rate_scale=1_000) as market:
        environment = {
            **os.environ,
            "DAGSTER_HOME": str(home),
            "HEDGEHOUSE_DATA": str(tmp_path / "data"),
            "HEDGEHOUSE_SOURCE": "simulator",
            "HEDGEHOUSE_SEED": str(HISTORY.seed),
            "HEDGEHOUSE_GATEWAY": market.url,
            "HEDGEHOUSE_RATE_SCALE": "1000",
            "HEDGEHOUSE_UNDERLYINGS": '["BTC"]',
            "HEDGEHOUSE_IS_SCHEDULED": "false",
        }
        made = Deployment(home, environment)
        with environ({"DAGSTER_HOME": str(home)}):
            yield made
        made.kill()


def backfill(instance: dg.DagsterInstance) -> str:
    """Ask for all partitions of the trades, as the interface does."""
    wanted = PartitionBackfill.from_asset_partitions(
        backfill_id="twenty",
        asset_graph=defs.resolve_asset_graph(),
        partition_names=[str(key_of(venue, day)) for venue, day in PARTITIONS],
        asset_selection=[lake_key("trades")],
        backfill_timestamp=time.time(),
        tags={},
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=None,
        description=None,
        run_config=None,
    )
    instance.add_backfill(wanted)
    return wanted.backfill_id


def held(location: Location) -> list[tuple[str, date]]:
    """The partitions that are there, each unit of them complete."""
    found = []
    for venue, day in PARTITIONS:
        units = read_manifest(location, Partition("trades", venue, day)).units
        if units and all(unit.status == "complete" for unit in units):
            found.append((venue, day))
    return found


@pytest.mark.filterwarnings("ignore:Function `AssetSelection.sources`")  # Dagster's own
def test_killing_workers_daemon_and_code_server_loses_no_day_of_a_backfill(
    tmp_path: Path, deployment: Deployment
) -> None:
    location = Location(tmp_path / "data")
    with dg.DagsterInstance.get() as instance:

        def running() -> list[dg.DagsterRun]:
            return list(instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])))

        def is_in_the_middle() -> bool:
            return len(held(location)) >= IN_THE_MIDDLE and bool(running())

        def status() -> BulkActionStatus:
            found = instance.get_backfill(name)
            assert found is not None
            return found.status

        name = backfill(instance)
        deployment.start()
        wait_until(is_in_the_middle, f"{IN_THE_MIDDLE} days are held and one is under way")
        deployment.kill()
        cut = running()
        assert cut, "nothing was cut short"
        assert len(held(location)) < len(PARTITIONS)
        deployment.start()
        wait_until(lambda: status() not in UNDER_WAY, "the backfill ends")
        assert status() == BulkActionStatus.COMPLETED_SUCCESS
        assert sorted(held(location)) == sorted(PARTITIONS)
        for run in cut:  # the newest of a run and its repetitions stands first
            again = instance.get_runs(dg.RunsFilter(tags={"dagster/root_run_id": run.run_id}))
            assert again[0].status == dg.DagsterRunStatus.SUCCESS
        told = instance.get_materialized_partitions(lake_key("trades"))
        assert told == {str(key_of(venue, day)) for venue, day in PARTITIONS}
    assert_equal_to_the_truth(location, tmp_path / "truth")


UNDER_WAY = (BulkActionStatus.REQUESTED, BulkActionStatus.FAILING)


def assert_equal_to_the_truth(location: Location, folder: Path) -> None:
    truth.write(folder, HISTORY, DAYS)
    key = ["instrument_id", "trade_id"]
    columns = [*key, "side", "price", "event_at"]
    planted = pl.read_parquet(folder / "trades.parquet").filter(
        pl.col("instrument_id").str.contains("BTC")
    )
    found = scan(location, "trades").collect()
    assert found.select(key).is_duplicated().sum() == 0
    assert found.select(columns).sort(key).equals(planted.select(columns).sort(key))
    sizes = found.sort(key)["quantity_base"] / planted.sort(key)["quantity_base"]
    assert sizes.is_between(1 - 1e-12, 1 + 1e-12).all()
    assert orphans(location) == []
