"""Is a day whole? Numbers without a hole, joined to both neighbouring days, prove it.

A trade's number is the venue's id. A funding settlement pays for the seconds since the one before,
so it spans numbers that are seconds, and the same rule holds for both.
"""

import logging
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

import polars as pl

from expectations.gate import ROW_NUMBER
from warehouse.contract import FUNDING, TRADES, Table
from warehouse.lake import Gap, Partition, Unit, read_manifest, restate
from warehouse.location import Location

API = " api"  # how a source's name ends that was asked, and not read from files
ABSENT, QUARANTINED = "absent_in_source", "quarantined"
UNNUMBERED = "the source numbers nothing, so nothing shows that it is whole"
UNDECLARED = "no interval is declared; by the usual one {}, and nothing shows that it is whole"
MOST_GAPS = 1_000  # a file thinned out on purpose has a hole at every row: those become one
MOST_ROUNDS = 20  # of judging again while others commit; two are the rule
SCHEDULE_S = 60  # a settlement within a minute of its schedule is on it
DAY = timedelta(days=1)

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Span:
    """The rows of one instrument and day: how many, from which number to which, which holes."""

    instrument_id: str
    rows: int = 0
    first_sequence: int | None = None
    last_sequence: int | None = None
    gaps: list[Gap] = field(default_factory=list)


