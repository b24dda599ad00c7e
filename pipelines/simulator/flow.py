"""Who trades when, which way and how much? Clustered arrivals with persistent signs."""

from dataclasses import dataclass

import numpy as np

from pipelines.simulator.world import FIRST_S, LAST_S, Episode, Floats, Ints

BRANCHING = 0.6  # children per order
SAME_TIME = 0.35  # share of children that are further fills of the same sweep
SAME_SIDE = 0.85
BACKGROUND, INFORMED, PLACEBO = 0, 1, 2


@dataclass(frozen=True, slots=True)
class Flow:
    """Prints of one market, in time order. `at` in seconds after midnight, `size` in coin."""

    at: Floats
    sign: Ints
    size: Floats
    kind: Ints

    def __len__(self) -> int:
        return len(self.at)


def arrivals(
    rng: np.random.Generator,
    *,
    daily: float,
    activity: Floats,
    episodes: tuple[Episode, ...],
    median_size: float,
) -> Flow:
    """A branching (Hawkes) process over the simulated span with about `daily` prints a day.

    `activity` is a relative intensity per minute. Children inherit their parent's side, so signs
    persist; a share of them fills at the parent's own instant, as a sweep does.
    """
    profile = activity / activity.mean()
    expected = daily * (LAST_S - FIRST_S) / 86_400
    parts = [_ancestors(rng, expected * (1 - BRANCHING), profile)]
    for episode in episodes:
        parts.append(_burst(rng, daily, episode))
    at, sign, kind = (np.concatenate(columns) for columns in zip(*parts, strict=True))
    generations = [(at, sign, kind)]
    while len(at):
        at, sign, kind = _children(rng, at, sign, kind)
        generations.append((at, sign, kind))
    at, sign, kind = (np.concatenate(columns) for columns in zip(*generations, strict=True))
    order = np.argsort(at, kind="stable")
    order = order[at[order] < LAST_S]
    size = median_size * np.exp(1.4 * rng.standard_normal(len(order)))
    return Flow(at[order], sign[order], size, kind[order])


def _ancestors(
    rng: np.random.Generator, expected: float, profile: Floats
) -> tuple[Floats, Ints, Ints]:
    count = int(rng.poisson(expected))
    edges = np.concatenate([[0.0], np.cumsum(profile)])
    minutes = np.interp(rng.random(count) * edges[-1], edges, np.arange(len(edges), dtype=float))
    sign = rng.choice(np.array([-1, 1]), count)
    return FIRST_S + 60 * minutes, sign, np.full(count, BACKGROUND)


def _burst(rng: np.random.Generator, daily: float, episode: Episode) -> tuple[Floats, Ints, Ints]:
    length = episode.end_s - episode.start_s
    count = int(rng.poisson(1.5 * daily / 86_400 * length * (1 - BRANCHING)))
    at = rng.uniform(episode.start_s, episode.end_s, count)
    sign = np.where(rng.random(count) < 0.9, episode.direction, -episode.direction)
    return at, sign, np.full(count, INFORMED if episode.is_informed else PLACEBO)


def _children(
    rng: np.random.Generator, at: Floats, sign: Ints, kind: Ints
) -> tuple[Floats, Ints, Ints]:
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
