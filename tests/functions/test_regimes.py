"""Two states of volatility: found where planted, and never seen from the future."""

import doctest
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.functions import regimes

TRUTH = np.array([-1.0, 1.0, 0.5, 0.7, 0.97, 0.95])


def chain(rng, count=600, p=TRUTH):
    state, states = 0, np.zeros(count, dtype=int)
    for t in range(count):
        state = state if rng.random() < p[4 + state] else 1 - state
        states[t] = state
    return rng.normal(p[states], p[2 + states]), states


def test_the_filter_is_bayes_rule_over_every_path():
    x = np.array([-0.9, 0.3, np.nan, 1.2])
    share = (1 - TRUTH[4]) / (2 - TRUTH[4] - TRUTH[5])
    for last in range(4):
        weights = np.zeros(2)
        for path in range(2 ** (last + 1)):
            states = [path >> i & 1 for i in range(last + 1)]
            weight = share if states[0] else 1 - share
            for t, s in enumerate(states):
                if t > 0:
                    stays = TRUTH[4 + states[t - 1]]
                    weight *= stays if s == states[t - 1] else 1 - stays
                if not np.isnan(x[t]):
                    z = (x[t] - TRUTH[s]) / TRUTH[2 + s]
                    weight *= math.exp(-z * z / 2) / TRUTH[2 + s]
            weights[states[-1]] += weight
        expected = weights[1] / weights.sum()
        assert regimes.filtered(x, TRUTH)[last] == pytest.approx(expected, rel=1e-12)


def test_planted_states_are_found():
    x, states = chain(np.random.default_rng(1), 4_000)
    p = regimes.fit(x)
    np.testing.assert_allclose(p[:4], TRUTH[:4], atol=0.1)
    np.testing.assert_allclose(p[4:], TRUTH[4:], atol=0.02)
    hits = (regimes.filtered(x, p) > 0.5) == (states == 1)
    assert hits.mean() > 0.93


def test_each_round_of_the_fit_is_no_less_likely_than_the_one_before():
    x, _ = chain(np.random.default_rng(2), 300)
    x[50:60] = np.nan
    p = regimes._start(x)
    predicted, updated = np.empty(300), np.empty(300)
    found = []
    for _ in range(30):
        found.append(regimes._filter(x, p, predicted, updated))
        regimes._improve(x, p, predicted, updated, 1e-3)
    # The start is not the long-run share of the new chain exactly: an allowance for one row.
    assert (np.diff(found) > -0.05).all()
    assert found[-1] > found[0] + 5


@given(st.integers(0, 2**32 - 1), st.integers(90, 160), st.floats(-9, 9))
@settings(max_examples=20)
def test_the_future_never_changes_a_probability(seed, cut, level):
    x, _ = chain(np.random.default_rng(seed), 200)
    other = x.copy()
    other[cut:] = level
    one, two = (regimes.regimes(v, 80, 40, 10) for v in (x, other))
    np.testing.assert_array_equal(one.probability[:cut], two.probability[:cut])
    np.testing.assert_array_equal(one.wild_mean[:cut], two.wild_mean[:cut])
    assert np.isfinite(one.probability[50:]).all()


@given(st.integers(0, 2**32 - 1), st.integers(1, 70))
@settings(max_examples=20)
def test_probabilities_do_not_depend_on_where_the_series_begins(seed, dropped):
    x, _ = chain(np.random.default_rng(seed), 200)
    whole = regimes.regimes(x, 60, 40, 10, first_step=3)
    part = regimes.regimes(x[dropped:], 60, 40, 10, first_step=3 + dropped)
    begin = dropped + 70
    np.testing.assert_array_equal(whole.probability[begin:], part.probability[begin - dropped :])


def test_rows_that_are_not_wanted_cost_no_fit_and_change_no_other():
    x, _ = chain(np.random.default_rng(5), 200)
    whole = regimes.regimes(x, 80, 40, 10, first_step=3)
    late = regimes.regimes(x, 80, 40, 10, first_step=3, begin=155)
    assert np.isnan(late.probability[:147]).all()
    np.testing.assert_array_equal(late.probability[147:], whole.probability[147:])
    assert np.isfinite(late.separation[155:]).all()


def test_the_wild_state_has_the_higher_mean_and_separation_tells_one_state_from_two():
    x, _ = chain(np.random.default_rng(3), 1_000)
    two = regimes.regimes(x, 500)
    one = regimes.regimes(np.random.default_rng(4).normal(0, 1, 1_000), 500)
    known = np.isfinite(two.probability)
    assert (two.calm_mean[known] < two.wild_mean[known]).all()
    assert np.median(two.separation[known]) > 2.5
    assert np.nanmedian(one.separation) < np.median(two.separation[known]) - 0.5


def test_what_does_not_vary_has_no_states_and_impossible_parameters_are_refused():
    assert np.isnan(regimes.regimes(np.ones(300), 200).probability).all()
    assert np.isnan(regimes.regimes(np.full(300, np.nan), 200).probability).all()
    assert np.isnan(regimes.fit([1.0, 2.0])).all()
    assert np.isnan(regimes.filtered([1.0], np.full(6, np.nan))).all()
    assert regimes.regimes([], 200).probability.size == 0
    with pytest.raises(ValueError, match="must be above zero"):
        regimes.filtered([1.0], [0, 1, 0, 1, 0.5, 0.5])
    with pytest.raises(ValueError, match="must be six"):
        regimes.filtered([1.0], [0, 1])
    with pytest.raises(ValueError, match="at least 100 of 50 rows"):
        regimes.regimes([1.0], 50)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(regimes).failed == 0
