"""Funding that is missing, doubled, jittered, still or changing: a defined result or a flag."""

from datetime import datetime, timedelta

import funding_world as world
import numpy as np
import polars as pl
import pytest

YEAR_S = 31_536_000


def at(text):
    return datetime.fromisoformat(text)


def hours_of(funding, quotes=world.NO_QUOTES):
    return (
        world.built(funding, world.HOURLY, stg_quotes=quotes)
        .sql("from funding_1h order by hour_at")
        .pl()
    )


def test_a_settlement_told_twice_is_paid_once():
    once = world.settled([1e-4] * 40, interval_s=28_800)
    again = once[[10, 20]].with_columns(
        pl.col("event_at", "available_at") + timedelta(milliseconds=7)
    )
    other = once[[30]].with_columns(
        pl.col("event_at", "available_at") + timedelta(seconds=9), rate=pl.lit(2e-4)
    )
    found = world.built(pl.concat([once, again, other])).sql("from funding order by event_at").pl()
    assert found.height == 40
    assert found["accrued"][-1] == pytest.approx(40e-4, rel=1e-12)
    assert found["repeated_rows"].sum() == 3
    assert found["missing_settlements"].sum() == 0
    flagged = found.with_row_index().filter(pl.col("quality_flags").list.contains("repeated_row"))
    assert flagged["index"].to_list() == [10, 20, 30]
    assert found["quality_grade"][30] == "F"
    assert "contradicted_rate" in found["quality_flags"][30]


def test_intervals_that_change_within_a_day_are_compared_per_eight_hours():
    before = world.settled([8e-5 + 1e-6 * (n % 7) for n in range(90)], interval_s=28_800)
    start = before["event_at"][-1] + timedelta(hours=4)
    after = world.settled([4e-5] * 6, hours=4, start=start, interval_s=14_400)
    rows = (
        world.built(pl.concat([before, after])).sql("from funding_anomalies order by event_at").pl()
    )
    changed = rows.filter(pl.col("interval_s") == 14_400)
    assert changed.height == 6
    assert changed["rate_8h"].to_list() == pytest.approx([8e-5] * 6)
    assert changed["robust_z_30d"].abs().max() < 1
    paid = world.built(pl.concat([before, after])).sql("from funding order by event_at").pl()
    flags = paid["quality_flags"].list.contains("interval_changed").to_list()
    assert flags == [False] * 90 + [True] + [False] * 5
    assert paid["apr"].to_list()[-6:] == pytest.approx([4e-5 * YEAR_S / 14_400] * 6)


def test_stamps_that_jitter_are_the_same_settlements():
    draw = np.random.default_rng(8)
    rates = (1e-4 + 1e-5 * draw.standard_normal(200)).tolist()
    even = world.settled(rates)
    shaken = even.with_columns(
        (pl.col(c) + pl.Series(draw.integers(-900, 900, 200)).cast(pl.Duration("ms")))
        for c in ("event_at", "available_at")
    )
    one, other = (
        world.built(f).sql("from funding_anomalies order by event_at").pl() for f in (even, shaken)
    )
    columns = ["rate", "interval_s", "rows_30d", "z_30d", "robust_z_30d", "change_point"]
    assert one.select(columns).equals(other.select(columns))


def test_zero_rates_for_weeks_have_no_deviation_and_a_scale():
    rates = [0.0] * 400 + [2e-6, -2e-6, 0.0]
    found = world.built(world.settled(rates, hours=1, interval_s=3_600))
    rows = found.sql("from funding_anomalies order by event_at").pl()
    still = rows[:400]
    assert still["z_30d"].null_count() == still["z_7d"].null_count() == 400
    assert still["robust_z_30d"].drop_nulls().unique().to_list() == [0.0]
    assert still["pinned_share_30d"].drop_nulls().unique().to_list() == [1.0]
    assert set(still["regime"].drop_nulls()) == {"base"}
    assert rows["robust_z_30d"].to_list()[400:] == pytest.approx([1.6, -1.6, 0.0])
    assert rows["is_sign_flip"].to_list()[400:] == [False, True, False]


