"""How do readers that do not speak DuckDB get a generation? As one Parquet file a table.

`published/parquet/<generation>/<schema>/<table>.parquet` holds the same rows in the same order as
the generation's own tables. The folder appears whole, before the pointer moves to the generation.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

import duckdb

from warehouse.catalog import literal
from warehouse.location import Location, sync_folder


def export(location: Location, name: str, source: Path) -> None:
    """Write every table of the generation file `source`, durably; a former try is replaced."""
    target, unfinished = folder(location, name), folder(location, f".{name}.tmp")
    for left in (target, unfinished):
        shutil.rmtree(left, ignore_errors=True)
    with duckdb.connect(str(source), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        tables = connection.execute(
            "select schema_name, table_name from duckdb_tables() order by all"
        ).fetchall()
        for schema, table in tables:
            path = unfinished / schema / f"{table}.parquet"
            path.parent.mkdir(parents=True, exist_ok=True)
            copy = f'copy {schema}."{table}" to {literal(str(path))}'
            connection.execute(f"{copy} (format parquet, compression zstd)")
            path.chmod(0o444)
    for path in sorted(unfinished.rglob("*.parquet")):
        with path.open("rb") as file:
            os.fsync(file.fileno())
    for schema_folder in sorted({path.parent for path in unfinished.rglob("*.parquet")}):
        sync_folder(schema_folder)
    sync_folder(unfinished)
    unfinished.replace(target)
    sync_folder(target.parent)


def keep_only(location: Location, names: Iterable[str]) -> None:
    """Remove the exports of all other generations, finished or not."""
    kept = set(names)
    for path in folder(location, "").glob("*"):
        if path.name not in kept:
            shutil.rmtree(path)


def folder(location: Location, name: str) -> Path:
    return location.published / "parquet" / name
