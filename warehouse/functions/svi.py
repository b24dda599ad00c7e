"""Which raw SVI slice passes through one expiry's quotes, and is it free of butterfly arbitrage?

Parameters are in the order a, b, rho, m, sigma; how they are found stands in calibration.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions import calibration
from warehouse.functions import repair as repairing
from warehouse.functions.crossings import calendar_slacks
from warehouse.functions.slices import density_sign, log_strikes_of_delta

Floats = NDArray[np.float64]


class SviStatus(IntEnum):
    """What came of one fit; parameters are NaN unless `OK` or `NOT_CONVERGED`."""

    OK = calibration.OK
    TOO_FEW_STRIKES = calibration.TOO_FEW_STRIKES
    NOT_FINITE = calibration.NOT_FINITE
    NOT_POSITIVE = calibration.NOT_POSITIVE
    NO_TIME = calibration.NO_TIME
    NOT_CONVERGED = calibration.NOT_CONVERGED


@dataclass(frozen=True, slots=True)
class SviFit:
    """`params` are a, b, rho, m, sigma; `rmse_iv` is unweighted, over the strikes used.

    `min_g` below zero is butterfly arbitrage; `lee_left` and `lee_right` are the wing slopes
    b (1 - rho) and b (1 + rho); `outliers` counts the quotes that were left out as grossly wrong.
    """

    params: Floats
    rmse_iv: float
    min_g: float
    lee_left: float
    lee_right: float
    outliers: int
    status: SviStatus


class RepairStatus(IntEnum):
    """What was done to a slice; its numbers are NaN where there was none."""

    CLEAN = repairing.CLEAN
    REFITTED = repairing.REFITTED
    REPLACED = repairing.REPLACED
    NO_SLICE = repairing.NO_SLICE


@dataclass(frozen=True, slots=True)
class Repair:
    """One row of `params` per expiry, as given, and by how much its volatilities changed."""

    params: Floats
    max_iv_change: Floats
    rms_iv_change: Floats
    status: tuple[RepairStatus, ...]


@dataclass(frozen=True, slots=True)
class JumpWings:
    """The traders' parameters of a slice (Gatheral & Jacquier 2014), comparable between expiries.

    `atm_variance` is iv^2 at the forward, `atm_skew` d iv/dk there times the root of t, `put_slope`
    and `call_slope` the wing slopes of w over the root of w at the forward, `least_variance` the
    least iv^2 of all strikes. NaN where total variance at the forward or time is not above zero.
    """

    atm_variance: Floats
    atm_skew: Floats
    put_slope: Floats
    call_slope: Floats
    least_variance: Floats


def fit(k: ArrayLike, total_variance: ArrayLike, weight: ArrayLike, t_years: float) -> SviFit:
    """The slice that minimises sum (weight (w(k) - total_variance) / (2 sqrt(total_variance t)))^2.

    `weight` is 1/error of each implied volatility, say 1/half spread; a weight of zero leaves a
    quote out, and so does being grossly wrong: more than 4 errors and 6 standard errors off the
    slice of the others (outliers.py). A common factor changes nothing but that. Needs five distinct
    strikes with a weight; NaN anywhere among them is `NOT_FINITE`, a variance or weight below zero
    `NOT_POSITIVE`.
    """
    x, w, q = (np.array(a, dtype=np.float64).ravel() for a in (k, total_variance, weight))
    if not x.size == w.size == q.size:
        raise ValueError(f"svi: {x.size} k, {w.size} variances, {q.size} weights")
    ends = np.array([0, x.size], dtype=np.int64)
    out, status, wrong = calibration.fit_many(x, w, q, ends, np.array([t_years], float))
    rmse_iv, min_g, left, right = map(float, out[0, 5:])
    outliers, state = int(wrong.sum()), SviStatus(int(status[0]))
    return SviFit(out[0, :5], rmse_iv, min_g, left, right, outliers, state)


def repair(
    params: ArrayLike,
    t_years: ArrayLike,
    k: Sequence[ArrayLike],
    total_variance: Sequence[ArrayLike],
    weight: Sequence[ArrayLike],
) -> Repair:
    """The slices of one snapshot, one row and one list of quotes per expiry, without arbitrage.

    `CLEAN`: there was none in any of them, and none changes. `REFITTED`: all were fitted again, to
    the same quotes with the same weights, as raw SVI without arbitrage. `REPLACED`: that search
    failed, and they are extended SSVI. Changes are over the strikes with a weight. A slice with a
    NaN or without quotes is passed over as `NO_SLICE`.
    """
    raw = np.array(params, dtype=np.float64).reshape(-1, 5)
    lists = [
        [np.array(a, dtype=np.float64).ravel() for a in of] for of in (k, total_variance, weight)
    ]
    sizes = [[a.size for a in of] for of in lists]
    t = np.array(t_years, dtype=np.float64).ravel()
    if not sizes[0] == sizes[1] == sizes[2] or not raw.shape[0] == t.size == len(lists[0]):
        raise ValueError(f"svi: {raw.shape[0]} slices, {t.size} times, quotes {sizes}")
    x, w, q = (np.concatenate([np.empty(0), *of]) for of in lists)
    ends = np.cumsum([0, *sizes[0]], dtype=np.int64)
    whole = np.array([0, t.size], dtype=np.int64)
    out, state = repairing.repair_many(raw, t, whole, x, w, q, ends)
    status = tuple(RepairStatus(int(s)) for s in state)
    return Repair(out[:, :5], out[:, 5], out[:, 6], status)


def total_variance(params: ArrayLike, k: ArrayLike) -> Floats:
    """w(k) of one slice (a, b, rho, m, sigma)."""
    a, b, rho, m, sigma = np.asarray(params, dtype=np.float64)
    z = np.asarray(k, dtype=np.float64) - m
    return np.asarray(a + b * (rho * z + np.hypot(z, sigma)))


def durrleman(params: ArrayLike, k: ArrayLike) -> Floats:
    """g(k) of one slice: negative where the implied density is; NaN where w is not above zero."""
    p = np.array(params, dtype=np.float64)
    at = np.asarray(k, dtype=np.float64)
    return np.array([density_sign(p, v) for v in at.ravel()]).reshape(at.shape)


def delta_iv(params: ArrayLike, t_years: ArrayLike, call_delta: ArrayLike) -> tuple[Floats, Floats]:
    """(iv, k) where the undiscounted forward call delta N(d1), at the slice's own vol, is as given.

    `params` is one slice or an array of five rows, which broadcasts with the others; NaN, NaN where
    there is no such k.
    """
    a, b, rho, m, sigma = np.asarray(params, dtype=np.float64)
    whole = np.broadcast_arrays(a, b, rho, m, sigma, t_years, call_delta)
    rows = np.array([np.ravel(v) for v in whole], dtype=np.float64)
    k = log_strikes_of_delta(rows[:5].T.copy(), rows[6]).reshape(whole[0].shape)
    with np.errstate(invalid="ignore", divide="ignore"):
        iv = np.sqrt(total_variance(whole[:5], k) / np.where(whole[5] > 0.0, whole[5], np.nan))
    return iv, np.where(np.isnan(iv), np.nan, k)


def slope_and_curvature(params: ArrayLike, t_years: ArrayLike) -> tuple[Floats, Floats]:
    """d iv/dk and d2 iv/dk2 at k = 0; NaN where variance or time is not above zero."""
    a, b, rho, m, sigma = np.asarray(params, dtype=np.float64)
    r = np.hypot(m, sigma)
    with np.errstate(invalid="ignore", divide="ignore"):
        w = a + b * (r - rho * m)
        iv = np.sqrt(np.where(np.greater(t_years, 0.0), w / t_years, np.nan))
        steepness = b * (rho - m / r) / (2.0 * w)
        bend = b * (sigma / r) ** 2 / r / (2.0 * w)
        return np.asarray(iv * steepness), np.asarray(iv * (bend - steepness**2))


def jump_wings(params: ArrayLike, t_years: ArrayLike) -> JumpWings:
    """Of one slice, or of an array of five rows, which broadcasts with `t_years`."""
    a, b, rho, m, sigma = np.asarray(params, dtype=np.float64)
    t = np.asarray(t_years, dtype=np.float64)
    r = np.hypot(m, sigma)
    w = a + b * (r - rho * m)
    with np.errstate(invalid="ignore", divide="ignore"):
        known = np.where((w > 0.0) & (t > 0.0) & np.isfinite(t), 1.0, np.nan)
        root = np.sqrt(w) * known
        return JumpWings(
            w / t * known,
            0.5 * b * (rho - m / r) / root,
            b * (1.0 - rho) / root,
            b * (1.0 + rho) / root,
            (a + b * sigma * np.sqrt(1.0 - rho * rho)) / t * known,
        )


def calendar(earlier: ArrayLike, later: ArrayLike) -> tuple[Floats, Floats, Floats]:
    """(least w2 - w1 over all k, that k, lesser excess of the later wing slopes) of two slices.

    They do not cross if and only if neither slack is below zero. Each is one slice or an array of
    five rows; NaN where a parameter is NaN.
    """
    rows = np.broadcast_arrays(*np.asarray(earlier, float), *np.asarray(later, float))
    flat = np.array([np.ravel(v) for v in rows]).T
    least, place, wing = calendar_slacks(flat[:, :5].copy(), flat[:, 5:].copy())
    shape = rows[0].shape
    return least.reshape(shape), place.reshape(shape), wing.reshape(shape)
