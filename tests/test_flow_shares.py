"""Is a share of a minute ever more than the whole of it?"""

from datetime import datetime, timedelta

import duck_sql
import numpy as np
import polars as pl

DAY = datetime(2026, 3, 1)  # noqa: DTZ001
NAME = {"venue": "v", "underlying": "X", "instrument_id": "v:X/USD"}
STAMP = pl.Datetime("us")
BOOKS = {"snapshot_at": STAMP, "stood_at": STAMP, "available_at": STAMP}
LEVELS = ("bid_price", "ask_price", "bid_quantity_base", "ask_quantity_base")
WIDTHS = (5, 10, 25, 50, 100)


def test_quotes_that_stand_all_the_minute_stand_for_no_more_than_it():
    """A second in parts adds up to a little more or less than one."""
    draw = np.random.default_rng(0)
    seconds = [0, *np.sort(draw.uniform(0, 3600, 40_000)).round(6).tolist()]
    at = [DAY + timedelta(seconds=s) for s in seconds]
    quotes = pl.DataFrame(
        {**NAME, "day_at": DAY, "snapshot_at": at, "received_at": at, "available_at": at}
        | {"bid_price": 99.0, "ask_price": 101.0}
        | {"bid_quantity_base": 1.0, "ask_quantity_base": 1.0, "is_every_update": True}
    )
    depths = {f"depth_{side}_{x}bps_usd": pl.Float64 for side in ("bid", "ask") for x in WIDTHS}
    best = {f"best_{name}": pl.Float64 for name in LEVELS}
    named = dict.fromkeys(NAME, pl.String)
    prints = {"day_at": STAMP, "event_at": STAMP, "available_at": STAMP, "sequence": pl.Int64}
    measures = dict.fromkeys(("price", "quantity_base", "notional_usd"), pl.Float64)
    signs = {"aggressor_sign": pl.Int64, "is_block": pl.Boolean}
    bars = {"minute_at": STAMP, "available_at": STAMP, "coverage_share": pl.Float64}
    frames = {
        "stg_trades": pl.DataFrame(schema=named | prints | measures | signs),
        "stg_quotes": quotes,
        "int_book_depths": pl.DataFrame(schema=named | BOOKS | best | depths),
        "stg_instruments": pl.DataFrame({"instrument_id": ["v:X/USD"], "kind": ["spot"]}),
        "bars_1m": pl.DataFrame(
            schema=named | bars | {"trade_count": pl.Int64, "quality_flags": pl.List(pl.String)}
        ),
    }
    with duck_sql.world(frames, [], ["int_flow_days", "spreads_1m"]) as world:
        shares = world.sql("select quoted_share from spreads_1m order by minute_at").pl()
    whole = shares["quoted_share"][:59]
    assert whole.max() == 1
    assert whole.min() > 1 - 1e-12
