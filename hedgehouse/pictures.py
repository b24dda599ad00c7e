"""How is a figure drawn without a browser? As SVG, with what is seen first and nothing to click.

Of plotly it knows what the figures here use: lines, markers, error bars, bars and heat maps on
panels of two dimensions. Three-dimensional ones are left out, and the others take their place.
"""

import html
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any

import plotly.graph_objects as go

from hedgehouse.scales import Scale, scale

WIDTH, HEIGHT = 1_040, 700
LEFT, RIGHT, BOTTOM = 78, 270, 52
LINE, LETTER = 15, 6  # height of a line of text, width of a letter
FONT = "font-family='Helvetica, Arial, sans-serif'"
INK, FAINT = "#333333", "#e2e2e2"
DASHES = {"dot": "2,3", "dash": "7,4"}
LONGEST_NAME, LONGEST_LINE = 42, 165  # letters

Panel = tuple[str, str]  # names of its axes: x2, y2


def svg(figure: go.Figure) -> str:
    """The figure's visible panels as one SVG document."""
    heads = _heads(figure)
    top = 14 + LINE * len(heads) + 26
    traces = [t for t in figure.data if t.visible is not False and t.type != "surface"]
    panels: dict[Panel, list[Any]] = {}
    for trace in traces:
        panels.setdefault((trace.xaxis or "x", trace.yaxis or "y"), []).append(trace)
    parts = [
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {HEIGHT}' {FONT}>",
        f"<rect width='{WIDTH}' height='{HEIGHT}' fill='white'/>",
        *(
            _text(14, 22 + LINE * n, text, 15 if n == 0 else 11, "start", n == 0)
            for n, text in enumerate(heads)
        ),
    ]
    is_flat = len(traces) < sum(t.visible is not False for t in figure.data)
    for panel, drawn in panels.items():
        shared = [t for t in traces if _column(figure, t.xaxis) == _column(figure, panel[0])]
        parts += _panel(figure, panel, drawn, shared, top, is_flat)
    parts += _legend(traces, top)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _heads(figure: go.Figure) -> list[str]:
    """Title and notes, line by line, without their marks."""
    notes = [a.text for a in figure.layout.annotations if a.yshift]
    whole = "<br>".join([figure.layout.title.text, *notes])
    lines = [re.sub(r"<[^>]*>", "", line) for line in whole.split("<br>")]
    return [part for line in lines for part in textwrap.wrap(line, LONGEST_LINE)]


def _column(figure: go.Figure, name: str | None) -> str:
    """The axis that this one goes along with."""
    axis = figure.layout[_long(name or "x")]
    return axis.matches or name or "x"


def _long(name: str) -> str:
    """`x2` as layouts spell it: `xaxis2`."""
    return f"{name[0]}axis{name[1:]}"


def _panel(
    figure: go.Figure,
    panel: Panel,
    traces: list[Any],
    shared: list[Any],
    top: float,
    is_alone: bool,
) -> Iterator[str]:
    x_axis, y_axis = (figure.layout[_long(name)] for name in panel)
    across = (0.0, 1.0) if is_alone or x_axis.domain is None else x_axis.domain
    up = y_axis.domain or (0.0, 1.0)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - top
    left, right = (LEFT + share * wide for share in across)
    low, ceiling = (HEIGHT - BOTTOM - share * high for share in up)
    ranged = figure.layout[_long(_column(figure, panel[0]))]
    xs = [v for t in shared for v in t.x]
    x = scale(ranged if x_axis.range is None else x_axis, xs, left, right)
    y = scale(y_axis, list(_heights(traces)), low, ceiling)
    yield f"<clipPath id='{panel[0]}{panel[1]}'><rect x='{left:.1f}' y='{ceiling:.1f}' "
    yield f"width='{right - left:.1f}' height='{low - ceiling:.1f}'/></clipPath>"
    yield from _frame(x, y, x_axis, y_axis, (left, right, low, ceiling))
    yield f"<g clip-path='url(#{panel[0]}{panel[1]})'>"
    raised: dict[Any, float] = {}
    for trace in traces:
        yield from DRAWN[trace.type](trace, x, y, raised)
    yield "</g>"


