"""Where do prices go? Stochastic variance, rare jumps, the flow's impact, premia and carry."""

from dataclasses import dataclass

import numpy as np

from pipelines.simulator import flow
from pipelines.simulator.flow import Flow
from pipelines.simulator.world import (
    FIRST_S,
    LAST_S,
    LISTINGS,
    YEAR_S,
    Coin,
    Episode,
    Floats,
    Parameters,
    draw_episodes,
    draw_parameters,
    stream,
)

SECONDS = np.arange(FIRST_S, LAST_S + 1, dtype=float)
MINUTES = np.arange(FIRST_S, LAST_S + 1, 60, dtype=float)
JUMPS_PER_DAY = 1.5
FEWEST_TRADES = 600  # a day: with fewer, a neighbour's last hour could be empty and prove nothing
COMMON = 0.8  # correlation of the coins' price shocks
# of variance; impact, jumps and informed bursts bring about the rest, so that the path realises
# what its options imply
DIFFUSIVE_SHARE = 0.7


@dataclass(frozen=True, slots=True)
class State:
    """One coin over the simulated span: all that its markets share."""

    coin: Coin
    parameters: Parameters
    episodes: tuple[Episode, ...]
    flows: dict[str, Flow]  # by instrument
    log_spot: Floats  # per second
    variance: Floats  # annualised, per minute
    premium: dict[str, Floats]  # by market, per minute, fraction of spot
    impact_bps: Floats  # per million US dollars, per hour of the span

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
        p = self.parameters
        return np.asarray(
            self.spot(at) * np.exp(t * (p.carry_long + p.carry_short * np.exp(-8 * t)))
        )


def simulate(coins: tuple[Coin, ...], seed: int, size: float) -> dict[str, State]:
    """The state of every coin, by name. `size` scales the number of prints, never the prices."""
    rng = stream(seed, "common")
    steps = len(SECONDS) - 1
    common = rng.standard_normal(steps)
    jumps_at = rng.random(steps) < JUMPS_PER_DAY / 86_400
    jumps = np.where(jumps_at, 0.006 * rng.standard_normal(steps), 0.0)
    return {coin.name: _coin(coin, seed, size, common, jumps) for coin in coins}


def _coin(coin: Coin, seed: int, size: float, common: Floats, jumps: Floats) -> State:
    parameters = draw_parameters(coin, seed)
    episodes = draw_episodes(coin, parameters, seed)
    rng = stream(seed, coin.name, "path")
    own = rng.standard_normal(len(common))
    shocks = COMMON * common + np.sqrt(1 - COMMON**2) * own
    variance = _variance(rng, parameters, shocks)
    activity = _activity(variance)
    flows = {
        listing.instrument_id: flow.arrivals(
            stream(seed, listing.instrument_id, "flow"),
            daily=max(listing.daily_trades * size, FEWEST_TRADES),
            activity=activity,
            episodes=episodes,
            median_size=coin.median_size * (5 if listing.contract_usd else 1),
        )
        for listing in LISTINGS
        if listing.coin is coin
    }
    spread = np.sqrt(np.repeat(variance[:-1], 60) / YEAR_S)
    push, impact_bps = _impact(coin, parameters, flows, spread)
    diffusion = np.sqrt(DIFFUSIVE_SHARE) * spread * shocks
    steps = diffusion - spread**2 / 2 + jumps + push + _information(episodes)
    log_spot = np.log(parameters.start_price) + np.concatenate([[0.0], np.cumsum(steps)])
    premium = {
        market: _premium(rng, parameters, pull) for market, pull in (("um", 1.0), ("deribit", 0.7))
    }
    premium["cm"] = premium["um"]
    return State(coin, parameters, episodes, flows, log_spot, variance, premium, impact_bps)


def _variance(rng: np.random.Generator, p: Parameters, shocks: Floats) -> Floats:
    """Square-root process per minute, whose shocks lean against the price's."""
    by_price = shocks.reshape(-1, 60).sum(axis=1) / np.sqrt(60)
    noise = p.leverage * by_price + np.sqrt(1 - p.leverage**2) * rng.standard_normal(len(by_price))
    dt = 60 / YEAR_S
    path = np.empty(len(noise) + 1)
    path[0] = v = p.variance_start
    for i, shock in enumerate(noise):
        v += p.reversion * (p.variance_mean - v) * dt + p.vol_of_variance * np.sqrt(v * dt) * shock
        path[i + 1] = v = max(v, 0.01)
    return path


def _activity(variance: Floats) -> Floats:
    """Relative intensity per minute: busier in the afternoon (UTC) and in volatile minutes."""
    hour = MINUTES[:-1] / 3_600
    diurnal = 1 + 0.45 * np.sin((hour - 9) * np.pi / 12)
    return np.asarray(diurnal * np.sqrt(variance[:-1] / variance.mean()))


def _impact(
    coin: Coin, p: Parameters, flows: dict[str, Flow], spread: Floats
) -> tuple[Floats, Floats]:
    """Log move per second from net taker flow, and the impact per hour in bps per USD million.

    Placebo bursts push nothing: their orders say nothing about the price.
    """
    net = np.zeros(len(spread))
    for listing in LISTINGS:
        if listing.coin is coin and listing.market in ("spot", "um"):
            f = flows[listing.instrument_id]
            moves = f.kind != flow.PLACEBO
            second = (f.at[moves] - FIRST_S).astype(np.int64)
            usd = p.start_price * (f.sign * f.size)[moves]
            net += np.bincount(second, weights=usd, minlength=len(spread))
    per_usd = 0.22 * spread.mean() / net.std() * p.impact
    return net * np.repeat(per_usd, 3_600), per_usd * 1e6 * 1e4


def _information(episodes: tuple[Episode, ...]) -> Floats:
    drift = np.zeros(len(SECONDS) - 1)
    for e in episodes:
        drift[e.start_s - FIRST_S : e.end_s - FIRST_S] += (
            e.direction * e.log_move / (e.end_s - e.start_s)
        )
    return drift


def _premium(rng: np.random.Generator, p: Parameters, pull: float) -> Floats:
    """Mean-reverting premium per minute with one planted shock of four hours."""
    shock = (p.shock_start_s <= MINUTES) & (p.shock_start_s + 4 * 3_600 > MINUTES)
    target = pull * (p.premium_mean + np.where(shock, p.premium_shock, 0.0))
    keep = np.exp(-1 / 30)
    noise = 0.00012 * np.sqrt(1 - keep**2) * rng.standard_normal(len(MINUTES))
    path = np.empty(len(MINUTES))
    value = target[0]
    for i, (goal, shake) in enumerate(zip(target, noise, strict=True)):
        path[i] = value = goal + keep * (value - goal) + shake
    return path
