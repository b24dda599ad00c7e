"""Which functions of a whole surface, or of many expiries, can SQL call?

They take one surface per row, its slices as lists of equal length in the order of their expiries,
and give a list of rows. What registry.py says of missing values holds here.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from warehouse.arrow import (
    FLAG,
    NUMBER,
    NUMBERS,
    Array,
    Integers,
    Lists,
    SqlFunction,
    declared,
    list_of,
    nullable,
    numbers,
    ragged,
)
from warehouse.functions.grid import CALL_DELTAS, TENOR_DAYS, Grid, grid
from warehouse.functions.leave_out import left_out

SLICES = ("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma")
SURFACE = ("t_years", "forward", *SLICES, "k_low", "k_high")
PLACES = (("before_place", pa.int32()), ("after_place", pa.int32()))
WINGS = (0.10, 0.25, 0.75, 0.90)  # deltas of the 10 and 25 delta call, and of the 25 and 10 put

GRID = pa.struct(
    [
        *((name, NUMBER) for name in ("tenor_days", "delta_bucket", "log_moneyness", "iv")),
        *((name, NUMBER) for name in ("total_variance", "strike")),
        ("is_extrapolated_strike", FLAG),
        *PLACES,
    ]
)
TENOR = pa.struct(
    [
        *((name, NUMBER) for name in ("tenor_days", "forward", "atm_iv", "call10_iv", "call25_iv")),
        *((name, NUMBER) for name in ("put25_iv", "put10_iv", "skew_slope", "curvature")),
        ("is_extrapolated_strike", FLAG),
        *PLACES,
    ]
)

LEFT_OUT = pa.struct(
    [
        ("place", pa.int32()),
        ("iv", NUMBER),
        ("error_iv", NUMBER),
        ("quotes_left", pa.int32()),
        ("is_inside", FLAG),
        ("is_outlier", FLAG),
    ]
)


def surface_grid(*surface: Lists) -> Array:
    found, ends = read(surface, CALL_DELTAS)
    tenors, deltas = (np.array(v) for v in (TENOR_DAYS, CALL_DELTAS))
    each = len(tenors) * len(deltas)
    columns = [
        np.broadcast_to(tenors[:, None], found.iv.shape),
        np.broadcast_to(deltas, found.iv.shape),
        found.k,
        found.iv,
        found.total_variance,
        found.strike,
    ]
    known = ~np.isnan(found.iv.ravel())
    beyond = pa.array(found.is_beyond_quotes.ravel(), mask=~known)
    places = [np.repeat(p.ravel(), len(deltas)) for p in (found.before, found.after)]
    rows = [*(nullable(c.ravel()) for c in columns), beyond, *map(place, places)]
    return list_of(GRID, ends * each, [kept(c, ends, each) for c in rows])


def surface_tenors(*surface: Lists) -> Array:
    found, ends = read(surface, WINGS)
    each = len(TENOR_DAYS)
    wings = np.moveaxis(found.iv, -1, 0)
    columns = [np.broadcast_to(np.array(TENOR_DAYS), found.atm_iv.shape), found.forward]
    columns += [found.atm_iv, *wings, found.slope, found.curvature]
    known = ~np.isnan(found.atm_iv.ravel())
    beyond = pa.array(found.is_beyond_quotes.any(axis=-1).ravel(), mask=~known)
    places = [place(p.ravel()) for p in (found.before, found.after)]
    rows = [*(nullable(np.ravel(c)) for c in columns), beyond, *places]
    return list_of(TENOR, ends * each, [kept(c, ends, each) for c in rows])


def svi_left_out(*slice_time_quotes: Any) -> Array:
    *params, t_years = map(numbers, slice_time_quotes[:6])
    values, offsets = ragged("svi_left_out", slice_time_quotes[6:])
    k, total_variance, weight = map(numbers, values)
    found = left_out(params, t_years, k, total_variance, weight, offsets)
    places = np.arange(k.size) - np.repeat(offsets[:-1], np.diff(offsets))
    columns = [place(places), nullable(found.iv), nullable(found.error_iv)]
    columns.append(pa.array(found.quotes_left, type=pa.int32()))
    columns += [pa.array(found.is_inside), pa.array(found.is_outlier)]
    return list_of(LEFT_OUT, offsets, columns)


def read(surface: tuple[Lists, ...], call_deltas: tuple[float, ...]) -> tuple[Grid, Integers]:
    """The grid of each surface, and the offsets of the list of those that have a slice at all."""
    values, offsets = ragged("surface", list(surface))
    t_years, forward, *params, k_low, k_high = map(numbers, values)
    found = grid(params, t_years, forward, k_low, k_high, offsets, TENOR_DAYS, call_deltas)
    return found, np.concatenate([[0], np.cumsum(np.diff(offsets) > 0)])


def kept(column: Array, ends: Integers, each: int) -> Array:
    """Without the rows of surfaces that have no slice."""
    return column.filter(pa.array(np.repeat(np.diff(ends) > 0, each)))


def place(places: NDArray[np.int64]) -> Array:
    """Places in a list, from 1; NULL where there is none."""
    return pa.array(places + 1, type=pa.int32(), mask=places < 0)


SURFACES = (
    SqlFunction(
        "surface_grid",
        declared(*SURFACE, dtype=NUMBERS),
        pa.list_(GRID),
        "Every constant tenor and call delta of a surface of raw SVI slices, total variance linear "
        "in time; numbers are NULL beyond the first and last slice. Places are of the slices "
        "before and after, list positions from 1. No list for a surface without slices.",
        surface_grid,
    ),
    SqlFunction(
        "surface_tenors",
        declared(*SURFACE, dtype=NUMBERS),
        pa.list_(TENOR),
        "Volatilities at the forward and at the 10 and 25 deltas, slope and curvature at every "
        "constant tenor of a surface, as surface_grid reads it.",
        surface_tenors,
    ),
    SqlFunction(
        "svi_left_out",
        (*declared(*SLICES, "t_years"), *declared("k", "total_variance", "weight", dtype=NUMBERS)),
        pa.list_(LEFT_OUT),
        "Per quote of a raw SVI slice, at its list position from 1, what the slice says once the "
        "quotes of its strike are left out of the fit, and the standard error of that. is_outlier: "
        "it is so wrong that no fit uses it.",
        svi_left_out,
    ),
)
