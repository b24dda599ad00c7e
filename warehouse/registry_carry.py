"""Which functions of carry can SQL call: curves, leads and hedges?

What registry.py says of missing values holds here.
"""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from warehouse.arrow import (
    NUMBER,
    NUMBERS,
    TEXT,
    WHOLE,
    WHOLES,
    Array,
    Lists,
    SqlFunction,
    cut,
    declared,
    list_of,
    names_of,
    nullable,
    numbers,
    ragged,
    record,
    record_type,
    stacked,
    wholes,
)
from warehouse.functions import effectiveness, leadlag, tenors
from warehouse.functions.grid import TENOR_DAYS

DAYS_A_YEAR = 365.0
BPS = 1e4

TENOR = record_type(
    tenor_days=WHOLE,
    rate=NUMBER,
    fit_rate=NUMBER,
    near_days=NUMBER,
    far_days=NUMBER,
    contracts_used=WHOLE,
    contracts_listed=WHOLE,
    fit_rmse_bps=NUMBER,
    leave_one_out_bps=NUMBER,
    level_bps=NUMBER,
)


def constant_tenors(tenor_days: Lists, log_ratio: Lists) -> Array:
    (days, ratio), offsets = ragged("constant_tenors", [tenor_days, log_ratio])
    wanted = np.array(TENOR_DAYS)
    found = tenors.constant(
        numbers(days) / DAYS_A_YEAR, numbers(ratio), offsets, wanted / DAYS_A_YEAR
    )
    curves = len(tenor_days)
    columns = [
        pa.array(np.tile(wanted.astype(np.int64), curves)),
        nullable(found.rate),
        nullable(found.fit_rate),
        nullable(DAYS_A_YEAR * found.near_years),
        nullable(DAYS_A_YEAR * found.far_years),
        pa.array(found.contracts_used),
        pa.array(found.contracts_listed),
        nullable(BPS * found.fit_error),
        nullable(BPS * found.leave_one_out_error),
        nullable(BPS * found.level),
    ]
    is_empty = pa.array(np.diff(offsets) == 0)
    return list_of(TENOR, wanted.size * np.arange(curves + 1), columns, is_empty)


LEAD = record_type(
    "lag_s",
    "contrast",
    "correlation",
    "correlation_at_zero",
    "standard_error",
    "lead_lag_ratio",
    lead_lag_status=TEXT,
)
SECOND_US = 1_000_000
# Fine where clocks matter, coarse where nobody would wait: seconds either way.
LEADS_S = (
    *(k / 100 for k in range(1, 11)),
    *(k / 10 for k in range(2, 11)),
    *range(2, 11),
    *(15, 20, 30, 60),
)
LAGS_US = np.array(
    sorted({0, *(sign * round(SECOND_US * s) for s in LEADS_S for sign in (1, -1))}), dtype=np.int64
)


def lead_lag(
    first_at_us: Lists, first_price: Lists, at_us: Lists, price: Lists, skew_s: Array
) -> Array:
    (first_at, first), first_ends = ragged("lead_lag: first", [first_at_us, first_price])
    (at, own), ends = ragged("lead_lag", [at_us, price])
    stamps = wholes(first_at), wholes(at)
    logs = [_logarithms(numbers(p)) for p in (first, own)]
    skews = SECOND_US * np.nan_to_num(numbers(skew_s), nan=np.inf)
    found = [
        leadlag.lead(
            stamps[0][cut(first_ends, row)],
            logs[0][cut(first_ends, row)],
            stamps[1][cut(ends, row)],
            logs[1][cut(ends, row)],
            LAGS_US,
            skew,
        )
        for row, skew in enumerate(skews)
    ]
    rows = np.array(
        [
            [
                f.lag_us / SECOND_US,
                BPS * BPS * f.contrast,
                f.correlation,
                f.correlation_at_zero,
                f.standard_error,
                f.lead_lag_ratio,
            ]
            for f in found
        ]
    )
    names = names_of(leadlag.LeadLagStatus, [f.status for f in found])
    return record(LEAD, [*rows.reshape(-1, 6).T, names])


