"""How does an option exchange quote the mixture? Ticks, spreads, missing wings, stale quotes."""

from dataclasses import dataclass

import numpy as np

from pipelines.simulator import expiries, mispricing, mixture, noise
from pipelines.simulator.expiries import Board
from pipelines.simulator.paths import State
from pipelines.simulator.world import DAY_S, Floats, Ints, epoch_us

SNAPSHOT_STEP_S = 1_800
FIRST_SNAPSHOT_S = 300  # five past, so that no stamp falls into the day before
REQUOTE_S = 20  # quotes change their place in the spread this often,
STALE_S = 300  # and whether somebody forgot one is drawn anew this often
STALE_SHARE, STALE_LAG_S = 0.01, 120.0


@dataclass(frozen=True, slots=True)
class Quotes:
    """Quotes of options at instants: arrays of one shape, prices in coin.

    `place` is the option's on the board. NaN where there is no quote. `is_listed` is False once an
    option has expired.
    """

    board: Board
    at_s: Floats
    place: Ints
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
    lag_s: Floats  # how long before the instant the row was stamped


def board(state: State) -> Board:
    """The options listed on the state's day."""
    return expiries.board(state.coin, state.seed, state.size, state.day)


def snapshot_seconds(size: float) -> Floats:
    """Every half hour from five past midnight; every hour in a world smaller than a ninth."""
    step = SNAPSHOT_STEP_S * min(2, max(1, round(0.5 / np.sqrt(size))))
    return np.arange(FIRST_SNAPSHOT_S, DAY_S, step, dtype=float)


def snapshot(state: State, at_s: Floats) -> Quotes:
    """The whole board at every instant (seconds after midnight): shape (instants, options)."""
    return quote(state, np.asarray(at_s, float)[:, None], np.arange(len(board(state))))


@dataclass(frozen=True, slots=True)
class Valued:
    """What options are worth: forwards, years, total deviations and marks in coin."""

    forward: Floats
    t_years: Floats
    deviation: Floats
    usd: Floats

    @property
    def mark(self) -> Floats:
        return np.asarray(self.usd / self.forward)


def value(state: State, at_s: Floats, place: Ints) -> Valued:
    """The mixture's price of options at instants, where nothing is bent (mispricing.py).

    An expired one gets a minute.
    """
    listed = board(state)
    expires_s = listed.expires_s[place]
    t_years = mixture.years(np.where(at_s < expires_s, expires_s - at_s, 60.0))
    forward = state.forward(at_s, expires_s)
    deviation = mixture.total_deviation(state.parameters, state.variance_at(at_s), t_years)
    log_moneyness = np.log(listed.strike[place] / forward)
    deviation = mispricing.bent_deviation(state, at_s, expires_s, log_moneyness, deviation)
    usd = mixture.price(
        state.parameters, forward, listed.strike[place], deviation, listed.is_call[place]
    )
    return Valued(forward, t_years, deviation, usd)


def implied(state: State, worth: Valued, place: Ints, coin_price: Floats) -> Floats:
    """Black vol of prices in coin, annualised decimal; NaN where there is none."""
    listed = board(state)
    known = np.nan_to_num(coin_price)
    return mixture.implied_vol(
        known * worth.forward,
        worth.forward,
        listed.strike[place],
        worth.t_years,
        listed.is_call[place],
    )


