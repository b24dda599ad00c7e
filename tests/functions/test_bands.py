"""Bands against 40-digit values, and how they scale."""

import doctest

import numpy as np
import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import bands
from warehouse.functions.bands import whalley_wilmott

gammas = st.floats(1e-7, 1e-2)


def test_half_widths_agree_with_forty_digits(reference):
    rows = pl.read_csv(reference / "hedge_bands.csv")
    f, gamma, cost, aversion, t = (
        rows[c].to_numpy() for c in ("F", "gamma", "lam", "risk_aversion", "T")
    )
    width = whalley_wilmott(f, gamma, cost, aversion, t)
    np.testing.assert_allclose(width, rows["ww_halfwidth"].to_numpy(), rtol=1e-12)


@given(gammas, st.floats(1.0, 1e4))
def test_a_book_n_times_larger_gets_a_band_n_to_the_two_thirds_wider(gamma, n):
    one, many = (whalley_wilmott(60_000, g, 5e-4, 1e-5, 1.0) for g in (gamma, n * gamma))
    np.testing.assert_allclose(many, one * n ** (2 / 3), rtol=1e-12)


@given(gammas)
def test_a_short_book_has_the_band_of_a_long_one(gamma):
    assert whalley_wilmott(100, -gamma, 1e-3, 1e-4, 1) == whalley_wilmott(100, gamma, 1e-3, 1e-4, 1)


def test_trading_for_nothing_needs_no_band_and_nonsense_has_none():
    assert whalley_wilmott(100, 1e-3, 0.0, 1e-4, 1) == 0
    nonsense = whalley_wilmott(
        100, [np.nan, 1e-3, 1e-3, 1e-3], [1e-3, -1e-3, 1e-3, 1e-3], [1e-4, 1e-4, 0.0, -1.0], 1
    )
    assert np.isnan(nonsense).all()


def test_the_example_in_the_docstring_runs():
    assert doctest.testmod(bands).failed == 0
