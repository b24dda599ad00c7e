"""What the lake means: one asset per dbt model, all made by one step that knows which days changed.

dbt may write to one database at a time and the build plans for all models together, so there is one
step; its pool has room for one.
"""

import hashlib
from collections.abc import Iterator, Mapping

import dagster as dg
import duckdb

from assets import manifest
from assets.building import BuildFailed, BuildReport, EmptyLake, build
from assets.changes import Basis
from assets.line import LiveLine
from assets.manifest import Node
from assets.results import Result, lake_key
from warehouse.generations import Locked
from warehouse.location import Location

POOL = "build"
TESTS = "dbt_tests"
SOUND = ("success", "pass", "warn")


def model_key(name: str) -> dg.AssetKey:
    layer = {node.name: node.layer for node in manifest.nodes()}[name]
    return dg.AssetKey([layer, name])


def _spec(node: Node) -> dg.AssetSpec:
    columns = [dg.TableColumn(name, type=kind, description=doc) for name, kind, doc in node.columns]
    return dg.AssetSpec(
        dg.AssetKey([node.layer, node.name]),
        deps=[
            *(model_key(name) for name in node.models),
            *(lake_key(name) for name in node.sources),
            *(dg.AssetKey(["seeds", name]) for name in node.seeds),
        ],
        group_name=node.schema,
        kinds={"dbt", "duckdb"},
        description=node.description or None,
        metadata={"dagster/column_schema": dg.TableSchema(columns)},
    )


@dg.multi_asset(
    name="build",
    specs=[_spec(node) for node in manifest.nodes()],
    check_specs=[
        dg.AssetCheckSpec(
            TESTS,
            asset=dg.AssetKey([node.layer, node.name]),
            blocking=True,
            description=f"dbt: {', '.join(node.tests)}.",
        )
        for node in manifest.nodes()
        if node.tests
    ],
    pool=POOL,
)
def models(context: dg.AssetExecutionContext, live: dg.ResourceParam[LiveLine]) -> Iterator[Result]:
    """Every model over the days that changed, then dbt's tests. What fails is never published."""
    ended: dict[str, str] = {}

    def told(name: str, kind: str, status: str) -> None:
        ended[name] = status
        context.log.info("%s %s: %s", kind, name, status)

    try:
        report = build(live.location, clock=live.clock, told=told)
    except Locked as error:  # by a build from the command line
        if not live.retries:
            raise dg.Failure(str(error), allow_retries=False) from error
        raise dg.RetryRequested(max_retries=20, seconds_to_wait=30) from error
    except EmptyLake as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    except BuildFailed as error:
        yield from _checks(ended, is_whole=False)
        raise dg.Failure(str(error), allow_retries=False) from error
    yield from _checks(ended, is_whole=True)
    yield from _results(live.location, report, ended)


def _checks(ended: Mapping[str, str], *, is_whole: bool) -> Iterator[dg.AssetCheckResult]:
    """One check per model with tests; of a build that failed, only those whose tests were run."""
    for node in manifest.nodes():
        if node.tests and (is_whole or ended.keys() & set(node.tests)):
            bad = [test for test in node.tests if ended.get(test) not in SOUND]
            yield dg.AssetCheckResult(
                asset_key=dg.AssetKey([node.layer, node.name]),
                check_name=TESTS,
                passed=not bad,
                metadata={test: ended.get(test, "not run") for test in node.tests},
            )


def _results(
    location: Location, report: BuildReport, ended: Mapping[str, str]
) -> Iterator[dg.MaterializeResult[None]]:
    counts, basis = _row_counts(location), Basis.read(location)
    parts = basis.parts if basis else {}
    read = _tables_read()
    for node in manifest.nodes():
        days = [day.isoformat() for day in report.changed_days]
        metadata: dict[str, dg.MetadataValue] = {
            "state": dg.MetadataValue.text("built" if node.name in ended else "unchanged"),
            "changed_days": dg.MetadataValue.text(
                f"{len(days)}, {days[0]} to {days[-1]}" if days else "none"
            ),
            "as_of": dg.MetadataValue.text(report.as_of_at.isoformat()),
            "model_version": dg.MetadataValue.text(report.model_version),
            "reads": dg.MetadataValue.text(", ".join(sorted(read[node.name])) or "no lake table"),
        }
        if node.name in counts:
            metadata["dagster/row_count"] = dg.MetadataValue.int(counts[node.name])
        told = [name for name in parts if name.split("/")[0] in read[node.name]]
        stamp = "\n".join(
            [report.model_version, *(f"{name} {parts[name]}" for name in sorted(told))]
        )
        yield dg.MaterializeResult(
            asset_key=dg.AssetKey([node.layer, node.name]),
            metadata=metadata,
            data_version=dg.DataVersion(hashlib.sha256(stamp.encode()).hexdigest()[:16]),
        )


def _tables_read() -> dict[str, frozenset[str]]:
    """The lake tables that each model reads, through others too."""
    found: dict[str, frozenset[str]] = {}
    for node in manifest.nodes():  # parents before children
        found[node.name] = frozenset(node.sources).union(*(found[name] for name in node.models))
    return found


def _row_counts(location: Location) -> dict[str, int]:
    """Rows of every table of the work database; views are not counted."""
    with duckdb.connect(str(location.warehouse), read_only=True) as connection:
        tables = connection.execute(
            "select table_name, schema_name from duckdb_tables() where not internal"
        ).fetchall()
        return {
            name: connection.execute(f'select count(*) from "{schema}"."{name}"').fetchall()[0][0]
            for name, schema in tables
        }