def quote(state: State, at_s: Floats, place: Ints) -> Quotes:
    """Quotes of the options at `place` at seconds after midnight; arguments broadcast.

    Deterministic in its arguments: asking twice, or for one option alone, gives the same quote.
    """
    listed = board(state)
    at, place = np.broadcast_arrays(np.asarray(at_s, float), place)
    identity = noise.keys(listed.symbol)[place]
    absolute = at + epoch_us(state.day) / 1e6
    purpose = noise.key(state.seed, state.coin.name, "chain")

    worth = value(state, at, place)
    bid, ask, is_stale = sides(state, at, place, worth)
    before = value(state, np.maximum(at - 1_800, 0.0), place)
    lag = noise.uniform(purpose + 2, identity, absolute // STALE_S)
    has_traded = noise.uniform(purpose + 7, identity) < 0.7
    lots = [
        np.ceil(60 * np.exp(noise.normal(purpose + 20 + side, identity, absolute // REQUOTE_S)))
        for side in (0, 2)
    ]
    return Quotes(
        board=listed,
        at_s=at,
        place=place,
        is_listed=at < listed.expires_s[place],
        forward=worth.forward,
        t_years=worth.t_years,
        mark=worth.mark,
        mark_iv=implied(state, worth, place, worth.mark),
        bid=bid,
        ask=ask,
        bid_lots=lots[0].astype(np.int64),
        ask_lots=lots[1].astype(np.int64),
        last=np.where(has_traded, tick_up(before.mark), np.nan),
        open_interest_lots=_open_interest(state, worth, place, identity, absolute),
        lag_s=0.2 + 7.8 * lag + STALE_LAG_S * is_stale,
    )


def sides(
    state: State, at: Floats, place: Ints, worth: Valued
) -> tuple[Floats, Floats, np.ndarray]:
    """Bid and ask in coin, and whether they are of some minutes before because somebody forgot."""
    identity = noise.keys(board(state).symbol)[place]
    absolute = at + epoch_us(state.day) / 1e6
    purpose = noise.key(state.seed, state.coin.name, "chain")
    is_stale = noise.uniform(purpose + 1, identity, absolute // STALE_S) < STALE_SHARE
    bid, ask = _two_sides(state, at, place, worth)
    if is_stale.any():
        earlier = np.maximum(at[is_stale] - STALE_LAG_S - STALE_S, 0.0)
        of = place[is_stale]
        bid[is_stale], ask[is_stale] = _two_sides(state, earlier, of, value(state, earlier, of))
    return bid, ask, is_stale


def _two_sides(state: State, at_s: Floats, place: Ints, worth: Valued) -> tuple[Floats, Floats]:
    """Bid and ask on their ticks. Nobody bids for dust; some sides are empty."""
    identity = noise.keys(board(state).symbol)[place]
    absolute = at_s + epoch_us(state.day) / 1e6
    purpose = noise.key(state.seed, state.coin.name, "chain")

    def draw(what: int) -> Floats:
        return noise.uniform(purpose + what, identity, absolute // REQUOTE_S)

    half, depth = half_spread(state, worth, place)
    lean = np.clip((draw(3) + draw(4) - 1) * 0.6, -0.5, 0.5)
    centre = worth.mark + half * lean
    bid, ask = tick_down(centre - half), tick_up(centre + half)
    dear = mispricing.half_spreads(state, at_s, place) * (ask - bid) / 2
    bid, ask = tick_down(bid + dear), tick_up(ask + dear)
    chance = draw(5)
    no_bid = (bid <= 0) | ((worth.mark < 0.0004) & (chance < 0.4)) | (chance < 0.015)
    no_ask = (chance > 0.99) | ((depth > 2) & (chance > 0.96)) | (chance < 0.005)
    return np.where(no_bid, np.nan, bid), np.where(no_ask, np.nan, ask)


def half_spread(state: State, worth: Valued, place: Ints) -> tuple[Floats, Floats]:
    """In coin: some tenths of a vol point, more in the wings and deep in the money; and depth."""
    listed = board(state)
    strike, is_call = listed.strike[place], listed.is_call[place]
    depth = np.abs(np.log(strike / worth.forward)) / worth.deviation
    vega_coin = np.exp(-0.5 * depth**2) / np.sqrt(2 * np.pi)
    vol_part = vega_coin * worth.deviation * 0.008 * (1 + 0.6 * depth)
    intrinsic = np.maximum(np.where(is_call, 1, -1) * (1 - strike / worth.forward), 0.0)
    is_wing = (depth > 1) & (intrinsic == 0)
    model_part = vol_part + 0.02 * worth.mark * is_wing
    return np.maximum(0.5 * tick(worth.mark), model_part) + 0.01 * intrinsic, depth


def _open_interest(
    state: State, worth: Valued, place: Ints, identity: np.ndarray, absolute: Floats
) -> Ints:
    """In lots: largest at the money and at the far expiries, drifting from day to day."""
    purpose = noise.key(state.seed, state.coin.name, "interest")
    strike = board(state).strike[place]
    distance = np.abs(np.log(strike / worth.forward)) / np.maximum(worth.deviation, 0.05)
    days, within = np.divmod(absolute / DAY_S, 1.0)
    today, tomorrow = (noise.normal(purpose + 2, identity, days + n) for n in (0, 1))
    drift = 0.15 * (today + (tomorrow - today) * within)
    level = 300 * np.exp(0.8 * noise.normal(purpose, identity) - 0.3 * np.minimum(distance, 5))
    return np.asarray(np.floor(level * np.exp(drift)).astype(np.int64))


def tick(coin_price: Floats) -> Floats:
    """A ten-thousandth below half a per cent of a coin, five above."""
    return np.asarray(np.where(coin_price < 0.005 - 1e-9, 0.0001, 0.0005))


def tick_down(coin_price: Floats) -> Floats:
    """The highest listed price not above."""
    step = tick(coin_price)
    return np.asarray(np.round(np.floor(coin_price / step + 1e-6) * step, 4))


def tick_up(coin_price: Floats) -> Floats:
    """The lowest listed price not below."""
    step = tick(coin_price)
    return np.asarray(np.round(np.ceil(coin_price / step - 1e-6) * step, 4))


def atm_vols(state: State, at_s: Floats) -> tuple[Floats, Floats, Floats]:
    """Planted forward and at-the-money vol per instant and expiry; NaN once expired.

    Returns the expiries' seconds (E), forwards and vols, both (instants, E).
    """
    expires_s = np.unique(board(state).expires_s)
    at = np.asarray(at_s, float)[:, None]
    t_years = mixture.years(np.maximum(expires_s - at, 60.0))
    forward = state.forward(at, expires_s)
    deviation = mixture.total_deviation(state.parameters, state.variance_at(at), t_years)
    deviation = mispricing.bent_deviation(state, at, expires_s, np.array(0.0), deviation)
    usd = mixture.price(state.parameters, forward, forward, deviation, True)
    vols = mixture.implied_vol(usd, forward, forward, t_years, True)
    return expires_s, forward, np.where(at < expires_s, vols, np.nan)
