"""Do excursions begin and end where a plain look at the earlier rows says?"""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import excursions as module
from warehouse.functions.excursions import excursions, runs, trailing_median

values = st.lists(
    st.tuples(st.integers(0, 5), st.one_of(st.just(np.nan), st.integers(1, 9)), st.integers(0, 1)),
    max_size=40,
)


def series(rows):
    at = np.cumsum([gap for gap, _, _ in rows], dtype=np.int64)
    return (
        at,
        np.array([x for _, x, _ in rows], dtype=float),
        np.array([g for _, _, g in rows], int),
    )


@given(values, st.integers(1, 30), st.integers(0, 4), st.integers(1, 4))
def test_medians_are_those_of_the_earlier_rows(rows, window, spacing, minimum):
    at, x, group = series(rows)
    base, count = trailing_median(at, x, group, window, spacing, minimum)
    for i in range(at.size):
        kept = []
        for j in range(i):
            is_spaced = not kept or at[j] >= at[kept[-1]] + spacing
            if group[j] == group[i] and not np.isnan(x[j]) and is_spaced:
                kept.append(j)
        kept = sorted(x[j] for j in kept if at[j] >= at[i] - window)
        assert count[i] == len(kept)
        if len(kept) < minimum:
            assert np.isnan(base[i])
        else:
            assert base[i] == kept[(len(kept) - 1) // 2]


@given(values)
def test_what_comes_later_does_not_change_when_an_excursion_began(rows):
    at, x, group = series(rows)
    base, count = trailing_median(at, x, group, 50)
    whole = excursions(x, base, count, group, 3.0, 1.5)
    half = at.size // 2
    part = excursions(x[:half], base[:half], count[:half], group[:half], 3.0, 1.5)
    np.testing.assert_array_equal(whole.start[whole.start < half], part.start)
    np.testing.assert_array_equal(whole.threshold[whole.start < half], part.threshold)


@given(values)
def test_excursions_do_not_overlap_and_contain_their_worst_row(rows):
    at, x, group = series(rows)
    base, count = trailing_median(at, x, group, 50)
    for found, worse in (
        (excursions(x, base, count, group, 3.0, 1.5), np.greater),
        (excursions(x, base, count, group, 0.5, 0.9), np.less),
    ):
        ends = np.where(found.end < 0, at.size, found.end)
        assert (found.start < ends).all()
        assert (ends[:-1] <= found.start[1:]).all()
        for start, end, worst, half in zip(found.start, ends, found.worst, found.half, strict=True):
            same = group[start:end] == group[start]
            assert not worse(x[start:end][same], x[worst]).any()
            assert half < 0 or worst < half <= end


def test_a_depth_that_halves_is_a_collapse_until_nine_tenths_are_back():
    x = [10.0] * 5 + [4.0, 2.0, 6.5, 8.9, 9.0, 10.0]
    at = np.arange(len(x))
    one = np.zeros(len(x), dtype=int)
    base, count = trailing_median(at, x, one, 100)
    found = excursions(x, base, count, one, 0.5, 0.9)
    assert found.start.tolist() == [5]
    assert found.worst.tolist() == [6]
    assert found.half.tolist() == [7]  # 6 is halfway from 2 to 10
    assert found.end.tolist() == [9]
    assert found.threshold.tolist() == [5.0]
    assert found.baseline.tolist() == [10.0]
    assert found.history.tolist() == [5]


def test_one_that_is_not_over_has_no_end():
    found = excursions([1.0, 9.0], [1.0, 1.0], [5, 5], [0, 0], 3.0, 1.5)
    assert (found.start.tolist(), found.end.tolist()) == ([1], [-1])


def test_a_spread_below_the_floor_is_none_and_the_floor_is_its_threshold():
    x, base = [0.9, 1.2], [0.01, 0.01]
    found = excursions(x, base, [9, 9], [0, 0], 3.0, 1.5, floor=1.0)
    assert found.start.tolist() == [1]
    assert found.threshold.tolist() == [1.0]


def test_a_row_held_to_nothing_ends_what_another_measure_began():
    found = excursions([9.0, 9.0], [1.0, np.nan], [9, 0], [0, 1], 3.0, 1.5)
    assert found.end.tolist() == [1]


def test_runs_of_true_rows():
    start, end = runs([True, False, False, True, True])
    assert (start.tolist(), end.tolist()) == ([0, 3], [1, -1])
    assert runs([])[0].size == 0


@pytest.mark.parametrize("ratios", [(3.0, 4.0), (3.0, 0.5), (0.5, 0.4), (0.5, 1.2), (1.0, 1.0)])
def test_ratios_that_never_end_are_refused(ratios):
    with pytest.raises(ValueError, match="of what is usual"):
        excursions([1.0], [1.0], [1], [0], *ratios)


def test_examples():
    assert doctest.testmod(module).failed == 0
