"""How does a strategy read what was published?

    import hedgehouse

    with hedgehouse.connect("data") as c:
        c.signals(underlying="BTC")            # the latest decisions, or StaleDataError
        c.sql("from options.skew limit 5")     # any SELECT, as a Polars frame

A connection stays with the generation it opened; connect again to see the next one.
"""

import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import duckdb
import polars as pl

from warehouse import reading
from warehouse.catalog import literal
from warehouse.contract import INSTANT
from warehouse.instants import BadInstant, in_utc, instant
from warehouse.location import Location, default_root
from warehouse.reading import Limits, QueryTimeout, StatementRefused, UnreadableFile

__all__ = [
    "BadInstant",
    "Limits",
    "NothingPublished",
    "QueryTimeout",
    "StaleDataError",
    "StaleDataWarning",
    "StatementRefused",
    "UnreadableFile",
    "Warehouse",
    "connect",
]

_LEG = ("portfolio_id", "policy", "underlying", "leg")

OnStale = Literal["raise", "warn", "ignore"]


class NothingPublished(FileNotFoundError):
    """There is no published file where one was looked for."""


class StaleDataError(RuntimeError):
    """A signal is past its `valid_until`."""


class StaleDataWarning(UserWarning):
    """The same, where the caller asked to be warned only."""


def _now() -> datetime:
    return datetime.now(UTC)


def connect(
    where: str | Path | None = None,
    *,
    clock: Callable[[], datetime] = _now,
    limits: Limits | None = None,
) -> "Warehouse":
    """Open what was published, for reading and nothing else.

    `where` is a data folder, whose current generation is opened, or a published file; None is the
    folder named by HEDGEHOUSE_DATA. `clock` tells live signals their age. Raises
    `NothingPublished` or `UnreadableFile`, naming the path.
    """
    return Warehouse(_published_file(Path(where or default_root())), clock, limits or Limits())


class Warehouse:
    """One published generation. Frames are Polars; instants are Datetime("us", "UTC")."""

    def __init__(self, path: Path, clock: Callable[[], datetime], limits: Limits) -> None:
        self.path = path.resolve()
        self._clock = clock
        self._limits = limits
        self._connection = reading.connect(self.path, _lake_beside(self.path), limits)
        try:
            told = self._told()
        except BaseException:
            self.close()
            raise
        self.generation: str = told["generation"]
        self.data_through: datetime | None = told["data_through_at"]
        self.is_live: bool = (told["world_origin"], told["world_mode"]) == ("real", "live")

    def sql(self, query: str, parameters: Mapping[str, Any] | None = None) -> pl.DataFrame:
        """The rows of one SELECT; `$name` in it stands for a value of `parameters`.

        Raises `StatementRefused`, `QueryTimeout`, or duckdb.Error where the query is wrong.
        """
        bound = dict(parameters) if parameters else None
        timeout_s = self._limits.timeout_s
        return in_utc(reading.run(self._connection, query, bound, timeout_s=timeout_s))

    def signals(
        self,
        underlying: str | None = None,
        as_of: str | datetime | None = None,
        on_stale: OnStale | None = None,
    ) -> pl.DataFrame:
        """Decisions, with `is_stale` beside them.

        Without `as_of`: the latest one per portfolio, policy and leg. With it: all that was issued
        by then, which means published by then in a live world, and known by then in an archive or
        a simulated one.

        A decision is stale when `valid_until` has passed: by the clock in a live world, by the end
        of the data in the others, and never later than `as_of`. If a latest one is stale, this
        raises `StaleDataError` ("raise"), warns ("warn") or only marks it ("ignore"); the default
        is to raise for the present, and to mark for the past.
        """
        moment = None if as_of is None else instant(as_of)
        now = self._age_from(moment)
        frame = self.sql(self._signals_query(underlying, moment)).with_columns(
            is_stale=(pl.col("valid_until") < pl.lit(now, dtype=INSTANT)).fill_null(False)
        )
        self._report_stale(frame, on_stale or ("raise" if moment is None else "ignore"))
        return frame

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def __enter__(self) -> "Warehouse":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _told(self) -> dict[str, Any]:
        """What the file says of itself: the event that made it is the last one in it."""
        try:
            rows = self.sql(
                "from ops.generations order by published_at desc, generation desc limit 1"
            ).to_dicts()
        except duckdb.CatalogException as error:
            raise UnreadableFile(f"{self.path}: is not a published warehouse") from error
        if not rows:
            raise UnreadableFile(f"{self.path}: does not say which generation it is")
        return rows[0]

    def _signals_query(self, underlying: str | None, moment: datetime | None) -> str:
        wanted = "true" if underlying is None else f"underlying = {literal(underlying)}"
        if moment is None:
            return (
                f"select * from hedging.signals where {wanted} qualify row_number() over "
                f"(partition by {', '.join(_LEG)} order by as_of_at desc, signal_id) = 1 "
                f"order by {', '.join(_LEG)}"
            )
        issued = "published_at" if self.is_live else "available_at"
        return (
            f"select * from hedging.issued_signals where {wanted} "
            f"and {issued} <= timestamp '{moment:%Y-%m-%d %H:%M:%S.%f}' "
            f"order by as_of_at, published_at, {', '.join(_LEG)}, signal_id"
        )

    def _age_from(self, moment: datetime | None) -> datetime | None:
        present = self._clock() if self.is_live else self.data_through
        return min(present, moment) if present and moment else present or moment

    def _report_stale(self, frame: pl.DataFrame, on_stale: OnStale) -> None:
        latest = frame.unique(_LEG, keep="last", maintain_order=True)
        stale = latest.filter("is_stale")
        if on_stale == "ignore" or stale.is_empty():
            return
        first = stale.row(0, named=True)
        message = (
            f"{self.generation}: {stale.height} of {latest.height} signals are stale, "
            f"first that of {first['portfolio_id']} {first['policy']} {first['leg']}: "
            f"valid until {first['valid_until']:%Y-%m-%dT%H:%M:%SZ}"
        )
        if on_stale == "raise":
            raise StaleDataError(message)
        warnings.warn(message, StaleDataWarning, stacklevel=3)


def _published_file(where: Path) -> Path:
    if where.is_file():
        return where
    for pointer in (Location(where).pointer, where / "current.duckdb"):
        if pointer.exists():
            return pointer
    raise NothingPublished(
        f"{where}: nothing is published there; run `hedgehouse publish --data {where}`"
    )


def _lake_beside(path: Path) -> Path | None:
    """The lake of the data folder that the file lies in; None when it lies elsewhere, alone."""
    lake = Location(path.parent.parent).lake
    return lake if path.parent.name in ("published", "work") and lake.is_dir() else None
