"""Do volume buckets survive bad input, and are they the same however they are computed?

Five days of a spot pair made by hand: its prints are damaged in one way at a time.
"""

import functools
import zipfile
from datetime import datetime, timedelta

import duck_sql
import numpy as np
import polars as pl
import pytest

from warehouse.functions import bulk

MODELS = (
    "bars_1m",
    *(f"int_vpin_{n}" for n in ("minutes", "days", "plan", "marks", "seconds", "fragments")),
    "vpin_buckets",
)
START = datetime(2026, 3, 1)  # noqa: DTZ001
SPOT, COIN = "v:X/USD", "v:X/USD:X"
LOT, PRINTS, DAYS = 0.1, 400, 5
TYPES = {"side": pl.String, "quantity_contracts": pl.Float64, "sequence": pl.Int64}


def prints(instrument=SPOT, days=range(DAYS)) -> pl.DataFrame:
    """A day's sizes are about the same, sides persist and prices wander."""
    rows = []
    for day in days:
        rng = np.random.default_rng([day, len(instrument)])
        moments = np.sort(rng.integers(0, 86_400, PRINTS))  # whole seconds: many are equal
        price = 50 * np.exp(np.cumsum(rng.normal(0, 1e-3, PRINTS)))
        lots = rng.geometric(0.05, PRINTS)
        is_buy = rng.random(PRINTS) < 0.5 + 0.4 * np.sin(np.arange(PRINTS) / 30)
        for n in range(PRINTS):
            at = START + timedelta(days=day, seconds=int(moments[n]))
            base = lots[n] * 100 / price[n] if instrument == COIN else round(lots[n] * LOT, 1)
            rows.append(
                {
                    "venue": "v",
                    "underlying": "X",
                    "instrument_id": instrument,
                    "trade_id": f"{day}-{n:04}",
                    "sequence": 1_000 * day + n,
                    "day_at": START + timedelta(days=day),
                    "event_at": at,
                    "available_at": at + timedelta(milliseconds=40),
                    "is_availability_assumed": False,
                    "side": "buy" if is_buy[n] else "sell",
                    "price": float(price[n]),
                    "quantity_base": float(base),
                    "quantity_contracts": float(lots[n]) if instrument == COIN else None,
                    "notional_usd": float(base * price[n]),
                    "is_block": False,
                }
            )
    return pl.DataFrame(rows, schema_overrides=TYPES)


def built(trades, missing_days=(), threads=2, committed=None) -> pl.DataFrame:
    """flow.vpin_buckets over these prints; every day is committed but those missing."""
    days = committed or [START + timedelta(days=d) for d in range(DAYS) if d not in missing_days]
    facts = pl.DataFrame(
        {
            "instrument_id": [SPOT, COIN],
            "contract_type": [None, "inverse"],
            "contract_size": [None, 100.0],
            "lot_size": [None, 1.0],
            "valid_from": [datetime(2020, 1, 1)] * 2,  # noqa: DTZ001
            "valid_to": [datetime(2030, 1, 1)] * 2,  # noqa: DTZ001
        },
        schema_overrides={"contract_type": pl.String},
    )
    names = trades["instrument_id"].unique().to_list()
    coverage = pl.DataFrame(
        [
            {"table_name": "trades", "instrument_id": name, "row_count": 0, "status": "complete",
             "day_at": day}
            for name in names for day in days
        ]
    )  # fmt: skip
    frames = {"stg_trades": trades, "stg_instruments": facts, "coverage": coverage}
    with duck_sql.world(frames, ["vpin_rules"], []) as connection:
        connection.execute(f"set threads = {threads}")
        for model in MODELS:
            sql = duck_sql.rendered(duck_sql.MODELS[model].read_text())
            connection.execute(f"create table {model} as {sql}")
        return connection.sql("from vpin_buckets order by all").pl()


@functools.cache
def sound() -> pl.DataFrame:
    return built(prints())


def of(found, kind):
    return found.filter(classification=kind)


def flagged(found, name):
    return found.filter(pl.col("quality_flags").list.contains(name))


def test_where_all_sides_are_known_both_kinds_have_the_same_buckets():
    sides, volumes = (of(sound(), kind) for kind in ("aggressor", "bulk"))
    assert sides.height > 200
    shared = ["bucket_number", "bucket_volume_base", "started_at", "ended_at"]
    assert sides.select(shared).equals(volumes.select(shared))
    assert set(volumes["bulk_distribution"]) == {"normal"}
    assert set(sides["bulk_distribution"]) == {None}


def test_neither_the_order_of_rows_nor_the_threads_change_a_bit():
    shuffled = prints().sample(fraction=1, shuffle=True, seed=3)
    assert built(shuffled, threads=1).equals(sound())


