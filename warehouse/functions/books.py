"""How deep is a recorded book, and what would an order that walks it pay?

A book is its levels in any order: which side, price and size in base coin. Books are given end to
end with the offsets between them, as Arrow keeps lists. A level without a positive finite price and
size does not count; a price that stands twice on a side counts once, with the smaller of its sizes,
since the larger may be the same orders told again.
"""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

WIDTHS_BPS = (5.0, 10.0, 25.0, 50.0, 100.0)
NOTIONALS = (1e4, 5e4, 1e5, 2.5e5, 1e6, 2.5e6, 5e6)
ROUNDING = 1e-12  # of a price: a level at the very edge of a band belongs to it


class BookStatus(IntEnum):
    """Whether a book has a middle: only an `OK` one has."""

    OK = 0
    EMPTY = 1
    ONE_SIDED = 2
    CROSSED = 3  # best bid at or above best ask: a venue would have matched them


@dataclass(frozen=True, slots=True)
class Depths:
    """One entry per book; second axis bid and ask, third of `depth` the widths. NaN is undefined.

    `depth` and `recorded` are in quote currency, `quantity` in base, `reach` in bps of the middle.
    """

    status: NDArray[np.int8]
    mid: Floats
    price: Floats
    quantity: Floats
    depth: Floats
    reach: Floats
    recorded: Floats
    levels: Integers
    unusable: Integers
    doubled: Integers


@dataclass(frozen=True, slots=True)
class Ladders:
    """What orders pay: axes book, side (0 buys, 1 sells) and size. NaN is undefined.

    `slippage_bps` is positive where the order pays more, or gets less, than the middle.
    """

    status: NDArray[np.int8]
    vwap: Floats
    slippage_bps: Floats
    levels_used: Integers
    is_fillable: Flags


def depths(
    is_bid: ArrayLike,
    price: ArrayLike,
    quantity: ArrayLike,
    offsets: ArrayLike,
    widths_bps: ArrayLike = WIDTHS_BPS,
) -> Depths:
    """Best quotes, and the value resting within each width of the middle, per side.

    Depth is NaN where the levels recorded of that side end before the width does, so that what was
    cut off is not taken for an empty book. Raises ValueError where shapes disagree.

    >>> found = depths([True, True, False], [99, 98, 101], [1, 2, 3], [0, 3], [100, 200])
    >>> float(found.mid[0]), found.depth[0].tolist()
    (100.0, [[99.0, 295.0], [303.0, nan]])
    """
    bid, p, q, ends = _books(is_bid, price, quantity, offsets)
    width = np.asarray(widths_bps, dtype=np.float64)
    n = ends.size - 1
    out = Depths(
        np.zeros(n, dtype=np.int8),
        np.full(n, np.nan),
        np.full((n, 2), np.nan),
        np.full((n, 2), np.nan),
        np.full((n, 2, width.size), np.nan),
        np.full((n, 2), np.nan),
        np.zeros((n, 2)),
        np.zeros((n, 2), dtype=np.int64),
        np.zeros(n, dtype=np.int64),
        np.zeros(n, dtype=np.int64),
    )
    _depths(
        bid, p, q, ends, width,
        out.status, out.mid, out.price, out.quantity, out.depth,
        out.reach, out.recorded, out.levels, out.unusable, out.doubled,
    )  # fmt: skip
    return out


def ladders(
    is_bid: ArrayLike,
    price: ArrayLike,
    quantity: ArrayLike,
    offsets: ArrayLike,
    notionals: ArrayLike = NOTIONALS,
) -> Ladders:
    """Mean price of orders that spend, or bring in, `notionals` of quote currency.

    An order takes the best price first and of the last level only what it needs, so the mean price
    gets no better with size. Without a middle, or where the levels end first, it is NaN. Raises
    ValueError where shapes disagree or a notional is not positive.

    >>> found = ladders([True, False, False], [99, 101, 102], [1, 1, 1], [0, 3], [101, 152, 999])
    >>> found.vwap[0, 0].round(4).tolist(), found.levels_used[0, 0].tolist()
    ([101.0, 101.3333, nan], [1, 2, 2])
    """
    bid, p, q, ends = _books(is_bid, price, quantity, offsets)
    size = np.asarray(notionals, dtype=np.float64)
    if not (size > 0.0).all():
        raise ValueError(f"ladder: notionals {size.tolist()}, must be positive")
    n = ends.size - 1
    shape = (n, 2, size.size)
    out = Ladders(
        np.zeros(n, dtype=np.int8),
        np.full(shape, np.nan),
        np.full(shape, np.nan),
        np.zeros(shape, dtype=np.int64),
        np.zeros(shape, dtype=np.bool_),
    )
    _ladders(
        bid, p, q, ends, size,
        out.status, out.vwap, out.slippage_bps, out.levels_used, out.is_fillable,
    )  # fmt: skip
    return out


def _books(
    is_bid: ArrayLike, price: ArrayLike, quantity: ArrayLike, offsets: ArrayLike
) -> tuple[Flags, Floats, Floats, Integers]:
    bid = np.asarray(is_bid, dtype=np.bool_)
    p, q = (np.asarray(v, dtype=np.float64) for v in (price, quantity))
    ends = np.asarray(offsets, dtype=np.int64)
    if not bid.shape == p.shape == q.shape or p.ndim != 1:
        raise ValueError(f"books: shapes {bid.shape}, {p.shape}, {q.shape}, must be one and flat")
    if ends.size == 0 or ends[0] != 0 or ends[-1] != p.size or (np.diff(ends) < 0).any():
        raise ValueError(f"books: offsets must ascend from 0 to {p.size}")
    return bid, p, q, ends


