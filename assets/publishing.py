"""What analysts and strategies read: an immutable generation, made when every model is sound."""

import dagster as dg

from assets.line import LiveLine
from assets.transform import POOL, models
from warehouse.generations import Locked
from warehouse.publish import publish


@dg.asset(
    key_prefix="published", deps=[models], group_name="published", kinds={"duckdb"}, pool=POOL
)
def generation(
    context: dg.AssetExecutionContext, live: dg.ResourceParam[LiveLine]
) -> dg.MaterializeResult[None]:
    """The file that `current.duckdb` leads to."""
    try:
        made = publish(live.location, clock=live.clock)
    except Locked as error:  # by a publish from the command line
        if not live.retries:
            raise dg.Failure(str(error), allow_retries=False) from error
        raise dg.RetryRequested(max_retries=20, seconds_to_wait=15) from error
    context.log.info("published %s", made.name)
    rows = [
        dg.TableRecord({"table": name, "rows": count})
        for name, count in sorted(made.row_counts.items())
    ]
    return dg.MaterializeResult(
        metadata={
            "generation": made.name,
            "path": dg.MetadataValue.path(made.path),
            "issued_signals": made.issued_count,
            "data_through": str(made.event.data_through_at),
            "tables": dg.MetadataValue.table(rows),
            "dagster/row_count": sum(made.row_counts.values()),
        },
        data_version=dg.DataVersion(made.name),
    )
