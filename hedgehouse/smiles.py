"""What does each expiry's smile look like beside its quotes, and can its fit be trusted?"""

from typing import Any

import numpy as np
import plotly.graph_objects as go
import polars as pl
from numpy.typing import NDArray
from plotly.subplots import make_subplots

from hedgehouse import Warehouse
from hedgehouse.canvas import (
    GREY,
    VENUE_COLOURS,
    Moment,
    Page,
    Placed,
    compose,
    known,
    percent,
    utc,
    venues,
)
from warehouse.functions import svi

Floats = NDArray[np.float64]

PARAMETERS = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")
CURVE_POINTS = 200
MARGIN_SHARE = 0.25
SHOWN_FIRST_YEARS = 30 / 365
SMILE, RESIDUAL, INTEREST = 1, 2, 3  # rows of panels

QUOTES = """
    select venue, expires_at, strike, option_type, log_moneyness, iv_bid, iv_mid, iv_ask,
        use_in_fit, exclude_reason, open_interest_base, available_at
    from options.quotes where underlying = $underlying and snapshot_at = $at
    order by venue, expires_at, strike, option_type
"""
SLICES = """
    select venue, expires_at, fit_kind, t_years, forward, svi_a, svi_b, svi_rho, svi_m, svi_sigma,
        quotes_used, lowest_log_moneyness, highest_log_moneyness, rmse_iv, inside_spread_share,
        butterfly_min_g, calendar_min_dw, is_arbitrage_free, fit_status, repair_status,
        repair_max_change_iv
    from options.surface_slices where underlying = $underlying and snapshot_at = $at
    order by expires_at, venue, fit_kind
"""


def smile(house: Warehouse, moment: Moment) -> go.Figure:
    """Quotes with their bid and ask by venue, both fits, residuals and open interest.

    A page per expiry, that nearest to 30 days first. Fits are drawn between the lowest and the
    highest strike fitted to; residuals are of the repaired fit, else of the raw one.
    """
    quotes, slices = house.sql(QUOTES, moment.asked()), house.sql(SLICES, moment.asked())
    expiries = slices.group_by("expires_at").agg(pl.col("t_years").first()).sort("expires_at")
    pages = [
        _page(
            quotes.filter(pl.col("expires_at") == expiry),
            slices.filter(pl.col("expires_at") == expiry),
        )
        for expiry in expiries["expires_at"]
    ]
    first = (expiries["t_years"] - SHOWN_FIRST_YEARS).abs().arg_min() or 0
    title = f"volatility smile, {venues(slices)}"
    figure = compose(_panels(moment), title, moment, known(quotes), pages, first)
    return figure.update_layout(barmode="stack")


def _panels(moment: Moment) -> go.Figure:
    figure = make_subplots(
        rows=3, cols=1, shared_xaxes=True, row_heights=[0.54, 0.23, 0.23], vertical_spacing=0.04
    )
    figure.update_yaxes(title_text="Implied volatility, % a year", row=SMILE)
    figure.update_yaxes(title_text="Quote - fit, vol points", row=RESIDUAL)
    figure.update_yaxes(title_text=f"Open interest, {moment.underlying}", row=INTEREST)
    figure.update_xaxes(title_text=f"Strike, USD per {moment.underlying}", row=INTEREST)
    return figure


def _page(quotes: pl.DataFrame, slices: pl.DataFrame) -> Page:
    traces: list[Placed] = []
    notes: list[str] = []
    for (venue,), fits in slices.group_by("venue", maintain_order=True):
        own = quotes.filter(pl.col("venue") == venue)
        fitted = fits.filter(pl.col("svi_a").is_not_null())
        traces += _dots(str(venue), own)
        traces += [(_curve(fit), SMILE, 1) for fit in fitted.iter_rows(named=True)]
        if not fitted.is_empty():
            judge = fitted.sort("fit_kind").row(-1, named=True)
            traces.append((_residuals(str(venue), own, judge), RESIDUAL, 1))
        traces += _interest(str(venue), own)
        notes += [_badge(fit) for fit in fits.iter_rows(named=True)]
    level = slices["forward"].drop_nulls()
    if not level.is_empty():
        traces.append((_forward(level[0], quotes), SMILE, 1))
    return Page(
        f"expiry {utc(slices['expires_at'][0])}", tuple(traces), tuple(notes), _view(quotes)
    )


