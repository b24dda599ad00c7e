"""What does Binance hand over of a moment, of its lists, and of funding?"""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from pipelines.archives.base import SourceRefused, SourceUnavailable
from pipelines.venues.base import Fetched
from pipelines.venues.binance import Binance
from pipelines.venues.binance_days import premiums
from tests.misbehaving import Asked, Said, Server, json, serving
from tests.venues.binance_market import HOUR_MS, INVERSE, PERP, WINDOW, Market, moment, opened
from warehouse.contract import LAKE_TABLES

SPOT_ID, PERP_ID = "binance:BTC/USDT", "binance:BTC/USDT:USDT"
INVERSE_ID, FUTURE_ID = "binance:BTC/USD:BTC", "binance:BTC/USD:BTC-260327"
NOON = moment(12)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def market(server: Server) -> Market:
    market = Market(now=NOON + timedelta(seconds=2))
    server.reaction = market.react
    return market


@pytest.fixture
def binance(server: Server, market: Market, tmp_path: Path) -> Iterator[Binance]:
    with opened(server, market, tmp_path) as binance:
        yield binance


def by_table(pieces: Iterator[Fetched]) -> dict[str, Fetched]:
    return {piece.table: piece for piece in pieces}


def row_of(piece: Fetched, instrument_id: str) -> dict:
    (row,) = piece.frame.filter(instrument_id=instrument_id).rows(named=True)
    return row


def settled(symbol: str, hours: range, rate: str = "0.0001") -> list[dict]:
    """Settlements `hours` after the window's start, their stamps off by some milliseconds."""
    start = WINDOW.start_ms
    return [
        {"symbol": symbol, "fundingTime": start + hour * HOUR_MS + 3, "fundingRate": rate}
        for hour in hours
    ]


# ---------- quotes
def test_a_moment_of_quotes_tells_of_all_that_is_trading(binance):
    quotes = by_table(binance.quotes("BTC", NOON))["quotes"]
    assert quotes.frame["instrument_id"].to_list() == sorted(
        [SPOT_ID, PERP_ID, INVERSE_ID, FUTURE_ID]
    )
    assert set(quotes.frame["snapshot_at"]) == {NOON}
    assert quotes.unit == f"BTC@{NOON.isoformat()}"
    assert quotes.proof.status == "complete"


def test_a_linear_quote_is_sized_in_coins_and_its_interest_valued_at_the_mark(binance):
    row = row_of(by_table(binance.quotes("BTC", NOON))["quotes"], PERP_ID)
    assert (row["bid_price"], row["ask_price"], row["last_price"]) == (59_999.9, 60_000.1, 60_000)
    assert (row["mark_price"], row["index_price"]) == (60_001.5, 60_000.5)
    assert row["bid_quantity_base"] == row["ask_quantity_base"] == 0.5
    assert row["open_interest_contracts"] == row["open_interest_base"] == 2_000
    assert row["open_interest_usd"] == pytest.approx(2_000 * 60_001.5)
    assert row["volume_24h_usd"] == 60_000_000


def test_an_inverse_quote_is_sized_in_contracts_of_a_hundred_dollars(binance):
    row = row_of(by_table(binance.quotes("BTC", NOON))["quotes"], INVERSE_ID)
    assert row["bid_quantity_base"] == pytest.approx(30 * 100 / 59_999.9)
    assert (row["open_interest_contracts"], row["open_interest_usd"]) == (2_000, 200_000)
    assert row["open_interest_base"] == pytest.approx(200_000 / 60_001.5)
    assert row["volume_24h_usd"] == 1_000 * 100


def test_spot_has_no_mark_no_index_and_no_open_interest(binance):
    row = row_of(by_table(binance.quotes("BTC", NOON))["quotes"], SPOT_ID)
    absent = ("mark_price", "index_price", "open_interest_usd", "open_interest_contracts")
    assert [row[name] for name in absent] == [None] * len(absent)


