"""Days arrive over the wire as they were printed, once and for all, and what did not is said."""

import json
import shutil
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import duckdb
import polars as pl
import pytest

from assets import feeding, held, ingestion, repairing, running
from assets.building import build
from hedgehouse import cli
from pipelines import live
from pipelines.simulator.embedded import embedded
from warehouse import lake
from warehouse.generations import read_build
from warehouse.lake import Partition, read_manifest
from warehouse.location import Location, World, WrongWorld
from warehouse.manifest import manifests

pytestmark = pytest.mark.whole

DAY = date(2026, 3, 10)
SEED, SIZE = 5, 0.002
EVERY = timedelta(hours=1)
LATE = datetime(2026, 3, 14, 9, tzinfo=UTC)
KEY = ["instrument_id", "trade_id"]
FAULTS = "429:3,503:2,html:3,truncated:2,reset:2,repeat:2,drop:3,late:0.01,revised:0.01"


@contextmanager
def fed(root: Path, faults: str = "", underlyings: tuple[str, ...] = ("BTC", "ETH")):
    with feeding.simulated(
        Location(root),
        seed=SEED,
        size=SIZE,
        faults=faults,
        at=datetime(2026, 3, 10, 21, tzinfo=UTC),  # so that the day has three ticks to take
        underlyings=underlyings,
        every=EVERY,
    ) as feed:
        yield feed


def gather(feed: feeding.Feed, day: date = DAY) -> int:
    """All of a run but the build."""
    with dg.DagsterInstance.ephemeral() as instance:
        return running.gather(feed, [day], every=EVERY, instance=instance).asked_again


@pytest.fixture(scope="module")
def survived(tmp_path_factory) -> tuple[Location, running.RunReport]:
    """A day with faults, run once. Tests read it."""
    root = tmp_path_factory.mktemp("run") / "data"
    with fed(root, FAULTS) as feed:
        report = running.run(feed, [DAY], every=EVERY)
        assert feed.market.server.log()["faults"]["drop"] == 3
    return Location(root), report


@pytest.fixture
def copied(survived, tmp_path) -> Location:
    """The same folder, to be written to."""
    shutil.copytree(survived[0].root, tmp_path / "data", symlinks=True)
    return Location(tmp_path / "data")


def test_every_print_arrives_with_its_id_time_price_and_size_whatever_goes_wrong(survived):
    location, _ = survived
    found = lake.scan(location, "trades").collect()
    truth = pl.read_parquet(location.truth / "trades.parquet")
    assert found.height == truth.height > 1_000
    both = found.join(truth, on=KEY, suffix="_true")
    assert both.height == truth.height
    for name in ("event_at", "side", "price", "sequence", "is_block", "is_liquidation"):
        assert both[name].equals(both[f"{name}_true"]), name
    sizes = both["quantity_base"] / both["quantity_base_true"]
    assert sizes.is_between(1 - 1e-9, 1 + 1e-9).all()


def test_late_and_corrected_prints_are_revisions_made_when_the_day_is_asked_for_again(survived):
    location, report = survived
    former = [
        unit
        for manifest in manifests(location, "trades")
        for unit in manifest.former_units
        if unit.rows
    ]
    assert 0 < len(former) == report.revised
    assert {unit.committed_at.date() for unit in former} == {date(2026, 3, 11)}
    assert {unit.removed_at.date() for unit in former} == {date(2026, 3, 12)}
    first = lake.scan(location, "trades", datetime(2026, 3, 11, 12, tzinfo=UTC)).collect()
    last = lake.scan(location, "trades").collect()
    late = last.join(first, on=KEY, how="anti")
    both = last.join(first, on=KEY, suffix="_first")
    corrected = both.filter(pl.col("quantity_base") != pl.col("quantity_base_first"))
    assert late.height > 0
    assert corrected.height > 0
    assert (corrected["quantity_base_first"] / corrected["quantity_base"]).round(6).eq(2).all()


