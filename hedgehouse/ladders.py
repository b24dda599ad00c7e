"""What would an order cost, by its size, and how deep were the books over the day?"""

from typing import Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from hedgehouse import Warehouse
from hedgehouse.canvas import CYCLE, GREY, Moment, Page, Placed, compose, known, line, read, utc

STALE_MINUTES = 10
SHOWN_USD = 1_000_000.0  # whose cost is drawn over the day
KINDS = {"perp": "perpetuals", "spot": "spot", "future": "dated futures", "option": "options"}
SIZES = (10, 50, 250, 1_000, 5_000)  # thousand USD, written on the axes
WIDTHS = (10, 5)  # bps; the widest that any book reaches is drawn
BLACK = "#000000"
COSTS = "%{x:,.0f} thousand USD: %{y:.3f} bps"

LADDER = f"""
    select kind, instrument_id, side, notional_usd, slippage_bps, levels_used, reach_bps,
        snapshot_at, available_at
    from flow.slippage_ladder
    where underlying = $underlying and snapshot_at <= $at
        and snapshot_at > $at - interval '{STALE_MINUTES} minutes'
    qualify snapshot_at = max(snapshot_at) over (partition by instrument_id)
    order by kind, instrument_id, side, notional_usd
"""
SPLIT = f"""
    select kind, side, notional_usd, fee_bps, cost_bps, best_single_cost_bps
    from flow.consolidated_ladder
    where underlying = $underlying and snapshot_at <= $at
        and snapshot_at > $at - interval '{STALE_MINUTES} minutes'
    qualify snapshot_at = max(snapshot_at) over (partition by kind)
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
        least(depth_bid_10bps_usd, depth_ask_10bps_usd) / 1e6 as depth_10,
        least(depth_bid_5bps_usd, depth_ask_5bps_usd) / 1e6 as depth_5
    from flow.spreads_1m
    where underlying = $underlying and minute_at < $at and minute_at >= $at - interval '1 day'
        and depth_bid_5bps_usd + depth_ask_5bps_usd is not null
    order by instrument_id, minute_at
"""


def liquidity(house: Warehouse, moment: Moment) -> go.Figure:
    """Slippage by size and side; the cheapest split beside the best venue alone, after fees; depth.

    A page per kind of instrument. Each instrument's last book of the 10 minutes before counts.
    Sizes that a book cannot fill have no point. Where no book reaches 5 bps, what 1 million USD
    would have paid over the day takes the place of the depth.
    """
    ladder = read(house, LADDER, moment, "flow.slippage_ladder")
    split, day, depth = (house.sql(query, moment.asked()) for query in (SPLIT, DAY, DEPTH))
    figure = make_subplots(rows=2, cols=2, vertical_spacing=0.13, horizontal_spacing=0.1)
    figure.update_xaxes(title_text="Size, thousand USD", type="log", tickvals=SIZES)
    figure.update_xaxes(title_text="Time, UTC", type="date", tickvals=None, row=2, col=2)
    figure.update_layout(yaxis2_matches="y")
    figure.update_yaxes(title_text="Slippage of buying, bps", row=1, col=1)
    figure.update_yaxes(title_text="Slippage of selling, bps", row=1, col=2)
    figure.update_yaxes(title_text="Cost with fees, bps", row=2, col=1)
    own = {kind: rows for (kind,), rows in ladder.group_by("kind", maintain_order=True)}
    order = [*(kind for kind in KINDS if kind in own), *(kind for kind in own if kind not in KINDS)]
    pages = [_page(str(kind), own[kind], split, day, depth) for kind in order]
    return compose(figure, "liquidity", moment, known(ladder), pages)


def _page(
    kind: str, ladder: pl.DataFrame, split: pl.DataFrame, day: pl.DataFrame, depth: pl.DataFrame
) -> Page:
    names = ladder["instrument_id"].unique(maintain_order=True).to_list()
    colours = {name: CYCLE[n % len(CYCLE)] for n, name in enumerate(names)}
    width = _width(depth, names)
    course, column, title = (
        (day, "slippage_bps", "Slippage of 1 million USD, bps")
        if width is None
        else (depth, f"depth_{width}", f"Depth within {width} bps, million USD")
    )
    traces: list[Placed] = []
    for name, colour in colours.items():
        for place, side in enumerate(("buy", "sell"), start=1):
            own = ladder.filter(pl.col("instrument_id") == name, pl.col("side") == side)
            traces.append((_ladder(own, name, colour, place == 1), 1, place))
        traces.append((_course(course, name, colour, column), 2, 2))
    traces += [(drawn, 2, 1) for drawn in _splits(split.filter(pl.col("kind") == kind))]
    notes = (
        "Slippage is against each book's own middle, without fees; a size without a point is more "
        "than was recorded.",
        "Cost with fees is against the mean of the middles, in whole lots: split over all of them, "
        "and on the one that alone is cheapest. Depth is that of a book's thinner side.",
    )
    return Page(KINDS.get(kind, kind), tuple(traces), notes, {"yaxis4.title.text": title})


def _ladder(own: pl.DataFrame, name: str, colour: str, is_named: bool) -> go.Scatter:
    about = [
        (row["levels_used"], row["reach_bps"], utc(row["snapshot_at"]))
        for row in own.iter_rows(named=True)
    ]
    return line(
        (own["notional_usd"] / 1_000).to_list(),
        own["slippage_bps"].to_list(),
        name,
        colour,
        legendgroup=name,
        showlegend=is_named,
        customdata=about,
        hovertemplate=(
            f"{COSTS}<br>%{{customdata[0]}} levels of a book of %{{customdata[2]}} that reaches "
            "%{customdata[1]:.1f} bps"
        ),
    )


def _splits(split: pl.DataFrame) -> list[go.Scatter]:
    drawn = []
    for side, dash in (("buy", "solid"), ("sell", "dash")):
        own = split.filter(pl.col("side") == side)
        named = (
            ("cost_bps", f"{side}, split over venues", BLACK),
            ("best_single_cost_bps", f"{side}, best venue alone", GREY),
        )
        drawn += [
            line(
                (own["notional_usd"] / 1_000).to_list(),
                own[column].to_list(),
                name,
                colour,
                line={"dash": dash},
                customdata=own.select("fee_bps").rows(),
                hovertemplate=f"{COSTS}<br>the split pays fees of %{{customdata[0]:.3f}} bps",
            )
            for column, name, colour in named
            if own.height
        ]
    return drawn


def _course(frame: pl.DataFrame, name: str, colour: str, column: str) -> go.Scatter:
    own = frame.filter(pl.col("instrument_id") == name)
    more: dict[str, Any] = {"legendgroup": name, "showlegend": False, "marker": {"size": 4}}
    return line(own["minute_at"].to_list(), own[column].to_list(), name, colour, **more)


def _width(depth: pl.DataFrame, names: list[str]) -> int | None:
    own = depth.filter(pl.col("instrument_id").is_in(names))
    return next((w for w in WIDTHS if own[f"depth_{w}"].is_not_null().any()), None)
