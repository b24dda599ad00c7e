"""Is what came of a day of Binance all there was? Proofs from numbers, schedules and candles."""

from datetime import datetime, timedelta
from math import isclose

import polars as pl

from pipelines.venues.base import Proof, Status, Window
from pipelines.venues.binance_tape import Tape
from warehouse.lake import Gap

GRACE = timedelta(minutes=2)  # a day is over for the venue this long after its end
JITTER = timedelta(minutes=1)  # a settlement within a minute of its schedule is on it


def of_prints(tape: Tape, volume: float, refused: int, *, counts_all: bool) -> Proof:
    """Of an instrument's prints, given their volume as sized on the wire and how many were refused.

    `counts_all` says that the venue's own candle counts the same prints: on futures it counts those
    of the insurance fund too, which the aggregates leave out.
    """
    ids = "no print" if tape.first is None else f"ids {tape.first} to {tape.last}"
    status, text = _state(tape, volume, refused, counts_all=counts_all)
    return Proof(status, f"{ids}{text}", tape.first, tape.last, tuple(tape.holes))


def _state(tape: Tape, volume: float, refused: int, *, counts_all: bool) -> tuple[Status, str]:
    if tape.holes:
        missing = sum(gap.missing_count or 0 for gap in tape.holes)
        return "gap", f": {missing or 'some'} missing in {len(tape.holes)} places"
    if refused:
        return "gap", f", of which {refused} are in quarantine"
    if tape.now < tape.window.end + GRACE and tape.after is None:
        return "open", " so far"
    if tape.first is None and tape.after is None:
        return _without_prints(tape)
    is_same = _agrees(tape, volume, counts_all=counts_all)
    faults = []
    if tape.before is None:
        faults.append("what came before is no longer to be had")
    if tape.after is None and not is_same:
        faults.append("nothing has followed")
    if counts_all and is_same is False:
        faults.append("the venue's own candle of the day counts otherwise")
    if faults:
        return "unprovable", f" without a hole, but {' and '.join(faults)}"
    start = f"id {tape.before} before" if tape.before != -1 else "the first of all"
    end = f"id {tape.after} after" if tape.after is not None else "to the day's volume"
    doubt = "; the venue's own candle counts otherwise" if is_same is False else ""
    return "complete", f" without a hole, joined to {start} and {end}{doubt}"


def _without_prints(tape: Tape) -> tuple[Status, str]:
    if tape.candle is None:
        return "unprovable", ", and the venue has no candle of the day"
    return "complete", ", and the venue's own candle counts none"


def _agrees(tape: Tape, volume: float, *, counts_all: bool) -> bool | None:
    """Whether the venue's own candle says the same; None without a candle."""
    if tape.candle is None:
        return None
    is_same = isclose(tape.candle.volume, volume, rel_tol=1e-9, abs_tol=1e-9)
    return is_same and (tape.candle.count == tape.count or not counts_all)


def of_states(instruments: int, refused: int) -> Proof:
    """Of one moment's states of so many instruments."""
    if refused:
        return Proof("gap", f"of {instruments} instruments {refused} answers are in quarantine")
    return Proof("complete", f"all {instruments} instruments that are trading")


def of_funding(instrument_id: str, window: Window, rows: pl.DataFrame, now: datetime) -> Proof:
    """Of settlements (`event_at`, `interval_s`), also some before the window, in order.

    Each pays for the interval that ends at it, so together they cover the day or leave a gap.
    """
    is_over = now >= window.end + GRACE
    came = rows.filter(window.holds("event_at")).height
    known = rows.filter(pl.col("interval_s").is_not_null())
    if known.is_empty():
        return Proof(
            "unprovable" if is_over else "open", f"{came} settlements, of no known interval"
        )
    stamps = known["event_at"].to_list()
    lengths = [timedelta(seconds=length) for length in known["interval_s"]]
    if stamps[0] - window.start > lengths[0] + JITTER:
        return Proof("unprovable", f"{came} settlements, the first at {stamps[0].isoformat()}")
    ends = [*stamps[1:], min(window.end, now)]
    due = [*lengths[1:], lengths[-1]]
    holes = tuple(
        Gap(
            instrument_id,
            start,
            end,
            "absent_in_source",
            max(1, round((end - start) / length) - 1),
            f"no settlement between, though one is due every {length}",
        )
        for start, end, length in zip(stamps, ends, due, strict=True)
        if end - start > length + JITTER and end > window.start
    )
    if holes:
        missing = sum(hole.missing_count or 0 for hole in holes)
        return Proof("unprovable", f"{came} settlements, {missing} missing", gaps=holes)
    if not is_over:
        return Proof("open", f"{came} settlements so far")
    return Proof("complete", f"{came} settlements, none of them later than due")