def _view(quotes: pl.DataFrame) -> dict[str, Any]:
    """Around the quotes fitted to: those left out may lie far off; a double click shows all."""
    used = quotes.filter("use_in_fit").drop_nulls(["iv_bid", "iv_ask"])
    if used.is_empty():
        return {"xaxis3.autorange": True, "yaxis.autorange": True}
    strikes = used["strike"].to_list()
    low, high = (100 * used["iv_bid"]).to_list(), (100 * used["iv_ask"]).to_list()
    return {
        "xaxis3.range": _around(min(strikes), max(strikes)),
        "yaxis.range": _around(min(low), max(high)),
    }


def _around(low: float, high: float) -> list[float]:
    margin = MARGIN_SHARE * (high - low) or MARGIN_SHARE * high
    return [low - margin, high + margin]


def _dots(venue: str, quotes: pl.DataFrame) -> list[Placed]:
    """Quotes fitted to are filled; others that have a vol are hollow and tell why."""
    seen = quotes.filter(pl.col("iv_mid").is_not_null())
    kinds = (("quotes fitted to", True, "circle"), ("quotes left out", False, "circle-open"))
    return [
        (_dotted(venue, what, seen.filter(pl.col("use_in_fit") == used), symbol), SMILE, 1)
        for what, used, symbol in kinds
    ]


def _dotted(venue: str, what: str, quotes: pl.DataFrame, symbol: str) -> go.Scatter:
    colour = VENUE_COLOURS.get(venue, GREY)
    left_out = symbol != "circle"
    return go.Scatter(
        x=quotes["strike"].to_list(),
        y=percent(quotes, "iv_mid"),
        error_y=_bars(quotes, colour),
        name=f"{venue} {what}",
        mode="markers",
        marker={"color": colour, "symbol": symbol, "size": 7},
        opacity=0.45 if left_out else 1,
        customdata=quotes.select("option_type", "exclude_reason").rows(),
        text=[_sides(row) for row in quotes.iter_rows(named=True)],
        hovertemplate="%{x:,.0f} USD %{customdata[0]}<br>%{y:.2f} %, %{text}"
        + ("<br>left out: %{customdata[1]}" if left_out else ""),
    )


def _sides(quote: dict[str, Any]) -> str:
    sides = (("bid", quote["iv_bid"]), ("ask", quote["iv_ask"]))
    return ", ".join(
        f"{side} without a vol" if vol is None else f"{side} {100 * vol:.2f}" for side, vol in sides
    )


def _bars(quotes: pl.DataFrame, colour: str) -> dict[str, Any]:
    """From the vol of the bid to that of the ask; no bar where a side has none."""
    up = ((quotes["iv_ask"] - quotes["iv_mid"]) * 100).to_list()
    down = ((quotes["iv_mid"] - quotes["iv_bid"]) * 100).to_list()
    look = {"color": colour, "thickness": 1, "width": 2}
    return {"type": "data", "symmetric": False, "array": up, "arrayminus": down, **look}


def _curve(fit: dict[str, Any]) -> go.Scatter:
    low, high = fit["lowest_log_moneyness"], fit["highest_log_moneyness"]
    k = np.linspace(low, high, CURVE_POINTS)
    is_raw = fit["fit_kind"] == "raw"
    return go.Scatter(
        x=(fit["forward"] * np.exp(k)).tolist(),
        y=(100 * _fitted_iv(fit, k)).tolist(),
        name=f"{fit['venue']} fit, {fit['fit_kind']}",
        mode="lines",
        line={
            "color": VENUE_COLOURS.get(fit["venue"], GREY),
            "dash": "dot" if is_raw else "solid",
            "width": 1.5 if is_raw else 2,
        },
        hovertemplate="%{x:,.0f} USD<br>%{y:.2f} %",
    )


