"""Constant tenors of a surface: linear in variance, exact at deltas, silent beyond the expiries."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import svi
from warehouse.functions.grid import CALL_DELTAS, TENOR_DAYS, grid
from warehouse.functions.normal import distribution

NEAR = (0.004, 0.06, -0.3, 0.01, 0.10)
FAR = (0.020, 0.12, -0.2, 0.02, 0.25)
PARAMS = np.array([NEAR, FAR]).T
YEARS = np.array([20.0, 80.0]) / 365
FORWARDS = (60_000.0, 61_000.0)
WIDE = ((-9.0, -9.0), (9.0, 9.0))


def surface(tenor_days=TENOR_DAYS, params=PARAMS, years=YEARS, k_low=WIDE[0], k_high=WIDE[1]):
    return grid(params, years, FORWARDS, k_low, k_high, [0, len(years)], tenor_days)


def test_there_are_thirteen_tenors_and_nineteen_deltas():
    assert (len(TENOR_DAYS), len(CALL_DELTAS)) == (13, 19)
    assert CALL_DELTAS[2] == 0.15
    found = surface()
    assert found.iv.shape == (1, 13, 19)
    assert found.atm_iv.shape == (1, 13)


@given(st.floats(20.0, 80.0))
def test_total_variance_is_linear_in_time_at_fixed_log_moneyness(days):
    found = surface([days])
    share = (days - 20) / 60
    k = found.k[0, 0]
    expected = (1 - share) * svi.total_variance(NEAR, k) + share * svi.total_variance(FAR, k)
    np.testing.assert_allclose(found.total_variance[0, 0], expected, rtol=1e-13)
    np.testing.assert_allclose(found.iv[0, 0] ** 2 * days / 365, expected, rtol=1e-13)


@given(st.floats(20.0, 80.0))
def test_each_strike_has_the_delta_of_its_bucket_at_its_own_volatility(days):
    found = surface([days])
    k, w = found.k[0, 0], found.total_variance[0, 0]
    deltas = [distribution(v) for v in -k / np.sqrt(w) + np.sqrt(w) / 2]
    np.testing.assert_allclose(deltas, CALL_DELTAS, rtol=1e-12)
    np.testing.assert_allclose(found.strike[0, 0], found.forward[0, 0] * np.exp(k), rtol=1e-14)


def test_on_a_listed_expiry_it_is_that_slice():
    found = surface([20.0, 80.0])
    for place, params in enumerate((NEAR, FAR)):
        iv, k = svi.delta_iv(params, YEARS[place], np.array(CALL_DELTAS))
        np.testing.assert_allclose(found.iv[0, place], iv, rtol=1e-12)
        np.testing.assert_allclose(found.k[0, place], k, atol=1e-12)
        slope, curvature = svi.slope_and_curvature(params, YEARS[place])
        assert found.slope[0, place] == pytest.approx(slope, rel=1e-12)
        assert found.curvature[0, place] == pytest.approx(curvature, rel=1e-12)
        assert found.before[0, place] == found.after[0, place] == place
        assert found.forward[0, place] == pytest.approx(FORWARDS[place], rel=1e-14)


def test_slope_and_curvature_between_expiries_are_derivatives_of_volatility():
    days, h = 50.0, 1e-4
    found = surface([days])
    k = np.array([-h, 0.0, h])
    w = 0.5 * svi.total_variance(NEAR, k) + 0.5 * svi.total_variance(FAR, k)
    iv = np.sqrt(w / days * 365)
    assert found.atm_iv[0, 0] == pytest.approx(iv[1], rel=1e-14)
    assert found.slope[0, 0] == pytest.approx((iv[2] - iv[0]) / (2 * h), rel=1e-6)
    assert found.curvature[0, 0] == pytest.approx((iv[2] - 2 * iv[1] + iv[0]) / h**2, rel=1e-4)
    assert found.forward[0, 0] == pytest.approx(math.sqrt(60_000 * 61_000), rel=1e-14)


def test_beyond_the_listed_expiries_there_is_nothing():
    found = surface([19.999, 80.001])
    assert np.isnan(found.iv).all()
    assert np.isnan(found.strike).all()
    assert np.isnan(found.atm_iv).all()
    assert not found.is_beyond_quotes.any()
    assert found.before.tolist() == [[-1, 1]]
    assert found.after.tolist() == [[0, -1]]


def test_a_wing_that_either_expiry_does_not_quote_is_marked():
    found = surface([50.0], k_low=(-0.05, -1.0), k_high=(1.0, 0.08))
    outside = (found.k < -0.05) | (found.k > 0.08)
    assert outside.any()
    assert not outside.all()
    assert (found.is_beyond_quotes == outside).all()
    alone = surface([20.0], k_low=(-0.05, -1.0), k_high=(1.0, 0.01))
    assert (alone.is_beyond_quotes == (alone.k < -0.05)).all()


def test_a_slice_that_was_not_fitted_is_passed_over_and_order_does_not_matter():
    holed = np.array([FAR, [math.nan] * 5, NEAR, (-1.0, 0.1, 0.0, 0.0, 0.1)]).T
    years = [YEARS[1], 30 / 365, YEARS[0], 40 / 365]
    found = grid(holed, years, (61e3, 1.0, 60e3, 1.0), [-9.0] * 4, [9.0] * 4, [0, 4])
    expected = surface()
    np.testing.assert_array_equal(found.iv, expected.iv)
    assert found.before[0, 6] == 2
    assert found.after[0, 6] == 0


@pytest.mark.parametrize("params", [[math.nan] * 5, [0, 0, 0, 0, 0], [-1, 0.1, 0, 0, 0.1]])
def test_a_surface_without_a_usable_slice_has_no_number(params):
    found = grid(np.array([params]).T, [0.1], [100.0], [-1.0], [1.0], [0, 1])
    assert np.isnan(found.iv).all()
    assert (found.before == -1).all()


def test_surfaces_do_not_see_each_other():
    both = grid(np.hstack([PARAMS, PARAMS[:, :1]]), [*YEARS, 0.1], [*FORWARDS, 5.0],
                [-9.0] * 3, [9.0] * 3, [0, 2, 2, 3])  # fmt: skip
    np.testing.assert_array_equal(both.iv[0], surface().iv[0])
    assert np.isnan(both.iv[1]).all()
    assert np.isnan(both.iv[2]).all()


def test_offsets_that_do_not_cut_the_slices_are_refused():
    with pytest.raises(ValueError, match="offsets do not cut 2 slices"):
        grid(PARAMS, YEARS, FORWARDS, *WIDE, [0, 3])
