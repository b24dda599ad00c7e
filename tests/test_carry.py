"""Are basis, curve, rolls, carry and hedges what was planted, and do they know only the past?"""

from datetime import UTC, datetime, timedelta

import carry_world
import duck_sql
import numpy as np
import polars as pl
import pytest
from carry_world import DEPEG_AT, EXPIRIES, LONE, MARKET, MARKS, PREMIUM, SPOT, planted_rate

from hedgehouse import plotting
from warehouse.instants import in_utc

NOON = MARKS[0].replace(hour=12, minute=0)
EVENING = MARKS[0].replace(hour=20, minute=0)
MARTS = ("basis", "basis_curve", "roll_calendar", "net", "effectiveness")
DERIBIT = "deribit:X/USD:X"


@pytest.fixture(scope="module")
def marts():
    with carry_world.world(list(carry_world.quotes())) as connection:
        yield connection


def rows(marts, query: str) -> pl.DataFrame:
    return marts.sql(query).pl()


def built(changed, names=carry_world.NAMES, mart="basis", pays=1) -> pl.DataFrame:
    """A mart over a few marks of quotes as `changed` leaves them."""
    few = [
        r for r in carry_world.quotes() if NOON - timedelta(minutes=16) < r["snapshot_at"] < NOON
    ]
    quotes = [r for row in few for r in changed(row)]
    with carry_world.world(quotes, names=names, pays=pays) as connection:
        return connection.sql(f"from {mart} where snapshot_at = timestamp '{NOON}'").pl()


# ---- basis


def test_the_basis_is_the_planted_premium_on_either_side_of_the_depeg(marts):
    got = rows(marts, "from basis where kind = 'perp' and underlying = 'X' and price_kind = 'mid'")
    assert got.height == 2 * len(MARKS)
    for instrument, premium in PREMIUM.items():
        own = got.filter(pl.col("instrument_id") == instrument)
        np.testing.assert_allclose(own["basis_bps"], 1e4 * premium, rtol=1e-9)
        assert own["spot_instrument_id"].unique().to_list() == [SPOT]
    converted = got.filter(pl.col("instrument_id") == DERIBIT).sort("snapshot_at")
    expected = [carry_world.usdt(at) for at in MARKS]
    np.testing.assert_allclose(converted["stablecoin_rate"], expected)
    assert not got["is_stablecoin_rate_assumed"].any()


def test_a_depeg_without_a_rate_is_assumed_away_and_flagged():
    at = DEPEG_AT + timedelta(hours=1)
    few = [
        r
        for r in carry_world.quotes()
        if r["instrument_id"] != carry_world.PEG
        and at - timedelta(minutes=5) < r["snapshot_at"] < at
    ]
    with carry_world.world(few) as connection:
        got = connection.sql(f"from basis where snapshot_at = timestamp '{at}'").pl()
    own = got.filter(pl.col("instrument_id") == DERIBIT)
    assert own["basis_bps"].item() == pytest.approx(1e4 * (1.0005 * 0.98 - 1))
    assert own["quality_flags"].to_list() == [["stablecoin_assumed"]]
    linear = got.filter(pl.col("instrument_id") == "binance:X/USDT:USDT")
    assert linear["basis_bps"].item() == pytest.approx(3)
    assert linear["quality_grade"].item() == "A"


def test_an_index_unlike_any_spot_is_flagged_and_its_distance_told(marts):
    got = rows(marts, f"from basis where instrument_id = '{MARKET}' and price_kind = 'mid'")
    assert got["spot_source"].unique().to_list() == ["spot_mid"]
    np.testing.assert_allclose(got["index_gap_bps"], 1e4 * (48 / 50 - 1))
    assert all("index_unlike_spot" in flags for flags in got["quality_flags"])


