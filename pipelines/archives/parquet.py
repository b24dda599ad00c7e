"""How is a Parquet file read without trusting it? Known columns alone, some rows at a time."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.archives.base import (
    LARGEST_RATIO,
    SLACK_BYTES,
    Rows,
    SourceRefused,
    SourceUnavailable,
)

BATCH_ROWS = 131_072
LIST_BATCH_ROWS = 128  # of rows that hold lists: books of a thousand levels a side are 4 MB


def columns(path: Path) -> Mapping[str, pl.DataType]:
    """The columns of a Parquet file and their types; none where its name says it is none.

    Raises `SourceRefused` where it is damaged.
    """
    if path.suffix != ".parquet":
        return {}
    try:
        return pl.read_parquet_schema(path)
    except pl.exceptions.PolarsError as error:
        raise SourceRefused(f"{path}: is damaged: {error}") from error


def rows(
    path: Path, layout: pl.Schema, *, progress: Callable[[int], None] | None = None
) -> Iterator[Rows]:
    """The columns of `layout` in chunks of rows.

    `progress` is told how many bytes of the file they are. Raises `SourceRefused` where the file is
    damaged, lacks a column, has it in another type, or unpacks beyond all proportion.
    """
    size = path.stat().st_size
    check(path, layout)
    has_lists = any(dtype.is_nested() for dtype in layout.dtypes())
    batch_rows, first_row = LIST_BATCH_ROWS if has_lists else BATCH_ROWS, 1
    with _telling_damage(path), pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_rows, columns=layout.names()):
            frame = pl.DataFrame(pl.from_arrow(batch)).select(layout.names())
            yield Rows(frame, first_row)
            first_row += frame.height
            if progress:
                progress(size * (first_row - 1) // file.metadata.num_rows)
    if path.stat().st_size != size:
        raise SourceUnavailable(f"{path}: changed while it was read; import it once it is whole")


def check(path: Path, layout: pl.Schema) -> None:
    """Look at the columns and the sizes that a file declares, before any of its rows are read.

    Raises `SourceRefused` where it is damaged, lacks a column of `layout`, has it in another type,
    or unpacks beyond all proportion.
    """
    found = columns(path)
    if missing := [name for name in layout if name not in found]:
        raise SourceRefused(f"{path}: columns {', '.join(found)} lack {', '.join(missing)}")
    for name, dtype in layout.items():
        if found[name] != dtype:
            raise SourceRefused(f"{path}: column {name} was {found[name]}, not {dtype}")
    _check_proportion(path)


def _check_proportion(path: Path) -> None:
    with _telling_damage(path):
        metadata = pq.read_metadata(path)
    groups = (metadata.row_group(n) for n in range(metadata.num_row_groups))
    packed, unpacked = path.stat().st_size, sum(group.total_byte_size for group in groups)
    if unpacked > LARGEST_RATIO * packed + SLACK_BYTES:
        raise SourceRefused(
            f"{path}: unpacks from {packed} to {unpacked} bytes, beyond {LARGEST_RATIO} to 1"
        )


@contextmanager
def _telling_damage(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # of the disk, not of what is on it
        raise SourceRefused(f"{path}: is damaged: {error}") from error
