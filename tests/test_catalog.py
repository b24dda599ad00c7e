"""What DuckDB sees of the lake is what is committed, as of the time that was asked."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest
import small_world
from small_world import NOW

from warehouse import catalog, lake
from warehouse.contract import LAKE, OPS
from warehouse.location import Location, World


@pytest.fixture
def location(tmp_path: Path) -> Location:
    found = Location(tmp_path / "it's data")
    found.claim(World("real"))
    small_world.commit_trades(found, 3)
    return found


def mounted(location: Location, committed_by: str = "") -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect()
    catalog.mount(connection, root=str(location.root), committed_by=committed_by)
    return connection


def test_an_empty_folder_has_every_view_and_table_with_the_types_of_the_contract(tmp_path):
    with mounted(Location(tmp_path)) as connection:
        for schema, tables in (("lake", LAKE), ("ops_source", OPS)):
            for table in tables:
                rows = connection.execute(f"describe {schema}.{table.name}").fetchall()
                expected = [(c.name, catalog.sql_type(c.dtype)) for c in table.columns]
                expected += [("day_at", "TIMESTAMP")] if schema == "lake" else []
                assert [row[:2] for row in rows] == expected
                assert connection.execute(f"from {schema}.{table.name}").fetchall() == []


def test_a_view_over_parts_has_the_same_types_as_an_empty_one(location):
    with mounted(location) as connection:
        rows = connection.execute("describe lake.trades").fetchall()
        (table,) = (t for t in LAKE if t.name == "trades")
        assert [row[:2] for row in rows] == [
            *((c.name, catalog.sql_type(c.dtype)) for c in table.columns),
            ("day_at", "TIMESTAMP"),
        ]


def test_a_filter_on_the_day_opens_that_day_alone(location):
    small_world.commit_trades(location, 5, (NOW - timedelta(days=1)).date())
    with mounted(location) as connection:
        asked = "from lake.trades where day_at >= '2026-08-01' and day_at < '2026-08-01 12:00'"
        assert connection.execute(f"select count(*), min(day_at) {asked}").fetchall() == [
            (5, datetime(2026, 8, 1)),  # noqa: DTZ001
        ]
        small_world.commit_trades(location, 2, (NOW + timedelta(days=1)).date())
    with mounted(location) as connection:
        plan = connection.execute(f"explain analyze select sum(price) {asked}").fetchall()[0][1]
        assert "Scanning Files: 1/2" in plan


def test_instants_are_utc_whatever_the_zone_of_the_session(location):
    with mounted(location) as connection:
        connection.execute("set TimeZone = 'Asia/Tokyo'")
        assert connection.execute("select min(event_at) from lake.trades").fetchall() == [
            (datetime(2026, 8, 1),)  # noqa: DTZ001
        ]
        assert connection.execute("select day_at from ops_source.coverage").fetchall() == [
            (datetime(2026, 8, 1),)  # noqa: DTZ001
        ]


def test_every_view_and_every_column_says_what_it_is(location):
    with mounted(location) as connection:
        for schema, kind in (("lake", "views"), ("ops_source", "tables")):
            silent = connection.execute(
                f"select 1 from duckdb_{kind}() where schema_name = '{schema}' and comment is null "
                f"union all select 1 from duckdb_columns() "
                f"where schema_name = '{schema}' and comment is null"
            ).fetchall()
            assert silent == []


def test_a_file_that_no_manifest_names_is_not_read(location):
    (part,) = location.lake.glob("trades/*/*/*.parquet")
    part.with_name("0000000000000000.parquet").write_bytes(part.read_bytes())
    with mounted(location) as connection:
        assert connection.execute("select count(*) from lake.trades").fetchall() == [(3,)]


def test_the_folder_names_of_partitions_add_no_columns_and_change_none(location):
    with mounted(location) as connection:
        names = [row[0] for row in connection.execute("describe lake.trades").fetchall()]
        assert "day" not in names
        assert connection.execute("select distinct venue from lake.trades").fetchall() == [
            ("binance",)
        ]


def test_committed_by_picks_the_revision_of_that_time(location):
    later = NOW + timedelta(hours=1)
    small_world.commit_trades(location, 5, at=later)
    for by, rows, parts in (("", 5, 2), (later.isoformat(), 5, 2), (NOW.isoformat(), 3, 1)):
        with mounted(location, by) as connection:
            assert connection.execute("select count(*) from lake.trades").fetchall() == [(rows,)]
            assert connection.execute(
                "select count(*), count(*) filter (removed_at is null) from ops_source.manifest"
            ).fetchall() == [(parts, 1)]
    with mounted(location, (NOW - timedelta(seconds=1)).isoformat()) as connection:
        assert connection.execute("select count(*) from lake.trades").fetchall() == [(0,)]


def test_coverage_and_gaps_of_a_revised_unit_are_those_that_counted_then(location):
    partition = lake.Partition("trades", "binance", datetime(2026, 8, 1, tzinfo=UTC).date())
    later = NOW + timedelta(hours=1)
    (held,) = lake.read_manifest(location, partition).units
    with lake.stage(location, partition) as part:
        part.write(lake.scan(location, "trades").head(2).collect())
        whole = replace(held, rows=2, gaps=(), raw=("bb",))
        staged = part.finish([whole.name])
        lake.commit(location, partition, units=[whole], parts=[staged], checks=[], at=later)
    then, before = NOW.isoformat(), (NOW - timedelta(seconds=1)).isoformat()
    now, was = [(2, "bb")], [(3, "aa")]
    repaired, open_then = [(held.source,)], [(None,)]
    for by, coverage, gaps in (("", now, repaired), (then, was, open_then), (before, [], [])):
        with mounted(location, by) as connection:
            asked = "select row_count, raw_sha256 from ops_source.coverage"
            assert connection.execute(asked).fetchall() == coverage
            asked = "select repaired_by from ops_source.gaps"
            assert connection.execute(asked).fetchall() == gaps


def test_a_revision_tells_what_was_and_what_took_its_place(location):
    first, second = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
    small_world.commit_trades(location, 5, at=first)
    small_world.commit_trades(location, 4, at=second)
    columns = "unit, committed_at, revised_at, row_count_before, row_count_after"
    at = [moment.replace(tzinfo=None) for moment in (NOW, first, second)]
    rows = [(small_world.BTC, at[0], at[1], 3, 5), (small_world.BTC, at[1], at[2], 5, 4)]
    for by, expected in (("", rows), (first.isoformat(), rows[:1]), (NOW.isoformat(), [])):
        with mounted(location, by) as connection:
            asked = f"select {columns} from ops_source.revisions"
            assert connection.execute(asked).fetchall() == expected


def test_a_manifest_without_former_units_is_read(location):
    (path,) = location.lake.glob("trades/*/*/manifest.json")
    found = json.loads(path.read_text())
    del found["former_units"]
    for unit in found["units"]:
        del unit["removed_at"]
    path.write_text(json.dumps(found))
    (manifest,) = lake.manifests(location)
    assert (manifest.former_units, len(manifest.units)) == ((), 1)


def test_ops_sources_tell_what_the_manifests_hold(location):
    with mounted(location) as connection:
        assert connection.execute(
            "select status, row_count, raw_sha256 from ops_source.coverage"
        ).fetchall() == [("unprovable", 3, "aa")]
        assert connection.execute(
            "select cause, missing_count, detail from ops_source.gaps"
        ).fetchall() == [("absent_in_source", 2, "ids 7 to 8")]
        assert connection.execute(
            "select source_path, is_blocking, checked_at from ops_source.quality"
        ).fetchall() == [("trades.zip", True, NOW.replace(tzinfo=None))]


def test_mounting_again_shows_what_was_committed_since(location):
    with mounted(location) as connection:
        small_world.commit_trades(location, 2, datetime(2026, 8, 2, tzinfo=UTC).date())
        catalog.mount(connection, root=str(location.root), committed_by="")
        assert connection.execute("select count(*) from lake.trades").fetchall() == [(5,)]