def test_an_offset_stamp_makes_a_basis_asynchronous():
    def late(row):
        moved = row["snapshot_at"] - timedelta(seconds=100)
        return [row | {"snapshot_at": moved}] if row["instrument_id"] == DERIBIT else [row]

    got = built(late)
    flagged = got.filter(pl.col("quality_flags").list.contains("asynchronous"))
    assert flagged["instrument_id"].to_list() == [DERIBIT]
    assert flagged["price_age_s"].item() - flagged["spot_age_s"].item() == 100


def test_spot_stays_with_the_venue_whoever_was_seen_last_until_it_is_old():
    def with_rival(row, own_age_s=0.0):
        if row["instrument_id"] != SPOT:
            return [row]
        seen = row["snapshot_at"]
        rivals = [
            row
            | {"venue": venue, "instrument_id": f"{venue}:X/USDT"}
            | {"mid_price": off * row["mid_price"]}
            | {"snapshot_at": seen + timedelta(milliseconds=after)}
            for venue, off, after in (("alpha", 1.001, 1), ("zeta", 0.999, 2))
        ]
        return [row | {"snapshot_at": seen - timedelta(seconds=own_age_s)}, *rivals]

    names = (*carry_world.NAMES, "alpha:X/USDT", "zeta:X/USDT")
    fresh = built(with_rival, names).filter(pl.col("underlying") == "X")
    chosen = dict(fresh.select("instrument_id", "spot_instrument_id").iter_rows())
    assert chosen["binance:X/USDT:USDT"] == chosen[LONE] == SPOT
    # no spot market of its own: the first by name, which is neither the newest nor hops
    assert chosen[DERIBIT] == "alpha:X/USDT"
    old = built(lambda row: with_rival(row, 100), names).filter(pl.col("underlying") == "X")
    assert set(old["spot_instrument_id"]) == {"alpha:X/USDT"}
    assert "asynchronous" not in {flag for flags in old["quality_flags"] for flag in flags}


def test_without_spot_or_with_a_stale_one_futures_have_the_perpetual_and_it_has_nothing():
    def stale(row):
        is_last = row["snapshot_at"] > NOON - timedelta(minutes=5)
        return [] if row["instrument_id"] == SPOT and is_last else [row]

    got = built(stale).filter(pl.col("underlying") == "X")
    perpetuals = got.filter(pl.col("kind") == "perp")
    assert perpetuals.height == len(PREMIUM)
    assert set(perpetuals["quality_grade"]) == {"F"}
    for column in ("spot_price", "basis_bps", "z_30d"):
        assert perpetuals[column].is_null().all()
    futures = got.filter(pl.col("kind") == "future")
    assert set(futures["spot_source"]) == {"perpetual"}
    assert all("perpetual_as_spot" in flags for flags in futures["quality_flags"])


def test_a_crossed_book_has_no_mid_and_two_quotes_of_one_instant_are_one():
    def crossed(row):
        if row["instrument_id"] == DERIBIT:
            return [row | {"bid_price": row["ask_price"], "ask_price": row["bid_price"],
                           "mid_price": None, "mark_price": 100.0}]  # fmt: skip
        return [row, row] if row["instrument_id"] == LONE else [row]

    got = built(crossed)
    assert got.filter(pl.col("instrument_id") == DERIBIT)["price_kind"].to_list() == ["mark"]
    assert got.filter(pl.col("instrument_id") == LONE).height == 1


def test_an_expired_future_is_gone_and_one_within_a_day_is_not_annualised(marts):
    first, second, *_ = EXPIRIES
    got = rows(marts, f"from basis where instrument_id in ('{first}', '{second}')")
    ends = got.group_by("instrument_id").agg(pl.col("snapshot_at").max())
    for instrument, last in ends.iter_rows():
        assert last == min(EXPIRIES[instrument] - carry_world.STEP, MARKS[-1])
    for tenor, simple in got.select("tenor_days", "basis_simple").iter_rows():
        assert (simple is None) == (tenor < 1)


