"""The lake keeps what was committed, whole, whoever else writes and whenever a process dies."""

import errno
import hashlib
import itertools
import multiprocessing
import os
import random
import signal
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from warehouse import lake, raw
from warehouse.contract import INDEX_PRICES, OPTION_QUOTES, TRADES
from warehouse.lake import Partition, Unit
from warehouse.location import Location, World, WrongWorld, process_name

DAY = date(2026, 3, 10)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
PARTITION = Partition("trades", "binance", DAY)
# Forked from a warmed server: a fork of this process would inherit locks held by polars threads.
FORK = multiprocessing.get_context("forkserver")
FORK.set_forkserver_preload(["tests.test_lake", "polars", "warehouse.lake"])
KILLS = int(os.environ.get("HEDGEHOUSE_KILLS", "20"))


def prints(instrument: str, count: int, price: float = 100.0) -> pl.DataFrame:
    return TRADES.conform(
        pl.DataFrame(
            {
                "venue": ["binance"] * count,
                "underlying": ["BTC"] * count,
                "instrument_id": [instrument] * count,
                "trade_id": [str(i) for i in range(count)],
                "event_at": [NOON + timedelta(milliseconds=i) for i in range(count)],
                "side": ["buy"] * count,
                "price": [price] * count,
                "quantity_base": [1.0] * count,
                "is_block": [False] * count,
                "is_liquidation": [False] * count,
                "sequence": range(count),
            },
            schema_overrides={"event_at": pl.Datetime("us", "UTC")},
        )
    )


def unit(name: str, rows: int, rank: int = 30) -> Unit:
    return Unit(name, name, "unprovable", rows, "test", rank, "no neighbour", ("r",))


def put(
    location: Location,
    frames: dict[str, pl.DataFrame],
    *,
    rank: int = 30,
    at: datetime = NOON,
    partition: Partition = PARTITION,
) -> lake.Outcome:
    with lake.stage(location, partition) as part:
        for frame in frames.values():
            part.write(frame)
        staged = part.finish(sorted(frames))
        return lake.commit(
            location,
            partition,
            units=[unit(name, frame.height, rank) for name, frame in sorted(frames.items())],
            parts=[staged],
            checks=[],
            at=at,
        )


def counts(location: Location, by: datetime | None = None) -> dict[str, int]:
    rows = lake.scan(location, "trades", by).group_by("instrument_id").len().collect()
    return dict(rows.iter_rows())


def digests(location: Location) -> dict[str, str]:
    return {
        name: hashlib.sha256((location.lake / name).read_bytes()).hexdigest()
        for name in lake.parts(location, "trades")
    }


def test_a_commit_replaces_the_units_it_brings_and_leaves_the_others(tmp_path: Path) -> None:
    location = Location(tmp_path)
    put(location, {"binance:A": prints("binance:A", 5), "binance:B": prints("binance:B", 7)})
    outcome = put(location, {"binance:A": prints("binance:A", 3)}, at=NOON + timedelta(hours=1))
    assert outcome.state == "committed"
    assert outcome.revised == ("binance:A",)
    assert counts(location) == {"binance:A": 3, "binance:B": 7}
    assert counts(location, NOON) == {"binance:A": 5, "binance:B": 7}


def test_committing_the_same_rows_again_changes_nothing(tmp_path: Path) -> None:
    location = Location(tmp_path)
    put(location, {"binance:A": prints("binance:A", 140_000)})
    before = digests(location)
    assert put(location, {"binance:A": prints("binance:A", 140_000)}).state == "unchanged"
    assert digests(location) == before


@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(cuts=st.lists(st.integers(1, 149_999), max_size=6, unique=True))
def test_however_rows_arrive_the_part_has_the_same_bytes(tmp_path: Path, cuts: list[int]) -> None:
    location = Location(tmp_path / os.urandom(4).hex())
    frame = prints("binance:A", 150_000)
    edges = [0, *sorted(cuts), 150_000]
    with lake.stage(location, PARTITION) as part:
        for low, high in itertools.pairwise(edges):
            part.write(frame.slice(low, high - low))
        pieces = part.finish(["binance:A"]).sha256
    with lake.stage(location, PARTITION) as part:
        part.write(frame)
        assert part.finish(["binance:A"]).sha256 == pieces


def test_a_worse_source_is_refused_and_a_better_one_makes_a_revision(tmp_path: Path) -> None:
    location = Location(tmp_path)
    put(location, {"binance:A": prints("binance:A", 5)}, rank=20)
    outcome = put(
        location,
        {"binance:A": prints("binance:A", 2), "binance:B": prints("binance:B", 2)},
        rank=10,
    )
    assert outcome.refused == ("binance:A",)
    assert counts(location) == {"binance:A": 5, "binance:B": 2}
    put(location, {"binance:A": prints("binance:A", 6)}, rank=30)
    assert counts(location) == {"binance:A": 6, "binance:B": 2}


