"""Which signals were ever issued, and by which generation?

`issued/<generation>.parquet` holds the signals that a generation issued for the first time, none of
them when there were none. A file is written once and never again.
"""

import os
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

import polars as pl

from warehouse.contract import INSTANT
from warehouse.location import Location, sync_folder


class IssuedLogError(ValueError):
    """The log of issued signals lacks a file that a published generation wrote."""


def log(location: Location, generations: Sequence[str]) -> pl.DataFrame | None:
    """The signals issued by `generations`, in that order; None before the first.

    Files of different ages may differ in columns: what a file lacks is NULL.
    """
    paths = [_path(location, name) for name in generations]
    if missing := [path for path in paths if not path.exists()]:
        raise IssuedLogError(f"{missing[0]}: the log of a published generation is missing")
    frames = [pl.read_parquet(path, glob=False) for path in paths]
    return pl.concat(frames, how="diagonal_relaxed") if frames else None


def never_issued(
    signals: pl.DataFrame, log: pl.DataFrame | None, generation: str, at: datetime
) -> pl.DataFrame:
    """The signals whose id the log does not know, stamped with who issues them and when."""
    known = log["signal_id"].to_list() if log is not None else []
    return (
        signals.filter(~pl.col("signal_id").is_in(known))
        .sort("signal_id")
        .with_columns(
            pl.lit(generation, dtype=pl.String).alias("generation"),
            pl.lit(at, dtype=INSTANT).alias("published_at"),
        )
    )


def write(location: Location, generation: str, signals: pl.DataFrame) -> None:
    """Make `signals` those that `generation` issues; durable when this returns."""
    location.issued.mkdir(parents=True, exist_ok=True)
    path = _path(location, generation)
    temporary = path.with_name(f".{path.name}.tmp")
    signals.write_parquet(temporary, compression="zstd")
    temporary.chmod(0o444)
    with temporary.open("rb") as file:
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(location.issued)


def forget_unpublished(location: Location, published: Collection[str]) -> None:
    """Remove what generations left that never were published: nobody could have read it."""
    keep = {f"{name}.parquet" for name in published}
    for path in [*location.issued.glob("*.parquet"), *location.issued.glob(".*.tmp")]:
        if path.name not in keep:
            path.unlink()


def _path(location: Location, generation: str) -> Path:
    return location.issued / f"{generation}.parquet"