def test_the_noise_of_price_makes_no_entry_in_a_futures_last_days():
    """Thirty days at 5 % a year with an error of 2 bps of price, then a mispricing of 20."""
    generator = np.random.default_rng(11)
    expires_at = carry_world.START + timedelta(days=32)
    times = [carry_world.START + timedelta(hours=n) for n in range(31 * 24)]
    days = np.array([(expires_at - at) / timedelta(days=1) for at in times])
    mid = 100 * (1 + 0.05 * days / 365 + 2e-4 * generator.normal(size=days.size))
    mid[-1] += 0.2
    frames = {
        "int_basis_quotes": pl.DataFrame(
            {
                "venue": "v",
                "underlying": "X",
                "instrument_id": "v:X/USD:X-260402",
                "snapshot_at": times,
                "kind": "future",
                "contract_type": "inverse",
                "base": "X",
                "quote": "USD",
                "expires_at": expires_at,
                "available_at": times,
                "is_availability_assumed": False,
                "mid_price": mid,
                "mark_price": pl.Series([None] * len(times), dtype=pl.Float64),
                "last_price": pl.Series([None] * len(times), dtype=pl.Float64),
                "index_price": 100.0,
                "half_spread_bps": 1.0,
                **dict.fromkeys(("mid_at", "mark_at", "last_at", "index_at"), times),
            }
        ),
        "int_basis_trades": pl.DataFrame(schema=carry_world.TRADES),
    }
    seeds = ("quote_assets", "basis_rules")
    models = ("int_spot_prices", "int_stablecoin_rates", "basis")
    with duck_sql.world(frames, seeds, models) as connection:
        got = connection.sql("from basis order by snapshot_at").pl()
    last = got.filter(pl.col("tenor_days") < 4)
    calm = last[:-1]["z_30d"].abs()
    assert calm.len() > 60
    assert (calm >= 2).mean() < 0.12  # of a normal error 4.6 %
    assert calm.max() > 1
    row = last.row(-1, named=True)
    assert row["z_30d"] == pytest.approx(10, abs=2.5)
    assert row["entry_exit_flag"] == "enter_short_derivative"
    # a band and a basis of it are in one unit
    assert row["entry_low"] < 0.05 < row["entry_high"] < row["basis_simple"]
    width = (row["entry_high"] - row["entry_low"]) / 4 * row["tenor_days"] / 365
    assert width == pytest.approx(2e-4, rel=0.15)
    assert got["z_30d"].is_null().to_list() == [True] * 30 + [False] * (got.height - 30)


# ---- curve and rolls


def test_the_curve_is_the_planted_one_between_its_contracts(marts):
    got = rows(marts, "from basis_curve where venue = 'deribit' and tenor_days in (30, 90)")
    for at, tenor, rate, near, far in got.select(
        "snapshot_at", "tenor_days", "rate", "near_tenor_days", "far_tenor_days"
    ).iter_rows():
        # linear in time between the planted points, by hand
        x = [planted_rate(d / 365) * d / 365 for d in (near, far)]
        expected = np.interp(tenor, [near, far], x) * 365 / tenor
        assert rate == pytest.approx(expected, rel=1e-9), at
    assert got["near_tenor_days"].max() < 90 < got["far_tenor_days"].max()


def test_a_curve_of_its_own_shape_leaves_no_residual_and_no_gap_at_spot(marts):
    got = rows(marts, "from basis_curve where venue = 'deribit' and tenor_days = 60")
    np.testing.assert_allclose(got["fit_rmse_bps"], 0, atol=1e-6)
    np.testing.assert_allclose(got["implied_spot_gap_bps"], 0, atol=1e-6)
    expected = [planted_rate(60 / 365)] * got.height
    np.testing.assert_allclose(got["fit_rate"], expected, rtol=1e-9)
    assert (got["contracts_listed"] >= 5).all()


def test_beyond_the_listed_expiries_and_with_one_contract_there_is_no_rate(marts):
    got = rows(marts, "from basis_curve where tenor_days = 365 or venue = 'binance'")
    assert got["rate"].is_null().all()
    assert got["is_extrapolated_time"].all()
    lone = got.filter(pl.col("venue") == "binance")
    assert lone["contracts_listed"].unique().to_list() == [1]
    assert all("one_contract" in flags for flags in lone["quality_flags"])


