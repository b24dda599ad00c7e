"""Do the volatility marts say what was planted, and nothing before it could be known?"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import duckdb
import numpy as np
import option_world
import polars as pl
import pytest
import volatility_world
from option_world import EXPIRIES, clock, years
from volatility_world import BUSY_SPOT, DAYS, PERPETUAL, SNAPSHOTS, SPOT, planted_slice

from assets.building import build
from warehouse.functions import density, dynamics, forecasts, hedges, quadrature, svi
from warehouse.location import Location

pytestmark = pytest.mark.whole

MARTS = ("vol_index", "density", "realized_vol", "vol_forecast", "variance_premium", "dynamics")
YEAR_S = 31_536_000
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module", autouse=True)
def one_world() -> Iterator[None]:
    """Builds that are compared are builds of the same models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assets.building.model_version", lambda: "planted")
        patch.setattr(option_world, "spot", volatility_world.spot)
        yield


@pytest.fixture(scope="module")
def stepped(tmp_path_factory: pytest.TempPathFactory) -> Location:
    """Built without the last day, then with it and with a day revised that others rest on."""
    location = Location(tmp_path_factory.mktemp("volatility"))
    volatility_world.plant(location, DAYS[:3])
    build(location, clock=clock)
    volatility_world.plant(location, DAYS[3:])
    volatility_world.revise(location, DAYS[1], revision=1)
    build(location, clock=clock)
    return location


@pytest.fixture(scope="module")
def marts(stepped: Location) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(stepped.warehouse, read_only=True) as connection:
        yield connection


def table(connection: duckdb.DuckDBPyConnection, query: str) -> pl.DataFrame:
    return (
        connection.sql(query).pl().with_columns(pl.selectors.datetime().dt.replace_time_zone("UTC"))
    )


def test_a_build_in_steps_with_a_revision_is_the_build_of_all(marts, tmp_path_factory):
    whole = Location(tmp_path_factory.mktemp("whole"))
    volatility_world.plant(whole, DAYS)
    volatility_world.revise(whole, DAYS[1], revision=1)
    build(whole, clock=clock)
    with duckdb.connect(whole.warehouse, read_only=True) as connection:
        for mart in MARTS:
            query = f"from options.{mart} order by all"
            own = connection.sql(query).pl()
            assert own.height > 0, mart
            assert marts.sql(query).pl().equals(own), mart


# ---- implied


def test_the_index_is_the_planted_variance_and_says_how_much_of_it_was_quoted(marts):
    found = table(marts, "from options.vol_index order by snapshot_at")
    assert found.height == 2 * len(SNAPSHOTS)
    # Out of the money and with both sides: what a strip is made of.
    quoted = table(
        marts,
        "select snapshot_at, expires_at, min(log_moneyness) as low, max(log_moneyness) as high "
        "from options.quotes where bid_price is not null "
        "and (option_type = 'call') = (log_moneyness >= 0) group by all order by expires_at",
    )
    for row in found.iter_rows(named=True):
        at = row["snapshot_at"]
        whole, known = np.array(
            [
                (float(v.total_variance[0]), float((v.total_variance * v.coverage_share)[0]))
                for expiry, low, high in quoted.filter(snapshot_at=at)
                .select("expires_at", "low", "high")
                .iter_rows()
                for v in [
                    quadrature.slice_variance(
                        np.array([planted_slice(at, expiry)]).T, low, high, has_flat_wings=True
                    )
                ]
            ]
        ).T
        times = [years(at, e) for e in EXPIRIES]
        total, between = (float(np.interp(30 / 365, times, v)) for v in (whole, known))
        # Cboe's sum counts half a step beyond its last strikes.
        expected, within = {"strip": (between, 0.02), "surface": (total, 0.005)}[row["method"]]
        assert row["index_iv"] == pytest.approx(math.sqrt(expected * 365 / 30), rel=within)
        assert row["strip_coverage_share"] == pytest.approx(between / total, abs=2e-3)
        assert ("thin_strip" in row["quality_flags"]) == (row["strip_coverage_share"] < 0.9)


