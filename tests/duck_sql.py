"""What would models give over tables made by hand? They are run in plain DuckDB, without dbt.

`tests/spark_sql.py` renders the same files for Spark.
"""

import functools
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import yaml
from jinja2 import Environment, StrictUndefined, pass_context
from jinja2.runtime import Context

from warehouse.plugins.duckdb import bind

DBT = Path(__file__).parents[1] / "dbt"
MODELS = {path.stem: path for path in (DBT / "models").rglob("*.sql")}
MACROS = sorted((DBT / "macros").glob("*.sql"))


class Adapter:
    """dbt's `adapter`, on DuckDB."""

    @staticmethod
    @pass_context
    def dispatch(context: Context, name: str, package: str) -> Any:
        return context.get(f"default__{name}")


@functools.cache
def rendered(template: str, as_of: str = "9999-12-31 00:00:00") -> str:
    """SQL for DuckDB of a template that may use every macro: refs are plain names."""
    named = {
        "ref": lambda name: name,
        "source": lambda _, name: name,
        "config": lambda **_: "",
        "var": {"as_of": as_of, "model_version": "by hand"}.__getitem__,
        "return": lambda value: value,
        "adapter": Adapter,
    }
    text = "".join(path.read_text() for path in MACROS) + template
    return Environment(undefined=StrictUndefined).from_string(text).render(named)


def seeded(connection: duckdb.DuckDBPyConnection, names: Iterable[str]) -> None:
    """The project's seeds as tables, of the types that they declare."""
    files = [yaml.safe_load(path.read_text()) for path in (DBT / "seeds").glob("*.yml")]
    entries = {entry["name"]: entry for file in files for entry in file["seeds"]}
    for name in names:
        types = entries[name]["config"]["column_types"]
        path = DBT / "seeds" / f"{name}.csv"
        query = f"create table {name} as from read_csv('{path}', header = true, columns = {types})"
        connection.execute(query)


def world(
    frames: Mapping[str, pl.DataFrame],
    seeds: Iterable[str],
    models: Iterable[str],
    as_of: str = "9999-12-31 00:00:00",
) -> duckdb.DuckDBPyConnection:
    """A database of `frames` and seeds with `models` built over them, in the order given."""
    connection = duckdb.connect()
    connection.execute("set TimeZone = 'UTC'")
    bind(connection)
    for name, frame in frames.items():
        connection.register("given", frame)
        connection.execute(f"create table {name} as from given")
        connection.unregister("given")
    seeded(connection, seeds)
    for model in models:
        sql = rendered(MODELS[model].read_text(), as_of)
        connection.execute(f"create table {model} as {sql}")
    return connection
