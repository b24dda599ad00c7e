"""Tardis' files: units by venue, empty cells, zeros that mean none, symbols that must agree."""

from dataclasses import replace
from datetime import date
from pathlib import Path

import archive_files
import pytest
from archive_files import CHAIN_HEADER, DAY, ms, option_row

from pipelines.archives import opening, tardis
from pipelines.archives.base import SourceRefused
from pipelines.ingest import import_paths
from warehouse import lake
from warehouse.location import Location

TRADES = "exchange,symbol,timestamp,local_timestamp,id,side,price,amount"
QUOTES = "exchange,symbol,timestamp,local_timestamp,ask_amount,ask_price,bid_price,bid_amount"
TICKER = (
    "exchange,symbol,timestamp,local_timestamp,funding_timestamp,funding_rate,"
    "predicted_funding_rate,open_interest,last_price,index_price,mark_price"
)
AT = ms(DAY, 5) * 1_000
LATER = AT + 1_000


def decoded(path: Path):
    feed = tardis.recognise(path)
    assert feed is not None
    (found,) = (feed.decode(lines) for lines in opening.lines(path, feed.layout))
    return feed, found


def rows(path: Path, table: str | None = None) -> list[dict]:
    feed, found = decoded(path)
    return found.rows[table or feed.tables[0]].to_dicts()


def test_both_ways_of_naming_a_file_say_the_same(tmp_path):
    flat = tmp_path / "binance-futures_derivative_ticker_2024-08-08_BTCUSDT.csv.gz"
    nested = tmp_path / "binance-futures/derivative_ticker/2024/08/08/BTCUSDT.csv.gz"
    one, other = (tardis.recognise(path) for path in (flat, nested))
    assert one is not None
    assert other is not None
    assert (one.venue, one.tables, one.period) == (other.venue, other.tables, other.period)
    assert (one.venue, one.period.start) == ("binance", DAY)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("deribit_trades_2024-02-30_PERPETUALS.csv.gz", "2024-02-30 is no day"),
        (
            "okex-options_options_chain_2024-08-08_OPTIONS.csv.gz",
            "exchange okex-options is not known",
        ),
    ],
)
def test_a_bad_date_or_an_unknown_exchange_is_refused_and_named(tmp_path, name, message):
    with pytest.raises(SourceRefused, match=message):
        tardis.recognise(tmp_path / name)


def test_a_header_that_lacks_a_column_is_refused(tmp_path):
    path = archive_files.tardis(tmp_path, "trades", TRADES.replace(",amount", ""), [])
    feed = tardis.recognise(path)
    with pytest.raises(SourceRefused, match="lacks amount"):
        list(opening.lines(path, feed.layout))


@pytest.mark.parametrize(
    ("exchange", "symbol", "price", "amount", "expected"),
    [  # base, contracts, USD
        ("deribit", "BTC-PERPETUAL", 50_000, 1_000, (0.02, 100, 1_000)),
        ("deribit", "ETH-PERPETUAL", 2_500, 1_000, (0.4, 1_000, 1_000)),
        ("deribit", "BTC-27SEP24", 50_000, 20, (0.0004, 2, 20)),
        ("deribit", "BTC-27SEP24-60000-C", 0.05, 3.5, (3.5, 3.5, None)),
        ("deribit", "BTC_USDC-PERPETUAL", 50_000, 0.5, (0.5, 500, 25_000)),
        ("binance", "BTCUSDT", 50_000, 0.5, (0.5, None, 25_000)),
        ("binance", "ETHBTC", 0.05, 2, (2, None, None)),
        ("binance-futures", "BTCUSDT", 50_000, 0.5, (0.5, None, 25_000)),
        ("binance-delivery", "BTCUSD_PERP", 50_000, 5, (0.01, 5, 500)),
        ("binance-delivery", "ETHUSD_PERP", 2_500, 5, (0.02, 5, 50)),
    ],
)
def test_amounts_are_what_the_venue_means_by_them(
    tmp_path, exchange, symbol, price, amount, expected
):
    line = f"{exchange},{symbol},{AT},{LATER},t1,sell,{price},{amount}"
    (row,) = rows(archive_files.tardis(tmp_path, "trades", TRADES, [line], exchange=exchange))
    found = (row["quantity_base"], row["quantity_contracts"], row["notional_usd"])
    assert found == pytest.approx(expected)
    assert (row["side"], row["trade_id"], row["sequence"]) == ("sell", "t1", None)
    assert row["received_at"] > row["event_at"]


