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
UNKNOWN = "#bdbdbd"  # of cells without a rate, that none is taken for zero
DOT = {"size": 3}  # an hour between two that are missing has no line
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
    figure.update_yaxes(title_text="Spread or mean of venues, % a year", row=2)
    figure.update_xaxes(title_text="Hour, UTC", type="date", row=2)
    figure.update_xaxes(showgrid=False, row=1)
    behind = {"xref": "x domain", "yref": "y domain", "x0": 0, "x1": 1, "y0": 0, "y1": 1}
    figure.add_shape(
        type="rect", fillcolor=UNKNOWN, line={"width": 0}, layer="below", row=1, col=1, **behind
    )
    half = HOUR / 2
    figure.update_xaxes(range=[hours["hour_at"][0] - half, hours["hour_at"][-1] + half])
    rates, sources = (_by_venue(hours, column) for column in ("apr", "source"))
    below = _spreads(hours)
    pages = [
        Page(
            name,
            ((_map(rates, sources, unit, factor), 1, 1), *below),
            ("Red: longs pay shorts. Blue: shorts pay longs. Grey: not known in that hour.",),
        )
        for name, unit, factor in UNITS
    ]
    return compose(figure, f"funding, last {DAYS} days", moment, known(hours), pages)


def _by_venue(hours: pl.DataFrame, column: str) -> pl.DataFrame:
    """One row per hour from the first to the last, one column per venue.

    `column` is apr, an annualised decimal, or source, which says whose rate it is.
    """
    long = hours.select("hour_at", "apr_by_venue").explode("apr_by_venue")
    age = (pl.col("age_s") / 3_600).round(1)
    source = pl.format("{}, {}, {} h old", "instrument_id", "rate_kind", age)
    named = long.unnest("apr_by_venue").with_columns(source=source)
    wide = named.pivot("venue", index="hour_at", values=column)
    first, last = hours["hour_at"][0], hours["hour_at"][-1]
    every = pl.datetime_range(first, last, HOUR, eager=True).alias("hour_at")
    stamps = every.cast(wide.schema["hour_at"])
    return stamps.to_frame().join(wide, on="hour_at", how="left").sort("hour_at")


def _map(rates: pl.DataFrame, sources: pl.DataFrame, unit: str, factor: float) -> go.Heatmap:
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
        customdata=[sources[venue].to_list() for venue in venues],
        hoverongaps=False,
        hovertemplate=(
            f"%{{y}}, hour from %{{x|%d %b %Y %H:%M}}<br>%{{z:.3f}} {unit}"
            "<br>%{customdata}<extra></extra>"
        ),
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
        (line(at, percent(hours, column), name, colour, marker=DOT), 2, 1)
        for column, name, colour in named
    )
