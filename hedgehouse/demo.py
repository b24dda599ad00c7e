"""What does the product do, shown on an embedded market whose truth is known?"""

from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from assets.building import build
from hedgehouse import Warehouse, connect
from hedgehouse.console import Voice
from hedgehouse.reporting import generation_fields, generation_text, import_fields, import_text
from pipelines.ingest import ImportReport, import_paths
from pipelines.simulator import market
from pipelines.simulator.market import Market
from warehouse.location import Clock, Location, World, WrongWorld
from warehouse.publish import publish

_NEXT = "select * from options.skew where underlying = 'BTC' order by snapshot_at desc limit 5"
_ORDER_COLUMNS = "as_of_at, portfolio_id, leg, action, explanation, block_reasons"


@dataclass(frozen=True, slots=True)
class Told:
    """What the demonstration came to."""

    fields: dict[str, Any]
    text: str
    exit_code: int


def run_demo(location: Location, *, seed: int, size: float, clock: Clock, voice: Voice) -> Told:
    """Write a market, import, build and publish it, and compare what is found with the truth.

    Raises `WrongWorld` where the folder holds real data, or a market of another seed.
    """
    world = location.claim(World("simulator", seed=seed))
    if world.seed != seed:
        raise WrongWorld(f"{location.root}: holds the market of seed {world.seed}, not of {seed}")
    planted = market.write(location.market, seed=seed, size=size, truth=location.truth)
    imported = _import(location, planted, world, clock, voice)
    with voice.progress("build") as progress:
        build(location, clock=clock, progress=progress)
    made = publish(location, clock=clock)
    with connect(location.root, clock=clock) as client:
        found = _found(client, planted)
    fields = {
        "seed": seed,
        "import": import_fields(imported),
        "generation": generation_fields(made),
        **found,
        "next": f'hedgehouse sql --data {location.root} "{_NEXT}"',
    }
    text = "\n".join([import_text(imported), generation_text(made), *_lines(fields)])
    return Told(fields, text, imported.exit_code)


def _import(
    location: Location, planted: Market, world: World, clock: Clock, voice: Voice
) -> ImportReport:
    with voice.progress("import", in_bytes=True) as progress:
        return import_paths(
            location,
            [planted.archives, planted.portfolio],
            clock=clock,
            progress=progress,
            world=world,
        )


def _found(client: Warehouse, planted: Market) -> dict[str, Any]:
    return {
        "atm_iv": _compared_vols(client, planted.atm_vols),
        "trade": _first(client, "action in ('buy', 'sell')"),
        "blocked": _first(client, "action = 'do_not_trade' and is_triggered"),
        "gap": _gap(client, planted),
    }


def _compared_vols(client: Warehouse, planted: pl.DataFrame) -> dict[str, Any]:
    """Recovered against planted at-the-money vol, over all fitted slices of the day."""
    key = ["underlying", "expires_at", "snapshot_at"]
    fitted = client.sql(
        "select underlying, expires_at, snapshot_at, atm_iv as recovered "
        "from options.surface_slices where fit_kind = 'raw' and fit_status = 'ok'"
    )
    both = planted.join(fitted, on=key, how="inner").with_columns(
        error=(pl.col("recovered") - pl.col("atm_iv")).abs()
    )
    last = both.sort("snapshot_at", "underlying", "expires_at").tail(1)
    return {
        "slices": both.height,
        "planted_slices": planted.height,
        "median_error": both["error"].median(),
        "worst_error": both["error"].max(),
        "example": last.select(*key, planted="atm_iv", recovered="recovered").to_dicts(),
    }


def _first(client: Warehouse, condition: str) -> dict[str, Any] | None:
    rows = client.sql(
        f"select {_ORDER_COLUMNS} from hedging.signals where {condition} "
        "order by as_of_at, portfolio_id, leg limit 1"
    ).to_dicts()
    return rows[0] if rows else None


def _gap(client: Warehouse, planted: Market) -> dict[str, Any]:
    rows = client.sql(
        "select instrument_id, started_at, ended_at, cause, missing_count, detail from ops.gaps "
        "where instrument_id = $instrument_id and cause = 'absent_in_source' "
        "order by started_at limit 1",
        {"instrument_id": planted.gap.instrument_id},
    ).to_dicts()
    return {"planted": asdict(planted.gap), "found": rows[0] if rows else None}


def _lines(fields: dict[str, Any]) -> list[str]:
    counts = fields["generation"]["row_counts"]
    return [
        *(f"  {name:30} {rows:>12,}" for name, rows in counts.items()),
        _vol_line(fields["atm_iv"]),
        _order_line("a trade", fields["trade"]),
        _order_line("a blocked one", fields["blocked"]),
        _gap_line(fields["gap"]["found"]),
        f"next: {fields['next']}",
    ]


def _vol_line(vols: dict[str, Any]) -> str:
    if not vols["example"]:
        return "at-the-money vol: no slice was fitted"
    one = vols["example"][0]
    return (
        f"at-the-money vol: {one['underlying']} {one['expires_at']:%Y-%m-%d} planted "
        f"{one['planted']:.4f}, recovered {one['recovered']:.4f}; over {vols['slices']:,} slices "
        f"off by {vols['median_error']:.5f} in the median and {vols['worst_error']:.5f} at worst"
    )


def _order_line(title: str, row: dict[str, Any] | None) -> str:
    if row is None:
        return f"{title}: none on this day"
    reasons = f" ({', '.join(row['block_reasons'])})" if row["block_reasons"] else ""
    return (
        f"{title}: {row['as_of_at']:%H:%M:%S} {row['portfolio_id']} {row['leg']} {row['action']}"
        f"{reasons}: {row['explanation']}"
    )


def _gap_line(row: dict[str, Any] | None) -> str:
    if row is None:
        return "a gap: none found"
    span = f"{row['started_at']:%H:%M:%S} to {row['ended_at']:%H:%M:%S}"
    return f"a gap: {row['instrument_id']} {span}, {row['cause']}: {row['detail']}"
