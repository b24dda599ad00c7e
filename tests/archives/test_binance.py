"""Binance's archive: every market, kind, header, unit and boolean that occurs."""

from datetime import date
from pathlib import Path

import archive_files
import polars as pl
import pytest
from archive_files import ms, spot_row
from hypothesis import given
from hypothesis import strategies as st

from pipelines.archives import binance, opening
from pipelines.archives.base import Period, SourceRefused

HEADER = "id,price,qty,{other},time,is_buyer_maker"
AGG = "agg_trade_id,price,quantity,first_trade_id,last_trade_id,transact_time,is_buyer_maker"
AT = ms(archive_files.DAY, 5)


def decoded(path: Path):
    feed = binance.recognise(path)
    assert feed is not None
    found = [feed.decode(lines) for lines in opening.lines(path, feed.layout)]
    assert len(found) == 1
    return feed, found[0]


def rows(path: Path) -> list[dict]:
    feed, found = decoded(path)
    return found.rows[feed.tables[0]].to_dicts()


def test_a_spot_trade(tmp_path):
    path = archive_files.binance(tmp_path, [f"7,60000.5,0.02,1200.01,{AT},True,True"])
    (row,) = rows(path)
    assert row["instrument_id"] == "binance:BTC/USDT"
    assert (row["trade_id"], row["sequence"], row["side"]) == ("7", 7, "sell")
    assert (row["price"], row["quantity_base"], row["quantity_contracts"]) == (60000.5, 0.02, None)
    assert row["notional_usd"] == 60000.5 * 0.02
    assert row["event_at"].isoformat() == "2024-08-08T00:00:05+00:00"
    assert row["received_at"] is None


@pytest.mark.parametrize(("maker", "side"), [("True", "sell"), ("false", "buy"), ("TRUE", "sell")])
def test_the_taker_sold_when_the_buyer_was_the_maker(tmp_path, maker, side):
    path = archive_files.binance(tmp_path, [f"7,1,1,1,{AT},{maker},True"])
    assert rows(path)[0]["side"] == side


@pytest.mark.parametrize("has_header", [True, False])
def test_usd_m_trades_with_and_without_header(tmp_path, has_header):
    lines = [HEADER.format(other="quote_qty")] * has_header + [f"7,60000,0.5,30000,{AT},false"]
    (row,) = rows(archive_files.binance(tmp_path, lines, market="um"))
    assert row["instrument_id"] == "binance:BTC/USDT:USDT"
    assert (row["quantity_base"], row["notional_usd"], row["side"]) == (0.5, 30_000, "buy")


@pytest.mark.parametrize(("coin", "size"), [("BTC", 100), ("ETH", 10), ("ADA", 10)])
def test_coin_m_sizes_are_contracts_of_a_hundred_or_ten_dollars(tmp_path, coin, size):
    lines = [HEADER.format(other="base_qty"), f"7,61804.8,4,0.00647199,{AT},true"]
    path = archive_files.binance(tmp_path, lines, market="cm", symbol=f"{coin}USD_PERP")
    (row,) = rows(path)
    assert row["instrument_id"] == f"binance:{coin}/USD:{coin}"
    assert (row["quantity_contracts"], row["quantity_base"]) == (4, 0.00647199)
    assert row["notional_usd"] == 4 * size


def test_aggregated_trades_are_named_by_their_own_id(tmp_path):
    path = archive_files.binance(
        tmp_path, [f"9,60000,0.5,100,103,{AT},True,True"], kind="aggTrades"
    )
    feed, found = decoded(path)
    (row,) = found.rows["trades"].to_dicts()
    assert (row["trade_id"], row["sequence"], row["quantity_base"]) == ("9", 9, 0.5)
    assert feed.rank < binance.recognise(archive_files.binance(tmp_path, ["x"])).rank


def test_aggregated_coin_m_trades_are_converted_at_their_price(tmp_path):
    lines = [AGG, f"9,50000,4,100,103,{AT},true"]
    path = archive_files.binance(
        tmp_path, lines, kind="aggTrades", market="cm", symbol="BTCUSD_PERP"
    )
    (row,) = rows(path)
    assert (row["quantity_base"], row["quantity_contracts"]) == (400 / 50_000, 4)


def test_funding_keeps_its_interval_and_its_jitter(tmp_path):
    lines = ["calc_time,funding_interval_hours,last_funding_rate", "1741449600007,4,-0.00002779"]
    path = archive_files.binance(tmp_path, lines, kind="fundingRate", market="um", period="2025-03")
    (row,) = rows(path)
    assert (row["kind"], row["interval_s"], row["rate"]) == ("settled", 14_400, -0.00002779)
    assert row["event_at"].isoformat() == "2025-03-08T16:00:00.007000+00:00"


