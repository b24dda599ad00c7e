"""How do instants cross between text, Polars and DuckDB?

In Python and Parquet they are Datetime("us", "UTC"); in DuckDB they are TIMESTAMP in UTC, which
every driver can fetch and no reader's time zone moves.
"""

from datetime import UTC, datetime

import polars as pl
import polars.selectors as cs


class BadInstant(ValueError):
    """A text is not an ISO date or time."""


def instant(text: str | datetime) -> datetime:
    """An ISO date or time as an instant; without an offset it is UTC.

    >>> instant("2026-08-01T18:00+02:00")
    datetime.datetime(2026, 8, 1, 16, 0, tzinfo=datetime.timezone.utc)
    """
    try:
        found = text if isinstance(text, datetime) else datetime.fromisoformat(text.strip())
        return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError):
        raise BadInstant(f"{text!r} is not a date or time such as 2026-08-01T18:00Z") from None


def in_utc(frame: pl.DataFrame) -> pl.DataFrame:
    """The frame with every instant as Datetime("us", "UTC"); one without a zone was UTC."""
    naive = [name for name, kind in frame.schema.items() if kind == pl.Datetime and not _zone(kind)]
    return frame.with_columns(pl.col(naive).dt.replace_time_zone("UTC")).with_columns(
        cs.datetime().dt.convert_time_zone("UTC").dt.cast_time_unit("us")
    )


def naive(frame: pl.DataFrame) -> pl.DataFrame:
    """The inverse of `in_utc`, for DuckDB."""
    return in_utc(frame).with_columns(cs.datetime().dt.replace_time_zone(None))


def _zone(kind: pl.DataType) -> str | None:
    return kind.time_zone if isinstance(kind, pl.Datetime) else None
