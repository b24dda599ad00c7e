"""Does every model say what it is, in the form that readers and the build rely on?"""

import csv
import functools
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import pytest
import yaml

from warehouse.catalog import sql_type
from warehouse.contract import LAKE_TABLES, OPS_TABLES
from warehouse.location import Location

pytestmark = pytest.mark.whole

DBT = Path(__file__).parents[1] / "dbt"
SQL = sorted((DBT / "models").rglob("*.sql"))
MARTS = [p for p in SQL if "marts" in p.parts]
SEEDS = sorted((DBT / "seeds").glob("*.csv"))
QUALITY = ["available_at", "quality_grade", "quality_flags", "staleness_s", "model_version"]


@functools.cache
def described() -> list[dict[str, Any]]:
    """The files that say what models and seeds are."""
    files = sorted(p for part in ("models", "seeds") for p in (DBT / part).rglob("*.yml"))
    return [yaml.load(p.read_text(), yaml.CSafeLoader) for p in files]


def properties(kind: str) -> dict[str, dict[str, Any]]:
    """What they say, by model or seed; each is described once."""
    entries = [entry for file in described() for entry in file.get(kind, [])]
    found = {entry["name"]: entry for entry in entries}
    assert len(found) == len(entries)
    return found


def test_dbt_is_the_package_and_not_this_folder():
    assert not (DBT / "__init__.py").exists()
    found = importlib.util.find_spec("dbt.cli.main")
    assert found is not None
    assert found.origin is not None
    assert not Path(found.origin).is_relative_to(DBT)


def test_the_contract_of_every_mart_is_enforced():
    project = yaml.safe_load((DBT / "dbt_project.yml").read_text())
    assert project["models"]["hedgehouse"]["marts"]["+contract"] == {"enforced": True}
    assert project["models"]["+persist_docs"] == {"relation": True, "columns": True}


@pytest.mark.parametrize("path", SQL, ids=lambda p: p.stem)
def test_a_model_completes_one_row_per_and_describes_its_columns(path):
    model = properties("models")[path.stem]
    assert re.search(r"\b[Oo]ne row per ", model["description"])
    assert model.get("columns") or "intermediate" in path.parts
    for column in model.get("columns", []):
        assert column.get("description"), column["name"]


@pytest.mark.parametrize("path", MARTS, ids=lambda p: p.stem)
def test_a_mart_has_types_a_unit_test_and_ends_with_its_quality(path):
    columns = properties("models")[path.stem]["columns"]
    assert all(column.get("data_type") for column in columns)
    tests = [test for file in described() for test in file.get("unit_tests", [])]
    assert path.stem in {test["model"] for test in tests}
    if path.parent.name != "ops":
        assert [column["name"] for column in columns][-5:] == QUALITY


@pytest.mark.parametrize("name", OPS_TABLES)
def test_an_operational_table_has_every_column_of_the_contract(name):
    columns = {c["name"]: c["data_type"] for c in properties("models")[name]["columns"]}
    expected = {c.name: sql_type(c.dtype).lower() for c in OPS_TABLES[name].columns}
    assert columns == expected


@pytest.mark.parametrize("name", [p.stem for p in SQL if p.stem.startswith("stg_")])
def test_staging_keeps_every_column_of_its_table(name):
    columns = {c["name"] for c in properties("models")[name]["columns"]}
    table = LAKE_TABLES[name.removeprefix("stg_")]
    assert set(table.schema.names()) <= columns
    assert "available_at" in columns


def test_every_table_of_the_lake_is_staged():
    assert {f"stg_{name}" for name in LAKE_TABLES} <= {path.stem for path in SQL}


def test_only_staging_reads_the_lake():
    readers = [p.stem for p in SQL if re.search(r"source\('lake'", p.read_text())]
    assert all(name.startswith("stg_") for name in readers)


def test_no_line_is_longer_than_a_screen():
    files = [*SQL, *(DBT / "macros").glob("*.sql"), *(DBT / "tests").rglob("*.sql")]
    lines = [(p, n, t) for p in files for n, t in enumerate(p.read_text().splitlines(), 1)]
    assert [f"{p.name}:{n}" for p, n, text in lines if len(text) > 120] == []


@pytest.mark.parametrize("path", SEEDS, ids=lambda p: p.stem)
def test_every_row_of_a_seed_has_a_source_and_a_start(path):
    columns = properties("seeds")[path.stem]["columns"]
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for number, row in enumerate(rows, 2):
        assert row["source"].strip(), f"{path.name}:{number}: no source"
        assert re.fullmatch(r"\d{4}-\d\d-\d\d( [\d:]+)?", row["valid_from"]), f"line {number}"
    assert {c["name"] for c in columns} == set(rows[0])
    assert all(column["description"] for column in columns)


def test_the_unit_tests_of_the_models_hold(simulated: Location, tmp_path: Path) -> None:
    """They are run here and not by a build: what they prove does not depend on the data."""
    # Views name the database, which is called after its file.
    work = shutil.copy(simulated.warehouse, tmp_path / simulated.warehouse.name)
    environment = {
        **os.environ,
        "HEDGEHOUSE_DBT_PATH": str(work),
        "HEDGEHOUSE_DATA": str(simulated.root),
        "HEDGEHOUSE_COMMITTED_BY": "",
        "DBT_SEND_ANONYMOUS_USAGE_STATS": "false",
    }
    options = ["--project-dir", str(DBT), "--profiles-dir", str(DBT)]
    options += ["--target-path", str(tmp_path / "target"), "--log-path", str(tmp_path / "logs")]
    run = "import sys; from dbt.cli.main import cli; cli(sys.argv[1:])"
    command = [sys.executable, "-c", run, "test", "--select", "test_type:unit", *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:]
    passed = re.search(r"PASS=(\d+)", done.stdout)
    assert passed
    assert int(passed[1]) >= len(MARTS)


def test_what_was_built_carries_its_descriptions(simulated: Location) -> None:
    with duckdb.connect(str(simulated.warehouse), read_only=True) as connection:
        rows = connection.execute(
            "select schema_name || '.' || table_name, column_name, comment from duckdb_columns() "
            "where not internal and schema_name in "
            "('options', 'flow', 'carry', 'hedging', 'ops', 'staging')"
        ).fetchall()
    assert {table.split(".")[1] for table, _, _ in rows} >= {
        path.stem for path in SQL if "intermediate" not in path.parts
    }
    assert [(table, column) for table, column, comment in rows if not comment] == []
