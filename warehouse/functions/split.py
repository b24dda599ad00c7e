"""Which split of an order over venues is cheapest, with their fees and in whole lots?

A venue offers one side of a book. Sizes are in US dollars at a reference price that all venues
share: a linear lot is coins times it, an inverse lot its dollars. What a fill costs is what it
would lose if the position were valued at the reference at once, plus the fee: buying linear at p
loses p/m - 1 of its size, buying inverse 1 - m/p; the fee is charged on p/m and m/p of it.

Of all splits in whole lots that fill at least the size, by less than one of the largest lots more,
the one is wanted with the least cost per dollar filled.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.books import one_side
from warehouse.functions.compiled import kernel
from warehouse.functions.splitting import SAME, SLACK, knots, needed, read, search

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Venue:
    """A book, its levels in any order, and the terms of trading on it.

    `lot` is in base coin, of an inverse instrument in US dollars. What the order's value on the
    venue has above each of `fee_from_usd` pays the `fee_bps` of that place, which must fall.
    """

    is_bid: ArrayLike
    price: ArrayLike
    quantity: ArrayLike
    lot: float
    is_inverse: bool = False
    fee_bps: Sequence[float] = (0.0,)
    fee_from_usd: Sequence[float] = (0.0,)


@dataclass(frozen=True, slots=True)
class Splits:
    """Orders on both sides: axes side (0 buys, 1 sells), size and, of `lots`, venue.

    Costs are in bps of `filled_usd`, NaN where the venues cannot fill it. `single` is the venue
    that alone would be cheapest, -1 if none can. No split is cheaper by more than `gap_bps`; it is
    0 where the search was complete.
    """

    lots: Integers
    filled_usd: Floats
    slippage_bps: Floats
    fee_bps: Floats
    cost_bps: Floats
    single: Integers
    single_cost_bps: Floats
    gap_bps: Floats


def splits(venues: Sequence[Venue], notionals: ArrayLike, reference: float) -> Splits:
    """The cheapest split of every order over the venues' books.

    Raises ValueError where a size, a lot or the reference is not positive, or a fee rises.

    >>> near = Venue([False, False], [100.0, 102.0], [1.0, 9.0], lot=1.0, fee_bps=(10.0,))
    >>> far = Venue([False], [101.0], [5.0], lot=1.0)
    >>> found = splits([near, far], [300.0], 100.0)
    >>> found.lots[0, 0].tolist(), found.cost_bps[0, 0].round(6).item(), found.single[0, 0].item()
    ([1, 2], 70.0, 1)
    """
    size = np.asarray(notionals, dtype=np.float64)
    if not ((size > 0.0).all() and 0.0 < reference < math.inf):
        raise ValueError(f"split: {size.tolist()} US dollars at {reference}, must be positive")
    steps = max((len(v.fee_bps) for v in venues), default=1)
    rate, start = np.zeros((len(venues), steps)), np.full((len(venues), steps), np.inf)
    for i, venue in enumerate(venues):
        _check(venue)
        rate[i, : len(venue.fee_bps)] = np.array(venue.fee_bps) / 1e4
        start[i, : len(venue.fee_bps)] = venue.fee_from_usd
    books = [np.asarray(v.price, dtype=np.float64) for v in venues]
    lots, rows = split_both(
        np.concatenate([np.zeros(0, np.bool_), *(np.asarray(v.is_bid, np.bool_) for v in venues)]),
        np.concatenate([np.zeros(0), *books]),
        np.concatenate([np.zeros(0), *(np.asarray(v.quantity, np.float64) for v in venues)]),
        np.cumsum([0, *(b.size for b in books)]).astype(np.int64),
        np.array([v.lot for v in venues], dtype=np.float64),
        np.array([v.is_inverse for v in venues], dtype=np.bool_),
        rate, start, size, float(reference),
    )  # fmt: skip
    cost, fee, filled, single, single_cost, gap = np.moveaxis(rows, -1, 0)
    return Splits(
        lots, filled, cost - fee, fee, cost, single.astype(np.int64), single_cost, gap
    )  # fmt: skip


def _check(venue: Venue) -> None:
    fees = f"split: fees {tuple(venue.fee_bps)} from {tuple(venue.fee_from_usd)}"
    if not 0.0 < venue.lot < math.inf:
        raise ValueError(f"split: a lot of {venue.lot}")
    if len(venue.fee_bps) != len(venue.fee_from_usd) or venue.fee_from_usd[0] != 0.0:
        raise ValueError(f"{fees}, must begin at 0 and be as many")
    if (np.diff(venue.fee_bps) > 0.0).any() or (np.diff(venue.fee_from_usd) <= 0.0).any():
        raise ValueError(f"{fees}, must fall while sizes rise")


@kernel
def split_both(
    is_bid: Flags, price: Floats, quantity: Floats, ends: Integers, lot: Floats,
    is_inverse: Flags, rate: Floats, start: Floats, sizes: Floats, reference: float,
) -> tuple[Integers, Floats]:  # fmt: skip
    """Lots per side, size and venue; and cost and fee in bps, what was filled, the cheapest single
    venue and its cost, and the gap.

    `rate` and `start` are venues by steps of the fee; a step that is none starts at infinity.
    """
    venues = lot.size
    lots = np.zeros((2, sizes.size, venues), dtype=np.int64)
    rows = np.full((2, sizes.size, 6), np.nan)
    unit = np.where(is_inverse, lot, lot * reference)
    p, q = np.empty(price.size), np.empty(price.size)
    usd = np.zeros(price.size + venues)
    loss, value = usd.copy(), usd.copy()
    starts = np.zeros(venues + 1, dtype=np.int64)
    room = np.zeros(venues, dtype=np.int64)
    for s in range(2):
        for v in range(venues):
            a, b, k = ends[v], ends[v + 1], starts[v]
            n = one_side(is_bid[a:b], price[a:b], quantity[a:b], s == 1, p, q)[0]
            knots(
                p[:n], q[:n], is_inverse[v], reference, s == 0,
                usd[k : k + n + 1], loss[k : k + n + 1], value[k : k + n + 1],
            )  # fmt: skip
            starts[v + 1] = k + n + 1
            room[v] = math.floor(usd[k + n] / unit[v] + SLACK)
        for i in range(sizes.size):
            split_one(
                usd, loss, value, starts, unit, room, rate, start, sizes[i],
                lots[s, i], rows[s, i],
            )  # fmt: skip
    return lots, rows


@kernel
def split_one(
    usd: Floats, loss: Floats, value: Floats, starts: Integers, lot: Floats, room: Integers,
    rate: Floats, start: Floats, size: float, found: Integers, row: Floats,
) -> None:  # fmt: skip
    """One order: every combination of the venues' fee steps is a split with fees in proportion."""
    best, low, proven = np.inf, np.inf, True
    row[3] = -1.0
    if lot.size == 0:
        return
    step = np.zeros(lot.size, dtype=np.int64)
    slope = np.empty(lot.size)
    while step[-1] >= 0:
        fixed = 0.0
        for v in range(lot.size):
            slope[v] = rate[v, step[v]]
            for k in range(step[v]):
                fixed += (rate[v, k] - rate[v, k + 1]) * start[v, k + 1]
        best, bound, is_done = search(
            usd, loss, value, starts, lot, room, slope, fixed, size, best, found
        )
        low, proven = min(low, bound), proven and is_done
        next_step(step, start)
    single, alone = cheapest_alone(usd, loss, value, starts, lot, room, rate, start, size)
    row[3] = single
    if alone < best:
        if alone < best - SAME:
            proven = False
            found[:] = 0
            found[single] = needed(size, lot[single])
        best = alone
    if best == np.inf:
        return
    filled, paid = 0.0, 0.0
    for v in range(lot.size):
        a, b = starts[v], starts[v + 1]
        filled += found[v] * lot[v]
        paid += fee_of(read(usd[a:b], value[a:b], found[v] * lot[v]), rate[v], start[v])
    row[0], row[1], row[2] = 1e4 * best, 1e4 * paid / filled, filled
    row[4] = 1e4 * alone if single >= 0 else np.nan
    row[5] = 0.0 if proven else 1e4 * max(best - low, 0.0)


