"""Which commands are there? Each is a few lines: the work is done by the packages below."""

import os
import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Literal

import duckdb
import typer
from typer.exceptions import TyperException

from hedgehouse import OnStale, connect, console
from hedgehouse.console import Voice, log
from warehouse.instants import instant
from warehouse.location import Location, default_root

app = typer.Typer(
    name="hedgehouse",
    help="A warehouse of crypto-derivatives microstructure: files in, hedge signals out.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

Data = Annotated[
    Path | None,
    typer.Option("--data", help="Data folder; HEDGEHOUSE_DATA, else warehouse/data."),
]
Json = Annotated[bool, typer.Option("--json", help="Results as JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Errors only, beside what was asked for.")]
AsOf = Annotated[str | None, typer.Option("--as-of", help="UTC date or time in the past.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of the embedded market.")]
Size = Annotated[float, typer.Option("--size", min=0.001, help="Prints, as a share of a full day.")]
Underlyings = Annotated[
    list[str] | None, typer.Option("--underlying", help="A coin: BTC; all if absent.")
]
Faults = Annotated[
    str, typer.Option("--faults", help="What goes wrong on the wire: 429:0.02,html:0.01,late:0.001")
]


def now() -> datetime:
    """The command line's clock, which everything below is given."""
    return datetime.now(UTC)


@app.command("import")
def import_(
    paths: Annotated[list[Path], typer.Argument(help="Files, or folders to look through.")],
    data: Data = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Check and commit archive files and portfolios."""
    from hedgehouse.reporting import import_fields, import_text
    from pipelines.ingest import import_paths

    voice = _voice(as_json, quiet)
    with voice.progress("import", in_bytes=True) as progress:
        report = import_paths(_location(data), paths, clock=now, progress=progress)
    for file in report.files:
        for notice in file.notices:
            log.warning("%s: %s", file.path, notice)
    for error in report.errors:
        console.write_error(error)
    voice.result(import_fields(report), import_text(report))
    return report.exit_code


@app.command()
def build(
    as_of: AsOf = None,
    committed_by: Annotated[
        str | None, typer.Option("--committed-by", help="Revisions committed by then.")
    ] = None,
    full_refresh: Annotated[
        bool, typer.Option("--full-refresh", help="Build every day again.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make the marts; with a past time, in a file of their own."""
    from assets import building

    voice = _voice(as_json, quiet)
    with voice.progress("build") as progress:
        report = building.build(
            _location(data),
            clock=now,
            as_of=_past(as_of),
            committed_by=_past(committed_by),
            full_refresh=full_refresh,
            progress=progress,
        )
    fields = {
        "path": report.path,
        "as_of_at": report.as_of_at,
        "committed_by_at": report.committed_by_at,
        "models_run": report.models_run,
        "changed_days": report.changed_days,
        "model_version": report.model_version,
    }
    voice.result(
        fields,
        f"{report.path}: {report.models_run} models over {len(report.changed_days)} changed days, "
        f"as of {report.as_of_at:%Y-%m-%dT%H:%M:%SZ}",
    )


@app.command()
def publish(
    keep: Annotated[
        int, typer.Option("--keep", min=1, help="Generations that stay; the current always does.")
    ] = 7,
    data: Data = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Make the build the current generation."""
    from hedgehouse.reporting import generation_fields, generation_text
    from warehouse import publish as publishing

    made = publishing.publish(_location(data), clock=now, keep=keep)
    _voice(as_json, quiet).result(generation_fields(made), generation_text(made))


@app.command()
def rollback(
    to: Annotated[
        str | None, typer.Option("--to", help="Generation; the one before the current if absent.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Move the pointer to an earlier generation."""
    from hedgehouse.reporting import generation_fields, generation_text
    from warehouse import publish as publishing

    found = publishing.rollback(_location(data), clock=now, to=to)
    _voice(as_json, quiet).result(generation_fields(found), generation_text(found))


@app.command()
def status(data: Data = None, as_json: Json = False, quiet: Quiet = False) -> None:
    """Show the world, the generation, what is in it and how fresh it is."""
    from hedgehouse.reporting import status_fields, status_text

    fields = status_fields(_location(data))
    _voice(as_json, quiet).answer(fields, status_text(fields))


@app.command()
def gaps(
    repair: Annotated[
        bool, typer.Option("--repair", help="Ask the venues again for those that they may fill.")
    ] = False,
    data: Data = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """List known holes, and units whose wholeness is not proven; or repair them."""
    from hedgehouse.reporting import gap_fields, gap_text

    voice, location = _voice(as_json, quiet), _location(data)
    if repair:
        from hedgehouse import asking
        from hedgehouse.arrivals import repair_fields, repair_text

        repaired = asking.repair(location, clock=now)
        voice.result(repair_fields(repaired), repair_text(repaired))
        return repaired.exit_code
    fields = gap_fields(location)
    voice.answer(fields, gap_text(fields))
    return 0


@app.command()
def sql(
    query: Annotated[
        str | None, typer.Argument(help="One SELECT; statements from standard input if absent.")
    ] = None,
    timeout: Annotated[
        float, typer.Option("--timeout", min=0.001, help="Seconds one statement may take.")
    ] = 300.0,
    memory: Annotated[str, typer.Option("--memory", help="Memory it may take.")] = "4GB",
    data: Data = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Read the current generation, and nothing else."""
    from hedgehouse import Limits
    from hedgehouse.shell import answer_all

    voice = _voice(as_json, quiet)
    limits = Limits(memory=memory, timeout_s=timeout)
    with connect(_location(data).root, clock=now, limits=limits) as client:
        if query is not None:
            voice.rows(client.sql(query))
            return 0
        return answer_all(client, voice, sys.stdin)


@app.command()
def signals(
    underlying: Annotated[str | None, typer.Option("--underlying", help="Coin: BTC.")] = None,
    as_of: AsOf = None,
    on_stale: Annotated[
        OnStale | None,
        typer.Option("--on-stale", help="What a stale signal does; present ones raise."),
    ] = None,
    data: Data = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Show the latest decisions, or all that was issued by a time."""
    from hedgehouse.reporting import signals_text

    voice = _voice(as_json, quiet)
    with connect(_location(data).root, clock=now) as client:
        frame = client.signals(underlying, _past(as_of), on_stale)
    voice.rows(frame, signals_text(frame))


@app.command()
def plot(
    kind: Annotated[
        Literal[
            "smile",
            "surface",
            "term",
            "skew",
            "premium",
            "funding",
            "liquidity",
            "vpin",
            "basis",
            "carry",
        ],
        typer.Argument(help="Which figure."),
    ],
    underlying: Annotated[str, typer.Option("--underlying", help="Coin: BTC.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="File: .html, .svg or .png.")],
    at: Annotated[
        str | None, typer.Option("--at", help="UTC time; the last snapshot by then is drawn.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Draw volatility, flow, liquidity or carry as known then, in one file without network."""
    from hedgehouse import plotting

    voice = _voice(as_json, quiet)
    moment = None if at is None else instant(at)
    with connect(_location(data).root, clock=now) as client:
        figure, shown = plotting.draw(client, kind, underlying, moment)
    plotting.write(figure, output)
    fields = {"file": output, "kind": kind, "underlying": underlying, "snapshot_at": shown.at}
    voice.result(
        {**fields, "generation": shown.generation},
        f"{output}: {kind} of {underlying} at {shown.at:%Y-%m-%dT%H:%M:%SZ}",
    )


@app.command()
def doctor(data: Data = None, as_json: Json = False, quiet: Quiet = False) -> int:
    """Look for what is wrong with the machine and the folder."""
    from hedgehouse.doctor import examine

    findings = examine(_location(data))
    fields = {
        "findings": [{"subject": f.subject, "state": f.state, "text": f.text} for f in findings]
    }
    text = "\n".join(f"{f.state:4} {f.subject}: {f.text}" for f in findings)
    _voice(as_json, quiet).answer(fields, text)
    return console.FAILED if any(f.state == "fail" for f in findings) else 0


@app.command()
def contract(
    write: Annotated[bool, typer.Option("--write", help="Write the generated files.")] = False,
    check: Annotated[bool, typer.Option("--check", help="Name those out of date.")] = False,
    data: Data = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Render schemas and the data dictionary from the contract, or check them."""
    from warehouse import render

    if write == check:
        raise typer.BadParameter("say either --write or --check")
    voice = _voice(as_json, quiet)
    if write:
        written = [str(path) for path in render.write()]
        voice.result({"written": written}, "\n".join(written) or "nothing had changed")
        return 0
    stale = render.stale()
    for name in stale:
        console.write_error(f"{name}: out of date; run `hedgehouse contract --write`")
    voice.result({"stale": stale}, f"{len(stale)} generated files are out of date")
    return console.FAILED if stale else 0


@app.command("run")
def run_(
    source: Annotated[Literal["simulator", "live"], typer.Option("--source", help="Who is asked.")],
    on_date: Annotated[str, typer.Option("--date", help="The first UTC day.")],
    count: Annotated[int, typer.Option("--days", min=1, help="How many days.")] = 1,
    underlying: Underlyings = None,
    seed: Seed = 1,
    size: Size = 1.0,
    portfolio: Annotated[
        Path | None,
        typer.Option(
            "--portfolio", help="Positions and balances; the embedded market has its own."
        ),
    ] = None,
    faults: Faults = "",
    every: Annotated[
        int | None,
        typer.Option("--every", help="Minutes between snapshots: 60 of the simulator, live 5."),
    ] = None,
    data: Data = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Let days arrive from the venues, or from the embedded market; then build and publish."""
    from hedgehouse import asking
    from hedgehouse.arrivals import run_fields, run_text

    voice, location = _voice(as_json, quiet), _location(data)
    wanted = asking.asked(
        source,
        _day(on_date),
        count,
        underlyings=underlying or (),
        every_minutes=every,
        seed=seed,
        size=size,
        faults=faults,
        portfolio=portfolio,
        clock=now,
    )
    with voice.progress("run") as progress:
        report, share = asking.run(location, wanted, clock=now, progress=progress)
    for error in report.errors:
        console.write_error(error)
    voice.result(run_fields(report, share), run_text(report, share))
    return report.exit_code


@app.command()
def backfill(
    first: Annotated[str, typer.Option("--from", help="The first UTC day.")],
    last: Annotated[str, typer.Option("--to", help="The last UTC day.")],
    venue: Annotated[
        list[str] | None, typer.Option("--venue", help="A venue; all if absent.")
    ] = None,
    table: Annotated[
        list[str] | None, typer.Option("--table", help="A lake table; all if absent.")
    ] = None,
    data: Data = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Ask the venues for days that are not held complete."""
    from hedgehouse import asking
    from hedgehouse.arrivals import backfill_fields, backfill_text

    voice = _voice(as_json, quiet)
    days = asking.known_days(_day(first), _day(last), now)
    with voice.progress("backfill") as progress:
        brought, held = asking.bring(
            _location(data),
            days,
            venues=venue or (),
            tables=table or (),
            clock=now,
            progress=progress,
        )
    for error in dict.fromkeys(line for one in brought for line in one.errors):
        console.write_error(error)
    voice.result(backfill_fields(brought, held), backfill_text(brought, held))
    return max([held.exit_code, *(one.exit_code for one in brought)])


@app.command()
def demo(
    seed: Seed = 1,
    size: Size = 1.0,
    data: Data = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> int:
    """Let a day of the embedded market arrive over the wire, with faults; build and publish."""
    from hedgehouse.demo import run_demo

    voice = _voice(as_json, quiet)
    told = run_demo(_location(data), seed=seed, size=size, clock=now, voice=voice)
    voice.result(told.fields, told.text)
    return told.exit_code


@app.command()
def simulate(
    port: Annotated[
        int, typer.Option("--port", min=0, max=65_535, help="Port on 127.0.0.1; 0 takes any.")
    ] = 8931,
    seed: Seed = 1,
    size: Size = 1.0,
    on_date: Annotated[
        str | None, typer.Option("--date", help="Day on which it is now there; today if absent.")
    ] = None,
    faults: Faults = "",
    rate_scale: Annotated[
        float, typer.Option("--rate-scale", min=0.001, help="Factor on the venues' budgets.")
    ] = 1.0,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Serve the embedded market alone, in real time, until it is stopped."""
    from hedgehouse import simulating
    from pipelines.simulator.history import History
    from pipelines.simulator.wire.faults import parse
    from pipelines.simulator.wire.server import SimulatorError

    voice, at = _voice(as_json, quiet), now()
    try:
        served = simulating.simulate(
            History(seed, size),
            port=port,
            faults=parse(faults, seed),
            rate_scale=rate_scale,
            at=datetime.combine(_day(on_date), at.timetz()) if on_date else at,
        )
    except (ValueError, SimulatorError) as error:
        raise typer.BadParameter(str(error)) from error
    count, met = sum(served["requests"].values()), sum(served["faults"].values())
    voice.result(served, f"served {count:,} requests, {met:,} of them with a fault")


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; documented errors become one line."""
    try:
        return app(args=list(arguments), prog_name="hedgehouse", standalone_mode=False) or 0
    except TyperException as error:
        console.write_error(error.format_message())
        return error.exit_code
    except KeyboardInterrupt:
        console.write_error("stopped")
        return 130
    except BrokenPipeError:
        # Whoever read our output has left, `head` for one. What is still in the buffer goes
        # nowhere, or Python would complain of it on its way out.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ValueError, RuntimeError, OSError, duckdb.Error) as error:
        code = console.exit_code(error)
        if code is None:
            raise
        console.write_error(console.one_line(error))
        return code


def main() -> None:
    """The program `hedgehouse`."""
    sys.exit(run(sys.argv[1:]))


def _location(data: Path | None) -> Location:
    return Location((data or default_root()).expanduser())


def _voice(as_json: bool, quiet: bool) -> Voice:
    console.start_logging(quiet)
    return Voice(as_json, quiet)


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no date such as 2026-03-10") from None


def _past(text: str | None) -> datetime | None:
    if text is None:
        return None
    found = instant(text)
    if found > now():
        raise typer.BadParameter(f"{text!r} is in the future")
    return found
