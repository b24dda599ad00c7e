"""Which perpetuals and futures stand beside the options, and at which prices?"""

from dataclasses import dataclass
from datetime import date

import numpy as np

from pipelines.simulator import chain
from pipelines.simulator.paths import State
from pipelines.simulator.prints import HALF_SPREAD
from pipelines.simulator.world import Coin, Floats


@dataclass(frozen=True, slots=True)
class Instrument:
    """A perpetual or dated future as Deribit names it."""

    coin: Coin
    symbol: str
    tick: float
    expires_s: float | None

    def fair(self, state: State, at: Floats) -> Floats:
        if self.expires_s is None:
            return state.perpetual("deribit", at)
        return state.forward(at, np.array(self.expires_s))


def instruments(coin: Coin, day: date) -> tuple[Instrument, ...]:
    """The perpetual and the two dated futures of a coin."""
    dated = (
        Instrument(
            coin,
            f"{coin.name}-{chain.venue_date(expiry)}",
            coin.future_tick,
            chain.expiry_seconds(day, expiry),
        )
        for expiry in chain.future_expiries(day)
    )
    return (Instrument(coin, f"{coin.name}-PERPETUAL", coin.perpetual_tick, None), *dated)


def book(instrument: Instrument, state: State, at: Floats) -> tuple[Floats, Floats]:
    """Best bid and ask on the instrument's ticks, at seconds after midnight."""
    fair, tick = instrument.fair(state, at), instrument.tick
    half = HALF_SPREAD["deribit"] * fair * (1.0 if instrument.expires_s is None else 3.0)
    bid = np.floor((fair - half) / tick) * tick
    ask = np.ceil((fair + half) / tick) * tick
    return np.round(bid, 2), np.round(ask, 2)
