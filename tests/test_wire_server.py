"""The embedded market over HTTP: ccxt reads it, its clock is stepped, it says the same again."""

import hashlib
import json
import socket
from datetime import UTC, datetime, timedelta
from http.client import HTTPConnection, IncompleteRead, RemoteDisconnected

import ccxt
import pytest

from pipelines.simulator.history import History
from pipelines.simulator.levels import DAYS, levels
from pipelines.simulator.wire import faults
from pipelines.simulator.wire.server import Server, SimulatorError, serve, serve_apart
from pipelines.simulator.world import BTC
from tests.wire_client import AFTER, DAY_MS, rewired

PATH = "/www.deribit.com/api/v2/public/get_last_trades_by_instrument"


def fetch(server: Server, path: str) -> bytes:
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request("GET", path)
        return connection.getresponse().read()
    finally:
        connection.close()


@pytest.fixture(scope="module")
def server():
    with serve(History(7, 0.02), at=AFTER, rate_scale=1e6) as running:
        yield running


@pytest.fixture(scope="module")
def deribit(server):
    return rewired(ccxt.deribit({"enableRateLimit": False}), server.url)


@pytest.fixture(scope="module")
def binance(server):
    return rewired(ccxt.binance({"enableRateLimit": False}), server.url)


def test_ccxts_implicit_methods_read_deribit(deribit):
    listed = deribit.publicGetGetInstruments({"currency": "BTC", "kind": "option"})["result"]
    assert len(listed) > 200
    trades = deribit.publicGetGetLastTradesByInstrument(
        {"instrument_name": "BTC-PERPETUAL", "count": 1000, "sorting": "asc", "start_seq": 1}
    )["result"]
    assert [row["trade_seq"] for row in trades["trades"][:1]] == [1_234_500]
    chain = deribit.publicGetGetBookSummaryByCurrency({"currency": "BTC", "kind": "option"})
    assert len(chain["result"]) == len(listed)
    assert isinstance(chain["usIn"], int)
    paid = deribit.publicGetGetFundingRateHistory(
        {"instrument_name": "ETH-PERPETUAL", "start_timestamp": DAY_MS[0],
         "end_timestamp": DAY_MS[1]}
    )["result"]  # fmt: skip
    assert len(paid) == 25


def test_ccxts_implicit_methods_read_binance(binance):
    window = {"symbol": "BTCUSDT", "startTime": DAY_MS[0], "endTime": DAY_MS[0] + 3_599_999}
    for ask in (binance.publicGetAggTrades, binance.fapiPublicGetAggTrades):
        rows = ask(window)
        assert rows
        assert all(isinstance(row["a"], int) and isinstance(row["p"], str) for row in rows)
    assert binance.dapiPublicGetPremiumIndex({"symbol": "BTCUSD_PERP"})[0]["pair"] == "BTCUSD"
    assert len(binance.fapiPublicGetFundingRate({"symbol": "BTCUSDT", "limit": 5})) == 5
    assert "X-MBX-USED-WEIGHT-1M" in {name.upper() for name in binance.last_response_headers}
    # and its own parsers agree that this is a market
    binance.load_markets()
    assert binance.markets["BTC/USDT:USDT"]["linear"]
    assert binance.markets["BTC/USD:BTC"]["contractSize"] == 100
    assert binance.fetch_ticker("BTC/USDT")["bid"] > 0


def test_ccxt_knows_the_venues_errors(deribit, binance):
    with pytest.raises(ccxt.BadSymbol):
        binance.fapiPublicGetAggTrades({"symbol": "NOSUCH"})
    with pytest.raises(ccxt.ExchangeError, match="Invalid params"):
        deribit.publicGetGetLastTradesByInstrument({"instrument_name": "DOGE"})


@pytest.mark.parametrize(
    ("spec", "error"),
    [
        ("429:1", ccxt.DDoSProtection),
        ("418:1", ccxt.DDoSProtection),
        ("503:1", ccxt.ExchangeNotAvailable),
        ("maintenance:1", ccxt.OnMaintenance),
        ("reset:1", ccxt.NetworkError),
        ("short:1", ccxt.NetworkError),
    ],
)
def test_ccxt_meets_the_faults(server, deribit, spec, error):
    server.use(spec)
    with pytest.raises(error):
        deribit.publicGetGetIndexPrice({"index_name": "btc_usd"})
    assert deribit.publicGetGetIndexPrice({"index_name": "btc_usd"})["result"]["index_price"] > 0
    assert server.log()["faults"] == {spec.split(":")[0]: 1}
    server.use("")


