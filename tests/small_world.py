"""A data folder with a few rows in the lake and a work database as a build would leave it."""

import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb
import polars as pl

from warehouse import catalog, lake
from warehouse.contract import LAKE_TABLES
from warehouse.generations import Build, record_build
from warehouse.location import Location, World

NOW = datetime(2026, 8, 2, 12, tzinfo=UTC)
BTC = "binance:BTC/USDT"
QUALITY = (
    "timestamp '2026-08-01 18:00' as available_at, 'A' as quality_grade, "
    "[]::varchar[] as quality_flags, 0.0::double as staleness_s, 'm1' as model_version"
)


def clock() -> datetime:
    """The time at which everything here happens."""
    return NOW


def folder(root: Path, *, origin: str = "real", mode: str = "archive") -> Location:
    """An imported and built folder: three trades, one portfolio, one signal."""
    location = Location(root)
    location.claim(World(origin, mode))
    commit_trades(location, 3)
    build(location)
    return location


def commit_trades(
    location: Location, count: int, day: date = date(2026, 8, 1), at: datetime = NOW
) -> None:
    """Replace the day's trades of one instrument by `count` rows, a second apart."""
    start = datetime(day.year, day.month, day.day, tzinfo=UTC)
    rows = pl.DataFrame(
        {
            "venue": "binance",
            "underlying": "BTC",
            "instrument_id": BTC,
            "trade_id": [str(n) for n in range(count)],
            "event_at": [start + timedelta(seconds=n) for n in range(count)],
            "side": "buy",
            "price": 60_000.0,
            "quantity_base": 0.5,
            "notional_usd": 30_000.0,
            "is_block": False,
            "is_liquidation": False,
            "sequence": list(range(count)),
        }
    )
    partition = lake.Partition("trades", "binance", day)
    gap = lake.Gap(BTC, start, start + timedelta(seconds=1), "absent_in_source", 2, "ids 7 to 8")
    unit = lake.Unit(BTC, BTC, "unprovable", count, "test trades", 30, "none", ("aa",), gaps=(gap,))
    check = lake.Check("trades.zip", "values are not null", "price", True, True, count, 0, "Sold.")
    with lake.stage(location, partition) as part:
        part.write(LAKE_TABLES["trades"].conform(rows))
        staged = part.finish([BTC])
        lake.commit(location, partition, units=[unit], parts=[staged], checks=[check], at=at)


def build(location: Location, signals: int = 1, version: int = 1, rows: int = 10) -> None:
    """Write the work database: `signals` signals and two marts that say the same `version`."""
    location.work.mkdir(parents=True, exist_ok=True)
    location.warehouse.unlink(missing_ok=True)
    with duckdb.connect(location.warehouse) as connection:
        catalog.mount(connection, root=str(location.root), committed_by="")
        for statement in _marts(signals, version, rows):
            connection.execute(statement)
    record_build(location, Build(as_of_at=NOW, committed_by_at=NOW))


def renew(location: Location, version: int) -> None:
    """What another build would change: `version` in two marts, and one more signal."""
    with duckdb.connect(location.warehouse) as connection:
        connection.execute(f"update flow.left_half set version = {version}")
        connection.execute(
            f"insert into hedging.signals by name select * replace ('s{version - 1}' as signal_id, "
            f"'leg{version - 1}' as leg) from hedging.signals where signal_id = 's0'"
        )


def hold(path: Path) -> subprocess.Popen[bytes]:
    """A process that has `path` open for writing, until it is killed."""
    program = (
        "import duckdb, sys, time; c = duckdb.connect(sys.argv[1]); "
        "print(flush=True); time.sleep(600)"
    )
    child = subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE)
    child.stdout.readline()
    child.stdout.close()
    return child


def _marts(signals: int, version: int, rows: int) -> list[str]:
    return [
        "create schema flow",
        "create schema hedging",
        "create schema ops",
        "create schema staging",
        "create view staging.stg_trades as select * from lake.trades",
        "create table flow.bars_1m as select instrument_id, "
        "date_trunc('minute', event_at) as minute_at, count(*) as trade_count, "
        f"{QUALITY} from warehouse.staging.stg_trades group by all",
        "comment on table flow.bars_1m is 'One row per instrument and minute.'",
        "comment on column flow.bars_1m.minute_at is 'Start of the minute, UTC.'",
        # Two marts that only agree when a reader sees one generation.
        f"create table flow.left_half as select {version} as version, i from range({rows}) t(i)",
        "create view flow.right_half as select * from warehouse.flow.left_half",
        "create table ops.manifest as from ops_source.manifest",
        "create table ops.gaps as from ops_source.gaps",
        "create table ops.coverage as from ops_source.coverage",
        "create table hedging.signals as select 's' || i as signal_id, 'fund' as portfolio_id, "
        "'delta_threshold' as policy, 'leg' || i as leg, 'BTC' as underlying, "
        "timestamp '2026-08-01 18:00' as as_of_at, 'sell' as action, true as is_triggered, "
        f"'{BTC}' as instrument_id, 1.5 as quantity_base, "
        "[]::varchar[] as block_reasons, 'delta 1.5 above 1.0' as explanation, "
        "timestamp '2026-08-01 19:00' as valid_until, "
        f"{QUALITY} from range({signals}) t(i)",
        "comment on table hedging.signals is 'One row per portfolio, policy, leg and time.'",
        "comment on column hedging.signals.signal_id is 'Hash of the decision.'",
    ]
