"""Where on a picture does a value of an axis lie, and which values are written beside it?"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import plotly.graph_objects as go

MARGIN = 0.04  # of the range of values, on either side
TICKS = 6
HALF_DAY_S = 43_200.0
HOURS = (1, 2, 3, 6, 12, 24, 48, 120, 240, 720)


@dataclass(frozen=True, slots=True)
class Scale:
    """From values of an axis to pixels; `kind` is linear, log, date or category."""

    kind: str
    low: float
    high: float
    first: float  # pixel of `low`
    last: float
    names: tuple[str, ...] = ()

    def at(self, value: Any) -> float | None:
        """The pixel; None for what is missing or has no place, such as zero on a log axis."""
        number = as_number(value, self.kind, self.names)
        if number is None:
            return None
        share = (number - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self) -> list[tuple[float, str]]:
        """Pixels and what is written there."""
        if self.kind == "category":
            return [(self._pixel(place), name) for place, name in enumerate(self.names)]
        if self.kind == "log":
            return self._log_ticks()
        if self.kind == "date":
            return self._date_ticks()
        step = _round_step((self.high - self.low) / TICKS)
        count = int((self.high - self.low) / step) + 2
        start = math.ceil(self.low / step)
        places = [start + n for n in range(count) if (start + n) * step <= self.high]
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return [(self._pixel(n * step), f"{n * step:,.{digits}f}") for n in places]

    def _pixel(self, number: float) -> float:
        return self.first + (number - self.low) / (self.high - self.low) * (self.last - self.first)

    def _log_ticks(self) -> list[tuple[float, str]]:
        decades = range(math.floor(self.low), math.ceil(self.high) + 1)
        values = [m * 10.0**d for d in decades for m in (1, 2, 5)]
        shown = [v for v in values if self.low <= math.log10(v) <= self.high]
        return [(self._pixel(math.log10(v)), f"{v:g}") for v in shown]

    def _date_ticks(self) -> list[tuple[float, str]]:
        hours = (self.high - self.low) / 3_600
        step = next((h for h in HOURS if hours / h <= TICKS), HOURS[-1])
        first = math.ceil(self.low / (step * 3_600)) * step * 3_600
        moments = range(int(first), int(self.high) + 1, step * 3_600)
        form = "%d %b %H:%M" if step < 24 else "%d %b %Y"
        return [(self._pixel(m), datetime.fromtimestamp(m, UTC).strftime(form)) for m in moments]


def scale(axis: go.layout.XAxis, values: Sequence[Any], first: float, last: float) -> Scale:
    """The scale of an axis on which `values` are drawn, from pixel `first` to pixel `last`."""
    kind = axis.type or _kind_of(values)
    if kind == "category":
        names = tuple(dict.fromkeys(str(v) for v in values))
        return Scale(kind, -0.5, len(names) - 0.5, first, last, names)
    known = [n for v in values if (n := as_number(v, kind, ())) is not None]
    if axis.range is not None:
        low, high = (_seconds(v) if kind == "date" else float(v) for v in axis.range)
        return Scale(kind, low, high, first, last)
    if axis.rangemode == "tozero":
        known.append(0.0)
    if not known:
        known = [0.0, 1.0]
    low, high = min(known), max(known)
    alone = HALF_DAY_S if kind == "date" else 0.05 * abs(high) or 1.0
    margin = MARGIN * (high - low) or alone
    return Scale(kind, low - margin, high + margin, first, last)


def _kind_of(values: Sequence[Any]) -> str:
    """What plotly would take an axis for that does not say."""
    if any(isinstance(v, str) for v in values):
        return "category"
    return "date" if any(isinstance(v, datetime) for v in values) else "linear"


def as_number(value: Any, kind: str, names: tuple[str, ...]) -> float | None:
    """Where a value lies before it is scaled."""
    if value is None:
        return None
    if kind == "category":
        return float(names.index(str(value))) if str(value) in names else None
    if isinstance(value, datetime):
        return _seconds(value)
    number = float(value)
    if kind == "log":
        return math.log10(number) if number > 0 else None
    return number if math.isfinite(number) else None


def _seconds(at: datetime) -> float:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(seconds=1)


def _round_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, at least `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    return next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
