"""How are the lake and the operational records seen from a DuckDB connection?

`mount` gives a connection the views `lake.<table>` over exactly the committed parts and the tables
`ops_source.<table>`. The views name parts relative to the lake, whose root comes from the variable
`lake_root`, so that they travel with a published file; every instant is TIMESTAMP in UTC.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl

from warehouse.contract import INSTANT, LAKE, OPS_TABLES, Column, Table
from warehouse.generations import events, frame
from warehouse.holes import holes
from warehouse.instants import instant, naive
from warehouse.location import Location
from warehouse.manifest import Manifest, Partition, manifests, of_day

SQL_TYPES = {
    pl.String: "VARCHAR",
    pl.Float64: "DOUBLE",
    pl.Int64: "BIGINT",
    pl.Boolean: "BOOLEAN",
    pl.Datetime: "TIMESTAMP",
}

# A filter on an instant is applied to rows, one on the file's name to files: other days' files are
# not opened.
_DAY = "cast(regexp_extract(filename, 'day=([0-9-]+)', 1) as timestamp) as day_at"
_DAY_DOC = "Start of the UTC day of the partition; a filter on it reads that day's files alone."


def mount(connection: duckdb.DuckDBPyConnection, *, root: str, committed_by: str) -> None:
    """Create the views of the lake and the tables of ops_source as they count at `committed_by`.

    `root` is the data folder; `committed_by` an ISO instant, or empty for now. Existing views and
    tables of these names are replaced.
    """
    location = Location(Path(root).resolve())
    by = instant(committed_by) if committed_by else None
    held = manifests(location)
    connection.execute("create schema if not exists lake")
    for table in LAKE:
        for statement in view_statements(table, part_names(held, table, by), location.lake):
            connection.execute(statement)
    for name, rows in ops_frames(location, held, by).items():
        create_table(connection, "ops_source", OPS_TABLES[name], rows)


def part_names(
    held: Iterable[Manifest], table: Table, by: datetime | None
) -> dict[frozenset[str], list[str]]:
    """Parts that count at `by`, relative to the lake, by the columns that came after them."""
    found: dict[frozenset[str], list[str]] = {}
    for manifest in held:
        if manifest.partition.table == table.name:
            for part in manifest.current_parts(by):
                if part.rows:
                    later = {c.name for c in table.columns if c.since > part.contract_version}
                    name = f"{manifest.partition.name}/{part.name}"
                    found.setdefault(frozenset(later), []).append(name)
    return found


def view_statements(
    table: Table, names: Mapping[frozenset[str], Sequence[str]], lake: Path
) -> list[str]:
    """SQL that makes the view `lake.<table>` over the parts `names`, with its comments."""
    every = frozenset(table.schema.names())
    halves = [_selection(table, *half, lake) for half in (names or {every: ()}).items()]
    view = f"create or replace view lake.{table.name} as " + "\nunion all\n".join(halves)
    return [view, *comments("view", f"lake.{table.name}", table)]


def create_table(
    connection: duckdb.DuckDBPyConnection, schema: str, table: Table, rows: pl.DataFrame
) -> None:
    """Make `rows` the described table `<schema>.<table>`."""
    name = f"{schema}.{table.name}"
    connection.execute(f"create schema if not exists {schema}")
    connection.register("mounted", naive(rows).to_arrow(compat_level=pl.CompatLevel.oldest()))
    connection.execute(f"create or replace table {name} as from mounted")
    connection.unregister("mounted")
    for statement in comments("table", name, table):
        connection.execute(statement)


def comments(kind: str, name: str, table: Table) -> Iterator[str]:
    """SQL that describes a table or view and its columns as the contract does."""
    yield f"comment on {kind} {name} is {literal(f'One row per {table.grain}.')}"
    for column in table.columns:
        yield f"comment on column {name}.{column.name} is {literal(column.doc)}"
    if kind == "view":
        yield f"comment on column {name}.day_at is {literal(_DAY_DOC)}"


def literal(text: str) -> str:
    """A string as SQL."""
    return "'" + text.replace("'", "''") + "'"


def sql_type(dtype: pl.DataType | type[pl.DataType]) -> str:
    """The type of a contract column in DuckDB and dbt."""
    return SQL_TYPES[dtype.base_type()]


def ops_frames(
    location: Location, held: Sequence[Manifest], by: datetime | None
) -> dict[str, pl.DataFrame]:
    """The rows of every table of ops_source as known at `by`."""
    found = {
        "manifest": [r for m in held for r in _parts(m, by)],
        "coverage": [r for m in held for r in _units(m, by)],
        "revisions": [r for m in held for r in _revisions(m, by)],
        "gaps": [r for m in held for r in _gaps(m, by)],
        "quality": [r for m in held for r in _checks(m, by)],
    }
    frames = {
        name: pl.DataFrame(rows, schema=OPS_TABLES[name].schema) for name, rows in found.items()
    }
    frames["gaps"] = _once(frames["gaps"])
    frames["generations"] = frame([e for e in events(location) if _known(e.published_at, by)])
    frames["quarantine"] = _quarantine(location, by)
    return {name: rows.sort(OPS_TABLES[name].sort) for name, rows in frames.items()}


def _selection(table: Table, absent: frozenset[str], names: Sequence[str], lake: Path) -> str:
    columns = [_column(column, column.name in absent) for column in table.columns]
    columns.append(_DAY if names else "null::TIMESTAMP as day_at")
    chosen = ",\n    ".join(columns)
    return f"select\n    {chosen}\n{_from(names, lake)}"


def _column(column: Column, is_absent: bool) -> str:
    if is_absent:
        return f"null::{sql_type(column.dtype)} as {column.name}"
    if column.dtype == INSTANT:
        return f"({column.name} at time zone 'UTC') as {column.name}"
    return column.name


def _from(names: Sequence[str], lake: Path) -> str:
    if not names:
        return "where false"
    # Partition folders are named hive style; the columns are in the files, once.
    listed = ",\n    ".join(literal(name) for name in names)
    root = f"coalesce(getvariable('lake_root'), {literal(str(lake))})"
    paths = f"list_transform([\n    {listed}\n], lambda x: {root} || '/' || x)"
    return f"from read_parquet({paths}, hive_partitioning = false, filename = true)"


def _known(at: datetime | None, by: datetime | None) -> bool:
    return by is None or at is None or at <= by


def _partition(partition: Partition) -> dict[str, Any]:
    day = datetime(partition.day.year, partition.day.month, partition.day.day, tzinfo=UTC)
    return {"table_name": partition.table, "venue": partition.venue, "day_at": day}


def _parts(manifest: Manifest, by: datetime | None) -> Iterator[dict[str, Any]]:
    for part in manifest.parts:
        if _known(part.added_at, by):
            yield _partition(manifest.partition) | {
                "part_name": f"{manifest.partition.name}/{part.name}",
                "sha256": part.sha256,
                "row_count": part.rows,
                "byte_count": part.bytes,
                "first_event_at": part.first_event_at,
                "last_event_at": part.last_event_at,
                "added_at": part.added_at,
                "removed_at": part.removed_at if _known(part.removed_at, by) else None,
            }


def _units(manifest: Manifest, by: datetime | None) -> Iterator[dict[str, Any]]:
    for unit in manifest.counted_units(by):
        yield _partition(manifest.partition) | {
            "instrument_id": unit.instrument_id,
            "unit": unit.name,
            "status": unit.status,
            "row_count": unit.rows,
            "source": unit.source,
            "proof": unit.proof,
            "raw_sha256": ",".join(unit.raw),
            "committed_at": unit.committed_at,
        }


def _revisions(manifest: Manifest, by: datetime | None) -> Iterator[dict[str, Any]]:
    """What took a unit's place is the unit of that name committed at the same instant.

    Where there is none, it is an hour of the unit's day, or the day of which the unit was an hour.
    """
    held = (*manifest.former_units, *manifest.units)
    following = {(of_day(unit.name), unit.committed_at): unit for unit in held}
    following |= {(unit.name, unit.committed_at): unit for unit in held}
    for unit in manifest.former_units:
        own, day = (unit.name, unit.removed_at), (of_day(unit.name), unit.removed_at)
        after = following[own if own in following else day]
        if _known(unit.removed_at, by):
            yield _partition(manifest.partition) | {
                "instrument_id": unit.instrument_id,
                "unit": unit.name,
                "committed_at": unit.committed_at,
                "revised_at": unit.removed_at,
                "status_before": unit.status,
                "status_after": after.status,
                "row_count_before": unit.rows,
                "row_count_after": after.rows,
                "source_before": unit.source,
                "source_after": after.source,
                "raw_sha256_before": ",".join(unit.raw),
                "raw_sha256_after": ",".join(after.raw),
            }


def _gaps(manifest: Manifest, by: datetime | None) -> Iterator[dict[str, Any]]:
    place = {"venue": manifest.partition.venue, "table_name": manifest.partition.table}
    yield from (place | asdict(gap) for gap in holes(manifest, by))


def _once(gaps: pl.DataFrame) -> pl.DataFrame:
    """A hole that was filled and is open again is open."""
    by_state = gaps.sort("repaired_by", nulls_last=False, maintain_order=True)
    return by_state.unique(OPS_TABLES["gaps"].key, keep="first", maintain_order=True)


def _checks(manifest: Manifest, by: datetime | None) -> Iterator[dict[str, Any]]:
    for check in manifest.checks:
        if _known(check.checked_at, by):
            yield _partition(manifest.partition) | asdict(check)


def _quarantine(location: Location, by: datetime | None) -> pl.DataFrame:
    table = OPS_TABLES["quarantine"]
    files = sorted(location.quarantine.rglob("*.parquet"))
    if not files:
        return pl.DataFrame(schema=table.schema)
    rows = table.conform(pl.read_parquet(files, glob=False))
    return rows if by is None else rows.filter(pl.col("refused_at") <= by)
