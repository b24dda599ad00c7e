"""Parity forwards: exact quotes, noise, outliers, and a recorded chain beside its futures."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from recorded_chain import expiries

from warehouse.functions.forwards import ParityStatus, parity, parity_many


def board(strikes, middle, half):
    """Bids and asks whose call mid less put mid is `middle`."""
    base = np.maximum(middle, 0) + 3 * half
    put = base - middle
    return strikes, base - half, base + half, put - half, put + half


@given(st.floats(10.0, 1e5), st.integers(2, 30), st.floats(1e-5, 1e-2))
def test_exact_coin_quotes_give_the_forward_they_were_made_of(forward, count, half):
    strikes = forward * np.linspace(0.6, 1.5, count)
    fit = parity(*board(strikes, 1 - strikes / forward, np.full(count, half)), is_coin=True)
    assert fit.status is ParityStatus.OK
    assert fit.forward == pytest.approx(forward, rel=1e-10)
    assert np.isnan(fit.discount_factor)
    assert 0 < fit.standard_error < forward * half * 2
    assert fit.strikes_used == count


@given(st.floats(10.0, 1e5), st.floats(0.5, 1.1), st.integers(3, 30))
def test_exact_dollar_quotes_give_forward_and_discount(forward, discount, count):
    strikes = forward * np.linspace(0.6, 1.5, count)
    half = np.full(count, 1e-3 * forward)
    fit = parity(*board(strikes, discount * (forward - strikes), half), is_coin=False)
    assert fit.status is ParityStatus.OK
    assert fit.forward == pytest.approx(forward, rel=1e-9)
    assert fit.discount_factor == pytest.approx(discount, rel=1e-9)


@pytest.mark.parametrize("is_coin", [True, False])
def test_stale_quotes_on_a_third_of_the_strikes_do_not_move_the_forward(is_coin):
    rng = np.random.default_rng(3)
    forward, strikes = 60_000.0, np.arange(40_000.0, 80_001.0, 2_000.0)
    unit = 1.0 if is_coin else forward
    half = rng.uniform(0.0005, 0.002, strikes.size) * unit
    middle = (1 - strikes / forward) * unit + half * rng.uniform(-0.5, 0.5, strikes.size)
    middle[:7] += 0.08 * unit
    fit = parity(*board(strikes, middle, half), is_coin)
    assert abs(fit.forward / forward - 1) < 10e-4
    assert abs(fit.forward - forward) < 3 * fit.standard_error
    assert fit.strikes_used <= strikes.size - 7


@pytest.mark.parametrize("is_coin", [True, False])
def test_the_standard_error_covers_the_truth_about_as_often_as_it_says(is_coin):
    rng = np.random.default_rng(11)
    forward, strikes = 3_000.0, np.linspace(2_000, 4_500, 26)
    unit = 1.0 if is_coin else forward
    inside = 0
    for _ in range(200):
        half = rng.uniform(0.001, 0.004, 26) * unit
        middle = (1 - strikes / forward) * unit + half * rng.uniform(-1, 1, 26)
        fit = parity(*board(strikes, middle, half), is_coin)
        inside += abs(fit.forward - forward) <= 1.96 * fit.standard_error
    assert 180 <= inside <= 200


def test_locked_and_one_sided_and_crossed_quotes():
    strikes = np.array([80.0, 90.0, 100.0, 110.0, 120.0])
    k, cb, ca, pb, pa = board(strikes, 1 - strikes / 100.0, np.full(5, 0.01))
    ca[0] = cb[0]
    pa[0] = pb[0]
    cb[1] = 0.0
    pb[2] = np.nan
    ca[3] = cb[3] - 0.001
    fit = parity(k, cb, ca, pb, pa, is_coin=True)
    assert fit.status is ParityStatus.OK
    assert fit.strikes_used == 2


@pytest.mark.parametrize(("is_coin", "count"), [(True, 1), (False, 2), (True, 0)])
def test_too_few_strikes_say_so(is_coin, count):
    strikes = np.linspace(90, 110, count)
    fit = parity(*board(strikes, 1 - strikes / 100, np.full(count, 0.01)), is_coin)
    assert fit.status is ParityStatus.TOO_FEW_STRIKES
    assert np.isnan([fit.forward, fit.standard_error, fit.discount_factor]).all()


def test_quotes_that_rise_with_the_strike_have_no_forward():
    strikes = np.linspace(90, 110, 6)
    fit = parity(*board(strikes, strikes - 100, np.full(6, 0.5)), is_coin=False)
    assert fit.status is ParityStatus.NO_SOLUTION
    assert np.isnan(fit.forward)


def test_a_discount_that_few_narrow_strikes_do_not_tell_is_left_out():
    strikes = np.array([990.0, 1_000.0, 1_010.0])
    middle = 0.99 * (1_004.0 - strikes)
    blurred = parity(*board(strikes, middle, np.full(3, 2.0)), is_coin=False)
    assert np.isnan(blurred.discount_factor)
    assert blurred.forward == pytest.approx(1_004.0, abs=2 * blurred.standard_error)
    assert 0.5 < blurred.standard_error < 4.0
    sharp = parity(*board(strikes, middle, np.full(3, 0.01)), is_coin=False)
    assert sharp.discount_factor == pytest.approx(0.99, rel=1e-9)
    wide = np.linspace(500.0, 1_500.0, 11)
    far = parity(*board(wide, 0.99 * (1_004.0 - wide), np.full(11, 2.0)), is_coin=False)
    assert far.discount_factor == pytest.approx(0.99, rel=1e-9)


def test_many_expiries_at_once_are_each_what_they_are_alone():
    rng = np.random.default_rng(4)
    boards, coins = [], [True, False, True, False, True]
    for is_coin, count in zip(coins, [12, 20, 1, 2, 0], strict=True):
        strikes = np.linspace(2_000, 4_500, count)
        unit = 1.0 if is_coin else 3_000.0
        half = rng.uniform(0.001, 0.004, count) * unit
        noisy = (1 - strikes / 3_000) * unit + half * rng.uniform(-1, 1, count)
        boards.append(board(strikes, noisy, half))
    ends = np.cumsum([0, *(b[0].size for b in boards)])
    columns = [np.concatenate(c) for c in zip(*boards, strict=True)]
    numbers, used, status = parity_many(*columns, ends, np.array(coins))
    for i, b in enumerate(boards):
        alone = parity(*b, coins[i])
        expected = [alone.forward, alone.standard_error, alone.discount_factor]
        np.testing.assert_array_equal(numbers[i], expected)
        assert (used[i], status[i]) == (alone.strikes_used, alone.status)
    assert [ParityStatus(s).name for s in status] == ["OK", "OK", *["TOO_FEW_STRIKES"] * 3]


def test_a_recorded_chain_gives_forwards_within_two_errors_of_its_listed_futures(recorded):
    chain = expiries(recorded)
    assert len(chain) == 13
    assert {e.fit.status for e in chain} == {ParityStatus.OK}
    errors = [abs(e.fit.forward - e.listed) / e.fit.standard_error for e in chain]
    bps = [1e4 * abs(e.fit.forward / e.listed - 1) for e in chain]
    worst = chain[int(np.argmax(bps))].smile.name
    print(  # noqa: T201
        f"{len(chain)} expiries, median {np.median(bps):.2f} bp, worst {worst} {max(bps):.2f} bp; "
        f"worst {max(errors):.2f} standard errors"
    )
    assert max(errors) <= 2
    assert np.median(bps) < 2
