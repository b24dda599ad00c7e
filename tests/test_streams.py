"""Every best quote of the embedded market: prints fill at it, and a snapshot agrees with it."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.ingest import import_paths
from pipelines.simulator import books, streams
from pipelines.simulator.embedded import embedded
from pipelines.simulator.history import History
from pipelines.simulator.world import LISTINGS, epoch_us
from warehouse import lake
from warehouse.location import Location, World

DAY = date(2026, 3, 10)
SIZE = 0.02
MARKETS = {listing.instrument_id: listing for listing in LISTINGS}


@pytest.fixture(scope="module")
def history() -> History:
    return History(7, SIZE)


@pytest.fixture(scope="module", params=sorted(MARKETS))
def market(request, history):
    """A listing, its prints and its quotes."""
    listing = MARKETS[request.param]
    state, prints = history.state(listing.coin, DAY), history.prints(listing, DAY)
    return state, prints, streams.quotes(state, prints, 5.0)


def before(prints, quotes) -> pl.DataFrame:
    """Each print on the book with the last quote before it."""
    told = pl.DataFrame(
        {
            "at": prints.at_us + epoch_us(DAY),
            "sign": prints.sign,
            "price": prints.price,
            "is_block": prints.is_block,
        }
    ).filter(~pl.col("is_block"))
    known = quotes.select(pl.col("timestamp").alias("at"), "bid_price", "ask_price")
    return told.join_asof(known, on="at", allow_exact_matches=False)


def test_every_print_is_at_or_through_the_quote_before_it(market):
    _, prints, quotes = market
    joined = before(prints, quotes)
    touch = pl.when(pl.col("sign") > 0).then("ask_price").otherwise("bid_price")
    beyond = joined.select((pl.col("sign") * (pl.col("price") - touch)).alias("x"))["x"]
    tick = prints.listing.tick
    assert beyond.null_count() <= 1  # a print in the day's first millisecond
    # Two prints in a few milliseconds share a quote, between which the fair price hardly moves.
    assert (beyond > -1.01 * tick).mean() > 0.995
    assert (beyond.abs() < tick / 2).mean() > 0.75
    assert (beyond > -3 * tick - 1e-9).all()


def test_a_quote_brackets_the_fair_price_and_never_crosses(market):
    state, prints, quotes = market
    at = (quotes["timestamp"] - epoch_us(DAY)).to_numpy() / 1e6
    fair = state.fair(prints.listing, at)
    drift = 1e-6 * fair  # a quote drawn for a print is stamped a millisecond before it
    assert (quotes["bid_price"].to_numpy() < fair + drift).all()
    assert (quotes["ask_price"].to_numpy() > fair - drift).all()
    assert (quotes["bid_price"] < quotes["ask_price"]).all()


def test_nothing_is_told_twice_and_no_trade_waits_long_for_a_quote(market):
    _, prints, quotes = market
    state = quotes.select("bid_price", "bid_amount", "ask_price", "ask_amount")
    again = state.select(pl.all_horizontal(pl.all() == pl.all().shift(1)))
    assert not again.to_series().any()
    assert quotes["timestamp"].diff().min() > 0
    assert quotes["local_timestamp"].is_sorted()
    assert quotes["timestamp"].diff().max() < 6_000_000  # unchanged since a print
    known = quotes.select(pl.col("timestamp").alias("at"), quoted="timestamp")
    joined = pl.DataFrame({"at": prints.at_us + epoch_us(DAY)}).join_asof(known, on="at")
    age = (joined["at"] - joined["quoted"]).drop_nulls()
    assert age.max() < 1_000_000  # older where the book is as it was a print before


def test_a_quote_of_the_stream_is_the_best_of_the_book_then(market):
    state, prints, quotes = market
    row = quotes.row(len(quotes) // 2, named=True)
    drawn = quotes.filter((pl.col("timestamp") - epoch_us(DAY)) % 5_000_000 == 500_000)
    row = drawn.row(len(drawn) // 2, named=True)
    bids, asks = books.book(state, prints.listing, (row["timestamp"] - epoch_us(DAY)) / 1e6)
    assert (row["bid_price"], row["ask_price"]) == (bids.price[0], asks.price[0])
    unit = prints.listing.contract_usd if prints.listing.market == "deribit" else prints.listing.lot
    assert row["bid_amount"] == pytest.approx(bids.lots[0] * unit)


def test_a_large_world_draws_each_second_and_a_small_one_seldom():
    assert [streams.step(size) for size in (3, 1, 0.5, 0.05, 0.002)] == [1, 1, 2, 20, 20]
    listing = LISTINGS[0]
    state = History(7, 0.001).state(listing.coin, DAY)
    stamps, _, _ = streams.changes(state, listing, np.array([0, 400]), 1.0)
    assert stamps[0] == 500_000  # what was before midnight is of the day before


def test_the_market_writes_them_as_files_that_are_imported_as_whole_streams(tmp_path):
    at = datetime(2026, 3, 12, tzinfo=UTC)
    location = Location(tmp_path)
    with embedded(location, seed=7, size=SIZE, at=at) as market:
        folder = market.stream([DAY])
    world = World("simulator", seed=7)
    report = import_paths(location, [folder], clock=lambda: at, world=world)
    assert (report.exit_code, report.errors) == (0, ())
    assert {file.quarantined for file in report.files} == {0}
    held = lake.scan(location, "quotes").collect()
    assert held["is_every_update"].all()
    assert set(held["instrument_id"]) == {
        name for name, listing in MARKETS.items() if listing.market in ("um", "deribit")
    }
    assert held["snapshot_at"].max() - held["snapshot_at"].min() > timedelta(hours=23)
