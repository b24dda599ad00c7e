"""Which functions of hedging by a moving smile can SQL call?

They take the steps of one expiry, one list per column, and give a list of rows. What registry.py
says of missing values holds here.
"""

from typing import Any

import numpy as np
import pyarrow as pa

from warehouse.arrow import (
    NUMBER,
    NUMBERS,
    WHOLE,
    WHOLES,
    Array,
    SqlFunction,
    cut,
    declared,
    list_of,
    nullable,
    numbers,
    ragged,
    record_type,
    wholes,
)
from warehouse.functions.hedges import hedges, hull_white_call_delta
from warehouse.registry_volatility import even

SLICE = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")

TAUGHT = record_type(
    step=WHOLE,
    hull_white_a=NUMBER,
    hull_white_b=NUMBER,
    hull_white_c=NUMBER,
    hull_white_gain=NUMBER,
    stickiness_gain=NUMBER,
    moves_used=WHOLE,
    moves_hedged=WHOLE,
)


def smile_hedges(*arguments: Any) -> Array:
    *lists, window_steps, first_step = arguments
    (step, *columns), offsets = ragged("smile_hedges", lists)
    at, given = wholes(step), [numbers(c) for c in columns]
    out, counts = np.full((5, at.size), np.nan), np.zeros((2, at.size), dtype=np.int64)
    windows = zip(window_steps.to_pylist(), first_step.to_pylist(), strict=True)
    for row, (window, first) in enumerate(windows):
        part = cut(offsets, row)
        if at[part].size and window is not None and first is not None:
            place = at[part] - at[part][0]
            *params, forward, t_years = (even("smile_hedges", at[part], c[part]) for c in given)
            begin = max(first - int(at[part][0]), 0)
            found = hedges(np.array(params).T, forward, t_years, window, begin)
            gains = (found.hull_white_gain, found.stickiness_gain)
            for target, source in zip(out, (*found.coefficients.T, *gains), strict=True):
                target[part] = source[place]
            counts[0, part] = found.moves_used[place]
            counts[1, part] = found.moves_hedged[place]
    rows = [pa.array(at), *map(nullable, out), *map(pa.array, counts)]
    return list_of(TAUGHT, offsets, rows)


def hull_white_delta(*delta_and_coefficients: Array) -> Array:
    return nullable(hull_white_call_delta(*map(numbers, delta_and_coefficients)))


HEDGES = (
    SqlFunction(
        "smile_hedges",
        (
            ("steps", WHOLES),
            *declared(*SLICE, "forward", "t_years", dtype=NUMBERS),
            ("window_steps", WHOLE),
            ("first_step", WHOLE),
        ),
        pa.list_(TAUGHT),
        "What the moves of one expiry's smile in the window up to each listed step teach: Hull and "
        "White's coefficients, and the share of squared hedge errors of Black's delta that they "
        "and the skew-stickiness ratio would have removed, each move hedged by those before it. "
        "NULL below 10 moves, before first_step, and all where there is none.",
        smile_hedges,
    ),
    SqlFunction(
        "hull_white_delta",
        declared("delta", "hull_white_a", "hull_white_b", "hull_white_c"),
        NUMBER,
        "Minimum-variance call delta of Hull and White (2017) for Black's forward call delta.",
        hull_white_delta,
    ),
)