def test_ccxt_takes_a_page_of_html_for_text(server, deribit):
    for spec in ("html:1", "truncated:1"):
        server.use(spec)
        assert isinstance(deribit.publicGetGetIndexPrice({"index_name": "btc_usd"}), str)
    server.use("")


def test_a_short_body_and_a_reset_reach_the_socket(server):
    server.use("short:1")
    with pytest.raises(IncompleteRead):
        fetch(server, f"{PATH}?instrument_name=BTC-PERPETUAL&count=700")
    server.use("reset:1")
    with pytest.raises((ConnectionResetError, RemoteDisconnected)):
        fetch(server, f"{PATH}?instrument_name=BTC-PERPETUAL&count=701")
    server.use("")


def test_the_same_seed_says_the_same_bytes_again_in_a_process_of_its_own():
    """Whatever was asked before."""
    paths = [
        f"{PATH}?instrument_name=BTC-PERPETUAL&count=300",
        "/www.deribit.com/api/v2/public/get_book_summary_by_currency?currency=ETH&kind=option",
        "/fapi.binance.com/fapi/v1/aggTrades?symbol=ETHUSDT&limit=500",
        "/dapi.binance.com/dapi/v1/depth?symbol=BTCUSD_PERP&limit=20",
        "/api.binance.com/api/v3/exchangeInfo",
    ]
    spec = "html:0.2,truncated:0.2"
    with serve(History(3, 0.02), at=AFTER, faults=faults.parse(spec, 3)) as here:
        here.step(AFTER - timedelta(days=1))
        here.step(AFTER)
        first = [hashlib.sha256(fetch(here, path)).hexdigest() for path in paths]
    with serve_apart(History(3, 0.02), at=AFTER, faults=spec) as there:
        second = [hashlib.sha256(fetch(there, path)).hexdigest() for path in reversed(paths)]
    assert first == second[::-1]


def test_the_clock_is_stepped_and_runs(server):
    noon = datetime(2026, 3, 10, 12, tzinfo=UTC)
    server.step(noon)
    assert server.now() == noon
    server.run(noon)
    assert noon < server.now() < noon + timedelta(minutes=5)
    server.step(AFTER)
    assert server.now() == AFTER


def test_a_control_request_that_makes_no_sense_is_refused(server):
    with pytest.raises(ValueError, match="flood"):
        faults.parse("flood")
    with pytest.raises(SimulatorError, match="'flood'"):
        server.use("flood:1")
    with pytest.raises(SimulatorError, match="no zone"):
        server.step(datetime(2026, 3, 10))  # noqa: DTZ001
    with pytest.raises(SimulatorError, match="world: day was 2150-01-01"):
        server.step(datetime(2150, 1, 1, tzinfo=UTC))
    server.step(AFTER)
    assert b"no venue at 'example.org'" in fetch(server, "/example.org/x")
    assert b"there is only" in fetch(server, "/__nothing")


def test_the_log_counts_requests_by_path(server):
    before = server.log()["requests"].get("api.binance.com/api/v3/time", 0)
    fetch(server, "/api.binance.com/api/v3/time")
    assert server.log()["requests"]["api.binance.com/api/v3/time"] == before + 1


def test_a_port_that_is_taken_is_named():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with (
            pytest.raises(SimulatorError, match=f"port {port}"),
            serve(History(1, 0.02), port=port),
        ):
            pass
        with (
            pytest.raises(SimulatorError, match=f"port {port}"),
            serve_apart(History(1, 0.02), port=port),
        ):
            pass


@pytest.mark.parametrize(("seed", "size"), [(-1, 1.0), (1, 0.0), (1, float("nan"))])
def test_an_impossible_world_is_refused_by_its_values(seed, size):
    with pytest.raises(ValueError, match=f"seed was {seed}, size was {size}"):
        History(seed, size)


def test_every_day_of_the_world_has_a_plausible_price():
    for seed in range(5):
        made = levels(BTC, seed)
        assert len(made.log_price) == DAYS + 1
        assert 8 < made.log_price.min() < made.log_price.max() < 14


def test_json_answers_stay_json(server):
    body = fetch(server, f"{PATH}?instrument_name=BTC-PERPETUAL&count=10")
    assert len(json.loads(body)["result"]["trades"]) == 10
