"""How does what is in the lake become marts in a work database?

The manifests say which days changed since the last build; the plan says which models run over
which of them; dbt runs in a process of its own. A build as of a past instant is always whole and
stands in a file of its own, so that it never mixes with the one that is published.
"""

import fcntl
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import duckdb

from assets.changes import Basis
from warehouse import generations
from warehouse.contract import VERSION
from warehouse.generations import Build, Locked
from warehouse.location import Clock, Location
from warehouse.manifest import manifests

PROJECT = Path(__file__).parents[1]
DBT = PROJECT / "dbt"
# What a mart's numbers follow from: a change in any of it makes a new model version.
MODEL_SOURCES = (
    "dbt/models/**/*.sql",
    "dbt/macros/**/*.sql",
    "dbt/seeds/*.csv",
    "warehouse/functions/*.py",
    "warehouse/registry*.py",
    "warehouse/arrow.py",
)

DBT_SOURCES = (".sql", ".yml", ".csv", ".md")

Progress = Callable[[str, int, int], None]
Told = Callable[[str, str, str], None]


class BuildFailed(ValueError):
    """dbt could not build or test a model; the message names each with its first error."""


class EmptyLake(ValueError):
    """There is nothing to build from."""


@dataclass(frozen=True, slots=True)
class BuildReport:
    """What was built. `models_run` counts a daily model once for each run of neighbouring days."""

    path: Path
    as_of_at: datetime
    committed_by_at: datetime
    models_run: int
    changed_days: tuple[date, ...]
    model_version: str


def build(
    location: Location,
    *,
    clock: Clock,
    as_of: datetime | None = None,
    committed_by: datetime | None = None,
    full_refresh: bool = False,
    progress: Progress | None = None,
    told: Told | None = None,
) -> BuildReport:
    """Bring the work database up to date, or make the one as of a past instant.

    In it are the rows knowable by `as_of` (default now) from revisions committed by `committed_by`
    (default now). `told` hears name, kind and status of every model and test. Raises `EmptyLake`,
    `BuildFailed`, or `Locked` naming the other process.
    """
    now = clock()
    is_past = as_of is not None or committed_by is not None
    until, by = as_of or now, committed_by or now
    path = location.as_of_warehouse(until) if is_past else location.warehouse
    location.work.mkdir(parents=True, exist_ok=True)
    with _only_builder(location):
        found = manifests(location)
        if not any(m.current_parts(by) for m in found):
            raise EmptyLake(f"{location.lake}: nothing is committed; run `hedgehouse import` first")
        basis = Basis.of(found, f"{model_version()} contract {VERSION}", until, by)
        before = None if is_past or full_refresh else _usable(location, basis)
        if before is None:
            _remove(path)
        if not is_past:
            generations.forget_build(location)
            (location.work / "built.json").unlink(missing_ok=True)
        changed = basis.changed_since(before)
        run = _run_dbt(location, path, basis, changed, progress, told)
        if is_past:
            _sign(path, location, basis)
        else:
            basis.write(location)
            generations.record_build(location, Build(until, by))
    days = tuple(sorted({day for days in changed.values() for day in days}))
    return BuildReport(path, until, by, run, days, basis.version.split(" ")[0])


def model_version() -> str:
    """The package's version and a digest of everything a mart's numbers follow from."""
    digest = hashlib.sha256()
    for pattern in MODEL_SOURCES:
        for path in sorted(PROJECT.glob(pattern)):
            digest.update(f"{path.relative_to(PROJECT)}\n".encode() + path.read_bytes())
    return f"{version('hedgehouse')}+{digest.hexdigest()[:8]}"


def _usable(location: Location, basis: Basis) -> Basis | None:
    """The basis of the last build, where this one can go on from it."""
    before = Basis.read(location)
    if before is None or before.version != basis.version or not location.warehouse.exists():
        return None
    return before


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.with_name(f"{path.name}.wal").unlink(missing_ok=True)