class Tracker:
    """Follows a day's rows in the table's order: divides repeated keys off and finds holes.

    `repeated` holds keys that stand in several rows without being neighbours; `refused` the sorted
    numbers of rows that went to quarantine, which are holes that the source does not have.

    `usual_s` numbers settlements whose interval nobody declared, and `before` holds the last rows
    of the days before: without a declared interval, a day's first row cannot tell what precedes it.
    """

    def __init__(
        self,
        table: Table,
        repeated: pl.DataFrame,
        refused: Sequence[int],
        usual_s: Mapping[str, int] | None = None,
        before: pl.DataFrame | None = None,
    ) -> None:
        self.spans: dict[str, Span] = {}
        self.still_repeated = 0  # keys that were kept twice: there must be none
        self.ends = before  # the last row of each instrument until now, where intervals are usual
        self._table, self._repeated, self._refused = table, repeated, refused
        self._usual_s, self._before = usual_s or {}, before
        self._last: pl.DataFrame | None = None
        self._last_key: pl.DataFrame | None = None
        self._met: set[tuple[object, ...]] = set()

    def take(self, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
        """The rows to keep, and the row numbers of those whose key stood in a row before."""
        numbered = frame.with_columns(**_numbers(self._table, self._usual_s))
        joined = numbered if self._last is None else pl.concat([self._last, numbered])
        again = joined.select(
            pl.all_horizontal(
                (pl.col(name) == pl.col(name).shift(1)).fill_null(value=False)
                for name in self._table.key
            )
        ).to_series()
        again = again.tail(frame.height) | self._met_before(frame)
        self._last = numbered.tail(1)
        self._count(numbered.filter(~again))
        self._find_holes(self._after_days_before(joined))
        kept = frame.filter(~again) if again.any() else frame
        self._check_kept(kept)
        return kept, frame.filter(again).select(ROW_NUMBER)

    def _after_days_before(self, joined: pl.DataFrame) -> pl.DataFrame:
        """The rows in order, each instrument's first ones after its last one of the days before."""
        if not self._usual_s:
            return joined
        ends = joined if self.ends is None else pl.concat([self.ends, joined])
        self.ends = ends.unique("instrument_id", keep="last", maintain_order=True)
        if self._before is None:
            return joined
        is_here = pl.col("instrument_id").is_in(joined["instrument_id"].unique().implode())
        own, self._before = self._before.filter(is_here), self._before.filter(~is_here)
        return pl.concat([own, joined]).sort(self._table.sort)

    def _check_kept(self, kept: pl.DataFrame) -> None:
        """What is kept is looked at again, so that the assertion on it is not its own premise."""
        keys = kept.select(self._table.key)
        joined = keys if self._last_key is None else pl.concat([self._last_key, keys])
        self._last_key = joined.tail(1)
        self.still_repeated += joined.height - joined.select(pl.struct(pl.all()).rle()).height

    def _met_before(self, frame: pl.DataFrame) -> pl.Series:
        """Of the keys known to be repeated, which are few, the first row is kept."""
        flags = [False] * frame.height
        key = list(self._table.key)
        if self._repeated.height:
            places = frame.with_row_index().join(self._repeated, on=key, how="semi")
            for place, *values in places.sort("index").select("index", *key).iter_rows():
                flags[place] = tuple(values) in self._met
                self._met.add(tuple(values))
        return pl.Series(flags, dtype=pl.Boolean)

    def _count(self, rows: pl.DataFrame) -> None:
        grouped = rows.group_by("instrument_id", maintain_order=True).agg(
            pl.len(), pl.col("from_number").first(), pl.col("to_number").last()
        )
        for name, count, first, last in grouped.iter_rows():
            span = self.spans.setdefault(name, Span(name))
            if not span.rows:
                span.first_sequence = first
            span.rows, span.last_sequence = span.rows + count, last

    def _find_holes(self, joined: pl.DataFrame) -> None:
        is_hole = (pl.col("instrument_id") == pl.col("instrument_id").shift(1)) & (
            pl.col("from_number") > pl.col("to_number").shift(1) + 1
        )
        if not joined.select(is_hole.any()).item():
            return
        holes = joined.select(
            "instrument_id",
            pl.col(self._table.time).shift(1).alias("started_at"),
            pl.col(self._table.time).alias("ended_at"),
            (pl.col("to_number").shift(1) + 1).alias("first"),
            (pl.col("from_number") - 1).alias("last"),
            "step",
            pl.col(ROW_NUMBER).shift(1).alias("row_before"),
            pl.col(ROW_NUMBER).alias("row_after"),
        ).filter(joined.select(is_hole).to_series())
        for name, started_at, ended_at, first, last, step, before, after in holes.iter_rows():
            refused = self._refused_between(before, after)
            count = -(-(last - first + 1) // step)
            absent = max(count - refused, 0)
            gap = Gap(
                instrument_id=name,
                started_at=started_at,
                ended_at=ended_at,
                cause=ABSENT if absent else QUARANTINED,
                missing_count=absent or count,
                detail=_detail(self._table, first, last, refused if absent else 0),
            )
            _append(self.spans.setdefault(name, Span(name)).gaps, gap)

    def _refused_between(self, before: int, after: int) -> int:
        return max(bisect_left(self._refused, after) - bisect_right(self._refused, before), 0)


def usual(span: Span) -> str:
    """What is said of settlements that nobody numbered, though a step shows how many are lost."""
    missing = sum(gap.missing_count or 0 for gap in span.gaps)
    places = f"{missing} settlements are missing in {len(span.gaps)} places"
    return UNDECLARED.format(places if span.gaps else "none is missing between two that are there")


def settle(location: Location, table: Table, venue: str, days: Iterable[date]) -> None:
    """State anew, for `days` and their neighbours, which units are proven whole.

    Others may commit between reading and restating, so it is judged again until a look at all the
    days finds nothing to change: then the last statement rests on what was held after it.
    """
    concerned = sorted({day + n * DAY for day in days for n in (-1, 0, 1)})
    for _ in range(MOST_ROUNDS):
        found = _verdicts(location, table, venue, concerned)
        if not found:
            return
        for partition, changes in found.items():
            restate(location, partition, changes)
    log.warning("%s of %s: others kept committing; the last of them states it", table.name, venue)


def _verdicts(
    location: Location, table: Table, venue: str, concerned: Sequence[date]
) -> dict[Partition, dict[Unit, Unit]]:
    """By partition, the units whose statement is not what they and their neighbours now show."""
    held = {
        day: read_manifest(location, Partition(table.name, venue, day))
        for day in sorted({day + n * DAY for day in concerned for n in (-1, 0, 1)})
    }
    found: dict[Partition, dict[Unit, Unit]] = {}
    for day in concerned:
        before, after = held[day - DAY], held[day + DAY]
        for own in held[day].units:
            if own.last_sequence is None:
                continue
            status, proof = judge(table, day, own, before.unit(own.name), after.unit(own.name))
            if (status, proof) != (own.status, own.proof):
                renewed = replace(own, status=status, proof=proof)
                found.setdefault(held[day].partition, {})[own] = renewed
    return found


def judge(
    table: Table, day: date, own: Unit, before: Unit | None, after: Unit | None
) -> tuple[str, str]:
    """Status and proof of a numbered unit, given the same unit of both neighbouring days."""
    if own.source.endswith(API):
        return _judge_answered(table, day, own, before, after)
    first, last = own.first_sequence or 0, own.last_sequence or 0
    shown = _range(table, first, last)
    if own.gaps:
        missing = sum(gap.missing_count or 0 for gap in own.gaps)
        return "unprovable", f"{shown}: {missing} missing in {len(own.gaps)} places"
    faults = [
        fault
        for fault in (
            _fault(table, day - DAY, before.last_sequence if before else None, first - 1),
            _fault(table, day + DAY, after.first_sequence if after else None, last + 1),
        )
        if fault
    ]
    if faults:
        return "unprovable", f"{shown} without a hole, but {' and '.join(faults)}"
    return "complete", f"{shown} without a hole, and both neighbouring days join"


def _judge_answered(
    table: Table, day: date, own: Unit, before: Unit | None, after: Unit | None
) -> tuple[str, str]:
    """A venue that was asked has proved its day itself; a neighbour can only contradict."""
    first, last = own.first_sequence or 0, own.last_sequence or 0
    numbers = (
        (day - DAY, before.last_sequence if before and before.source == own.source else None),
        (day + DAY, after.first_sequence if after and after.source == own.source else None),
    )
    faults = [
        fault
        for (beside, number), wanted in zip(numbers, (first - 1, last + 1), strict=True)
        if number is not None and (fault := _fault(table, beside, number, wanted))
    ]
    if own.status != "complete" or not faults:
        return own.status, own.proof
    return "unprovable", f"{_range(table, first, last)} without a hole, but {' and '.join(faults)}"


def _fault(table: Table, day: date, number: int | None, wanted: int) -> str:
    if number is None:
        return f"{day} is not held"
    return "" if number == wanted else f"{day} does not join ({_number(table, number)})"


def _numbers(table: Table, usual_s: Mapping[str, int]) -> dict[str, pl.Expr]:
    """The numbers that a row spans, and how many make one row; NULL where nothing is numbered."""
    if table is TRADES:
        return {
            "from_number": pl.col("sequence"),
            "to_number": pl.col("sequence"),
            "step": pl.lit(1, pl.Int64),
        }
    if table is not FUNDING:
        none = pl.lit(None, pl.Int64)
        return {"from_number": none, "to_number": none, "step": none}
    declared = pl.col("interval_s")
    if usual_s:
        usual = pl.col("instrument_id").replace_strict(usual_s, default=None, return_dtype=pl.Int64)
        declared = pl.coalesce(declared, usual)
    interval = pl.when(kind="settled").then(declared)
    second = pl.col("event_at").dt.epoch("s")
    due = (second + interval // 2) // interval * interval
    end = pl.when((second - due).abs() <= SCHEDULE_S).then(due).when(interval > 0).then(second)
    return {"from_number": end - interval + 1, "to_number": end, "step": interval}


def _append(gaps: list[Gap], gap: Gap) -> None:
    """Holes that begin at one instant are one hole in time; beyond a thousand, all are."""
    last = gaps[-1] if gaps else None
    if last is None or (len(gaps) < MOST_GAPS and last.started_at != gap.started_at):
        gaps.append(gap)
        return
    gaps[-1] = replace(
        last,
        ended_at=gap.ended_at,
        cause=ABSENT if ABSENT in (last.cause, gap.cause) else QUARANTINED,
        missing_count=(last.missing_count or 0) + (gap.missing_count or 0),
        detail=f"{last.detail.split(' ... ')[0]} ... {gap.detail}",
    )


def _detail(table: Table, first: int, last: int, refused: int) -> str:
    shown = _range(table, first, last)
    return f"{shown}, of which {refused} in quarantine" if refused else shown


def _range(table: Table, first: int, last: int) -> str:
    if table is FUNDING:
        return f"settlements of {_number(table, first - 1)} to {_number(table, last)}"
    return f"ids {first} to {last}" if last > first else f"id {first}"


def _number(table: Table, number: int) -> str:
    if table is FUNDING:
        return f"{datetime.fromtimestamp(number, UTC):%Y-%m-%d %H:%M}"
    return f"id {number}"