def test_bulk_buys_are_the_law_of_each_minute_s_price_change():
    trades = prints()
    minutes = trades.group_by_dynamic("event_at", every="1m").agg(
        pl.col("day_at").first(),
        change=(pl.col("price").last() / pl.col("price").first()).log(),
        lots=(pl.col("quantity_base").sum() / LOT).round(),
    )
    bought, so_far = [], []
    for day in range(DAYS):
        past = [d for d in range(DAYS) if d < day] or [day]
        days = [START + timedelta(days=d) for d in past]
        scale = minutes.filter(pl.col("day_at").is_in(days))["change"].std()
        here = minutes.filter(day_at=START + timedelta(days=day))
        bought += list(bulk.bought_shares(here["change"], scale) * here["lots"].to_numpy())
        so_far += here["lots"].to_list()
    found = of(sound(), "bulk")
    ends = np.cumsum(found["bucket_volume_base"].to_numpy()) / LOT
    expected = np.interp(ends, np.cumsum(so_far), np.cumsum(bought))
    # Prints of a minute are not spread evenly over it, but whole minutes agree to a lot a day.
    got = np.cumsum(found["buy_volume_base"].to_numpy()) / LOT
    assert np.abs(got - expected).max() < 0.5 * max(so_far)
    assert np.median(np.abs(got - expected)) < DAYS


def test_bulk_is_not_known_before_its_minute_is_over():
    found = of(sound(), "bulk")
    minute_end = found["ended_at"].dt.truncate("1m") + timedelta(minutes=1)
    assert (found["available_at"] >= minute_end).all()
    assert (of(sound(), "aggressor")["available_at"] < minute_end).any()


def test_prints_without_a_side_fill_buckets_in_bulk_alone():
    unsided = pl.when(pl.col("sequence") % 7 == 0).then(None).otherwise(pl.col("side"))
    found = built(prints().with_columns(side=unsided))
    assert (
        of(found, "bulk")
        .drop("coverage_share", strict=False)
        .equals(of(sound(), "bulk").drop("coverage_share", strict=False))
    )
    sides = of(found, "aggressor")
    assert (
        0.8
        < sides["bucket_volume_base"].sum() / of(found, "bulk")["bucket_volume_base"].sum()
        < 0.9
    )
    assert flagged(sides, "side_unknown").height > 0.9 * sides.height
    nothing = built(prints().with_columns(side=pl.lit(None, pl.String)))
    assert set(nothing["classification"]) == {"bulk"}


def test_a_size_of_zero_changes_no_bucket():
    zero = prints().with_columns(
        sequence=pl.lit(None, pl.Int64), trade_id=pl.col("trade_id") + "z", quantity_base=0.0
    )
    found = built(pl.concat([prints(), zero.filter(pl.col("event_at").dt.minute() == 7)]))
    columns = ["bucket_number", "started_at", "ended_at", "buy_volume_base", "vpin"]
    assert of(found, "aggressor").select(columns).equals(of(sound(), "aggressor").select(columns))


def test_one_print_may_fill_more_than_a_day_s_buckets():
    place = (pl.col("sequence") == 2_200, pl.col("quantity_base"))
    trades = prints().with_columns(
        quantity_base=pl.when(place[0]).then(5_000.0).otherwise(place[1])
    )
    found = of(built(trades), "aggressor")
    at = trades.filter(pl.col("sequence") == 2_200)["event_at"].item()
    inside = found.filter(pl.col("started_at") == at, pl.col("ended_at") == at)
    assert inside.height > 100
    one_sided = inside.select(pl.min_horizontal("buy_volume_base", "sell_volume_base")).to_series()
    assert one_sided.to_list()[1:-1] == [0.0] * (inside.height - 2)
    total = trades["quantity_base"].sum() - found["bucket_volume_base"].sum()
    assert 0 <= total < found["bucket_volume_base"].max()


def test_a_day_proven_empty_keeps_the_open_bucket_and_a_missing_one_drops_it():
    trades = prints(days=(0, 1, 3, 4))
    empty, missing = (of(built(trades, days), "aggressor") for days in ((), (2,)))
    over = pl.col("started_at").dt.day() != pl.col("ended_at").dt.day()
    noon = START + timedelta(days=2)
    spans = (pl.col("started_at") < noon) & (pl.col("ended_at") > noon)
    assert empty.filter(spans).height == 1
    assert missing.filter(spans).height == 0
    assert missing.filter(over).height < empty.filter(over).height
    assert flagged(missing, "restarted").height == 49
    assert flagged(empty, "restarted").height == 0


