"""What processes do that the tests start, and kill, from a warmed one."""

import io
import multiprocessing
import resource
import time
from contextlib import redirect_stderr
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path
from typing import Any

import small_world

import hedgehouse
from hedgehouse import cli
from warehouse.location import Location
from warehouse.publish import publish

# A process that has loaded all of this and runs no thread of its own is the one that is forked.
PRELOADED = ["forked", "hedgehouse.cli", "warehouse.publish", "polars", "pyarrow", "pandas"]


def context() -> ForkServerContext:
    """Where processes are forked from."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload(PRELOADED)
    return found


def start(target: Any, *arguments: Any) -> ForkServerProcess:
    """A process that runs `target`, one of the functions below."""
    process = context().Process(target=target, args=arguments, daemon=True)
    process.start()
    return process


def publish_once(root: Path) -> None:
    """One publish."""
    publish(Location(root), clock=small_world.clock)


def publish_on_a_small_disk(root: Path, byte_count: int, told: Any) -> None:
    """The command, where no file may grow beyond `byte_count`; tells exit code and what it said."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (byte_count, byte_count))
    said = io.StringIO()
    with redirect_stderr(said):
        code = cli.run(["publish", "--data", str(root)])
    told.send((code, said.getvalue()))
    told.close()


def read_until(root: Path, stop: Path, told: Any) -> None:
    """Read again and again until `stop` exists; tells (reads, generations seen, faults)."""
    reads, seen, faults = 0, set[str](), list[str]()
    while not stop.exists() and not faults:
        with hedgehouse.connect(root, limits=hedgehouse.Limits(threads=1)) as client:
            for _ in range(3):
                reads += 1
                seen.add(client.generation)
                faults += _torn(client)
        # A reader that never rests would only take the processor from the publisher.
        time.sleep(0.2)
    told.send((reads, seen, faults))
    told.close()


def _torn(client: hedgehouse.Warehouse) -> list[str]:
    """Versions of two marts, signals and issued signals agree within one generation."""
    row = client.sql(
        "select (select list(distinct version) from flow.left_half) as l, "
        "(select list(distinct version) from flow.right_half) as r, "
        "(select count(*) from hedging.signals) as signals, "
        "(select count(distinct signal_id) from hedging.issued_signals) as issued, "
        "(select count(*) from hedging.issued_signals) as issued_rows, "
        "(select count(*) from lake.trades) as trades"
    ).row(0, named=True)
    version = row["l"][0]
    agreed = {"l": [version], "r": [version], "signals": version, "issued": version}
    agreed |= {"issued_rows": version, "trades": 3}
    return [] if row == agreed else [f"{client.generation}: {row}"]
