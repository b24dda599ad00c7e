"""Who trades when, which way and how much? Clustered arrivals with persistent signs."""

from dataclasses import dataclass, replace

import numpy as np

from pipelines.simulator.world import DAY_S, Episode, Floats, Ints

BRANCHING = 0.6  # children per order
SAME_TIME = 0.35  # share of children that are further fills of the same sweep
SAME_SIDE = 0.85
# orders of an episode, in those of a usual while of that length
BURSTS = {"informed": 1.5, "one_sided": 1.5, "volume": 3.0, "volatility": 0.0}
FOLLOWING = 0.06  # share of background prints that go with the last minute's move
BACKGROUND, INFORMED, PLACEBO, MOMENTUM = 0, 1, 2, 3


@dataclass(frozen=True, slots=True)
class Flow:
    """Prints of one market's day, in time order. `at` in seconds after midnight, `size` in coin."""

    at: Floats
    sign: Ints
    size: Floats
    kind: Ints

    def __len__(self) -> int:
        return len(self.at)


def arrivals(
    rng: np.random.Generator,
    *,
    count: int,
    activity: Floats,
    episodes: tuple[Episode, ...],
    median_size: float,
) -> Flow:
    """A branching (Hawkes) process over the day that ends up with exactly `count` prints.

    `activity` is a relative intensity per minute. Children inherit their parent's side, so signs
    persist; a share of them fills at the parent's own instant, as a sweep does.
    """
    profile = activity / activity.mean()
    bursts = [_burst(rng, count, episode) for episode in episodes]
    planted = sum(len(burst[0]) for burst in bursts)
    wanted = max(0, round(1.02 * count * (1 - BRANCHING)) - planted)
    at, sign, kind = _joined([_ancestors(rng, wanted, profile), *bursts])
    generations = [(at, sign, kind)]
    while len(at):
        at, sign, kind = _children(rng, at, sign, kind)
        generations.append((at, sign, kind))
    at, sign, kind = _joined(generations)
    kept = np.flatnonzero(at < DAY_S)
    if len(kept) > count:
        kept = kept[np.sort(rng.permutation(len(kept))[:count])]
    at, sign, kind = at[kept], sign[kept], kind[kept]
    missing = _ancestors(rng, count - len(kept), profile)
    at, sign, kind = _joined([(at, sign, kind), missing])
    order = np.argsort(at, kind="stable")
    if count:
        # the first minute of a day always has a print: it proves where the day before ended
        at[order[0]] = min(at[order[0]], rng.uniform(0, 30))
    size = median_size * np.exp(1.4 * rng.standard_normal(count))
    return Flow(at[order], sign[order], size, kind[order])


def following(rng: np.random.Generator, flow: Flow, base: Floats) -> Flow:
    """The flow with some background prints turned to the side of the last minute's move.

    `base` is the log price per second before any order moved it.
    """
    second = flow.at.astype(np.int64)
    move = base[second] - base[np.maximum(second - 60, 0)]
    turns = (flow.kind == BACKGROUND) & (rng.random(len(flow)) < FOLLOWING) & (move != 0)
    sign = np.where(turns, np.sign(move).astype(np.int64), flow.sign)
    return replace(flow, sign=sign, kind=np.where(turns, MOMENTUM, flow.kind))


Orders = tuple[Floats, Ints, Ints]


def _joined(parts: list[Orders]) -> Orders:
    at, sign, kind = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    return at, sign, kind


def _ancestors(rng: np.random.Generator, count: int, profile: Floats) -> Orders:
    edges = np.concatenate([[0.0], np.cumsum(profile)])
    minutes = np.interp(rng.random(count) * edges[-1], edges, np.arange(len(edges), dtype=float))
    sign = rng.choice(np.array([-1, 1]), count)
    return np.minimum(60 * minutes, DAY_S - 1e-6), sign, np.full(count, BACKGROUND)


def _burst(rng: np.random.Generator, daily: float, episode: Episode) -> Orders:
    length = episode.end_s - episode.start_s
    rate = BURSTS[episode.kind] * daily / DAY_S
    count = int(rng.poisson(rate * length * (1 - BRANCHING)))
    at = rng.uniform(episode.start_s, episode.end_s, count)
    share = 0.5 if episode.kind == "volume" else 0.9
    sign = np.where(rng.random(count) < share, episode.direction, -episode.direction)
    return at, sign, np.full(count, INFORMED if episode.is_informed else PLACEBO)


def _children(rng: np.random.Generator, at: Floats, sign: Ints, kind: Ints) -> Orders:
    parent = np.repeat(np.arange(len(at)), rng.poisson(BRANCHING, len(at)))
    count = len(parent)
    later = rng.random(count) >= SAME_TIME
    slow = rng.random(count) < 0.2
    delay = later * rng.exponential(1.0, count) * np.where(slow, 30.0, 0.8)
    keeps = ~later | (rng.random(count) < SAME_SIDE)
    return at[parent] + delay, np.where(keeps, sign[parent], -sign[parent]), kind[parent]


def depth_in_sweep(at: Ints, sign: Ints) -> Ints:
    """How many fills of the same sweep (same instant, same side) came before each print."""
    starts = np.ones(len(at), dtype=bool)
    starts[1:] = (at[1:] != at[:-1]) | (sign[1:] != sign[:-1])
    place = np.arange(len(at))
    return place - np.maximum.accumulate(np.where(starts, place, 0))