def test_a_roll_is_due_in_the_week_before_expiry_and_pays_the_forward_rate(marts):
    got = rows(marts, f"from roll_calendar where snapshot_at = timestamp '{NOON}'").sort(
        "expires_at"
    )
    listed = got.filter(pl.col("venue") == "deribit")
    assert listed["is_roll_due"].to_list() == [True, True, False, False, False, False]
    assert listed["next_instrument_id"].to_list()[:-1] == listed["instrument_id"].to_list()[1:]
    assert listed["roll_cost_bps"][0] == pytest.approx(2 * 5 + 2 * 1e4 * carry_world.HALF_SPREAD)
    t = [(e - NOON) / carry_world.YEAR for e in listed["expires_at"][2:4]]
    x = [planted_rate(s) * s for s in t]
    assert listed["roll_rate"][2] == pytest.approx((x[1] - x[0]) / (t[1] - t[0]), rel=1e-9)
    assert listed["roll_rate"][-1] is None


# ---- net carry


def test_net_carry_is_gross_less_costs_to_the_last_bit(marts):
    got = rows(marts, "from net")
    assert got["net_apr"].drop_nulls().len() > 500
    parts = got["fees_apr"] + got["slippage_apr"] + got["borrow_apr"] + got["margin_drag_apr"]
    assert got["costs_apr"].equals(parts, check_names=False)
    assert got["net_apr"].equals(got["gross_apr"] - got["costs_apr"], check_names=False)


def test_a_leg_of_another_moment_makes_a_carry_asynchronous_and_as_old_as_itself():
    def late(row):
        if row["instrument_id"] != LONE:
            return [row]
        moved = {"snapshot_at": row["snapshot_at"] - timedelta(seconds=250)}
        return [row | moved | {"mid_price": row["mid_price"] * 1.002}]

    got = built(late, mart="net")
    old = pl.col("short_instrument_id").eq(LONE) | pl.col("long_instrument_id").eq(LONE)
    flagged = pl.col("quality_flags").list.contains("asynchronous")
    assert got.filter(old).height > 0
    assert got.filter(old, ~flagged).is_empty()
    assert got.filter(old)["staleness_s"].unique().to_list() == [251]
    assert got.filter(~old, flagged).is_empty()
    assert got.filter(~old)["staleness_s"].unique().to_list() == [1]


def test_a_rate_of_another_moment_or_of_an_assumed_one_is_told_of():
    def doubtful(row):
        if row["instrument_id"] != carry_world.PEG:
            return [row]
        moved = {"snapshot_at": row["snapshot_at"] - timedelta(seconds=100)}
        return [row | moved | {"is_availability_assumed": True}]

    told = {"asynchronous", "assumed_availability"}
    basis = built(doubtful)
    for name, flags in basis.select("instrument_id", "quality_flags").iter_rows():
        is_converted = name.startswith("deribit")
        assert told <= set(flags) if is_converted else not told & set(flags), name
    for short, long, flags in (
        built(doubtful, mart="net")
        .select("short_instrument_id", "long_instrument_id", "quality_flags")
        .iter_rows()
    ):
        is_converted = len({"USDT" in short, "USDT" in long}) == 2
        assert told <= set(flags) if is_converted else not told & set(flags), (short, long)


def test_cash_and_carry_earns_the_basis_on_spot_and_a_quarter(marts):
    got = rows(
        marts,
        "from net where strategy = 'cash_and_carry' and horizon_days = 90 "
        "and short_instrument_id = 'deribit:X/USD:X-260926'",
    )
    assert got["long_instrument_id"].unique().to_list() == [SPOT]
    for at, days, gross in got.select("snapshot_at", "tenor_days", "gross_apr").iter_rows():
        t = days / 365
        expected = np.expm1(planted_rate(t) * t) / t / 1.25
        assert gross == pytest.approx(expected, rel=1e-9), at
    assert (got["capital_usd"] == 125_000).all()
    # taker 10 bps for spot, 5 for the future, each in and out, over a quarter
    np.testing.assert_allclose(got["fees_apr"], 30e-4 * 365 / 90 / 1.25)


