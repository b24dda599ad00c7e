"""Which instruments were seen on a day? One row each, whichever file named it first."""

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

import polars as pl

from expectations import gate
from expectations.gate import ROW_NUMBER, GateRefused
from pipelines import universe
from pipelines.archives.portfolio import Listing
from pipelines.universe import Instrument
from warehouse.contract import INSTRUMENTS
from warehouse.lake import Check, Partition, Unit, commit, read_manifest, scan, stage
from warehouse.location import Location

SOURCE, RANK = "symbols and seeds", 10
PROOF = "a symbol and the seeds say all that the row holds"


class Register:
    """The instruments of a data folder, committed as they are seen and remembered in between."""

    def __init__(self, location: Location) -> None:
        self._location = location
        self._held: dict[Partition, dict[str, tuple[Any, ...]]] = {}
        self._checks: dict[frozenset[str], list[Check]] = {}

    def observe(
        self, instruments: Iterable[Instrument], day: date, *, raw: str, path: str, at: datetime
    ) -> None:
        """Commit the instruments of one venue that are not held as they are for `day`."""
        rows = universe.observations(instruments, day)
        if rows.is_empty():
            return
        partition = Partition(INSTRUMENTS.name, rows["venue"][0], day)
        held = self._rows(partition)
        place = rows.columns.index("instrument_id")
        fresh = rows.filter(pl.Series([held.get(row[place]) != row for row in rows.iter_rows()]))
        if fresh.is_empty():
            return
        checks = self._audited(fresh, path, day)
        units = [
            Unit(name, name, "complete", 1, SOURCE, RANK, PROOF, (raw,))
            for name in fresh["instrument_id"]
        ]
        with stage(self._location, partition) as part:
            part.write(fresh)
            staged = part.finish([unit.name for unit in units])
            commit(self._location, partition, units=units, parts=[staged], checks=checks, at=at)
        held |= {row[place]: row for row in fresh.iter_rows()}

    def _rows(self, partition: Partition) -> dict[str, tuple[Any, ...]]:
        if partition not in self._held:
            folder = partition.folder(self._location)
            found: dict[str, tuple[Any, ...]] = {}
            for part in read_manifest(self._location, partition).current_parts():
                frame = pl.read_parquet(folder / part.name, glob=False)
                found |= zip(frame["instrument_id"], frame.iter_rows(), strict=True)
            self._held[partition] = found
        return self._held[partition]

    def _audited(self, rows: pl.DataFrame, path: str, day: date) -> list[Check]:
        """The same instruments are judged once: their rows differ in the day alone."""
        names = frozenset(rows["instrument_id"])
        if names not in self._checks:
            audit = gate.audit(INSTRUMENTS, rows.with_row_index(ROW_NUMBER, 1))
            if audit.refused.height:
                raise GateRefused(f"instruments: were refused: {audit.refused.rows()}")
            ledger = gate.Ledger(INSTRUMENTS, path)
            ledger.add(audit)
            checks = ledger.checks([day])
            gate.require(INSTRUMENTS.name, checks)
            self._checks[names] = checks
        return self._checks[names]


def listings(location: Location) -> Mapping[str, Listing]:
    """The latest that the lake knows of every instrument, by instrument_id."""
    columns = ("venue", "underlying", "kind", "contract_type", "contract_size", "lot_size")
    rows = (
        scan(location, INSTRUMENTS.name)
        .sort("valid_from")
        .unique("instrument_id", keep="last", maintain_order=True)
        .select("instrument_id", *columns)
        .collect()
    )
    return {name: Listing(*facts) for name, *facts in rows.iter_rows()}
