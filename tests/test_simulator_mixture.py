from datetime import date, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.simulator import chain, expiries, mixture
from pipelines.simulator.market import DAY
from pipelines.simulator.world import BTC, draw_parameters


def test_the_mixture_is_a_law_whose_mean_is_the_forward():
    parameters = draw_parameters(BTC, 3)
    forward, deviation = 70_000.0, 0.15
    strike = np.linspace(1_000, 400_000, 40_001)
    call = mixture.price(parameters, forward, strike, deviation, True)
    step = strike[1] - strike[0]
    density = np.diff(call, 2) / step**2
    assert density.min() > -1e-12
    assert density.sum() * step == pytest.approx(1, abs=1e-6)
    assert (density * strike[1:-1]).sum() * step == pytest.approx(forward, rel=1e-6)


def test_the_mixture_admits_no_calendar_arbitrage():
    parameters = draw_parameters(BTC, 3)
    moneyness = np.exp(np.linspace(-1, 1, 81))
    deviations = np.linspace(0.01, 0.5, 50)[:, None]
    call = mixture.price(parameters, 1.0, moneyness, deviations, True)
    assert (np.diff(call, axis=0) > -1e-15).all()


@pytest.mark.parametrize("is_call", [True, False])
def test_vols_come_back_from_their_prices(is_call):
    vol, strike = np.meshgrid([0.2, 0.6, 1.5], [50_000.0, 69_000.0, 70_000.0, 90_000.0])
    prices = mixture.black(70_000.0, strike, vol * np.sqrt(0.25), is_call)
    found = mixture.implied_vol(prices, 70_000.0, strike, 0.25, is_call)
    np.testing.assert_allclose(found, vol, atol=1e-9)


def test_greeks_are_those_of_the_reference(reference):
    rows = pl.read_csv(reference / "black76_inverse_greeks.csv")
    forward, strike, t_years, vol = (rows[name].to_numpy() for name in ("F", "K", "T", "sigma"))
    is_call = (rows["cp"] == "C").to_numpy()
    price = mixture.black(forward, strike, vol * np.sqrt(t_years), is_call)
    delta, gamma, vega, _, _ = mixture.greeks(forward, strike, vol, t_years, is_call)
    np.testing.assert_allclose(price, rows["price_usd"], rtol=1e-10)
    np.testing.assert_allclose(delta, rows["delta"], rtol=1e-10)
    np.testing.assert_allclose(gamma, rows["gamma"], rtol=1e-10)
    np.testing.assert_allclose(vega, rows["vega_per_volpt"], rtol=1e-10)


def test_a_price_below_intrinsic_has_no_vol():
    assert np.isnan(mixture.implied_vol(9_999.0, 70_000.0, 60_000.0, 0.25, True))


@pytest.mark.parametrize(
    "day", [DAY, date(2025, 12, 31), date(2026, 3, 27), date(2026, 2, 1), date(2024, 2, 29)]
)
def test_any_day_has_expiries_in_order(day):
    listed = expiries.expiries(day, 0.1)
    assert len(listed) >= 5
    assert len(set(listed)) == len(listed)
    assert list(listed) == sorted(listed)
    assert listed[:2] == (day, day + timedelta(days=1))
    assert all(d.weekday() == 4 for d in listed[2:])
    quarters = expiries.future_expiries(day)
    assert set(quarters) <= set(listed)
    assert all((d + timedelta(days=7)).month != d.month for d in quarters)


@pytest.mark.parametrize("size", [0.02, 1.0])
def test_an_option_once_listed_stays_until_its_expiry(size):
    day = DAY - timedelta(days=30)
    yesterday: dict[str, tuple[date, int]] = {}
    while day <= DAY:
        board = expiries.board(BTC, 7, size, day)
        today = dict(
            zip(board.symbol, zip(board.expiry, board.first_seq.tolist(), strict=True), strict=True)
        )
        for symbol, (expiry, next_seq) in yesterday.items():
            if expiry >= day:
                assert today[symbol][1] == next_seq
        ends = (board.first_seq + board.count).tolist()
        yesterday = dict(zip(board.symbol, zip(board.expiry, ends, strict=True), strict=True))
        day += timedelta(days=1)


def test_names_are_the_venues():
    assert expiries.venue_date(date(2024, 6, 7)) == "7JUN24"
    assert expiries.future_expiries(DAY) == (date(2026, 3, 27), date(2026, 6, 26))


def test_a_whole_day_has_a_chain_every_half_hour():
    seconds = chain.snapshot_seconds(1.0)
    assert len(seconds) == 48
    assert set(np.diff(seconds)) == {1_800}
    assert (seconds % 300 == 0).all()