def _heights(traces: list[Any]) -> Iterator[Any]:
    """Every value that the vertical axis has to hold."""
    stacked: dict[Any, float] = {}
    for trace in traces:
        if trace.type == "bar":
            for at, value in zip(trace.x, trace.y, strict=True):
                stacked[at] = stacked.get(at, 0.0) + (value or 0.0)
        else:
            yield from trace.y
    if stacked:
        yield from (0.0, *stacked.values())


def _frame(
    x: Scale, y: Scale, x_axis: Any, y_axis: Any, box: tuple[float, float, float, float]
) -> Iterator[str]:
    left, right, low, ceiling = box
    has_title = bool(x_axis.title.text)
    for place, name in x.ticks():
        yield _line(place, low, place, ceiling, FAINT)
        if has_title:
            yield _text(place, low + 16, name, 10, "middle")
    for place, name in y.ticks():
        yield _line(left, place, right, place, FAINT)
        yield _text(left - 6, place + 4, name, 10, "end")
    yield f"<rect x='{left:.1f}' y='{ceiling:.1f}' width='{right - left:.1f}' "
    yield f"height='{low - ceiling:.1f}' fill='none' stroke='{INK}' stroke-width='0.7'/>"
    if has_title:
        yield _text((left + right) / 2, low + 34, x_axis.title.text, 11, "middle")
    if y_axis.title.text:
        # A title longer than its panel is broken at its unit.
        text = y_axis.title.text
        parts = text.split(", ") if LETTER * len(text) > low - ceiling else [text]
        for n, part in enumerate(parts):
            x_at, y_at = left - 50 - LINE * (len(parts) - 1 - n), (low + ceiling) / 2
            where = f"transform='translate({x_at:.1f},{y_at:.1f}) rotate(-90)'"
            yield f"<g {where}>{_text(0, 0, part, 11, 'middle')}</g>"


def _scatter(trace: Any, x: Scale, y: Scale, _raised: dict[Any, float]) -> Iterator[str]:
    colour = trace.line.color or trace.marker.color or INK
    places = [(x.at(a), y.at(b)) for a, b in zip(trace.x, trace.y, strict=True)]
    mode = trace.mode or "lines"
    if trace.error_y.array is not None:
        bars = zip(places, trace.y, trace.error_y.array, trace.error_y.arrayminus, strict=True)
        for (place, _), value, above, below in bars:
            if place is not None and None not in (value, above, below):
                top, bottom = y.at(value + above), y.at(value - below)
                yield _line(place, top or 0.0, place, bottom or 0.0, colour)
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
                yield _mark(a, b, symbol, size, colour, trace.opacity or 1.0)


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
    for at, value in zip(trace.x, trace.y, strict=True):
        place = x.at(at)
        if place is None or not value:
            continue
        start = raised.get(at, 0.0)
        raised[at] = start + value
        low, high = y.at(start), y.at(start + value)
        if low is not None and high is not None:
            yield f"<rect x='{place - width / 2:.1f}' y='{min(low, high):.1f}' "
            yield f"width='{width:.1f}' height='{abs(low - high):.1f}' "
            yield f"fill='{trace.marker.color}' {look}/>"


def _heatmap(trace: Any, x: Scale, y: Scale, _raised: dict[Any, float]) -> Iterator[str]:
    known = [v for row in trace.z for v in row if v is not None]
    low = min(known, default=0.0) if trace.zmin is None else trace.zmin
    high = max(known, default=1.0) if trace.zmax is None else trace.zmax
    wide, tall = _cell(x, trace.x), _cell(y, trace.y)
    texts = [[None] * len(trace.x)] * len(trace.y) if trace.text is None else trace.text
    for name, values, marks in zip(trace.y, trace.z, texts, strict=True):
        for column, value, mark in zip(trace.x, values, marks, strict=True):
            a, b = x.at(column), y.at(name)
            if value is None or a is None or b is None:
                continue
            share = (value - low) / (high - low) if high > low else 0.5
            colour = _shade(trace.colorscale, share)
            yield f"<rect x='{a - wide / 2:.1f}' y='{b - tall / 2:.1f}' width='{wide + 0.3:.1f}' "
            yield f"height='{tall + 0.3:.1f}' fill='{colour}'/>"
            if mark is not None:
                ink = "white" if share < 0.5 else "black"
                yield _text(a, b + 3, f"{value:.0f}{mark}", 9, "middle", colour=ink)