def test_an_index_stands_beside_the_last_candle_that_had_ended(marts):
    for row in table(marts, "from options.vol_index").iter_rows(named=True):
        candle = row["snapshot_at"] - timedelta(minutes=1)
        assert row["published_at"] == candle
        assert row["published_iv"] == pytest.approx(volatility_world.published_iv(candle))
        assert row["difference_iv"] == row["index_iv"] - row["published_iv"]
        assert row["available_at"] >= candle + timedelta(seconds=2)


def test_the_law_of_the_settlement_price_is_the_planted_one(marts):
    found = table(marts, "from options.density")
    assert found.height == len(EXPIRIES) * len(SNAPSHOTS)
    for row in found.iter_rows(named=True):
        slices = np.array([planted_slice(row["snapshot_at"], row["expires_at"])]).T
        law = density.law(slices, [0.05, 0.5])
        forward = option_world.forward(row["snapshot_at"], row["expires_at"])
        low, middle = forward * np.exp(law.quantile_k[0])
        assert row["quantile_05_usd"] == pytest.approx(low, rel=1e-3)
        assert row["quantile_50_usd"] == pytest.approx(middle, rel=1e-3)
        below = [row[f"probability_below_{d}"] for d in (10, 20, 30)]
        np.testing.assert_allclose(below, law.probability_below[0], atol=1e-3)
        assert row["mass"] == pytest.approx(1, abs=1e-6)
        assert row["mean_error"] == pytest.approx(0, abs=1e-6)


# ---- realised


def closes(connection: duckdb.DuckDBPyConnection, instrument: str) -> pl.DataFrame:
    """Last price of each five minutes, under the end of the five."""
    query = "from flow.bars_1m order by minute_at"
    bars = table(connection, query).filter(instrument_id=instrument)
    mark = pl.col("minute_at").dt.truncate("5m") + timedelta(minutes=5)
    return bars.group_by(mark=mark, maintain_order=True).agg(pl.last("close_price"))


@pytest.mark.parametrize("hours", [1, 24])
def test_realised_vol_is_that_of_five_minute_returns_of_the_window(marts, hours):
    found = table(marts, "from options.realized_vol order by hour_at").filter(
        window_hours=hours, estimator="realized_5m"
    )
    assert found.height == 24 * len(DAYS)
    for row in found.iter_rows(named=True):
        end = row["hour_at"] + HOUR
        prices = closes(marts, row["instrument_id"]).filter(
            pl.col("mark").is_between(end - hours * HOUR, end)
        )
        returns = np.diff(np.log(prices["close_price"].to_numpy()))
        known_share = returns.size / (12 * hours)
        assert row["observed_share"] == pytest.approx(known_share)
        if known_share < 0.5:
            assert row["realized_vol"] is None
            assert row["quality_grade"] == "F"
            continue
        annual = np.sum(returns**2) / returns.size * YEAR_S / 300
        assert row["realized_vol"] == pytest.approx(math.sqrt(annual), rel=1e-9)
        assert row["realized_variance"] == pytest.approx(annual, rel=1e-9)


def test_semivariances_add_up_and_all_estimators_know_the_planted_vol(marts):
    day = table(marts, "from options.realized_vol").filter(
        window_hours=24, hour_at=datetime(2026, 3, 8, 23, tzinfo=UTC)
    )
    vols = dict(day.select("estimator", "realized_vol").iter_rows())
    assert len(vols) == 12
    halves = vols["semivariance_up_5m"] ** 2 + vols["semivariance_down_5m"] ** 2
    assert halves == pytest.approx(vols["realized_5m"] ** 2)
    planted = 4e-4 * math.sqrt(YEAR_S / 60)
    for name in ("close_close", "close_close_demeaned", "realized_5m", "bipower_5m", "median_5m"):
        assert vols[name] == pytest.approx(planted, rel=0.25), name
    assert day["jump_share"].n_unique() == 1


