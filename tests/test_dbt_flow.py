"""Are bars, volume buckets, funding and basis what their definitions say?

Each is compared with a plain count over the same planted prints.
"""

import bisect
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import book_world
import duckdb
import flow_world
import numpy as np
import polars as pl
import pytest
from flow_world import FIRST, FOURTH, INVERSE, LINEAR, SECOND, SPOT, STEP, clock, start

from assets.building import build
from pipelines.universe import Instrument
from warehouse.location import Location, World

pytestmark = pytest.mark.whole

BUCKETS = 50
HISTORY = timedelta(days=20)


@pytest.fixture(scope="module", autouse=True)
def one_version() -> Iterator[None]:
    """Builds that are compared are builds of the same models."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("assets.building.model_version", lambda: "planted")
        yield


def planted(root: Path) -> Location:
    location = Location(root)
    location.claim(World("real"))
    flow_world.plant(location)
    book_world.plant(location)
    return location


@pytest.fixture(scope="module")
def location(tmp_path_factory: pytest.TempPathFactory) -> Location:
    found = planted(tmp_path_factory.mktemp("flow"))
    build(found, clock=clock)
    return found


@pytest.fixture(scope="module")
def marts(location: Location) -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(location.warehouse, read_only=True) as connection:
        yield connection


def table(marts: duckdb.DuckDBPyConnection, name: str, instrument: Instrument) -> pl.DataFrame:
    query = f"from {name} where instrument_id = $1 order by all"
    return marts.sql(query, params=[instrument.instrument_id]).pl()


def vpin_buckets(
    marts: duckdb.DuckDBPyConnection, instrument: Instrument, kind: str = "aggressor"
) -> pl.DataFrame:
    return table(marts, "flow.vpin_buckets", instrument).filter(pl.col("classification") == kind)


def book_prints(instrument: Instrument, day: date) -> pl.DataFrame:
    """The prints that count for flow: sided and not negotiated."""
    rows = pl.DataFrame(flow_world.prints(instrument, day), infer_schema_length=None)
    return rows.filter(~pl.col("is_block"))


# ---- bars


def test_bars_add_up_to_the_prints_they_are_made_of(marts):
    prints = book_prints(SPOT, SECOND)
    bars = table(marts, "flow.bars_1m", SPOT).filter(pl.col("minute_at").dt.date() == SECOND)
    assert bars["trade_count"].sum() == prints.height
    assert bars["volume_base"].sum() == pytest.approx(prints["quantity_base"].sum(), rel=1e-12)
    signed = pl.when(pl.col("side") == "buy").then(1).otherwise(-1) * pl.col("notional_usd")
    total = prints.select(signed.sum()).item()
    assert bars["cvd_usd"][-1] == pytest.approx(total, abs=1e-6)
    assert bars["open_price"][0] == prints["price"][0]
    assert bars["close_price"][-1] == prints["price"][-1]
    for bar in bars.iter_rows(named=True):
        assert bar["low_price"] <= min(bar["open_price"], bar["close_price"])
        assert bar["high_price"] >= max(bar["open_price"], bar["close_price"])
        assert bar["low_price"] - 1e-9 <= bar["vwap"] <= bar["high_price"] + 1e-9
        assert bar["available_at"] >= bar["minute_at"] + timedelta(minutes=1)


def test_coverage_at_a_bar_knows_nothing_of_holes_to_come(marts):
    bars = table(marts, "flow.bars_1m", SPOT)
    whole = bars.filter(pl.col("minute_at").dt.date() == FIRST)
    assert set(whole["quality_grade"]) == {"A"}
    rows = pl.DataFrame(flow_world.prints(SPOT, SECOND), infer_schema_length=None)
    minute = rows["event_at"].dt.replace_time_zone(None).dt.truncate("1m")
    known = rows.with_columns(minute_at=minute).with_row_index("received", 1)
    spanned = pl.col("sequence") - rows["sequence"][0] + 1
    expected = known.group_by("minute_at").agg((pl.col("received") / spanned).last().alias("share"))
    got = bars.filter(pl.col("minute_at").dt.date() == SECOND).join(expected, on="minute_at")
    np.testing.assert_allclose(got["coverage_share"], got["share"], rtol=1e-12)
    before = got.filter(pl.col("coverage_share") == 1)
    assert 0 < before.height < got.height
    assert got["quality_grade"][got["coverage_share"].arg_min()] in ("C", "D", "B")


def test_a_minute_with_an_unsided_print_says_so(marts):
    bars = table(marts, "flow.bars_1m", LINEAR)
    flagged = bars.filter(pl.col("quality_flags").list.contains("side_unknown"))
    assert flagged.height == 1
    assert flagged["quality_grade"].to_list() == ["C"]


# ---- volume buckets


@dataclass
class Bucket:
    """A bucket being filled."""

    number: int
    lots: int
    is_own_day: bool
    started_at: datetime
    bought: int = 0
    sold: int = 0
    bought_base: float = 0.0
    sold_base: float = 0.0
    ended_at: datetime | None = None

    @property
    def room(self) -> int:
        return self.lots - self.bought - self.sold


def counted(instrument: Instrument, days: Sequence[date]) -> list[Bucket]:
    """Full buckets by the definition, print by print."""
    size = "quantity_contracts" if instrument is INVERSE else "quantity_base"
    unit = 1.0 if instrument is INVERSE else STEP
    prints = {d: book_prints(instrument, d).filter(pl.col("side").is_not_null()) for d in days}
    lots = {d: [round(q / unit) for q in p[size]] for d, p in prints.items()}
    full: list[Bucket] = []
    held: Bucket | None = None
    number = 0
    for day in days:
        if held and day - timedelta(days=1) not in days:
            held, number = None, number + 1
        past = [sum(lots[d]) for d in days if day - HISTORY <= d < day]
        each = max(int(np.floor(np.mean(past or [sum(lots[day])]) / BUCKETS + 0.5)), 1)
        for row, whole in zip(prints[day].iter_rows(named=True), lots[day], strict=True):
            left = whole
            while left:
                if held is None:
                    held = Bucket(number, each, not past, row["event_at"])
                part = min(left, held.room)
                base = row["quantity_base"] * part / whole
                if row["side"] == "buy":
                    held.bought, held.bought_base = held.bought + part, held.bought_base + base
                else:
                    held.sold, held.sold_base = held.sold + part, held.sold_base + base
                left -= part
                if not held.room:
                    held.ended_at = row["event_at"]
                    full.append(held)
                    held, number = None, number + 1
    return full


@pytest.mark.parametrize(
    ("instrument", "days"),
    [(SPOT, (FIRST, SECOND, FOURTH)), (INVERSE, (FIRST, SECOND)), (LINEAR, (FIRST,))],
    ids=["spot", "inverse", "linear"],
)
def test_buckets_are_those_counted_print_by_print(marts, instrument, days):
    expected = counted(instrument, days)
    got = vpin_buckets(marts, instrument)
    assert got["bucket_number"].to_list() == [b.number for b in expected]
    assert got["started_at"].to_list() == [b.started_at.replace(tzinfo=None) for b in expected]
    assert got["ended_at"].to_list() == [
        b.ended_at.replace(tzinfo=None) for b in expected if b.ended_at
    ]
    np.testing.assert_allclose(got["buy_volume_base"], [b.bought_base for b in expected], atol=1e-9)
    np.testing.assert_allclose(got["sell_volume_base"], [b.sold_base for b in expected], atol=1e-9)
    own = got["quality_flags"].list.contains("own_day_size").to_list()
    assert own == [b.is_own_day for b in expected]
    contracts = got["bucket_volume_contracts"].to_list()
    if instrument is INVERSE:
        assert contracts == [float(b.lots) for b in expected]
    else:
        assert contracts == got["bucket_volume_base"].to_list()


def test_vpin_and_its_share_look_back_only(marts):
    buckets = counted(SPOT, (FIRST, SECOND, FOURTH))
    got = vpin_buckets(marts, SPOT)
    gap = np.array([abs(b.bought - b.sold) for b in buckets])
    lots = np.array([b.lots for b in buckets])
    earlier: list[float] = []
    for n, (vpin, share) in enumerate(got.select("vpin", "vpin_cdf").iter_rows()):
        if n + 1 < BUCKETS:
            assert (vpin, share) == (None, None)
            continue
        window = slice(n + 1 - BUCKETS, n + 1)
        assert vpin == pytest.approx(gap[window].sum() / lots[window].sum(), rel=1e-14)
        if len(earlier) < 100:
            assert share is None
        else:
            assert share == pytest.approx(bisect.bisect_right(earlier, vpin) / len(earlier))
        bisect.insort(earlier, vpin)
    assert len(earlier) > 110


def test_a_size_from_the_own_day_is_known_when_the_day_is_over(marts):
    got = vpin_buckets(marts, SPOT)
    own = got.filter(pl.col("quality_flags").list.contains("own_day_size"))
    assert own.height > 40
    assert own["available_at"].min() == datetime(2026, 3, 2)  # noqa: DTZ001
    assert got["available_at"].is_sorted()


def test_a_lost_day_drops_the_open_bucket_and_is_flagged_while_it_is_in_the_window(marts):
    got = vpin_buckets(marts, SPOT)
    flagged = got.filter(pl.col("quality_flags").list.contains("restarted"))
    after = got.filter(pl.col("started_at") >= start(FOURTH).replace(tzinfo=None))
    assert flagged["bucket_number"].to_list() == after["bucket_number"].to_list()[: BUCKETS - 1]
    holes = got["bucket_number"].diff().drop_nulls()
    assert holes.to_list().count(2) == 1
    assert set(holes) == {1, 2}


def test_a_revised_day_moves_the_buckets_of_the_days_after_it(tmp_path, location):
    revised = [row for row in flow_world.prints(SPOT, FIRST) if row["sequence"] % 3]

    def revise(into: Location) -> Location:
        flow_world.commit(into, "trades", SPOT, FIRST, revised, at=clock())
        return into

    own = Location(Path(shutil.copytree(location.root, tmp_path / "a")))
    build(revise(own), clock=clock)
    fresh = revise(planted(tmp_path / "b"))
    build(fresh, clock=clock)
    query = "from flow.vpin_buckets order by all"
    found = []
    for path in (own.warehouse, fresh.warehouse, location.warehouse):
        with duckdb.connect(path, read_only=True) as connection:
            found.append(connection.sql(query).pl())
    assert found[0].equals(found[1])
    assert not found[0].equals(found[2])


# ---- funding and basis


def test_an_undeclared_interval_is_learned_and_a_lost_settlement_flagged(marts):
    got = table(marts, "carry.funding", LINEAR)
    assert got["interval_s"].to_list() == [None, None, *[28_800] * 6]
    assert got["apr"].to_list()[2:] == pytest.approx([0.1095] * 6)
    assert got["apy"].to_list()[2:] == pytest.approx([1.0001**1095 - 1] * 6)
    lost = got["quality_flags"].list.contains("missing_settlement").to_list()
    assert lost == [False] * 5 + [True] + [False] * 2
    assert got["predicted_minus_settled"].to_list() == [None, None, *[pytest.approx(0.0002)] * 6]
    assert got["quality_grade"].to_list() == ["F", "F", "C", "C", "C", "D", "C", "C"]


def test_the_basis_compares_prices_of_the_same_five_minutes(marts):
    got = table(marts, "carry.basis", LINEAR).filter(pl.col("price_kind") == "mark")
    spot = book_prints(SPOT, FIRST)
    marks = {row["snapshot_at"]: row["mark_price"] for row in flow_world.quotes()}
    assert got.height == 240
    for row in got.iter_rows(named=True):
        at = row["snapshot_at"].replace(tzinfo=start(FIRST).tzinfo)
        newest = max(m for m in marks if m <= at)
        assert row["price"] == marks[newest]
        seen = spot.filter(pl.col("event_at") < at, pl.col("event_at") >= at - timedelta(minutes=5))
        if seen.is_empty():
            assert row["spot_price"] is None
            assert row["quality_grade"] == "F"
        else:
            assert row["spot_price"] == seen["price"][-1]
            assert row["basis_usd"] == pytest.approx(row["price"] - row["spot_price"])
            assert row["available_at"] >= row["snapshot_at"]
        assert row["basis_simple"] is None


def test_the_z_of_a_basis_is_taken_over_earlier_rows(marts):
    got = table(marts, "carry.basis", LINEAR).filter(pl.col("price_kind") == "mark")
    earlier: list[float] = []
    for bps, z, flag in got.select("basis_bps", "z_30d", "entry_exit_flag").iter_rows():
        if len(earlier) < 30 or bps is None:
            assert z is None
            assert flag is None
        else:
            assert z == pytest.approx((bps - np.mean(earlier)) / np.std(earlier, ddof=1), rel=1e-6)
            assert (flag == "exit") == (abs(z) <= 0.5)
            assert flag.startswith("enter") == (abs(z) >= 2)
        earlier += [bps] if bps is not None else []
    assert len(earlier) > 100


# ---- books


def rungs(marts: duckdb.DuckDBPyConnection, name: str, size: float) -> pl.DataFrame:
    query = f"from flow.{name} where notional_usd = $1 and side = 'buy' order by snapshot_at"
    return marts.sql(query, params=[size]).pl()


def naive(moment: datetime) -> datetime:
    """As published: in UTC, without saying so."""
    return moment.replace(tzinfo=None)


def test_an_order_pays_what_the_levels_it_takes_cost_and_nothing_where_they_end(marts):
    mine = pl.col("instrument_id") == SPOT.instrument_id
    found = rungs(marts, "slippage_ladder", 1e4).filter(mine)
    first = found.row(0, named=True)
    # Two levels of 100 coins are 10,003 dollars: the second is not quite taken.
    coins = 100 + (1e4 - 5001) / 50.02
    assert first["vwap"] == pytest.approx(1e4 / coins, rel=1e-12)
    assert first["slippage_bps"] == pytest.approx(1e4 * (1e4 / coins / 50 - 1), rel=1e-9)
    assert (first["levels_used"], first["is_fillable"], first["quality_grade"]) == (2, True, "A")
    large = rungs(marts, "slippage_ladder", 5e4).filter(mine)
    assert large["slippage_bps"].is_null().all()
    assert not large["is_fillable"].any()
    for n, flag in (
        (book_world.CROSSED, "crossed_book"),
        (book_world.ONE_SIDED, "one_sided_book"),
    ):
        row = found.row(n, named=True)
        assert row["slippage_bps"] is None
        assert row["quality_flags"] == [flag]


def test_a_venue_takes_part_with_a_book_two_seconds_old_and_not_with_one_of_ten_minutes(marts):
    found = rungs(marts, "consolidated_ladder", 1e4)
    both = [SPOT.instrument_id, book_world.ELSEWHERE.instrument_id]
    expected = {}
    for n in range(book_world.TIMES):
        if n != book_world.LOST:
            expected[naive(book_world.at(n, book_world.ELSEWHERE))] = both[1:]
        if n not in (book_world.CROSSED, book_world.ONE_SIDED):
            expected[naive(book_world.at(n))] = both[:1] if n == book_world.LOST else both
    got = dict(zip(found["snapshot_at"], found["instrument_ids"].to_list(), strict=True))
    assert got == expected
    paired = found.filter(pl.col("instrument_ids").list.len() == 2)
    assert set(paired["oldest_book_age_s"]) == {2.0}
    alone = found.filter(pl.col("instrument_ids").list.len() == 1)
    first, *later = alone["quality_flags"]
    assert "book_missing" not in first  # the other venue has had no book yet
    assert later
    assert all("book_missing" in flags for flags in later)
    assert all("book_missing" not in flags for flags in paired["quality_flags"])
    # No seed knows the lot of this coin.
    assert all("unknown_lot" in flags for flags in found["quality_flags"])


def test_a_split_over_venues_is_never_dearer_than_the_best_alone_and_fills_what_none_could(marts):
    small = rungs(marts, "consolidated_ladder", 1e4)
    known = small.filter(pl.col("best_single_cost_bps").is_not_null())
    assert known.height > 20
    assert (known["cost_bps"] <= known["best_single_cost_bps"]).all()
    assert known.filter(pl.col("cost_bps").is_null()).is_empty()
    np.testing.assert_allclose(small["shares"].list.sum().to_numpy(), 1, rtol=1e-12)
    # Deribit charges nothing on spot, but 2 cents dearer than Binance's 10 bps are 4 bps.
    assert set(known["best_single_instrument_id"]) == {book_world.ELSEWHERE.instrument_id} | {
        SPOT.instrument_id
    }


def test_faults_of_books_are_events_with_what_they_were_held_to(marts):
    query = (
        "select kind, started_at, ended_at, detected_at, threshold, worst, recovery_s, "
        "history_rows from flow.liquidity_events where instrument_id = $1 and table_name = 'books' "
        "order by started_at"
    )
    found = marts.sql(query, params=[SPOT.instrument_id]).fetchall()
    assert [row[0] for row in found] == ["crossed", "void", "depth_collapse"]
    for row, n in zip(
        found, (book_world.CROSSED, book_world.ONE_SIDED, book_world.THIN), strict=True
    ):
        _, started, ended, detected, *_ = row
        assert started == naive(book_world.at(n))
        assert ended == naive(book_world.at(n + 1))
        assert detected == started + timedelta(seconds=1)
    *_, threshold, worst, recovery, history = found[2]
    # The bids are the thinner side, within 5 bps: 49.99 and 49.98.
    usual = book_world.COINS * (49.99 + 49.98)
    assert (threshold, worst) == pytest.approx((0.4 * usual, usual / 10))
    assert recovery == 600
    assert history == book_world.THIN - 2  # the crossed and the one-sided book tell no depth


def test_an_hour_of_books_is_forecast_only_after_enough_hours(marts):
    hours = table(marts, "flow.liquidity_forecast_1h", SPOT)
    assert hours["had_shock"].to_list() == [False, False, True]
    assert hours["shock_probability"].is_null().all()
    assert all("short_history" in flags for flags in hours["quality_flags"])


# ---- spreads and impact


def test_one_sided_quotes_give_no_spread_and_lose_no_print(marts):
    got = table(marts, "flow.spreads_1m", LINEAR)
    assert got["print_count"].sum() == book_prints(LINEAR, FIRST).height
    for column in ("quoted_bps", "effective_bps", "realised_5m_bps", "mid_source"):
        assert got[column].null_count() == got.height, column
    assert set(got["quality_grade"]) == {"F"}
    assert got["quality_flags"].list.contains("no_mid").all()
    late = got["available_at"] - got["minute_at"]
    assert late.min() == timedelta(minutes=6)


def test_prints_without_quotes_have_a_bounce_and_no_lambda(marts):
    got = table(marts, "flow.price_impact_1h", SPOT)
    prints = pl.concat(book_prints(SPOT, day) for day in (FIRST, SECOND, FOURTH))
    assert got["print_count"].sum() == prints.height
    assert got["kyle_lambda"].null_count() == got.height
    assert got["quality_flags"].list.contains("too_few_mids").all()
    measured = got.filter(pl.col("roll_n") >= 30)
    assert (measured["roll_bps"].is_null() == (measured["roll_covariance_bps2"] >= 0)).all()
    assert measured.height > 30


def test_prints_are_large_by_the_sizes_of_earlier_days(marts):
    got = table(marts, "flow.toxicity_1h", SPOT).with_columns(day=pl.col("hour_at").dt.date())
    sizes = {d: book_prints(SPOT, d)["quantity_base"] for d in (FIRST, SECOND, FOURTH)}
    large = {d: s.quantile(0.99, "linear") for d, s in sizes.items()}
    assert got.filter(pl.col("day") == FIRST)["large_trade_share"].null_count() == 24
    for day, threshold in ((SECOND, large[FIRST]), (FOURTH, (large[FIRST] + large[SECOND]) / 2)):
        hours = got.filter(pl.col("day") == day)
        assert hours["large_trade_base"].to_list() == pytest.approx([threshold] * hours.height)
        prints = book_prints(SPOT, day).with_columns(
            hour_at=pl.col("event_at").dt.replace_time_zone(None).dt.truncate("1h")
        )
        size = pl.col("quantity_base")
        expected = prints.group_by("hour_at").agg(
            share=size.filter(size >= threshold).sum() / size.sum()
        )
        both = hours.join(expected, on="hour_at")
        assert both.height == hours.height
        np.testing.assert_allclose(both["large_trade_share"], both["share"], atol=1e-9)
