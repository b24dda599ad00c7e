"""Does the forecast of shocks learn from the past alone, and where nothing can be told, say so?"""

import numpy as np
import pytest

from warehouse.functions.shocks import MINIMUM_OUTCOMES, forecast

SERIES, STEPS = 20, 300


def world(strength, seed=0):
    """Series whose next shock depends on a feature by `strength`, steps outermost."""
    draw = np.random.default_rng(seed)
    x = draw.normal(size=(STEPS, SERIES))
    odds = np.exp(-2.5 + strength * x[:-1])
    shock = np.zeros((STEPS, SERIES), dtype=bool)
    shock[1:] = draw.random((STEPS - 1, SERIES)) < odds / (1 + odds)
    step = np.repeat(np.arange(STEPS), SERIES)
    previous = np.arange(STEPS * SERIES) - SERIES
    previous[:SERIES] = -1
    features = np.stack([x.ravel(), draw.normal(size=STEPS * SERIES)])
    return step, previous, shock.ravel(), features


def test_what_can_be_told_is_told_better_than_by_the_base_rate():
    found = forecast(*world(1.5))
    assert found.brier[-1] < 0.9 * found.naive_brier[-1]
    assert found.scored[-1] > 5000


def test_where_nothing_can_be_told_the_forecast_is_about_the_base_rate():
    found = forecast(*world(0.0))
    assert found.brier[-1] == pytest.approx(found.naive_brier[-1], rel=0.01)


def test_probabilities_are_calibrated():
    step, previous, shock, features = world(1.0, seed=1)
    found = forecast(step, previous, shock, features)
    told = found.probability[previous[SERIES:]]
    came = shock[SERIES:]
    high = told > np.nanquantile(told, 0.9)
    assert came[high].mean() == pytest.approx(told[high].mean(), abs=0.04)


def test_what_comes_later_does_not_change_a_forecast():
    step, previous, shock, features = world(1.5)
    whole = forecast(step, previous, shock, features)
    cut = 40 * SERIES
    part = forecast(step[:cut], previous[:cut], shock[:cut], features[:, :cut])
    for name in ("probability", "base_rate", "brier", "naive_brier", "scored"):
        np.testing.assert_array_equal(getattr(whole, name)[:cut], getattr(part, name))


def test_nothing_is_forecast_before_enough_outcomes_are_known():
    step, previous, shock, features = world(1.0)
    found = forecast(step, previous, shock, features)
    known = np.cumsum(previous >= 0)
    assert np.isnan(found.probability[known < MINIMUM_OUTCOMES - SERIES]).all()
    assert np.isfinite(found.probability[known >= MINIMUM_OUTCOMES + SERIES]).all()


def test_a_missing_feature_counts_as_average():
    step, previous, shock, features = world(1.0)
    features[:, -SERIES:] = np.nan
    found = forecast(step, previous, shock, features)
    assert len(set(found.probability[-SERIES:])) == 1


def test_a_row_before_must_be_of_the_step_before():
    with pytest.raises(ValueError, match="not of the step before"):
        forecast([0, 2], [-1, 0], [False, True], [[0.0, 1.0]])