@pytest.mark.parametrize(("day", "scale"), [(date(2024, 12, 31), 1), (date(2025, 1, 1), 1_000)])
def test_spot_counts_microseconds_from_2025_on(tmp_path, day, scale):
    path = archive_files.binance(
        tmp_path, [f"7,1,1,1,{ms(day, 5) * scale},True,True"], period=day.isoformat()
    )
    assert rows(path)[0]["event_at"].timestamp() == ms(day, 5) / 1_000


def test_a_stamp_in_another_unit_is_refused_not_guessed(tmp_path):
    good, wrong = spot_row(1), f"2,1,1,1,{AT * 1_000},True,True"
    _, found = decoded(archive_files.binance(tmp_path, [good, wrong]))
    assert found.refused.rows() == [(2, "event_at_in_another_unit")]
    assert found.rows["trades"].height == 1


def test_usd_m_counts_milliseconds_for_ever(tmp_path):
    day = date(2026, 2, 16)
    path = archive_files.binance(
        tmp_path, [f"7,1,1,1,{ms(day, 5)},true"], market="um", period=day.isoformat()
    )
    assert rows(path)[0]["event_at"].timestamp() == ms(day, 5) / 1_000


def test_a_row_of_another_day_is_refused(tmp_path):
    strange = spot_row(2, date(2024, 8, 9))
    _, found = decoded(archive_files.binance(tmp_path, [spot_row(1), strange]))
    assert found.refused.rows() == [(2, "outside_file_period")]


def test_a_month_holds_all_its_days_and_no_other(tmp_path):
    lines = [spot_row(1, date(2024, 8, d)) for d in (1, 31)] + [spot_row(3, date(2024, 9, 1))]
    feed, found = decoded(archive_files.binance(tmp_path, lines, period="2024-08"))
    assert feed.period == Period(date(2024, 8, 1), date(2024, 9, 1))
    assert found.rows["trades"].height == 2
    assert found.refused.rows() == [(3, "outside_file_period")]


@given(
    number=st.integers(0, 2**62),
    price=st.decimals("0.00000001", 10**9, places=8),
    size=st.decimals("0.00000001", 10**9, places=8),
    seconds=st.integers(0, 86_399),
    maker=st.booleans(),
)
def test_any_trade_is_decoded_exactly(tmp_path_factory, number, price, size, seconds, maker):
    line = f"{number},{price:f},{size:f},1,{ms(archive_files.DAY, seconds)},{maker},True"
    root = tmp_path_factory.mktemp("any")
    (row,) = rows(archive_files.binance(root, [line]))
    assert (row["sequence"], row["trade_id"]) == (number, str(number))
    assert (row["price"], row["quantity_base"]) == (float(price), float(size))
    assert row["side"] == ("sell" if maker else "buy")


@pytest.mark.parametrize("period", ["2024-13-01", "2024-02-30", "2024-8-8", "2024"])
def test_a_bad_date_in_the_name_is_refused_and_named(tmp_path, period):
    path = tmp_path / f"spot/BTCUSDT-trades-{period}.zip"
    with pytest.raises(SourceRefused, match=f"{period} is no day and no month"):
        binance.recognise(path)


def test_a_file_outside_the_archives_folders_is_not_guessed(tmp_path):
    with pytest.raises(SourceRefused, match="BTCUSDT may be spot or futures"):
        binance.recognise(tmp_path / "BTCUSDT-trades-2024-08-08.zip")
    feed = binance.recognise(tmp_path / "BTCUSD_PERP-trades-2024-08-08.zip")
    assert feed is not None


def test_a_symbol_without_a_known_quote_asset_is_refused(tmp_path):
    with pytest.raises(SourceRefused, match="ends in no quote asset"):
        binance.recognise(tmp_path / "spot/BTCXYZ-trades-2024-08-08.zip")


def test_spot_has_no_funding(tmp_path):
    with pytest.raises(SourceRefused, match="spot market has no fundingRate"):
        binance.recognise(tmp_path / "spot/BTCUSDT-fundingRate-2024-08.zip")


def test_a_header_of_other_columns_is_refused(tmp_path):
    path = archive_files.binance(tmp_path, ["when,what,how", "1,2,3"], market="um")
    feed = binance.recognise(path)
    with pytest.raises(SourceRefused, match="header was 'when,what,how'"):
        list(opening.lines(path, feed.layout))


def test_the_instrument_is_named_even_by_a_file_of_bad_rows(tmp_path):
    _, found = decoded(archive_files.binance(tmp_path, ["1,x,x,x,x,x,x"]))
    assert [i.instrument_id for i in found.instruments] == ["binance:BTC/USDT"]
    assert isinstance(found.rows["trades"], pl.DataFrame)