def test_forecasts_of_funding_come_with_the_marks_of_perpetuals_alone(binance, market):
    market.declared = [{"symbol": PERP, "fundingIntervalHours": 4}]
    funding = by_table(binance.quotes("BTC", NOON))["funding"].frame
    assert set(funding["instrument_id"]) == {PERP_ID, INVERSE_ID}
    assert set(funding["kind"]) == {"indicative"}
    assert set(funding["rate"]) == {0.0001}
    assert set(funding["event_at"]) == {NOON}, "the snapshot's moment, not the venue's stamp"
    intervals = dict(funding.select("instrument_id", "interval_s").iter_rows())
    assert intervals == {PERP_ID: 4 * 3_600, INVERSE_ID: None}


def test_a_state_of_the_past_is_refused(binance):
    with pytest.raises(SourceRefused, match="cannot be had"):
        list(binance.quotes("BTC", NOON - timedelta(hours=1)))


@pytest.mark.parametrize(
    "change", [{"symbol": "ETHUSDT"}, {"time": WINDOW.start_ms}], ids=["symbol", "time"]
)
def test_an_answer_about_something_else_is_not_believed(change, server, binance, market):
    def react(asked: Asked) -> Said:
        if asked.path.endswith("premiumIndex"):
            return json(market.state("um", PERP, "premiumIndex", {}) | change)
        return market.react(asked)

    server.reaction = react
    with pytest.raises(SourceUnavailable, match="PremiumIndex"):
        list(binance.quotes("BTC", NOON))


# ---------- books and indices
def test_books_have_as_many_levels_as_were_wanted_best_first(binance):
    (books,) = binance.books("BTC", NOON)
    own = books.frame.filter(instrument_id=SPOT_ID)
    assert own.filter(side="bid")["level"].to_list() == [1, 2, 3, 4, 5]
    assert own.filter(side="bid")["price"].is_sorted(descending=True)
    assert own.filter(side="ask")["price"].is_sorted()
    assert books.frame["instrument_id"].n_unique() == 4


def test_an_inverse_book_is_in_coins_and_knows_the_venues_stamp(binance, market):
    (books,) = binance.books("BTC", NOON)
    best = books.frame.filter(instrument_id=INVERSE_ID, side="ask", level=1).row(0, named=True)
    assert best["quantity_base"] == pytest.approx(30 * 100 / 60_000.1)
    assert abs(best["quoted_at"] - market.now) < timedelta(milliseconds=1)
    assert books.frame.filter(instrument_id=SPOT_ID)["quoted_at"].null_count() == 10


def test_indices_are_the_minutes_that_are_over(binance):
    (index,) = binance.index_prices("BTC", NOON)
    assert set(index.frame["instrument_id"]) == {"binance:BTCUSDT", "binance:BTCUSD"}
    assert index.frame["interval_s"].unique().to_list() == [60]
    assert index.frame["event_at"].max() == NOON - timedelta(minutes=1)
    assert index.frame.height == 10


# ---------- instruments
def test_instruments_are_declared_with_their_steps_for_the_day(binance):
    frames = [piece.frame for piece in binance.instruments("BTC", WINDOW)]
    spot, usd_m, coin_m = (frame.rows_by_key("instrument_id", named=True) for frame in frames)
    assert set(spot) == {SPOT_ID, "binance:BTC/EUR", "binance:BTC/PAX"}
    (perp,), (inverse,), (future,) = usd_m[PERP_ID], coin_m[INVERSE_ID], coin_m[FUTURE_ID]
    assert (perp["tick_size"], perp["lot_size"], perp["contract_size"]) == (0.1, 0.001, 1.0)
    assert (inverse["contract_size"], inverse["expires_at"]) == (100.0, None)
    assert (future["kind"], f"{future['expires_at']:%F %R}") == ("future", "2026-03-27 08:00")
    assert (perp["valid_from"], perp["valid_to"]) == (WINDOW.start, WINDOW.end)


# ---------- funding
def test_settlements_of_a_day_have_the_interval_that_they_end(binance, market):
    market.now = WINDOW.end + timedelta(hours=1)
    market.settlements = settled(PERP, range(-72, 25, 8)) + settled(INVERSE, range(-72, 25, 8))
    perp, inverse = (
        piece for piece in by_unit(binance.funding("BTC", WINDOW), PERP_ID, INVERSE_ID)
    )
    assert perp.frame["interval_s"].to_list() == [28_800] * 3
    assert perp.proof.status == inverse.proof.status == "complete"
    assert perp.apart == 9  # what showed the interval is of the days before


