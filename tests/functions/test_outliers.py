"""Quotes that are grossly wrong: they do not move the slice, and nothing else is called wrong."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.functions import svi
from warehouse.functions.leave_out import left_out

T = 0.1
STRIKES = 25


@st.composite
def chains(draw):
    """Strikes even over three deviations, volatilities within bid and ask, half spreads."""
    sd = draw(st.floats(0.05, 0.4))
    b, rho = draw(st.floats(0.2, 1.0)) * sd, draw(st.floats(-0.8, 0.6))
    m, sigma = draw(st.floats(-0.4, 0.4)) * sd, draw(st.floats(0.3, 1.5)) * sd
    level = sd * sd - b * (math.hypot(m, sigma) - rho * m)
    k = np.linspace(-2.5, 2.5, STRIKES) * sd
    w = np.maximum(svi.total_variance([level, b, rho, m, sigma], k), 0.2 * sd * sd)
    iv = np.sqrt(w / T)
    half = iv * draw(st.floats(0.002, 0.02)) * (1 + 0.4 * np.abs(k) / sd)
    lean = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).uniform(-0.5, 0.5, STRIKES)
    return k, iv + lean * half, half


def fitted(k, iv, half):
    return svi.fit(k, iv * iv * T, 1 / half, T)


def at_the_money(fit):
    return math.sqrt(float(svi.total_variance(fit.params, 0.0)) / T)


@given(chains(), st.integers(0, STRIKES - 1), st.sampled_from([-30.0, 30.0]))
@settings(max_examples=150, deadline=None)
def test_one_quote_30_half_spreads_off_moves_the_forward_vol_by_less_than_one(
    chain, place, half_spreads
):
    k, iv, half = chain
    sound = fitted(k, iv, half)
    moved = iv.copy()
    moved[place] = max(iv[place] + half_spreads * half[place], 0.1 * iv[place])
    found = fitted(k, moved, half)
    assert abs(at_the_money(found) - at_the_money(sound)) < half[STRIKES // 2]
    assert found.outliers == sound.outliers + 1 == 1


def noisy(rng, noise):
    """Chains of many shapes whose noise is in half spreads."""
    for _ in range(200):
        sd = rng.uniform(0.05, 0.4)
        b, rho = rng.uniform(0.2, 1.0) * sd, rng.uniform(-0.8, 0.6)
        m, sigma = 0.3 * rng.normal() * sd, rng.uniform(0.3, 1.5) * sd
        level = sd * sd - b * (math.hypot(m, sigma) - rho * m)
        k = np.sort(rng.uniform(-3, 3, STRIKES)) * sd
        w = np.maximum(svi.total_variance([level, b, rho, m, sigma], k), 0.1 * sd * sd)
        iv = np.sqrt(w / T)
        half = iv * rng.uniform(0.002, 0.02) * rng.uniform(0.7, 1.4, STRIKES)
        yield k, iv + half * noise(STRIKES), half


@pytest.mark.parametrize("kind", ["uniform", "normal", "none"])
def test_nothing_is_called_wrong_among_quotes_that_are_only_noisy(kind):
    rng = np.random.default_rng(11)
    noise = {
        "uniform": lambda n: rng.uniform(-1, 1, n),
        "normal": lambda n: 0.7 * rng.normal(size=n),
        "none": np.zeros,
    }[kind]
    assert sum(fitted(*chain).outliers for chain in noisy(rng, noise)) == 0


def test_a_hundredth_of_garbage_is_found_and_nothing_else():
    rng = np.random.default_rng(5)
    planted = found = accused = 0
    for k, iv, half in noisy(rng, lambda n: rng.uniform(-0.5, 0.5, n)):
        is_wrong = rng.random(STRIKES) < 0.01
        off = np.where(is_wrong, 30 * half * rng.choice([-1, 1], STRIKES), 0.0)
        moved = np.maximum(iv + off, 0.2 * iv)
        params = fitted(k, moved, half).params[:, None]
        said = left_out(params, [T], k, moved * moved * T, 1 / half, [0, STRIKES]).is_outlier
        planted += is_wrong.sum()
        found += (said & is_wrong).sum()
        accused += (said & ~is_wrong).sum()
    assert planted > 30
    assert (found, accused) == (planted, 0)


def test_two_wrong_quotes_side_by_side_do_not_hide_each_other():
    k = np.linspace(-0.5, 0.5, STRIKES)
    iv = np.sqrt(svi.total_variance((0.004, 0.06, -0.3, 0.01, 0.10), k) / T)
    half = np.full(STRIKES, 0.005)
    moved = iv.copy()
    moved[[14, 15]] += 0.1
    found = fitted(k, moved, half)
    assert found.outliers == 2
    assert at_the_money(found) == pytest.approx(np.interp(0.0, k, iv), abs=1e-6)


def test_no_more_than_an_eighth_of_the_quotes_is_called_wrong():
    rng = np.random.default_rng(2)
    k = np.linspace(-0.5, 0.5, STRIKES)
    iv = rng.uniform(0.2, 2.0, STRIKES)
    assert fitted(k, iv, np.full(STRIKES, 0.001)).outliers <= STRIKES // 8
    assert fitted(k[:7], iv[:7], np.full(7, 0.001)).outliers == 0


def test_a_repair_does_not_bend_to_a_wrong_quote():
    k, years = np.linspace(-0.5, 0.5, STRIKES), (0.05, 0.1)
    slices = [
        np.array([0.004, 0.06, -0.3, 0.01, 0.10]) * [t / 0.1, t / 0.1, 1, 1, 1] for t in years
    ]
    w = [svi.total_variance(p, k) for p in slices]
    w[0] = w[0].copy()
    w[0][12] *= 4.0  # twice the volatility of the forward
    w[1] = 0.7 * w[0].min() + 0 * w[1] + 0.3 * w[1]
    weight = [np.full(STRIKES, 200.0)] * 2
    raw = [svi.fit(k, v, q, t) for v, q, t in zip(w, weight, years, strict=True)]
    assert raw[0].outliers == 1
    done = svi.repair([f.params for f in raw], years, [k, k], w, weight)
    sound = w[0].copy()
    sound[12] /= 4.0
    same = svi.repair([f.params for f in raw], years, [k, k], [sound, w[1]], weight)
    assert done.status[0] is not svi.RepairStatus.CLEAN
    np.testing.assert_allclose(done.params[0][:2], same.params[0][:2], rtol=0.05)
