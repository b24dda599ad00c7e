"""How near to the planted truth what is published lies, and whether planted mistakes are named."""

import polars as pl
import pytest

import hedgehouse
from hedgehouse import scores
from tests.conftest import clock


@pytest.fixture(scope="module")
def told(simulated):
    with hedgehouse.connect(simulated.root, clock=clock) as opened:
        return scores.score(opened, simulated.truth)


def test_levels_skews_quantiles_and_the_index_are_within_a_half_spread_in_the_median(told):
    whole = told.distances.filter(tenor="all")
    measures = {row["measure"]: row for row in whole.iter_rows(named=True)}
    assert len(measures) == 9
    for name, row in measures.items():
        # In a market this small the strip ends where few wings are quoted, and says so.
        limit = 3.0 if name == "index_strip" else 1.0
        assert row["median"] < limit, row
        assert row["count"] > 30
    assert measures["atm_iv"]["p95"] < 2.0


def test_planted_arbitrage_is_flagged_and_named_and_hardly_anything_else(told):
    for row in told.arbitrage.iter_rows(named=True):
        assert row["found"] == row["planted"] == 6, row
        assert row["others"] > 250
        assert row["others_flagged_between_quotes"] <= 0.05 * row["others"]


def test_dear_options_are_called_rich_the_more_the_dearer(told):
    rows = {row["half_spreads"]: row for row in told.verdicts.iter_rows(named=True)}
    power = [rows[size]["rich"] / rows[size]["judged"] for size in (1.0, 2.0, 4.0)]
    assert min(row["judged"] for row in rows.values()) > 20
    assert power[2] > 0.75
    assert power[2] > power[0]
    accused = (rows[0.0]["rich"] + rows[0.0]["cheap"]) / rows[0.0]["judged"]
    assert accused < 0.06


def test_all_of_it_is_told_to_people_and_machines(told):
    rows = told.distances.height + told.arbitrage.height + told.verdicts.height
    assert len(told.lines()) == rows == sum(len(part) for part in told.fields().values())
    assert "12 of 12 slices flagged" in told.summary()


def test_a_market_of_which_nothing_arrived_has_no_distances(simulated):
    class Empty:
        def sql(self, query: str) -> pl.DataFrame:
            return opened.sql(f"select * from ({query}) limit 0")

    with hedgehouse.connect(simulated.root, clock=clock) as opened:
        found = scores.score(Empty(), simulated.truth)
    assert found.distances.height == found.verdicts.height == 0
    assert found.summary().endswith("in the median: none; planted arbitrage: 0 of 0 slices flagged")
