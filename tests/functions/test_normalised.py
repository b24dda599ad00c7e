"""The normalised price and its inverse against 60-digit values and scipy."""

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import erfcx, ndtri

from warehouse.functions import normal, normalised


def test_every_row_of_the_hard_grid_is_inverted_to_rounding(reference):
    rows = pl.read_csv(reference / "iv_normalised.csv")
    x = rows["x_lnFK"].to_numpy().copy()
    found = normalised.deviations(x, rows["beta_otm_call_normalised"].to_numpy().copy())
    expected = rows["s_ref_of_rounded_beta"].to_numpy()
    allowed = 1e-12 * expected + 16 * rows["half_ulp_floor_abs_s"].to_numpy()
    worst = np.abs(found - expected) / allowed
    print(f"{rows.height} rows, worst {worst.max():.3f} of what is allowed")  # noqa: T201
    assert worst.max() <= 1.0


@given(st.floats(-20.0, 0.0), st.floats(1e-4, 10.0))
def test_a_price_gives_back_the_deviation_it_was_made_of(x, s):
    b = normalised.price(x, s)
    lack = np.exp(0.5 * x) - b
    slope = np.exp(-0.5 * ((x / s) ** 2 + 0.25 * s * s)) / np.sqrt(2 * np.pi)
    if b < 1e-290 or lack <= 0.0:
        return
    # Half a unit in the last place of the price moves s by this much: nobody can do better.
    floor = 0.5 * np.spacing(np.exp(0.5 * x)) / slope if b > lack else 0.0
    assert abs(normalised.invert(x, b, lack) - s) <= 1e-12 * s + 32 * floor


@given(st.floats(-5.0, 0.0), st.floats(0.01, 5.0), st.floats(1.001, 1.5))
def test_prices_rise_with_deviation_and_stay_below_their_bound(x, s, factor):
    low, high = normalised.price(x, s), normalised.price(x, s * factor)
    assert low <= high <= np.exp(0.5 * x)
    assert low < high or high < 1e-300


@pytest.mark.parametrize(
    ("x", "b"), [(0.1, 0.2), (-0.1, 0.0), (-0.1, -0.1), (-0.1, 0.96), (np.nan, 0.1)]
)
def test_prices_outside_their_bounds_have_no_deviation(x, b):
    assert np.isnan(normalised.deviations(np.array([x]), np.array([b]))).all()


def test_the_scaled_tail_agrees_with_scipy_from_zero_to_infinity():
    a = np.concatenate([np.linspace(0, 8, 20_001), np.logspace(-12, 12, 2_001)])
    ours = np.array([normal.scaled_tail(v) for v in a])
    np.testing.assert_allclose(ours, erfcx(a), rtol=2e-15)


def test_quantiles_agree_with_scipy_far_into_the_tail():
    p = np.concatenate([np.linspace(0.001, 0.999, 998), 10.0 ** -np.arange(4, 300)])
    ours = np.array([normal.quantile(v) for v in p])
    np.testing.assert_allclose(ours, ndtri(p), rtol=1e-12, atol=1e-15)
    assert all(np.isnan(normal.quantile(p)) for p in (0.0, 1.0, -1.0, np.nan))
