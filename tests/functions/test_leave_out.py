"""A quote against the slice of the others: that of fitting them from nothing, and its error."""

import math

import numpy as np
import pytest

from warehouse.functions import svi
from warehouse.functions.leave_out import left_out

SLICE = (0.004, 0.06, -0.3, 0.01, 0.10)
T = 0.1


def smile(seed: int, n: int = 21, noise: float = 0.004):
    """Strikes, total variances off a slice, and weights as a chain has them."""
    rng = np.random.default_rng(seed)
    k = np.sort(rng.uniform(-0.5, 0.5, n))
    half = noise * (1.0 + 3.0 * np.abs(k))
    iv = np.sqrt(svi.total_variance(SLICE, k) / T) + half * rng.uniform(-1, 1, n) * 0.7
    return k, iv * iv * T, 1.0 / half


def alone(k, w, weight):
    """All quotes of one slice, its parameters fitted to them."""
    params = svi.fit(k, w, weight, T).params
    return left_out(params[:, None], [T], k, w, weight, [0, k.size])


@pytest.mark.parametrize("seed", range(40))
def test_it_is_the_slice_fitted_from_nothing_to_the_others(seed):
    k, w, weight = smile(seed)
    found = alone(k, w, weight)
    for i in range(k.size):
        rest = np.arange(k.size) != i
        refit = svi.fit(k[rest], w[rest], weight[rest], T).params
        expected = math.sqrt(float(svi.total_variance(refit, k[i])) / T)
        assert found.iv[i] == pytest.approx(expected, abs=1e-4 * found.error_iv[i])
    assert (found.quotes_left == k.size - 1).all()
    assert found.is_inside.tolist() == [False, *[True] * (k.size - 2), False]


def test_without_noise_the_others_give_the_quote_back():
    k, _, weight = smile(3)
    w = svi.total_variance(SLICE, k)
    found = left_out(np.array([SLICE]).T, [T], k, w, weight, [0, k.size])
    np.testing.assert_allclose(found.iv, np.sqrt(w / T), rtol=1e-9)
    assert np.nanmax(found.error_iv) < 1e-9


def test_a_quote_that_is_rich_does_not_hide_itself():
    k, w, weight = smile(5, n=15)
    w = svi.total_variance(SLICE, k)
    rich = 7
    iv = np.sqrt(w[rich] / T) + 4.0 / weight[rich]
    w[rich] = iv * iv * T
    found = alone(k, w, weight)
    assert (iv - found.iv[rich]) * weight[rich] == pytest.approx(4.0, abs=0.01)


def test_its_error_is_as_large_as_what_noise_does():
    k, _, weight = smile(1)
    clean = np.sqrt(svi.total_variance(SLICE, k) / T)
    at, misses, errors = 8, [], []
    rng = np.random.default_rng(11)
    for _ in range(400):
        iv = clean + rng.normal(size=k.size) / weight * 0.5
        found = alone(k, iv * iv * T, weight)
        misses.append(found.iv[at] - clean[at])
        errors.append(found.error_iv[at])
    assert np.std(misses) == pytest.approx(np.median(errors), rel=0.25)


def test_quotes_of_one_strike_are_left_out_together():
    k, w, weight = smile(4)
    both = np.repeat(k, 2)
    found = left_out(
        svi.fit(k, w, weight, T).params[:, None],
        [T],
        both,
        np.repeat(w, 2),
        np.column_stack([weight, 0 * weight]).ravel(),
        [0, both.size],
    )
    once = alone(k, w, weight)
    np.testing.assert_array_equal(found.iv[::2], once.iv)
    np.testing.assert_array_equal(found.iv[1::2], once.iv)


def test_a_strike_that_was_not_fitted_is_read_off_the_slice_as_it_is():
    k, w, weight = smile(6)
    weight[4] = 0.0
    params = svi.fit(k, w, weight, T).params
    found = left_out(params[:, None], [T], k, w, weight, [0, k.size])
    expected = math.sqrt(float(svi.total_variance(params, k[4])) / T)
    assert found.iv[4] == pytest.approx(expected, rel=1e-12)
    assert found.quotes_left[4] == k.size - 1


@pytest.mark.parametrize("n", [1, 2, 5])
def test_with_too_few_strikes_left_there_is_no_answer(n):
    k, w, weight = smile(2, n=n)
    params = np.array([SLICE]).T
    found = left_out(params, [T], k, w, weight, [0, n])
    assert np.isnan(found.iv).all()
    assert (found.quotes_left == n - 1).all()


def test_six_strikes_leave_five_and_no_error():
    k, w, weight = smile(2, n=6)
    found = alone(k, w, weight)
    assert np.isfinite(found.iv).all()
    assert np.isnan(found.error_iv).all()


@pytest.mark.parametrize("spoilt", [math.nan, math.inf, 0.0, -1.0])
def test_garbage_among_the_others_is_left_aside(spoilt):
    k, w, weight = smile(8)
    params = svi.fit(k, w, weight, T).params
    w[3] = spoilt
    found = left_out(params[:, None], [T], k, w, weight, [0, k.size])
    assert np.isfinite(found.iv).all()


def test_without_a_slice_or_time_there_is_nothing():
    k, w, weight = smile(8)
    ends = [0, k.size]
    no_slice = left_out(np.full((5, 1), math.nan), [T], k, w, weight, ends)
    no_time = left_out(np.array([SLICE]).T, [0.0], k, w, weight, ends)
    assert np.isnan(no_slice.iv).all()
    assert np.isnan(no_time.iv).all()


def test_offsets_that_do_not_cut_the_quotes_are_refused():
    with pytest.raises(ValueError, match="offsets do not cut 1 quotes of 1 slices"):
        left_out(np.array([SLICE]).T, [T], [0.0], [0.1], [1.0], [0, 2])
