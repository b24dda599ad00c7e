"""Which state of the option chain holds at each point of the five-minute grid?

A chain feed tells of one option at a time. The state at a grid point is the last row of each
option that had arrived by then and is not older than fifteen minutes; a point before which nothing
arrived for five minutes has no state, since the recorder was silent. A file whose rows all carry
one stamp is a snapshot already and keeps that stamp. Memory follows the grid, not the file.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import polars as pl

from expectations.gate import ROW_NUMBER

GRID = timedelta(minutes=5)
OLDEST = timedelta(minutes=15)
SAME = ("instrument_id", "quoted_at", "received_at")


@dataclass(slots=True)
class Chain:
    """The states of a file so far: per option and grid point, the last row that arrived."""

    rows: int = 0
    stamps: set[datetime] = field(default_factory=set)  # two are enough to know
    _states: list[pl.DataFrame] = field(default_factory=list)
    _repeated: list[pl.DataFrame] = field(default_factory=list)

    def add(self, frame: pl.DataFrame) -> None:
        """Take conformed rows with `row_number` whose `snapshot_at` is the next grid point."""
        if frame.is_empty():
            return
        self.rows += frame.height
        if len(self.stamps) < 2:
            self.stamps.update(frame["quoted_at"].unique().head(2))
        once = frame.unique(SAME, keep="first", maintain_order=True)
        if once.height < frame.height:
            self._repeated.append(frame.join(once, on=ROW_NUMBER, how="anti").select(ROW_NUMBER))
        self._states.append(_last_states(once))

    def repeated(self) -> pl.DataFrame:
        """Row numbers of rows that repeat an earlier one."""
        return pl.concat([pl.DataFrame(schema={ROW_NUMBER: pl.Int64}), *self._repeated])

    def snapshots(
        self, expiries: Mapping[str, datetime | None]
    ) -> Iterator[tuple[str, datetime, pl.DataFrame]]:
        """Each (underlying, instant) with its rows, one per option that is still listed."""
        if not self._states:
            return
        states = _last_states(pl.concat(self._states))
        for (underlying,), own in sorted(states.partition_by("underlying", as_dict=True).items()):
            if len(self.stamps) == 1:
                (stamp,) = self.stamps
                last = own.unique("instrument_id", keep="last").with_columns(
                    snapshot_at=pl.lit(stamp, own.schema["snapshot_at"])
                )
                yield str(underlying), stamp, last.sort("instrument_id")
            else:
                for point, frame in _on_grid(own, expiries):
                    yield str(underlying), point, frame


def _last_states(rows: pl.DataFrame) -> pl.DataFrame:
    ordered = rows.sort("received_at", ROW_NUMBER)
    return ordered.unique(["instrument_id", "snapshot_at"], keep="last", maintain_order=True)


def _on_grid(
    states: pl.DataFrame, expiries: Mapping[str, datetime | None]
) -> Iterator[tuple[datetime, pl.DataFrame]]:
    by_point = {
        point: frame
        for (point,), frame in states.partition_by(
            "snapshot_at", as_dict=True, maintain_order=True
        ).items()
    }
    steps = range(OLDEST // GRID, -1, -1)
    for point in sorted(by_point):
        recent = [by_point[at] for n in steps if (at := point - n * GRID) in by_point]
        listed = [
            name
            for name in pl.concat(recent)["instrument_id"].unique()
            if (expiry := expiries.get(name)) is None or expiry > point
        ]
        state = (
            pl.concat(recent)
            .filter(pl.col("received_at") >= point - OLDEST, pl.col("instrument_id").is_in(listed))
            .unique("instrument_id", keep="last", maintain_order=True)
            .with_columns(snapshot_at=pl.lit(point, states.schema["snapshot_at"]))
        )
        if state.height:
            yield point, state.sort("instrument_id")
