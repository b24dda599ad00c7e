"""What does a command tell, as fields for machines and as text for people?"""

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import polars as pl

from warehouse import catalog, generations
from warehouse.location import Location
from warehouse.manifest import manifests
from warehouse.publish import Generation, current

if TYPE_CHECKING:  # the importers take seconds to load, and only one command needs them
    from pipelines.ingest import ImportReport

_OPEN_STATES = ("gap", "unprovable", "open")


def import_fields(report: "ImportReport") -> dict[str, Any]:
    """An import, file by file."""
    files = [
        {
            "path": file.path,
            "table": file.table,
            "venue": file.venue,
            "days": file.days,
            "rows": file.rows,
            "quarantined": file.quarantined,
            "state": file.state,
            "notices": list(file.notices),
        }
        for file in report.files
    ]
    return {"files": files, "errors": list(report.errors), "exit_code": report.exit_code}


def import_text(report: "ImportReport") -> str:
    """An import in one line per state of its files."""
    rows = sum(file.rows for file in report.files)
    refused = sum(file.quarantined for file in report.files)
    states = Counter(file.state for file in report.files)
    told = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    return (
        f"{len(report.files)} files ({told or 'none'}): {rows:,} rows, {refused:,} in quarantine, "
        f"{len(report.errors)} errors"
    )


def generation_fields(found: Generation) -> dict[str, Any]:
    """A generation."""
    return {
        **generations.as_text(found.event),
        "path": found.path,
        "row_counts": found.row_counts,
        "issued_count": found.issued_count,
    }


def generation_text(found: Generation) -> str:
    """A generation in one line."""
    rows, through = sum(found.row_counts.values()), found.event.data_through_at
    reach = f"data through {through:%Y-%m-%dT%H:%M:%SZ}" if through else "no market data"
    tables = f"{len(found.row_counts)} tables, {rows:,} rows"
    return f"{found.name}: {tables}, {found.issued_count} signals issued, {reach}"


def status_fields(location: Location) -> dict[str, Any]:
    """The world, the lake, the last build and the current generation."""
    world = location.world()
    held = manifests(location) if location.lake.is_dir() else []
    found = current(location)
    lake = Counter[str]()
    for manifest in held:
        lake[manifest.partition.table] += sum(part.rows for part in manifest.current_parts())
    statuses = Counter(unit.status for manifest in held for unit in manifest.units)
    return {
        "data": location.root.resolve(),
        "world": {"origin": world.origin, "mode": world.mode, "seed": world.seed}
        if world
        else None,
        "lake_rows": dict(sorted(lake.items())),
        "units": dict(sorted(statuses.items())),
        "build": _build_fields(location),
        "generation": generation_fields(found) if found else None,
    }


def status_text(fields: Mapping[str, Any]) -> str:
    """Where the folder stands, and what to do next."""
    world, build, generation = fields["world"], fields["build"], fields["generation"]
    lines = [f"folder      {fields['data']}"]
    origin = f"{world['origin']}, {world['mode']}" if world else "empty; run `hedgehouse import`"
    lines.append(f"world       {origin}")
    lines.append(f"lake        {_counts(fields['lake_rows'])}")
    lines.append(f"units       {_counts(fields['units'])}")
    lines.append(f"build       {'as of ' + build['as_of_at'] if build else 'none'}")
    if generation is None:
        return "\n".join([*lines, "generation  none; run `hedgehouse publish`"])
    lines.append(f"generation  {generation['generation']}")
    lines.append(f"published   {generation['published_at']}")
    lines.append(f"through     {generation['data_through_at']}")
    lines += [f"  {name:32} {rows:>12,}" for name, rows in generation["row_counts"].items()]
    return "\n".join(lines)


def gap_fields(location: Location) -> dict[str, Any]:
    """Holes that are known, and units that are not complete, as the manifests have them now."""
    frames = catalog.ops_frames(location, manifests(location), None)
    units = frames["coverage"].filter(pl.col("status").is_in(_OPEN_STATES))
    return {
        "gaps": frames["gaps"].to_dicts(),
        "units": units.select(
            "venue", "table_name", "unit", "day_at", "status", "row_count", "proof"
        ).to_dicts(),
    }


def gap_text(fields: Mapping[str, Any]) -> str:
    """The same, a line for each."""
    holes = [
        f"{gap['instrument_id']} {gap['table_name']} {gap['started_at']:%Y-%m-%d %H:%M:%S} to "
        f"{gap['ended_at']:%Y-%m-%d %H:%M:%S}: {gap['cause']}, {gap['detail']}"
        for gap in fields["gaps"]
        if gap["repaired_by"] is None
    ]
    filled = len(fields["gaps"]) - len(holes)
    units = [
        f"{unit['unit']} {unit['table_name']} {unit['day_at']:%Y-%m-%d}: "
        f"{unit['status']}, {unit['proof']}"
        for unit in fields["units"]
    ]
    return "\n".join(
        [
            f"{len(holes)} known holes, {filled} more were filled",
            *holes,
            f"{len(units)} units not proven complete",
            *units,
        ]
    )


def signals_text(frame: pl.DataFrame) -> str:
    """Decisions, a line for each."""
    lines = [_signal_line(row) for row in frame.to_dicts()]
    return "\n".join([*lines, f"{len(lines)} signals"])


def _signal_line(row: Mapping[str, Any]) -> str:
    order = " ".join(
        str(row[name])
        for name in ("action", "quantity_base", "instrument_id")
        if row.get(name) is not None
    )
    reasons = f" ({', '.join(row['block_reasons'])})" if row.get("block_reasons") else ""
    stale = " STALE" if row["is_stale"] else ""
    return (
        f"{row['as_of_at']:%Y-%m-%d %H:%M:%S} {row['portfolio_id']} {row['policy']} {row['leg']}: "
        f"{order}{reasons}; {row['explanation']} [{row['quality_grade']}{stale}]"
    )


def _build_fields(location: Location) -> dict[str, Any] | None:
    try:
        found = generations.read_build(location)
    except generations.NoBuild:
        return None
    return {
        "as_of_at": found.as_of_at.isoformat(),
        "committed_by_at": found.committed_by_at.isoformat(),
    }


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items()) or "none"
