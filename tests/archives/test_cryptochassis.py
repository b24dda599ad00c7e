"""Gemini's prints and quotes per second: takers, empty sides, cells that are none."""

import gzip
from datetime import UTC, date, datetime
from pathlib import Path

import archive_files
import polars as pl
import pytest

from pipelines.archives import cryptochassis, opening
from pipelines.archives.base import SourceRefused
from pipelines.ingest import BAD_DATA, CHECKS_FAILED, OK, import_paths
from warehouse import lake
from warehouse.location import Location

DAY = date(2021, 7, 1)
MIDNIGHT = 1_625_097_600
ETH = "gemini:ETH/USD"
TRADES = "time_seconds,price,size,is_buyer_maker"
QUOTES = "time_seconds,bid_price_bid_size,ask_price_ask_size"


def file(root: Path, kind: str, header: str, rows: list[str], day: str = "2021-07-01") -> Path:
    path = root / f"gemini__eth-usd__{day}__{kind}.csv.gz"
    path.write_bytes(gzip.compress("\n".join([header, *rows, ""]).encode(), mtime=0))
    return path


def bring(root: Path, path: Path):
    location = Location(root / "data")
    return location, import_paths(location, [path], clock=archive_files.clock)


def test_the_taker_is_on_the_other_side_of_the_maker(tmp_path):
    rows = [f"{MIDNIGHT}.5,2000,0.25,1", f"{MIDNIGHT}.5,2000,0.25,0", f"{MIDNIGHT + 7},2001,1,0"]
    location, report = bring(tmp_path, file(tmp_path, "trade", TRADES, rows))
    assert (report.exit_code, report.errors) == (OK, ())
    found = lake.scan(location, "trades").sort("trade_id").collect()
    assert found["side"].to_list() == ["sell", "buy", "buy"]
    assert found["trade_id"].to_list() == ["2021-07-01-1", "2021-07-01-2", "2021-07-01-3"]
    assert found["event_at"][0] == datetime(2021, 7, 1, 0, 0, 0, 500_000, tzinfo=UTC)
    assert found["notional_usd"].to_list() == [500.0, 500.0, 2001.0]
    (unit,) = (u for m in lake.manifests(location, "trades") for u in m.units)
    assert (unit.name, unit.status, unit.first_sequence) == (ETH, "unprovable", None)


def test_a_quote_may_have_one_side(tmp_path):
    rows = [f"{MIDNIGHT},2000.5_1.5,2001_2", f"{MIDNIGHT + 1},,2001_2", f"{MIDNIGHT + 2},2000_3,"]
    location, report = bring(tmp_path, file(tmp_path, "market-depth", QUOTES, rows))
    assert (report.exit_code, report.errors) == (OK, ())
    found = lake.scan(location, "quotes").sort("snapshot_at").collect()
    assert found["bid_price"].to_list() == [2000.5, None, 2000.0]
    assert found["bid_quantity_base"].to_list() == [1.5, None, 3.0]
    assert found["ask_price"].to_list() == [2001.0, 2001.0, None]
    assert found["is_every_update"].to_list() == [False] * 3


