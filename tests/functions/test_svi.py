"""SVI slices: the published arbitrageable example and its repair, and fits against scipy's."""

import json
import math
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares, minimize_scalar
from scipy.stats import norm

from warehouse.functions import slices, svi
from warehouse.functions.svi import SviStatus


@pytest.fixture(scope="module")
def vogt(reference):
    """Gatheral & Jacquier's example 3.1: params, and the paper's jump-wings form of it."""
    table = json.loads((reference / "svi_gatheral_jacquier.json").read_text())
    a, b, m, rho, sigma = table["raw_a_b_m_rho_sigma"]
    return np.array([a, b, rho, m, sigma]), table["jw_mpmath"]


def raw_of(v, psi, p, c, vt, t=1.0):
    """Raw parameters of a jump-wings slice (the paper's lemma 3.2)."""
    v, vt = v * t, vt * t
    root = math.sqrt(v)
    b = 0.5 * root * (c + p)
    rho = 1 - p * root / b
    beta = rho - 2 * psi * root / b
    alpha = math.copysign(math.sqrt(1 / beta**2 - 1), beta)
    bend = math.copysign(math.sqrt(1 + alpha**2), alpha)
    m = (v - vt) / (b * (-rho + bend - alpha * math.sqrt(1 - rho**2)))
    sigma = alpha * m
    return np.array([vt - b * sigma * math.sqrt(1 - rho**2), b, rho, m, sigma])


def test_the_published_slice_has_its_printed_level_skew_and_wings(vogt):
    params, jump_wings = vogt
    skew, _ = svi.slope_and_curvature(params, 1.0)
    fit = svi.fit(k := np.linspace(-1.5, 1.5, 31), svi.total_variance(params, k), np.ones(31), 1.0)
    ours = svi.jump_wings(params, 1.0)
    assert float(skew) == pytest.approx(jump_wings["psi"], rel=1e-13)
    assert ours.atm_variance == pytest.approx(jump_wings["v"], rel=1e-14)
    assert ours.atm_skew == pytest.approx(jump_wings["psi"], rel=1e-13)
    assert ours.put_slope == pytest.approx(jump_wings["p"], rel=1e-13)
    assert ours.call_slope == pytest.approx(jump_wings["c"], rel=1e-13)
    assert ours.least_variance == pytest.approx(jump_wings["vt"], rel=1e-13)
    root = math.sqrt(float(ours.atm_variance))
    assert fit.lee_left / root == pytest.approx(jump_wings["p"], rel=1e-9)
    assert fit.lee_right / root == pytest.approx(jump_wings["c"], rel=1e-9)


def test_the_published_arbitrage_is_found_and_its_published_repair_has_none(vogt):
    params, jw = vogt
    grid = np.linspace(-1.5, 1.5, 20_001)
    g = svi.durrleman(params, grid)
    assert g.min() < 0
    assert 0.5 < grid[g.argmin()] < 1.2
    assert slices.minimum_of_g(params) == pytest.approx(g.min(), abs=1e-7)
    c = jw["p"] + 2 * jw["psi"]
    vt = jw["v"] * 4 * jw["p"] * c / (jw["p"] + c) ** 2
    assert (c, vt) == (pytest.approx(0.3493158, abs=5e-8), pytest.approx(0.01548182, abs=5e-9))
    assert slices.minimum_of_g(raw_of(jw["v"], jw["psi"], jw["p"], c, vt)) >= 0


def test_the_published_slice_is_recovered_from_its_own_variances(vogt):
    params, _ = vogt
    k = np.linspace(-1.2, 1.2, 25)
    fit = svi.fit(k, svi.total_variance(params, k), np.ones(25), 1.0)
    assert fit.status is SviStatus.OK
    np.testing.assert_allclose(fit.params, params, rtol=1e-8)
    assert fit.rmse_iv < 1e-12
    assert fit.min_g < 0


