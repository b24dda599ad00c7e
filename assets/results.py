"""How does what came of a question read in Dagster? As checks, metadata and materialisations."""

import hashlib
import warnings
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import groupby

import dagster as dg

from assets.partitions import key_of
from assets.plots import picture
from pipelines.live import DAY_QUESTIONS, MISSED, NOT_RETRIEVABLE, TableReport
from warehouse.contract import LAKE_TABLES
from warehouse.lake import Check, Gap, Manifest, Partition, read_manifest
from warehouse.location import Location

CONTRACT, COMPLETE = "contract", "complete"
LOST = (MISSED, NOT_RETRIEVABLE)  # states that were not asked for in time: no retry brings them
MOST_LISTED = 50

Result = dg.MaterializeResult[None] | dg.AssetCheckResult


def lake_key(table: str) -> dg.AssetKey:
    return dg.AssetKey(["lake", table])


def lake_spec(table: str, partitions: dg.PartitionsDefinition, **more: object) -> dg.AssetSpec:
    """The asset of a lake table, described by the contract."""
    held = LAKE_TABLES[table]
    columns = [dg.TableColumn(c.name, type=str(c.dtype), description=c.doc) for c in held.columns]
    return dg.AssetSpec(
        lake_key(table),
        group_name="lake",
        kinds={"parquet"},
        description=f"One row per {held.grain}.",
        metadata={"dagster/column_schema": dg.TableSchema(columns)},
        partitions_def=partitions,
        **more,  # type: ignore[arg-type]
    )


def check_specs(table: str, partitions: dg.PartitionsDefinition) -> list[dg.AssetCheckSpec]:
    """The gate's word on what came, which stops what stands on it, and whether all came."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.PreviewWarning)  # checks by partition
        return [
            dg.AssetCheckSpec(
                CONTRACT,
                asset=lake_key(table),
                blocking=True,
                partitions_def=partitions,
                description="The gate's blocking expectations hold for every row that is kept.",
            ),
            dg.AssetCheckSpec(
                COMPLETE,
                asset=lake_key(table),
                partitions_def=partitions,
                description="Every unit is proven whole, or still under way.",
            ),
        ]


def results(
    location: Location, reports: Sequence[TableReport], question: str, *, retries: bool = True
) -> Iterator[Result]:
    """Checks and materialisation of the question's own table, from all that its answers filled.

    Raises `dg.Failure` in place of the materialisation: at once where a blocking check failed, and
    to be tried again where the source did not give what it has.
    """
    yield from checks(reports, question)
    if broken := [c for r in reports for c in r.checks if _is_broken(c)]:
        raise dg.Failure(
            "; ".join(f"{c.source_path}: {c.expectation}: {c.reason}" for c in broken),
            allow_retries=False,
        )
    if missing := [line for report in reports for line in _missing(report)]:
        raise dg.Failure(
            "; ".join(missing[:MOST_LISTED]),
            metadata={"missing": len(missing)},
            allow_retries=retries,
        )
    for report in reports:
        if report.table == question:
            yield dg.MaterializeResult(
                asset_key=lake_key(report.table),
                metadata=metadata(location, report),
                data_version=data_version(_manifest(location, report)),
            )


def checks(reports: Sequence[TableReport], question: str) -> Iterator[dg.AssetCheckResult]:
    """The two checks on the question's table; what came beside its rows is judged with them."""
    found = [(report.table, check) for report in reports for check in report.checks]
    broken = [check for _, check in found if _is_broken(check)]
    yield dg.AssetCheckResult(
        asset_key=lake_key(question),
        check_name=CONTRACT,
        passed=not broken,
        metadata={
            "expectations": len(found),
            "failed": ", ".join(sorted({check.expectation for check in broken})) or "none",
            "table": _table([_told(table, check) for table, check in found]),
        },
    )
    units = Counter[str]()
    for report in reports:
        units.update(report.units)
    gaps = [gap for report in reports for gap in report.gaps]
    yield dg.AssetCheckResult(
        asset_key=lake_key(question),
        check_name=COMPLETE,
        passed=not (units["gap"] or units["unprovable"] or gaps),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"units": dict(units), "gaps": len(gaps), "table": _table(map(_hole, gaps))},
    )


def events(
    location: Location, reports: Sequence[TableReport], except_of: Collection[str] = ()
) -> Iterator[dg.AssetMaterialization | dg.AssetObservation]:
    """What was brought to tables by a step that is not their asset's own.

    A day table that is asked for by itself is not filled by rows that came beside a snapshot: that
    is an observation.
    """
    for report in reports:
        if report.table in except_of or not (report.rows or report.units):
            continue
        key, partition = lake_key(report.table), str(key_of(report.venue, report.day))
        told = metadata(location, report)
        if report.table in DAY_QUESTIONS:
            yield dg.AssetObservation(key, partition=partition, metadata=told)
        else:
            version = data_version(_manifest(location, report)).value
            tags = {"dagster/data_version": version}
            yield dg.AssetMaterialization(key, partition=partition, metadata=told, tags=tags)


