"""What a build as of T says is what a house that had stopped at T would have said."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl

from assets.building import build
from tests.conftest import clock
from warehouse import lake
from warehouse.contract import LAKE, LAKE_TABLES
from warehouse.location import Location
from warehouse.manifest import manifests

SUBJECTS = ["options", "flow", "carry", "hedging"]
UNTIL = datetime(2026, 3, 10, 9, 17, 23, tzinfo=UTC)


def linked(full: Location, root: Path) -> Location:
    """A folder of its own over the same lake, so that builds do not touch the shared one."""
    root.mkdir(exist_ok=True)
    (root / "lake").symlink_to(full.lake)
    (root / "world.json").write_text((full.root / "world.json").read_text())
    return Location(root)


def cut(full: Location, root: Path, until: datetime) -> Location:
    """A lake of its own that holds only what was knowable by `until`, unit by unit."""
    location = Location(root)
    root.mkdir()
    (root / "world.json").write_text((full.root / "world.json").read_text())
    known = {table.name: knowable(full, table.name, until) for table in LAKE}
    for manifest, unit, held in contents(manifests(full), full):
        if manifest.partition.day <= until.date():
            own = held.join(known[manifest.partition.table], on=held.columns, how="semi",
                            nulls_equal=True, maintain_order="left")  # fmt: skip
            if own.height or not unit.rows:
                commit(location, manifest.partition, replace(unit, rows=own.height), own)
    return location


def contents(
    found: list[lake.Manifest], full: Location
) -> Iterator[tuple[lake.Manifest, lake.Unit, pl.DataFrame]]:
    """Every unit with its rows, in the part's order."""
    for manifest in found:
        units = {unit.name: unit for unit in manifest.units}
        for part in manifest.current_parts():
            rows = pl.read_parquet(manifest.partition.folder(full) / part.name)
            for name in part.units:
                belongs = lake.rows_of(LAKE_TABLES[manifest.partition.table], name)
                yield manifest, units[name], rows.filter(belongs)


def commit(
    location: Location, partition: lake.Partition, unit: lake.Unit, rows: pl.DataFrame
) -> None:
    with lake.stage(location, partition) as part:
        part.write(rows)
        staged = part.finish([unit.name])
        at = unit.committed_at or clock()
        lake.commit(location, partition, units=[unit], parts=[staged], checks=[], at=at)


def knowable(full: Location, table: str, until: datetime) -> pl.DataFrame:
    """The lake's rows whose staging row is available by `until`, found by their keys."""
    keys = list(LAKE_TABLES[table].key)
    with duckdb.connect(str(full.warehouse), read_only=True) as connection:
        query = f"select {', '.join(keys)} from staging.stg_{table} where available_at <= $1"
        known = connection.sql(query, params=[until.replace(tzinfo=None)]).pl()
    stamps = [key for key in keys if LAKE_TABLES[table].schema[key] == pl.Datetime("us", "UTC")]
    known = known.with_columns(pl.col(stamps).dt.replace_time_zone("UTC"))
    rows = lake.scan(full, table).collect()
    return rows.join(known, on=keys, how="semi", maintain_order="left")


def marts(path: Path, until: datetime) -> dict[str, pl.DataFrame]:
    """Every mart's rows available by `until`, in a fixed order."""
    with duckdb.connect(str(path), read_only=True) as connection:
        names = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() "
            "where list_contains($1, schema_name) order by 1",
            [SUBJECTS],
        ).fetchall()
        query = "select * from {} where available_at <= $1 order by all"
        stamp = until.replace(tzinfo=None)
        return {n: connection.sql(query.format(n), params=[stamp]).pl() for (n,) in names}


def difference(name: str, one: pl.DataFrame, other: pl.DataFrame) -> str:
    """The first row and column in which two marts differ, for the failing test's message."""
    if one.height != other.height:
        return f"{name}: {one.height} rows in the one, {other.height} in the other"
    for column in one.columns:
        unequal = one[column].ne_missing(other[column])
        if unequal.any():
            at = unequal.arg_true()[0]
            return f"{name}.{column}: {one[column][at]} and {other[column][at]} in {one.row(at)}"
    return f"{name}: columns {one.columns} and {other.columns}"


def assert_same(one: dict[str, pl.DataFrame], other: dict[str, pl.DataFrame]) -> None:
    assert set(one) == set(other)
    unequal = [difference(n, f, other[n]) for n, f in one.items() if not f.equals(other[n])]
    assert not unequal, "\n".join(unequal)


def test_a_build_as_of_t_equals_a_build_of_a_lake_cut_at_t(
    simulated: Location, tmp_path: Path
) -> None:
    own = linked(simulated, tmp_path / "a")
    path = build(own, clock=clock, as_of=UNTIL).path
    past = marts(path, UNTIL)
    stopped = marts(build(cut(simulated, tmp_path / "b", UNTIL), clock=clock).path, UNTIL)
    empty = [name for name, frame in past.items() if frame.is_empty()]
    assert not empty, f"nothing to compare in {empty}"
    assert_same(past, stopped)

    later = {n: f.height for n, f in marts(path, datetime(9999, 1, 1, tzinfo=UTC)).items()}
    assert later == {n: f.height for n, f in past.items()}, "it holds what came after"
    with duckdb.connect(str(path), read_only=True) as connection:
        signed = connection.execute("select event, as_of_at from ops.generations").fetchall()
    assert signed == [("as_of_build", UNTIL.replace(tzinfo=None))]
    assert not own.warehouse.exists()
    assert not own.pointer.exists()


def test_an_incremental_build_equals_a_full_one_and_old_revisions_stay_readable(
    simulated: Location, tmp_path: Path
) -> None:
    """A day is built, another arrives, one is revised: the same marts as building all at once."""
    own = Location(tmp_path / "a")
    own.root.mkdir()
    (own.root / "world.json").write_text((simulated.root / "world.json").read_text())
    found = manifests(simulated)
    first = min(m.partition.day for m in found if m.partition.table == "trades")

    def copy(of: list[lake.Manifest], share: float, at: datetime) -> None:
        for manifest, unit, rows in contents(of, simulated):
            part = rows.head(int(share * unit.rows))
            changed = replace(unit, rows=part.height, committed_at=at)
            commit(own, manifest.partition, changed, part)

    other = [m for m in found if m.partition.table != "trades"]
    trades = [m for m in found if m.partition.table == "trades"]
    copy([*other, *(m for m in trades if m.partition.day == first)], 1.0, clock())
    build(own, clock=clock)
    copy([m for m in trades if m.partition.day > first], 0.5, clock() + timedelta(hours=1))
    half = marts(build(own, clock=lambda: clock() + timedelta(hours=2)).path, UNTIL)
    copy([m for m in trades if m.partition.day > first], 1.0, clock() + timedelta(hours=3))
    last = build(own, clock=lambda: clock() + timedelta(hours=4))

    far = datetime(9999, 1, 1, tzinfo=UTC)
    assert_same(marts(last.path, far), marts(simulated.warehouse, far))
    back = build(
        own, clock=lambda: clock() + timedelta(hours=5), committed_by=clock() + timedelta(hours=2)
    )
    assert_same(marts(back.path, UNTIL), half)
