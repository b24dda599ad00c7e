"""Is what lies longer ago than a day still taken for the day before?"""

from datetime import datetime, timedelta

import duck_sql
import polars as pl
import pytest

DAY = datetime(2026, 3, 1)  # noqa: DTZ001
NAME = {"venue": "v", "underlying": "X", "instrument_id": "v:X"}


def moment(hour: float) -> datetime:
    return DAY + timedelta(hours=hour)


def changes(hours: dict[int, float]) -> dict[int, float | None]:
    """How much wider the spread of each hour is than that of the day before, in e-folds."""
    books = [
        NAME
        | {
            "snapshot_at": moment(hour + 0.5),
            "available_at": moment(hour + 0.5),
            "is_availability_assumed": False,
            "spread_bps": bps,
            "thinner_depth_usd": 5.0,
        }
        for hour, bps in hours.items()
    ]
    bar = {"minute_at": DAY, "available_at": DAY, "close_price": 1.0, "volume_usd": 1.0}
    event = {"kind": "void", "started_at": DAY, "detected_at": DAY}
    world = duck_sql.world(
        {
            "int_book_depths": pl.DataFrame(books),
            "bars_1m": pl.DataFrame([bar | {"instrument_id": "other"}]),
            "liquidity_events": pl.DataFrame([event | {"instrument_id": "other"}]),
        },
        [],
        ["liquidity_forecast_1h"],
    )
    with world:
        query = "select hour_at, spread_change from liquidity_forecast_1h order by 1"
        found = world.sql(query).fetchall()
    return {round((at - DAY).total_seconds() / 3_600): change for at, change in found}


def test_an_hour_is_compared_with_those_of_the_day_before_and_no_older_ones():
    e = 2.718281828459045
    found = changes({0: 1.0, 1: e, 24: e**3, 25: e**4, 60: e, 84: 1.0, 109: 1.0})
    expected = {0: None, 1: 1, 24: 2.5, 25: 2, 60: None, 84: -1, 109: None}
    assert found == {
        hour: change if change is None else pytest.approx(change)
        for hour, change in expected.items()
    }


def toxicity(ended: float) -> tuple:
    """What an hour from midnight on says of a bucket that was full so many hours after it."""
    prints = "[{'at_us': $1, 'sequence': 1, 'sign': 1, 'price': 1.0, 'size': 1.0, 'usd': 1.0, "
    prints += "'known_us': $1}]"
    at = int((DAY - datetime(1970, 1, 1)).total_seconds() * 1e6)  # noqa: DTZ001
    bucket = {"instrument_id": "v:X", "classification": "aggressor", "bucket_number": 7}
    bucket |= {"vpin": 0.4, "vpin_cdf": 0.6, "ended_at": moment(ended)}
    size = {"large_base": 1.0, "volume_base": 1.0, "large_volume_base": 1.0}
    size |= {"instrument_id": "v:X", "hour_at": DAY, "history_available_at": DAY}
    bar = {"instrument_id": "v:X", "minute_at": DAY, "available_at": DAY, "coverage_share": 1.0}
    frames = {
        "vpin_buckets": pl.DataFrame([bucket | {"available_at": moment(ended)}]),
        "int_large_prints": pl.DataFrame([size]),
        "bars_1m": pl.DataFrame([bar | {"quality_flags": ["none"]}]),
    }
    with duck_sql.world(frames, ["toxicity_rules"], []) as world:
        world.execute(
            "create table int_flow_days as select 'v' as venue, 'X' as underlying, "
            "'v:X' as instrument_id, spread_minutes("
            + prints.replace("$1", str(at))
            + f", null, {at}, {at + 86_400_000_000}) as minutes"
        )
        world.execute(
            "create table toxicity_1h as "
            + duck_sql.rendered(duck_sql.MODELS["toxicity_1h"].read_text())
        )
        (row,) = world.sql(
            "select vpin, vpin_cdf, vpin_ended_at, toxicity_state, quality_flags from toxicity_1h"
        ).fetchall()
    return (*row[:4], [flag for flag in row[4] if "vpin" in flag])


def test_a_bucket_that_ended_more_than_a_day_ago_says_nothing_of_the_hour():
    assert toxicity(-23) == (0.4, 0.6, moment(-23), "unknown", [])
    assert toxicity(-23.1) == (None, None, moment(-23.1), "unknown", ["old_vpin"])