def test_a_venue_whose_open_interest_is_unknown_has_a_rate_and_no_weight():
    funding = pl.concat(
        [
            world.settled([1e-5] * 5, hours=1, interval_s=3_600),
            world.settled([3e-5] * 5, hours=1, venue="w", interval_s=3_600),
        ]
    )
    seen = {
        "instrument_id": "v:X/USD:USD",
        "snapshot_at": at("2026-01-01 02:10"),
        "available_at": at("2026-01-01 02:10"),
        "open_interest_usd": 7e6,
    }
    rows = hours_of(funding, pl.DataFrame([seen], schema=world.NO_QUOTES.schema))
    known = rows.filter(pl.col("weighed_venue_count") == 1)
    assert known["hour_at"].to_list() == [at("2026-01-01 02:00"), at("2026-01-01 03:00")]
    assert known["apr_open_interest_weighted"].to_list() == pytest.approx([0.0876] * 2)
    assert known["open_interest_coverage_share"].to_list() == [0.5, 0.5]
    assert rows["venue_count"].to_list() == [2] * rows.height
    assert all("open_interest_unknown" in flags for flags in rows["quality_flags"])
    assert rows["net_spread_apr"].null_count() == rows.height  # nobody knows their fees
    assert all("fee_unknown" in flags for flags in rows["quality_flags"])


def test_a_lost_settlement_leaves_the_hour_without_the_venue():
    funding = world.settled([1e-5] * 24, hours=1, interval_s=3_600)
    rows = hours_of(
        pl.concat(
            [funding[:10], funding[15:], world.settled([1e-4] * 4, venue="w", interval_s=28_800)]
        )
    )
    counts = dict(rows.select("hour_at", "venue_count").iter_rows())
    assert counts[at("2026-01-01 10:00")] == 2  # late, for an hour at most
    assert [counts[at(f"2026-01-01 {h}:00")] for h in (11, 12, 13, 14)] == [1] * 4
    assert counts[at("2026-01-01 15:00")] == 2
    alone = rows.filter(pl.col("venue_count") == 1)
    assert alone["coverage_share"].to_list()[1:] == [0.5] * (alone.height - 1)
    assert set(alone["quality_grade"]) <= {"C", "D"}
    assert alone["spread_apr"].null_count() == alone.height


def as_known(rates, until):
    """Every carry mart over what was known by `until`, those rows alone that are from before it."""
    known = rates.filter(pl.col("available_at") <= until)
    built = world.built(known, world.HOURLY, stg_quotes=world.NO_QUOTES)
    query = "from {} where available_at <= '{}' order by all"
    marts = ("funding", "funding_anomalies", "funding_1h")
    return {mart: built.sql(query.format(mart, until)).pl() for mart in marts}


def late(rates, places, **delay):
    """`rates` with those at `places` known only after a delay."""
    told = pl.col("available_at")
    held = pl.int_range(pl.len()).is_in(places)
    return rates.with_columns(
        available_at=pl.when(held).then(told + timedelta(**delay)).otherwise(told)
    )


@pytest.mark.parametrize("interval_s", [3_600, None])
def test_a_settlement_that_comes_late_withholds_no_other(interval_s):
    draw = np.random.default_rng(5)
    rates = (1e-5 * draw.standard_normal(400)).tolist()
    even = world.settled(rates, hours=1, interval_s=interval_s)
    held = late(even, [100, 101, 130], days=8)
    end = at("2027-01-01")
    on_time, delayed = as_known(even, end), as_known(held, end)
    lost = [even["event_at"][n] for n in (100, 101, 130)]
    hours = "hour_at"
    assert on_time["funding_1h"].height - delayed["funding_1h"].height <= 1
    assert delayed["funding_1h"][hours].max() == on_time["funding_1h"][hours].max()
    paid = delayed["funding"].sort("event_at")
    by_flag = paid.filter(pl.col("quality_flags").list.contains("late_settlement"))
    assert by_flag["event_at"].to_list() == lost
    assert (paid["available_at"] == paid["rate_available_at"]).all()
    assert paid["available_at"].to_list() == held["available_at"].to_list()
    assert paid["accrued"][-1] == pytest.approx(sum(rates), abs=1e-15)
    assert paid["accrued"][200] == pytest.approx(
        sum(rates[:201]) - sum(rates[n] for n in (100, 101, 130)), abs=1e-15
    )
    assert paid["accrued_missing"].to_list()[-1] == on_time["funding"]["accrued_missing"][-1] == 0
    assert [paid["accrued_missing"][n] for n in (99, 102, 129, 131, 200)] == [0, 2, 2, 3, 3]
    told = delayed["funding_anomalies"]
    assert told.filter(pl.col("rows_30d") > 30).height > 340


