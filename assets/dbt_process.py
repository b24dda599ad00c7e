"""A process of its own in which dbt runs: it keeps locks and global state that must end with it.

The request is one JSON object on standard input; every finished model is one JSON line on standard
output, so that the caller can show progress; the last line says how it ended.
"""

import gc
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Any

from dbt.cli.main import dbtRunner, dbtRunnerResult
from dbt.contracts.graph.manifest import Manifest
from dbt.parser.manifest import extended_mashumuro_decoder

from assets import plan

# What dbt writes of a project that it has read: the whole for itself, and a description.
PARSED, DESCRIBED = "partial_parse.msgpack", "manifest.json"
KEPT = 4  # versions of the project
FAILED = ("error", "fail", "runtime error", "partial success")


def main() -> int:
    """Parse, seed, run every planned step, test; stop at the first that fails."""
    request = json.loads(sys.stdin.read())
    finished: set[str] = set()
    told = [lambda event: _report(event, finished)]
    options: list[str] = request["options"]
    kept = Path(request["parsed"])
    if not kept.exists():
        parsed = dbtRunner(callbacks=told).invoke(["parse", *options])
        if not isinstance(parsed.result, Manifest):
            return _ended(parsed, "parse")
        kept = _keep(Path(request["target"]), kept)
    # With the project at hand no later call reads it again.
    project = Manifest.from_msgpack(
        (kept / PARSED).read_bytes(), decoder=extended_mashumuro_decoder
    )
    # A project is a million objects that stay: the collector spends a tenth of a build on them.
    gc.collect()
    gc.freeze()
    runner = dbtRunner(manifest=project, callbacks=told)
    planned = plan.steps(
        plan.models(json.loads((kept / DESCRIBED).read_text())),
        _days(request["changed"]),
        _days(request["held"]),
        frozenset(request["existing"]),
    )
    _say({"planned": sum(len(step.models) for step in planned)})
    commands = [_command(step) for step in planned]
    if not request["existing"]:
        commands[0] += ["--select", "resource_type:seed"]
    for command in [*commands, _TEST]:
        finished.clear()
        result = runner.invoke([*command, *options, "--no-write-json"])
        if not result.success:
            return _ended(result, command[0])
    _say({"ended": True, "errors": []})
    return 0


def _keep(target: Path, kept: Path) -> Path:
    """Put what dbt read of the project where the next build of the same project finds it."""
    try:
        kept.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(dir=kept.parent))
    except OSError:  # the project is another's: it is read anew each time
        return target
    for name in (PARSED, DESCRIBED):
        shutil.copyfile(target / name, draft / name)
    try:
        draft.rename(kept)
    except OSError:  # another build of the same project was first
        shutil.rmtree(draft)
    for old in sorted(kept.parent.iterdir(), key=lambda p: p.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return kept


_TEST = ["test", "--exclude", "test_type:unit"]


def _command(step: plan.Step) -> list[str]:
    command = ["build", "--exclude-resource-type", "test", "unit_test", "--select", *step.models]
    if step.start and step.end:
        command += ["--event-time-start", str(step.start), "--event-time-end", str(step.end)]
    return command


def _days(found: dict[str, Sequence[str]]) -> dict[str, list[date]]:
    return {table: [date.fromisoformat(day) for day in days] for table, days in found.items()}


def _report(event: Any, finished: set[str]) -> None:
    """Say once that a node is done: dbt tells of every day of a daily model, and of the whole."""
    if event.info.name == "NodeFinished" and event.data.node_info.unique_id not in finished:
        info = event.data.node_info
        finished.add(info.unique_id)
        _say({"node": info.node_name, "kind": info.resource_type, "status": info.node_status})


def _ended(result: dbtRunnerResult, command: str) -> int:
    errors = [f"dbt {command}: {result.exception}"] if result.exception else []
    for outcome in getattr(result.result, "results", None) or []:
        if outcome.status in FAILED:
            first = " ".join(str(outcome.message or "").split())
            errors.append(f"{outcome.node.resource_type} {outcome.node.name}: {first}")
    _say({"ended": False, "errors": errors or [f"dbt {command}: failed"]})
    return 1


def _say(line: dict[str, Any]) -> None:
    _answers.write(json.dumps(line) + "\n")
    _answers.flush()


if __name__ == "__main__":
    # dbt prints on standard output whatever it is told: what it says there goes to the log.
    _answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    sys.exit(main())
