"""Is funding what its formulas, the recorded rates of seven venues and the clock allow?"""

import io
import json
import zipfile
from datetime import datetime, timedelta

import duck_sql
import duckdb
import funding_world as world
import numpy as np
import polars as pl
import pytest


def formula_rates(premiums):
    """By venue, the rates that its newest formula gives over one premium period."""
    rate = "{{ formula_rate('premium', 'formula_kind', 'interest_rate', 'clamp_rate') }}"
    query = f"""select venue, list({duck_sql.rendered(rate)} order by place)
        from (select unnest($1::double[]) as premium, generate_subscripts($1, 1) as place),
        (select distinct on (venue) * from funding_formulas
        where base = '*' order by venue, valid_from desc) group by venue"""
    with duckdb.connect() as connection:
        duck_sql.seeded(connection, ["funding_formulas"])
        return dict(connection.execute(query, [premiums]).fetchall())


# ---- formulas


def test_the_formulas_give_the_worked_examples_to_the_last_digit(reference):
    examples = json.loads((reference / "funding_formula_examples.json").read_text())["rows"]
    found = formula_rates([row["avg_premium"] for row in examples])
    assert found["binance"] == found["bybit"] == [row["binance_8h"] for row in examples]
    assert [rate / 8 for rate in found["hyperliquid"]] == [
        row["hyperliquid_1h_paid"] for row in examples
    ]
    assert found["deribit"] == [row["deribit_8h_rate"] for row in examples]


def test_a_rate_is_annualised_as_in_the_worked_examples(reference):
    examples = json.loads((reference / "funding_formula_examples.json").read_text())["rows"]
    rates = [row["binance_8h"] for row in examples]
    found = world.built(world.settled(rates, interval_s=28_800)).sql(
        "from funding order by event_at"
    )
    for row, expected in zip(found.pl().iter_rows(named=True), examples, strict=True):
        assert row["apr"] == pytest.approx(expected["ann_simple_8h"], rel=1e-14)
        assert row["apy"] == pytest.approx(expected["ann_compound_8h"], rel=1e-11)


def test_a_premium_found_in_a_rate_gives_that_rate_again(built):
    rate = duck_sql.rendered(
        "{{ formula_rate('implied_premium', 'f.formula_kind', 'f.interest_rate', 'f.clamp_rate') }}"
    )
    worst, rows = built.execute(
        f"""select max(abs({rate} * interval_s / 28800 - rate)), count(*)
        from funding, (select distinct on (venue) * from funding_formulas
        where base = '*' order by venue, valid_from desc) as f
        where f.venue = funding.venue and implied_premium is not null"""
    ).fetchall()[0]
    assert rows > 11_000
    assert worst < 1e-17


# ---- what was recorded


@pytest.fixture(scope="module")
def built(recorded):
    rates = world.recorded_rates(recorded)
    return world.built(rates, world.HOURLY, stg_quotes=world.recorded_open_interest(recorded))


def per_market(built, query):
    return {name: values for name, *values in built.execute(query).fetchall()}


def test_recorded_rates_stand_at_the_pins_that_the_formulas_name(built):
    """An atom where the clamp falls back, and none beside it, tell interest and divisor; nothing
    in the rates tells the clamp's width, nor a cap that was never reached."""
    found = per_market(
        built,
        """select venue,
        avg(case when limit_kind = 'pin' then 1 else 0 end),
        avg(case when limit_kind is distinct from 'pin'
            and abs(rate - pinned_rate) < 0.01 * pinned_rate then 1 else 0 end),
        count(*) filter (limit_kind in ('cap', 'floor'))
        from funding where interval_s is not null group by venue""",
    )
    pinned = {venue: share for venue, (share, _, _) in found.items()}
    assert pinned["dydx"] == pinned["kraken"] == 0
    assert 0.02 < pinned["okx"] < 0.05
    assert 0.1 < pinned["binance"] < pinned["bybit"] < 0.3
    assert 0.4 < pinned["hyperliquid"] < pinned["lighter"] < 0.7
    for venue, (share, beside, capped) in found.items():
        assert not capped
        assert venue in ("dydx", "kraken") or beside < share / 8


def test_the_public_archive_pays_what_the_recorder_saw(recorded):
    """Two recordings of Binance's settlements: the archive's formula stands on the same rates."""
    files = sorted(recorded.glob("binance_vision/data/futures/um/monthly/fundingRate/*/*.zip"))
    parts = []
    for path in files:
        with zipfile.ZipFile(path) as held:
            rows = pl.read_csv(io.BytesIO(held.read(held.namelist()[0])))
        coin = path.name.split("USDT")[0]
        parts.append(rows.with_columns(underlying=pl.lit(coin), venue=pl.lit("binance")))
    archive = pl.concat(parts).with_columns(
        event_at=pl.from_epoch("calc_time", time_unit="ms").cast(world.NAIVE),
        rate=pl.col("last_funding_rate"),
        interval_s=(pl.col("funding_interval_hours") * 3600).cast(pl.Int64),
    )
    told = world.built(world.staged(archive)).sql("from funding").pl()
    seen = world.recorded_rates(recorded).filter(venue="binance")
    both = told.join(seen, on=["instrument_id", "event_at"], how="inner")
    assert both.height == told.height == 1976
    assert (both["rate"] - both["rate_right"]).abs().max() < 5e-9
    assert set(told["quality_grade"]) == {"C"}  # nobody recorded the receipt
    assert told["accrued"].max() == pytest.approx(0.0445, abs=1e-3)


