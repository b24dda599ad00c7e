"""What does a trace look like as SVG, on the scales of its panel?"""

import html
import math
import re
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any

from hedgehouse.scales import Scale

INK = "#333333"
DASHES = {"dot": "2,3", "dash": "7,4"}
NARROWEST = 24  # cell that has room for its number
DARK = 330  # sum of red, green and blue below which white is read better than black
RAMP_WIDTH, RAMP_STEPS = 160, 32


def _scatter(trace: Any, x: Scale, y: Scale, _raised: dict[Any, float]) -> Iterator[str]:
    colour = trace.line.color or trace.marker.color or INK
    places = [(x.at(a), y.at(b)) for a, b in zip(trace.x, trace.y, strict=True)]
    mode = trace.mode or "lines"
    if trace.error_y.array is not None:
        bars = zip(places, trace.y, trace.error_y.array, trace.error_y.arrayminus, strict=True)
        for (place, _), value, above, below in bars:
            if place is not None and None not in (value, above, below):
                top, bottom = y.at(value + above), y.at(value - below)
                ends = line(place, top or 0.0, place, bottom or 0.0, colour)
                yield ends.replace("/>", f" opacity='{trace.opacity or 1.0}'/>")
    if "lines" in mode:
        width, dash = trace.line.width or 1.6, DASHES.get(trace.line.dash or "", "")
        for run in _runs(places, trace.line.shape):
            points = " ".join(f"{a:.1f},{b:.1f}" for a, b in run)
            yield f"<polyline points='{points}' fill='none' stroke='{colour}' "
            yield f"stroke-width='{width}' stroke-dasharray='{dash}'/>"
    if "markers" in mode:
        symbol, size = trace.marker.symbol or "circle", (trace.marker.size or 6) / 2
        for a, b in places:
            if a is not None and b is not None:
                yield mark(a, b, symbol, size, colour, trace.opacity or 1.0)


def _runs(
    places: Iterable[tuple[float | None, float | None]], shape: str | None
) -> Iterator[list[tuple[float, float]]]:
    """Unbroken stretches; steps go up first, then along."""
    run: list[tuple[float, float]] = []
    for a, b in places:
        if a is None or b is None:
            if len(run) > 1:
                yield run
            run = []
            continue
        if shape == "vh" and run:
            run.append((run[-1][0], b))
        run.append((a, b))
    if len(run) > 1:
        yield run


def _bar(trace: Any, x: Scale, y: Scale, raised: dict[Any, float]) -> Iterator[str]:
    places = sorted({p for v in trace.x if (p := x.at(v)) is not None})
    gaps = [b - a for a, b in pairwise(places)]
    width = max(1.5, 0.7 * min(gaps, default=10.0))
    look = "fill-opacity='0.45'" if trace.marker.pattern.shape else ""
    labels = trace.text if trace.text is not None else [""] * len(trace.x)
    for at, value, label in zip(trace.x, trace.y, labels, strict=True):
        place = x.at(at)
        if place is None or value is None:
            continue
        start = raised.get(at, 0.0)
        raised[at] = start + value
        low, high = y.at(start), y.at(start + value)
        if low is not None and high is not None:
            yield f"<rect x='{place - width / 2:.1f}' y='{min(low, high):.1f}' "
            yield f"width='{width:.1f}' height='{abs(low - high):.1f}' "
            yield f"fill='{trace.marker.color}' {look}/>"
            if label:
                yield text(place, min(low, high) - 4, label, 9, "middle")


def _heatmap(trace: Any, x: Scale, y: Scale, _raised: dict[Any, float]) -> Iterator[str]:
    low, high = shaded(trace)
    # Two digits at least of the largest value.
    digits = max(0, 1 - math.floor(math.log10(max(abs(low), abs(high)) or 1.0)))
    columns, rows = _cells([x.at(v) for v in trace.x]), _cells([y.at(v) for v in trace.y])
    for n, (top, bottom) in enumerate(rows):
        for m, (left, right) in enumerate(columns):
            value = trace.z[n][m]
            if value is None or value != value:
                continue
            share = (value - low) / (high - low) if high > low else 0.5
            colour = _shade(trace.colorscale, share)
            yield f"<rect x='{left:.1f}' y='{top:.1f}' width='{right - left + 0.3:.1f}' "
            yield f"height='{bottom - top + 0.3:.1f}' fill='{colour}'/>"
            if right - left > NARROWEST:
                mark = trace.text[n][m] if trace.text is not None else ""
                ink = "white" if sum(_parts(colour)) < DARK else "black"
                middle = (left + right) / 2, (top + bottom) / 2 + 3
                yield text(*middle, f"{value:.{digits}f}{mark}", 9, "middle", colour=ink)