def _cell(scale: Scale, values: Sequence[Any]) -> float:
    """How far apart neighbouring cells lie, pixels."""
    places = sorted({p for p in map(scale.at, values) if p is not None})
    gaps = [b - a for a, b in pairwise(places)]
    return min(gaps, default=abs(scale.last - scale.first))


def _shade(colours: Any, share: float) -> str:
    """Between the two nearest of (place, #rrggbb)."""
    after = next(
        i for i in range(1, len(colours)) if share <= colours[i][0] or i == len(colours) - 1
    )
    (low, first), (high, last) = colours[after - 1], colours[after]
    part = min(max((share - low) / (high - low), 0.0), 1.0)
    pairs = ((int(first[i : i + 2], 16), int(last[i : i + 2], 16)) for i in (1, 3, 5))
    return "#" + "".join(f"{round(a + part * (b - a)):02x}" for a, b in pairs)


DRAWN = {"scatter": _scatter, "bar": _bar, "heatmap": _heatmap}


def _legend(traces: list[Any], top: float) -> Iterator[str]:
    left = WIDTH - RIGHT + 14
    for n, flat in enumerate(t for t in traces if t.type == "heatmap"):
        yield _text(left, top + 12 + n * 17, f"cells: {flat.colorbar.title.text}", 10, "start")
    named = [t for t in traces if t.showlegend is not False and t.name]
    for n, trace in enumerate(named):
        y = top + 8 + n * 17
        colour = trace.line.color or trace.marker.color if trace.type == "scatter" else None
        colour = colour or trace.marker.color or INK
        if trace.type == "scatter" and "lines" in (trace.mode or "lines"):
            dash = DASHES.get(trace.line.dash or "", "")
            yield f"<line x1='{left}' y1='{y}' x2='{left + 22}' y2='{y}' stroke='{colour}' "
            yield f"stroke-width='2' stroke-dasharray='{dash}'/>"
        elif trace.type == "scatter":
            yield _mark(left + 11, y, trace.marker.symbol or "circle", 4, colour, 1.0)
        else:
            look = "fill-opacity='0.45'" if trace.marker.pattern.shape else ""
            box = f"x='{left + 4}' y='{y - 5}' width='14' height='10'"
            yield f"<rect {box} fill='{colour}' {look}/>"
        yield _text(left + 28, y + 4, trace.name[:LONGEST_NAME], 10, "start")


def _mark(a: float, b: float, symbol: str, size: float, colour: str, opacity: float) -> str:
    is_open = symbol.endswith("-open")
    look = f"fill='{'none' if is_open else colour}' stroke='{colour}' opacity='{opacity}'"
    if symbol.startswith("diamond"):
        corners = ((a, b - size), (a + size, b), (a, b + size), (a - size, b))
        return f"<polygon points='{' '.join(f'{p:.1f},{q:.1f}' for p, q in corners)}' {look}/>"
    if symbol == "x":
        return _line(a - size, b - size, a + size, b + size, colour) + _line(
            a - size, b + size, a + size, b - size, colour
        )
    return f"<circle cx='{a:.1f}' cy='{b:.1f}' r='{0.8 * size:.1f}' {look}/>"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    ends = f"x1='{x1:.1f}' y1='{y1:.1f}' x2='{x2:.1f}' y2='{y2:.1f}'"
    return f"<line {ends} stroke='{colour}' stroke-width='1'/>"


def _text(
    x: float, y: float, text: str, size: int, anchor: str, is_bold: bool = False, colour: str = INK
) -> str:
    weight = " font-weight='bold'" if is_bold else ""
    return (
        f"<text x='{x:.1f}' y='{y:.1f}' font-size='{size}' text-anchor='{anchor}'{weight} "
        f"fill='{colour}'>{html.escape(text)}</text>"
    )
