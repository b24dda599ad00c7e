"""Numbers prove a day whole, or say what is missing."""

from datetime import UTC, date, datetime, timedelta

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import continuity
from pipelines.continuity import ABSENT, MOST_GAPS, QUARANTINED, Tracker, judge
from warehouse import lake
from warehouse.contract import FUNDING, TRADES
from warehouse.lake import Partition, Unit
from warehouse.location import Location

START, DAY = datetime(2024, 8, 8, tzinfo=UTC), date(2024, 8, 8)
NONE = pl.DataFrame(schema={"instrument_id": pl.String, "trade_id": pl.String})


def trades(ids: list[int | None], row_numbers: list[int] | None = None) -> pl.DataFrame:
    rows = pl.DataFrame(
        {
            "venue": "binance",
            "underlying": "BTC",
            "instrument_id": "i",
            "trade_id": [f"t{number}" for number in ids],
            "event_at": [START + timedelta(seconds=n) for n in range(len(ids))],
            "price": 1.0,
            "quantity_base": 1.0,
            "is_block": False,
            "is_liquidation": False,
            "sequence": pl.Series(ids, dtype=pl.Int64),
        }
    )
    numbers = row_numbers or range(1, len(ids) + 1)
    return TRADES.conform(rows).with_columns(row_number=pl.Series(list(numbers), dtype=pl.Int64))


def followed(frame: pl.DataFrame, refused=(), chunk: int | None = None, repeated=NONE):
    tracker = Tracker(TRADES, repeated, refused)
    taken = [tracker.take(piece) for piece in frame.iter_slices(chunk or max(frame.height, 1))]
    kept = [number for one, _ in taken for number in one["row_number"]]
    again = [number for _, one in taken for number in one["row_number"]]
    return tracker, kept, again


@given(
    ids=st.lists(st.integers(1, 60), min_size=1, max_size=40).map(sorted), chunk=st.integers(1, 9)
)
def test_repeats_and_holes_are_found_however_the_day_is_cut(ids, chunk):
    tracker, kept, again = followed(trades(ids), chunk=chunk)
    (span,) = tracker.spans.values()
    unique = sorted(set(ids))
    assert len(kept) == len(unique)
    assert len(again) == len(ids) - len(unique)
    assert (span.rows, span.first_sequence, span.last_sequence) == (
        len(unique),
        unique[0],
        unique[-1],
    )
    assert sum(gap.missing_count for gap in span.gaps) == unique[-1] - unique[0] + 1 - len(unique)
    assert tracker.still_repeated == 0


def test_a_hole_is_told_with_its_neighbours():
    tracker, _, _ = followed(trades([15, 16, 20]))
    (gap,) = tracker.spans["i"].gaps
    assert (gap.cause, gap.missing_count, gap.detail) == (ABSENT, 3, "ids 17 to 19")
    assert (gap.started_at, gap.ended_at) == (
        START + timedelta(seconds=1),
        START + timedelta(seconds=2),
    )


def test_a_hole_of_refused_rows_is_not_the_sources():
    tracker, _, _ = followed(trades([1, 3, 7], [1, 3, 5]), refused=[2, 4])
    first, second = tracker.spans["i"].gaps
    assert (first.cause, first.missing_count) == (QUARANTINED, 1)
    assert (second.cause, second.missing_count) == (ABSENT, 2)
    assert second.detail == "ids 4 to 6, of which 1 in quarantine"


def test_the_first_row_of_a_key_is_kept_even_when_its_repeats_are_no_neighbours():
    frame = trades([None, None, None]).with_columns(trade_id=pl.Series(["a", "b", "a"]))
    repeated = pl.DataFrame({"instrument_id": ["i"], "trade_id": ["a"]})
    _, kept, again = followed(frame, chunk=1, repeated=repeated)
    assert (kept, again) == ([1, 2], [3])


def test_a_file_thinned_on_purpose_has_one_long_hole_not_a_million():
    tracker, _, _ = followed(trades(list(range(0, 2 * MOST_GAPS + 200, 2))))
    gaps = tracker.spans["i"].gaps
    assert len(gaps) == MOST_GAPS
    assert sum(gap.missing_count for gap in gaps) == MOST_GAPS + 99


def unit(first: int, last: int, *, rows: int = 1, **more) -> Unit:
    return Unit("i", "i", "unprovable", rows, "s", 30, "", (), first, last, **more)


