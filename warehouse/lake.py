"""How are rows committed to a partition, and which of them count?

A part is written beside its partition, fsynced and renamed; then the manifest is replaced, and
that replacement is the commit. Writers of one partition take turns under a lock; readers take no
lock and never list folders: what the manifest names, and nothing else, is the data.
"""

import fcntl
import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Literal

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from warehouse.contract import LAKE_TABLES, VERSION, Table
from warehouse.location import Location, is_abandoned, process_name, sync_folder
from warehouse.manifest import (
    Check,
    Gap,
    Manifest,
    Part,
    Partition,
    PartitionError,
    Unit,
    manifests,
    of_day,
    partitions,
    read_manifest,
    restamped,
    revised,
)

__all__ = [
    "Check",
    "Gap",
    "Manifest",
    "Outcome",
    "Part",
    "Partition",
    "PartitionError",
    "StagedPart",
    "Unit",
    "commit",
    "compact",
    "manifests",
    "orphans",
    "partitions",
    "parts",
    "read_manifest",
    "restate",
    "rows_of",
    "scan",
    "stage",
]

# The bytes of a part follow from its rows and these three; changing one makes every part new.
ROW_GROUP_ROWS = 131_072
ZSTD_LEVEL = 3
PARQUET_VERSION: Literal["2.6"] = "2.6"


@dataclass(frozen=True, slots=True)
class StagedPart:
    """A finished part that no manifest names yet."""

    path: Path
    sha256: str
    rows: int
    bytes: int
    first_event_at: datetime | None
    last_event_at: datetime | None
    units: tuple[str, ...]

    @property
    def name(self) -> str:
        return f"{self.sha256[:16]}.parquet"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a commit did: units refused for a better source, units that became revisions."""

    state: str
    refused: tuple[str, ...] = ()
    revised: tuple[str, ...] = ()


class Stage:
    """A part being written. Rows are held for one row group at most."""

    def __init__(self, table: Table, path: Path) -> None:
        self.path = path
        self._table = table
        self._schema = _arrow_schema(table)
        self._writer = pq.ParquetWriter(
            path,
            self._schema,
            version=PARQUET_VERSION,
            compression="zstd",
            compression_level=ZSTD_LEVEL,
            use_dictionary=_repetitive(table),  # type: ignore[arg-type]  # names are taken too
            write_page_index=False,
        )
        self._held: list[pl.DataFrame] = []
        self._held_rows = 0
        self._rows = 0
        self._range: tuple[datetime | None, datetime | None] = (None, None)

    def write(self, frame: pl.DataFrame) -> None:
        """Append conformed rows; over all calls they stand in the table's `sort` order."""
        if frame.is_empty():
            return
        self._held.append(frame)
        self._held_rows += frame.height
        while self._held_rows >= ROW_GROUP_ROWS:
            whole = pl.concat(self._held)
            self._write_group(whole.head(ROW_GROUP_ROWS))
            rest = whole.slice(ROW_GROUP_ROWS)
            self._held, self._held_rows = [rest], rest.height

    def finish(self, units: Sequence[str]) -> StagedPart:
        """Close and fsync the part, which holds exactly the rows of `units`."""
        if self._held_rows:
            self._write_group(pl.concat(self._held))
        self._writer.close()
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        first, last = self._range
        size = self.path.stat().st_size
        return StagedPart(self.path, digest, self._rows, size, first, last, tuple(units))

    def close(self) -> None:
        """Drop what was written unless a commit has taken it away."""
        if self._writer.is_open:
            self._writer.close()
        self.path.unlink(missing_ok=True)

    def _write_group(self, frame: pl.DataFrame) -> None:
        group = frame.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(self._schema)
        self._writer.write_table(_unchunked(group), row_group_size=ROW_GROUP_ROWS)
        times = frame[self._table.time]
        low, high = times.min(), times.max()
        first, last = self._range
        self._range = (
            low if first is None else min(first, low),  # type: ignore[type-var,assignment]
            high if last is None else max(last, high),  # type: ignore[type-var]
        )
        self._rows += frame.height


