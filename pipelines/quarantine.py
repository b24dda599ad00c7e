"""Where do refused rows go? Beside the lake, with their reason and the text that was refused."""

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq

from expectations.gate import ROW_NUMBER
from pipelines.archives.base import Chunk
from warehouse.contract import OPS_QUARANTINE
from warehouse.location import Location, sync_folder


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row of an answer that was refused; `source_sha256` names the landed pages it is in."""

    row_number: int
    reason: str
    row_text: str
    source_sha256: str
    is_by_gate: bool = False


def write(
    location: Location,
    refused: pl.DataFrame,
    chunks: Callable[[], Iterator[Chunk]],
    *,
    table_name: str,
    venue: str,
    source_path: str,
    sha256: str,
    at: datetime,
) -> None:
    """Replace what is held of this source by its `refused` rows (row_number, reason).

    Texts are read from the source a second time, so that they never wait in memory. The same
    refusals leave the file as it is; none remove it.
    """
    target = path(location, table_name, sha256)
    if refused.is_empty():
        target.unlink(missing_ok=True)
        return
    if _is_held(target, refused):
        return

    def full() -> Iterator[pl.DataFrame]:
        for rows in _with_texts(refused, chunks()):
            yield rows.with_columns(source_sha256=pl.lit(sha256))

    _replace(target, full(), _told(table_name, venue, source_path, at))


def hold(
    location: Location,
    refused: Sequence[Refusal],
    *,
    table_name: str,
    venue: str,
    subject: str,
    at: datetime,
) -> None:
    """Replace what is held of `subject`, a unit that a venue was asked for, by these refusals.

    A unit that is asked for again and comes without refusals has none.
    """
    target = path(location, table_name, hashlib.sha256(subject.encode()).hexdigest())
    if not refused:
        target.unlink(missing_ok=True)
        return
    columns = ("row_number", "reason", "row_text", "source_sha256")
    rows = pl.DataFrame({name: [getattr(r, name) for r in refused] for name in columns})
    if not _is_held(target, rows):
        _replace(target, [rows.sort(ROW_NUMBER)], _told(table_name, venue, subject, at))


def _told(table_name: str, venue: str, source_path: str, at: datetime) -> list[pl.Expr]:
    """What holds for every row that one source had refused."""
    return [
        pl.lit(table_name).alias("table_name"),
        pl.lit(venue).alias("venue"),
        pl.lit(source_path).alias("source_path"),
        pl.lit(at, OPS_QUARANTINE.schema["refused_at"]).alias("refused_at"),
    ]


def _replace(target: Path, frames: Iterable[pl.DataFrame], told: Sequence[pl.Expr]) -> None:
    """Write the rows beside and put them in place, durably."""
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{os.getpid()}-{target.name}.tmp")
    schema = (
        pl.DataFrame(schema=OPS_QUARANTINE.schema)
        .to_arrow(compat_level=pl.CompatLevel.oldest())
        .schema
    )
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for rows in frames:
                conformed = OPS_QUARANTINE.conform(rows.with_columns(told))
                writer.write_table(
                    conformed.to_arrow(compat_level=pl.CompatLevel.oldest()).cast(schema)
                )
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(target.parent)


def path(location: Location, table_name: str, sha256: str) -> Path:
    return location.quarantine / table_name / f"{sha256[:16]}.parquet"


def _is_held(target: Path, refused: pl.DataFrame) -> bool:
    if not target.exists():
        return False
    held = pl.read_parquet(target, columns=[ROW_NUMBER, "reason"])
    return held.equals(refused.sort(ROW_NUMBER).select(ROW_NUMBER, "reason"))


def _with_texts(refused: pl.DataFrame, chunks: Iterator[Chunk]) -> Iterator[pl.DataFrame]:
    waiting = refused.sort(ROW_NUMBER)
    for chunk in chunks:
        here = waiting.filter(pl.col(ROW_NUMBER) < chunk.end_row)
        if here.height:
            texts = chunk.texts(here[ROW_NUMBER])
            yield here.with_columns(row_text=pl.Series(texts, dtype=pl.String))
            waiting = waiting.slice(here.height)
        if waiting.is_empty():
            return
