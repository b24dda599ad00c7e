"""Which functions can SQL call? Each is declared here once and bound by the engines' plugins.

Rules for all: NULL and NaN are the same on the way in and NULL on the way out, and a NULL list is
an empty one. A function that returns a status always returns it: it says what was missing, and the
numbers beside it are NULL. Missing or impossible numbers never raise; lists that belong together
and differ in length do, since then the query is wrong.

Greeks come out of `black` per 1.00 of volatility and per year, out of here per volatility point and
per calendar day.
"""

from itertools import pairwise

import numpy as np
import pyarrow as pa

from warehouse.arrow import (
    FLAG,
    NUMBER,
    NUMBERS,
    TEXT,
    Array,
    Lists,
    SqlFunction,
    calls_with,
    declared,
    names_of,
    nullable,
    numbers,
    ragged,
    record,
    record_type,
)
from warehouse.functions import bands, black, calibration, forwards, svi
from warehouse.registry_books import BOOKS
from warehouse.registry_buckets import BUCKETS
from warehouse.registry_carry import CARRY
from warehouse.registry_funding import FUNDING
from warehouse.registry_hedges import HEDGES
from warehouse.registry_impact import IMPACTS
from warehouse.registry_liquidity import LIQUIDITY
from warehouse.registry_repair import REPAIRS
from warehouse.registry_surfaces import SURFACES
from warehouse.registry_toxicity import TOXICITY
from warehouse.registry_variance import VARIANCES
from warehouse.registry_volatility import VOLATILITY

POINTS_OF_VOL = 100.0
DAYS_A_YEAR = 365.0


# ---- options on a forward

GREEKS = record_type("delta", "gamma", "vega_usd", "theta_usd")
IMPLIED = record_type("iv", solver_status=TEXT)


def black_price(forward: Array, strike: Array, t_years: Array, vol: Array, is_call: Array) -> Array:
    call, k = calls_with(is_call, strike)
    return nullable(black.price(numbers(forward), k, numbers(t_years), numbers(vol), call))


def black_implied_vol(
    price: Array, forward: Array, strike: Array, t_years: Array, is_call: Array
) -> Array:
    call, k = calls_with(is_call, strike)
    vol, status = black.implied_vol(numbers(price), numbers(forward), k, numbers(t_years), call)
    return record(IMPLIED, [vol, names_of(black.Status, status)])


def black_greeks(
    forward: Array, strike: Array, t_years: Array, vol: Array, is_call: Array
) -> Array:
    call, k = calls_with(is_call, strike)
    g = black.greeks(numbers(forward), k, numbers(t_years), numbers(vol), call)
    return record(GREEKS, [g.delta, g.gamma, g.vega / POINTS_OF_VOL, g.theta / DAYS_A_YEAR])


# ---- slices of the surface

SLICE = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")
DIAGNOSTICS = ("rmse_iv", "butterfly_min_g", "lee_left", "lee_right")
SVI_FIT = record_type(*SLICE, *DIAGNOSTICS, fit_status=TEXT, outliers_count=pa.int32())
DELTA_IV = record_type("iv", "k")
SHAPE = record_type("skew_slope", "curvature")


def svi_fit(k: Lists, total_variance: Lists, weight: Lists, t_years: Array) -> Array:
    values, offsets = ragged("svi_fit", [k, total_variance, weight])
    x, w, q = map(numbers, values)
    rows, status, wrong = calibration.fit_many(x, w, q, offsets, numbers(t_years))
    counts = np.diff(np.concatenate([[0], np.cumsum(wrong)])[offsets])
    outliers = pa.array(counts, type=pa.int32(), mask=np.isnan(rows[:, 0]))
    return record(SVI_FIT, [*rows.T, names_of(svi.SviStatus, status), outliers])


def svi_total_variance(*slice_and_k: Array) -> Array:
    *params, k = map(numbers, slice_and_k)
    return nullable(svi.total_variance(params, k))


def svi_delta_iv(*slice_time_delta: Array) -> Array:
    *params, t_years, call_delta = map(numbers, slice_time_delta)
    return record(DELTA_IV, svi.delta_iv(params, t_years, call_delta))


def svi_slope_curvature(*slice_and_time: Array) -> Array:
    *params, t_years = map(numbers, slice_and_time)
    return record(SHAPE, svi.slope_and_curvature(params, t_years))


# ---- forwards

