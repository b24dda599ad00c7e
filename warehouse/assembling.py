"""How does the work database become a file that travels?

Marts are copied as tables with their comments, lake views are made again over the parts the build
read, and two tables are written here because only publishing knows them: hedging.issued_signals and
ops.generations. The file keeps the storage format of DuckDB 1.2, which all later versions open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl

from warehouse import contract, issued
from warehouse.catalog import comments, create_table, literal
from warehouse.generations import Event, Locked, NoBuild, frame, read_build
from warehouse.instants import in_utc, naive
from warehouse.location import Location

SUBJECTS = ("options", "flow", "carry", "risk", "hedging", "ops")
_SIGNALS = "hedging.signals"
_ISSUED = "hedging.issued_signals"
_OWN = (_ISSUED, "ops.generations")
_STAMPS = {
    "generation": "Generation that issued the signal first.",
    "published_at": "When that generation was published, UTC.",
}
_HAS_SIGNALS = (
    "select 1 from duckdb_tables() where database_name = 'target' "
    f"and schema_name || '.' || table_name = '{_SIGNALS}'"
)


@dataclass(frozen=True, slots=True)
class Assembled:
    """A finished file: its future event, the signals it would issue, rows per table."""

    event: Event
    fresh: pl.DataFrame
    row_counts: dict[str, int]


def assemble(
    location: Location, target: Path, generation: str, at: datetime, past: Sequence[Event]
) -> Assembled:
    """Write `target` from the work database; nothing else is touched.

    Raises `NoBuild` without a finished build, `Locked` while another process writes it.
    """
    build = read_build(location)
    world = location.world()
    connection = duckdb.connect()
    try:
        work = _attach(connection, location.warehouse, target)
        event = Event(
            generation=generation,
            event="published",
            published_at=at,
            as_of_at=build.as_of_at,
            committed_by_at=build.committed_by_at,
            data_through_at=_data_through(connection, work),
            world_origin=world.origin if world else "real",
            world_mode=world.mode if world else "archive",
            contract_version=contract.VERSION,
        )
        _copy_tables(connection, work)
        _copy_lake_views(connection, work)
        if not connection.execute(_HAS_SIGNALS).fetchall():
            raise NoBuild(f"{location.warehouse}: has no {_SIGNALS}; run `hedgehouse build`")
        fresh = _add_issued(connection, location, event, past)
        create_table(connection, "ops", contract.OPS_GENERATIONS, frame([*past, event]))
        row_counts = _row_counts(connection)
        connection.execute("checkpoint target")
        connection.execute("use memory")
        connection.execute("detach target")
    finally:
        connection.close()
    return Assembled(event, fresh, row_counts)


def _attach(connection: duckdb.DuckDBPyConnection, work: Path, target: Path) -> str:
    """Attach both files and work in the target; returns the work database's name."""
    connection.execute("set TimeZone = 'UTC'")
    try:
        # Under its own name, because views in it name their tables with it.
        connection.execute(f"attach {literal(str(work))} as {work.stem} (read_only)")
    except duckdb.IOException as error:
        if "lock" in str(error):
            raise Locked(f"{work}: a build is at it: {str(error).splitlines()[0]}") from error
        raise
    connection.execute(f"attach {literal(str(target))} as target (storage_version 'v1.2.0')")
    connection.execute("use target")
    return work.stem


def _data_through(connection: duckdb.DuckDBPyConnection, work: str) -> datetime | None:
    """Where the market ends in what the build read: at its last event."""
    ((found,),) = connection.execute(
        f"select max(last_event_at) from {work}.ops_source.manifest "
        "where removed_at is null and table_name not in ('instruments', 'positions', 'balances')"
    ).fetchall()
    return found.replace(tzinfo=UTC) if isinstance(found, datetime) else None


def _copy_tables(connection: duckdb.DuckDBPyConnection, work: str) -> None:
    relations = connection.execute(
        "select schema_name, table_name, comment from duckdb_tables() "
        f"where database_name = '{work}' "
        "union all select schema_name, view_name, comment from duckdb_views() "
        f"where database_name = '{work}' and not internal order by all"
    ).fetchall()
    for schema, table, comment in relations:
        name = f"{schema}.{table}"
        if schema not in SUBJECTS or name in _OWN or "__dbt_" in table:
            continue
        connection.execute(f"create schema if not exists {schema}")
        connection.execute(f"create table {name} as select * from {work}.{name}")
        _comment(connection, "table", name, comment)
        for column, text in _column_comments(connection, work, name):
            _comment(connection, "column", f'{name}."{column}"', text)


def _copy_lake_views(connection: duckdb.DuckDBPyConnection, work: str) -> None:
    connection.execute("create schema lake")
    views = connection.execute(
        "select view_name, sql from duckdb_views() "
        f"where database_name = '{work}' and schema_name = 'lake' order by view_name"
    ).fetchall()
    for name, text in views:
        connection.execute(text)
        for statement in comments("view", f"lake.{name}", contract.LAKE_TABLES[name]):
            connection.execute(statement)


def _add_issued(
    connection: duckdb.DuckDBPyConnection, location: Location, event: Event, past: Sequence[Event]
) -> pl.DataFrame:
    """Write hedging.issued_signals and return the rows that are new in it."""
    signals = in_utc(connection.sql(f"from {_SIGNALS}").pl())
    log = issued.log(location, [e.generation for e in past if e.event == "published"])
    fresh = issued.never_issued(signals, log, event.generation, event.published_at)
    whole = fresh if log is None else pl.concat([log, fresh], how="diagonal_relaxed")
    connection.register("whole", naive(whole).to_arrow(compat_level=pl.CompatLevel.oldest()))
    # The empty first half gives the columns their types and their order.
    connection.execute(
        f"create table {_ISSUED} as from {_SIGNALS} where false union all by name from whole"
    )
    connection.unregister("whole")
    known = dict(_column_comments(connection, "target", _SIGNALS))
    texts = dict.fromkeys(whole.columns, "No longer part of a signal.") | known | _STAMPS
    _comment(connection, "table", _ISSUED, "One row per signal ever issued; append-only.")
    for column, text in texts.items():
        _comment(connection, "column", f'{_ISSUED}."{column}"', text)
    return fresh


def _column_comments(
    connection: duckdb.DuckDBPyConnection, database: str, table: str
) -> list[tuple[str, str | None]]:
    # Names are written out: a bound parameter makes DuckDB import pandas, which takes a second.
    return connection.execute(
        f"select column_name, comment from duckdb_columns() where database_name = '{database}' "
        f"and schema_name || '.' || table_name = '{table}' order by column_index"
    ).fetchall()


def _row_counts(connection: duckdb.DuckDBPyConnection) -> dict[str, int]:
    tables = connection.execute(
        "select schema_name || '.' || table_name from duckdb_tables() "
        "where database_name = 'target' order by all"
    ).fetchall()
    counts = {}
    for (name,) in tables:
        ((counts[name],),) = connection.execute(f"select count(*) from {name}").fetchall()
    return counts


def _comment(connection: duckdb.DuckDBPyConnection, kind: str, name: str, text: str | None) -> None:
    if text:
        connection.execute(f"comment on {kind} {name} is {literal(text)}")