def test_the_instrument_is_the_one_with_most_dollars_traded_in_the_window(marts):
    found = table(marts, "from options.realized_vol order by hour_at").filter(estimator="parkinson")
    busy = found.filter(hour_at=BUSY_SPOT)
    assert set(busy["instrument_id"]) == {SPOT.instrument_id}
    hourly = found.filter(window_hours=1)
    assert set(hourly.filter(pl.col("hour_at") != BUSY_SPOT)["instrument_id"]) == {
        PERPETUAL.instrument_id
    }
    # A day later the busy hour has left the window of a day.
    daily = dict(found.filter(window_hours=24).select("hour_at", "instrument_id").iter_rows())
    assert daily[BUSY_SPOT + 23 * HOUR] == SPOT.instrument_id
    assert daily[BUSY_SPOT + 24 * HOUR] == PERPETUAL.instrument_id


def test_nothing_is_known_before_its_hour_is_over(marts):
    for mart in ("realized_vol", "vol_forecast", "dynamics"):
        early = marts.sql(
            f"from options.{mart} where available_at < hour_at + interval 1 hour"
        ).fetchall()
        assert early == [], mart


# ---- to come


def hourly(connection: duckdb.DuckDBPyConnection) -> pl.DataFrame:
    return table(
        connection,
        "select hour_at, realized_variance from options.realized_vol "
        "where window_hours = 1 and estimator = 'realized_5m' order by hour_at",
    )


def test_forecasts_are_those_of_the_hourly_series_and_their_losses_of_closed_horizons(marts):
    variance = hourly(marts)["realized_variance"].to_numpy()
    found = table(marts, "from options.vol_forecast order by hour_at").filter(horizon_hours=24)
    assert found.height == variance.size
    naive, ewma = forecasts.naive(variance, 24), forecasts.ewma(variance, 268.8)
    ewma[:23] = np.nan
    np.testing.assert_allclose(as_floats(found["naive_vol"]) ** 2, naive, rtol=1e-12)
    np.testing.assert_allclose(as_floats(found["ewma_vol"]) ** 2, ewma, rtol=1e-12)
    for name, forecast in (("naive", naive), ("ewma", ewma)):
        loss = forecasts.trailing_loss(variance, forecast, 24, 720)
        assert np.isfinite(loss).sum() > 10
        np.testing.assert_allclose(as_floats(found[f"{name}_loss"]), loss, rtol=1e-9)
    assert found["har_vol"].null_count() == found.height
    assert set(found["har_status"]) == {"short_history"}


def as_floats(column: pl.Series) -> np.ndarray:
    return column.cast(pl.Float64).fill_null(np.nan).to_numpy()


def test_trailing_forecast_and_forward_variance_stand_apart(marts):
    found = table(marts, "from options.variance_premium order by day_at, tenor_days")
    assert found.height == 2 * 13
    hours = hourly(marts)
    first = found.filter(day_at=datetime(2026, 3, 10, tzinfo=UTC), tenor_days=1).row(0, named=True)
    at = first["snapshot_at"]
    assert at == max(s for s in SNAPSHOTS if s.day == 10)
    past = hours.filter(pl.col("hour_at").is_between(at.replace(minute=0) - 24 * HOUR, at - HOUR))
    assert past.height == 24
    trailing = past["realized_variance"].mean()
    assert first["trailing_realized_variance"] == pytest.approx(trailing, rel=1e-8)
    to_come = hours.filter(pl.col("hour_at") > at)
    assert to_come.height == 24
    forward = to_come["realized_variance"].mean()
    assert first["forward_realized_variance"] == pytest.approx(forward, rel=1e-8)
    assert first["closes_at"] == datetime(2026, 3, 12, tzinfo=UTC)
    assert first["known_at"] < at + HOUR
    forecast = table(marts, "from options.vol_forecast").filter(
        horizon_hours=24, hour_at=at.replace(minute=0) - HOUR
    )
    expected = forecast["ewma_vol"][0] ** 2
    assert first["forecast_realized_variance"] == pytest.approx(expected, rel=1e-12)
    # The tenor of a day lies before the first expiry: nothing is implied.
    assert first["implied_variance"] is None
    month = found.filter(day_at=datetime(2026, 3, 10, tzinfo=UTC), tenor_days=30)
    strip = table(marts, "from options.vol_index").filter(method="strip", snapshot_at=at)
    assert month["implied_variance"][0] == pytest.approx(strip["index_iv"][0] ** 2)
    premium = month["implied_variance"] - month["forecast_realized_variance"]
    assert month["forecast_premium"].equals(premium)


