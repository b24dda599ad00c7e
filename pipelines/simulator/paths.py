"""Where do prices go? Stochastic variance, rare jumps, the flow's impact, premia and carry."""

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

import numpy as np

from pipelines.simulator import flow
from pipelines.simulator.flow import Flow
from pipelines.simulator.levels import (
    PREMIUM_DEVIATION,
    VARIANCE_FLOOR,
    daily_counts,
    levels,
    place,
)
from pipelines.simulator.world import (
    DAY_S,
    LISTINGS,
    MAKERS,
    YEAR_S,
    Coin,
    Episode,
    Floats,
    Listing,
    Parameters,
    Plan,
    draw_parameters,
    draw_plan,
    stream,
)

DEFAULT_DAY = date(2026, 3, 10)
SECONDS = np.arange(DAY_S + 1, dtype=float)
MINUTES = np.arange(0, DAY_S + 1, 60, dtype=float)
JUMPS_PER_DAY = 1.5
COMMON = 0.8  # correlation of the coins' price shocks
# of variance; impact, jumps and informed bursts bring about the rest, so that the path realises
# what its options imply
DIFFUSIVE_SHARE = 0.7
SWING = 2.5  # of a volatility burst, in usual swings
PASSING = 0.5  # of the lasting impact comes on top for a while,
PASSING_S = 20.0  # and is gone after so many seconds
PULLS = {"um": 1.0, "cm": 1.0, "deribit": 0.7}  # how much of a premium each market shows


@dataclass(frozen=True, slots=True)
class State:
    """One coin over one day: all that its markets share."""

    coin: Coin
    seed: int
    size: float
    day: date
    parameters: Parameters
    plan: Plan
    activity: Floats  # relative intensity of trading, per minute
    flows: dict[str, Flow]  # of the markets that form the price, by instrument
    base: Floats  # log price per second without any order's impact
    log_spot: Floats  # per second
    variance: Floats  # annualised, per minute
    premium: dict[str, Floats]  # by market, per minute, fraction of spot
    impact_bps: Floats  # per million US dollars, per hour

    @property
    def episodes(self) -> tuple[Episode, ...]:
        return self.plan.episodes

    def spot(self, at: Floats) -> Floats:
        """USD per coin at seconds after midnight."""
        return np.asarray(np.exp(np.interp(at, SECONDS, self.log_spot)))

    def variance_at(self, at: Floats) -> Floats:
        return np.interp(at, MINUTES, self.variance)

    def perpetual(self, market: str, at: Floats) -> Floats:
        """Fair price of a perpetual: spot and its premium."""
        return self.spot(at) * (1 + np.interp(at, MINUTES, self.premium[market]))

    def forward(self, at: Floats, expires_s: Floats) -> Floats:
        """Fair forward for expiries in seconds after midnight; arguments broadcast."""
        t = np.maximum(expires_s - at, 0.0) / YEAR_S
        return np.asarray(self.spot(at) * carry(self.parameters, t))

    def fair(self, listing: Listing, at: Floats) -> Floats:
        """Fair price of a spot market, perpetual or future."""
        if listing.expires is not None:
            expires_s = (listing.expires - self.day).days * DAY_S + 8 * 3_600
            return self.forward(at, np.array(float(expires_s)))
        if listing.market == "spot":
            return self.spot(at)
        return self.perpetual(listing.market, at)


def carry(p: Parameters, t_years: Floats) -> Floats:
    """Forward over spot."""
    t = np.asarray(t_years, float)
    return np.asarray(np.exp(t * (p.carry_long + p.carry_short * np.exp(-8 * t))))


def simulate(
    coins: tuple[Coin, ...], seed: int, size: float, day: date = DEFAULT_DAY
) -> dict[str, State]:
    """The day of every coin, by name. `size` scales the number of prints, never the prices' law."""
    return {coin.name: simulate_coin(coin, seed, size, day) for coin in coins}


