"""How do rows of JSON become typed columns, and what of the rows that do not?

A page is a list of objects, a list of arrays whose places have names, or one object. Clean pages
are parsed at once, those with books in them by Arrow, which takes no text for a number; pages with
a damaged row are parsed row by row, so that only that row is lost.
"""

import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.json as arrow_json

from expectations.gate import REFUSED, ROW_NUMBER
from pipelines.venues.json_columns import columns, whole
from pipelines.venues.json_shape import POLARS, PYTHON, Shape, Type

SMALLEST, LARGEST = -(2**63), 2**63 - 1
PAGE = "page"  # which of the pages a row came from, counted from 0
ARROW: Mapping[Type, pa.DataType] = {
    "integer": pa.int64(),
    "number": pa.float64(),
    "decimal": pa.string(),
    "text": pa.string(),
    "flag": pa.bool_(),
    "levels": pa.list_(pa.list_(pa.string())),
}


def typed(
    texts: Sequence[str], shape: Shape, known: Sequence[pl.DataFrame | None] = ()
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The fields of `shape` with `row_number` and `page`, and refused rows (row_number, reason).

    Rows are numbered from 1 over all pages; what is no row counts as one, so that kept and refused
    rows together are all that came. Decimals become floats; one that is not finite is unreadable.
    `known` are the `columns` of each page, where they were made already.
    """
    clean = _clean(texts, shape, known)
    raw, broken = _at_once(texts, shape) if clean is None else clean, pl.DataFrame(schema=REFUSED)
    if raw is None:
        raw, broken = _by_row(texts, shape)
    raw = raw.with_columns(pl.when(pl.col(pl.String) != "").then(pl.col(pl.String)))
    frame = raw.with_columns(
        pl.col(name).cast(pl.Float64, strict=False)
        for name, kind in shape.fields.items()
        if kind == "decimal"
    )
    reasons = _reasons(raw, frame, shape)
    if reasons.null_count() == frame.height:
        return frame, broken
    refused = frame.select(ROW_NUMBER, reason=reasons).drop_nulls()
    return frame.filter(reasons.is_null()), pl.concat([broken, refused]).sort(ROW_NUMBER)


def rows(texts: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """Every row of the pages with the number of its page; of what is no JSON, the text itself."""
    for page, text in enumerate(texts):
        found = _parsed(text)
        if isinstance(found, list):
            yield from ((page, row) for row in found)
        else:
            yield page, found


def row_texts(texts: Sequence[str], numbers: Sequence[int]) -> dict[int, str]:
    """The rows with these numbers, as text, for quarantine."""
    wanted = set(numbers)
    return {
        number: row if isinstance(row, str) else json.dumps(row)
        for number, (_, row) in enumerate(rows(texts), 1)
        if number in wanted
    }


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):  # too deep to be read is not readable either
        return text


def _clean(
    texts: Sequence[str], shape: Shape, known: Sequence[pl.DataFrame | None]
) -> pl.DataFrame | None:
    """All pages as columns, or None where one is not clean, or there is none."""
    frames: list[pl.DataFrame] = []
    for frame in known or (columns(_bytes(text), shape) for text in texts):
        if frame is None:
            return None
        frames.append(frame)
    if not frames:
        return None
    return numbered(frames, shape)


def _bytes(text: str) -> bytes:
    """The page's bytes; none where half a surrogate pair is in it."""
    try:
        return text.strip().encode()
    except UnicodeEncodeError:
        return b""


def numbered(frames: Sequence[pl.DataFrame], shape: Shape) -> pl.DataFrame | None:
    """Pages of `columns` as one, with `row_number` and `page`; None where they are not clean."""
    frame = whole(frames, shape)
    if frame is None:
        return None
    pages = np.repeat(np.arange(len(frames)), [frame.height for frame in frames])
    numbers = pl.int_range(1, frame.height + 1, eager=True).alias(ROW_NUMBER)
    return frame.with_columns(numbers, pl.Series(PAGE, pages, pl.Int64))


def _at_once(texts: Sequence[str], shape: Shape) -> pl.DataFrame | None:
    """Clean objects, or None where Arrow finds anything else than the types that were asked for."""
    schema = pa.schema([(name, ARROW[kind]) for name, kind in shape.fields.items()])
    try:
        pieces = [piece for text in texts if (piece := _lines(text)) is not None]
        if len(pieces) < len(texts):
            return None
        content = b"\n".join(piece for piece in pieces if piece)
        table = arrow_json.read_json(
            io.BytesIO(content),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(content) + 1),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore"
            ),
        )
    except (pa.ArrowException, UnicodeEncodeError):
        return None
    counts = [piece.count(b"\n") + 1 if piece else 0 for piece in pieces]
    if table.num_rows != sum(counts):
        return None
    frame = pl.DataFrame(table)
    pages = np.repeat(np.arange(len(counts)), counts)
    return frame.with_columns(
        pl.int_range(1, frame.height + 1, eager=True).alias(ROW_NUMBER), pl.Series(PAGE, pages)
    )


