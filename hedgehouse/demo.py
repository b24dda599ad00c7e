"""What does the product do, shown on an embedded market whose truth is known?"""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from hedgehouse import Warehouse, connect
from hedgehouse.arrivals import run_fields, run_text
from hedgehouse.asking import HOURLY_MINUTES, asked, run
from hedgehouse.console import Voice, write_error
from hedgehouse.scores import score
from pipelines.simulator.paths import DEFAULT_DAY
from warehouse.location import Clock, Location

# A few of each kind; late and corrected trades are there when the day is asked for again.
FAULTS = (
    "429:0.002,503:0.001,maintenance:0.001,html:0.002,truncated:0.002,empty:0.001,short:0.001,"
    "reset:0.002,repeat:0.002,drop:0.002,reorder:0.001,late:0.001,revised:0.001"
)
_NEXT = "select * from options.skew where underlying = 'BTC' order by snapshot_at desc limit 5"
_ORDER_COLUMNS = "as_of_at, portfolio_id, leg, action, explanation, block_reasons"


@dataclass(frozen=True, slots=True)
class Told:
    """What the demonstration came to."""

    fields: dict[str, Any]
    text: str
    exit_code: int


def run_demo(
    location: Location,
    *,
    seed: int,
    size: float,
    clock: Clock,
    voice: Voice,
    faults: str = FAULTS,
    every_minutes: int = HOURLY_MINUTES,
    day: date = DEFAULT_DAY,
) -> Told:
    """Let a day of the embedded market arrive over the wire, and compare it with the truth.

    Raises `WrongWorld` where the folder holds real data, or a market of another seed.
    """
    wanted = asked(
        "simulator",
        day,
        1,
        underlyings=(),
        every_minutes=every_minutes,
        seed=seed,
        size=size,
        faults=faults,
        portfolio=None,
        clock=clock,
    )
    with voice.progress("demo") as progress:
        archived = replace(wanted, with_archives=True)
        report, share = run(location, archived, clock=clock, progress=progress)
    for error in report.errors:
        write_error(error)
    fields: dict[str, Any] = {"seed": seed, "run": run_fields(report, share)}
    lines = [run_text(report, share)]
    if report.generation:
        found = _found(location, clock, day)
        fields |= {**found, "surfaces": found["surfaces"].fields()}
        lines += _lines(found, report.generation.row_counts)
    fields["next"] = f'hedgehouse sql --data {location.root} "{_NEXT}"'
    lines.append(f"next: {fields['next']}")
    return Told(fields, "\n".join(lines), report.exit_code)


def _found(location: Location, clock: Clock, day: date) -> dict[str, Any]:
    with connect(location.root, clock=clock) as client:
        return {
            "trades": _compared_trades(client, location, day),
            "atm_iv": _compared_vols(client, location, day),
            "surfaces": score(client, location.truth),
            "trade": _first(client, "action in ('buy', 'sell')"),
            "blocked": _first(client, "action = 'do_not_trade' and is_triggered"),
        }


def _compared_trades(client: Warehouse, location: Location, day: date) -> dict[str, int]:
    """Every print by its id, price and size."""
    held = client.sql(
        "select instrument_id, trade_id, price, quantity_base from lake.trades "
        "where cast(event_at as date) = $day",
        {"day": day},
    )
    truth = pl.read_parquet(location.truth / "trades.parquet").filter(
        pl.col("event_at").dt.date() == day
    )
    both = truth.join(held, on=["instrument_id", "trade_id"], suffix="_held")
    same = both.filter(
        pl.col("price") == pl.col("price_held"),
        (pl.col("quantity_base") / pl.col("quantity_base_held") - 1).abs() < 1e-9,
    )
    return {"printed": truth.height, "held": held.height, "equal": same.height}


def _compared_vols(client: Warehouse, location: Location, day: date) -> dict[str, Any]:
    """Recovered against planted at-the-money vol, over all fitted slices of the day."""
    key = ["underlying", "expires_at", "snapshot_at"]
    fitted = client.sql(
        "select underlying, expires_at, snapshot_at, atm_iv as recovered "
        "from options.surface_slices where fit_kind = 'raw' and fit_status = 'ok'"
    )
    planted = pl.read_parquet(location.truth / "atm_vols.parquet")
    both = planted.join(fitted, on=key, how="inner").with_columns(
        error=(pl.col("recovered") - pl.col("atm_iv")).abs()
    )
    last = both.sort("snapshot_at", "underlying", "expires_at").tail(1)
    return {
        "slices": both.height,
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


def _lines(found: dict[str, Any], counts: dict[str, int]) -> list[str]:
    trades = found["trades"]
    return [
        *(f"  {name:30} {rows:>12,}" for name, rows in counts.items()),
        f"trades: {trades['printed']:,} printed, {trades['held']:,} held, {trades['equal']:,} of "
        "them equal in id, price and size",
        _vol_line(found["atm_iv"]),
        found["surfaces"].summary(),
        _order_line("a trade", found["trade"]),
        _order_line("a blocked one", found["blocked"]),
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
