"""Hedging by what past moves taught: planted dynamics are learnt, and the future never is."""

import doctest
import math

import numpy as np
import pytest
from scipy.stats import norm

from warehouse.functions import black, hedges, svi
from warehouse.functions.hedges import HEDGED_DELTAS, MINIMUM_MOVES

SKEW, T = -0.25, 0.1


def world(rng, ratio, count=200, noise=0.0):
    """Slices of one expiry whose volatility at the forward moves by ratio x skew x log return."""
    moves = np.concatenate([[0.0], rng.normal(0, 0.004, count - 1)])
    vol = 0.6 + np.cumsum(ratio * SKEW * moves + noise * rng.normal(size=count))
    forward = 60_000 * np.exp(np.cumsum(moves))
    # With b and rho fixed the slope at the forward, d iv / dk, is b rho / (2 vol T).
    b, sigma = 0.08, 0.15
    rho = 2 * SKEW * vol * T / b
    rows = [(v * v * T - b * sigma, b, r, 0.0, sigma) for v, r in zip(vol, rho, strict=True)]
    return np.array(rows), forward, np.full(count, T)


def value(params, forward, t, strike):
    vol = math.sqrt(float(svi.total_variance(params, math.log(strike / forward))) / t)
    return float(black.price(forward, strike, t, vol, True))


def errors(params, forward, t, first, last):
    """Per move and call: Black's hedge error and Hull & White's three variables, the slow way."""
    rows = []
    for s in range(first, last):
        for delta in HEDGED_DELTAS:
            iv, k = svi.delta_iv(params[s], t[s], delta)
            strike = forward[s] * math.exp(float(k))
            before = value(params[s], forward[s], t[s], strike)
            after = value(params[s + 1], forward[s + 1], t[s + 1], strike)
            move = forward[s + 1] - forward[s]
            greeks = black.greeks(forward[s], strike, t[s], float(iv), True)
            bump = float(greeks.vega) / (forward[s] * math.sqrt(t[s])) * move
            rows.append((after - before - delta * move, bump, bump * delta, bump * delta * delta))
    return np.array(rows)


def test_the_coefficients_are_least_squares_over_the_moves_of_the_window():
    rows, forward, t = world(np.random.default_rng(3), 0.4, 60, 2e-4)
    found = hedges.hedges(rows, forward, t, 30)
    table = errors(rows, forward, t, 29, 59)
    expected = np.linalg.lstsq(table[:, 1:], table[:, 0], rcond=None)[0]
    np.testing.assert_allclose(found.coefficients[59], expected, rtol=1e-6)
    assert (found.moves_used[59], found.moves_hedged[59]) == (30, 30 - MINIMUM_MOVES)


def test_the_gain_is_of_moves_hedged_by_those_before_them():
    rows, forward, t = world(np.random.default_rng(4), 0.4, 60, 2e-4)
    found = hedges.hedges(rows, forward, t, 45)
    table = errors(rows, forward, t, 14, 59).reshape(45, len(HEDGED_DELTAS), 4)
    black_cost = cost = 0.0
    for s in range(MINIMUM_MOVES, 45):
        past = table[:s].reshape(-1, 4)
        learnt = np.linalg.lstsq(past[:, 1:], past[:, 0], rcond=None)[0]
        black_cost += np.sum(table[s, :, 0] ** 2)
        cost += np.sum((table[s, :, 0] - table[s, :, 1:] @ learnt) ** 2)
    assert found.hull_white_gain[59] == pytest.approx(1 - cost / black_cost, rel=1e-6)


@pytest.mark.parametrize("ratio", [-0.5, 0.3, 2.0])
def test_where_volatility_moves_with_the_forward_both_beat_black(ratio):
    found = hedges.hedges(*world(np.random.default_rng(5), ratio), 150)
    assert found.hull_white_gain[-1] > 0.8
    assert found.stickiness_gain[-1] > 0.8


def test_where_volatility_goes_its_own_way_there_is_nothing_to_gain():
    rng = np.random.default_rng(6)
    vol = 0.6 + np.cumsum(1e-3 * rng.normal(size=200))
    flat = np.array([(v * v * T, 0.0, 0.0, 0.0, 1.0) for v in vol])
    forward = 60_000 * np.exp(np.cumsum(rng.normal(0, 0.004, 200)))
    found = hedges.hedges(flat, forward, np.full(200, T), 150)
    assert -0.1 < found.hull_white_gain[-1] < 0.05
    assert found.stickiness_gain[-1] == 0.0


def test_what_comes_later_changes_nothing():
    rows, forward, t = world(np.random.default_rng(7), 0.4, 80, 1e-4)
    whole, cut = (
        hedges.hedges(rows, forward, t, 48),
        hedges.hedges(*(v[:60] for v in (rows, forward, t)), 48),
    )
    np.testing.assert_array_equal(whole.coefficients[:60], cut.coefficients)
    np.testing.assert_array_equal(whole.hull_white_gain[:60], cut.hull_white_gain)


def test_a_row_is_the_same_whatever_was_known_before_its_window():
    rows, forward, t = world(np.random.default_rng(8), 0.4, 120, 1e-4)
    whole = hedges.hedges(rows, forward, t, 40)
    late = hedges.hedges(rows[60:], forward[60:], t[60:], 40, begin=50)
    np.testing.assert_allclose(whole.coefficients[110:], late.coefficients[50:], rtol=1e-9)
    np.testing.assert_allclose(whole.stickiness_gain[110:], late.stickiness_gain[50:], rtol=1e-9)
    assert np.isnan(late.coefficients[:50]).all()


def test_too_few_moves_and_missing_slices_teach_nothing():
    rows, forward, t = world(np.random.default_rng(9), 0.4, 40)
    few = hedges.hedges(rows[:MINIMUM_MOVES], forward[:MINIMUM_MOVES], t[:MINIMUM_MOVES], 40)
    assert np.isnan(few.coefficients).all()
    rows[::2] = np.nan
    none = hedges.hedges(rows, forward, t, 40)
    assert np.isnan(none.coefficients).all()
    assert none.moves_used.max() == 0
    assert hedges.hedges(np.empty((0, 5)), [], [], 10).moves_used.size == 0
    with pytest.raises(ValueError, match="40 slices, 39 forwards"):
        hedges.hedges(rows, forward[1:], t, 40)


def test_the_delta_is_the_formula_of_the_paper():
    delta = np.array(HEDGED_DELTAS)
    bump = norm.pdf(norm.ppf(delta))
    expected = delta + bump * (-0.1 + 0.05 * delta + 0.02 * delta**2)
    np.testing.assert_allclose(hedges.hull_white_call_delta(delta, -0.1, 0.05, 0.02), expected)
    assert np.isnan(hedges.hull_white_call_delta([0.0, 1.0, np.nan], -0.1, 0.0, 0.0)).all()
    assert doctest.testmod(hedges).failed == 0