@pytest.mark.parametrize("interval_s", [3_600, None])
def test_what_came_late_changes_nothing_that_was_known_before_it(interval_s):
    draw = np.random.default_rng(6)
    even = world.settled(
        (1e-5 * draw.standard_normal(300)).tolist(), hours=1, interval_s=interval_s
    )
    held = late(late(even, [90, 95, 96, 97, 140], days=3), [96, 150], hours=30)
    whole = as_known(held, at("2027-01-01"))
    for stop in ("2026-01-05 00:30", "2026-01-07 06:00", "2026-01-08 05:10", "2026-01-09 20:00"):
        stopped = as_known(held, at(stop))
        for mart, then in stopped.items():
            past = whole[mart].filter(pl.col("available_at") <= at(stop))
            assert then.height > 50
            # Only a late row may wait for other late ones before it.
            gone = (
                then.join(past, on=then.columns[:4], how="anti")
                if mart != "funding_1h"
                else then[:0]
            )
            assert mart == "funding_anomalies" or gone.is_empty()
            assert all("late_settlement" in flags for flags in gone["quality_flags"])
            kept = then if gone.is_empty() else then.join(gone, on=then.columns[:4], how="anti")
            assert past.equals(kept), (mart, stop)


def test_a_repeated_row_that_comes_late_withholds_its_own_settlement_alone():
    once = world.settled([1e-5] * 60, hours=1, interval_s=3_600)
    again = late(
        once[[20]].with_columns(pl.col("event_at") + timedelta(milliseconds=7)), [0], days=8
    )
    paid = as_known(pl.concat([once, again]), at("2027-01-01"))
    rows = paid["funding"].sort("event_at")
    moved = rows.filter(pl.col("available_at") > pl.col("rate_available_at"))
    assert moved["event_at"].to_list() == [once["event_at"][20]]
    assert moved["repeated_rows"].to_list() == [1]
    assert paid["funding_1h"].equals(as_known(once, at("2027-01-01"))["funding_1h"])


def quantiles(rates, until):
    """What a position received in a quarter, of what was known by `until`."""
    known = rates.filter(pl.col("available_at") <= until)
    built = world.built(known, ("int_settlements", "funding", "int_carry_funding"))
    query = f"from int_carry_funding where available_at <= '{until}' order by available_at"
    return built.sql(query).pl()


def test_quantiles_of_carry_hold_what_was_known_and_no_contradicted_block():
    once = world.settled([1e-4 + 1e-6 * n for n in range(60)], interval_s=28_800)
    twice = once[[30]].with_columns(
        pl.col("event_at", "available_at") + timedelta(milliseconds=7), rate=pl.lit(0.2)
    )
    held = pl.concat([late(once, [20], days=8), late(twice, [0], days=4)])
    whole = quantiles(held, at("2027-01-01"))
    # The late one is missed until its eight days are over, the doubled one from its four days on.
    count = dict(whole.select("block_end_at", "blocks_known").iter_rows())
    ends = once["event_at"].to_list()
    assert [count[ends[n]] for n in (19, 21, 41, 43, 45, 59)] == [20, 21, 41, 42, 45, 59]
    assert whole["block_end_at"].is_sorted()
    for n in (25, 35, 43, 50):
        stop = ends[n] + timedelta(hours=1)
        assert whole.filter(pl.col("available_at") <= stop).equals(quantiles(held, stop))
    rates = once["rate"].to_list()
    kept = [rate for n, rate in enumerate(rates) if n != 30]
    assert whole["apr_p50"][-1] == pytest.approx(float(np.median(kept)) * 3 * 365)


