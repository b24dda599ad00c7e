"""Are bars the same to the last bit however their prints lie in the lake, and true to them?"""

from collections.abc import Iterator
from datetime import datetime, timedelta

import duck_sql
import duckdb
import numpy as np
import polars as pl
import pytest

DAY = datetime(2026, 3, 1)  # noqa: DTZ001
MINUTES, MARKETS, PRINTS = 30, 20, 300


@pytest.fixture(scope="module")
def prints() -> pl.DataFrame:
    """Prints of contracts of some dollars each, whose coins and dollars are no round numbers."""
    draw = np.random.default_rng(11)
    count = MARKETS * PRINTS
    # Half of the markets stand still: there any rounding is beyond the only price.
    moving = np.round(np.exp(draw.normal(5, 4, count)), 1) + 0.1
    price = np.where(np.arange(count) % 2, moving, 87_654.3)
    dollars = np.round(draw.integers(1, 10**6, count) / 3, 4)
    seconds = draw.integers(0, MINUTES * 60, count).tolist()
    at = [DAY + timedelta(seconds=s) for s in seconds]
    return pl.DataFrame(
        {
            "venue": "v",
            "underlying": "X",
            "instrument_id": [f"v:X{n % MARKETS}/USD" for n in range(count)],
            "trade_id": [str(n) for n in range(count)],
            "sequence": range(count),
            "event_at": at,
            "available_at": at,
            "is_availability_assumed": False,
            "side": draw.choice(["buy", "sell"], count),
            "price": price,
            "quantity_base": dollars / price,
            "notional_usd": dollars,
            "is_block": False,
        }
    )


def bars(prints: pl.DataFrame) -> duckdb.DuckDBPyConnection:
    return duck_sql.world({"stg_trades": prints}, [], ["bars_1m"])


@pytest.fixture(scope="module")
def found(prints: pl.DataFrame) -> Iterator[pl.DataFrame]:
    with bars(prints) as world:
        yield world.sql("from bars_1m order by instrument_id, minute_at").pl()


def test_a_mean_price_lies_between_the_prices_of_its_minute(found):
    assert found.height > MARKETS * MINUTES * 0.9
    assert (found["vwap"] >= found["low_price"]).all()
    assert (found["vwap"] <= found["high_price"]).all()


def test_the_order_of_prints_in_the_lake_moves_no_bit(prints, found):
    shuffled = prints.sample(fraction=1.0, shuffle=True, seed=3)
    with bars(shuffled) as world:
        again = world.sql("from bars_1m order by instrument_id, minute_at").pl()
    assert again.equals(found)


def test_what_was_bought_less_sold_adds_up_exactly_over_the_day(prints, found):
    units = [round(usd * 10**4) for usd in prints["notional_usd"]]
    signed = [u if s == "buy" else -u for u, s in zip(units, prints["side"], strict=True)]
    told = list(zip(prints["instrument_id"], prints["event_at"], signed, strict=True))
    for row in found.sample(50, seed=1).iter_rows(named=True):
        end = row["minute_at"] + timedelta(minutes=1)
        exact = sum(u for name, at, u in told if name == row["instrument_id"] and at < end)
        assert row["cvd_usd"] == exact / 10**4
