"""Price impact: planted slopes are found, errors are the paper's, garbage gives nothing."""

import doctest
import math

import numpy as np
import pytest
import tapes
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from warehouse.functions import autoregression, impact, power, regression, tape

NAN = float("nan")
DAY = 86_400 * tapes.SECOND
STEPS = 360
numbers = st.floats(-5, 5).map(lambda v: round(v, 3))


# ---- lines


def newey_west(x, y):
    """The same slope and error from matrices, as the paper writes it."""
    design = np.column_stack([np.ones(x.size), x])
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ design.T @ y
    score = design * (y - design @ found)[:, None]
    lags = math.floor(4 * (x.size / 100) ** (2 / 9))
    middle = score.T @ score
    for lag in range(1, lags + 1):
        product = score[lag:].T @ score[:-lag]
        middle += (1 - lag / (lags + 1)) * (product + product.T)
    return found[1], math.sqrt((inverse @ middle @ inverse)[1, 1])


def test_a_slope_and_its_error_are_those_of_the_matrices():
    rng = np.random.default_rng(2)
    for n in (20, 100, 360, 1000):
        x = rng.normal(size=n)
        y = 1 + 2 * x + np.convolve(rng.normal(size=n + 4), np.ones(5), "valid") * (1 + np.abs(x))
        found = regression.slope(x, y)
        assert (found.slope, found.standard_error) == pytest.approx(newey_west(x, y), rel=1e-10)
        assert found.r_squared == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2, rel=1e-10)
        assert found.n == n


@given(arrays(float, 40, elements=numbers), st.floats(-10, 10), st.floats(0.1, 10))
def test_a_slope_scales_with_what_it_is_of(x, shift, scale):
    y = np.sin(np.arange(40.0)) + x
    one, other = regression.slope(x, y), regression.slope(x * scale + shift, y)
    if one.standard_error > 1e-6:
        assert other.slope == pytest.approx(one.slope / scale, rel=1e-6, abs=1e-9)
        assert other.standard_error == pytest.approx(one.standard_error / scale, rel=1e-6)


def jackknifed(x, y):
    """The interval from fits that each leave a step out, by Newey and West's weights."""
    steps = np.arange(x.size)
    fit = np.polyfit(x, y, 1)[0]
    change = np.array([fit - np.polyfit(x[steps != i], y[steps != i], 1)[0] for i in steps])
    window = 1 + math.floor(4 * (x.size / 100) ** (2 / 9))
    weight = np.maximum(1 - np.abs(np.subtract.outer(steps, steps)) / window, 0)
    b = window / x.size
    reach = 1.96 + 2.9694 * b + 0.416 * b**2 - 0.5324 * b**3
    half = reach * math.sqrt(change @ weight @ change)
    return fit - half, fit + half


@given(arrays(float, 30, elements=numbers), arrays(float, 30, elements=numbers))
def test_the_interval_is_what_leaving_each_step_out_changes(flow, noise):
    x = flow + 11 * (np.arange(30) % 3)
    x[7] += 60
    y = noise + np.sin(np.arange(30.0)) * flow
    found = regression.slope(x, y)
    assert (found.low, found.high) == pytest.approx(jackknifed(x, y), rel=1e-6, abs=1e-9)


def test_a_slope_that_one_step_decides_alone_has_no_interval():
    x = np.zeros(150)
    x[70] = 3.0
    found = regression.slope(x, np.sin(np.arange(150.0)))
    assert found.standard_error > 0
    assert math.isnan(found.low)
    assert math.isnan(found.high)


def test_the_interval_holds_where_flow_has_heavy_tails_and_errors_alone_do_not():
    """Flow of Student's law with three degrees of freedom, noise whose width comes in spells."""
    rng = np.random.default_rng(17)
    flow = rng.standard_t(3, (4_000, 100))
    loud = np.exp(0.5 * np.repeat(rng.normal(size=(4_000, 10)), 10, axis=1))
    noise = loud * rng.normal(size=flow.shape)
    fits = [regression.slope(x, 2 * x + e) for x, e in zip(flow, noise, strict=True)]
    assert np.mean([abs(f.slope - 2) < 1.959964 * f.standard_error for f in fits]) < 0.925
    assert 0.94 < np.mean([f.low < 2 < f.high for f in fits]) < 0.965


def test_where_flow_is_even_the_interval_is_no_wider_than_it_says():
    x, noise = np.random.default_rng(18).normal(size=(2, 4_000, 360))
    fits = [regression.slope(a, b) for a, b in zip(x, noise, strict=True)]
    assert 0.94 < np.mean([f.low < 0 < f.high for f in fits]) < 0.96


def test_a_step_without_a_number_leaves_a_hole_and_keeps_the_others_apart():
    rng = np.random.default_rng(3)
    x, y = rng.normal(size=(2, 150))
    x[40:45] = NAN
    found = regression.slope(x, y)
    assert found.n == 145
    assert found.slope == pytest.approx(np.polyfit(x[~np.isnan(x)], y[~np.isnan(x)], 1)[0])


