"""What would an order cost, by its size, and how deep are the books over the day?"""

from typing import Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from hedgehouse import Warehouse
from hedgehouse.canvas import CYCLE, GREY, Moment, Page, Placed, compose, known, line, read

STALE_MINUTES = 10
SHOWN_USD = 1_000_000.0  # whose cost is drawn over the day
KINDS = {"perp": "perpetuals", "spot": "spot", "future": "dated futures", "option": "options"}
WIDTHS = (10, 5)  # bps; the widest that any book reaches is drawn

LADDER = f"""
    select kind, instrument_id, side, notional_usd, slippage_bps, levels_used, reach_bps,
        snapshot_at, available_at
    from flow.slippage_ladder
    where underlying = $underlying and snapshot_at <= $at
        and snapshot_at > $at - interval '{STALE_MINUTES} minutes'
    qualify snapshot_at = max(snapshot_at) over (partition by instrument_id)
    order by kind, instrument_id, side, notional_usd
"""
SPLIT = """
    select kind, side, notional_usd, slippage_bps, fee_bps, cost_bps, best_single_cost_bps
    from flow.consolidated_ladder
    where underlying = $underlying and snapshot_at = (
        select max(snapshot_at) from flow.consolidated_ladder
        where underlying = $underlying and snapshot_at <= $at
    )
    order by kind, side, notional_usd
"""
DAY = f"""
    select kind, instrument_id, date_trunc('minute', snapshot_at) as minute_at,
        median(slippage_bps) as slippage_bps
    from flow.slippage_ladder
    where underlying = $underlying and snapshot_at <= $at
        and snapshot_at > $at - interval '1 day' and notional_usd = {SHOWN_USD}
    group by all order by kind, instrument_id, minute_at
"""
DEPTH = """
    select instrument_id, minute_at,
        least(depth_bid_10bps_usd, depth_ask_10bps_usd) as depth_10,
        least(depth_bid_5bps_usd, depth_ask_5bps_usd) as depth_5
    from flow.spreads_1m
    where underlying = $underlying and minute_at < $at and minute_at >= $at - interval '1 day'
        and depth_bid_5bps_usd + depth_ask_5bps_usd is not null
    order by instrument_id, minute_at
"""


def liquidity(house: Warehouse, moment: Moment) -> go.Figure:
    """Slippage by size and side, above its course and the depth of the books over a day.

    A page per kind of instrument. Each instrument's last book of the 10 minutes before counts; the
    split over venues is drawn without fees, like the books themselves. Sizes that a book cannot
    fill have no point.
    """
    ladder = read(house, LADDER, moment, "flow.slippage_ladder")
    split, day, depth = (house.sql(query, moment.asked()) for query in (SPLIT, DAY, DEPTH))
    figure = make_subplots(
        rows=2,
        cols=2,
        vertical_spacing=0.13,
        horizontal_spacing=0.09,
        subplot_titles=("Buying", "Selling", "", ""),
    )
    figure.update_xaxes(title_text="Size of the order, USD", type="log", row=1)
    figure.update_yaxes(title_text="Slippage against the middle, bps", row=1)
    figure.update_xaxes(title_text="Time, UTC", type="date", row=2)
    figure.update_yaxes(title_text="Slippage of 1 million USD, bps", row=2, col=1)
    figure.update_yaxes(title_text="Depth of the thinner side, USD", row=2, col=2)
    own = {kind: rows for (kind,), rows in ladder.group_by("kind", maintain_order=True)}
    order = [*(kind for kind in KINDS if kind in own), *(kind for kind in own if kind not in KINDS)]
    pages = [_page(str(kind), own[kind], split, day, depth) for kind in order]
    return compose(figure, "liquidity", moment, known(ladder), pages)


def _page(
    kind: str, ladder: pl.DataFrame, split: pl.DataFrame, day: pl.DataFrame, depth: pl.DataFrame
) -> Page:
    names = ladder["instrument_id"].unique(maintain_order=True).to_list()
    colours = {name: CYCLE[n % len(CYCLE)] for n, name in enumerate(names)}
    traces: list[Placed] = []
    for column, side in enumerate(("buy", "sell"), start=1):
        for name, colour in colours.items():
            own = ladder.filter(pl.col("instrument_id") == name, pl.col("side") == side)
            traces.append((_ladder(own, name, colour, column == 1), 1, column))
        own = split.filter(pl.col("kind") == kind, pl.col("side") == side)
        if own.height and len(names) > 1:
            traces.append((_split(own, column == 1), 1, column))
    width = _width(depth, names)
    for name, colour in colours.items():
        traces.append((_course(day, name, colour, "slippage_bps"), 2, 1))
        if width is not None:
            traces.append((_course(depth, name, colour, f"depth_{width}"), 2, 2))
    notes = [
        "Half the spread is in it, fees are not. A size without a point is more than was recorded.",
        f"Depth within {width} bps of the middle."
        if width
        else "Depth: the recorded levels of these books end before 5 bps.",
    ]
    return Page(KINDS.get(kind, kind), tuple(traces), tuple(notes))


def _ladder(own: pl.DataFrame, name: str, colour: str, is_named: bool) -> go.Scatter:
    about = own.select("levels_used", "reach_bps", "snapshot_at").rows()
    return line(
        own["notional_usd"].to_list(),
        own["slippage_bps"].to_list(),
        name,
        colour,
        legendgroup=name,
        showlegend=is_named,
        customdata=about,
        hovertemplate=(
            "%{y:.3f} bps for %{x:,.0f} USD, %{customdata[0]} levels of a book of "
            "%{customdata[2]} that reaches %{customdata[1]:.1f} bps"
        ),
    )


def _split(own: pl.DataFrame, is_named: bool) -> go.Scatter:
    about = own.select("fee_bps", "cost_bps", "best_single_cost_bps").rows()
    return line(
        own["notional_usd"].to_list(),
        own["slippage_bps"].to_list(),
        "split over all of them",
        GREY,
        legendgroup="split",
        showlegend=is_named,
        line={"dash": "dash"},
        customdata=about,
        hovertemplate=(
            "%{y:.3f} bps and fees of %{customdata[0]:.3f}: %{customdata[1]:.3f} bps, "
            "alone at best %{customdata[2]:.3f}"
        ),
    )


def _course(frame: pl.DataFrame, name: str, colour: str, column: str) -> go.Scatter:
    own = frame.filter(pl.col("instrument_id") == name)
    more: dict[str, Any] = {"legendgroup": name, "showlegend": False, "marker": {"size": 4}}
    return line(own["minute_at"].to_list(), own[column].to_list(), name, colour, **more)


def _width(depth: pl.DataFrame, names: list[str]) -> int | None:
    own = depth.filter(pl.col("instrument_id").is_in(names))
    return next((w for w in WIDTHS if own[f"depth_{w}"].is_not_null().any()), None)
