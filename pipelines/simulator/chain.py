"""How does an option exchange quote the mixture? Listed strikes, ticks, spreads, missing wings."""

from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from pipelines.simulator import mixture
from pipelines.simulator.paths import State
from pipelines.simulator.world import DAY_S, Floats, Ints, stream

EXPIRY_S = 8 * 3_600
SNAPSHOT_STEP_S = 1_800
FIRST_SNAPSHOT_S = 300  # five past, so that no stamp falls into the day before
STRIKES_PER_EXPIRY = 19
FRIDAY = 4


@dataclass(frozen=True, slots=True)
class Board:
    """The listed options of one coin: one entry per option."""

    expiry: list[date]
    expires_s: Floats  # seconds after the day's midnight
    strike: Floats
    is_call: np.ndarray
    symbol: list[str]

    def __len__(self) -> int:
        return len(self.symbol)


@dataclass(frozen=True, slots=True)
class Quotes:
    """The whole board at every snapshot: arrays of shape (snapshots, options), prices in coin.

    NaN where there is no quote. `is_listed` is False once an option has expired.
    """

    board: Board
    snapshot_s: Floats
    is_listed: np.ndarray
    forward: Floats
    t_years: Floats
    mark: Floats
    mark_iv: Floats
    bid: Floats
    ask: Floats
    bid_lots: Ints
    ask_lots: Ints
    last: Floats
    open_interest_lots: Ints
    lag_s: Floats  # how long before the snapshot the row was stamped


def expiries(day: date) -> tuple[date, ...]:
    """Six expiries: today's, tomorrow's, a weekly, two month ends and a quarter end.

    >>> [d.isoformat() for d in expiries(date(2026, 3, 10))][:3]
    ['2026-03-10', '2026-03-11', '2026-03-13']
    """
    weekly = _friday_from(day + timedelta(days=3))
    months = [d for d in (_last_friday(day, ahead) for ahead in range(9)) if d > weekly]
    quarter = next(d for d in months[2:] if d.month % 3 == 0)
    return (day, day + timedelta(days=1), weekly, *months[:2], quarter)


def future_expiries(day: date) -> tuple[date, date]:
    """The two dated futures: the nearest month end and the quarter end."""
    listed = expiries(day)
    return listed[3], listed[5]


def _friday_from(day: date) -> date:
    return day + timedelta(days=(FRIDAY - day.weekday()) % 7)


