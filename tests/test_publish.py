"""A generation is whole, never changes, and is published or not: nothing between."""

import hashlib
import json
import os
import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest
import small_world
from small_world import NOW, clock

from warehouse import publish as publishing
from warehouse.contract import VERSION
from warehouse.generations import Locked, NoBuild, events, forget_build
from warehouse.generations import publishing as lock
from warehouse.location import Location
from warehouse.publish import PublishError, pointed, publish, rollback


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return small_world.folder(tmp_path / "data")


def read(location: Location, query: str) -> list[tuple]:
    with duckdb.connect(location.pointer.resolve(), read_only=True) as connection:
        return connection.execute(query).fetchall()


def test_the_pointer_leads_to_a_file_that_nobody_can_write(location):
    made = publish(location, clock=clock)
    assert location.pointer.is_symlink()
    assert location.pointer.resolve() == made.path.resolve()
    assert made.name == "hedgehouse_20260802T120000Z_000001"
    assert stat.S_IMODE(made.path.stat().st_mode) == 0o444
    assert made.row_counts["flow.bars_1m"] == 1
    assert made.issued_count == 1


def test_current_json_describes_what_the_pointer_points_to(location):
    made = publish(location, clock=clock)
    told = json.loads((location.published / "current.json").read_text())
    assert told["path"] == made.path.name
    assert told["generation"] == made.name
    assert told["sha256"] == hashlib.sha256(made.path.read_bytes()).hexdigest()
    assert told["data_through_at"] == "2026-08-01T00:00:02+00:00"
    assert told["world"] == {"origin": "real", "mode": "archive", "seed": None}
    assert told["contract_version"] == VERSION


def test_marts_are_tables_with_their_comments_even_if_they_were_views(location):
    publish(location, clock=clock)
    kinds = dict(
        read(location, "select view_name, schema_name from duckdb_views() where not internal")
    )
    assert set(kinds.values()) == {"lake"}
    assert read(location, "select count(*) from flow.right_half") == [(10,)]
    assert read(
        location,
        "select t.comment, c.comment from duckdb_tables() t, duckdb_columns() c "
        "where t.table_name = 'bars_1m' and c.table_name = 'bars_1m' and column_name = 'minute_at'",
    ) == [("One row per instrument and minute.", "Start of the minute, UTC.")]


def test_staging_and_sources_are_not_published(location):
    publish(location, clock=clock)
    schemas = read(location, "select distinct schema_name from duckdb_tables() order by 1")
    assert schemas == [("flow",), ("hedging",), ("ops",)]


def test_lake_views_show_what_the_build_read_and_not_what_came_later(location):
    small_world.commit_trades(location, 5)
    publish(location, clock=clock)
    assert read(location, "select count(*), min(event_at)::varchar from lake.trades") == [
        (3, "2026-08-01 00:00:00")
    ]


def test_a_published_lake_follows_the_variable_when_the_folder_moves(location, tmp_path):
    publish(location, clock=clock)
    moved = tmp_path / "moved"
    location.root.rename(moved)
    with duckdb.connect(Location(moved).pointer.resolve(), read_only=True) as connection:
        connection.execute("set variable lake_root = ?", [str(moved / "lake")])
        assert connection.execute("select count(*) from lake.trades").fetchall() == [(3,)]


def test_publishing_again_issues_only_signals_that_never_were_issued(location):
    first = publish(location, clock=clock)
    small_world.build(location, signals=3)
    second = publish(location, clock=clock)
    assert (first.issued_count, second.issued_count) == (1, 2)
    assert read(
        location, "select signal_id, generation from hedging.issued_signals order by signal_id"
    ) == [("s0", first.name), ("s1", second.name), ("s2", second.name)]
    files = [location.issued / f"{made.name}.parquet" for made in (first, second)]
    assert [pl.read_parquet(file)["signal_id"].to_list() for file in files] == [
        ["s0"],
        ["s1", "s2"],
    ]


def test_a_signal_that_is_gone_from_the_marts_stays_issued(location):
    publish(location, clock=clock)
    small_world.build(location, signals=0)
    made = publish(location, clock=clock)
    assert made.issued_count == 0
    assert read(location, "select count(*) from hedging.signals") == [(0,)]
    assert read(location, "select signal_id, published_at from hedging.issued_signals") == [
        ("s0", NOW.replace(tzinfo=None))
    ]


