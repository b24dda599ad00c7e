"""How is a published file read so that reading is all a reader can do?

A read-only DuckDB connection can still write files with COPY and read any file of the machine. Here
a connection reaches exactly the parts that the file's lake views list, nothing else outside the
file; its configuration is locked, its memory and time are bounded, and it runs nothing but one
SELECT, or the EXPLAIN of one.
"""

import json
import os
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import TYPE_CHECKING, Any

import duckdb

if TYPE_CHECKING:  # inspecting a file needs no Polars, and its process should start fast
    import polars as pl

_EXPLAIN = re.compile(r"\s*explain(\s+analyze)?\s+", re.IGNORECASE)
_PART = re.compile(r"'((?:[^']|'')+\.parquet)'")
_ROOT = re.compile(r"getvariable\('lake_root'\), '((?:[^']|'')+)'", re.IGNORECASE)

# Functions that a SELECT may call and that change the session, or hide a statement in a string.
_ACTING = frozenset(
    {
        "checkpoint",
        "currval",
        "disable_logging",
        "disable_profiling",
        "enable_logging",
        "enable_profiling",
        "force_checkpoint",
        "json_execute_serialized_sql",
        "nextval",
        "query",
        "query_table",
        "setseed",
        "sleep_ms",
        "truncate_duckdb_logs",
        "write_log",
    }
)


class StatementRefused(ValueError):
    """The statement is not one SELECT, or the EXPLAIN of one."""


class QueryTimeout(ValueError):
    """The statement ran longer than it may."""


class UnreadableFile(ValueError):
    """The file is not a published warehouse."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one reader may use. `memory` as DuckDB writes it; `timeout_s` bounds one statement."""

    memory: str = "4GB"
    threads: int = 4
    timeout_s: float = 300.0


def connect(path: Path, lake: Path | None, limits: Limits) -> duckdb.DuckDBPyConnection:
    """Open a published file for reading, and for nothing else.

    `lake` is the folder of the parts that the lake views list; None leaves the folder that the file
    names. Each connection is a DuckDB instance of its own: what others in the process open, set or
    close does not touch it. Raises `UnreadableFile` naming the file where DuckDB cannot open it.
    """
    path = path.resolve()
    # In memory, because DuckDB shares the one instance of a path, and its settings, in a process.
    connection = duckdb.connect()
    try:
        _attach(connection, path)
        _harden(connection, lake.resolve() if lake else None, limits)
    except BaseException:
        connection.close()
        raise
    return connection