def test_ticks_that_nobody_took_are_gaps_and_the_rest_is_whole(survived):
    location, report = survived
    assert report.exit_code == held.INCOMPLETE
    assert {found.gap.cause for found in report.held.gaps} == {"missed_tick"}
    assert {found.gap.missing_count for found in report.held.gaps} == {21}
    quotes = lake.scan(location, "option_quotes").collect()
    assert sorted(at.hour for at in quotes["snapshot_at"].unique()) == [21, 22, 23]
    trades = read_manifest(location, Partition("trades", "deribit", DAY))
    assert {unit.status for unit in trades.units} == {"complete"}
    assert report.generation is not None
    assert report.generation.row_counts["hedging.signals"] > 0


def test_running_the_same_day_again_changes_nothing(copied):
    before = {m.partition: (m.current_parts(), m.units) for m in manifests(copied)}
    with fed(copied.root, FAULTS) as feed:
        gather(feed)
    after = {m.partition: (m.current_parts(), m.units) for m in manifests(copied)}
    assert after.keys() == before.keys()
    for partition, (parts, units) in after.items():
        assert [p.sha256 for p in parts] == [p.sha256 for p in before[partition][0]], partition
        assert [u.status for u in units] == [u.status for u in before[partition][1]], partition


def marts(location: Location) -> dict[str, pl.DataFrame]:
    """All that was built, but for the version of the code, and what is named after it."""
    with duckdb.connect(str(location.warehouse), read_only=True) as connection:
        names = connection.execute(
            "select schema_name || '.' || table_name from duckdb_tables() "
            "where schema_name in ('options', 'flow', 'carry', 'hedging')"
        ).fetchall()
        frames = {name: connection.sql(f"select * from {name}").pl() for (name,) in names}
    found = {n: f.drop("model_version", "signal_id", strict=False) for n, f in frames.items()}
    return {name: frame.select(pl.struct(pl.all()).sort()) for name, frame in found.items()}


def test_the_build_is_the_same_without_the_truth(copied):
    with_truth, built_at = marts(copied), read_build(copied).as_of_at
    shutil.rmtree(copied.truth)
    build(copied, clock=lambda: built_at, full_refresh=True)
    without = marts(copied)
    assert without.keys() == with_truth.keys() != set()
    unequal = [name for name, frame in without.items() if not frame.equals(with_truth[name])]
    assert unequal == []


def test_a_folder_of_real_data_refuses_the_simulator_and_the_other_way_round(tmp_path, copied):
    Location(tmp_path / "real").claim(World("real"))
    with pytest.raises(WrongWorld, match="holds real data"), fed(tmp_path / "real"):
        pass
    with (
        pytest.raises(WrongWorld, match="holds simulator data"),
        feeding.real(copied, clock=lambda: LATE, underlyings=("BTC",), every=EVERY),
    ):
        pass


def test_prints_that_a_venue_never_serves_are_gaps_that_repairing_leaves_with_a_reason(tmp_path):
    with fed(tmp_path, "lost:0.05") as feed:
        feed.reach(datetime(2026, 3, 11, 0, 40, tzinfo=UTC))
        assert gather(feed) > 0
        feed.portfolio([DAY])
        with feed.live.line() as line:
            repaired = repairing.repair(line)
    found = held.of(Location(tmp_path), [DAY])
    assert found.exit_code == 1
    assert [f.gap for f in found.gaps if f.table == "trades"]
    truth = pl.read_parquet(tmp_path / "truth" / "trades.parquet").height
    assert lake.scan(Location(tmp_path), "trades").collect().height < truth
    assert repaired.filled == ()
    reasons = {hole.partition.table: reason for hole, reason in repaired.left}
    assert reasons["trades"].startswith("asked again, and still")
    assert reasons["books"] == "a state that was not asked for in time cannot be had later"


