"""Readers see one whole generation, whatever is published or killed meanwhile."""

import os
import random
import time
from pathlib import Path

import duckdb
import forked
import polars as pl
import pytest
import small_world
from small_world import clock

import hedgehouse
from warehouse.generations import events
from warehouse.location import Location
from warehouse.publish import pointed, publish

pytestmark = pytest.mark.whole

KILLS = int(os.environ.get("HEDGEHOUSE_KILLS", "20"))
READERS = 4
PUBLISHES = int(os.environ.get("HEDGEHOUSE_PUBLISHES", "100"))


@pytest.fixture
def location(tmp_path: Path) -> Location:
    return small_world.folder(tmp_path / "data")


def test_four_readers_through_a_hundred_publishes_see_no_error_and_nothing_torn(location, tmp_path):
    publish(location, clock=clock)
    stop = tmp_path / "stop"
    pipes = [forked.context().Pipe(duplex=False) for _ in range(READERS)]
    readers = [forked.start(forked.read_until, location.root, stop, out) for _, out in pipes]
    for _, out in pipes:
        out.close()
    for version in range(2, PUBLISHES + 1):
        small_world.renew(location, version)
        publish(location, clock=clock)
    stop.touch()
    told = [arrived.recv() for arrived, _ in pipes]
    for reader in readers:
        reader.join()
    assert [faults for _, _, faults in told] == [[]] * READERS
    assert [reader.exitcode for reader in readers] == [0] * READERS
    assert all(reads for reads, _, _ in told)
    assert len(set().union(*(seen for _, seen, _ in told))) > PUBLISHES / 4


def test_publishes_killed_at_random_points_lose_double_and_tear_nothing(location):
    started = time.monotonic()
    publish(location, clock=clock)
    whole = time.monotonic() - started
    draw = random.Random(20260801)
    told = {signal["signal_id"]: signal for signal in _issued(location)}
    current = [pointed(location)]
    for version in range(2, KILLS + 2):
        small_world.renew(location, version)
        child = forked.start(forked.publish_once, location.root)
        child.join(draw.uniform(0, 1.5 * whole))
        child.kill()
        child.join()
        current.append(pointed(location))
        for signal in _issued(location):
            assert told.setdefault(signal["signal_id"], signal) == signal
    last = publish(location, clock=clock)

    issued = {signal["signal_id"]: signal for signal in _issued(location)}
    assert len(_issued(location)) == len(issued) == KILLS + 1
    assert issued == told | issued
    written = pl.concat(pl.read_parquet(path) for path in location.issued.iterdir())
    assert sorted(written["signal_id"]) == sorted(issued)
    published = [event.generation for event in events(location)]
    assert len(published) == len(set(published))
    assert list(dict.fromkeys([*current, last.name])) == published
    assert {signal["generation"] for signal in issued.values()} <= set(published)
    files = {path.name for path in location.published.iterdir()}
    others = {"current.duckdb", "current.json", "generations.jsonl", ".lock", "parquet"}
    assert files == {f"{name}.duckdb" for name in published} | others
    assert {path.name for path in (location.published / "parquet").iterdir()} == set(published)


@pytest.mark.parametrize("byte_count", [1_000, 50_000, 300_000, 1_000_000])
def test_a_full_disk_leaves_the_pointer_where_it_was_and_nothing_half_written(location, byte_count):
    first = publish(location, clock=clock)
    small_world.build(location, signals=2, rows=1_000_000)
    arrived, out = forked.context().Pipe(duplex=False)
    child = forked.start(forked.publish_on_a_small_disk, location.root, byte_count, out)
    out.close()
    code, said = arrived.recv()
    child.join()
    assert code == 74, said
    assert said.count("\n") == 1
    assert pointed(location) == first.name
    assert [path.stem for path in location.issued.iterdir()] == [first.name]
    assert {path.name for path in location.published.glob("*hedgehouse_*")} == {first.path.name}
    assert publish(location, clock=clock).issued_count == 1


def test_a_reader_of_the_pointer_is_not_hurt_by_its_generation_being_retired(location):
    publish(location, clock=clock)
    with hedgehouse.connect(location.root) as client:
        client.path.unlink()
        assert client.sql("select count(*) from flow.left_half").item() == 10


def _issued(location: Location) -> list[dict]:
    """What the current generation says was issued; two of its marts must agree."""
    with duckdb.connect(location.pointer.resolve(), read_only=True) as connection:
        halves = connection.execute(
            "select (select max(version) from flow.left_half), "
            "(select min(version) from flow.right_half), (select count(*) from hedging.signals)"
        ).fetchall()
        assert len(set(halves[0])) == 1
        return connection.sql("from hedging.issued_signals").pl().to_dicts()
