"""Which expiries and strikes does an option exchange list, from when, and how busy is each?"""

from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache, lru_cache

import numpy as np

from pipelines.simulator import mixture
from pipelines.simulator.levels import levels, place
from pipelines.simulator.paths import carry
from pipelines.simulator.world import DAY_S, EPOCH, Coin, Floats, Ints, draw_parameters, stream

EXPIRY_S = 8 * 3_600
FRIDAY = 4
LEAST_TRADES = 0.35  # of any option, a day; more in a large world
SMALL = 0.25  # a world below this size lists less
STAGES = (400, 90, 30, 7, 2)  # days before expiry at which strikes are added around the forward
FUTURE_LEAD = 190


@dataclass(frozen=True, slots=True)
class Lead:
    """How many days before expiry an option series is listed, by kind."""

    daily: int
    weekly: int
    monthly: int
    quarterly: int
    strikes: int  # added at each stage, at least


def lead(size: float) -> Lead:
    return Lead(1, 7, 84, 190, 11) if size < SMALL else Lead(2, 14, 84, 280, 14)


def lead_days(expiry: date, rule: Lead) -> int:
    """Days before expiry at which options of that expiry are listed."""
    if expiry.weekday() != FRIDAY:
        return rule.daily
    if (expiry + timedelta(days=7)).month == expiry.month:
        return rule.weekly
    return rule.quarterly if expiry.month % 3 == 0 else rule.monthly


def expiries(day: date, size: float = 1.0) -> tuple[date, ...]:
    """Expiries with listed options, today's among them until eight.

    >>> [d.isoformat() for d in expiries(date(2026, 3, 10), 0.1)][:3]
    ['2026-03-10', '2026-03-11', '2026-03-13']
    """
    rule = lead(size)
    ahead = (day + timedelta(days=n) for n in range(rule.quarterly + 1))
    return tuple(e for e in ahead if (e - day).days <= lead_days(e, rule))


def future_expiries(day: date) -> tuple[date, ...]:
    """Quarter ends with a dated future: the next two, for some days three."""
    ahead = (day + timedelta(days=n) for n in range(FUTURE_LEAD + 1))
    return tuple(
        e
        for e in ahead
        if e.month % 3 == 0 and e.weekday() == FRIDAY and (e + timedelta(days=7)).month != e.month
    )


def venue_date(day: date) -> str:
    """Deribit's way to write an expiry: 7JUN24, 27MAR26."""
    return f"{day.day}{day:%b}{day:%y}".upper()


def expiry_seconds(day: date, expiry: date) -> float:
    """Seconds from the day's midnight to 08:00 UTC of the expiry."""
    return (expiry - day).days * DAY_S + EXPIRY_S


@dataclass(frozen=True, slots=True)
class Series:
    """Everything ever listed for one expiry: one entry per option, calls and puts alternating.

    `first_day` counts from the epoch; `counts` are prints per day from `opens` to the expiry.
    """

    expiry: date
    opens: int
    strike: Floats
    is_call: np.ndarray
    symbol: list[str]
    first_day: Ints
    counts: Ints


@lru_cache(maxsize=512)
def series(coin: Coin, seed: int, size: float, expiry: date) -> Series:
    """The ladder of one expiry: strikes around the forward, more of them as it comes near."""
    rule, end = lead(size), place(expiry)
    opens = max(end - lead_days(expiry, rule), 0)
    added: dict[float, int] = {}
    for stage in STAGES:
        start = max(end - stage, opens)
        for strike in _ladder(coin, seed, rule.strikes, start, end):
            added.setdefault(float(strike), start)
    strikes = np.array(sorted(added))
    first = np.repeat([added[float(k)] for k in strikes], 2)
    stem = f"{coin.name}-{venue_date(expiry)}"
    return Series(
        expiry=expiry,
        opens=opens,
        strike=np.repeat(strikes, 2),
        is_call=np.tile([True, False], len(strikes)),
        symbol=[f"{stem}-{k:.0f}-{letter}" for k in strikes for letter in "CP"],
        first_day=first,
        counts=_counts(coin, seed, size, expiry, np.repeat(strikes, 2), first, opens),
    )


