"""What a build as of T says is what a house that had stopped at T would have said."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import book_world
import duckdb
import flow_world
import polars as pl
import pytest

from assets.building import build
from pipelines import universe
from tests.conftest import clock
from warehouse import lake
from warehouse.contract import LAKE, LAKE_TABLES
from warehouse.location import Location
from warehouse.manifest import manifests

pytestmark = pytest.mark.whole

SUBJECTS = ["options", "flow", "carry", "hedging"]
UNTIL = datetime(2026, 3, 10, 9, 17, 23, tzinfo=UTC)


# One coin is half the work, and no mart mixes two.
COIN = "ETH"
# The archives' market has no books and no separate forced orders. Of the planted ones a book was
# taken just before the end and arrived after it, and the second wave of orders goes on beyond it.
BOOKS_LATER = timedelta(days=9, hours=1, minutes=57, seconds=12.5)
FORCED = universe.deribit("ETH-PERPETUAL")
FORCED_AT = [datetime(2026, 3, 10, 8, tzinfo=UTC), UNTIL - timedelta(seconds=45)]


def copied(full: Location, root: Path) -> Location:
    """A lake of its own that holds one coin, unit by unit."""

    def of_coin(_: lake.Partition, rows: pl.DataFrame) -> pl.DataFrame:
        is_told = "underlying" in rows.columns
        return rows.filter(pl.col("underlying") == COIN) if is_told else rows

    location = started(full, root)
    for manifest in manifests(full):
        fill(location, manifest, full, of_coin)
    return location


def cut(own: Location, full: Location, root: Path, until: datetime) -> Location:
    """The same lake with only what was knowable by `until`, as the staging of `full` has it."""
    known = {table.name: knowable(full, table.name, until) for table in LAKE}

    def by_then(of: lake.Partition, rows: pl.DataFrame) -> pl.DataFrame:
        return rows.join(known[of.table], on=rows.columns, how="semi", nulls_equal=True,
                         maintain_order="left")  # fmt: skip

    location = started(full, root)
    for manifest in manifests(own):
        if manifest.partition.day <= until.date():
            fill(location, manifest, own, by_then)
    return location


def started(full: Location, root: Path) -> Location:
    """An empty folder of the same world."""
    root.mkdir()
    (root / "world.json").write_text((full.root / "world.json").read_text())
    return Location(root)


def plant(location: Location, until: datetime) -> None:
    """Commit what had arrived by `until` of the books of two venues and of two forced waves."""
    for instrument in book_world.MIDDLES:
        facts = universe.observations([instrument], UNTIL.date()).to_dicts()
        flow_world.commit(location, "instruments", instrument, UNTIL.date(), facts)
        rows = [row for n in range(book_world.TIMES) for row in later(instrument, n)]
        arrived = [row for row in rows if row["received_at"] <= until]
        flow_world.commit(location, "books", instrument, UNTIL.date(), arrived)
    arrived = [row for row in forced() if row["received_at"] <= until]
    flow_world.commit(location, "liquidations", FORCED, UNTIL.date(), arrived)


def later(instrument: universe.Instrument, n: int) -> list[dict[str, Any]]:
    """A book of the planted world, on this day."""
    stamps = ("snapshot_at", "received_at")
    rows = book_world.book(instrument, n)
    return [row | {name: row[name] + BOOKS_LATER for name in stamps} for row in rows]


def forced() -> list[dict[str, Any]]:
    """Two waves of eight forced sales, ten seconds apart."""
    return [
        {
            "venue": FORCED.venue,
            "underlying": FORCED.underlying,
            "instrument_id": FORCED.instrument_id,
            "trade_id": f"forced {wave} {n}",
            "event_at": start + timedelta(seconds=10 * n),
            "received_at": start + timedelta(seconds=10 * n + 1),
            "side": "sell",
            "price": 3000.0 - n,
            "quantity_base": 2.0,
            "notional_usd": 6000.0 - 2 * n,
        }
        for wave, start in enumerate(FORCED_AT)
        for n in range(8)
    ]


def fill(
    location: Location,
    manifest: lake.Manifest,
    held: Location,
    keep: Callable[[lake.Partition, pl.DataFrame], pl.DataFrame],
    at: datetime | None = None,
) -> None:
    """Commit part by part what `keep` leaves of each unit, and units that never had any row."""
    table, units = LAKE_TABLES[manifest.partition.table], {u.name: u for u in manifest.units}
    for part in manifest.current_parts():
        rows = pl.read_parquet(manifest.partition.folder(held) / part.name)
        kept = {
            name: keep(manifest.partition, rows.filter(lake.rows_of(table, name)))
            for name in part.units
        }
        told = {n: own for n, own in kept.items() if own.height or not units[n].rows}
        if told:
            commit(location, manifest.partition, told, units, at or clock())


def commit(
    location: Location,
    partition: lake.Partition,
    told: Mapping[str, pl.DataFrame],
    units: Mapping[str, lake.Unit],
    at: datetime,
) -> None:
    changed = [replace(units[n], rows=own.height, committed_at=at) for n, own in told.items()]
    rows = pl.concat(list(told.values()))
    with lake.stage(location, partition) as part:
        part.write(rows.sort(LAKE_TABLES[partition.table].sort, maintain_order=True))
        staged = part.finish(list(told))
        lake.commit(location, partition, units=changed, parts=[staged], checks=[], at=at)


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
    own = copied(simulated, tmp_path / "a")
    ended = cut(own, simulated, tmp_path / "b", UNTIL)
    plant(own, clock())
    plant(ended, UNTIL)
    path = build(own, clock=clock, as_of=UNTIL).path
    past = marts(path, UNTIL)
    stopped = marts(build(ended, clock=clock).path, UNTIL)
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
    own = started(simulated, tmp_path / "a")
    found = manifests(simulated)
    first = min(m.partition.day for m in found if m.partition.table == "trades")

    def copy(of: list[lake.Manifest], share: float, at: datetime) -> None:
        for manifest in of:
            fill(own, manifest, simulated, lambda _, rows: rows.head(int(share * rows.height)), at)

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
