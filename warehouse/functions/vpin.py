"""Which prints fill which volume bucket, in whole lots and split exactly?

Easley, López de Prado & O'Hara (2012), "Flow Toxicity and Liquidity in a High-frequency World",
Review of Financial Studies 25(5). A bucket is a fixed number of lots; a print larger than what is
left of the open bucket fills it and goes on into the next ones. Lots are integers, so results do
not depend on the order of summation. Prints between two edges may be given as one item, and with
the plan of sizing.py `fragments` cuts every day by itself.

A market without information does not have a VPIN of zero: sides cluster. `null_imbalance` says what
to compare with, had each minute's net flow been as likely to be the opposite.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.normal import density, distribution

Integers = NDArray[np.int64]
Booleans = NDArray[np.bool_]
Floats = NDArray[np.float64]


class Buckets(NamedTuple):
    """One row per full bucket; indices are of its first and last print in the arrays given.

    `open_lots`, of which `open_buy_lots` were bought, is what the bucket left open holds.
    """

    start_index: Integers
    end_index: Integers
    buy_lots: Integers
    sell_lots: Integers
    open_lots: int
    open_buy_lots: int


class Fragments(NamedTuple):
    """One row per bucket touched: `bucket_offset` 0 is the bucket that was open on entry.

    `net_square` is the sum of squares of each minute's net flow into the bucket, `net_largest` the
    largest of them, both in units of the bucket's size.
    """

    bucket_offset: Integers
    start_index: Integers
    end_index: Integers
    buy_lots: Integers
    sell_lots: Integers
    buy_base: Floats
    sell_base: Floats
    net_square: Floats
    net_largest: Floats
    is_full: Booleans


class Items(NamedTuple):
    """What fills buckets, in order: a print, or all prints of a minute that no edge divides.

    `bought_lots` of `lots` were bought, `buy_base` and `sell_base` base coins went either way.
    """

    lots: Integers
    bought_lots: Integers
    minute: Integers
    buy_base: Floats
    sell_base: Floats

    def part(self, first: int, end: int) -> "Items":
        """Items from `first` to before `end`."""
        here = slice(first, end)
        return Items(
            self.lots[here],
            self.bought_lots[here],
            self.minute[here],
            self.buy_base[here],
            self.sell_base[here],
        )


def buckets(
    lots: ArrayLike,
    is_buy: ArrayLike,
    bucket_lots: int,
    open_lots: int = 0,
    open_buy_lots: int = 0,
    open_bucket_lots: int | None = None,
) -> Buckets:
    """Full buckets of a series of prints, and what is left to go on with.

    `bucket_lots` is the size of buckets opened from now on. On entry a bucket of `open_bucket_lots`
    (by default `bucket_lots`) holds `open_lots`, of which `open_buy_lots` are buys; its start index
    is its first print here. ValueError if a size is below one lot, a print is negative, or the open
    bucket is already full.

    >>> buckets([3, 5, 4], [True, False, True], 4)[:3]
    (array([0, 1, 2]), array([1, 1, 2]), array([3, 0, 4]))
    """
    size = np.asarray(lots, dtype=np.int64)
    buy = np.asarray(is_buy, dtype=np.bool_)
    if size.shape != buy.shape or size.ndim != 1:
        raise ValueError(f"vpin: lots of shape {size.shape}, is_buy of shape {buy.shape}")
    first = _checked(size, bucket_lots, open_lots, open_bucket_lots)
    count = _count(size, bucket_lots, open_lots, first)
    rows, full, held, bought = _fill(size, buy, bucket_lots, open_lots, open_buy_lots, first, count)
    start, end, buys, sells = rows[:, :full]
    return Buckets(start, end, buys, sells, held, bought)


def fragments(
    items: Items, bucket_lots: int, open_lots: int = 0, open_bucket_lots: int | None = None
) -> Fragments:
    """What these items put into each bucket they touch, the last and still open one included.

    Sums of one bucket's fragments over consecutive pieces of a series are the bucket. An item that
    an edge divides is bought in the same share on both sides of it, to a lot.

    >>> zero = np.zeros(2)
    >>> fragments(Items([3, 5], [3, 0], [0, 1], zero, zero), 4).sell_lots
    array([1, 4])
    """
    size, bought, minute = (np.asarray(c, dtype=np.int64) for c in items[:3])
    base = [np.asarray(c, dtype=np.float64) for c in items[3:]]
    shapes = {c.shape for c in (size, bought, minute, *base)}
    if len(shapes) != 1 or size.ndim != 1:
        raise ValueError(f"vpin: items of shapes {sorted(shapes)}")
    first = _checked(size, bucket_lots, open_lots, open_bucket_lots)
    if size.size and not ((bought >= 0) & (bought <= size)).all():
        raise ValueError("vpin: more bought than traded, or less than nothing")
    count = _count(size, bucket_lots, open_lots, first)
    whole, parts, used = _cut(
        size, bought, minute, base[0], base[1], bucket_lots, open_lots, first, count
    )
    filled = np.full(used, bucket_lots, np.int64)
    filled[:1] = first - open_lots
    is_full = whole[2, :used] + whole[3, :used] == filled
    offset = np.arange(used, dtype=np.int64)
    start, end, buy, sell = whole[:, :used]
    buy_base, sell_base, square, largest = parts[:, :used]
    return Fragments(offset, start, end, buy, sell, buy_base, sell_base, square, largest, is_full)


def null_imbalance(net_square: ArrayLike, net_largest: ArrayLike) -> Floats:
    """Expected absolute imbalance of a bucket, had each minute's net flow a side drawn anew.

    Folded normal: the largest minute is kept as it is, the others are normal with their variance.
    Exact for one minute. In units of the bucket's size, as the arguments, which broadcast.

    >>> null_imbalance([1.0, 0.5, 0.02], [1.0, 0.5, 0.02]).round(4)
    array([1.    , 0.5833, 0.1128])
    """
    both = np.broadcast_arrays(
        np.asarray(net_square, dtype=np.float64), np.asarray(net_largest, dtype=np.float64)
    )
    return _null(*(np.ascontiguousarray(c).ravel() for c in both)).reshape(both[0].shape)


def _checked(size: Integers, bucket_lots: int, open_lots: int, open_bucket_lots: int | None) -> int:
    """Size of the bucket open on entry; ValueError where that cannot be."""
    first = bucket_lots if open_bucket_lots is None else open_bucket_lots
    if bucket_lots < 1 or first < 1:
        raise ValueError(f"vpin: bucket of {min(bucket_lots, first)} lots, needs at least 1")
    if not 0 <= open_lots < first:
        raise ValueError(f"vpin: open bucket holds {open_lots} of {first} lots")
    if size.size and size.min() < 0:
        raise ValueError(f"vpin: print of {size.min()} lots")
    return first


def _count(size: Integers, bucket_lots: int, open_lots: int, first: int) -> int:
    """How many buckets are touched at most."""
    total = int(size.sum()) + open_lots
    return 1 if total <= first else 1 - (first - total) // bucket_lots


@kernel
def _fill(
    lots: Integers,
    is_buy: Booleans,
    bucket_lots: int,
    open_lots: int,
    open_buy_lots: int,
    first: int,
    count: int,
) -> tuple[Integers, int, int, int]:
    rows = np.zeros((4, count), np.int64)
    bucket, room, bought, size = 0, first - open_lots, open_buy_lots, first
    is_touched = False
    for i in range(lots.size):
        left = lots[i]
        if left == 0:
            continue
        if not is_touched:
            rows[0, bucket] = i
            is_touched = True
        while left >= room:
            if is_buy[i]:
                bought += room
            rows[1, bucket], rows[2, bucket], rows[3, bucket] = i, bought, size - bought
            left -= room
            bucket += 1
            room, size, bought = bucket_lots, bucket_lots, 0
            is_touched = left > 0
            if is_touched:
                rows[0, bucket] = i
            else:
                break
        if left > 0:
            room -= left
            if is_buy[i]:
                bought += left
    return rows, bucket, size - room, bought


@kernel
def _cut(
    lots: Integers,
    bought: Integers,
    minute: Integers,
    buy_base: Floats,
    sell_base: Floats,
    bucket_lots: int,
    open_lots: int,
    first: int,
    count: int,
) -> tuple[Integers, Floats, int]:
    whole, parts = np.zeros((4, count), np.int64), np.zeros((4, count))
    bucket, room, size, net = 0, first - open_lots, first, 0
    is_touched = False
    for i in range(lots.size):
        done, done_buys = 0, 0
        if is_touched and minute[i] != minute[whole[1, bucket]]:
            _note(parts, bucket, net / size)
            net = 0
        while done < lots[i]:
            if room == 0:
                _note(parts, bucket, net / size)
                bucket += 1
                room, size, net = bucket_lots, bucket_lots, 0
                is_touched = False
            part = min(lots[i] - done, room)
            done += part
            buys = _share(bought[i], lots[i], done) - done_buys
            done_buys += buys
            if not is_touched:
                whole[0, bucket] = i
                is_touched = True
            whole[1, bucket] = i
            whole[2, bucket] += buys
            whole[3, bucket] += part - buys
            parts[0, bucket] += buy_base[i] * (part / lots[i])
            parts[1, bucket] += sell_base[i] * (part / lots[i])
            net += 2 * buys - part
            room -= part
    if is_touched:
        _note(parts, bucket, net / size)
    return whole, parts, bucket + 1 if is_touched else 0


@kernel
def _share(bought: int, lots: int, done: int) -> int:
    """Bought lots among the first `done` of an item: never falls, and whole items are exact."""
    if bought == 0 or bought == lots:
        return done if bought else 0
    return bought if done == lots else math.floor(bought * (done / lots) + 0.5)


@kernel
def _note(parts: Floats, bucket: int, net: float) -> None:
    """Add a minute's net flow to its bucket's."""
    parts[2, bucket] += net * net
    parts[3, bucket] = max(parts[3, bucket], abs(net))


@kernel
def _null(square: Floats, largest: Floats) -> Floats:
    out = np.empty(square.size)
    for i in range(square.size):
        n = largest[i]
        spread = math.sqrt(max(square[i] - n * n, 0.0))
        out[i] = n
        if spread > 1e-12:
            z = n / spread
            out[i] = 2.0 * spread * density(z) + n * (1.0 - 2.0 * distribution(-z))
        elif math.isnan(square[i]):
            out[i] = math.nan
    return out
