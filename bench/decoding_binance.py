"""How fast do Binance's answers become rows of the lake, beside ccxt's own parser?"""

import json
import time
from collections.abc import Callable
from datetime import UTC, date, datetime

import ccxt

from pipelines.venues import binance_books as books
from pipelines.venues import binance_rows as rows
from pipelines.venues.binance_reading import Subject
from warehouse.raw import Page

PAGES, ROWS = 400, 1_000
AT = datetime(2026, 3, 10, tzinfo=UTC)
START_MS = 1_773_100_800_000


def run() -> list[tuple[str, str]]:
    """(what, result) per line."""
    spot = Subject("spot", AT.date(), "BTCUSDT")
    inverse = Subject("cm", date(2026, 3, 10), "BTCUSD_PERP")
    prints, depths = printed(), [book() for _ in range(200)]
    count, levels = PAGES * ROWS, 200 * 2 * 1_000
    ours = rate(lambda: rows.trades(spot, prints), count)
    theirs = rate(lambda: by_ccxt(prints[:20]), 20 * ROWS)
    return [
        ("Binance prints, pages to lake rows", f"{ours / 1e6:.2f} M/s a core"),
        (
            "Binance COIN-M prints",
            f"{rate(lambda: rows.trades(inverse, prints), count) / 1e6:.2f} M/s a core",
        ),
        ("Binance prints, ours / ccxt's parser", f"{ours / theirs:.0f}x"),
        (
            "Binance books of 1,000 levels a side",
            f"{rate(lambda: books.books(spot, AT, depths, 1_000), levels) / 1e6:.2f} M levels/s",
        ),
    ]


def rate(work: Callable[[], object], count: int) -> float:
    """Rows per second of CPU, the best of three, once warm."""
    work()
    found = []
    for _ in range(3):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return count / min(found)


def printed() -> list[Page]:
    """Pages as the venue sends them."""
    return [
        _page(
            [
                {
                    "a": number,
                    "p": f"{60_000 + number % 977 * 0.01:.8f}",
                    "q": f"{0.00001 * (1 + number % 5_000):.8f}",
                    "f": 2 * number,
                    "l": 2 * number + 1,
                    "T": START_MS + number,
                    "m": number % 2 == 0,
                    "M": True,
                }
                for number in range(first, first + ROWS)
            ]
        )
        for first in range(0, PAGES * ROWS, ROWS)
    ]


def book() -> Page:
    sides = {
        side: [[f"{60_000 + sign * 0.01 * n:.2f}", f"{0.001 * n:.8f}"] for n in range(1, 1_001)]
        for side, sign in (("bids", -1), ("asks", 1))
    }
    return _page({"lastUpdateId": 1} | sides)


def by_ccxt(pages: list[Page]) -> None:
    exchange = ccxt.binance()
    market = exchange.safe_market("BTCUSDT", None, None, "spot")
    for page in pages:
        exchange.parse_trades(json.loads(page.text), market)


def _page(answer: object) -> Page:
    return Page("{}", json.dumps(answer, separators=(",", ":")), AT.isoformat())


if __name__ == "__main__":
    for what, result in run():
        print(f"{what:<50}{result}")
