"""Which files are imported, in which order, and what becomes of the ones that cannot be?

Bad files do not stop the others: each is refused whole, named, and told by the exit code.
"""

import errno
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TypeVar

from expectations.gate import GateRefused
from pipelines import archives, feeds, intake, statements
from pipelines.archives import opening
from pipelines.archives.base import Job, SourceError, SourceUnavailable, Statement
from pipelines.feeds import FileReport, Work
from pipelines.observing import Register, listings
from warehouse.location import Clock, Location, World, WrongWorld, is_abandoned, process_name
from warehouse.manifest import ManifestError, PartitionError
from warehouse.raw import record_archive

Progress = Callable[[str, int, int], None]

OK, CHECKS_FAILED, USAGE, BAD_DATA, INPUT_OUTPUT = 0, 1, 2, 65, 74
DOCUMENT_SUFFIXES = (".md", ".txt", ".checksum")
DOCUMENT_NAMES = ("readme", "license", "licence", "notice")
REAL = World("real")
T = TypeVar("T")
SCRATCH = "import"
DISK_TROUBLE = (errno.ENOSPC, errno.EDQUOT, errno.EROFS)


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What every file brought, what went wrong in one line each, and the exit code."""

    files: tuple[FileReport, ...]
    errors: tuple[str, ...]
    exit_code: int


def import_paths(
    location: Location,
    paths: Sequence[Path],
    *,
    clock: Clock,
    progress: Progress | None = None,
    world: World = REAL,
) -> ImportReport:
    """Import files and folders, folders to all depths; market data before portfolios.

    `progress` is told a file's name, the bytes of it that were read, and its size. Errors: a path
    that does not exist stops all (2); failed blocking checks (1), bad data (65) and trouble with
    disk or permission (74) are told in `errors` after the rest was imported, and the highest is
    the exit code.
    """
    if absent := [path for path in paths if not path.exists()]:
        return ImportReport((), tuple(f"{p}: no such file or folder" for p in absent), USAGE)
    run = _Run(location, clock, progress, world, Register(location))
    jobs = [
        job
        for path in _files(paths)
        for job in run.guarded(path, partial(archives.recognise, path)) or ()
    ]
    try:
        if location.world() and not all(isinstance(job, Statement) for job in jobs):
            location.claim(world)
    except WrongWorld as error:
        return ImportReport((), (str(error),), BAD_DATA)
    if not jobs and not run.errors:
        run.errors.append(f"{', '.join(map(str, paths))}: nothing to import")
        run.code = BAD_DATA
    if jobs:
        run.guarded(location.root, partial(run.bring_all, jobs))
    return ImportReport(tuple(run.files), tuple(run.errors), run.code)


@dataclass(slots=True)
class _Run:
    """One command's import as it goes: what it brought and what failed."""

    location: Location
    clock: Clock
    progress: Progress | None
    world: World
    register: Register
    files: list[FileReport] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    code: int = OK
    is_disk_in_trouble: bool = False

    def guarded(self, path: Path, act: Callable[[], T]) -> T | None:
        """The result, or None when the file failed, which is told in one line."""
        try:
            return act()
        except SourceUnavailable as error:
            self._failed(str(error), INPUT_OUTPUT)
        except GateRefused as error:
            self._failed(f"{path}: {error}", CHECKS_FAILED)
        except (SourceError, ManifestError, PartitionError, WrongWorld) as error:
            self._failed(str(error), BAD_DATA)
        except OSError as error:
            self.is_disk_in_trouble = error.errno in DISK_TROUBLE
            self._failed(f"{path}: {error}", INPUT_OUTPUT)
        return None

    def bring_all(self, jobs: Sequence[Job]) -> None:
        """Import the files, portfolios last, until the disk can take no more."""
        with _scratch(self.location) as folder:
            for job in sorted(jobs, key=lambda job: isinstance(job, Statement)):
                if not self.is_disk_in_trouble:
                    self.files.extend(
                        self.guarded(job.path, partial(self.bring, job, folder)) or ()
                    )

    def bring(self, job: Job, folder: Path) -> list[FileReport]:
        """Import one file."""
        at = self.clock()
        if isinstance(job, Statement):
            known = listings(self.location)
            world = self.location.world() or self.world  # a portfolio may be held in either
            return [statements.bring(self.location, job, known, world, at)]
        found = opening.digest(job.path)
        with TemporaryDirectory(dir=folder) as spool:
            intakes, instruments = intake.read(job, Path(spool), self._told(job.path))
            self.location.claim(self.world)
            record_archive(self.location, job.path, found.sha256, at)
            work = Work(self.location, job, found.sha256, at, self.register)
            reports = [feeds.land(work, one, instruments) for one in intakes.values()]
        if self.progress:
            size = job.path.stat().st_size
            self.progress(job.path.name, size, size)
        if job.path.suffix == ".zip" and not found.is_confirmed:
            reports[0] = replace(
                reports[0], notices=("no CHECKSUM file beside it", *reports[0].notices)
            )
        return reports

    def _told(self, path: Path) -> Callable[[int], None] | None:
        if self.progress is None:
            return None
        tell, size = self.progress, path.stat().st_size
        return lambda done: tell(path.name, min(done, size), size)

    def _failed(self, message: str, code: int) -> None:
        self.errors.append(message)
        self.code = max(self.code, code)


def _files(paths: Sequence[Path]) -> list[Path]:
    """The files named, and those in the folders named, each once; documentation is passed over."""
    found: dict[Path, Path] = {}
    for path in paths:
        inside = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in inside:
            if not _is_document(file):
                found.setdefault(file.resolve(), file)
    return list(found.values())


def _is_document(path: Path) -> bool:
    name = path.name.lower()
    return name.startswith((".", *DOCUMENT_NAMES)) or name.endswith(DOCUMENT_SUFFIXES)


@contextmanager
def _scratch(location: Location) -> Iterator[Path]:
    """A folder for spools, removed at the end; those of killed imports are removed at the start."""
    location.work.mkdir(parents=True, exist_ok=True)
    for left in location.work.glob(f"{SCRATCH}-*"):
        if is_abandoned(left.name.removeprefix(f"{SCRATCH}-")):
            shutil.rmtree(left, ignore_errors=True)
    with TemporaryDirectory(prefix=f"{SCRATCH}-{process_name()}-", dir=location.work) as folder:
        yield Path(folder)