def check(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    """Raise `StatementRefused` unless `query` is one SELECT, or the EXPLAIN of one."""
    statements = connection.extract_statements(query)
    if len(statements) != 1:
        raise StatementRefused(f"one statement at a time; there were {len(statements)}")
    kind = statements[0].type
    explain = _EXPLAIN.match(query)
    if kind == duckdb.StatementType.EXPLAIN and explain:
        return check(connection, query[explain.end() :])
    if kind != duckdb.StatementType.SELECT:
        raise StatementRefused(f"only SELECT and EXPLAIN are allowed; this was {kind.name}")
    _check_functions(connection, query)
    return None


def run(
    connection: duckdb.DuckDBPyConnection,
    query: str,
    parameters: Any = None,
    *,
    timeout_s: float,
) -> "pl.DataFrame":
    """Check and run a query; its rows as a Polars frame.

    Raises `StatementRefused`, `QueryTimeout`, or DuckDB's own error for a query that is wrong.
    """
    check(connection, query)
    timer = Timer(timeout_s, connection.interrupt)
    timer.start()
    try:
        return _readable(connection.sql(query, params=parameters)).pl()
    except duckdb.InterruptException:
        raise QueryTimeout(f"stopped after {timeout_s:g} s: {query.strip()[:80]}") from None
    finally:
        timer.cancel()
        timer.join()


def _readable(found: duckdb.DuckDBPyRelation) -> duckdb.DuckDBPyRelation:
    """Intervals as text: Polars knows no months, and DuckDB's intervals may have some."""
    columns = zip(found.columns, found.types, strict=True)
    if all(str(dtype) != "INTERVAL" for dtype in found.types):
        return found
    quoted = (('"' + name.replace('"', '""') + '"', str(dtype)) for name, dtype in columns)
    return found.project(
        ", ".join(f"{n}::varchar as {n}" if t == "INTERVAL" else n for n, t in quoted)
    )


def objects(connection: duckdb.DuckDBPyConnection) -> list[str]:
    """Every table and view of the file, as `schema.name`."""
    return [
        f"{schema}.{name}"
        for schema, name in connection.execute(
            "select schema_name, table_name from duckdb_tables() where not internal union all "
            "select schema_name, view_name from duckdb_views() where not internal order by all"
        ).fetchall()
    ]


def first_line(error: BaseException) -> str:
    """An error in one line."""
    return str(error).strip().split("\n")[0]


def _attach(connection: duckdb.DuckDBPyConnection, path: Path) -> None:
    """Make the file all that the connection has, so that names in it need no prefix."""
    try:
        connection.execute(f"attach {_quoted(str(path))} as hedgehouse (read_only, type duckdb)")
    except duckdb.Error as error:
        raise UnreadableFile(f"{path}: cannot be opened: {first_line(error)}") from error
    connection.execute("use hedgehouse")
    connection.execute("detach memory")
    # Instances that spill into one folder overwrite each other's files.
    spill = f"{path}.{os.urandom(8).hex()}.tmp"
    connection.execute(f"set temp_directory = {_quoted(spill)}")


def _harden(connection: duckdb.DuckDBPyConnection, lake: Path | None, limits: Limits) -> None:
    views = connection.execute("select sql from duckdb_views() where schema_name = 'lake'")
    texts = [text for (text,) in views.fetchall()]
    # Values are written out: a bound parameter makes DuckDB import pandas, which takes a second.
    if lake is not None:
        connection.execute(f"set variable lake_root = {_quoted(str(lake))}")
    allowed = ", ".join(_quoted(name) for name in _allowed(texts, lake))
    connection.execute(f"set allowed_paths = [{allowed}]")
    for setting in (
        "TimeZone = 'UTC'",
        "python_enable_replacements = false",
        "autoinstall_known_extensions = false",
        "autoload_known_extensions = false",
        f"memory_limit = '{limits.memory}'",
        f"threads = {limits.threads}",
        "enable_external_access = false",
        "lock_configuration = true",
    ):
        connection.execute(f"set {setting}")


def _allowed(views: list[str], lake: Path | None) -> Iterator[str]:
    for text in views:
        root = _ROOT.search(text)
        if root:
            folder = str(lake) if lake else _plain(root[1])
            yield from (f"{folder}/{_plain(name)}" for name in _PART.findall(text))


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _plain(literal: str) -> str:
    return literal.replace("''", "'")


def _check_functions(connection: duckdb.DuckDBPyConnection, query: str) -> None:
    ((text,),) = connection.execute(f"select json_serialize_sql({_quoted(query)})").fetchall()
    tree = json.loads(text)
    if tree["error"]:  # a PRAGMA that DuckDB types as SELECT, for one
        raise StatementRefused(f"only SELECT and EXPLAIN are allowed: {tree['error_message']}")
    if found := sorted(_ACTING.intersection(_functions(tree))):
        raise StatementRefused(f"{', '.join(found)} acts upon the session and is not allowed")


def _functions(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("function_name"), str):
            yield node["function_name"].lower()
        node = list(node.values())
    if isinstance(node, list):
        for child in node:
            yield from _functions(child)


def main(path: str, lake: str) -> None:
    """Select from everything in a file, in a process of its own; any error ends it."""
    connection = connect(Path(path), Path(lake), Limits())
    for name in objects(connection):
        try:
            connection.execute(f"select * from {name} limit 1").fetchall()
        except duckdb.Error as error:
            raise SystemExit(f"{name}: {first_line(error)}") from error


if __name__ == "__main__":
    main(*sys.argv[1:])
