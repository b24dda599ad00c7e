"""What do the option marts say of quotes that make no sense and boards that cannot be fitted?"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta

import duckdb
import option_world
import polars as pl
import pytest
from option_world import clock, forward, years

from assets.building import build
from pipelines import universe
from warehouse.functions import black
from warehouse.location import Location, World

pytestmark = pytest.mark.whole

AT = datetime(2026, 3, 11, 7, 55, tzinfo=UTC)
VOL, HALF = 0.5, 0.0004
STRIKES = tuple(range(50_000, 92_500, 2_500))
WHOLE, SPOILT, CALLS, ONE, TWO, NEAR, PAST, LOST = (
    f"{day}26" for day in ("27MAR", "24APR", "29MAY", "26JUN", "25SEP", "11MAR", "10MAR", "25DEC")
)
LISTED = {
    WHOLE: [(k, right) for k in STRIKES for right in "CP"],
    SPOILT: [(k, right) for k in STRIKES for right in "CP"],
    CALLS: [(k, "C") for k in STRIKES],
    ONE: [(70_000, "C")],
    TWO: [(60_000, "P"), (80_000, "C")],
    NEAR: [(k, right) for k in STRIKES for right in "CP"],
    PAST: [(70_000, "C"), (70_000, "P")],
    LOST: [(k, "C") for k in STRIKES],  # and the venue tells no forward
}
GARBAGE: dict[tuple[int, str], Mapping[str, float | None]] = {
    (62_500, "P"): {"bid_price": 0.0, "ask_price": 0.0},
    (65_000, "P"): {"bid_price": -0.01, "ask_price": 0.01},
    (67_500, "P"): {"bid_price": 0.09, "ask_price": 0.02},
    (72_500, "C"): {"bid_price": 1.5, "ask_price": 1e9},
    (75_000, "C"): {"bid_price": float("nan"), "ask_price": float("nan")},
    (77_500, "C"): {"bid_price": None, "ask_price": 0.02},
    (80_000, "C"): {"bid_price": 0.5, "ask_price": 0.501},
}


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    location = Location(tmp_path_factory.mktemp("garbage"))
    location.claim(World("real"))
    options = {
        (board, strike, right): universe.deribit(f"BTC-{board}-{strike}-{right}")
        for board, listed in LISTED.items()
        for strike, right in listed
    }
    rows = [quote(option, *place) for place, option in options.items()]
    known = universe.observations(list(options.values()), AT.date()).to_dicts()
    option_world.commit(location, "instruments", "deribit", AT.date(), "all", known)
    unit = f"BTC@{AT.isoformat()}"
    option_world.commit(location, "option_quotes", "deribit", AT.date(), unit, rows)
    build(location, clock=clock)
    with duckdb.connect(location.warehouse, read_only=True) as connection:
        yield connection


def quote(option: universe.Instrument, board: str, strike: int, right: str) -> dict[str, object]:
    assert option.expires_at is not None
    level, t = forward(AT, option.expires_at), max(years(AT, option.expires_at), 1e-9)
    middle = float(black.price(level, strike, t, VOL, right == "C")) / level
    named = {
        "venue": "deribit",
        "underlying": "BTC",
        "instrument_id": option.instrument_id,
        "snapshot_at": AT,
        "quoted_at": AT - timedelta(seconds=1),
        "received_at": AT,
        "bid_price": middle - HALF if middle > 2 * HALF else None,
        "ask_price": middle + HALF,
        "mark_price": middle,
        "price_unit": "coin",
        "underlying_price": None if board == LOST else level,
        "index_price": option_world.spot(AT),
    }
    return named | dict(GARBAGE.get((strike, right), {}) if board == SPOILT else {})


def board(marts: duckdb.DuckDBPyConnection, mart: str, name: str) -> pl.DataFrame:
    expiry = universe.deribit(f"BTC-{name}-70000-C").expires_at
    assert expiry is not None
    query = f"from options.{mart} where expires_at = $1 order by all"
    return marts.sql(query, params=[expiry.replace(tzinfo=None)]).pl()


def test_every_row_says_what_became_of_it(marts):
    quotes = marts.sql("from options.quotes").pl()
    assert quotes.height == sum(map(len, LISTED.values()))
    assert quotes["solver_status"].null_count() == 0
    assert quotes["exclude_reason"].is_null().equals(quotes["use_in_fit"])
    kept = quotes.filter("use_in_fit")
    off = kept.filter((pl.col("iv_mid") - VOL).abs() > 0.02)
    # Alone it looks sound; only its neighbours tell.
    assert off.select("strike", "option_type").rows() == [(80_000.0, "call")]


def test_quotes_that_make_no_sense_are_not_used_and_say_why(marts):
    quotes = board(marts, "quotes", SPOILT)
    why = {
        (int(row["strike"]), row["option_type"][0].upper()): row["exclude_reason"]
        for row in quotes.iter_rows(named=True)
    }
    assert {place: why[place] for place in GARBAGE} == {
        (62_500, "P"): "crossed",
        (65_000, "P"): "no_quote",
        (67_500, "P"): "crossed",
        (72_500, "C"): "above_bound",
        (75_000, "C"): "no_quote",
        (77_500, "C"): "one_sided",
        (80_000, "C"): None,
    }


def test_a_board_with_garbage_keeps_its_forward_and_most_of_its_smile(marts):
    (forwards,) = board(marts, "forwards", SPOILT).to_dicts()
    expected = forward(AT, datetime(2026, 4, 24, 8, tzinfo=UTC))
    assert forwards["forward"] == pytest.approx(expected, rel=1e-3)
    clean, spoilt = (board(marts, "surface_slices", name) for name in (WHOLE, SPOILT))
    assert clean["atm_iv"].to_list() == pytest.approx([VOL, VOL], abs=1e-4)
    assert spoilt["atm_iv"].to_list() == pytest.approx([VOL, VOL], abs=1e-3)
    assert (clean["outliers_count"].to_list(), spoilt["outliers_count"].to_list()) == (
        [0, 0],
        [1, 1],
    )


def test_the_one_dear_quote_that_looks_sound_is_called_rich_and_an_outlier(marts):
    found = board(marts, "relative_value", SPOILT)
    dear = found.filter(strike=80_000.0, option_type="call")
    assert dear["z"].item() > 10
    assert dear["verdict"].item() == "rich"
    assert found.filter("is_outlier").equals(dear)


@pytest.mark.parametrize("name", [ONE, TWO])
def test_too_few_strikes_have_no_slice_and_the_nearest_vol(marts, name):
    slices = board(marts, "surface_slices", name)
    assert set(slices["fit_status"]) == {"too_few_strikes"}
    assert slices["svi_a"].null_count() == slices.height == 2
    assert set(slices["fallback"]) == {"nearest_quote"}
    assert slices["atm_iv"].to_list() == pytest.approx([VOL, VOL], abs=0.02)


def test_calls_alone_have_the_venues_forward_and_a_slice_of_one_side(marts):
    (forwards,) = board(marts, "forwards", CALLS).to_dicts()
    assert forwards["parity_status"] == "too_few_strikes"
    assert forwards["forward_source"] == "venue"
    slices = board(marts, "surface_slices", CALLS)
    assert slices["lowest_log_moneyness"].min() >= 0
    assert slices["quality_flags"].list.contains("forward_not_from_parity").all()


def test_without_any_forward_every_quote_says_so_and_nothing_is_fitted(marts):
    (forwards,) = board(marts, "forwards", LOST).to_dicts()
    assert (forwards["forward"], forwards["forward_source"]) == (None, None)
    assert "no_forward" in forwards["quality_flags"]
    quotes = board(marts, "quotes", LOST)
    assert set(quotes["exclude_reason"]) <= {"no_forward", "one_sided"}
    assert quotes["iv_mid"].null_count() == quotes.height
    slices = board(marts, "surface_slices", LOST)
    assert slices["svi_a"].null_count() == slices.height == 2
    assert set(slices["fallback"]) == {"no_vol"}


@pytest.mark.parametrize(("name", "reason"), [(NEAR, {"settling"}), (PAST, {"expired"})])
def test_minutes_before_expiry_and_after_it_nothing_is_fitted(marts, name, reason):
    quotes = board(marts, "quotes", name)
    said = set(quotes["exclude_reason"]) - {"no_quote", "one_sided"}
    assert said == reason
    assert not quotes["use_in_fit"].any()
    slices = board(marts, "surface_slices", name)
    assert slices["svi_a"].null_count() == slices.height
    assert set(slices["quality_grade"]) == {"F"}


def test_nothing_published_is_nan_or_infinite(marts):
    columns = marts.sql(
        "select table_name, column_name from duckdb_columns() where schema_name = 'options' "
        "and data_type = 'DOUBLE'"
    ).fetchall()
    bad = [
        (table, column)
        for table, column in columns
        if marts.sql(
            f"select count(*) from options.{table} where isnan({column}) or isinf({column})"
        ).fetchall()
        != [(0,)]
    ]
    assert len({table for table, _ in columns}) >= 12
    assert bad == []
