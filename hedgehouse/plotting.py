"""Which figure of a published snapshot was asked for, and into which file does it go?"""

import html
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

import plotly.graph_objects as go

from hedgehouse import Warehouse
from hedgehouse.canvas import Moment, NothingToPlot
from hedgehouse.carries import basis, carry
from hedgehouse.curves import skew, surface, term
from hedgehouse.fundings import funding
from hedgehouse.ladders import liquidity
from hedgehouse.pictures import svg
from hedgehouse.premia import premium
from hedgehouse.smiles import smile
from hedgehouse.toxicities import vpin

__all__ = ["KINDS", "NoPicture", "NothingToPlot", "draw", "write"]

KINDS: dict[str, Callable[[Warehouse, Moment], go.Figure]] = {
    "smile": smile,
    "surface": surface,
    "term": term,
    "skew": skew,
    "premium": premium,
    "funding": funding,
    "liquidity": liquidity,
    "vpin": vpin,
    "basis": basis,
    "carry": carry,
}
# Where a figure's moments stand, and what is missing where there are none.
OPTIONS = ("options.surface_slices", "snapshot_at", "options")
MOMENTS = {
    "vpin": ("flow.vpin_buckets", "available_at", "volume buckets"),
    "funding": ("carry.funding_1h", "available_at", "funding"),
    "liquidity": ("flow.slippage_ladder", "snapshot_at", "books"),
    "basis": ("carry.basis_curve", "snapshot_at", "futures"),
    "carry": ("carry.net", "snapshot_at", "carry"),
}
PNG_SIZE = {"width": 1400, "height": 860, "scale": 2}
# The library's bar has a button that sends the figure to its maker's servers: not here.
CONFIG = {"displaylogo": False, "responsive": True, "showSendToCloud": False}
# The page asks its browser to refuse whatever would leave the machine, and to keep the colours,
# which were chosen on white.
POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline'; "
    "img-src data: blob:; worker-src blob:; form-action 'none'; base-uri 'none'"
)
PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="only light">
<title>{name}</title>
</head>
<body>
{figure}
</body>
</html>
"""


class NoPicture(RuntimeError):
    """No such file can be written here."""


def draw(
    house: Warehouse, kind: str, underlying: str, at: datetime | None = None
) -> tuple[go.Figure, Moment]:
    """The figure of `kind` at the last snapshot not after `at`, None for the last of all.

    Beside it stands what it shows. Raises `NothingToPlot` where the underlying has none of it, or
    no snapshot by that time.
    """
    moment = _moment(house, underlying, at, *MOMENTS.get(kind, OPTIONS))
    return KINDS[kind](house, moment), moment


def write(figure: go.Figure, file: Path) -> None:
    """Write a page that needs no network, a static picture or a PNG, by the file's suffix.

    Raises `NoPicture` where the suffix is another, or the machine cannot draw a PNG.
    """
    if file.suffix == ".html":
        file.write_text(_page(figure), encoding="utf-8")
    elif file.suffix == ".svg":
        file.write_text(svg(figure), encoding="utf-8")
    elif file.suffix == ".png":
        _write_png(figure, file)
    else:
        raise NoPicture(f"{file}: figures are written to .html, .svg or .png")


def _page(figure: go.Figure) -> str:
    drawn = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        include_mathjax=False,
        config=CONFIG,
        div_id="figure",
    )
    name = html.escape(figure.layout.title.text.split("<br>")[0])
    return PAGE.format(policy=POLICY, name=name, figure=drawn)


def _write_png(figure: go.Figure, file: Path) -> None:
    way_out = f"write {file.with_suffix('.html')} or {file.with_suffix('.svg')} instead"
    if find_spec("kaleido") is None:
        raise NoPicture(
            f"{file}: a PNG needs kaleido (pip install kaleido) and Chrome or Chromium; {way_out}"
        )
    try:
        figure.write_image(file, format="png", **PNG_SIZE)
    except RuntimeError as error:  # what plotly says where there is no browser
        raise NoPicture(
            f"{file}: a PNG needs Chrome or Chromium, which did not start; {way_out}"
        ) from error


def _moment(
    house: Warehouse, underlying: str, at: datetime | None, table: str, column: str, subject: str
) -> Moment:
    known = house.sql(f"select distinct underlying from {table} order by all")
    coins = known["underlying"].to_list()
    if underlying not in coins:
        there = f"there are {', '.join(coins)}" if coins else "there are none at all"
        raise NothingToPlot(f"{underlying}: has no {subject} here; {there}")
    wanted = None if at is None else at.astimezone(UTC).replace(tzinfo=None)
    (shown, first) = house.sql(
        f"select max({column}) filter (where {column} <= coalesce(cast($at as timestamp), "
        f"{column})), min({column}) from {table} where underlying = $underlying",
        {"underlying": underlying, "at": wanted},
    ).row(0)
    if shown is None:
        raise NothingToPlot(
            f"{underlying}: no snapshot of {subject} by {_text(at or first)}; "
            f"the first is of {_text(first)}"
        )
    told = house.sql(
        "select world_origin from ops.generations "
        "order by published_at desc, generation desc limit 1"
    )
    return Moment(underlying, shown, house.generation, told["world_origin"][0], at)


def _text(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
