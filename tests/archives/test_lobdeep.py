"""Recorded books: each is taken whole or not at all, its best levels and its best quote."""

from datetime import UTC, date, datetime
from pathlib import Path

import archive_files
import polars as pl
import pytest
from archive_files import DAY, ms

from pipelines.archives import lobdeep, opening
from pipelines.archives.base import SourceRefused
from pipelines.ingest import BAD_DATA, CHECKS_FAILED, OK, import_paths
from warehouse import catalog, lake
from warehouse.contract import QUOTES
from warehouse.lake import Unit
from warehouse.location import Location

PERP = "binance:BTC/USDT:USDT"


def book(second: float = 1, **other: object) -> dict:
    """A book of three levels a side at so many seconds after midnight."""
    return {
        "ts_ms": ms(DAY, second) + 200,
        "exch_ts_ms": ms(DAY, second),
        "venue": "Binance",
        "market_type": "fut",
        "symbol": "BTCUSDT",
        "best_bid": 99.0,
        "best_ask": 101.0,
        "bids_px": [99.0, 98.0, 97.0],
        "bids_qty": [1.0, 2.0, 3.0],
        "asks_px": [101.0, 102.0, 103.0],
        "asks_qty": [4.0, 5.0, 6.0],
        **other,
    }


def file(root: Path, books: list[dict], name: str = "lobdeep_btc_fut_2024-08-08_04") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"{name}.parquet"
    pl.DataFrame(books, schema=lobdeep.LAYOUT).write_parquet(path)
    return path


def bring(root: Path, path: Path):
    location = Location(root / "data")
    return location, import_paths(location, [path], clock=archive_files.clock)


def test_a_book_becomes_its_levels_and_its_best_quote(tmp_path):
    location, report = bring(tmp_path, file(tmp_path, [book(1), book(1.1)]))
    assert (report.exit_code, report.errors) == (OK, ())
    assert {(f.table, f.rows) for f in report.files} == {("quotes", 2), ("books", 12)}
    at = datetime(2024, 8, 8, 0, 0, 1, tzinfo=UTC)
    levels = lake.scan(location, "books").filter(snapshot_at=at).sort("side", "level").collect()
    assert levels.select("side", "level", "price", "quantity_base").rows() == [
        ("ask", 1, 101.0, 4.0),
        ("ask", 2, 102.0, 5.0),
        ("ask", 3, 103.0, 6.0),
        ("bid", 1, 99.0, 1.0),
        ("bid", 2, 98.0, 2.0),
        ("bid", 3, 97.0, 3.0),
    ]
    assert set(levels["quoted_at"]) == {at}
    best = lake.scan(location, "quotes").sort("snapshot_at").collect()
    shown = ("instrument_id", "bid_price", "bid_quantity_base", "ask_price", "ask_quantity_base")
    assert best.select(shown).rows() == [(PERP, 99.0, 1.0, 101.0, 4.0)] * 2
    assert best["is_every_update"].to_list() == [False, False]
    assert best["received_at"][0] == datetime(2024, 8, 8, 0, 0, 1, 200_000, tzinfo=UTC)
    units = [u for m in lake.manifests(location) for u in m.units if u.instrument_id == PERP]
    assert {u.status for u in units if u.source == "lobdeep books"} == {"unprovable"}


def revisions(location: Location) -> pl.DataFrame:
    return catalog.ops_frames(location, lake.manifests(location), None)["revisions"]


def second_hour(root: Path) -> Path:
    return file(root, [book(3_600 + n) for n in range(3)], "lobdeep_btc_fut_2024-08-08_05")


@pytest.mark.parametrize("is_together", [True, False])
def test_the_hours_of_a_day_stand_side_by_side(tmp_path, is_together):
    paths = [file(tmp_path, [book(1), book(2)]), second_hour(tmp_path)]
    calls = [paths] if is_together else [[path] for path in paths]
    location = Location(tmp_path / "data")
    for call in calls:
        assert import_paths(location, call, clock=archive_files.clock).exit_code == OK
    assert lake.scan(location, "quotes").collect().height == 5
    assert lake.scan(location, "books").collect().height == 5 * 6
    (held,) = lake.manifests(location, "quotes")
    assert [(u.name, u.instrument_id, u.rows) for u in held.units] == [
        (f"{PERP}/04h", PERP, 2),
        (f"{PERP}/05h", PERP, 3),
    ]
    file(tmp_path, [book(1)])  # an hour that is told anew replaces itself
    assert import_paths(location, paths, clock=archive_files.clock).exit_code == OK
    assert lake.scan(location, "quotes").collect().height == 4
    assert revisions(location)["unit"].to_list() == [f"{PERP}/04h"] * 2


