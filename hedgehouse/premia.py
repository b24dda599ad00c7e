"""What does variance cost over what it comes to?"""

from datetime import timedelta

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from hedgehouse import Warehouse
from hedgehouse.canvas import (
    CYCLE,
    TICK_DAYS,
    Moment,
    Page,
    Placed,
    compose,
    known,
    line,
    percent,
    read,
    utc,
    venues,
)

PREMIUM_TENOR = 30
HALF_A_DAY, FEW_DAYS = timedelta(hours=12), timedelta(days=7)
DAY_MS = 86_400_000  # as axes of dates count
NOTE = (
    "Realised before needs as many days of prices as the tenor, realised after as many more; a "
    "forecast one at least, and there is none beyond 30 days."
)

# A forward value was not there before its window closed.
PREMIUM = """
    select venue, tenor_days, day_at, snapshot_at,
        sqrt(implied_variance) as implied, sqrt(trailing_realized_variance) as trailing,
        sqrt(forecast_realized_variance) as forecast,
        case when closes_at <= $at then sqrt(forward_realized_variance) end as forward,
        trailing_premium, forecast_premium,
        case when closes_at <= $at then forward_premium end as forward_premium,
        case when closes_at <= $at then available_at else known_at end as available_at
    from options.variance_premium where underlying = $underlying and snapshot_at <= $at
    order by day_at, tenor_days
"""


def premium(house: Warehouse, moment: Moment) -> go.Figure:
    """Implied beside realised and forecast volatility, and the premium of variance.

    Left by tenor on the last day, right by day at 30 days. Of the snapshots up to this one the last
    of each day counts; a forward value is drawn once its window has closed.
    """
    days = read(house, PREMIUM, moment, "options.variance_premium")
    figure = make_subplots(
        rows=2, cols=2, vertical_spacing=0.12, subplot_titles=_premium_titles(days)
    )
    figure.update_yaxes(title_text="Root of variance, % a year", row=1)
    figure.update_yaxes(title_text="Premium, variance a year", rangemode="tozero", row=2)
    figure.update_xaxes(title_text="Tenor, days", type="log", tickvals=TICK_DAYS, col=1)
    figure.update_xaxes(title_text="Day, UTC", type="date", tickformat="%d %b %Y", col=2)
    first, last = days["day_at"][0], days["day_at"][-1]
    if last - first < FEW_DAYS:  # else a day alone is shown to the millisecond
        figure.update_xaxes(range=[first - HALF_A_DAY, last + HALF_A_DAY], dtick=DAY_MS, col=2)
    page = Page("implied and realised", (*_premium_traces(days),), (NOTE,))
    return compose(figure, f"variance premium, {venues(days)}", moment, known(days), [page])


def _premium_titles(days: pl.DataFrame) -> tuple[str, ...]:
    last = days.sort("snapshot_at")["snapshot_at"][-1]
    return (f"By tenor, snapshot of {utc(last)}", f"By day, {PREMIUM_TENOR} days", "", "")


def _premium_traces(days: pl.DataFrame) -> list[Placed]:
    tenors = days.filter(pl.col("day_at") == pl.col("day_at").max())
    history = days.filter(pl.col("tenor_days") == PREMIUM_TENOR)
    traces: list[Placed] = []
    for name, colour in zip(("implied", "trailing", "forecast", "forward"), CYCLE, strict=False):
        for frame, axis, column in ((tenors, "tenor_days", 1), (history, "day_at", 2)):
            drawn = line(frame[axis].to_list(), percent(frame, name), _meaning(name), colour)
            traces.append((drawn.update(legendgroup=name, showlegend=column == 1), 1, column))
            if name != "implied":
                over = frame[f"{name}_premium"].to_list()
                drawn = line(frame[axis].to_list(), over, f"implied less {_meaning(name)}", colour)
                traces.append((drawn.update(legendgroup=name, showlegend=column == 1), 2, column))
    return traces


def _meaning(name: str) -> str:
    realised = {"trailing": "realised before", "forward": "realised after"}
    return realised.get(name, name)
