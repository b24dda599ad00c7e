"""What do all figures share: colours, pages to choose from, and the stamp of what they show?"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import plotly.graph_objects as go
import polars as pl

from hedgehouse import Warehouse

# Okabe and Ito's palette, which colour-blind readers can tell apart.
BLUE, VERMILION, GREEN, PURPLE, ORANGE = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE)
GREY = "#595959"
# Written on logarithmic axes of days.
TICK_DAYS = (0.25, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
NOTE_PIXELS = 18  # height of a line of notes
NOTE_LETTERS = 100  # of a line of notes, which a window of 700 pixels has room for
AXIS_LETTERS, PANEL_LETTERS = 12, 13  # sizes of the titles of axes and panels
HEAD_PIXELS, MENU_PIXELS = 105, 35  # heights of the title with its stamp, and of the menu
LEGEND = {  # below, where it takes no width and lies on no data
    "orientation": "h",
    "yref": "container",
    "y": 0.005,
    "yanchor": "bottom",
    "x": 0,
    "xanchor": "left",
    "bgcolor": "rgba(255, 255, 255, 0)",
    "traceorder": "normal",
}
VENUE_COLOURS = {
    "deribit": BLUE,
    "binance": VERMILION,
    "okx": GREEN,
    "bybit": ORANGE,
    "derive": PURPLE,
}

Placed = tuple[Any, int, int]  # a trace, its row and its column


class NothingToPlot(ValueError):
    """The generation holds nothing of what was asked for."""


@dataclass(frozen=True, slots=True)
class Moment:
    """The snapshot that is drawn, and the generation it is read from."""

    underlying: str
    at: datetime
    generation: str
    origin: str  # real or simulator
    wanted: datetime | None = None  # the time that was asked for; the snapshot is the last by then

    def asked(self) -> dict[str, Any]:
        """The parameters of a query."""
        return {"underlying": self.underlying, "at": self.at.replace(tzinfo=None)}


@dataclass(frozen=True, slots=True)
class Page:
    """What is seen at once: one expiry, one venue.

    `notes` stand above the panels, each from a new line; `view` is what part of the axes is seen
    at first, as settings of the layout that every page of the figure has.
    """

    name: str
    traces: tuple[Placed, ...]
    notes: tuple[str, ...] = ()
    view: Mapping[str, Any] = field(default_factory=dict)


def read(house: Warehouse, query: str, moment: Moment, table: str) -> pl.DataFrame:
    """The rows of `table` at this moment; raises `NothingToPlot` where there are none."""
    found = house.sql(query, moment.asked())
    if found.is_empty():
        raise NothingToPlot(f"{table}: nothing of {moment.underlying} by {utc(moment.at)}")
    return found


def compose(
    figure: go.Figure,
    title: str,
    moment: Moment,
    known_at: datetime,
    pages: Sequence[Page],
    first: int = 0,
) -> go.Figure:
    """The figure with the first page seen, a menu of the others, and the stamp."""
    for number, page in enumerate(pages):
        for trace, row, column in page.traces:
            figure.add_trace(trace.update(visible=number == first), row=row, col=column)
    titles = [_titled(title, moment, known_at, page) for page in pages]
    figure.update_annotations(font_size=PANEL_LETTERS)
    panels = list(figure.layout.annotations)
    noted = [[*panels, *_notes(page)] for page in pages]
    deepest = max(len(_wrapped(page)) for page in pages)
    above = HEAD_PIXELS + MENU_PIXELS * (len(pages) > 1) + NOTE_PIXELS * deepest
    figure.update_layout(
        template="plotly_white",
        title={"text": titles[first], "x": 0.01, "xanchor": "left", "y": 0.98, "yanchor": "top"},
        annotations=noted[first],
        legend=LEGEND,
        margin={"t": above, "r": 30, "l": 80, "b": 60},
        height=860,
        hovermode="closest",
    )
    figure.update_layout({key.replace(".", "_"): value for key, value in pages[first].view.items()})
    figure.for_each_xaxis(_title_small)
    figure.for_each_yaxis(_title_small)
    if len(pages) > 1:
        figure.update_layout(updatemenus=[_menu(pages, titles, noted, first, deepest)])
    return figure


def _title_small(axis: Any) -> None:
    if axis.title.text:
        axis.title.font.size = AXIS_LETTERS


def stamp(moment: Moment, known_at: datetime) -> str:
    """As of when, known when, and where it comes from."""
    origin = "real market" if moment.origin == "real" else "simulated market"
    wanted = moment.wanted or moment.at
    last = f" (the last snapshot by {utc(wanted)})" if wanted != moment.at else ""
    return (
        f"as of {utc(moment.at)}{last},<br>known {utc(known_at)}; times are UTC; "
        f"{origin}, {moment.generation}"
    )


def utc(at: datetime) -> str:
    """An instant as text."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def known(frame: pl.DataFrame) -> datetime:
    """When the last of these rows was known."""
    last: datetime = frame["available_at"].max()  # type: ignore[assignment]  # it is never NULL
    return last


def venues(frame: pl.DataFrame) -> str:
    """Whose rows these are."""
    return " and ".join(frame["venue"].drop_nulls().unique().sort())


def percent(frame: pl.DataFrame, column: str) -> list[float | None]:
    """Annualised decimals as percent; NULL stays None, which is drawn as a gap."""
    return (frame[column] * 100).to_list()


def line(x: Sequence[Any], y: Sequence[Any], name: str, colour: str, **more: Any) -> go.Scatter:
    """A line with its points marked, which stops where a value is missing."""
    if all(value is None for value in y):
        name = f"{name} (no value)"
    style = {"color": colour, **more.pop("line", {})}
    shown = {"mode": "lines+markers", "hovertemplate": _told(x), **more}
    return go.Scatter(x=x, y=y, name=name, line=style, **shown).update(connectgaps=False)


def _told(x: Sequence[Any]) -> str:
    """What a pointer is told of a point; the name of its line stands beside it."""
    at = "%{x|%d %b %Y %H:%M:%S}" if x and isinstance(x[0], datetime) else "%{x:,.4~f}"
    return f"{at}<br>%{{y:,.4~f}}"


def _titled(title: str, moment: Moment, known_at: datetime, page: Page) -> str:
    return f"{moment.underlying} {title}, {page.name}<br><sup>{stamp(moment, known_at)}</sup>"


def _wrapped(page: Page) -> list[str]:
    return [line for note in page.notes for line in textwrap.wrap(note, NOTE_LETTERS)]


def _notes(page: Page) -> list[go.layout.Annotation]:
    if not page.notes:
        return []
    place = {"xref": "paper", "x": 0, "yref": "paper", "y": 1, "yshift": 28}
    look = {"xanchor": "left", "yanchor": "bottom", "align": "left", "showarrow": False}
    return [go.layout.Annotation(text="<br>".join(_wrapped(page)), **place, **look)]


def _menu(
    pages: Sequence[Page],
    titles: Sequence[str],
    noted: Sequence[list[Any]],
    first: int,
    deepest: int,
) -> dict[str, Any]:
    owner = [number for number, page in enumerate(pages) for _ in page.traces]
    buttons = [
        {
            "label": page.name,
            "method": "update",
            "args": [
                {"visible": [one == number for one in owner]},
                {"title.text": titles[number], "annotations": noted[number], **page.view},
            ],
        }
        for number, page in enumerate(pages)
    ]
    above = 30 + NOTE_PIXELS * deepest
    place = {"x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"}
    return {"buttons": buttons, "active": first, "pad": {"b": above}, **place}
