"""Prices, volatilities and greeks against the tables of others, and every bad price."""

import doctest
import json
from dataclasses import fields

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import black
from warehouse.functions.black import Status

forwards = st.floats(1e-3, 1e6)
log_strikes = st.floats(-2.0, 2.0)
years = st.floats(1e-4, 5.0)
vols = st.floats(0.05, 3.0)


def test_greeks_of_coin_options_agree_with_forty_digits(reference):
    rows = pl.read_csv(reference / "black76_inverse_greeks.csv")
    f, k, t, v = (rows[c].to_numpy() for c in ("F", "K", "T", "sigma"))
    call = (rows["cp"] == "C").to_numpy()
    price, greeks = black.price(f, k, t, v, call), black.greeks(f, k, t, v, call)
    coin = black.coin_greeks(f, k, t, v, call)
    for ours, column in [
        (price, "price_usd"),
        (price / f, "price_coin"),
        (greeks.delta, "delta"),
        (greeks.gamma, "gamma"),
        (greeks.vega, "vega_per_1"),
        (greeks.vega / 100, "vega_per_volpt"),
        (greeks.theta / 365, "theta_per_day365"),
        (greeks.vanna, "vanna"),
        (greeks.volga, "volga"),
        (coin.delta, "ntd_delta_minus_mark"),
        (coin.delta, "F_times_dcoin_dF"),
        (coin.delta / f, "coin_price_dF"),
        # d2(V/F)/dF2 follows from the slope of F d(V/F)/dF.
        ((coin.gamma - coin.delta / f) / f, "coin_price_d2F"),
    ]:
        np.testing.assert_allclose(ours, rows[column].to_numpy(), rtol=1e-10, err_msg=column)


def test_discounted_prices_and_greeks_agree_with_py_vollib(reference):
    table = json.loads((reference / "black_scholes_greeks.json").read_text())
    rows = pl.DataFrame(table["data"], schema=table["columns"], orient="row")
    s, k, r, t, v = (rows[c].to_numpy() for c in ("S", "K", "R", "t", "v"))
    discount, f = np.exp(-r * t), s * np.exp(r * t)
    for side, is_call in (("C", True), ("P", False)):
        price = discount * black.price(f, k, t, v, is_call)
        g = black.greeks(f, k, t, v, is_call)
        carried = discount * g.delta * f
        expected = {
            "bs_call" if is_call else "bs_put": price,
            f"{side}D": g.delta,
            f"{side}G": g.gamma / discount,
            f"{side}V": discount * g.vega,
            f"{side}T": r * price + discount * g.theta - r * carried,
            # With the spot fixed the forward moves too.
            f"{side}R": discount * g.rho + t * carried,
        }
        for column, ours in expected.items():
            theirs = rows[column].to_numpy()
            np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7, err_msg=column)


def test_haugs_prices_come_out(reference):
    table = json.loads((reference / "quantlib_haug_testValues.json").read_text())
    for kind, k, s, q, r, t, v, value, tolerance in table["rows"]:
        price = np.exp(-r * t) * black.price(s * np.exp((r - q) * t), k, t, v, kind == "Call")
        assert abs(price - value) <= tolerance, (kind, k, s)


def test_recorded_deribit_bids_give_the_venues_own_volatility(reference):
    rows = pl.read_csv(reference / "deribit_ticker_20200521.csv").filter(
        (pl.col("bid") > 0) & (pl.col("bid_iv") > 0)
    )
    t = ((rows["expiry_ms"] - rows["timestamp_ms"]) / 1000 / 31_536_000).to_numpy()
    f, k = rows["underlying"].to_numpy(), rows["strike"].to_numpy()
    vol, status = black.implied_vol(
        rows["bid"].to_numpy() * f, f, k, t, (rows["cp"] == "C").to_numpy()
    )
    usable = (rows["vega"].to_numpy() > 5) & (t > 2 / 365)
    distance = np.abs(vol - rows["bid_iv"].to_numpy() / 100)
    elsewhere = distance[~usable & (status == Status.OK)]
    print(  # noqa: T201
        f"{usable.sum()} rows, worst {distance[usable].max():.1e}; elsewhere "
        f"{elsewhere.size} rows, median {np.median(elsewhere):.1e}, worst {elsewhere.max():.1e}"
    )
    assert usable.sum() >= 90
    assert (status[usable] == Status.OK).all()
    assert distance[usable].max() <= 5.1e-5