@pytest.mark.parametrize(("rank", "left"), [(30, "day"), (10, "hour")])
@pytest.mark.parametrize("is_day_first", [True, False])
def test_of_a_day_and_its_hour_the_better_source_is_kept(tmp_path, rank, left, is_day_first):
    location, path = Location(tmp_path / "data"), file(tmp_path, [book(1), book(2)])
    day = Unit(PERP, PERP, "unprovable", 1, "another", rank, "", ("0" * 64,))
    row = QUOTES.conform(
        pl.DataFrame(
            {
                "venue": "binance",
                "underlying": "BTC",
                "instrument_id": PERP,
                "snapshot_at": datetime(2024, 8, 8, 9, tzinfo=UTC),
                "bid_price": 7.0,
            }
        )
    )

    def bring_day():
        partition = lake.Partition("quotes", "binance", DAY)
        with lake.stage(location, partition) as part:
            part.write(row)
            at = archive_files.clock()
            staged = [part.finish([PERP])]
            lake.commit(location, partition, units=[day], parts=staged, checks=[], at=at)

    def bring_hour():
        assert import_paths(location, [path], clock=archive_files.clock).exit_code == OK

    for step in (bring_day, bring_hour) if is_day_first else (bring_hour, bring_day):
        step()
    held = lake.scan(location, "quotes").collect()["bid_price"].to_list()
    assert held == ([7.0] if left == "day" else [99.0, 99.0])
    (manifest,) = lake.manifests(location, "quotes")
    assert [unit.name for unit in manifest.units] == [PERP if left == "day" else f"{PERP}/04h"]
    revised = revisions(location).filter(table_name="quotes")
    assert revised.height == (is_day_first == (left == "hour"))


def test_no_more_levels_are_stored_than_are_asked_of(tmp_path):
    deep = [100.0 + n for n in range(lobdeep.DEPTH + 7)]
    path = file(tmp_path, [book(best_ask=100.0, asks_px=deep, asks_qty=[1.0] * len(deep))])
    (chunk,) = opening.chunks(path, lobdeep.LAYOUT)
    found = lobdeep.recognise(path).decode(chunk).rows["books"]
    assert found.filter(side="ask")["level"].to_list() == list(range(1, lobdeep.DEPTH + 1))
    assert found.filter(side="bid").height == 3


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ({"bids_px": [99.0, float("nan"), 97.0]}, "levels_unreadable"),
        ({"bids_px": [99.0, None, 97.0]}, "levels_unreadable"),
        ({"asks_qty": [4.0, 0.0, 6.0]}, "levels_unreadable"),
        ({"asks_qty": [4.0, 5.0]}, "levels_unreadable"),
        ({"asks_qty": None}, "levels_unreadable"),
        ({"bids_px": [99.0, 97.0, 98.0]}, "levels_out_of_order"),
        ({"bids_px": [99.0, 99.0, 98.0]}, "levels_out_of_order"),
        ({"best_ask": 101.5}, "best_price_disagrees_with_levels"),
        (
            {key: [] for key in ("bids_px", "bids_qty", "asks_px", "asks_qty")}
            | {"best_bid": None, "best_ask": None},
            "levels_missing",
        ),
        ({"symbol": "BTCXYZ"}, "symbol_unknown"),
        ({"symbol": None}, "symbol_unknown"),
        ({"market_type": "spot"}, "market_of_another_file"),
        ({"venue": None}, "market_of_another_file"),
        ({"exch_ts_ms": 5}, "snapshot_at_in_another_unit"),
        ({"exch_ts_ms": None}, "snapshot_at_in_another_unit"),
        ({"ts_ms": ms(date(2024, 8, 9), 1)}, "outside_file_period"),
        ({"exch_ts_ms": ms(date(2024, 8, 7), 86_399)}, "outside_file_period"),
        ({"exch_ts_ms": ms(DAY, 1)}, "duplicate_key"),
    ],
)
def test_a_row_that_is_no_book_is_refused_whole_with_its_reason(tmp_path, fault, reason):
    books = [book(1), book(2, **fault), book(3), book(4)]
    location, report = bring(tmp_path, file(tmp_path, books))
    assert (report.exit_code, report.errors) == (OK, ())
    refused = archive_files.quarantined(location, "quotes")
    assert refused.select("row_number", "reason").rows() == [(2, reason)]
    assert refused["row_text"][0].startswith('{"ts_ms":')
    held = {(f.table, f.rows) for f in report.files}
    assert held == {("quotes", 3), ("books", 18)}


