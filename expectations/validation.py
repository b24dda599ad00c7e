"""How does Great Expectations see a frame? The one place that imports it, and pandas with it."""

import os
import warnings
from collections.abc import Iterable, Iterator
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

from warehouse.contract import Table

if TYPE_CHECKING:
    from expectations.suites import Promise


class ExpectationFailed(RuntimeError):
    """Great Expectations could not evaluate an expectation: a defect, not bad data."""


def results(table: Table, frame: pl.DataFrame) -> "Iterator[tuple[Promise, Any, pl.Series]]":
    """Each promise with its result and the places of the rows that broke it.

    What is the same in every row is validated once: of a constant column, one row is handed over.
    """
    if frame.is_empty():
        return
    handed = _handed_over(table, frame)
    constant = {name for name in handed.columns if _is_constant(handed[name])}
    everywhere = [p for p in suite(table) if constant.issuperset(p.columns)]
    varying = [p for p in suite(table) if not constant.issuperset(p.columns)]
    for promise, result in zip(
        everywhere, _of_constants(table, *_values(handed, constant)), strict=True
    ):
        whole = bool(places(result))
        yield promise, result, pl.int_range(frame.height if whole else 0, eager=True)
    if varying:
        needed = sorted({name for promise in varying for name in promise.columns})
        found = validate(varying, handed.select(needed).to_pandas())
        for promise, result in zip(varying, found, strict=True):
            yield promise, result, pl.Series(places(result), dtype=pl.Int64)


def _values(handed: pl.DataFrame, constant: set[str]) -> tuple[tuple[str, ...], tuple[object, ...]]:
    names = tuple(sorted(constant))
    return names, handed.head(1).select(names).row(0) if names else ()


@lru_cache(maxsize=512)
def _of_constants(table: Table, names: tuple[str, ...], values: tuple[object, ...]) -> list[Any]:
    """The same constants come with every chunk, and the same judgement with them."""
    promises = [p for p in suite(table) if set(names).issuperset(p.columns)]
    if not promises:
        return []
    frame = pl.DataFrame(
        dict(zip(names, ([value] for value in values), strict=True)),
        schema={name: _form(table, name) for name in names},
    )
    return validate(promises, frame.to_pandas())


def places(result: Any) -> list[int]:
    return result["result"].get("unexpected_index_list") or []


def _is_constant(column: pl.Series) -> bool:
    nulls = column.null_count()
    return nulls == len(column) or (nulls == 0 and bool((column == column[0]).all()))


def _handed_over(table: Table, frame: pl.DataFrame) -> pl.DataFrame:
    """The promised columns, each in its cheapest true form.

    Of a column that only has to be present, presence is all that is handed over; texts with few
    values become categories. Flags are raised here, from all of the frame.
    """
    handed = []
    for column in table.columns:
        name = column.name
        if column.dtype in (pl.Float64, pl.Int64) or column.one_of:
            handed.append(pl.col(name).cast(_form(table, name)))
        elif not column.nullable:
            handed.append(pl.when(pl.col(name).is_not_null()).then(1.0).alias(name))
    flagged = {p.breach: p.flagged.cast(pl.Float64) for p in suite(table) if p.flagged is not None}
    return frame.select(*handed, **flagged)


def _form(table: Table, name: str) -> type[pl.DataType]:
    is_listed = any(column.name == name and column.one_of for column in table.columns)
    return pl.Categorical if is_listed else pl.Float64


def validate(promises: Iterable["Promise"], frame: Any) -> list[Any]:
    """Results in the order of `promises`; Great Expectations gives them in its own."""
    import great_expectations as gx

    suite = gx.ExpectationSuite(name="gate")
    for place, promise in enumerate(promises):
        suite.expectations.append(promise.expectation.copy(update={"meta": {"place": place}}))
    batch = _batches().get_batch(batch_parameters={"dataframe": frame})
    found = batch.validate(suite, result_format={"result_format": "COMPLETE"})
    for result in found.results:
        if result.exception_info.get("raised_exception"):
            raise ExpectationFailed(f"expectation could not be evaluated: {result.exception_info}")
    return sorted(
        (r.to_json_dict() for r in found.results),
        key=lambda r: r["expectation_config"]["meta"]["place"],
    )


@cache
def has_columns(table: Table, names: tuple[str, ...]) -> bool:
    frame = pl.DataFrame(schema=dict.fromkeys(names, pl.Float64)).to_pandas()
    (result,) = validate([suites().columns_promise(table)], frame)
    return bool(result["success"])


@cache
def is_empty(rows: int) -> bool:
    """Whether a table of that many violations is empty, in the judgement of Great Expectations."""
    frame = pl.DataFrame({"violation": [1] * rows}).to_pandas()
    (result,) = validate([suites().emptiness()], frame)
    return bool(result["success"])


@cache
def suite(table: Table) -> "tuple[Promise, ...]":
    return suites().suite(table)  # type: ignore[no-any-return]


@cache
def suites() -> Any:
    """Great Expectations takes seconds to import, so only a gate that is used pays for it."""
    os.environ.setdefault("GX_ANALYTICS_ENABLED", "false")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from expectations import suites
    return suites


@cache
def _batches() -> Any:
    suites()
    import great_expectations as gx
    from great_expectations.data_context.types.base import ProgressBarsConfig

    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False, metric_calculations=False)
    asset = context.data_sources.add_pandas("chunks").add_dataframe_asset("chunk")
    return asset.add_batch_definition_whole_dataframe("whole")
