"""What do the option marts make of chains that were recorded from a real venue?"""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import polars as pl
import pytest

from assets.building import build
from pipelines.ingest import import_paths
from warehouse.location import Location

pytestmark = pytest.mark.whole

CHAIN = "snapshot_at >= '2026-08-01'"
AT_THE_MONEY = "snapshot_at < '2024-04-02'"


def clock() -> datetime:
    return datetime(2026, 8, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def marts(
    recorded: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[duckdb.DuckDBPyConnection]:
    location = Location(tmp_path_factory.mktemp("recorded") / "data")
    report = import_paths(location, [recorded / "tardis"], clock=clock)
    assert report.exit_code == 0, report.errors
    build(location, clock=clock)
    with duckdb.connect(location.warehouse, read_only=True) as connection:
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, mart: str, where: str = CHAIN) -> pl.DataFrame:
    return connection.sql(f"select * from options.{mart} where {where} order by all").pl()


def test_every_option_of_the_recorded_chain_has_a_row_and_says_what_became_of_it(marts):
    quotes = rows(marts, "quotes")
    assert quotes.height == 868
    two_sided = quotes.filter(pl.col("bid_price") < pl.col("ask_price"))
    unsolved = two_sided.filter(pl.col("iv_mid").is_null())
    assert set(unsolved["solver_status"]) == {"below_intrinsic"}
    intrinsic = (unsolved["forward"] - unsolved["strike"]).abs()
    assert (unsolved["price_forward_usd"] < intrinsic).all()
    rest = quotes.filter(~pl.col("instrument_id").is_in(two_sided["instrument_id"].implode()))
    assert set(rest["solver_status"]) == {"one_sided"}
    assert quotes["exclude_reason"].is_null().equals(quotes["use_in_fit"])


def test_every_expiry_has_a_parity_forward_next_to_the_listed_future(marts):
    forwards = rows(marts, "forwards")
    assert set(forwards["forward_source"]) == {"parity"}
    assert forwards.height == 13
    distance = forwards["future_distance_bps"].abs()
    worst = forwards["expires_at"][distance.arg_max()]
    print(f"median {distance.median():.2f} bp, worst {distance.max():.2f} bp at {worst}")  # noqa: T201
    assert distance.median() < 2
    assert distance.max() < 5


def test_implied_vols_price_their_quotes_back(marts):
    found = marts.sql(
        f"select iv_bid, iv_mid, iv_ask, delta, option_type from options.quotes where {CHAIN} "
        "and solver_status = 'ok' and iv_bid is not null and iv_ask is not null"
    ).pl()
    assert found.height > 500
    assert found.select((pl.col("iv_bid") <= pl.col("iv_mid")).all()).item()
    assert found.select((pl.col("iv_mid") <= pl.col("iv_ask")).all()).item()
    calls = found.filter(option_type="call")["delta"]
    puts = found.filter(option_type="put")["delta"]
    assert calls.is_between(0, 1).all()
    assert puts.is_between(-1, 0).all()


def test_every_expiry_with_enough_strikes_has_a_slice_inside_its_spreads(marts):
    slices = rows(marts, "surface_slices").filter(fit_kind="raw")
    assert slices.height == 13
    assert slices["quotes_used"].min() >= 5
    assert slices["svi_a"].is_not_null().all()
    assert slices["inside_spread_share"].min() > 0.8
    assert slices["atm_iv"].is_between(0.1, 0.6).all()
    assert slices.filter(pl.col("calendar_min_dw").is_null()).height == 1
    # A raw fit is published with its arbitrage, and says so.
    crossed = slices.filter((pl.col("butterfly_min_g") < 0) | (pl.col("calendar_min_dw") < 0))
    assert not crossed["is_arbitrage_free"].any()


def test_repaired_no_expiry_crosses_another_and_the_quotes_are_still_met(marts):
    slices = rows(marts, "surface_slices")
    raw, repaired = (slices.filter(fit_kind=kind) for kind in ("raw", "repaired"))
    assert repaired["expires_at"].equals(raw["expires_at"])
    assert set(repaired["repair_status"]) == {"refitted"}
    assert repaired["is_arbitrage_free"].all()
    assert repaired["butterfly_min_g"].min() >= 0
    assert repaired["calendar_min_dw"].drop_nulls().min() >= 0
    assert repaired["quality_flags"].list.len().max() == 0
    lost = raw["inside_spread_share"] - repaired["inside_spread_share"]
    worst = repaired.sort("repair_max_change_iv").tail(1)
    print(f"largest change {worst['repair_max_change_iv'][0]:.4f} at {worst['expires_at'][0]}")  # noqa: T201
    assert lost.mean() < 0.01
    assert repaired["repair_rms_change_iv"].max() < 0.01
    assert (repaired["rmse_iv"] >= raw["rmse_iv"] - 0.002).all()
    assert raw["repair_status"].null_count() == 13


def test_the_smile_leans_to_puts_at_every_expiry_and_forward_vols_chain_up(marts):
    skew = rows(marts, "skew").filter(tenor_kind="listed").sort("tenor_days")
    assert set(skew["fit_kind"]) == {"repaired"}
    assert (skew["rr25"] < 0).all()
    assert (skew["bf25"] > 0).all()
    assert (skew["skew_slope"] < 0).all()
    years = skew["tenor_days"] / 365
    variance = (skew["atm_iv"] ** 2 * years).diff()
    expected = (variance / years.diff()).sqrt()[1:]
    assert (expected - skew["forward_iv"][1:]).abs().max() < 1e-12


def test_our_vols_are_the_venues_where_it_states_them(marts):
    quotes = rows(marts, "quotes", AT_THE_MONEY).filter(pl.col("t_years") > 2 / 365)
    distance = (quotes["iv_bid"] - quotes["venue_iv_bid"]).abs()
    assert quotes.height > 20
    assert distance.median() < 1e-4  # the venue rounds to 1e-4
    assert quotes["delta_error"].abs().median() < 1e-3
    assert (quotes["vega_error_usd"] / quotes["venue_vega"]).abs().median() < 1e-3
    assert (quotes["theta_error_usd"] / quotes["venue_theta"]).abs().median() < 0.01


def test_without_an_index_the_value_rests_on_the_perpetual_and_is_flagged(marts):
    quotes = rows(marts, "quotes")
    assert set(quotes["index_source"]) == {"perpetual"}
    assert quotes["quality_flags"].list.contains("index_from_perpetual").all()
    far = quotes.filter(pl.col("t_years") > 0.8)
    priced = far.filter(pl.col("value_usd").is_not_null())
    # Ten months of contango lie between what inverts and what it is worth.
    ratio = priced["price_forward_usd"] / priced["value_usd"]
    assert ratio.is_between(1.03, 1.05).all()
