"""Fine returns: R's highfrequency to nine digits, and jumps that were planted."""

import csv
import doctest
import gzip
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import jumps


@pytest.fixture(scope="module")
def days(reference):
    """Prices by the minute and R's measures of each day of its MARKET column."""
    prices: dict[str, list[float]] = {}
    with gzip.open(reference / "highfrequency_sampleOneMinuteData.csv.gz", "rt") as rows:
        for row in csv.DictReader(rows):
            prices.setdefault(row["DT"][:10], []).append(float(row["MARKET"]))
    table = (reference / "highfrequency_daily_measures.csv").read_text()
    expected = list(csv.DictReader(table.splitlines()))
    return [(np.array(prices[row["day"]]), row) for row in expected]


def test_daily_measures_are_those_of_highfrequency(days):
    for price, expected in days:
        # R makes the day's first return from its first price alone: zero, and counted.
        series = np.concatenate([price[:1], price])
        end = series.size - 1
        found = jumps.measures(np.arange(series.size), series, [end], end, 1, float(end))
        for name, theirs in (
            ("realized_vol", "rRVar"),
            ("bipower_vol", "rBPCov"),
            ("median_vol", "rMedRVar"),
            ("minimum_vol", "rMinRVar"),
        ):
            ours = float(getattr(found, name)[0]) ** 2
            assert ours == pytest.approx(float(expected[theirs]), rel=1e-9)
    assert len(days) == 22


def walk(rng, count=288, vol=0.01):
    return np.exp(np.concatenate([[0.0], np.cumsum(rng.normal(0, vol, count))]))


def measured(price, step=300):
    at = np.arange(price.size) * step
    return jumps.measures(at, price, [at[-1]], int(at[-1]), step)


def test_the_halves_add_up_and_a_normal_walk_has_kurtosis_three_and_few_jumps():
    rng = np.random.default_rng(8)
    found = [measured(walk(rng)) for _ in range(400)]
    for m in found[:20]:
        halves = m.up_vol[0] ** 2 + m.down_vol[0] ** 2
        assert float(halves) == pytest.approx(float(m.realized_vol[0]) ** 2, rel=1e-12)
    assert np.mean([m.kurtosis[0] for m in found]) == pytest.approx(3.0, abs=0.1)
    z = np.array([m.jump_z[0] for m in found])
    assert abs(z.mean()) < 0.2
    assert z.std() == pytest.approx(1.0, abs=0.15)
    annual = 0.01 * math.sqrt(31_536_000 / 300)
    for name in ("realized_vol", "bipower_vol", "median_vol", "minimum_vol"):
        assert np.mean([getattr(m, name)[0] for m in found]) == pytest.approx(annual, rel=0.02)


def test_a_planted_jump_is_its_share_of_the_variance():
    rng = np.random.default_rng(9)
    shares, zs = [], []
    for _ in range(100):
        price = walk(rng)
        price[144:] *= math.exp(0.1)
        found = measured(price)
        shares.append(found.jump_share[0])
        zs.append(found.jump_z[0])
    # 288 steps of 0.01 make a variance of 0.0288, the jump one of 0.01; bipower variance keeps
    # the jump times its two neighbours.
    kept = math.pi / 2 * 0.1 * 2 * 0.01 * math.sqrt(2 / math.pi)
    assert np.mean(shares) == pytest.approx((0.01 - kept) / 0.0388, abs=0.02)
    assert np.mean(np.array(zs) > 3) > 0.6


def test_a_gap_makes_no_return_and_no_pair():
    price = walk(np.random.default_rng(10), 40)
    at = np.arange(41)
    at[20:] += 10
    found = jumps.measures(at, price, [at[-1]], int(at[-1]), 1, 1.0)
    r = np.diff(np.log(price))
    kept = np.delete(r, 19)
    assert found.gaps_excluded.tolist() == [1]
    assert found.returns_used.tolist() == [39]
    assert float(found.realized_vol[0]) == pytest.approx(math.sqrt(np.mean(kept**2)))
    pairs = np.abs(np.concatenate([r[1:19] * r[:18], r[21:] * r[20:-1]]))
    assert pairs.size == 37
    expected = math.pi / 2 * 38 * np.mean(pairs) / 39
    assert float(found.bipower_vol[0]) ** 2 == pytest.approx(expected)


@given(st.integers(4, 30), st.integers(0, 2**32 - 1))
def test_a_window_knows_nothing_outside_of_it(n, seed):
    price = walk(np.random.default_rng(seed), 60)
    at = np.arange(61) * 60
    one = jumps.measures(at, price, [50 * 60], n * 60, 60)
    other = price.copy()
    other[51:] *= 2
    other[: 50 - n] *= 3
    two = jumps.measures(at, other, [50 * 60], n * 60, 60)
    assert one.returns_used[0] == n
    for name in ("realized_vol", "bipower_vol", "jump_z", "kurtosis"):
        assert getattr(one, name)[0] == getattr(two, name)[0]


def test_bad_prices_are_missing_and_too_few_returns_have_no_measure():
    price = walk(np.random.default_rng(11), 20)
    holed = price.copy()
    holed[[5, 11, 16]] = math.nan, 0.0, -1.0
    keep = [i for i in range(21) if i not in (5, 11, 16)]
    one = jumps.measures(np.arange(21), holed, [20], 20, 1)
    two = jumps.measures(keep, price[keep], [20], 20, 1)
    assert one.realized_vol[0] == two.realized_vol[0]
    assert one.returns_used.tolist() == [17]
    few = jumps.measures([0, 1, 2], [1.0, 1.1, 1.0], [2, 99], 2, 1)
    assert np.isnan(few.realized_vol).all()
    assert few.returns_used.tolist() == [2, 0]
    still = jumps.measures(np.arange(9), np.ones(9), [8], 8, 1)
    assert (still.realized_vol[0], still.bipower_vol[0]) == (0.0, 0.0)
    assert np.isnan([still.jump_share[0], still.jump_z[0], still.kurtosis[0]]).all()
    with pytest.raises(ValueError, match="times must ascend"):
        jumps.measures([1, 0], [1.0, 1.0], [2], 2, 1)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(jumps).failed == 0
