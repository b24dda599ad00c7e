"""The steps from files to published signals, as Dagster assets an operator runs and watches."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from assets.building import build
from pipelines.ingest import import_paths
from warehouse.location import Location, default_root
from warehouse.publish import publish


class Files(dg.Config):
    """Which files or folders to import, as paths on the machine that runs the code."""

    paths: list[str]


@dg.asset(key_prefix="lake", group_name="ingestion", kinds={"parquet"})
def archives(context: dg.AssetExecutionContext, config: Files) -> dg.MaterializeResult[None]:
    """Rows of bulk files and portfolios, checked and committed to the lake."""
    paths = [Path(path) for path in config.paths]
    report = import_paths(_location(), paths, clock=_now)
    for error in report.errors:
        context.log.error(error)
    if report.exit_code:
        raise dg.Failure("; ".join(report.errors) or f"import ended with {report.exit_code}")
    return dg.MaterializeResult(
        metadata={
            "files": len(report.files),
            "rows": sum(file.rows for file in report.files),
            "quarantined": sum(file.quarantined for file in report.files),
        }
    )


@dg.asset(deps=[archives], group_name="marts", kinds={"dbt", "duckdb"})
def work_database(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
    """Every mart, built over the days that changed."""
    report = build(
        _location(),
        clock=_now,
        progress=lambda name, done, planned: context.log.info(f"{done}/{planned} {name}"),
    )
    return dg.MaterializeResult(
        metadata={
            "models_run": report.models_run,
            "changed_days": len(report.changed_days),
            "model_version": report.model_version,
        }
    )


@dg.asset(deps=[work_database], group_name="published", kinds={"duckdb"})
def generation() -> dg.MaterializeResult[None]:
    """The immutable file that analysts and strategies read."""
    made = publish(_location(), clock=_now)
    return dg.MaterializeResult(
        metadata={"generation": made.name, "path": dg.MetadataValue.path(made.path)}
    )


defs = dg.Definitions(assets=[archives, work_database, generation])


def _location() -> Location:
    return Location(default_root())


def _now() -> datetime:
    return datetime.now(UTC)