def test_rows_that_come_again_without_their_refused_units_change_nothing(tmp_path: Path) -> None:
    location = Location(tmp_path)
    both = {"binance:A": prints("binance:A", 5), "binance:B": prints("binance:B", 7)}
    better = {"binance:A": prints("binance:A", 6)}
    for order in ((better, both), (both, better)):
        for frames in order:
            put(location, frames, rank=30 if frames is better else 10)
        before = digests(location)
        outcome = put(location, both, rank=10, at=NOON + timedelta(hours=1))
        assert (outcome.state, outcome.refused) == ("unchanged", ("binance:A",))
        assert digests(location) == before
        assert counts(location) == {"binance:A": 6, "binance:B": 7}
        assert not list(tmp_path.rglob("*.tmp"))
        location = Location(tmp_path / "other")


def test_a_chain_snapshot_is_replaced_without_touching_its_neighbours(tmp_path: Path) -> None:
    location = Location(tmp_path)
    partition = Partition("option_quotes", "deribit", DAY)

    def chain(at: datetime, bid: float) -> pl.DataFrame:
        return OPTION_QUOTES.conform(
            pl.DataFrame(
                {
                    "venue": ["deribit"],
                    "underlying": ["BTC"],
                    "instrument_id": ["deribit:BTC/USD:BTC-260327-60000-C"],
                    "snapshot_at": [at],
                    "bid_price": [bid],
                    "price_unit": ["coin"],
                }
            )
        )

    def take(snapshots: dict[datetime, float]) -> None:
        with lake.stage(location, partition) as part:
            for at, bid in sorted(snapshots.items()):
                part.write(chain(at, bid))
            names = [f"BTC@{at.isoformat()}" for at in sorted(snapshots)]
            units = [replace(unit(name, 1), instrument_id=None) for name in names]
            staged = part.finish(names)
            lake.commit(location, partition, units=units, parts=[staged], checks=[], at=NOON)

    later = NOON + timedelta(minutes=5)
    take({NOON: 0.1, later: 0.2})
    take({later: 0.3})
    bids = lake.scan(location, "option_quotes").sort("snapshot_at").collect()["bid_price"]
    assert bids.to_list() == [0.1, 0.3]


def test_merging_snapshots_leaves_the_past_of_one_that_came_back_as_it_was(tmp_path: Path) -> None:
    location, at = Location(tmp_path), Partition("index_prices", "deribit", DAY)

    def read(hour: int, price: float, minute: int) -> None:
        stamp = NOON + timedelta(hours=hour)
        row = {"venue": "deribit", "underlying": "BTC", "instrument_id": "deribit:BTC"}
        prices = dict.fromkeys(("open", "high", "low", "close"), price)
        name = f"BTC@{stamp.isoformat()}"
        frame = INDEX_PRICES.conform(pl.DataFrame([row | prices | {"event_at": stamp}]))
        put(location, {name: frame}, partition=at, at=NOON + timedelta(minutes=minute))

    for minute, price in enumerate((1.0, 2.0, 1.0)):  # the third is the first once more
        read(0, price, minute)
    read(1, 5.0, 3)
    moments = [NOON + timedelta(minutes=minute) for minute in range(5)]
    before = [lake.scan(location, at.table, moment).collect() for moment in moments]
    assert lake.compact(location, at, NOON + timedelta(minutes=9)) == 2
    after = [lake.scan(location, at.table, moment).collect() for moment in moments]
    assert [frame.height for frame in after] == [1, 1, 1, 2, 2]
    assert all(old.equals(new) for old, new in zip(before, after, strict=True))


def test_units_that_disagree_with_their_parts_are_an_error_naming_the_partition(
    tmp_path: Path,
) -> None:
    location = Location(tmp_path)
    with lake.stage(location, PARTITION) as part:
        part.write(prints("binance:A", 5))
        staged = part.finish(["binance:A"])
        with pytest.raises(lake.PartitionError, match=r"day=2026-03-10: units declare 4 rows"):
            lake.commit(
                location,
                PARTITION,
                units=[unit("binance:A", 4)],
                parts=[staged],
                checks=[],
                at=NOON,
            )


@pytest.mark.parametrize("venue", ["../../x", "a/b", "", "CON IN", "é", ".hidden", "a\0b"])
def test_a_hostile_venue_name_never_becomes_a_path(venue: str) -> None:
    with pytest.raises(lake.PartitionError, match="venue was"):
        Partition("trades", venue, DAY)


def _put_own(root: Path, number: int, rounds: int) -> None:
    for turn in range(rounds):
        name = f"binance:{number}-{turn}"
        put(Location(root), {name: prints(name, number + 1)})


