"""What does Binance hand over for a day and for a moment, and what does it prove?"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import orjson
import polars as pl
import pytest

from expectations.gate import ROW_NUMBER
from pipelines.venues import offering
from pipelines.venues.base import Fetched, Window
from pipelines.venues.binance import Binance
from tests.misbehaving import Asked, Said, Server, json, serving
from tests.venues.binance_market import (
    HOUR_MS,
    INVERSE,
    PERP,
    SPOT,
    WINDOW,
    Market,
    a_day,
    candle_of,
    moment,
    opened,
    printed,
)
from warehouse.contract import LAKE_TABLES
from warehouse.raw import replay

SPOT_ID, PERP_ID = "binance:BTC/USDT", "binance:BTC/USDT:USDT"
INVERSE_ID, FUTURE_ID = "binance:BTC/USD:BTC", "binance:BTC/USD:BTC-260327"


Alter = Callable[[list[dict]], Iterable[dict]]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def market(server: Server) -> Market:
    market = Market()
    server.reaction = market.react
    return market


@pytest.fixture
def binance(server: Server, market: Market, tmp_path: Path) -> Iterator[Binance]:
    with opened(server, market, tmp_path) as binance:
        yield binance


def spot_prints(binance: Binance, window: Window = WINDOW) -> list[Fetched]:
    return list(binance.trades("BTC", window, only=[SPOT_ID]))


def ids(pieces: list[Fetched]) -> list[int]:
    return pl.concat([piece.frame for piece in pieces])["sequence"].to_list()


def once(server: Server, market: Market, matches: Callable[[Asked], bool], alter: Alter) -> None:
    """The first answer to a question that matches is altered, all others are true."""
    left = [1]

    def react(asked: Asked) -> Said:
        said = market.react(asked)
        if left[0] and matches(asked):
            left[0] -= 1
            return json(list(alter(orjson.loads(said.body))))
        return said

    server.reaction = react


def by_time(asked: Asked) -> bool:
    return asked.path.endswith("aggTrades") and "startTime" in asked.params


def test_binance_offers_its_tables():
    for table in ("instruments", "trades", "funding", "quotes", "books", "index_prices"):
        assert "binance" in offering(table)


def test_a_day_of_prints_comes_whole_and_proves_it(binance, market):
    market.prints["spot", SPOT] = a_day(4_320)
    pieces = spot_prints(binance)
    assert ids(pieces) == list(range(1_000, 5_320))
    assert pieces[-1].proof.status == "complete"
    assert (pieces[-1].proof.first_sequence, pieces[-1].proof.last_sequence) == (1_000, 5_319)
    assert "joined to id 999 before and id 5320 after" in pieces[-1].proof.text
    assert sum(piece.apart for piece in pieces) == 1  # the print of the day after
    assert {piece.unit for piece in pieces} == {SPOT_ID}


def test_a_long_day_comes_in_pieces_of_which_the_last_has_the_proof(binance, market, monkeypatch):
    monkeypatch.setattr("pipelines.venues.binance_days.PIECE_PAGES", 2)
    market.prints["spot", SPOT] = a_day(4_320)
    pieces = spot_prints(binance)
    assert [piece.frame.height for piece in pieces] == [1_180, 2_000, 1_140]
    assert [piece.proof is None for piece in pieces] == [True, True, False]
    assert ids(pieces) == list(range(1_000, 5_320))


def test_prints_of_the_same_millisecond_across_a_page_are_all_there(binance, market):
    start = WINDOW.start_ms
    inside = [printed(n, start + 7) for n in range(10, 2_510)]
    market.prints["spot", SPOT] = [printed(9, start - 1), *inside, printed(2_510, WINDOW.end_ms)]
    assert ids(spot_prints(binance)) == list(range(10, 2_510))


def test_the_pieces_have_the_form_of_their_table_and_their_evidence_is_kept(binance, market):
    market.prints["spot", SPOT] = a_day(10)
    for piece in spot_prints(binance):
        assert piece.frame.drop(ROW_NUMBER).schema == LAKE_TABLES[piece.table].schema
        for digest in piece.raw:
            assert list(replay(binance.transport.location, "binance", digest))


def test_an_instrument_whose_first_print_is_its_first_of_all_is_whole(binance, market):
    market.prints["spot", SPOT] = [printed(0, WINDOW.start_ms + 3 * HOUR_MS)]
    (piece,) = spot_prints(binance)
    assert ids([piece]) == [0]
    assert piece.proof.status == "complete"
    assert "the first of all" in piece.proof.text


def test_older_prints_that_the_venue_has_dropped_leave_the_day_unprovable(binance, market):
    market.prints["spot", SPOT] = a_day(10)[1:]
    (piece,) = spot_prints(binance)
    assert ids([piece]) == list(range(1_000, 1_010))
    assert piece.proof.status == "unprovable"
    assert "no longer to be had" in piece.proof.text


def test_a_day_without_prints_is_whole_where_the_candle_counts_none(binance, market):
    (piece,) = spot_prints(binance)
    assert piece.frame.is_empty()
    assert piece.proof.status == "complete"
    assert "counts none" in piece.proof.text


def test_a_day_without_prints_and_without_a_candle_is_unprovable(binance, market):
    market.candles["spot", SPOT] = None
    (piece,) = spot_prints(binance)
    assert piece.proof.status == "unprovable"


def test_prints_that_the_candle_counts_and_nobody_serves_are_a_gap(binance, market):
    market.candles["spot", SPOT] = candle_of(
        WINDOW.start_ms, 24 * HOUR_MS, [60_000.0], volume=5.0, count=5
    )
    (piece,) = spot_prints(binance)
    assert piece.proof.status == "gap"
    (gap,) = piece.proof.gaps
    assert (gap.started_at, gap.ended_at) == (WINDOW.start, WINDOW.end)


def test_a_day_that_goes_on_is_open(binance, market):
    market.now = moment(12)
    market.prints["spot", SPOT] = a_day(4_320)
    pieces = spot_prints(binance)
    assert ids(pieces) == list(range(1_000, 1_000 + 2_160))
    assert pieces[-1].proof.status == "open"


def test_a_number_that_nobody_serves_is_a_gap_that_says_which(server, binance, market):
    market.prints["spot", SPOT] = [p for p in a_day(100) if p["a"] not in (1_030, 1_031, 1_070)]
    pieces = spot_prints(binance)
    assert pieces[-1].proof.status == "gap"
    assert [gap.detail for gap in pieces[-1].proof.gaps] == ["ids 1030 to 1031", "id 1070"]
    assert [gap.missing_count for gap in pieces[-1].proof.gaps] == [2, 1]


def test_rows_dropped_once_are_asked_for_again(server, binance, market):
    market.prints["spot", SPOT] = a_day(2_500)
    once(
        server,
        market,
        lambda asked: asked.params.get("fromId") == "1180",
        lambda rows: [row for row in rows if row["a"] % 100 != 7],
    )
    (piece,) = spot_prints(binance)
    assert ids([piece]) == list(range(1_000, 3_500))
    assert piece.proof.status == "complete"


def test_an_empty_page_in_the_middle_is_not_the_end(server, binance, market):
    market.prints["spot", SPOT] = a_day(2_500)
    once(server, market, lambda asked: asked.params.get("fromId") == "2180", lambda rows: [])
    assert ids(spot_prints(binance)) == list(range(1_000, 3_500))


def test_an_empty_hour_that_was_not_empty_is_found_out(server, binance, market):
    market.prints["spot", SPOT] = a_day(2_500)
    once(server, market, by_time, lambda rows: [])
    (piece,) = spot_prints(binance)
    assert ids([piece]) == list(range(1_000, 3_500))
    assert piece.proof.status == "complete"


def test_a_lone_print_whose_hour_came_empty_is_looked_for_again(server, binance, market):
    market.prints["spot", SPOT] = [printed(0, WINDOW.start_ms + 3 * HOUR_MS)]
    is_its_hour = str(WINDOW.start_ms + 3 * HOUR_MS)
    once(
        server,
        market,
        lambda asked: by_time(asked) and asked.params["startTime"] == is_its_hour,
        lambda rows: [],
    )
    assert ids(spot_prints(binance)) == [0]


@pytest.mark.parametrize("order", [reversed, lambda rows: [*rows[10:], *rows[:10]]])
def test_a_page_out_of_order_is_asked_for_again(order, server, binance, market):
    market.prints["spot", SPOT] = a_day(300)
    once(server, market, by_time, order)
    assert ids(spot_prints(binance)) == list(range(1_000, 1_300))


def test_a_page_of_another_time_is_asked_for_again(server, binance, market):
    market.prints["spot", SPOT] = a_day(300)
    once(server, market, by_time, lambda rows: [row | {"T": row["T"] - HOUR_MS} for row in rows])
    assert ids(spot_prints(binance)) == list(range(1_000, 1_300))


def test_a_page_that_comes_twice_is_asked_for_again(server, binance, market):
    market.prints["spot", SPOT] = a_day(3_500)
    before = market.aggregates("spot", SPOT, {"fromId": "1180", "limit": "1000"})
    once(server, market, lambda asked: asked.params.get("fromId") == "2180", lambda rows: before)
    assert ids(spot_prints(binance)) == list(range(1_000, 4_500))


def test_a_candle_that_counts_otherwise_leaves_spot_unprovable_and_futures_whole(binance, market):
    other = candle_of(WINDOW.start_ms, 24 * HOUR_MS, [60_000.0], volume=11.0, count=11)
    for key in (("spot", SPOT), ("um", PERP)):
        market.prints[key], market.candles[key] = a_day(10), other
    (spot,) = spot_prints(binance)
    (perp,) = binance.trades("BTC", WINDOW, only=[PERP_ID])
    assert spot.proof.status == "unprovable"
    assert perp.proof.status == "complete"


def test_a_print_that_cannot_be_read_is_refused_and_the_day_is_not_whole(binance, market):
    rows = a_day(10)
    rows[4] = rows[4] | {"p": "NaN"}
    market.prints["spot", SPOT] = rows
    market.candles["spot", SPOT] = candle_of(WINDOW.start_ms, 24 * HOUR_MS, [6e4], 10.0, 10)
    (piece,) = spot_prints(binance)
    assert piece.refused["reason"].to_list() == ["p_unreadable"]
    assert piece.received == 11  # nine kept, one refused, one of the day after
    (number,) = piece.refused[ROW_NUMBER]
    assert '"p": "NaN"' in piece.texts([number])[number]
    assert piece.proof.status == "gap"


def test_coin_margined_prints_are_contracts_of_a_hundred_dollars(binance, market):
    market.prints["cm", INVERSE] = a_day(3)
    (piece,) = binance.trades("BTC", WINDOW, only=[INVERSE_ID])
    row = piece.frame.row(0, named=True)
    assert (row["quantity_contracts"], row["notional_usd"]) == (1.0, 100.0)
    assert row["quantity_base"] == pytest.approx(100 / 60_000)
    assert piece.proof.status == "complete"


def test_trades_are_of_everything_quoted_in_dollars(binance, market):
    units = [piece.unit for piece in binance.trades("BTC", WINDOW)]
    assert units == ["binance:BTC/PAX", INVERSE_ID, FUTURE_ID, SPOT_ID, PERP_ID]
    assert not list(binance.trades("ETH", WINDOW))


def test_a_venue_that_serves_no_print_as_promised_is_unavailable(server, binance, market):
    market.prints["spot", SPOT] = a_day(3)

    def react(asked: Asked) -> Said:
        if asked.path.endswith("aggTrades"):
            return Said(b"<html>back soon</html>")
        return market.react(asked)

    server.reaction = react
    (piece,) = spot_prints(binance)
    assert piece.proof.status == "gap"
    assert "BTCUSDT" in piece.proof.text
    (gap,) = piece.proof.gaps
    assert gap.cause == "source_unavailable"
    assert (gap.started_at, gap.ended_at) == (WINDOW.start, WINDOW.end)


def test_an_instrument_that_cannot_be_had_ends_as_a_gap_and_the_others_go_on(
    server, binance, market
):
    market.prints["spot", SPOT], market.prints["um", PERP] = a_day(4_320), a_day(4_320)

    def react(asked: Asked) -> Said:
        if asked.params.get("fromId") == "3180" and asked.path.startswith("/api."):
            return Said(b"", 503)
        return market.react(asked)

    server.reaction = react
    pieces = [p for p in binance.trades("BTC", WINDOW) if p.unit in (SPOT_ID, PERP_ID)]
    spot, perp = (piece for piece in pieces if piece.proof)
    assert perp.proof.status == "complete"
    assert spot.proof.status == "gap"
    assert ids([spot]) == list(range(1_000, 3_180)), "what came before is handed over"
    (gap,) = spot.proof.gaps
    assert gap.started_at == spot.frame["event_at"].max()
    assert gap.ended_at == WINDOW.end


def test_a_candle_that_cannot_be_had_costs_no_print(server, binance, market):
    market.prints["spot", SPOT] = a_day(10)
    server.reaction = lambda asked: (
        Said(b"", 503) if asked.path.endswith("klines") else market.react(asked)
    )
    (joined,) = spot_prints(binance)
    assert joined.proof.status == "complete"
    assert "Klines" in joined.notices[0]
    market.prints["spot", SPOT].pop()
    (last,) = spot_prints(binance)
    assert last.proof.status == "gap"
    assert ids([last]) == ids([joined])


def test_a_ban_ends_what_is_left_of_the_day_without_another_question(server, binance, market):
    market.prints["spot", SPOT] = a_day(10)
    asked_for: list[str] = []

    def react(asked: Asked) -> Said:
        if asked.path.endswith("aggTrades"):
            asked_for.append(asked.params["symbol"])
            return Said(b"", 418, {"Retry-After": "600"})
        return market.react(asked)

    server.reaction = react
    proofs = {str(piece.unit): piece.proof for piece in binance.trades("BTC", WINDOW)}
    assert len(proofs) == 5
    assert {proof.status for proof in proofs.values()} == {"gap"}
    assert all("banned until" in proof.text for proof in proofs.values())
    assert len(asked_for) == 1


@pytest.mark.parametrize(
    "refusal",
    [
        json({"code": -1000, "msg": "Unavailable"}, 503),
        json({"code": -1016, "msg": "This service is no longer available."}, 503),
        json({"code": -1001, "msg": "Internal error; unable to process your request."}, 500),
        json({"code": -1003, "msg": "Way too many requests."}, 429, **{"Retry-After": "1"}),
    ],
)
def test_trouble_of_the_venues_own_is_waited_out(refusal, server, binance, market):
    market.prints["spot", SPOT] = a_day(10)
    left = [4]

    def react(asked: Asked) -> Said:
        if by_time(asked) and left[0]:
            left[0] -= 1
            return refusal
        return market.react(asked)

    server.reaction = react
    assert ids(spot_prints(binance)) == list(range(1_000, 1_010))


def test_a_question_that_the_venue_refuses_is_not_asked_again(server, binance, market):
    def react(asked: Asked) -> Said:
        if by_time(asked):
            return json({"code": -1121, "msg": "Invalid symbol."}, 400)
        return market.react(asked)

    market.prints["spot", SPOT] = a_day(3)
    server.reaction = react
    (piece,) = spot_prints(binance)
    assert "BTCUSDT" in piece.proof.gaps[0].detail
    assert sum(by_time(asked) for asked in server.asked) == 1
