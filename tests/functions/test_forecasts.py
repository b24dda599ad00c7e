"""Forecasts: nothing of the future in them, and least squares as scipy does it."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.functions import forecasts

LAGS = (2, 5, 10)
SMALL = {"lags": LAGS, "window": 120, "minimum": 20}


def series(rng, count=200):
    """Log variance that reverts slowly to its mean, with noise."""
    level = np.zeros(count)
    for t in range(1, count):
        level[t] = 0.97 * level[t - 1] + 0.2 * rng.normal()
    return 1e-4 * np.exp(level + 0.3 * rng.normal(size=count))


def by_hand(x, t, horizon, is_log):
    """Row t's forecast by lstsq over rows whose target has closed."""

    def features(s):
        return [x[s - n + 1 : s + 1].mean() for n in LAGS]

    rows = range(max(t - horizon - 119, 9), t - horizon + 1)
    view = np.log if is_log else np.asarray
    a = np.column_stack([np.ones(len(rows)), view([features(s) for s in rows])])
    y = view([x[s + 1 : s + 1 + horizon].mean() for s in rows])
    beta, (squares,), _, _ = np.linalg.lstsq(a, y, rcond=None)
    value = beta @ [1.0, *view(features(t))]
    return math.exp(value + squares / (len(rows) - 4) / 2) if is_log else value


@pytest.mark.parametrize("is_log", [True, False])
@pytest.mark.parametrize("horizon", [1, 6])
def test_har_is_least_squares_on_the_past(is_log, horizon):
    x = series(np.random.default_rng(1))
    found = forecasts.har(x, horizon, is_log=is_log, **SMALL)
    for t in (60, 140, 199):
        assert found[t] == pytest.approx(by_hand(x, t, horizon, is_log), rel=1e-8)
    # Ten rows of lags, twenty pairs, and the horizon of the last of them.
    first = np.flatnonzero(np.isfinite(found))[0]
    assert first == 9 + 19 + horizon


@given(st.integers(0, 2**32 - 1), st.integers(1, 8), st.integers(40, 120), st.data())
@settings(max_examples=30)
def test_the_future_never_changes_a_forecast(seed, horizon, cut, data):
    rng = np.random.default_rng(seed)
    x = series(rng, 130)
    x[rng.random(130) < 0.02] = np.nan
    other = x.copy()
    other[cut:] = data.draw(st.sampled_from([0.0, 1.0, np.nan, 1e-9]))
    calls = [
        lambda v: forecasts.har(v, horizon, **SMALL),
        lambda v: forecasts.har(v, horizon, is_log=False, **SMALL),
        lambda v: forecasts.ewma(v, 7.0),
        lambda v: forecasts.naive(v, horizon),
        lambda v: forecasts.trailing_loss(v, forecasts.ewma(v, 7.0), horizon, 50),
    ]
    for forecast in calls:
        np.testing.assert_array_equal(forecast(x)[:cut], forecast(other)[:cut])


@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
@settings(max_examples=20)
def test_har_does_not_depend_on_where_the_series_begins(seed, dropped):
    x = series(np.random.default_rng(seed), 220)
    whole = forecasts.har(x, 3, **SMALL)
    part = forecasts.har(x[dropped:], 3, **SMALL)
    # 120 rows of fits, ten of lags and three of horizon back from the row.
    assert np.isfinite(whole[dropped + 133 :]).all()
    np.testing.assert_array_equal(whole[dropped + 133 :], part[133:])
    begun = forecasts.har(x, 3, begin=150, **SMALL)
    assert np.isnan(begun[:150]).all()
    np.testing.assert_array_equal(begun[150:], whole[150:])


def test_har_beats_the_naive_forecast_where_variance_reverts():
    losses = []
    for seed in range(5):
        x = series(np.random.default_rng(seed), 1_500)
        goal = forecasts.targets(x, 10)
        each = [
            forecasts.har(x, 10, lags=LAGS, window=1_000, minimum=200),
            forecasts.naive(x, 10),
        ]
        losses.append([np.nanmean(forecasts.qlike(goal, f)[400:]) for f in each])
    har, naive = np.mean(losses, axis=0)
    assert har < 0.9 * naive


def test_log_forecasts_are_right_on_average():
    x = series(np.random.default_rng(2), 4_000)
    found = forecasts.har(x, 1, lags=LAGS, window=2_000, minimum=500)
    ratio = forecasts.targets(x, 1) / found
    assert np.nanmean(ratio[1_000:]) == pytest.approx(1.0, abs=0.05)


def test_missing_steps_leave_means_out_only_when_many():
    x = np.arange(1.0, 21.0)
    x[4] = np.nan
    assert forecasts.naive(x, 10)[9] == pytest.approx(np.nanmean(x[:10]))
    x[5] = np.nan
    assert np.isnan(forecasts.naive(x, 10)[9])
    assert np.isnan(forecasts.targets(x, 10)[2])
    assert forecasts.targets(x, 10)[9] == 15.5


def test_an_exponential_mean_halves_its_weights_and_ages_over_holes():
    x = np.array([2.0, np.nan, 4.0])
    expected = [2.0, 2.0, (2.0 * 0.25 + 4.0) / 1.25]
    np.testing.assert_allclose(forecasts.ewma(x, 1.0), expected)
    assert np.isnan(forecasts.ewma([np.nan, 1.0], 1.0)).tolist() == [True, False]


def test_the_loss_is_zero_at_the_truth_and_waits_for_the_window_to_close():
    assert float(forecasts.qlike(0.04, 0.04)) == 0.0
    assert float(forecasts.qlike(0.04, 0.02)) == pytest.approx(2 - math.log(2) - 1)
    assert np.isnan(forecasts.qlike([0.0, 1.0, np.nan], [1.0, 0.0, 1.0])).all()
    x = series(np.random.default_rng(3), 80)
    f = forecasts.ewma(x, 5.0)
    loss = forecasts.trailing_loss(x, f, 4, 40)
    expected = forecasts.qlike(forecasts.targets(x, 4), f)
    assert np.flatnonzero(np.isfinite(loss))[0] == 33
    assert loss[79] == pytest.approx(expected[36:76].mean())


def test_constant_and_short_series_have_no_har_and_impossible_ones_are_refused():
    assert np.isnan(forecasts.har(np.full(200, 0.01), 1, **SMALL)).all()
    assert np.isnan(forecasts.har(series(np.random.default_rng(4), 25), 1, **SMALL)).all()
    assert forecasts.har([], 1, **SMALL).size == 0
    with pytest.raises(ValueError, match=r"har: variance of -1\.0"):
        forecasts.har([1.0, -1.0], 1)
    with pytest.raises(ValueError, match="lags"):
        forecasts.har([1.0], 1, lags=(5, 2))
    with pytest.raises(ValueError, match="horizon of 0"):
        forecasts.naive([1.0], 0)
    with pytest.raises(ValueError, match="half-life"):
        forecasts.ewma([1.0], 0.0)
    with pytest.raises(ValueError, match="at least 3 of 2 rows"):
        forecasts.har([1.0], 1, lags=(1,), window=2, minimum=3)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(forecasts).failed == 0