@st.composite
def slices_(draw):
    sd = draw(st.floats(0.02, 1.0))
    b = draw(st.floats(0.2, 1.2)) * sd
    rho, m = draw(st.floats(-0.9, 0.9)), draw(st.floats(-0.5, 0.5)) * sd
    sigma = draw(st.floats(0.2, 2.0)) * sd
    level = draw(st.floats(0.1, 1.0)) * sd * sd
    return np.array([level - b * sigma * math.sqrt(1 - rho**2), b, rho, m, sigma])


@given(slices_(), st.floats(0.003, 2.0))
@settings(max_examples=50)
def test_a_slice_is_recovered_in_volatility_from_exact_quotes(params, t):
    sd = math.sqrt(svi.total_variance(params, params[3]))
    k = params[3] + np.linspace(-3, 3, 21) * sd
    w = svi.total_variance(params, k)
    fit = svi.fit(k, w, np.ones(21), t)
    error = np.sqrt(svi.total_variance(fit.params, k) / t) - np.sqrt(w / t)
    assert np.abs(error).max() <= 1e-6 * math.sqrt(w.max() / t)
    assert fit.rmse_iv == pytest.approx(math.sqrt(np.mean(error**2)), abs=1e-12)


def test_jump_wings_give_the_slice_back(vogt):
    params, _ = vogt
    wings = svi.jump_wings(params, 0.25)
    numbers = [float(getattr(wings, f.name)) for f in fields(wings)]
    np.testing.assert_allclose(raw_of(*numbers, t=0.25), params, rtol=1e-9)
    both = svi.jump_wings(np.array([params, params]).T, [0.25, 0.0])
    assert both.atm_skew[0] == numbers[1]
    assert np.isnan([getattr(both, f.name)[1] for f in fields(both)]).all()


def test_noisy_slices_cost_no_more_than_the_best_of_twenty_scipy_starts():
    rng = np.random.default_rng(7)
    worse = [excess_over_scipy(rng) for _ in range(20)]
    assert max(worse) <= 1e-3


def excess_over_scipy(rng):
    """Cost of our fit to noisy quotes over the least of twenty scipy searches, less one."""
    t = rng.choice([1, 7, 30, 90, 365]) / 365
    sd, n = rng.uniform(0.3, 1.2) * math.sqrt(t), rng.integers(8, 45)
    b, rho = rng.uniform(0.2, 1.0) * sd, rng.uniform(-0.8, 0.6)
    m, sigma = 0.3 * rng.normal() * sd, rng.uniform(0.3, 1.5) * sd
    truth = np.array([sd**2 - b * (np.hypot(m, sigma) - rho * m), b, rho, m, sigma])
    k = np.sort(rng.uniform(-3, 3, n)) * sd
    noise = 1 + rng.choice([0.005, 0.02, 0.05]) * rng.normal(size=n)
    w = np.maximum(svi.total_variance(truth, k), 0.1 * sd * sd) * noise**2
    weight = (np.exp(-0.25 * (k / sd) ** 2) + 0.05) * rng.uniform(0.3, 3, n)

    def residual(p):
        return weight * (svi.total_variance(p, k) - w) / (2 * np.sqrt(w * t))

    width, top = np.ptp(k), w.max()
    low = [-10 * top, 0, -0.9999, k[0] - width, 1e-3 * width]
    high = [10 * top, 2, 0.9999, k[-1] + width, 10 * width]
    least = math.inf
    for _ in range(20):
        start = rng.uniform([0, 0.05, -0.8, -2, 0.1], [0.5, 1.5, 0.8, 2, 3]) * [top, sd, 1, sd, sd]
        found = least_squares(
            residual, start, bounds=(low, high), max_nfev=200, x_scale=[top, sd, 1, sd, sd]
        )
        # Its box holds slices that ours may not become: below zero, or steeper than Lee allows.
        a, b, rho, _, sigma = found.x
        if a + b * sigma * math.sqrt(1 - rho * rho) > 0 and b * (1 + abs(rho)) <= 2:
            least = min(least, 2 * found.cost)
    return np.sum(residual(svi.fit(k, w, weight, t).params) ** 2) / least - 1


