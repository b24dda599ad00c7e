"""Market data recorded by others is imported whole: the counts are those of its files."""

from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl
import pytest

from pipelines.ingest import OK, ImportReport, import_paths
from warehouse import lake
from warehouse.lake import Partition, read_manifest
from warehouse.location import Location

pytestmark = pytest.mark.whole

SPOT, USD_M, COIN_M = "binance:BTC/USDT", "binance:BTC/USDT:USDT", "binance:BTC/USD:BTC"
TRADES = {
    (date(2024, 7, 23), "binance:NEXO/USDT"): 4_503,
    (date(2024, 7, 24), "binance:NEXO/USDT"): 7_777,
    (date(2024, 8, 8), SPOT): 9_738,
    (date(2024, 8, 8), USD_M): 21_313,
    (date(2024, 8, 8), COIN_M): 2_285,
    (date(2024, 8, 9), SPOT): 10_166,
    (date(2024, 8, 9), COIN_M): 2_950,
    (date(2026, 2, 16), SPOT): 10_215,
    (date(2026, 2, 16), USD_M): 11_947,
}
CHAIN_AT = datetime(2026, 8, 1, 17, 58, 4, 320127, tzinfo=UTC)


@pytest.fixture(scope="module")
def imported(recorded: Path, tmp_path_factory) -> tuple[Location, ImportReport]:
    location = Location(tmp_path_factory.mktemp("recorded"))
    paths = [recorded / "binance_vision", recorded / "tardis"]
    clock = datetime(2026, 11, 20, tzinfo=UTC)
    return location, import_paths(location, paths, clock=lambda: clock)


@pytest.fixture(scope="module")
def location(imported) -> Location:
    return imported[0]


def test_every_file_is_taken_and_no_row_is_refused(imported, recorded):
    location, report = imported
    files = [*list(recorded.glob("binance_vision/**/*.zip")), *recorded.glob("tardis/*.gz")]
    assert (report.exit_code, report.errors) == (OK, ())
    assert {file.path for file in report.files} == set(files)
    assert sum(file.quarantined for file in report.files) == 0
    assert not location.quarantine.exists()
    assert not any("CHECKSUM" in notice for file in report.files for notice in file.notices)


def test_every_row_of_every_trades_file_is_in_the_right_day_with_its_side(location):
    found = (
        lake.scan(location, "trades")
        .group_by(pl.col("event_at").dt.date().alias("day"), "instrument_id")
        .agg(pl.len(), pl.col("side").null_count().alias("unsided"))
        .collect()
    )
    assert {(day, name): count for day, name, count, _ in found.iter_rows()} == TRADES
    assert found["unsided"].sum() == 0
    held = {
        (m.partition.day, u.name): u.rows
        for m in lake.manifests(location, "trades")
        for u in m.units
    }
    assert held == TRADES


def test_the_first_print_of_each_market_is_what_its_file_says(location):
    trades = lake.scan(location, "trades").sort("event_at", "sequence")

    def first(name: str, day: date) -> dict:
        of_day = trades.filter(instrument_id=name).filter(pl.col("event_at").dt.date() == day)
        return of_day.head(1).collect().to_dicts()[0]

    micro = first(SPOT, date(2026, 2, 16))
    assert micro["event_at"] == datetime(2026, 2, 16, 4, 0, 0, 204_000, tzinfo=UTC)
    assert (micro["price"], micro["side"]) == (68_424.82, "buy")
    coin = first(COIN_M, date(2024, 8, 8))
    assert (coin["quantity_contracts"], coin["quantity_base"]) == (4, 0.00647199)
    assert coin["notional_usd"] == 400
    nexo = first("binance:NEXO/USDT", date(2024, 7, 23))
    assert (nexo["side"], nexo["underlying"], nexo["price"]) == ("sell", "NEXO", 1.213)


