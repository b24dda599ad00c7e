"""What is an archive file, whoever wrote it: what it names, how it may fail, how it is read?

    SourceError
    |-- SourceUnavailable   the file changed under our hands: wait until it is whole, then try again
    +-- SourceRefused       the file is not what it must be: trying again changes nothing

Every message names the file, the place in it and the value.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import numpy as np
import polars as pl

from expectations.gate import REFUSED, ROW_NUMBER
from pipelines.universe import Instrument
from warehouse.contract import INSTANT

Unit = Literal["s", "ms", "us", "ns"]

# A stamp of our century has a magnitude that tells its unit: seconds have ten digits.
FIRST_INSTANT, LAST_INSTANT = 10**9, 10**10  # 2001-09-09 to 2286-11-20, in seconds
LARGEST = 2**63 - 1  # in nanoseconds, 2262
LARGEST_RATIO = 200  # market data packs 4 to 20 times; a bomb a thousand times
SLACK_BYTES = 2**20  # tiny files may pack better than any ratio
PER_SECOND: Mapping[Unit, int] = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class SourceError(ValueError):
    """A source cannot be read."""


class SourceUnavailable(SourceError):
    """It may be readable later."""


class SourceRefused(SourceError):
    """It will not get better by trying again."""


@dataclass(frozen=True, slots=True)
class Period:
    """The UTC days a file names, half-open."""

    start: date
    end: date

    @classmethod
    def parse(cls, text: str) -> "Period":
        """A day (2024-07-23) or a month (2024-07). Raises ValueError where it is neither."""
        if len(text) == len("2024-07"):
            start = date.fromisoformat(f"{text}-01")
            return cls(start, (start + timedelta(days=32)).replace(day=1))
        start = date.fromisoformat(text)
        if start.isoformat() != text:  # other spellings are no names of archive files
            raise ValueError(text)
        return cls(start, start + timedelta(days=1))

    def holds(self, instant: str) -> pl.Expr:
        """Whether the instant in column `instant` lies in the period."""
        day = pl.col(instant).dt.date()
        return (day >= self.start) & (day < self.end)


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a text file, in order, and whether its first line names them."""

    columns: tuple[str, ...]
    has_header: bool


@dataclass(frozen=True, slots=True)
class Lines:
    """Whole lines of a file: their columns, their bytes, and the number of the first one."""

    columns: tuple[str, ...]
    text: bytes
    first_row: int

    @property
    def end_row(self) -> int:
        """The number of the row after the last one."""
        return self.first_row + self.count(b"\n")

    def count(self, sign: bytes) -> int:
        """How often a sign of one byte stands in the text; numpy counts thrice as fast as bytes."""
        return int(np.count_nonzero(np.frombuffer(self.text, np.uint8) == sign[0]))

    def texts(self, numbers: Iterable[int]) -> list[str]:
        """The lines of those numbers as they stand."""
        lines = self.text.split(b"\n")
        return [lines[n - self.first_row].decode("utf-8", errors="replace") for n in numbers]


@dataclass(frozen=True, slots=True)
class Rows:
    """Rows of a Parquet file, and the number of the first one."""

    frame: pl.DataFrame
    first_row: int

    @property
    def end_row(self) -> int:
        """The number of the row after the last one."""
        return self.first_row + self.frame.height

    def texts(self, numbers: Iterable[int]) -> list[str]:
        """The rows of those numbers as JSON."""
        return [self.frame[n - self.first_row].write_ndjson().rstrip("\n") for n in numbers]


Chunk = Lines | Rows


@dataclass(frozen=True, slots=True)
class Decoded:
    """Rows by table (the table's columns and `row_number`), refused rows, instruments seen."""

    rows: Mapping[str, pl.DataFrame]
    refused: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=REFUSED))
    instruments: frozenset[Instrument] = frozenset()


@dataclass(frozen=True, slots=True)
class Feed:
    """A market-data file: what its name says, and how its lines become rows of lake tables.

    `layout` reads the first line of a text; of a Parquet file it is the columns it must have.
    `usual_interval_s` says of funding without declared intervals how far apart settlements are, by
    instrument_id: a longer step shows that some are missing, though nothing shows that none are.
    `unit` gives the unit's name from an instrument_id. With `keeps_last`, of rows with one key the
    last is the state that holds; else the first is kept. A `is_chain` feed is cut into snapshots.
    """

    path: Path
    venue: str
    source: str
    rank: int
    period: Period
    tables: tuple[str, ...]
    layout: Callable[[str], Layout] | pl.Schema
    decode: Callable[..., Decoded]
    unit: Callable[[str], str] = str
    keeps_last: bool = False
    is_chain: bool = False
    usual_interval_s: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Statement:
    """A portfolio file: positions or balances, taken whole or not at all."""

    path: Path
    table: Literal["positions", "balances"]


Job = Feed | Statement


def instants(values: pl.Series, unit: Unit) -> pl.Series:
    """Integers since the epoch as instants; NULL where magnitude and declared unit disagree."""
    scale = PER_SECOND[unit]
    last = min(LAST_INSTANT * scale, LARGEST)
    agrees = (values >= FIRST_INSTANT * scale) & (values < last)
    known = pl.select(pl.when(agrees).then(values)).to_series()
    per_us = 10**6 // scale
    micros = known * per_us if per_us else known // (scale // 10**6)
    return micros.cast(INSTANT).rename(values.name)


def outside(frame: pl.DataFrame, period: Period, time: str) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split off the rows whose `time` is unreadable or not in the period that the file names."""
    reason = (
        pl.when(pl.col(time).is_null())
        .then(pl.lit(f"{time}_in_another_unit"))
        .when(~period.holds(time))
        .then(pl.lit("outside_file_period"))
    )
    return divided(frame, reason)


def divided(frame: pl.DataFrame, reason: pl.Expr) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows for which `reason` is NULL, and the others as (row_number, reason)."""
    reasons = frame.select(reason.cast(pl.String).alias("reason")).to_series()
    good = reasons.is_null()
    refused = frame.select(ROW_NUMBER).with_columns(reasons).filter(~good)
    return (frame if refused.is_empty() else frame.filter(good)), refused
