"""Does Deribit's line bring whole days in the contract's units, whatever the wire does?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from pipelines.archives.base import SourceRefused, SourceUnavailable
from pipelines.settings import Settings
from pipelines.transport import Transport
from pipelines.venues import offering, venues
from pipelines.venues.base import Fetched, Window, milliseconds
from pipelines.venues.deribit import Deribit
from tests.misbehaving import Said, serving
from tests.venues.deribit_market import DAY_MS, HOUR_MS, Market, declaration, print_row
from warehouse.contract import LAKE_TABLES
from warehouse.location import Location
from warehouse.raw import replay

DAY = date(2026, 3, 10)
WINDOW = Window.day(DAY)
START = WINDOW.start_ms
NOW = datetime(2026, 3, 11, 0, 40, tzinfo=UTC)
PERPETUAL, FUTURE = "BTC-PERPETUAL", "BTC-27MAR26"
CALL, PUT, GONE = "BTC-27MAR26-60000-C", "BTC-27MAR26-55000-P", "BTC-10MAR26-50000-C"
NEVER = 32_503_708_800_000
EXPIRY = milliseconds(datetime(2026, 3, 27, 8, tzinfo=UTC))
EIGHT = START + 8 * HOUR_MS
PRINTS = 2_345


@pytest.fixture
def market() -> Market:
    """A perpetual that trades all day and over both midnights, options that hardly do."""
    market = Market(milliseconds(NOW))
    market.listed = [
        declaration(PERPETUAL, "future", NEVER),
        declaration(FUTURE, "future", EXPIRY),
        declaration(CALL, "option", EXPIRY, strike=60_000.0, option_type="call"),
        declaration(PUT, "option", EXPIRY, strike=55_000.0, option_type="put"),
    ]
    market.expired = [
        declaration(GONE, "option", EIGHT, strike=50_000.0, option_type="call", is_active=False),
        declaration("BTC-9MAR26-50000-C", "option", EIGHT - DAY_MS, is_active=False)
        | {"strike": 50_000.0, "option_type": "call"},
    ]
    step = DAY_MS // PRINTS
    market.prints[PERPETUAL] = [
        print_row(PERPETUAL, 5_000 + n, START - 10 * step + n * step, 60_000.0 + n % 7)
        for n in range(PRINTS + 30)
    ]
    market.prints[CALL] = [
        print_row(CALL, 1, START + HOUR_MS, 0.05, iv=62.5, amount=2.0),
        print_row(CALL, 2, START + 2 * HOUR_MS, 0.051, iv=63.0, amount=0.5, contracts=0.5),
    ]
    market.prints[PUT] = [print_row(PUT, 1, START - HOUR_MS, 0.02, iv=61.0, amount=1.0)]
    return market


@pytest.fixture
def deribit(market: Market, tmp_path: Path) -> Iterator[Deribit]:
    with opened(market, tmp_path) as deribit:
        yield deribit


@contextmanager
def opened(market: Market, folder: Path, now: datetime = NOW, **knobs: object) -> Iterator[Deribit]:
    """A venue whose waits take no time."""
    with serving() as server:
        server.reaction = market
        settings = Settings(gateway=server.address, rate_scale=1e6, **knobs)
        with Transport(
            Location(folder), clock=lambda: now, settings=settings, sleep=lambda seconds: None
        ) as transport:
            yield Deribit(transport, settings)


def whole(pieces: Iterator[Fetched] | list[Fetched], table: str) -> dict[str, list[Fetched]]:
    """Pieces of `table` by unit."""
    found: dict[str, list[Fetched]] = {}
    for piece in pieces:
        if piece.table == table:
            found.setdefault(str(piece.unit), []).append(piece)
    return found


def perpetual(deribit: Deribit) -> list[Fetched]:
    only = {"deribit:BTC/USD:BTC"}
    return whole(deribit.trades("BTC", WINDOW, only), "trades")["deribit:BTC/USD:BTC"]


def numbers(pieces: list[Fetched]) -> list[int]:
    return [n for piece in pieces for n in piece.frame["sequence"]]


def true_numbers(market: Market, name: str = PERPETUAL) -> list[int]:
    inside = range(START, START + DAY_MS)
    return [row["trade_seq"] for row in market.prints[name] if row["timestamp"] in inside]


def test_the_registry_finds_the_venue_by_its_tables():
    assert venues()["deribit"] is Deribit
    for table in ("trades", "option_quotes", "books", "settlements", "volatility_indices"):
        assert "deribit" in offering(table)
    assert "deribit" not in offering("swaps")


# ---------- prints
def test_a_day_of_prints_is_complete_and_exact(market, deribit):
    pieces = perpetual(deribit)
    assert numbers(pieces) == true_numbers(market)
    assert pieces[-1].proof.status == "complete"
    assert "joined to id" in pieces[-1].proof.text
    assert [piece.proof for piece in pieces[:-1]] == [None] * (len(pieces) - 1)
    assert not pieces[-1].notices, "the venue's candle has the same volume"
    assert sum(piece.received for piece in pieces) >= PRINTS


def test_neighbouring_days_have_no_print_in_common_and_none_between(market, tmp_path):
    found = []
    for day in (date(2026, 3, 9), DAY, date(2026, 3, 11)):
        with opened(market, tmp_path, NOW + timedelta(days=1)) as deribit:
            pieces = whole(deribit.trades("BTC", Window.day(day)), "trades")
            found += numbers(pieces["deribit:BTC/USD:BTC"])
    assert found == [row["trade_seq"] for row in market.prints[PERPETUAL]]


def test_prints_are_in_the_contracts_units(deribit):
    pieces = whole(deribit.trades("BTC", WINDOW), "trades")
    row = pieces["deribit:BTC/USD:BTC"][0].frame.row(0, named=True)
    assert row["notional_usd"] == 10.0 * (1 + row["sequence"] % 5)
    assert row["quantity_base"] == pytest.approx(row["notional_usd"] / row["price"])
    assert row["quantity_contracts"] == row["notional_usd"] / 10
    option = pieces["deribit:BTC/USD:BTC-260327-60000-C"][0].frame.row(0, named=True)
    assert option["iv"] == 0.625
    assert option["quantity_base"] == 2.0
    assert option["notional_usd"] == 2.0 * option["index_price"]


def test_a_day_without_a_print_is_proven_by_its_neighbours_or_the_venues_candle(market, deribit):
    market.prints[PUT].append(print_row(PUT, 2, START + DAY_MS + 5, 0.02, iv=61.0))
    pieces = whole(deribit.trades("BTC", WINDOW), "trades")
    proofs = {unit: found[-1].proof for unit, found in pieces.items()}
    joined = proofs["deribit:BTC/USD:BTC-260327-55000-P"]
    assert joined.status == "complete"
    assert "no print without a hole, joined to id 2 after and id 1 before" in joined.text
    untraded = proofs["deribit:BTC/USD:BTC-260327"]
    assert untraded.status == "complete"
    assert "candle of the day says 0 base" in untraded.text
    assert "deribit:BTC/USD:BTC-260310-50000-C" in proofs, "what expired in the day is in it"
    assert "deribit:BTC/USD:BTC-260309-50000-C" not in proofs


def test_the_last_print_of_all_needs_the_candle_to_be_the_days_last(market, tmp_path):
    call = "deribit:BTC/USD:BTC-260327-60000-C"
    with opened(market, tmp_path) as deribit:
        assert whole(deribit.trades("BTC", WINDOW), "trades")[call][-1].proof.status == "complete"
    market.knows_candles = False
    with opened(market, tmp_path) as deribit:
        proof = whole(deribit.trades("BTC", WINDOW), "trades")[call][-1].proof
    assert proof.status == "unprovable"
    assert "no later print shows where the day ends" in proof.text


def test_a_day_that_goes_on_is_open(market, tmp_path):
    market.now_ms = milliseconds(WINDOW.end) - HOUR_MS
    market.prints[PERPETUAL] = [
        row for row in market.prints[PERPETUAL] if row["timestamp"] < market.now_ms
    ]
    with opened(market, tmp_path, WINDOW.end - timedelta(hours=1)) as deribit:
        (*_, last) = perpetual(deribit)
    assert last.proof.status == "open"


def test_a_print_that_nobody_has_is_a_gap_with_its_number(market, deribit):
    lost = true_numbers(market)[700:703]
    market.prints[PERPETUAL] = [
        row for row in market.prints[PERPETUAL] if row["trade_seq"] not in lost
    ]
    pieces = perpetual(deribit)
    proof = pieces[-1].proof
    assert proof.status == "gap"
    (gap,) = proof.gaps
    assert gap.detail == f"ids {lost[0]} to {lost[-1]}"
    assert (gap.missing_count, gap.cause) == (3, "sequence_hole")
    assert gap.started_at < gap.ended_at
    assert set(true_numbers(market)) == set(numbers(pieces))


def test_what_one_host_lacks_is_asked_of_the_one_that_keeps_history(market, deribit):
    truth = true_numbers(market)
    market.history[PERPETUAL] = list(market.prints[PERPETUAL])
    lost = {*truth[5:8], *truth[1_500:1_600]}
    market.prints[PERPETUAL] = [
        row for row in market.prints[PERPETUAL] if row["trade_seq"] not in lost
    ]
    pieces = perpetual(deribit)
    assert sorted(numbers(pieces)) == truth
    assert pieces[-1].proof.status == "complete"
    assert not any(piece.refused.height for piece in pieces), "what came twice is no fault"


def test_an_instrument_that_the_first_host_no_longer_knows_is_had_from_the_other(market, deribit):
    market.history[GONE] = [print_row(GONE, 1, START + HOUR_MS, 0.1, iv=60.0, amount=1.0)]
    unknown = Said(b'{"error": {"code": 11050, "message": "bad_request"}}', 400)

    def tamper(method, asked, value):
        is_asked = asked.params.get("instrument_name") == GONE
        return unknown if is_asked and asked.path.startswith("/www") else value

    market.tamper = tamper
    only = {"deribit:BTC/USD:BTC-260310-50000-C"}
    (pieces,) = whole(deribit.trades("BTC", WINDOW, only), "trades").values()
    assert numbers(pieces) == [1]


TRUNCATED = Said(b'{"jsonrpc":"2.0","result":{"trades":[{"trade_s')
BREAKS: dict[str, Callable[[list, list], object]] = {
    "dropped rows": lambda trades, before: trades[:3] + trades[5:],
    "dropped tail": lambda trades, before: trades[: len(trades) // 2],
    "dropped head": lambda trades, before: trades[2:],
    "nothing": lambda trades, before: [],
    "reordered": lambda trades, before: trades[::-1],
    "doubled rows": lambda trades, before: trades + trades[:5],
    "the page before": lambda trades, before: before,
    "truncated": lambda trades, before: TRUNCATED,
    "html": lambda trades, before: Said(b"<html></html>"),
    "limit": lambda trades, before: Said(b"{}", 429, {"Retry-After": "1"}),
    "unavailable": lambda trades, before: Said(b"", 503),
}


def breaking(kind: str) -> Callable[[str, object, object], object]:
    """Every page of prints is broken in this way the first time that it is asked for."""
    before: list[list] = [[]]
    broken = set()

    def tamper(method, asked, value):
        trades = value.get("trades") if isinstance(value, dict) else None
        key = asked.params.get("start_seq")
        if not trades or len(trades) < 10 or key in broken:
            return value
        broken.add(key)
        said = BREAKS[kind](trades, before[0] or trades)
        before[0] = trades
        return said if isinstance(said, Said) else value | {"trades": said}

    return tamper


@pytest.mark.parametrize("kind", BREAKS)
def test_a_day_is_exact_though_every_page_comes_broken_once(kind, market, deribit):
    market.tamper = breaking(kind)
    pieces = perpetual(deribit)
    assert sorted(numbers(pieces)) == true_numbers(market)
    assert pieces[-1].proof.status == "complete"
    assert not any(piece.refused.height for piece in pieces)


@pytest.mark.parametrize("lie", ["no prints at all", "an old print", "an old time"])
def test_a_lie_about_where_the_day_is_never_makes_it_quietly_short(lie, market, deribit):
    old = [market.prints[PERPETUAL][0]]

    def tamper(method, asked, value):
        is_newest = method == "get_last_trades_by_instrument" and "start_seq" not in asked.params
        if lie == "no prints at all" and is_newest:
            return {"trades": [], "has_more": False}
        if lie == "an old print" and is_newest:
            return {"trades": old, "has_more": True}
        if lie == "an old time" and method.endswith("_and_time"):
            return {"trades": market.prints[PERPETUAL][900:901], "has_more": True}
        return value

    market.tamper = tamper
    pieces = perpetual(deribit)
    is_exact = numbers(pieces) == true_numbers(market)
    assert is_exact or pieces[-1].proof.status in ("gap", "unprovable")
    assert is_exact == (lie == "an old time")


def test_an_older_answer_about_the_newest_print_hides_none_that_was_seen(market, deribit):
    step = HOUR_MS
    market.prints[CALL] = [
        print_row(CALL, n, START + n * step, 0.05, iv=60.0, amount=1.0) for n in range(1, 6)
    ]
    asked = []

    def tamper(method, asked_, value):
        if asked_.params.get("instrument_name") != CALL or "trades" not in method:
            return value
        asked.append(asked_)
        if "start_seq" not in asked_.params and len(asked) > 2:
            return {"trades": market.prints[CALL][3:4], "has_more": True}
        if len(asked) == 3:
            return value | {"trades": [r for r in value["trades"] if r["trade_seq"] != 4]}
        return value

    market.tamper = tamper
    call = "deribit:BTC/USD:BTC-260327-60000-C"
    pieces = whole(deribit.trades("BTC", WINDOW, {call}), "trades")[call]
    assert numbers(pieces) == [1, 2, 3, 4, 5]
    assert pieces[-1].proof.status == "complete"


def test_a_venue_that_stays_broken_is_an_error_and_not_a_short_day(market, deribit):
    market.tamper = lambda method, asked, value: (
        Said(b"<html></html>") if "start_seq" in asked.params else value
    )
    (piece,) = perpetual(deribit)
    assert piece.proof.status == "gap"
    (gap,) = piece.proof.gaps
    assert gap.cause == "source_unavailable"
    assert "is no JSON" in gap.detail
    assert (gap.started_at, gap.ended_at) == (WINDOW.start, WINDOW.end)


def test_an_instrument_that_cannot_be_had_ends_as_a_gap_and_the_others_go_on(market, deribit):
    middle = 4_999 + 10 + 1_000

    def tamper(method, asked, value):
        is_meant = asked.params.get("instrument_name") == PERPETUAL and "trades" in method
        return (
            Said(b"", 503) if is_meant and int(asked.params.get("start_seq", 0)) > middle else value
        )

    market.tamper = tamper
    pieces = whole(deribit.trades("BTC", WINDOW), "trades")
    proofs = {unit: found[-1].proof for unit, found in pieces.items()}
    assert {unit for unit, proof in proofs.items() if proof.status != "complete"} == {
        "deribit:BTC/USD:BTC"
    }
    had = numbers(pieces["deribit:BTC/USD:BTC"])
    assert had == true_numbers(market)[: len(had)], "what came before is handed over"
    assert len(had) >= 1_000
    (gap,) = proofs["deribit:BTC/USD:BTC"].gaps
    assert gap.started_at == pieces["deribit:BTC/USD:BTC"][-1].frame["event_at"].max()
    assert gap.ended_at == WINDOW.end


def test_a_candle_that_cannot_be_had_costs_no_print(market, deribit):
    market.tamper = lambda method, asked, value: (
        Said(b"", 503) if method == "get_tradingview_chart_data" else value
    )
    pieces = whole(deribit.trades("BTC", WINDOW), "trades")
    (joined,) = pieces["deribit:BTC/USD:BTC"]
    assert joined.proof.status == "complete"
    assert "TradingviewChartData" in joined.notices[0]
    (newest,) = pieces["deribit:BTC/USD:BTC-260327-60000-C"]
    assert (newest.proof.status, newest.frame.height) == ("gap", 2)


def test_a_ban_ends_what_is_left_of_the_day_without_another_question(market, deribit):
    asked_for = []

    def tamper(method, asked, value):
        if "trades" not in method:
            return value
        asked_for.append(asked)
        return Said(b"", 418, {"Retry-After": "600"})

    market.tamper = tamper
    pieces = whole(deribit.trades("BTC", WINDOW), "trades")
    assert len(pieces) == 5
    assert all("banned until" in found[-1].proof.text for found in pieces.values())
    assert len(asked_for) == 1


def test_a_damaged_row_is_refused_with_its_text_and_the_day_is_not_complete(market, deribit):
    def tamper(method, asked, value):
        if not isinstance(value, dict) or len(value.get("trades", [])) < 100:
            return value
        damaged = value["trades"][50] | {"price": "sixty thousand"}
        return value | {"trades": [*value["trades"][:50], damaged, *value["trades"][51:]]}

    market.tamper = tamper
    pieces = perpetual(deribit)
    refused = [(row, piece) for piece in pieces for row in piece.refused.iter_rows()]
    assert {reason for (_, reason), _ in refused} == {"price_unreadable"}
    (number, _), piece = refused[0]
    assert '"sixty thousand"' in piece.texts([number])[number]
    assert pieces[-1].proof.status == "gap"
    kept, bad = sum(p.frame.height for p in pieces), len(refused)
    assert kept + bad == len(true_numbers(market))


def test_liquidations_are_told_by_the_side_that_was_forced(market, deribit):
    stamp = START + 3 * HOUR_MS
    forced = {"T": "buy", "M": "sell", "MT": "both"}
    market.prints[CALL] += [
        print_row(CALL, 3 + n, stamp + n, 0.05, iv=60.0, direction="buy", liquidation=party)
        for n, party in enumerate(forced)
    ]
    call = {"deribit:BTC/USD:BTC-260327-60000-C"}
    pieces = list(deribit.trades("BTC", WINDOW, call))
    (found,) = whole(pieces, "liquidations").values()
    sides = found[-1].frame.select("trade_id", "side").rows()
    assert sides == [
        (f"{CALL}-3", "buy"),
        (f"{CALL}-4", "sell"),
        (f"{CALL}-5", "buy"),
        (f"{CALL}-5", "sell"),
    ]
    trades = whole(pieces, "trades")[next(iter(call))][-1].frame
    assert trades["is_liquidation"].to_list() == [False, False, True, True, True]
    direct = whole(deribit.liquidations("BTC", WINDOW), "liquidations")
    assert direct[next(iter(call))][-1].frame.equals(found[-1].frame)


def test_the_same_raw_pages_give_the_same_rows(market, deribit, tmp_path):
    from pipelines.venues import deribit_rows

    pieces = perpetual(deribit)
    for piece in pieces:
        pages = [p for d in piece.raw for p in replay(Location(tmp_path), "deribit", d)]
        again = [p for p in pages if "start_seq" in p.request]
        rows = deribit_rows.trades(again, DAY).rows["trades"].filter(WINDOW.holds("event_at"))
        assert rows.drop("row_number").equals(piece.frame.drop("row_number"))


# ---------- other days' tables
def test_instruments_of_a_day_are_those_that_lived_in_it(deribit):
    (piece,) = deribit.instruments("BTC", WINDOW)
    assert set(piece.frame["native_symbol"]) == {PERPETUAL, FUTURE, CALL, PUT, GONE}
    assert piece.apart == 1, "one had expired the day before"
    assert piece.frame["valid_from"].unique().to_list() == [WINDOW.start]
    row = piece.frame.row(by_predicate=pl.col("native_symbol") == PERPETUAL, named=True)
    assert (row["kind"], row["contract_size"], row["lot_size"]) == ("perp", 10.0, 1.0)
    assert row["expires_at"] is None


def test_funding_is_what_was_paid_in_each_hour(deribit):
    (piece,) = deribit.funding("BTC", WINDOW)
    assert piece.frame.height == 24
    assert set(piece.frame["interval_s"]) == {3_600}
    assert piece.frame["rate"].sum() == pytest.approx(24 * 1e-5 + 276 * 1e-7)
    assert piece.proof.status == "complete"
    assert piece.apart == 1, "the next day's first settlement"


def test_a_lost_settlement_is_told(market, deribit):
    market.tamper = lambda method, asked, value: (
        value[:5] + value[7:] if method == "get_funding_rate_history" else value
    )
    (piece,) = deribit.funding("BTC", WINDOW)
    assert piece.proof.status == "unprovable"
    (gap,) = piece.proof.gaps
    assert gap.missing_count == 2
    assert (gap.ended_at - gap.started_at) == timedelta(hours=3)


def test_settlements_of_another_time_are_not_believed(market, deribit):
    market.tamper = lambda method, asked, value: (
        [row | {"timestamp": row["timestamp"] - DAY_MS} for row in value]
        if method == "get_funding_rate_history"
        else value
    )
    (piece,) = deribit.funding("BTC", WINDOW)
    assert (piece.proof.status, piece.received) == ("gap", 0)
    assert "was not asked for" in piece.proof.gaps[0].detail


def test_the_volatility_index_is_a_decimal_and_pages_back_to_the_days_start(deribit):
    (piece,) = deribit.volatility_indices("BTC", WINDOW)
    assert piece.frame.height == 1_440
    assert piece.frame["close"].unique().to_list() == [0.505]
    assert piece.frame["event_at"].is_sorted()
    assert piece.proof.status == "complete"


def test_only_closed_candles_are_taken_of_a_day_that_goes_on(market, tmp_path):
    now = WINDOW.start + timedelta(minutes=90, seconds=30)
    market.now_ms = milliseconds(now)
    with opened(market, tmp_path, now) as deribit:
        (piece,) = deribit.volatility_indices("BTC", WINDOW)
    assert piece.frame.height == 90
    assert piece.proof.status == "open"


def test_a_continuation_that_leads_nowhere_is_an_error(market, deribit):
    def tamper(method, asked, value):
        if method == "get_volatility_index_data":
            return value | {"continuation": int(asked.params["end_timestamp"])}
        return value

    market.tamper = tamper
    with pytest.raises(SourceUnavailable, match="stuck"):
        list(deribit.volatility_indices("BTC", WINDOW))


def test_deliveries_carry_the_window_of_their_average(deribit):
    (piece,) = deribit.settlements("BTC", WINDOW)
    delivered = piece.frame.filter(kind="delivery")
    assert delivered.height == 2
    row = delivered.row(0, named=True)
    assert row["delivery_price"] == 60_000.5
    assert row["window_end"] == WINDOW.start + timedelta(hours=8)
    assert row["window_end"] - row["window_start"] == timedelta(minutes=30)
    daily = piece.frame.filter(kind="settlement")
    assert daily["delivery_price"].null_count() == daily.height == 1, "the same row came twice"


# ---------- states
def test_quotes_bring_funding_in_force_along(deribit):
    quotes, funding = deribit.quotes("BTC", NOW)
    assert quotes.frame["instrument_id"].to_list() == [
        "deribit:BTC/USD:BTC",
        "deribit:BTC/USD:BTC-260327",
    ]
    row = quotes.frame.row(0, named=True)
    assert row["snapshot_at"] == NOW
    assert row["bid_quantity_base"] == pytest.approx(1_200 / 60_009.5)
    assert row["open_interest_usd"] == 1_200_000
    assert row["open_interest_base"] == pytest.approx(1_200_000 / 60_010)
    assert row["open_interest_contracts"] == 120_000
    assert funding.frame.select("kind", "rate", "interval_s", "event_at").rows() == [
        ("indicative", 1.5e-4, 28_800, NOW)
    ]
    assert quotes.unit == funding.unit == f"BTC@{NOW.isoformat()}"


def test_the_chain_is_whole_with_its_index_and_without_quotes_that_are_none(deribit):
    (piece,) = deribit.option_quotes("BTC", NOW)
    assert piece.frame.height == 2
    row = piece.frame.row(0, named=True)
    assert (row["bid_price"], row["ask_price"], row["venue_iv_mark"]) == (None, 0.051, 0.625)
    assert row["open_interest_usd"] == 25 * row["index_price"] == 25 * 60_000
    assert piece.proof.status == "complete"


def test_an_option_that_is_listed_and_not_told_of_has_a_row_all_the_same(market, deribit):
    market.tamper = lambda method, asked, value: (
        value[1:] if method == "get_book_summary_by_currency" else value
    )
    (piece,) = deribit.option_quotes("BTC", NOW)
    assert piece.frame.height == 2
    assert piece.proof.status == "unprovable"
    untold = piece.frame.row(by_predicate=pl.col("mark_price").is_null(), named=True)
    assert untold["price_unit"] == "coin"


def test_a_sweep_adds_sizes_volatilities_and_greeks(market, tmp_path):
    with opened(market, tmp_path, is_sweeping_tickers=True) as deribit:
        (piece,) = deribit.option_quotes("BTC", NOW)
    row = piece.frame.row(0, named=True)
    assert (row["venue_iv_bid"], row["venue_iv_ask"]) == (None, 0.64)
    assert (row["ask_quantity_base"], row["bid_quantity_base"]) == (3.0, None)
    assert (row["venue_delta"], row["venue_theta"]) == (0.5, -40.0)


def test_books_have_levels_from_one_in_base_coin(deribit):
    (piece,) = deribit.books("BTC", NOW)
    assert piece.frame.height == 2 * 5
    best = piece.frame.row(
        by_predicate=(pl.col("side") == "bid")
        & (pl.col("level") == 1)
        & (pl.col("instrument_id") == "deribit:BTC/USD:BTC"),
        named=True,
    )
    assert best["price"] == 60_000.0
    assert best["quantity_base"] == pytest.approx(600 / 60_000)


def test_the_index_is_read_at_its_moment(deribit):
    (piece,) = deribit.index_prices("BTC", NOW)
    (row,) = piece.frame.iter_rows(named=True)
    assert (row["open"], row["close"], row["event_at"]) == (60_000.0, 60_000.0, NOW)


@pytest.mark.parametrize("table", ["quotes", "option_quotes", "books", "index_prices"])
def test_a_state_of_yesterday_cannot_be_had(table, deribit):
    with pytest.raises(SourceRefused, match="cannot be had"):
        list(getattr(deribit, table)("BTC", NOW - timedelta(days=1)))


@pytest.mark.parametrize("table", ["quotes", "option_quotes", "books"])
def test_a_state_from_a_cache_is_not_believed(table, market, deribit):
    market.now_ms -= HOUR_MS
    with pytest.raises(SourceUnavailable, match="not of 2026-03-11T00:40:00"):
        list(getattr(deribit, table)("BTC", NOW))


def test_another_instruments_state_is_not_believed(market, deribit):
    market.tamper = lambda method, asked, value: (
        value | {"instrument_name": FUTURE} if method == "ticker" else value
    )
    with pytest.raises(SourceUnavailable, match=f"is of {FUTURE}"):
        list(deribit.quotes("BTC", NOW))


# ---------- what every endpoint promises
ASKED = {
    "instruments": ("get_instruments", WINDOW),
    "trades": ("get_last_trades_by_instrument", WINDOW),
    "funding": ("get_funding_rate_history", WINDOW),
    "settlements": ("get_last_settlements_by_currency", WINDOW),
    "volatility_indices": ("get_volatility_index_data", WINDOW),
    "quotes": ("ticker", NOW),
    "option_quotes": ("get_book_summary_by_currency", NOW),
    "books": ("get_order_book", NOW),
    "index_prices": ("get_index_price", NOW),
}
READ = {
    "instruments": "instrument_name kind expiration_timestamp contract_size tick_size "
    "min_trade_amount creation_timestamp is_active",
    "trades": "trade_seq trade_id timestamp price amount direction instrument_name mark_price "
    "index_price",
    "funding": "timestamp interest_1h index_price",
    "settlements": "type timestamp instrument_name index_price mark_price",
    "volatility_indices": "0 1 2 3 4",
    "quotes": "timestamp instrument_name mark_price index_price open_interest best_bid_price "
    "best_bid_amount best_ask_price best_ask_amount last_price stats current_funding",
    "option_quotes": "instrument_name bid_price ask_price mark_price last open_interest "
    "volume_usd underlying_price creation_timestamp",
    "books": "timestamp instrument_name bids asks",
    "index_prices": "index_price",
}
CASES = [(table, field) for table, fields in READ.items() for field in fields.split()]


def damaged(row, field, how):
    if isinstance(row, list):
        place = int(field)
        return row[:place] if how == "removed" else [*row[:place], {"a": 1}, *row[place + 1 :]]
    rest = {name: value for name, value in row.items() if name != field}
    return rest if how == "removed" else rest | {field: {"a": 1}}


def damage_rows(value, field, how, only_first):
    if isinstance(value, dict):
        for name in ("trades", "settlements", "data"):
            if name in value:
                return value | {name: damage_rows(value[name], field, how, only_first)}
        return damaged(value, field, how)
    return [damaged(r, field, how) if not (only_first and i) else r for i, r in enumerate(value)]


@pytest.mark.parametrize("only_first", [False, True], ids=["every row", "one row"])
@pytest.mark.parametrize("how", ["removed", "retyped"])
@pytest.mark.parametrize(("table", "field"), CASES)
def test_a_field_that_is_gone_or_of_another_type_is_noticed(
    table, field, how, only_first, market, tmp_path
):
    method, when = ASKED[table]

    def tamper(called, asked, value):
        is_meant = called == method and (called != "ticker" or PERPETUAL in asked.params.values())
        return damage_rows(value, field, how, only_first) if is_meant and value else value

    market.prints = {PERPETUAL: market.prints[PERPETUAL][5:40]}
    market.tamper = tamper
    with opened(market, tmp_path, attempts=2) as deribit:
        try:
            pieces = list(getattr(deribit, table)("BTC", when))
        except (SourceUnavailable, SourceRefused):
            return
    assert any(piece.refused.height or piece.notices for piece in pieces) or any(
        piece.proof and piece.proof.status in ("gap", "unprovable") for piece in pieces
    )


def test_every_frame_has_its_tables_form(market, deribit):
    methods = [(name, when) for name, (_, when) in ASKED.items()]
    pieces = [p for name, when in methods for p in getattr(deribit, name)("BTC", when)]
    assert {piece.table for piece in pieces} >= set(ASKED)
    for piece in pieces:
        table = LAKE_TABLES[piece.table]
        assert dict(piece.frame.drop("row_number").schema) == dict(table.schema)
        required = [column.name for column in table.columns if not column.nullable]
        assert piece.frame.select(required).null_count().sum_horizontal().item() == 0
        assert piece.raw, "every piece names the pages it rests on"


def test_hostile_names_are_refused_and_never_become_paths(market, deribit, tmp_path):
    hostile = ["../../etc/passwd", "BTC'; drop table trades;--", "BTC-٢٧MAR26", "x" * 10_000]
    market.listed += [declaration(name, "option", EXPIRY) for name in hostile]
    market.tamper = lambda method, asked, value: (
        market.listed
        if method == "get_instruments" and asked.params["expired"] == "false"
        else value
    )
    (piece,) = deribit.instruments("BTC", WINDOW)
    assert piece.refused.filter(reason="symbol_unknown").height == 2 * len(hostile)
    assert all(path.is_relative_to(tmp_path) for path in tmp_path.rglob("*"))
