"""Which functions of prints against quotes can SQL call?

Each takes the prints and the best quotes of one instrument around one period, a list of structs
each, in any order (registry_tape.py). What registry.py says of missing values holds here.
"""

from itertools import pairwise

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
    nullable,
    numbers,
    ragged,
    record,
    record_type,
)
from warehouse.functions import imbalance, impact, pin, spreads
from warehouse.functions.tape import Prints, Quotes
from warehouse.registry_tape import PERIOD, TAPE, Rows, per_period, read_prints, read_quotes

# ---- spreads

HORIZONS = ("1s", "5s", "1m", "5m")
MINUTE = pa.struct(
    [
        *((name, WHOLE) for name in ("minute", "buys", "sells", "unsided", "turns", "priced")),
        *((name, WHOLE) for name in ("of_books", "newest_us", "known_us")),
        *((name, NUMBER) for name in ("weight", "effective", "age_s", "quoted", "quoted_s")),
        *((f"count_{h}", WHOLE) for h in HORIZONS),
        *((f"weight_{h}", NUMBER) for h in HORIZONS),
        *((f"realised_{h}", NUMBER) for h in HORIZONS),
        *((f"moved_{h}", NUMBER) for h in HORIZONS),
    ]
)


def _spread_minutes(prints: Prints, quotes: Quotes, start_us: int, end_us: int) -> Rows:
    m = spreads.minutes(prints, quotes, start_us, end_us)
    counted = (m.minute, m.buys, m.sells, m.unsided, m.turns, m.priced, m.of_books)
    summed = (m.weight, m.effective, m.age_s, m.quoted, m.quoted_s)
    return [
        *map(pa.array, (*counted, m.newest_us, m.known_us)),
        *map(nullable, summed),
        *map(pa.array, m.later_count),
        *map(nullable, (*m.later_weight, *m.realised, *m.moved)),
    ]


spread_minutes = per_period(MINUTE, _spread_minutes, read_prints, read_quotes)


# ---- price impact

KYLE = ("kyle_lambda", "kyle_error", "kyle_low", "kyle_high", "kyle_r_squared")
MEASURES = (
    *KYLE,
    "roll_bps",
    "roll_covariance",
    "amihud",
    "order_impact_bps",
    "power",
    "power_error",
)
SIZES = ("kyle_n", "roll_n", "amihud_n", "order_n")
COUNTS = ("hour", "prints", "unsided", "newest_us", "known_us", *SIZES)
HOUR = pa.struct([*((n, WHOLE) for n in COUNTS), *((n, NUMBER) for n in MEASURES)])


def _impact_hours(prints: Prints, quotes: Quotes, start_us: int, end_us: int) -> Rows:
    h = impact.hours(prints, quotes, start_us, end_us)
    counted = [pa.array(getattr(h, name)) for name in COUNTS]
    return [*counted, *(nullable(getattr(h, name)) for name in MEASURES)]


impact_hours = per_period(HOUR, _impact_hours, read_prints, read_quotes)


# ---- imbalance

LEAN = pa.struct(
    [
        *((name, WHOLE) for name in ("minute", "updates", "unrecorded", "one_sided", "crossed")),
        *((name, WHOLE) for name in ("newest_us", "known_us")),
        *((name, NUMBER) for name in ("imbalance_base", "depth_base")),
    ]
)


def _imbalance_minutes(quotes: Quotes, start_us: int, end_us: int) -> Rows:
    m = imbalance.minutes(quotes, start_us, end_us)
    counted = (m.minute, m.updates, m.unrecorded, m.one_sided, m.crossed, m.newest_us, m.known_us)
    return [*map(pa.array, counted), nullable(m.imbalance), nullable(m.depth)]


imbalance_minutes = per_period(LEAN, _imbalance_minutes, read_quotes)


# ---- informed trading

PIN = record_type("pin", "alpha", "delta", "mu", "eps_b", "eps_s", "log_likelihood", days=WHOLE)


def pin_estimate(buys: Lists, sells: Lists) -> Array:
    (bought, sold), offsets = ragged("pin_estimate", [buys, sells])
    b, s = numbers(bought), numbers(sold)
    found = [pin.pin(b[low:high], s[low:high]) for low, high in pairwise(offsets)]
    rows = np.array([[getattr(f, field.name) for field in PIN] for f in found]).reshape(-1, 8).T
    # Nothing asked, nothing found: a count of days would look like an answer.
    days = pa.array([f.days or None for f in found], type=WHOLE)
    return record(PIN, [*rows[:7], days])


IMPACTS = (
    SqlFunction(
        "spread_minutes",
        (*TAPE, *PERIOD),
        pa.list_(MINUTE),
        "Sums of spreads and markouts per minute of a period, given its prints and those of five "
        "minutes before it, and the quotes from five seconds before those on; `minute` counts "
        "from 1970, sums are weighted by value at the mid, in basis points.",
        spread_minutes,
    ),
    SqlFunction(
        "impact_hours",
        (*TAPE, *PERIOD),
        pa.list_(HOUR),
        "Kyle's lambda with its error and interval, Roll's spread, Amihud's ratio, the impact of "
        "an order and the power of size per hour of a period, given its prints and those of five "
        "minutes before it, and the quotes from five seconds before it on; `hour` counts from "
        "1970.",
        impact_hours,
    ),
    SqlFunction(
        "imbalance_minutes",
        (TAPE[1], *PERIOD),
        pa.list_(LEAN),
        "Order-flow imbalance per minute of a period, given its quotes and the last one before it; "
        "`minute` counts from 1970, sizes are in base coins; NULL where not every update of the "
        "minute was recorded or a side was missing.",
        imbalance_minutes,
    ),
    SqlFunction(
        "pin_estimate",
        declared("buys", "sells", dtype=NUMBERS),
        PIN,
        "Probability of informed trading and the parameters behind it from daily counts of buys "
        "and sells; rates are trades a day. NULL with fewer than 30 days.",
        pin_estimate,
    ),
)