@contextmanager
def stage(location: Location, partition: Partition) -> Iterator[Stage]:
    """Open a new part of `partition`; what is not committed by the end of the block is removed."""
    folder = partition.folder(location)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f".{process_name()}-{os.urandom(4).hex()}.tmp"
    part = Stage(LAKE_TABLES[partition.table], path)
    try:
        yield part
    finally:
        part.close()


def commit(
    location: Location,
    partition: Partition,
    *,
    units: Sequence[Unit],
    parts: Sequence[StagedPart],
    checks: Sequence[Check],
    at: datetime,
) -> Outcome:
    """Replace `units` by what `parts` hold; all other units of the partition stay as they are.

    A unit without rows needs no part: a day proven empty, or a gap. A unit that is held from a
    better source is refused and its new rows are dropped, and so is a failure where something is
    held. A day takes the place of its hours and an hour that of the whole day. Committing what is
    held already changes nothing. Raises `PartitionError` where units and parts disagree.
    """
    bare = _check_agreement(partition, units, parts)
    folder = partition.folder(location)
    with _locked(location, partition), ExitStack() as stages:
        held = read_manifest(location, partition)
        _remove_abandoned(folder)
        rivals = _rivals(held, units)
        refused = {u.name for u in units if _is_better_held(held, u, rivals[u.name])}
        # Parts are compared without their refused units: so they were kept when first committed.
        wanted = [
            part
            for staged in parts
            if (part := _without(location, partition, staged, refused, stages)).units
        ]
        current = {p.sha256 for p in held.current_parts()}
        fresh = [p for p in wanted if p.sha256 not in current]
        replaced = {name for p in fresh for name in p.units}
        replaced |= {u.name for u in bare if u.name not in refused and _is_news(held, u)}
        if not replaced:
            return Outcome("unchanged", tuple(sorted(refused)))
        taken = [u for u in units if u.name in replaced]
        displaced = {rival.name for u in taken for rival in rivals[u.name]}
        replaced |= displaced
        kept, removed, remainders = _make_room(location, held, replaced, at, stages)
        added = [_adopt(folder, part, at) for part in (*remainders, *fresh)]
        manifest = replace(
            revised(held, taken, at, displaced),
            parts=(*kept, *removed, *added),
            checks=_renewed_checks(held.checks, checks, at),
        )
        sync_folder(folder)
        manifest.write(location)
    renewed = sorted(replaced & {u.name for u in held.units})
    return Outcome("committed", tuple(sorted(refused)), tuple(renewed))


def compact(location: Location, partition: Partition, at: datetime) -> int:
    """Merge the parts of snapshots into one; return how many there were.

    Readers notice nothing: the old parts stay for those who read as of a time before, and the
    units are what they were.
    """
    folder = partition.folder(location)
    table = LAKE_TABLES[partition.table]
    with _locked(location, partition), ExitStack() as stages:
        held = read_manifest(location, partition)
        small = [p for p in held.current_parts() if p.units and all("@" in u for u in p.units)]
        if len(small) < 2:
            return 0
        part = stages.enter_context(stage(location, partition))
        rows = read(table, [folder / p.name for p in small]).sort(table.sort)
        for batch in rows.collect_batches(chunk_size=ROW_GROUP_ROWS, maintain_order=True):
            part.write(batch)
        staged = part.finish(sorted(name for p in small for name in p.units))
        added = _adopt(folder, staged, at)
        # By entry, not by name: rows that came back have the name of a part removed long ago.
        parts = (replace(p, removed_at=at) if p in small else p for p in held.parts)
        sync_folder(folder)
        replace(held, parts=(*parts, added)).write(location)
    return len(small)


def restate(
    location: Location,
    partition: Partition,
    changes: Mapping[Unit, Unit],
    at: datetime | None = None,
) -> None:
    """Put each judged unit's new form in its place, as when a neighbouring day proves it whole.

    With `at` the former is kept, for those who read as of a time before. A unit that is no longer
    held exactly as it was judged is passed over: judge it again.
    """
    with _locked(location, partition):
        held = read_manifest(location, partition)
        renewed = [changes[unit] for unit in held.units if unit in changes]
        if renewed:
            manifest = revised(held, renewed, at) if at else restamped(held, renewed)
            manifest.write(location)


