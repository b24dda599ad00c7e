"""Are surfaces, their history, prints and positions what the planted market and its past say?"""

import math
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import duckdb
import numpy as np
import option_world
import polars as pl
import pytest
from option_world import EXPIRIES, SLICES, clock, forward, years

from assets.building import BuildReport, build
from warehouse.functions import black, svi
from warehouse.functions.grid import CALL_DELTAS, TENOR_DAYS
from warehouse.location import Location, World

pytestmark = pytest.mark.whole

# Enough of them, over a midnight, for the share of earlier ones to be known at the end.
SNAPSHOTS = tuple(
    datetime(2026, 3, 10, 22, 0, tzinfo=UTC) + timedelta(minutes=5 * n) for n in range(36)
)
MARTS = (
    "forwards",
    "quotes",
    "surface_slices",
    "surface_grid",
    "skew",
    "trades",
    "positioning",
)
TRADED = next(o for o in option_world.options() if o.strike == 72_500 and o.option_type == "put")
AFTER = timedelta(seconds=100)  # from a chain to the print that follows it
MOVED = 1.001  # of the index, in those seconds


def planted(root: pytest.TempPathFactory, snapshots: tuple[datetime, ...]) -> Location:
    location = Location(root.mktemp("surface"))
    location.claim(World("real"))
    plant(location, snapshots)
    return location


def plant(location: Location, snapshots: tuple[datetime, ...]) -> None:
    option_world.plant(location, snapshots)
    for at in snapshots:
        unit = f"option prints@{at.isoformat()}"
        option_world.commit(location, "trades", "deribit", at.date(), unit, [printed(at)])


def printed(at: datetime) -> dict[str, object]:
    """A print at the planted vol, of a market that has moved since the chain."""
    number = SNAPSHOTS.index(at)
    moment, expiry, strike = at + AFTER, TRADED.expires_at, TRADED.strike
    assert expiry is not None
    assert strike is not None
    level, t = forward(at, expiry) * MOVED, years(moment, expiry)
    vol = math.sqrt(
        float(svi.total_variance(SLICES[expiry], math.log(strike / level))) / years(at, expiry)
    )
    return {
        "venue": "deribit",
        "underlying": "BTC",
        "instrument_id": TRADED.instrument_id,
        "trade_id": str(number),
        "event_at": moment,
        "side": "sell" if number % 3 == 0 else "buy",
        "price": float(black.price(level, strike, t, vol, False)) / level,
        "quantity_base": round(0.1 * (number + 1), 1),
        "quantity_contracts": round(0.1 * (number + 1), 1),
        "index_price": option_world.spot(at) * MOVED,
        "is_block": False,
        "is_liquidation": False,
        "sequence": number,
    }


