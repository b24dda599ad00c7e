"""How does a portfolio file become committed states? Whole or not at all."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from itertools import groupby

import polars as pl

from expectations import gate
from pipelines.archives import portfolio
from pipelines.archives.base import SourceRefused, Statement
from pipelines.archives.portfolio import Listing
from pipelines.feeds import FileReport
from warehouse.contract import LAKE_TABLES
from warehouse.lake import Check, Partition, Unit, commit, stage
from warehouse.location import Location, World
from warehouse.raw import Page, land

VENUE = "portfolio"  # states of portfolios have a partition of their own
RANK = 30
PROOF = "the file is taken whole or not at all"

State = tuple[str, datetime, pl.DataFrame]


def bring(
    location: Location,
    statement: Statement,
    listings: Mapping[str, Listing],
    world: World,
    at: datetime,
) -> FileReport:
    """Commit the states of every portfolio in the file, its text kept as evidence.

    Raises `SourceRefused` naming file, row, column and value; nothing of that file is committed,
    and an empty folder stays empty.
    """
    table, path = LAKE_TABLES[statement.table], statement.path
    text = portfolio.text_of(statement)
    rows, unread = portfolio.read(statement, text, listings)
    ledger = gate.Ledger(table, str(path))
    audit = gate.audit(table, rows)
    ledger.add(audit)
    for number, reason in audit.refused.rows():
        raise SourceRefused(f"{path}: row {number}: {reason}")
    location.claim(world)
    written_at = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    raw = land(location, VENUE, [Page(path.name, text, written_at.isoformat())])
    days, outcomes = [], []
    for day, states in groupby(_states(rows), key=lambda state: state[1].date()):
        days.append(day)
        partition = Partition(table.name, VENUE, day)
        outcomes.append(_commit(location, partition, list(states), raw, ledger.checks((day,)), at))
    state = "committed" if "committed" in outcomes else "unchanged"
    notices = tuple(f"column {name} is not read" for name in unread)
    return FileReport(path, table.name, VENUE, tuple(days), rows.height, 0, state, notices)


def _states(rows: pl.DataFrame) -> list[State]:
    """Each portfolio at each instant with its rows, by instant."""
    groups = rows.partition_by("portfolio_id", "as_of_at", as_dict=True, maintain_order=True)
    states = [(str(name), instant, frame) for (name, instant), frame in groups.items()]
    return sorted(states, key=lambda state: (state[1], state[0]))


def _commit(
    location: Location,
    partition: Partition,
    states: Sequence[State],
    raw: str,
    checks: Sequence[Check],
    at: datetime,
) -> str:
    gate.require(partition.name, checks)
    table = LAKE_TABLES[partition.table]
    units, parts = [], []
    with ExitStack() as stages:
        for name, instant, rows in states:
            part = stages.enter_context(stage(location, partition))
            part.write(table.conform(rows))
            unit = f"{name}@{instant.isoformat()}"
            source = f"{partition.table} file"
            units.append(Unit(unit, None, "complete", rows.height, source, RANK, PROOF, (raw,)))
            parts.append(part.finish([unit]))
        outcome = commit(location, partition, units=units, parts=parts, checks=checks, at=at)
    return outcome.state
