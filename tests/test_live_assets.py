"""A day arrives as the operator sees it: rows, checks, metadata, a picture, and what stops it."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from assets import backfill, ingestion, results, snapshots
from assets.definitions import defs
from assets.freshness import stale_days, stale_snapshots
from assets.line import LiveLine, stepped
from assets.partitions import VENUES, key_of
from assets.publishing import generation
from assets.results import lake_key
from assets.schedules import tick_config
from assets.snapshots import tick
from assets.transform import models
from pipelines import live as live_line
from pipelines.live import DAY_QUESTIONS, SNAPSHOT_QUESTIONS, TableReport
from pipelines.settings import Settings
from pipelines.simulator.embedded import embedded
from warehouse.lake import Check, Gap, Partition, read_manifest, scan
from warehouse.location import Location

pytestmark = pytest.mark.whole

DAY = date(2026, 3, 10)
MORNING = datetime(2026, 3, 10, 9, 30, tzinfo=UTC)
NIGHT = datetime(2026, 3, 11, 0, 40, tzinfo=UTC)
SIZE, SEED = 0.002, 7
METADATA = {
    "rows", "received", "quarantined", "apart", "units", "gaps", "revised", "events", "bytes",
    "notices", "plot", "dagster/partition_row_count",
}  # fmt: skip


@contextmanager
def market(root: Path, at: datetime, faults: str = "") -> Iterator[LiveLine]:
    with embedded(Location(root), seed=SEED, size=SIZE, faults=faults, at=at) as made:
        settings = Settings(underlyings=("BTC",), snapshot_every_s=3600)
        yield replace(stepped(made, settings), retries=False)  # a test waits for nothing


def asset_of(question: str) -> dg.AssetsDefinition:
    (found,) = (a for a in ingestion.DAY_ASSETS if a.keys == {lake_key(question)})
    return found


def snapshots_of(question: str) -> dg.AssetsDefinition:
    (found,) = (a for a in snapshots.SNAPSHOT_ASSETS if lake_key(question) in a.keys)
    return found


def materialized(
    line: LiveLine, assets: list[dg.AssetsDefinition], venue: str | None
) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            assets,
            partition_key=key_of(venue, DAY) if venue else None,
            resources={"live": line},
            instance=instance,
            run_config=backfill.QUIETLY,
            raise_on_error=False,
        )


def told(result: dg.ExecuteInProcessResult) -> dict[str, dg.AssetMaterialization]:
    events = result.get_asset_materialization_events()
    return {e.materialization.asset_key.to_user_string(): e.materialization for e in events}


def passed(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], bool]:
    found = result.get_asset_check_evaluations()
    return {(e.asset_key.path[-1], e.check_name): e.passed for e in found}


def failures(result: dg.ExecuteInProcessResult) -> str:
    return " ".join(str(e.step_failure_data) for e in result.all_events if e.is_step_failure)


@pytest.fixture(scope="module")
def arrived(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[LiveLine, dict[str, dg.ExecuteInProcessResult]]]:
    """A day of one coin at two venues, then marts and a generation of it."""
    with market(tmp_path_factory.mktemp("day"), MORNING) as line:
        backfill.take_ticks(line, DAY, every=timedelta(hours=12))
        line.step(NIGHT)
        results = {
            venue: materialized(line, [asset_of(q) for q in ("instruments", "trades")], venue)
            for venue in ("binance", "deribit")
        }
        results["marts"] = materialized(line, [models, generation], None)
        yield line, results


Arrived = tuple[LiveLine, dict[str, dg.ExecuteInProcessResult]]


def test_a_day_arrives_with_its_metadata(arrived: Arrived) -> None:
    line, results = arrived
    for venue in ("binance", "deribit"):
        assert results[venue].success, failures(results[venue])
        found = told(results[venue])["lake/trades"]
        assert found.partition == str(key_of(venue, DAY))
        assert found.metadata.keys() == METADATA
        rows = scan(line.location, "trades").collect()
        own = rows.filter((rows["venue"] == venue) & (rows["event_at"].dt.date() == DAY)).height
        assert found.metadata["rows"].value == own > 0
        assert found.metadata["dagster/partition_row_count"].value == own


def test_what_comes_beside_a_question_is_told_of_its_own_asset(arrived: Arrived) -> None:
    _, results = arrived
    assert told(results["deribit"])["lake/liquidations"].partition == str(key_of("deribit", DAY))
    assert "lake/liquidations" not in told(results["binance"])


def test_the_picture_shows_every_hour_and_whose_rows_there_are(arrived: Arrived) -> None:
    _, results = arrived
    picture = str(told(results["deribit"])["lake/trades"].metadata["plot"].value)
    assert "data:image/svg+xml;base64," in picture
    assert "| `deribit:BTC/USD:BTC` |" in picture


def test_the_gates_word_is_a_check_of_the_partition(arrived: Arrived) -> None:
    _, results = arrived
    assert passed(results["deribit"])[("trades", "contract")]
    assert passed(results["deribit"])[("trades", "complete")]
    evaluations = results["deribit"].get_asset_check_evaluations()
    assert {e.partition for e in evaluations} == {str(key_of("deribit", DAY))}


def test_marts_and_their_tests_are_told_model_by_model(arrived: Arrived) -> None:
    line, results = arrived
    assert results["marts"].success, failures(results["marts"])
    found = told(results["marts"])
    own = {key.to_user_string() for key in models.keys}
    assert own <= found.keys()
    assert found["marts/bars_1m"].metadata["dagster/row_count"].value > 0
    assert found["marts/bars_1m"].metadata["state"].value == "built"
    assert passed(results["marts"])[("bars_1m", "dbt_tests")]
    assert line.location.pointer.exists()
    assert found["published/generation"].metadata["generation"].value


def test_the_same_rows_have_the_same_data_version(arrived: Arrived) -> None:
    line, results = arrived
    again = materialized(line, [asset_of("instruments")], "deribit")
    versions = {
        told(result)["lake/instruments"].tags["dagster/data_version"]
        for result in (results["deribit"], again)
    }
    assert len(versions) == 1


def test_a_tick_that_was_not_taken_is_a_gap(arrived: Arrived) -> None:
    line, _ = arrived
    result = materialized(line, [snapshots_of("option_quotes")], "deribit")
    assert result.success, failures(result)
    assert not passed(result)[("option_quotes", "complete")]
    held = read_manifest(line.location, Partition("option_quotes", "deribit", DAY))
    (roll,) = (unit for unit in held.units if unit.name == "deribit:BTC")
    assert roll.proof.startswith("2 of 24 ticks")
    assert {gap.cause for gap in roll.gaps} == {"missed_tick"}
    assert sum(gap.missing_count or 0 for gap in roll.gaps) == 22
    assert len(held.current_parts()) == 1  # compacted at day's end


def test_a_tick_tells_of_every_table_and_observes_the_funding_beside_it(tmp_path: Path) -> None:
    with market(tmp_path, MORNING) as line, dg.DagsterInstance.ephemeral() as instance:
        result = tick.execute_in_process(
            run_config=tick_config([MORNING]), resources={"live": line}, instance=instance
        )
        found = told(result)
        assert found.keys() == {f"lake/{question}" for question in SNAPSHOT_QUESTIONS}
        seen = [e for e in result.all_events if e.event_type_value == "ASSET_OBSERVATION"]
        assert {e.asset_key.path[-1] for e in seen if e.asset_key} == {"funding"}
        checked = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(lake_key("option_quotes"), "contract"), limit=5
        )
        assert [record.status.value for record in checked] == ["SUCCEEDED"]
        again = tick.execute_in_process(
            run_config=tick_config([MORNING]), resources={"live": line}, instance=instance
        )
        assert again.success  # what is held is passed over, and its checks are told anew
        assert stale_snapshots(line, "quotes") == {}
        line.step(MORNING + timedelta(hours=4))
        assert stale_snapshots(line, "quotes").keys() == {"binance", "deribit"}


def test_a_venue_that_does_not_answer_costs_no_other_its_states(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first venue of all answers only when the last has its states committed."""
    answered = threading.Event()
    ask = live_line.ingest_snapshot

    def slow(line: live_line.Line, venue: str, at: datetime) -> tuple[TableReport, ...]:
        if venue == VENUES[0]:
            assert answered.wait(60), "the venues take turns"
        found = ask(line, venue, at)
        if venue == VENUES[-1]:
            answered.set()
        return found

    monkeypatch.setattr(snapshots, "ingest_snapshot", slow)
    with market(tmp_path, MORNING) as line:
        assert backfill.take([MORNING], replace(line, is_apart=True)) == []
        for venue in VENUES:
            held = read_manifest(line.location, Partition("quotes", venue, DAY))
            assert held.unit(f"BTC@{MORNING.isoformat()}").status == "complete"


