"""How is a figure drawn without a browser? As SVG, with what is seen first and nothing to click.

Of plotly it knows what the figures here use: lines, markers, error bars, bars and heat maps on
panels of two dimensions. Three-dimensional ones are left out, and the others take their place.
"""

import re
import textwrap
from collections.abc import Iterator
from typing import Any

import plotly.graph_objects as go

from hedgehouse.marks import DASHES, DRAWN, INK, line, mark, ramp, shaded, text
from hedgehouse.scales import Scale, scale

WIDTH, HEIGHT = 1_040, 700
LEFT, RIGHT, BOTTOM = 78, 285, 52
LABEL_ROOM = 1.12  # of the height of the highest bar that has a label above it
FLAT_HEIGHT = 42  # of what the legend says of a heat map
LINE, LETTER = 15, 6  # height of a line of text, width of a letter
FONT = "font-family='Helvetica, Arial, sans-serif'"
FAINT = "#e2e2e2"
NAMED = ("scatter", "bar")  # in the legend
LONG_NAME, LONGEST_NAME, LONGEST_LINE = 42, 50, 165  # letters

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
            text(14, 22 + LINE * n, head, 15 if n == 0 else 11, "start", n == 0)
            for n, head in enumerate(heads)
        ),
    ]
    is_flat = len(traces) < sum(t.visible is not False for t in figure.data)
    for panel, drawn in panels.items():
        parts += _panel(figure, panel, drawn, traces, top, is_flat)
    parts += _legend(traces, top)
    return "\n".join(part.rstrip() for part in [*parts, "</svg>"]) + "\n"


def _heads(figure: go.Figure) -> list[str]:
    """Title and notes, line by line, without their marks."""
    notes = [a.text for a in figure.layout.annotations if a.yshift]
    whole = "<br>".join([figure.layout.title.text, *notes])
    heads = [re.sub(r"<[^>]*>", "", head) for head in whole.split("<br>")]
    return [part for head in heads for part in textwrap.wrap(head, LONGEST_LINE)]


def _leader(figure: go.Figure, name: str | None) -> str:
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
    seen: list[Any],
    top: float,
    is_alone: bool,
) -> Iterator[str]:
    x_axis, y_axis = (figure.layout[_long(name)] for name in panel)
    across = (0.0, 1.0) if is_alone or x_axis.domain is None else x_axis.domain
    up = y_axis.domain or (0.0, 1.0)
    wide, high = WIDTH - LEFT - RIGHT, HEIGHT - BOTTOM - top
    left, right = (LEFT + share * wide for share in across)
    low, ceiling = (HEIGHT - BOTTOM - share * high for share in up)
    across_too = [t for t in seen if _leader(figure, t.xaxis) == _leader(figure, panel[0])]
    up_too = [t for t in seen if _leader(figure, t.yaxis or "y") == _leader(figure, panel[1])]
    ranged = figure.layout[_long(_leader(figure, panel[0]))]
    xs = [v for t in across_too for v in t.x]
    x = scale(ranged if x_axis.range is None else x_axis, xs, left, right)
    y = scale(y_axis, list(_heights(up_too)), low, ceiling)
    for shape in figure.layout.shapes:
        if (shape.xref, shape.yref) == (f"{panel[0]} domain", f"{panel[1]} domain"):
            yield f"<rect x='{left:.1f}' y='{ceiling:.1f}' width='{right - left:.1f}' "
            yield f"height='{low - ceiling:.1f}' fill='{shape.fillcolor}'/>"
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
        elif trace.type == "scatter" and trace.error_y.array is not None:
            yield from _ends(trace.y, trace.error_y.array, 1)
            yield from _ends(trace.y, trace.error_y.arrayminus, -1)
        else:
            yield from trace.y
    if stacked:
        yield from (0.0, *stacked.values())
    if any(trace.type == "bar" and trace.text is not None for trace in traces):
        yield LABEL_ROOM * max(stacked.values())


def _ends(values: Any, bars: Any, sign: int) -> Iterator[float | None]:
    for value, bar in zip(values, bars, strict=True):
        yield value if value is None or bar is None else value + sign * bar


def _frame(
    x: Scale, y: Scale, x_axis: Any, y_axis: Any, box: tuple[float, float, float, float]
) -> Iterator[str]:
    left, right, low, ceiling = box
    has_title = bool(x_axis.title.text)
    for place, name in x.ticks():
        yield line(place, low, place, ceiling, FAINT)
        if has_title:
            yield text(place, low + 16, name, 10, "middle")
    for place, name in y.ticks():
        yield line(left, place, right, place, FAINT)
        yield text(left - 6, place + 4, name, 10, "end")
    yield f"<rect x='{left:.1f}' y='{ceiling:.1f}' width='{right - left:.1f}' "
    yield f"height='{low - ceiling:.1f}' fill='none' stroke='{INK}' stroke-width='0.7'/>"
    if has_title:
        yield text((left + right) / 2, low + 34, x_axis.title.text, 11, "middle")
    if y_axis.title.text:
        # A title longer than its panel is broken at its unit.
        title = y_axis.title.text
        parts = title.split(", ") if LETTER * len(title) > low - ceiling else [title]
        for n, part in enumerate(parts):
            x_at, y_at = left - 50 - LINE * (len(parts) - 1 - n), (low + ceiling) / 2
            where = f"transform='translate({x_at:.1f},{y_at:.1f}) rotate(-90)'"
            yield f"<g {where}>{text(0, 0, part, 11, 'middle')}</g>"


def _legend(traces: list[Any], top: float) -> Iterator[str]:
    left = WIDTH - RIGHT + 14
    flats = [t for t in traces if t.type == "heatmap"]
    for n, flat in enumerate(flats):
        low, high = shaded(flat)
        told = f"cells: {flat.colorbar.title.text}, {low:.3g} to {high:.3g}"
        yield text(left, top + 12 + n * FLAT_HEIGHT, told, 10, "start")
        yield from ramp(flat, left, top + 20 + n * FLAT_HEIGHT)
    top += FLAT_HEIGHT * len(flats)
    named = [t for t in traces if t.type in NAMED and t.showlegend is not False and t.name]
    step = min(17, (HEIGHT - top - 12) / max(1, len(named)))
    for n, trace in enumerate(named):
        y = top + 8 + n * step
        colour = trace.line.color or trace.marker.color if trace.type == "scatter" else None
        colour = colour or trace.marker.color or INK
        if trace.type == "scatter" and "lines" in (trace.mode or "lines"):
            dash = DASHES.get(trace.line.dash or "", "")
            yield f"<line x1='{left}' y1='{y}' x2='{left + 22}' y2='{y}' stroke='{colour}' "
            yield f"stroke-width='2' stroke-dasharray='{dash}'/>"
        elif trace.type == "scatter":
            yield mark(left + 11, y, trace.marker.symbol or "circle", 4, colour, 1.0)
        else:
            look = "fill-opacity='0.45'" if trace.marker.pattern.shape else ""
            box = f"x='{left + 4}' y='{y - 5}' width='14' height='10'"
            yield f"<rect {box} fill='{colour}' {look}/>"
        size = 10 if len(trace.name) <= LONG_NAME else 9
        yield text(left + 28, y + 4, trace.name[:LONGEST_NAME], size, "start")
