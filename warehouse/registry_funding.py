"""Which functions of what perpetuals paid can SQL call?

What registry.py says of missing values holds here; the series is taken whole.
"""

import numpy as np
import pyarrow as pa

from warehouse.arrow import (
    FLAG,
    NUMBER,
    NUMBERS,
    WHOLE,
    WHOLES,
    Array,
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
from warehouse.functions import anomalies
from warehouse.functions.windows import Floats

DAY_S = anomalies.DAY_S

ANOMALY = record_type(
    at_s=WHOLE,
    rows_7d=WHOLE,
    rows_30d=WHOLE,
    z_7d=NUMBER,
    z_30d=NUMBER,
    median_14d=NUMBER,
    median_30d=NUMBER,
    scale_30d=NUMBER,
    robust_z_30d=NUMBER,
    pinned_share_30d=NUMBER,
    shift_direction=WHOLE,
    is_watching=FLAG,
    onset_s=WHOLE,
)


def funding_anomalies(at_s: Lists, rate_8h: Lists, step_8h: Lists, interval_s: Lists) -> Array:
    (at, rate, step, length), ends = ragged(
        "funding_anomalies", [at_s, rate_8h, step_8h, interval_s]
    )
    stamps, seconds = wholes(at), wholes(length)
    rates, steps = numbers(rate), numbers(step)
    rows = [
        _judged(stamps[one], rates[one], steps[one], seconds[one])
        for one in (cut(ends, row) for row in range(len(at_s)))
    ]
    return list_of(ANOMALY, ends, stacked(ANOMALY, rows))


def _judged(at: Integers, rate: Floats, step: Floats, length: Integers) -> list[Array]:
    week, fortnight, month = (
        anomalies.trailing(at, rate, step, days * DAY_S) for days in (7, 14, 30)
    )
    scale = anomalies.scale(month.mad, np.nan_to_num(step))
    found = anomalies.shifts(at, rate, step, length)
    onset = pa.array(at[found.onset], mask=found.onset < 0)
    scores = [_z(rate, window) for window in (week, month)]
    levels = [fortnight.median, month.median, scale]
    robust = [(rate - month.median) / scale, month.near_share]
    return [
        pa.array(at),
        pa.array(week.count),
        pa.array(month.count),
        *(nullable(column) for column in (*scores, *levels, *robust)),
        pa.array(found.direction, type=WHOLE),
        pa.array(found.is_watching),
        onset,
    ]


def _z(rate: Floats, window: anomalies.Trailing) -> Floats:
    """NaN where nothing differed: there is no deviation to measure by."""
    differs = window.deviation > anomalies.SAME
    out = np.full(rate.size, np.nan)
    np.divide(rate - window.mean, window.deviation, out=out, where=differs)
    return out


FUNDING = (
    SqlFunction(
        "funding_anomalies",
        (
            ("at_s", WHOLES),
            *declared("rate_8h", "step_8h", dtype=NUMBERS),
            ("interval_s", WHOLES),
        ),
        pa.list_(ANOMALY),
        "Per settlement of one instrument, ascending in whole seconds since 1970: how its rate per "
        "eight hours stands to those strictly before it, and whether it completes a shift. "
        "step_8h is the venue's smallest difference, NULL where unknown.",
        funding_anomalies,
    ),
)