PARITY = record_type(
    "forward", "standard_error", "discount_factor", strikes_used=pa.int32(), parity_status=TEXT
)


def forward_parity(
    strike: Lists, call_bid: Lists, call_ask: Lists, put_bid: Lists, put_ask: Lists, is_coin: Array
) -> Array:
    lists, offsets = ragged("forward_parity", [strike, call_bid, call_ask, put_bid, put_ask])
    columns = np.array([numbers(v) for v in lists])
    # Without knowing what the quotes are in there is no line to fit: no strike can be used.
    fits = [
        forwards.parity(k, cb, ca, pb, pa, bool(coin))
        for (a, b), coin in zip(pairwise(offsets), is_coin.to_pylist(), strict=True)
        for k, cb, ca, pb, pa in [columns[:, a : b if coin is not None else a]]
    ]
    numbers_of = np.array([[f.forward, f.standard_error, f.discount_factor] for f in fits])
    return record(
        PARITY,
        [
            *numbers_of.reshape(-1, 3).T,
            pa.array([f.strikes_used for f in fits], type=pa.int32()),
            names_of(forwards.ParityStatus, [f.status for f in fits]),
        ],
    )


# ---- hedging


def whalley_wilmott_half_width(*arguments: Array) -> Array:
    return nullable(bands.whalley_wilmott(*map(numbers, arguments)))


CALL = (("is_call", FLAG),)

FUNCTIONS = (
    *BOOKS,
    *LIQUIDITY,
    *CARRY,
    *SURFACES,
    *REPAIRS,
    *IMPACTS,
    *FUNDING,
    *VARIANCES,
    *VOLATILITY,
    *HEDGES,
    *BUCKETS,
    *TOXICITY,
    SqlFunction(
        "black_price",
        (*declared("forward", "strike", "t_years", "vol"), *CALL),
        NUMBER,
        "Undiscounted Black (1976) price in the forward's currency.",
        black_price,
    ),
    SqlFunction(
        "black_implied_vol",
        (*declared("price", "forward", "strike", "t_years"), *CALL),
        IMPLIED,
        "Annualised implied volatility of an undiscounted price in the forward's currency. Status: "
        "ok, below_intrinsic, at_intrinsic, above_bound, no_quote, expired, not_finite.",
        black_implied_vol,
    ),
    SqlFunction(
        "black_greeks",
        (*declared("forward", "strike", "t_years", "vol"), *CALL),
        GREEKS,
        "Forward delta and gamma per 1 USD, vega per 0.01 of volatility, theta per calendar day.",
        black_greeks,
    ),
    SqlFunction(
        "svi_fit",
        (*declared("k", "total_variance", "weight", dtype=NUMBERS), *declared("t_years")),
        SVI_FIT,
        "Raw SVI slice of one expiry with its diagnosis; weight is 1/error of each volatility, 0 "
        "leaves a quote out, and so does being grossly wrong, which is counted. Status: ok, "
        "too_few_strikes, not_finite, not_positive, no_time, not_converged.",
        svi_fit,
    ),
    SqlFunction(
        "svi_total_variance",
        declared(*SLICE, "k"),
        NUMBER,
        "Total variance of a raw SVI slice at log-moneyness k.",
        svi_total_variance,
    ),
    SqlFunction(
        "svi_delta_iv",
        declared(*SLICE, "t_years", "call_delta"),
        DELTA_IV,
        "Volatility and log-moneyness where the slice's undiscounted forward call delta is given.",
        svi_delta_iv,
    ),
    SqlFunction(
        "svi_slope_curvature",
        declared(*SLICE, "t_years"),
        SHAPE,
        "First and second derivative of volatility in log-moneyness at the forward.",
        svi_slope_curvature,
    ),
    SqlFunction(
        "forward_parity",
        (
            *declared("strike", "call_bid", "call_ask", "put_bid", "put_ask", dtype=NUMBERS),
            ("is_coin", FLAG),
        ),
        PARITY,
        "Parity forward of one expiry, one list entry per strike, quotes in coin or US dollars. "
        "Status: ok, too_few_strikes, no_solution.",
        forward_parity,
    ),
    SqlFunction(
        "whalley_wilmott_half_width",
        declared("forward", "gamma", "cost_rate", "risk_aversion", "t_years"),
        NUMBER,
        "Half width in delta of the no-trade band; one-way cost, risk aversion per USD.",
        whalley_wilmott_half_width,
    ),
)
