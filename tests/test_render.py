"""Generated files say what the contract says, and nobody edits them."""

import json
from pathlib import Path

import duckdb
import pytest
import yaml

from warehouse import render
from warehouse.contract import LAKE, OPS

SIGNALS = """
models:
  - name: signals
    description: What to do. One row per decision.
    columns:
      - {name: signal_id, data_type: varchar, description: "Hash.", constraints: [{type: not_null}]}
      - {name: quantity_base, data_type: double, description: "Signed | size, base coin."}
      - {name: valid_until, data_type: timestamp, description: "End, UTC."}
      - {name: quality_flags, data_type: "varchar[]", description: "Flags."}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "dbt/models/marts/hedging"
    folder.mkdir(parents=True)
    (folder / "signals.yml").write_text(SIGNALS)
    return tmp_path


def test_the_generated_files_of_this_project_are_up_to_date():
    assert render.stale() == []


def test_what_is_written_is_not_stale_and_is_written_once(project):
    assert set(render.stale(project)) == {
        "dbt/models/staging/_lake.yml",
        "docs/data-dictionary.md",
        "docs/signals.schema.json",
    }
    assert len(render.write(project)) == 3
    assert render.stale(project) == []
    assert render.write(project) == []


def test_an_edited_file_is_stale_and_named(project):
    render.write(project)
    edited = project / "docs/data-dictionary.md"
    edited.write_text(edited.read_text() + "a word of my own\n")
    assert render.stale(project) == ["docs/data-dictionary.md"]


def test_a_changed_description_of_a_mart_makes_its_pages_stale(project):
    render.write(project)
    path = project / "dbt/models/marts/hedging/signals.yml"
    path.write_text(SIGNALS.replace("End, UTC.", "End of it, UTC."))
    assert render.stale(project) == ["docs/data-dictionary.md", "docs/signals.schema.json"]


def test_every_table_of_the_contract_is_a_dbt_source_with_described_columns(project):
    render.write(project)
    tree = yaml.safe_load((project / "dbt/models/staging/_lake.yml").read_text())
    for source, tables in zip(tree["sources"], (LAKE, OPS), strict=True):
        assert [t["name"] for t in source["tables"]] == [t.name for t in tables]
        for told, table in zip(source["tables"], tables, strict=True):
            assert [c["name"] for c in told["columns"]] == [c.name for c in table.columns]
            assert all(c["description"] for c in told["columns"])


def test_types_of_sources_are_types_that_duckdb_knows(project):
    tree = yaml.safe_load(render._sources())
    kinds = {c["data_type"] for s in tree["sources"] for t in s["tables"] for c in t["columns"]}
    with duckdb.connect() as connection:
        for kind in kinds:
            connection.execute(f"select null::{kind}")


def test_the_dictionary_keeps_a_bar_in_a_description_inside_its_cell(project):
    render.write(project)
    lines = (project / "docs/data-dictionary.md").read_text().splitlines()
    assert "| quantity_base | double | Signed \\| size, base coin. |" in lines


def test_issued_signals_are_described_as_signals_with_two_stamps(project):
    (issued, signals) = render.marts(project)
    assert (issued.name, signals.name) == ("issued_signals", "signals")
    extra = [field.name for field in issued.fields[len(signals.fields) :]]
    assert extra == ["generation", "published_at"]


def test_the_schema_of_signals_tells_types_and_what_may_be_null(project):
    render.write(project)
    tree = json.loads((project / "docs/signals.schema.json").read_text())
    assert tree["properties"]["signal_id"] == {"type": "string", "description": "Hash."}
    assert tree["properties"]["quantity_base"]["type"] == ["number", "null"]
    assert tree["properties"]["valid_until"]["format"] == "date-time"
    assert tree["properties"]["quality_flags"]["items"] == {"type": "string"}


def test_a_type_without_a_counterpart_is_named(project):
    path = project / "dbt/models/marts/hedging/signals.yml"
    path.write_text(SIGNALS.replace("double", "hugeint"))
    with pytest.raises(ValueError, match="'hugeint' has no counterpart"):
        render.stale(project)
