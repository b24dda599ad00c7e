"""Windows end before the row, scales have a floor, and a shift is told from a spike."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import anomalies

HOUR_S, DAY_S = 3_600, 86_400
BASE, NOISE = 1e-4, 3e-5  # per eight hours


def by_hand(at, x, window_s):
    """Mean, deviation, median and median absolute deviation of what lies before each row."""
    for i, moment in enumerate(at):
        past = x[:i][at[:i] >= moment - window_s]
        if past.size < anomalies.MINIMUM:
            yield [np.nan] * 4
            continue
        middle = np.median(past)
        yield [past.mean(), past.std(ddof=1), middle, np.median(np.abs(past - middle))]


@given(
    st.lists(
        st.tuples(st.integers(1, 30), st.integers(-5, 5), st.floats(-1, 1)),
        min_size=1,
        max_size=120,
    ),
    st.integers(20, 400),
)
def test_what_precedes_a_row_is_what_numpy_finds_before_it(rows, hours):
    steps, ticks, rest = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    at = np.cumsum(steps).astype(np.int64) * HOUR_S
    x = 1e-5 * (ticks + np.where(ticks > 3, rest, 0.0))
    found = anomalies.trailing(at, x, np.zeros(x.size), hours * HOUR_S)
    expected = np.array(list(by_hand(at, x, hours * HOUR_S)))
    got = np.array([found.mean, found.deviation, found.median, found.mad]).T
    np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-18)


def test_the_future_changes_nothing():
    draw = np.random.default_rng(1)
    at = np.arange(600) * 8 * HOUR_S
    x = BASE + NOISE * draw.standard_normal(600)
    x[400:] += 20 * NOISE
    cut = 405
    whole, part = (
        (
            anomalies.trailing(at[:n], x[:n], np.zeros(n), 30 * DAY_S),
            anomalies.shifts(at[:n], x[:n], np.zeros(n), np.full(n, 8 * HOUR_S)),
        )
        for n in (600, cut)
    )
    for long, short in zip(whole, part, strict=True):
        for name in short.__slots__:
            np.testing.assert_array_equal(getattr(long, name)[:cut], getattr(short, name))


def test_rates_that_never_move_have_a_scale_and_are_pinned():
    at = np.arange(100) * HOUR_S
    x = np.full(100, BASE)
    x[60] += 1e-17  # what a recorder's arithmetic leaves
    found = anomalies.trailing(at, x, np.zeros(100), 30 * DAY_S)
    assert np.isnan(found.median[:30]).all()
    assert (found.near_share[30:] == 1.0).all()
    assert (anomalies.scale(found.mad[30:], 0.0) == anomalies.FLOOR).all()
    assert not anomalies.shifts(at, x, np.zeros(100), np.full(100, HOUR_S)).direction.any()


def test_a_coarse_step_is_the_least_scale():
    assert anomalies.scale(0.0, 8e-5) == 8e-5


def autocorrelated(seed, hours, days, correlation):
    """A level with noise whose correlation over eight hours is given."""
    draw = np.random.default_rng(seed)
    keep = correlation ** (hours / 8)
    kicks = draw.standard_normal(days * 24 // hours) * np.sqrt(1 - keep**2)
    x = np.empty(kicks.size)
    value = draw.standard_normal()
    for i, kick in enumerate(kicks):
        value = x[i] = keep * value + kick
    return BASE + NOISE * x


def judged(x, hours):
    at = np.arange(x.size) * hours * HOUR_S
    return anomalies.shifts(at, x, np.zeros(x.size), np.full(x.size, hours * HOUR_S))


@pytest.mark.parametrize("hours", [1, 8])
def test_shifts_are_found_within_a_week_and_alarms_without_one_are_rare(hours):
    """Correlation 0.5 over eight hours is what seven venues' recorded rates have."""
    days, rows = 120, 120 * 24 // hours
    half, week = rows // 2, 7 * 24 // hours
    alarms, watched, errors = 0, 0, []
    for seed in range(30):
        x = autocorrelated(seed, hours, days, 0.5)
        quiet = judged(x, hours)
        alarms += np.abs(quiet.direction).sum()
        watched += quiet.is_watching.sum() * hours / 24
        x[half:] += 3 * NOISE
        seen = judged(x, hours)
        first = np.flatnonzero(seen.direction[half : half + week] > 0)
        if first.size:
            errors.append(abs(seen.onset[half + first[0]] - half) * hours)
    assert 30 * alarms / watched <= 0.25
    assert len(errors) >= 27
    assert np.median(errors) <= 24


def test_a_spike_of_one_settlement_is_no_shift():
    x = autocorrelated(3, 8, 120, 0.0)
    x[200] += 100 * NOISE
    assert not judged(x, 8).direction.any()
    hourly = autocorrelated(3, 1, 60, 0.2)
    hourly[700:708] += 100 * NOISE
    assert not judged(hourly, 1).direction.any()


def test_after_a_shift_the_new_level_is_learned_before_another_is_told():
    x = autocorrelated(5, 8, 150, 0.0)
    x[200:] += 8 * NOISE
    found = judged(x, 8)
    (row,) = np.flatnonzero(found.direction)
    assert found.is_watching[row]
    assert not found.is_watching[row + 1]
    assert found.is_watching[found.onset[row] + anomalies.MINIMUM]


@pytest.mark.parametrize(
    ("at", "value", "step", "named"),
    [
        ([0, 0], [1.0, 2.0], [0.0, 0.0], "0 follows 0"),
        ([0, 1], [1.0, np.nan], [0.0, 0.0], "value nan in row 1"),
        ([0, 1], [1.0, 2.0], [0.0], "1 steps for 2 values"),
    ],
)
def test_an_impossible_series_is_refused_by_its_row(at, value, step, named):
    with pytest.raises(ValueError, match=named):
        anomalies.trailing(at, value, step, DAY_S)


def test_a_rate_for_no_time_is_refused():
    with pytest.raises(ValueError, match="must be above zero"):
        anomalies.shifts([0, 1], [1.0, 2.0], [0.0, 0.0], [3_600, 0])
    with pytest.raises(ValueError, match="window of 0 s"):
        anomalies.trailing([0], [1.0], [0.0], 0)


def test_the_examples_in_the_docs_run():
    assert doctest.testmod(anomalies).failed == 0
