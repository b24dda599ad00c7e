"""What is the least change to the raw SVI slices of one snapshot that leaves no arbitrage?

All expiries are fitted again at once, to the same quotes with the same weights, but for those that
outliers.py finds. The search starts
from a surface that cannot have any, the extended SSVI of essvi.py, and that surface stands where it
ends with some.
"""

import math
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.essvi import surface
from warehouse.functions.outliers import wrong_many
from warehouse.functions.penalties import Quotes
from warehouse.functions.refit import is_clean, refitted
from warehouse.functions.slices import derivatives

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
States = NDArray[np.int8]

CLEAN, REFITTED, REPLACED, NO_SLICE = range(4)


def repair_many(
    raw: Floats,
    t_years: Floats,
    surfaces: Integers,
    k: Floats,
    w: Floats,
    weight: Floats,
    ends: Integers,
) -> tuple[Floats, States]:
    """Rows surfaces[i]:surfaces[i + 1] are one snapshot, quotes ends[j]:ends[j + 1] are of row j.

    Columns are a, b, rho, m, sigma, max and rms change of implied volatility over the strikes with
    a weight; NaN where a slice has no parameters, no time or no quotes.
    """
    raw = np.ascontiguousarray(raw)
    out = np.full((raw.shape[0], 7), np.nan)
    state = np.full(raw.shape[0], NO_SLICE, np.int8)
    known = np.isfinite(raw).all(axis=1) & (raw[:, 4] > 0.0) & (t_years > 0.0)
    known &= np.isfinite(t_years)
    owner = np.repeat(np.arange(raw.shape[0]), np.diff(ends))
    weight = np.where(wrong_many(raw, t_years, k, w, weight, ends), 0.0, weight)
    usable = (weight > 0.0) & (w > 0.0) & known[owner] & np.isfinite(k + w + weight)
    known &= np.bincount(owner[usable], minlength=raw.shape[0]) > 0
    for first, last in pairwise(surfaces):
        held = first + np.flatnonzero(known[first:last])
        held = held[np.argsort(t_years[held], kind="stable")]
        if held.size == 0:
            continue
        lists = [ends[j] + np.flatnonzero(usable[ends[j] : ends[j + 1]]) for j in held]
        at, own = np.concatenate(lists), t_years[np.repeat(held, [j.size for j in lists])]
        scale = weight[at] / (2.0 * np.sqrt(w[at] * own))
        bounds = np.cumsum([0, *(j.size for j in lists)], dtype=np.int64)
        out[held, :5], state[held] = repaired(raw[held], Quotes(k[at], w[at], scale, bounds))
        for j, quoted in zip(held, lists, strict=True):
            out[j, 5:] = change(raw[j], out[j, :5], k[quoted], t_years[j])
    return out, state


def repaired(raw: Floats, quotes: Quotes) -> tuple[Floats, int]:
    """Slices (a, b, rho, m, sigma) of ascending expiries without arbitrage, and what was done."""
    aside = np.empty((raw.shape[0], 2))
    if is_clean(raw, aside[:, 0], aside[:, 1]):
        return raw, CLEAN
    safe = surface(raw, quotes)
    rows, is_done = refitted(safe, quotes)
    return (rows, REFITTED) if is_done else (safe, REPLACED)


@kernel
def change(before: Floats, after: Floats, k: Floats, t_years: float) -> tuple[float, float]:
    """Max and rms change of implied volatility."""
    most = total = 0.0
    for x in k:
        was, now = derivatives(before, x)[0], derivatives(after, x)[0]
        moved = abs(math.sqrt(max(now, 0.0) / t_years) - math.sqrt(max(was, 0.0) / t_years))
        most, total = max(most, moved), total + moved * moved
    return most, math.sqrt(total / k.size)
