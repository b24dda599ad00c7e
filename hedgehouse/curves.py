"""What do surface, term structure and skew look like?"""

from collections.abc import Callable
from typing import Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from hedgehouse import Warehouse
from hedgehouse.canvas import (
    CYCLE,
    GREY,
    TICK_DAYS,
    VENUE_COLOURS,
    Moment,
    Page,
    Placed,
    compose,
    known,
    line,
    percent,
    read,
    venues,
)

VOLATILITY = "Implied volatility, % a year"
POINTS = "vol points"
FROM_AFAR = {"x": 1.95, "y": 1.95, "z": 1.4}  # all of the surface and its axes is seen
SKEW_TENORS = (7.0, 30.0, 60.0, 90.0, 180.0)

GRID = """
    select venue, tenor_days, delta_bucket, iv, is_extrapolated_strike, available_at
    from options.surface_grid where underlying = $underlying and snapshot_at = $at
    order by venue, tenor_days, delta_bucket desc
"""
TERM = """
    select venue, tenor_kind, tenor_days, atm_iv, forward_iv, rr25, bf25, available_at
    from options.skew where underlying = $underlying and snapshot_at = $at
    order by venue, tenor_days
"""
INDEX = """
    select venue, method, index_iv, published_iv, available_at from options.vol_index
    where underlying = $underlying and snapshot_at = $at order by venue, method
"""
SKEW = """
    select venue, tenor_days, snapshot_at, atm_iv, rr25, bf25, available_at from options.skew
    where underlying = $underlying and snapshot_at <= $at and tenor_kind = 'constant'
    order by venue, tenor_days, snapshot_at
"""


def surface(house: Warehouse, moment: Moment) -> go.Figure:
    """Volatility at constant tenors and deltas, as a heat map and in three dimensions.

    A page per venue. Blank cells are beyond the fitted expiries; crosses are beyond the strikes
    that the expiries around were fitted to.
    """
    grid = read(house, GRID, moment, "options.surface_grid")
    figure = make_subplots(
        rows=1,
        cols=2,
        specs=[[{"type": "xy"}, {"type": "scene"}]],
        column_widths=[0.5, 0.5],
        subplot_titles=("Heat map", "In three dimensions"),
    )
    figure.update_xaxes(title_text="Forward call delta (puts to the left)", type="category")
    figure.update_yaxes(title_text="Tenor, days", type="category")
    figure.update_scenes(
        xaxis={"title": {"text": "Forward call delta"}, "autorange": "reversed"},
        yaxis={"title": {"text": "Tenor, days"}, "type": "log", "tickvals": TICK_DAYS[2::2]},
        zaxis={"title": {"text": "IV, % a year"}},
        aspectmode="cube",
        camera={"eye": FROM_AFAR, "center": {"x": 0, "y": 0, "z": -0.15}},
    )
    pages = _by_venue(grid, _surface_page)
    return compose(figure, "volatility surface", moment, known(grid), pages)


def term(house: Warehouse, moment: Moment) -> go.Figure:
    """At-the-money and forward volatility, risk reversal and butterfly by time to expiry."""
    shape = read(house, TERM, moment, "options.skew")
    index = house.sql(INDEX, moment.asked())
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.05
    )
    figure.update_yaxes(title_text=VOLATILITY, row=1)
    figure.update_yaxes(title_text=f"25-delta, {POINTS}", row=2)
    figure.update_xaxes(type="log", tickvals=TICK_DAYS)
    figure.update_xaxes(title_text="Time to expiry, days", row=2)
    traces: list[Placed] = []
    for (venue,), own in shape.group_by("venue", maintain_order=True):
        traces += _term_traces(str(venue), own)
    traces += [(dot, 1, 1) for row in index.iter_rows(named=True) for dot in _index_dots(row)]
    page = Page("by time to expiry", tuple(traces))
    known_at = max(known(frame) for frame in (shape, index) if not frame.is_empty())
    return compose(figure, f"term structure, {venues(shape)}", moment, known_at, [page])


def skew(house: Warehouse, moment: Moment) -> go.Figure:
    """The shape of the smile at constant tenors in all snapshots up to this one, by venue."""
    history = read(house, SKEW, moment, "options.skew")
    figure = make_subplots(rows=3, cols=1, shared_xaxes=True, vertical_spacing=0.04)
    figure.update_yaxes(title_text="At the money, % a year", row=1)
    figure.update_yaxes(title_text=f"Risk reversal, {POINTS}", row=2)
    figure.update_yaxes(title_text=f"Butterfly, {POINTS}", row=3)
    figure.update_xaxes(title_text="Snapshot, UTC", row=3)
    pages = _by_venue(history, _skew_page)
    return compose(figure, "skew, 25 delta", moment, known(history), pages)