@pytest.mark.parametrize(
    ("before", "after", "status", "words"),
    [
        (unit(1, 9), unit(21, 30), "complete", "both neighbouring days join"),
        (None, unit(21, 30), "unprovable", "2024-08-07 is not held"),
        (unit(1, 9), None, "unprovable", "2024-08-09 is not held"),
        (unit(1, 8), unit(21, 30), "unprovable", "2024-08-07 does not join (id 8)"),
        (unit(1, 9), unit(22, 30), "unprovable", "2024-08-09 does not join (id 22)"),
    ],
)
def test_a_day_is_whole_only_between_days_that_join(before, after, status, words):
    found, proof = judge(TRADES, DAY, unit(10, 20), before, after)
    assert found == status
    assert words in proof


def test_a_hole_inside_leaves_a_day_unproven():
    tracker, _, _ = followed(trades([10, 12]))
    own = unit(10, 12, gaps=tuple(tracker.spans["i"].gaps))
    status, proof = judge(TRADES, DAY, own, unit(1, 9), unit(13, 20))
    assert (status, proof) == ("unprovable", "ids 10 to 12: 1 missing in 1 places")


def hold(location: Location, ids: list[int], day: date = DAY) -> None:
    """Commit a day of these ids, as an import does before it settles."""
    shift = day - DAY
    frame = trades(ids).with_columns(pl.col("event_at") + shift)
    tracker, _, _ = followed(frame)
    span = tracker.spans["i"]
    own = unit(span.first_sequence, span.last_sequence, gaps=tuple(span.gaps), rows=span.rows)
    partition = Partition("trades", "binance", day)
    with lake.stage(location, partition) as part:
        part.write(TRADES.conform(frame.drop("row_number")))
        staged = part.finish(["i"])
        lake.commit(location, partition, units=[own], parts=[staged], checks=[], at=START)


def settled(location: Location) -> str:
    return lake.read_manifest(location, Partition("trades", "binance", DAY)).unit("i").status


WHOLE, HOLED, SHORT = [4, 5, 6], [4, 6], [8, 9]
NEXT = date(2024, 8, 9)


@pytest.mark.parametrize("other_settles", [True, False])
@pytest.mark.parametrize(
    ("first", "then", "day", "status"),
    [
        (WHOLE, HOLED, DAY, "unprovable"),
        (HOLED, WHOLE, DAY, "complete"),
        ([7, 8, 9], SHORT, NEXT, "unprovable"),
        (SHORT, [7, 8, 9], NEXT, "complete"),
    ],
)
def test_a_revision_between_judging_and_stating_is_judged_itself(
    tmp_path, monkeypatch, first, then, day, status, other_settles
):
    location, true_restate = Location(tmp_path), lake.restate
    for held, ids in {date(2024, 8, 7): [1, 2, 3], DAY: WHOLE, NEXT: [7, 8, 9]}.items():
        hold(location, first if held == day else ids, held)
    waiting = [then]

    def overtaken(location: Location, partition: Partition, changes) -> None:
        if waiting and partition.day == DAY:
            hold(location, waiting.pop(), day)
            monkeypatch.setattr(continuity, "restate", true_restate)
            if other_settles:  # else it was killed before it came to that
                continuity.settle(location, TRADES, "binance", [day])
        true_restate(location, partition, changes)

    monkeypatch.setattr(continuity, "restate", overtaken)
    continuity.settle(location, TRADES, "binance", [DAY])
    assert not waiting
    assert settled(location) == status


def settlements(hours: list[float], interval_h: int | list[int] = 8, kind: str = "settled"):
    rows = pl.DataFrame(
        {
            "venue": "binance",
            "underlying": "BTC",
            "instrument_id": "i",
            "kind": kind,
            "event_at": [START + timedelta(hours=hour, milliseconds=7) for hour in hours],
            "rate": 0.0001,
            "interval_s": pl.Series(
                [interval_h] * len(hours) if isinstance(interval_h, int) else interval_h
            )
            * 3_600,
        }
    )
    frame = FUNDING.conform(rows).with_row_index("row_number", 1)
    frame = frame.with_columns(pl.col("row_number").cast(pl.Int64))
    tracker = Tracker(FUNDING, pl.DataFrame(), ())
    tracker.take(frame)
    return tracker.spans["i"]


def test_settlements_that_tile_the_day_join_those_of_the_next():
    today, tomorrow = settlements([0, 8, 16]), settlements([24, 32, 40])
    assert today.gaps == []
    assert tomorrow.first_sequence == today.last_sequence + 1


def test_a_missing_settlement_is_a_hole():
    (gap,) = settlements([0, 16]).gaps
    assert gap.missing_count == 1
    assert gap.detail == "settlements of 2024-08-08 00:00 to 2024-08-08 08:00"


def test_an_interval_that_changes_is_no_hole():
    assert settlements([0, 8, 12, 16], [8, 8, 4, 4]).gaps == []


def test_forecasts_are_not_numbered():
    span = settlements([0, 1, 5], kind="indicative")
    assert (span.first_sequence, span.last_sequence, span.gaps) == (None, None, [])
