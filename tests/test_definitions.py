"""An operator finds every table in Dagster, and a step that failed says why."""

from pathlib import Path

import dagster as dg
import pytest
import yaml

from assets import archives, definitions
from assets.line import live
from assets.partitions import VENUE_DAYS, key_of
from pipelines.live import DAY_QUESTIONS, SNAPSHOT_QUESTIONS
from warehouse.contract import LAKE_TABLES
from warehouse.lake import scan
from warehouse.location import Location

ROOT = Path(__file__).parents[1]


def materialized(path: Path) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [archives.archives],
            run_config={"ops": {"lake__archives": {"config": {"paths": [str(path)]}}}},
            resources={"live": live},
            instance=instance,
            raise_on_error=False,
        )


def test_the_workspace_names_definitions_that_load() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    assert workspace == {"load_from": [{"python_module": definitions.__name__}]}
    dg.Definitions.validate_loadable(definitions.defs)


def test_every_lake_table_is_an_asset_of_its_name() -> None:
    keys = {key.to_user_string() for key in definitions.defs.resolve_all_asset_keys()}
    assert {f"lake/{name}" for name in LAKE_TABLES} <= keys
    assert {"marts/signals", "staging/stg_trades", "published/generation"} <= keys


def test_every_question_has_a_blocking_check_by_partition() -> None:
    graph = definitions.defs.resolve_asset_graph()
    for question in (*DAY_QUESTIONS, *SNAPSHOT_QUESTIONS):
        key = dg.AssetKey(["lake", question])
        blocking = graph.get(dg.AssetCheckKey(key, "contract"))
        assert blocking.blocking, question
        assert blocking.partitions_def == graph.get(key).partitions_def, question
        assert not graph.get(dg.AssetCheckKey(key, "complete")).blocking, question


def test_a_mart_stands_on_the_tables_that_its_model_reads() -> None:
    graph = definitions.defs.resolve_asset_graph()
    above = graph.get(dg.AssetKey(["staging", "stg_trades"])).parent_keys
    assert dg.AssetKey(["lake", "trades"]) in above
    assert graph.get(dg.AssetKey(["published", "generation"])).parent_keys >= {
        dg.AssetKey(["marts", "signals"])
    }


def test_the_day_under_way_is_a_partition() -> None:
    from datetime import UTC, datetime

    today = datetime.now(UTC).date()
    assert VENUE_DAYS.has_partition_key(key_of("deribit", today))


def test_importing_as_an_asset_commits_the_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEDGEHOUSE_DATA", str(tmp_path / "data"))
    file = tmp_path / "balances.csv"
    file.write_text(
        "portfolio_id,as_of_at,coin,cash,equity,haircut\ndesk,2026-03-10T00:00:00Z,BTC,2,2,0\n"
    )
    result = materialized(file)
    assert result.success
    assert scan(Location(tmp_path / "data"), "balances").collect()["equity"].to_list() == [2.0]
    told = {
        event.asset_key.to_user_string(): event.materialization.metadata
        for event in result.get_asset_materialization_events()
        if event.asset_key
    }
    assert told["lake/archives"]["rows"].value == 1
    assert told["lake/balances"]["rows_of_file"].value == 1


def test_a_refused_file_fails_the_asset_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEDGEHOUSE_DATA", str(tmp_path / "data"))
    result = materialized(tmp_path / "nothing.zip")
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "nothing.zip: no such file or folder" in str(failure.step_failure_data)
