"""What do runs, backfills and repairs tell, as fields for machines and as text for people?"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from hedgehouse.reporting import generation_fields, generation_text, import_fields, import_text

if TYPE_CHECKING:  # Dagster and ccxt take seconds to load, and few commands need them
    from assets.backfill import Brought
    from assets.held import Held
    from assets.repairing import Hole, Repaired
    from assets.running import RunReport

SHOWN = 20  # lines of one kind; --json gives all


@dataclass(frozen=True, slots=True)
class Share:
    """What the embedded market did: its processor time, requests by path, faults by kind."""

    cpu_s: float
    requests: Mapping[str, int]
    faults: Mapping[str, int]


def run_fields(report: "RunReport", share: Share | None) -> dict[str, Any]:
    """A run, with the embedded market's share where it was the embedded one."""
    return {
        "days": report.days,
        **held_fields(report.held),
        "revised_units": report.revised,
        "units_asked_again": report.asked_again,
        "errors": list(report.errors),
        "portfolio": import_fields(report.imported) if report.imported else None,
        "generation": generation_fields(report.generation) if report.generation else None,
        "market": asdict(share) if share else None,
        "exit_code": report.exit_code,
    }


def run_text(report: "RunReport", share: Share | None) -> str:
    """The same in lines."""
    lines = [*held_lines(report.held), *_survived(report, share)]
    if report.imported:
        lines.append(f"imported from files: {import_text(report.imported)}")
    made = report.generation
    lines.append(generation_text(made) if made else "nothing was published")
    if share:
        lines.append(
            f"the market's own share: {share.cpu_s:.1f} s of processor time for "
            f"{sum(share.requests.values()):,} requests"
        )
    return "\n".join(lines)


def _survived(report: "RunReport", share: Share | None) -> list[str]:
    faults = Counter(share.faults if share else {})
    met = ", ".join(f"{kind} {count:,}" for kind, count in sorted(faults.items()))
    told = [f"{sum(faults.values()):,} answers spoilt ({met})"] if met else []
    told.append(f"{report.asked_again:,} units missing at first and asked for again")
    told.append(f"{report.revised:,} units revised by late or corrected rows")
    return [f"survived: {'; '.join(told)}"]


def held_fields(held: "Held") -> dict[str, Any]:
    """What days came to."""
    return {
        "rows": held.rows,
        "units": held.units,
        "gaps": [asdict(found) for found in held.gaps],
        "failed_checks": list(held.failed_checks),
    }


def held_lines(held: "Held") -> list[str]:
    """The same in lines."""
    units = ", ".join(f"{count:,} {status}" for status, count in held.units.items())
    holes = [
        f"gap: {f.venue} {f.table} {f.gap.instrument_id} {f.gap.started_at:%Y-%m-%d %H:%M:%S} to "
        f"{f.gap.ended_at:%Y-%m-%d %H:%M:%S}: {f.gap.cause}, {f.gap.detail}"
        for f in held.gaps
    ]
    return [
        *(f"  {table:30} {rows:>12,}" for table, rows in held.rows.items()),
        f"units: {units or 'none'}",
        *_first(holes, "gaps"),
        *_first([f"failed: {check}" for check in held.failed_checks], "failed checks"),
    ]


def backfill_fields(brought: "Sequence[Brought]", held: "Held") -> dict[str, Any]:
    """Days that were asked for, and what they came to."""
    return {
        "days": [
            {"venue": b.venue, "day": b.day, "was_held": b.was_held, "errors": list(b.errors)}
            for b in brought
        ],
        **held_fields(held),
        "exit_code": max([held.exit_code, *(one.exit_code for one in brought)]),
    }


def backfill_text(brought: "Sequence[Brought]", held: "Held") -> str:
    """The same in lines."""
    asked = sum(not b.was_held for b in brought)
    return "\n".join(
        [
            f"{asked} days of venues asked for, {len(brought) - asked} held and complete already",
            *held_lines(held),
        ]
    )


def repair_fields(repaired: "Repaired") -> dict[str, Any]:
    """Which holes were filled, and why the others were not."""
    return {
        "repaired": [_hole_fields(hole) for hole in repaired.filled],
        "left": [_hole_fields(hole) | {"reason": reason} for hole, reason in repaired.left],
        "exit_code": repaired.exit_code,
    }


def repair_text(repaired: "Repaired") -> str:
    """The same in lines."""
    left = [f"left: {_hole_text(hole)}: {reason}" for hole, reason in repaired.left]
    filled = [f"repaired: {_hole_text(hole)}" for hole in repaired.filled]
    return "\n".join(
        [f"{len(filled)} gaps repaired, {len(left)} left", *filled, *_first(left, "gaps left")]
    )


def _hole_fields(hole: "Hole") -> dict[str, Any]:
    place = hole.partition
    return {
        "table_name": place.table,
        "venue": place.venue,
        "day": place.day,
        "unit": hole.unit.name,
        "gaps": [asdict(gap) for gap in hole.unit.gaps],
    }


def _hole_text(hole: "Hole") -> str:
    place = hole.partition
    return f"{place.venue} {place.table} {place.day} {hole.unit.name}"


def _first(lines: Sequence[str], name: str) -> list[str]:
    if len(lines) <= SHOWN:
        return list(lines)
    return [*lines[:SHOWN], f"and {len(lines) - SHOWN:,} more {name}; --json gives all"]


def days_between(first: date, last: date) -> tuple[date, ...]:
    """Both included."""
    return tuple(date.fromordinal(n) for n in range(first.toordinal(), last.toordinal() + 1))