def _lines(text: str) -> bytes | None:
    """A page with an object a line, empty where it has none; None where it is something else.

    Arrow is shown nothing but braces around something: on a line `null` it ends the process.
    """
    inner = text.strip()
    if inner[:1] + inner[-1:] == "[]":
        inner = inner[1:-1].strip()
    if inner and (inner[0] + inner[-1] != "{}" or "\n" in inner):
        return None
    return inner.encode().replace(b"},{", b"}\n{")


def _by_row(texts: Sequence[str], shape: Shape) -> tuple[pl.DataFrame, pl.DataFrame]:
    kept: list[tuple[Any, ...]] = []
    broken: list[tuple[int, str]] = []
    for number, (page, row) in enumerate(rows(texts), 1):
        cells = _named(row, shape)
        if isinstance(cells, str):
            broken.append((number, cells))
        elif reason := _fault(cells, shape):
            broken.append((number, reason))
        else:
            kept.append((*map(cells.get, shape.fields), number, page))
    schema = {name: POLARS[kind] for name, kind in shape.fields.items()}
    schema |= {ROW_NUMBER: pl.Int64, PAGE: pl.Int64}
    frame = pl.DataFrame(kept, schema=schema, orient="row")
    return frame, pl.DataFrame(broken, schema=REFUSED, orient="row")


def _reasons(raw: pl.DataFrame, frame: pl.DataFrame, shape: Shape) -> pl.Series:
    """Which field of a row is missing or no finite number, NULL where none is."""
    found = [
        pl.when(raw[name].is_null()).then(pl.lit(f"{name}_missing")) for name in shape.required
    ]
    found += [
        pl.when(raw[name].is_not_null() & ~frame[name].is_finite().fill_null(value=False)).then(
            pl.lit(f"{name}_unreadable")
        )
        for name in shape.fields
        if frame.schema[name] == pl.Float64
    ]
    none = pl.Series([None] * raw.height, dtype=pl.String)
    return pl.select(pl.coalesce(*found, none).alias("reason")).to_series()


def _named(row: Any, shape: Shape) -> Mapping[str, Any] | str:
    """The cells of a row by name, or why it is none."""
    if isinstance(row, dict):
        return row
    if isinstance(row, list) and shape.places:
        return dict(zip(shape.places, row, strict=False))
    return "not_json" if isinstance(row, str) else "not_an_object"


def _fault(cells: Mapping[str, Any], shape: Shape) -> str:
    for name, kind in shape.fields.items():
        value = cells.get(name)
        if value is not None and not _is_readable(value, kind):
            return f"{name}_unreadable"
    return ""


def _is_readable(value: Any, kind: Type) -> bool:
    if type(value) not in PYTHON[kind]:  # not isinstance: True is no integer
        return False
    if kind == "integer":
        return bool(SMALLEST <= value <= LARGEST)
    if kind == "levels":
        return all(type(pair) is list and len(pair) > 1 and _are_texts(pair) for pair in value)
    try:
        return math.isfinite(value) if kind == "number" else kind == "flag" or _are_texts([value])
    except OverflowError:  # an integer beyond every float
        return False


def _are_texts(values: Sequence[Any]) -> bool:
    """Whether they are texts that can be kept: half a surrogate pair cannot."""
    try:
        return all(type(value) is str and value.encode() is not None for value in values)
    except UnicodeEncodeError:
        return False
