"""What a strategy can read, and what it cannot."""

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier

import duckdb
import polars as pl
import pytest
import small_world
from small_world import NOW, clock

import hedgehouse
from hedgehouse import cli
from warehouse.location import Location, World
from warehouse.publish import current, publish

VALID_UNTIL = datetime(2026, 8, 1, 19, tzinfo=UTC)


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory):
    location = small_world.folder(tmp_path_factory.mktemp("world") / "data")
    publish(location, clock=clock)
    # Everything here is read beside another connection of the same process to the same file.
    with hedgehouse.connect(location.root):
        yield location


@pytest.fixture
def client(published: Location):
    with hedgehouse.connect(published.root) as opened:
        yield opened


def with_signal(root: Path, *, through: datetime, mode: str = "archive") -> Location:
    """A published folder whose data end at `through`; its signal is valid until 19:00."""
    location = Location(root)
    location.claim(World("real", mode))
    small_world.commit_trades(location, 1, through.date())
    small_world.build(location)
    with duckdb.connect(location.warehouse) as connection:
        connection.execute(
            f"update ops_source.manifest set last_event_at = '{through:%Y-%m-%d %H:%M:%S}'"
        )
    publish(location, clock=clock)
    return location


def test_rows_come_as_polars_with_instants_in_utc(client):
    frame = client.sql("select event_at, price from lake.trades order by event_at limit 1")
    assert frame.schema == {"event_at": pl.Datetime("us", "UTC"), "price": pl.Float64}
    assert frame.row(0) == (datetime(2026, 8, 1, tzinfo=UTC), 60_000.0)


def test_every_kind_of_timestamp_becomes_utc_microseconds(client):
    frame = client.sql(
        "select timestamptz '2026-08-01 02:00:00+02' as a, timestamp_ns '2026-08-01' as b, "
        "timestamp_s '2026-08-01' as c"
    )
    assert set(frame.schema.values()) == {pl.Datetime("us", "UTC")}
    assert set(frame.row(0)) == {datetime(2026, 8, 1, tzinfo=UTC)}


def test_parameters_are_bound_not_pasted(client):
    frame = client.sql("select $name as name", {"name": "'; drop table x --"})
    assert frame.item() == "'; drop table x --"


def test_the_client_knows_its_generation_and_how_far_the_data_reach(client):
    assert client.generation == "hedgehouse_20260802T120000Z_000001"
    assert client.data_through == datetime(2026, 8, 1, 0, 0, 2, tzinfo=UTC)


def test_a_generation_file_is_opened_by_its_own_name_too(published):
    with hedgehouse.connect(published.pointer.resolve()) as opened:
        assert opened.sql("select count(*) from lake.trades").item() == 3


def test_a_generation_file_far_from_its_lake_still_tells_its_marts(published, tmp_path):
    alone = tmp_path / "alone.duckdb"
    alone.write_bytes(published.pointer.read_bytes())
    with hedgehouse.connect(alone) as opened:
        assert opened.generation == "hedgehouse_20260802T120000Z_000001"
        assert opened.sql("select count(*) from flow.bars_1m").item() == 1
        assert opened.sql("select count(*) from lake.trades").item() == 3


def test_a_client_keeps_its_generation_and_the_next_one_sees_the_new(tmp_path):
    location = small_world.folder(tmp_path / "data")
    publish(location, clock=clock)
    with hedgehouse.connect(location.root) as old:
        small_world.build(location, version=2)
        publish(location, clock=clock)
        with hedgehouse.connect(location.root) as new:
            query = "select max(version) from flow.left_half"
            assert (old.sql(query).item(), new.sql(query).item()) == (1, 2)


LIMITS = (
    "select current_setting('threads') as threads, current_setting('memory_limit') as memory, "
    "current_setting('lock_configuration') as is_locked"
)


def test_connections_of_one_process_keep_their_own_limits_and_end_on_their_own(published):
    small = hedgehouse.Limits(memory="64MiB", threads=1, timeout_s=0.1)
    large = hedgehouse.Limits(memory="1GiB", threads=3)
    endless = "select count(*) from range(1000000000) a, range(1000000000) b"
    first = hedgehouse.connect(published.root, limits=small)
    with hedgehouse.connect(published.root, limits=large) as second:
        assert first.sql(LIMITS).row(0) == (1, "64.0 MiB", True)
        assert second.sql(LIMITS).row(0) == (3, "1.0 GiB", True)
        with pytest.raises(hedgehouse.QueryTimeout):
            first.sql(endless)
        first.close()
        with pytest.raises(duckdb.ConnectionException):
            first.sql("select 1")
        assert second.sql("select count(*) from lake.trades").item() == 3
        assert second.signals().height == 1


