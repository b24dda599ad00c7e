"""A lake written before a column came is read, revised and compacted as if it were NULL."""

import json
from datetime import UTC, date, datetime, timedelta

import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from warehouse import catalog, lake
from warehouse.contract import QUOTES, VERSION
from warehouse.location import Location
from warehouse.manifest import UNSTATED_VERSION

DAY = date(2024, 8, 8)
OLD, NEW = "binance:BTC/USDT:USDT", "binance:ETH/USDT:USDT"
PARTITION = lake.Partition("quotes", "binance", DAY)
LATER = datetime(2026, 1, 1, tzinfo=UTC)


def quotes(name: str, is_every_update: bool | None, at: datetime) -> pl.DataFrame:
    row = {
        "venue": "binance",
        "underlying": "BTC",
        "instrument_id": name,
        "snapshot_at": at,
        "bid_price": 99.0,
        "ask_price": 101.0,
        "is_every_update": is_every_update,
    }
    return QUOTES.conform(pl.DataFrame([row], infer_schema_length=None))


def commit(
    location: Location,
    names: dict[str, bool | None],
    at: datetime,
    moment: datetime = datetime(2024, 8, 8, 12, tzinfo=UTC),
) -> None:
    units = [lake.Unit(n, None, "unprovable", 1, "s", 10, "none", ("aa",)) for n in names]
    with lake.stage(location, PARTITION) as part:
        for name, is_every_update in names.items():
            owner = name.split("@", maxsplit=1)[0]
            part.write(quotes(owner, is_every_update, moment))
        staged = part.finish([unit.name for unit in units])
        lake.commit(location, PARTITION, units=units, parts=[staged], checks=[], at=at)


def made_old(location: Location) -> None:
    """Take the column and the versions away, as if everything had been written before it came."""
    folder = PARTITION.folder(location)
    for path in folder.glob("*.parquet"):
        rows = pq.read_table(path).drop_columns("is_every_update")
        path.unlink()
        pq.write_table(rows, path)
    manifest = json.loads((folder / "manifest.json").read_text())
    for part in manifest["parts"]:
        assert part.pop("contract_version") == VERSION
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def location(tmp_path) -> Location:
    """One instrument twice: in a part of before, and beside it one in a part of today."""
    found = Location(tmp_path)
    commit(found, {OLD: None, "binance:OLD/USDT": None}, LATER)
    made_old(found)
    commit(found, {NEW: True}, LATER + timedelta(days=1))
    return found


def seen(location: Location) -> list[tuple[object, ...]]:
    with duckdb.connect() as connection:
        catalog.mount(connection, root=str(location.root), committed_by="")
        return connection.execute(
            "select instrument_id, bid_price, is_every_update, day_at from lake.quotes order by all"
        ).fetchall()


def test_a_part_of_before_has_null_where_the_column_came_later(location):
    versions = {p.contract_version for p in lake.read_manifest(location, PARTITION).parts}
    assert versions == {UNSTATED_VERSION, VERSION}
    at = datetime(2024, 8, 8)  # noqa: DTZ001
    expected = [
        (OLD, 99.0, None, at),
        (NEW, 99.0, True, at),
        ("binance:OLD/USDT", 99.0, None, at),
    ]
    assert seen(location) == expected
    scanned = lake.scan(location, "quotes").sort("instrument_id").collect()
    assert scanned["is_every_update"].to_list() == [None, True, None]
    assert scanned.schema == QUOTES.schema


def test_a_lake_of_before_alone_has_the_column_with_its_type(tmp_path):
    location = Location(tmp_path)
    commit(location, {OLD: None}, LATER)
    made_old(location)
    with duckdb.connect() as connection:
        catalog.mount(connection, root=str(location.root), committed_by="")
        types = dict(row[:2] for row in connection.execute("describe lake.quotes").fetchall())
        assert types["is_every_update"] == "BOOLEAN"
        assert connection.execute("select is_every_update from lake.quotes").fetchall() == [(None,)]


def test_a_unit_taken_out_of_a_part_of_before_leaves_the_others_with_the_column(location):
    commit(location, {OLD: False}, LATER + timedelta(days=2))
    told = {row[0]: row[2] for row in seen(location)}
    assert told == {OLD: False, NEW: True, "binance:OLD/USDT": None}
    current = lake.read_manifest(location, PARTITION).current_parts()
    assert {part.contract_version for part in current} == {VERSION}


def test_snapshots_of_before_and_of_today_become_one_part(tmp_path):
    location = Location(tmp_path)
    moment = datetime(2024, 8, 8, 12, tzinfo=UTC)
    commit(location, {f"BTC@{moment.isoformat()}": None}, LATER, moment)
    made_old(location)
    commit(
        location,
        {f"BTC@{(moment + timedelta(hours=1)).isoformat()}": True},
        LATER,
        moment + timedelta(hours=1),
    )
    assert lake.compact(location, PARTITION, LATER) == 2
    scanned = lake.scan(location, "quotes").sort("snapshot_at").collect()
    assert scanned["is_every_update"].to_list() == [None, True]
