"""Positions and balances as people keep them: CSV or Parquet, recognised by their columns.

A portfolio is taken whole or not at all: a hedge computed from half a book is worse than none.
"""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Literal

import polars as pl

from expectations.gate import ROW_NUMBER
from pipelines.archives import parquet
from pipelines.archives.base import SourceRefused, Statement
from warehouse.contract import BALANCES, LAKE_TABLES, POSITIONS, Column, Table

SUFFIXES = (".csv", ".parquet")
LARGEST_BYTES = 64 * 2**20  # a portfolio is read whole

Row = dict[str, str]
Fact = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Listing:
    """What the lake knows of an instrument; sizes are None where they are not known."""

    venue: str
    underlying: str
    kind: str
    contract_type: str | None
    contract_size: float | None
    lot_size: float | None


def recognise(path: Path) -> Statement | None:
    """Positions or balances, by the columns; None where it is neither."""
    if path.suffix not in SUFFIXES:
        return None
    columns = set(_columns(path))
    for table in (POSITIONS, BALANCES):
        if columns.issuperset(table.key):
            kind: Literal["positions", "balances"] = (
                "positions" if table is POSITIONS else "balances"
            )
            return Statement(path, kind)
    return None


def text_of(statement: Statement) -> str:
    """The file as CSV text, which is what is kept as evidence."""
    path = statement.path
    if (size := path.stat().st_size) > LARGEST_BYTES:
        raise SourceRefused(f"{path}: was {size} bytes; portfolios are at most {LARGEST_BYTES}")
    if path.suffix == ".parquet":
        try:
            frame = pl.read_parquet(path)
        except pl.exceptions.PolarsError as error:
            raise SourceRefused(f"{path}: is damaged: {error}") from error
        stamps = pl.col(pl.Datetime).dt.to_string("iso:strict")
        return frame.with_columns(stamps).write_csv()
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceRefused(f"{path}: is no UTF-8 text: {error}") from error


def read(
    statement: Statement, text: str, listings: Mapping[str, Listing]
) -> tuple[pl.DataFrame, tuple[str, ...]]:
    """The rows, conformed and with `row_number`, and the names of columns that were not read.

    Raises `SourceRefused` naming file, row, column and value at the first thing that is wrong.
    """
    table = LAKE_TABLES[statement.table]
    rows = _rows(statement.path, text)
    if not rows:
        raise SourceRefused(f"{statement.path}: holds no rows")
    make = _position if table is POSITIONS else _balance
    made, seen = [], dict[tuple[object, ...], int]()
    for number, cells in enumerate(rows, 1):
        reader = Cells(statement.path, number, cells, table)
        made.append(make(reader, listings) | {ROW_NUMBER: number})
        key = tuple(made[-1][name] for name in table.key)
        if (first := seen.setdefault(key, number)) != number:
            raise reader.refused(table.key[-1], f"stands in row {first} already")
    frame = pl.DataFrame(made, schema_overrides=dict(table.schema), infer_schema_length=None)
    frame = frame.sort(table.sort)
    known = {*table.schema.names(), ROW_NUMBER}
    return (
        table.conform(frame).with_columns(frame[ROW_NUMBER]),
        tuple(name for name in rows[0] if name not in known),
    )


@dataclass(frozen=True, slots=True)
class Cells:
    """One row, whose cells are read by column; each failure names file, row, column and value."""

    path: Path
    number: int
    cells: Row
    table: Table

    def refused(self, name: str, why: str) -> SourceRefused:
        value = self.cells.get(name, "")
        return SourceRefused(f"{self.path}: row {self.number}, {name}: was {value!r}, {why}")

    def text(self, name: str) -> str:
        value = self.cells.get(name, "").strip()
        if not value:
            raise self.refused(name, "which must not be empty")
        return value

    def instant(self, name: str) -> datetime:
        try:
            found = datetime.fromisoformat(self.text(name))
        except ValueError:
            raise self.refused(name, "not an ISO 8601 instant") from None
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)

    def number_of(self, name: str) -> float | None:
        """A finite number within the column's bounds; None for an empty cell."""
        cell = self.cells.get(name, "").strip()
        if not cell:
            return None
        try:
            value = float(cell)
        except ValueError:
            raise self.refused(name, "not a number") from None
        if not math.isfinite(value):
            raise self.refused(name, "not a finite number")
        if not _within(self.table.column(name), value):
            raise self.refused(name, "out of bounds")
        return value


