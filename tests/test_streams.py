"""Every best quote of the embedded market: prints fill at it, and a snapshot agrees with it."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl
import pytest

from pipelines.ingest import import_paths
from pipelines.simulator import books, bulk, streams, stress
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
    quotes = streams.quotes(state, prints, 5.0)
    if listing.market != "deribit":
        return state, prints, quotes
    sound = [~during(fault, prints.at_us / 1e6) for fault in faults(listing.coin)]
    stamps = (quotes["timestamp"] - epoch_us(DAY)).to_numpy() / 1e6
    told = [~during(fault, stamps) for fault in faults(listing.coin)]
    return state, prints.where(np.all(sound, axis=0)), quotes.filter(np.all(told, axis=0))


def faults(coin):
    return stress.feed_faults(coin, 7, DAY)


def during(fault, at_s):
    """Whether a quote of the faulty stretch is the last one by then."""
    return (at_s >= fault.start_s) & (at_s < fault.end_s + 20)


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
    gaps = quotes["timestamp"].diff().drop_nulls()
    assert (gaps < 6_000_000).mean() > 0.999  # else a fault was taken out
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


def test_the_market_writes_them_and_the_prints_of_days_before_as_whole_files(tmp_path, history):
    at = datetime(2026, 3, 12, tzinfo=UTC)
    location = Location(tmp_path)
    with embedded(location, seed=7, size=SIZE, at=at) as market:
        folder = market.archive([DAY])
    world = World("simulator", seed=7)
    report = import_paths(location, [folder], clock=lambda: at, world=world)
    assert (report.exit_code, report.errors) == (0, ())
    assert {file.quarantined for file in report.files} == {0}
    held = lake.scan(location, "quotes").collect()
    assert held["is_every_update"].all()
    assert set(held["instrument_id"]) == {
        name for name, listing in MARKETS.items() if listing.market != "cm"
    }
    assert held["snapshot_at"].max() - held["snapshot_at"].min() > timedelta(hours=23)
    bulk_days = [DAY - timedelta(days=n) for n in range(1, bulk.DAYS_BEFORE + 1)]
    perpetuals = [listing for listing in LISTINGS if listing.market == "um"]
    printed = {
        (listing.instrument_id, day): len(history.prints(listing, day))
        for listing in perpetuals
        for day in bulk_days
    }
    trades = lake.scan(location, "trades").collect()
    days = trades.group_by("instrument_id", pl.col("event_at").dt.date()).len()
    assert {(name, day): rows for name, day, rows in days.iter_rows()} == printed


@pytest.mark.parametrize("listing", [m for m in LISTINGS if m.market == "deribit"], ids=str)
def test_the_stream_at_deribit_is_once_crossed_once_one_sided_and_once_silent(history, listing):
    state, prints = history.state(listing.coin, DAY), history.prints(listing, DAY)
    quotes = streams.quotes(state, prints, 5.0)
    at_s = (quotes["timestamp"] - epoch_us(DAY)) / 1e6
    found = {
        fault.kind: quotes.filter(at_s.is_between(fault.start_s, fault.end_s, closed="left"))
        for fault in faults(listing.coin)
    }
    assert (found["crossed"]["bid_price"] > found["crossed"]["ask_price"]).all()
    assert found["crossed"].height >= 20
    assert found["one_sided"]["ask_price"].null_count() == found["one_sided"].height >= 20
    assert found["one_sided"]["ask_amount"].null_count() == found["one_sided"].height
    assert found["silent"].is_empty()
    crossed = quotes.filter(pl.col("bid_price") >= pl.col("ask_price"))
    assert crossed.height == found["crossed"].height
    assert quotes["ask_price"].null_count() == found["one_sided"].height


def test_books_hold_a_tenth_while_they_are_collapsed_and_only_then(history):
    for listing in LISTINGS:
        state, thin = history.state(listing.coin, DAY), stress.collapse(listing.coin, 7, DAY)
        assert thin.start_s // 3_600 < thin.end_s // 3_600  # an hourly state shows it

        def size(at_s: np.ndarray, state=state, listing=listing) -> float:
            bid, ask = books.best(state, listing, at_s)
            return float(np.median((bid.lots * bid.price + ask.lots * ask.price) / bid.price))

        inside = size(np.arange(thin.start_s, thin.end_s, 1.0))
        around = size(np.arange(thin.start_s - 900.0, thin.start_s, 1.0))
        assert 0.05 < inside / around < 0.2


def test_forced_orders_come_in_cascades_that_end_informed_bursts(history):
    world = History(7, 0.3)
    for listing in (m for m in LISTINGS if m.market == "deribit"):
        state, prints = world.state(listing.coin, DAY), world.prints(listing, DAY)
        cascades = stress.cascades(state.plan)
        assert len(cascades) == 3
        inside = [c.holds(prints.at_us / 1e6) & (prints.sign == c.direction) for c in cascades]
        share = prints.is_forced[np.any(inside, axis=0)].mean()
        assert abs(share - stress.CASCADE_SHARE) < 0.15
        assert prints.is_forced[~np.any(inside, axis=0)].mean() < 0.01
        assert not (prints.is_forced & prints.is_block).any()


def test_the_truth_says_where_everything_was_planted():
    told = stress.truth(7, [DAY, DAY + timedelta(days=1)])
    assert told.group_by("kind").len().sort("kind").rows() == [
        ("cascade", 12),
        ("crossed", 4),
        ("depth_collapse", 4),
        ("one_sided", 4),
        ("silent", 4),
    ]
    assert (told["ended_at"] > told["started_at"]).all()
    assert set(told.filter(kind="silent")["instrument_id"]) == {
        "deribit:BTC/USD:BTC",
        "deribit:ETH/USD:ETH",
    }
