"""How does a page of clean rows become columns at once, and how is it known to be clean?

A parser of columns is quick because it is not strict: it takes 5.5 for an integer and 5 for a text.
So the page is looked at first. Rows that are alike but for their digits have the same fields of the
same types, and a venue's pages have few such looks: each is examined once, field by field. A page
with anything else in it is not clean, and is read row by row.
"""

import io
import json
import re
from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache
from typing import Any, overload

import orjson
import polars as pl

from pipelines.venues.json_shape import POLARS, PYTHON, Shape

DIGITS = b"0123456789"
BETWEEN = b"},{"
NUMBER = re.compile(rb":([-+.eE]*)(?=,|$)")  # what is left of one without its digits
HOLE = [None]


class Rows(Sequence[Any]):
    """The rows of a table as they came: `frame` where all are clean, and one by one when asked for.

    `envelope` is what stood around them.
    """

    def __init__(
        self, text: bytes, shape: Shape, present: Collection[str] = (), envelope: Any = None
    ) -> None:
        self.text, self.envelope = text, envelope
        self.frame = columns(text, shape, present)
        self._items: list[Any] | None = None

    def __len__(self) -> int:
        return len(self._read()) if self.frame is None else self.frame.height

    @overload
    def __getitem__(self, place: int) -> Any: ...
    @overload
    def __getitem__(self, place: slice) -> list[Any]: ...
    def __getitem__(self, place: int | slice) -> Any:
        return self._read()[place]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._read())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Rows):
            return self.text == other.text
        return self._read() == other

    __hash__ = None  # type: ignore[assignment]  # as of every other sequence that is compared

    def _read(self) -> list[Any]:
        if self._items is None:
            self._items = orjson.loads(self.text)
        return self._items


def cut(text: str, path: Sequence[str]) -> tuple[Any, bytes] | None:
    """The envelope without its rows, and the rows' own text.

    `path` are the keys that lead to them. None where rows do not stand there in a list.
    """
    if not path:
        return ([], text.encode()) if text[:1] + text[-1:] == "[]" else None
    mark = f'"{path[-1]}":['
    start, end = text.find(mark) + len(mark), text.rfind("]")
    if not len(mark) <= start <= end:
        return None
    try:
        envelope = found = orjson.loads(f"{text[:start]}null{text[end:]}")
    except orjson.JSONDecodeError:
        return None
    for key in path:
        found = found.get(key) if type(found) is dict else None
    return (envelope, text[start - 1 : end + 1].encode()) if found == HOLE else None


def columns(text: bytes, shape: Shape, present: Collection[str] = ()) -> pl.DataFrame | None:
    """The fields of a list of objects, those that occur; None where one is not as promised.

    Fields in `present` are in every row, though they may be null. Only digits are still in doubt:
    an integer too large is NULL, and a text may be empty; `whole` looks for both.
    """
    if shape.places or "levels" in shape.fields.values():
        return None
    if text == b"[]":
        return pl.DataFrame(schema={name: POLARS[shape.fields[name]] for name in shape.required})
    if text[:2] + text[-2:] != b"[{}]" or b"\\" in text:
        return None
    looks = text.translate(None, DIGITS)[2:-2].split(BETWEEN)
    named = set[str]()
    for look in set(looks):
        found = _named(look, shape, frozenset(present))
        if found is None:
            return None
        named |= found
    schema = {name: POLARS[kind] for name, kind in shape.fields.items() if name in named}
    try:
        frame = pl.read_json(io.BytesIO(text), schema=schema)
    except pl.exceptions.PolarsError:
        return None
    return frame if frame.height == len(looks) else None


def whole(frames: Sequence[pl.DataFrame], shape: Shape) -> pl.DataFrame | None:
    """Pages of `columns` as one, with all fields; None where digits were no value after all."""
    frame = pl.concat(frames, how="diagonal") if frames else pl.DataFrame()
    for name, kind in shape.fields.items():
        if name not in frame.columns:
            continue
        column = frame[name]
        is_doubtful = name in shape.required or kind == "integer"
        if is_doubtful and column.null_count():
            return None
        if kind in ("text", "decimal") and (column == "").any():
            return None
    return frame.select(
        pl.col(name) if name in frame.columns else pl.lit(None, POLARS[kind]).alias(name)
        for name, kind in shape.fields.items()
    )


@lru_cache(maxsize=4_096)
def _named(look: bytes, shape: Shape, present: frozenset[str]) -> frozenset[str] | None:
    """Which fields rows of this look have; None where they are not as promised, or no rows."""
    example = NUMBER.sub(lambda found: b":0.5" if found[1].strip(b"-") else b":0", look)
    try:
        pairs = json.loads(b"{" + example + b"}", object_pairs_hook=tuple)
    except (ValueError, RecursionError):
        return None
    none = type(None)
    types = {name: type(value) for name, value in pairs}
    held = {name: types.get(name, none) for name in shape.fields}
    is_whole = len(types) == len(pairs) and present <= types.keys()
    is_typed = all(held[name] in (none, *PYTHON[kind]) for name, kind in shape.fields.items())
    is_promised = is_whole and is_typed and not any(held[n] is none for n in shape.required)
    return frozenset(types) if is_promised else None
