"""Which options are priced wrongly on a day, so that who looks for them can be scored?

A surface that admits no arbitrage and quotes that lean by half a spread at most would teach nothing
about false alarms and missed ones. So for three hours each one expiry's smile is bent until a
butterfly costs less than nothing, and another expiry falls below the one before it; and single
options are quoted one, two and four half spreads too dear for six hours.
"""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from pipelines.simulator import expiries, mixture
from pipelines.simulator.expiries import Board
from pipelines.simulator.levels import levels, place
from pipelines.simulator.paths import State, carry
from pipelines.simulator.world import Coin, Floats, Ints, draw_parameters, stream

HOUR_S = 3_600
BEND_HOURS = 3
BEND_FROM, BEND_SLOPE = 0.8, 1.4  # deviations below the forward, variance added per deviation
CALENDAR_SHARE = 0.85  # of the variance until the expiry before
NEAR_S, MIDDLE_S = 9 * 86_400, 21 * 86_400
RICH_HOURS = ((1, 7), (9, 15), (16, 22))
RICH_SIZES = (1.0, 2.0, 4.0)  # half spreads


@dataclass(frozen=True, slots=True)
class Bend:
    """One expiry, wrong for a while. Seconds after the day's midnight."""

    kind: str  # butterfly or calendar
    expires_s: float
    before_s: float  # the expiry before it
    start_s: int
    end_s: int


@dataclass(frozen=True, slots=True)
class Rich:
    """One option, too dear for a while by some half spreads."""

    place: int  # on the board
    half_spreads: float
    start_s: int
    end_s: int


@lru_cache(maxsize=64)
def bends(coin: Coin, seed: int, size: float, day: date) -> tuple[Bend, ...]:
    """The butterfly near three weeks, the calendar where two expiries lie nearest."""
    expires_s = np.unique(expiries.board(coin, seed, size, day).expires_s)
    rng = stream(seed, coin.name, "bends", day.isoformat())
    starts = [int(rng.integers(9, 13)) * HOUR_S, int(rng.integers(16, 20)) * HOUR_S]
    # Neither is the first: that one settles, and has none before it.
    far = [i for i in range(1, len(expires_s)) if expires_s[i] > NEAR_S]
    middle = min(far, key=lambda i: abs(expires_s[i] - MIDDLE_S))
    close = max((i for i in far if i != middle), key=lambda i: expires_s[i - 1] / expires_s[i])
    return tuple(
        Bend(kind, float(expires_s[i]), float(expires_s[i - 1]), start, start + BEND_HOURS * HOUR_S)
        for kind, i, start in zip(("butterfly", "calendar"), (middle, close), starts, strict=True)
    )


@lru_cache(maxsize=64)
def riches(coin: Coin, seed: int, size: float, day: date) -> tuple[Rich, ...]:
    """Out of the money within a deviation or so, of expiries that are not bent."""
    board = expiries.board(coin, seed, size, day)
    bent = [bend.expires_s for bend in bends(coin, seed, size, day)]
    rng = stream(seed, coin.name, "riches", day.isoformat())
    depth = _depth(coin, seed, day, board)
    is_out = np.where(board.is_call, depth > 0, depth < 0)
    may = is_out & (np.abs(depth) > 0.2) & (np.abs(depth) < 1.2)
    may &= (board.expires_s > NEAR_S) & ~np.isin(board.expires_s, bent)
    free = np.unique(board.expires_s[may])
    found = []
    for first, last in RICH_HOURS:
        # One option of an expiry at a time, as long as there are expiries enough.
        chosen = rng.permutation(np.resize(free, len(RICH_SIZES)))
        left = may.copy()
        for half_spreads, expires_s in zip(RICH_SIZES, chosen, strict=True):
            own = left & (board.expires_s == expires_s)
            at = int(rng.choice(np.flatnonzero(own if own.any() else left)))
            left[at] = False
            found.append(Rich(at, half_spreads, first * HOUR_S, last * HOUR_S))
    return tuple(found)


def _depth(coin: Coin, seed: int, day: date, board: Board) -> Floats:
    """Log-moneyness at midnight in deviations."""
    p, midnight, today = draw_parameters(coin, seed), levels(coin, seed), place(day)
    t_years = mixture.years(board.expires_s)
    forward = np.exp(midnight.log_price[today]) * carry(p, t_years)
    deviation = mixture.total_deviation(p, midnight.variance[today], t_years)
    return np.asarray(np.log(board.strike / forward) / deviation)


def bent_deviation(
    state: State, at_s: Floats, expires_s: Floats, log_moneyness: Floats, deviation: Floats
) -> Floats:
    """The total deviation at which options are quoted; arguments broadcast."""
    found = deviation
    for bend in bends(state.coin, state.seed, state.size, state.day):
        wanted = _is_during(bend, at_s, expires_s)
        if not np.any(wanted):
            continue
        if bend.kind == "butterfly":
            # From there on variance grows so fast that put prices are not convex in the strike.
            below = np.maximum(-log_moneyness / deviation - BEND_FROM, 0.0)
            wrong = deviation * np.sqrt(1 + BEND_SLOPE * below)
        else:
            t_before = mixture.years(np.maximum(bend.before_s - at_s, 60.0))
            earlier = mixture.total_deviation(state.parameters, state.variance_at(at_s), t_before)
            wrong = np.sqrt(CALENDAR_SHARE) * earlier
        found = np.where(wanted, wrong, found)
    return np.asarray(found)


def is_bent(state: State, at_s: Floats, expires_s: Floats) -> np.ndarray:
    """Whether an expiry's smile is wrong then; arguments broadcast."""
    found = [
        _is_during(bend, at_s, expires_s)
        for bend in bends(state.coin, state.seed, state.size, state.day)
    ]
    return np.asarray(np.logical_or.reduce(found))


def _is_during(bend: Bend, at_s: Floats, expires_s: Floats) -> np.ndarray:
    is_then = (at_s >= bend.start_s) & (at_s < bend.end_s)
    return np.asarray(is_then & (expires_s == bend.expires_s))


def half_spreads(state: State, at_s: Floats, places: Ints) -> Floats:
    """By how many of their own half spreads options are quoted too dear; arguments broadcast."""
    at, place_ = np.broadcast_arrays(at_s, places)
    found = np.zeros(at.shape)
    for rich in riches(state.coin, state.seed, state.size, state.day):
        is_rich = (place_ == rich.place) & (at >= rich.start_s) & (at < rich.end_s)
        found[is_rich] = rich.half_spreads
    return found