def test_forward_variance_waits_until_its_window_has_closed(marts):
    found = table(marts, "from options.variance_premium")
    closed = found.filter(pl.col("forward_realized_variance").is_not_null())
    assert closed.height == 1
    assert (closed["available_at"] >= closed["closes_at"]).all()
    open_ = found.filter(pl.col("forward_realized_variance").is_null())
    assert (open_["available_at"] == open_["known_at"]).all()


# ---- the smile as it moves


def test_a_smile_that_sticks_to_strikes_has_a_ratio_of_one(marts):
    found = table(marts, "from options.dynamics order by hour_at").filter(window_hours=24)
    assert found.height == len(EXPIRIES) * len(SNAPSHOTS) // 2
    known = found.filter(stickiness_status="ok")
    assert known.height == 11 * len(EXPIRIES)
    assert known["steps_used"].min() == 31
    assert found.filter(stickiness_status="too_few_steps")["steps_used"].max() < 30
    assert (known["skew_stickiness_ratio"] - 1).abs().max() < 0.1
    assert known["r_squared"].min() > 0.9
    moved = known["atm_minimum_variance_delta"] - known["atm_delta"]
    assert moved.abs().max() < 0.02
    # Black's delta is right already: to hedge by another can only do harm.
    assert known["stickiness_gain"].drop_nulls().max() < 0


def test_the_ratio_is_that_of_the_slices_of_the_window(marts):
    last = table(marts, "from options.dynamics order by hour_at").filter(window_hours=24).tail(1)
    expiry = last["expires_at"][0]
    slices = table(marts, "from options.surface_slices order by snapshot_at").filter(
        expires_at=expiry, fit_kind="raw"
    )
    params = slices.select("svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma").to_numpy()
    skew, _ = svi.slope_and_curvature(params.T, slices["t_years"].to_numpy())
    expected = dynamics.skew_stickiness(slices["atm_iv"], skew, slices["forward"], 48)
    assert last["skew_stickiness_ratio"][0] == pytest.approx(expected.ratio[-1], rel=1e-9)
    assert last["skew_stickiness_error"][0] == pytest.approx(expected.standard_error[-1], rel=1e-9)
    taught = hedges.hedges(params, slices["forward"], slices["t_years"], 48)
    assert [last[f"hull_white_{c}"][0] for c in "abc"] == pytest.approx(taught.coefficients[-1])
    assert last["moves_hedged"][0] == taught.moves_hedged[-1] == 48 - hedges.MINIMUM_MOVES
    assert last["hull_white_gain"][0] == pytest.approx(taught.hull_white_gain[-1])
    assert last["stickiness_gain"][0] == pytest.approx(taught.stickiness_gain[-1])
    deltas = hedges.hull_white_call_delta([0.25, 0.75], *taught.coefficients[-1])
    named = ("call25_hull_white_delta", "put25_hull_white_call_delta")
    assert [last[name][0] for name in named] == pytest.approx(deltas)


def test_vol_at_a_strike_is_compared_with_itself_a_window_before(marts):
    found = table(marts, "from options.dynamics order by hour_at")
    old = found.filter(pl.col("fixed_strike_iv_change").is_not_null())
    assert set(old["window_hours"]) == {24}
    assert set(old["snapshot_at"]) == set(SNAPSHOTS[49::2])
    # Strikes kept their vols while the forward and with it the vol at the forward moved.
    assert old["fixed_strike_iv_change"].abs().max() < 1e-4
    assert old["atm_iv_change"].abs().max() > 1e-3
    young = found.filter(pl.col("fixed_strike_iv_change").is_null())
    assert young["quality_flags"].list.contains("no_earlier_slice").all()