def test_recorded_deribit_marks_give_the_venues_own_volatility_but_for_their_lag(reference):
    instants = pl.col("timestamp", "expiry_datetime").str.to_datetime(time_zone="UTC")
    rows = pl.read_csv(reference / "deribit_chain_20251230.csv").with_columns(instants)
    rows = rows.filter((pl.col("vega") > 5) & (pl.col("mark_price") > 0))
    t = (rows["expiry_datetime"] - rows["timestamp"]).dt.total_seconds().to_numpy() / 31_536_000
    f, k, mark = (rows[c].to_numpy() for c in ("futures_price", "strike", "mark_price"))
    vol, _ = black.implied_vol(mark * f, f, k, t, (rows["option_type"] == "call").to_numpy())
    distance = np.abs(vol - rows["implied_volatility"].to_numpy())[t > 2 / 365]
    shares = ", ".join(f"{q:.0%} {np.quantile(distance, q):.1e}" for q in (0.5, 0.9, 0.99, 1))
    print(f"{distance.size} marks, distance in vol: {shares}")  # noqa: T201
    assert distance.size > 500
    assert np.median(distance) < 6e-5
    assert distance.max() < 5e-3


@given(forwards, log_strikes, years, vols, st.booleans())
def test_a_price_gives_back_its_volatility(forward, log_strike, t, vol, is_call):
    strike = forward * np.exp(log_strike)
    price = black.price(forward, strike, t, vol, is_call)
    found, status = black.implied_vol(price, forward, strike, t, is_call)
    time_value = black.price(forward, strike, t, vol, strike >= forward)
    # What rounding of the price, or of its distance to the bound, costs in volatility.
    vega = black.greeks(forward, strike, t, vol, True).vega
    if status == Status.OK:
        floor = np.spacing(max(forward, strike)) / max(vega, 1e-300)
        assert abs(found - vol) <= 1e-11 * vol + 8 * floor
    else:
        assert np.isnan(found)
        assert status in (Status.AT_INTRINSIC, Status.NO_QUOTE, Status.ABOVE_BOUND)
        room = min(time_value, min(forward, strike) - time_value)
        assert room <= 4 * np.spacing(max(forward, strike))


@given(forwards, log_strikes, years, vols)
def test_calls_and_puts_differ_by_the_forward(forward, log_strike, t, vol):
    strike = forward * np.exp(log_strike)
    call, put = black.price(forward, strike, t, vol, [True, False])
    assert abs(call - put - (forward - strike)) <= 4e-15 * max(forward, strike)


@pytest.mark.parametrize(("of", "is_coin"), [(black.greeks, False), (black.coin_greeks, True)])
@given(st.floats(50.0, 200.0), st.floats(0.02, 2.0), st.floats(0.1, 1.5), st.booleans())
def test_greeks_are_the_slopes_of_the_value(of, is_coin, strike, t, vol, is_call):
    unit = 100.0 if is_coin else 1.0

    def value(forward=100.0, t=t, vol=vol):
        return black.price(forward, strike, t, vol, is_call) / (forward if is_coin else 1.0)

    def greeks(forward=100.0, t=t, vol=vol):
        return of(forward, strike, t, vol, is_call)

    def slope(of, h=1e-4):
        return (of(h) - of(-h)) / (2 * h)

    g = greeks()
    # The hedge of a coin value is counted in units of underlying: F times its slope.
    for found, expected in [
        (g.delta, slope(lambda h: value(100 + h)) * unit),
        (g.gamma, slope(lambda h: greeks(100 + h).delta)),
        (g.vega, slope(lambda h: value(vol=vol + h))),
        (g.theta, slope(lambda h: value(t=t - h), 1e-6)),
        (g.vanna, slope(lambda h: greeks(vol=vol + h).delta)),
        (g.volga, slope(lambda h: greeks(vol=vol + h).vega)),
        (g.charm, slope(lambda h: greeks(t=t - h).delta, 1e-6)),
        (g.rho, slope(lambda r: np.exp(-r * t) * value())),
    ]:
        assert found == pytest.approx(expected, rel=1e-4, abs=2e-4 / unit)