def test_a_side_without_levels_is_a_one_sided_book(tmp_path):
    lonely = book(best_ask=None, asks_px=[], asks_qty=[])
    location, report = bring(tmp_path, file(tmp_path, [lonely]))
    assert report.exit_code == OK
    (quote,) = lake.scan(location, "quotes").collect().to_dicts()
    assert (quote["bid_price"], quote["ask_price"], quote["ask_quantity_base"]) == (
        99.0,
        None,
        None,
    )
    assert set(lake.scan(location, "books").collect()["side"]) == {"bid"}


def test_a_file_with_mostly_bad_books_is_not_imported(tmp_path):
    books = [book(n, best_bid=1.0) for n in range(3)] + [book(5)]
    location, report = bring(tmp_path, file(tmp_path, books))
    assert report.exit_code == CHECKS_FAILED
    assert "3 of 4 rows were refused" in report.errors[0]
    assert "best_price_disagrees_with_levels" in report.errors[0]
    assert lake.parts(location, "books") == lake.parts(location, "quotes") == []


def test_a_damaged_file_is_refused_and_leaves_nothing(tmp_path):
    whole = file(tmp_path / "whole", [book(n) for n in range(50)])
    for name, content in (
        ("lobdeep_btc_fut_2024-08-08_05", whole.read_bytes()[:-200]),
        ("lobdeep_btc_fut_2024-08-08_06", b"PAR1" + b"x" * 400 + b"PAR1"),
    ):
        path = tmp_path / f"{name}.parquet"
        path.write_bytes(content)
        location, report = bring(tmp_path, path)
        assert report.exit_code == BAD_DATA
        assert f"{path}: is damaged" in report.errors[0]
        assert lake.parts(location, "books") == []


def test_columns_that_are_absent_or_of_another_type_are_refused_and_named(tmp_path):
    path = tmp_path / "lobdeep_btc_spot_2024-08-08_04.parquet"
    rows = pl.DataFrame([book(market_type="spot")], schema=lobdeep.LAYOUT)
    rows.drop("asks_qty").write_parquet(path)
    _, report = bring(tmp_path, path)
    assert report.exit_code == BAD_DATA
    assert "lack asks_qty" in report.errors[0]
    rows.cast({"ts_ms": pl.String}).write_parquet(path)
    _, report = bring(tmp_path, path)
    assert "column ts_ms was String, not Int64" in report.errors[0]
    rows.clear().write_parquet(path)
    _, report = bring(tmp_path, path)
    assert (report.exit_code, report.errors[0]) == (BAD_DATA, f"{path}: holds no rows")


def test_a_name_without_a_day_is_refused_and_another_name_is_none_of_ours(tmp_path):
    with pytest.raises(SourceRefused, match="2024-02-30 is no day"):
        lobdeep.recognise(tmp_path / "lobdeep_btc_fut_2024-02-30_04.parquet")
    assert lobdeep.recognise(tmp_path / "books_2024-02-03.parquet") is None


@pytest.mark.parametrize(("market", "name"), [("fut", PERP), ("spot", "binance:BTC/USDT")])
def test_every_recorded_book_is_read_at_its_best_quote(recorded, market, name):
    path = recorded / "binance_books" / f"lobdeep_btc_{market}_2026-02-16_04.parquet"
    raw = pl.read_parquet(path, columns=["best_bid", "best_ask", "exch_ts_ms"])
    assert raw.height == 2_559
    feed = lobdeep.recognise(path)
    quotes, refused, levels, kept = [], [], 0, 0
    for chunk in opening.chunks(path, feed.layout):
        found = feed.decode(chunk)
        quotes.append(found.rows["quotes"])
        refused += found.refused.rows()
        levels += found.rows["books"].height
        kept += found.rows["quotes"].height
    assert [reason for _, reason in refused] == ["duplicate_key"] * 2  # told twice: the same book
    assert (kept, levels) == (2_557, 2_557 * 2 * lobdeep.DEPTH)
    every = pl.concat(quotes)
    once = raw.unique("exch_ts_ms", keep="first", maintain_order=True)
    assert every["bid_price"].to_list() == once["best_bid"].to_list()
    assert every["ask_price"].to_list() == once["best_ask"].to_list()
    assert set(every["instrument_id"]) == {name}
    delay = (every["received_at"] - every["snapshot_at"]).dt.total_milliseconds()
    assert 100 < delay.min() < delay.max() < 400
