"""Which functions that look for arbitrage between slices, and remove it, can SQL call?

What registry.py says of missing values holds here.
"""

from enum import IntEnum
from typing import Any

import numpy as np
import pyarrow as pa

from warehouse.arrow import (
    NUMBER,
    NUMBERS,
    TEXT,
    WHOLES,
    Array,
    SqlFunction,
    declared,
    list_of,
    names_of,
    nullable,
    numbers,
    ragged,
    record,
    record_type,
    wholes,
)
from warehouse.functions import repair, svi
from warehouse.functions.slices import minimum_of_g

SLICE = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")
EARLIER = tuple(f"earlier_{name}" for name in SLICE)
CALENDAR = record_type("calendar_min_dw", "wing_excess")
REPAIRED = pa.struct(
    [
        ("place", pa.int32()),
        *((name, NUMBER) for name in (*SLICE, "max_change_iv", "rms_change_iv")),
        ("repair_status", TEXT),
    ]
)


class RepairStatus(IntEnum):
    """What became of a slice."""

    CLEAN = repair.CLEAN
    REFITTED = repair.REFITTED
    REPLACED = repair.REPLACED
    NO_SLICE = repair.NO_SLICE


def svi_least_g(*params: Array) -> Array:
    slices = np.array(list(map(numbers, params))).T.copy()
    return nullable(np.array([minimum_of_g(p) for p in slices], dtype=np.float64))


def svi_calendar(*slices: Array) -> Array:
    rows = list(map(numbers, slices))
    least, _, wing = svi.calendar(rows[:5], rows[5:])
    return record(CALENDAR, [least, wing])


def surface_repair(*surface: Any) -> Array:
    slices, surfaces = ragged("surface_repair slices", surface[:7])
    quotes, held = ragged("surface_repair quotes", surface[7:])
    *params, t_years = map(numbers, slices[:6])
    counts = wholes(slices[6])
    ends = np.concatenate([[0], np.cumsum(counts)])
    if not np.array_equal(ends[surfaces], held):
        row = int(np.flatnonzero(np.diff(ends[surfaces]) != np.diff(held))[0])
        have = int(np.diff(held)[row])
        raise ValueError(
            f"surface_repair: {have} quotes in row {row}, not as many as its slices say"
        )
    raw = np.array(params).T.reshape(-1, 5)
    k, total_variance, weight = map(numbers, quotes)
    out, state = repair.repair_many(raw, t_years, surfaces, k, total_variance, weight, ends)
    places = 1 + np.arange(len(raw)) - np.repeat(surfaces[:-1], np.diff(surfaces))
    columns = [pa.array(places, type=pa.int32()), *(nullable(c) for c in out.T)]
    return list_of(REPAIRED, surfaces, [*columns, names_of(RepairStatus, state)])


REPAIRS = (
    SqlFunction(
        "svi_least_g",
        declared(*SLICE),
        NUMBER,
        "Least value of Durrleman's g of a raw SVI slice, below zero where it admits butterflies.",
        svi_least_g,
    ),
    SqlFunction(
        "svi_calendar",
        declared(*EARLIER, *SLICE),
        CALENDAR,
        "Least total variance of a raw SVI slice over that of an earlier one, at any strike, and "
        "the lesser excess of its wing slopes: one below zero is calendar arbitrage.",
        svi_calendar,
    ),
    SqlFunction(
        "surface_repair",
        (
            *declared(*SLICE, "t_years", dtype=NUMBERS),
            *declared("quote_counts", dtype=WHOLES),
            *declared("k", "total_variance", "weight", dtype=NUMBERS),
        ),
        pa.list_(REPAIRED),
        "The slices of a surface fitted again without arbitrage, at their list positions from 1, "
        "with the change of volatility at the quotes. Quotes of all slices stand end to end, "
        "quote_counts of each. Status: clean, refitted, replaced, no_slice.",
        surface_repair,
    ),
)
