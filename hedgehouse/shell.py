"""How are statements answered that come one after another?"""

from typing import TextIO

import duckdb

from hedgehouse import QueryTimeout, StatementRefused, Warehouse, console
from hedgehouse.console import Voice


def answer_all(client: Warehouse, voice: Voice, source: TextIO) -> int:
    """Answer each statement of `source`, which ends with `;` at the end of a line, or at its end.

    A wrong one is told and the next is read. Returns 0, or the exit code of the first wrong one.
    """
    code, pending = 0, ""
    _prompt(source, client.generation)
    for line in source:
        pending += line
        if pending.strip().lower() in ("quit", "exit", ".quit", ".exit"):
            return code
        if line.rstrip().endswith(";"):
            answered = _answer(client, voice, pending)
            code, pending = code or answered, ""
        _prompt(source, "   " if pending else client.generation)
    if pending.strip():
        answered = _answer(client, voice, pending)
        code = code or answered
    return code


def _answer(client: Warehouse, voice: Voice, query: str) -> int:
    try:
        voice.rows(client.sql(query))
    except (duckdb.Error, StatementRefused, QueryTimeout) as error:
        console.write_error(console.one_line(error))
        return console.exit_code(error) or console.FAILED
    return 0


def _prompt(source: TextIO, text: str) -> None:
    if source.isatty():
        console.write_prompt(f"{text}> ")