def test_files_that_are_not_whole_days_are_not_called_whole(location):
    units = {
        (m.partition.day, u.name): u for m in lake.manifests(location, "trades") for u in m.units
    }
    assert {unit.status for unit in units.values()} == {"unprovable"}
    holed = [key for key, unit in units.items() if unit.gaps]
    assert holed == [(date(2026, 2, 16), USD_M)]
    gaps = units[holed[0]].gaps
    assert sum(gap.missing_count for gap in gaps) == 19
    assert {gap.cause for gap in gaps} == {"absent_in_source"}
    # one file ends where the next begins: only the outer ends are open
    assert "2024-07-22 is not held" in units[date(2024, 7, 23), "binance:NEXO/USDT"].proof
    assert "2024-07-24" not in units[date(2024, 7, 23), "binance:NEXO/USDT"].proof


def test_funding_has_eight_hour_intervals_and_its_days_prove_each_other(location):
    rows = lake.scan(location, "funding").collect()
    assert rows["interval_s"].unique().to_list() == [28_800]
    assert rows["kind"].unique().to_list() == ["settled"]
    assert rows.group_by("instrument_id").len()["len"].to_list() == [988, 988]
    on_schedule = rows["event_at"].dt.epoch("ms") % 28_800_000
    assert on_schedule.max() < 60_000
    units = [u for m in lake.manifests(location, "funding") for u in m.units]
    assert sum(unit.status == "complete" for unit in units) == len(units) - 4


def test_the_deribit_chain_is_one_snapshot_of_868_options(location):
    partition = Partition("option_quotes", "deribit", date(2026, 8, 1))
    (unit,) = read_manifest(location, partition).units
    assert (unit.name, unit.rows) == (f"BTC@{CHAIN_AT.isoformat()}", 868)
    chain = lake.scan(location, "option_quotes").filter(snapshot_at=CHAIN_AT).collect()
    assert (chain.height, chain["instrument_id"].n_unique()) == (868, 868)
    assert chain["venue_iv_mark"].null_count() == 868  # the recorder kept none
    assert (chain["bid_price"].null_count(), chain["price_unit"].unique().to_list()) == (
        66,
        ["coin"],
    )


def test_a_chain_of_many_stamps_is_sampled_to_the_grid_in_decimals(location):
    rows = lake.scan(location, "option_quotes").filter(pl.col("snapshot_at") < CHAIN_AT).collect()
    minutes = rows["snapshot_at"].unique().sort().dt.minute().to_list()
    assert minutes == [0, 5, 10]
    age = rows["snapshot_at"] - rows["received_at"]
    assert age.min().total_seconds() >= 0
    assert age.max().total_seconds() <= 900
    assert 0.2 < rows["venue_iv_mark"].median() < 1.0


def test_the_perpetual_in_the_futures_file_is_a_perpetual(location):
    quotes = lake.scan(location, "quotes").collect()
    names = quotes["instrument_id"].to_list()
    assert len(names) == 14
    assert "deribit:BTC/USD:BTC" in names
    kinds = (
        lake.scan(location, "instruments")
        .filter(pl.col("instrument_id").is_in(names))
        .collect()["kind"]
    )
    assert kinds.value_counts().sort("count").rows() == [("perp", 1), ("future", 13)]


def test_every_row_has_its_instrument_on_its_day(location):
    instruments = lake.scan(location, "instruments").select(
        "instrument_id", "valid_from", "valid_to"
    )
    for table, time in (
        ("trades", "event_at"), ("funding", "event_at"), ("quotes", "snapshot_at"),
        ("option_quotes", "snapshot_at"),
    ):  # fmt: skip
        rows = lake.scan(location, table).select("instrument_id", time)
        known = rows.join(instruments, on="instrument_id").filter(
            (pl.col(time) >= pl.col("valid_from")) & (pl.col(time) < pl.col("valid_to"))
        )
        assert known.select(pl.len()).collect().item() == rows.select(pl.len()).collect().item()


def test_every_gate_passed(location):
    checks = [check for m in lake.manifests(location) for check in m.checks]
    assert checks
    failed = {check.expectation for check in checks if not check.is_passed}
    assert failed == {"numbers_missing"}
