"""How deep is each book? Twenty levels a side around the best quotes, the same whenever asked."""

from dataclasses import dataclass

import numpy as np

from pipelines.simulator import noise
from pipelines.simulator.paths import State
from pipelines.simulator.prints import best_ticks
from pipelines.simulator.stress import depth_share
from pipelines.simulator.world import Floats, Ints, Listing, epoch_us

LEVELS = 20
REACH_BPS = 14.0  # of the twentieth level from the best, on average: depth within 10 bps is told
TOP_USD = {"spot": 60_000, "um": 150_000, "cm": 50_000, "deribit": 80_000}  # median at the best


@dataclass(frozen=True, slots=True)
class Side:
    """One side of a book, best first: prices in quote currency, sizes in the listing's lots."""

    price: Floats
    lots: Ints


def book(state: State, listing: Listing, at_s: float, levels: int = LEVELS) -> tuple[Side, Side]:
    """Bids and asks at a second after midnight."""
    bid, ask = best_ticks(state, listing, np.array([at_s]))
    return (
        _side(state, listing, at_s, int(bid[0]), -1, levels),
        _side(state, listing, at_s, int(ask[0]), 1, levels),
    )


def best(state: State, listing: Listing, at_s: Floats) -> tuple[Side, Side]:
    """The best bids and asks at many seconds after midnight: the first levels of the books."""
    bid, ask = best_ticks(state, listing, at_s)
    second = epoch_us(state.day) // 1_000_000 + at_s.astype(np.int64)
    return (
        Side(*_sized(state, listing, second, bid, np.array(0), -1)),
        Side(*_sized(state, listing, second, ask, np.array(0), 1)),
    )


def _side(
    state: State, listing: Listing, at_s: float, best: int, direction: int, levels: int
) -> Side:
    second = np.array(epoch_us(state.day) // 1_000_000 + int(at_s))
    level = np.arange(levels)
    # resting orders thin out away from the best, and large ones stand further off
    drawn = noise.uniform(_purpose(state, listing, direction), second, level)
    usual = 2 * REACH_BPS / 1e4 * best / float(np.sum(1 + np.arange(1, LEVELS) / 3))
    gaps = 1 + np.floor(drawn * (1 + level / 3) * usual)
    ticks = best + direction * np.concatenate([[0], np.cumsum(gaps[1:])]).astype(np.int64)
    return Side(*_sized(state, listing, second, ticks, level, direction))


def _purpose(state: State, listing: Listing, direction: int) -> int:
    return noise.key(state.seed, listing.market, listing.symbol, "book", direction)


def _sized(
    state: State, listing: Listing, second: Ints, ticks: Ints, level: Ints, direction: int
) -> tuple[Floats, Ints]:
    price = np.round(ticks * listing.tick, 2)
    usd = TOP_USD[listing.market] / (1 if listing.expires is None else 4)
    drawn = noise.normal(_purpose(state, listing, direction) + 2, second, level)
    share = depth_share(listing.coin, state.seed, state.day, second)
    wanted = usd * share * (1 + level / 5) * np.exp(0.9 * drawn)
    value = listing.contract_usd * listing.lot if listing.contract_usd else price * listing.lot
    return price, np.maximum(1, np.round(wanted / value)).astype(np.int64)


def open_interest_usd(state: State, listing: Listing, at_s: float) -> float:
    """US dollars, drifting from day to day; whole contracts where the market has them."""
    purpose = noise.key(state.seed, listing.market, listing.symbol, "interest")
    day = epoch_us(state.day) // 86_400_000_000
    today, tomorrow = (float(noise.normal(purpose, day + n)) for n in (0, 1))
    drift = 0.06 * (today + (tomorrow - today) * at_s / 86_400)
    level = {"um": 6e9, "cm": 9e8, "deribit": 9e8, "spot": 0.0}[listing.market]
    share = 0.4 if listing.coin.name != "BTC" else 1.0
    usd = level * share * (1 if listing.expires is None else 0.15) * float(np.exp(drift))
    unit = listing.contract_usd or 1
    return unit * round(usd / unit)