def test_a_perpetual_in_a_futures_file_is_a_perpetual(tmp_path):
    lines = [
        f"deribit,{symbol},{AT},{AT},10,60001,60000,20"
        for symbol in ("BTC-27SEP24", "BTC-PERPETUAL")
    ]
    path = archive_files.tardis(tmp_path, "quotes", QUOTES, lines, group="FUTURES")
    assert [row["instrument_id"] for row in rows(path)] == [
        "deribit:BTC/USD:BTC-240927",
        "deribit:BTC/USD:BTC",
    ]


def test_a_quote_of_zero_or_nothing_is_none(tmp_path):
    lines = [
        f"deribit,BTC-PERPETUAL,{AT},{AT},10,60000,0,20",
        f"deribit,BTC-PERPETUAL,{LATER},{LATER},,,60000,600",
    ]
    first, second = rows(archive_files.tardis(tmp_path, "quotes", QUOTES, lines))
    assert (first["bid_price"], first["bid_quantity_base"]) == (None, None)
    assert first["ask_quantity_base"] == 10 / 60_000
    assert (second["ask_price"], second["ask_quantity_base"]) == (None, None)
    assert second["bid_quantity_base"] == 0.01
    assert [row["is_every_update"] for row in (first, second)] == [True, True]


def test_a_change_that_another_of_its_stamp_replaces_is_missing_before_the_one_that_stays(tmp_path):
    stamps = [AT, AT + 1_000, AT + 1_000, AT + 2_000, AT + 1_000]
    lines = [
        f"deribit,BTC-PERPETUAL,{at},{LATER + n},10,60001,{60_000 - n},20"
        for n, at in enumerate(stamps)
    ]
    path = archive_files.tardis(tmp_path, "quotes", QUOTES, lines)
    found = [(row["bid_price"], row["is_every_update"]) for row in rows(path)]
    assert found == [
        (60_000, True),
        (59_999, False),
        (59_998, False),
        (59_997, True),
        (59_996, False),
    ]
    location = Location(tmp_path / "data")
    import_paths(location, [path], clock=archive_files.clock)
    kept = lake.scan(location, "quotes").sort("snapshot_at").collect()
    assert kept.select("bid_price", "is_every_update").rows() == [
        (60_000, True),
        (59_996, False),
        (59_997, True),
    ]


def test_a_change_at_the_begin_of_a_chunk_may_follow_one_of_its_stamp(tmp_path):
    lines = [
        f"deribit,{symbol},{AT + n // 3},{LATER},10,60001,60000,20"
        for n, symbol in enumerate(["BTC-PERPETUAL", "BTC-PERPETUAL", "ETH-PERPETUAL"] * 2)
    ]
    path = archive_files.tardis(tmp_path, "quotes", QUOTES, [*lines[1:3], *lines[3:]])
    feed = tardis.recognise(path)
    (whole,) = opening.lines(path, feed.layout)
    later = feed.decode(replace(whole, first_row=100)).rows["quotes"]
    assert later["is_every_update"].to_list() == [False, False, False, False, True]
    first = feed.decode(whole).rows["quotes"]
    assert first["is_every_update"].to_list() == [True, False, False, False, True]


def test_a_ticker_gives_states_and_the_rate_in_force_when_it_changes(tmp_path):
    lines = [
        f"deribit,BTC-PERPETUAL,{AT + n},{AT + n},,{rate},,1000000,60000,60010,50000"
        for n, rate in enumerate(["0.0001", "0.0001", "0.0002", "", "0.0001"])
    ]
    path = archive_files.tardis(tmp_path, "derivative_ticker", TICKER, lines)
    states, rates = rows(path, "quotes"), rows(path, "funding")
    assert len(states) == 5
    assert {state["is_every_update"] for state in states} == {None}  # nothing of a best quote
    assert states[0]["open_interest_usd"] == 1_000_000
    assert states[0]["open_interest_contracts"] == 100_000
    assert states[0]["open_interest_base"] == 20
    assert (states[0]["mark_price"], states[0]["index_price"]) == (50_000, 60_010)
    assert [(r["rate"], r["kind"], r["interval_s"]) for r in rates] == [
        (0.0001, "indicative", 28_800),
        (0.0002, "indicative", 28_800),
        (0.0001, "indicative", 28_800),
    ]