def test_a_past_day_cannot_be_had_and_says_so(tmp_path: Path) -> None:
    with market(tmp_path, NIGHT) as line:
        result = materialized(line, [snapshots_of("books")], "deribit")
        assert result.success, failures(result)
        units = read_manifest(line.location, Partition("books", "deribit", DAY)).units
        assert {gap.cause for unit in units for gap in unit.gaps} == {"not_retrievable"}


# ---------- what stops a day
def refused(line: live_line.Line, venue: str, question: str, day: date) -> tuple[TableReport, ...]:
    """The gate's no, as `ingest_day` tells it."""
    found = live_line.ingest_day(line, venue, question, day)
    broken = Check("deribit api", "price_too_low", "price", True, False, 5, 5, "No price is zero.")
    return tuple(replace(report, checks=(*report.checks, broken)) for report in found)


def test_a_failed_blocking_check_stops_what_stands_on_it_and_records_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingestion, "ingest_day", refused)

    @dg.asset(deps=[lake_key("funding")], partitions_def=asset_of("funding").partitions_def)
    def below() -> None:
        """Stands on the table."""

    with market(tmp_path, NIGHT) as line:
        result = materialized(line, [asset_of("funding"), below], "deribit")
    assert not result.success
    assert told(result) == {}
    assert passed(result)[("funding", "contract")] is False
    assert "No price is zero." in failures(result)