@pytest.mark.parametrize(
    ("kind", "header", "row", "reason"),
    [
        ("trade", TRADES, f"{MIDNIGHT},2000,1,2", "is_buyer_maker_unreadable"),
        ("trade", TRADES, f"{MIDNIGHT},2000,1,", "is_buyer_maker_missing"),
        ("trade", TRADES, f"{MIDNIGHT},x,1,1", "price_unreadable"),
        ("trade", TRADES, f"{MIDNIGHT},2000,1", "wrong_number_of_cells"),
        ("trade", TRADES, f"{MIDNIGHT},2000,0,1", "quantity_base_out_of_bounds"),
        ("trade", TRADES, f"{MIDNIGHT},-1,1,1", "price_out_of_bounds"),
        ("trade", TRADES, f"{MIDNIGHT}000,2000,1,1", "event_at_in_another_unit"),
        ("trade", TRADES, f"{MIDNIGHT + 86_400},2000,1,1", "outside_file_period"),
        ("market-depth", QUOTES, f"{MIDNIGHT},2000,2001_1", "bid_price_bid_size_unreadable"),
        ("market-depth", QUOTES, f"{MIDNIGHT},2000_1,2001_1_1", "ask_price_ask_size_unreadable"),
        ("market-depth", QUOTES, f"{MIDNIGHT},2000_,2001_1", "bid_price_bid_size_unreadable"),
        ("market-depth", QUOTES, f"{MIDNIGHT},,", "both_sides_missing"),
        ("market-depth", QUOTES, f"{MIDNIGHT},0_1,2001_1", "bid_price_out_of_bounds"),
        ("market-depth", QUOTES, f"{MIDNIGHT + 5},1999_1,2001_1", "duplicate_key"),
    ],
)
def test_a_row_that_cannot_be_read_is_refused_with_its_reason(tmp_path, kind, header, row, reason):
    good = "2000,1,1" if kind == "trade" else "2000_1,2001_1"
    rows = [f"{MIDNIGHT + n},{good}" for n in range(1, 6)] + [row]
    location, report = bring(tmp_path, file(tmp_path, kind, header, rows))
    assert (report.exit_code, report.errors) == (OK, ())
    table = "trades" if kind == "trade" else "quotes"
    refused = archive_files.quarantined(location, table)
    assert refused.select("row_number", "reason", "row_text").rows() == [(6, reason, row)]
    assert lake.scan(location, table).collect().height == 5


def test_a_header_of_another_depth_is_refused(tmp_path):
    header = f"{QUOTES},more"
    _, report = bring(tmp_path, file(tmp_path, "market-depth", header, ["1,2_1,3_1,4"]))
    assert report.exit_code == BAD_DATA
    assert "header was" in report.errors[0]


def test_a_file_of_milliseconds_is_not_imported(tmp_path):
    rows = [f"{MIDNIGHT + n}000,2000,1,1" for n in range(3)]
    location, report = bring(tmp_path, file(tmp_path, "trade", TRADES, rows))
    assert report.exit_code == CHECKS_FAILED
    assert "3 of them as event_at_in_another_unit" in report.errors[0]
    assert lake.parts(location, "trades") == []


def test_a_bad_date_or_an_unknown_exchange_is_refused_and_named(tmp_path):
    with pytest.raises(SourceRefused, match="2021-02-30 is no day"):
        cryptochassis.recognise(tmp_path / "gemini__eth-usd__2021-02-30__trade.csv.gz")
    with pytest.raises(SourceRefused, match="exchange ftx is not known; known are gemini"):
        cryptochassis.recognise(tmp_path / "ftx__eth-usd__2021-07-01__trade.csv.gz")


def test_the_recorded_day_is_read_whole_and_its_prints_are_at_or_through_its_quotes(recorded):
    found = {}
    for kind, count in (("trade", 25_222), ("market-depth", 72_180)):
        path = recorded / "gemini_ethusd" / f"gemini__eth-usd__{DAY}__{kind}.csv.gz"
        feed = cryptochassis.recognise(path)
        read = [feed.decode(chunk) for chunk in opening.chunks(path, feed.layout)]
        assert all(decoded.refused.is_empty() for decoded in read)
        found[kind] = pl.concat(decoded.rows[feed.tables[0]] for decoded in read)
        assert found[kind].height == count
    joined = found["trade"].join_asof(
        found["market-depth"], left_on="event_at", right_on="snapshot_at"
    )
    assert (joined["event_at"] - joined["snapshot_at"]).dt.total_seconds().max() < 40
    touch = pl.when(side="buy").then("ask_price").otherwise("bid_price")
    other = pl.when(side="buy").then("bid_price").otherwise("ask_price")
    near = joined.select((pl.col("price") - touch).abs() < (pl.col("price") - other).abs())
    assert near.to_series().mean() > 0.8  # a side that were the maker's would be near the other
