"""What really happened on the served days? One Parquet file per table, for tests and scores.

Everything is here that the venues ever served for those days, in its final version: also trades
that they served late, lost or corrected.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from datetime import date, datetime, timedelta
from itertools import chain as chain_of
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.simulator import chain, funding, mispricing, smiles, stress, tape
from pipelines.simulator.history import History
from pipelines.simulator.listings import listings
from pipelines.simulator.paths import State, response
from pipelines.simulator.world import COINS, EPOCH, Floats, Listing, draw_plan, epoch_us, instant

INSTANT = pl.Datetime("us", "UTC")
SNAPSHOT_S = 1_800.0  # vols are noted this often
HOUR_US = 3_600_000_000
SHOCK_S = 4 * 3_600  # that a shock to the premium lasts


def write(folder: Path, history: History, days: Sequence[date]) -> None:
    """Write or complete the tables below `folder`; rows of the same days are replaced."""
    folder.mkdir(parents=True, exist_ok=True)
    _merge(folder / "trades.parquet", "event_at", days, _trades(history, days))
    small = {
        "funding": ("event_at", _funding(history, days)),
        "atm_vols": ("snapshot_at", _each(history, days, _vols)),
        "smiles": ("snapshot_at", _each(history, days, _smiles)),
        "vol_index": ("snapshot_at", _each(history, days, _index)),
        "mispricings": ("started_at", _each(history, days, mispricings)),
        "impact_1h": ("hour_at", _each(history, days, impact)),
        "episodes": ("started_at", _each(history, days, _episodes)),
        "premium_shocks": ("started_at", shocks(history.seed, days)),
        "stress": ("started_at", stress.truth(history.seed, days)),
    }
    for name, (time, frame) in small.items():
        _merge(folder / f"{name}.parquet", time, days, iter([frame]))


def _merge(path: Path, time: str, days: Sequence[date], frames: Iterator[pl.DataFrame]) -> None:
    """One frame in memory at a time; the file is replaced when all of it is written."""
    draft = path.with_suffix(".draft")
    writer: pq.ParquetWriter | None = None
    for frame in chain_of(_kept(path, time, days), frames):
        table: pa.Table = frame.to_arrow()
        if writer is None:
            writer = pq.ParquetWriter(draft, table.schema, compression="zstd")
        writer.write_table(table)
    if writer is not None:
        writer.close()
        draft.replace(path)


def _kept(path: Path, time: str, days: Sequence[date]) -> Iterator[pl.DataFrame]:
    """What the file already says of other days."""
    if not path.exists():
        return
    held = pl.scan_parquet(path)
    yield held.filter(~pl.col(time).dt.date().is_in(list(days))).collect()


def _trades(history: History, days: Sequence[date]) -> Iterator[pl.DataFrame]:
    """Every print, in the ids that the venues' tapes have: aggregates of Binance."""
    for day in days:
        for listing in listings(day):
            if listing.market != "deribit":
                prints = history.prints(listing, day)
                if len(prints):
                    yield tape.order_truth(history.state(listing.coin, day), prints)
        for coin in COINS:
            yield tape.truth(coin.name, history.tape(coin, day))


def _each(
    history: History, days: Sequence[date], rows: Callable[[State], pl.DataFrame]
) -> pl.DataFrame:
    return pl.concat([rows(history.state(coin, day)) for day in days for coin in COINS])


def _funding(history: History, days: Sequence[date]) -> pl.DataFrame:
    """Settled rates of both venues; `rate` is for the interval that ends at the row."""
    parts = []
    for day in days:
        for listing in listings(day):
            if listing.expires is None and listing.market in ("um", "cm") and day > EPOCH:
                parts.append(
                    funding.settlements(history.seed, listing, [day])
                    .select("instrument_id", "event_at", "rate", "premium_average")
                    .with_columns(interval_s=_interval_s(history, day, listing))
                )
        parts += [_hourly(history, coin.name, day) for coin in COINS if day > EPOCH]
    return pl.concat(parts)


def _interval_s(history: History, day: date, listing: Listing) -> pl.Expr:
    """A row at midnight ends the last interval of the day before."""
    today, before = (
        3_600 * funding.interval_hours(history.seed, listing, d)
        for d in (day, day - timedelta(days=1))
    )
    return pl.when(pl.col("event_at").dt.hour() == 0).then(before).otherwise(today).cast(pl.Int32)


def _hourly(history: History, name: str, day: date) -> pl.DataFrame:
    coin = next(coin for coin in COINS if coin.name == name)
    # the row of midnight is the last hour of the day before
    paid = history.interest(coin, day)[23:47]
    stamps = epoch_us(day) + HOUR_US * np.arange(24)
    return pl.DataFrame(
        {
            "instrument_id": pl.repeat(f"deribit:{name}/USD:{name}", 24, eager=True),
            "event_at": pl.Series(stamps).cast(INSTANT),
            "rate": paid,
            "premium_average": pl.repeat(None, 24, dtype=pl.Float64, eager=True),
            "interval_s": pl.repeat(3_600, 24, dtype=pl.Int32, eager=True),
        }
    )


