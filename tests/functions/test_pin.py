"""PIN: the published likelihood, planted parameters, and why the published maximum is none."""

import doctest
import json
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.functions import pin

NAMES = ("alpha", "delta", "mu", "eps.b", "eps.s")


@pytest.fixture(scope="module")
def days(reference):
    """Buys and sells of 60 days."""
    table = pl.read_csv(reference / "pinstimation_dailytrades.csv")
    return table["B"].to_numpy(), table["S"].to_numpy()


@pytest.fixture(scope="module")
def published(reference):
    return json.loads((reference / "pin_dailytrades.json").read_text())


@pytest.mark.parametrize("start", ["ea", "yz", "gwj"])
def test_the_likelihood_and_pin_are_the_published_ones(days, published, start):
    found = published[f"pin_{start}_EHO"]
    alpha, _, mu, eps_b, eps_s = parameters = [found["parameters"][n] for n in NAMES]
    assert pin.log_likelihood(*days, *parameters) == pytest.approx(found["loglik"], rel=1e-12)
    assert pin.share(alpha, mu, eps_b, eps_s) == pytest.approx(found["pin"], abs=1e-10)


@pytest.mark.parametrize("start", ["ea", "yz", "gwj"])
def test_the_published_searches_stopped_where_a_power_overflows(days, published, start):
    """(eps_s / (mu + eps_s))^-M of the busiest day is the largest double, to nine digits."""
    buys, sells = days
    parameters = published[f"pin_{start}_EHO"]["parameters"]
    mu, eps_s = parameters["mu"], parameters["eps.s"]
    busiest = np.max(np.minimum(buys, sells) + np.maximum(buys, sells) / 2)
    assert busiest * math.log1p(mu / eps_s) == pytest.approx(math.log(np.finfo(float).max))


def test_the_maximum_is_found_from_far_and_beyond_that_wall(days, published):
    found = pin.pin(*days)
    highest = max(p["loglik"] for p in published.values())
    assert found.log_likelihood > highest + 7000
    assert found.days == 60
    assert found.alpha == pytest.approx(0.75, abs=1e-6)
    assert found.delta == pytest.approx(2 / 15, abs=1e-6)
    at = np.array([found.alpha, found.delta, found.mu, found.eps_b, found.eps_s])
    for i in range(5):
        for step in (-1e-3, 1e-3):
            moved = at * (1 + step * (np.arange(5) == i))
            assert pin.log_likelihood(*days, *moved) < found.log_likelihood


@settings(max_examples=10)
@given(
    st.floats(0.2, 0.8), st.floats(0.2, 0.8), st.floats(3, 4.5), st.floats(2, 4.5),
    st.floats(2, 4.5), st.integers(0, 99),
)  # fmt: skip
def test_planted_news_is_found_up_to_a_hundred_thousand_trades_a_day(
    alpha, delta, mu, eps_b, eps_s, seed
):
    mu, eps_b, eps_s = 10**mu, 10**eps_b, 10**eps_s
    rng = np.random.default_rng(seed)
    has_news, is_bad = rng.random(200) < alpha, rng.random(200) < delta
    buys = rng.poisson(eps_b + mu * (has_news & ~is_bad))
    sells = rng.poisson(eps_s + mu * (has_news & is_bad))
    found = pin.pin(buys, sells)
    assert found.log_likelihood >= pin.log_likelihood(buys, sells, alpha, delta, mu, eps_b, eps_s)
    assert found.alpha == pytest.approx(has_news.mean(), abs=0.02)
    assert found.pin == pytest.approx(pin.share(has_news.mean(), mu, eps_b, eps_s), abs=0.03)
    swapped = pin.pin(sells, buys)
    assert swapped.pin == pytest.approx(found.pin, abs=1e-4)


def test_days_without_counts_are_left_out():
    buys, sells = np.full(40, 100.0), np.where(np.arange(40) % 4 == 0, 400.0, 100.0)
    whole = pin.pin(buys, sells)
    holed = pin.pin(np.append(buys, math.nan), np.append(sells, 7.0))
    assert holed == whole
    assert whole.days == 40


@pytest.mark.parametrize(
    ("buys", "sells"), [([5] * 29, [5] * 29), ([0] * 40, [5] * 40), ([5] * 40, [0] * 40), ([], [])]
)
def test_too_few_days_or_one_side_alone_have_no_pin(buys, sells):
    found = pin.pin(buys, sells)
    assert math.isnan(found.pin)
    assert math.isnan(found.alpha)
    assert found.days == len(buys)


def noise(seed):
    """Independent counts of 30 to 90 days, one to thirty thousand a day and side."""
    rng = np.random.default_rng(seed)
    days = rng.integers(30, 90)
    return [rng.poisson(10 ** rng.uniform(0, 4.5), days) for _ in range(2)]


def test_pure_noise_has_no_informed_trading():
    """Where mu + eps is all that the days tell, no PIN between 0 and 1/2 is likelier."""
    found = [(pin.pin(*days), days) for days in map(noise, range(100))]
    assert all(f.pin == 0.0 for f, _ in found)
    for f, (buys, sells) in found:
        assert (f.alpha, f.mu) == (0.0, 0.0)
        assert math.isnan(f.delta)
        assert (f.eps_b, f.eps_s) == (buys.mean(), sells.mean())


def test_noise_of_a_thousand_trades_that_looked_like_news_every_day_is_none():
    found = [pin.pin(*np.random.default_rng(n).poisson(1000, (2, 60))) for n in range(40)]
    assert [f.pin for f in found] == [0.0] * 40


def test_news_every_day_that_is_now_good_now_bad_is_news():
    rng = np.random.default_rng(3)
    is_bad = np.arange(60) % 2 == 0
    found = pin.pin(rng.poisson(1000 + 400 * ~is_bad), rng.poisson(1000 + 400 * is_bad))
    assert found.pin == pytest.approx(400 / 2400, abs=0.01)


def test_days_that_are_all_alike_have_no_informed_trading():
    assert pin.pin([10] * 40, [10] * 40).pin == 0


def test_a_few_lonely_trades_are_no_error():
    lonely = np.append(np.zeros(39), 10.0)
    assert 0 <= pin.pin(lonely, lonely).pin <= 1


def test_negative_counts_and_other_lengths_are_refused():
    with pytest.raises(ValueError, match=r"-1\.0 buys and 3\.0 sells"):
        pin.pin([-1], [3])
    with pytest.raises(ValueError, match=r"buys of shape \(1,\), sells of shape \(2,\)"):
        pin.pin([1], [3, 3])


def test_examples_run():
    assert doctest.testmod(pin).failed == 0
