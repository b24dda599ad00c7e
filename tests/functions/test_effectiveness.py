"""Minimum-variance hedges of a window: plain regressions, and never by the moves to come."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.functions import effectiveness

WINDOW = 168


def changes(seed: int, count: int = 400, holes: float = 0.1):
    draw = np.random.default_rng(seed)
    hedge = draw.standard_t(4, count) * 0.004
    exposure = 0.9 * hedge + draw.normal(0, 0.001, count)
    exposure[draw.random(count) < holes] = np.nan
    hedge[draw.random(count) < holes] = np.nan
    return exposure, hedge


def known(exposure, hedge, row):
    window = slice(max(0, row + 1 - WINDOW), row + 1)
    both = np.isfinite(exposure[window]) & np.isfinite(hedge[window])
    return exposure[window][both], hedge[window][both]


@pytest.mark.parametrize("seed", range(3))
def test_each_row_is_the_regression_of_its_window(seed):
    exposure, hedge = changes(seed)
    found = effectiveness.rolling(exposure, hedge, WINDOW)
    for row in range(0, exposure.size, 23):
        y, x = known(exposure, hedge, row)
        assert found.used[row] == x.size
        if x.size < effectiveness.MINIMUM:
            assert np.isnan(found.ratio[row])
            continue
        design = np.column_stack([np.ones(x.size), x])
        solved = np.linalg.lstsq(design, y, rcond=None)[0]
        left = y - design @ solved
        inverse = np.linalg.inv(design.T @ design)
        white = inverse @ (design.T * left**2) @ design @ inverse * x.size / (x.size - 2)
        assert found.ratio[row] == pytest.approx(solved[1], rel=1e-9)
        assert found.standard_error[row] == pytest.approx(np.sqrt(white[1, 1]), rel=1e-9)
        assert found.correlation[row] == pytest.approx(np.corrcoef(x, y)[0, 1], rel=1e-9)
        assert found.r_squared[row] == pytest.approx(found.correlation[row] ** 2, rel=1e-9)
        assert found.exposure_deviation[row] == pytest.approx(np.std(y, ddof=1), rel=1e-9)
        deviation = np.sqrt(left @ left / (x.size - 2))
        assert found.residual_deviation[row] == pytest.approx(deviation, rel=1e-9)
        if x.size >= effectiveness.MINIMUM_TAIL:
            low, high = np.quantile(left, [0.01, 0.99])
            assert found.tail_low[row] == pytest.approx(low, rel=1e-9)
            assert found.tail_high[row] == pytest.approx(high, rel=1e-9)
            assert found.shortfall_low[row] == pytest.approx(left[left <= low].mean(), rel=1e-9)
            assert found.shortfall_high[row] == pytest.approx(left[left >= high].mean(), rel=1e-9)
        else:
            assert np.isnan(found.tail_low[row])


def test_what_is_undone_was_tried_with_the_ratio_of_the_changes_before():
    exposure, hedge = changes(7)
    found = effectiveness.rolling(exposure, hedge, WINDOW)
    y, x = known(exposure, hedge, 399)
    tried = range(effectiveness.MINIMUM, x.size)
    left = [y[i] - np.cov(x[:i], y[:i])[0, 1] / np.var(x[:i], ddof=1) * x[i] for i in tried]
    expected = 1 - np.var(left) / np.var(y[effectiveness.MINIMUM :])
    assert found.variance_reduction[399] == pytest.approx(expected, rel=1e-9)


@settings(max_examples=20)
@given(st.integers(30, 300), st.integers(0, 100))
def test_a_row_knows_nothing_of_later_changes(cut, seed):
    exposure, hedge = changes(seed, 330)
    whole = effectiveness.rolling(exposure, hedge, WINDOW)
    past = effectiveness.rolling(exposure[:cut], hedge[:cut], WINDOW)
    for name in ("used", "ratio", "standard_error", "variance_reduction", "tail_low"):
        np.testing.assert_array_equal(getattr(whole, name)[:cut], getattr(past, name))


def test_a_perfect_hedge_leaves_nothing_and_an_unrelated_one_everything():
    draw = np.random.default_rng(3)
    hedge = draw.normal(0, 0.01, 300)
    perfect = effectiveness.rolling(2 * hedge, hedge, WINDOW)
    assert perfect.ratio[-1] == pytest.approx(2)
    assert perfect.residual_deviation[-1] == pytest.approx(0, abs=1e-15)
    assert perfect.variance_reduction[-1] == pytest.approx(1)
    unrelated = effectiveness.rolling(draw.normal(0, 0.01, 300), hedge, WINDOW)
    assert abs(unrelated.ratio[-1]) < 4 * unrelated.standard_error[-1]
    assert unrelated.variance_reduction[-1] < 0.05


def test_a_hedge_that_stands_still_has_no_ratio():
    found = effectiveness.rolling(np.random.default_rng(1).normal(size=200), np.zeros(200), WINDOW)
    assert np.isnan(found.ratio).all()
    assert np.isnan(found.variance_reduction).all()
    assert found.used[-1] == WINDOW


def test_no_changes_give_no_rows_and_unequal_ones_are_refused():
    assert effectiveness.rolling([], [], WINDOW).ratio.size == 0
    with pytest.raises(ValueError, match="3 changes, 2 of the hedge"):
        effectiveness.rolling([1, 2, 3], [1, 2], WINDOW)
