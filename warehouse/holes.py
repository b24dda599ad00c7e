"""What was missing, and did a later commit bring it?

A unit's holes are replaced with the unit. A hole that the next unit of that name no longer has was
filled by it; one that it still has is told by it.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise

from warehouse.manifest import Gap, Manifest, Partition, Unit

UNLISTED = "unlisted"  # the cause where a unit is a gap and does not say which rows it lacks


def holes(manifest: Manifest, by: datetime | None) -> Iterator[Gap]:
    """Every hole known at `by` (default now), with the source that filled it, if one did."""
    histories: dict[str, list[Unit]] = {}
    for unit in (*manifest.former_units, *manifest.units):
        if by is None or unit.committed_at is None or unit.committed_at <= by:
            histories.setdefault(unit.name, []).append(unit)
    known = [unit for history in histories.values() for unit in history]
    is_told = any(unit.instrument_id and unit.status == "gap" for unit in known)
    for history in histories.values():
        listed = [(unit, _listed(unit, manifest.partition, is_told)) for unit in history]
        for (_, gaps), (later, still) in pairwise(listed):
            for gap in gaps:
                if not any(_overlap(gap, other) for other in still):
                    yield replace(gap, repaired_by=gap.repaired_by or later.source)
        yield from listed[-1][1]


def _listed(unit: Unit, partition: Partition, is_told: bool) -> tuple[Gap, ...]:
    """The unit's holes; of a gap that lists none, as much of the day as was over.

    What a unit says of a whole answer is left to its instruments, where one of them is a gap.
    """
    if unit.gaps or unit.status != "gap" or (is_told and unit.instrument_id is None):
        return unit.gaps
    start = datetime.combine(partition.day, time(), UTC)
    end = start + timedelta(days=1)
    over = min(end, max(start, unit.committed_at)) if unit.committed_at else end
    name = unit.instrument_id or unit.name
    return (Gap(name, start, over, UNLISTED, None, unit.proof),)


def _overlap(gap: Gap, other: Gap) -> bool:
    """A missed snapshot is a hole without extent: it overlaps what begins with it."""
    return gap.instrument_id == other.instrument_id and (
        gap.started_at == other.started_at
        or (gap.started_at < other.ended_at and other.started_at < gap.ended_at)
    )