def _last_friday(day: date, months_ahead: int) -> date:
    month = day.month + months_ahead  # the next month's first day, less one
    first = date(day.year + month // 12, month % 12 + 1, 1)
    end = first - timedelta(days=1)
    return end - timedelta(days=(end.weekday() - FRIDAY) % 7)


def venue_date(day: date) -> str:
    """Deribit's way to write an expiry: 7JUN24, 27MAR26."""
    return f"{day.day}{day:%b}{day:%y}".upper()


def expiry_seconds(day: date, expiry: date) -> float:
    """Seconds from the day's midnight to 08:00 UTC of the expiry."""
    return (expiry - day).days * DAY_S + EXPIRY_S


def board(state: State, day: date) -> Board:
    """The strikes an exchange lists around the forward at the day's start."""
    coin, p = state.coin, state.parameters
    found: list[tuple[date, float, float, bool, str]] = []
    for expiry in expiries(day):
        expires_s = expiry_seconds(day, expiry)
        forward = float(state.forward(np.array(0.0), np.array(expires_s)))
        spread = float(mixture.total_deviation(p, p.variance_start, mixture.years(expires_s)))
        # room for the day's own moves, which dwarf the last hours' deviation
        spread = max(spread, 0.02)
        low, high = forward * np.exp(-3.2 * spread), forward * np.exp(2.8 * spread)
        fits = [s for s in coin.strike_steps if (high - low) / s >= STRIKES_PER_EXPIRY]
        step = fits[-1] if fits else coin.strike_steps[0]
        for strike in np.arange(np.ceil(low / step) * step, high, step):
            for letter in "CP":
                symbol = f"{coin.name}-{venue_date(expiry)}-{strike:.0f}-{letter}"
                found.append((expiry, expires_s, float(strike), letter == "C", symbol))
    expiry_days, expires, strikes, calls, symbols = zip(*found, strict=True)
    return Board(
        list(expiry_days), np.array(expires), np.array(strikes), np.array(calls), list(symbols)
    )


def snapshot_seconds(size: float) -> Floats:
    """Every half hour from five past midnight; fewer in a world smaller than a quarter."""
    step = SNAPSHOT_STEP_S * max(1, round(0.5 / np.sqrt(size)))
    return np.arange(FIRST_SNAPSHOT_S, DAY_S, step, dtype=float)


def quotes(state: State, listed: Board, snapshot_s: Floats, seed: int) -> Quotes:
    """The board's quotes at every snapshot, from the mixture and the path's own variance."""
    rng = stream(seed, state.coin.name, "chain")
    p = state.parameters
    at = snapshot_s[:, None]
    is_listed = at < listed.expires_s
    seconds = np.where(is_listed, listed.expires_s - at, 60.0)
    t_years = mixture.years(seconds)
    forward = state.forward(at, listed.expires_s)
    deviation = mixture.total_deviation(p, state.variance_at(at), t_years)
    usd = mixture.price(p, forward, listed.strike, deviation, listed.is_call)
    mark = usd / forward
    mark_iv = mixture.implied_vol(usd, forward, listed.strike, t_years, listed.is_call)
    depth = np.abs(np.log(listed.strike / forward)) / deviation
    half = _half_spread(forward, listed, mark, deviation, depth)
    centre = mark + half * np.clip(0.25 * rng.standard_normal(mark.shape), -0.5, 0.5)
    bid, ask = tick_down(centre - half), tick_up(centre + half)
    bid, ask = _leave_out(rng, mark, depth, bid, ask)
    lag_s = rng.uniform(0.2, 8.0, mark.shape)
    is_stale = rng.random(mark.shape) < 0.01
    is_stale[0] = False
    for i in np.flatnonzero(is_stale.any(axis=1)):
        bid[i, is_stale[i]], ask[i, is_stale[i]] = bid[i - 1, is_stale[i]], ask[i - 1, is_stale[i]]
        lag_s[i, is_stale[i]] += 120.0
    traded = rng.random(len(listed)) < 0.7
    earlier = tick_up(np.vstack([mark[:1], mark[:-1]]))
    interest = np.round(400 * np.exp(-0.6 * depth[0] + 0.8 * rng.standard_normal(len(listed))))
    growth = np.cumsum(rng.integers(-4, 6, mark.shape), axis=0)
    lots = [np.ceil(60 * np.exp(rng.standard_normal(mark.shape))).astype(np.int64) for _ in "ba"]
    return Quotes(
        board=listed,
        snapshot_s=snapshot_s,
        is_listed=is_listed,
        forward=forward,
        t_years=t_years,
        mark=mark,
        mark_iv=mark_iv,
        bid=bid,
        ask=ask,
        bid_lots=lots[0],
        ask_lots=lots[1],
        last=np.where(traded, earlier, np.nan),
        open_interest_lots=np.maximum(0, interest + growth).astype(np.int64),
        lag_s=lag_s,
    )


def _half_spread(
    forward: Floats, listed: Board, mark: Floats, deviation: Floats, depth: Floats
) -> Floats:
    """In coin: some tenths of a vol point, more in the wings and deep in the money."""
    vega_coin = np.exp(-0.5 * depth**2) / np.sqrt(2 * np.pi)
    vol_part = vega_coin * deviation * 0.008 * (1 + 0.6 * depth)
    intrinsic = np.maximum(np.where(listed.is_call, 1, -1) * (1 - listed.strike / forward), 0.0)
    is_wing = (depth > 1) & (intrinsic == 0)
    model_part = vol_part + 0.02 * mark * is_wing
    return np.asarray(np.maximum(0.5 * _tick(mark), model_part) + 0.01 * intrinsic)


def _leave_out(
    rng: np.random.Generator, mark: Floats, depth: Floats, bid: Floats, ask: Floats
) -> tuple[Floats, Floats]:
    """Nobody bids for dust, some sides are empty, and a few options have no quote at all."""
    no_bid = (bid <= 0) | ((mark < 0.0004) & (rng.random(mark.shape) < 0.4))
    no_bid |= rng.random(mark.shape) < 0.01
    no_ask = (rng.random(mark.shape) < 0.005) | ((depth > 2) & (rng.random(mark.shape) < 0.04))
    nobody = rng.random(mark.shape) < 0.005
    return np.where(no_bid | nobody, np.nan, bid), np.where(no_ask | nobody, np.nan, ask)


def _tick(coin_price: Floats) -> Floats:
    """A ten-thousandth below half a per cent of a coin, five above."""
    return np.asarray(np.where(coin_price < 0.005 - 1e-9, 0.0001, 0.0005))


def tick_down(coin_price: Floats) -> Floats:
    """The highest listed price not above."""
    tick = _tick(coin_price)
    return np.asarray(np.round(np.floor(coin_price / tick + 1e-6) * tick, 4))


def tick_up(coin_price: Floats) -> Floats:
    """The lowest listed price not below."""
    tick = _tick(coin_price)
    return np.asarray(np.round(np.ceil(coin_price / tick - 1e-6) * tick, 4))


def atm_vols(state: State, listed: Board, snapshot_s: Floats) -> tuple[Floats, Floats, Floats]:
    """Planted forward and at-the-money vol per snapshot and expiry; NaN once expired.

    Returns the expiries' seconds (E), forwards and vols, both (snapshots, E).
    """
    expires_s = np.unique(listed.expires_s)
    at = snapshot_s[:, None]
    t_years = mixture.years(np.maximum(expires_s - at, 60.0))
    forward = state.forward(at, expires_s)
    deviation = mixture.total_deviation(state.parameters, state.variance_at(at), t_years)
    usd = mixture.price(state.parameters, forward, forward, deviation, True)
    vols = mixture.implied_vol(usd, forward, forward, t_years, True)
    return expires_s, forward, np.where(at < expires_s, vols, np.nan)