def parts(location: Location, table: str, committed_by: datetime | None = None) -> list[str]:
    """Names, relative to the lake, of the parts that count at `committed_by` (default now)."""
    return [
        f"{manifest.partition.name}/{part.name}"
        for manifest in manifests(location, table)
        for part in manifest.current_parts(committed_by)
        if part.rows
    ]


def scan(location: Location, table: str, committed_by: datetime | None = None) -> pl.LazyFrame:
    """The rows that count at `committed_by` (default now), lazily."""
    names = parts(location, table, committed_by)
    if not names:
        return pl.LazyFrame(schema=LAKE_TABLES[table].schema)
    return read(LAKE_TABLES[table], [location.lake / name for name in names])


def read(table: Table, paths: Sequence[Path]) -> pl.LazyFrame:
    """The rows of parts, lazily; a column that came after a part was written is NULL in it."""
    return pl.scan_parquet(
        list(paths), schema=dict(table.schema), missing_columns="insert", glob=False
    )


def orphans(location: Location) -> list[Path]:
    """Files below the lake that no manifest names: left by a kill, harmless, and removable."""
    named = {
        location.lake / manifest.partition.name / part.name
        for manifest in manifests(location)
        for part in manifest.parts
    }
    found = [*location.lake.glob("*/*/*/*.parquet"), *location.lake.glob("*/*/*/.*.tmp")]
    return sorted(path for path in found if path not in named)


def _check_agreement(
    partition: Partition, units: Sequence[Unit], parts: Sequence[StagedPart]
) -> list[Unit]:
    """Raise where units and parts disagree; return the units that no part holds nor need hold."""
    held = sorted(name for part in parts for name in part.units)
    bare = [u for u in units if not u.rows and u.name not in held]
    declared = sorted(u.name for u in units if u not in bare)
    if declared != held or len({u.name for u in units}) != len(units):
        raise PartitionError(f"{partition.name}: units {declared} but parts hold {held}")
    if sum(u.rows for u in units) != sum(p.rows for p in parts):
        raise PartitionError(
            f"{partition.name}: units declare {sum(u.rows for u in units)} rows, "
            f"parts hold {sum(p.rows for p in parts)}"
        )
    return bare


def _rivals(held: Manifest, units: Sequence[Unit]) -> dict[str, list[Unit]]:
    """Of each unit, those held by another name that are its day, or hours of it."""
    by_day = defaultdict[str, list[Unit]](list)
    for own in held.units:
        by_day[of_day(own.name)].append(own)
    return {
        unit.name: [
            own
            for own in by_day[of_day(unit.name)]
            if own.name != unit.name and of_day(unit.name) in (own.name, unit.name)
        ]
        for unit in units
    }


def _is_better_held(held: Manifest, unit: Unit, rivals: Sequence[Unit]) -> bool:
    """Whether what is held is of a better source, or `unit` is a failure that brings no more."""
    if any(rival.rank > unit.rank or not unit.rows for rival in rivals):
        return True
    present = held.unit(unit.name)
    if present is None or present.rank != unit.rank:
        return present is not None and present.rank > unit.rank
    if unit.status == "gap" and (present.status != "gap" or present.rows > unit.rows):
        return True
    return unit.status == "unprovable" and present.status == "complete" and present.rows > unit.rows


def _is_news(held: Manifest, unit: Unit) -> bool:
    """Whether a unit without rows says what is not held."""
    present = held.unit(unit.name)
    return present is None or replace(unit, raw=present.raw) != replace(present, committed_at=None)


def _without(
    location: Location,
    partition: Partition,
    staged: StagedPart,
    refused: set[str],
    stages: ExitStack,
) -> StagedPart:
    """The staged part, rewritten without its refused units where it brings some."""
    wanted = [name for name in staged.units if name not in refused]
    if not wanted or len(wanted) == len(staged.units):
        return replace(staged, units=tuple(wanted))
    return _rewrite(location, partition, staged.path, wanted, stages)


