"""What must hold of a table: what its contract promises, plus what only a human knows."""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
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
    Where only several columns or rows together tell, the expectation reads the flag `breach`, which
    `flagged` raises on the rows that break it.
    """

    expectation: Expectation
    column: str
    is_blocking: bool
    breach: str
    reason: str
    flagged: pl.Expr | None = field(default=None, compare=False)

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


def _ordered_candle() -> tuple[Promise, ...]:
    """Neither end of a candle lies outside its range."""
    pairs = (
        ("high", "low"),
        ("high", "open"),
        ("high", "close"),
        ("open", "low"),
        ("close", "low"),
    )
    return tuple(_at_least(upper, lower) for upper, lower in pairs)


def _at_least(upper: str, lower: str) -> Promise:
    return Promise(
        gxe.ExpectColumnPairValuesAToBeGreaterThanB(
            column_A=upper,
            column_B=lower,
            or_equal=True,
            ignore_row_if="either_value_is_missing",
        ),
        upper,
        True,
        f"{upper}_below_{lower}",
        "A candle whose ends lie outside its range had its columns mistaken.",
    )


def _plausible_volatility() -> Promise:
    return Promise(
        gxe.ExpectColumnMedianToBeBetween(column="close", min_value=0.05, max_value=5),
        "close",
        True,
        "volatility_unit",
        "Venues publish percent: a median outside 0.05 to 5 was not converted, or twice.",
    )


def _flag(column: str, breach: str, broken: pl.Expr, reason: str, *, blocks: bool) -> Promise:
    """A promise that rows break where `broken` says so."""
    expected = gxe.ExpectColumnValuesToBeInSet(column=breach, value_set=[0.0])
    return Promise(expected, column, blocks, breach, reason, broken.fill_null(value=False))


def _ordered_book() -> tuple[Promise, ...]:
    """Prices worsen level by level, and the best two leave a spread."""
    book, price, is_bid = ("instrument_id", "snapshot_at"), pl.col("price"), pl.col("side") == "bid"
    better = price.shift(1).over(*book, "side", order_by="level")
    is_no_worse = pl.when(is_bid).then(price >= better).otherwise(price <= better)
    bid = price.filter(is_bid).max().over(*book)
    ask = price.filter(~is_bid).min().over(*book)
    return (
        _flag(
            "level",
            "levels_unordered",
            is_no_worse.any().over(*book),
            "Each level is worse than the one before: else the whole book was misread.",
            blocks=True,
        ),
        _flag(
            "price",
            "crossed",
            (bid > ask) & (pl.col("level") == 1),
            "A bid above the ask is a feed out of step, seldom a market.",
            blocks=False,
        ),
    )


def _whole_settlement() -> tuple[Promise, ...]:
    """A delivery has its price, and an averaging window its order."""
    return (
        _flag(
            "delivery_price",
            "delivery_unpriced",
            (pl.col("kind") == "delivery") & pl.col("delivery_price").is_null(),
            "What was delivered was delivered at a price.",
            blocks=True,
        ),
        _flag(
            "window_end",
            "window_reversed",
            pl.col("window_end") <= pl.col("window_start"),
            "A window that ends before it starts had its stamps mistaken.",
            blocks=True,
        ),
    )


def _judgement(table: Table) -> tuple[Promise, ...]:
    """What no declaration of a column can say, table by table."""
    match table.name:
        case "quotes":
            return (_uncrossed(),)
        case "option_quotes":
            return (_uncrossed(), _plausible_iv())
        case "books":
            return _ordered_book()
        case "funding":
            return (_plausible_rate(),)
        case "index_prices":
            return _ordered_candle()
        case "volatility_indices":
            return (*_ordered_candle(), _plausible_volatility())
        case "settlements":
            return _whole_settlement()
    return ()
