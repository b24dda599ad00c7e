"""At which price does each order fill, and under which id is the print recorded?"""

from dataclasses import dataclass, replace

import numpy as np
import polars as pl

from pipelines.simulator.flow import depth_in_sweep
from pipelines.simulator.paths import State
from pipelines.simulator.world import DAY_S, Floats, Ints, Listing

HALF_SPREAD = {"spot": 0.00003, "um": 0.00002, "cm": 0.00006, "deribit": 0.00004}
EDGE_PRINTS = 200
# the venue's clock counts milliseconds, except spot since 2025
STAMP_US = {"spot": 1, "um": 1_000, "cm": 1_000, "deribit": 1_000}


@dataclass(frozen=True, slots=True)
class Prints:
    """Every print of one market over its day and the near edges of both neighbours.

    `at_us` is the venue's stamp in microseconds after midnight, `lots` the size in `listing.lot`.
    """

    listing: Listing
    trade_id: Ints
    at_us: Ints
    sign: Ints
    price: Floats
    lots: Ints
    kind: Ints

    def of_day(self, offset: int) -> "Prints":
        """The prints of the day itself (0), of the one before (-1) or after (1)."""
        return self.where(self.at_us // (DAY_S * 1_000_000) == offset)

    def where(self, keep: np.ndarray) -> "Prints":
        return replace(
            self,
            trade_id=self.trade_id[keep],
            at_us=self.at_us[keep],
            sign=self.sign[keep],
            price=self.price[keep],
            lots=self.lots[keep],
            kind=self.kind[keep],
        )

    def __len__(self) -> int:
        return len(self.trade_id)

    @property
    def quantity_base(self) -> Floats:
        quantity = self.lots * self.listing.lot
        if self.listing.contract_usd:
            return np.asarray(quantity * self.listing.contract_usd / self.price)
        return np.asarray(quantity)


def prints(state: State, listing: Listing) -> Prints:
    """Orders of one market, filled around its fair price: buys above, sells below."""
    flow = state.flows[listing.instrument_id]
    stamp = STAMP_US[listing.market]
    at_us = np.floor(flow.at * 1e6 / stamp).astype(np.int64) * stamp
    at = at_us / 1e6
    spot = state.spot(at)
    fair = spot if listing.market == "spot" else state.perpetual(listing.market, at)
    # spreads widen with volatility
    width = np.sqrt(state.variance_at(at) / state.parameters.variance_mean)
    half = np.maximum(HALF_SPREAD[listing.market] * width * fair, listing.tick / 2)
    level = depth_in_sweep(at_us, flow.sign)
    ticks = np.where(
        flow.sign > 0,
        np.ceil((fair + half) / listing.tick) + level,
        np.floor((fair - half) / listing.tick) - level,
    )
    price = np.round(ticks * listing.tick, 2)
    size = flow.size * fair / listing.contract_usd if listing.contract_usd else flow.size
    lots = np.maximum(1, np.round(size / listing.lot)).astype(np.int64)
    everything = Prints(listing, np.arange(len(flow)), at_us, flow.sign, price, lots, flow.kind)
    return _number(everything)


def _number(everything: Prints) -> Prints:
    """Keep the day and the nearest prints of its neighbours; number them without a hole."""
    day_us = DAY_S * 1_000_000
    first, last = np.searchsorted(everything.at_us, [0, day_us])
    place = np.arange(len(everything))
    kept = everything.where((place >= first - EDGE_PRINTS) & (place < last + EDGE_PRINTS))
    ids = everything.listing.first_id + np.arange(len(kept))
    return replace(kept, trade_id=ids)


def truth(day_prints: Prints, midnight_us: int) -> pl.DataFrame:
    """What really traded, holes and damage included: one row per print."""
    p = day_prints
    kinds = np.array(["background", "informed", "placebo"])
    return pl.DataFrame(
        {
            "instrument_id": pl.repeat(p.listing.instrument_id, len(p), eager=True),
            "trade_id": pl.Series(p.trade_id).cast(pl.String),
            "event_at": pl.Series(p.at_us + midnight_us).cast(pl.Datetime("us", "UTC")),
            "side": pl.Series(np.where(p.sign > 0, "buy", "sell")),
            "price": p.price,
            "quantity_base": p.quantity_base,
            "origin": pl.Series(kinds[p.kind]),
        }
    )
