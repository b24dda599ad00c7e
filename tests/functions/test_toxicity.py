"""The level of toxicity: entered and left at different shares of a past that is strictly before."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import toxicity
from warehouse.functions.toxicity import Rule, Toxicity

RULE = Rule(0.75, 0.65, 0.95, 0.85, window=48, minimum=10)
figures = st.lists(st.one_of(st.just(np.nan), st.floats(0, 1)), min_size=1, max_size=80)


def by_hand(values, rule):
    """The same levels, one row at a time."""
    level, found = Toxicity.UNKNOWN, []
    for i, value in enumerate(values):
        past = [v for v in values[max(0, i - rule.window) : i] if not np.isnan(v)]
        if np.isnan(value) or len(past) < rule.minimum:
            level = Toxicity.UNKNOWN
        else:
            share = sum(v < value for v in past) / len(past)
            toxic = rule.toxic_exit if level == Toxicity.TOXIC else rule.toxic_enter
            is_raised = level in (Toxicity.ELEVATED, Toxicity.TOXIC)
            elevated = rule.elevated_exit if is_raised else rule.elevated_enter
            level = Toxicity(1 + (share >= elevated) + (share >= toxic))
        found.append(level)
    return found


@given(figures)
def test_levels_are_those_counted_row_by_row(values):
    found = toxicity.states(np.arange(len(values)), values, RULE)
    assert list(found.state) == by_hand(values, RULE)
    assert (np.isnan(found.past_share) == (found.state == Toxicity.UNKNOWN)).all()


@given(figures, figures)
def test_what_comes_later_changes_no_level(values, later):
    hours = np.arange(len(values) + len(later))
    whole = toxicity.states(hours, values + later, RULE).state[: len(values)]
    np.testing.assert_array_equal(whole, toxicity.states(hours[: len(values)], values, RULE).state)


def test_a_level_is_left_only_below_where_it_was_entered():
    past = np.arange(20.0)
    after = [19.0, 18.0, 17.0, 14.5, 13.0, 10.0, 14.5, 15.0]
    hours = np.arange(28)
    found = toxicity.states(hours, [*past, *after], RULE._replace(minimum=20))
    names = [Toxicity(s).name for s in found.state[20:]]
    assert names == [
        *("TOXIC", "TOXIC", "ELEVATED", "ELEVATED", "CALM", "CALM"),
        *("CALM", "CALM"),
    ]


def test_a_series_that_stands_still_is_calm():
    found = toxicity.states(np.arange(30), np.full(30, 0.4), RULE)
    assert (found.state[:10] == Toxicity.UNKNOWN).all()
    assert (found.state[10:] == Toxicity.CALM).all()


def test_hours_that_are_not_there_shorten_the_past():
    hours = np.r_[np.arange(10), 200]
    found = toxicity.states(hours, np.arange(11.0), RULE)
    assert found.state[-1] == Toxicity.UNKNOWN


@pytest.mark.parametrize(
    "rule",
    [
        RULE._replace(elevated_exit=0.8),
        RULE._replace(toxic_exit=0.99),
        RULE._replace(toxic_enter=1.5),
        RULE._replace(toxic_exit=0.6),
        RULE._replace(elevated_enter=np.nan),
        RULE._replace(minimum=0),
        RULE._replace(minimum=49),
    ],
)
def test_a_rule_that_contradicts_itself_is_refused(rule):
    with pytest.raises(ValueError, match="toxicity"):
        toxicity.states([0, 1], [0.1, 0.2], rule)


def test_hours_must_ascend():
    with pytest.raises(ValueError, match="5 follows 5"):
        toxicity.states([4, 5, 5], [0.1, 0.2, 0.3], RULE)
    with pytest.raises(ValueError, match="shape"):
        toxicity.states([4, 5], [0.1], RULE)


def test_the_examples_hold():
    assert doctest.testmod(toxicity).failed == 0
