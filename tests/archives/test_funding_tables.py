"""Tables of several venues: whose rows are whose, jitter, missing settlements, unknown names."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import archive_files
import duckdb
import polars as pl
import pyarrow.parquet as pq
import pytest

from pipelines import archives
from pipelines.archives import binance, funding_tables, opening
from pipelines.archives.base import SourceRefused
from pipelines.ingest import BAD_DATA, CHECKS_FAILED, OK, import_paths
from warehouse import catalog, lake
from warehouse.contract import INSTANT
from warehouse.location import Location

START = datetime(2025, 11, 1, tzinfo=UTC)
COUNTS = {
    "binance": 1_976,
    "bybit": 1_976,
    "dydx": 350,
    "hyperliquid": 15_822,
    "kraken": 15_808,
    "lighter": 2_512,
    "okx": 358,
}
SCHEMA = {"timestamp": INSTANT, "venue": pl.String, "coin": pl.String, "funding_rate": pl.Float64}


def row(hour: float, venue: str = "kraken", coin: str = "BTC", rate: float | None = 1e-5) -> tuple:
    return (START + timedelta(hours=hour), venue, coin, rate)


def file(root: Path, rows: list[tuple], name: str = "funding_of_2025-11_2025-12") -> Path:
    path = root / f"{name}.parquet"
    pl.DataFrame(rows, schema=SCHEMA, orient="row").write_parquet(path)
    return path


def bring(root: Path, path: Path):
    location = Location(root / "data")
    return location, import_paths(location, [path], clock=archive_files.clock)


def test_each_venue_has_its_own_rows_and_instruments(tmp_path):
    rows = [
        row(8 * n, venue, coin) for n in range(3) for venue in COUNTS for coin in ("BTC", "ETH")
    ]
    location, report = bring(tmp_path, file(tmp_path, rows))
    assert (report.exit_code, report.errors) == (OK, ())
    assert {(f.venue, f.rows) for f in report.files} == {(venue, 6) for venue in COUNTS}
    names = lake.scan(location, "instruments").collect()
    assert {name for name in names["instrument_id"] if "BTC" in name} == {
        "binance:BTC/USDT:USDT",
        "bybit:BTC/USDT:USDT",
        "dydx:BTC/USDC:USDC",
        "hyperliquid:BTC/USDC:USDC",
        "kraken:BTC/USD:USD",
        "lighter:BTC/USDC:USDC",
        "okx:BTC/USDT:USDT",
    }
    kraken = names.filter(instrument_id="kraken:BTC/USD:USD").to_dicts()[0]
    assert (kraken["native_symbol"], kraken["contract_type"]) == ("PF_XBTUSD", "linear")
    told = lake.scan(location, "funding").collect()
    assert told["interval_s"].null_count() == told.height  # nobody declared them
    assert set(told["kind"]) == {"settled"}


def test_missing_settlements_are_gaps_within_a_day_and_over_midnight(tmp_path):
    hours = [n + 0.0001 * (n % 3) for n in range(60) if n not in (5, 6, 23, 24, 25, 40)]
    location, report = bring(tmp_path, file(tmp_path, [row(hour) for hour in hours]))
    assert report.exit_code == OK
    with duckdb.connect() as connection:
        catalog.mount(connection, root=str(location.root), committed_by="")
        gaps = connection.execute(
            "select cause, missing_count, started_at from ops_source.gaps order by started_at"
        ).fetchall()
        coverage = connection.execute(
            "select distinct status from ops_source.coverage where table_name = 'funding'"
        ).fetchall()
    assert [gap[:2] for gap in gaps] == [("absent_in_source", n) for n in (2, 3, 1)]
    assert [gap[2].hour for gap in gaps] == [4, 22, 15]
    assert coverage == [("unprovable",)]


def test_hourly_and_eight_hourly_venues_are_each_measured_by_their_own_step(tmp_path):
    rows = [row(n) for n in range(24)] + [row(8 * n, "okx") for n in range(3)]
    location, report = bring(tmp_path, file(tmp_path, rows))
    assert report.exit_code == OK
    assert [gap for m in lake.manifests(location) for u in m.units for gap in u.gaps] == []


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (row(1, coin="DOGE"), "coin_unknown"),
        (row(1, coin=None), "coin_unknown"),
        (row(1, rate=None), "rate_missing"),
        (row(1, rate=float("nan")), "rate_missing"),
        (row(1, rate=1.5), "rate_out_of_bounds"),
        (row(-1), "outside_file_period"),
        ((None, "kraken", "BTC", 1e-5), "event_at_in_another_unit"),
        (row(3, rate=9e-5), "duplicate_key"),
    ],
)
def test_a_row_that_says_nothing_is_refused_with_its_reason(tmp_path, bad, reason):
    rows = [row(n) for n in (2, 3, 4)] + [bad]
    location, report = bring(tmp_path, file(tmp_path, rows))
    assert (report.exit_code, report.errors) == (OK, ())
    refused = archive_files.quarantined(location, "funding")
    assert refused.select("venue", "row_number", "reason").rows() == [("kraken", 4, reason)]
    assert lake.scan(location, "funding").collect().height == 3


def test_an_unknown_venue_is_told_and_the_others_are_imported(tmp_path):
    rows = [row(1, "ftx"), row(1), row(2), row(1, None)]
    location, report = bring(tmp_path, file(tmp_path, rows))
    assert report.exit_code == CHECKS_FAILED
    assert len(report.errors) == 2
    assert all("1 of 1 rows were refused" in error for error in report.errors)
    assert all("venue_unknown" in error for error in report.errors)
    assert lake.scan(location, "funding").collect().height == 2


def test_other_columns_and_other_names_are_refused(tmp_path):
    path = tmp_path / "open_interest_2025-11_2025-12.parquet"
    pl.DataFrame([row(1)], schema=SCHEMA, orient="row").write_parquet(path)
    _, report = bring(tmp_path, path)
    assert report.exit_code == BAD_DATA
    assert "lack oi_usd" in report.errors[0]
    whole = file(tmp_path, [row(n) for n in range(500)]).read_bytes()
    path = tmp_path / "funding_2025-11_2025-12.parquet"
    path.write_bytes(whole[:4] + b"x" * 200 + whole[204:])
    _, report = bring(tmp_path, path)
    assert (report.exit_code, f"{path}: is damaged" in report.errors[0]) == (BAD_DATA, True)
    path.write_bytes(b"PAR1")
    _, report = bring(tmp_path, path)
    assert "is damaged" in report.errors[0]
    with pytest.raises(SourceRefused, match="2025-13 to 2025-14 are no months"):
        funding_tables.recognise(tmp_path / "funding_2025-13_2025-14.parquet")
    with pytest.raises(SourceRefused, match="unknown format"):
        archives.recognise(file(tmp_path, [row(1)], "rates"))


def test_a_file_that_unpacks_beyond_proportion_is_refused_before_its_rows_are_read(tmp_path):
    path = tmp_path / "funding_of_2025-11_2025-12.parquet"
    table = pl.DataFrame([row(1)] * 500_000, schema=SCHEMA, orient="row").to_arrow()
    pq.write_table(table, path, use_dictionary=False, compression="zstd")
    with pytest.raises(SourceRefused, match="beyond 200 to 1"):
        funding_tables.recognise(path)


def test_a_venues_own_archive_is_kept_and_what_it_keeps_out_is_told_once(tmp_path):
    rows = [f"{archive_files.ms(START.date(), 8 * 3_600 * n)},8,0.0001" for n in range(90)]
    own = archive_files.binance(tmp_path, rows, market="um", kind="fundingRate", period="2025-11")
    location, report = bring(tmp_path, own)
    assert report.exit_code == OK
    table = file(tmp_path, [row(8 * n, "binance") for n in range(90)])
    _, report = bring(tmp_path, table)
    assert report.files[0].notices == (
        "binance:BTC/USDT:USDT of 30 days from 2025-11-01 to 2025-11-30 "
        "is held from a better source",
    )
    assert lake.scan(location, "funding").collect()["interval_s"].unique().to_list() == [28_800]


def test_the_recorded_tables_are_read_whole_and_agree_with_binances_own_archive(recorded):
    path = recorded / "funding/funding_7_venues_2025-03_2026-01.parquet"
    counts, rates = {}, None
    for feed in funding_tables.recognise(path):
        (decoded,) = (feed.decode(chunk) for chunk in opening.chunks(path, feed.layout))
        assert decoded.refused.is_empty()
        counts[feed.venue] = decoded.rows["funding"].height
        assert set(feed.usual_interval_s.values()) == {
            28_800 if feed.venue in ("binance", "bybit", "okx") else 3_600
        }
        rates = decoded.rows["funding"] if feed.venue == "binance" else rates
    assert counts == COUNTS
    assert rates is not None
    files = sorted(recorded.glob("binance_vision/**/BTCUSDT-fundingRate-2025-0[3-6].zip"))
    assert files
    for own in files:
        feed = binance.recognise(own)
        (decoded,) = (feed.decode(chunk) for chunk in opening.chunks(own, feed.layout))
        settled = decoded.rows["funding"]
        both = settled.join(rates, on=["instrument_id", "event_at"], suffix="_told")
        assert both.height == settled.height
        assert both["rate"].to_list() == both["rate_told"].to_list()


def test_open_interest_is_a_state_without_prices(recorded, tmp_path):
    path = recorded / "funding/open_interest_2025-12_2026-01.parquet"
    counts = {}
    for feed in funding_tables.recognise(path):
        (decoded,) = (feed.decode(chunk) for chunk in opening.chunks(path, feed.layout))
        counts[feed.venue] = decoded.rows["quotes"].height
        assert decoded.rows["quotes"]["open_interest_usd"].min() > 1e8
        assert decoded.rows["quotes"]["bid_price"].null_count() == counts[feed.venue]
        assert feed.unit("x") == "x/ticker"
    assert counts == {"hyperliquid": 2_630, "lighter": 1_728}
    days = pl.read_parquet(path).filter(pl.col("timestamp") < datetime(2025, 12, 9, tzinfo=UTC))
    days.write_parquet(tmp_path / path.name)
    location, report = bring(tmp_path, tmp_path / path.name)
    assert (report.exit_code, report.errors) == (OK, ())
    assert lake.scan(location, "quotes").collect().height == days.height
