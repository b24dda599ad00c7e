"""Which builds and generations are there, when did the pointer move, and who holds a lock?

The log is `published/generations.jsonl`: one line per move of the pointer, appended and fsynced,
never rewritten. A line that a kill cut short was never acted upon and is ignored.
"""

import fcntl
import json
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl

from warehouse.contract import OPS_GENERATIONS
from warehouse.location import Location, sync_folder, write_durably

NAME = re.compile(r"hedgehouse_\d{8}T\d{6}Z_(\d{6,})")
_INSTANTS = ("published_at", "as_of_at", "committed_by_at", "data_through_at")


class Locked(OSError):
    """Another process is at it; the message names it."""


class NoBuild(ValueError):
    """There is no finished build to publish."""


@dataclass(frozen=True, slots=True)
class Build:
    """What the work database rests on: the last build that finished."""

    as_of_at: datetime
    committed_by_at: datetime


@dataclass(frozen=True, slots=True)
class Event:
    """A move of the pointer: one row of ops.generations."""

    generation: str
    event: str
    published_at: datetime
    as_of_at: datetime
    committed_by_at: datetime
    data_through_at: datetime | None
    world_origin: str
    world_mode: str
    contract_version: int

    @property
    def number(self) -> int:
        return number(self.generation)


def number(name: str) -> int:
    """The number that ends the name of a generation; 0 for any other name."""
    found = NAME.fullmatch(name)
    return int(found[1]) if found else 0


def as_text(event: Event) -> dict[str, Any]:
    """The event as JSON values."""
    fields = asdict(event)
    return {k: v.isoformat() if isinstance(v, datetime) else v for k, v in fields.items()}


def events(location: Location) -> list[Event]:
    """Every move of the pointer, oldest first."""
    path = _log(location)
    if not path.exists():
        return []
    return [_event(json.loads(line)) for line in path.read_text().split("\n")[:-1]]


def frame(past: Sequence[Event]) -> pl.DataFrame:
    """Events as rows of ops.generations."""
    return pl.DataFrame([asdict(e) for e in past], schema=OPS_GENERATIONS.schema)


def append(location: Location, event: Event) -> None:
    """Add one event durably."""
    path = _log(location)
    with path.open("a+b") as file:
        # What a kill left of a line is cut off, so that this event stands on a line of its own.
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        file.write(json.dumps(as_text(event)).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    sync_folder(path.parent)


def record_build(location: Location, build: Build) -> None:
    """Say that the work database is whole, and as of when. Called when a build has succeeded."""
    text = {k: v.isoformat() for k, v in asdict(build).items()}
    write_durably(_build(location), json.dumps(text, indent=1).encode())


def forget_build(location: Location) -> None:
    """Say that the work database is not whole. Called before a build touches it."""
    _build(location).unlink(missing_ok=True)


def read_build(location: Location) -> Build:
    """The last build, or `NoBuild` with the command that makes one."""
    remedy = f"run `hedgehouse build --data {location.root}`"
    if not location.warehouse.exists():
        raise NoBuild(f"{location.warehouse}: there is no work database; {remedy}")
    if not _build(location).exists():
        raise NoBuild(f"{location.warehouse}: its last build did not finish; {remedy}")
    found = json.loads(_build(location).read_text())
    return Build(**{k: datetime.fromisoformat(v) for k, v in found.items()})


@contextmanager
def publishing(location: Location) -> Iterator[None]:
    """Hold the right to move the pointer, or raise `Locked` naming the process that holds it."""
    location.published.mkdir(parents=True, exist_ok=True)
    path = location.published / ".lock"
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Locked(f"{path}: held by {holder(path) or 'another process'}") from None
        yield


def holder(path: Path) -> str | None:
    """The process that holds a lock on `path`, be it flock or fcntl; None when nobody does.

    The kernel's own list is read: trying the lock would get in the way of a process that wants it.
    """
    locks = Path("/proc/locks")
    if not path.exists() or not locks.exists():
        return None
    inode = str(path.stat().st_ino)
    for line in locks.read_text().splitlines():
        fields = line.split()
        if "->" not in fields and inode == fields[5].rsplit(":", 1)[1]:
            return f"process {fields[4]}"
    return None


def _event(fields: dict[str, Any]) -> Event:
    times = {k: datetime.fromisoformat(fields[k]) for k in _INSTANTS if fields[k] is not None}
    return Event(**{**fields, **times})


def _log(location: Location) -> Path:
    return location.published / "generations.jsonl"


def _build(location: Location) -> Path:
    return location.work / "build.json"