def test_lost_settlements_are_counted_and_lower_no_rate(built):
    found = per_market(
        built,
        """select instrument_id, count(*) filter (missing_settlements > 0),
        sum(missing_settlements)::bigint, max(accrued_missing), count(distinct interval_s)
        from funding group by 1""",
    )
    for coin in ("BTC", "ETH"):
        assert found[world.identity("kraken", coin)] == [6, 7, 7, 1]
        assert found[world.identity("lighter", coin)] == [18, 1468, 1468, 1]
        for venue in ("binance", "bybit", "okx", "dydx", "hyperliquid"):
            assert found[world.identity(venue, coin)] == [0, 0, 0, 1]
    interval = per_market(built, "select venue, max(interval_s) from funding group by 1")
    eight = {"binance", "bybit", "okx"}
    assert interval == {v: [28_800 if v in eight else 3_600] for v in interval}


def test_the_robust_scale_of_pinned_markets_is_its_floor(built):
    found = per_market(
        built,
        """select venue, avg(case when pinned_share_30d >= 0.5 then 1 else 0 end),
        count(*) filter (pinned_share_30d >= 0.5 and scale_8h_30d > 1.00001e-5)
        from funding_anomalies where pinned_share_30d is not null group by 1""",
    )
    assert not any(wider for _, wider in found.values())
    pinned = {venue: share for venue, (share, _) in found.items()}
    assert 0.45 < pinned["hyperliquid"] < 0.65
    assert pinned["lighter"] > 0.6
    assert max(pinned["kraken"], pinned["okx"], pinned["dydx"]) == 0


def test_a_build_that_stopped_earlier_says_the_same_of_its_past(recorded, built):
    stop = "2025-06-01 00:00:00"
    rates = world.recorded_rates(recorded).filter(
        pl.col("available_at") <= datetime.fromisoformat(stop)
    )
    given = {
        "stg_funding": rates,
        "stg_instruments": world.instruments(rates),
        "stg_quotes": world.NO_QUOTES,
    }
    stopped = duck_sql.world(given, world.SEEDS, world.HOURLY, as_of=stop)
    for mart in ("funding", "funding_anomalies", "funding_1h"):
        query = f"from {mart} where available_at <= '{stop}' order by all"
        past, then = built.sql(query).pl(), stopped.sql(query).pl()
        assert then.height > 1000
        assert past.equals(then), mart


def test_hours_of_seven_venues_add_up(built):
    hours = built.sql("from funding_1h order by underlying, hour_at").pl()
    assert hours.height == 2 * 7910
    for row in hours.sample(300, seed=4).iter_rows(named=True):
        venues = row["apr_by_venue"]
        rates = {v["venue"]: v["apr"] for v in venues}
        assert len(rates) == row["venue_count"] == len(venues)
        assert row["highest_venue"] in [v for v in rates if rates[v] == max(rates.values())]
        assert row["lowest_venue"] in [v for v in rates if rates[v] == min(rates.values())]
        assert row["spread_apr"] == max(rates.values()) - min(rates.values())
        assert row["dispersion_apr"] == pytest.approx(np.std([*rates.values()], ddof=1), rel=1e-9)
        weighed = [v for v in venues if v["open_interest_usd"] is not None]
        assert row["weighed_venue_count"] == len(weighed)
        if weighed:
            weights = [v["open_interest_usd"] for v in weighed]
            mean = np.average([v["apr"] for v in weighed], weights=weights)
            assert row["apr_open_interest_weighted"] == pytest.approx(mean, rel=1e-6)
        else:
            assert row["apr_open_interest_weighted"] is None
        assert all(v["age_s"] <= v["interval_s"] + 3_600 for v in venues)
        net = row["spread_apr"] - row["fees_bps"] / 1e4 * 365 / row["horizon_days"]
        assert row["net_spread_apr"] == pytest.approx(net)
        assert row["available_at"] == row["hour_at"] + timedelta(hours=1)


def test_a_settled_rate_is_never_smeared_back(built):
    paid = built.sql("from funding where venue = 'binance' and underlying = 'BTC'").pl()
    known = built.sql(
        """select hour_at, v.apr from (select hour_at, unnest(apr_by_venue) as v
        from funding_1h where underlying = 'BTC') where v.venue = 'binance'"""
    ).pl()
    for row in (
        paid.filter(pl.col("interval_s").is_not_null()).sample(50, seed=2).iter_rows(named=True)
    ):
        hour = row["event_at"].replace(minute=0, second=0, microsecond=0)
        shown = known.filter(
            pl.col("hour_at") >= hour - timedelta(hours=8),
            pl.col("hour_at") < hour + timedelta(hours=8),
        )
        after = shown.filter(pl.col("hour_at") >= hour)["apr"]
        assert (after == row["apr"]).all()
        before = shown.filter(pl.col("hour_at") < hour)["apr"]
        assert (
            not (before == row["apr"]).any()
            or row["apr"] in paid.filter(pl.col("event_at") < row["event_at"])["apr"]
        )
