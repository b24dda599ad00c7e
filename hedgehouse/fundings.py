"""What does each venue's perpetual cost to hold, hour by hour?"""

from datetime import timedelta

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from hedgehouse import Warehouse
from hedgehouse.canvas import (
    BLUE,
    GREY,
    VERMILION,
    Moment,
    Page,
    Placed,
    compose,
    known,
    line,
    percent,
    read,
)

DAYS = 30
HOUR = timedelta(hours=1)
A_YEAR = 1_095  # intervals of eight hours
# From shorts pay over nothing to longs pay; told apart by colour-blind readers.
DIVERGING = [[0.0, "#2166ac"], [0.5, "#f7f7f7"], [1.0, "#b2182b"]]

HOURS = f"""
    select hour_at, apr_by_venue, spread_apr, net_spread_apr, apr_open_interest_weighted,
        horizon_days, available_at
    from carry.funding_1h
    where underlying = $underlying and available_at <= $at
        and available_at > $at - interval '{DAYS} days'
    order by hour_at
"""
# What a page shows: its name, the unit of the colours, and the factor from an annualised decimal.
UNITS = (("per 8 hours", "bp per 8 h", 1e4 / A_YEAR), ("annualised", "% a year", 100.0))


def funding(house: Warehouse, moment: Moment) -> go.Figure:
    """Rates by venue and hour over the last 30 days, above the spread between the venues.

    A rate is the one that was known by the end of the hour, indicated or last settled; an hour in
    which a venue's rate was not known stays empty.
    """
    hours = read(house, HOURS, moment, "carry.funding_1h")
    figure = make_subplots(
        rows=2, cols=1, shared_xaxes=True, row_heights=[0.6, 0.4], vertical_spacing=0.08
    )
    figure.update_yaxes(title_text="Venue", type="category", row=1)
    figure.update_yaxes(title_text="Spread of venues, % a year", row=2)
    figure.update_xaxes(title_text="Hour, UTC", type="date", row=2)
    rates = _rates(hours)
    below = _spreads(hours)
    pages = [
        Page(
            name,
            ((_map(rates, unit, factor), 1, 1), *below),
            ("Positive: longs pay shorts. Empty: not known in that hour.",),
        )
        for name, unit, factor in UNITS
    ]
    return compose(figure, f"funding, last {DAYS} days", moment, known(hours), pages)


def _rates(hours: pl.DataFrame) -> pl.DataFrame:
    """One row per hour from the first to the last, one column per venue, annualised decimals."""
    long = hours.select("hour_at", "apr_by_venue").explode("apr_by_venue")
    named = long.unnest("apr_by_venue").select("hour_at", "venue", "apr")
    wide = named.pivot("venue", index="hour_at", values="apr")
    first, last = hours["hour_at"][0], hours["hour_at"][-1]
    every = pl.datetime_range(first, last, HOUR, eager=True).alias("hour_at")
    stamps = every.cast(wide.schema["hour_at"])
    return stamps.to_frame().join(wide, on="hour_at", how="left").sort("hour_at")


def _map(rates: pl.DataFrame, unit: str, factor: float) -> go.Heatmap:
    venues = sorted(set(rates.columns) - {"hour_at"}, reverse=True)
    largest = max(rates.select(pl.col(venues).abs().max()).row(0)) * factor
    return go.Heatmap(
        x=rates["hour_at"].to_list(),
        y=venues,
        z=[(rates[venue] * factor).to_list() for venue in venues],
        colorscale=DIVERGING,
        zmin=-largest,
        zmax=largest,
        colorbar={"title": unit, "len": 0.6, "y": 1, "yanchor": "top"},
        hoverongaps=False,
        hovertemplate=f"%{{y}} %{{x}}: %{{z:.3f}} {unit}<extra></extra>",
    )


def _spreads(hours: pl.DataFrame) -> tuple[Placed, ...]:
    days = hours["horizon_days"][-1]
    named = (
        ("spread_apr", "highest less lowest", BLUE),
        ("net_spread_apr", f"after four taker fees over {days:g} days", VERMILION),
        ("apr_open_interest_weighted", "mean weighted by open interest", GREY),
    )
    at = hours["hour_at"].to_list()
    return tuple(
        (line(at, percent(hours, column), name, colour, mode="lines"), 2, 1)
        for column, name, colour in named
    )