def test_a_finer_size_seen_later_changes_nothing_before():
    last = pl.col("day_at") == START + timedelta(days=DAYS - 1)
    finer = pl.when(last).then(pl.col("quantity_base") + 0.00037).otherwise(pl.col("quantity_base"))
    found = built(prints().with_columns(quantity_base=finer))
    before = pl.col("ended_at") < START + timedelta(days=DAYS - 1)
    assert found.filter(before).equals(sound().filter(before))
    assert found.filter(~before).height > 40


def test_an_inverse_print_without_contracts_is_left_out_and_told():
    whole = built(prints(COIN))
    lost = pl.when(pl.col("sequence") == 1_003).then(None).otherwise(pl.col("quantity_contracts"))
    found = built(prints(COIN).with_columns(quantity_contracts=lost))
    assert flagged(whole, "size_unknown").height == 0
    told = flagged(found, "size_unknown")
    assert set(told["ended_at"].dt.day()) <= {2, 3}
    assert told.height > 80
    fewer = whole["bucket_volume_contracts"].sum() - found["bucket_volume_contracts"].sum()
    assert 0 <= fewer < 3 * whole["bucket_volume_contracts"].max()


@pytest.mark.parametrize("kind", ["aggressor", "bulk"])
def test_the_null_is_what_random_minutes_give(kind):
    """Minutes whose sides are drawn anew have a VPIN near the null of the minutes as they were."""
    rng = np.random.default_rng(5)
    minute = pl.col("event_at").dt.truncate("1m")
    drawn = prints().select(minute.alias("m")).unique(maintain_order=True)
    drawn = drawn.with_columns(pl.Series("flip", rng.random(drawn.height) < 0.5))
    trades = prints().with_columns(m=minute).join(drawn, on="m", maintain_order="left")
    other = pl.when(pl.col("side") == "buy").then(pl.lit("sell")).otherwise(pl.lit("buy"))
    side = pl.when("flip").then(other).otherwise(pl.col("side"))
    price = pl.when("flip").then(2500 / pl.col("price")).otherwise(pl.col("price"))
    found = of(built(trades.with_columns(side=side, price=price).drop("m", "flip")), kind)
    known = found.filter(pl.col("vpin").is_not_null())
    assert known["vpin"].mean() == pytest.approx(known["vpin_null"].mean(), rel=0.12)
    assert of(sound(), kind)["vpin_null"].mean() == pytest.approx(
        known["vpin_null"].mean(), rel=0.05
    )


def test_on_a_recorded_day_vpin_rises_only_as_its_null_does(recorded):
    """Forty buckets fill in twenty minutes, many within one: one-sided, and no more than that."""
    folder = recorded / "binance_vision/data/spot/daily/trades/NEXOUSDT"
    named = ["trade_id", "price", "quantity_base", "notional_usd", "ms", "is_sell", "best"]
    raw = [
        pl.read_csv(zipfile.ZipFile(path).read(f"{path.stem}.csv"), has_header=False)
        for path in sorted(folder.glob("*.zip"))
    ]
    rows = pl.concat(raw).rename(dict(zip(raw[0].columns, named, strict=True)))
    at = pl.from_epoch("ms", time_unit="ms").cast(pl.Datetime("us"))
    trades = rows.select(
        pl.lit("v").alias("venue"),
        pl.lit("X").alias("underlying"),
        pl.lit(SPOT).alias("instrument_id"),
        pl.col("trade_id").cast(pl.String),
        pl.col("trade_id").alias("sequence"),
        at.dt.truncate("1d").alias("day_at"),
        at.alias("event_at"),
        at.alias("available_at"),
        pl.lit(True).alias("is_availability_assumed"),
        pl.when(pl.col("is_sell")).then(pl.lit("sell")).otherwise(pl.lit("buy")).alias("side"),
        "price",
        "quantity_base",
        pl.lit(None, pl.Float64).alias("quantity_contracts"),
        "notional_usd",
        pl.lit(False).alias("is_block"),
    )
    days = trades["day_at"].unique().sort().to_list()
    found = of(built(trades, committed=days), "aggressor")
    assert found.height == 175
    assert set(found["bucket_volume_base"]) == {4907.66}
    left = trades["quantity_base"].sum() - found["bucket_volume_base"].sum()
    assert 0 <= left < 4907.66
    vpin, null = found["vpin"], found["vpin_null"]
    assert vpin[60] == pytest.approx(0.4527, abs=1e-4)
    assert vpin[99] == pytest.approx(0.7341, abs=1e-4)
    assert null[99] - null[60] > 0.95 * (vpin[99] - vpin[60])
    assert found["ended_at"][99] - found["ended_at"][60] < timedelta(minutes=20)
