"""Which options trade when, at which prices? Takers hit the quotes that stand at that instant."""

from dataclasses import dataclass

import numpy as np

from pipelines.simulator import chain
from pipelines.simulator.paths import MINUTES, State
from pipelines.simulator.world import Floats, Ints, stream

BLOCK_SHARE = 0.03
INSIDE_SHARE = 0.15  # of prints between the quotes
LAST_MINUTE_S = 60.0  # before expiry nobody trades any more


@dataclass(frozen=True, slots=True)
class OptionPrints:
    """Prints of all options of a coin on a day, by option and time. Prices in coin."""

    place: Ints  # on the board
    sequence: Ints
    at_us: Ints  # after midnight, whole milliseconds
    sign: Ints
    price: Floats
    lots: Ints
    mark: Floats
    iv: Floats  # annualised decimal; NaN where the price has none
    is_block: np.ndarray

    def __len__(self) -> int:
        return len(self.place)


def prints(state: State) -> OptionPrints:
    """Every option print of the day; sequences go on from the day before."""
    rng = stream(state.seed, state.coin.name, "options", state.day.isoformat())
    listed = chain.board(state)
    place = np.repeat(np.arange(len(listed)), listed.count)
    until = np.minimum(listed.expires_s - LAST_MINUTE_S, MINUTES[-1] - 1)[place]
    at = _times(rng, state.activity, until)
    order = np.lexsort((at, place))
    place, at = place[order], at[order]
    starts = np.concatenate([[0], np.cumsum(listed.count)])[place]
    sequence = listed.first_seq[place] + np.arange(len(place)) - starts
    at_us = (at * 1e3).astype(np.int64) * 1_000
    seconds = at_us / 1e6
    worth = chain.value(state, seconds, place)
    bid, ask, _ = chain.sides(state, seconds, place, worth)
    sign = rng.choice(np.array([-1, 1]), len(place))
    mark = np.maximum(worth.mark, 0.0001)
    bid = np.where(np.isnan(bid), np.maximum(chain.tick_down(mark), 0.0001), bid)
    ask = np.where(np.isnan(ask), chain.tick_up(mark), ask)
    middle = chain.tick_up((bid + ask) / 2)
    inside = rng.random(len(place)) < INSIDE_SHARE
    price = np.where(inside, middle, np.where(sign > 0, ask, bid))
    is_block = rng.random(len(place)) < BLOCK_SHARE
    size = np.exp(1.2 * rng.standard_normal(len(place))) * np.where(is_block, 250, 8)
    return OptionPrints(
        place=place,
        sequence=sequence,
        at_us=at_us,
        sign=sign,
        price=price,
        lots=np.ceil(size).astype(np.int64),
        mark=mark,
        iv=chain.implied(state, worth, place, price),
        is_block=is_block,
    )


def _times(rng: np.random.Generator, activity: Floats, until: Floats) -> Floats:
    """Seconds after midnight by the day's activity, each before its own end."""
    edges = np.concatenate([[0.0], np.cumsum(activity)])
    reached = np.interp(until, MINUTES, edges)
    drawn: Floats = np.interp(rng.random(len(until)) * reached, edges, MINUTES)
    return np.minimum(drawn, until)
