"""What does a best quote do from one print to the next? Every change of it, as Tardis tells it.

The best of the book is drawn anew each second, and once more in the millisecond before a print: a
print fills at the quote that stood there or, as the later fills of a sweep do, through it.
"""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.simulator import books, files
from pipelines.simulator.books import Side
from pipelines.simulator.history import History
from pipelines.simulator.paths import State
from pipelines.simulator.prints import Prints
from pipelines.simulator.stress import feed_faults
from pipelines.simulator.world import DAY_S, LISTINGS, Ints, Listing, epoch_us, stream

STEP_S, LONGEST_STEP_S = 1.0, 20.0
FIRST_S = 0.5  # past midnight, so that the day's first quote is of the day
STREAMED = ("spot", "um", "deribit")  # to who has the rest over the wire
EXCHANGES = {
    "deribit": "deribit",
    "spot": "binance",
    "um": "binance-futures",
    "cm": "binance-delivery",
}


def step(size: float) -> float:
    """Seconds from one drawing to the next: as many as a world of few prints is worth."""
    return min(max(STEP_S / size, STEP_S), LONGEST_STEP_S)


def changes(
    state: State, listing: Listing, at_print_us: Ints, step_s: float = STEP_S
) -> tuple[Ints, Side, Side]:
    """When the best bid or ask changed, microseconds after midnight in whole ms, and to what.

    `at_print_us` are the prints' stamps, `step_s` how often the book is drawn anew beside them.
    """
    drawn = np.round(np.arange(FIRST_S, DAY_S - 1, step_s) * 1e6).astype(np.int64)
    prints = np.unique(at_print_us)
    stamp = np.concatenate([drawn, prints // 1_000 * 1_000 - 1_000])
    at_us = np.concatenate([drawn, prints])
    order = np.lexsort((at_us, stamp))
    stamp, at_us = stamp[order], at_us[order]
    # of one millisecond, the last; and nothing of the day before
    kept = np.append(stamp[1:] != stamp[:-1], True) & (stamp >= 0)
    stamp, at = stamp[kept], at_us[kept] / 1e6
    bid, ask = books.best(state, listing, at)
    told = np.stack([bid.price, bid.lots, ask.price, ask.lots])
    is_change = np.append(True, (told[:, 1:] != told[:, :-1]).any(axis=0))
    return (
        stamp[is_change],
        Side(bid.price[is_change], bid.lots[is_change]),
        Side(ask.price[is_change], ask.lots[is_change]),
    )


def quotes(state: State, p: Prints, step_s: float = STEP_S) -> pl.DataFrame:
    """The day of one market as a Tardis `quotes` file has it: sizes in coin, at Deribit in USD,
    in contracts on COIN-M; arrival some milliseconds after the stamp, in order."""
    listing = p.listing
    stamp, bid, ask = changes(state, listing, p.at_us, step_s)
    delay = stream(state.seed, listing.symbol, "quotes").integers(3_000, 45_000, len(stamp))
    size = listing.contract_usd if listing.market == "deribit" else listing.lot
    midnight = epoch_us(state.day)
    told = pl.DataFrame(
        {
            "exchange": pl.repeat(EXCHANGES[listing.market], len(stamp), eager=True),
            "symbol": pl.repeat(listing.symbol, len(stamp), eager=True),
            "timestamp": stamp + midnight,
            "local_timestamp": np.maximum.accumulate(stamp + delay) + midnight,
            "ask_amount": np.round(ask.lots * float(size), 8),
            "ask_price": ask.price,
            "bid_price": bid.price,
            "bid_amount": np.round(bid.lots * float(size), 8),
        }
    ).filter(pl.col("local_timestamp") < midnight + DAY_S * 1_000_000)
    return _flawed(state, listing, told) if listing.market == "deribit" else told


def _flawed(state: State, listing: Listing, told: pl.DataFrame) -> pl.DataFrame:
    """The rows as the planted faults of the feed leave them."""
    at = pl.Series((told["timestamp"] - epoch_us(state.day)) / 1e6)
    faults = feed_faults(state.coin, state.seed, state.day)
    during = {
        fault.kind: at.is_between(fault.start_s, fault.end_s, closed="left") for fault in faults
    }
    crossed = pl.when(during["crossed"]).then(pl.col("ask_price") + 2 * listing.tick)
    return told.with_columns(
        crossed.otherwise("bid_price").round(2).alias("bid_price"),
        *(
            pl.when(~during["one_sided"]).then(name).alias(name)
            for name in ("ask_price", "ask_amount")
        ),
    ).filter(~during["silent"])


def write(folder: Path, history: History, days: Sequence[date]) -> list[Path]:
    """The quotes of spot and of the perpetuals that trade most, a file a day, market and coin."""
    wanted = [listing for listing in LISTINGS if listing.market in STREAMED]
    return [
        files.write_gzip(
            path(folder, listing.market, day, listing.symbol),
            quotes(
                history.state(listing.coin, day), history.prints(listing, day), step(history.size)
            ),
            level=1,
        )
        for day in days
        for listing in wanted
    ]


def path(folder: Path, market: str, day: date, group: str) -> Path:
    """The name of a downloaded Tardis file."""
    return folder / "tardis" / f"{EXCHANGES[market]}_quotes_{day.isoformat()}_{group}.csv.gz"
