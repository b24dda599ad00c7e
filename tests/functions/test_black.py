"""Prices, volatilities and greeks against the tables of others, and every bad price."""

import doctest
import json

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
    delta_in_coin = greeks.delta - price / f
    for ours, column in [
        (price, "price_usd"),
        (price / f, "price_coin"),
        (greeks.delta, "delta"),
        (greeks.gamma, "gamma"),
        (greeks.vega, "vega_per_1"),
        (greeks.vega / 100, "vega_per_volpt"),
        (greeks.theta / 365, "theta_per_day365"),
        (delta_in_coin, "ntd_delta_minus_mark"),
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
            f"{side}R": t * (carried - price),
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


@given(st.floats(50.0, 200.0), st.floats(0.02, 2.0), st.floats(0.1, 1.5), st.booleans())
def test_greeks_are_the_slopes_of_the_price(strike, t, vol, is_call):
    def value(forward=100.0, t=t, vol=vol):
        return black.price(forward, strike, t, vol, is_call)

    g, h = black.greeks(100.0, strike, t, vol, is_call), 1e-4
    approximately = {"rel": 1e-4, "abs": 1e-5}
    assert (value(100 + h) - value(100 - h)) / (2 * h) == pytest.approx(g.delta, **approximately)
    assert (value(vol=vol + h) - value(vol=vol - h)) / (2 * h) == pytest.approx(
        g.vega, rel=1e-3, abs=1e-4
    )
    assert (value(t=t - 1e-6) - value(t=t + 1e-6)) / 2e-6 == pytest.approx(
        g.theta, rel=1e-3, abs=1e-2
    )
    second = (value(100 + 0.01) - 2 * value() + value(100 - 0.01)) / 1e-4
    assert second == pytest.approx(g.gamma, rel=2e-2, abs=1e-6)


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
    greeks = black.greeks(110.0, 100.0, [0.0, 1.0], [0.5, 0.0], True)
    assert np.isnan([greeks.delta, greeks.gamma, greeks.vega, greeks.theta]).all()


@pytest.mark.parametrize(
    "bad", [(np.nan, 1, 1, 1), (1, 0, 1, 1), (1, 1, -1, 1), (1, 1, 1, -1), (1, 1, 1, np.inf)]
)
def test_prices_of_impossible_options_are_nan(bad):
    assert np.isnan(black.price(*bad, True))
    assert np.isnan(black.greeks(*bad, True).delta)


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
