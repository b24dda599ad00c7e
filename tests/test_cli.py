"""What the command line answers, with which exit code, and on which stream."""

import json
import logging
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest
import small_world

import hedgehouse
from hedgehouse import cli, console
from warehouse import render
from warehouse.location import Location, World, WrongWorld
from warehouse.publish import publish

COMMANDS = (
    "import",
    "build",
    "publish",
    "rollback",
    "status",
    "gaps",
    "sql",
    "signals",
    "plot",
    "doctor",
    "contract",
    "demo",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Location:
    location = small_world.folder(tmp_path_factory.mktemp("world") / "data")
    publish(location, clock=small_world.clock)
    return location


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]):
    """Runs a command: exit code, standard output, standard error."""

    def run(*arguments: str | Path) -> tuple[int, str, str]:
        code = cli.run([str(argument) for argument in arguments])
        told = capsys.readouterr()
        return code, told.out, told.err

    return run


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_and_takes_data_json_and_quiet(said, command):
    code, out, _ = said(command, "--help")
    assert code == 0
    for option in ("--data", "--json", "--quiet"):
        assert option in out


def test_the_list_of_commands_is_complete(said):
    code, out, _ = said("--help")
    assert code == 0
    assert all(f"\n  {command} " in out for command in COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [
        ("publsih",),
        ("sql", "--no-such-option"),
        ("build", "--as-of", "yesterday"),
        ("build", "--as-of", "2126-01-01"),
        ("build", "--committed-by", "2026-13-01"),
        ("signals", "--as-of", "2026-02-30"),
        ("signals", "--on-stale", "panic"),
        ("import",),
        ("contract",),
        ("contract", "--write", "--check"),
        ("publish", "--keep", "0"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(said, world, arguments):
    code, out, err = said(*arguments, "--data", world.root)
    assert code == 2
    assert out == ""
    assert err.startswith("hedgehouse: ")
    assert err.count("\n") == 1


def test_sql_answers_people_with_a_table_and_machines_with_json(said, world):
    query = "select trade_id, event_at, price from lake.trades order by trade_id limit 1"
    code, out, err = said("sql", query, "--data", world.root)
    assert (code, err) == (0, "")
    assert "trade_id" in out
    assert "1 rows" in out
    code, out, _ = said("sql", query, "--data", world.root, "--json", "--quiet")
    assert code == 0
    assert json.loads(out) == [
        {"trade_id": "0", "event_at": "2026-08-01T00:00:00+00:00", "price": 60000.0}
    ]


def test_what_json_cannot_say_is_null_or_text(said, world):
    query = "select 'nan'::double as a, 1.5::decimal(9,2) as b, date '2026-08-01' as c, [1] as d"
    code, out, _ = said("sql", query, "--data", world.root, "--json")
    assert code == 0
    assert json.loads(out) == [{"a": None, "b": "1.50", "c": "2026-08-01", "d": [1]}]


@pytest.mark.parametrize(
    ("query", "word"),
    [
        ("selec 1", "selec"),
        ("select * from nowhere", "nowhere"),
        ("copy (select 1) to '/tmp/x'", "only SELECT"),
        ("select * from read_csv('/etc/passwd')", "/etc/passwd"),
    ],
)
def test_a_wrong_query_is_one_line_and_exit_code_2(said, world, query, word):
    code, out, err = said("sql", query, "--data", world.root)
    assert (code, out) == (2, "")
    assert word in err
    assert err.count("\n") == 1


def test_a_query_that_takes_too_long_is_stopped(said, world):
    query = "select count(*) from range(1000000000) a, range(1000000000) b"
    code, _, err = said("sql", query, "--timeout", "0.1", "--data", world.root)
    assert code == 1
    assert "stopped after 0.1 s" in err


def test_without_a_query_statements_come_from_standard_input(said, world, monkeypatch):
    import io

    lines = "select 1 as a;\nselect\n 2 as b\n;\nselect nonsense;\nselect 3 as c"
    monkeypatch.setattr("sys.stdin", io.StringIO(lines))
    code, out, err = said("sql", "--json", "--data", world.root)
    assert [json.loads(line) for line in out.splitlines()] == [[{"a": 1}], [{"b": 2}], [{"c": 3}]]
    assert code == 2
    assert "nonsense" in err


def test_nothing_published_says_what_to_do(said, tmp_path):
    for command in (["sql", "select 1"], ["signals"]):
        code, out, err = said(*command, "--data", tmp_path)
        assert (code, out) == (2, "")
        assert "run `hedgehouse publish" in err
    code, _, err = said("publish", "--data", tmp_path)
    assert code == 2
    assert "run `hedgehouse build" in err
    assert list(tmp_path.iterdir()) == []


def test_signals_tell_the_latest_decisions(said, world):
    code, out, _ = said("signals", "--underlying", "BTC", "--json", "--data", world.root)
    (row,) = json.loads(out)
    assert code == 0
    assert row["action"] == "sell"
    assert row["is_stale"] is False
    code, out, _ = said("signals", "--data", world.root)
    assert code == 0
    assert "delta 1.5 above 1.0" in out


def test_signals_as_of_a_time_before_any_are_none(said, world):
    code, out, _ = said("signals", "--as-of", "2026-08-01", "--json", "--data", world.root)
    assert (code, json.loads(out)) == (0, [])


def test_stale_signals_are_an_error_unless_told_otherwise(said, tmp_path):
    location = small_world.folder(tmp_path / "data")
    with duckdb.connect(location.warehouse) as connection:
        connection.execute("update hedging.signals set valid_until = timestamp '2026-07-31'")
    publish(location, clock=small_world.clock)
    code, out, err = said("signals", "--data", location.root)
    assert (code, out) == (1, "")
    assert "1 of 1 signals are stale" in err
    code, out, _ = said("signals", "--on-stale", "ignore", "--json", "--data", location.root)
    assert code == 0
    assert json.loads(out)[0]["is_stale"] is True


def test_status_shows_world_lake_build_and_generation(said, world):
    code, out, _ = said("status", "--json", "--data", world.root)
    told = json.loads(out)
    assert code == 0
    assert told["world"] == {"origin": "real", "mode": "archive", "seed": None}
    assert told["lake_rows"] == {"trades": 3}
    assert told["units"] == {"unprovable": 1}
    assert told["generation"]["row_counts"]["hedging.signals"] == 1
    code, out, _ = said("status", "--data", world.root)
    assert code == 0
    assert told["generation"]["generation"] in out


def test_status_of_an_empty_folder_names_the_first_command(said, tmp_path):
    code, out, _ = said("status", "--data", tmp_path / "new")
    assert code == 0
    assert "run `hedgehouse import`" in out
    assert not (tmp_path / "new").exists()


def test_gaps_list_holes_and_units_that_are_not_proven(said, world):
    code, out, _ = said("gaps", "--json", "--data", world.root)
    told = json.loads(out)
    assert code == 0
    assert [gap["detail"] for gap in told["gaps"]] == ["ids 7 to 8"]
    assert [unit["status"] for unit in told["units"]] == ["unprovable"]
    code, out, _ = said("gaps", "--data", world.root)
    assert code == 0
    assert "ids 7 to 8" in out


def test_an_import_of_what_is_not_there_is_wrong_usage(said, tmp_path):
    code, _, err = said("import", tmp_path / "absent.zip", "--data", tmp_path / "new")
    assert code == 2
    assert err == f"hedgehouse: {tmp_path}/absent.zip: no such file or folder\n"
    assert not (tmp_path / "new" / "lake").exists()


def test_an_import_names_the_file_that_it_does_not_know(said, tmp_path):
    (tmp_path / "mystery.csv").write_text("a,b\n1,2\n")
    code, out, err = said("import", tmp_path, "--json", "--data", tmp_path / "new")
    assert code == 65
    assert json.loads(out)["files"] == []
    assert "mystery.csv" in err


def test_publish_and_rollback_move_the_pointer(said, tmp_path):
    location = small_world.folder(tmp_path / "data")
    code, out, _ = said("publish", "--json", "--data", location.root)
    first = json.loads(out)
    assert code == 0
    assert first["issued_count"] == 1
    code, out, _ = said("publish", "--data", location.root)
    assert code == 0
    assert "signals issued" in out
    code, out, _ = said("rollback", "--json", "--data", location.root)
    assert code == 0
    assert json.loads(out)["generation"] == first["generation"]
    code, _, err = said("rollback", "--data", location.root)
    assert code == 1
    assert "no generation before" in err


def test_quiet_says_nothing_of_success_and_still_answers_questions(said, tmp_path):
    location = small_world.folder(tmp_path / "data")
    assert said("publish", "--quiet", "--data", location.root) == (0, "", "")
    for question in ("status", "gaps", "doctor"):
        code, out, err = said(question, "--quiet", "--data", location.root)
        assert (code, err) == (0, "")
        assert out


def test_a_lock_is_told_with_its_holder_and_exit_code_74(said, tmp_path):
    location = small_world.folder(tmp_path / "data")
    child = small_world.hold(location.warehouse)
    try:
        code, _, err = said("publish", "--data", location.root)
    finally:
        child.kill()
        child.wait()
    assert code == 74
    assert str(child.pid) in err


def test_contract_check_names_what_is_out_of_date(said, monkeypatch):
    monkeypatch.setattr(render, "stale", lambda: ["docs/data-dictionary.md"])
    code, _, err = said("contract", "--check")
    assert code == 1
    assert "docs/data-dictionary.md: out of date; run `hedgehouse contract --write`" in err
    monkeypatch.setattr(render, "stale", lambda: [])
    assert said("contract", "--check")[0] == 0


def test_doctor_finds_nothing_wrong_with_a_sound_folder(said, world):
    code, out, _ = said("doctor", "--json", "--data", world.root)
    findings = {f["subject"]: f["state"] for f in json.loads(out)["findings"]}
    assert code == 0
    assert set(findings.values()) == {"ok"}
    assert set(findings) == {
        "versions",
        "disk",
        "writing",
        "locks",
        "pointer",
        "parts",
        "orphans",
        "issued",
        "seeds",
    }


def test_doctor_of_a_folder_that_is_not_there_makes_none(said, tmp_path):
    assert said("doctor", "--data", tmp_path / "new")[0] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("subject", ["pointer", "parts", "issued", "orphans", "locks"])
def test_doctor_finds_what_is_damaged(said, tmp_path, subject):
    location = small_world.folder(tmp_path / "data")
    made = publish(location, clock=small_world.clock)
    child = None
    if subject == "pointer":
        made.path.chmod(0o644)
        made.path.write_bytes(made.path.read_bytes()[:-1])
    elif subject == "parts":
        next(location.lake.glob("*/*/*/*.parquet")).unlink()
    elif subject == "issued":
        (location.issued / f"{made.name}.parquet").unlink()
    elif subject == "orphans":
        (location.published / ".hedgehouse_20260101T000000Z_000009.tmp").write_text("x")
    else:
        child = small_world.hold(location.warehouse)
    code, out, _ = said("doctor", "--json", "--data", location.root)
    if child:
        child.kill()
        child.wait()
    bad = [f for f in json.loads(out)["findings"] if f["state"] != "ok"]
    assert [f["subject"] for f in bad] == [subject]
    assert code == (0 if subject in ("orphans", "locks") else 1)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (WrongWorld("x"), 65),
        (hedgehouse.UnreadableFile("x"), 65),
        (PermissionError(13, "Permission denied", "/data"), 74),
        (OSError(28, "No space left on device", "/data/x"), 74),
        (duckdb.IOException("Could not write file: No space left on device"), 74),
        (ValueError("a defect"), None),
        (KeyError("a defect"), None),
    ],
)
def test_documented_errors_have_their_exit_codes_and_defects_keep_their_traceback(error, code):
    assert console.exit_code(error) == code


def test_an_operating_system_error_names_its_place(said, tmp_path):
    assert console.one_line(OSError(28, "No space left on device", "/data/x")) == (
        "/data/x: No space left on device"
    )
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    code, _, err = said("publish", "--data", blocked)
    assert code == 2
    assert str(blocked) in err


def test_secrets_of_the_environment_never_reach_a_log_or_an_error(monkeypatch, capsys):
    monkeypatch.setenv("BINANCE_API_KEY", "abcdef123456")
    monkeypatch.setenv("DB_PASSWORD", "hunter2hunter2")
    console.start_logging(False)
    console.log.info("fetching with %s", "abcdef123456")
    console.log.warning({"password": "hunter2hunter2"})
    console.write_error("https://x?signature=abcdef123456 was refused")
    err = capsys.readouterr().err
    assert "abcdef123456" not in err
    assert "hunter2hunter2" not in err
    assert err.count("<BINANCE_API_KEY>") == 2
    assert len(err.splitlines()) == 3


def test_progress_in_a_log_is_one_line_per_unit(capsys):
    console.start_logging(False)
    with console.Voice().progress("build") as progress:
        progress("bars_1m", 1, 2)
        progress("signals", 2, 2)
    with console.Voice().progress("import", in_bytes=True) as progress:
        for name in ("a.zip", "b.zip"):
            for done in (10, 20, 20):
                progress(name, done, 20)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split(" INFO ")[1] for line in lines] == [
        "build 1/2 bars_1m",
        "build 2/2 signals",
        "import a.zip (20 bytes)",
        "import b.zip (20 bytes)",
    ]
    console.start_logging(True)
    with console.Voice(is_quiet=True).progress("build") as progress:
        progress("bars_1m", 1, 2)
    assert capsys.readouterr().err == ""


