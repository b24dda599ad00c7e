"""What do dated futures pay by their tenor, and what is left of a carry after its costs?"""

from typing import Any

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from hedgehouse import Warehouse
from hedgehouse.canvas import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    VERMILION,
    Moment,
    NothingToPlot,
    Page,
    Placed,
    compose,
    known,
    line,
    percent,
    read,
    utc,
)

YEARLY = "% a year, continuously compounded"
STALE_HOURS = 1
BLACK = "#000000"
CAPACITY = "Capacity, thousand USD"
PREFERENCE = ("mid", "mark", "last")
COURSE_TENORS = {30: PURPLE, 90: ORANGE, 180: BLACK}
# What is taken from gross, in the order of the stack.
COSTS = {
    "fees_apr": ("fees", VERMILION),
    "slippage_apr": ("slippage", ORANGE),
    "borrow_apr": ("spot leg", PURPLE),
    "margin_drag_apr": ("deposits", GREY),
}

CURVE = f"""
    select venue, quote, price_kind, tenor_days, snapshot_at, rate, fit_rate, fit_rmse_bps,
        implied_spot_gap_bps, contracts_listed, spot_source, available_at
    from carry.basis_curve
    where underlying = $underlying and snapshot_at <= $at
        and snapshot_at >= $at - interval '{STALE_HOURS} hours'
    qualify snapshot_at = max(snapshot_at) over (partition by venue, quote, price_kind)
    order by venue, quote, price_kind, tenor_days
"""
CONTRACTS = f"""
    select venue, quote, price_kind, instrument_id, snapshot_at, tenor_days, basis_log,
        list_contains(quality_flags, 'asynchronous') as is_left_out
    from carry.basis
    where underlying = $underlying and kind = 'future' and basis_log is not null
        and snapshot_at <= $at and snapshot_at >= $at - interval '{STALE_HOURS} hours'
    order by venue, quote, price_kind, snapshot_at, tenor_days
"""
COURSE = """
    select venue, quote, price_kind, tenor_days, snapshot_at, rate
    from carry.basis_curve
    where underlying = $underlying and snapshot_at <= $at and snapshot_at > $at - interval '1 day'
    order by venue, quote, price_kind, tenor_days, snapshot_at
"""
NET = f"""
    select strategy, horizon_days, short_instrument_id, long_instrument_id, snapshot_at, gross_apr,
        fees_apr, slippage_apr, borrow_apr, margin_drag_apr, net_apr, breakeven_days,
        capacity_usd / 1e3 as capacity_thousand_usd, quality_grade, available_at
    from carry.net
    where underlying = $underlying and snapshot_at <= $at
        and snapshot_at >= $at - interval '{STALE_HOURS} hours'
    qualify snapshot_at
        = max(snapshot_at) over (partition by short_instrument_id, long_instrument_id)
    order by horizon_days, net_apr desc nulls last, short_instrument_id, long_instrument_id
"""


def basis(house: Warehouse, moment: Moment) -> go.Figure:
    """The curve at constant tenors with the contracts it is read from, and its day.

    A page per venue and quote currency, the one of most contracts first, by the best kind of price
    there is. Beyond the listed contracts the curve has no point.
    """
    curve = read(house, CURVE, moment, "carry.basis_curve")
    contracts, course = (house.sql(query, moment.asked()) for query in (CONTRACTS, COURSE))
    figure = make_subplots(rows=2, cols=1, row_heights=[0.6, 0.4], vertical_spacing=0.12)
    figure.update_xaxes(title_text="Time to expiry, days", row=1)
    figure.update_xaxes(title_text="Snapshot, UTC", row=2)
    figure.update_yaxes(title_text=f"Basis, {YEARLY}", row=1)
    figure.update_yaxes(title_text="Constant tenors, % a year", row=2)
    pages, listed = [], []
    for keys, own in curve.group_by("venue", "quote", maintain_order=True):
        kind = next(k for k in PREFERENCE if k in own["price_kind"])
        of_page = pl.all_horizontal(
            pl.col("venue") == keys[0], pl.col("quote") == keys[1], pl.col("price_kind") == kind
        )
        page = [frame.filter(of_page) for frame in (own, contracts, course)]
        pages.append(_curve_page(*page))
        listed.append(page[0]["contracts_listed"][0])
    fullest = listed.index(max(listed))
    return compose(figure, "basis curve", moment, known(curve), pages, fullest)


def _curve_page(curve: pl.DataFrame, contracts: pl.DataFrame, course: pl.DataFrame) -> Page:
    venue, quote, kind = curve.select("venue", "quote", "price_kind").row(0)
    at = curve["snapshot_at"][0]
    listed = contracts.filter(pl.col("snapshot_at") == at)
    ring = {"symbol": "circle-open", "size": 11}
    between = curve.filter(pl.col("rate").is_not_null())
    traces: list[Placed] = [
        (_contracts(listed, is_left_out=False), 1, 1),
        (
            line(
                between["tenor_days"].to_list(),
                percent(between, "rate"),
                "constant tenors",
                VERMILION,
                mode="markers",
                marker=ring,
                hovertemplate="%{x} days, %{y:.3f} % a year",
            ),
            1,
            1,
        ),
    ]
    if listed["is_left_out"].any():
        traces.append((_contracts(listed, is_left_out=True), 1, 1))
    fitted = curve.filter(pl.col("fit_rate").is_not_null())
    if fitted.height:
        smooth = line(
            fitted["tenor_days"].to_list(),
            percent(fitted, "fit_rate"),
            "smooth fit",
            GREEN,
            mode="lines",
            line={"dash": "dash"},
        )
        traces.append((smooth, 1, 1))
    for tenor, colour in COURSE_TENORS.items():
        own = course.filter(pl.col("tenor_days") == tenor)
        if own["rate"].is_not_null().any():
            drawn = line(
                own["snapshot_at"].to_list(), percent(own, "rate"), f"at {tenor} days", colour
            )
            traces.append((drawn, 2, 1))
    source, error, gap = curve.select("spot_source", "fit_rmse_bps", "implied_spot_gap_bps").row(0)
    notes = [f"Prices: {kind} of {utc(at)}, spot from {source}; within a day of expiry no rate."]
    if error is not None:
        level = "" if gap is None else f"; the contracts' own spot is {gap:+.2f} bps off"
        notes.append(f"Contracts lie {error:.2f} bps of price about the smooth fit{level}.")
    return Page(f"{venue}, in {quote}", tuple(traces), tuple(notes))