@given(slices_(), slices_())
@settings(max_examples=50)
def test_the_calendar_slack_is_no_more_than_anywhere_on_a_fine_grid(earlier, later):
    least, place, wing = svi.calendar(earlier, later)
    k = np.concatenate([np.linspace(-6, 6, 6_001), -np.logspace(0.7, 2, 200)])
    slack = svi.total_variance(later, k) - svi.total_variance(earlier, k)
    assert least <= slack.min() + 1e-12
    slopes = (
        later[1] * (1 + later[2] * np.array([-1, 1])),
        earlier[1] * (1 + earlier[2] * np.array([-1, 1])),
    )
    assert wing == pytest.approx((slopes[0] - slopes[1]).min(), abs=1e-15)
    if np.isfinite(place):
        there = svi.total_variance(later, place) - svi.total_variance(earlier, place)
        assert there == pytest.approx(float(least), abs=1e-12)


def test_touching_crossing_and_parallel_slices_are_told_apart(vogt):
    params, _ = vogt
    lifted, dipped = params.copy(), params.copy()
    lifted[0] += 0.01
    assert svi.calendar(params, lifted)[::2] == (pytest.approx(0.01), 0.0)
    assert svi.calendar(lifted, params)[::2] == (pytest.approx(-0.01), 0.0)
    dipped[1] *= 1.5
    dipped[0] -= 0.03
    least, _, wing = svi.calendar(params, dipped)
    assert least < 0 < wing
    # Alike but further right: below on the right for ever, by the slope times the distance.
    moved = params.copy()
    moved[3] += 0.1
    assert svi.calendar(params, moved)[0] == pytest.approx(-0.1 * params[1] * (1 + params[2]))
    assert np.isnan(svi.calendar(params, np.full(5, np.nan))).all()
    least, _, _ = svi.calendar(np.array([params, lifted]).T, np.array([lifted, params]).T)
    np.testing.assert_allclose(least, [0.01, -0.01])


@given(slices_())
@example(np.array([-0.00896659, 0.04518509, 0.0, 0.0491333, 0.44921875]))
@settings(max_examples=50)
def test_the_least_g_is_no_more_than_on_a_fine_grid_or_near_any_of_its_minima(params):
    span = max(1.5, 6 * math.sqrt(svi.total_variance(params, 0.0)))
    grid = np.linspace(-span, span, 4_001)
    g = svi.durrleman(params, grid)
    i = int(np.clip(g.argmin(), 1, 3_999))
    best = minimize_scalar(
        lambda k: float(svi.durrleman(params, k)),
        bounds=(grid[i - 1], grid[i + 1]),
        method="bounded",
        options={"xatol": 1e-12},
    )
    least = slices.minimum_of_g(params)
    assert least <= min(best.fun, g.min()) + 1e-9 * max(1.0, abs(least))


@given(slices_(), st.floats(0.02, 0.98))
@settings(max_examples=50)
def test_the_volatility_at_a_delta_has_that_delta(params, delta):
    t = 0.25
    iv, k = svi.delta_iv(params, t, delta)
    if np.isnan(iv):
        return
    s = float(iv) * math.sqrt(t)
    assert float(norm.cdf(-k / s + s / 2)) == pytest.approx(delta, abs=1e-12)
    assert float(iv) == pytest.approx(math.sqrt(svi.total_variance(params, k) / t), rel=1e-14)


