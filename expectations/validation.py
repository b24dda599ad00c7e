"""How does Great Expectations see a frame? The one place that imports it, and pandas with it."""

import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any

import polars as pl

from warehouse.contract import Table

if TYPE_CHECKING:
    from expectations.suites import Promise

FEW_ROWS = 20_000  # up to it looking at one more promise costs more than looking at its rows


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
    alike, others = _grouped(varying) if handed.height <= FEW_ROWS else ([], varying)
    for group in alike:
        yield from _of_alike(group, handed)
    if others:
        needed = sorted({name for promise in others for name in promise.columns})
        found = validate(others, handed.select(needed).to_pandas())
        for promise, result in zip(others, found, strict=True):
            yield promise, result, pl.Series(places(result), dtype=pl.Int64)


def _grouped(promises: "Iterable[Promise]") -> "tuple[list[list[Promise]], list[Promise]]":
    """Promises of several columns that say the same of each value, and all others.

    Great Expectations takes 7 ms to look at a promise, however few rows there are.
    """
    groups: dict[object, list[Promise]] = {}
    for promise in promises:
        groups.setdefault(_said_of_each_value(promise) or promise, []).append(promise)
    alike = [group for group in groups.values() if len(group) > 1]
    return alike, [group[0] for group in groups.values() if len(group) == 1]


def _said_of_each_value(promise: "Promise") -> tuple[object, ...] | None:
    """What is promised of single numbers of a column, whichever it is; None of other promises."""
    kind = type(promise.expectation).__name__
    if kind not in ("ExpectColumnValuesToNotBeNull", "ExpectColumnValuesToBeBetween"):
        return None
    bounds = ("min_value", "max_value", "strict_min", "strict_max")
    return kind, *(getattr(promise.expectation, name, None) for name in bounds)


def _of_alike(
    group: "list[Promise]", handed: pl.DataFrame
) -> "Iterator[tuple[Promise, Any, pl.Series]]":
    """One judgement on the columns end to end, told column by column."""
    is_presence = type(group[0].expectation).__name__ == "ExpectColumnValuesToNotBeNull"
    stacked = pl.concat(
        [
            column.is_not_null().cast(pl.Float64).replace(0.0, None) if is_presence else column
            for column in (handed[promise.column].alias("value") for promise in group)
        ]
    )
    expectation = group[0].expectation.copy(update={"column": "value"})
    (result,) = validate(
        [replace(group[0], expectation=expectation, column="value")],
        stacked.to_frame().to_pandas(),
    )
    broken = pl.Series(sorted(places(result)), dtype=pl.Int64)
    starts = pl.Series(range(len(group) + 1), dtype=pl.Int64) * handed.height
    edges = broken.search_sorted(starts).to_list()
    for n, promise in enumerate(group):
        own = broken.slice(edges[n], edges[n + 1] - edges[n]) - n * handed.height
        told = {"unexpected_count": len(own), "unexpected_index_list": own.to_list()}
        yield promise, {"success": own.is_empty(), "result": told}, own


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
