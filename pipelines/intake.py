"""What does a market-data file hold? It is read whole and judged before anything is committed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl

from expectations import gate
from expectations.gate import REFUSED, ROW_NUMBER, Ledger
from pipelines.ahead import ahead
from pipelines.archives import opening
from pipelines.archives.base import Decoded, Feed, SourceRefused
from pipelines.snapshots import Chain
from pipelines.spool import Spool
from pipelines.universe import Instrument
from warehouse.contract import LAKE_TABLES, Table


@dataclass(slots=True)
class Intake:
    """What was read of a feed for one table: rows that passed, rows refused, and the findings."""

    table: Table
    store: Spool | Chain
    ledger: Ledger
    refused: list[pl.DataFrame] = field(default_factory=list)

    def refusals(self) -> pl.DataFrame:
        """Each refused row once: of a book, each of whose levels repeats another's, too."""
        every = pl.concat([pl.DataFrame(schema=REFUSED), *self.refused])
        return every.unique(maintain_order=True).sort(ROW_NUMBER)


def read(
    feed: Feed, folder: Path, progress: Callable[[int], None] | None
) -> tuple[dict[str, Intake], dict[str, Instrument]]:
    """Everything the file holds, judged: intakes by table, instruments by instrument_id.

    Raises `SourceRefused` where the file is damaged or empty, `GateRefused` where it is of the
    wrong unit or mostly bad.
    """
    intakes = {name: _intake(LAKE_TABLES[name], feed, folder) for name in feed.tables}
    instruments: dict[str, Instrument] = {}
    rows = 0
    for count, decoded in ahead(_decoded(feed, progress)):
        rows += count
        instruments |= {item.instrument_id: item for item in decoded.instruments}
        intakes[feed.tables[0]].refused.append(decoded.refused)
        for name, frame in decoded.rows.items():
            audit = gate.audit(LAKE_TABLES[name], frame)
            intakes[name].ledger.add(audit)
            intakes[name].refused.append(audit.refused)
            intakes[name].store.add(audit.kept)
    if not rows:
        raise SourceRefused(f"{feed.path}: holds no rows")
    for intake in intakes.values():
        _check_refused_share(intake)
    return intakes, instruments


def _check_refused_share(intake: Intake) -> None:
    """Raise `GateRefused` where more than half of what should go to the table was refused."""
    reasons = dict(intake.refusals()["reason"].value_counts().iter_rows())
    rows, path = intake.store.rows + sum(reasons.values()), intake.ledger.source_path
    intake.ledger.of_source.append(gate.refused_share(intake.table, path, rows, reasons))


def _decoded(feed: Feed, progress: Callable[[int], None] | None) -> Iterator[tuple[int, Decoded]]:
    """Each chunk decoded, and how many rows it has."""
    for chunk in opening.chunks(feed.path, feed.layout, progress=progress):
        yield chunk.end_row - chunk.first_row, feed.decode(chunk)


def _intake(table: Table, feed: Feed, folder: Path) -> Intake:
    store = Chain() if feed.is_chain else Spool(table, folder, keeps_last=feed.keeps_last)
    return Intake(table, store, Ledger(table, str(feed.path)))
