"""Smile dynamics: planted stickiness is found, and each delta is the slope of its own model."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.functions import black, dynamics, svi


def moving_smile(rng, ratio, count=500, noise=1e-4):
    """Even steps of one expiry: volatility at the forward follows ratio x skew x return."""
    returns = np.concatenate([[0.0], rng.normal(0, 0.01, count - 1)])
    skew = -0.2 + 0.02 * np.cumsum(rng.normal(0, 0.05, count))
    follows = ratio * skew[:-1] * returns[1:] + rng.normal(0, noise, count - 1)
    iv = 0.6 + np.concatenate([[0.0], np.cumsum(follows)])
    return iv, skew, 60_000 * np.exp(np.cumsum(returns))


@pytest.mark.parametrize("ratio", [0.0, 1.0, 1.7])
def test_a_planted_ratio_is_found_within_its_error(ratio):
    misses = []
    for seed in range(40):
        found = dynamics.skew_stickiness(*moving_smile(np.random.default_rng(seed), ratio), 400)
        misses.append((found.ratio[-1] - ratio) / found.standard_error[-1])
    assert found.steps_used[-1] == 400
    assert found.r_squared[-1] > (0.9 if ratio else -0.1)
    # Errors are in units of the estimated one: about standard normal.
    assert abs(np.mean(misses)) < 0.5
    assert np.std(misses) == pytest.approx(1.0, abs=0.35)


def test_the_line_and_its_error_are_least_squares_with_newey_and_wests_weights():
    iv, skew, forward = moving_smile(np.random.default_rng(7), 1.2, 120, 1e-3)
    found = dynamics.skew_stickiness(iv, skew, forward, 100)
    y = np.diff(iv)[-100:]
    x = (skew[:-1] * np.diff(np.log(forward)))[-100:]
    a = np.column_stack([np.ones(100), x])
    beta = np.linalg.lstsq(a, y, rcond=None)[0]
    score = a * (y - a @ beta)[:, None]
    meat = score.T @ score
    for lag in range(1, 5):
        cross = score[lag:].T @ score[:-lag]
        meat += (1 - lag / 5) * (cross + cross.T)
    bread = np.linalg.inv(a.T @ a)
    error = math.sqrt((bread @ meat @ bread)[1, 1] * 100 / 98)
    assert found.ratio[-1] == pytest.approx(beta[1], rel=1e-9)
    assert found.standard_error[-1] == pytest.approx(error, rel=1e-9)
    assert found.r_squared[-1] == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, rel=1e-9)


@given(st.integers(0, 2**32 - 1), st.integers(40, 80))
@settings(max_examples=20)
def test_the_future_never_changes_a_ratio(seed, cut):
    columns = moving_smile(np.random.default_rng(seed), 1.0, 100)
    other = [c.copy() for c in columns]
    for c in other:
        c[cut:] *= 1.5
    one, two = (dynamics.skew_stickiness(*c, 60) for c in (columns, other))
    np.testing.assert_array_equal(one.ratio[:cut], two.ratio[:cut])
    np.testing.assert_array_equal(one.standard_error[:cut], two.standard_error[:cut])


def test_a_missing_row_takes_both_of_its_steps_and_too_few_steps_have_no_ratio():
    iv, skew, forward = moving_smile(np.random.default_rng(8), 1.0, 60)
    iv[20], forward[40] = np.nan, 0.0
    found = dynamics.skew_stickiness(iv, skew, forward, 100)
    assert found.steps_used[-1] == 55
    # The skew of a row serves the step after it, whose ends are missing too.
    assert np.isnan(found.ratio[:32]).all()
    assert np.isfinite(found.ratio[33:]).all()
    flat = dynamics.skew_stickiness(iv, np.zeros(60), forward, 100)
    assert np.isnan(flat.ratio).all()
    with pytest.raises(ValueError, match="window of 10 steps"):
        dynamics.skew_stickiness(iv, skew, forward, 10)
    with pytest.raises(ValueError, match="columns of"):
        dynamics.skew_stickiness(iv, skew[1:], forward, 40)


@pytest.mark.parametrize("ratio", [0.0, 1.0, 1.5, 2.0])
@pytest.mark.parametrize("strike", [45_000.0, 60_000.0, 75_000.0])
def test_the_stickiness_delta_is_the_slope_of_the_price_when_the_smile_moves(ratio, strike):
    forward, t, skew, bend = 60_000.0, 0.1, -0.15, 0.4

    def smile(k, level):
        return level + skew * k + bend * k * k

    def price(f):
        level = 0.6 + ratio * skew * math.log(f / forward)
        return float(black.price(f, strike, t, smile(math.log(strike / f), level), True))

    k = math.log(strike / forward)
    g = black.greeks(forward, strike, t, smile(k, 0.6), True)
    found = dynamics.stickiness_delta(g.delta, g.vega, forward, skew, skew + 2 * bend * k, ratio)
    slope = (price(forward + 1) - price(forward - 1)) / 2
    assert float(found) == pytest.approx(slope, abs=1e-7)


def hedged_steps(rng, count=3_000, coefficients=(-0.2, 0.3, -0.4), noise=20.0):
    forward, t = rng.uniform(5e4, 7e4, count), rng.uniform(0.02, 0.5, count)
    strike = forward * np.exp(rng.normal(0, 0.2, count))
    g = black.greeks(forward, strike, t, 0.6, True)
    move = forward * rng.normal(0, 0.02, count)
    best = dynamics.hull_white_delta(g.delta, g.vega, forward, t, coefficients)
    return best * move + rng.normal(0, noise, count), move, g.delta, g.vega, forward, t


def test_planted_coefficients_are_found_within_their_errors():
    truth, misses = np.array([-0.2, 0.3, -0.4]), []
    for seed in range(40):
        found = dynamics.hull_white_fit(*hedged_steps(np.random.default_rng(seed)))
        misses.append((found.coefficients - truth) / found.standard_errors)
    assert np.abs(np.mean(misses, axis=0)).max() < 0.5
    np.testing.assert_allclose(np.std(misses, axis=0), 1.0, atol=0.35)
    assert 0.0 < found.gain < 1.0


def test_the_fit_is_least_squares_and_its_delta_hedges_better_than_blacks():
    rows = hedged_steps(np.random.default_rng(1))
    value, move, delta, vega, forward, t = rows
    found = dynamics.hull_white_fit(*rows)
    scale = vega / np.sqrt(t) * move / forward
    a = np.column_stack([scale, scale * delta, scale * delta**2])
    beta = np.linalg.lstsq(a, value - delta * move, rcond=None)[0]
    np.testing.assert_allclose(found.coefficients, beta, rtol=1e-8)
    best = dynamics.hull_white_delta(delta, vega, forward, t, found.coefficients)
    errors = [np.sum((value - d * move) ** 2) for d in (best, delta)]
    assert found.gain == pytest.approx(1 - errors[0] / errors[1], rel=1e-8)
    e = value - delta * move - a @ beta
    bread = np.linalg.inv(a.T @ a)
    white = np.sqrt(np.diag(bread @ (a.T @ (a * e[:, None] ** 2)) @ bread) * e.size / (e.size - 3))
    np.testing.assert_allclose(found.standard_errors, white, rtol=1e-8)


def test_unusable_steps_are_passed_over_and_too_few_have_no_fit():
    rows = [c.copy() for c in hedged_steps(np.random.default_rng(2), 60)]
    rows[0][3], rows[5][7], rows[4][9] = np.nan, 0.0, -1.0
    keep = np.delete(np.arange(60), [3, 7, 9])
    one = dynamics.hull_white_fit(*rows)
    two = dynamics.hull_white_fit(*(c[keep] for c in rows))
    assert one.observations == 57
    np.testing.assert_array_equal(one.coefficients, two.coefficients)
    few = dynamics.hull_white_fit(*(c[:29] for c in rows))
    assert np.isnan([*few.coefficients, *few.standard_errors, few.gain]).all()
    same = dynamics.hull_white_fit(*(np.full(40, v) for v in (1.0, 2.0, 0.5, 1.0, 10.0, 1.0)))
    assert np.isnan(same.coefficients).all()
    assert np.isnan(dynamics.hull_white_delta(0.5, 1.0, 0.0, 1.0, [0, 0, 0]))
    assert np.isnan(dynamics.stickiness_delta(0.5, 1.0, 0.0, 1.0, 1.0, 1.0))


def test_a_strike_is_read_on_each_slice_at_its_own_distance_from_the_forward():
    before, after = np.array([0.005, 0.06, -0.3, 0.02, 0.15]), np.array([0.006, 0.05, -0.2, 0, 0.1])
    strike = np.array([50_000.0, 60_000.0, -1.0, 80_000.0])
    found = dynamics.fixed_strike_change(strike, before, 60_000.0, 0.1, after, 61_000.0, 0.09)
    for i in (0, 1, 3):
        old = math.sqrt(svi.total_variance(before, math.log(strike[i] / 60_000)) / 0.1)
        new = math.sqrt(svi.total_variance(after, math.log(strike[i] / 61_000)) / 0.09)
        assert found[i] == pytest.approx(new - old, rel=1e-12)
    assert np.isnan(found[2])
    moved = dynamics.fixed_strike_change(
        strike[0], before, [6e4, 0.0], 0.1, before, 6e4, [0.1, 0.1]
    )
    np.testing.assert_array_equal(moved, [0.0, np.nan])


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(dynamics).failed == 0
