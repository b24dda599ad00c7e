"""How are a file's accepted rows brought into the order of a part, whatever the file's size?

Rows are spooled to disk as they pass the gate. If they came in order they are read back as they
are, else DuckDB sorts them within a fixed memory. Nothing is committed before the whole file was
read, so a file that is damaged at its end leaves nothing behind.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from itertools import groupby
from pathlib import Path

import duckdb
import polars as pl
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from expectations.gate import ROW_NUMBER
from pipelines.ahead import ahead
from warehouse.contract import Table

BATCH_ROWS = 131_072
SORT_MEMORY = "512MB"


class Spool:
    """The accepted rows of one table, in a folder of their own.

    `keeps_last` decides which of several rows with one key comes first: the one that stands last
    in the file, or the one that stands first.
    """

    def __init__(self, table: Table, folder: Path, *, keeps_last: bool) -> None:
        self.table, self.rows = table, 0
        self._keeps_last = keeps_last
        self._folder = folder / table.name
        self._folder.mkdir()
        self._chunks: list[Path] = []
        self._order = ("day", *table.sort)
        self._last: pl.DataFrame | None = None
        self._is_ordered, self._has_unnumbered = True, False

    def add(self, frame: pl.DataFrame) -> None:
        """Append conformed rows with `row_number`, as they stand in the file."""
        if frame.is_empty():
            return
        self.rows += frame.height
        self._is_ordered = self._is_ordered and self._continues_in_order(frame)
        if "sequence" in frame.columns:
            self._has_unnumbered = self._has_unnumbered or bool(frame["sequence"].null_count())
        self._chunks.append(self._folder / f"{len(self._chunks):06d}.arrow")
        frame.write_ipc(self._chunks[-1], compression="uncompressed")

    def days(self) -> Iterator[tuple[date, Iterator[pl.DataFrame]]]:
        """Each UTC day with its rows in the table's order; a day must be read before the next."""
        if not self._chunks:
            return
        chunks = self._in_file_order() if self._is_ordered else self._sorted()
        for day, pieces in groupby(ahead(self._by_day(chunks)), key=lambda piece: piece[0]):
            yield day, (frame for _, frame in pieces)

    def repeated_keys(self) -> pl.DataFrame:
        """Keys that stand in more than one row, where the table's order would not show them.

        Rows without a venue's number are ordered by time before their key, so equal keys need not
        be neighbours there.
        """
        key = list(self.table.key)
        if not self._has_unnumbered:
            return pl.DataFrame(schema={name: self.table.schema[name] for name in key})
        columns = ", ".join(key)
        with self._engine() as engine:
            return engine.sql(
                f"select {columns} from spooled where sequence is null "
                f"group by {columns} having count(*) > 1"
            ).pl()

    def _continues_in_order(self, frame: pl.DataFrame) -> bool:
        columns = frame.select(pl.col(self.table.time).dt.date().alias("day"), *self.table.sort)
        joined = columns if self._last is None else pl.concat([self._last, columns])
        self._last = columns.tail(1)
        tied = pl.lit(not self._keeps_last)
        for name in reversed(self._order):
            column, before = pl.col(name), pl.col(name).shift(1)
            rises = (before < column).fill_null(before.is_null() & column.is_not_null())
            tied = rises | (before.eq_missing(column) & tied)
        return bool(joined.select(tied.slice(1).all()).item())

    def _by_day(self, frames: Iterator[pl.DataFrame]) -> Iterator[tuple[date, pl.DataFrame]]:
        for frame in frames:
            day = frame[self.table.time].dt.date().rename("day")
            if day[0] == day[-1]:  # rows are in the order of days
                yield day[0], frame
                continue
            for part in frame.with_columns(day).partition_by("day", maintain_order=True):
                yield part["day"][0], part.drop("day")

    def _in_file_order(self) -> Iterator[pl.DataFrame]:
        for chunk in self._chunks:
            yield from pl.read_ipc(chunk).iter_slices(BATCH_ROWS)
            chunk.unlink()

    def _sorted(self) -> Iterator[pl.DataFrame]:
        target = self._folder / "sorted.parquet"
        order = ", ".join(f"{name} asc nulls first" for name in self.table.sort)
        tie = "desc" if self._keeps_last else "asc"
        day = f"epoch_us({self.table.time}) // 86400000000"
        with self._engine() as engine:
            engine.execute(
                f"copy (select * from spooled order by {day}, {order}, {ROW_NUMBER} {tie}) "
                f"to {_quoted(target)} "
                f"(format parquet, compression lz4_raw, row_group_size {BATCH_ROWS})"
            )
        for batch in pq.ParquetFile(target).iter_batches(batch_size=BATCH_ROWS):
            yield pl.DataFrame(pl.from_arrow(batch))

    @contextmanager
    def _engine(self) -> Iterator[duckdb.DuckDBPyConnection]:
        """DuckDB within a fixed memory, spilling beside the spool."""
        with duckdb.connect() as engine:
            engine.execute(f"set memory_limit = '{SORT_MEMORY}'")
            engine.execute(f"set temp_directory = {_quoted(self._folder)}")
            engine.execute("set TimeZone = 'UTC'")
            engine.register("spooled", ds.dataset(self._chunks, format="ipc"))
            try:
                yield engine
            except (duckdb.IOException, duckdb.OutOfMemoryException) as error:
                raise OSError(f"{self._folder}: could not be sorted: {error}") from error


def _quoted(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
