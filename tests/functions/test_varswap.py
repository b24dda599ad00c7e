"""The strip: Cboe's printed index to its last digit, and its rules one by one."""

import doctest
import json
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import black, varswap
from warehouse.functions.varswap import StripStatus


@pytest.fixture(scope="module")
def paper(reference):
    """The white paper's two chains (strike, call bid, ask, put bid, ask) and its results."""
    folder = reference / "vix"
    chains = [
        np.loadtxt(folder / f"cboe_2014_whitepaper_{term}.tsv").T
        for term in ("nearterm", "nextterm")
    ]
    return chains, json.loads((folder / "expected_2014.json").read_text())


# The paper counts whole minutes to each expiry and to thirty days; a year has 365 days.
MINUTES, TENOR, YEAR = (35_924, 46_394), 43_200, 525_600


def test_the_white_papers_index_is_exact(paper):
    chains, expected = paper
    strips = []
    for n, (chain, minutes) in enumerate(zip(chains, MINUTES, strict=True), 1):
        t = minutes / YEAR
        assert t == pytest.approx(expected[f"T{n}"], abs=5e-8)
        strip = varswap.replicate(*chain, t, expected[f"R{n}"])
        assert strip.status is StripStatus.OK
        assert strip.forward == pytest.approx(expected[f"F{n}"], abs=5e-6)
        assert strip.k0 == expected[f"K0_{n}"]
        assert strip.total_variance / t == pytest.approx(expected[f"var{n}"], abs=5e-9)
        gap = (strip.forward / strip.k0 - 1) ** 2 / t
        assert gap == pytest.approx(expected[f"fwd_contrib{n}"], abs=5e-9)
        strips.append(strip.total_variance)
    times = [m / YEAR for m in MINUTES]
    index = 100 * float(varswap.constant_tenor_iv(times, strips, TENOR / YEAR))
    assert index == pytest.approx(expected["VIX"], abs=1e-6)
    assert index == pytest.approx(expected["meixler_full_precision"], abs=1e-10)


def test_the_white_papers_strip_ends_where_the_paper_says(paper):
    (near, _), expected = paper
    strip = varswap.replicate(*near, expected["T1"], expected["R1"])
    assert (strip.lowest_strike, strip.highest_strike) == (1370, 2125)


def chain(vol=0.6, forward=60_000.0, t=30 / 365, step=1_000.0, low=20_000.0, high=200_000.0):
    strike = np.arange(low, high, step)
    call = black.price(forward, strike, t, vol, True)
    put = black.price(forward, strike, t, vol, False)
    return np.array([strike, call, call, put, put]), t


@given(st.floats(0.3, 1.0), st.floats(55_000.0, 65_000.0))
def test_a_dense_strip_at_one_volatility_is_its_variance(vol, forward):
    rows, t = chain(vol, forward, step=250.0, low=5_000.0, high=600_000.0)
    strip = varswap.replicate(*rows, t)
    assert strip.status is StripStatus.OK
    assert math.sqrt(strip.total_variance / t) == pytest.approx(vol, rel=1e-3)
    assert strip.forward == pytest.approx(forward, rel=1e-9)


def test_two_zero_bids_in_a_row_end_a_side_and_one_does_not():
    rows, t = chain(low=40_000.0, high=80_000.0)
    one = rows.copy()
    one[3, 5] = 0.0
    two = one.copy()
    two[3, 6] = 0.0
    apart = one.copy()
    apart[3, 3] = 0.0
    whole, skipped, stopped, both = (varswap.replicate(*r, t) for r in (rows, one, two, apart))
    assert skipped.lowest_strike == whole.lowest_strike == 40_000
    assert skipped.strikes_used == whole.strikes_used - 1
    assert stopped.lowest_strike == 47_000
    assert both.lowest_strike == 40_000
    assert both.strikes_used == whole.strikes_used - 2


