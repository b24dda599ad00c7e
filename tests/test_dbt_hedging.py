"""Do exposures and signals hold what they promise, from a lake whose truth is planted?"""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import polars as pl
import pytest
from option_world import (
    EXPIRIES,
    LATE,
    LINEAR_FUNDED,
    SNAPSHOTS,
    clock,
    coin_price,
    forward,
    hold,
    plant,
    spot,
    vol,
    years,
)
from polars.testing import assert_frame_equal

from assets.building import build
from warehouse.functions import black
from warehouse.location import Location, World

pytestmark = pytest.mark.whole

PUT = "deribit:BTC/USD:BTC-260327-65000-P"
CALL = "deribit:BTC/USD:BTC-260626-75000-C"
PERPETUAL = "deribit:BTC/USD:BTC"
LINEAR = "binance:BTC/USDT:USDT"
QUIET = "binance:BTC/USDT:USDT-260626"
BOOK = {PUT: 30.0, CALL: -20.0, PERPETUAL: -15_000.0}
EQUITY = 25.0
MARTS = (
    "options.forwards",
    "options.quotes",
    "options.surface_slices",
    "options.skew",
    "hedging.position_greeks",
    "hedging.exposures",
    "hedging.instrument_costs",
    "hedging.signals",
)


def planted(root: Path, snapshots: tuple[datetime, ...] = SNAPSHOTS) -> Location:
    location = Location(root)
    location.claim(World("real", "archive"))
    hold(location, "book", BOOK, EQUITY)
    hold(location, "turned", {LINEAR: 4.0}, 0.0)
    hold(location, "turned", {LINEAR: 1.0}, 0.0, at=SNAPSHOTS[2])
    hold(location, "bare", {LINEAR: 4.0})
    hold(location, "quiet", {QUIET: 4.0}, 0.0)
    hold(location, "flat", {PERPETUAL: -70_000.0}, 10.0)
    plant(location, snapshots)
    return location


@pytest.fixture(scope="module", autouse=True)
def one_version() -> Iterator[None]:
    """Builds that are compared are builds of the same models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assets.building.model_version", lambda: "planted")
        yield


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Location:
    found = planted(tmp_path_factory.mktemp("hedging"))
    build(found, clock=clock)
    return found


@pytest.fixture(scope="module")
def marts(location: Location) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(location.warehouse, read_only=True) as connection:
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, mart: str, where: str = "true") -> pl.DataFrame:
    found = connection.sql(f"select * from {mart} where {where} order by all").pl()
    return found.sort("as_of_at", maintain_order=True) if "as_of_at" in found.columns else found


def account_usd(at: datetime, scale: float) -> float:
    """The book's value in US dollars when every price is `scale` times what it is."""
    coins = EQUITY
    for strike, expiry, is_call, contracts in (
        (65_000, EXPIRIES[0], False, BOOK[PUT]),
        (75_000, EXPIRIES[1], True, BOOK[CALL]),
    ):
        f, t = forward(at, expiry), years(at, expiry)
        moved = float(black.price(f * scale, strike, t, vol(at, expiry, strike), is_call))
        coins += contracts * (moved / (f * scale) - coin_price(at, expiry, strike, is_call))
    price = spot(at) + 5
    coins += BOOK[PERPETUAL] * 10 * (1 / price - 1 / (price * scale))
    return coins * spot(at) * scale


def test_account_delta_and_gamma_equal_those_of_the_account_bumped_and_revalued(marts):
    found = rows(marts, "hedging.exposures", "portfolio_id = 'book'")
    assert found.height == len(SNAPSHOTS)
    for at, delta, gamma in zip(SNAPSHOTS, found["delta_coin"], found["gamma_coin"], strict=True):
        h = 1e-4
        up, here, down = (account_usd(at, 1 + bump) for bump in (h, 0, -h))
        step = spot(at) * h
        assert delta == pytest.approx((up - down) / (2 * step), abs=1e-6)
        # Options sit on forwards a little above spot; per dollar of spot gamma scales by F/S.
        assert gamma == pytest.approx((up - 2 * here + down) / step**2, rel=0.02)


def test_a_book_with_options_is_decided_when_its_chain_is_known_whole(marts):
    found = rows(marts, "hedging.signals", "portfolio_id = 'book'")
    known = [(at + LATE).replace(tzinfo=None) for at in SNAPSHOTS]
    assert found["as_of_at"].to_list() == known
    assert found["available_at"].to_list() == known


def test_a_superseded_state_decides_nothing_more(marts):
    found = rows(marts, "hedging.position_greeks", "portfolio_id = 'turned'")
    turned = SNAPSHOTS[2].replace(tzinfo=None)
    for as_of, quantity in found.select("as_of_at", "quantity_base").iter_rows():
        assert quantity == (1.0 if as_of >= turned else 4.0)
    assert {1.0, 4.0} == set(found["quantity_base"])


def test_a_signal_triggers_if_and_only_if_delta_is_outside_the_band(marts):
    found = rows(marts, "hedging.signals")
    outside = ~found["current_delta"].is_between(found["band_low"], found["band_high"])
    assert (found["is_triggered"] == outside).all()
    assert set(found["is_triggered"]) == {True, False}
    held = found.filter(~pl.col("is_triggered"))
    assert set(held["action"]) == {"hold"}


