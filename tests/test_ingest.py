"""Files become committed rows, or one clear line; never a part of either."""

import errno
import hashlib
import os
import resource
from datetime import UTC, date, datetime
from pathlib import Path

import archive_files
import polars as pl
import pytest
from archive_files import CHAIN_HEADER, DAY, binance, clock, ms, option_row, quarantined, spot_row

from pipelines import feeds, ingest
from pipelines.continuity import Tracker
from pipelines.ingest import BAD_DATA, CHECKS_FAILED, INPUT_OUTPUT, OK, USAGE, import_paths
from warehouse import lake
from warehouse.lake import Partition, read_manifest
from warehouse.location import Location, World, process_name

SPOT = "binance:BTC/USDT"
NEXT = date(2024, 8, 9)


@pytest.fixture
def location(tmp_path) -> Location:
    return Location(tmp_path / "house")


def run(location: Location, *paths: Path, **more):
    return import_paths(location, paths, clock=more.pop("clock", clock), **more)


def ids(location: Location, day: date = DAY) -> list[int]:
    rows = lake.scan(location, "trades").filter(pl.col("event_at").dt.date() == day).collect()
    return rows["sequence"].to_list()


def unit(location: Location, day: date = DAY, name: str = SPOT, table: str = "trades"):
    return read_manifest(location, Partition(table, "binance", day)).unit(name)