def test_binances_forecast_has_no_interval(tmp_path):
    line = f"binance-futures,BTCUSDT,{AT},{AT},{AT},0.0001,,1000,60000,60010,60005"
    path = archive_files.tardis(
        tmp_path, "derivative_ticker", TICKER, [line], exchange="binance-futures"
    )
    assert rows(path, "funding")[0]["interval_s"] is None
    (state,) = rows(path, "quotes")
    assert (state["open_interest_base"], state["open_interest_usd"]) == (1_000, 60_005_000)


def test_units_of_one_feed_never_replace_those_of_another(tmp_path):
    ticker = tardis.recognise(tmp_path / "deribit_derivative_ticker_2024-08-08_X.csv.gz")
    quotes = tardis.recognise(tmp_path / "deribit_quotes_2024-08-08_X.csv.gz")
    assert ticker.unit("i") != quotes.unit("i")


def test_deribits_percent_become_decimals_and_coin_stays_coin(tmp_path):
    path = archive_files.tardis(tmp_path, "options_chain", CHAIN_HEADER, [option_row(5)])
    (row,) = rows(path)
    assert (row["venue_iv_bid"], row["venue_iv_ask"], row["venue_iv_mark"]) == (0.5, 0.6, 0.55)
    assert (row["bid_price"], row["price_unit"]) == (0.05, "coin")
    assert (row["open_interest_base"], row["open_interest_usd"]) == (10, 610_000)
    assert row["snapshot_at"].isoformat() == "2024-08-08T00:05:00+00:00"
    assert row["quoted_at"].isoformat() == "2024-08-08T00:00:05+00:00"


def test_an_option_without_a_bid_is_a_row_without_a_bid(tmp_path):
    path = archive_files.tardis(tmp_path, "options_chain", CHAIN_HEADER, [option_row(5, bid="")])
    (row,) = rows(path)
    assert (row["bid_price"], row["bid_quantity_base"]) == (None, None)
    assert row["ask_price"] == 0.07


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("deribit,", "okex,", "exchange_of_another_file"),
        ("BTC-27SEP24-60000-C", "BTC-27SEP24-60000-X", "symbol_unknown"),
        (",call,60000,", ",put,60000,", "symbol_disagrees_with_cells"),
        (",call,60000,", ",call,61000,", "symbol_disagrees_with_cells"),
        (str(AT), str(AT // 1_000), "timestamp_in_another_unit"),
        (f",{AT},call", f",{AT + 86_400_000_000},call", "outside_file_period"),
        (",0.05,", ",five,", "bid_price_unreadable"),
    ],
)
def test_a_row_that_is_not_what_it_says_is_refused_alone(tmp_path, old, new, reason):
    lines = [option_row(5), option_row(5).replace(old, new, 1), option_row(6)]
    assert lines[1] != lines[0]
    _, found = decoded(archive_files.tardis(tmp_path, "options_chain", CHAIN_HEADER, lines))
    assert found.refused.rows() == [(2, reason)]
    assert found.rows["option_quotes"]["row_number"].to_list() == [1, 3]


def test_what_happened_before_midnight_and_arrived_after_it_is_refused_not_misfiled(tmp_path):
    before, after = ms(DAY, -0.01) * 1_000, ms(DAY, 0.02) * 1_000
    lines = [
        f"deribit,BTC-PERPETUAL,{before},{after},t1,sell,60000,10",
        f"deribit,BTC-PERPETUAL,{after},{after},t2,sell,60000,10",
    ]
    _, found = decoded(archive_files.tardis(tmp_path, "trades", TRADES, lines))
    assert found.refused.rows() == [(1, "outside_file_period")]


def test_columns_may_stand_in_any_order_and_be_more_than_needed(tmp_path):
    header = "amount,note,price,side,id,local_timestamp,timestamp,symbol,exchange"
    line = f"10,hello,50000,buy,t1,{AT},{AT},BTC-PERPETUAL,deribit"
    (row,) = rows(archive_files.tardis(tmp_path, "trades", header, [line]))
    assert (row["quantity_base"], row["side"]) == (10 / 50_000, "buy")


def test_a_side_that_is_not_told_is_null(tmp_path):
    line = f"deribit,BTC-PERPETUAL,{AT},{AT},t1,unknown,50000,10"
    assert rows(archive_files.tardis(tmp_path, "trades", TRADES, [line]))[0]["side"] is None


def test_the_day_is_the_one_in_the_name():
    feed = tardis.recognise(Path("deribit/trades/2024/08/08/PERPETUALS.csv.gz").absolute())
    assert feed.period.start == date(2024, 8, 8)
