"""What was recorded of Binance by others, as pages."""

import gzip
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from pipelines.universe import Market
from warehouse.raw import Page

STREAMS: dict[str, Market] = {
    "venue_wire_31s/BINANCE.ws.1.0.gz": "spot",
    "venue_wire_31s/BINANCE_FUTURES.ws.1.0.gz": "um",
    "venue_wire_31s/BINANCE_DELIVERY.ws.1.0.gz": "cm",
    "binance_ws_raw/spot/btcusdt_20240808.gz": "spot",
    "binance_ws_raw/spot/btcusdt_20240809.gz": "spot",
    "binance_ws_raw/usdm/btcusdt_20240808.gz": "um",
    "binance_ws_raw/cm/btcusd_perp_20240808.gz": "cm",
}
ANSWERS: dict[str, Market] = {
    "venue_wire_31s/BINANCE.0.gz": "spot",
    "venue_wire_31s/BINANCE_FUTURES.0.gz": "um",
    "venue_wire_31s/BINANCE_DELIVERY.0.gz": "cm",
    "venue_wire_31s/BINANCE.http.0.0.gz": "spot",
    "venue_wire_31s/BINANCE_FUTURES.http.0.0.gz": "um",
    "venue_wire_31s/BINANCE_DELIVERY.http.0.0.gz": "cm",
}
MARKET_OF: dict[str, Market] = {"api": "spot", "fapi": "um", "dapi": "cm"}


def messages(path: Path) -> list[Page]:
    """Messages of a stream: seconds or nanoseconds of receipt, a space, the text."""
    found = []
    for line in _lines(path):
        stamp, _, text = line.partition(" ")
        if text and not stamp.startswith("wss:"):
            stamp = stamp.removesuffix(":")
            seconds = float(stamp) if "." in stamp else int(stamp) / 1e9
            found.append(Page(path.name, text, datetime.fromtimestamp(seconds, UTC).isoformat()))
    return found


def answers(path: Path) -> list[Page]:
    """`https://... -> 1633998511.13: {...}`; other lines say what the recorder wanted."""
    found = []
    for line in _lines(path):
        url, arrow, rest = line.partition(" -> ")
        if arrow:
            stamp, _, text = rest.partition(": ")
            received_at = datetime.fromtimestamp(float(stamp), UTC).isoformat()
            found.append(Page(url, text, received_at))
    return found


def symbol_of(page: Page) -> str:
    (symbol,) = parse_qs(page.request.partition("?")[2])["symbol"]
    return symbol


def routes(recorded: Path) -> Iterator[tuple[str, dict[str, str], Any]]:
    """Path, parameters and answer of every question in the recorded REST collection."""
    text = _text(recorded / "binance_rest/binance/testdata/http.json.gz")
    for path, methods in json.loads(text)["routes"].items():
        for method, entries in methods.items():
            for entry in entries:
                params = {name: v[0] for name, v in parse_qs(entry["queryString"]).items()}
                yield f"{method} {path}", params, entry["data"]


def _lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt") as file:
        yield from (line.rstrip("\n") for line in file if line.strip())


def _text(path: Path) -> str:
    with gzip.open(path, "rt") as file:
        return file.read()
