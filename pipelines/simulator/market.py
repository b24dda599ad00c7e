"""What does one seeded day look like on disk, in the venues' own archive formats?"""

from dataclasses import asdict, dataclass
from datetime import date, timedelta
from pathlib import Path

import polars as pl

from pipelines.simulator import (
    binance,
    chain,
    files,
    funding,
    portfolio,
    prints,
    smiles,
    streams,
    stress,
    tardis,
)
from pipelines.simulator import truth as truths
from pipelines.simulator.binance import BadRow, Gap
from pipelines.simulator.paths import DEFAULT_DAY, State, simulate
from pipelines.simulator.prints import Prints
from pipelines.simulator.tardis import Silence
from pipelines.simulator.world import COINS, LISTINGS

DAY = DEFAULT_DAY
EDGE_S = 60  # of the day after: proves where the day ends and hardly lengthens the world


@dataclass(frozen=True, slots=True)
class Market:
    """What was written, and what was planted in it."""

    seed: int
    day: date
    archives: Path  # import this folder,
    portfolio: Path  # then this one
    files: tuple[Path, ...]
    trade_count: int  # valid rows of the day itself in all trade files
    edge_count: int  # rows of the neighbouring days
    option_count: int  # rows of the chain
    snapshot_count: int
    gap: Gap
    bad_rows: tuple[BadRow, ...]
    silence: Silence
    atm_vols: pl.DataFrame  # underlying, expires_at, snapshot_at, forward, atm_iv


def write(
    folder: Path, *, seed: int, day: date = DAY, size: float = 1.0, truth: Path | None = None
) -> Market:
    """Write one UTC day of BTC and ETH below `folder`; the same arguments give the same bytes.

    `size` scales the number of prints (about 385,000 at 1). `truth` receives what was planted, as
    one Parquet file per table. Raises ValueError for a negative seed or a size
    below 0.001, where the planted hole finds no room.
    """
    if seed < 0 or not size >= 0.001:
        raise ValueError(
            f"world: seed was {seed}, size was {size}; need seed >= 0 and size >= 0.001"
        )
    states = simulate(COINS, seed, size, day)
    days = [prints.prints(states[listing.coin.name], listing) for listing in LISTINGS]
    edges = _edges(seed, size, day)
    snapshot_s = chain.snapshot_seconds(size)
    month = funding.month_until(day)
    settlements = [
        funding.settlements(seed, listing, month) for listing in LISTINGS if listing.market == "um"
    ]
    options = tardis.options_chain(list(states.values()), snapshot_s, seed, day)
    streamed = {
        p.listing.instrument_id: streams.quotes(states[p.listing.coin.name], p, streams.step(size))
        for p in days
    }
    at_deribit = {
        p.listing.symbol: streamed[p.listing.instrument_id]
        for p in days
        if p.listing.market == "deribit"
    }
    futures_step_s = min(max(10 / size, 1.0), 60.0)
    recorded = {
        ("options_chain", "OPTIONS"): options,
        ("quotes", "FUTURES"): tardis.quotes(
            states, seed, day, futures_step_s, streamed=at_deribit
        ),
        ("derivative_ticker", "FUTURES"): tardis.derivative_ticker(states, seed, day),
        ("trades", "PERPETUALS"): tardis.trades(
            [p for p in days if p.listing.market == "deribit"], seed, day
        ),
        ("trades", "OPTIONS"): tardis.option_trades(list(states.values()), seed, day),
    }
    archives = folder / "archives"
    at_binance = [p for p in days if p.listing.market != "deribit"]
    written = [
        path
        for p in at_binance
        for path in binance.write_trades(archives, p, edges[p.listing.instrument_id], day)
    ]
    for name, rows in zip(states, settlements, strict=True):
        written.append(binance.write_funding(archives, f"{name}USDT", rows, day))
    written += tardis.write(archives, day, recorded)
    written += [
        files.write_gzip(
            streams.path(archives, p.listing.market, day, p.listing.symbol),
            streamed[p.listing.instrument_id],
        )
        for p in at_binance
    ]
    written += portfolio.write(folder, states, day)
    flawed = next(p for p in days if p.listing.instrument_id == binance.FLAWED)
    gap, bad_rows = binance.planted_gap(flawed, day), binance.planted_bad_rows(flawed)
    lost = gap.last_id - gap.first_id + 1 + len(bad_rows)
    vols = pl.concat([truths.atm_vols(state, snapshot_s) for state in states.values()])
    market = Market(
        seed=seed,
        day=day,
        archives=archives,
        portfolio=folder / "portfolio",
        files=tuple(written),
        trade_count=sum(len(p) for p in days if p.listing.market != "deribit")
        - lost
        + len(recorded["trades", "PERPETUALS"])
        + len(recorded["trades", "OPTIONS"]),
        edge_count=sum(len(e) for pair in edges.values() for e in pair),
        option_count=len(options),
        snapshot_count=len(snapshot_s),
        gap=gap,
        bad_rows=bad_rows,
        silence=tardis.silence(day),
        atm_vols=vols,
    )
    if truth is not None:
        _write_truth(truth, market, states, days, settlements)
    return market


def _edges(seed: int, size: float, day: date) -> dict[str, tuple[Prints, Prints]]:
    """The whole day before and the first minute of the day after, by instrument.

    They prove where the day begins and ends; the day before sizes its volume buckets.
    """
    before, after = (
        simulate(COINS, seed, size, day + timedelta(days=offset)) for offset in (-1, 1)
    )
    found = {}
    for listing in LISTINGS:
        if listing.market != "deribit":
            last = prints.prints(before[listing.coin.name], listing)
            first = prints.prints(after[listing.coin.name], listing)
            found[listing.instrument_id] = (last, first.where(first.at_us < EDGE_S * 1_000_000))
    return found


def _write_truth(
    truth: Path,
    market: Market,
    states: dict[str, State],
    days: list[Prints],
    settlements: list[pl.DataFrame],
) -> None:
    snapshot_s = chain.snapshot_seconds(next(iter(states.values())).size)
    tables = {
        "trades": pl.concat([prints.truth(states[p.listing.coin.name], p) for p in days]),
        "atm_vols": market.atm_vols,
        "smiles": pl.concat([smiles.smiles(s, snapshot_s) for s in states.values()]),
        "vol_index": pl.concat([smiles.index(s, snapshot_s) for s in states.values()]),
        "mispricings": pl.concat([truths.mispricings(s) for s in states.values()]),
        "funding": pl.concat(settlements),
        "gaps": pl.DataFrame([asdict(market.gap)]),
        "bad_rows": pl.DataFrame([asdict(row) for row in market.bad_rows]),
        "silences": pl.DataFrame([asdict(market.silence)]),
        "episodes": pl.DataFrame([asdict(e) for s in states.values() for e in s.episodes]),
        "premium_shocks": truths.shocks(market.seed, [market.day]),
        "stress": stress.truth(market.seed, [market.day]),
        "impact_1h": pl.concat([truths.impact(s) for s in states.values()]),
    }
    for name, frame in tables.items():
        files.write_table(truth, name, frame)