def test_a_missing_a_crossed_and_an_unpriced_quote_are_zero_bids():
    rows, t = chain(low=40_000.0, high=80_000.0)
    zero = rows.copy()
    zero[1, 30] = 0.0
    expected = varswap.replicate(*zero, t)
    for bid, ask in ((math.nan, 5.0), (5.0, math.nan), (5.0, 4.0), (-1.0, 4.0), (5.0, math.inf)):
        broken = rows.copy()
        broken[1:3, 30] = bid, ask
        assert varswap.replicate(*broken, t) == expected


def test_strikes_may_come_in_any_order_and_a_listed_forward_may_be_given():
    rows, t = chain()
    shuffled = rows[:, np.random.default_rng(1).permutation(rows.shape[1])]
    assert varswap.replicate(*shuffled, t) == varswap.replicate(*rows, t)
    given_one = varswap.replicate(*rows, t, forward=60_050.0)
    assert given_one.forward == 60_050.0
    assert given_one.k0 == 60_000.0


def test_many_expiries_are_each_alone():
    parts = [chain(0.5), chain(0.7, t=0.2), (np.empty((5, 0)), 0.1)]
    ends = np.cumsum([0, *(r.shape[1] for r, _ in parts)])
    rows, status = varswap.replicate_many(
        *np.concatenate([r for r, _ in parts], axis=1), ends, [t for _, t in parts]
    )
    for row, code, (quotes, t) in zip(rows, status, parts, strict=True):
        alone = varswap.replicate(*quotes, t)
        assert alone.status == code
        assert (alone.strikes_used, alone.k0) == (row[5], pytest.approx(row[2], nan_ok=True))
        assert alone.total_variance == pytest.approx(row[0], rel=1e-15, nan_ok=True)


def test_a_strip_that_cannot_be_summed_says_why():
    rows, t = chain(low=40_000.0, high=80_000.0)
    none = rows.copy()
    none[1:] = math.nan
    twice = np.concatenate([rows, rows[:, :1]], axis=1)
    no_puts = rows.copy()
    no_puts[3:, :20] = math.nan
    cases = [
        (rows, 0.0, StripStatus.NO_TIME),
        (rows, math.nan, StripStatus.NO_TIME),
        (none, t, StripStatus.NO_FORWARD),
        (rows[:, :0], t, StripStatus.NO_FORWARD),
        (rows[:, 19:20], t, StripStatus.TOO_FEW_STRIKES),
        (rows[:, 19:21], t, StripStatus.TOO_FEW_STRIKES),
        (no_puts, t, StripStatus.TOO_FEW_STRIKES),
        (twice, t, StripStatus.DUPLICATE_STRIKES),
    ]
    for quotes, years, expected in cases:
        strip = varswap.replicate(*quotes, years)
        assert strip.status is expected
        assert math.isnan(strip.total_variance)
    wrong = varswap.replicate(*rows, t, forward=120_000.0)
    assert wrong.status in (StripStatus.TOO_FEW_STRIKES, StripStatus.NOT_POSITIVE)
    with pytest.raises(ValueError, match=r"strip: columns of \[40, 41\] entries"):
        varswap.replicate(twice[0], *rows[1:], t)
    with pytest.raises(ValueError, match="offsets do not cut 40 strikes"):
        varswap.replicate_many(*rows, [0, 39], [t])


def test_nothing_is_extrapolated_in_time():
    t, w = [0.05, 0.10, 0.20], [0.01, math.nan, 0.04]
    iv = varswap.constant_tenor_iv(t, w, [0.04, 0.05, 0.125, 0.20, 0.21])
    assert np.isnan(iv).tolist() == [True, False, False, False, True]
    assert iv[2] == pytest.approx(math.sqrt(0.025 / 0.125))
    assert np.isnan(varswap.constant_tenor_iv([], [], 0.1))
    with pytest.raises(ValueError, match="two variances for one expiry"):
        varswap.constant_tenor_iv([0.1, 0.1], [0.01, 0.02], 0.1)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(varswap).failed == 0