def test_threads_that_each_connect_read_and_spill_side_by_side(published):
    together = Barrier(4)

    def read(threads: int) -> tuple[int, int, str]:
        limits = hedgehouse.Limits(memory="24MB", threads=threads)
        with hedgehouse.connect(published.root, limits=limits) as opened:
            together.wait(60)
            return opened.sql(
                "select current_setting('threads')::int, count(*) filter (n > 0), "
                "any_value(current_setting('temp_directory')) from (select i, "
                "row_number() over (order by hash(i)) as n from range(400000) t(i) "
                "order by hash(i + 1))"
            ).row(0)

    with ThreadPoolExecutor(4) as pool:
        threads, rows, spills = zip(*pool.map(read, [1, 2, 1, 2]), strict=True)
    assert (threads, rows) == ((1, 2, 1, 2), (400_000,) * 4)
    assert len(set(spills)) == 4
    assert list(published.published.glob("*.tmp")) == []


def test_a_connection_holds_the_published_file_and_nothing_that_can_be_written(client):
    held = client.sql("from duckdb_databases()").filter(~pl.col("internal"))
    assert held["path"].to_list() == [str(client.path)]
    assert held["readonly"].to_list() == [True]


@pytest.mark.parametrize("is_theirs_first", [True, False])
def test_a_plain_read_only_connection_and_a_client_leave_each_other_alone(
    published, tmp_path, is_theirs_first
):
    path = published.pointer.resolve()
    target = tmp_path / "trades.csv"
    theirs = duckdb.connect(path, read_only=True) if is_theirs_first else None
    with hedgehouse.connect(published.root) as ours:
        with theirs or duckdb.connect(path, read_only=True) as plain:
            plain.execute("set threads = 1")
            plain.execute(f"copy (from lake.trades) to '{target}'")
            assert target.read_text().count("\n") == 4
            assert ours.sql(LIMITS)["threads"].item() == hedgehouse.Limits().threads
            with pytest.raises(duckdb.PermissionException):
                ours.sql(f"from read_csv('{target}')")
        assert ours.sql("select count(*) from lake.trades").item() == 3


def test_commands_and_the_publisher_read_beside_an_open_client(client, published, capsys):
    assert cli.run(["sql", "from flow.bars_1m", "--json", "--data", str(published.root)]) == 0
    assert '"trade_count": 3' in capsys.readouterr().out
    found = current(published)
    assert found is not None
    assert found.name == client.generation
    assert client.sql("select count(*) from lake.trades").item() == 3


@pytest.mark.parametrize("place", ["nowhere", "."])
def test_nothing_published_names_the_place_and_the_command(tmp_path, place):
    with pytest.raises(hedgehouse.NothingPublished, match="run `hedgehouse publish"):
        hedgehouse.connect(tmp_path / place)


def test_a_file_that_is_no_warehouse_is_named(tmp_path):
    text = tmp_path / "notes.duckdb"
    text.write_text("x" * 5000)
    with pytest.raises(hedgehouse.UnreadableFile, match=r"notes\.duckdb: cannot be opened"):
        hedgehouse.connect(text)
    # DuckDB would go and fetch an extension that reads it.
    foreign = tmp_path / "foreign.duckdb"
    foreign.write_bytes(b"SQLite format 3\0" + bytes(5000))
    with pytest.raises(hedgehouse.UnreadableFile, match="is not a valid DuckDB database file"):
        hedgehouse.connect(foreign)
    other = tmp_path / "other.duckdb"
    duckdb.connect(other).close()
    with pytest.raises(hedgehouse.UnreadableFile, match="is not a published warehouse"):
        hedgehouse.connect(other)


