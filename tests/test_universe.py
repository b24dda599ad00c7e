"""Symbols say what is traded; seeds say what symbols do not."""

import csv
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import universe
from pipelines.universe import MONTHS, UnknownSymbol
from warehouse.contract import INSTRUMENTS

DAY = date(2026, 8, 1)
coins = st.from_regex(r"[A-Z0-9]{1,8}", fullmatch=True)
days = st.dates(date(2017, 1, 1), date(2040, 12, 31))
quotes = st.sampled_from(["USDT", "USDC", "FDUSD", "BTC", "TRY"])


@pytest.mark.parametrize(
    ("market", "symbol", "instrument_id", "kind"),
    [
        ("spot", "NEXOUSDT", "binance:NEXO/USDT", "spot"),
        ("spot", "1000SATSFDUSD", "binance:1000SATS/FDUSD", "spot"),
        ("spot", "USDTTRY", "binance:USDT/TRY", "spot"),
        ("spot", "BNBETH", "binance:BNB/ETH", "spot"),
        ("spot", "TUSDUSDT", "binance:TUSD/USDT", "spot"),
        ("um", "BTCUSDT", "binance:BTC/USDT:USDT", "perp"),
        ("um", "BTCUSDT_240927", "binance:BTC/USDT:USDT-240927", "future"),
        ("cm", "BTCUSD_PERP", "binance:BTC/USD:BTC", "perp"),
        ("cm", "ADAUSD_240927", "binance:ADA/USD:ADA-240927", "future"),
    ],
)
def test_binance_symbols(market, symbol, instrument_id, kind):
    found = universe.binance(market, symbol)
    assert (found.instrument_id, found.kind) == (instrument_id, kind)


@pytest.mark.parametrize(
    ("symbol", "instrument_id", "kind"),
    [
        ("BTC-PERPETUAL", "deribit:BTC/USD:BTC", "perp"),
        ("ETH_USDC-PERPETUAL", "deribit:ETH/USDC:USDC", "perp"),
        ("BTC-30OCT26", "deribit:BTC/USD:BTC-261030", "future"),
        ("BTC-27SEP24-60000-C", "deribit:BTC/USD:BTC-240927-60000-C", "option"),
        ("BTC-1APR24-71500-P", "deribit:BTC/USD:BTC-240401-71500-P", "option"),
        ("XRP_USDC-30JUN23-0d625-C", "deribit:XRP/USDC:USDC-230630-0.625-C", "option"),
        ("MATIC_USDC-7JUN24-1d02-P", "deribit:MATIC/USDC:USDC-240607-1.02-P", "option"),
        ("ETH_USDC", "deribit:ETH/USDC", "spot"),
    ],
)
def test_deribit_symbols(symbol, instrument_id, kind):
    found = universe.deribit(symbol)
    assert (found.instrument_id, found.kind) == (instrument_id, kind)


@pytest.mark.parametrize(
    "symbol",
    ["", "BTC", "BTC-31FEB24", "BTC-27XXX24", "BTC-27SEP24-60000", "BTC-27SEP24-60000-X",
     "BTC-FS-27SEP24_PERP", "BTC-PERPETUAL-60000-C"],
)  # fmt: skip
def test_what_is_no_deribit_instrument_is_said_to_be_none(symbol):
    with pytest.raises(UnknownSymbol, match=f"deribit {symbol}"):
        universe.deribit(symbol)


@pytest.mark.parametrize(
    ("market", "symbol"),
    [("spot", "USDT"), ("spot", "BTCXYZ"), ("spot", "BTCUSDT_240927"), ("um", "BTCUSDT_241399"),
     ("cm", "BTCUSDT"), ("cm", "BTCUSD"), ("um", "")],
)  # fmt: skip
def test_what_is_no_binance_symbol_is_said_to_be_none(market, symbol):
    with pytest.raises(UnknownSymbol, match="binance"):
        universe.binance(market, symbol)


@given(
    base=coins, expiry=days, strike=st.decimals(0, 500_000, places=4), right=st.sampled_from("CP")
)
def test_any_deribit_option_survives_the_way_through_its_symbol(base, expiry, strike, right):
    if not strike:
        return
    shown = f"{strike.normalize():f}".replace(".", "d")
    symbol = f"{base}-{expiry.day}{MONTHS[expiry.month - 1]}{expiry:%y}-{shown}-{right}"
    found = universe.deribit(symbol)
    assert found.base == base
    assert found.strike == float(strike)
    assert found.option_type == {"C": "call", "P": "put"}[right]
    assert found.expires_at == datetime(expiry.year, expiry.month, expiry.day, 8, tzinfo=UTC)
    assert found.instrument_id.endswith(f"-{expiry:%y%m%d}-{shown.replace('d', '.')}-{right}")


@given(base=coins, quote=quotes, expiry=days)
def test_any_binance_future_has_an_id_that_tells_it_apart(base, quote, expiry):
    pair = f"{base}{quote}"
    perp = universe.binance("um", pair)
    dated = universe.binance("um", f"{pair}_{expiry:%y%m%d}")
    spot = universe.binance("spot", pair)
    assert len({perp.instrument_id, dated.instrument_id, spot.instrument_id}) == 3
    assert f"{perp.base}{perp.quote}" == pair
    assert dated.expires_at == datetime(expiry.year, expiry.month, expiry.day, 8, tzinfo=UTC)
    assert (perp.settle, perp.contract_type) == (perp.quote, "linear")


@pytest.mark.parametrize(
    ("instrument", "size"),
    [
        (universe.binance("cm", "BTCUSD_PERP"), 100),
        (universe.binance("cm", "BTCUSD_240927"), 100),
        (universe.binance("cm", "ETHUSD_PERP"), 10),
        (universe.binance("cm", "ADAUSD_PERP"), 10),
        (universe.binance("um", "BTCUSDT"), 1),
        (universe.deribit("BTC-PERPETUAL"), 10),
        (universe.deribit("ETH-PERPETUAL"), 1),
        (universe.deribit("BTC-27SEP24-60000-C"), 1),
    ],
)
def test_contract_sizes(instrument, size):
    assert universe.spec(instrument, DAY).contract_size == size


def test_a_tick_is_the_one_of_its_day():
    perpetual = universe.binance("um", "BTCUSDT")
    assert universe.spec(perpetual, date(2022, 1, 1)).tick_size == 0.01
    assert universe.spec(perpetual, date(2026, 1, 1)).tick_size == 0.1


def test_what_no_seed_states_is_not_known():
    assert universe.spec(universe.binance("spot", "NEXOUSDT"), DAY).lot_size is None
    assert universe.spec(universe.deribit("BTC-PERPETUAL"), date(2015, 1, 1)).lot_size is None


def test_observations_are_a_day_of_the_contracts_table():
    seen = [universe.deribit("BTC-27SEP24-60000-C"), universe.binance("spot", "NEXOUSDT")]
    rows = universe.observations(seen, DAY)
    assert rows.schema == INSTRUMENTS.schema
    assert rows["instrument_id"].to_list() == sorted(s.instrument_id for s in seen)
    assert (rows["valid_to"] - rows["valid_from"]).unique().to_list() == [timedelta(days=1)]


@pytest.mark.parametrize("name", ["quote_assets", "contract_specs"])
def test_every_row_of_a_seed_has_its_source_and_begin(name):
    with (universe.SEEDS / f"{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        assert row["source"]
        assert date.fromisoformat(row["valid_from"])
