"""Which functions of carry can SQL call: curves at constant tenors?

What registry.py says of missing values holds here.
"""

import numpy as np
import pyarrow as pa

from warehouse.arrow import (
    NUMBER,
    NUMBERS,
    WHOLE,
    Array,
    Lists,
    SqlFunction,
    declared,
    list_of,
    nullable,
    numbers,
    ragged,
    record_type,
)
from warehouse.functions import tenors

DAYS_A_YEAR = 365.0
BPS = 1e4
TENOR_DAYS = (7, 14, 30, 60, 90, 180, 365)

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
    wanted = np.array(TENOR_DAYS, dtype=np.float64)
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


CARRY = (
    SqlFunction(
        "constant_tenors",
        declared("tenor_days", "log_ratio", dtype=NUMBERS),
        pa.list_(TENOR),
        "Rates of a curve of ln(forward / spot) at 7, 14, 30, 60, 90, 180 and 365 days, linear in "
        "time between contracts and NULL beyond them, beside a smooth fit.",
        constant_tenors,
    ),
)