@kernel
def one_side(
    is_bid: Flags, price: Floats, quantity: Floats, want_bid: bool, p: Floats, q: Floats
) -> tuple[int, int, int]:
    """Write the usable levels of a side best first; how many, how many unusable, how many doubled.

    The unusable of both sides are counted with the bids.
    """
    count = unusable = doubled = 0
    is_sorted = True
    for i in range(price.size):
        ok = price[i] > 0.0 and quantity[i] > 0.0 and price[i] < np.inf and quantity[i] < np.inf
        if not ok:
            unusable += want_bid
            continue
        if is_bid[i] != want_bid:
            continue
        if count and (price[i] >= p[count - 1] if want_bid else price[i] <= p[count - 1]):
            is_sorted = False
        p[count] = price[i]
        q[count] = quantity[i]
        count += 1
    if is_sorted:
        return count, unusable, doubled
    order = np.argsort(-p[:count] if want_bid else p[:count], kind="mergesort")
    prices, sizes = p[:count][order], q[:count][order]
    kept = 0
    for i in range(count):
        if kept and prices[i] == p[kept - 1]:
            q[kept - 1] = min(q[kept - 1], sizes[i])
            doubled += 1
            continue
        p[kept] = prices[i]
        q[kept] = sizes[i]
        kept += 1
    return kept, unusable, doubled


@kernel
def status_of(bids: int, asks: int, bid: float, ask: float) -> int:
    """`BookStatus` of a book with so many usable levels and these best prices."""
    if bids == 0 and asks == 0:
        return 1
    if bids == 0 or asks == 0:
        return 2
    return 3 if bid >= ask else 0


@kernel
def longest(ends: Integers) -> int:
    """Levels of the longest book."""
    found = 0
    for i in range(ends.size - 1):
        found = max(found, ends[i + 1] - ends[i])
    return found


@kernel
def _depths(
    is_bid: Flags, price: Floats, quantity: Floats, ends: Integers, widths: Floats,
    status: NDArray[np.int8], mid: Floats, best: Floats, size: Floats, depth: Floats,
    reach: Floats, recorded: Floats, levels: Integers, unusable: Integers, doubled: Integers,
) -> None:  # fmt: skip
    room = longest(ends)
    p, q = np.empty((2, room)), np.empty((2, room))
    for i in range(ends.size - 1):
        a, b = ends[i], ends[i + 1]
        for s in range(2):
            found = one_side(is_bid[a:b], price[a:b], quantity[a:b], s == 0, p[s], q[s])
            levels[i, s] = found[0]
            unusable[i] += found[1]
            doubled[i] += found[2]
            if found[0]:
                best[i, s], size[i, s] = p[s, 0], q[s, 0]
            for j in range(found[0]):
                recorded[i, s] += p[s, j] * q[s, j]
        status[i] = status_of(levels[i, 0], levels[i, 1], best[i, 0], best[i, 1])
        if status[i] != 0:
            continue
        mid[i] = 0.5 * (best[i, 0] + best[i, 1])
        for s in range(2):
            _within(mid[i], p[s, : levels[i, s]], q[s], 2 * s - 1, widths, depth[i, s])
            reach[i, s] = 1e4 * (2 * s - 1) * (p[s, levels[i, s] - 1] / mid[i] - 1.0)


@kernel
def _within(mid: float, p: Floats, q: Floats, sign: int, widths: Floats, depth: Floats) -> None:
    """Value of the levels within each width; nothing is written where the levels end before it."""
    for w in range(widths.size):
        edge = mid * (1.0 + sign * 1e-4 * widths[w])
        slack = ROUNDING * mid
        if sign * (p[-1] - edge) < -slack:
            continue
        total = 0.0
        for j in range(p.size):
            if sign * (p[j] - edge) > slack:
                break
            total += p[j] * q[j]
        depth[w] = total


@kernel
def _ladders(
    is_bid: Flags, price: Floats, quantity: Floats, ends: Integers, sizes: Floats,
    status: NDArray[np.int8], vwap: Floats, slippage: Floats, used: Integers, fillable: Flags,
) -> None:  # fmt: skip
    room = longest(ends)
    p, q = np.empty((2, room)), np.empty((2, room))
    count = np.zeros(2, dtype=np.int64)
    for i in range(ends.size - 1):
        a, b = ends[i], ends[i + 1]
        for s in range(2):
            count[s] = one_side(is_bid[a:b], price[a:b], quantity[a:b], s == 0, p[s], q[s])[0]
        status[i] = status_of(count[0], count[1], p[0, 0], p[1, 0]) if room else 1
        for s in range(2):
            k = 1 - s  # who buys takes asks
            _walk(p[k, : count[k]], q[k], sizes, vwap[i, s], used[i, s], fillable[i, s])
            if status[i] != 0:
                vwap[i, s, :] = np.nan
                continue
            mid = 0.5 * (p[0, 0] + p[1, 0])
            for n in range(sizes.size):
                slippage[i, s, n] = 1e4 * (1 - 2 * s) * (vwap[i, s, n] / mid - 1.0)


@kernel
def _walk(
    p: Floats, q: Floats, sizes: Floats, vwap: Floats, used: Integers, fillable: Flags
) -> None:
    """Take the levels in turn until each size is spent; what it used even where it was not."""
    for n in range(sizes.size):
        left = sizes[n]
        base = 0.0
        for j in range(p.size):
            value = p[j] * q[j]
            used[n] = j + 1
            if value >= left:
                base += left / p[j]
                left = 0.0
                break
            base += q[j]
            left -= value
        fillable[n] = left == 0.0
        if fillable[n]:
            vwap[n] = sizes[n] / base
