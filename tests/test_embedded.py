"""The embedded market on a moved clock: no wait takes time, and it leaves with its client."""

import socket
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.simulator.embedded import embedded
from pipelines.simulator.wire.server import SimulatorError
from pipelines.venues.deribit import Deribit
from warehouse.location import Location

DAY = date(2026, 3, 10)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
SIZE = 0.002


def test_a_wait_moves_both_clocks_and_takes_no_time(tmp_path):
    spec = "429:1@300"
    with embedded(Location(tmp_path), seed=3, size=SIZE, faults=spec, at=NOON) as market:
        with market.transport() as transport:
            venue = Deribit(transport, transport.settings)
            pieces = list(venue.index_prices("BTC", NOON))
        assert sum(piece.frame.height for piece in pieces) == 1
        assert market.clock() >= NOON + timedelta(seconds=300)
        assert market.server.now() == market.clock()
        assert market.server.log()["faults"] == {"429": 1}


def test_the_venues_clock_is_ahead_where_it_is_skewed(tmp_path):
    with embedded(Location(tmp_path), seed=3, size=SIZE, faults="skew:1.5", at=NOON) as market:
        assert market.server.now() - market.clock() == timedelta(seconds=1.5)
        market.step(NOON + timedelta(hours=1))
        assert market.server.now() == NOON + timedelta(hours=1, seconds=1.5)


def test_it_tells_the_truth_of_the_days_that_are_asked_for_and_its_own_share(tmp_path):
    location = Location(tmp_path)
    with embedded(location, seed=3, size=SIZE, at=NOON) as market:
        before = market.cpu_s()
        market.tell([DAY], ("BTC", "ETH"))
        assert market.cpu_s() >= before > 0
        assert {path.name for path in market.portfolio.iterdir()} == {
            "positions.csv",
            "balances.csv",
        }
    trades = pl.read_parquet(location.truth / "trades.parquet")
    assert set(trades["event_at"].dt.date()) == {DAY}


def test_its_books_are_in_the_coins_that_are_asked_for(tmp_path):
    with embedded(Location(tmp_path), seed=3, size=SIZE, at=NOON) as market:
        market.tell([DAY], ["BTC"])
        held = pl.read_csv(market.portfolio / "positions.csv")
        coins = pl.read_csv(market.portfolio / "balances.csv")["coin"]
    assert held["instrument_id"].str.contains("BTC").all()
    assert set(held["portfolio_id"]) == {"demo-btc", "demo-small"}
    assert set(coins) == {"BTC"}


def test_the_market_ends_with_the_block(tmp_path):
    with embedded(Location(tmp_path), seed=3, size=SIZE, at=NOON) as market:
        port = market.server.port
    with socket.socket() as probe:
        assert probe.connect_ex(("127.0.0.1", port)) != 0
    with pytest.raises(ValueError, match="closed file"):
        market.cpu_s()


@pytest.mark.parametrize(
    ("size", "faults", "error"),
    [(0.002, "flood", "'flood'"), (0.0, "", "size was 0.0"), (0.002, "429:0.9,html:0.9", "1.8")],
)
def test_an_impossible_market_is_refused_by_its_values(tmp_path, size, faults, error):
    with (
        pytest.raises((ValueError, SimulatorError), match=error),
        embedded(Location(tmp_path), seed=3, size=size, faults=faults, at=NOON),
    ):
        pass
    assert list(Path(tmp_path).iterdir()) == []
