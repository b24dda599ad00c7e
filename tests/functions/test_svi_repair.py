"""Repaired surfaces: no arbitrage, as near to the quotes as that allows, none changed in vain."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from recorded_chain import expiries, smiles

from warehouse.functions import essvi, penalties, svi
from warehouse.functions.linear import solve_band
from warehouse.functions.svi import RepairStatus, SviStatus

K = np.concatenate([np.linspace(-4, 4, 4_001), np.logspace(0.6, 2, 100), -np.logspace(0.6, 2, 100)])


def assert_no_arbitrage(slices):
    """On a grid of its own, and in the limits of the wings."""
    slices = np.asarray(slices)
    for params in slices:
        assert svi.durrleman(params, K).min() >= 0
        assert params[1] * (1 + abs(params[2])) <= 2
    for earlier, later in pairwise(slices):
        assert (svi.total_variance(later, K) - svi.total_variance(earlier, K)).min() >= 0
        for sign in (-1, 1):
            assert later[1] * (1 + sign * later[2]) >= earlier[1] * (1 + sign * earlier[2])


def fitted(chain):
    """Raw slices of smiles, and the arguments that repair them."""
    t = [e.t_years for e in chain]
    quotes = [[getattr(e, n) for e in chain] for n in ("k", "total_variance", "weight")]
    fits = [svi.fit(*q, years) for *q, years in zip(*quotes, t, strict=True)]
    return fits, t, quotes


def misses(chain, slices):
    """Whether each quote's fit is inside bid and ask, and how far it is from mid."""
    inside, residual = [], []
    for e, params in zip(chain, slices, strict=True):
        iv = np.sqrt(svi.total_variance(params, e.k) / e.t_years)
        inside.extend((iv >= e.iv_bid) & (iv <= e.iv_ask))
        residual.extend(np.abs(iv - e.iv_mid))
    return np.mean(inside), max(residual)


@pytest.mark.parametrize("which", ["2026-08-01 btc", "2026-05-21 btc", "2026-05-21 eth"])
def test_recorded_chains_have_arbitrage_and_their_repairs_have_none_and_stay_inside_the_spreads(
    recorded, which
):
    day, asset = which.split()
    if day == "2026-08-01":
        chain = [e.smile for e in expiries(recorded)]
    else:
        chain = smiles(recorded, asset)
    fits, t, quotes = fitted(chain)
    assert all(e.k.size < 5 or f.status is SviStatus.OK for e, f in zip(chain, fits, strict=True))
    assert min(f.min_g for f in fits) < 0
    fix = svi.repair([f.params for f in fits], t, *quotes)
    assert set(fix.status) == {RepairStatus.REFITTED}
    assert_no_arbitrage(fix.params)
    raw_share, raw_worst = misses(chain, [f.params for f in fits])
    share, worst = misses(chain, fix.params)
    print(  # noqa: T201
        f"{which}: {len(fits)} expiries, {sum(e.k.size for e in chain)} quotes: inside "
        f"{raw_share:.1%} raw, {share:.1%} repaired; worst {raw_worst:.4f}, {worst:.4f}; changed "
        f"{fix.max_iv_change.max():.4f} at most, rms {fix.rms_iv_change.max():.4f}"
    )
    assert share > raw_share - 0.03
    assert worst < raw_worst + 0.02


def test_the_size_of_a_repair_is_how_far_its_volatilities_moved(recorded):
    chain = [e.smile for e in expiries(recorded)]
    fits, t, quotes = fitted(chain)
    fix = svi.repair([f.params for f in fits], t, *quotes)
    for i, e in enumerate(chain):
        before, after = (
            np.sqrt(svi.total_variance(p, e.k) / e.t_years) for p in (fits[i].params, fix.params[i])
        )
        change = np.abs(after - before)
        assert fix.max_iv_change[i] == pytest.approx(change.max(), rel=1e-12)
        assert fix.rms_iv_change[i] == pytest.approx(np.sqrt(np.mean(change**2)), rel=1e-12)


