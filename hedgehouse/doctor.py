"""What is wrong with this machine or this data folder, and what is there to do?"""

import os
import platform
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import file_digest
from importlib.metadata import version
from json import loads
from pathlib import Path
from typing import Literal

from warehouse import generations, lake, render
from warehouse.location import Location, write_durably
from warehouse.manifest import ManifestError, manifests
from warehouse.publish import pointed

State = Literal["ok", "warn", "fail"]
PACKAGES = ("hedgehouse", "duckdb", "polars", "pyarrow", "dbt-core", "dbt-duckdb", "numpy", "numba")
SMALLEST_DISK = 2 * 10**9
SEEDS = render.PROJECT / "dbt" / "seeds"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. A failure needs a hand; a warning does not stop anything."""

    subject: str
    state: State
    text: str


def examine(location: Location) -> list[Finding]:
    """Look at everything; nothing is changed but a probe file, which is removed."""
    return [
        _versions(),
        _disk(location),
        _writing(location),
        *_locks(location),
        _pointer(location),
        _parts(location),
        _orphans(location),
        _issued(location),
        _seeds(),
    ]


def _versions() -> Finding:
    found = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    return Finding("versions", "ok", f"Python {platform.python_version()}, {found}")


def _disk(location: Location) -> Finding:
    place = _nearest(location.root)
    free = shutil.disk_usage(place).free
    state: State = "ok" if free >= SMALLEST_DISK else "fail"
    return Finding("disk", state, f"{free / 1e9:.1f} GB free at {place}")


def _writing(location: Location) -> Finding:
    if not location.root.is_dir():
        return Finding("writing", "ok", f"{location.root} is not there yet")
    probe = location.root / ".doctor"
    try:
        write_durably(probe, b"probe")
        probe.unlink()
    except OSError as error:
        return Finding("writing", "fail", f"{location.root}: {error.strerror}")
    return Finding("writing", "ok", f"{location.root} takes files and syncs them")


def _locks(location: Location) -> Iterator[Finding]:
    places = (location.work / ".lock", location.published / ".lock", location.warehouse)
    held = [(path, generations.holder(path)) for path in places]
    for path, who in held:
        if who is not None:
            yield Finding("locks", "warn", f"{path} is held by {who}")
    if not any(who for _, who in held):
        yield Finding("locks", "ok", "nobody builds or publishes")


def _pointer(location: Location) -> Finding:
    name = pointed(location)
    if name is None:
        return Finding("pointer", "ok", "nothing is published yet")
    target = location.pointer.resolve()
    if not target.exists():
        return Finding("pointer", "fail", f"{location.pointer}: leads to {target}, which is gone")
    described = location.published / "current.json"
    told = loads(described.read_text()) if described.exists() else {}
    if told.get("path") != target.name:
        return Finding("pointer", "warn", f"{described}: is behind; the next publish renews it")
    with target.open("rb") as file:
        digest = file_digest(file, "sha256").hexdigest()
    if digest != told["sha256"]:
        remedy = "run `hedgehouse rollback`, then `hedgehouse publish`"
        return Finding("pointer", "fail", f"{target}: its bytes have changed; {remedy}")
    return Finding("pointer", "ok", f"{name}, bytes as they were published")


def _parts(location: Location) -> Finding:
    try:
        held = manifests(location)
    except ManifestError as error:
        return Finding("parts", "fail", str(error))
    named = [
        (location.lake / manifest.partition.name / part.name, part.bytes)
        for manifest in held
        for part in manifest.parts
    ]
    wrong = [path for path, size in named if not path.exists() or path.stat().st_size != size]
    if wrong:
        text = f"{len(wrong)} of {len(named)} are gone or cut short, first {wrong[0]}"
        return Finding("parts", "fail", f"{text}; import their files again")
    return Finding("parts", "ok", f"all {len(named)} that the manifests name are there")


def _orphans(location: Location) -> Finding:
    found = [
        *location.published.glob(".hedgehouse_*"),
        *location.issued.glob(".*.tmp"),
        *_unreferenced(location),
    ]
    if found:
        text = f"{len(found)} files that nothing names, left by a kill and harmless"
        return Finding("orphans", "warn", f"{text}: {', '.join(map(str, found[:5]))}")
    return Finding("orphans", "ok", "no file is left over")


def _unreferenced(location: Location) -> list[Path]:
    try:
        return lake.orphans(location)
    except ManifestError:
        return []  # told with the parts


def _issued(location: Location) -> Finding:
    published = {e.generation for e in generations.events(location) if e.event == "published"}
    there = {path.stem for path in location.issued.glob("*.parquet")}
    if missing := sorted(published - there):
        text = f"the log of {missing[0]} is gone; restore {location.issued} from a backup"
        return Finding("issued", "fail", text)
    return Finding("issued", "ok", f"the logs of {len(published)} generations are there")


def _seeds() -> Finding:
    found = sorted(SEEDS.glob("*.csv"))
    empty = [path.name for path in found if path.stat().st_size == 0]
    if not found or empty:
        return Finding("seeds", "fail", f"{SEEDS}: {', '.join(empty) or 'no seed'} is missing")
    return Finding("seeds", "ok", f"{len(found)} in {SEEDS}")


def _nearest(path: Path) -> Path:
    """The folder itself, or the nearest one above it that exists."""
    path = Path(os.path.abspath(path))  # noqa: PTH100  resolve() would follow a dangling link
    while not path.exists():
        path = path.parent
    return path
