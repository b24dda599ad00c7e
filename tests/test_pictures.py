"""A static picture shows what its page shows first: the same points, names, units and stamp."""

import math
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree

import duckdb
import plotly.graph_objects as go
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

import hedgehouse
from hedgehouse import plotting
from hedgehouse.canvas import Moment
from hedgehouse.pictures import HEIGHT, LONGEST_NAME, svg
from hedgehouse.scales import scale
from tests.conftest import clock
from warehouse.instants import in_utc

NOON = datetime(2026, 3, 10, 12, 5, tzinfo=UTC)
PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
VOLATILITY = ("smile", "surface", "term", "skew", "premium")
TABLES = ("quotes", "surface_slices", "surface_grid", "skew", "vol_index", "variance_premium")


@pytest.fixture(scope="module")
def house(simulated):
    with hedgehouse.connect(simulated.root, clock=clock) as opened:
        yield opened


def drawn(figure: go.Figure) -> ElementTree.Element:
    return ElementTree.fromstring(svg(figure))


def words(picture: ElementTree.Element) -> set[str]:
    return {node.text or "" for node in picture.iter() if node.tag.endswith("text")}


def test_a_picture_has_the_points_of_the_page(house):
    figure, _ = plotting.draw(house, "smile", "BTC", NOON)
    picture = drawn(figure)
    lines = [t for t in figure.data if t.visible and t.type == "scatter"]
    dots = [t for t in lines if "markers" in t.mode]
    circles = [node for node in picture.iter() if node.tag.endswith("circle")]
    assert sum(len(t.x) for t in dots) > 20
    assert len(circles) == sum(len(t.x) for t in dots) + len(dots)  # one of each in the legend


@pytest.mark.parametrize("kind", VOLATILITY)
def test_a_picture_names_its_units_its_time_and_its_lines(house, kind):
    figure, moment = plotting.draw(house, kind, "BTC")
    said = words(drawn(figure))
    axes = figure.to_dict()["layout"]
    titles = {a["title"]["text"] for n, a in axes.items() if "axis" in n and "title" in a}
    whole = " ".join(said)
    for title in titles:
        assert title in said or all(part in said for part in title.split(", ")), title
    assert f"as of {moment.at:%Y-%m-%d %H:%M:%S} UTC" in whole
    for trace in figure.data:
        if trace.visible and trace.type == "heatmap":
            assert any(t.startswith(f"cells: {trace.colorbar.title.text}, ") for t in said)
        elif trace.visible and trace.name and trace.showlegend is not False:
            assert trace.type == "surface" or trace.name[:LONGEST_NAME] in said


@pytest.mark.parametrize("file", sorted(PICTURES.glob("*.svg")), ids=lambda file: file.stem)
def test_the_pictures_of_the_docs_are_of_the_figures_that_are_drawn_now(house, file):
    figure, _ = plotting.draw(house, file.stem.split("-")[0], "BTC")
    kept = words(ElementTree.parse(file).getroot())
    axes = figure.to_dict()["layout"]
    titles = {a["title"]["text"] for n, a in axes.items() if "axis" in n and "title" in a}
    for title in titles:
        assert title in kept or all(part in kept for part in title.split(", ")), title
    assert "simulated market" in " ".join(kept)
    assert file.stat().st_size < 60_000
    assert f"](pictures/{file.name})" in (PICTURES.parent / "volatility-plots.md").read_text()


def test_what_is_drawn_lies_on_the_picture(house):
    for kind in VOLATILITY:
        picture = drawn(plotting.draw(house, kind, "ETH")[0])
        _, _, width, height = map(float, picture.attrib["viewBox"].split())
        for node in picture.iter():
            # Those that are turned stand in a group of their own.
            if node.tag.endswith("text") and node.attrib["x"] != "0.0":
                assert 0 <= float(node.attrib["x"]) <= width
                assert 0 <= float(node.attrib["y"]) <= height
            if node.tag.endswith("rect") and "height" in node.attrib:
                assert float(node.attrib["height"]) >= 0


@given(
    st.floats(-1e6, 1e6, allow_nan=False),
    st.floats(1e-6, 1e6),
    st.sampled_from(["linear", "log"]),
)
def test_ticks_lie_in_range_where_their_names_say(low, span, kind):
    low = abs(low) + 1e-3 if kind == "log" else low
    found = scale(go.layout.XAxis(type=kind), [low, low + span], 0.0, 1000.0)
    for pixel, name in found.ticks():
        value = float(name.replace(",", ""))
        assert -1e-6 <= pixel <= 1000 + 1e-6
        at = found.at(value)
        assert at is not None
        assert abs(at - pixel) < 1.0 or kind == "log"
    if kind == "linear":
        assert 2 <= len(found.ticks()) <= 9


def test_days_and_hours_are_ticked_and_one_moment_stands_in_the_middle():
    axis = go.layout.XAxis(type="date")
    day = [NOON + timedelta(hours=n) for n in range(25)]
    names = [name for _, name in scale(axis, day, 0.0, 100.0).ticks()]
    assert names[:2] == ["10 Mar 12:00", "10 Mar 18:00"] or names[0].startswith("10 Mar")
    alone = scale(axis, [NOON], 0.0, 100.0)
    assert alone.at(NOON) == pytest.approx(50.0)
    assert 1 <= len(alone.ticks()) <= 7