def test_eight_processes_committing_to_one_partition_lose_nothing(tmp_path: Path) -> None:
    workers = [FORK.Process(target=_put_own, args=(tmp_path, n, 6)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 8
    expected = {f"binance:{n}-{turn}": n + 1 for n in range(8) for turn in range(6)}
    assert counts(Location(tmp_path)) == expected


def _put_versions(root: Path) -> None:
    """Replace two units together, for ever: a torn commit shows two versions at once."""
    for version in range(1, 10_000):
        frames = {
            name: prints(name, version, float(version)) for name in ("binance:A", "binance:B")
        }
        put(Location(root), frames)


def test_a_kill_at_any_moment_leaves_the_last_commit_whole(tmp_path: Path) -> None:
    location = Location(tmp_path)
    put(location, {"binance:A": prints("binance:A", 1), "binance:B": prints("binance:B", 1)})
    chance = random.Random(7)
    for _ in range(KILLS):
        writer = FORK.Process(target=_put_versions, args=(tmp_path,))
        writer.start()
        writer.join(chance.uniform(0.005, 0.15))
        os.kill(writer.pid or 0, signal.SIGKILL)
        writer.join()
        found = counts(location)
        assert found["binance:A"] == found["binance:B"]
        manifest = lake.read_manifest(location, PARTITION)
        assert {u.name: u.rows for u in manifest.units} == found
        for part in manifest.parts:
            content = (PARTITION.folder(location) / part.name).read_bytes()
            assert hashlib.sha256(content).hexdigest() == part.sha256
    put(location, {"binance:C": prints("binance:C", 1)})
    assert not [path for path in lake.orphans(location) if path.suffix == ".tmp"]


def test_a_commit_sweeps_what_died_here_and_leaves_what_another_machine_writes(
    tmp_path: Path,
) -> None:
    location = Location(tmp_path)
    folder = PARTITION.folder(location)
    folder.mkdir(parents=True)
    mine = process_name().split("-")[0]
    dead, living, foreign = (
        folder / f".{owner}-x.tmp"
        for owner in (f"{mine}-999999999", process_name(), f"{'0' * 12}-999999999")
    )
    for path in (dead, living, foreign):
        path.touch()
    put(location, {"binance:A": prints("binance:A", 1)})
    assert [path.exists() for path in (dead, living, foreign)] == [False, True, True]


def test_a_full_disk_leaves_the_old_rows_and_no_partial_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = Location(tmp_path)
    put(location, {"binance:A": prints("binance:A", 5)})
    calls = 0
    true_fsync = os.fsync

    def count(descriptor: int) -> None:
        nonlocal calls
        calls += 1
        true_fsync(descriptor)

    monkeypatch.setattr(os, "fsync", count)
    put(location, {"binance:A": prints("binance:A", 6)})
    assert calls >= 4, "part, folder, manifest, folder"

    for failing in range(calls):
        before = counts(location)

        def fail(descriptor: int, remaining: list[int] = [failing]) -> None:  # noqa: B006
            remaining[0] -= 1
            if remaining[0] < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            true_fsync(descriptor)

        monkeypatch.setattr(os, "fsync", fail)
        with pytest.raises(OSError, match="No space left"):
            put(location, {"binance:A": prints("binance:A", 10 + failing)})
        monkeypatch.setattr(os, "fsync", true_fsync)
        assert counts(location) in (before, {"binance:A": 10 + failing})
        assert not list(tmp_path.rglob("*.tmp"))


def test_a_file_size_limit_reports_itself_and_leaves_no_partial_file(tmp_path: Path) -> None:
    """The kernel refuses the bytes, as a full disk does, in a process of its own."""
    location = Location(tmp_path)
    put(location, {"binance:A": prints("binance:A", 5)})
    worker = FORK.Process(target=_put_beyond_limit, args=(tmp_path,))
    worker.start()
    worker.join()
    assert worker.exitcode == 74
    assert counts(location) == {"binance:A": 5}
    assert not list(tmp_path.rglob("*.tmp"))


def _put_beyond_limit(root: Path) -> None:
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000, 2_000))
    try:
        put(Location(root), {"binance:A": prints("binance:A", 5_000)})
    except OSError:
        os._exit(74)
    os._exit(0)


def test_real_and_simulated_data_never_share_a_folder(tmp_path: Path) -> None:
    location = Location(tmp_path)
    location.claim(World("simulator", seed=7))
    assert location.world() == World("simulator", seed=7)
    with pytest.raises(WrongWorld, match=r"holds simulator data and cannot take real data"):
        location.claim(World("real"))


def test_landed_pages_come_back_in_order_and_damage_is_named(tmp_path: Path) -> None:
    location = Location(tmp_path)
    pages = [raw.Page(f"GET /{n}", f"ответ {n}\n", "2026-03-10T12:00:00Z") for n in range(3)]
    digest = raw.land(location, "deribit", pages)
    assert list(raw.replay(location, "deribit", digest)) == pages
    assert raw.land(location, "deribit", pages) == digest
    path = next((tmp_path / "raw").rglob("*.zst"))
    path.write_bytes(b"".join([path.read_bytes()[:-4], b"\0\0\0\0"]))
    with pytest.raises(raw.DamagedEvidence, match=r"\.ndjson\.zst: "):
        list(raw.replay(location, "deribit", digest))
