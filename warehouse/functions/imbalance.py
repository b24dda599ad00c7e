"""Which way did the best quotes lean: order-flow imbalance from every change of them?

Cont, Kukanov & Stoikov (2014), "The price impact of order book events", Journal of Financial
Econometrics 12: a bid that rises or grows and an ask that rises or shrinks count for the buyers,
each with the size that came or went. A change that was not recorded cannot be counted, so a minute
has an imbalance only where every change of it was.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.spreads import MINUTE_US
from warehouse.functions.tape import Quotes, checked_period

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Sides = tuple[Floats, Floats, Floats, Floats]  # bid, its size, ask, its size

# A live best quote changes many times a minute: a stream that was silent for longer had a hole, and
# what its first quote afterwards adds up is not one change.
LONGEST_SILENCE_US = MINUTE_US

UPDATES, UNRECORDED, ONE_SIDED, CROSSED, NEWEST, KNOWN = 0, 1, 2, 3, 4, 5


@dataclass(frozen=True, slots=True)
class Imbalances:
    """One entry per minute with quotes; `minute` counts from 1970.

    `imbalance` and `depth`, the mean size at one best quote, are in base coins and NaN in a minute
    with an update before which changes are `unrecorded` (the first one of all and one after more
    than a minute of silence, too) or next to a `one_sided` one. `crossed` ones count as they are.
    """

    minute: Integers
    updates: Integers
    unrecorded: Integers
    one_sided: Integers
    crossed: Integers
    newest_us: Integers
    known_us: Integers
    imbalance: Floats
    depth: Floats


def contribution(
    bid: ArrayLike, bid_size: ArrayLike, ask: ArrayLike, ask_size: ArrayLike
) -> Floats:
    """What each quote after the first adds to the imbalance, base coins.

    >>> contribution([99, 99, 98], [5, 7, 4], [101, 101, 100], [3, 3, 6])
    array([  2., -13.])
    """
    a, b, c, d = (np.array(x, dtype=np.float64) for x in (bid, bid_size, ask, ask_size))
    return np.array([_change((a, b, c, d), i) for i in range(1, a.size)])


def minutes(quotes: Quotes, start_us: int, end_us: int) -> Imbalances:
    """Imbalances of the minutes of [start_us, end_us); first levels of books are left out.

    So is what was asked for beside a stream, which misses no change for it. Give the last quote
    before the start, too: without it the first change is unknown.
    """
    checked_period("imbalance", start_us, end_us, 60)
    own = ~quotes.is_book
    if (is_streamed := own & ~quotes.is_asked).any():
        own = is_streamed
    sides = (quotes.bid[own], quotes.bid_size[own], quotes.ask[own], quotes.ask_size[own])
    known, is_every = quotes.known_us[own], quotes.is_every_update[own]
    counts, sums = _minutes(quotes.at_us[own], sides, known, is_every, start_us, end_us)
    told = np.flatnonzero(counts[:, UPDATES] > 0)
    n = counts[told].T
    is_whole = (n[UNRECORDED] == 0) & (n[ONE_SIDED] == 0)
    imbalance, depth = np.where(is_whole, sums[told].T, np.nan)
    return Imbalances(
        minute=start_us // MINUTE_US + told,
        updates=n[UPDATES],
        unrecorded=n[UNRECORDED],
        one_sided=n[ONE_SIDED],
        crossed=n[CROSSED],
        newest_us=n[NEWEST],
        known_us=n[KNOWN],
        imbalance=imbalance,
        depth=depth / n[UPDATES],
    )


@kernel
def _minutes(
    at: Integers,
    sides: Sides,
    known: Integers,
    is_every: NDArray[np.bool_],
    start: int,
    end: int,
) -> tuple[Integers, Floats]:
    bid, bid_size, ask, ask_size = sides
    count = (end - start) // MINUTE_US
    counts, sums = np.zeros((count, 6), np.int64), np.zeros((count, 2))
    for i in range(at.size):
        if at[i] < start or at[i] >= end:
            continue
        n, s = counts[(at[i] - start) // MINUTE_US], sums[(at[i] - start) // MINUTE_US]
        n[UPDATES] += 1
        n[NEWEST] = at[i]
        n[KNOWN] = max(n[KNOWN], known[i])
        n[CROSSED] += bid[i] > ask[i]
        is_silent = i == 0 or at[i] - at[i - 1] > LONGEST_SILENCE_US
        n[UNRECORDED] += is_silent or not is_every[i]
        change = _change(sides, i) if i > 0 else math.nan
        n[ONE_SIDED] += i > 0 and math.isnan(change)
        s[0] += change
        s[1] += 0.5 * (bid_size[i] + ask_size[i])
    return counts, sums


@kernel
def _change(sides: Sides, i: int) -> float:
    """What one update adds; NaN where a side of it or of the one before is missing."""
    bid, bid_size, ask, ask_size = sides
    if math.isnan(bid[i] + ask[i] + bid[i - 1] + ask[i - 1]):
        return math.nan
    change = 0.0
    if bid[i] >= bid[i - 1]:
        change += bid_size[i]
    if bid[i] <= bid[i - 1]:
        change -= bid_size[i - 1]
    if ask[i] <= ask[i - 1]:
        change -= ask_size[i]
    if ask[i] >= ask[i - 1]:
        change += ask_size[i - 1]
    return float(change)