def test_a_future_that_expires_before_the_horizon_earns_nothing_known(marts):
    got = rows(marts, "from net where strategy = 'cash_and_carry' and tenor_days < horizon_days")
    assert got.height > 0
    assert got["gross_apr"].is_null().all()
    assert got["net_apr"].is_null().all()
    assert set(got["quality_grade"]) == {"F"}


def test_funding_is_that_of_the_past_and_a_lost_settlement_is_no_block(marts):
    got = rows(
        marts,
        "from net where strategy = 'cross_venue_funding' and horizon_days = 7 "
        f"and snapshot_at = timestamp '{NOON}'",
    )
    assert got["short_instrument_id"].item() == "binance:X/USDT:USDT"
    assert got["funding_blocks"].item() == 119
    # binance pays 2e-4 in eight hours, deribit 1e-4; both a tenth in every third block
    assert got["funding_apr_p50"].item() == pytest.approx(1e-4 * 1095)
    assert got["funding_apr_p05"].item() == pytest.approx(1e-5 * 1095)
    assert got["gross_apr"].item() == pytest.approx(1e-4 * 1095 / 0.5)
    assert got["net_apr_p05"].item() < got["net_apr"].item()


def parts_of(net: pl.DataFrame, short: str, long: str) -> dict[str, float]:
    pair = (pl.col("short_instrument_id") == short) & (pl.col("long_instrument_id") == long)
    names = ("gross", "fees", "slippage", "borrow", "margin_drag", "net")
    row = net.filter(pair, pl.col("horizon_days") == 30).row(0, named=True)
    assert (
        row["capital_usd"] == {"perp_basis": 75_000, "cross_venue_funding": 50_000}[row["strategy"]]
    )
    return {name: row[f"{name}_apr"] for name in names}


def test_coins_borrowed_to_earn_negative_funding_cost_what_a_hand_finds():
    net = built(lambda row: [row], mart="net", pays=-1)
    got = parts_of(net, SPOT, "binance:X/USDT:USDT")
    # deposits 0.5 for the coins, 0.25 for the perpetual; 365 / 30 horizons a year
    assert got == {
        "gross": pytest.approx(0.292),  # 2e-4 x 1095 / 0.75
        "fees": pytest.approx(0.0486666667),  # 2 x 10 + 2 x 5 bps
        "slippage": pytest.approx(0.4233711452),  # 4 x (2 + 0.2 x sqrt(100,000)) bps
        "borrow": pytest.approx(0.0973333333),  # 0.073 / 0.75
        "margin_drag": pytest.approx(0.0375),  # on all that is tied up
        "net": pytest.approx(-0.3148711452),
    }


def test_two_perpetuals_cost_four_taker_fees_and_no_loan_as_a_hand_finds():
    got = parts_of(built(lambda row: [row], mart="net"), "binance:X/USDT:USDT", DERIBIT)
    assert got == {
        "gross": pytest.approx(0.219),  # (2e-4 - 1e-4) x 1095 / 0.5
        "fees": pytest.approx(0.0486666667),  # 4 x 5 bps
        "slippage": pytest.approx(0.0194666667),  # four half spreads of 2 bps: no books at deribit
        "borrow": 0,
        "margin_drag": pytest.approx(0.0375),
        "net": pytest.approx(0.1133666667),
    }


def test_an_unknown_margin_leaves_capital_unknown(marts):
    got = rows(
        marts, f"from net where short_instrument_id = '{MARKET}' or long_instrument_id = '{MARKET}'"
    )
    assert got.height > 0
    assert got["capital_usd"].is_null().all()
    assert got["net_apr"].is_null().all()
    assert all("unknown_margin" in flags for flags in got["quality_flags"])