@pytest.fixture(scope="module", autouse=True)
def one_version() -> Iterator[None]:
    """Builds that are compared are builds of the same models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assets.building.model_version", lambda: "planted")
        yield


@pytest.fixture(scope="module")
def stepped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Location, BuildReport]:
    """Built at midnight and again when the rest had come."""
    location = planted(tmp_path_factory, SNAPSHOTS[:24])
    build(location, clock=clock)
    plant(location, SNAPSHOTS[24:])
    return location, build(location, clock=clock)


@pytest.fixture(scope="module")
def marts(stepped: tuple[Location, BuildReport]) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(stepped[0].warehouse, read_only=True) as connection:
        yield connection


def table(connection: duckdb.DuckDBPyConnection, query: str) -> pl.DataFrame:
    return (
        connection.sql(query).pl().with_columns(pl.selectors.datetime().dt.replace_time_zone("UTC"))
    )


def variance(at: datetime, days: float, k: float) -> float:
    """The planted total variance at a tenor between the two expiries."""
    near, far = (years(at, e) for e in EXPIRIES)
    share = (days / 365 - near) / (far - near)
    low, high = (float(svi.total_variance(SLICES[e], k)) for e in EXPIRIES)
    return (1 - share) * low + share * high


def inside(at: datetime, days: float) -> bool:
    """Whether a tenor lies between the planted expiries."""
    near, far = (years(at, e) * 365 for e in EXPIRIES)
    return near <= days <= far


def test_a_surface_has_every_tenor_and_delta_and_no_number_beyond_its_expiries(marts):
    grid = table(marts, "from options.surface_grid order by snapshot_at, tenor_days, delta_bucket")
    assert grid.height == len(SNAPSHOTS) * len(TENOR_DAYS) * len(CALL_DELTAS)
    at = grid.filter(snapshot_at=SNAPSHOTS[0])
    assert at["tenor_days"].unique(maintain_order=True).to_list() == list(TENOR_DAYS)
    assert at["delta_bucket"][:19].to_list() == list(CALL_DELTAS)
    for row in grid.iter_rows(named=True):
        known = inside(row["snapshot_at"], row["tenor_days"])
        assert row["is_extrapolated_time"] == (not known)
        assert (row["iv"] is not None) == (row["strike"] is not None) == known
        assert ("beyond_listed_expiries" in row["quality_flags"]) == (not known)


def test_vols_are_those_of_the_planted_surface_at_their_strike(marts):
    grid = table(marts, "from options.surface_grid where iv is not null")
    for row in grid.iter_rows(named=True):
        at, days = row["snapshot_at"], row["tenor_days"]
        expected = math.sqrt(variance(at, days, row["log_moneyness"]) * 365 / days)
        assert row["iv"] == pytest.approx(expected, abs=1e-5)
        root = math.sqrt(row["total_variance"])
        d1 = root / 2 - row["log_moneyness"] / root
        assert math.erfc(-d1 / math.sqrt(2)) / 2 == pytest.approx(row["delta_bucket"], abs=1e-12)
        planted_forward = option_world.spot(at) * math.exp(0.05 * days / 365)
        moneyness = math.log(row["strike"] / planted_forward)
        assert moneyness == pytest.approx(row["log_moneyness"], abs=1e-5)


def test_a_delta_beyond_the_quoted_strikes_is_marked(marts):
    grid = table(marts, "from options.surface_grid where tenor_days = 30")
    slices = table(marts, "from options.surface_slices")
    for row in grid.iter_rows(named=True):
        both = slices.filter(snapshot_at=row["snapshot_at"])
        low = both["lowest_log_moneyness"].max()
        high = both["highest_log_moneyness"].min()
        assert row["is_extrapolated_strike"] == (not low <= row["log_moneyness"] <= high)
    assert 0 < grid["is_extrapolated_strike"].sum() < grid.height


def test_constant_tenors_stand_beside_the_listed_ones(marts):
    skew = table(marts, "from options.skew")
    assert set(skew.filter(tenor_kind="listed")["expires_at"]) == set(EXPIRIES)
    constant = skew.filter(tenor_kind="constant")
    assert constant["expires_at"].null_count() == constant.height
    assert constant.height == len(SNAPSHOTS) * len(TENOR_DAYS)
    for row in constant.iter_rows(named=True):
        at, days = row["snapshot_at"], row["tenor_days"]
        assert row["is_extrapolated_time"] == (not inside(at, days))
        if not inside(at, days):
            assert row["atm_iv"] is None
            assert row["forward_iv"] is None
            continue
        h = 1e-4
        down, here, up = (math.sqrt(variance(at, days, k) * 365 / days) for k in (-h, 0, h))
        assert row["atm_iv"] == pytest.approx(here, abs=1e-5)
        assert row["skew_slope"] == pytest.approx((up - down) / (2 * h), abs=1e-3)
        assert row["curvature"] == pytest.approx((up - 2 * here + down) / h**2, abs=2e-2)
        near, far = (years(at, e) for e in EXPIRIES)
        low, high = (float(svi.total_variance(SLICES[e], 0.0)) for e in EXPIRIES)
        expected = math.sqrt((high - low) / (far - near))
        assert row["forward_iv"] == pytest.approx(expected, abs=1e-5)


def test_risk_reversals_and_butterflies_are_those_of_the_grid(marts):
    found = table(
        marts,
        """
        select skew.*, by_delta.*
        from options.skew
        join (
            select snapshot_at, tenor_days,
                max(iv) filter (delta_bucket = 0.25) as c25,
                max(iv) filter (delta_bucket = 0.75) as p25,
                max(iv) filter (delta_bucket = 0.10) as c10,
                max(iv) filter (delta_bucket = 0.90) as p10
            from options.surface_grid group by all
        ) as by_delta using (snapshot_at, tenor_days)
        where tenor_kind = 'constant' and atm_iv is not null
        """,
    )
    assert found.height == len(SNAPSHOTS) * 4
    np.testing.assert_allclose(found["rr25"], found["c25"] - found["p25"], atol=1e-12)
    np.testing.assert_allclose(found["rr10"], found["c10"] - found["p10"], atol=1e-12)
    mean = (found["c25"] + found["p25"]) / 2
    np.testing.assert_allclose(found["bf25"], mean - found["atm_iv"], atol=1e-12)


def test_a_percentile_is_the_share_of_strictly_earlier_snapshots(marts):
    skew = table(marts, "from options.skew order by snapshot_at")
    checked = 0
    series = ["tenor_kind", "expires_at", "constant"]
    named = skew.with_columns(
        constant=pl.when(tenor_kind="constant").then("tenor_days").otherwise(None)
    )
    for _, rows in named.group_by(series):
        ordered = rows.sort("snapshot_at")
        values = ordered["rr25"].to_list()
        for n, (value, share) in enumerate(
            zip(values, ordered["rr25_percentile_365d"], strict=True)
        ):
            earlier = [v for v in values[:n] if v is not None]
            if value is None or len(earlier) < 30:
                assert share is None
                continue
            expected = sum(v <= value for v in earlier) / len(earlier)
            assert share == pytest.approx(expected, abs=1e-12)
            checked += 1
    assert checked == 6 * (len(SNAPSHOTS) - 30)


def test_a_print_lies_on_the_surface_of_the_chain_before_it_once_the_index_has_moved_it(marts):
    trades = table(marts, "from options.trades order by event_at")
    assert trades["event_at"].to_list() == [at + AFTER for at in SNAPSHOTS]
    assert trades["snapshot_at"].to_list() == list(SNAPSHOTS)
    assert set(trades["quote_age_s"]) == {100.0}
    for row in trades.iter_rows(named=True):
        level = forward(row["snapshot_at"], row["expires_at"]) * MOVED
        assert row["forward"] == pytest.approx(level, rel=1e-6)
        assert row["iv_over_surface"] == pytest.approx(0, abs=1e-5)
        sign = -1 if row["side"] == "sell" else 1
        greeks = black.greeks(
            row["forward"], row["strike"], row["t_years"], row["surface_iv"], False
        )
        size = sign * row["quantity_base"]
        assert row["taker_delta_base"] == pytest.approx(size * float(greeks.delta), rel=1e-9)
        assert row["taker_vega_usd"] == pytest.approx(size * float(greeks.vega) / 100, rel=1e-9)
        paid = size * row["price"] * row["index_price"]
        assert row["taker_premium_usd"] == pytest.approx(paid, rel=1e-12)


def test_what_takers_bought_is_carried_over_midnight(marts):
    found = table(marts, "from options.positioning where level_kind = 'chain' order by snapshot_at")
    bought = np.cumsum([(-0.1 if n % 3 == 0 else 0.1) * (n + 1) for n in range(len(SNAPSHOTS))])
    expected = [0.0, *bought[:-1]]  # a print counts from the chain after it
    np.testing.assert_allclose(found["taker_bought_base"], expected, atol=1e-9)
    gammas = table(
        marts,
        "select gamma * index_price * index_price * 0.01 as unit from options.quotes "
        f"where instrument_id = '{TRADED.instrument_id}' order by snapshot_at",
    )
    np.testing.assert_allclose(
        found["dealer_gamma_taker_flow_usd"], -np.array(expected) * gammas["unit"], rtol=1e-7
    )


def test_a_build_in_two_steps_is_the_build_of_all(stepped, marts, tmp_path_factory):
    assert set(stepped[1].changed_days) == {date(2026, 3, 10), date(2026, 3, 11)}
    whole = planted(tmp_path_factory, SNAPSHOTS)
    build(whole, clock=clock)
    with duckdb.connect(whole.warehouse, read_only=True) as connection:
        for mart in MARTS:
            query = f"from options.{mart} order by all"
            assert marts.sql(query).pl().equals(connection.sql(query).pl()), mart


def test_forwards_of_listed_tenors_are_the_planted_ones(marts):
    listed = table(marts, "from options.skew where tenor_kind = 'listed'")
    for row in listed.iter_rows(named=True):
        expected = forward(row["snapshot_at"], row["expires_at"])
        assert row["forward"] == pytest.approx(expected, rel=1e-6)
