"""The risk-neutral law: lognormal where the smile is flat, mass one, mean the forward."""

import doctest
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from warehouse.functions import black, density, slices, svi
from warehouse.functions.density import LawStatus

VOGT = np.array([-0.0410, 0.1331, 0.3060, 0.3586, 0.4153])
LEVELS = np.array([0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99])


@st.composite
def clean_slices(draw):
    sd = draw(st.floats(0.02, 0.8))
    b = draw(st.floats(0.1, 0.8)) * sd
    rho, m = draw(st.floats(-0.8, 0.8)), draw(st.floats(-0.3, 0.3)) * sd
    sigma = draw(st.floats(0.3, 2.0)) * sd
    level = draw(st.floats(0.3, 1.0)) * sd * sd
    p = np.array([level - b * sigma * math.sqrt(1 - rho**2), b, rho, m, sigma])
    assume(slices.minimum_of_g(p) > 0.0)
    return p


@given(st.floats(0.005, 1.5))
def test_a_flat_smile_is_lognormal(sd):
    found = density.law([[sd**2], [0.0], [0.0], [0.0], [0.1]], LEVELS)
    assert found.status == LawStatus.OK
    np.testing.assert_allclose(
        found.quantile_k[0], norm.ppf(LEVELS, -(sd**2) / 2, sd), rtol=1e-10, atol=1e-12
    )
    drops = norm.cdf(np.log([0.9, 0.8, 0.7]), -(sd**2) / 2, sd)
    np.testing.assert_allclose(found.probability_below[0], drops, rtol=1e-12, atol=1e-300)
    k = np.linspace(-3, 3, 7) * sd
    flat = [sd**2, 0, 0, 0, 0.1]
    np.testing.assert_allclose(density.density(flat, k), norm.pdf(k, -(sd**2) / 2, sd), rtol=1e-9)
    assert float(found.minimum_g[0]) == 1.0


@given(clean_slices())
def test_a_slice_without_arbitrage_has_mass_one_and_the_forward_as_its_mean(p):
    found = density.law(p[:, None], LEVELS)
    assert found.status == LawStatus.OK
    assert float(found.mass[0]) == pytest.approx(1.0, abs=1e-9)
    assert float(found.mean_error[0]) == pytest.approx(0.0, abs=1e-6)
    assert float(found.negative_mass[0]) == 0.0
    assert (np.diff(found.quantile_k[0]) > 0).all()
    np.testing.assert_allclose(density.distribution(p, found.quantile_k[0]), LEVELS, atol=1e-12)
    assert (np.diff(found.probability_below[0]) <= 0).all()


@given(clean_slices())
def test_mass_and_mean_are_those_of_the_density_by_scipy(p):
    sd = math.sqrt(svi.total_variance(p, 0.0))
    low, high = -8 * sd, 8 * sd
    steps = np.linspace(low, high, 33)

    def integral(f):
        return sum(quad(f, a, b, epsabs=1e-13, epsrel=1e-11)[0] for a, b in pairwise(steps))

    mass = integral(lambda k: float(density.density(p, k)))
    between = density.distribution(p, high) - density.distribution(p, low)
    assert mass == pytest.approx(float(between), abs=1e-9)
    mean = integral(lambda k: math.exp(k) * float(density.density(p, k)))
    tails = density.mean_below(p, low) + density.mean_above(p, high)
    assert mean == pytest.approx(1.0 - tails, abs=1e-9)


def test_the_distribution_is_the_slope_of_the_put_over_strikes():
    p, h = VOGT, 1e-5
    strike = np.array([0.6, 0.9, 1.0, 1.2])

    def put(x):
        return black.price(1.0, x, 1.0, np.sqrt(svi.total_variance(p, np.log(x))), False)

    slope = (put(strike + h) - put(strike - h)) / (2 * h)
    np.testing.assert_allclose(density.distribution(p, np.log(strike)), slope, atol=1e-8)


def test_the_published_arbitrage_has_negative_mass_and_says_so():
    found = density.law(VOGT[:, None], [0.05, 0.5])
    assert found.status == LawStatus.NEGATIVE_DENSITY
    assert found.minimum_g[0] < 0
    k = np.linspace(-2, 4, 600_001)
    pdf = density.density(VOGT, k)
    assert float(found.negative_mass[0]) == pytest.approx(
        -np.trapezoid(np.minimum(pdf, 0), k), rel=1e-6
    )
    # It lies far above the forward: low quantiles are still those of the whole distribution.
    assert float(found.mass[0]) == pytest.approx(1.0, abs=1e-9)
    assert np.isfinite(found.quantile_k).all()


def test_a_level_the_distribution_passes_twice_has_no_quantile():
    sharp = np.array([0.001, 0.9, 0.0, 0.1, 0.002])
    found = density.law(sharp[:, None], np.linspace(0.01, 0.99, 99))
    assert found.status == LawStatus.NEGATIVE_DENSITY
    k = np.linspace(-3, 3, 200_001)
    whole = density.distribution(sharp, k)
    passes = [np.count_nonzero(np.diff(whole < v)) for v in np.linspace(0.01, 0.99, 99)]
    assert (np.isnan(found.quantile_k[0]) == (np.array(passes) != 1)).all()
    assert np.isnan(found.quantile_k).any()
    assert np.isfinite(found.quantile_k).any()


def test_a_wing_at_the_bound_loses_its_mean():
    """A right wing of slope 2 leaves half of the forward at infinity."""
    steep = np.array([0.02, 1.0, 1.0, 0.0, 0.1])
    found = density.law(steep[:, None])
    assert float(found.mean_error[0]) == pytest.approx(-0.5, abs=0.01)


def test_what_is_no_slice_says_so_and_impossible_questions_are_refused():
    nan = np.full(5, math.nan)
    negative = np.array([-0.01, 0.05, 0.0, 0.0, 0.1])
    beyond = np.array([-1.0, 0.5, 0.9, -6.0, 0.1])
    fine = np.array([0.04, 0.0, 0.0, 0.0, 0.1])
    found = density.law(np.array([nan, negative, beyond, fine]).T, [0.5])
    names = [LawStatus(s).name for s in found.status]
    assert names == ["NO_SLICE", "NOT_POSITIVE", "NOT_POSITIVE", "OK"]
    for column in (found.mass, found.quantile_k[:, 0], found.probability_below[:, 2]):
        assert np.isnan(column).tolist() == [True, True, True, False]
    with pytest.raises(ValueError, match="levels"):
        density.law(fine[:, None], [0.0])
    with pytest.raises(ValueError, match="drops"):
        density.law(fine[:, None], [], [1.0])
    with pytest.raises(ValueError, match="five rows"):
        density.law(fine)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(density).failed == 0
