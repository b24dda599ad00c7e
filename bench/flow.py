"""How fast and how small are volume buckets and bars over tens of millions of prints?

Each contender runs in a process of its own, so that what it holds at most is its own; the file they
all read is the same. The usual ways are whole columns in pandas, without splitting a print, and one
window function over all prints in SQL.
"""

import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from assets.building import DBT
from warehouse.functions import vpin
from warehouse.plugins.duckdb import bind

PRINTS, BATCH = 50_000_000, 1_000_000
BUCKETS, WINDOW = 5_000, 50
DAY_PRINTS = (2_000_000, 10_000_000)  # of one instrument's day, for the marts
SETTINGS = (
    "set memory_limit = '3GB'; set threads = 2; set TimeZone = 'UTC'; "
    "set enable_progress_bar = false"
)
CHAIN = ("minutes", "days", "plan", "marks", "seconds", "fragments")


def run() -> Iterator[tuple[str, str]]:
    """(what, result) per line, as they come."""
    with TemporaryDirectory() as folder:
        yield from arrays(Path(folder))
        yield from marts(Path(folder))


def alone(work: Callable[..., float], *arguments: object) -> tuple[float, float]:
    """Best of three times in seconds, and the most memory in GB, of a new process."""
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(measured, (work, arguments))


def measured(work: Callable[..., float], arguments: tuple[object, ...]) -> tuple[float, float]:
    seconds = min(work(*arguments) for _ in range(3))
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


# ---- two columns


def arrays(folder: Path) -> list[tuple[str, str]]:
    path = folder / "prints.parquet"
    size = written(path)
    found = {w: alone(w, path, size) for w in (reading, ours, by_pandas, by_window)}
    read, own = found[reading][0], found[ours][0]
    named = {ours: "ours", by_pandas: "pandas, no splitting", by_window: "window SQL"}
    return [
        (f"reading lots and sides of {PRINTS:,} prints", f"{read:.2f} s"),
        *(
            (f"VPIN, {name}", f"{found[w][0]:.2f} s, {found[w][1]:.2f} GB")
            for w, name in named.items()
        ),
        ("VPIN, ours / reading its columns", f"{own / read:.1f}x"),
        ("VPIN, pandas / ours, window SQL / ours",
         ", ".join(f"{found[w][0] / own:.1f}x" for w in (by_pandas, by_window))),
    ]  # fmt: skip


