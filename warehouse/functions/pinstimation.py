"""What would the R package PINstimation call the VPIN of these trades?

Its terms, for comparison alone: sizes and the deviation rest on the whole sample, which nobody knew
while it traded. Ghachem & Ersan (2023), "PINstimation: An R Package for Estimating Probability of
Informed Trading Models", The R Journal 15(2), function `vpin`; the flow marts use the past alone.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from warehouse.functions.bulk import bought_shares
from warehouse.functions.windows import Floats, Integers

DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Vpin:
    """One per bucket, and one per day on which one starts.

    `start_s` runs on the clock of trading days joined end to end, seconds since 1970 from the
    first bar on; `vpin` is NaN before a whole window.
    """

    bucket_volume: float
    buy_volume: Floats
    sell_volume: Floats
    imbalance: Floats
    start_s: Floats
    duration_s: Floats
    vpin: Floats
    day: Integers
    day_vpin: Floats
    day_weighted_vpin: Floats


def vpin(
    at_s: ArrayLike,
    price: ArrayLike,
    volume: ArrayLike,
    bar_s: int = 60,
    buckets_a_day: int = 50,
    window: int = 50,
) -> Vpin:
    """Bulk-classified buckets and their VPIN, from trades in time order.

    `at_s` in seconds since 1970; bars of `bar_s` seconds divide each day with trades. A bar's
    price change is from its first to its last trade, and its volume is spread evenly over it.
    ValueError unless columns agree, times ascend, volumes are not negative and some are positive,
    and there are `window` buckets.
    """
    at, p, v = (np.array(c, dtype=np.float64) for c in (at_s, price, volume))
    _check(at, p, v, bar_s)
    bar, first = np.unique(np.floor(at / bar_s).astype(np.int64), return_index=True)
    last = np.append(first[1:], at.size) - 1
    grid = _grid(bar, bar_s)
    place = np.searchsorted(grid, bar)
    change, traded = np.zeros(grid.size), np.zeros(grid.size)
    change[place] = p[last] - p[first]
    traded[place] = np.add.reduceat(v, first)
    days = np.unique(grid * bar_s // DAY_S).size
    size = float(traded.sum() / days / buckets_a_day)
    count = round(days * buckets_a_day)
    if not 1 <= window <= count:
        raise ValueError(f"pinstimation: window of {window}, there are {count} buckets")
    share = bought_shares(change, change.std(ddof=1))
    so_far = np.append(0.0, np.cumsum(traded))
    edges = np.minimum(np.arange(count + 1) * size, so_far[-1])
    bought = np.diff(np.interp(edges, so_far, np.append(0.0, np.cumsum(traded * share))))
    clock = np.interp(edges, so_far, np.arange(grid.size + 1) * float(bar_s))
    clock[-1] = grid.size * bar_s
    sold = size - bought
    imbalance = np.abs(bought - sold)
    sums = np.append(0.0, np.cumsum(imbalance))
    value = np.full(count, np.nan)
    value[window - 1 :] = (sums[window:] - sums[:-window]) / (window * size)
    start, duration = float(grid[0] * bar_s) + clock[:-1], np.diff(clock)
    return Vpin(
        size, bought, sold, imbalance, start, duration, value, *_daily(start, duration, value)
    )


def _check(at: Floats, price: Floats, volume: Floats, bar_s: int) -> None:
    if not at.shape == price.shape == volume.shape or at.ndim != 1:
        raise ValueError(
            f"pinstimation: times of shape {at.shape}, prices of {price.shape}, "
            f"volumes of {volume.shape}"
        )
    if bar_s < 1 or DAY_S % bar_s:
        raise ValueError(f"pinstimation: bars of {bar_s} s do not divide a day")
    if not (np.diff(at) >= 0.0).all():
        raise ValueError("pinstimation: times must ascend")
    if not (np.isfinite(price).all() and (volume >= 0.0).all() and volume.sum() > 0.0):
        raise ValueError("pinstimation: prices must be finite, volumes not negative, some positive")


def _grid(bar: Integers, bar_s: int) -> Integers:
    """Every bar of the days with trades, from the first trade's to the last's."""
    a_day = DAY_S // bar_s
    days = np.unique(bar // a_day)
    every: Integers = (days[:, None] * a_day + np.arange(a_day)).ravel()
    first, last = np.searchsorted(every, (bar[0], bar[-1]))
    return every[first : last + 1]


def _daily(start: Floats, duration: Floats, value: Floats) -> tuple[Integers, Floats, Floats]:
    """Means per day on which buckets start; by duration, NaN rows weigh but add nothing."""
    day, owner = np.unique((start // DAY_S).astype(np.int64), return_inverse=True)
    known = ~np.isnan(value)
    filled = np.where(known, value, 0.0)
    with np.errstate(invalid="ignore"):
        plain = np.bincount(owner, filled) / np.bincount(owner, known)
        weighted = np.bincount(owner, filled * duration) / np.bincount(owner, duration)
    return day, plain, weighted
