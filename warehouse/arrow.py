"""How do the columns of a query become arrays, and arrays columns?

Missing and NaN are the same on the way in and NULL on the way out; a NULL list is an empty one.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Array: TypeAlias = "pa.Array[Any]"
Lists: TypeAlias = "pa.ListArray[Any]"
Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

NUMBER, WHOLE, FLAG, TEXT, DAY = pa.float64(), pa.int64(), pa.bool_(), pa.string(), pa.date32()
NUMBERS, WHOLES, FLAGS, DAYS = (pa.list_(t) for t in (NUMBER, WHOLE, FLAG, DAY))


@dataclass(frozen=True, slots=True)
class SqlFunction:
    """One SQL function: `compute` takes and returns Arrow arrays of equal length."""

    name: str
    arguments: tuple[tuple[str, pa.DataType], ...]
    returns: pa.DataType
    doc: str
    compute: Callable[..., Array]


def declared(*names: str, dtype: pa.DataType = NUMBER) -> tuple[tuple[str, pa.DataType], ...]:
    """Arguments of one type."""
    return tuple((name, dtype) for name in names)


def record_type(*numbers: str, **others: pa.DataType) -> pa.StructType:
    return pa.struct([*((name, NUMBER) for name in numbers), *others.items()])


def numbers(column: Array) -> Floats:
    """A writable copy, NULL as NaN."""
    return np.array(column.cast(NUMBER).to_numpy(zero_copy_only=False), dtype=np.float64)


def wholes(column: Array) -> Integers:
    """A writable copy of whole numbers; ValueError where one is missing."""
    if column.null_count:
        raise ValueError(f"{column.null_count} NULL among {len(column)} whole numbers")
    return np.array(column.to_numpy(zero_copy_only=False), dtype=np.int64)


def nullable(values: NDArray[Any], dtype: pa.DataType = NUMBER) -> Array:
    """NaN becomes NULL."""
    return pa.array(values, type=dtype, mask=np.isnan(values))


def calls_with(is_call: Array, strike: Array) -> tuple[NDArray[np.bool_], Floats]:
    """The flag, and the strike with NaN where the flag is NULL."""
    known = is_call.is_valid().to_numpy(zero_copy_only=False)
    flag = is_call.fill_null(False).to_numpy(zero_copy_only=False)
    return flag, np.where(known, numbers(strike), np.nan)


def names_of(status: type[IntEnum], codes: Sequence[int] | NDArray[np.int8]) -> Array:
    """Lower-case names."""
    names = pa.array([s.name.lower() for s in status])
    return names.take(pa.array(codes, type=pa.int8()))


def record(returns: pa.StructType, columns: "Sequence[Array | Floats]") -> Array:
    arrays = [c if isinstance(c, pa.Array) else nullable(c) for c in columns]
    return pa.StructArray.from_arrays(arrays, fields=list(returns))


def ragged(name: str, lists: Sequence[Lists]) -> tuple[list[Array], Integers]:
    """The values of list columns end to end and the offsets all share; a NULL list is empty."""
    lengths = [pc.list_value_length(c).fill_null(0).to_numpy(zero_copy_only=False) for c in lists]
    for other in lengths[1:]:
        if (bad := np.flatnonzero(other != lengths[0])).size:
            found = [int(n[bad[0]]) for n in lengths]
            raise ValueError(f"{name}: lists of {found} values in one row, must be equally long")
    offsets = np.zeros(len(lists[0]) + 1, dtype=np.int64)
    np.cumsum(lengths[0], out=offsets[1:])
    return [c.flatten() for c in lists], offsets


def cut(offsets: Integers, row: int) -> slice:
    """Where the list of a row lies among the values of all."""
    return slice(int(offsets[row]), int(offsets[row + 1]))


def stacked(rows_type: pa.StructType, tables: "Sequence[Sequence[Array]]") -> list[Array]:
    """Columns of all tables end to end."""
    return [
        pa.concat_arrays([pa.array([], type=field.type), *(table[i] for table in tables)])
        for i, field in enumerate(rows_type)
    ]


def list_of(
    rows_type: pa.StructType,
    offsets: Integers,
    columns: Sequence[Array],
    is_null: "Array | None" = None,
) -> Array:
    rows = pa.StructArray.from_arrays(columns, fields=list(rows_type))
    return pa.ListArray.from_arrays(pa.array(offsets, type=pa.int32()), rows, mask=is_null)
