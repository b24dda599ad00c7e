"""Which days have changed since the last build?

A build notes which parts it read of each partition; a partition whose parts differ, or which had
not settled yet, is built again.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from warehouse.location import Location, write_durably
from warehouse.manifest import Manifest

# A row may become knowable some time after its day: days younger than this are built again.
SETTLING = timedelta(days=2)


@dataclass(frozen=True, slots=True)
class Basis:
    """What a build rests on: model version, its two moments, and the parts of each partition."""

    version: str
    as_of_at: datetime
    committed_by_at: datetime
    parts: dict[str, list[str]]

    @staticmethod
    def of(found: Iterable[Manifest], model_version: str, as_of: datetime, by: datetime) -> "Basis":
        """The basis of a build of rows knowable by `as_of` from revisions committed by `by`."""
        current = {
            m.partition.name: sorted(p.name for p in m.current_parts(by))
            for m in found
            if m.partition.day <= as_of.astimezone(UTC).date()
        }
        return Basis(model_version, as_of, by, current)

    @staticmethod
    def read(location: Location) -> "Basis | None":
        """The basis of the last build that finished, or None."""
        path = location.work / "built.json"
        if not path.exists():
            return None
        found = json.loads(path.read_text())
        as_of = datetime.fromisoformat(found["as_of_at"])
        by = datetime.fromisoformat(found["committed_by_at"])
        return Basis(found["version"], as_of, by, found["parts"])

    def write(self, location: Location) -> None:
        """Note that a build on this basis has finished."""
        text = {
            "version": self.version,
            "as_of_at": self.as_of_at.isoformat(),
            "committed_by_at": self.committed_by_at.isoformat(),
            "parts": self.parts,
        }
        write_durably(location.work / "built.json", json.dumps(text, indent=1).encode())

    def changed_since(self, before: "Basis | None") -> dict[str, list[date]]:
        """Per lake table, the days whose parts differ from `before` or had not settled then."""
        if before is None:
            return self.held()
        unsettled = (before.as_of_at - SETTLING).date()
        changed = [
            name
            for name in {*self.parts, *before.parts}
            if self.parts.get(name) != before.parts.get(name) or _split(name)[1] >= unsettled
        ]
        return _by_table(changed)

    def held(self) -> dict[str, list[date]]:
        """Per lake table, every day there is."""
        return _by_table(self.parts)


def _split(partition: str) -> tuple[str, date]:
    table, _, day = partition.split("/")
    return table, date.fromisoformat(day.removeprefix("day="))


def _by_table(partitions: Iterable[str]) -> dict[str, list[date]]:
    found: dict[str, set[date]] = {}
    for table, day in map(_split, partitions):
        found.setdefault(table, set()).add(day)
    return {table: sorted(days) for table, days in found.items()}