def _by_venue(frame: pl.DataFrame, page: Callable[[str, pl.DataFrame], Page]) -> list[Page]:
    return [page(str(venue), own) for (venue,), own in frame.group_by("venue", maintain_order=True)]


def _surface_page(venue: str, grid: pl.DataFrame) -> Page:
    deltas = grid["delta_bucket"].unique().sort(descending=True).to_list()
    tenors = grid["tenor_days"].unique().sort().to_list()
    rows = [grid.filter(pl.col("tenor_days") == tenor) for tenor in tenors]
    vols = [percent(row, "iv") for row in rows]
    marks = [["×" if beyond else "" for beyond in row["is_extrapolated_strike"]] for row in rows]
    title = {"text": "IV, % a year"}
    flat = go.Heatmap(
        x=[f"{delta:.2f}" for delta in deltas],
        y=[f"{tenor:g}" for tenor in tenors],
        z=vols,
        text=marks,
        texttemplate="%{text}",
        hovertemplate="delta %{x}, %{y} days<br>%{z:.2f} %<extra></extra>",
        hoverongaps=False,
        colorscale="Cividis",
        colorbar={"title": title, "x": 0.46, "thickness": 12},
    )
    raised = go.Surface(
        x=deltas,
        y=tenors,
        z=vols,
        colorscale="Cividis",
        showscale=False,
        connectgaps=False,
        hovertemplate="delta %{x:.2f}, %{y:g} days<br>%{z:.2f} %<extra></extra>",
    )
    note = "Blank: beyond the fitted expiries. ×: beyond the strikes fitted to."
    return Page(venue, ((flat, 1, 1), (raised, 1, 2)), (note,))


def _term_traces(venue: str, shape: pl.DataFrame) -> list[Placed]:
    colour = VENUE_COLOURS.get(venue, GREY)
    listed = shape.filter(pl.col("tenor_kind") == "listed")
    constant = shape.filter(pl.col("tenor_kind") == "constant")
    days, tenors = listed["tenor_days"].to_list(), constant["tenor_days"].to_list()
    steps = {"dash": "dot", "shape": "vh", "width": 1}  # each holds back to the expiry before
    ring = {"symbol": "circle-open", "size": 9}
    reversal, butterfly = percent(listed, "rr25"), percent(listed, "bf25")
    return [
        (line(days, percent(listed, "atm_iv"), f"{venue} at the money, listed", colour), 1, 1),
        (
            line(
                tenors,
                percent(constant, "atm_iv"),
                f"{venue} at the money, constant tenors",
                colour,
                mode="markers",
                marker=ring,
            ),
            1,
            1,
        ),
        (
            line(
                days,
                percent(listed, "forward_iv"),
                f"{venue} forward vol from the expiry before",
                colour,
                mode="lines",
                line=steps,
            ),
            1,
            1,
        ),
        (line(days, reversal, f"{venue} risk reversal", colour), 2, 1),
        (line(days, butterfly, f"{venue} butterfly", colour, line={"dash": "dash"}), 2, 1),
    ]


def _index_dots(row: dict[str, Any]) -> list[go.Scatter]:
    """Our 30-day index, and once per venue its own."""
    colour = VENUE_COLOURS.get(row["venue"], GREY)
    symbol = "diamond" if row["method"] == "strip" else "diamond-open"
    ours = (f"{row['venue']} 30-day index, {row['method']}", row["index_iv"], symbol)
    theirs = (f"{row['venue']} 30-day index, its own", row["published_iv"], "x")
    shown = (ours, theirs) if row["method"] == "strip" else (ours,)
    return [
        go.Scatter(
            x=[30.0],
            y=[None if iv is None else 100 * iv],
            name=name,
            mode="markers",
            marker={"color": colour, "symbol": symbol, "size": 10},
        )
        for name, iv, symbol in shown
    ]


def _skew_page(venue: str, history: pl.DataFrame) -> Page:
    traces: list[Placed] = []
    for tenor, colour in zip(SKEW_TENORS, CYCLE, strict=True):
        own = history.filter(pl.col("tenor_days") == tenor)
        for row, column in enumerate(("atm_iv", "rr25", "bf25"), start=1):
            at, name = own["snapshot_at"].to_list(), f"{tenor:g} days"
            drawn = line(at, percent(own, column), name, colour)
            traces.append((drawn.update(legendgroup=name, showlegend=row == 1), row, 1))
    return Page(venue, tuple(traces))