def test_the_issued_log_outlives_a_change_of_columns(location):
    publish(location, clock=clock)
    small_world.build(location, signals=2)
    with duckdb.connect(location.warehouse) as connection:
        connection.execute("alter table hedging.signals drop column explanation")
        connection.execute("alter table hedging.signals add column confidence double")
    publish(location, clock=clock)
    assert read(
        location, "select signal_id, explanation, confidence from hedging.issued_signals order by 1"
    ) == [("s0", "delta 1.5 above 1.0", None), ("s1", None, None)]


def test_a_lost_file_of_the_issued_log_stops_publishing(location):
    made = publish(location, clock=clock)
    (location.issued / f"{made.name}.parquet").unlink()
    with pytest.raises(ValueError, match=f"{made.name}.parquet: the log"):
        publish(location, clock=clock)


def test_generations_tell_what_each_rests_on(location):
    made = publish(location, clock=clock)
    stamp = NOW.replace(tzinfo=None)
    assert read(location, "from ops.generations") == [
        (
            made.name,
            "published",
            stamp,
            stamp,
            stamp,
            stamp.replace(day=1, hour=0, second=2),
            "real",
            "archive",
            VERSION,
        )
    ]


def test_the_market_ends_with_its_last_event_of_any_table(location):
    with duckdb.connect(location.warehouse) as connection:
        connection.execute(
            "insert into ops_source.manifest by name select * replace ('quotes' as table_name, "
            "timestamp '2026-08-01 00:05' as last_event_at) from ops_source.manifest"
        )
    made = publish(location, clock=clock)
    assert made.event.data_through_at == datetime(2026, 8, 1, 0, 5, tzinfo=UTC)


def test_without_a_build_publishing_names_the_command(tmp_path):
    with pytest.raises(NoBuild, match="run `hedgehouse build"):
        publish(Location(tmp_path / "empty"), clock=clock)
    assert not (tmp_path / "empty").exists()


def test_a_build_that_did_not_finish_is_not_published(location):
    forget_build(location)
    with pytest.raises(NoBuild, match="did not finish"):
        publish(location, clock=clock)


def test_a_work_database_that_is_being_written_is_not_published(location):
    child = small_world.hold(location.warehouse)
    try:
        with pytest.raises(Locked, match="a build is at it"):
            publish(location, clock=clock)
    finally:
        child.kill()
        child.wait()
    assert pointed(location) is None


