"""How one-sided was the flow, bucket by bucket, and what did the price do meanwhile?"""

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
    read,
)

DAYS = 7  # before the moment
KINDS = (("aggressor", "by the taker's side", BLUE), ("bulk", "in bulk", VERMILION))

BUCKETS = f"""
    select instrument_id, classification, ended_at, vpin, vpin_null, vpin_cdf, available_at
    from flow.vpin_buckets
    where underlying = $underlying and available_at <= $at
        and ended_at > $at - interval {DAYS} days
    order by instrument_id, classification, bucket_number
"""
PRICES = f"""
    select instrument_id, minute_at, close_price from flow.bars_1m
    where underlying = $underlying and available_at <= $at
        and minute_at > $at - interval {DAYS} days
    order by instrument_id, minute_at
"""


def vpin(house: Warehouse, moment: Moment) -> go.Figure:
    """Price, VPIN beside its null, and the share of earlier buckets not above; a page each.

    Of the last seven days, buckets known by then. Lines stop where there is no value yet: VPIN
    needs 50 buckets, its share 100 before.
    """
    buckets = read(house, BUCKETS, moment, "flow.vpin_buckets")
    prices = house.sql(PRICES, moment.asked())
    figure = make_subplots(
        rows=3, cols=1, shared_xaxes=True, row_heights=[0.34, 0.36, 0.3], vertical_spacing=0.05
    )
    figure.update_yaxes(title_text="Price, quote currency", row=1)
    figure.update_yaxes(title_text="VPIN, 0 to 1", rangemode="tozero", row=2)
    figure.update_yaxes(title_text="Share of earlier buckets", range=[0, 1], row=3)
    figure.update_xaxes(title_text="Time, UTC", row=3)
    names = buckets["instrument_id"].unique(maintain_order=True).to_list()
    pages = [
        Page(
            name,
            (*_traces(buckets.filter(instrument_id=name), prices.filter(instrument_id=name)),),
            notes=("Dashed: what the same buckets show where no minute's side means anything.",),
        )
        for name in names
    ]
    return compose(figure, "VPIN", moment, known(buckets), pages, _fullest(buckets, names))


def _traces(buckets: pl.DataFrame, prices: pl.DataFrame) -> list[Placed]:
    drawn = line(
        prices["minute_at"].to_list(), prices["close_price"].to_list(), "price", GREY, mode="lines"
    )
    traces: list[Placed] = [(drawn, 1, 1)]
    for kind, name, colour in KINDS:
        rows = buckets.filter(classification=kind)
        at = rows["ended_at"].to_list()
        shown = {
            f"VPIN {name}": ("vpin", 2, "solid"),
            f"null {name}": ("vpin_null", 2, "dash"),
            f"share {name}": ("vpin_cdf", 3, "solid"),
        }
        for label, (column, row, dash) in shown.items():
            style = line(
                at, rows[column].to_list(), label, colour, mode="lines", line={"dash": dash}
            )
            traces.append((style.update(legendgroup=name), row, 1))
    return traces


def _fullest(buckets: pl.DataFrame, names: list[str]) -> int:
    """The instrument with the most buckets that have a value is seen first."""
    counts = [buckets.filter(instrument_id=name)["vpin"].count() for name in names]
    return counts.index(max(counts))