def simulate_coin(coin: Coin, seed: int, size: float, day: date) -> State:
    """One coin's day: a bridge from its first to its last instant, formed by its order flow."""
    parameters = draw_parameters(coin, seed)
    plan = draw_plan(coin, day, seed)
    common, jumps = _common(seed, day)
    rng = stream(seed, coin.name, "path", day.isoformat())
    shocks = COMMON * common + np.sqrt(1 - COMMON**2) * rng.standard_normal(DAY_S)
    variance = _variance(rng, coin, seed, day, shocks)
    activity = _activity(variance)
    spread = np.sqrt(np.repeat(variance[:-1], 60) / YEAR_S)
    swing = np.sqrt(DIFFUSIVE_SHARE) * spread * _swings(plan.episodes)
    diffusion = swing * shocks - spread**2 / 2
    own = diffusion + jumps + _information(plan.episodes)
    base = np.concatenate([[0.0], np.cumsum(own)])
    flows = {
        listing.instrument_id: _flow(listing, seed, size, day, activity, plan.episodes, base)
        for listing in LISTINGS
        if listing.coin is coin and listing.market in MAKERS
    }
    ends = levels(coin, seed).log_price[place(day) : place(day) + 2]
    net = _net_usd(flows, float(np.exp(ends[0])))
    per_usd = 0.22 * spread.mean() / net.std() * plan.impact
    push = net * np.repeat(per_usd, 3_600)
    path = np.concatenate([[0.0], np.cumsum(own + push)]) + _passing(push)
    weight = np.concatenate([[0.0], np.cumsum(spread**2)])
    # conditional on where the day ends: a Brownian bridge in the variance's own time
    log_spot = ends[0] + path + (ends[1] - ends[0] - path[-1]) * weight / weight[-1]
    return State(
        coin=coin,
        seed=seed,
        size=size,
        day=day,
        parameters=parameters,
        plan=plan,
        activity=activity,
        flows=flows,
        base=base,
        log_spot=log_spot,
        variance=variance,
        premium={market: premium(coin, seed, day, market) for market in PULLS},
        impact_bps=per_usd * 1e6 * 1e4,
    )


def flow_of(state: State, listing: Listing) -> Flow:
    """The orders of one market: those that formed the price, or others that came with it."""
    if listing.instrument_id in state.flows:
        return state.flows[listing.instrument_id]
    return _flow(
        listing, state.seed, state.size, state.day, state.activity, state.episodes, state.base
    )


def premium(coin: Coin, seed: int, day: date, market: str) -> Floats:
    """Premium of a perpetual over spot, per minute, a fraction."""
    return PULLS[market] * _premium(coin, seed, day)


@lru_cache(maxsize=256)
def _premium(coin: Coin, seed: int, day: date) -> Floats:
    """Mean-reverting, with the day's planted shock; a bridge like everything else."""
    p, plan = draw_parameters(coin, seed), draw_plan(coin, day, seed)
    shock = (plan.shock_start_s <= MINUTES) & (plan.shock_start_s + 4 * 3_600 > MINUTES)
    target = p.premium_mean + np.where(shock, plan.premium_shock, 0.0)
    rng = stream(seed, coin.name, "premium", day.isoformat())
    keep = float(np.exp(-1 / 30))
    noise = PREMIUM_DEVIATION * np.sqrt(1 - keep**2) * rng.standard_normal(len(MINUTES))
    ends = p.premium_mean + levels(coin, seed).premium_noise[place(day) : place(day) + 2]
    path, value = np.empty(len(MINUTES)), float(ends[0])
    path[0] = value
    for i, (goal, shake) in enumerate(zip(target.tolist()[1:], noise.tolist()[1:], strict=True), 1):
        value = goal + keep * (value - goal) + shake
        path[i] = value
    fades = np.exp(-(DAY_S - MINUTES) / 1_800)  # the last minutes lead to the next day's first
    return np.asarray(path + (ends[1] - path[-1]) * fades)


def _common(seed: int, day: date) -> tuple[Floats, Floats]:
    """What moves all coins: shocks per second and rare jumps."""
    rng = stream(seed, "common", day.isoformat())
    common = rng.standard_normal(DAY_S)
    jumps_at = rng.random(DAY_S) < JUMPS_PER_DAY / DAY_S
    return common, np.where(jumps_at, 0.006 * rng.standard_normal(DAY_S), 0.0)