def _fitted_iv(fit: dict[str, Any], k: Floats) -> Floats:
    variance = svi.total_variance([fit[name] for name in PARAMETERS], k)
    vol: Floats = np.sqrt(variance / fit["t_years"])
    return vol


def _residuals(venue: str, quotes: pl.DataFrame, fit: dict[str, Any]) -> go.Scatter:
    used = quotes.filter("use_in_fit")
    fitted = _fitted_iv(fit, used["log_moneyness"].to_numpy())
    colour = VENUE_COLOURS.get(venue, GREY)
    return go.Scatter(
        x=used["strike"].to_list(),
        y=(100 * (used["iv_mid"].to_numpy() - fitted)).tolist(),
        error_y=_bars(used, colour),
        name=f"{venue} residual of the {fit['fit_kind']} fit",
        mode="markers",
        marker={"color": colour, "size": 6},
        hovertemplate="%{x:,.0f} USD<br>%{y:+.3f} vol points",
    )


def _interest(venue: str, quotes: pl.DataFrame) -> list[Placed]:
    return [
        (
            go.Bar(
                x=of_right["strike"].to_list(),
                y=of_right["open_interest_base"].to_list(),
                name=f"{venue} open interest, {right}s",
                marker={
                    "color": VENUE_COLOURS.get(venue, GREY),
                    "pattern": {"shape": "/" if right == "put" else ""},
                },
                hovertemplate="%{x:,.0f} USD<br>%{y:,.1f}",
            ),
            INTEREST,
            1,
        )
        for right in ("call", "put")
        for of_right in [quotes.filter(pl.col("option_type") == right)]
    ]


def _forward(level: float, quotes: pl.DataFrame) -> go.Scatter:
    vols = quotes["iv_mid"].drop_nulls().to_list() or [0.0]
    return go.Scatter(
        x=[level, level],
        y=[0.95 * 100 * min(vols), 1.05 * 100 * max(vols)],
        name=f"forward {level:,.0f} USD",
        mode="lines",
        line={"color": GREY, "dash": "dash", "width": 1},
        hoverinfo="name",
    )


def _badge(fit: dict[str, Any]) -> str:
    """How far the fit lies off, and what it would let an arbitrageur do."""
    head = f"<b>{fit['venue']} {fit['fit_kind']}</b>"
    if fit["svi_a"] is None:
        return f"{head}: no fit, {fit['fit_status']} of {fit['quotes_used'] or 0} quotes"
    parts = [
        f"RMSE {100 * fit['rmse_iv']:.3f} vol points",
        f"{fit['quotes_used']} quotes",
        f"{100 * fit['inside_spread_share']:.0f} % inside bid-ask",
        _arbitrage(fit),
    ]
    if fit["fit_status"] != "ok":
        parts.insert(0, fit["fit_status"])
    if fit["repair_max_change_iv"] is not None:
        changed = 100 * fit["repair_max_change_iv"]
        parts.append(f"{fit['repair_status']}, at most {changed:.3f} vol points moved")
    return f"{head}: " + "; ".join(parts)


def _arbitrage(fit: dict[str, Any]) -> str:
    if fit["is_arbitrage_free"]:
        return "✓ free of arbitrage"
    found = []
    if fit["butterfly_min_g"] < 0:
        found.append(f"butterfly (least g {fit['butterfly_min_g']:.4f})")
    if (fit["calendar_min_dw"] or 0) < 0:
        found.append(f"calendar (least slack {fit['calendar_min_dw']:.2g} of total variance)")
    return "✗ arbitrage: " + (" and ".join(found) or "wings")
