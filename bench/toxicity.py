"""Does VPIN tell informed trading from what only looks like it, better than plain alarms do?

The embedded market plants three informed episodes a day and coin, and a placebo of each kind: a
one-sided order of somebody who knows nothing, a burst of volume, a swing of the price. Thresholds
are frozen on seeds 1 to 20; all that is reported is of seeds 21 to 60. Every figure is judged
alike: in standard deviations of its own last day, the highest within an episode counts.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
from numpy.typing import NDArray

from pipelines.simulator import prints
from pipelines.simulator.paths import simulate_coin
from pipelines.simulator.prints import Prints
from pipelines.simulator.world import COINS, LISTINGS, PLACEBOS, Coin, Episode
from warehouse.functions import bulk, sizing, vpin

Floats = NDArray[np.float64]

DAY = date(2026, 3, 10)
BEFORE = 2  # days: the first sizes buckets, the second fills the first window
FROZEN, REPORTED = range(1, 21), range(21, 61)
WINDOW_MINUTES = 10  # of the plain alarms
PAST_MINUTES = 1_440  # against which each figure is a deviation
AFTER_S = 600  # for so long after an episode a minute is not quiet
BUCKETS = 50
SKILL = 0.05
DRAWS = 300
MINUTES = 1_440 * (BEFORE + 1)
VPINS = ("vpin", "vpin in bulk", "vpin above its null", "rise of vpin")
PLAIN = ("volume", "volatility", "imbalance")


@dataclass(frozen=True, slots=True)
class Seen:
    """What one figure said of an episode: its deviation at the end of each minute of it."""

    kind: str
    deviations: Floats
    first_s: float  # from the episode's start to the end of its first minute

    @property
    def score(self) -> float:
        return float(self.deviations.max())

    @property
    def is_informed(self) -> bool:
        return self.kind == "informed"


@dataclass(frozen=True, slots=True)
class Told:
    """What one figure said in one day of a coin: of each episode, and of the quiet minutes."""

    name: str
    seed: int
    seen: tuple[Seen, ...]
    quiet: Floats


def run() -> list[tuple[str, str]]:
    """(what, result) per line."""
    with ProcessPoolExecutor(2) as pool:
        told = [t for found in pool.map(figures, (*FROZEN, *REPORTED)) for t in found]
    lines, trained, areas = [], {}, {}
    for name in (*VPINS, *PLAIN):
        before, after = (
            [t for t in told if t.name == name and t.seed in seeds] for seeds in (FROZEN, REPORTED)
        )
        trained[name], areas[name] = area(before), area(after)
        lines += report(name, after, frozen(before))
    ours, best = max(VPINS, key=trained.__getitem__), max(PLAIN, key=areas.__getitem__)
    edge = areas[ours] - areas[best]
    verdict = "skill" if edge > SKILL else "no skill"
    return [*lines, (f"AUC of {ours} (best on seeds 1-20) less {best}", f"{edge:+.3f}: {verdict}")]


def figures(seed: int) -> list[Told]:
    """Every figure over one day of both coins."""
    return [told for coin in COINS for told in of_coin(coin, seed)]


def of_coin(coin: Coin, seed: int) -> list[Told]:
    listing = next(x for x in LISTINGS if x.coin is coin and x.market == "um")
    states = [
        simulate_coin(coin, seed, 1.0, DAY - timedelta(days=back)) for back in range(BEFORE, -1, -1)
    ]
    tape = [prints.prints(state, listing) for state in states]
    episodes = states[-1].episodes
    return [told(name, seed, x, episodes) for name, x in measured(tape).items()]


def measured(tape: list[Prints]) -> dict[str, Floats]:
    """Each figure at the end of every minute of the days given, NaN before it is known."""
    minute = [p.at_us // 60_000_000 + 1_440 * d for d, p in enumerate(tape)]
    at = np.concatenate(minute)
    price = np.concatenate([p.price for p in tape])
    usd = price * np.concatenate([p.quantity_base for p in tape])
    sign = np.concatenate([p.sign for p in tape])
    volume = np.bincount(at, usd, MINUTES)
    net = np.bincount(at, sign * usd, MINUTES)
    first = np.searchsorted(at, np.arange(MINUTES))
    last = np.searchsorted(at, np.arange(MINUTES), side="right") - 1
    traded = last >= first
    change = np.zeros(MINUTES)
    change[traded] = np.log(price[last[traded]] / price[first[traded]])
    by_side, null = vpins(tape, minute, [p.lots * (p.sign > 0) for p in tape])
    in_bulk, _ = vpins(tape, minute, bought_in_bulk(tape, change, traded))
    flow = recent(volume)
    with np.errstate(invalid="ignore", divide="ignore"):
        one_sided = np.abs(recent(net)) / flow
    rise = by_side - np.roll(by_side, WINDOW_MINUTES)
    rise[:WINDOW_MINUTES] = np.nan
    found = (by_side, in_bulk, by_side - null, rise, flow, np.sqrt(recent(change**2)), one_sided)
    return dict(zip((*VPINS, *PLAIN), found, strict=True))


def bought_in_bulk(
    tape: list[Prints], change: Floats, traded: NDArray[np.bool_]
) -> list[NDArray[np.int64]]:
    """Lots of each print that bulk classification calls bought."""
    days = [slice(1_440 * d, 1_440 * (d + 1)) for d in range(len(tape))]
    volume = [int(p.lots.sum()) for p in tape]
    count, total, square = (
        [float(np.sum(column[day])) for day in days] for column in (traded, change, change**2)
    )
    deviation = sizing.deviations(volume, count, total, square)
    found = []
    for p, day, scale in zip(tape, days, deviation, strict=True):
        share = bulk.bought_shares(change[day], scale)[p.at_us // 60_000_000]
        so_far = np.floor(np.cumsum(p.lots * share) + 0.5)
        found.append(np.diff(so_far, prepend=0.0).astype(np.int64))
    return found


def vpins(
    tape: list[Prints], minute: list[NDArray[np.int64]], bought: list[NDArray[np.int64]]
) -> tuple[Floats, Floats]:
    """VPIN and its null at the end of every minute, from the buckets full by then."""
    plan = sizing.plan([int(p.lots.sum()) for p in tape])
    count = int(plan.first_bucket[-1]) + 2 + int(tape[-1].lots.sum() // plan.bucket_lots[-1])
    held = np.zeros((4, count))  # imbalance, size, squares, largest
    ended = np.full(count, MINUTES)
    for d, p in enumerate(tape):
        base = np.zeros(len(p))
        cut = vpin.fragments(
            vpin.Items(p.lots, bought[d], minute[d], base, base),
            int(plan.bucket_lots[d]),
            int(plan.open_lots[d]),
            int(plan.open_bucket_lots[d]),
        )
        number = plan.first_bucket[d] + cut.bucket_offset
        held[0, number] += cut.buy_lots - cut.sell_lots
        held[1, number] += cut.buy_lots + cut.sell_lots
        held[2, number] += cut.net_square
        held[3, number] = np.maximum(held[3, number], cut.net_largest)
        ended[number[cut.is_full]] = minute[d][cut.end_index[cut.is_full]]
    full = ended < MINUTES
    size = held[1, full]
    expected = vpin.null_imbalance(held[2, full], held[3, full]) * size
    sums = [np.append(0.0, np.cumsum(c)) for c in (np.abs(held[0, full]), expected, size)]
    rows = [s[BUCKETS:] - s[:-BUCKETS] for s in sums]
    known = np.searchsorted(ended[full][BUCKETS - 1 :], np.arange(MINUTES), side="right") - 1
    value, null = (np.where(known < 0, np.nan, (r / rows[2])[known]) for r in rows[:2])
    return value, null


def recent(x: Floats) -> Floats:
    """Sum of the last minutes, NaN before there are that many."""
    sums = np.append(0.0, np.cumsum(x))
    out = np.full(x.size, np.nan)
    out[WINDOW_MINUTES - 1 :] = sums[WINDOW_MINUTES:] - sums[:-WINDOW_MINUTES]
    return out


def told(name: str, seed: int, figure: Floats, episodes: tuple[Episode, ...]) -> Told:
    """The figure in deviations of the day before each minute, cut into episodes and quiet."""
    known = ~np.isnan(figure)
    filled = np.where(known, figure, 0.0)
    sums = [np.append(0.0, np.cumsum(c)) for c in (known, filled, filled**2)]
    start = np.maximum(np.arange(MINUTES) - PAST_MINUTES, 0)
    n, mean, square = (s[:-1] - s[start] for s in sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        mean, square = mean / n, square / n
        score = (figure - mean) / np.sqrt(np.maximum(square - mean**2, 1e-18))
    today = score[-1_440:]
    ends = 60 * (np.arange(1_440) + 1.0)
    seen, quiet = [], np.ones(1_440, dtype=bool)
    for e in episodes:
        inside = (ends > e.start_s) & (ends <= e.end_s + 60)
        seen.append(Seen(e.kind, today[inside], float(ends[inside][0] - e.start_s)))
        quiet &= (ends <= e.start_s) | (ends > e.end_s + AFTER_S)
    return Told(name, seed, tuple(seen), today[quiet])


def area(found: list[Told]) -> float:
    """Chance that an informed episode scores above a placebo, ties counting half: the AUC."""
    informed, others = (
        np.array([s.score for t in found for s in t.seen if s.is_informed is kind])
        for kind in (True, False)
    )
    gap = informed[:, None] - others
    return float((gap > 0).mean() + 0.5 * (gap == 0).mean())


def frozen(found: list[Told]) -> float:
    """The threshold at which hits exceed false alarms the most."""
    seen = [s for t in found for s in t.seen]
    score, informed = (np.array([getattr(s, n) for s in seen]) for n in ("score", "is_informed"))
    gain = [(score[informed] >= x).mean() - (score[~informed] >= x).mean() for x in score]
    return float(score[int(np.argmax(gain))])


def report(name: str, found: list[Told], threshold: float) -> list[tuple[str, str]]:
    """The AUC with the spread of seeds, and what the frozen threshold would have done."""
    rng = np.random.default_rng(1)
    by_seed = {seed: [t for t in found if t.seed == seed] for seed in REPORTED}
    drawn = [
        area([t for seed in rng.choice(list(REPORTED), len(REPORTED)) for t in by_seed[seed]])
        for _ in range(DRAWS)
    ]
    low, high = np.quantile(drawn, [0.025, 0.975])
    seen = [s for t in found for s in t.seen]
    rang = {
        kind: np.mean([s.score >= threshold for s in seen if s.kind == kind])
        for kind in ("informed", *PLACEBOS)
    }
    late = [
        s.first_s + 60.0 * np.flatnonzero(s.deviations >= threshold)[0]
        for s in seen
        if s.is_informed and s.score >= threshold
    ]
    after = f"{np.median(late):.0f} s" if late else "never"
    quiet = np.concatenate([t.quiet for t in found]) >= threshold
    rings = ", ".join(f"{kind.replace('_', '-')} {share:.0%}" for kind, share in rang.items())
    return [
        (f"{name}: AUC, 95 % interval over seeds", f"{area(found):.3f} ({low:.3f} to {high:.3f})"),
        (f"{name}: rings in {rings}", f"after {after}, {quiet.mean():.1%} of quiet minutes"),
    ]