HOSTILE = [
    "copy (select 1) to '{tmp}/x.csv'",
    "copy (select 1) to '{part}'",
    "copy lake.trades to '{tmp}/x.parquet' (format parquet)",
    "export database '{tmp}/x'",
    "select * from read_csv('/etc/passwd')",
    "select * from '/etc/passwd'",
    "select * from read_text('/etc/passwd')",
    "select * from read_blob('/etc/passwd')",
    "select * from read_text('{part}')",
    "select * from read_json('/proc/self/environ')",
    "select * from read_parquet('{lake}/trades/*/*/*.parquet')",
    "select * from read_csv('{part}/../manifest.json')",
    "select * from sniff_csv('/etc/passwd')",
    "select * from glob('/*')",
    "select * from read_duckdb('{file}')",
    "select getenv('HOME')",
    "select * from duckdb_secrets()",
    "attach '{file}' as other",
    "attach '{tmp}/new.duckdb' as other",
    "detach hedgehouse",
    "install httpfs",
    "load json",
    "load '{tmp}/evil.duckdb_extension'",
    "set memory_limit = '1TB'",
    "set enable_external_access = true",
    "set allowed_paths = ['/etc/passwd']",
    "set variable lake_root = '/etc'",
    "reset lock_configuration",
    "pragma memory_limit = '1TB'",
    "pragma enable_profiling",
    "pragma database_list",
    "call pragma_version()",
    "call enable_logging()",
    "from enable_logging(storage = 'file', storage_path = '{tmp}/logs')",
    "select * from memory.main.enable_logging()",
    "select write_log('x')",
    "from query('select 1')",
    "select (select 1 from \"query\"('select 1'))",
    "from query_table('lake.trades')",
    "select * from json_execute_serialized_sql(json_serialize_sql('select 1'))",
    "from force_checkpoint()",
    "select sleep_ms(1)",
    "create table flow.mine as select 1",
    "create temp table mine as select 1",
    "create macro mine() as 1",
    "create secret (type s3)",
    "insert into flow.left_half values (1, 1)",
    "update flow.left_half set i = 0",
    "delete from hedging.issued_signals",
    "drop table hedging.issued_signals",
    "alter table flow.left_half add column x int",
    "truncate flow.left_half",
    "comment on table flow.left_half is 'x'",
    "vacuum",
    "checkpoint",
    "begin transaction",
    "prepare p as select 1",
    "execute p",
    "use memory",
    "select 1; select 2",
    "select 1; copy (select 1) to '{tmp}/x.csv'",
    "",
    "explain copy (select 1) to '{tmp}/x.csv'",
    "explain analyze create temp table mine as select 1",
    "explain analyze insert into flow.left_half values (1, 1)",
    "explain (format json) select 1",
    "with x as (delete from flow.left_half returning *) select * from x",
    "select * from host_side_frame",
]


@pytest.mark.parametrize("statement", HOSTILE)
def test_a_hostile_statement_is_refused(client, published, tmp_path, statement):
    host_side_frame = pl.DataFrame({"secret": [1]})
    (part,) = published.lake.glob("trades/*/*/*.parquet")
    before = part.read_bytes()
    places = {
        "tmp": tmp_path,
        "part": part,
        "lake": published.lake,
        "file": published.pointer.resolve(),
    }
    with pytest.raises((hedgehouse.StatementRefused, duckdb.Error)):
        client.sql(statement.format(**places))
    assert list(tmp_path.iterdir()) == []
    assert part.read_bytes() == before
    assert host_side_frame.height == 1
    assert client.sql("select count(*) from lake.trades").item() == 3


@pytest.mark.parametrize(
    "statement",
    [
        "select 1;",
        "from lake.trades",
        "with x as (select 1 as a) select a from x",
        "values (1)",
        "describe lake.trades",
        "summarize flow.bars_1m",
        "show all tables",
        "explain select 1",
        "explain analyze select count(*) from lake.trades",
        "-- a comment first\nselect 'copy (select 1) to x'",
    ],
)
def test_an_honest_statement_is_answered(client, statement):
    assert client.sql(statement).height >= 1


def test_a_statement_that_runs_too_long_is_stopped(published):
    limits = hedgehouse.Limits(timeout_s=0.1)
    with (
        hedgehouse.connect(published.root, limits=limits) as opened,
        pytest.raises(hedgehouse.QueryTimeout, match=r"stopped after 0\.1 s"),
    ):
        opened.sql("select count(*) from range(1000000000) a, range(1000000000) b")


def test_a_statement_that_needs_too_much_memory_is_an_error(published):
    limits = hedgehouse.Limits(memory="20MB")
    with (
        hedgehouse.connect(published.root, limits=limits) as opened,
        pytest.raises(duckdb.OutOfMemoryException),
    ):
        opened.sql("select list(i order by hash(i)) from range(8000000) t(i)")