def test_at_capacity_slippage_eats_the_edge(marts):
    got = rows(marts, "from net where capacity_usd > 10000 and not is_capacity_beyond_book")
    assert got.height > 0
    rungs = [1e4, 1e5, 2.5e5]
    per_side = [2 + 0.2 * np.sqrt(size) for size in rungs]
    for row in got.iter_rows(named=True):
        slipped = np.interp(row["capacity_usd"], rungs, [4 * s for s in per_side]) / 1e4
        left = row["gross_apr"] - row["fees_apr"] - row["borrow_apr"] - row["margin_drag_apr"]
        share = row["capital_usd"] / row["notional_usd"]
        assert slipped * 365 / row["horizon_days"] / share == pytest.approx(left, rel=1e-9)


# ---- hedges, and knowing only the past


def test_a_perpetual_at_a_constant_premium_hedges_all_but_the_depeg(marts):
    got = rows(marts, "from effectiveness where window_days = 7 and price_kind = 'mid'")
    last = got.filter(pl.col("hour_at") == MARKS[-1], pl.col("instrument_id") == DERIBIT)
    assert last["changes_used"].item() == carry_world.HOURS - 1
    assert last["minimum_variance_ratio"].item() == pytest.approx(1, rel=1e-6)
    assert last["residual_vol_bps"].item() == pytest.approx(0, abs=1e-6)
    early = got.filter(pl.col("hour_at") <= NOON)
    assert early["minimum_variance_ratio"].is_null().all()


def test_a_rate_that_vanishes_in_a_depeg_is_no_move_of_spot():
    lost_from = DEPEG_AT + timedelta(hours=2)
    several = [
        row
        for row in carry_world.quotes()
        if row["instrument_id"] in (SPOT, DERIBIT)
        or (row["instrument_id"] == carry_world.PEG and row["snapshot_at"] < lost_from)
    ]
    with carry_world.world(several) as connection:
        got = connection.sql("from effectiveness where window_days = 7 order by hour_at").pl()
    last = got.row(-1, named=True)
    assert last["changes_used"] == carry_world.HOURS - 2
    # without a rate the loss of 2 % would be a change of 202 bps that the contract does not make
    assert last["residual_vol_bps"] == pytest.approx(0, abs=1e-6)
    assert "stablecoin_assumed" in last["quality_flags"]
    assert (
        "stablecoin_assumed"
        not in got.filter(pl.col("hour_at") < lost_from)["quality_flags"].explode().to_list()
    )


def test_what_is_known_in_the_evening_is_what_was_built_in_the_evening(marts):
    with carry_world.world(list(carry_world.quotes()), as_of=EVENING) as then:
        for mart in MARTS:
            query = f"from {mart} where available_at <= timestamp '{EVENING}' order by all"
            assert rows(then, query).equals(rows(marts, query)), mart
            assert rows(then, query).height > 0


def test_a_late_row_moves_what_rests_on_it():
    late = NOON + timedelta(days=2)
    several = [
        r
        | ({"available_at": late} if r["snapshot_at"] < MARKS[3] else {})
        | (
            {"mid_price": r["mid_price"] * (1 + n % 7 * 1e-4)}
            if ":USDT" in r["instrument_id"]
            else {}
        )
        for n, r in enumerate(carry_world.quotes())
        if r["snapshot_at"] < NOON and r["instrument_id"] in (SPOT, "binance:X/USDT:USDT")
    ]
    with carry_world.world(several) as connection:
        got = connection.sql("from basis order by snapshot_at").pl()
    scored = got.filter(pl.col("entry_high").is_not_null())
    assert isinstance(scored["available_at"].min(), datetime)
    assert scored.filter(pl.col("available_at") < late).is_empty()
    # the prices of later marks were known at once
    own = scored.filter(pl.col("snapshot_at") > MARKS[3])
    assert own.height > 0
    assert (own["prices_available_at"] < late).all()


