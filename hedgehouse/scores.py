"""How far from the truth of the embedded market are the published surfaces, in half spreads?

The market's smiles are no SVI slices, so parameters cannot be compared: levels, skews, quantiles
and the price of all movement can. What a half spread is stands beside each measure; what is planted
wrong on purpose has to be named, and nothing else.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from hedgehouse import Warehouse
from warehouse.functions import svi

KEY = ["underlying", "expires_at", "snapshot_at"]  # of the truth, which is of every venue
TOLD_KEY = ["venue", *KEY]
PARAMETERS = ["svi_a", "svi_b", "svi_rho", "svi_m", "svi_sigma"]
BUCKETS = ((2, "below 2 days"), (7, "2 to 7 days"), (30, "7 to 30 days"), (90, "30 to 90 days"))
LONGEST = "above 90 days"
QUANTILES = {5: 1.6449, 25: 0.6745, 75: 0.6745, 95: 1.6449}  # and how many deviations out they lie
PLACES = 400
SUMMED = {"atm_iv": "level", "rr25": "risk reversal", "bf25": "butterfly", "index_surface": "index"}

TOLD = """
    select s.venue, s.underlying, s.expires_at, s.snapshot_at, s.tenor_days, s.atm_iv, s.rr25,
        s.bf25, s.is_extrapolated_strike, d.quantile_05_usd, d.quantile_25_usd, d.quantile_75_usd,
        d.quantile_95_usd
    from options.skew as s
    left join options.density as d using (venue, underlying, expires_at, snapshot_at)
    where s.tenor_kind = 'listed' and s.atm_iv is not null and s.fit_kind is not null
"""
SPREADS = """
    select venue, underlying, expires_at, snapshot_at, log_moneyness,
        (iv_ask - iv_bid) / 2 as half_iv
    from options.quotes where use_in_fit
    order by venue, underlying, expires_at, snapshot_at, log_moneyness
"""
INDEX = "select venue, underlying, snapshot_at, method, index_iv as told from options.vol_index"
SLICES = """
    select venue, underlying, expires_at, snapshot_at, svi_a, svi_b, svi_rho, svi_m, svi_sigma,
        lowest_log_moneyness, highest_log_moneyness, butterfly_min_g, calendar_min_dw, quality_flags
    from options.surface_slices where fit_kind = 'raw' and svi_a is not null
    order by venue, underlying, snapshot_at, expires_at
"""
VERDICTS = """
    select instrument_id, snapshot_at, z, verdict from options.relative_value
    where use_in_fit and verdict is not null
