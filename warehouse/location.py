"""Where the data folder is, how it is laid out, and which world it holds."""

import fcntl
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from threading import get_ident
from typing import Literal

Origin = Literal["real", "simulator"]
Clock = Callable[[], datetime]


class WrongWorld(ValueError):
    """The folder holds data of another origin."""


@dataclass(frozen=True, slots=True)
class World:
    """What a data folder holds. Real and simulated data never share a folder."""

    origin: Origin
    mode: Literal["archive", "live"] = "archive"
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class Location:
    """A data folder. Nothing outside this class spells a path below it."""

    root: Path

    @property
    def lake(self) -> Path:
        return self.root / "lake"

    @property
    def raw(self) -> Path:
        return self.root / "raw"

    @property
    def quarantine(self) -> Path:
        return self.root / "quarantine"

    @property
    def work(self) -> Path:
        return self.root / "work"

    @property
    def issued(self) -> Path:
        return self.root / "issued"

    @property
    def published(self) -> Path:
        return self.root / "published"

    @property
    def truth(self) -> Path:
        return self.root / "truth"

    @property
    def market(self) -> Path:
        """Archive files that the embedded market wrote; only in simulated worlds."""
        return self.root / "market"

    @property
    def pointer(self) -> Path:
        return self.published / "current.duckdb"

    @property
    def warehouse(self) -> Path:
        return self.work / "warehouse.duckdb"

    def as_of_warehouse(self, as_of: datetime) -> Path:
        return self.work / f"as_of_{as_of:%Y%m%dT%H%M%S%fZ}.duckdb"

    def world(self) -> World | None:
        """The world the folder holds, or None while it is empty."""
        path = self.root / "world.json"
        if not path.exists():
            return None
        try:
            return World(**json.loads(path.read_text()))
        except (ValueError, TypeError) as error:
            raise WrongWorld(f"{path}: cannot be read: {error}") from error

    def claim(self, wanted: World) -> World:
        """Make the folder hold `wanted`, or raise `WrongWorld` naming folder and both origins."""
        self.root.mkdir(parents=True, exist_ok=True)
        folder = os.open(self.root, os.O_RDONLY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # of two first writers the second sees the first
            held = self.world()
            if held is None:
                self._note(wanted)
                return wanted
            if held == World("real") and wanted.mode == "live":  # from now on it goes on
                self._note(wanted)
                held = wanted
        finally:
            os.close(folder)
        if held.origin != wanted.origin:
            raise WrongWorld(
                f"{self.root}: holds {held.origin} data and cannot take {wanted.origin} data; "
                "name another folder with --data"
            )
        if None not in (held.seed, wanted.seed) and held.seed != wanted.seed:
            raise WrongWorld(
                f"{self.root}: holds the market of seed {held.seed}, not of {wanted.seed}; "
                "name another folder with --data"
            )
        return held

    def _note(self, world: World) -> None:
        text = {"origin": world.origin, "mode": world.mode, "seed": world.seed}
        write_durably(self.root / "world.json", json.dumps(text, indent=1).encode())


def default_root() -> Path:
    """`HEDGEHOUSE_DATA`, else warehouse/data below the project."""
    named = os.environ.get("HEDGEHOUSE_DATA")
    return Path(named) if named else Path(__file__).parent / "data"


def process_name() -> str:
    """`<machine>-<pid>`: whose a temporary file is, in a folder that several machines share."""
    return f"{_machine()}-{os.getpid()}"


def is_abandoned(owner: str) -> bool:
    """Whether `owner`, which begins with a `process_name`, was of this machine and runs no more.

    What another machine or container left is never called abandoned: its processes are not seen.
    """
    machine, _, rest = owner.partition("-")
    pid = rest.split("-")[0]
    return machine == _machine() and pid.isdigit() and not Path(f"/proc/{pid}").exists()


@cache
def _machine() -> str:
    """This boot and this container: a process id means nothing outside of them."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    processes = Path("/proc/self/ns/pid").stat().st_ino
    return hashlib.sha256(f"{boot} {processes}".encode()).hexdigest()[:12]


def write_durably(path: Path, content: bytes) -> None:
    """Replace `path` so that a reader, or a power loss, finds the old bytes or the new."""
    temporary = path.with_name(f".{process_name()}-{get_ident()}-{path.name}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable: a rename alone is atomic, not durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