def test_a_usual_slice_has_a_strike_for_every_delta_and_impossible_deltas_have_none(vogt):
    params, _ = vogt
    iv, k = svi.delta_iv(params, 1.0, np.arange(0.05, 1.0, 0.05))
    assert np.isfinite(iv).all()
    assert (np.diff(k) < 0).all()
    assert np.isnan(svi.delta_iv(params, 1.0, [0.0, 1.0, -0.2, np.nan])).all()
    assert np.isnan(svi.delta_iv(np.full(5, np.nan), 1.0, 0.5)).all()
    assert np.isnan(svi.delta_iv(params, 0.0, 0.5)).all()


@given(slices_())
@settings(max_examples=30)
def test_slope_and_curvature_are_those_of_the_volatility(params):
    t = 0.25
    slope, curvature = svi.slope_and_curvature(params, t)
    h = 1e-3 * params[4]
    low, here, high = np.sqrt(svi.total_variance(params, [-h, 0.0, h]) / t)
    scale = here / params[4]
    assert float(slope) == pytest.approx((high - low) / (2 * h), rel=1e-4, abs=1e-4 * scale)
    second = (high - 2 * here + low) / h**2
    assert float(curvature) == pytest.approx(second, rel=1e-3, abs=1e-3 * scale / params[4])


K = np.linspace(-0.5, 0.5, 7)
W = 0.04 + 0.1 * K**2


@pytest.mark.parametrize(
    ("k", "w", "weight", "t", "expected"),
    [
        (K[:4], W[:4], np.ones(4), 0.1, SviStatus.TOO_FEW_STRIKES),
        ([], [], [], 0.1, SviStatus.TOO_FEW_STRIKES),
        (np.repeat(K[:4], 2), np.repeat(W[:4], 2), np.ones(8), 0.1, SviStatus.TOO_FEW_STRIKES),
        (K, W, [1, 1, 1, 1, 0, 0, 0], 0.1, SviStatus.TOO_FEW_STRIKES),
        (K, np.where(K > 0.4, np.nan, W), np.ones(7), 0.1, SviStatus.NOT_FINITE),
        (np.where(K > 0.4, np.inf, K), W, np.ones(7), 0.1, SviStatus.NOT_FINITE),
        (K, W, np.where(K > 0.4, np.nan, 1), 0.1, SviStatus.NOT_FINITE),
        (K, np.where(K > 0.4, 0.0, W), np.ones(7), 0.1, SviStatus.NOT_POSITIVE),
        (K, W, np.where(K > 0.4, -1, 1), 0.1, SviStatus.NOT_POSITIVE),
        (K, W, np.ones(7), 0.0, SviStatus.NO_TIME),
        (K, W, np.ones(7), np.nan, SviStatus.NO_TIME),
    ],
)
def test_an_unfittable_slice_says_why(k, w, weight, t, expected):
    fit = svi.fit(k, w, weight, t)
    assert fit.status is expected
    assert np.isnan([*fit.params, fit.rmse_iv, fit.min_g, fit.lee_left, fit.lee_right]).all()


def test_a_weight_of_zero_leaves_a_quote_out():
    wild = W.copy()
    wild[3] = 9.0
    weight = np.where(np.arange(7) == 3, 0.0, 1.0)
    left_out = svi.fit(np.delete(K, 3), np.delete(W, 3), np.ones(6), 0.1)
    np.testing.assert_allclose(svi.fit(K, wild, weight, 0.1).params, left_out.params, rtol=1e-9)


def test_wings_stay_within_lees_bound_and_variance_above_zero():
    fit = svi.fit(K, [3.0, 1.9, 0.9, 0.001, 0.9, 1.9, 3.0], np.ones(7), 0.1)
    assert fit.lee_left <= 2.0
    assert fit.lee_right <= 2.0
    assert svi.total_variance(fit.params, np.linspace(-2, 2, 1001)).min() > 0


def test_columns_of_unequal_length_are_refused():
    with pytest.raises(ValueError, match="svi: 7 k, 6 variances, 7 weights"):
        svi.fit(K, W[:6], np.ones(7), 0.1)
