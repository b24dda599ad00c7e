"""Which price moves first: the contrast of Hayashi and Yoshida, and what clocks cannot tell."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.functions import leadlag
from warehouse.functions.leadlag import LeadLagStatus

MILLISECOND = 1_000
SKEW = 50 * MILLISECOND
LAGS = MILLISECOND * np.array(
    sorted({0, *(s * k for k in (10, 20, 50, 100, 200, 300, 400, 1000, 3000) for s in (1, -1))})
)


def planted(lag_ms: int, *, correlation: float = 1.0, seed: int = 0, count: int = 6_000):
    """Ten minutes of two prices seen at random milliseconds, the second `lag_ms` behind."""
    draw = np.random.default_rng(seed)
    length, edge = 600_000, 4_000
    path = np.cumsum(draw.normal(0, 1e-5, length))
    other = np.cumsum(draw.normal(0, 1e-5, length))
    second = correlation * path + np.sqrt(1 - correlation**2) * other
    at = [np.sort(draw.choice(length - 2 * edge, n, replace=False)) + edge for n in (count, 2_000)]
    x = path[at[0]] + draw.normal(0, 3e-5, count)
    y = second[at[1] - lag_ms] + draw.normal(0, 3e-5, 2_000)
    return at[0] * MILLISECOND, x, at[1] * MILLISECOND, y


def by_pairs(first_at, first, second_at, second, lag):
    """Every pair of returns whose intervals (start, end] overlap."""
    total = 0.0
    for i in range(1, len(first)):
        for j in range(1, len(second)):
            starts = second_at[j - 1] - lag < first_at[i]
            if starts and first_at[i - 1] < second_at[j] - lag:
                total += (first[i] - first[i - 1]) * (second[j] - second[j - 1])
    return total


series = st.lists(st.integers(0, 60), min_size=2, max_size=14, unique=True).map(sorted)


@settings(deadline=None, max_examples=50)
@given(series, series, st.integers(-40, 40), st.integers(0, 2**32 - 1))
def test_the_contrast_is_the_sum_over_overlapping_pairs(first_at, second_at, lag, seed):
    draw = np.random.default_rng(seed)
    first, second = draw.normal(size=len(first_at)), draw.normal(size=len(second_at))
    found = leadlag.contrasts(first_at, first, second_at, second, [lag])
    expected = by_pairs(first_at, first, second_at, second, lag)
    assert found[0] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("lag_ms", [300, -300, 1000])
def test_a_lag_beyond_the_clocks_is_found_with_its_sign(lag_ms):
    found = leadlag.lead(*planted(lag_ms), LAGS, SKEW)
    assert found.status is LeadLagStatus.OK
    assert found.lag_us == lag_ms * MILLISECOND
    assert (found.lead_lag_ratio > 1) == (lag_ms > 0)
    assert found.correlation > found.correlation_at_zero + 3 * found.standard_error


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("lag_ms", [0, 10, -20, 50])
def test_a_lag_hidden_below_the_clocks_is_not_identified(lag_ms, seed):
    found = leadlag.lead(*planted(lag_ms, seed=seed), LAGS, SKEW)
    assert found.status is LeadLagStatus.NOT_IDENTIFIED


def test_the_same_lag_is_not_identified_by_clocks_that_are_worse():
    found = leadlag.lead(*planted(300), LAGS, 500 * MILLISECOND)
    assert found.status is LeadLagStatus.NOT_IDENTIFIED
    assert found.lag_us == 300 * MILLISECOND


@pytest.mark.parametrize("seed", range(5))
def test_prices_that_have_nothing_to_do_with_each_other_have_no_leader(seed):
    found = leadlag.lead(*planted(300, correlation=0.0, seed=seed), LAGS, SKEW)
    assert found.status is LeadLagStatus.NO_CORRELATION


def test_an_inverse_price_leads_by_its_falls():
    at_x, x, at_y, y = planted(300)
    found = leadlag.lead(at_x, x, at_y, -y, LAGS, SKEW)
    assert found.status is LeadLagStatus.OK
    assert found.correlation < 0 < found.contrast


def test_who_is_first_turns_the_sign_of_the_lag():
    at_x, x, at_y, y = planted(300)
    found = leadlag.lead(at_y, y, at_x, x, LAGS, SKEW)
    assert found.lag_us == -300 * MILLISECOND


def test_of_prices_at_one_stamp_the_last_counts_and_missing_ones_do_not():
    at, price = [0, 5, 5, 5, 9, 12], [1.0, 7.0, np.nan, 2.0, np.nan, 4.0]
    lags = [-3, 0, 2]
    plain = leadlag.contrasts([0, 5, 12], [1.0, 2.0, 4.0], [1, 6, 11], [0.0, 1.0, 5.0], lags)
    np.testing.assert_array_equal(
        leadlag.contrasts(at, price, [1, 6, 11], [0.0, 1.0, 5.0], lags), plain
    )


def test_a_price_that_stands_still_or_hardly_trades_says_nothing():
    at_x, x, at_y, y = planted(300)
    for few in (leadlag.lead(at_x[:50], x[:50], at_y, y, LAGS, SKEW),
                leadlag.lead(at_x, np.zeros(x.size), at_y, y, LAGS, SKEW),
                leadlag.lead([], [], [], [], LAGS, SKEW)):  # fmt: skip
        assert few.status is LeadLagStatus.TOO_FEW
        assert np.isnan(few.lag_us)
    assert np.isnan(leadlag.contrasts([], [], at_y, y, [0])).all()


def test_stamps_out_of_order_are_refused_by_the_first():
    with pytest.raises(ValueError, match="times must ascend, 3 us"):
        leadlag.contrasts([0, 5, 3], [1.0, 2.0, 3.0], [0, 1], [1.0, 2.0], [0])
