"""Are the shocks planted in the embedded market's premium found, and only where they show?

The market's rates follow from its premium by the venue's formula; rows are then lost and doubled.
"""

from datetime import date, timedelta

import funding_world as world
import numpy as np
import polars as pl
import pytest

from pipelines.simulator import funding, truth
from pipelines.simulator.world import LISTINGS

SEEDS = (1, 2, 3)
DAYS = [date(2025, 12, 1) + timedelta(days=n) for n in range(90)]
FAR = 5.0  # of robust_z_30d
LOST, DOUBLED = (40, 41, 150), (60, 201)


def paid(seed, listing):
    """A market's settlements as staging has them; three rows are lost and two told twice."""
    rows = funding.settlements(seed, listing, DAYS).with_row_index()
    hours = [
        funding.interval_hours(seed, listing, (moment - timedelta(hours=1)).date())
        for moment in rows["event_at"]
    ]
    rows = rows.with_columns(
        pl.Series("interval_s", hours, pl.Int64) * 3600,
        pl.col("event_at").dt.replace_time_zone(None),
        venue=pl.lit(f"binance-{seed}"),
        underlying=pl.lit(listing.coin.name),
    )
    kept = rows.filter(~pl.col("index").is_in(LOST))
    doubles = rows.filter(pl.col("index").is_in(DOUBLED)).with_columns(
        pl.col("event_at") + timedelta(milliseconds=400)
    )
    return world.staged(pl.concat([kept, doubles])).with_columns(venue=pl.lit("binance"))


@pytest.fixture(scope="module")
def judged():
    """Every settlement with what the marts say of it and the shock that lies in its interval."""
    listings = [one for one in LISTINGS if one.market == "um"]
    rates = pl.concat([paid(seed, one) for seed in SEEDS for one in listings])
    built = world.built(rates)
    for seed in SEEDS:
        shocks = truth.shocks(seed, DAYS)
        names = [world.identity(f"binance-{seed}", coin) for coin in shocks["underlying"]]
        times = pl.col("started_at", "ended_at").dt.replace_time_zone(None)
        built.register("planted", shocks.with_columns(times, pl.Series("instrument_id", names)))
        verb = "create table shocks as" if seed == SEEDS[0] else "insert into shocks"
        built.execute(f"{verb} from planted")
    return built.sql(
        """select a.*, f.repeated_rows, f.missing_settlements, f.implied_premium,
        s.premium, s.is_hidden,
        epoch(least(s.ended_at, a.event_at)) - epoch(greatest(s.started_at,
            a.event_at - to_seconds(a.interval_s))) as shocked_s
        from funding_anomalies as a join funding as f using (instrument_id, event_at)
        left join shocks as s on s.instrument_id = a.instrument_id
            and s.started_at < a.event_at
            and s.ended_at > a.event_at - to_seconds(a.interval_s)
        order by a.instrument_id, a.event_at"""
    ).pl()


def far(rows):
    return rows.filter(pl.col("robust_z_30d").abs() > FAR).height


def test_shocks_that_reach_the_rate_are_found_and_those_that_the_clamp_hides_are_not(judged):
    known = judged.filter(pl.col("robust_z_30d").is_not_null())
    shown = known.filter(~pl.col("is_hidden"), pl.col("shocked_s") >= 3_600)
    hidden = known.filter(pl.col("is_hidden"))
    calm = known.filter(pl.col("premium").is_null())
    assert min(shown.height, hidden.height, calm.height) > 60
    assert far(shown) / shown.height > 0.95
    assert far(hidden) == 0
    assert far(calm) == 0
    agrees = (shown["robust_z_30d"] * shown["premium"]).filter(shown["robust_z_30d"].abs() > FAR)
    assert (agrees > 0).all()
    assert hidden.filter(limit_kind="pin").height > 0.9 * hidden.height


def test_a_plain_z_misses_what_the_robust_one_finds(judged):
    """The shocks themselves widen the deviation that they are measured by."""
    known = judged.filter(pl.col("z_30d").is_not_null(), ~pl.col("is_hidden"))
    shown = known.filter(pl.col("shocked_s") >= 3_600)
    plain = shown.filter(pl.col("z_30d").abs() > FAR).height
    assert plain < 0.1 * far(shown)


def test_shocks_of_hours_are_no_shift_of_level(judged):
    watched = judged.filter(pl.col("change_point").is_not_null())
    shifts = watched.filter(pl.col("change_point") != "none")
    assert watched.height > 1_000
    assert shifts.height * 30 / (watched["interval_s"].sum() / 86_400) < 0.1


def test_lost_and_doubled_rows_are_found_and_change_no_rate(judged):
    by_market = judged.group_by("instrument_id").agg(
        pl.col("missing_settlements", "repeated_rows").sum()
    )
    assert by_market["missing_settlements"].to_list() == [len(LOST)] * 6
    assert by_market["repeated_rows"].to_list() == [len(DOUBLED)] * 6
    eight = judged.filter(pl.col("interval_s") == 28_800)
    assert (eight["rate_8h"] == eight["rate"]).all()


def test_weeks_of_four_hours_are_compared_with_eight(judged):
    four = judged.filter(pl.col("interval_s") == 14_400, pl.col("robust_z_30d").is_not_null())
    calm = four.filter(pl.col("premium").is_null())
    assert calm.height > 40
    assert calm["robust_z_30d"].abs().max() < 1
    np.testing.assert_allclose(four["rate_8h"], 2 * four["rate"], rtol=1e-12)


def test_the_premium_behind_a_rate_is_the_one_that_the_market_showed(judged):
    listing = next(one for one in LISTINGS if one.market == "um")
    name = world.identity("binance-1", listing.coin.name)
    shown = funding.settlements(1, listing, DAYS).select(
        pl.col("event_at").dt.replace_time_zone(None), "premium_average"
    )
    told = judged.filter(pl.col("instrument_id") == name, pl.col("implied_premium").is_not_null())
    both = told.join(shown, on="event_at")
    assert both.height == told.height > 40
    assert (both["implied_premium"] - both["premium_average"]).abs().max() < 1e-8
    behind = judged.filter(pl.col("instrument_id") == name, pl.col("limit_kind") == "pin").join(
        shown, on="event_at"
    )
    assert behind["implied_premium"].null_count() == behind.height > 150
    assert (behind["premium_average"] - funding.INTEREST).abs().max() <= funding.CLAMP + 1e-8