def _make_room(
    location: Location, held: Manifest, replaced: set[str], at: datetime, stages: ExitStack
) -> tuple[list[Part], list[Part], list[StagedPart]]:
    """Split the held parts into kept and removed; units that share a removed part are rewritten."""
    kept, removed, remainders = [], [], []
    for part in held.parts:
        if part.removed_at is not None or not replaced.intersection(part.units):
            kept.append(part)
            continue
        removed.append(replace(part, removed_at=at))
        staying = [name for name in part.units if name not in replaced]
        if staying:
            path = held.partition.folder(location) / part.name
            rest = _rewrite(location, held.partition, path, staying, stages)
            declared = sum(u.rows for u in held.units if u.name in staying)
            if rest.rows != declared:
                raise PartitionError(
                    f"{held.partition.name}: {part.name} has {rest.rows} rows of units that "
                    f"declare {declared}; {sorted(replaced)} cannot be taken out of it"
                )
            remainders.append(rest)
    return kept, removed, remainders


def _rewrite(
    location: Location, partition: Partition, path: Path, units: Sequence[str], stages: ExitStack
) -> StagedPart:
    """A part of the rows of `units` alone, which `stages` removes unless it is adopted."""
    table = LAKE_TABLES[partition.table]
    rows = read(table, [path]).filter(pl.any_horizontal(rows_of(table, u) for u in units))
    part = stages.enter_context(stage(location, partition))
    for batch in rows.collect_batches(chunk_size=ROW_GROUP_ROWS, maintain_order=True):
        part.write(batch)
    return part.finish(units)


def _adopt(folder: Path, staged: StagedPart, at: datetime) -> Part:
    """Move a staged part into place."""
    staged.path.chmod(0o444)
    staged.path.replace(folder / staged.name)
    return _part(staged, at)


def rows_of(table: Table, unit: str) -> pl.Expr:
    """Which rows of its part are a unit's.

    `<owner>@<instant>` is a snapshot's name, others are `<instrument>`, `<instrument>/ticker` and,
    of an hour, `<instrument>/04h`.
    """
    owner, _, instant = unit.partition("@")
    if instant:
        column = "portfolio_id" if "portfolio_id" in table.schema.names() else "underlying"
        stamp = pl.lit(datetime.fromisoformat(instant)).cast(table.schema[table.time])
        return (pl.col(column) == owner) & (pl.col(table.time) == stamp)
    return pl.col("instrument_id") == of_day(unit).removesuffix("/ticker")


def _part(staged: StagedPart, at: datetime) -> Part:
    return Part(
        staged.name,
        staged.sha256,
        staged.rows,
        staged.bytes,
        staged.first_event_at,
        staged.last_event_at,
        staged.units,
        at,
        contract_version=VERSION,
    )


def _renewed_checks(
    held: Sequence[Check], fresh: Sequence[Check], at: datetime
) -> tuple[Check, ...]:
    """The last results per source: a file that is imported again speaks anew."""
    sources = {check.source_path for check in fresh}
    stamped = (replace(check, checked_at=check.checked_at or at) for check in fresh)
    return (*(check for check in held if check.source_path not in sources), *stamped)


@contextmanager
def _locked(location: Location, partition: Partition) -> Iterator[None]:
    folder = partition.folder(location)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_abandoned(folder: Path) -> None:
    """Remove the temporary files of processes of this machine that no longer run."""
    for path in folder.glob(".*.tmp"):
        if is_abandoned(path.name[1:]):
            path.unlink(missing_ok=True)


def _repetitive(table: Table) -> list[str]:
    """Texts that repeat. A dictionary of numbers or ids costs twice the time and more room."""
    return [c.name for c in table.columns if c.dtype == pl.String and c.name != "trade_id"]


@cache
def _arrow_schema(table: Table) -> pa.Schema:
    return pl.DataFrame(schema=table.schema).to_arrow(compat_level=pl.CompatLevel.oldest()).schema


def _unchunked(table: pa.Table) -> pa.Table:
    """Chunk borders show in the file's bytes, and they follow how rows arrived."""
    return table.combine_chunks()