def contents(location: Location) -> dict[str, str]:
    """Digest of every file below the folder, but locks."""
    return {
        str(path.relative_to(location.root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(location.root.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def nothing_is_held(location: Location) -> bool:
    return not lake.partitions(location) and not list(location.root.rglob("*.parquet"))


def rows(first: int, last: int, day: date = DAY) -> list[str]:
    return [spot_row(number, day) for number in range(first, last + 1)]


# ---------- what goes well


def test_a_day_of_trades_is_committed_with_its_instrument_and_its_checks(tmp_path, location):
    report = run(location, binance(tmp_path, rows(1, 9)))
    assert (report.exit_code, report.errors) == (OK, ())
    (file,) = report.files
    assert (file.table, file.venue, file.days, file.rows, file.state) == (
        "trades",
        "binance",
        (DAY,),
        9,
        "committed",
    )
    assert ids(location) == list(range(1, 10))
    (instrument,) = lake.scan(location, "instruments").collect().to_dicts()
    assert (instrument["instrument_id"], instrument["native_symbol"]) == (SPOT, "BTCUSDT")
    assert instrument["valid_from"] == datetime(2024, 8, 8, tzinfo=UTC)
    checks = read_manifest(location, Partition("trades", "binance", DAY)).checks
    assert {"columns", "price_out_of_bounds", "key_repeated", "numbers_missing"} <= {
        check.expectation for check in checks
    }
    assert all(check.is_passed and check.evaluated_count == 9 for check in checks)
    assert location.world() == World("real")


def test_neighbours_prove_a_day_whole_in_whatever_order_they_come(tmp_path, location):
    days = {date(2024, 8, 7): (1, 3), DAY: (4, 6), NEXT: (7, 9)}
    files = {
        day: binance(tmp_path, rows(*span, day), period=day.isoformat())
        for day, span in days.items()
    }
    for day in (DAY, NEXT, date(2024, 8, 7)):
        run(location, files[day])
    assert unit(location).status == "complete"
    assert unit(location, NEXT).status == "unprovable"
    assert unit(location).first_sequence == 4


def test_a_checksum_proves_the_file_not_the_day(tmp_path, location):
    run(location, binance(tmp_path, rows(1, 9)))
    assert unit(location).status == "unprovable"


def test_a_month_is_cut_into_its_days(tmp_path, location):
    lines = rows(1, 3, DAY) + rows(4, 6, NEXT) + rows(7, 9, date(2024, 8, 10))
    (file,) = run(location, binance(tmp_path, lines, period="2024-08")).files
    assert len(file.days) == 3
    assert ids(location, NEXT) == [4, 5, 6]
    assert unit(location, NEXT).status == "complete"


def test_markets_of_one_symbol_live_beside_each_other(tmp_path, location):
    um = [f"{n},60000,1,60000,{ms(DAY, n)},true" for n in range(3)]
    cm = ["id,price,qty,base_qty,time,is_buyer_maker", f"5,60000,1,0.001,{ms(DAY, 5)},true"]
    run(
        location,
        binance(tmp_path, rows(1, 4)),
        binance(tmp_path, um, market="um"),
        binance(tmp_path, cm, market="cm", symbol="BTCUSD_PERP"),
    )
    held = read_manifest(location, Partition("trades", "binance", DAY)).units
    assert {one.name: one.rows for one in held} == {
        SPOT: 4,
        "binance:BTC/USDT:USDT": 3,
        "binance:BTC/USD:BTC": 1,
    }


def test_importing_again_changes_nothing(tmp_path, location):
    lines = [*rows(1, 9), "10,x,1,1,1,True,True", spot_row(9)]
    chain = archive_files.tardis(
        tmp_path / "t", "options_chain", CHAIN_HEADER, [option_row(n * 100) for n in range(9)]
    )
    path = binance(tmp_path, lines)
    run(location, path, chain)
    before = contents(location)
    report = run(location, chain, path, clock=lambda: datetime(2027, 1, 1, tzinfo=UTC))
    assert {file.state for file in report.files} == {"unchanged"}
    assert contents(location) == before


def test_the_same_rows_give_the_same_parts_in_another_folder(tmp_path, location):
    other = Location(tmp_path / "other")
    path = binance(tmp_path, rows(1, 9))
    run(location, path)
    run(other, path, clock=lambda: datetime(2027, 1, 1, tzinfo=UTC))
    assert lake.parts(location, "trades") == lake.parts(other, "trades")


def test_a_corrected_file_is_a_revision(tmp_path, location):
    run(location, binance(tmp_path, rows(1, 9)))
    run(location, binance(tmp_path, rows(1, 12)), clock=lambda: datetime(2027, 1, 1, tzinfo=UTC))
    assert ids(location) == list(range(1, 13))
    parts = read_manifest(location, Partition("trades", "binance", DAY)).parts
    assert sorted(part.rows for part in parts) == [9, 12]


def test_aggregated_trades_never_replace_single_ones(tmp_path, location):
    aggregated = [f"{n},60000,1,1,2,{ms(DAY, n)},True,True" for n in range(3)]
    single = binance(tmp_path, rows(1, 9))
    report = run(location, single, binance(tmp_path, aggregated, kind="aggTrades"))
    assert report.exit_code == OK
    assert any("held from a better source" in n for f in report.files for n in f.notices)
    assert ids(location) == list(range(1, 10))


def test_progress_is_told_up_to_the_whole_file(tmp_path, location):
    told = []
    path = binance(tmp_path, rows(1, 9))
    run(location, path, progress=lambda *one: told.append(one))
    assert told[-1] == (path.name, path.stat().st_size, path.stat().st_size)


def test_folders_are_walked_and_documents_are_passed_over(tmp_path, location):
    source = tmp_path / "source"
    binance(source, rows(1, 9))
    for name in ("README.md", "LICENSE.someone.txt", "deep/NOTICE", ".hidden"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text("words")
    report = run(location, source, source / "data")
    assert (report.exit_code, len(report.files)) == (OK, 1)


def test_a_chain_of_many_stamps_becomes_units_on_the_grid(tmp_path, location):
    other = "BTC-27SEP24-70000-P"
    lines = [option_row(10), option_row(20, other), option_row(290), option_row(310)]
    report = run(location, archive_files.tardis(tmp_path, "options_chain", CHAIN_HEADER, lines))
    assert report.exit_code == OK
    held = read_manifest(location, Partition("option_quotes", "deribit", DAY)).units
    assert [(one.name, one.rows) for one in held] == [
        ("BTC@2024-08-08T00:05:00+00:00", 2),
        ("BTC@2024-08-08T00:10:00+00:00", 2),
    ]
    assert lake.scan(location, "instruments").collect().height == 2


def test_a_day_of_snapshots_is_one_part_in_the_order_of_its_table(tmp_path, location):
    names = ("BTC-27SEP24-60000-C", "BTC-27SEP24-70000-P", "ETH-27SEP24-3000-C")
    lines = [option_row(60 * n, names[n % 3]) for n in range(60)]
    path = archive_files.tardis(tmp_path, "options_chain", CHAIN_HEADER, lines)
    run(location, path)
    (manifest,) = lake.manifests(location, "option_quotes")
    (part,) = manifest.parts
    assert len(manifest.units) == len(part.units) == 25  # BTC alone at midnight
    rows = lake.scan(location, "option_quotes").select("snapshot_at", "instrument_id").collect()
    assert rows.height == part.rows == sum(unit.rows for unit in manifest.units)
    assert rows.equals(rows.sort("snapshot_at", "instrument_id"))
    before = contents(location)
    assert run(location, path).files[0].state == "unchanged"
    assert contents(location) == before


def test_the_file_that_begins_at_midnight_leaves_the_state_of_the_one_that_ended_there(
    tmp_path, location
):
    other = "BTC-27SEP24-70000-P"
    shift = 86_400
    ends = [option_row(shift - 60), option_row(shift - 50, other)]
    begins = [option_row(shift), option_row(shift + 400)]
    first = archive_files.tardis(tmp_path, "options_chain", CHAIN_HEADER, ends)
    second = archive_files.tardis(tmp_path, "options_chain", CHAIN_HEADER, begins, day=NEXT)
    for order in ((first, second), (second, first)):
        run(location, *order)
        midnight = read_manifest(location, Partition("option_quotes", "deribit", NEXT)).unit(
            "BTC@2024-08-09T00:00:00+00:00"
        )
        assert midnight.rows == 2
        before = contents(location)
        assert {file.state for file in run(location, *order).files} == {"unchanged"}
        assert contents(location) == before


# ---------- rows that are bad


def test_bad_rows_go_to_quarantine_with_their_text_and_the_rest_is_kept(tmp_path, location):
    bad = {
        3: ("3,sixty,0.1,1,1,True,True", "price_unreadable"),
        4: ("4,60000", "wrong_number_of_cells"),
        6: (spot_row(6, price="-1"), "price_out_of_bounds"),
        8: (spot_row(8, date(2024, 8, 9)), "outside_file_period"),
        9: (spot_row(9, size="0.00000000"), "quantity_base_out_of_bounds"),
    }
    lines = [bad.get(n, (spot_row(n), ""))[0] for n in range(1, 13)]
    report = run(location, binance(tmp_path, lines))
    assert (report.exit_code, report.files[0].quarantined) == (OK, 5)
    assert ids(location) == [1, 2, 5, 7, 10, 11, 12]
    refused = quarantined(location, "trades")
    assert refused["row_number"].to_list() == list(bad)
    assert dict(zip(refused["row_number"], refused["reason"], strict=True)) == {
        number: reason for number, (_, reason) in bad.items()
    }
    assert refused["row_text"].to_list() == [text for text, _ in bad.values()]
    assert {gap.cause for gap in unit(location).gaps} == {"quarantined"}


def test_repeated_rows_are_kept_once(tmp_path, location):
    lines = rows(1, 5) + rows(4, 9)
    report = run(location, binance(tmp_path, lines))
    assert ids(location) == list(range(1, 10))
    refused = quarantined(location, "trades")
    assert refused["reason"].to_list() == ["duplicate_key"] * 2
    assert refused["row_number"].to_list() == [6, 7]
    assert report.files[0].quarantined == 2
    assert unit(location).gaps == ()


def test_rows_in_any_order_give_the_part_of_rows_in_order(tmp_path, location):
    lines, other = rows(1, 60), Location(tmp_path / "other")
    run(location, binance(tmp_path, lines))
    run(other, binance(tmp_path / "shuffled", lines[30:] + lines[:30][::-1]))
    assert lake.parts(location, "trades") == lake.parts(other, "trades")


def test_prints_without_numbers_are_kept_once_however_far_apart(tmp_path, location):
    header = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
    lines = [
        f"deribit,{symbol},{ms(DAY, at) * 1_000},{ms(DAY, at) * 1_000},{name},buy,60000,10"
        for at, symbol, name in [
            (3, "BTC-PERPETUAL", "a"), (1, "BTC-PERPETUAL", "b"), (2, "ETH-PERPETUAL", "a"),
            (9, "BTC-PERPETUAL", "a"), (5, "BTC-PERPETUAL", "c"),
        ]
    ]  # fmt: skip
    run(location, archive_files.tardis(tmp_path, "trades", header, lines))
    kept = lake.scan(location, "trades").collect()
    assert kept.select("instrument_id", "trade_id").rows() == [
        ("deribit:BTC/USD:BTC", "b"),
        ("deribit:BTC/USD:BTC", "a"),
        ("deribit:BTC/USD:BTC", "c"),
        ("deribit:ETH/USD:ETH", "a"),
    ]
    assert quarantined(location, "trades")["row_number"].to_list() == [4]


def test_of_quotes_with_one_stamp_the_last_one_holds(tmp_path, location):
    header = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"
    stamp = ms(DAY, 5) * 1_000
    lines = [f"deribit,BTC-PERPETUAL,{stamp},{stamp + n},10,6100{n},60000,10" for n in range(3)]
    run(location, archive_files.tardis(tmp_path, "quotes", header, lines))
    assert lake.scan(location, "quotes").collect()["ask_price"].to_list() == [61002]
    assert quarantined(location, "quotes")["row_number"].to_list() == [1, 2]


def test_a_header_and_a_byte_order_mark_are_no_rows(tmp_path, location):
    header = "id,price,qty,quote_qty,time,is_buyer_maker,is_best_match"
    path = binance(tmp_path, ["\ufeff" + header, *rows(1, 3)])
    assert run(location, path).files[0].quarantined == 0
    assert ids(location) == [1, 2, 3]


# ---------- files that are bad


def refused(location: Location, path: Path, message: str, code: int = BAD_DATA) -> None:
    report = run(location, path)
    assert report.exit_code == code
    (line,) = report.errors
    assert path.name in line
    assert message in line
    assert "\n" not in line
    assert nothing_is_held(location)


def test_an_unknown_format_is_refused(tmp_path, location):
    path = tmp_path / "candles.csv"
    path.write_text("open,close\n1,2\n")
    refused(location, path, "unknown format")


def test_an_unknown_file_inside_a_folder_is_named(tmp_path, location):
    binance(tmp_path / "source", rows(1, 3))
    (tmp_path / "source" / "candles.csv").write_text("open,close\n1,2\n")
    report = run(location, tmp_path / "source")
    assert report.exit_code == BAD_DATA
    assert ids(location) == [1, 2, 3]
    assert "candles.csv" in report.errors[0]


@pytest.mark.parametrize("name", ["x.csv", "BTCUSDT-trades-2024-08-08.csv"])
def test_an_empty_file_is_refused(tmp_path, location, name):
    path = tmp_path / "spot" / name
    path.parent.mkdir()
    path.touch()
    refused(location, path, "unknown format" if name == "x.csv" else "holds no rows")


def test_a_file_of_a_header_alone_is_refused(tmp_path, location):
    header = "id,price,qty,quote_qty,time,is_buyer_maker"
    refused(location, binance(tmp_path, [header], market="um"), "holds no rows")


def test_a_file_that_fails_its_checksum_is_refused_and_the_others_are_imported(tmp_path, location):
    good = binance(tmp_path, rows(1, 3))
    bad = binance(tmp_path, rows(4, 6, NEXT), period=NEXT.isoformat())
    archive_files.with_checksum(bad, "0" * 64)
    report = run(location, bad, good)
    assert (report.exit_code, len(report.files)) == (BAD_DATA, 1)
    assert bad.name in report.errors[0]
    assert "its CHECKSUM file says" in report.errors[0]
    assert ids(location) == [1, 2, 3]
    assert unit(location, NEXT) is None


def test_a_file_without_a_checksum_is_taken_with_a_notice(tmp_path, location):
    path = binance(tmp_path, rows(1, 3))
    path.with_name(f"{path.name}.CHECKSUM").unlink()
    assert "no CHECKSUM file beside it" in run(location, path).files[0].notices


def test_a_truncated_file_leaves_nothing_of_what_came_before_the_cut(tmp_path, location):
    path = binance(tmp_path, rows(1, 3_000))
    path.with_name(f"{path.name}.CHECKSUM").unlink()
    path.write_bytes(path.read_bytes()[:-400])
    refused(location, path, "is damaged")


def test_a_damaged_gzip_leaves_nothing(tmp_path, location):
    path = archive_files.tardis(tmp_path, "options_chain", CHAIN_HEADER, [option_row(5)] * 50)
    path.write_bytes(path.read_bytes()[:-12])
    refused(location, path, "is damaged")


def test_a_bomb_is_refused(tmp_path, location):
    path = tmp_path / "spot" / "BTCUSDT-trades-2024-08-08.zip"
    archive_files.zip_file(path, b"1" * 2**28)
    refused(location, path, "beyond 200 to 1")


def test_a_member_outside_the_archive_is_refused(tmp_path, location):
    path = tmp_path / "spot" / "BTCUSDT-trades-2024-08-08.zip"
    archive_files.zip_file(path, rows(1, 1)[0], member="../../BTCUSDT-trades-2024-08-08.csv")
    refused(location, path, "alone is expected")


def test_a_bad_date_in_a_name_is_refused(tmp_path, location):
    refused(location, binance(tmp_path, rows(1, 3), period="2024-02-30"), "is no day and no month")


def test_a_file_that_is_mostly_bad_is_refused_whole(tmp_path, location):
    lines = [*rows(1, 4), *(f"{n},x,1,1,1,True,True" for n in range(5, 11))]
    path = binance(tmp_path, lines)
    message = "trades: refused_share: 6 of 10 rows were refused (60%), 6 of them as price_unreadabl"
    refused(location, path, message, CHECKS_FAILED)


def test_a_key_that_is_still_kept_twice_stops_the_day_before_it_is_committed(
    tmp_path, location, monkeypatch
):
    class Forgetful(Tracker):
        """Finds repeated keys and keeps them all the same."""

        def take(self, frame):
            _, again = super().take(frame)
            self._check_kept(frame)
            return frame, again.clear()

    monkeypatch.setattr(feeds, "Tracker", Forgetful)
    path = binance(tmp_path, [*rows(1, 5), *rows(4, 9)])
    message = "day=2024-08-08: key_repeated: 2 of 9 rows broke it"
    refused(location, path, message, CHECKS_FAILED)


def test_a_failed_check_does_not_stop_the_other_files_and_bad_data_weighs_more(tmp_path, location):
    mostly_bad = binance(tmp_path, ["1,x,1,1,1,True,True"], symbol="ETHUSDT")
    unknown = tmp_path / "candles.csv"
    unknown.write_text("open,close\n1,2\n")
    assert run(location, mostly_bad, binance(tmp_path, rows(1, 3))).exit_code == CHECKS_FAILED
    assert ids(location) == [1, 2, 3]
    assert run(location, mostly_bad, unknown).exit_code == BAD_DATA


def test_a_day_of_another_day_is_refused_whole(tmp_path, location):
    path = binance(tmp_path, rows(1, 9, NEXT))
    refused(location, path, "9 of them as outside_file_period", CHECKS_FAILED)


def test_percent_where_fractions_belong_stops_the_file(tmp_path, location, monkeypatch):
    # as if a venue changed its unit under our feet
    line = option_row(5).replace(",50,0.07,3,60,0.06,55,", ",3000,0.07,3,3000,0.06,3000,")
    path = archive_files.tardis(tmp_path, "options_chain", CHAIN_HEADER, [line])
    message = "option_quotes.venue_iv_mark: venue_iv_unit: was 30.0. Venues send percent or fracti"
    refused(location, path, message, CHECKS_FAILED)


def test_a_path_that_does_not_exist_stops_before_anything_is_done(tmp_path, location):
    report = run(location, binance(tmp_path, rows(1, 3)), tmp_path / "absent")
    assert report.exit_code == USAGE
    assert "absent: no such file or folder" in report.errors[0]
    assert not location.root.exists()


def test_a_folder_with_nothing_in_it_is_told(tmp_path, location):
    (tmp_path / "empty").mkdir()
    report = run(location, tmp_path / "empty")
    assert report.exit_code == BAD_DATA
    assert "nothing to import" in report.errors[0]


def test_real_files_do_not_enter_a_simulated_world(tmp_path, location):
    location.claim(World("simulator", seed=1))
    report = run(location, binance(tmp_path, rows(1, 3)))
    assert report.exit_code == BAD_DATA
    assert "holds simulator data" in report.errors[0]
    assert nothing_is_held(location)


def test_a_portfolio_may_be_held_in_either_world(tmp_path, location):
    location.claim(World("simulator", seed=1))
    file = tmp_path / "balances.csv"
    file.write_text("portfolio_id,as_of_at,coin,equity\nmine,2026-03-10T00:00:00Z,BTC,1.5\n")
    report = run(location, file)
    assert (report.exit_code, report.errors) == (0, ())
    assert location.world() == World("simulator", seed=1)


# ---------- disk and permission


def test_a_full_disk_is_told_once_and_leaves_no_partial(tmp_path, location, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(feeds, "commit", full)
    paths = [binance(tmp_path, rows(1, 3)), binance(tmp_path, rows(1, 3), symbol="ETHUSDT")]
    report = run(location, *paths)
    assert (report.exit_code, len(report.errors)) == (INPUT_OUTPUT, 1)
    assert "No space left on device" in report.errors[0]
    assert not list(location.root.rglob("*.tmp"))
    assert lake.scan(location, "trades").collect().is_empty()
    assert not list(location.work.iterdir())


def test_a_spool_that_meets_a_file_limit_leaves_no_partial(tmp_path, location):
    path = binance(tmp_path, rows(1, 20_000))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        report = run(location, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert report.exit_code == INPUT_OUTPUT
    assert nothing_is_held(location)


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_folder_that_may_not_be_written_is_told(tmp_path, location):
    location.root.mkdir()
    location.root.chmod(0o500)
    assert run(location, binance(tmp_path, rows(1, 3))).exit_code == INPUT_OUTPUT


def test_a_data_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "house").write_text("no folder")
    report = run(Location(tmp_path / "house"), binance(tmp_path, rows(1, 3)))
    assert report.exit_code == INPUT_OUTPUT
    assert str(tmp_path / "house") in report.errors[0]


def test_what_a_killed_import_left_behind_is_swept_but_not_what_another_machine_may_still_write(
    tmp_path, location
):
    machine = process_name().split("-")[0]
    left, foreign = (
        location.work / f"{ingest.SCRATCH}-{name}-999999999-x" for name in (machine, "0" * 12)
    )
    for folder in (left, foreign):
        folder.mkdir(parents=True)
        (folder / "spool").write_text("half")
    run(location, binance(tmp_path, rows(1, 3)))
    assert not left.exists()
    assert (foreign / "spool").exists()


# ---------- portfolios

POSITIONS = (
    "portfolio_id,as_of_at,instrument_id,quantity_contracts,quantity_base,entry_price,margin_mode"
)


def portfolio(tmp_path: Path, *lines: str, name: str = "positions.csv") -> Path:
    path = tmp_path / name
    path.write_text("\n".join([POSITIONS, *lines, ""]))
    return path


def test_a_portfolio_is_imported_after_the_market_that_names_its_instruments(tmp_path, location):
    book = portfolio(
        tmp_path,
        f"book,2024-08-08T12:00:00Z,{SPOT},,0.5,60000,",
        f"book,2024-08-09T12:00:00Z,{SPOT},,0.7,60000,",
    )
    report = run(location, book, binance(tmp_path, rows(1, 3)))
    assert (report.exit_code, report.errors) == (OK, ())
    held = lake.scan(location, "positions").sort("as_of_at").collect()
    assert held["quantity_base"].to_list() == [0.5, 0.7]
    names = [u.name for m in lake.manifests(location, "positions") for u in m.units]
    assert names == ["book@2024-08-08T12:00:00+00:00", "book@2024-08-09T12:00:00+00:00"]
    assert list((location.raw / "portfolio").iterdir())


def test_a_portfolio_imported_again_changes_nothing(tmp_path, location):
    book = portfolio(tmp_path, f"book,2024-08-08,{SPOT},,0.5,,")
    run(location, binance(tmp_path, rows(1, 3)), book)
    before = contents(location)
    assert run(location, book).files[0].state == "unchanged"
    assert contents(location) == before


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("book,2024-08-08,binance:DOGE/USDT,,1,,", "row 2, instrument_id: was 'binance:DOGE/USDT'"),
        (f"book,2024-08-09,{SPOT},,nan,,", "row 2, quantity_base: was 'nan'"),
        (f"book,2024-08-09,{SPOT},,0,,", "row 2, quantity_base: was '0'"),
        (f"book,2024-08-09,{SPOT},,0.000001,,", "row 2, quantity_base: was '0.000001', not a mult"),
        (f"book,2024-08-09,{SPOT},,,,", "row 2, quantity_contracts: was ''"),
    ],
)
def test_a_wrong_row_refuses_the_whole_portfolio(tmp_path, location, line, message):
    market = binance(tmp_path, rows(1, 3))
    report = run(location, market, portfolio(tmp_path, f"book,2024-08-08,{SPOT},,0.5,,", line))
    assert report.exit_code == BAD_DATA
    assert message in report.errors[0]
    assert "positions.csv" in report.errors[0]
    assert lake.scan(location, "positions").collect().is_empty()
    assert ids(location) == [1, 2, 3]


def test_a_state_that_is_corrected_replaces_the_one_before(tmp_path, location):
    run(
        location,
        binance(tmp_path, rows(1, 3)),
        portfolio(tmp_path, f"book,2024-08-08,{SPOT},,0.5,,"),
    )
    run(location, portfolio(tmp_path, f"book,2024-08-08,{SPOT},,0.9,,", name="again.csv"))
    assert lake.scan(location, "positions").collect()["quantity_base"].to_list() == [0.9]
