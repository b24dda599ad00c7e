"""When is the market itself in trouble? Forced orders, books that empty, a feed out of step.

Three stretches of forced orders a day and coin end its informed bursts; once a day the books of all
its markets hold a tenth, over a full hour so that hourly states show it; and the stream of its
perpetual's best quotes at Deribit is once crossed, once one-sided and once silent.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import date

import numpy as np
import polars as pl

from pipelines.simulator.world import (
    COINS,
    Coin,
    Floats,
    Ints,
    Plan,
    draw_plan,
    epoch_us,
    instant,
    stream,
)

CASCADE_S, CASCADE_SHARE = 300, 0.5  # of the prints that go with the burst, how many are forced
COLLAPSE_BEFORE_S, COLLAPSE_S, LEFT_SHARE = 300, 900, 0.1
FAULTS_S = {"crossed": 120, "one_sided": 120, "silent": 180}
HOURS = (*range(2, 10), *range(14, 23))  # past the planted silence


@dataclass(frozen=True, slots=True)
class Stretch:
    """What was wrong, from when to when (seconds after midnight), and where: NULL is everywhere."""

    kind: str
    coin: str
    instrument_id: str | None
    start_s: int
    end_s: int
    direction: int | None = None

    def holds(self, at_s: Floats) -> np.ndarray:
        return np.asarray((at_s >= self.start_s) & (at_s < self.end_s))


def cascades(plan: Plan) -> tuple[Stretch, ...]:
    """The last minutes of each informed burst: whoever stood against it is liquidated."""
    return tuple(
        Stretch(
            "cascade",
            episode.coin,
            None,
            max(episode.start_s, episode.end_s - CASCADE_S),
            episode.end_s,
            episode.direction,
        )
        for episode in plan.episodes
        if episode.is_informed
    )


def forced_share(plan: Plan, at_s: Floats, sign: Ints, usual: float) -> Floats:
    """The share of prints that are forced, print by print."""
    share = np.full(len(at_s), usual)
    for cascade in cascades(plan):
        share[cascade.holds(at_s) & (sign == cascade.direction)] = CASCADE_SHARE
    return share


def collapse(coin: Coin, seed: int, day: date) -> Stretch:
    """When the coin's books hold a tenth of what they hold else."""
    hour = int(_hours(coin, seed, day)[0])
    start = hour * 3_600 - COLLAPSE_BEFORE_S
    return Stretch("depth_collapse", coin.name, None, start, start + COLLAPSE_S)


def depth_share(coin: Coin, seed: int, day: date, second: Ints) -> Floats:
    """Of the usual size of each level, how much is left at seconds since 1970."""
    thin = collapse(coin, seed, day)
    at_s = second - epoch_us(day) // 1_000_000
    return np.where(thin.holds(at_s.astype(float)), LEFT_SHARE, 1.0)


def feed_faults(coin: Coin, seed: int, day: date) -> tuple[Stretch, ...]:
    """When the stream of the coin's perpetual at Deribit tells nonsense, half or nothing."""
    name = f"deribit:{coin.name}/USD:{coin.name}"
    hours = _hours(coin, seed, day)[1:]
    return tuple(
        Stretch(kind, coin.name, name, int(hour) * 3_600 + 600, int(hour) * 3_600 + 600 + length)
        for (kind, length), hour in zip(FAULTS_S.items(), hours, strict=True)
    )


def truth(seed: int, days: Sequence[date]) -> pl.DataFrame:
    """Every stretch of the days, one row each."""
    rows = [
        asdict(stretch)
        | {"started_at": instant(day, stretch.start_s), "ended_at": instant(day, stretch.end_s)}
        for day in days
        for coin in COINS
        for stretch in (
            *cascades(draw_plan(coin, day, seed)),
            collapse(coin, seed, day),
            *feed_faults(coin, seed, day),
        )
    ]
    instants = dict.fromkeys(("started_at", "ended_at"), pl.Datetime("us", "UTC"))
    frame = pl.DataFrame(rows, schema_overrides=instants, infer_schema_length=None)
    return frame.rename({"coin": "underlying"}).drop("start_s", "end_s")


def _hours(coin: Coin, seed: int, day: date) -> Ints:
    """One hour for the collapse, one for each fault."""
    rng = stream(seed, coin.name, "stress", day.isoformat())
    return rng.choice(np.array(HOURS), 1 + len(FAULTS_S), replace=False)
