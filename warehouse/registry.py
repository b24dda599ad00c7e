"""Which functions can SQL call? Each is declared here once and bound by the engines' plugins.

Rules for all: NULL and NaN are the same on the way in and NULL on the way out, and a NULL list is
an empty one. A function that returns a status always returns it: it says what was missing, and the
numbers beside it are NULL. Missing or impossible numbers never raise; lists that belong together
and differ in length do, since then the query is wrong.

Greeks come out of `black` per 1.00 of volatility and per year, out of here per volatility point and
per calendar day.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from warehouse.arrow import (
    DAY,
    DAYS,
    FLAG,
    FLAGS,
    NUMBER,
    NUMBERS,
    TEXT,
    WHOLE,
    WHOLES,
    Array,
    Integers,
    Lists,
    SqlFunction,
    calls_with,
    declared,
    list_of,
    names_of,
    nullable,
    numbers,
    ragged,
    record,
    record_type,
)
from warehouse.functions import bands, black, calibration, forwards, svi, vpin
from warehouse.registry_books import BOOKS
from warehouse.registry_carry import CARRY
from warehouse.registry_funding import FUNDING
from warehouse.registry_impact import IMPACTS
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


# ---- volume buckets

PLAN = record_type(
    day_at=DAY,
    bucket_lots=WHOLE,
    first_bucket=WHOLE,
    open_lots=WHOLE,
    open_bucket_lots=WHOLE,
    is_own_day=FLAG,
    is_restarted=FLAG,
)
FRAGMENT = record_type(
    bucket_offset=WHOLE,
    start_index=WHOLE,
    end_index=WHOLE,
    buy_lots=WHOLE,
    sell_lots=WHOLE,
    is_full=FLAG,
)


def vpin_plan(days: Lists, volume_lots: Lists) -> Array:
    (at, volume), offsets = ragged("vpin_plan", [days, volume_lots])
    day = at.cast(pa.int32()).to_numpy()
    lots = volume.fill_null(vpin.NO_UNIT).to_numpy(zero_copy_only=False)
    plans = [day_plan(day[a:b], lots[a:b]) for a, b in pairwise(offsets)]
    columns = [np.concatenate(c) for c in zip(*plans, strict=True)] or [lots[:0]] * 6
    sizes = [pa.array(c, mask=c == 0) for c in (columns[0], columns[3])]
    flags = [pa.array(c, type=FLAG) for c in columns[4:]]
    rows = [at, sizes[0], pa.array(columns[1]), pa.array(columns[2]), sizes[1], *flags]
    return list_of(PLAN, offsets, rows)


def day_plan(day: NDArray[np.int32], lots: Integers) -> list[NDArray[Any]]:
    """The plan of the days given; calendar days between them that are absent have no unit."""
    if day.size == 0:
        return list(vpin.plan(lots))
    if (gaps := np.diff(day)).size and gaps.min() < 1:
        at = np.datetime64(int(day[1:][gaps < 1][0]), "D")
        raise ValueError(f"vpin_plan: days must ascend, {at} does not")
    calendar = np.full(int(day[-1] - day[0]) + 1, vpin.NO_UNIT, dtype=np.int64)
    calendar[day - day[0]] = lots
    return [c[day - day[0]] for c in vpin.plan(calendar)]


def vpin_fragments(
    lots: Lists, is_buy: Lists, bucket_lots: Array, open_lots: Array, open_bucket_lots: Array
) -> Array:
    (sizes, buys), offsets = ragged("vpin_fragments", [lots, is_buy])
    if sizes.null_count or buys.null_count:
        raise ValueError("vpin_fragments: NULL among lots or is_buy, a print would be lost")
    size, buy = sizes.to_numpy(), buys.to_numpy(zero_copy_only=False)
    known = pc.and_(lots.is_valid(), is_buy.is_valid())
    for given in (bucket_lots, open_lots, open_bucket_lots):
        known = pc.and_(known, given.is_valid())
    entry = zip(
        *(c.to_pylist() for c in (known, bucket_lots, open_lots, open_bucket_lots)), strict=True
    )
    none = vpin.fragments(size[:0], buy[:0], 1)
    cuts = [
        vpin.fragments(size[a:b], buy[a:b], each, held, first) if is_known else none
        for (a, b), (is_known, each, held, first) in zip(pairwise(offsets), entry, strict=True)
    ]
    offset, start, end, *rest = (np.concatenate(c) for c in zip(none, *cuts, strict=True))
    # SQL counts list positions from 1.
    columns = [pa.array(c) for c in (offset, start + 1, end + 1, *rest)]
    ends = np.cumsum([0, *(c.is_full.size for c in cuts)])
    return list_of(FRAGMENT, ends, columns, pc.invert(known))


# ---- hedging


def whalley_wilmott_half_width(*arguments: Array) -> Array:
    return nullable(bands.whalley_wilmott(*map(numbers, arguments)))


CALL = (("is_call", FLAG),)

FUNCTIONS = (
    *BOOKS,
    *CARRY,
    *SURFACES,
    *REPAIRS,
    *IMPACTS,
    *FUNDING,
    *VARIANCES,
    *VOLATILITY,
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
        "vpin_plan",
        (("days", DAYS), ("volume_lots", WHOLES)),
        pa.list_(PLAN),
        "Per day of one instrument, ascending: bucket size and the bucket open at its start. "
        "Volume 0 is a day without trades, NULL, -1 or an absent day one without a committed unit.",
        vpin_plan,
    ),
    SqlFunction(
        "vpin_fragments",
        (
            ("lots", WHOLES),
            ("is_buy", FLAGS),
            *declared("bucket_lots", "open_lots", "open_bucket_lots", dtype=WHOLE),
        ),
        pa.list_(FRAGMENT),
        "Buckets touched by the prints of a day, the open one included; indices are list positions "
        "from 1 and bucket_offset 0 is the bucket open at the start. NULL arguments give NULL.",
        vpin_fragments,
    ),
    SqlFunction(
        "whalley_wilmott_half_width",
        declared("forward", "gamma", "cost_rate", "risk_aversion", "t_years"),
        NUMBER,
        "Half width in delta of the no-trade band; one-way cost, risk aversion per USD.",
        whalley_wilmott_half_width,
    ),
)