def test_what_cannot_be_proven_is_told_and_fails_no_step(tmp_path: Path) -> None:
    hole = Gap("deribit:BTC", MORNING, NIGHT, "sequence_gap", 3, "3 ids are missing")
    report = TableReport(
        "trades", "deribit", DAY, "committed", units={"unprovable": 1}, gaps=(hole,)
    )
    location = Location(tmp_path)
    found = list(results.results(location, [report], "trades"))
    complete = next(f for f in found if getattr(f, "check_name", "") == "complete")
    assert not complete.passed
    assert complete.severity == dg.AssetCheckSeverity.WARN
    assert isinstance(found[-1], dg.MaterializeResult)
    with pytest.raises(dg.Failure, match="3 ids are missing"):
        list(results.results(location, [replace(report, units={"gap": 1})], "trades"))


def test_a_source_that_gives_nothing_fails_the_step_and_names_what_is_missing(
    tmp_path: Path,
) -> None:
    with market(tmp_path, NIGHT, faults="500:0.99") as line:
        result = materialized(line, [asset_of("funding")], "deribit")
        assert not result.success
        assert told(result) == {}
        assert "deribit:BTC 2026-03-10" in failures(result)
        assert asset_of("funding").op.retry_policy == ingestion.RETRY
        assert stale_days(line, "funding").keys() == {"binance", "deribit"}


# ---------- many days by one process
def test_a_backfill_passes_over_what_is_held_whole(tmp_path: Path) -> None:
    heard: list[tuple[str, int, int]] = []
    with market(tmp_path, NIGHT) as line:
        first = backfill.bring_days(line, [DAY], venues=["deribit"])
        again = backfill.bring_days(
            line, [DAY], venues=["deribit"], progress=lambda *said: heard.append(said)
        )
    assert [(b.was_held, b.errors) for b in first] == [(False, ())]
    assert [(b.was_held, b.errors) for b in again] == [(True, ())]
    assert heard == [("deribit 2026-03-10", 1, 1)]


def test_a_backfill_says_what_failed_and_goes_on(tmp_path: Path) -> None:
    with market(tmp_path, NIGHT, faults="500:0.99") as line:
        (brought,) = backfill.bring_days(line, [DAY], venues=["deribit"])
    assert not brought.was_held
    assert len(brought.errors) >= len(DAY_QUESTIONS)


def test_a_step_that_crashes_in_a_command_is_told_at_once_with_its_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(line: object, venue: str, question: str, day: date) -> None:
        if question == "trades":
            raise RuntimeError("no page")
        raise NotADirectoryError("no lake")

    monkeypatch.setattr(ingestion, "ingest_day", broken)
    slept: list[float] = []
    monkeypatch.setattr("time.sleep", slept.append)
    with market(tmp_path, NIGHT) as line:
        codes = {}
        for table in ("trades", "funding"):
            (brought,) = backfill.bring_days(line, [DAY], venues=["deribit"], tables=[table])
            (failed,) = brought.failed
            assert failed.is_crash
            codes[failed.text] = brought.exit_code
    assert slept == []
    assert codes == {
        "trades_of_a_day: RuntimeError: no page": 1,
        "funding_of_a_day: NotADirectoryError: no lake": 74,
    }


def test_a_tick_of_a_command_is_not_tried_again_by_dagster(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def broken(line: object, venue: str, at: datetime) -> None:
        asked.append(venue)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(snapshots, "ingest_snapshot", broken)
    with market(tmp_path, MORNING) as line:
        (failed,) = backfill.take([MORNING], line)
    assert (len(asked), failed.exit_code, failed.is_crash) == (1, 74, True)


def test_the_definitions_hold_every_asset_of_a_backfill() -> None:
    keys = defs.resolve_all_asset_keys()
    for asset in (*backfill.DAY_STEPS, *backfill.SNAPSHOT_STEPS, models, generation):
        assert asset.keys <= set(keys)