def test_late_quotes_of_the_past_hold_no_later_curve_roll_or_hedge_back():
    late = NOON + timedelta(days=2)
    with carry_world.world(
        [
            row | ({"available_at": late} if row["snapshot_at"] < MARKS[1] else {})
            for row in carry_world.quotes()
            if row["snapshot_at"] < NOON
        ]
    ) as connection:
        for mart, at in (
            ("basis_curve", "snapshot_at"),
            ("roll_calendar", "snapshot_at"),
            ("effectiveness", "hour_at"),
        ):
            query = f"select available_at from {mart} where {at} > timestamp '{MARKS[2]}'"
            known_at = connection.sql(query).pl()["available_at"]
            assert known_at.len() > 0
            assert (known_at < late).all(), mart


# ---- pictures


class House:
    """The planted marts as a warehouse would show them."""

    generation = "g1"

    def __init__(self, connection):
        self.connection = connection
        connection.execute("create schema if not exists carry; create schema if not exists ops")
        for mart in ("basis", "basis_curve", "net"):
            connection.execute(f"create or replace view carry.{mart} as from main.{mart}")
        told = "'real' as world_origin, now() as published_at, 1 as generation"
        connection.execute(f"create or replace table ops.generations as select {told}")

    def sql(self, query, parameters=None):
        return in_utc(self.connection.execute(query, parameters or {}).pl())


def drawn(marts, kind: str):
    return plotting.draw(House(marts), kind, "X", NOON.replace(tzinfo=UTC))[0]


def test_the_curve_is_drawn_with_its_contracts_in_its_units_and_of_its_time(marts):
    figure = drawn(marts, "basis")
    shown = {trace.name: trace for trace in figure.data if trace.visible}
    assert set(shown) >= {"listed contracts", "constant tenors"}
    pages = [button.label for button in figure.layout.updatemenus[0].buttons]
    assert pages == ["binance, in USDT", "deribit, in USD"]
    (contracts,) = [t for t in figure.data if t.name == "listed contracts" and len(t.x) > 1]
    days = [(EXPIRIES[name] - NOON) / timedelta(days=1) for name in contracts.text]
    assert list(contracts.x) == days
    assert None not in shown["constant tenors"].y  # beyond the contracts there is no point
    colours = [trace.line.color or trace.marker.color for trace in shown.values()]
    assert len(set(colours)) == len(colours)
    np.testing.assert_allclose(contracts.y, [100 * planted_rate(d / 365) for d in days])
    text = figure.to_json()
    for part in ("Basis, % a year, continuously compounded", "Time to expiry, days",
                 "as of 2026-03-01 12:00:00 UTC,", "Snapshot, UTC"):  # fmt: skip
        assert part in text


def test_the_parts_of_a_carry_are_drawn_so_that_they_add_up(marts, tmp_path):
    figure = drawn(marts, "carry")
    shown = {t.name: np.array(t.y) for t in figure.data if t.visible}
    parts = [shown[name] for name in ("fees", "slippage", "spot leg", "deposits")]
    assert all((part >= 0).all() for part in parts)
    net = [y[0] for name, y in shown.items() if "/" in name]
    assert "deribit USD:X-260926 / binance USDT" in " ".join(shown)
    np.testing.assert_allclose(shown["gross"] - sum(parts), net)
    assert net == sorted(net, reverse=True)
    assert figure.layout.barmode == "stack"
    (room,) = [t for t in figure.data if t.visible and t.name == "capacity"]
    unknown = [size is None for size in room.y]
    assert [label == "" for label in room.text] == unknown
    said = " ".join(note.text or "" for note in figure.layout.annotations)
    assert ("capacity is not known" in said) == any(unknown)
    assert {"On capital, % a year", "Capacity, thousand USD"} <= {
        figure.layout.yaxis.title.text, figure.layout.yaxis2.title.text
    }  # fmt: skip
    plotting.write(figure, tmp_path / "carry.svg")
    plotting.write(figure, tmp_path / "carry.html")
    page = (tmp_path / "carry.html").read_text()
    assert '<script src="http' not in page


