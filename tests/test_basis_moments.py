"""Is a basis that of its mark, and set against others over the same spot?"""

from datetime import datetime, timedelta

import carry_world
import duck_sql
import numpy as np
import polars as pl
import pytest

NOON = datetime(2026, 3, 1, 12)  # noqa: DTZ001
PERP, SPOT = "v:X/USD:X", "w:X/USDT"
BASIS = ("int_spot_prices", "int_stablecoin_rates", "basis")


def told(seconds: float, mid: float, received_s: float | None = None) -> dict:
    """A quote of the perpetual so long after noon; asked for where its receipt is given."""
    at = NOON + timedelta(seconds=seconds)
    received = None if received_s is None else NOON + timedelta(seconds=received_s)
    own = carry_world.quote(PERP, NOON, mid, snapshot_at=at, available_at=received or at)
    return own | {"received_at": received, "is_every_update": None if received else True}


def mark(*quotes: dict) -> dict:
    """The last quote of the five minutes before noon."""
    frames = {
        "stg_quotes": pl.DataFrame(quotes, schema=carry_world.QUOTES),
        "stg_instruments": carry_world.instruments([PERP]),
    }
    with duck_sql.world(frames, [], ["int_basis_quotes"]) as connection:
        (row,) = connection.sql("from int_basis_quotes").pl().rows(named=True)
    return row


def test_what_was_answered_long_after_the_mark_gives_way_to_what_stood_at_it():
    row = mark(told(-0.5, 100), told(0, 105, received_s=27))
    assert (row["mid_price"], row["mid_at"]) == (100, NOON - timedelta(seconds=0.5))


def test_an_answer_nearest_to_the_mark_counts_and_bears_the_time_of_its_receipt():
    row = mark(told(0, 105, received_s=27))
    assert (row["mid_price"], row["mid_at"]) == (105, NOON + timedelta(seconds=27))
    prompt = mark(told(-9, 100, received_s=-8), told(-5, 105, received_s=-4))
    assert (prompt["mid_price"], prompt["mid_at"]) == (105, NOON - timedelta(seconds=4))
    minutely = mark(told(-60, 100, received_s=-59), told(0, 105, received_s=1))
    assert (minutely["mid_price"], minutely["mid_at"]) == (105, NOON + timedelta(seconds=1))


def test_a_second_of_basis_has_no_answer_of_a_later_one():
    spot = [
        carry_world.quote(SPOT, NOON, 100, snapshot_at=NOON + timedelta(seconds=s))
        | {"is_every_update": True}
        for s in (0.5, 27.5)
    ]
    quotes = [*spot, told(0.2, 100), told(0, 105, received_s=27)]
    frames = {
        "stg_quotes": pl.DataFrame(quotes, schema=carry_world.QUOTES),
        "stg_instruments": carry_world.instruments([PERP, SPOT]),
        "int_basis_trades": pl.DataFrame(schema=carry_world.TRADES),
    }
    models = ("int_basis_quotes", "int_spot_prices", "int_stablecoin_rates", "basis_1m")
    with duck_sql.world(frames, ("quote_assets", "basis_rules"), models) as connection:
        (row,) = connection.sql("from basis_1m").pl().rows(named=True)
    assert row["seconds_used"] == 2
    assert (row["basis_low_bps"], row["basis_last_bps"]) == (0, pytest.approx(500))


@pytest.mark.parametrize(
    ("late_s", "names", "source", "is_flagged"),
    [
        (27, [PERP, SPOT], "spot_mid", False),
        (27, [PERP], "index", True),
        (0.4, [PERP, SPOT], "index", False),
    ],
    ids=["a market is there", "nothing else is", "answered at once"],
)
def test_an_index_of_half_a_minute_later_is_not_spot_for_a_quote_at_the_mark(
    late_s, names, source, is_flagged
):
    answer = NOON + timedelta(seconds=late_s)
    perp = rows_of(PERP, "perp", "USD", [NOON], [100.0], [99.8])
    perp = perp.with_columns(index_at=answer, available_at=answer)
    spot = rows_of(SPOT, "spot", "USDT", [NOON], [100.0], [None])
    frames = {
        "int_basis_quotes": pl.concat([perp, spot]).filter(pl.col("instrument_id").is_in(names)),
        "int_basis_trades": pl.DataFrame(schema=carry_world.TRADES),
    }
    with duck_sql.world(frames, ("quote_assets", "basis_rules"), BASIS) as connection:
        (row,) = connection.sql("from basis").pl().rows(named=True)
    assert row["spot_source"] == source
    assert ("asynchronous" in row["quality_flags"]) == is_flagged
    assert (row["index_gap_bps"] is not None) == (late_s < 5 and SPOT in names)