def ramp(trace: Any, left: float, top: float) -> Iterator[str]:
    """The colours of a heat map from its lowest value to its highest."""
    width = RAMP_WIDTH / RAMP_STEPS
    for n in range(RAMP_STEPS):
        colour = _shade(trace.colorscale, n / (RAMP_STEPS - 1))
        yield f"<rect x='{left + n * width:.1f}' y='{top:.1f}' width='{width + 0.3:.1f}' "
        yield f"height='10' fill='{colour}'/>"


def shaded(trace: Any) -> tuple[float, float]:
    """The values of a heat map that have the first and the last colour."""
    known = [v for row in trace.z for v in row if v is not None and v == v]
    low = min(known, default=0.0) if trace.zmin is None else trace.zmin
    high = max(known, default=1.0) if trace.zmax is None else trace.zmax
    if trace.zmid is not None:
        reach = max(high - trace.zmid, trace.zmid - low)
        low, high = trace.zmid - reach, trace.zmid + reach
    return low, high


def _cells(middles: list[float | None]) -> list[tuple[float, float]]:
    """From where to where each cell reaches, halfway to its neighbours."""
    places = [m for m in middles if m is not None]
    halves = [(b - a) / 2 for a, b in pairwise(places)] or [20.0]
    befores, afters = [halves[0], *halves], [*halves, halves[-1]]
    ends = [(m - a, m + b) for m, a, b in zip(places, befores, afters, strict=False)]
    return [(min(end), max(end)) for end in ends]


def _shade(colours: Any, share: float) -> str:
    """Between the two nearest of (place, colour)."""
    after = next(
        i for i in range(1, len(colours)) if share <= colours[i][0] or i == len(colours) - 1
    )
    (low, first), (high, last) = colours[after - 1], colours[after]
    part = min(max((share - low) / (high - low), 0.0), 1.0)
    pairs = zip(_parts(first), _parts(last), strict=True)
    return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in pairs)


def _parts(colour: str) -> list[int]:
    """Red, green and blue of #rrggbb or rgb(r, g, b)."""
    if colour.startswith("#"):
        return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    return [int(part) for part in re.findall(r"\d+", colour)[:3]]


DRAWN = {"scatter": _scatter, "bar": _bar, "heatmap": _heatmap}


def mark(a: float, b: float, symbol: str, size: float, colour: str, opacity: float) -> str:
    """A dot, a diamond or a cross of half width `size`."""
    is_open = symbol.endswith("-open")
    look = f"fill='{'none' if is_open else colour}' stroke='{colour}' opacity='{opacity}'"
    if symbol.startswith("diamond"):
        corners = ((a, b - size), (a + size, b), (a, b + size), (a - size, b))
        return f"<polygon points='{' '.join(f'{p:.1f},{q:.1f}' for p, q in corners)}' {look}/>"
    if symbol == "x":
        return line(a - size, b - size, a + size, b + size, colour) + line(
            a - size, b + size, a + size, b - size, colour
        )
    return f"<circle cx='{a:.1f}' cy='{b:.1f}' r='{0.8 * size:.1f}' {look}/>"


def line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    """A thin line."""
    ends = f"x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}'"
    return f"<line {ends} stroke='{colour}' stroke-width='1'/>"


def text(
    x: float, y: float, text: str, size: int, anchor: str, is_bold: bool = False, colour: str = INK
) -> str:
    """One line of text; `anchor` says which part of it stands at x: start, middle or end."""
    weight = " font-weight='bold'" if is_bold else ""
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}'{weight} "
        f"fill='{colour}'>{html.escape(text)}</text>"
    )
