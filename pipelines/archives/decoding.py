"""How do lines of text become typed columns, and what of the lines that do not?"""

import csv
import io
from collections.abc import Collection

import polars as pl

from expectations.gate import REFUSED, ROW_NUMBER
from pipelines.archives.base import Lines

Dtypes = dict[str, type[pl.DataType]]


def typed(
    lines: Lines, dtypes: Dtypes, required: Collection[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The columns named in `dtypes` with `row_number`, and the refused rows with their reason.

    An empty cell is NULL and refused in a `required` column. Most chunks are clean and parsed at
    once; one with a damaged row is parsed line by line, so that only that row is lost.
    """
    frame = _at_once(lines, dtypes)
    if frame is None or any(frame[name].null_count() for name in required):
        return _by_line(lines, dtypes, required)
    numbers = pl.int_range(lines.first_row, lines.first_row + frame.height, eager=True)
    return frame.with_columns(numbers.alias(ROW_NUMBER)), pl.DataFrame(schema=REFUSED)


def _at_once(lines: Lines, dtypes: Dtypes) -> pl.DataFrame | None:
    """The clean chunk, or None where a line is short, long, blank, quoted or unreadable."""
    rows, text = lines.count(b"\n"), lines.text
    if b'"' in text or lines.count(b",") != rows * (len(lines.columns) - 1):
        return None
    schema = {name: dtypes.get(name, pl.String) for name in lines.columns}
    wanted = [place for place, name in enumerate(lines.columns) if name in dtypes]
    try:
        frame = pl.read_csv(io.BytesIO(text), has_header=False, schema=schema, columns=wanted)
    except pl.exceptions.PolarsError:
        return None
    return frame.select(*dtypes) if frame.height == rows else None


def _by_line(
    lines: Lines, dtypes: Dtypes, required: Collection[str]
) -> tuple[pl.DataFrame, pl.DataFrame]:
    numbered, broken = [], []
    text = lines.text.decode("utf-8", errors="replace").removesuffix("\n")
    for number, line in enumerate(text.split("\n"), lines.first_row):
        cells = next(csv.reader([line.rstrip("\r")]), [])
        if len(cells) == len(lines.columns):
            numbered.append((number, *cells))
        else:
            broken.append((number, "wrong_number_of_cells"))
    texts = pl.DataFrame(
        numbered,
        schema={ROW_NUMBER: pl.Int64} | dict.fromkeys(lines.columns, pl.String),
        orient="row",
    ).select(ROW_NUMBER, *dtypes)
    frame = texts.with_columns(_cast(name, dtype) for name, dtype in dtypes.items())
    reason = pl.coalesce(
        *(_reason(texts, frame, name, name in required) for name in dtypes), pl.lit(None, pl.String)
    )
    reasons = pl.select(reason.alias("reason")).to_series()
    good = reasons.is_null()
    unreadable = texts.select(ROW_NUMBER).with_columns(reason=reasons).filter(~good)
    refused = pl.concat([pl.DataFrame(broken, schema=REFUSED, orient="row"), unreadable])
    return frame.filter(good).select(*dtypes, ROW_NUMBER), refused.sort(ROW_NUMBER)


def _cast(name: str, dtype: type[pl.DataType]) -> pl.Expr:
    cell = pl.when(pl.col(name) != "").then(pl.col(name))
    if dtype is pl.Boolean:
        lower = cell.str.to_lowercase()
        return pl.when(lower.is_in(["true", "false"])).then(lower == "true").alias(name)
    return cell.cast(dtype, strict=False).alias(name)


def _reason(texts: pl.DataFrame, frame: pl.DataFrame, name: str, is_required: bool) -> pl.Expr:
    empty, absent = texts[name] == "", frame[name].is_null()
    unreadable = pl.when(absent & ~empty).then(pl.lit(f"{name}_unreadable"))
    if not is_required:
        return unreadable
    return pl.coalesce(pl.when(empty).then(pl.lit(f"{name}_missing")), unreadable)
