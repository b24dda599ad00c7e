"""Bulk classification: the normal law and Student's, against closed forms, and its limits."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import bulk

finite = st.floats(-1e6, 1e6)
degrees_of_freedom = st.floats(0.05, 200)


@given(finite)
def test_one_and_two_degrees_have_closed_forms(z):
    one, two = (bulk.bought_shares([z], 1.0, df)[0] for df in (1, 2))
    assert one == pytest.approx(math.atan2(1, -z) / math.pi, rel=1e-13)
    assert two == pytest.approx(0.5 + z / (2 * math.sqrt(2 + z * z)), rel=1e-9, abs=1e-15)


def test_a_density_summed_is_the_distribution():
    for df in (0.25, 0.7, 3.5, 40.0):
        x = np.linspace(0, 3, 30_001)
        constant = math.lgamma((df + 1) / 2) - math.lgamma(df / 2)
        density = np.exp(constant) / math.sqrt(df * math.pi) * (1 + x * x / df) ** (-(df + 1) / 2)
        summed = 0.5 + np.trapezoid(density, x)
        assert bulk.bought_shares([3.0], 1.0, df)[0] == pytest.approx(summed, abs=1e-8)


@given(finite, st.floats(-10, 10), degrees_of_freedom)
def test_shares_are_between_nothing_and_all_and_what_falls_mirrors_what_rises(z, more, df):
    up, down, further = bulk.bought_shares([z, -z, z + abs(more)], 1.0, df)
    assert 0 <= up <= 1
    assert up + down == pytest.approx(1, abs=1e-12)
    assert further >= up - 1e-12


def test_many_degrees_approach_the_normal_law():
    z = np.linspace(-5, 5, 41)
    found = bulk.bought_shares(z, 1.0, 1e6)
    np.testing.assert_allclose(found, bulk.bought_shares(z, 1.0), atol=1e-6)


def test_without_a_deviation_a_bar_is_bought_sold_or_half_each():
    found = bulk.bought_shares([0.1, 0.0, -0.1, np.nan, 0.1], [0, 0, 0, 1, np.nan])
    np.testing.assert_array_equal(found, [1, 0.5, 0, np.nan, np.nan])


def test_degrees_of_freedom_are_above_zero():
    with pytest.raises(ValueError, match=r"0\.0 degrees"):
        bulk.bought_shares([1.0], 1.0, 0.0)


def test_the_examples_hold():
    assert doctest.testmod(bulk).failed == 0