def _run_dbt(
    location: Location,
    path: Path,
    basis: Basis,
    changed: dict[str, list[date]],
    progress: Progress | None,
    told: Told | None,
) -> int:
    folder = location.work.resolve() / "dbt"
    folder.mkdir(exist_ok=True)
    variables = {
        "as_of": basis.as_of_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f"),
        "model_version": basis.version.split(" ")[0],
    }
    options = {
        "--project-dir": str(DBT),
        "--profiles-dir": str(DBT),
        "--target-path": str(folder / "target"),
        "--log-path": str(folder / "logs"),
        "--vars": json.dumps(variables),
    }
    request = {
        # Every statement would be told to the log, which takes longer than many of them.
        "options": [
            *(word for pair in options.items() for word in pair),
            *("--quiet", "--log-level-file", "info"),
        ],
        "target": str(folder / "target"),
        "parsed": str(_parsed(path.stem)),
        "changed": {t: [str(d) for d in days] for t, days in changed.items()},
        "held": {t: [str(d) for d in days] for t, days in basis.held().items()},
        "existing": _tables(path),
    }
    environment = {
        **os.environ,
        "HEDGEHOUSE_DBT_PATH": str(path.resolve()),
        "HEDGEHOUSE_DATA": str(location.root.resolve()),
        "HEDGEHOUSE_COMMITTED_BY": basis.committed_by_at.astimezone(UTC).isoformat(),
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
        "DO_NOT_TRACK": "1",
    }
    with (folder / "output.log").open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "assets.dbt_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=output,
            text=True,
            env=environment,
            cwd=PROJECT,
        )
        with process:
            return _follow(process, request, folder, progress, told)


def _parsed(database: str) -> Path:
    """Where the project is kept as dbt read it: five seconds of every build of that database."""
    versions = f"{version('dbt-core')} {version('dbt-duckdb')}"
    digest = hashlib.sha256(f"{PROJECT} {versions} {database}".encode())
    for path in sorted(p for p in DBT.rglob("*") if p.suffix in DBT_SOURCES):
        if "target" not in path.relative_to(DBT).parts:
            digest.update(f"{path.relative_to(DBT)}\n".encode() + path.read_bytes())
    return DBT / "target" / "parsed" / digest.hexdigest()[:16]


def _follow(
    process: "subprocess.Popen[str]",
    request: dict[str, Any],
    folder: Path,
    progress: Progress | None,
    told: Told | None,
) -> int:
    if process.stdin is None or process.stdout is None:
        raise BuildFailed("dbt's process was started without pipes")
    process.stdin.write(json.dumps(request))
    process.stdin.close()
    planned, run = 0, 0
    for line in process.stdout:
        said = json.loads(line)
        planned = said.get("planned", planned)
        if told and "node" in said:
            told(said["node"], said["kind"], said["status"])
        if said.get("kind") == "model":
            run += 1
            if progress:
                progress(said["node"], run, planned)
        if said.get("ended") is False:
            raise BuildFailed("; ".join(said["errors"]) + f" (log: {folder / 'logs'})")
    if process.wait() != 0:
        raise BuildFailed(f"dbt ended with exit code {process.returncode}; see {folder}/output.log")
    return run


def _tables(path: Path) -> list[str]:
    """Names of the tables a former build left, empty where there is no file."""
    if not path.exists():
        return []
    with duckdb.connect(str(path), read_only=True) as connection:
        found = connection.execute("select table_name from duckdb_tables()").fetchall()
    return [name for (name,) in found]


def _sign(path: Path, location: Location, basis: Basis) -> None:
    """Say in the file's own ops.generations what it is: it is never published."""
    world = location.world()
    row = {
        "generation": path.stem,
        "event": "as_of_build",
        "published_at": None,
        "as_of_at": basis.as_of_at,
        "committed_by_at": basis.committed_by_at,
        "world_origin": world.origin if world else None,
        "world_mode": world.mode if world else None,
        "contract_version": VERSION,
    }
    stamps = {k: v.astimezone(UTC).replace(tzinfo=None) for k, v in row.items()
              if isinstance(v, datetime)}  # fmt: skip
    row |= stamps
    row["published_at"] = stamps["committed_by_at"]
    with duckdb.connect(str(path)) as connection:
        connection.execute("delete from ops.generations")
        connection.execute(
            f"insert into ops.generations ({', '.join(row)}) values ({', '.join('?' * len(row))})",
            list(row.values()),
        )


@contextmanager
def _only_builder(location: Location) -> Iterator[None]:
    path = location.work / ".lock"
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            who = generations.holder(path) or "another process"
            raise Locked(f"{path}: held by {who}") from None
        yield
