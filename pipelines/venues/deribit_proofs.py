"""Is what came of a day all there was? Proofs from numbers, hours and the venue's own candles."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipelines.venues.base import EPOCH, Proof, Window, milliseconds
from warehouse.lake import Gap

if TYPE_CHECKING:
    from pipelines.venues.deribit_sweep import Unit
    from pipelines.venues.deribit_tape import Tape

GRACE = timedelta(minutes=5)  # a day is over for the venue this long after its end
JITTER_MS = 60_000  # a settlement within a minute of its hour is on it
VOLUME_TOLERANCE = 1e-6  # candles are rounded


def of_prints(
    tape: "Tape", now: datetime, refused: int, volume_base: float, candle_base: float | None
) -> Proof:
    """Of an instrument's prints, given what of them was refused, and their volume in both tellings.

    `candle_base` is None where the venue tells none.
    """
    first, last = tape.first, tape.last
    shown = "no print" if first is None else f"ids {first} to {last}"
    ends = (first, last)
    if tape.holes:
        missing = sum(hole.missing_count or 0 for hole in tape.holes)
        text = f"{shown}: {missing} missing in {len(tape.holes)} places"
        return Proof("gap", text, *ends, tuple(tape.holes))
    if refused:
        return Proof("gap", f"{shown}, of which {refused} are in quarantine", *ends)
    if tape.after is not None:
        joined = f"joined to id {tape.after} after" + (
            f" and id {tape.before} before" if tape.before else "; they begin with the first of all"
        )
        return Proof("complete", f"{shown} without a hole, {joined}", *ends)
    if now < tape.window.end + GRACE:
        return Proof("open", f"{shown} so far", *ends)
    if candle_base is None:
        return Proof("unprovable", f"{shown}; no later print shows where the day ends", *ends)
    told = f"the venue's candle of the day says {candle_base:g} base"
    if agrees(volume_base, candle_base):
        return Proof("complete", f"{shown} without a hole; {told}, and so do they", *ends)
    text = f"{shown} with {volume_base:g} base, but {told}"
    if volume_base > candle_base:
        return Proof("unprovable", text, *ends)
    started_at = tape.last_at or tape.window.start
    gap = Gap(tape.instrument_id, started_at, tape.window.end, "less_than_candle", None, text)
    return Proof("gap", text, *ends, (gap,))


def of_swept(
    unit: "Unit", window: Window, now: datetime, candle_base: float | None
) -> Proof | None:
    """Of an option's prints that came with those of all others; None where they are in doubt."""
    shown = "no print" if unit.first is None else f"ids {unit.first} to {unit.last}"
    if now < window.end + GRACE:
        return Proof("open", f"{shown} so far", unit.first, unit.last)
    if candle_base is None or not agrees(unit.volume_base, candle_base):
        return None
    told = f"the venue's candle of the day says {candle_base:g} base"
    text = f"{shown} without a hole; {told}, and so do they"
    return Proof("complete", text, unit.first, unit.last)


def of_intervals(
    instrument_id: str, window: Window, stamps: Collection[int], every: timedelta, now: datetime
) -> Proof:
    """Of rows that come at fixed intervals: `stamps` in milliseconds, each near its due time."""
    step = every // timedelta(milliseconds=1)
    had = {(stamp + step // 2) // step * step for stamp in stamps if _is_due(stamp, step)}
    end = min(window.end_ms, milliseconds(now) // step * step)
    due = range(window.start_ms, end, step)
    missing = [at for at in due if at not in had]
    shown = f"{len(due) - len(missing)} of {len(due)}, every {every}"
    if missing:
        return Proof("unprovable", shown, gaps=_runs(instrument_id, missing, every))
    if now < window.end:
        return Proof("open", shown)
    return Proof("complete", shown)


def agrees(volume_base: float, candle_base: float) -> bool:
    return abs(volume_base - candle_base) <= VOLUME_TOLERANCE * max(1.0, candle_base)


def candle_volume(result: Any, window: Window) -> float | str:
    """The volume of the candles that begin in the window; a text says why they cannot be read."""
    if not isinstance(result, dict):
        return "is no object"
    if result.get("status") == "no_data":
        return 0.0
    ticks, volumes = result.get("ticks"), result.get("volume")
    if not isinstance(ticks, list) or not isinstance(volumes, list) or len(ticks) != len(volumes):
        return "holds no ticks with volumes"
    if not all(type(v) in (int, float) for v in (*ticks, *volumes)):
        return "holds a volume or a tick that is no number"
    pairs = zip(ticks, volumes, strict=True)
    return float(sum(v for t, v in pairs if window.start_ms <= t < window.end_ms))


def _is_due(stamp: int, step: int) -> bool:
    away = (stamp + step // 2) % step - step // 2
    return abs(away) <= min(JITTER_MS, step // 2)


def _runs(instrument_id: str, missing: Sequence[int], every: timedelta) -> tuple[Gap, ...]:
    """Neighbouring missing stamps as one gap each, from the row before to the row after."""
    step = every // timedelta(milliseconds=1)
    runs: list[list[int]] = []
    for at in missing:
        if runs and at - runs[-1][-1] == step:
            runs[-1].append(at)
        else:
            runs.append([at])
    return tuple(
        Gap(
            instrument_id,
            EPOCH + timedelta(milliseconds=run[0]) - every,
            EPOCH + timedelta(milliseconds=run[-1]) + every,
            "absent_in_source",
            len(run),
            f"{len(run)} rows",
        )
        for run in runs
    )