def _position(cells: Cells, listings: Mapping[str, Listing]) -> dict[str, object]:
    instrument_id = cells.text("instrument_id")
    listing = listings.get(instrument_id)
    if listing is None:
        raise cells.refused("instrument_id", "an instrument of which no data was ever imported")
    contracts, base = cells.number_of("quantity_contracts"), cells.number_of("quantity_base")
    if (contracts is None) == (base is None):
        both = "both" if base is not None else "neither"
        raise cells.refused(
            "quantity_contracts",
            f"and quantity_base was {cells.cells.get('quantity_base', '')!r}: {both} given, "
            "one is expected",
        )
    name = "quantity_contracts" if base is None else "quantity_base"
    if not (contracts or base):
        raise cells.refused(name, "and a position of zero is none")
    lot = _lot(listing, name)
    if lot is not None and Decimal(cells.cells[name].strip()) % lot:
        raise cells.refused(name, f"not a multiple of the lot {lot} of {instrument_id}")
    margin_mode = cells.cells.get("margin_mode", "").strip() or None
    if margin_mode not in (None, *POSITIONS.column("margin_mode").one_of):
        raise cells.refused("margin_mode", "neither cross nor isolated")
    return _owner(cells) | {
        "venue": listing.venue,
        "underlying": listing.underlying,
        "instrument_id": instrument_id,
        "quantity_contracts": contracts,
        "quantity_base": base,
        "entry_price": cells.number_of("entry_price"),
        "margin_mode": margin_mode,
    }


def _balance(cells: Cells, listings: Mapping[str, Listing]) -> dict[str, object]:
    equity = cells.number_of("equity")
    if equity is None:
        raise cells.refused("equity", "which must not be empty")
    return _owner(cells) | {
        "coin": cells.text("coin"),
        "cash": cells.number_of("cash"),
        "equity": equity,
        "haircut": cells.number_of("haircut"),
    }


def _owner(cells: Cells) -> dict[str, object]:
    portfolio_id = cells.text("portfolio_id")
    if "@" in portfolio_id:
        raise cells.refused("portfolio_id", "and a name may not contain '@'")
    return {"portfolio_id": portfolio_id, "as_of_at": cells.instant("as_of_at")}


def _lot(listing: Listing, name: str) -> Decimal | None:
    """The smallest step of the quantity; None where it is unknown or follows from the price."""
    if listing.lot_size is None:
        return None
    lot = Decimal(str(listing.lot_size))
    if name == "quantity_contracts":
        return lot
    is_dollars = listing.contract_type == "inverse" and listing.kind != "option"
    if is_dollars or listing.contract_size is None:
        return None
    return (lot * Decimal(str(listing.contract_size))).normalize()


def _within(column: Column, value: float) -> bool:
    return not (
        (column.low is not None and value < column.low)
        or (column.high is not None and value > column.high)
        or (column.above is not None and value <= column.above)
    )


def _columns(path: Path) -> Sequence[str]:
    if path.suffix == ".parquet":
        return tuple(parquet.columns(path))
    with path.open("rb") as file:
        head = file.readline(2**16).decode("utf-8-sig", errors="replace")
    return [cell.strip() for cell in next(csv.reader([head.rstrip("\r\n")]), [])]


def _rows(path: Path, text: str) -> list[Row]:
    lines = csv.reader(io.StringIO(text))
    try:
        header = [cell.strip() for cell in next(lines, [])]
        rows = [cells for cells in lines if cells]
    except csv.Error as error:
        raise SourceRefused(f"{path}: line {lines.line_num}: {error}") from error
    for number, cells in enumerate(rows, 1):
        if len(cells) != len(header):
            raise SourceRefused(
                f"{path}: row {number} has {len(cells)} cells, the header {len(header)}"
            )
    return [dict(zip(header, cells, strict=True)) for cells in rows]
