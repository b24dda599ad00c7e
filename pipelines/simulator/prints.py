"""At which price does each order fill, and under which id is the print recorded?"""

from dataclasses import dataclass, fields, replace

import numpy as np
import polars as pl

from pipelines.simulator import noise
from pipelines.simulator.flow import depth_in_sweep
from pipelines.simulator.levels import first_ids, place
from pipelines.simulator.paths import State, flow_of
from pipelines.simulator.stress import forced_share
from pipelines.simulator.world import Floats, Ints, Listing, epoch_us

HALF_SPREAD = {"spot": 0.00003, "um": 0.00002, "cm": 0.00006, "deribit": 0.00004}
DATED_SPREAD = 3.0  # of a dated future, in perpetuals' spreads
BLOCK_SHARE, FORCED_SHARE = 0.002, 0.004  # of Deribit's prints
# the venue's clock counts milliseconds, except spot since 2025
STAMP_US = {"spot": 1, "um": 1_000, "cm": 1_000, "deribit": 1_000}
KINDS = np.array(["background", "informed", "placebo", "momentum"])


@dataclass(frozen=True, slots=True)
class Prints:
    """Every print of one market's day, in the venue's own order.

    `at_us` is the venue's stamp in microseconds after midnight, `lots` the size in `listing.lot`.
    `trade_id` counts without a hole, over midnights too.
    """

    listing: Listing
    midnight_us: int  # of the day, since 1970
    trade_id: Ints
    at_us: Ints
    sign: Ints
    price: Floats
    lots: Ints
    kind: Ints
    is_block: np.ndarray
    is_forced: np.ndarray

    def where(self, keep: np.ndarray | slice) -> "Prints":
        columns = [f.name for f in fields(self) if f.name not in ("listing", "midnight_us")]
        return replace(self, **{name: getattr(self, name)[keep] for name in columns})

    def __len__(self) -> int:
        return len(self.trade_id)

    @property
    def quantity_base(self) -> Floats:
        quantity = self.lots * self.listing.lot
        if self.listing.contract_usd:
            return np.asarray(quantity * self.listing.contract_usd / self.price)
        return np.asarray(quantity)


def half_spread(state: State, listing: Listing, at: Floats, fair: Floats) -> Floats:
    """From fair to the best quote, in quote currency; it widens with volatility."""
    width = np.sqrt(state.variance_at(at) / state.parameters.variance_mean)
    share = HALF_SPREAD[listing.market] * (1.0 if listing.expires is None else DATED_SPREAD)
    return np.asarray(np.maximum(share * width * fair, listing.tick / 2))


def best_ticks(state: State, listing: Listing, at: Floats) -> tuple[Ints, Ints]:
    """Best bid and ask in whole ticks, at seconds after midnight."""
    fair = state.fair(listing, at)
    half = half_spread(state, listing, at, fair)
    bid = np.floor((fair - half) / listing.tick)
    ask = np.ceil((fair + half) / listing.tick)
    return bid.astype(np.int64), ask.astype(np.int64)


def prints(state: State, listing: Listing) -> Prints:
    """Orders of one market, filled around its fair price: buys above, sells below."""
    flow = flow_of(state, listing)
    stamp = STAMP_US[listing.market]
    at_us = np.floor(flow.at * 1e6 / stamp).astype(np.int64) * stamp
    at = at_us / 1e6
    bid, ask = best_ticks(state, listing, at)
    level = depth_in_sweep(at_us, flow.sign)
    ticks = np.where(flow.sign > 0, ask + level, bid - level)
    first = int(first_ids(listing, state.seed, state.size)[place(state.day)])
    ids = first + np.arange(len(flow))
    is_block, is_forced = _marked(state, listing, ids, at, flow.sign)
    # a block is agreed away from the book
    away = np.round(noise.normal(noise.key(state.seed, "block"), ids) * 4).astype(np.int64)
    ticks = np.where(is_block, ticks + away, ticks)
    size = np.where(is_block, 40.0, 1.0) * flow.size
    if listing.contract_usd:
        size = size * state.fair(listing, at) / listing.contract_usd
    # every eighth order at Binance has two fills, and each needs a lot
    least = np.where(ids % 8 == 3, 2, 1) if listing.market != "deribit" else 1
    lots = np.maximum(least, np.round(size / listing.lot)).astype(np.int64)
    price = np.round(ticks * listing.tick, 2)
    return Prints(
        listing,
        epoch_us(state.day),
        ids,
        at_us,
        flow.sign,
        price,
        lots,
        flow.kind,
        is_block,
        is_forced,
    )


def _marked(
    state: State, listing: Listing, ids: Ints, at: Floats, sign: Ints
) -> tuple[np.ndarray, np.ndarray]:
    """Which prints were negotiated and which were forced; only Deribit says so on the tape."""
    if listing.market != "deribit":
        return np.zeros(len(ids), dtype=bool), np.zeros(len(ids), dtype=bool)
    draw = noise.uniform(noise.key(state.seed, listing.symbol, "mark"), ids)
    return draw < BLOCK_SHARE, draw > 1 - forced_share(state.plan, at, sign, FORCED_SHARE)


def truth(state: State, p: Prints) -> pl.DataFrame:
    """What really traded, holes and damage included: one row per print."""
    return pl.DataFrame(
        {
            "instrument_id": pl.repeat(p.listing.instrument_id, len(p), eager=True),
            "trade_id": pl.Series(p.trade_id).cast(pl.String),
            "event_at": pl.Series(p.at_us + epoch_us(state.day)).cast(pl.Datetime("us", "UTC")),
            "side": pl.Series(np.where(p.sign > 0, "buy", "sell")),
            "price": p.price,
            "quantity_base": p.quantity_base,
            "is_block": pl.Series(p.is_block),
            "is_liquidation": pl.Series(p.is_forced),
            "origin": pl.Series(KINDS[p.kind]),
        }
    )