@given(st.floats(50.0, 200.0), st.floats(0.02, 2.0), st.floats(0.1, 1.5), st.booleans())
def test_coin_greeks_are_what_the_definitions_say(strike, t, vol, is_call):
    f = 100.0
    g = black.greeks(f, strike, t, vol, is_call)
    coin = black.coin_greeks(f, strike, t, vol, is_call)
    premium = black.price(f, strike, t, vol, is_call) / f
    for found, expected in [
        (coin.delta, g.delta - premium),
        (coin.gamma, g.gamma - g.delta / f + premium / f),
        (coin.vega, g.vega / f),
        (coin.theta, g.theta / f),
        (coin.rho, g.rho / f),
        (coin.vanna, g.vanna - g.vega / f),
        (coin.volga, g.volga / f),
        (coin.charm, g.charm - g.theta / f),
    ]:
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize(
    ("price", "forward", "strike", "t", "is_call", "expected"),
    [
        (9.0, 110.0, 100.0, 1.0, True, Status.BELOW_INTRINSIC),
        (-1.0, 100.0, 100.0, 1.0, True, Status.BELOW_INTRINSIC),
        (10.0, 110.0, 100.0, 1.0, True, Status.AT_INTRINSIC),
        (10.0, 100.0, 110.0, 1.0, False, Status.AT_INTRINSIC),
        (100.0, 100.0, 90.0, 1.0, True, Status.ABOVE_BOUND),
        (1e9, 100.0, 90.0, 1.0, True, Status.ABOVE_BOUND),
        (90.0, 100.0, 90.0, 1.0, False, Status.ABOVE_BOUND),
        (0.0, 100.0, 90.0, 1.0, True, Status.NO_QUOTE),
        (np.nan, 100.0, 90.0, 1.0, True, Status.NO_QUOTE),
        (5.0, 100.0, 100.0, 0.0, True, Status.EXPIRED),
        (5.0, 100.0, 100.0, -1.0, True, Status.EXPIRED),
        (np.nan, 100.0, 100.0, -1.0, True, Status.EXPIRED),
        (5.0, np.nan, 100.0, 1.0, True, Status.NOT_FINITE),
        (5.0, np.inf, 100.0, 1.0, True, Status.NOT_FINITE),
        (5.0, 100.0, 0.0, 1.0, True, Status.NOT_FINITE),
        (5.0, -100.0, 100.0, 1.0, True, Status.NOT_FINITE),
        (5.0, 100.0, 100.0, np.inf, True, Status.NOT_FINITE),
        (np.inf, 100.0, 100.0, 1.0, True, Status.NOT_FINITE),
    ],
)
def test_a_price_without_a_volatility_says_why(price, forward, strike, t, is_call, expected):
    vol, status = black.implied_vol(price, forward, strike, t, is_call)
    assert Status(int(status)) is expected
    assert np.isnan(vol)


def test_at_zero_volatility_or_time_a_price_is_intrinsic_and_greeks_are_undefined():
    assert black.price(110.0, 100.0, [0.0, 1.0], [0.5, 0.0], True).tolist() == [10.0, 10.0]
    for of in (black.greeks, black.coin_greeks):
        greeks = of(110.0, 100.0, [0.0, 1.0], [0.5, 0.0], True)
        assert np.isnan([getattr(greeks, f.name) for f in fields(greeks)]).all()


@pytest.mark.parametrize(
    "bad", [(np.nan, 1, 1, 1), (1, 0, 1, 1), (1, 1, -1, 1), (1, 1, 1, -1), (1, 1, 1, np.inf)]
)
def test_prices_of_impossible_options_are_nan(bad):
    assert np.isnan(black.price(*bad, True))
    assert np.isnan(black.greeks(*bad, True).delta)
    assert np.isnan(black.coin_greeks(*bad, True).delta)


def test_arguments_broadcast():
    price = black.price([[90.0], [100.0]], [80.0, 100.0, 120.0], 0.5, 0.6, [True, False, True])
    assert price.shape == (2, 3)
    vol, status = black.implied_vol(
        price, [[90.0], [100.0]], [80.0, 100.0, 120.0], 0.5, [True, False, True]
    )
    np.testing.assert_allclose(vol, 0.6, rtol=1e-12)
    assert (status == Status.OK).all()
    assert status.dtype == np.int8


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(black).failed == 0