def test_an_object_that_cannot_be_read_keeps_the_pointer_where_it_was(location):
    first = publish(location, clock=clock)
    (part,) = location.lake.glob("trades/*/*/*.parquet")
    content = part.read_bytes()
    part.chmod(0o644)
    part.write_bytes(content[: len(content) // 2])
    with pytest.raises(PublishError, match="cannot be assembled"):
        publish(location, clock=clock)
    assert pointed(location) == first.name
    names = {path.name for path in location.published.iterdir()}
    assert names == {
        f"{first.name}.duckdb",
        "current.duckdb",
        "current.json",
        ".lock",
        "generations.jsonl",
        "parquet",
    }
    assert [path.stem for path in location.issued.iterdir()] == [first.name]


def test_two_publishers_do_not_meet_and_the_second_learns_who_is_first(location):
    with lock(location), pytest.raises(Locked, match=f"held by process {os.getpid()}"):
        publish(location, clock=clock)


def test_rollback_moves_the_pointer_back_and_removes_nothing(location):
    first = publish(location, clock=clock)
    small_world.build(location, signals=2)
    second = publish(location, clock=clock)
    back = rollback(location, clock=clock)
    assert back.name == first.name == pointed(location)
    assert back.event == first.event
    assert second.path.exists()
    assert [(e.generation, e.event) for e in events(location)] == [
        (first.name, "published"),
        (second.name, "published"),
        (first.name, "rolled_back_to"),
    ]
    assert (
        json.loads((location.published / "current.json").read_text())["event"] == "rolled_back_to"
    )
    assert (location.issued / f"{second.name}.parquet").exists()


def test_rollback_can_name_its_generation_and_refuses_what_is_not_there(location):
    made = [publish(location, clock=clock) for _ in range(3)]
    assert rollback(location, clock=clock, to=made[0].path.name).name == made[0].name
    assert rollback(location, clock=clock, to=made[2].name).name == made[2].name
    with pytest.raises(PublishError, match="holds no generation 'x'"):
        rollback(location, clock=clock, to="x")
    rollback(location, clock=clock, to=made[0].name)
    with pytest.raises(PublishError, match="no generation before"):
        rollback(location, clock=clock)


def test_signals_of_a_generation_rolled_back_stay_issued(location):
    publish(location, clock=clock)
    small_world.build(location, signals=2)
    publish(location, clock=clock)
    rollback(location, clock=clock)
    last = publish(location, clock=clock)
    assert last.issued_count == 0
    assert read(
        location, "select count(*), count(distinct signal_id) from hedging.issued_signals"
    ) == [(2, 2)]
    assert [
        row[0] for row in read(location, "select event from ops.generations order by published_at")
    ].count("rolled_back_to") == 1


def test_old_generations_go_but_never_the_current_nor_one_that_moved_in_the_last_hour(location):
    times = iter(NOW + timedelta(hours=n / 4) for n in range(10_000))
    made = [publish(location, clock=lambda: next(times), keep=2) for _ in range(6)]
    kept = sorted(path.stem for path in location.published.glob("hedgehouse_*"))
    last = events(location)[-1].published_at
    young = {
        e.generation for e in events(location) if last - e.published_at < timedelta(minutes=30)
    }
    assert kept[-2:] == [made[4].name, made[5].name]
    assert young <= set(kept)
    assert made[0].name not in kept
    assert len(list(location.issued.iterdir())) == 6


def test_a_kill_before_the_pointer_moved_issued_nothing(location, monkeypatch):
    first = publish(location, clock=clock)
    small_world.build(location, signals=2)
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "_move_pointer", _die)
        patch.setattr(publishing, "_settle", publishing._settle)
        _publish_until_death(location, patch)
    assert len(list(location.issued.iterdir())) == 2
    second = publish(location, clock=clock)
    assert second.issued_count == 1
    assert pointed(location) == second.name
    assert sorted(path.stem for path in location.issued.iterdir()) == [first.name, second.name]
    assert len(list(location.published.glob("hedgehouse_*"))) == 2


def test_a_kill_after_the_pointer_moved_is_told_by_the_next_publish(location, monkeypatch):
    moved = publishing._move_pointer

    def move_and_die(*arguments):
        moved(*arguments)
        _die()

    with monkeypatch.context() as patch:
        patch.setattr(publishing, "_move_pointer", move_and_die)
        _publish_until_death(location, patch)
    assert events(location) == []
    name = pointed(location)
    second = publish(location, clock=clock)
    assert second.issued_count == 0
    assert [e.generation for e in events(location)] == [name, second.name]
    assert read(location, "select generation from hedging.issued_signals") == [(name,)]


class _Death(BaseException):
    """Stands for SIGKILL: nothing of ours runs after it."""


def _die(*_arguments):
    raise _Death


def _publish_until_death(location: Location, patch: pytest.MonkeyPatch) -> None:
    settled = publishing._settle
    calls = iter([settled])
    patch.setattr(publishing, "_settle", lambda *a: next(calls, _die)(*a))
    with pytest.raises(_Death):
        publish(location, clock=clock)


def test_every_table_of_a_generation_is_there_as_parquet_too(location):
    made = publish(location, clock=clock)
    folder = location.published / "parquet" / made.name
    found = {f"{p.parent.name}.{p.stem}": p for p in folder.rglob("*.parquet")}
    assert set(found) == set(made.row_counts)
    for name, path in found.items():
        assert (
            read(location, f"select * from {name}")
            == duckdb.execute(f"select * from read_parquet('{path}')").fetchall()
        )
        assert stat.S_IMODE(path.stat().st_mode) == 0o444


def test_parquet_goes_with_its_generation(location):
    for hour in range(3):
        publish(location, clock=lambda h=hour: NOW + timedelta(hours=3 * h), keep=1)
    kept = {path.stem for path in location.published.glob("hedgehouse_*.duckdb")}
    assert {path.name for path in (location.published / "parquet").iterdir()} == kept