def test_an_order_leaves_at_most_half_a_lot(marts):
    sent = rows(marts, "hedging.signals", "action in ('buy', 'sell')")
    assert {PERPETUAL, LINEAR} <= set(sent["instrument_id"])
    for row in sent.iter_rows(named=True):
        # One Deribit contract is 10 USD; one lot of the linear perpetual is 0.001 BTC.
        lot = 0.001 if row["instrument_id"] == LINEAR else 10 / 69_000
        assert abs(row["residual_delta"]) <= lot / 2
        assert row["expected_cost_usd"] <= row["expected_risk_reduction_usd"]
        assert not row["block_reasons"]


def test_an_inverse_hedge_is_sized_at_the_price_of_the_contract_that_is_sold(marts):
    sent = rows(marts, "hedging.signals", f"instrument_id = '{PERPETUAL}'")
    prices = rows(marts, "intermediate.int_decision_prices", f"instrument_id = '{PERPETUAL}'")
    joined = sent.join(prices, on="as_of_at")
    assert joined.height == sent.height > 0
    contracts = (joined["current_delta"].abs() * joined["price"] / 10).round()
    np.testing.assert_array_equal(contracts, joined["quantity_contracts"])


def test_grade_f_never_sends_an_order_and_a_blocked_one_says_why(marts):
    found = rows(marts, "hedging.signals")
    failed = found.filter(pl.col("quality_grade") == "F")
    assert set(failed["action"]) <= {"hold", "do_not_trade"}
    silent = found.filter(pl.col("block_reasons").list.len() == 0)
    assert set(silent["action"]) <= {"hold", "buy", "sell"}


def test_a_price_too_old_blocks_the_order_and_fails_the_grade(marts):
    found = rows(marts, "hedging.signals", "portfolio_id = 'quiet'")
    ages = rows(marts, "hedging.exposures", "portfolio_id = 'quiet'")["oldest_price_age_s"]
    blocked = found["block_reasons"].list.contains("stale_price")
    assert (blocked == (ages > 600)).all()
    assert set(blocked) == {True, False}
    assert set(found.filter(blocked)["quality_grade"]) == {"F"}


def test_an_account_without_balances_is_said_to_be_unknown_and_with_a_second_doubt_not_sent(marts):
    found = rows(marts, "hedging.signals", "portfolio_id = 'bare'")
    assert found["quality_flags"].list.contains("collateral_unknown").all()
    # Beside an unknown funding rate that makes two soft flags: grade D, display only.
    doubted = found["quality_flags"].list.contains("unknown_funding")
    assert set(doubted) == {True, False}
    assert set(found.filter(doubted)["quality_grade"]) == {"D"}
    assert found.filter(doubted)["block_reasons"].list.contains("display_only").all()
    assert set(found.filter(~doubted)["quality_grade"]) == {"C"}


def test_an_order_whose_funding_is_unknown_is_not_sent_and_its_cost_not_stated(marts):
    found = rows(marts, "hedging.signals", f"is_triggered and instrument_id = '{LINEAR}'")
    is_known = found["as_of_at"] > LINEAR_FUNDED.replace(tzinfo=None)
    assert set(is_known) == {True, False}
    unknown = found.filter(~is_known)
    assert set(unknown["action"]) == {"do_not_trade"}
    assert unknown["block_reasons"].list.contains("unknown_funding").all()
    assert unknown["expected_funding_usd"].null_count() == unknown.height
    assert unknown["expected_cost_usd"].null_count() == unknown.height
    known = found.filter(is_known)
    assert not known["block_reasons"].list.contains("unknown_funding").any()
    assert known["expected_cost_usd"].null_count() == 0


def test_a_chain_at_midnight_finds_the_books_of_the_minute_before(marts):
    for mart, column in (
        ("options.forwards", "future_forward"),
        ("intermediate.int_option_snapshots", "index_price"),
    ):
        found = rows(marts, mart, "venue = 'deribit'")
        assert set(found["snapshot_at"]) == {at.replace(tzinfo=None) for at in SNAPSHOTS}
        assert found[column].null_count() == 0
    chains = rows(marts, "intermediate.int_option_snapshots", "venue = 'deribit'")
    assert set(chains["index_source"]) == {"venue"}
    for at, index in chains.select("snapshot_at", "index_price").iter_rows():
        assert index == spot(at.replace(tzinfo=SNAPSHOTS[0].tzinfo))


def test_costs_rank_every_instrument_once_per_side_and_size(marts):
    found = rows(marts, "hedging.instrument_costs")
    unknown = found.filter(pl.col("funding_bps_per_day").is_null())
    assert {PERPETUAL, LINEAR} == set(unknown["instrument_id"])
    assert unknown["total_cost_bps"].null_count() == unknown.height
    ladders = found.group_by("underlying", "side", "notional_usd", "snapshot_at").agg("rank")
    for ranks in ladders["rank"]:
        assert sorted(ranks) == list(range(1, len(ranks) + 1))
    paid = {
        side: found.filter(instrument_id=PERPETUAL, side=side)["funding_bps_per_day"]
        for side in ("buy", "sell")
    }
    long, short = (rates.drop_nulls().unique().to_list() for rates in paid.values())
    assert long == [pytest.approx(3.0)]
    assert short == [pytest.approx(-3.0)]


def test_a_build_inside_a_chains_arrival_reads_none_of_it(location, marts):
    moment = SNAPSHOTS[1] + timedelta(seconds=5)
    report = build(location, clock=clock, as_of=moment)
    stamp = moment.replace(tzinfo=None)
    with duckdb.connect(report.path, read_only=True) as past:
        for mart in MARTS:
            then = rows(past, mart)
            assert then.height > 0
            assert_frame_equal(then, rows(marts, mart, f"available_at <= '{stamp}'"), rel_tol=0)
