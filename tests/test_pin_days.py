"""Which days does the estimate of informed trading rest on? Those that were recorded whole."""

import duck_sql
import numpy as np
import polars as pl
import pytest

from warehouse.functions import pin

DAYS, HALF = 34, 20
MINUTE_US = 60_000_000
BARS = {
    "instrument_id": pl.String, "minute_at": pl.Datetime, "coverage_share": pl.Float64,
    "available_at": pl.Datetime,
}  # fmt: skip


@pytest.fixture(scope="module")
def counts():
    """Buys and sells of noise by day and minute; of one day the morning was not recorded."""
    found = np.random.default_rng(2).poisson(0.7, (2, DAYS, 1440))
    found[:, HALF, :720] = 0
    return found


@pytest.fixture(scope="module")
def estimates(counts):
    days = [
        {
            "venue": "v", "underlying": "X", "instrument_id": "v:X/USD",
            "minutes": [
                {
                    "minute": 1440 * day + m, "buys": int(buys), "sells": int(sells),
                    "unsided": 0, "newest_us": (1440 * day + m) * MINUTE_US, "known_us": 0,
                }
                for m, (buys, sells) in enumerate(counts[:, day].T)
            ],
        }
        for day in range(DAYS)
    ]  # fmt: skip
    frames = {"int_flow_days": pl.DataFrame(days), "bars_1m": pl.DataFrame(schema=BARS)}
    with duck_sql.world(frames, (), ("pin_1d",)) as connection:
        return connection.sql("from pin_1d order by day_at").pl()


def test_half_a_day_would_look_like_news(counts):
    assert pin.pin(*counts.sum(axis=2)).pin > 0


def test_half_a_day_is_left_out_of_the_days_after_it_and_they_say_so(estimates):
    last = estimates.row(-1, named=True)
    assert (last["days_used"], last["pin"]) == (DAYS - 1, 0.0)
    assert last["quality_flags"] == ["no_news_found", "partial_days"]
    assert estimates["days_used"].to_list() == [n + (n < HALF) for n in range(DAYS)]
    is_marked = [("partial_days" in flags) for flags in estimates["quality_flags"]]
    assert is_marked == [n >= HALF for n in range(DAYS)]