def test_a_gap_of_an_hour_without_the_venue_is_repaired(copied, monkeypatch, capsys):
    partition = Partition("trades", "binance", DAY)
    (unit, *_) = (u for u in read_manifest(copied, partition).units if u.rows)
    manifest = read_manifest(copied, partition)
    hole = replace(unit, status="gap", proof="the venue was away")
    lake.restate(copied, partition, {manifest.unit(unit.name): hole})
    monkeypatch.setattr(cli, "now", lambda: LATE)
    assert cli.run(["gaps", "--repair", "--json", "--data", str(copied.root)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [one["unit"] for one in told["repaired"]] == [unit.name]
    assert {one["table_name"] for one in told["left"]} >= {"books", "quotes"}
    assert read_manifest(copied, partition).unit(unit.name).status == "complete"


@pytest.mark.parametrize(("faults", "code"), [("lost:0.05", 1), ("500:0.99", 69)])
def test_repairing_tells_what_it_could_not_fill_by_its_exit_code(
    tmp_path, monkeypatch, capsys, faults, code
):
    with fed(tmp_path, faults) as feed, feed.live.line() as line:
        feed.reach(datetime(2026, 3, 11, 0, 40, tzinfo=UTC))
        live.ingest_day(line, "deribit", "trades", DAY)
    monkeypatch.setattr(cli, "now", lambda: LATE)
    assert cli.run(["gaps", "--repair", "--json", "--data", str(tmp_path)]) == code
    told = json.loads(capsys.readouterr().out)
    assert told["exit_code"] == code
    assert {one["table_name"] for one in told["left"]} >= {"trades"}


def test_a_step_that_crashes_counts_in_the_exit_code_of_a_backfill(copied, monkeypatch, capsys):
    def broken(line, venue, question, day):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cli, "now", lambda: LATE)
    monkeypatch.setattr(ingestion, "ingest_day", broken)
    asked = ["--from", "2026-03-11", "--to", "2026-03-11", "--venue", "binance"]
    asked += ["--table", "trades", "--json", "--data", str(copied.root)]
    assert cli.run(["backfill", *asked]) == 74
    spoken = capsys.readouterr()
    assert json.loads(spoken.out)["exit_code"] == 74
    assert "No space left on device" in spoken.err


def test_backfill_passes_over_what_is_held_and_brings_the_day_after(copied, monkeypatch, capsys):
    monkeypatch.setattr(cli, "now", lambda: LATE)
    asked = ["--from", "2026-03-10", "--to", "2026-03-11", "--venue", "binance"]
    asked += ["--table", "trades", "--json", "--data", str(copied.root)]
    assert cli.run(["backfill", *asked]) == 1  # the ticks of the first day that nobody took
    told = json.loads(capsys.readouterr().out)
    assert [(one["day"], one["was_held"]) for one in told["days"]] == [
        ("2026-03-10", True),
        ("2026-03-11", False),
    ]
    following = read_manifest(copied, Partition("trades", "binance", date(2026, 3, 11)))
    assert {unit.status for unit in following.units} == {"complete"}


def test_a_past_day_of_real_venues_leaves_its_states_as_gaps(tmp_path, monkeypatch, capsys):
    """The embedded market stands behind the gateway; nobody can step its clock back."""
    served = Location(tmp_path / "market")
    with embedded(served, seed=SEED, size=SIZE, at=LATE) as market:
        monkeypatch.setenv("HEDGEHOUSE_GATEWAY", market.server.url)
        monkeypatch.setenv("HEDGEHOUSE_RATE_SCALE", "1000")
        monkeypatch.setattr(cli, "now", lambda: LATE)
        folder = tmp_path / "data"
        asked = ["run", "--source", "live", "--date", "2026-03-10", "--underlying", "ETH"]
        code = cli.run([*asked, "--json", "--data", str(folder)])
    told = json.loads(capsys.readouterr().out)
    assert code == 1
    assert {gap["gap"]["cause"] for gap in told["gaps"]} == {"not_retrievable"}
    assert told["rows"]["trades"] > 500
    assert "option_quotes" not in told["rows"]
    assert told["market"] is None
    assert Location(folder).world() == World("real", mode="live")
    found = held.of(Location(folder), [DAY])
    assert {one.table for one in found.gaps} == {"quotes", "option_quotes", "books", "index_prices"}


def test_a_venue_that_is_away_is_told_after_the_rest_was_published(copied, monkeypatch, capsys):
    """It is away while the day after is asked for; the folder holds a day already."""
    monkeypatch.setattr(cli, "now", lambda: LATE)
    asked = ["run", "--source", "simulator", "--date", "2026-03-11", "--seed", str(SEED)]
    asked += ["--size", str(SIZE), "--faults", "418:0.9", "--underlying", "ETH", "--json"]
    monkeypatch.setattr(running, "_ticks", lambda day, every: iter(()))
    assert cli.run([*asked, "--data", str(copied.root)]) == 69
    told = json.loads(capsys.readouterr().out)
    assert told["generation"]["row_counts"]["hedging.signals"] > 0
    assert any("banned until" in line for line in told["errors"])


def test_a_run_into_a_folder_whose_lake_is_a_file_says_so_and_does_not_wait(
    tmp_path, monkeypatch, capsys
):
    (tmp_path / "lake").touch()
    monkeypatch.setattr(cli, "now", lambda: LATE)
    slept = []
    monkeypatch.setattr("time.sleep", slept.append)
    asked = ["run", "--source", "simulator", "--date", "2026-03-10", "--size", str(SIZE)]
    assert cli.run([*asked, "--json", "--data", str(tmp_path)]) == 74
    spoken = capsys.readouterr()
    told = json.loads(spoken.out)
    assert told["exit_code"] == 74
    assert any("take_ticks" in line and "lake" in line for line in told["errors"])
    assert any("trades_of_a_day" in line and "lake" in line for line in told["errors"])
    assert "trades_of_a_day" in spoken.err
    assert max(slept, default=0) < 5


def test_a_run_of_one_coin_holds_only_books_in_it(tmp_path):
    with fed(tmp_path, underlyings=("BTC",)) as feed:
        gather(feed)
        imported = running._import(feed, [DAY], None, None)
    assert imported.errors == ()
    assert imported.exit_code == 0
    positions = lake.scan(Location(tmp_path), "positions").collect()
    assert positions.height > 0
    assert positions["instrument_id"].str.contains("BTC").all()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["--source", "simulator", "--date", "2026-03-15"], "in the future"),
        (["--source", "simulator", "--date", "2026-03-14", "--days", "2"], "in the future"),
        (["--source", "simulator", "--date", "2019-01-01"], "before 2024-01-01"),
        (["--source", "simulator", "--date", "10.3.2026"], "'10.3.2026' is no date"),
        (["--source", "live", "--date", "2026-03-10", "--faults", "429"], "for the simulator"),
        (["--source", "simulator", "--date", "2026-03-10", "--faults", "flood"], "'flood'"),
        (["--source", "simulator", "--date", "2026-03-10", "--underlying", "DOGE"], "'DOGE'"),
        (["--source", "simulator", "--date", "2026-03-10", "--every", "7"], "--every was 7"),
        (["--source", "moon", "--date", "2026-03-10"], "moon"),
        (["--source", "live", "--date", "2026-03-10", "--portfolio", "absent.csv"], "absent.csv"),
    ],
)
def test_a_run_that_cannot_be_is_a_matter_of_usage(tmp_path, monkeypatch, capsys, arguments, error):
    monkeypatch.setattr(cli, "now", lambda: LATE)
    assert cli.run(["run", *arguments, "--data", str(tmp_path / "data")]) == 2
    assert error in capsys.readouterr().err
    assert not (tmp_path / "data").exists()
