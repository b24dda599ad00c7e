"""Bars: R's TTR to ten digits, and what each estimator does with holes and bad bars."""

import csv
import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import realized

DAY = 86_400


@pytest.fixture(scope="module")
def ttr(reference):
    """R's table: column name to array, empty cells as NaN."""
    table = (reference / "ttr_volatility.csv").read_text()
    rows = list(csv.DictReader(table.splitlines()))
    return {c: np.array([float(r[c] or "nan") for r in rows]) for c in rows[0] if c != "Date"}


@pytest.mark.parametrize("n", [10, 30])
def test_estimates_are_those_of_ttr(ttr, n):
    prices = [ttr[c] for c in ("Open", "High", "Low", "Close")]
    at = np.arange(prices[0].size)
    found = realized.range_vols(at, *prices, at + 1, n, 1, 260.0)
    full = at >= n - 1
    for name, theirs in (
        ("close_close_demeaned", "close"),
        ("parkinson", "parkinson"),
        ("garman_klass", "garman.klass"),
    ):
        expected = ttr[f"{theirs}_n{n}_N260"]
        known = full & np.isfinite(expected)
        assert known.sum() > 100
        np.testing.assert_allclose(getattr(found, name)[known], expected[known], rtol=1e-10)
    assert (found.bars_used[full] == n).all()


def bars(rng, count=400, vol=0.6, moves=60):
    """Bars of a driftless walk of `moves` steps each."""
    per_move = vol / math.sqrt(365 * moves)
    walk = np.exp(np.cumsum(rng.normal(0, per_move, count * moves))).reshape(count, moves)
    first = np.concatenate([[1.0], walk[:-1, -1]])
    whole = np.column_stack([first, walk])
    return first, whole.max(1), whole.min(1), walk[:, -1]


def test_every_estimator_finds_the_volatility_of_a_walk():
    rows = bars(np.random.default_rng(3), count=4_000, moves=1_000)
    found = realized.range_vols(np.arange(4_000) * DAY, *rows, [4_000 * DAY], 4_000 * DAY, DAY)
    for name in ("close_close", "close_close_demeaned", "parkinson", "garman_klass"):
        assert float(getattr(found, name)[0]) == pytest.approx(0.6, rel=0.05), name
    assert float(found.rogers_satchell[0]) == pytest.approx(0.6, rel=0.05)
    assert float(found.yang_zhang_demeaned[0]) == pytest.approx(0.6, rel=0.05)


def test_rogers_satchell_and_yang_zhang_are_their_formulas():
    first, high, low, last = bars(np.random.default_rng(4), count=20)
    first = first * np.exp(np.random.default_rng(5).normal(0, 0.001, 20))
    high, low = np.maximum(high, first), np.minimum(low, first)
    found = realized.range_vols(np.arange(20), first, high, low, last, [20], 19, 1, 1.0)
    o, h, lo, c = (v[1:] for v in (first, high, low, last))
    rs = np.mean(np.log(h / c) * np.log(h / o) + np.log(lo / c) * np.log(lo / o))
    assert float(found.rogers_satchell[0]) == pytest.approx(math.sqrt(rs), rel=1e-12)
    jumps = np.log(o / last[:-1])
    share = 0.34 / (1.34 + 20 / 18)
    yz = np.var(jumps, ddof=1) + share * np.var(np.log(c / o), ddof=1) + (1 - share) * rs
    assert float(found.yang_zhang_demeaned[0]) == pytest.approx(math.sqrt(yz), rel=1e-12)


def test_a_drift_counts_in_the_zero_mean_estimate_only():
    close = np.exp(np.arange(50) * 0.01)
    found = realized.range_vols(np.arange(50), close, close, close, close, [50], 50, 1, 365.0)
    assert float(found.close_close[0]) == pytest.approx(0.01 * math.sqrt(365))
    assert float(found.close_close_demeaned[0]) == pytest.approx(0.0, abs=1e-9)


def test_a_gap_longer_than_three_steps_is_excluded_and_counted():
    at = np.array([0, 1, 2, 6, 7, 10])
    close = np.exp([0.0, 0.01, 0.0, 1.0, 1.01, 1.03])
    found = realized.range_vols(at, close, close, close, close, [11], 11, 1, 1.0)
    assert found.gaps_excluded.tolist() == [1]
    assert found.bars_used.tolist() == [6]
    # The last return took three steps: its square counts over the time it took.
    squares = np.sum(np.square([0.01, 0.01, 0.01, 0.02]))
    assert float(found.close_close[0]) == pytest.approx(math.sqrt(squares / (1 + 1 + 1 + 3)))


def test_a_bar_that_cannot_be_is_passed_over():
    rows = [list(c) for c in bars(np.random.default_rng(6), count=30)]
    whole = realized.range_vols(np.arange(30), *rows, [30], 30, 1)
    keep = [i for i in range(30) if i not in (4, 9, 14, 19)]
    without = realized.range_vols(keep, *[[c[i] for i in keep] for c in rows], [30], 30, 1)
    rows[3][4] = math.nan
    rows[1][9] = 0.5 * rows[2][9]
    rows[2][14] = 0.0
    rows[1][19] = math.inf
    found = realized.range_vols(np.arange(30), *rows, [30], 30, 1)
    assert found.bars_used.tolist() == [26]
    assert whole.bars_used.tolist() == [30]
    for name in ("close_close", "parkinson", "garman_klass", "yang_zhang_demeaned"):
        assert getattr(found, name)[0] == getattr(without, name)[0]


@given(st.integers(5, 40), st.integers(0, 2**32 - 1))
def test_a_window_knows_nothing_outside_of_it(n, seed):
    rows = bars(np.random.default_rng(seed), count=60, moves=5)
    at = np.arange(60) * 60
    end = 50 * 60
    one = realized.range_vols(at, *rows, [end], n * 60, 60)
    changed = [c.copy() for c in rows]
    for c in changed:
        c[50:] *= 2.0
        c[: 49 - n] *= 3.0
    other = realized.range_vols(at, *changed, [end], n * 60, 60)
    for name in ("close_close", "close_close_demeaned", "parkinson", "rogers_satchell"):
        assert getattr(one, name)[0] == getattr(other, name)[0]
    assert one.bars_used[0] == n


def test_empty_and_single_bars_have_no_volatility_and_disorder_is_refused():
    none = realized.range_vols([], [], [], [], [], [10], 5, 1)
    one = realized.range_vols([9], [1.0], [1.1], [0.9], [1.0], [10], 5, 1)
    assert np.isnan([none.parkinson[0], one.parkinson[0], one.close_close[0]]).all()
    assert (none.bars_used[0], one.bars_used[0]) == (0, 1)
    with pytest.raises(ValueError, match="times must ascend, 1 follows 1"):
        realized.range_vols([1, 1], *[[1.0, 1.0]] * 4, [2], 2, 1)
    with pytest.raises(ValueError, match="1 times for 2 observations"):
        realized.range_vols([1], *[[1.0, 1.0]] * 4, [2], 2, 1)
    with pytest.raises(ValueError, match="window of 1 s, step of 2 s"):
        realized.range_vols([1], *[[1.0]] * 4, [2], 1, 2)
    with pytest.raises(ValueError, match="columns of"):
        realized.range_vols([1], [1.0], [1.0], [1.0], [], [2], 1, 1)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(realized).failed == 0