"""


@dataclass(frozen=True, slots=True)
class Scores:
    """`distances`: measure, tenor, count, median, p95 and worst distance in half spreads.

    `arbitrage`: per kind how many slices were planted, how many of those are flagged, how many
    others are, and how many of the others show it between quoted strikes. `verdicts`: per size in
    half spreads (0: nothing planted) how many quotes were judged and how many called rich or cheap.
    """

    distances: pl.DataFrame
    arbitrage: pl.DataFrame
    verdicts: pl.DataFrame

    def fields(self) -> dict[str, Any]:
        """For machines."""
        return {
            name: getattr(self, name).to_dicts() for name in ("distances", "arbitrage", "verdicts")
        }

    def lines(self) -> list[tuple[str, str]]:
        """For people: what, and how it came out."""
        distances = [
            (
                f"{row['measure']}, {row['tenor']}",
                f"{row['median']:.2f} half spreads in the median, {row['p95']:.2f} at 95 %, "
                f"{row['worst']:.1f} at worst, {row['count']:,} values",
            )
            for row in self.distances.iter_rows(named=True)
        ]
        arbitrage = [
            (
                f"planted {row['kind']} arbitrage",
                f"{row['found']} of {row['planted']} slices flagged; of {row['others']:,} others "
                f"{row['others_flagged']}, {row['others_flagged_between_quotes']} between quotes",
            )
            for row in self.arbitrage.iter_rows(named=True)
        ]
        verdicts = [
            (
                f"quotes {row['half_spreads']:g} half spreads dear",
                f"{row['rich']} of {row['judged']:,} called rich, {row['cheap']} cheap",
            )
            for row in self.verdicts.iter_rows(named=True)
        ]
        return [*distances, *arbitrage, *verdicts]

    def summary(self) -> str:
        """The same in one line, over all tenors."""
        told = {row["measure"]: row for row in self.distances.filter(tenor="all").to_dicts()}
        near = ", ".join(
            f"{name} {told[measure]['median']:.2f}"
            for measure, name in SUMMED.items()
            if measure in told
        )
        planted, found = self.arbitrage["planted"].sum(), self.arbitrage["found"].sum()
        told_of_dear = [
            f"; quotes {row['half_spreads']:g} half spreads dear: {row['rich']} of {row['judged']} "
            "called rich"
            for row in self.verdicts.tail(1).to_dicts()
        ]
        return (
            f"surfaces, half spreads from the truth in the median: {near or 'none'}; planted "
            f"arbitrage: {found} of {planted} slices flagged" + "".join(told_of_dear)
        )


def score(house: Warehouse, truth: Path) -> Scores:
    """Compare what is published with the truth of the days it was served from.

    Distances are of snapshots in which no expiry of the coin is bent: a repair moves its neighbours
    too, as it must.
    """
    planted = pl.read_parquet(truth / "mispricings.parquet")
    bent = planted.filter(pl.col("kind") != "rich")
    return Scores(
        pl.concat([_distances(house, truth, bent), _index_distances(house, truth)]),
        _arbitrage(house, bent),
        _verdicts(house, planted.filter(pl.col("kind") == "rich")),
    )


def _distances(house: Warehouse, truth: Path, bent: pl.DataFrame) -> pl.DataFrame:
    both = house.sql(TOLD).join(pl.read_parquet(truth / "smiles.parquet"), on=KEY, suffix="_true")
    both = (
        both.join_where(
            bent.select("started_at", "ended_at", coin="underlying"),
            pl.col("underlying") == pl.col("coin"),
            pl.col("snapshot_at") >= pl.col("started_at"),
            pl.col("snapshot_at") < pl.col("ended_at"),
        )
        .select(KEY)
        .unique()
        .pipe(lambda wrong: both.join(wrong, on=KEY, how="anti"))
    )
    spreads = _half_spreads(house, both)
    both = both.join(spreads, on=TOLD_KEY)
    root = (pl.col("tenor_days") / 365).sqrt()
    atm, call, put = (pl.col(f"half_{name}") for name in ("atm", "call25", "put25"))
    units = {"atm_iv": atm, "rr25": (call + put) / 2, "bf25": (atm + (call + put) / 2) / 2}
    found = [
        _told(both, name, pl.col(name) - pl.col(f"{name}_true"), units[name]) for name in units
    ]
    for level, deviations in QUANTILES.items():
        name = f"quantile_{level:02d}_usd"
        # By as much would a half spread of volatility move it.
        unit = deviations * root * pl.col(f"half_q{level:02d}")
        found.append(_told(both, name, (pl.col(name) / pl.col(f"{name}_true")).log(), unit))
    return _summary(pl.concat(found))


def _half_spreads(house: Warehouse, both: pl.DataFrame) -> pl.DataFrame:
    """Half spreads in volatility at the places that are measured, between quotes linearly."""
    places = {"atm": 0.0 * pl.col("tenor_days")}
    deviation = pl.col("atm_iv_true") * (pl.col("tenor_days") / 365).sqrt()
    places |= {"call25": 0.6745 * deviation, "put25": -0.6745 * deviation}
    places |= {
        f"q{level:02d}": (pl.col(f"quantile_{level:02d}_usd_true") / pl.col("forward")).log()
        for level in QUANTILES
    }
    wanted = both.select(*TOLD_KEY, **places)
    quoted = house.sql(SPREADS).group_by(TOLD_KEY, maintain_order=True)
    spreads = quoted.agg("log_moneyness", "half_iv")
    rows = [
        {key: row[key] for key in TOLD_KEY}
        | {
            f"half_{name}": float(np.interp(row[name], row["log_moneyness"], row["half_iv"]))
            for name in places
        }
        for row in wanted.join(spreads, on=TOLD_KEY).iter_rows(named=True)
    ]
    schema = {key: both.schema[key] for key in TOLD_KEY}
    return pl.DataFrame(rows, schema=schema | {f"half_{n}": both.schema["rr25"] for n in places})


def _told(both: pl.DataFrame, measure: str, error: pl.Expr, unit: pl.Expr) -> pl.DataFrame:
    tenor = pl.lit(LONGEST)
    for days, name in reversed(BUCKETS):
        tenor = pl.when(pl.col("tenor_days") < days).then(pl.lit(name)).otherwise(tenor)
    return both.select(
        measure=pl.lit(measure), tenor=tenor, distance=(error / unit).abs()
    ).drop_nulls()


def _index_distances(house: Warehouse, truth: Path) -> pl.DataFrame:
    """The 30-day index by both methods, in half spreads at the forward of the expiries around."""
    planted = pl.read_parquet(truth / "vol_index.parquet")
    month = house.sql(
        "select venue, underlying, snapshot_at, median((iv_ask - iv_bid) / 2) as half_iv "
        "from options.quotes where use_in_fit and t_years * 365 between 7 and 90 "
        "and abs(log_moneyness) < 0.1 group by all"
    )
    both = house.sql(INDEX).drop_nulls().join(planted, on=["underlying", "snapshot_at"])
    return _summary(
        both.join(month, on=["venue", "underlying", "snapshot_at"]).select(
            measure=pl.format("index_{}", "method"),
            tenor=pl.lit("30 days"),
            distance=((pl.col("told") - pl.col("index_iv")) / pl.col("half_iv")).abs(),
        )
    )


def _summary(rows: pl.DataFrame) -> pl.DataFrame:
    """Per measure, over all tenors and then tenor by tenor."""
    figures = [
        pl.len().alias("count"),
        pl.col("distance").median().alias("median"),
        pl.col("distance").quantile(0.95).alias("p95"),
        pl.col("distance").max().alias("worst"),
    ]
    order = {name: place for place, (_, name) in enumerate(BUCKETS)}
    apart = rows.group_by("measure", "tenor", maintain_order=True).agg(figures)
    whole = rows.group_by("measure", maintain_order=True).agg(
        pl.lit("all").alias("tenor"), *figures
    )
    found = pl.concat([whole, apart.filter(pl.col("tenor") != "30 days")])
    place = pl.col("tenor").replace_strict(order | {"all": -1}, default=len(order))
    return found.sort("measure", place, maintain_order=True)


def _arbitrage(house: Warehouse, planted: pl.DataFrame) -> pl.DataFrame:
    slices = house.sql(SLICES)
    wrong = [(row["underlying"], row["expires_at"], row["kind"], row) for row in planted.to_dicts()]
    counts = {kind: dict.fromkeys(COUNTS, 0) for kind in ("butterfly", "calendar")}
    before: dict[str, Any] = {}
    for row in slices.iter_rows(named=True):
        is_next = all(
            before.get(name) == row[name] for name in ("venue", "underlying", "snapshot_at")
        )
        for kind, count in counts.items():
            is_planted = any(
                (row["underlying"], row["expires_at"], kind) == at[:3]
                and at[3]["started_at"] <= row["snapshot_at"] < at[3]["ended_at"]
                for at in wrong
            )
            is_flagged = f"{kind}_arbitrage" in row["quality_flags"]
            count["planted"] += is_planted
            count["found"] += is_planted and is_flagged
            count["others"] += not is_planted
            count["others_flagged"] += not is_planted and is_flagged
            shown = is_flagged and _is_quoted(kind, row, before if is_next else None)
            count["others_flagged_between_quotes"] += not is_planted and shown
        before = row
    return pl.DataFrame([{"kind": kind, **count} for kind, count in counts.items()])


COUNTS = ("planted", "found", "others", "others_flagged", "others_flagged_between_quotes")


def _is_quoted(kind: str, row: dict[str, Any], before: dict[str, Any] | None) -> bool:
    """Whether the arbitrage lies between strikes that were quoted."""
    low, high = row["lowest_log_moneyness"], row["highest_log_moneyness"]
    params = [row[name] for name in PARAMETERS]
    if kind == "butterfly":
        return bool(svi.durrleman(params, np.linspace(low, high, PLACES)).min() < 0)
    if before is None:
        return False
    low = max(low, before["lowest_log_moneyness"])
    k = np.linspace(low, max(low, min(high, before["highest_log_moneyness"])), PLACES)
    earlier = svi.total_variance([before[name] for name in PARAMETERS], k)
    return bool((svi.total_variance(params, k) - earlier).min() < 0)


def _verdicts(house: Warehouse, planted: pl.DataFrame) -> pl.DataFrame:
    judged = house.sql(VERDICTS)
    dear = judged.join(
        planted.select("instrument_id", "started_at", "ended_at", "half_spreads"),
        on="instrument_id",
    ).filter(pl.col("snapshot_at").is_between("started_at", "ended_at", closed="left"))
    sizes = dear.select("instrument_id", "snapshot_at", "half_spreads")
    return (
        judged.join(sizes, on=["instrument_id", "snapshot_at"], how="left")
        .group_by(pl.col("half_spreads").fill_null(0.0))
        .agg(
            judged=pl.len(),
            rich=(pl.col("verdict") == "rich").sum(),
            cheap=(pl.col("verdict") == "cheap").sum(),
        )
        .sort("half_spreads")
    )