def _logarithms(price: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(price, out=np.full(price.shape, np.nan), where=price > 0)


HEDGE_DAYS = (7, 30)
EFFECTIVE = record_type(
    hour=WHOLE,
    window_days=WHOLE,
    changes_used=WHOLE,
    correlation=NUMBER,
    minimum_variance_ratio=NUMBER,
    standard_error=NUMBER,
    r_squared=NUMBER,
    exposure_vol_bps=NUMBER,
    residual_vol_bps=NUMBER,
    variance_reduction=NUMBER,
    tail_low_bps=NUMBER,
    tail_high_bps=NUMBER,
    shortfall_low_bps=NUMBER,
    shortfall_high_bps=NUMBER,
)


def hedge_effectiveness(hours: Lists, exposure_change: Lists, hedge_change: Lists) -> Array:
    (at, exposure, hedge), offsets = ragged(
        "hedge_effectiveness", [hours, exposure_change, hedge_change]
    )
    hour, changes = wholes(at), (numbers(exposure), numbers(hedge))
    tables = [
        _effective(hour[rows], changes[0][rows], changes[1][rows], days)
        for row in range(len(hours))
        for rows in [cut(offsets, row)]
        for days in HEDGE_DAYS
    ]
    return list_of(EFFECTIVE, len(HEDGE_DAYS) * offsets, stacked(EFFECTIVE, tables))


def _effective(
    hour: NDArray[np.int64],
    exposure: NDArray[np.float64],
    hedge: NDArray[np.float64],
    days: int,
) -> list[Array]:
    """Rows of one series and window; hours between the given ones have no change."""
    if (step := np.diff(hour)).size and step.min() < 1:
        raise ValueError(
            f"hedge_effectiveness: hours must ascend, {hour[1:][step < 1][0]} does not"
        )
    first = int(hour[0]) if hour.size else 0
    grid = np.full((2, int(hour[-1]) - first + 1 if hour.size else 0), np.nan)
    place = hour - first
    grid[:, place] = exposure, hedge
    f = effectiveness.rolling(grid[0], grid[1], 24 * days)
    in_bps = (
        f.exposure_deviation,
        f.residual_deviation,
        f.tail_low,
        f.tail_high,
        f.shortfall_low,
        f.shortfall_high,
    )
    bare, left, *tails = (nullable(BPS * c[place]) for c in in_bps)
    plain = (f.correlation, f.ratio, f.standard_error, f.r_squared)
    return [
        pa.array(hour),
        pa.array(np.full(hour.size, days)),
        pa.array(f.used[place]),
        *(nullable(c[place]) for c in plain),
        bare,
        left,
        nullable(f.variance_reduction[place]),
        *tails,
    ]


CARRY = (
    SqlFunction(
        "constant_tenors",
        declared("tenor_days", "log_ratio", dtype=NUMBERS),
        pa.list_(TENOR),
        "Rates of a curve of ln(forward / spot) at the constant tenors of the surface, 1 to "
        "365 days, linear in time between contracts and NULL beyond them, beside a smooth fit.",
        constant_tenors,
    ),
    SqlFunction(
        "lead_lag",
        (
            ("first_at_us", WHOLES),
            ("first_price", NUMBERS),
            ("at_us", WHOLES),
            ("price", NUMBERS),
            ("skew_s", NUMBER),
        ),
        LEAD,
        "Seconds by which the second price follows the first, by the contrast of Hayashi and "
        "Yoshida in squared basis points; stamps ascend, clocks may differ by skew_s, and without "
        "that nothing is identified. Status: ok, too_few, no_correlation, not_identified.",
        lead_lag,
    ),
    SqlFunction(
        "hedge_effectiveness",
        (("hours", WHOLES), *declared("exposure_change", "hedge_change", dtype=NUMBERS)),
        pa.list_(EFFECTIVE),
        "Minimum-variance hedges of the last 7 and 30 days of hourly changes, one row per hour and "
        "window; deviations and tails of the residual in basis points.",
        hedge_effectiveness,
    ),
)
