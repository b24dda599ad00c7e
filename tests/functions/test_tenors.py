"""Dated contracts at constant tenors: read between them, never beyond, beside a smooth fit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import tenors

TENORS = np.array([7, 14, 30, 60, 90, 180, 365]) / 365


def one(t, x, at=TENORS):
    return tenors.constant(np.array(t), np.array(x), np.array([0, len(t)]), np.asarray(at))


curves = st.lists(
    st.tuples(st.floats(0.003, 1.5), st.floats(-0.3, 0.3)),
    min_size=1,
    max_size=14,
    unique_by=lambda c: c[0],
)


@given(curves, st.randoms(use_true_random=False))
def test_the_log_ratio_is_linear_between_contracts_whatever_their_order(curve, random):
    random.shuffle(curve)
    t, x = np.array(curve).T
    order = np.argsort(t)
    expected = np.interp(TENORS, t[order], x[order], left=np.nan, right=np.nan) / TENORS
    found = one(t, x)
    np.testing.assert_allclose(found.rate, expected, rtol=1e-9, atol=1e-12)
    assert (np.isnan(found.rate) == (found.contracts_used == 0)).all()
    assert (found.contracts_listed == t.size).all()


@given(curves)
def test_each_contract_is_its_own_rate(curve):
    t, x = np.array(curve).T
    found = one(t, x, t)
    np.testing.assert_allclose(found.rate * t, x, rtol=1e-9, atol=1e-14)
    assert (found.contracts_used == 1).all()


def test_the_fit_finds_a_curve_of_its_own_shape_and_the_spot_that_lifts_it():
    t = np.array([3, 10, 17, 45, 108, 200, 380]) / 365
    found = one(t, 0.0025 + 0.06 * t - 0.02 * t**2)
    inside = ~np.isnan(found.rate)
    np.testing.assert_allclose(found.level, 0.0025, rtol=1e-9)
    np.testing.assert_allclose(found.fit_error, 0, atol=1e-14)
    shape = 0.0025 / TENORS + 0.06 - 0.02 * TENORS
    np.testing.assert_allclose(found.fit_rate[inside], shape[inside], rtol=1e-9)


def test_a_contract_off_the_curve_shows_in_both_errors():
    t = np.arange(1, 9) / 8
    clean, bent = 0.05 * t, 0.05 * t
    bent[3] += 0.001
    assert one(t, clean).leave_one_out_error[0] == pytest.approx(0, abs=1e-15)
    # its own miss, and half of it in either neighbour's
    expected = 0.001 * np.sqrt((1 + 0.25 + 0.25) / 6)
    assert one(t, bent).leave_one_out_error[0] == pytest.approx(expected)
    assert one(t, bent).fit_error[0] > 1e-4


def test_one_contract_is_no_curve():
    found = one([60 / 365], [0.01])
    assert np.isnan(np.delete(found.rate, 3)).all()
    assert found.rate[3] == pytest.approx(0.01 * 365 / 60)
    assert np.isnan(found.fit_rate).all()
    assert np.isnan(found.leave_one_out_error).all()


def test_three_contracts_have_no_level():
    assert np.isnan(one([0.1, 0.2, 0.3], [0.01, 0.02, 0.04]).level).all()
    assert not np.isnan(one([0.1, 0.2, 0.3], [0.01, 0.02, 0.04]).fit_error).any()


def test_contracts_of_one_expiry_count_once_and_those_without_time_or_price_do_not():
    t = [0.1, 0.1, 0.1, 0.3, -0.2, 0.0, np.nan, 0.2]
    x = [0.01, 0.02, 0.03, 0.06, 0.5, 0.5, 0.5, np.nan]
    found = one(t, x, [0.1, 0.2])
    assert found.contracts_listed.tolist() == [2, 2]
    np.testing.assert_allclose(found.rate, [0.2, 0.2], rtol=1e-12)


def test_curves_end_to_end_do_not_touch():
    t, x = np.array([0.1, 0.3, 0.2, 0.4]), np.array([0.1, 0.3, -0.2, -0.4])
    found = tenors.constant(t, x, np.array([0, 2, 2, 4]), np.array([0.1, 0.4]))
    np.testing.assert_allclose(found.rate, [1, np.nan, np.nan, np.nan, np.nan, -1])
    assert found.contracts_listed.tolist() == [2, 2, 0, 0, 2, 2]
