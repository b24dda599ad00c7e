"""What do all figures share: colours, pages to choose from, and the stamp of what they show?"""

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
NOTE_PIXELS = 18  # height of a line of notes
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

    `notes` are lines above the panels; `view` is what part of the axes is seen at first, as
    settings of the layout that every page of the figure has.
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
    panels = list(figure.layout.annotations)
    noted = [[*panels, *_notes(page)] for page in pages]
    deepest = max(len(page.notes) for page in pages)
    figure.update_layout(
        template="plotly_white",
        title={"text": titles[first], "x": 0.01, "xanchor": "left", "y": 0.98, "yanchor": "top"},
        annotations=noted[first],
        margin={"t": 130 + NOTE_PIXELS * deepest, "r": 30, "l": 80, "b": 60},
        height=860,
        hovermode="closest",
    )
    figure.update_layout({key.replace(".", "_"): value for key, value in pages[first].view.items()})
    if len(pages) > 1:
        figure.update_layout(updatemenus=[_menu(pages, titles, noted, first, deepest)])
    return figure


def stamp(moment: Moment, known_at: datetime) -> str:
    """As of when, known when, and where it comes from."""
    origin = "real market" if moment.origin == "real" else "simulated market"
    wanted = moment.wanted or moment.at
    last = f" (the last snapshot by {utc(wanted)})" if wanted != moment.at else ""
    return (
        f"as of {utc(moment.at)}{last}, known {utc(known_at)}; times are UTC; "
        f"{origin}, {moment.generation}"
    )


def utc(at: datetime) -> str:
    """An instant as text."""
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def known(frame: pl.DataFrame) -> datetime:
    """When the last of these rows was known."""
    last: datetime = frame["available_at"].max()  # type: ignore[assignment]  # it is never NULL
    return last


def percent(frame: pl.DataFrame, column: str) -> list[float | None]:
    """Annualised decimals as percent; NULL stays None, which is drawn as a gap."""
    return (frame[column] * 100).to_list()


def line(x: Sequence[Any], y: Sequence[Any], name: str, colour: str, **more: Any) -> go.Scatter:
    """A line with its points marked, which stops where a value is missing."""
    if all(value is None for value in y):
        name = f"{name} (no value)"
    style = {"color": colour, **more.pop("line", {})}
    return go.Scatter(
        x=x, y=y, name=name, mode=more.pop("mode", "lines+markers"), line=style, **more
    ).update(connectgaps=False)


def _titled(title: str, moment: Moment, known_at: datetime, page: Page) -> str:
    return f"{moment.underlying} {title}, {page.name}<br><sup>{stamp(moment, known_at)}</sup>"


def _notes(page: Page) -> list[go.layout.Annotation]:
    if not page.notes:
        return []
    place = {"xref": "paper", "x": 0, "yref": "paper", "y": 1, "yshift": 28}
    look = {"xanchor": "left", "yanchor": "bottom", "align": "left", "showarrow": False}
    return [go.layout.Annotation(text="<br>".join(page.notes), **place, **look)]


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
    above = 40 + NOTE_PIXELS * deepest
    place = {"x": 1, "xanchor": "right", "y": 1, "yanchor": "bottom"}
    return {"buttons": buttons, "active": first, "pad": {"b": above}, **place}
