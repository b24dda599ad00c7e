"""Bulk files and portfolios, from wherever they lie on the machine that runs the code."""

from pathlib import Path

import dagster as dg

from assets import results
from assets.line import LiveLine
from assets.partitions import VENUES, key_of
from pipelines.ingest import import_paths
from warehouse.contract import LAKE_TABLES


class Files(dg.Config):
    """Which files or folders to import, as paths on the machine that runs the code."""

    paths: list[str]


@dg.asset(key_prefix="lake", group_name="archives", kinds={"parquet"})
def archives(
    context: dg.AssetExecutionContext, config: Files, live: dg.ResourceParam[LiveLine]
) -> dg.MaterializeResult[None]:
    """Rows of bulk files and portfolios, checked and committed to the lake."""
    paths = [Path(path) for path in config.paths]
    report = import_paths(live.location, paths, clock=live.clock)
    for error in report.errors:
        context.log.error(error)
    for file in report.files:
        if file.table in PORTFOLIOS:
            context.log_event(_brought(file.table, None, file.rows))
        elif file.venue in VENUES:
            for day in file.days:
                context.log_event(_brought(file.table, key_of(file.venue, day), file.rows))
    if report.exit_code:
        raise dg.Failure("; ".join(report.errors) or f"import ended with {report.exit_code}")
    return dg.MaterializeResult(
        metadata={
            "files": len(report.files),
            "rows": sum(file.rows for file in report.files),
            "quarantined": sum(file.quarantined for file in report.files),
        }
    )


def _brought(table: str, partition: str | None, rows: int) -> dg.AssetMaterialization:
    return dg.AssetMaterialization(
        results.lake_key(table), partition=partition, metadata={"rows_of_file": rows}
    )


PORTFOLIOS = ("positions", "balances")
STATEMENTS = tuple(
    dg.AssetSpec(
        results.lake_key(table),
        deps=[archives],
        group_name="archives",
        kinds={"parquet"},
        description=f"One row per {LAKE_TABLES[table].grain}.",
    )
    for table in PORTFOLIOS
)
