"""Which functions of volatility over time can SQL call: realised, to come, how smiles moved?

Functions over a long series take it whole, one list per column, and give a list of rows. Series of
hours are keyed by whole hours since 1970; an hour that is not listed is missing. What registry.py
says of missing values holds here.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from warehouse.arrow import (
    NUMBER,
    NUMBERS,
    TEXT,
    WHOLE,
    WHOLES,
    Array,
    Floats,
    Integers,
    Lists,
    SqlFunction,
    cut,
    declared,
    list_of,
    nullable,
    numbers,
    ragged,
    record_type,
    stacked,
    wholes,
)
from warehouse.functions import dynamics, forecasts, jumps, realized, regimes

BAR_S, FINE_S = 60, 300
HOURS_A_DAY = 24
# Of the model of Corsi (2009): a day, a week and a month; fitted on a year, on 100 rows at least.
HAR_LAGS = (24, 168, 720)
HAR_MINIMUM = 100
EWMA_HALF_LIFE_HOURS = 24 * 11.2  # RiskMetrics' 0.94 a day
LOSS_HOURS = 720
REGIME_HOURS, REGIME_MINIMUM = 2160, 168


# ---- what was realised

REALIZED = record_type(
    end_s=WHOLE,
    window_s=WHOLE,
    estimator=TEXT,
    realized_vol=NUMBER,
    observations_used=WHOLE,
    gaps_excluded=WHOLE,
    observed_share=NUMBER,
    jump_share=NUMBER,
    jump_z=NUMBER,
    kurtosis=NUMBER,
)
OF_BARS = {
    "close_close": "close_close",
    "close_close_demeaned": "close_close_demeaned",
    "parkinson": "parkinson",
    "garman_klass": "garman_klass",
    "rogers_satchell": "rogers_satchell",
    "yang_zhang_demeaned": "yang_zhang_demeaned",
}
OF_FINE_RETURNS = {
    "realized_5m": "realized_vol",
    "bipower_5m": "bipower_vol",
    "semivariance_up_5m": "up_vol",
    "semivariance_down_5m": "down_vol",
    "median_5m": "median_vol",
    "minimum_5m": "minimum_vol",
}


def realized_vols(*lists: Lists) -> Array:
    bars, bar_ends = ragged("realized_vols: bars", lists[:5])
    fine, fine_ends = ragged("realized_vols: fine prices", lists[5:7])
    (ends,), end_ends = ragged("realized_vols: ends", lists[7:8])
    (windows,), window_ends = ragged("realized_vols: windows", lists[8:])
    at, fine_at, end_s, window_s = map(wholes, (bars[0], fine[0], ends, windows))
    prices, fine_price = [numbers(b) for b in bars[1:]], numbers(fine[1])
    rows = [
        table
        for row in range(len(lists[0]))
        for table in _realized(
            at[cut(bar_ends, row)],
            [p[cut(bar_ends, row)] for p in prices],
            fine_at[cut(fine_ends, row)],
            fine_price[cut(fine_ends, row)],
            end_s[cut(end_ends, row)],
            window_s[cut(window_ends, row)],
        )
    ]
    each = len(OF_BARS) + len(OF_FINE_RETURNS)
    counts = each * np.diff(end_ends) * np.diff(window_ends)
    return list_of(REALIZED, np.cumsum([0, *counts]), stacked(REALIZED, rows))


def _realized(
    at: Integers,
    bars: Sequence[Floats],
    fine_at: Integers,
    fine_price: Floats,
    ends: Integers,
    windows: Integers,
) -> Iterator[Sequence[Array]]:
    """Rows of each window and estimator, one per end."""
    first, high, low, last = bars
    for window in map(int, windows):
        ranges = realized.range_vols(at, first, high, low, last, ends, window, BAR_S)
        measures = jumps.measures(fine_at, fine_price, ends, window, FINE_S)
        signs = (measures.jump_share, measures.jump_z, measures.kurtosis)
        vols = {name: getattr(ranges, field) for name, field in OF_BARS.items()}
        vols |= {name: getattr(measures, field) for name, field in OF_FINE_RETURNS.items()}
        for name, vol in vols.items():
            is_fine = name in OF_FINE_RETURNS
            used = measures.returns_used if is_fine else ranges.bars_used
            gaps = measures.gaps_excluded if is_fine else ranges.gaps_excluded
            share = np.minimum(used * (FINE_S if is_fine else BAR_S) / window, 1.0)
            yield [
                pa.array(ends),
                pa.array(np.full(ends.size, window)),
                pa.array([name] * ends.size, type=TEXT),
                nullable(vol),
                pa.array(used),
                pa.array(gaps),
                pa.array(share),
                *map(nullable, signs),
            ]


# ---- what comes

FORECAST = record_type(
    hour=WHOLE,
    horizon_hours=WHOLE,
    har_variance=NUMBER,
    har_status=TEXT,
    ewma_variance=NUMBER,
    naive_variance=NUMBER,
    wild_probability=NUMBER,
    regime_separation=NUMBER,
    hours_known=WHOLE,
)
LOSS = record_type("har_loss", "ewma_loss", "naive_loss")
LOSSES = pa.struct([("hour", WHOLE), *LOSS])


def variance_forecasts(hours: Lists, variance: Lists, first_hour: Array, horizons: Lists) -> Array:
    (hour, value), offsets = ragged("variance_forecasts", [hours, variance])
    (ahead,), ahead_ends = ragged("variance_forecasts: horizons", [horizons])
    at, known, lengths = wholes(hour), variances(value), wholes(ahead)
    rows: list[Sequence[Array]] = []
    counts = [0]
    for row, first in enumerate(first_hour.to_pylist()):
        listed, steps = at[cut(offsets, row)], lengths[cut(ahead_ends, row)]
        wanted = listed[listed >= first] if first is not None else listed[:0]
        if wanted.size:
            series = even("variance_forecasts", listed, known[cut(offsets, row)])
            rows += _forecasts(series, int(listed[0]), wanted, steps)
        counts.append(wanted.size * steps.size)
    return list_of(FORECAST, np.cumsum(counts), stacked(FORECAST, rows))


def _forecasts(
    x: Floats, start: int, wanted: Integers, horizons: Integers
) -> Iterator[Sequence[Array]]:
    """Rows of the wanted hours per horizon; `x` holds every hour from `start` on."""
    at = wanted - start
    begin = int(at[0])
    count = np.cumsum(~np.isnan(x))
    ewma = np.where(count < HOURS_A_DAY, np.nan, forecasts.ewma(x, EWMA_HALF_LIFE_HOURS))
    states = regimes.regimes(log_of(x), REGIME_HOURS, REGIME_MINIMUM, first_step=start, begin=begin)
    for horizon in map(int, horizons):
        har = forecasts.har(x, horizon, HAR_LAGS, minimum=HAR_MINIMUM, begin=begin)[at]
        is_short = count[at] < HAR_LAGS[-1] + horizon + HAR_MINIMUM
        why = np.where(is_short, "short_history", "missing_hours")
        yield [
            pa.array(wanted),
            pa.array(np.full(wanted.size, horizon)),
            nullable(har),
            pa.array(np.where(np.isnan(har), why, "ok"), type=TEXT),
            nullable(ewma[at]),
            nullable(forecasts.naive(x, horizon)[at]),
            nullable(states.probability[at]),
            nullable(states.separation[at]),
            pa.array(count[at]),
        ]


def forecast_losses(
    hours: Lists, variance: Lists, har: Lists, ewma: Lists, naive: Lists, horizon: Array
) -> Array:
    (hour, value, *methods), offsets = ragged(
        "forecast_losses", [hours, variance, har, ewma, naive]
    )
    at, known, told = wholes(hour), variances(value), [variances(m) for m in methods]
    losses = np.full((len(told), at.size), np.nan)
    for row, ahead in enumerate(horizon.to_pylist()):
        part = cut(offsets, row)
        if at[part].size and ahead is not None:
            place = at[part] - at[part][0]
            series = even("forecast_losses", at[part], known[part])
            for method, forecast in enumerate(told):
                each = even("forecast_losses", at[part], forecast[part])
                found = forecasts.trailing_loss(series, each, ahead, LOSS_HOURS)
                losses[method, part] = found[place]
    return list_of(LOSSES, offsets, [pa.array(at), *map(nullable, losses)])


# ---- how the smile moves

STICKINESS = record_type(
    step=WHOLE,
    ratio=NUMBER,
    standard_error=NUMBER,
    r_squared=NUMBER,
    steps_used=WHOLE,
)


def skew_stickiness(
    steps: Lists, atm_iv: Lists, atm_skew: Lists, forward: Lists, window_steps: Array
) -> Array:
    (step, *columns), offsets = ragged("skew_stickiness", [steps, atm_iv, atm_skew, forward])
    at, given = wholes(step), [numbers(c) for c in columns]
    out, used = np.full((3, at.size), np.nan), np.zeros(at.size, dtype=np.int64)
    for row, window in enumerate(window_steps.to_pylist()):
        part = cut(offsets, row)
        if at[part].size and window is not None:
            place = at[part] - at[part][0]
            iv, skew, level = (even("skew_stickiness", at[part], c[part]) for c in given)
            found = dynamics.skew_stickiness(iv, skew, level, window)
            for target, source in zip(
                out, (found.ratio, found.standard_error, found.r_squared), strict=True
            ):
                target[part] = source[place]
            used[part] = found.steps_used[place]
    return list_of(STICKINESS, offsets, [pa.array(at), *map(nullable, out), pa.array(used)])


# ---- lists


def variances(column: Array) -> Floats:
    """NaN where it is no variance: a negative number is as good as none."""
    values = numbers(column)
    with np.errstate(invalid="ignore"):
        return np.where((values >= 0.0) & (values < np.inf), values, np.nan)


def log_of(values: Floats) -> Floats:
    """NaN where there is no logarithm."""
    with np.errstate(invalid="ignore"):
        return np.log(np.where(values > 0.0, values, np.nan))


def even(name: str, places: Integers, values: Floats) -> Floats:
    """Values on every step from the first place to the last, NaN between those listed."""
    if (bad := np.flatnonzero(np.diff(places) <= 0)).size:
        raise ValueError(f"{name}: steps must ascend, {places[bad[0] + 1]} does not")
    out = np.full(int(places[-1] - places[0]) + 1, np.nan)
    out[places - places[0]] = values
    return out


VOLATILITY = (
    SqlFunction(
        "realized_vols",
        (
            ("at_s", WHOLES),
            *declared("open", "high", "low", "close", dtype=NUMBERS),
            ("fine_at_s", WHOLES),
            ("fine_price", NUMBERS),
            *declared("ends_s", "windows_s", dtype=WHOLES),
        ),
        pa.list_(REALIZED),
        "Realised volatility, annualised, over each window before each end by every estimator: "
        "from minute bars keyed by their start and from prices at five-minute marks.",
        realized_vols,
    ),
    SqlFunction(
        "variance_forecasts",
        (
            ("hours", WHOLES),
            ("variance", NUMBERS),
            ("first_hour", WHOLE),
            ("horizons", WHOLES),
        ),
        pa.list_(FORECAST),
        "Mean variance of the next hours by HAR, exponential and naive means, and the chance of "
        "the wild regime, in each listed hour from the first wanted on. Status of HAR: ok, "
        "short_history, missing_hours.",
        variance_forecasts,
    ),
    SqlFunction(
        "forecast_losses",
        (
            ("hours", WHOLES),
            *declared("variance", "har", "ewma", "naive", dtype=NUMBERS),
            ("horizon_hours", WHOLE),
        ),
        pa.list_(LOSSES),
        "Mean QLIKE of the forecasts of the last 720 hours whose horizon has closed, per listed "
        "hour.",
        forecast_losses,
    ),
    SqlFunction(
        "skew_stickiness",
        (
            ("steps", WHOLES),
            *declared("atm_iv", "atm_skew", "forward", dtype=NUMBERS),
            ("window_steps", WHOLE),
        ),
        pa.list_(STICKINESS),
        "Skew-stickiness ratio of one expiry over the window up to each listed step; 1 is sticky "
        "strike, 0 sticky moneyness. NULL with fewer than 30 steps.",
        skew_stickiness,
    ),
)
