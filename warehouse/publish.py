"""How does a finished build become a generation that people read, and how is one taken back?

A generation is a file that never changes. It is assembled beside the others, every object in it is
selected from in a process of its own, and then the pointer `current.duckdb` moves to it: readers
see the old generation or the new one.

A generation is published once the pointer has pointed to it, and only published generations have
issued signals. The order is: file, its Parquet, signals it issues, pointer, log. A kill before the
pointer moves leaves files and an issued log that nobody could have read: the next publish removes
them. A kill after it leaves the log one line short: the next publish adds that line, from the file.
"""

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from hashlib import file_digest
from pathlib import Path

import duckdb
import polars as pl

from warehouse import exporting, generations, issued, reading
from warehouse.assembling import Assembled, assemble
from warehouse.generations import Event
from warehouse.instants import in_utc
from warehouse.location import Clock, Location, sync_folder, write_durably

KEPT = 7
# A reader that has just resolved the pointer still finds the file it is about to open.
GRACE = timedelta(hours=1)


class PublishError(ValueError):
    """A generation is not fit to be published, or there is none to go back to."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation that the pointer points to. `row_counts` and `issued_count` as it was made."""

    path: Path
    event: Event
    row_counts: dict[str, int]
    issued_count: int

    @property
    def name(self) -> str:
        return self.event.generation


def publish(location: Location, *, clock: Clock, keep: int = KEPT) -> Generation:
    """Make the finished build the current generation.

    Raises `NoBuild`, `Locked` naming the other process, or `PublishError` where an object of the
    new file cannot be read; the pointer then stays where it was and nothing is left behind.
    """
    generations.read_build(location)
    with generations.publishing(location):
        past = _settle(location, clock)
        name = _next_name(location, past, clock())
        try:
            made = _make(location, name, clock(), past)
            _move_pointer(location, name)
        finally:
            past = _settle(location, clock)
        _describe_pointer(location, past)
        _retire(location, past, keep, clock())
    return Generation(_path(location, name), made.event, made.row_counts, made.fresh.height)


def rollback(location: Location, *, clock: Clock, to: str | None = None) -> Generation:
    """Move the pointer to the generation before the current one, or to the one named `to`.

    Nothing is removed: the event is appended to the log, and issued signals stay issued.
    """
    if pointed(location) is None:
        raise PublishError(f"{location.published}: nothing is published yet")
    with generations.publishing(location):
        past = _settle(location, clock)
        target = _earlier(location, past, to)
        _move_pointer(location, target.generation)
        past = _settle(location, clock)
        _describe_pointer(location, past)
    found = current(location)
    if found is None:
        raise PublishError(f"{location.pointer}: vanished while it was moved")
    return found


def current(location: Location) -> Generation | None:
    """The generation that the pointer points to, or None before the first."""
    name = pointed(location)
    if name is None:
        return None
    path = _path(location, name)
    connection = reading.connect(path, location.lake, reading.Limits())
    try:
        counts = {
            f"{schema}.{table}": rows
            for schema, table, rows in connection.execute(
                "select schema_name, table_name, estimated_size from duckdb_tables() order by all"
            ).fetchall()
        }
        ((fresh,),) = connection.execute(
            f"select count(*) from hedging.issued_signals where generation = '{name}'"
        ).fetchall()
        return Generation(path, _own_event(connection), counts, fresh)
    finally:
        connection.close()


def pointed(location: Location) -> str | None:
    """Name of the generation that the pointer points to."""
    if not location.pointer.is_symlink():
        return None
    return location.pointer.readlink().stem


def _make(location: Location, name: str, at: datetime, past: list[Event]) -> Assembled:
    """Assemble, inspect and place the file, then the signals it issues; both durable."""
    temporary = location.published / f".{name}.tmp"
    try:
        made = assemble(location, temporary, name, at, past)
    except duckdb.IOException:
        raise
    except duckdb.Error as error:
        raise PublishError(f"{name}: cannot be assembled: {reading.first_line(error)}") from error
    _inspect(temporary, location.lake)
    temporary.chmod(0o444)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(_path(location, name))
    sync_folder(location.published)
    exporting.export(location, name, _path(location, name))
    issued.write(location, name, made.fresh)
    return made


