"""What did trading against the quotes cost, and how much of it did the price move give back?

effective = 2 D (p - m)/m, realised(tau) = 2 D (p - m(t + tau))/m, impact = effective - realised, in
basis points; D is +1 where the taker bought and m the mid at or before the print (mids.py). Huang &
Stoll (1996), "Dealer versus auction markets", Journal of Financial Economics 41.

`minutes` sums prints by the minute they are in. Whatever happens outside the period given is left
to the call for that period, so the sums of consecutive periods add up to those of the whole: the
mid five minutes after a print of the last minute of a day belongs to the next day.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel
from warehouse.functions.mids import LONGEST_AGE_S, SECOND_US, last_until, middle, standing
from warehouse.functions.tape import Prints, Quotes, checked_period

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HORIZONS_S = (1, 5, 60, 300)
LONGEST_HORIZON_S = 300
MINUTE_US = 60 * SECOND_US
LONGEST_AGE_US = round(LONGEST_AGE_S * SECOND_US)
BPS = 1e4
# Columns of what a minute counts and of what it sums.
BUYS, SELLS, UNSIDED, TURNS, PRICED, OF_BOOKS, NEWEST, KNOWN, LATER = 0, 1, 2, 3, 4, 5, 6, 7, 8
WEIGHT, EFFECTIVE, AGE, QUOTED, QUOTED_S, LATER_WEIGHT = 0, 1, 2, 3, 4, 5
REALISED, MOVED = LATER_WEIGHT + len(HORIZONS_S), LATER_WEIGHT + 2 * len(HORIZONS_S)


@dataclass(frozen=True, slots=True)
class Minutes:
    """Sums of each minute in which something happened; `minute` counts from 1970.

    Weights are values at the mid, quote currency. `effective` is the weighted sum over the `priced`
    prints, which have a side and a mid; `age_s` the sum of the ages of those mids, `of_books` how
    many came from books. Rows of `later_count`, `later_weight`, `realised` and `moved`, the impact,
    are HORIZONS_S: priced prints that also have a mid then. `turns` are prints of another side than
    the sided print before. `quoted` is the quoted spread integrated over the `quoted_s` seconds in
    which there was a mid. `newest_us` is the time of the last print or quote that tells of the
    minute and `known_us` when the last of all that was used could be known.
    """

    minute: Integers
    buys: Integers
    sells: Integers
    unsided: Integers
    turns: Integers
    priced: Integers
    of_books: Integers
    newest_us: Integers
    known_us: Integers
    later_count: Integers
    weight: Floats
    effective: Floats
    age_s: Floats
    quoted: Floats
    quoted_s: Floats
    later_weight: Floats
    realised: Floats
    moved: Floats


def absolute(
    sign: ArrayLike, price: ArrayLike, bid: ArrayLike, ask: ArrayLike
) -> tuple[Floats, Floats]:
    """Effective and quoted spread of each print in units of its price; arguments broadcast.

    As in R's `highfrequency`. NaN where the quote before the print has no mid.

    >>> absolute(1, 101.0, 99.0, 102.0)
    (array(1.), array(3.))
    """
    b, a = np.asarray(bid, dtype=np.float64), np.asarray(ask, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        is_good = (b > 0.0) & (b <= a) & (a < np.inf)
        mid = np.where(is_good, 0.5 * (b + a), np.nan)
        effective = 2.0 * np.asarray(sign) * (np.asarray(price) - mid)
        return np.asarray(effective), np.where(is_good, a - b, np.nan)


def minutes(prints: Prints, quotes: Quotes, start_us: int, end_us: int) -> Minutes:
    """Sums over [start_us, end_us), which begins and ends with a minute.

    Give the prints from five minutes before the start on and the quotes from five seconds before
    those. A print counts in its own minute where it lies in the period; its mid at a horizon
    counts, in the same minute, where that moment lies in the period. Unless every update is
    recorded, the mid at a horizon must have been quoted since the print: an older one would say
    that nothing moved. ValueError where the period has no whole minutes.
    """
    checked_period("spreads", start_us, end_us, 60)
    first = (start_us - SECOND_US * LONGEST_HORIZON_S) // MINUTE_US
    counts, sums = _minutes(
        (prints.at_us, prints.sign, prints.price, prints.size, prints.known_us),
        (quotes.at_us, quotes.bid, quotes.ask, quotes.known_us),
        (quotes.is_book, quotes.is_every_update),
        (start_us, end_us, first),
        np.array(HORIZONS_S, dtype=np.int64) * SECOND_US,
    )
    touched = np.flatnonzero(counts.any(axis=1))
    n, s = counts[touched].T, sums[touched].T
    return Minutes(
        minute=first + touched,
        buys=n[BUYS],
        sells=n[SELLS],
        unsided=n[UNSIDED],
        turns=n[TURNS],
        priced=n[PRICED],
        of_books=n[OF_BOOKS],
        newest_us=n[NEWEST],
        known_us=n[KNOWN],
        later_count=n[LATER:],
        weight=s[WEIGHT],
        effective=s[EFFECTIVE],
        age_s=s[AGE],
        quoted=s[QUOTED],
        quoted_s=s[QUOTED_S],
        later_weight=s[LATER_WEIGHT:REALISED],
        realised=s[REALISED:MOVED],
        moved=s[MOVED:],
    )


@kernel
def _minutes(
    prints: tuple[Integers, Integers, Floats, Floats, Integers],
    quotes: tuple[Integers, Floats, Floats, Integers],
    marks: tuple[NDArray[np.bool_], NDArray[np.bool_]],
    period: tuple[int, int, int],
    horizons: Integers,
) -> tuple[Integers, Floats]:
    at, sign, price, size, known = prints
    quoted, bid, ask, quote_known = quotes
    is_book, is_every = marks
    start, end, first = period
    count = end // MINUTE_US - first
    counts = np.zeros((count, LATER + horizons.size), np.int64)
    sums = np.zeros((count, LATER_WEIGHT + 3 * horizons.size))
    _quoted(quotes, period, counts, sums)
    places = np.full(horizons.size, -1, np.int64)
    q, side = -1, 0
    for i in range(at.size):
        minute = at[i] // MINUTE_US - first
        if minute < 0 or at[i] >= end:
            continue
        n, s = counts[minute], sums[minute]
        is_within = at[i] >= start
        if is_within:
            _count(n, at[i], sign[i], side, known[i])
        if sign[i] == 0:
            continue
        side = sign[i]
        q = last_until(at[i], quoted, q)
        mid = standing(at[i], quoted, bid, ask, q, LONGEST_AGE_US)
        # Spreads are relative to the mid and weighted by value at the mid, which cancels.
        value, scale = size[i] * mid, 2.0 * BPS * sign[i] * size[i]
        if math.isnan(value * price[i]):
            continue
        if is_within:
            n[PRICED] += 1
            n[OF_BOOKS] += is_book[q]
            n[KNOWN] = max(n[KNOWN], quote_known[q])
            s[WEIGHT] += value
            s[EFFECTIVE] += scale * (price[i] - mid)
            s[AGE] += (at[i] - quoted[q]) / SECOND_US
        for h in range(horizons.size):
            then = at[i] + horizons[h]
            if then < start or then >= end:
                continue
            p = places[h] = last_until(then, quoted, max(places[h], q))
            longest = LONGEST_AGE_US if is_every[p] else min(LONGEST_AGE_US, horizons[h])
            later = standing(then, quoted, bid, ask, p, longest)
            if not math.isnan(later):
                n[LATER + h] += 1
                n[KNOWN] = max(n[KNOWN], quote_known[p], known[i])
                s[LATER_WEIGHT + h] += value
                s[REALISED + h] += scale * (price[i] - later)
                s[MOVED + h] += scale * (later - mid)
    return counts, sums


@kernel
def _count(n: Integers, at: int, sign: int, side: int, known: int) -> None:
    """Add a print to its minute; `side` is that of the sided print before."""
    n[KNOWN] = max(n[KNOWN], known)
    n[NEWEST] = max(n[NEWEST], at)
    n[BUYS] += sign > 0
    n[SELLS] += sign < 0
    n[UNSIDED] += sign == 0
    n[TURNS] += sign != 0 and sign != side


@kernel
def _quoted(
    quotes: tuple[Integers, Floats, Floats, Integers],
    period: tuple[int, int, int],
    counts: Integers,
    sums: Floats,
) -> None:
    """Add the quoted spread over the time for which each quote stands."""
    quoted, bid, ask, known = quotes
    start, end, first = period
    for i in range(quoted.size):
        until = min(quoted[i] + LONGEST_AGE_US, end)
        if i + 1 < quoted.size:
            until = min(until, quoted[i + 1])
        since = max(quoted[i], start)
        if since >= until:
            continue
        mid = middle(bid[i], ask[i])
        while since < until:
            minute = since // MINUTE_US
            upto = min(until, (minute + 1) * MINUTE_US)
            n, s = counts[minute - first], sums[minute - first]
            n[NEWEST] = max(n[NEWEST], quoted[i])
            n[KNOWN] = max(n[KNOWN], known[i])
            if not math.isnan(mid):
                s[QUOTED] += (upto - since) / SECOND_US * BPS * (ask[i] - bid[i]) / mid
                s[QUOTED_S] += (upto - since) / SECOND_US
            since = upto