def _contracts(listed: pl.DataFrame, *, is_left_out: bool) -> go.Scatter:
    own = listed.filter(pl.col("is_left_out") == is_left_out)
    return go.Scatter(
        x=own["tenor_days"].to_list(),
        y=percent(own, "basis_log"),
        text=own["instrument_id"].to_list(),
        name="listed, left out: not of one moment" if is_left_out else "listed contracts",
        mode="markers",
        marker={"color": GREY if is_left_out else BLUE, "symbol": "x" if is_left_out else "circle"},
        hovertemplate="%{text}<br>%{x:.1f} days, %{y:.3f} % a year<extra></extra>",
    )


def carry(house: Warehouse, moment: Moment) -> go.Figure:
    """What each position would earn on capital, what its costs take, and how much of it fits.

    A page per horizon, best first. Positions whose gross is not known are counted, not drawn.
    """
    net = read(house, NET, moment, "carry.net")
    if net["net_apr"].is_null().all():
        raise NothingToPlot(f"carry.net: no net carry of {moment.underlying} by {utc(moment.at)}")
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.7, 0.3], vertical_spacing=0.06
    )
    figure.update_layout(barmode="stack")
    figure.update_yaxes(title_text="On capital, % a year", row=1)
    figure.update_yaxes(title_text=CAPACITY, rangemode="tozero", row=2)
    figure.update_xaxes(type="category")
    figure.update_xaxes(title_text="Position: short leg / long leg", row=2)
    pages = [
        _net_page(int(str(days)), own)
        for (days,), own in net.group_by("horizon_days", maintain_order=True)
        if own["net_apr"].is_not_null().any()
    ]
    return compose(figure, "net carry", moment, known(net), pages, len(pages) - 1)


def _net_page(horizon_days: int, own: pl.DataFrame) -> Page:
    shown = own.filter(pl.col("net_apr").is_not_null())
    places = [str(n) for n in range(1, shown.height + 1)]
    traces: list[Placed] = [
        (
            go.Bar(
                x=places,
                y=percent(shown, column),
                name=name,
                marker={"color": colour},
                hovertemplate="position %{x}: %{y:.3f} % a year",
            ),
            1,
            1,
        )
        for column, (name, colour) in COSTS.items()
    ]
    gross = line(places, percent(shown, "gross_apr"), "gross", BLUE, mode="markers")
    told = "position %{x}: %{y:.3f} % a year"
    traces.append((gross.update(marker={"size": 11}, hovertemplate=told), 1, 1))
    rows = zip(places, shown.iter_rows(named=True), strict=True)
    traces += [(_left(place, row), 1, 1) for place, row in rows]
    room = go.Bar(
        x=places,
        y=shown["capacity_thousand_usd"].to_list(),
        name="capacity",
        text=["" if v is None else f"{v:,.0f}" for v in shown["capacity_thousand_usd"]],
        textposition="outside",
        cliponaxis=False,
        marker={"color": GREEN},
        showlegend=False,
        hovertemplate="position %{x}: %{y:,.1f} thousand USD<extra></extra>",
    )
    rooms = zip(places, shown["capacity_thousand_usd"], strict=True)
    unknown = [place for place, capacity in rooms if capacity is None]
    without = own.height - shown.height
    notes = [
        f"Bars are costs: fees and slippage in and out are spread over {horizon_days} days, the "
        "spot leg and the deposits cost what dollars earn elsewhere. Net is gross less costs.",
    ]
    if without:
        notes.append(
            f"{without} of {own.height} positions have no known gross: no funding known, or a "
            "future that expires before."
        )
    if unknown:
        notes.append(f"Without books, capacity is not known: {', '.join(unknown)}.")
    return Page(f"{horizon_days} days", (*traces, (room, 2, 1)), tuple(notes))


def _left(place: str, row: dict[str, Any]) -> go.Scatter:
    """The net of one position, whose legs stand in the legend."""
    short, long = (_leg(row[name]) for name in ("short_instrument_id", "long_instrument_id"))
    days = row["breakeven_days"]
    pays = "never breaks even" if days is None else f"breaks even in {days:,.0f} days"
    about = [row["strategy"], pays, row["quality_grade"], utc(row["snapshot_at"])]
    return go.Scatter(
        x=[place],
        y=[100 * row["net_apr"]],
        name=f"net {place}: {short} / {long}",
        mode="markers",
        marker={"color": BLACK, "symbol": "diamond", "size": 9},
        customdata=[about],
        hovertemplate=(
            "%{customdata[0]}: net %{y:.2f} % a year<br>%{customdata[1]}"
            "<br>grade %{customdata[2]}, of %{customdata[3]}<extra></extra>"
        ),
    )


def _leg(instrument: str) -> str:
    """binance USDT:USDT-260626: the coin stands in the title."""
    venue, symbol = instrument.split(":", 1)
    return f"{venue} {symbol.split('/', 1)[-1]}"
