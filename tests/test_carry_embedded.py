"""Does carry recover what the embedded market was made with?"""

import duckdb
import numpy as np
import pytest

from pipelines.simulator.paths import carry
from pipelines.simulator.world import COINS, Coin, draw_parameters
from tests.conftest import SEED


@pytest.fixture(scope="module")
def marts(simulated):
    with duckdb.connect(simulated.pointer.resolve(), read_only=True) as connection:
        yield connection


@pytest.mark.parametrize("coin", COINS, ids=lambda coin: coin.name)
def test_the_curve_is_the_planted_one_but_for_its_bend_and_a_late_index(marts, coin: Coin):
    parameters = draw_parameters(coin, SEED)
    found = marts.execute(
        "select tenor_days, rate from carry.basis_curve where venue = 'deribit' "
        "and price_kind = 'mid' and rate is not null and underlying = $1",
        [coin.name],
    ).fetchall()
    assert {days for days, _ in found} == {21, 30, 60, 90}
    years = np.array([days for days, _ in found]) / 365
    planted = np.log(carry(parameters, years)) / years
    missed = np.abs(np.array([rate for _, rate in found]) - planted)
    assert np.median(missed) < 0.002
    # the index comes once a minute: the coin moves meanwhile, which is price, not rate
    assert (missed * years).max() < 25e-4


def test_no_market_leads_where_all_follow_one_price(marts):
    told = marts.execute("select lead_lag_status, lag_s from carry.lead_lag").fetchall()
    assert len(told) > 4
    statuses = {status for status, _ in told}
    assert statuses <= {"not_identified", "no_correlation", "too_few"}
    assert "not_identified" in statuses  # found alike, and no lead told of
    assert {lag for _, lag in told} == {None}


def test_what_is_left_of_a_carry_is_gross_less_costs(marts):
    rows = marts.execute("select gross_apr, costs_apr, net_apr from carry.net").fetchall()
    known = [row for row in rows if row[2] is not None]
    assert all(net == gross - costs for gross, costs, net in known)
    assert all(gross is None for gross, costs, net in rows if net is None and costs is not None)