def test_flow_that_never_varies_has_no_slope():
    found = regression.slope([1, 1, 1], [1, 2, 3])
    assert math.isnan(found.slope)
    assert math.isnan(found.standard_error)
    assert regression.slope([], []).n == 0


# ---- hours


def market(seed: int, lam: float, rate: int = 2, minutes: int = 60):
    """An hour whose mid moves by `lam` bps per million of flow and a little by itself."""
    rng = np.random.default_rng(seed)
    seconds = 60 * minutes
    at = np.sort(rng.integers(0, seconds * 1000, rate * seconds)) / 1000
    sign, value = rng.choice([-1, 1], at.size), rng.exponential(20_000, at.size)
    flow = np.bincount(np.floor(at).astype(int), sign * value / 1e6, seconds)
    middle = 100 * np.exp(np.cumsum(lam * flow + rng.normal(0, 0.05, seconds)) / 1e4)
    # What is traded in a second is in the quote at its end.
    known = np.concatenate([[100.0], middle])
    mids = known[np.floor(at).astype(int)]
    trades = tapes.prints(*zip(at, sign, mids * (1 + 1e-4 * sign), value / mids, strict=True))
    book = tapes.quotes(*((s, m - 0.005, m + 0.005) for s, m in enumerate(known)))
    return trades, book


def test_the_planted_lambda_lies_in_its_interval_in_nineteen_hours_of_twenty():
    inside = 0
    for seed in range(30):
        found = impact.hours(*market(seed, lam=3.0), 0, DAY)
        assert (found.hour.tolist(), found.kyle_n[0]) == ([0], STEPS)
        inside += abs(found.kyle_lambda[0] - 3.0) < 1.96 * found.kyle_error[0]
    assert 26 <= inside <= 30


def test_without_quotes_there_is_no_lambda_but_a_roll_and_an_amihud():
    trades, _ = market(1, lam=3.0)
    found = impact.hours(trades, tapes.quotes(), 0, DAY)
    assert (found.kyle_n[0], found.order_n[0]) == (0, 0)
    assert np.isnan([found.kyle_lambda[0], found.order_impact_bps[0], found.power[0]]).all()
    assert found.roll_bps[0] == pytest.approx(2.0, rel=0.1)
    assert found.amihud[0] > 0


def test_fewer_than_a_hundred_steps_have_no_lambda():
    for minutes, is_there in ((16, False), (17, True)):
        found = impact.hours(*market(2, lam=3.0, minutes=minutes), 0, DAY)
        assert (found.kyle_n[0] >= 100) == is_there
        for figure in (found.kyle_lambda, found.kyle_low, found.kyle_high):
            assert np.isnan(figure[0]) != is_there


def test_prints_without_a_side_do_not_push_and_without_dollars_unmake_their_step():
    trades, book = market(3, lam=3.0)
    blind = tape.Prints(
        trades.at_us, 0 * trades.sign, trades.price, trades.size, trades.usd, trades.known_us
    )
    found = impact.hours(blind, book, 0, DAY)
    assert found.unsided[0] == trades.at_us.size
    assert np.isnan(found.kyle_lambda[0])
    usd = trades.usd.copy()
    usd[(trades.at_us > 100 * tapes.SECOND) & (trades.at_us < 110 * tapes.SECOND)] = NAN
    other = tape.Prints(trades.at_us, trades.sign, trades.price, trades.size, usd, trades.known_us)
    assert impact.hours(other, book, 0, DAY).kyle_n[0] == STEPS - 1


def test_an_hour_is_judged_by_its_own_prints_and_quotes():
    trades, book = market(5, lam=3.0)
    alone = impact.hours(trades, book, 0, DAY)
    later = tapes.prints((3700, 1, 100, 1), known_s=[9999])
    both = tape.Prints(
        *(np.append(getattr(trades, n), getattr(later, n)) for n in tape.Prints.__slots__)
    )
    found = impact.hours(both, book, 0, DAY)
    assert found.hour.tolist() == [0, 1]
    for name in impact.Hours.__slots__:
        assert getattr(found, name)[0] == getattr(alone, name)[0], name


# ---- Roll, Amihud, the order, the power


def test_prices_that_bounce_show_the_spread_and_prices_that_run_do_not():
    rng = np.random.default_rng(6)
    bounce = 100 * (1 + 1e-4 * rng.choice([-1, 1], 5000))
    spread, covariance = impact.roll(bounce)
    assert spread == pytest.approx(2.0, rel=0.05)
    assert covariance < 0
    spread, covariance = impact.roll(np.exp(np.cumsum(np.repeat(rng.normal(0, 1e-4, 500), 4))))
    assert math.isnan(spread)
    assert covariance > 0
    assert np.isnan(impact.roll(bounce[:30])).all()