def indicated(stamps, rates, *, interval_s=None):
    """Indications of the market of `settled`, known a second after their stamps."""
    stamped = {"event_at": [at(stamp) for stamp in stamps], "rate": rates}
    rows = pl.DataFrame(stamped).with_columns(
        venue=pl.lit("v"), underlying=pl.lit("X"), interval_s=pl.lit(interval_s, pl.Int64)
    )
    return world.staged(rows).with_columns(
        kind=pl.lit("indicative"), available_at=pl.col("event_at") + timedelta(seconds=1)
    )


@pytest.mark.parametrize("interval_s", [28_800, None])
def test_a_rate_that_is_told_only_when_it_changes_holds_until_its_interval_ends(interval_s):
    paid = world.settled([1e-4] * 4, interval_s=28_800)
    told = indicated(["2026-01-01 09:20", "2026-01-01 13:50"], [2e-4, 3e-4], interval_s=interval_s)
    rows = hours_of(pl.concat([paid[:2], told, paid[2:]])).explode("apr_by_venue")
    seen = {
        hour.hour: (kind["rate_kind"], round(kind["apr"] / 1095, 9), kind["age_s"])
        for hour, kind in rows.select("hour_at", "apr_by_venue").iter_rows()
        if hour.day == 1
    }
    assert seen[8] == ("settled", 1e-4, 3600)
    assert [seen[hour] for hour in (9, 10, 12)] == [
        ("indicative", 2e-4, age) for age in (2400, 6000, 13_200)
    ]
    assert [seen[hour] for hour in (13, 15)] == [("indicative", 3e-4, age) for age in (600, 7800)]
    assert seen[16] == ("settled", 1e-4, 3600)


@pytest.mark.parametrize(("hours", "lead_s"), [(1, 900), (2, 1800), (4, 3600), (8, 3600)])
def test_an_hourly_rate_is_compared_with_what_was_indicated_within_its_hour(hours, lead_s):
    paid = world.settled([1e-4] * 5, hours=hours, interval_s=hours * 3_600)
    end = at("2026-01-01") + timedelta(hours=2 * hours)
    before = [str(end - timedelta(seconds=lead_s + s)) for s in (30, -30)]
    told = indicated(before, [3e-4, 9e-4])
    found = world.built(pl.concat([paid, told])).sql("from funding order by event_at").pl()
    assert found["predicted_minus_settled"][2] == pytest.approx(2e-4)
    assert found["prediction_lead_s"].to_list() == [None, None, lead_s, None, None]


def test_a_pin_is_no_cap_and_without_a_known_cap_nobody_knows():
    rates = {"hyperliquid": [1.25e-5, 0.04, 3e-5, -0.04], "lighter": [1.2e-5, 0.04, 3e-5, -0.04]}
    parts = [
        world.settled(r, hours=1, venue=v, interval_s=3_600, start=at("2025-06-01"))
        for v, r in rates.items()
    ]
    found = world.built(pl.concat(parts)).sql("from funding order by venue, event_at").pl()
    assert found["is_pinned"].to_list() == [True, False, False, False] * 2
    assert found["is_capped"].to_list() == [False, True, False, True] + [None] * 4
    assert found["limit_kind"].to_list() == ["pin", "cap", "none", "floor", "pin"] + [None] * 3


def test_hours_tell_a_contradicted_rate_from_when_that_was_known():
    once = world.settled([1e-5] * 12, hours=1, interval_s=3_600)
    twice = once[[4]].with_columns(
        pl.col("event_at", "available_at") + timedelta(milliseconds=7), rate=pl.lit(0.2)
    )
    held = pl.concat([once[:5], once[8:], late(twice, [0], minutes=70)])
    rows = hours_of(held)
    flagged = rows.filter(pl.col("quality_flags").list.contains("contradicted_rate"))
    assert flagged["hour_at"].to_list() == [at("2026-01-01 05:00")]
    assert (
        hours_of(held.filter(pl.col("available_at") < at("2026-01-01 05:00")))
        .filter(pl.col("quality_flags").list.contains("contradicted_rate"))
        .is_empty()
    )
