"""How fast do a venue's answers become rows, beside the usual way to the same trades?"""

import time
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qsl, urlsplit

import ccxt
import orjson

from pipelines.settings import Settings
from pipelines.transport import Transport
from pipelines.venues import deribit_rows
from pipelines.venues.base import Window
from pipelines.venues.deribit import Deribit
from warehouse.location import Location
from warehouse.raw import Page

DAY = date(2026, 3, 10)
WINDOW = Window.day(DAY)
NOW = datetime(2026, 3, 11, 1, tzinfo=UTC)
NAME = "BTC-PERPETUAL"
PRINTS, PAGE, STEP_MS = 300_000, 1_000, 285
FIRST = 133_000_000


def run() -> list[tuple[str, str]]:
    """(what, result) per line."""
    return [*decoding(), *fetching()]


def decoding() -> list[tuple[str, str]]:
    """Pages to rows of the contract, in one thread."""
    texts = [trades(range(n, n + PAGE)).decode() for n in range(0, PRINTS, PAGE)]
    pages = [Page("", text, NOW.isoformat()) for text in texts]
    seconds = min(cpu_s(lambda: deribit_rows.trades(pages, DAY)) for _ in range(5))
    return [
        ("Deribit trades, text to rows of the contract", f"{PRINTS / seconds / 1e6:.2f} M/s"),
        ("bytes of such a row on the wire", f"{sum(map(len, texts)) / PRINTS:.0f}"),
    ]


def fetching() -> list[tuple[str, str]]:
    """The same trades of one server on loopback, by CPU seconds of the process that asks."""
    context = get_context("spawn")
    ours, its = context.Pipe()
    server = context.Process(target=serve, args=(its,), daemon=True)
    server.start()
    try:
        address = str(ours.recv())
        rates = [(rate(address, fetch), rate(address, fetch_unified)) for _ in range(3)]
        by_us, by_ccxt = map(max, zip(*rates, strict=True))
    finally:
        server.terminate()
        server.join()
    return [
        ("asked for, landed and decoded, rows a CPU second", f"{by_us:,.0f}"),
        ("ccxt's unified fetch of the same", f"{by_ccxt:,.0f}"),
        ("ours / ccxt's", f"{by_us / by_ccxt:.1f}x"),
    ]


def rate(address: str, fetch_all: Callable[[str], int]) -> float:
    began = time.process_time()
    rows = fetch_all(address)
    assert rows == PRINTS, f"{rows} of {PRINTS} came"
    return rows / (time.process_time() - began)


def fetch(address: str) -> int:
    settings = Settings(gateway=address, rate_scale=1e6)
    with (
        TemporaryDirectory() as folder,
        Transport(Location(Path(folder)), clock=lambda: NOW, settings=settings) as transport,
    ):
        pieces = Deribit(transport, settings).trades("BTC", WINDOW)
        return sum(piece.frame.height for piece in pieces if piece.table == "trades")


def fetch_unified(address: str) -> int:
    """As ccxt's manual has it, without its throttle; ids tell what came twice."""
    exchange = ccxt.deribit({"enableRateLimit": False})
    exchange.urls["api"] = {"rest": f"{address}/www.deribit.com"}
    since, seen = WINDOW.start_ms, set[str]()
    while True:
        found = exchange.fetch_trades("BTC/USD:BTC", since, PAGE)
        fresh = [trade for trade in found if trade["id"] not in seen]
        if not fresh:
            return len(seen)
        seen.update(trade["id"] for trade in fresh if trade["timestamp"] < WINDOW.end_ms)
        if fresh[-1]["timestamp"] >= WINDOW.end_ms:
            return len(seen)
        since = fresh[-1]["timestamp"]


def cpu_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


# ---------- the server
def serve(told: Connection) -> None:
    pages: dict[int, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            body = reply(parts.path.rsplit("/", 1)[-1], dict(parse_qsl(parts.query)), pages)
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        told.send(f"http://127.0.0.1:{server.server_address[1]}")
        server.serve_forever()


def reply(method: str, params: Mapping[str, str], pages: dict[int, bytes]) -> bytes:
    if method == "get_instruments":
        is_wanted = (params.get("kind", "future"), params.get("expired", "false"))
        listed = [declaration()] if is_wanted == ("future", "false") else []
        return wrapped(listed or ([option()] if is_wanted == ("option", "false") else []))
    if method == "get_currencies":
        return wrapped([{"currency": "BTC", "currency_long": "Bitcoin", "fee_precision": 4}])
    if method == "get_tradingview_chart_data":
        return wrapped({"status": "no_data", "ticks": [], "volume": []})
    if params["instrument_name"] != NAME:
        return wrapped({"trades": [], "has_more": False})
    if "start_seq" in params:
        first = int(params["start_seq"]) - FIRST
    elif "start_timestamp" in params:
        first = -(-(int(params["start_timestamp"]) - WINDOW.start_ms) // STEP_MS)
    else:
        first = PRINTS  # the print after the day's last
    count = int(params["count"])
    if count == 1:
        return trades(range(max(first, 0), max(first, 0) + 1))
    if first not in pages:
        pages[first] = trades(range(max(first, -1), min(first + count, PRINTS + 1)))
    return pages[first]


def trades(places: range) -> bytes:
    """Prints of the day by place; one lies before it and one after."""
    return wrapped({"trades": [row(place) for place in places], "has_more": True})


def row(place: int) -> dict[str, object]:
    stamp = WINDOW.start_ms + place * STEP_MS
    price = 77_300.0 + (place * 7919 % 997) / 2
    return {
        "timestamp": stamp if place < PRINTS else WINDOW.end_ms + 5,
        "price": price,
        "amount": 10.0 * (1 + place % 50),
        "direction": "sell" if place % 3 else "buy",
        "index_price": price + 9.8,
        "instrument_name": NAME,
        "trade_seq": FIRST + place,
        "mark_price": price + 8.46,
        "tick_direction": place % 4,
        "contracts": 1.0 * (1 + place % 50),
        "trade_id": str(244_343_036 + place),
    }


def declaration() -> dict[str, object]:
    return {
        "instrument_name": NAME,
        "kind": "future",
        "settlement_period": "perpetual",
        "base_currency": "BTC",
        "quote_currency": "USD",
        "counter_currency": "USD",
        "settlement_currency": "BTC",
        "contract_size": 10.0,
        "tick_size": 0.5,
        "min_trade_amount": 10.0,
        "maker_commission": 0.0,
        "taker_commission": 0.0005,
        "creation_timestamp": 1_534_167_754_000,
        "expiration_timestamp": 32_503_708_800_000,
        "is_active": True,
    }


def option() -> dict[str, object]:
    return declaration() | {
        "instrument_name": "BTC-27MAR26-60000-C",
        "kind": "option",
        "settlement_period": "month",
        "strike": 60_000.0,
        "option_type": "call",
        "contract_size": 1.0,
        "min_trade_amount": 0.1,
        "tick_size": 0.0005,
        "expiration_timestamp": 1_774_598_400_000,
    }


def wrapped(result: object) -> bytes:
    return orjson.dumps({"jsonrpc": "2.0", "result": result, "usIn": 1, "usOut": 2, "usDiff": 1})


if __name__ == "__main__":
    for what, result in run():
        print(f"{what:<60}{result}")
