"""What the simulator says is true of its smiles, and what it prices wrongly on purpose."""

import math
from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.simulator import chain, mispricing, mixture, smiles, truth
from pipelines.simulator.market import DAY
from pipelines.simulator.paths import State, simulate
from pipelines.simulator.world import BTC, COINS, ETH, epoch_us

SIZE = 0.02
SEED = 7


@pytest.fixture(scope="module")
def state() -> State:
    return simulate((BTC,), SEED, SIZE, DAY)["BTC"]


def law(state: State, row: dict) -> tuple[float, float]:
    """Total deviation and years of a row of the truth."""
    at = (row["snapshot_at"].timestamp() * 1e6 - epoch_us(state.day)) / 1e6
    t = (row["expires_at"] - row["snapshot_at"]).total_seconds() / 31_536_000
    return float(mixture.total_deviation(state.parameters, state.variance_at(np.array(at)), t)), t


def test_the_truth_of_a_smile_is_that_of_prices_at_many_strikes(state):
    row = smiles.smiles(state, np.array([3_900.0])).to_dicts()[-3]
    s, t = law(state, row)
    strike = np.linspace(0.02, 6.0, 60_001)
    step = strike[1] - strike[0]
    put, call = (mixture.price(state.parameters, 1.0, strike, s, c) for c in (False, True))
    # Breeden and Litzenberger: the slope of puts is the distribution
    below = np.interp(row["quantile_10_usd"] / row["forward"], strike, np.gradient(put, step))
    assert below == pytest.approx(0.10, abs=1e-5)
    above = np.interp(row["quantile_99_usd"] / row["forward"], strike, np.gradient(call, step))
    assert above == pytest.approx(-0.01, abs=1e-5)
    out = np.where(strike < 1, put, call)
    strip = 2 * np.sum(out / strike**2) * step
    assert row["strip_iv"] == pytest.approx(math.sqrt(strip / t), rel=1e-4)
    vols = mixture.implied_vol(out, 1.0, strike, t, strike >= 1)
    delta = mixture.normal_cdf(vols * math.sqrt(t) / 2 - np.log(strike) / (vols * math.sqrt(t)))
    known = np.isfinite(vols)
    call25, put25 = (np.interp(-d, -delta[known], vols[known]) for d in (0.25, 0.75))
    assert row["atm_iv"] == pytest.approx(np.interp(1.0, strike[known], vols[known]), abs=1e-7)
    assert row["rr25"] == pytest.approx(call25 - put25, abs=1e-6)
    assert row["bf25"] == pytest.approx((call25 + put25) / 2 - row["atm_iv"], abs=1e-6)


def test_the_index_lies_between_the_strips_of_the_expiries_around_30_days(state):
    at = np.array([3_900.0])
    (index,) = smiles.index(state, at)["index_iv"]
    rows = smiles.smiles(state, at).with_columns(
        days=(pl.col("expires_at") - pl.col("snapshot_at")).dt.total_seconds() / 86_400
    )
    before = rows.filter(pl.col("days") <= 30)["strip_iv"][-1]
    after = rows.filter(pl.col("days") >= 30)["strip_iv"][0]
    assert min(before, after) <= index <= max(before, after)


def prices(state: State, bend: mispricing.Bend, at: float) -> tuple[np.ndarray, np.ndarray]:
    """Strikes and put values of the bent expiry in its forward's currency."""
    board = chain.board(state)
    place = np.flatnonzero((board.expires_s == bend.expires_s) & ~board.is_call)
    worth = chain.value(state, np.array([[at]]), place)
    return board.strike[place], worth.usd[0]


def least_butterfly(strike: np.ndarray, put: np.ndarray) -> float:
    return float(np.diff(np.diff(put) / np.diff(strike)).min())


def test_a_butterfly_costs_less_than_nothing_for_three_hours(state):
    bend = mispricing.bends(BTC, SEED, SIZE, DAY)[0]
    assert bend.kind == "butterfly"
    assert bend.end_s - bend.start_s == 3 * 3_600
    for at, is_wrong in ((bend.start_s - 1, False), (bend.start_s, True), (bend.end_s, False)):
        assert (least_butterfly(*prices(state, bend, at)) < -1e-6) == is_wrong


def test_an_expiry_falls_below_the_one_before_it_for_three_hours(state):
    bend = mispricing.bends(BTC, SEED, SIZE, DAY)[1]
    assert bend.kind == "calendar"
    for at, is_wrong in ((bend.start_s - 1, False), (bend.start_s, True), (bend.end_s, False)):
        expires_s, _, vols = chain.atm_vols(state, np.array([at]))
        variance = vols[0] ** 2 * (expires_s - at)
        i = int(np.flatnonzero(expires_s == bend.expires_s)[0])
        assert (variance[i] < variance[i - 1]) == is_wrong


def test_rich_options_are_quoted_by_their_own_half_spreads_above_the_mark(state):
    riches = mispricing.riches(BTC, SEED, SIZE, DAY)
    assert sorted(r.half_spreads for r in riches) == [1, 1, 1, 2, 2, 2, 4, 4, 4]
    at = np.arange(300.0, 86_400, 300)
    for rich in riches:
        place = np.array([rich.place])
        quotes = chain.quote(state, at[:, None], place)
        half = (quotes.ask - quotes.bid) / 2
        off = (((quotes.bid + quotes.ask) / 2 - quotes.mark) / half)[:, 0]
        during = (at >= rich.start_s + 600) & (at < rich.end_s)
        others = [r for r in riches if r.place == rich.place and r is not rich]
        never = np.all([(at < r.start_s) | (at > r.end_s + 600) for r in [rich, *others]], axis=0)
        assert np.nanmedian(off[during]) == pytest.approx(rich.half_spreads, rel=0.3)
        assert np.nanmedian(off[never]) == pytest.approx(0.0, abs=0.3)


@pytest.mark.parametrize("size", [0.001, 1.0])
def test_any_day_has_its_mispricings_at_different_options(size):
    for n in range(0, 400, 9):
        day = DAY + timedelta(days=n)
        for coin in COINS:
            butterfly, calendar = mispricing.bends(coin, SEED, size, day)
            assert butterfly.expires_s != calendar.expires_s
            assert calendar.before_s < calendar.expires_s
            riches = mispricing.riches(coin, SEED, size, day)
            assert len({(r.place, r.start_s) for r in riches}) == len(riches) == 9
            expires_s = chain.expiries.board(coin, SEED, size, day).expires_s
            bent = {butterfly.expires_s, calendar.expires_s}
            assert not bent & {expires_s[r.place] for r in riches}


def test_the_truth_names_what_is_planted(state):
    rows = truth.mispricings(state)
    assert rows["kind"].to_list() == ["butterfly", "calendar"] + ["rich"] * 9
    assert rows["instrument_id"].null_count() == rows["half_spreads"].null_count() == 2
    assert (rows["started_at"].dt.date() == DAY).all()
    bent = rows.filter(pl.col("kind") != "rich")
    told = smiles.smiles(state, np.arange(0, 86_400, 1_800.0))
    wrong = told.join(bent.drop("underlying"), on="expires_at").filter(
        pl.col("snapshot_at").is_between("started_at", "ended_at", closed="left")
    )
    assert wrong.height == 0


def test_another_day_has_other_mispricings():
    def drawn(day: date) -> list[int]:
        return [
            bend.start_s for coin in (BTC, ETH) for bend in mispricing.bends(coin, SEED, 1.0, day)
        ]

    assert len({tuple(drawn(DAY + timedelta(days=n))) for n in range(10)}) > 5
