"""Which fields has a row of JSON, and of which types?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import polars as pl

# A decimal is a number in quotes; levels are the [price, size] pairs of a book, both in quotes.
Type = Literal["integer", "number", "decimal", "text", "flag", "levels"]

POLARS: Mapping[Type, pl.DataType | type[pl.DataType]] = {
    "integer": pl.Int64,
    "number": pl.Float64,
    "decimal": pl.String,
    "text": pl.String,
    "flag": pl.Boolean,
    "levels": pl.List(pl.List(pl.String)),
}
PYTHON: Mapping[Type, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "decimal": (str,),
    "text": (str,),
    "flag": (bool,),
    "levels": (list,),
}


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of a row that are read, each with its type; others may stand beside them.

    An optional field may be absent, null or an empty text; a required one must not. `places` names
    the cells where a row is an array.
    """

    required: Mapping[str, Type]
    optional: Mapping[str, Type] = field(default_factory=dict)
    places: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash((*self.required, *self.optional, *self.places))

    @property
    def fields(self) -> dict[str, Type]:
        return {**self.required, **self.optional}