def by_unit(pieces: Iterator[Fetched], *names: str) -> list[Fetched]:
    found = {piece.unit: piece for piece in pieces}
    return [found[name] for name in names]


def test_a_lost_settlement_is_a_gap_and_never_a_longer_interval(binance, market):
    market.now = WINDOW.end + timedelta(hours=1)
    market.settlements = [
        s for s in settled(PERP, range(-72, 25, 8)) if s not in settled(PERP, range(8, 9))
    ]
    (perp,) = by_unit(binance.funding("BTC", WINDOW), PERP_ID)
    assert perp.frame["interval_s"].to_list() == [28_800] * 2
    assert perp.proof.status == "unprovable"
    (gap,) = perp.proof.gaps
    assert gap.missing_count == 1


def test_settlements_that_cannot_be_had_are_a_gap_and_those_of_others_come(server, binance, market):
    market.now = WINDOW.end + timedelta(hours=1)
    market.settlements = settled(PERP, range(-72, 25, 8)) + settled(INVERSE, range(-72, 25, 8))
    server.reaction = lambda asked: (
        Said(b"", 503) if asked.path == "/fapi.binance.com/fapi/v1/fundingRate" else react(asked)
    )
    react = market.react
    perp, inverse = by_unit(binance.funding("BTC", WINDOW), PERP_ID, INVERSE_ID)
    assert inverse.proof.status == "complete"
    assert (perp.proof.status, perp.received) == ("gap", 0)
    assert perp.proof.gaps[0].cause == "source_unavailable"
    (again,) = binance.funding("BTC", WINDOW, only=[INVERSE_ID])
    assert again.unit == INVERSE_ID


def test_an_interval_declared_today_does_not_rewrite_last_month(binance, market):
    market.now = WINDOW.end + timedelta(days=30)
    market.declared = [{"symbol": PERP, "fundingIntervalHours": 1}]
    market.settlements = settled(PERP, range(-72, 25, 8))
    (perp,) = by_unit(binance.funding("BTC", WINDOW), PERP_ID)
    assert perp.frame["interval_s"].to_list() == [28_800] * 3


def test_a_declared_interval_holds_where_too_few_settlements_show_one(binance, market):
    market.now = WINDOW.end + timedelta(hours=1)
    market.declared = [{"symbol": PERP, "fundingIntervalHours": 8}]
    market.settlements = settled(PERP, range(16, 17))
    (perp,) = by_unit(binance.funding("BTC", WINDOW), PERP_ID)
    assert perp.frame["interval_s"].to_list() == [28_800]
    assert perp.proof.status == "unprovable"


def test_an_interval_that_shortens_within_the_day_is_seen_at_once(binance, market):
    market.now = WINDOW.end + timedelta(hours=1)
    market.settlements = settled(PERP, range(-72, 9, 8)) + settled(PERP, range(9, 25))
    (perp,) = by_unit(binance.funding("BTC", WINDOW), PERP_ID)
    assert perp.frame["interval_s"].to_list() == [28_800, 28_800] + [3_600] * 15


def test_the_premium_index_comes_minute_by_minute_and_may_be_negative(server, binance, market):
    market.now = WINDOW.end + timedelta(hours=1)
    (item,) = [i for i in binance._list_of("um", NOON) if i.symbol == PERP]
    with binance.transport.session("binance", "premiums") as session:
        found = premiums(session, item, WINDOW)
    assert found.refused.is_empty()
    assert found.frame["event_at"].is_unique().all()
    assert found.frame.height == 24 * 60
    assert found.frame["open"].unique().to_list() == [-0.0005]


def test_frames_have_the_columns_of_their_tables(binance, market):
    market.settlements = settled(PERP, range(-72, 25, 8))
    asked = [binance.quotes, binance.books, binance.index_prices]
    pieces = [piece for ask in asked for piece in ask("BTC", NOON)]
    for piece in (*pieces, *binance.funding("BTC", WINDOW), *binance.instruments("BTC", WINDOW)):
        schema = LAKE_TABLES[piece.table].schema
        assert piece.frame.select(schema.names()).schema == schema