@pytest.mark.parametrize("is_on_tape", [True, False], ids=["on the tape", "told by a ticker"])
def test_a_last_price_is_as_old_as_its_print_and_a_tickers_is_of_no_known_time(is_on_tape):
    perp = rows_of(PERP, "perp", "USD", [NOON], [100.0], [100.0]).with_columns(last_price=105.0)
    names = ("venue", "underlying", "instrument_id", "kind", "contract_type", "base", "quote")
    paid = perp.select(
        *names,
        "snapshot_at",
        "available_at",
        "is_availability_assumed",
        "expires_at",
        close_price=pl.lit(104.0),
        traded_at=pl.lit(NOON - timedelta(seconds=50)),
    )
    frames = {
        "int_basis_quotes": perp,
        "int_basis_trades": paid if is_on_tape else paid.clear(),
    }
    with duck_sql.world(frames, ("quote_assets", "basis_rules"), BASIS) as connection:
        (row,) = connection.sql("from basis where price_kind = 'last'").pl().rows(named=True)
    assert row["price"] == (104 if is_on_tape else 105)
    assert row["price_age_s"] == (50 if is_on_tape else 0)
    assert row["quality_flags"] == ([] if is_on_tape else ["asynchronous"])


def test_a_basis_is_compared_with_rows_over_the_same_spot_alone():
    """Every hour the venue tells its index, 20 bps below the market that else stands for spot."""
    n = 120
    at = [NOON + timedelta(minutes=5 * k) for k in range(n)]
    noise = 1e-4 * np.random.default_rng(3).normal(size=n)
    is_told = np.arange(n) % 12 == 0
    index = [99.8 if told else None for told in is_told]
    perp = rows_of(PERP, "perp", "USD", at, 100 * (1 + noise), index)
    spot = rows_of(SPOT, "spot", "USDT", at, np.full(n, 100.0), [None] * n)
    frames = {
        "int_basis_quotes": pl.concat([perp, spot]),
        "int_basis_trades": pl.DataFrame(schema=carry_world.TRADES),
    }
    with duck_sql.world(frames, ("quote_assets", "basis_rules"), BASIS) as connection:
        got = connection.sql("from basis where price_kind = 'mid' order by snapshot_at").pl()
    assert got["spot_source"].to_list() == ["index" if told else "spot_mid" for told in is_told]
    assert got.filter(is_told)["z_30d"].is_null().all()
    own = 1e4 * noise[~is_told]
    expected = [(own[i] - own[:i].mean()) / own[:i].std(ddof=1) for i in range(30, own.size)]
    np.testing.assert_allclose(got.filter(~is_told)["z_30d"][30:], expected, rtol=1e-9)


def rows_of(name, kind, quote, at, mid, index) -> pl.DataFrame:
    known = {"available_at": at, "is_availability_assumed": False, "half_spread_bps": 1.0}
    times = dict.fromkeys(("mid_at", "mark_at", "last_at", "index_at"), at)
    none = pl.Series([None] * len(at), dtype=pl.Float64)
    prices = {"mid_price": mid, "mark_price": none, "last_price": none}
    return pl.DataFrame(
        {
            "venue": name[0],
            "underlying": "X",
            "instrument_id": name,
            "snapshot_at": at,
            "kind": kind,
            "contract_type": "inverse",
            "base": "X",
            "quote": quote,
            "expires_at": pl.Series([None] * len(at), dtype=pl.Datetime("us")),
            **known,
            **prices,
            "index_price": pl.Series(index, dtype=pl.Float64),
            **times,
        }
    )