# ---- recorded


def test_the_curve_of_the_recorded_futures_is_smooth_to_a_basis_point(recorded):
    quotes = pl.read_csv(recorded / "tardis" / "deribit_quotes_2026-08-01_FUTURES.csv.gz")
    with carry_world.recorded_futures(quotes) as connection:
        basis = connection.sql("from basis where price_kind = 'mid' and kind = 'future'").pl()
        curve = connection.sql("from basis_curve where price_kind = 'mid' order by tenor_days").pl()
        rolls = connection.sql("from roll_calendar order by expires_at").pl()
    assert set(basis["spot_source"]) == {"perpetual"}
    assert basis.height == 13
    # one of them expires within a day
    assert curve["contracts_listed"].unique().to_list() == [12]
    reach = basis.filter(pl.col("tenor_days") >= 1)["tenor_days"]
    is_known = curve["tenor_days"].is_between(reach.min(), reach.max())
    assert curve["rate"].is_not_null().equals(is_known, check_names=False)
    # the day's last contracts err by more than they pay
    known = curve.filter(pl.col("rate").is_not_null(), pl.col("tenor_days") >= 7)
    assert known["rate"].is_between(0.02, 0.06).all()
    assert known["fit_rmse_bps"][0] < 3
    assert abs(known["implied_spot_gap_bps"][0]) < 5
    assert rolls["roll_rate"].drop_nulls().is_between(-0.5, 0.5).all()


def test_the_recorded_basis_moves_less_than_its_legs_within_a_second(recorded):
    books = {
        name: pl.read_parquet(
            recorded / "binance_books" / f"lobdeep_btc_{market}_2026-02-16_04.parquet",
            columns=["exch_ts_ms", "ts_ms", "best_bid", "best_ask"],
        )
        for name, market in (("binance:BTC/USDT", "spot"), ("binance:BTC/USDT:USDT", "fut"))
    }
    with carry_world.recorded_books(books) as connection:
        got = connection.sql("from basis_1m where seconds_used = 60 order by minute_at").pl()
    assert got.height == 5
    assert got["instrument_id"].unique().to_list() == ["binance:BTC/USDT:USDT"]
    assert got["basis_mean_bps"].is_between(-5.2, -4.5).all()
    assert (got["basis_deviation_bps"] < 0.6).all()
    assert (got["price_change_bps"] > 0.3).all()
    assert (got["available_at"] > got["minute_at"] + timedelta(minutes=1)).all()


def test_the_minutes_of_basis_are_the_same_bits_in_whatever_order_the_seconds_come():
    draw = np.random.default_rng(4)
    at = 1_773_100_800_000 + 1000 * np.arange(60)
    middles = 50_000 * np.exp(np.cumsum(draw.normal(0, 1e-4, (2, 60)), axis=1))
    names = ("binance:BTC/USDT", "binance:BTC/USDT:USDT")
    told = {
        name: pl.DataFrame(
            {"exch_ts_ms": at, "ts_ms": at, "best_bid": m - 0.05, "best_ask": m + 0.05}
        )
        for name, m in zip(names, middles, strict=True)
    }
    found = []
    for seed in range(5):
        shuffled = {n: b.sample(fraction=1, shuffle=True, seed=seed) for n, b in told.items()}
        with carry_world.recorded_books(shuffled) as connection:
            found.append(connection.sql("from basis_1m order by minute_at").pl())
    assert all(other.equals(found[0]) for other in found)
    spot, perpetual = middles
    basis, moves = 1e4 * (perpetual / spot - 1), 1e4 * np.diff(np.log(perpetual))
    row = found[0].row(0, named=True)
    assert row["seconds_used"] == 60
    assert row["basis_mean_bps"] == pytest.approx(basis.mean(), abs=1e-9)
    assert row["basis_deviation_bps"] == pytest.approx(basis.std(ddof=1), rel=1e-9)
    assert row["price_change_bps"] == pytest.approx(np.sqrt((moves**2).mean()), rel=1e-9)