def noisy_surface(rng):
    """Times, and per expiry k, total variances and weights of quotes of an SSVI surface."""
    count = rng.integers(1, 9)
    t = np.sort(rng.choice([1, 2, 7, 14, 30, 60, 90, 180, 365], count, replace=False)) / 365
    rho, eta = rng.uniform(-0.6, 0.3), rng.uniform(0.5, 1.1)
    k, w, weight = [], [], []
    for years in t:
        theta = 0.3 * years
        phi, n = eta / math.sqrt(theta), rng.integers(6, 30)
        x = np.sort(rng.uniform(-2.5, 2.5, n)) * math.sqrt(theta)
        y = phi * x + rho
        half = rng.uniform(0.002, 0.03, n)
        iv = np.sqrt(0.5 * theta * (1 + rho * phi * x + np.sqrt(y * y + 1 - rho * rho)) / years)
        k.append(x)
        w.append((iv + half * rng.uniform(-1, 1, n)) ** 2 * years)
        weight.append(1 / half)
    return t, k, w, weight


def misfit(slices, t, k, w, weight):
    return sum(
        np.sum((q * (svi.total_variance(p, x) - v) / (2 * np.sqrt(v * years))) ** 2)
        for p, years, x, v, q in zip(slices, t, k, w, weight, strict=True)
    )


def test_noisy_surfaces_of_any_size_come_out_without_arbitrage_and_close_to_their_quotes():
    rng, done = np.random.default_rng(5), set()
    for _ in range(25):
        t, k, w, weight = noisy_surface(rng)
        raw = [svi.fit(*q, years).params for *q, years in zip(k, w, weight, t, strict=True)]
        fix = svi.repair(raw, t, k, w, weight)
        done |= set(fix.status)
        assert_no_arbitrage(fix.params)
        quotes = t, k, w, weight
        assert misfit(fix.params, *quotes) <= 1.15 * misfit(raw, *quotes) + 1
    assert done >= {RepairStatus.CLEAN, RepairStatus.REFITTED}


def test_nothing_changes_where_there_is_nothing_to_repair():
    slices = np.array([[0.01, 0.05, -0.2, 0.0, 0.2], [0.03, 0.06, -0.2, 0.0, 0.2]])
    k = [np.linspace(-0.5, 0.5, 9)] * 2
    w = [svi.total_variance(p, x) + 0.001 for p, x in zip(slices, k, strict=True)]
    fix = svi.repair(slices, [0.1, 0.3], k, w, [np.ones(9)] * 2)
    np.testing.assert_array_equal(fix.params, slices)
    assert fix.status == (RepairStatus.CLEAN, RepairStatus.CLEAN)
    assert not fix.max_iv_change.any()


def test_the_published_arbitrage_is_repaired_by_less_than_two_volatility_points():
    params = np.array([-0.041, 0.1331, 0.306, 0.3586, 0.4153])
    k = np.linspace(-1.2, 1.2, 25)
    fix = svi.repair([params], [1.0], [k], [svi.total_variance(params, k)], [np.ones(25)])
    assert fix.status == (RepairStatus.REFITTED,)
    assert_no_arbitrage(fix.params)
    assert 0 < fix.max_iv_change[0] < 0.02


