"""What do the kernels of books cost, beside a frame of pandas a book and a query of windows?"""

import time
from collections.abc import Callable

import duckdb
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from warehouse.functions.books import NOTIONALS, depths, ladders
from warehouse.functions.split import Venue, splits

BOOKS, LEVELS, SEED = 500, 1_000, 3
Floats = NDArray[np.float64]


def run() -> list[tuple[str, str]]:
    """Microseconds a book of 2 x 1,000 levels, and how often faster than the others."""
    is_bid, price, quantity, ends = planted()
    depths(is_bid[:2], price[:2], quantity[:2], [0, 2])  # compiled outside of the clock
    ladders(is_bid[:2], price[:2], quantity[:2], [0, 2])
    ours = clocked(lambda: ladders(is_bid, price, quantity, ends))
    deep = clocked(lambda: depths(is_bid, price, quantity, ends))
    frames = clocked(lambda: with_pandas(is_bid, price, quantity, ends))
    windows = clocked(lambda: with_windows(is_bid, price, quantity))
    venues = [
        Venue(is_bid[: ends[1]], price[: ends[1]] + move, quantity[: ends[1]], lot, fee_bps=(5.0,))
        for move, lot in ((0.0, 0.001), (0.3, 0.01), (-0.2, 0.005))
    ]
    splits(venues, NOTIONALS, 90_000.0)
    split = clocked(lambda: splits(venues, NOTIONALS, 90_000.0))
    each = 1e6 / BOOKS
    return [
        ("14 orders on a book of 2 x 1,000 levels", f"{ours * each:.0f} us"),
        ("its depth within 5 widths", f"{deep * each:.0f} us"),
        ("pandas, cumsum and searchsorted a book", f"{frames / ours:.0f}x"),
        ("SQL windows in DuckDB", f"{windows / ours:.0f}x"),
        ("14 orders split over three such books", f"{split * 1e6:.0f} us"),
    ]


def planted() -> tuple[NDArray[np.bool_], Floats, Floats, NDArray[np.int64]]:
    """Books around 90,000 with gaps of one to three ticks, best levels first."""
    draw = np.random.default_rng(SEED)
    gaps = 0.1 * np.cumsum(draw.integers(1, 4, (BOOKS, 2, LEVELS)), axis=-1)
    price = 90_000 + gaps * np.array([-1.0, 1.0])[:, None]
    is_bid = np.tile(np.repeat([True, False], LEVELS), BOOKS)
    quantity = draw.exponential(0.5, price.size)
    return is_bid, price.ravel(), quantity, np.arange(BOOKS + 1) * 2 * LEVELS


def clocked(work: Callable[[], object]) -> float:
    """The best of three runs, seconds."""
    found = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        found.append(time.perf_counter() - started)
    return min(found)


def with_pandas(
    is_bid: NDArray[np.bool_], price: Floats, quantity: Floats, ends: NDArray[np.int64]
) -> list[float]:
    """The same mean prices, book by book."""
    frame = pd.DataFrame({"is_bid": is_bid, "price": price, "quantity": quantity})
    found = []
    for i in range(ends.size - 1):
        book = frame.iloc[ends[i] : ends[i + 1]]
        for bid in (False, True):
            side = book[book["is_bid"] == bid].sort_values("price", ascending=not bid)
            coins = side["quantity"].cumsum()
            spent = (side["price"] * side["quantity"]).cumsum()
            for size in NOTIONALS:
                place = int(spent.searchsorted(size))
                if place == len(side):
                    found.append(float("nan"))
                    continue
                before = spent.iloc[place - 1] if place else 0.0
                held = coins.iloc[place - 1] if place else 0.0
                found.append(size / (held + (size - before) / side["price"].iloc[place]))
    return found


WINDOWS = """
    with spent as (
        select book, is_bid, price, price * quantity as usd, quantity,
            coalesce(sum(price * quantity) over before, 0) as usd_before,
            coalesce(sum(quantity) over before, 0) as coins_before
        from levels
        window before as (
            partition by book, is_bid order by case when is_bid then -price else price end
            rows between unbounded preceding and 1 preceding
        )
    )
    select book, is_bid, size, size / (coins_before + (size - usd_before) / price) as vwap
    from spent, (select unnest($sizes) as size)
    where usd_before < size and usd_before + usd >= size
"""


def with_windows(is_bid: NDArray[np.bool_], price: Floats, quantity: Floats) -> int:
    """The same mean prices, by cumulative sums in SQL over a table in memory."""
    book = np.repeat(np.arange(BOOKS), 2 * LEVELS)
    levels = pd.DataFrame({"book": book, "is_bid": is_bid, "price": price, "quantity": quantity})
    with duckdb.connect() as connection:
        connection.register("levels", levels)
        return len(connection.execute(WINDOWS, {"sizes": list(NOTIONALS)}).fetchall())