def test_the_file_and_its_parts_are_not_writable_for_others(published):
    (part,) = published.lake.glob("trades/*/*/*.parquet")
    assert not part.stat().st_mode & 0o222
    assert not published.pointer.resolve().stat().st_mode & 0o222


def test_the_latest_decision_counts_per_portfolio_policy_and_leg(tmp_path):
    location = small_world.folder(tmp_path / "data")
    with duckdb.connect(location.warehouse) as connection:
        connection.execute(
            "insert into hedging.signals by name select * replace ('later' as signal_id, "
            "timestamp '2026-08-01 18:30' as as_of_at, 'hold' as action) from hedging.signals"
        )
    publish(location, clock=clock)
    with hedgehouse.connect(location.root) as opened:
        frame = opened.signals(underlying="BTC")
        assert frame.select("signal_id", "action").rows() == [("later", "hold")]
        assert opened.signals(underlying="ETH").is_empty()


def test_an_archive_ends_with_its_data_so_old_signals_are_not_stale_there(tmp_path):
    location = with_signal(tmp_path / "data", through=VALID_UNTIL - timedelta(minutes=1))
    far = VALID_UNTIL + timedelta(days=3650)
    with hedgehouse.connect(location.root, clock=lambda: far) as opened:
        assert opened.signals()["is_stale"].to_list() == [False]


def test_a_signal_that_ends_before_its_archive_does_is_stale(tmp_path):
    location = with_signal(tmp_path / "data", through=VALID_UNTIL + timedelta(minutes=1))
    with hedgehouse.connect(location.root) as opened:
        with pytest.raises(hedgehouse.StaleDataError, match="fund delta_threshold leg0"):
            opened.signals()
        with pytest.warns(hedgehouse.StaleDataWarning, match="1 of 1 signals are stale"):
            warned = opened.signals(on_stale="warn")
        assert warned["is_stale"].to_list() == [True]
        assert opened.signals(on_stale="ignore").equals(warned)


def test_a_live_world_goes_by_the_clock(tmp_path):
    location = with_signal(tmp_path / "data", through=VALID_UNTIL, mode="live")
    for now, stale in ((VALID_UNTIL, False), (VALID_UNTIL + timedelta(seconds=1), True)):
        with hedgehouse.connect(location.root, clock=lambda now=now: now) as opened:
            assert opened.signals(on_stale="ignore")["is_stale"].to_list() == [stale]


def test_as_of_an_archive_is_what_could_be_known_by_then(tmp_path):
    location = with_signal(tmp_path / "data", through=VALID_UNTIL + timedelta(hours=5))
    with hedgehouse.connect(location.root) as opened:
        assert opened.signals(as_of="2026-08-01T17:59:59Z").is_empty()
        assert opened.signals(as_of="2026-08-01T18:00").height == 1
        assert opened.signals(as_of="2026-08-01T18:00")["is_stale"].to_list() == [False]
        late = datetime(2026, 8, 1, 20, tzinfo=UTC)
        assert opened.signals(as_of=late)["is_stale"].to_list() == [True]
        with pytest.raises(hedgehouse.StaleDataError):
            opened.signals(as_of=late, on_stale="raise")


def test_as_of_a_live_world_is_what_was_published_by_then(tmp_path):
    location = with_signal(tmp_path / "data", through=VALID_UNTIL, mode="live")
    with hedgehouse.connect(location.root, clock=clock) as opened:
        assert opened.signals(as_of=NOW - timedelta(seconds=1)).is_empty()
        assert opened.signals(as_of=NOW).height == 1


def test_a_revised_decision_does_not_hide_what_was_issued_before(tmp_path):
    location = with_signal(tmp_path / "data", through=VALID_UNTIL, mode="live")
    with duckdb.connect(location.warehouse) as connection:
        connection.execute("update hedging.signals set signal_id = 'revised', action = 'hold'")
    later = NOW + timedelta(hours=1)
    publish(location, clock=lambda: later)
    with hedgehouse.connect(location.root, clock=lambda: VALID_UNTIL) as opened:
        assert opened.signals()["action"].to_list() == ["hold"]
        assert opened.signals(as_of=NOW)["action"].to_list() == ["sell"]
        assert opened.signals(as_of=later)["action"].to_list() == ["sell", "hold"]


def test_a_bad_as_of_is_named(client):
    with pytest.raises(hedgehouse.BadInstant, match="'yesterday' is not a date"):
        client.signals(as_of="yesterday")
