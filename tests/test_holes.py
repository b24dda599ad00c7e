"""A hole stays open until a later commit brings what it lacks, and is shown in either state."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl
import pytest

from warehouse import catalog, lake
from warehouse.contract import BOOKS, TRADES
from warehouse.lake import Gap, Partition, Unit
from warehouse.location import Location

DAY = date(2026, 8, 1)
NOON = datetime(2026, 8, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
ID = "deribit:BTC/USD:BTC"
TAPE = Partition("trades", "deribit", DAY)


def hole(hours: float = 1, since: datetime = NOON, **fields: object) -> Gap:
    gap = Gap(ID, since, since + hours * HOUR, "source_unavailable", None, "HTTP 503")
    return replace(gap, **fields)


def unit(status: str, *gaps: Gap, rows: int = 0, source: str = "deribit api", **kw: object) -> Unit:
    name = kw.get("name", ID)
    instrument_id = None if "@" in str(name) else ID
    return Unit(str(name), instrument_id, status, rows, source, 10, "said so", (), gaps=gaps)


def committed(location: Location, held: Unit, at: datetime, partition: Partition = TAPE) -> None:
    if not held.rows:
        lake.commit(location, partition, units=[held], parts=(), checks=(), at=at)
        return
    rows = pl.DataFrame(
        {"venue": "deribit", "underlying": "BTC", "instrument_id": ID, "is_block": False,
         "trade_id": [f"{at:%H}-{n}" for n in range(held.rows)], "event_at": NOON, "price": 1.0,
         "quantity_base": 1.0, "is_liquidation": False}
    )  # fmt: skip
    with lake.stage(location, partition) as part:
        part.write(TRADES.conform(rows))
        staged = part.finish([held.name])
        lake.commit(location, partition, units=[held], parts=[staged], checks=(), at=at)


def told(location: Location, table: str, columns: str, by: datetime | None = None) -> list[tuple]:
    with duckdb.connect() as connection:
        stamp = by.isoformat() if by else ""
        catalog.mount(connection, root=str(location.root), committed_by=stamp)
        return connection.execute(
            f"select {columns} from ops_source.{table} order by all"
        ).fetchall()


def state(location: Location, by: datetime | None = None) -> list[tuple]:
    return told(location, "gaps", "cause, repaired_by", by)


def test_a_hole_is_open_until_a_later_unit_fills_it(tmp_path):
    location = Location(tmp_path)
    committed(location, unit("gap", hole()), NOON + HOUR)
    assert state(location) == [("source_unavailable", None)]
    whole = unit("complete", rows=3, source="deribit archive")
    committed(location, whole, NOON + 2 * HOUR)
    assert state(location) == [("source_unavailable", "deribit archive")]
    assert state(location, by=NOON + HOUR) == [("source_unavailable", None)]
    assert state(location, by=NOON) == []


def test_a_hole_that_its_unit_keeps_is_told_once_as_it_is_now(tmp_path):
    location = Location(tmp_path)
    committed(location, unit("gap", hole(4), rows=1), NOON + HOUR)
    rest = hole(1, NOON + 2 * HOUR, detail="HTTP 502")
    committed(location, unit("gap", rest, rows=2), NOON + 2 * HOUR)
    assert told(location, "gaps", "detail, repaired_by") == [("HTTP 502", None)]


def test_of_two_holes_the_one_that_was_filled_is_repaired(tmp_path):
    location = Location(tmp_path)
    morning = hole(1, NOON - 6 * HOUR, detail="ids 1 to 2")
    committed(location, unit("gap", morning, hole(), rows=1), NOON + HOUR)
    committed(location, unit("gap", hole(), rows=2), NOON + 2 * HOUR)
    assert told(location, "gaps", "detail, repaired_by") == [
        ("HTTP 503", None),
        ("ids 1 to 2", "deribit api"),
    ]


def test_a_repair_is_ascribed_to_the_commit_that_made_it(tmp_path):
    location = Location(tmp_path)
    committed(location, unit("gap", hole()), NOON + HOUR)
    committed(location, unit("complete", rows=1, source="first"), NOON + 2 * HOUR)
    committed(location, unit("complete", rows=2, source="second"), NOON + 3 * HOUR)
    assert state(location) == [("source_unavailable", "first")]


def test_a_hole_that_came_back_is_open(tmp_path):
    location = Location(tmp_path)
    for at, held in enumerate(
        (
            unit("gap", hole(), rows=1),
            unit("complete", rows=2),
            unit("unprovable", hole(), rows=3),
        )
    ):
        committed(location, held, NOON + at * HOUR)
    assert state(location) == [("source_unavailable", None)]


def test_two_holes_after_one_instant_are_two(tmp_path):
    location = Location(tmp_path)
    holes = [hole(cause="sequence_hole", detail=detail) for detail in ("ids 1 to 2", "ids 4 to 4")]
    committed(location, unit("gap", *holes, rows=1), NOON + HOUR)
    assert told(location, "gaps", "detail") == [("ids 1 to 2",), ("ids 4 to 4",)]


def test_a_snapshot_that_failed_and_then_came_is_repaired(tmp_path):
    location, books = Location(tmp_path), Partition("books", "deribit", DAY)
    name = f"BTC@{NOON.isoformat()}"
    missed = hole(0, instrument_id="deribit:BTC", cause="missed_tick")
    committed(location, unit("gap", missed, name=name), NOON, books)
    rows = pl.DataFrame(
        {"venue": "deribit", "underlying": "BTC", "instrument_id": ID, "snapshot_at": NOON,
         "side": "bid", "level": 1, "price": 1.0, "quantity_base": 1.0}
    )  # fmt: skip
    with lake.stage(location, books) as part:
        part.write(BOOKS.conform(rows))
        staged = part.finish([name])
        held = unit("complete", rows=1, name=name)
        lake.commit(location, books, units=[held], parts=[staged], checks=(), at=NOON + HOUR)
    assert state(location) == [("missed_tick", "deribit api")]


def test_a_gap_that_lists_no_hole_is_one_as_far_as_the_day_was_over(tmp_path):
    location = Location(tmp_path)
    committed(location, unit("gap"), NOON)
    assert told(location, "gaps", "instrument_id, started_at, ended_at, cause, detail") == [
        (ID, datetime(2026, 8, 1), datetime(2026, 8, 1, 12), "unlisted", "said so")  # noqa: DTZ001
    ]


def test_what_is_said_of_a_whole_answer_is_left_to_its_instruments(tmp_path):
    location = Location(tmp_path)
    whole = replace(unit("gap", name="deribit:BTC"), instrument_id=None)
    committed(location, whole, NOON)
    assert told(location, "gaps", "instrument_id, cause") == [("deribit:BTC", "unlisted")]
    committed(location, unit("gap", hole()), NOON)
    assert told(location, "gaps", "instrument_id, cause") == [(ID, "source_unavailable")]


@pytest.mark.parametrize("status", ["gap", "complete", "unprovable"])
def test_a_unit_without_rows_is_covered_with_what_was_proven(tmp_path: Path, status: str) -> None:
    location = Location(tmp_path)
    gaps: Sequence[Gap] = [hole()] if status == "gap" else []
    committed(location, unit(status, *gaps), NOON)
    whole = replace(unit(status, name="deribit:BTC"), instrument_id=None)
    committed(location, whole, NOON)
    assert told(location, "coverage", "unit, instrument_id, status, row_count") == [
        ("deribit:BTC", None, status, 0),
        (ID, ID, status, 0),
    ]
    assert told(location, "manifest", "part_name") == []