def metadata(location: Location, report: TableReport) -> Mapping[str, dg.MetadataValue]:
    """The same keys for every table. Rows are those of this call; the rest is what is held."""
    held = _manifest(location, report)
    parts = held.current_parts()
    starts = [part.first_event_at for part in parts if part.first_event_at]
    ends = [part.last_event_at for part in parts if part.last_event_at]
    return {
        "rows": dg.MetadataValue.int(report.rows),
        "received": dg.MetadataValue.int(report.received),
        "quarantined": dg.MetadataValue.int(report.quarantined),
        "apart": dg.MetadataValue.int(report.apart),
        "units": dg.MetadataValue.json(dict(Counter(unit.status for unit in held.units))),
        "gaps": _table(map(_hole, report.gaps)),
        "revised": dg.MetadataValue.int(len(report.revised)),
        "events": dg.MetadataValue.text(
            f"{min(starts).isoformat()} to {max(ends).isoformat()}" if starts else "none"
        ),
        "bytes": dg.MetadataValue.int(sum(part.bytes for part in parts)),
        "notices": dg.MetadataValue.md("\n".join(f"* {line}" for line in report.notices) or "none"),
        "plot": dg.MetadataValue.md(picture(location, held)),
        "dagster/partition_row_count": dg.MetadataValue.int(sum(part.rows for part in parts)),
    }


def data_version(held: Manifest) -> dg.DataVersion:
    """Equal where the same rows are held and the same is known of them."""
    told = [part.sha256 for part in held.current_parts()]
    told += [f"{unit.name} {unit.status} {unit.rows}" for unit in held.units]
    return dg.DataVersion(hashlib.sha256("\n".join(sorted(told)).encode()).hexdigest()[:16])


def merged(reports: Iterable[TableReport]) -> list[TableReport]:
    """One report per table, venue and day of what several calls brought."""

    def place(report: TableReport) -> tuple[str, str, str]:
        return report.table, report.venue, report.day.isoformat()

    return [_sum(list(same)) for _, same in groupby(sorted(reports, key=place), place)]


def _sum(same: Sequence[TableReport]) -> TableReport:
    units = Counter[str]()
    for report in same:
        units.update(report.units)
    return replace(
        same[0],
        state="committed" if any(r.state == "committed" for r in same) else "unchanged",
        rows=sum(r.rows for r in same),
        received=sum(r.received for r in same),
        quarantined=sum(r.quarantined for r in same),
        apart=sum(r.apart for r in same),
        units=units,
        gaps=tuple(gap for r in same for gap in r.gaps),
        checks=tuple(check for r in same for check in r.checks),
        revised=tuple(unit for r in same for unit in r.revised),
        notices=tuple(dict.fromkeys(line for r in same for line in r.notices)),
        errors=tuple(dict.fromkeys(line for r in same for line in r.errors)),
    )


def _missing(report: TableReport) -> list[str]:
    """What the source has and did not give. What cannot be proven is no gap, and asking again
    changes nothing about it."""
    gaps = report.gaps if report.units.get("gap") else ()
    holes = [
        f"{gap.instrument_id} {gap.started_at.isoformat()} to {gap.ended_at.isoformat()}: "
        f"{gap.cause}: {gap.detail}"
        for gap in gaps
        if gap.cause not in LOST
    ]
    return [f"{report.table} of {report.venue}: {line}" for line in (*report.errors, *holes)]


def _manifest(location: Location, report: TableReport) -> Manifest:
    return read_manifest(location, Partition(report.table, report.venue, report.day))


def _is_broken(check: Check) -> bool:
    return check.is_blocking and not check.is_passed


def _told(table: str, check: Check) -> dict[str, str | int | bool]:
    return {
        "table": table,
        "expectation": check.expectation,
        "column": check.column_name,
        "blocking": check.is_blocking,
        "passed": check.is_passed,
        "rows": check.evaluated_count,
        "unexpected": check.unexpected_count,
        "reason": check.reason,
    }


def _hole(gap: Gap) -> dict[str, str | int | bool]:
    return {
        "instrument": gap.instrument_id,
        "from": gap.started_at.isoformat(),
        "to": gap.ended_at.isoformat(),
        "cause": gap.cause,
        "missing": -1 if gap.missing_count is None else gap.missing_count,
        "detail": gap.detail,
    }


def _table(rows: Iterable[Mapping[str, str | int | bool]]) -> dg.MetadataValue:
    """A table of the first rows; an empty one is said in words, since it would have no columns."""
    found = [dg.TableRecord(dict(row)) for row in rows]
    if not found:
        return dg.MetadataValue.text("none")
    return dg.MetadataValue.table(found[:MOST_LISTED])
