"""Which functions of the variance that a chain or a slice implies can SQL call?

What registry.py says of missing values holds here.
"""

import numpy as np
import pyarrow as pa

from warehouse.arrow import (
    NUMBER,
    NUMBERS,
    TEXT,
    Array,
    Lists,
    SqlFunction,
    declared,
    names_of,
    nullable,
    numbers,
    ragged,
    record,
    record_type,
)
from warehouse.functions import black, density, dynamics, quadrature, svi, varswap

SLICE = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")


# ---- variance and law

STRIP = record_type(
    "total_variance",
    "k0",
    "lowest_strike",
    "highest_strike",
    strikes_used=pa.int32(),
    strip_status=TEXT,
)
VARIANCE = record_type("total_variance", "coverage_share", variance_status=TEXT)
LEVELS = (0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99)
DROPS = (0.1, 0.2, 0.3)
LAW = record_type(
    *(f"k_{100 * level:02.0f}" for level in LEVELS),
    *(f"probability_below_{100 * drop:.0f}" for drop in DROPS),
    *("mass", "mean_error", "negative_mass", "minimum_g"),
    law_status=TEXT,
)


def cboe_strip(
    strike: Lists,
    call_bid: Lists,
    call_ask: Lists,
    put_bid: Lists,
    put_ask: Lists,
    t_years: Array,
    forward: Array,
) -> Array:
    values, offsets = ragged("cboe_strip", [strike, call_bid, call_ask, put_bid, put_ask])
    k, cb, ca, pb, pa_ = map(numbers, values)
    rows, status = varswap.replicate_many(
        k, cb, ca, pb, pa_, offsets, numbers(t_years), forward=numbers(forward)
    )
    variance, _, *strikes, used = rows.T
    counts = pa.array(used.astype(np.int32), type=pa.int32())
    return record(STRIP, [variance, *strikes, counts, names_of(varswap.StripStatus, status)])


def svi_variance(*slice_and_limits: Array) -> Array:
    *params, low, high = map(numbers, slice_and_limits)
    low = np.where(low <= high, low, np.nan)
    found = quadrature.slice_variance(params, low, high, has_flat_wings=True)
    names = names_of(quadrature.VarianceStatus, found.status)
    return record(VARIANCE, [found.total_variance, found.coverage_share, names])


def svi_law(*slices: Array) -> Array:
    found = density.law(np.array([numbers(s) for s in slices]), LEVELS, DROPS)
    columns = [*found.quantile_k.T, *found.probability_below.T, found.mass, found.mean_error]
    columns += [found.negative_mass, found.minimum_g]
    return record(LAW, [*columns, names_of(density.LawStatus, found.status)])


# ---- how a strike moves with the forward

HEDGE = record_type("iv", "delta", "minimum_variance_delta")


def svi_minimum_variance_delta(*slice_time_forward_k_ratio: Array) -> Array:
    *given, t_years, forward, k, ratio = map(numbers, slice_time_forward_k_ratio)
    params = np.array(given)
    skew, _ = svi.slope_and_curvature(params, t_years)
    # Read from the strike itself, the slice's slope there is its slope at zero.
    a, b, rho, m, sigma = params
    slope, _ = svi.slope_and_curvature([a, b, rho, m - k, sigma], t_years)
    with np.errstate(invalid="ignore", divide="ignore"):
        iv = np.sqrt(svi.total_variance(params, k) / t_years)
    greeks = black.greeks(forward, forward * np.exp(k), t_years, iv, np.ones(k.size, dtype=bool))
    hedge = dynamics.stickiness_delta(greeks.delta, greeks.vega, forward, skew, slope, ratio)
    return record(HEDGE, [iv, greeks.delta, hedge])


def svi_fixed_strike_change(*columns: Array) -> Array:
    strike, *moved = map(numbers, columns)
    *before, forward_before, t_before = moved[:7]
    *after, forward_after, t_after = moved[7:]
    change = dynamics.fixed_strike_change(
        strike, before, forward_before, t_before, after, forward_after, t_after
    )
    return nullable(change)


VARIANCES = (
    SqlFunction(
        "cboe_strip",
        (
            *declared("strike", "call_bid", "call_ask", "put_bid", "put_ask", dtype=NUMBERS),
            *declared("t_years", "forward"),
        ),
        STRIP,
        "Model-free total variance of one expiry by Cboe's strip of undiscounted quotes in the "
        "currency of the strikes. Status: ok, no_time, no_forward, too_few_strikes, "
        "duplicate_strikes, not_positive.",
        cboe_strip,
    ),
    SqlFunction(
        "svi_variance",
        declared(*SLICE, "k_low", "k_high"),
        VARIANCE,
        "Model-free total variance of a raw SVI slice whose variance is frozen beyond k_low and "
        "k_high, and the share of it from between them. Status: ok, no_slice, not_positive, "
        "unbounded.",
        svi_variance,
    ),
    SqlFunction(
        "svi_law",
        declared(*SLICE),
        LAW,
        "The law of the settlement price: quantiles of ln(S/F), probabilities of falling below a "
        "share of the forward, mass and mean. Status: ok, no_slice, not_positive, "
        "negative_density.",
        svi_law,
    ),
    SqlFunction(
        "svi_minimum_variance_delta",
        declared(*SLICE, "t_years", "forward", "k", "ratio"),
        HEDGE,
        "Volatility, Black's call delta and the minimum-variance call delta at log-moneyness k of "
        "a raw SVI slice that moves by a skew-stickiness ratio.",
        svi_minimum_variance_delta,
    ),
    SqlFunction(
        "svi_fixed_strike_change",
        declared(
            "strike",
            *(f"{name}_before" for name in (*SLICE, "forward", "t_years")),
            *(f"{name}_after" for name in (*SLICE, "forward", "t_years")),
        ),
        NUMBER,
        "Change of volatility at a strike between two raw SVI slices, each at its own moneyness.",
        svi_fixed_strike_change,
    ),
)