def test_missing_values_break_a_line_and_are_no_dot():
    figure = go.Figure(go.Scatter(x=[1, 2, 3, 4, 5], y=[1.0, 2.0, None, 4.0, math.nan], name="a"))
    figure.update_layout(title={"text": "t"})
    figure.data[0].update(mode="lines+markers")
    picture = svg(figure)
    assert picture.count("<polyline") == 1
    assert picture.count("<circle") == 3


def test_the_bars_of_errors_lie_within_their_panel():
    bars = {"array": [5.0, None], "arrayminus": [3.0, None], "symmetric": False, "type": "data"}
    trace = go.Scatter(x=[1, 2], y=[0.0, 1.0], error_y=bars, mode="markers", name="a", opacity=0.4)
    figure = go.Figure(trace).update_layout(title={"text": "t"})
    said = {float(word) for word in words(drawn(figure)) if word.strip("-").isdigit()}
    assert {-2.0, 4.0} <= said
    (bar,) = [
        line for line in svg(figure).splitlines() if "opacity='0.4'/>" in line and "<line" in line
    ]
    assert "stroke=" in bar


def test_a_map_has_a_ramp_of_its_colours_and_digits_for_its_values():
    flat = go.Heatmap(
        x=["a", "b"], y=["c"], z=[[-1.25, 1.68]], zmin=-1.68, zmax=1.68,
        colorscale=[[0, "#2166ac"], [0.5, "#f7f7f7"], [1, "#b2182b"]], colorbar={"title": "bp"},
    )  # fmt: skip
    figure = go.Figure(flat).update_layout(title={"text": "t"})
    picture = svg(figure)
    assert {"-1.2", "1.7", "cells: bp, -1.68 to 1.68"} <= words(drawn(figure))
    assert picture.index("fill='#2166ac'") < picture.index("fill='#b2182b'", picture.index("cells"))
    assert picture.count("height='10' fill=") == 32


def test_a_bar_has_its_label_above_it_and_zero_is_labelled_and_missing_is_not():
    bars = go.Bar(x=["1", "2", "3"], y=[100.0, 0.0, None], text=["100", "0", ""], name="a")
    bars.marker.color = "#009E73"
    picture = drawn(go.Figure(bars).update_layout(title={"text": "t"}))
    heights = {n.text: float(n.attrib["y"]) for n in picture.iter() if n.text in ("100", "0")}
    assert set(heights) == {"100", "0"}
    assert heights["100"] < heights["0"]
    assert heights["100"] > 90  # below the title, within the panel


def test_an_axis_that_starts_at_zero_holds_zero_and_days_can_be_given_as_ends():
    held = scale(go.layout.YAxis(rangemode="tozero"), [5.0, 6.0], 0.0, 100.0)
    assert held.low <= 0.0
    ends = [NOON - timedelta(hours=12), NOON + timedelta(hours=12)]
    day = scale(go.layout.XAxis(type="date", range=ends), [NOON], 0.0, 100.0)
    assert day.at(NOON) == pytest.approx(50.0)


def test_a_long_legend_ends_above_the_lower_edge():
    figure = go.Figure([go.Scatter(x=[1], y=[n], name=f"line {n}") for n in range(60)])
    picture = drawn(figure.update_layout(title={"text": "t"}))
    heights = [float(n.attrib["y"]) for n in picture.iter() if (n.text or "").startswith("line ")]
    assert len(heights) == 60
    assert max(heights) <= HEIGHT


def test_the_last_snapshot_by_a_time_is_drawn_and_named(house):
    figure, moment = plotting.draw(house, "term", "BTC", NOON + timedelta(minutes=20))
    assert moment.at == NOON
    title = figure.layout.title.text
    assert "as of 2026-03-10 12:05:00 UTC (the last snapshot by 2026-03-10 12:25:00 UTC)" in title
    exact, _ = plotting.draw(house, "term", "BTC", NOON)
    assert "the last snapshot by" not in exact.layout.title.text
    elsewhere = NOON.astimezone(tz=datetime.strptime("+0530", "%z").tzinfo)
    assert plotting.draw(house, "term", "BTC", elsewhere)[1].at == NOON


def test_several_venues_stand_side_by_side(simulated):
    connection = duckdb.connect()
    connection.execute(f"attach '{simulated.root}/published/current.duckdb' as told (read_only)")
    connection.execute("create schema options")
    for table in TABLES:
        other = "" if table == "variance_premium" else (
            f" union all select * replace ('okx' as venue) from told.options.{table}"
        )  # fmt: skip
        connection.execute(f"create table options.{table} as from told.options.{table}{other}")

    class House:
        def sql(self, query: str, parameters: dict[str, object]) -> pl.DataFrame:
            return in_utc(connection.execute(query, parameters).pl())

    for kind in ("smile", "term", "surface", "skew"):
        figure = plotting.KINDS[kind](House(), Moment("BTC", NOON, "g", "real"))
        titles = [b.label for menu in figure.layout.updatemenus for b in menu.buttons]
        named = {t.name.split(" ")[0] for t in figure.data if t.visible and t.name}
        assert {"deribit", "okx"} <= named or titles == ["deribit", "okx"], kind
        colours = {
            t.name.split(" ")[0]: t.line.color or t.marker.color
            for t in figure.data
            if t.visible and t.type == "scatter" and (t.name or "").startswith(("deribit", "okx"))
        }
        assert len(set(colours.values())) == len(colours)
    connection.close()
