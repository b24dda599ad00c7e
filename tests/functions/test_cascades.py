"""Are waves of forced orders chains in time, and is the branching of a known process found?"""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import cascades
from warehouse.functions.cascades import branching_ratio, clusters

DAY = 86_400
orders = st.lists(st.tuples(st.integers(0, 30), st.booleans()), max_size=40)


@given(orders, st.integers(0, 20), st.integers(1, 3))
def test_a_cluster_is_a_chain_on_a_side_and_no_order_is_in_two(rows, gap, minimum):
    at = np.cumsum([step for step, _ in rows], dtype=np.int64)
    is_buy = np.array([buy for _, buy in rows], dtype=bool)
    found = clusters(at, is_buy, gap, minimum)
    for members, side in zip(found.rows, found.is_buy, strict=True):
        assert (is_buy[members] == side).all()
        assert (np.diff(at[members]) <= gap).all()
        assert members.size >= minimum
    taken = np.concatenate([np.zeros(0, dtype=np.int64), *found.rows])
    assert np.unique(taken).size == taken.size
    # whoever is left alone has no neighbour on its side
    for i in set(range(at.size)) - set(taken.tolist()):
        same = np.flatnonzero(is_buy == is_buy[i])
        place = np.searchsorted(same, i)
        chain = clusters(at[same], is_buy[same], gap, 1).rows
        assert min(len(c) for c in chain if place in c) < minimum


def hawkes(ratio, seed):
    """A week of orders, each setting off `ratio` others on average, 20 s later on average."""
    draw = np.random.default_rng(seed)
    waiting = list(draw.uniform(0, 7 * DAY, draw.poisson(0.003 * 7 * DAY)))
    found = []
    while waiting:
        moment = waiting.pop()
        found.append(moment)
        waiting += [moment + d for d in draw.exponential(20.0, draw.poisson(ratio))]
    return np.sort((1e6 * np.array(found)).astype(np.int64))


def estimate(at, until=7 * DAY):
    ratio, count = branching_ratio(at, [until * 1_000_000], 0, 7 * DAY * 1_000_000, 300_000_000)
    return ratio[0], count[0]


@pytest.mark.parametrize("ratio", [0.0, 0.4, 0.7])
def test_the_branching_of_a_hawkes_process_is_found(ratio):
    found = np.mean([estimate(hawkes(ratio, seed))[0] for seed in range(5)])
    assert found == pytest.approx(ratio, abs=0.06)


def test_a_feed_that_tells_one_order_a_second_shows_too_little_branching():
    # Orders set off 0.2 s apart: most of them fall into a second that has told one already.
    at = hawkes(0.7, 1)
    draw = np.random.default_rng(2)
    quick = np.sort(np.concatenate([at, at[draw.random(at.size) < 0.5] + 200_000]))
    told = quick[np.concatenate([[True], np.diff(quick // 1_000_000) > 0])]
    assert told.size < quick.size
    assert estimate(told)[0] < estimate(quick)[0]


def test_orders_at_or_after_a_moment_do_not_count_for_it():
    at = hawkes(0.5, 3)
    until = 5 * DAY
    before = at[at < until * 1_000_000]
    assert estimate(at, until) == estimate(before, until)


def test_few_orders_or_a_short_past_tell_nothing():
    at = np.arange(29, dtype=np.int64) * 3_600_000_000
    assert np.isnan(estimate(at, 2 * DAY)[0])
    many = np.arange(100, dtype=np.int64) * 60_000_000
    assert np.isnan(estimate(many, 6_000)[0])


def test_times_that_do_not_ascend_are_refused():
    with pytest.raises(ValueError, match="ascend"):
        clusters([2, 1], [True, True], 5)
    with pytest.raises(ValueError, match="ascend"):
        branching_ratio([2, 1], [3], 0, 10, 1)


def test_examples():
    assert doctest.testmod(cascades).failed == 0