def _inspect(path: Path, lake: Path) -> None:
    command = [sys.executable, "-m", "warehouse.reading", str(path), str(lake)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        reason = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise PublishError(f"{path.name}: cannot be read and is not published: {reason}")


def _move_pointer(location: Location, name: str) -> None:
    temporary = location.published / ".current.tmp"
    temporary.unlink(missing_ok=True)
    temporary.symlink_to(_path(location, name).name)
    temporary.replace(location.pointer)
    sync_folder(location.published)


def _describe_pointer(location: Location, past: list[Event]) -> None:
    """Write current.json: what the pointer points to, for readers that do not speak DuckDB."""
    path = _path(location, past[-1].generation)
    with path.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    world = location.world()
    fields = generations.as_text(past[-1]) | {
        "path": path.name,
        "sha256": digest,
        "world": {"origin": world.origin, "mode": world.mode, "seed": world.seed}
        if world
        else None,
    }
    write_durably(location.published / "current.json", json.dumps(fields, indent=1).encode())


def _settle(location: Location, clock: Clock) -> list[Event]:
    """Bring log and folder in line with the pointer, which alone says what is published."""
    past = generations.events(location)
    name = pointed(location)
    if name is not None and (not past or past[-1].generation != name):
        generations.append(location, _missed_event(location, past, name, clock()))
        past = generations.events(location)
    published = {e.generation for e in past}
    for path in location.published.glob(".hedgehouse_*"):
        path.unlink()
    for path in _files(location):
        if path.stem not in published:
            path.unlink()
    exporting.keep_only(location, (path.stem for path in _files(location)))
    issued.forget_unpublished(location, published)
    return past


def _missed_event(location: Location, past: list[Event], name: str, at: datetime) -> Event:
    for event in past:
        if event.generation == name:
            return replace(event, event="rolled_back_to", published_at=at)
    connection = reading.connect(_path(location, name), location.lake, reading.Limits())
    try:
        return _own_event(connection)
    finally:
        connection.close()


def _own_event(connection: duckdb.DuckDBPyConnection) -> Event:
    """The event that published a file, as the file itself tells it."""
    rows = in_utc(connection.sql("from ops.generations").pl())
    made = rows.filter(pl.col("event") == "published").to_dicts()
    # by number: a clock may have been set back since
    return Event(**max(made, key=lambda row: generations.number(row["generation"])))


def _next_name(location: Location, past: list[Event], at: datetime) -> str:
    found = [path.stem for path in _files(location)]
    last = max((generations.number(n) for n in [*found, *(e.generation for e in past)]), default=0)
    return f"hedgehouse_{at.astimezone(UTC):%Y%m%dT%H%M%SZ}_{last + 1:06d}"


def _earlier(location: Location, past: list[Event], to: str | None) -> Event:
    present = {e.generation: e for e in past if _path(location, e.generation).exists()}
    name = pointed(location)
    if to is not None:
        wanted = to.removesuffix(".duckdb")
        if wanted not in present:
            raise PublishError(f"{location.published}: holds no generation {to!r}")
        return present[wanted]
    before = [e for e in present.values() if name and e.number < generations.number(name)]
    if not before:
        raise PublishError(
            f"{location.published}: holds no generation before {name or 'the first'}"
        )
    return max(before, key=lambda e: e.number)


def _retire(location: Location, past: list[Event], keep: int, at: datetime) -> None:
    """Remove all but the newest `keep`, the current one, and those that moved in the last hour."""
    last_moved = {e.generation: e.published_at for e in past}
    newest = sorted(last_moved, key=generations.number, reverse=True)
    for name in newest[max(keep, 1) :]:
        if name != pointed(location) and at - last_moved[name] > GRACE:
            _path(location, name).unlink(missing_ok=True)
    exporting.keep_only(location, (path.stem for path in _files(location)))


def _files(location: Location) -> list[Path]:
    return sorted(location.published.glob("hedgehouse_*.duckdb"))


def _path(location: Location, name: str) -> Path:
    return location.published / f"{name}.duckdb"
