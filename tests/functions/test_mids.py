"""Mids at moments: from the last quote at or before, unless it is old, crossed or one-sided."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import mids

NAN = float("nan")
moments = st.lists(st.integers(0, 40), max_size=30).map(sorted)
sides = st.sampled_from([NAN, 0.0, 1.0, 2.0, 3.0, float("inf")])
quotes = st.lists(st.tuples(st.integers(0, 40), sides, sides), max_size=20)


def searched(at, book):
    """The same mid and age, found by looking at every quote."""
    before = [q for q in book if q[0] <= at]
    if not before:
        return NAN, NAN
    quoted, bid, ask = before[-1]
    is_good = 0 < bid <= ask < float("inf") and at - quoted <= 5
    return (bid + ask) / 2 if is_good else NAN, at - quoted


@given(moments, quotes)
def test_mids_are_those_found_by_looking_at_every_quote(at, book):
    book = sorted(book, key=lambda q: q[0])
    columns = np.array(book, dtype=float).reshape(-1, 3)
    seconds = 1_000_000
    found = mids.asof(np.array(at) * seconds, columns[:, 0] * seconds, columns[:, 1], columns[:, 2])
    expected = np.array([searched(t, book) for t in at], dtype=float).reshape(-1, 2)
    np.testing.assert_array_equal(found.mid, expected[:, 0])
    np.testing.assert_array_equal(found.age_s, expected[:, 1])


def test_a_quote_at_the_moment_itself_counts_and_of_several_the_last():
    assert mids.asof([7], [7, 7], [1.0, 3.0], [3.0, 5.0]).mid.tolist() == [4.0]


def test_a_quote_counts_for_five_seconds_to_the_microsecond():
    found = mids.asof([5_000_000, 5_000_001], [0], [1.0], [3.0])
    np.testing.assert_array_equal(found.mid, [2.0, NAN])
    np.testing.assert_array_equal(found.age_s, [5.0, 5.000001])


def test_an_unusable_quote_ends_the_one_before_it():
    found = mids.asof([1, 2, 3], [0, 2, 3], [1.0, 4.0, NAN], [3.0, 3.0, 3.0])
    np.testing.assert_array_equal(found.mid, [2.0, NAN, NAN])


def test_a_locked_quote_has_a_mid():
    assert mids.asof([0], [0], [3.0], [3.0]).mid.tolist() == [3.0]


def test_times_that_descend_and_columns_of_other_lengths_are_refused():
    with pytest.raises(ValueError, match="moments must ascend, 1 follows 2"):
        mids.asof([2, 1], [0], [1.0], [2.0])
    with pytest.raises(ValueError, match="quotes must ascend, 3 follows 4"):
        mids.asof([2], [4, 3], [1.0, 1.0], [2.0, 2.0])
    with pytest.raises(ValueError, match="1 quotes, 2 bids and 1 asks"):
        mids.asof([2], [4], [1.0, 1.0], [2.0])
    with pytest.raises(ValueError, match="one series"):
        mids.asof([[2]], [4], [1.0], [2.0])


def test_examples_run():
    assert doctest.testmod(mids).failed == 0
