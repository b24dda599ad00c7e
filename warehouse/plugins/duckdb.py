"""The registry and the catalog on a DuckDB connection, for dbt and for anyone with a connection."""

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

import duckdb
import pyarrow as pa
from dbt.adapters.duckdb.plugins import BasePlugin
from duckdb.func import FunctionNullHandling, PythonUDFType

from warehouse import catalog
from warehouse.arrow import SqlFunction
from warehouse.registry import FUNCTIONS

SQL_NAMES = {
    pa.float64(): "DOUBLE",
    pa.int64(): "BIGINT",
    pa.int32(): "INTEGER",
    pa.bool_(): "BOOLEAN",
    pa.string(): "VARCHAR",
    pa.date32(): "DATE",
}


class Plugin(BasePlugin):
    """dbt-duckdb's hook: `module: warehouse.plugins.duckdb`, config: root and committed_by."""

    def initialize(self, plugin_config: dict[str, Any]) -> None:
        # dbt mixes the connection's settings into this dictionary.
        self.mount = {name: plugin_config[name] for name in ("root", "committed_by")}

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        bind(conn)
        catalog.mount(conn, **self.mount)


def bind(connection: duckdb.DuckDBPyConnection) -> None:
    """Register every SQL function; cursors of the connection see them too.

    They live in the connection's process: a view that calls one cannot be read from another.
    """
    for function in FUNCTIONS:
        connection.create_function(
            function.name,
            vectorised(function),
            [sql_type(dtype) for _, dtype in function.arguments],
            sql_type(function.returns),
            type=PythonUDFType.ARROW,
            null_handling=FunctionNullHandling.SPECIAL,
        )


def vectorised(function: SqlFunction) -> Callable[..., Any]:
    """DuckDB passes up to 2048 rows at a time, each column in one or more pieces."""

    def call(*columns: Any) -> Any:
        return function.compute(*(whole(c) for c in columns))

    # DuckDB counts the parameters of the signature and evaluates its annotations; those of the
    # registry name generic Arrow types, which exist for type checkers only.
    parameters = [Parameter(n, Parameter.POSITIONAL_ONLY) for n, _ in function.arguments]
    call.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return call


def whole(column: Any) -> Any:
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def sql_type(dtype: pa.DataType) -> str:
    """DuckDB's name of an Arrow type of the registry."""
    if isinstance(dtype, pa.ListType):
        return f"{sql_type(dtype.value_type)}[]"
    if isinstance(dtype, pa.StructType):
        return f"STRUCT({', '.join(f'{field.name} {sql_type(field.type)}' for field in dtype)})"
    return SQL_NAMES[dtype]