def test_the_program_ends_quietly_when_its_reader_leaves(world):
    program = [Path(sys.executable).with_name("hedgehouse"), "sql", "--json", "--data", world.root]
    query = "select repeat('x', 1000) as x from range(5000)"
    child = subprocess.Popen(
        [*program, query], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ
    )
    child.stdout.read(10)
    child.stdout.close()
    err = child.stderr.read()
    child.stderr.close()
    assert (child.wait(), err) == (0, b"")


def test_the_default_folder_is_named_by_the_environment(said, world, monkeypatch):
    monkeypatch.setenv("HEDGEHOUSE_DATA", str(world.root))
    code, out, _ = said("sql", "select count(*) as n from lake.trades", "--json")
    assert (code, json.loads(out)) == (0, [{"n": 3}])


def test_demo_refuses_a_folder_of_real_data(said, tmp_path):
    location = Location(tmp_path / "data")
    location.claim(World("real"))
    code, _, err = said("demo", "--size", "0.01", "--data", location.root)
    assert code == 65
    assert "holds real data" in err
    assert sorted(path.name for path in location.root.iterdir()) == ["world.json"]


def test_the_clock_of_the_command_line_is_utc():
    assert cli.now().tzinfo is UTC
    assert abs((cli.now() - datetime.now(UTC)).total_seconds()) < 60


@pytest.fixture(autouse=True)
def _quiet_again():
    yield
    logging.getLogger("hedgehouse").handlers.clear()
