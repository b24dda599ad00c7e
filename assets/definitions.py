"""All that Dagster loads: assets, checks, jobs, schedules, sensors and the line they work with."""

import dagster as dg

from assets import (
    archives,
    freshness,
    ingestion,
    line,
    publishing,
    schedules,
    snapshots,
    transform,
)

defs = dg.Definitions(
    assets=[
        archives.archives,
        *archives.STATEMENTS,
        *ingestion.DAY_ASSETS,
        *ingestion.BESIDE,
        *snapshots.SNAPSHOT_ASSETS,
        transform.models,
        publishing.generation,
    ],
    asset_checks=freshness.CHECKS,
    jobs=schedules.JOBS,
    schedules=schedules.SCHEDULES,
    sensors=schedules.SENSORS,
    resources={"live": line.live},
    # A process per run, not per step: starting one costs more than most steps.
    executor=dg.in_process_executor,
)