def _flow(
    listing: Listing,
    seed: int,
    size: float,
    day: date,
    activity: Floats,
    episodes: tuple[Episode, ...],
    base: Floats,
) -> Flow:
    rng = stream(seed, listing.market, listing.symbol, "flow", day.isoformat())
    orders = flow.arrivals(
        rng,
        count=int(daily_counts(listing, seed, size)[place(day)]),
        activity=activity if listing.expires != day else _until_eight(activity),
        episodes=episodes if listing.expires is None else (),
        median_size=listing.coin.median_size * (5 if listing.contract_usd else 1),
    )
    return flow.following(rng, orders, base)


def _until_eight(activity: Floats) -> Floats:
    return np.where(MINUTES[:-1] < 8 * 3_600, activity, 0.0)


def _variance(rng: np.random.Generator, coin: Coin, seed: int, day: date, shocks: Floats) -> Floats:
    """Square-root process per minute, whose shocks lean against the price's; a bridge too."""
    p = draw_parameters(coin, seed)
    by_price = shocks.reshape(-1, 60).sum(axis=1) / np.sqrt(60)
    noise = p.leverage * by_price + np.sqrt(1 - p.leverage**2) * rng.standard_normal(len(by_price))
    ends = levels(coin, seed).variance[place(day) : place(day) + 2]
    level = ends[0] + (ends[1] - ends[0]) * MINUTES / DAY_S
    kicks = p.vol_of_variance * np.sqrt(level[:-1] * 60 / YEAR_S) * noise
    path = np.concatenate([[0.0], np.cumsum(kicks)])
    bridge = path - path[-1] * MINUTES / DAY_S
    return np.asarray(np.maximum(level + bridge, 0.5 * VARIANCE_FLOOR * p.variance_mean))


def _activity(variance: Floats) -> Floats:
    """Relative intensity per minute: busier in the afternoon (UTC) and in volatile minutes."""
    hour = MINUTES[:-1] / 3_600
    diurnal = 1 + 0.45 * np.sin((hour - 9) * np.pi / 12)
    return np.asarray(diurnal * np.sqrt(variance[:-1] / variance.mean()))


def _net_usd(flows: dict[str, Flow], price: float) -> Floats:
    """Signed taker flow per second, USD. Placebo bursts are left out: they push nothing."""
    net = np.zeros(DAY_S)
    for orders in flows.values():
        moves = orders.kind != flow.PLACEBO
        usd = price * (orders.sign * orders.size)[moves]
        net += np.bincount(orders.at[moves].astype(np.int64), weights=usd, minlength=DAY_S)
    return net


def _passing(push: Floats) -> Floats:
    """The part of an order's impact that fades, per second, on top of the part that stays."""
    block = 240  # seconds that are summed at once: long enough to be quick, short enough for floats
    fades = np.exp(-np.arange(1, block + 1) / PASSING_S)
    kicks = PASSING * push.reshape(-1, block)
    own = np.cumsum(kicks / fades, axis=1) * fades * np.exp(1 / PASSING_S)
    left = np.zeros(len(own))
    for i in range(1, len(own)):
        left[i] = own[i - 1, -1] + left[i - 1] * fades[-1]
    return np.concatenate([[0.0], (own + left[:, None] * fades).ravel()])


def moved_by_orders(state: State) -> Floats:
    """How far orders alone moved the log price since midnight, per second: what stays and what
    passes.
    """
    net = _net_usd(state.flows, float(np.exp(state.log_spot[0])))
    push = net * np.repeat(state.impact_bps * 1e-10, 3_600)
    return np.concatenate([[0.0], np.cumsum(push)]) + _passing(push)


def response(step_s: float) -> float:
    """Impact of a step's flow on the price at its end, over the lasting impact."""
    kept = (1 - np.exp(-step_s / PASSING_S)) * PASSING_S / step_s
    return float(1 + PASSING * kept)


def _swings(episodes: tuple[Episode, ...]) -> Floats:
    """How much wider than its options imply the price swings, per second."""
    wider = np.ones(DAY_S)
    for e in episodes:
        if e.kind == "volatility":
            wider[e.start_s : e.end_s] = SWING
    return wider


def _information(episodes: tuple[Episode, ...]) -> Floats:
    drift = np.zeros(DAY_S)
    for e in episodes:
        drift[e.start_s : e.end_s] += e.direction * e.log_move / (e.end_s - e.start_s)
    return drift