@kernel
def next_step(step: Integers, start: Floats) -> None:
    """The next combination of steps, counting up; -1 in the last place after the last of them."""
    for v in range(step.size):
        step[v] += 1
        if step[v] < start.shape[1] and start[v, step[v]] < np.inf:
            return
        step[v] = 0
    step[-1] = -1


@kernel
def fee_of(value: float, rate: Floats, start: Floats) -> float:
    """The fee on a value, each part of it at the rate of its step."""
    paid = 0.0
    for k in range(rate.size):
        if value > start[k]:
            end = start[k + 1] if k + 1 < rate.size else np.inf
            paid += rate[k] * (min(value, end) - start[k])
    return paid


@kernel
def cheapest_alone(
    usd: Floats, loss: Floats, value: Floats, starts: Integers, lot: Floats, room: Integers,
    rate: Floats, start: Floats, size: float,
) -> tuple[int, float]:  # fmt: skip
    """The venue that alone fills the size at the least cost per dollar, and that; -1 if none."""
    single, best = -1, np.inf
    for v in range(lot.size):
        lots = needed(size, lot[v])
        if lots > room[v]:
            continue
        a, b = starts[v], starts[v + 1]
        filled = lots * lot[v]
        paid = fee_of(read(usd[a:b], value[a:b], filled), rate[v], start[v])
        cost = (read(usd[a:b], loss[a:b], filled) + paid) / filled
        if cost < best:
            single, best = v, cost
    return single, best