def test_amihud_is_return_over_volume_of_minutes_that_follow_each_other():
    rows = [(60 * m + 5, 1, 100 * math.exp(1e-4 * m), 1e4) for m in range(12)]
    rows += [(60 * 30, 1, 200, 1e4)]
    found = impact.hours(tapes.prints(*rows), tapes.quotes(), 0, DAY)
    assert found.amihud_n[0] == 11
    dollars = [price * size / 1e6 for _, _, price, size in rows[1:12]]
    assert found.amihud[0] == pytest.approx(np.mean(1 / np.array(dollars)), rel=1e-9)


def test_amihud_looks_back_over_the_edge_of_a_day():
    rows = [(86_400 + 60 * m - 120, 1, 100 + m, 1e4) for m in range(13)]
    found = impact.hours(tapes.prints(*rows), tapes.quotes(), DAY, 2 * DAY)
    assert (found.prints[0], found.amihud_n[0]) == (11, 11)


def test_an_order_moves_the_mid_by_what_was_planted_and_what_follows():
    rng = np.random.default_rng(8)
    side = np.ones(20_000)
    for t in range(1, side.size):
        side[t] = side[t - 1] if rng.random() < 0.75 else -side[t - 1]
    revision = 0.4 * side + rng.normal(0, 0.5, side.size)
    found, n = autoregression.order_impact(side, revision)
    # An unexpected buy is followed by 0.5, 0.25, ... more: twice its own impact.
    assert found == pytest.approx(0.8, rel=0.03)
    assert n == side.size - 5


def test_orders_of_one_side_or_without_revisions_tell_nothing():
    rng = np.random.default_rng(9)
    assert math.isnan(autoregression.order_impact(np.ones(500), rng.normal(size=500))[0])
    found, n = autoregression.order_impact(rng.choice([-1, 1], 500), np.full(500, NAN))
    assert (math.isnan(found), n) == (True, 0)


def test_prints_of_one_moment_are_one_order():
    book = tapes.quotes(*((s, 99, 101) for s in range(0, 400)))
    at = np.repeat(np.arange(1, 200), 3)
    trades = tapes.prints(*((t, 1 if t % 2 else -1, 100 + t % 2, 1) for t in at))
    found = impact.hours(trades, book, 0, DAY)
    assert (found.prints[0], found.roll_n[0]) == (597, 198)
    assert found.order_n[0] == 198 - 5


@pytest.mark.parametrize("planted", [0.3, 0.5, 1.0])
def test_a_planted_power_is_found_within_three_errors(planted):
    rng = np.random.default_rng(10)
    flow = rng.standard_t(4, 20_000)
    move = 0.2 + 3 * np.sign(flow) * np.abs(flow) ** planted + rng.normal(0, 2, flow.size)
    found, error = power.power(flow, move)
    assert abs(found - planted) < 3 * error < 0.1


def test_moves_that_have_nothing_to_do_with_flow_have_no_power():
    rng = np.random.default_rng(11)
    flow = rng.normal(size=500)
    for move in (-flow, np.zeros(500), np.full(500, NAN), np.sign(flow)):
        assert np.isnan(power.power(flow, move)).all()
    assert np.isnan(power.power(np.zeros(500), flow)).all()
    assert np.isnan(power.power(flow[:99], flow[:99])).all()


def test_columns_of_other_lengths_are_refused():
    for of in (regression.slope, power.power, autoregression.order_impact):
        with pytest.raises(ValueError, match="2"):
            of([1, 2], [1])


# ---- recorded


def test_the_hours_of_nexo_have_everything_but_a_lambda(recorded):
    trades = tapes.nexo(recorded)
    found = impact.hours(trades, tapes.quotes(), 0, 2 * DAY)
    assert found.hour.tolist() == [*range(16, 40)]
    assert found.prints.sum() == trades.at_us.size == 12_280
    assert np.isnan(found.kyle_lambda).all()
    assert np.isnan(found.order_impact_bps).all()
    assert 5 < np.nanmedian(found.roll_bps) < 20
    assert 5e4 < np.median(found.amihud) < 5e5


def test_buying_ether_on_gemini_moved_it_up(recorded):
    found = impact.hours(*tapes.gemini(recorded), 0, DAY)
    assert found.hour.size == 24
    assert (found.kyle_n > 200).all()
    assert (found.kyle_low < found.kyle_lambda).all()
    assert (found.kyle_lambda < found.kyle_high).all()
    assert np.mean(found.kyle_lambda / found.kyle_error > 1.96) > 0.5
    assert 10 < np.median(found.kyle_lambda) < 200
    assert (found.order_impact_bps > 0).mean() > 0.9


@pytest.mark.parametrize("module", [impact, regression, power, autoregression])
def test_examples_run(module):
    assert doctest.testmod(module).failed == 0
