"""How one-sided was the flow, bucket by bucket, and what did the price do meanwhile?"""

import re

import plotly.graph_objects as go
import polars as pl
from plotly.subplots import make_subplots

from hedgehouse import Warehouse
from hedgehouse.canvas import (
    BLUE,
    GREY,
    VERMILION,
    Moment,
    NothingToPlot,
    Page,
    Placed,
    compose,
    known,
    line,
    read,
    utc,
)

DAYS = 7  # before the moment
KINDS = (("aggressor", "by the taker's side", BLUE), ("bulk", "in bulk", VERMILION))
OPTION = re.compile(r"-[CP]$")  # how the symbols of options end
# A value between two that are missing has no line.
DOT, RING = {"size": 3}, {"size": 5, "symbol": "circle-open"}

BUCKETS = f"""
    select instrument_id, classification, bucket_volume_base, ended_at, vpin, vpin_null, vpin_cdf,
        available_at
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

    Of the last seven days, buckets known by then, the most traded market first. Lines stop where
    there is no value yet: VPIN needs 50 buckets, its share 100 before. Options are left out, whose
    buckets are of a few prints each.
    """
    told = read(house, BUCKETS, moment, "flow.vpin_buckets")
    names = _most_traded(told)
    if not names:
        raise NothingToPlot(
            f"flow.vpin_buckets: of {moment.underlying} there are only options by {utc(moment.at)}"
        )
    buckets = told.filter(pl.col("instrument_id").is_in(names))
    prices = house.sql(PRICES, moment.asked())
    figure = make_subplots(
        rows=3, cols=1, shared_xaxes=True, row_heights=[0.34, 0.36, 0.3], vertical_spacing=0.05
    )
    figure.update_yaxes(title_text="Price, quote currency", row=1)
    figure.update_yaxes(title_text="VPIN, 0 to 1", rangemode="tozero", row=2)
    figure.update_yaxes(title_text="CDF level, 0 to 1", range=[-0.03, 1.03], row=3)
    figure.update_xaxes(title_text="Time, UTC", row=3)
    pages = [
        _page(name, buckets.filter(instrument_id=name), prices.filter(instrument_id=name))
        for name in names
    ]
    first = next((n for n, name in enumerate(names) if _is_told(buckets, name)), 0)
    return compose(figure, "VPIN", moment, known(buckets), pages, first)


def _page(name: str, buckets: pl.DataFrame, prices: pl.DataFrame) -> Page:
    notes = (
        f"The last bucket ended {utc(buckets['ended_at'].max())}. VPIN needs 50 buckets, its level "  # type: ignore[arg-type]  # there is one at least
        "among the earlier ones 100 more.",
        "Dashed: what the same buckets show where no minute's side means anything.",
    )
    return Page(name, tuple(_traces(buckets, prices)), notes)


def _traces(buckets: pl.DataFrame, prices: pl.DataFrame) -> list[Placed]:
    drawn = line(
        prices["minute_at"].to_list(), prices["close_price"].to_list(), "price", GREY, mode="lines"
    )
    traces: list[Placed] = [(drawn, 1, 1)]
    for kind, name, colour in KINDS:
        rows = buckets.filter(classification=kind)
        at = rows["ended_at"].to_list()
        shown = {
            f"VPIN {name}": ("vpin", 2, "solid", DOT),
            f"null {name}": ("vpin_null", 2, "dash", RING),
            f"CDF level {name}": ("vpin_cdf", 3, "solid", DOT),
        }
        for label, (column, row, dash, marker) in shown.items():
            style = line(
                at, rows[column].to_list(), label, colour, marker=marker, line={"dash": dash}
            )
            traces.append((style.update(legendgroup=name), row, 1))
    return traces


def _most_traded(buckets: pl.DataFrame) -> list[str]:
    """Everything but options, by volume in coins."""
    volumes = buckets.group_by("instrument_id").agg(pl.col("bucket_volume_base").sum())
    ordered = volumes.sort(["bucket_volume_base", "instrument_id"], descending=[True, False])
    return [name for name in ordered["instrument_id"] if not OPTION.search(name)]


def _is_told(buckets: pl.DataFrame, name: str) -> bool:
    return buckets.filter(instrument_id=name)["vpin"].is_not_null().any()
