"""How does the command line speak: results, progress, logs and errors?

Results go to standard output, everything else to standard error. An error is one line, and each
documented class of error has its exit code; anything else is a defect and keeps its traceback.
"""

import json
import logging
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from hedgehouse import NothingPublished, QueryTimeout, StaleDataError, StatementRefused
from warehouse.generations import NoBuild
from warehouse.instants import BadInstant
from warehouse.publish import PublishError

log = logging.getLogger("hedgehouse")

OURS = {"assets", "expectations", "hedgehouse", "pipelines", "warehouse"}
SHOWN_ROWS = 100
FAILED, USAGE, BAD_DATA, DISK = 1, 2, 65, 74
# The first class that fits decides.
CODES: tuple[tuple[type[BaseException], int], ...] = (
    (BadInstant, USAGE),
    (NoBuild, USAGE),
    (NothingPublished, USAGE),
    (StatementRefused, USAGE),
    (QueryTimeout, FAILED),
    (PublishError, FAILED),
    (StaleDataError, FAILED),
    (duckdb.IOException, DISK),
    (duckdb.Error, USAGE),
    (OSError, DISK),
)
# Classes of packages that a command imports only when it runs, by name.
NAMED_CODES = {
    "BuildFailed": FAILED,
    "EmptyLake": USAGE,
    "NoPicture": USAGE,
    "NothingToPlot": USAGE,
    "SimulatorError": FAILED,
}

_SECRET_NAME = re.compile(r"(^|_)(KEY|SECRET|TOKEN|PASSWORD|PASSPHRASE|CREDENTIALS?)(_|$)", re.I)


@dataclass(frozen=True, slots=True)
class Voice:
    """What the user asked for: `--json` for machines, `--quiet` for errors only."""

    as_json: bool = False
    is_quiet: bool = False

    def result(self, fields: Mapping[str, Any], text: str) -> None:
        """What a deed came to, for a machine or for a person; `--quiet` spares the person."""
        if self.as_json or not self.is_quiet:
            self.answer(fields, text)

    def answer(self, fields: Mapping[str, Any], text: str) -> None:
        """What was asked for; `--quiet` does not hide it."""
        write_out(json.dumps(fields, default=as_json, ensure_ascii=False) if self.as_json else text)

    def rows(self, frame: pl.DataFrame, text: str | None = None) -> None:
        """The rows that were asked for; `--quiet` does not hide them."""
        if self.as_json:
            plain = frame.fill_nan(None).to_dicts()
            write_out(json.dumps(plain, default=as_json, ensure_ascii=False))
        else:
            write_out(table(frame) if text is None else text)

    @contextmanager
    def progress(self, title: str, *, in_bytes: bool = False) -> Iterator[Callable[..., None]]:
        """A bar on a terminal; in a log a line per unit; nothing if quiet.

        What is given is called with a unit's name, how much is done, and how much there is: of the
        unit's bytes with `in_bytes`, else of all units.
        """
        console = Console(stderr=True)
        if self.is_quiet or not console.is_terminal:
            yield _logged(title, in_bytes)
            return
        amount = DownloadColumn() if in_bytes else MofNCompleteColumn()
        columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeElapsedColumn())
        with Progress(*columns, console=console, transient=True) as bar:
            task = bar.add_task(title, total=None)
            yield lambda unit, done, total: bar.update(
                task, description=f"{title} {_shortened(unit)}", completed=done, total=total
            )


class HideSecrets(logging.Filter):
    """Replaces what environment variables named as keys hold, wherever it turns up in a log."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = without_secrets(record.getMessage()), None
        return True


def start_logging(is_quiet: bool) -> None:
    """Logs go to standard error, one line per unit."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(HideSecrets())
    for name in OURS:
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.setLevel(logging.ERROR if is_quiet else logging.INFO)
        logger.propagate = False


def without_secrets(text: str) -> str:
    """The text with the values of secret environment variables replaced."""
    for name, value in os.environ.items():
        if _SECRET_NAME.search(name) and len(value) >= 6:
            text = text.replace(value, f"<{name}>")
    return text


def write_out(text: str) -> None:
    """One result on standard output."""
    sys.stdout.write(text + "\n")


def write_prompt(text: str) -> None:
    """Ask for a statement; results stay apart from it."""
    sys.stderr.write(text)
    sys.stderr.flush()


def write_error(text: str) -> None:
    """One line on standard error."""
    sys.stderr.write(f"hedgehouse: {without_secrets(text)}\n")


def exit_code(error: BaseException) -> int | None:
    """The code of a documented error; None for what is a defect."""
    if type(error).__name__ in NAMED_CODES:
        return NAMED_CODES[type(error).__name__]
    for kind, code in CODES:
        if isinstance(error, kind):
            return code
    is_ours = type(error).__module__.split(".")[0] in OURS
    return BAD_DATA if is_ours and isinstance(error, ValueError) else None


def one_line(error: BaseException) -> str:
    """An error as one line that names its place."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) if str(error) else type(error).__name__


def table(frame: pl.DataFrame) -> str:
    """The first rows of a frame, aligned and never shortened."""
    shown = [[_cell(value) for value in row] for row in frame.head(SHOWN_ROWS).rows()]
    count = f"{frame.height:,} rows"
    if frame.height > SHOWN_ROWS:
        count = f"{count}, the first {SHOWN_ROWS} shown; --json gives all"
    if any("\n" in cell for row in shown for cell in row):  # a query plan, drawn by DuckDB
        return "\n".join("\n".join(row) for row in shown)
    widths = [max(map(len, column)) for column in zip(frame.columns, *shown, strict=True)]
    is_number = [kind.is_numeric() for kind in frame.dtypes]
    lines = [
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(cells, widths, is_number, strict=True)
        ).rstrip()
        for cells in (frame.columns, ["-" * width for width in widths], *shown)
    ]
    return "\n".join([*lines, count])


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S.%f").removesuffix(".000000")
    if isinstance(value, list | dict):
        return json.dumps(value, default=as_json, ensure_ascii=False)
    return str(value)


def as_json(value: Any) -> Any:
    """What JSON has no type for."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | set | frozenset):
        return sorted(value)
    return str(value)


def _logged(title: str, in_bytes: bool) -> Callable[[str, int, int], None]:
    last = ""

    def tell(unit: str, done: int, total: int) -> None:
        nonlocal last
        if in_bytes and unit != last:
            last = unit
            log.info("%s %s (%d bytes)", title, unit, total)
        elif not in_bytes:
            log.info("%s %d/%d %s", title, done, total, unit)

    return tell


def _shortened(text: str) -> str:
    return text if len(text) <= 48 else f"...{text[-45:]}"
