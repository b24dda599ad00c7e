"""An operator finds the steps in Dagster, and a step that failed says why."""

from pathlib import Path

import dagster as dg
import pytest
import yaml

from assets import definitions
from warehouse.lake import scan
from warehouse.location import Location

ROOT = Path(__file__).parents[1]


def materialized(path: Path) -> dg.ExecuteInProcessResult:
    with dg.DagsterInstance.ephemeral() as instance:
        return dg.materialize(
            [definitions.archives],
            run_config={"ops": {"lake__archives": {"config": {"paths": [str(path)]}}}},
            instance=instance,
            raise_on_error=False,
        )


def test_the_workspace_names_definitions_that_load() -> None:
    workspace = yaml.safe_load((ROOT / "workspace.yaml").read_text())
    assert workspace == {"load_from": [{"python_module": definitions.__name__}]}
    dg.Definitions.validate_loadable(definitions.defs)
    keys = {key.to_user_string() for key in definitions.defs.resolve_all_asset_keys()}
    assert keys == {"lake/archives", "work_database", "generation"}


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
    (event,) = result.get_asset_materialization_events()
    assert event.materialization.metadata["rows"].value == 1


def test_a_refused_file_fails_the_asset_with_its_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEDGEHOUSE_DATA", str(tmp_path / "data"))
    result = materialized(tmp_path / "nothing.zip")
    assert not result.success
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "nothing.zip: no such file or folder" in str(failure.step_failure_data)