def test_the_order_of_the_expiries_does_not_matter_and_missing_slices_are_passed_over():
    rng = np.random.default_rng(5)
    t, k, w, weight = next(s for s in iter(lambda: noisy_surface(rng), None) if s[0].size > 3)
    raw = [svi.fit(*q, years).params for *q, years in zip(k, w, weight, t, strict=True)]
    fix = svi.repair(raw, t, k, w, weight)
    turned = svi.repair(raw[::-1], t[::-1], k[::-1], w[::-1], weight[::-1])
    np.testing.assert_array_equal(turned.params, fix.params[::-1])
    nothing = np.full(5, np.nan)
    holed = svi.repair(
        [nothing, *raw, raw[0]], [0.05, *t, 2.0], [k[0], *k, []], [w[0], *w, []],
        [weight[0], *weight, []],
    )  # fmt: skip
    np.testing.assert_array_equal(holed.params[1:-1], fix.params)
    for i in (0, -1):
        assert holed.status[i] is RepairStatus.NO_SLICE
        assert np.isnan([*holed.params[i], holed.max_iv_change[i], holed.rms_iv_change[i]]).all()
    assert svi.repair(np.empty((0, 5)), [], [], [], []).status == ()


def test_lists_that_do_not_belong_together_are_refused():
    with pytest.raises(ValueError, match=r"svi: 1 slices, 1 times, quotes \[\[2\], \[2\], \[3\]\]"):
        svi.repair([np.ones(5)], [1.0], [[0, 1]], [[1, 1]], [[1, 1, 1]])


@given(st.integers(0, 10**6), st.integers(1, 12))
@settings(max_examples=100)
def test_every_choice_of_the_unbounded_numbers_is_a_surface_without_arbitrage(seed, count):
    rng = np.random.default_rng(seed)
    unknown = rng.normal(0, rng.choice([0.5, 2.0]), 3 * count)
    rows = np.empty((count, 5))
    essvi.unfold(unknown, rng.uniform(1e-4, 0.05, count), rows)
    assert_no_arbitrage(rows)


def test_the_extended_ssvi_alone_gets_near_the_quotes_it_was_made_of():
    rng = np.random.default_rng(9)
    for _ in range(5):
        t, k, w, weight = noisy_surface(rng)
        raw = np.array([svi.fit(*q, y).params for *q, y in zip(k, w, weight, t, strict=True)])
        x, v, q = (np.concatenate(a) for a in (k, w, weight))
        years = np.repeat(t, [a.size for a in k])
        ends = np.cumsum([0, *(a.size for a in k)])
        quotes = penalties.Quotes(x, v, q / (2 * np.sqrt(v * years)), ends)
        rows = essvi.surface(raw, quotes)
        assert_no_arbitrage(rows)
        assert misfit(rows, t, k, w, weight) < 0.6 * x.size


def test_penalties_rise_as_their_derivatives_say():
    rng = np.random.default_rng(2)
    theta = np.array([0.02, 0.9, 0.5, 0.05, -2.0, 0.01, 0.4, 0.7, -0.05, -1.5])
    k, w = np.linspace(-0.5, 0.5, 14), rng.uniform(0.02, 0.08, 14)
    quotes = penalties.Quotes(k, w, rng.uniform(1, 9, 14), np.array([0, 7, 14]))
    places = np.sort(rng.uniform(-2, 2, (2, 12)), axis=1)
    none, nothing = np.empty((0, 0)), np.empty(0)

    def cost(at):
        return penalties.sweep(at, quotes, places, places, 7.0, none, nothing)

    normal, gradient = np.zeros((10, 10)), np.zeros(10)
    assert penalties.sweep(theta, quotes, places, places, 7.0, normal, gradient) == cost(theta)
    for a in range(10):
        h = np.eye(10)[a] * 1e-6
        slope = (cost(theta + h) - cost(theta - h)) / 2e-6
        assert 2 * gradient[a] == pytest.approx(slope, rel=1e-5, abs=1e-4)


def test_banded_equations_are_solved():
    rng = np.random.default_rng(1)
    root = np.tril(np.triu(rng.normal(size=(12, 12)), -3)) + 4 * np.eye(12)
    matrix, x = root @ root.T, rng.normal(size=12)
    expected = np.linalg.solve(matrix, x)
    solve_band(np.tril(matrix), 3, 0.0, x)
    np.testing.assert_allclose(x, expected, rtol=1e-12)
