"""What must hold of a table: what its contract promises, plus what only a human knows."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import polars as pl
from great_expectations.expectations import core
from great_expectations.expectations.expectation import Expectation

from warehouse.contract import Column, Table

gxe: Any = core  # its names are not exported as a type checker wants them
FINITE = sys.float_info.max


@dataclass(frozen=True, slots=True)
class Promise:
    """An expectation, and what follows when a row breaks it.

    A blocking promise that is kept per row sends the row to quarantine with `breach` as reason; a
    blocking one on the whole table stops the unit. One that does not block is reported, no more.
    """

    expectation: Expectation
    column: str
    is_blocking: bool
    breach: str
    reason: str

    @property
    def columns(self) -> tuple[str, ...]:
        """Every column the expectation reads."""
        named = ("column", "column_A", "column_B")
        return tuple(getattr(self.expectation, n) for n in named if hasattr(self.expectation, n))


def suite(table: Table) -> tuple[Promise, ...]:
    """Every promise of `table`, the contract's first."""
    promised = [promise for column in table.columns for promise in _from_contract(column)]
    return (*promised, *_judgement(table))


def columns_promise(table: Table) -> Promise:
    """The frame has the table's columns in the table's order."""
    names = table.schema.names()
    return Promise(
        gxe.ExpectTableColumnsToMatchOrderedList(column_list=names),
        "",
        True,
        "columns",
        "Readers rely on the contract's columns in the contract's order.",
    )


def emptiness() -> Promise:
    """A table of violations has no row."""
    return Promise(
        gxe.ExpectTableRowCountToEqual(value=0), "", True, "violations", "There must be none."
    )


def _from_contract(column: Column) -> Iterator[Promise]:
    name = column.name
    if not column.nullable:
        expected = gxe.ExpectColumnValuesToNotBeNull(column=name)
        yield Promise(expected, name, True, f"{name}_missing", f"The contract: {column.doc}")
    if column.one_of:
        expected = gxe.ExpectColumnValuesToBeInSet(column=name, value_set=list(column.one_of))
        yield Promise(expected, name, True, f"{name}_unknown", f"The contract: {column.doc}")
    bounds = (column.low, column.high, column.above)
    if column.dtype == pl.Float64 or bounds != (None, None, None):
        yield Promise(
            _between(column), name, True, f"{name}_out_of_bounds", f"{_bounds(column)} {column.doc}"
        )


def _between(column: Column) -> Expectation:
    """Open ends are closed by the largest float: an infinite number is no measurement."""
    low = column.above if column.above is not None else column.low
    expected: Expectation = gxe.ExpectColumnValuesToBeBetween(
        column=column.name,
        min_value=-FINITE if low is None else low,
        strict_min=column.above is not None,
        max_value=FINITE if column.high is None else column.high,
    )
    return expected


def _bounds(column: Column) -> str:
    low = f"above {column.above:g}" if column.above is not None else ""
    low = low or (f"from {column.low:g}" if column.low is not None else "")
    high = f"to {column.high:g}" if column.high is not None else ""
    return f"The contract, {' '.join(filter(None, (low, high))) or 'finite'}:"


def _uncrossed() -> Promise:
    return Promise(
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A="ask_price",
            column_B="bid_price",
            or_equal=True,
            ignore_row_if="either_value_is_missing",
        ),
        "ask_price",
        False,
        "crossed",
        "A bid above the ask is a feed out of step, seldom a market.",
    )


def _plausible_iv() -> Promise:
    return Promise(
        gxe.ExpectColumnMedianToBeBetween(column="venue_iv_mark", min_value=0.05, max_value=5),
        "venue_iv_mark",
        True,
        "venue_iv_unit",
        "Venues send percent or fractions: a median outside 0.05 to 5 is the wrong unit.",
    )


def _plausible_rate() -> Promise:
    return Promise(
        gxe.ExpectColumnValuesToBeBetween(column="rate", min_value=-0.04, max_value=0.04),
        "rate",
        False,
        "rate_beyond_caps",
        "No venue's cap allows more than 4 % in one interval: look before trusting it.",
    )


def _judgement(table: Table) -> tuple[Promise, ...]:
    beyond = {
        "quotes": (_uncrossed,),
        "option_quotes": (_uncrossed, _plausible_iv),
        "funding": (_plausible_rate,),
    }
    return tuple(make() for make in beyond.get(table.name, ()))