def _vols(state: State) -> pl.DataFrame:
    return atm_vols(state, np.arange(0, 86_400, SNAPSHOT_S))


def _smiles(state: State) -> pl.DataFrame:
    return smiles.smiles(state, np.arange(0, 86_400, SNAPSHOT_S))


def _index(state: State) -> pl.DataFrame:
    return smiles.index(state, np.arange(0, 86_400, SNAPSHOT_S))


def atm_vols(state: State, at_s: Floats) -> pl.DataFrame:
    """The planted forward and at-the-money vol, one row per expiry and instant while listed."""
    expires_s, forward, vols = chain.atm_vols(state, at_s)
    snapshots, expires = np.meshgrid(at_s, expires_s, indexing="ij")
    midnight = epoch_us(state.day)

    def instants(seconds: Floats) -> pl.Series:
        return pl.Series((seconds.ravel() * 1e6).astype(np.int64) + midnight).cast(INSTANT)

    frame = pl.DataFrame(
        {
            "underlying": pl.repeat(state.coin.name, vols.size, eager=True),
            "expires_at": instants(expires),
            "snapshot_at": instants(snapshots),
            "forward": forward.ravel(),
            "atm_iv": vols.ravel(),
        }
    )
    return frame.filter(pl.col("atm_iv").is_not_nan())


def impact(state: State) -> pl.DataFrame:
    """Planted impact of net taker flow on Binance, spot and USD-M together, hour by hour."""
    hours = np.arange(24)
    return pl.DataFrame(
        {
            "underlying": pl.repeat(state.coin.name, len(hours), eager=True),
            "hour_at": pl.Series(hours * HOUR_US + epoch_us(state.day)).cast(INSTANT),
            "impact_bps_per_million_usd": state.impact_bps,
            # with what will pass again: what a regression over steps of 10 s should find
            "impact_10s_bps_per_million_usd": response(10) * state.impact_bps,
        }
    )


def shocks(seed: int, days: Sequence[date]) -> pl.DataFrame:
    """What is planted in the perpetuals' premium, never in a rate: four hours on most days.

    `premium` is a fraction of spot; funding's clamp hides those below its width.
    """
    rows = [
        (coin.name, instant(day, start), instant(day, start + SHOCK_S), plan.premium_shock)
        for day in days
        for coin in COINS
        for plan in [draw_plan(coin, day, seed)]
        for start in [plan.shock_start_s]
        if plan.premium_shock
    ]
    names = ["underlying", "started_at", "ended_at", "premium"]
    types = [pl.String(), INSTANT, INSTANT, pl.Float64()]
    frame = pl.DataFrame(rows, dict(zip(names, types, strict=True)), orient="row")
    return frame.with_columns(is_hidden=pl.col("premium").abs() < funding.CLAMP)


def mispricings(state: State) -> pl.DataFrame:
    """What is priced wrongly: a whole expiry, or one option by some half spreads."""
    asked = (state.coin, state.seed, state.size, state.day)
    board = chain.board(state)
    rows = [
        (b.kind, None, b.expires_s, b.start_s, b.end_s, None) for b in mispricing.bends(*asked)
    ] + [
        (
            "rich",
            tape.unified(state, board, r.place),
            float(board.expires_s[r.place]),
            r.start_s,
            r.end_s,
            r.half_spreads,
        )
        for r in mispricing.riches(*asked)
    ]
    moments = ("expires_at", "started_at", "ended_at")
    frame = pl.DataFrame(
        rows,
        schema={
            "kind": pl.String,
            "instrument_id": pl.String,
            **dict.fromkeys(moments, pl.Float64),
            "half_spreads": pl.Float64,
        },
        orient="row",
    )
    return frame.select(
        pl.lit(state.coin.name).alias("underlying"),
        "kind",
        "instrument_id",
        *(
            (pl.col(name) * 1e6 + epoch_us(state.day)).cast(pl.Int64).cast(INSTANT)
            for name in moments
        ),
        "half_spreads",
    )


def _episodes(state: State) -> pl.DataFrame:
    """What was planted of unusual whiles, informed or not."""
    frame = pl.DataFrame([asdict(episode) for episode in state.episodes])
    midnight = datetime.combine(state.day, datetime.min.time())
    return frame.select(
        pl.col("coin").alias("underlying"),
        "is_informed",
        "kind",
        "direction",
        "log_move",
        *(
            (pl.lit(midnight) + pl.duration(seconds=pl.col(old)))
            .dt.replace_time_zone("UTC")
            .cast(INSTANT)
            .alias(new)
            for old, new in (("start_s", "started_at"), ("end_s", "ended_at"))
        ),
    )