def written(path: Path) -> int:
    """Prints of persistent sides and heavy sizes; returns the size of a bucket."""
    rng, total = np.random.default_rng(1), 0
    schema = pa.schema([("lots", pa.int64()), ("is_buy", pa.bool_())])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for _ in range(PRINTS // BATCH):
            lots = np.ceil(np.exp(1.5 * rng.normal(size=BATCH) + 2)).astype(np.int64)
            is_buy = np.repeat(rng.random(BATCH // 5) < 0.5, 5)
            writer.write_table(pa.table({"lots": lots, "is_buy": is_buy}, schema))
            total += int(lots.sum())
    return total // BUCKETS


def reading(path: Path, size: int) -> float:
    start = time.perf_counter()
    for batch in pq.ParquetFile(path).iter_batches(BATCH):
        batch.column("lots").to_numpy(), batch.column("is_buy").to_numpy(zero_copy_only=False)
    return time.perf_counter() - start


def ours(path: Path, size: int) -> float:
    """Batch by batch: what a bucket holds already is all that is carried on."""
    vpin.buckets([1], [True], 2)  # compiled
    start = time.perf_counter()
    held, bought, found = 0, 0, []
    for batch in pq.ParquetFile(path).iter_batches(BATCH):
        lots = batch.column("lots").to_numpy()
        is_buy = batch.column("is_buy").to_numpy(zero_copy_only=False)
        full = vpin.buckets(lots, is_buy, size, held, bought)
        held, bought = full.open_lots, full.open_buy_lots
        found.append(full.buy_lots)
    rolled(np.concatenate(found), size)
    return time.perf_counter() - start


def rolled(buys: NDArray[np.int64], size: int) -> NDArray[np.float64]:
    sums = np.append(0, np.cumsum(np.abs(2 * buys - size)))
    return (sums[WINDOW:] - sums[:-WINDOW]) / (WINDOW * size)


def by_pandas(path: Path, size: int) -> float:
    start = time.perf_counter()
    frame = pd.read_parquet(path)
    frame["bucket"] = (frame["lots"].cumsum() - 1) // size
    frame["signed"] = frame["lots"].where(frame["is_buy"], -frame["lots"])
    sums = frame.groupby("bucket")[["lots", "signed"]].sum()
    sums["signed"].abs().rolling(WINDOW).sum() / sums["lots"].rolling(WINDOW).sum()
    return time.perf_counter() - start


def by_window(path: Path, size: int) -> float:
    start = time.perf_counter()
    with duckdb.connect() as connection:
        connection.execute(SETTINGS)
        connection.execute(
            f"""
            with running as (
                select lots, is_buy, cast(sum(lots) over (
                    order by file_row_number rows unbounded preceding
                ) as bigint) as until
                from read_parquet('{path}', file_row_number = true)
            ),
            parts as (
                select is_buy, lots, until,
                    unnest(range((until - lots) // {size}, (until - 1) // {size} + 1)) as bucket
                from running
            ),
            buckets as (
                select bucket, sum(
                    (least(until, (bucket + 1) * {size}) - greatest(until - lots, bucket * {size}))
                    * if(is_buy, 1, -1)
                ) as net
                from parts group by bucket
            )
            select bucket, sum(abs(net)) over (
                order by bucket rows {WINDOW - 1} preceding
            ) / {WINDOW * size} as vpin
            from buckets
            """
        ).fetchall()
    return time.perf_counter() - start


# ---- the models themselves


def marts(folder: Path) -> Iterator[tuple[str, str]]:
    models = compiled(folder)
    for count in DAY_PRINTS:
        path = folder / f"day_{count}.parquet"
        day_of(path, count)
        read, _ = alone(columns_read, path)
        bars, held = alone(bars_of, models, path)
        yield f"bars_1m of a day of {count:,} prints", f"{bars:.2f} s, {held:.2f} GB"
        yield "bars_1m / reading its columns", f"{bars / read:.1f}x"
        seconds, held = alone(chain_of, models, path)
        what = f"vpin_buckets of a day of {count:,} prints, both classifications"
        yield what, f"{seconds:.2f} s, {held:.2f} GB"


def compiled(folder: Path) -> dict[str, str]:
    """What dbt makes of the models."""
    names = [f"int_vpin_{name}" for name in CHAIN] + ["bars_1m", "vpin_buckets"]
    subprocess.run(
        [sys.executable, "-c", "import sys; from dbt.cli.main import cli; cli(sys.argv[1:])",
         "--quiet", "compile", "--select", *names, "--project-dir", str(DBT),
         "--profiles-dir", str(DBT), "--target-path", str(folder / "target"),
         "--log-path", str(folder / "logs")],
        env={**os.environ, "HEDGEHOUSE_DBT_PATH": str(folder / "warehouse.duckdb"),
             "HEDGEHOUSE_DATA": str(folder), "HEDGEHOUSE_COMMITTED_BY": ""},
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    files = (folder / "target/compiled/hedgehouse/models").rglob("*.sql")
    return {f.stem: f.read_text() for f in files if f.stem in names and f.parent.suffix != ".yml"}


def day_of(path: Path, count: int) -> None:
    """A day of one perpetual's prints."""
    with duckdb.connect() as connection:
        connection.execute(
            f"""
            copy (
                select
                    'binance' as venue, 'BTC' as underlying,
                    'binance:BTC/USDT:USDT' as instrument_id,
                    cast(n as varchar) as trade_id, n as sequence,
                    timestamp '2026-03-10' as day_at,
                    day_at + to_microseconds(cast(n * 86400e6 / {count} as bigint)) as event_at,
                    event_at + interval 40 milliseconds as available_at,
                    false as is_availability_assumed, false as is_block,
                    if(hash(n // 7) % 2 = 0, 'buy', 'sell') as side,
                    round(60000 + 600 * sin(n * 1e-5) + (hash(n) % 100) / 10, 1) as price,
                    (hash(3 * n) % 1000 + 1) / 1000 as quantity_base,
                    cast(null as double) as quantity_contracts,
                    price * quantity_base as notional_usd
                from range({count}) as rows(n)
            ) to '{path}' (format parquet, compression zstd)
            """
        )


def connected(path: Path) -> duckdb.DuckDBPyConnection:
    """The relations that the models name, over one file of prints."""
    connection = duckdb.connect()
    bind(connection)
    connection.execute(SETTINGS)
    connection.execute(
        f"""
        attach ':memory:' as warehouse;
        create schema warehouse.staging; create schema warehouse.intermediate;
        create schema warehouse.flow; create schema warehouse.seeds;
        create schema warehouse.ops_source;
        create view warehouse.staging.stg_trades as from read_parquet('{path}');
        create table warehouse.staging.stg_instruments as
            select 'binance:BTC/USDT:USDT' as instrument_id, 'linear' as contract_type,
                1.0::double as contract_size, 0.001::double as lot_size,
                timestamp '2020-01-01' as valid_from, timestamp '2030-01-01' as valid_to;
        create table warehouse.seeds.vpin_rules as
            select 'normal' as bulk_distribution, null::double as bulk_degrees,
                timestamp '2020-01-01' as valid_from, timestamp '2030-01-01' as valid_to;
        create table warehouse.ops_source.coverage as
            select 'trades' as table_name, 'binance:BTC/USDT:USDT' as instrument_id,
                timestamp '2026-03-10' as day_at, 1 as row_count, 'complete' as status;
        """
    )
    return connection


def columns_read(path: Path) -> float:
    names = ("venue", "underlying", "instrument_id", "trade_id", "sequence", "event_at",
             "available_at", "is_availability_assumed", "is_block", "side", "price",
             "quantity_base", "notional_usd")  # fmt: skip
    with connected(path) as connection:
        start = time.perf_counter()
        largest = ", ".join(f"max({name})" for name in names)
        connection.execute(f"select {largest} from warehouse.staging.stg_trades").fetchall()
        return time.perf_counter() - start


def bars_of(models: dict[str, str], path: Path) -> float:
    with connected(path) as connection:
        start = time.perf_counter()
        connection.execute(f"create table bars as {models['bars_1m']}")
        return time.perf_counter() - start


def chain_of(models: dict[str, str], path: Path) -> float:
    with connected(path) as connection:
        connection.execute(f"create table warehouse.flow.bars_1m as {models['bars_1m']}")
        start = time.perf_counter()
        for name in (f"int_vpin_{part}" for part in CHAIN):
            connection.execute(f"create table warehouse.intermediate.{name} as {models[name]}")
        connection.execute(f"create table warehouse.flow.vpin_buckets as {models['vpin_buckets']}")
        return time.perf_counter() - start
