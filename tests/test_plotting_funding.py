"""Does the picture of funding show every venue in both units, and gaps where nothing is known?"""

import re
from datetime import UTC, datetime

import funding_world as world
import polars as pl
import pytest

from hedgehouse import plotting
from hedgehouse.canvas import NothingToPlot
from hedgehouse.fundings import A_YEAR, DIVERGING, UNKNOWN
from warehouse.instants import in_utc


class House:
    """A warehouse of one mart."""

    generation = "g1"

    def __init__(self):
        hourly = world.settled([1e-5] * 48, hours=1, interval_s=3_600)
        other = world.settled([1e-4] * 7, venue="w", interval_s=28_800)
        funding = pl.concat([hourly[:20], hourly[30:], other])
        self.built = world.built(funding, world.HOURLY, stg_quotes=world.NO_QUOTES)
        self.built.execute("create schema carry; create schema ops")
        self.built.execute("create view carry.funding_1h as from main.funding_1h")
        told = "'real' as world_origin, now() as published_at, 1 as generation"
        self.built.execute(f"create table ops.generations as select {told}")

    def sql(self, query, parameters=None):
        return in_utc(self.built.execute(query, parameters or {}).pl())


@pytest.fixture(scope="module")
def house():
    return House()


def test_the_map_has_a_row_per_venue_and_a_column_per_hour_in_both_units(house):
    at = datetime(2026, 1, 2, 6, tzinfo=UTC)
    figure, shown = plotting.draw(house, "funding", "X", at)
    assert (shown.underlying, shown.at, shown.origin) == ("X", at, "real")
    maps = [trace for trace in figure.data if trace.type == "heatmap"]
    assert [m.visible for m in maps] == [True, False]
    assert list(maps[0].y) == ["w", "v"]
    hours = list(maps[0].x)
    assert hours[-1].hour == 5
    assert len(hours) == 30
    (w, v), (yearly, _) = maps[0].z, maps[1].z
    assert v[1] == pytest.approx(8 * 0.1)  # basis points in eight hours
    assert w[1] == pytest.approx(1.0)
    assert yearly[1] == pytest.approx(100 * 1e-4 * A_YEAR)
    lost = [hours[n].hour for n, rate in enumerate(v) if rate is None]
    assert lost == [21, 22, 23, 0, 1, 2, 3, 4, 5]


def test_the_picture_names_its_units_and_its_time(house):
    figure, _ = plotting.draw(house, "funding", "X", datetime(2026, 1, 2, 6, tzinfo=UTC))
    text = figure.to_json()
    for unit in ("bp per 8 h", "% a year", "Hour, UTC", "Spread or mean of venues, % a year"):
        assert unit in text
    title = figure.layout.title.text
    assert "as of 2026-01-02 06:00:00 UTC,<br>known 2026-01-02 06:00:00 UTC" in title
    assert "real market, g1" in title
    assert [b.label for b in figure.layout.updatemenus[0].buttons] == ["per 8 hours", "annualised"]


def test_without_a_browser_the_map_has_a_cell_for_every_known_hour(house, tmp_path):
    figure, _ = plotting.draw(house, "funding", "X", datetime(2026, 1, 2, 6, tzinfo=UTC))
    plotting.write(figure, tmp_path / "funding.svg")
    picture = (tmp_path / "funding.svg").read_text()
    known = sum(rate is not None for row in figure.data[0].z for rate in row)
    assert known == 30 + 21
    assert picture.count("fill='#") >= known
    assert picture.count(f"fill='{UNKNOWN}'") == 1  # behind them: what is not known


def test_an_hour_without_a_rate_is_grey_and_not_the_white_of_zero(house):
    figure, _ = plotting.draw(house, "funding", "X", datetime(2026, 1, 2, 6, tzinfo=UTC))
    (behind,) = figure.layout.shapes
    assert (behind.fillcolor, behind.layer, behind.xref) == (UNKNOWN, "below", "x domain")
    assert UNKNOWN not in {colour for _, colour in DIVERGING}
    flat = figure.data[0]
    assert flat.zmin == -flat.zmax


def test_a_cell_says_whose_rate_it_is_and_how_old(house):
    figure, _ = plotting.draw(house, "funding", "X", datetime(2026, 1, 2, 6, tzinfo=UTC))
    flat = figure.data[0]
    known = [
        (rate is None, source is None)
        for rates, sources in zip(flat.z, flat.customdata, strict=True)
        for rate, source in zip(rates, sources, strict=True)
    ]
    assert all(rate == source for rate, source in known)
    assert re.fullmatch(r"v:X\S*, settled, \d+\.\d h old", flat.customdata[1][0])


def test_a_coin_or_hour_without_funding_is_named(house):
    with pytest.raises(NothingToPlot, match="Y: has no funding here; there are X"):
        plotting.draw(house, "funding", "Y")
    with pytest.raises(NothingToPlot, match="no snapshot of funding by 2025-12-31T06:30:00Z"):
        plotting.draw(house, "funding", "X", datetime(2025, 12, 31, 6, 30, tzinfo=UTC))
