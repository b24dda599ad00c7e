"""How fast is the mid at every print, beside the as-of joins of others?

All on the same columns in memory, sorted by time, of one instrument; each gives the mid and the age
of its quote for every print. In processor time, that of an engine's own threads included.
"""

import time
from collections.abc import Callable

import duckdb
import numpy as np
import polars as pl
from numpy.typing import NDArray

from warehouse.functions import mids, spreads
from warehouse.functions.tape import Prints, Quotes

PRINTS, QUOTES, ROUNDS = 10_000_000, 5_000_000, 3
DAY_US = 86_400_000_000
JOIN = """
    select
        case when p.at - q.at <= 5000000 and q.bid <= q.ask then (q.bid + q.ask) / 2 end as mid,
        (p.at - q.at) / 1e6 as age
    from prints as p asof left join quotes as q on p.at >= q.at
"""


def run() -> list[tuple[str, str]]:
    """(what, result) per line."""
    rng = np.random.default_rng(11)
    at = np.sort(rng.integers(0, DAY_US, PRINTS))
    quoted = np.sort(rng.integers(0, DAY_US, QUOTES))
    bid = 60_000.0 + np.cumsum(rng.choice([-0.1, 0.0, 0.1], QUOTES))
    ask = bid + rng.choice([0.1, 0.2], QUOTES)
    ours = fastest(lambda: mids.asof(at, quoted, bid, ask))
    theirs = {
        f"DuckDB's ASOF JOIN, {n} threads": in_duckdb(at, quoted, bid, ask, n) for n in (1, 2)
    }
    theirs["polars' join_asof"] = in_polars(at, quoted, bid, ask)
    sides = rng.choice([-1, 1], PRINTS)
    ones, flags = np.ones(PRINTS), np.zeros(QUOTES, dtype=bool)
    day = Prints(at, sides, np.interp(at, quoted, bid), ones, ones, at)
    book = Quotes(quoted, bid, ask, ones[:QUOTES], ones[:QUOTES], quoted, flags, ~flags, flags)
    whole = fastest(lambda: spreads.minutes(day, book, 0, DAY_US))
    return [
        (f"mids at {PRINTS:,} prints from {QUOTES:,} quotes, one thread", f"{ours:.2f} s"),
        *((f"{name} / ours", f"{s / ours:.1f}x ({s:.2f} s)") for name, s in theirs.items()),
        ("spreads and four markouts of them all by minute / mids alone", f"{whole / ours:.1f}x"),
    ]


def fastest(work: Callable[[], object]) -> float:
    """Seconds of the fastest of three, after one that compiles."""
    work()
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        work()
        found.append(time.process_time() - start)
    return min(found)


def in_duckdb(
    at: NDArray[np.int64],
    quoted: NDArray[np.int64],
    bid: NDArray[np.float64],
    ask: NDArray[np.float64],
    threads: int,
) -> float:
    """Seconds of the join alone: its sums are taken, nothing is written."""
    with duckdb.connect() as connection:
        connection.execute(f"set threads = {threads}")
        prints = pl.DataFrame({"at": at})  # noqa: F841
        book = pl.DataFrame({"at": quoted, "bid": bid, "ask": ask})  # noqa: F841
        connection.execute("create table prints as from prints")
        connection.execute("create table quotes as from book")
        query = f"select sum(mid), sum(age) from ({JOIN})"
        return fastest(lambda: connection.execute(query).fetchall())


def in_polars(
    at: NDArray[np.int64],
    quoted: NDArray[np.int64],
    bid: NDArray[np.float64],
    ask: NDArray[np.float64],
) -> float:
    prints = pl.DataFrame({"at": at}).set_sorted("at")
    book = pl.DataFrame({"at": quoted, "quoted": quoted, "bid": bid, "ask": ask}).set_sorted("at")
    age = pl.col("at") - pl.col("quoted")
    is_good = (age <= 5_000_000) & (pl.col("bid") <= pl.col("ask"))
    mid = pl.when(is_good).then((pl.col("bid") + pl.col("ask")) / 2)
    return fastest(lambda: prints.join_asof(book, on="at").select(mid=mid, age=age / 1_000_000))
