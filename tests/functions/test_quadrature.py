"""The continuous strip: closed forms, scipy's quadrature, and the law that the slice implies."""

import doctest
import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from warehouse.functions import black, quadrature, slices, svi, varswap
from warehouse.functions.quadrature import VarianceStatus

VOGT = np.array([-0.0410, 0.1331, 0.3060, 0.3586, 0.4153])
USUAL = np.array([0.005, 0.06, -0.3, 0.02, 0.15])


@st.composite
def clean_slices(draw):
    sd = draw(st.floats(0.03, 0.8))
    b = draw(st.floats(0.1, 0.8)) * sd
    rho, m = draw(st.floats(-0.8, 0.8)), draw(st.floats(-0.3, 0.3)) * sd
    sigma = draw(st.floats(0.3, 2.0)) * sd
    level = draw(st.floats(0.3, 1.0)) * sd * sd
    p = np.array([level - b * sigma * math.sqrt(1 - rho**2), b, rho, m, sigma])
    assume(slices.minimum_of_g(p) > 0.0)
    return p


def strip_by_scipy(p, low, high):
    """The integral of the price over strikes, piece by piece."""

    def price(k):
        strike, vol = math.exp(k), math.sqrt(svi.total_variance(p, k))
        return 2 * float(black.price(1.0, strike, 1.0, vol, k >= 0)) / strike

    sd = math.sqrt(svi.total_variance(p, 0.0))
    cuts = [0.0, p[3], *(n * sd for n in (-20, -8, -3, 3, 8, 20))]
    ends = [low, *sorted(v for v in cuts if low < v < high), high]
    return sum(quad(price, a, b, epsabs=1e-14, epsrel=1e-11)[0] for a, b in pairwise(ends))


@given(st.floats(1e-6, 9.0))
def test_a_flat_slice_replicates_its_own_variance(w):
    found = quadrature.slice_variance([w, 0.0, 0.0, 0.0, 0.1])
    assert found.status == VarianceStatus.OK
    assert float(found.total_variance) == pytest.approx(w, rel=1e-9)
    assert float(found.coverage_share) == 1.0


@pytest.mark.parametrize("p", [VOGT, USUAL, USUAL * [1, 1, 1, 1, 0.01]])
def test_the_integral_is_scipys(p):
    sd = math.sqrt(svi.total_variance(p, 0.0))
    found = quadrature.slice_variance(p, -sd, 2 * sd)
    inside = strip_by_scipy(p, -sd, 2 * sd)
    assert float(found.total_variance * found.coverage_share) == pytest.approx(inside, rel=1e-8)
    wide = strip_by_scipy(p, -20, 20)
    assert float(found.total_variance) == pytest.approx(wide, rel=1e-8)


@given(clean_slices())
def test_the_integral_is_the_expected_squared_vol_over_the_law_of_d2(p):
    """Fukasawa (2012): variance = E[w(k(z))] where z = -d2 is standard normal, if d2 falls in k."""
    k = np.linspace(-1, 1, 200_001) * 12 * math.sqrt(svi.total_variance(p, 0.0))
    w = svi.total_variance(p, k)
    z = k / np.sqrt(w) + np.sqrt(w) / 2
    assume(bool((np.diff(z) > 0).all()) and z[0] < -6 and z[-1] > 6)
    expected = np.trapezoid(w * norm.pdf(z), z)
    found = quadrature.slice_variance(p)
    assert float(found.total_variance) == pytest.approx(expected, rel=1e-6)


@given(clean_slices(), st.floats(-3, 3), st.floats(-3, 3))
def test_shares_of_neighbouring_ranges_add_up_to_one(p, one, two):
    sd = math.sqrt(svi.total_variance(p, 0.0))
    low, high = sorted((one * sd, two * sd))
    cuts = [-math.inf, low, high, math.inf]
    shares = quadrature.slice_variance(p[:, None], cuts[:-1], cuts[1:]).coverage_share
    assume(np.isfinite(shares).all())
    assert shares.min() >= -1e-9
    assert float(shares.sum()) == pytest.approx(1.0, abs=1e-9)


def test_the_strip_of_listed_strikes_converges_to_the_integral():
    t, forward = 0.1, 60_000.0
    w = float(quadrature.slice_variance(USUAL).total_variance)
    errors = []
    for step in (2_000.0, 500.0, 125.0):
        strike = np.arange(step, 400_000.0, step)
        vol = np.sqrt(svi.total_variance(USUAL, np.log(strike / forward)) / t)
        call, put = (black.price(forward, strike, t, vol, is_call) for is_call in (True, False))
        errors.append(
            abs(varswap.replicate(strike, call, call, put, put, t).total_variance / w - 1)
        )
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1e-4


def test_a_heavy_wing_far_beyond_any_strike_is_still_summed():
    """b (1 - rho) of 1.2: the integrand falls by a factor e only every 14 in k."""
    heavy = np.array([0.02, 0.7, -0.7, 0.0, 0.1])
    found = quadrature.slice_variance(heavy)
    assert found.status == VarianceStatus.OK
    z = np.linspace(-9, 9, 4_001)
    low, high = np.full(z.size, -1e4), np.full(z.size, 1e4)
    for _ in range(80):
        k = (low + high) / 2
        root = np.sqrt(svi.total_variance(heavy, k))
        is_below = k / root + root / 2 < z
        low, high = np.where(is_below, k, low), np.where(is_below, high, k)
    expected = np.trapezoid(svi.total_variance(heavy, low) * norm.pdf(z), z)
    assert float(found.total_variance) == pytest.approx(expected, rel=1e-6)


def test_flat_wings_leave_out_what_the_slice_adds_beyond_the_quotes():
    sd = math.sqrt(svi.total_variance(USUAL, 0.0))
    own = quadrature.slice_variance(USUAL, -sd, sd)
    flat = quadrature.slice_variance(USUAL, -sd, sd, has_flat_wings=True)
    assert flat.total_variance < own.total_variance
    inside = own.total_variance * own.coverage_share
    assert float(flat.total_variance * flat.coverage_share) == pytest.approx(
        float(inside), rel=1e-9
    )


def test_a_slice_without_a_finite_variance_says_why():
    nan = np.full(5, math.nan)
    negative = np.array([-0.01, 0.05, 0.0, 0.0, 0.1])
    dips = np.array([0.01, 0.3, 0.9, 0.0, 0.1]) - [0.05, 0, 0, 0, 0]
    steep = np.array([0.01, 1.0, -1.0, 0.0, 0.1])
    found = quadrature.slice_variance(np.array([nan, negative, dips, steep, USUAL]).T)
    expected = ["NO_SLICE", "NOT_POSITIVE", "NOT_POSITIVE", "UNBOUNDED", "OK"]
    assert [VarianceStatus(s).name for s in found.status] == expected
    assert np.isnan(found.total_variance).tolist() == [True] * 4 + [False]
    assert quadrature.slice_variance(USUAL, math.nan, 0.1).status == VarianceStatus.NO_SLICE
    with pytest.raises(ValueError, match=r"k_low 0\.2 above k_high 0\.1"):
        quadrature.slice_variance(USUAL, 0.2, 0.1)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(quadrature).failed == 0