def _ladder(coin: Coin, seed: int, least: int, start: int, end: int) -> Floats:
    p, midnight = draw_parameters(coin, seed), levels(coin, seed)
    t_years = (end - start + 1 / 3) / 365
    forward = float(np.exp(midnight.log_price[start]) * carry(p, np.array(t_years)))
    spread = float(mixture.total_deviation(p, midnight.variance[start], t_years))
    # room for the moves of the days themselves, which dwarf the last hours' deviation
    spread = max(spread, 0.02)
    low, high = forward * np.exp(-3.2 * spread), forward * np.exp(2.8 * spread)
    fits = [s for s in coin.strike_steps if (high - low) / s >= least]
    step = fits[-1] if fits else coin.strike_steps[0]
    return np.arange(np.ceil(low / step) * step, high, step)


def _counts(
    coin: Coin,
    seed: int,
    size: float,
    expiry: date,
    strike: Floats,
    first: Ints,
    opens: int,
) -> Ints:
    """Prints of every option on every day from the first to the expiry: (days, options)."""
    p, midnight = draw_parameters(coin, seed), levels(coin, seed)
    days = np.arange(opens, place(expiry) + 1)
    t_years = (place(expiry) - days + 1 / 3) / 365
    forward = np.exp(midnight.log_price[days]) * carry(p, t_years)
    spread = mixture.total_deviation(p, midnight.variance[days], t_years)
    depth = np.log(strike / forward[:, None]) / np.maximum(spread, 0.01)[:, None]
    busy = np.exp(-0.5 * (depth / 1.2) ** 2) / (1 + 10 * t_years[:, None])
    # even the far wings, and even in a small world, trade every few days
    least = max(LEAST_TRADES, 2 * size)
    rate = np.maximum(OPTION_TRADES[coin.name] * size * busy / 60, least)
    rate[days == place(expiry)] /= 3
    rng = stream(seed, coin.name, expiry.isoformat(), "counts")
    return np.where(first <= days[:, None], rng.poisson(rate), 0)


OPTION_TRADES = {"BTC": 9_000, "ETH": 5_000}


@dataclass(frozen=True, slots=True)
class Board:
    """The listed options of one coin on one day: one entry per option."""

    expiry: list[date]
    expires_s: Floats  # seconds after the day's midnight
    strike: Floats
    is_call: np.ndarray
    symbol: list[str]
    listed: list[date]
    first_seq: Ints  # of the day's first print
    count: Ints  # of the day's prints

    def __len__(self) -> int:
        return len(self.symbol)


@lru_cache(maxsize=64)
def board(coin: Coin, seed: int, size: float, day: date) -> Board:
    """The options listed on a day, the expiry at eight that morning included."""
    today = place(day)
    found = [series(coin, seed, size, e) for e in expiries(day, size) if e >= EPOCH]
    alive = [np.flatnonzero(s.first_day <= today) for s in found]
    pairs = list(zip(found, alive, strict=True))
    return Board(
        expiry=[s.expiry for s, on in pairs for _ in on],
        expires_s=np.concatenate(
            [np.full(len(on), expiry_seconds(day, s.expiry)) for s, on in pairs]
        ),
        strike=np.concatenate([s.strike[on] for s, on in pairs]),
        is_call=np.concatenate([s.is_call[on] for s, on in pairs]),
        symbol=[s.symbol[i] for s, on in pairs for i in on],
        listed=[_date(int(s.first_day[i])) for s, on in pairs for i in on],
        first_seq=np.concatenate(
            [1 + s.counts[: today - s.opens].sum(axis=0)[on] for s, on in pairs]
        ),
        count=np.concatenate([s.counts[today - s.opens][on] for s, on in pairs]),
    )


@cache
def _date(days: int) -> date:
    return EPOCH + timedelta(days=days)
