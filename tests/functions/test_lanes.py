"""Inversion of whole arrays: as exact as one at a time, and of most quotes there are."""

import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import black, lanes, normalised


def inverted(x, b):
    out = np.empty(x.size)
    lanes.invert_lanes(x, b, np.exp(0.5 * x) - b, out)
    return out


def test_every_row_of_the_hard_grid_that_is_solved_at_once_is_exact(reference):
    rows = pl.read_csv(reference / "iv_normalised.csv")
    x = rows["x_lnFK"].to_numpy().copy()
    found = inverted(x, rows["beta_otm_call_normalised"].to_numpy().copy())
    expected = rows["s_ref_of_rounded_beta"].to_numpy()
    allowed = 1e-12 * expected + 16 * rows["half_ulp_floor_abs_s"].to_numpy()
    solved = ~np.isnan(found)
    worst = (np.abs(found - expected) / allowed)[solved].max()
    print(f"{solved.sum()} of {solved.size} rows at once, worst {worst:.4f} allowed")  # noqa: T201
    assert solved.sum() > 200
    assert worst <= 0.02


def test_quotes_of_every_usual_size_are_solved_at_once_and_as_one_by_one():
    rng = np.random.default_rng(8)
    s, h = np.exp(rng.uniform(np.log(1e-3), np.log(1.3), 5_000)), rng.uniform(0, 10, 5_000)
    x = -h * s
    b = np.array([normalised.price(*row) for row in zip(x, s, strict=True)])
    found, alone = inverted(x, b), normalised.deviations(x, b)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, alone, rtol=1e-14)


def test_what_is_not_a_usual_price_is_left_to_the_careful_way():
    x = np.array([-0.1, -0.1, -0.1, -0.1, np.nan, -0.1, -1e-300, 0.0])
    b = np.array([0.0, -0.1, np.nan, 0.9, 0.1, 1e-300, 0.999, 0.999])
    assert np.isnan(inverted(x, b)).all()


def test_an_option_does_not_depend_on_those_beside_it():
    rng = np.random.default_rng(3)
    n = 1_237
    k, t, vol = 100 * np.exp(rng.normal(0, 0.3, n)), rng.uniform(0.01, 2, n), rng.uniform(0.1, 2, n)
    is_call = rng.random(n) < 0.5
    price = black.price(100.0, k, t, vol, is_call)
    together, status = black.implied_vol(price, 100.0, k, t, is_call)
    order = rng.permutation(n)
    turned, _ = black.implied_vol(price[order], 100.0, k[order], t[order], is_call[order])
    np.testing.assert_array_equal(turned, together[order])
    for i in range(0, n, 97):
        one, why = black.implied_vol(price[i], 100.0, k[i], t[i], is_call[i])
        np.testing.assert_array_equal([one, why], [together[i], status[i]])


@pytest.mark.parametrize(
    ("forward", "strike"), [(1e-300, 1e10), (1e308, 1e-10), (1e-160, 1e160), (1e160, 1e-160)]
)
def test_forwards_and_strikes_as_far_apart_as_numbers_go_still_have_a_volatility(forward, strike):
    price = 0.25 * min(forward, strike)
    vol, status = black.implied_vol(price, forward, strike, 1.0, strike > forward)
    assert status == black.Status.OK
    assert black.price(forward, strike, 1.0, vol, strike > forward) == pytest.approx(
        price, rel=1e-9
    )


@given(st.floats(2.3e-308, 1.7e308))
def test_the_logarithm_is_within_two_units_in_the_last_place(y):
    expected = math.log(y)
    assert abs(lanes.logarithm(y) - expected) <= 2 * np.spacing(abs(expected))


@given(st.floats(1e-6, 1e9), st.floats(-20, 20))
def test_log_moneyness_keeps_its_digits_near_the_money(strike, log_strike):
    for forward in (strike * math.exp(log_strike), strike * (1 + 1e-9 * log_strike)):
        expected = normalised.log_moneyness(forward, strike)
        found = lanes.log_ratio(forward, strike)
        assert abs(found - expected) <= 3 * np.spacing(abs(expected))


@given(st.floats(1e-5, 1.3), st.floats(0, 10))
def test_differences_of_tails_keep_their_digits(s, h):
    expected = normalised.tail_difference(-h * s, s)
    assert abs(lanes.tails(-h, 0.5 * s) / expected - 1) <= 2e-13
