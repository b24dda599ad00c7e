"""Which functions of the liquidity of an instrument over time can SQL call?

They take the whole series of an instrument, its lists in the order of time, and give a list of
rows. Instants are microseconds since 1970. What registry.py says of missing values holds here.
"""

from itertools import pairwise

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from warehouse.arrow import (
    FLAGS,
    NUMBER,
    NUMBERS,
    TEXT,
    WHOLE,
    WHOLES,
    Array,
    Floats,
    Integers,
    Lists,
    SqlFunction,
    declared,
    list_of,
    nullable,
    numbers,
    ragged,
    wholes,
)
from warehouse.functions.cascades import branching_ratio, clusters
from warehouse.functions.excursions import NONE, Excursions, excursions, runs, trailing_median
from warehouse.functions.shocks import forecast

EVENT = pa.struct(
    [
        ("kind", TEXT),
        *((name, WHOLE) for name in ("started_us", "ended_us", "worst_us", "half_us")),
        *((name, WHOLE) for name in ("detected_us", "known_us")),
        *((name, NUMBER) for name in ("baseline", "threshold", "worst")),
        ("history_rows", WHOLE),
        ("measure", WHOLE),
    ]
)
CLUSTER = pa.struct(
    [
        ("side", TEXT),
        *((name, WHOLE) for name in ("started_us", "ended_us", "known_us", "order_count")),
        *((name, NUMBER) for name in ("notional_usd", "first_price", "last_price")),
        *((name, NUMBER) for name in ("lowest_price", "highest_price", "branching_ratio")),
        *((name, WHOLE) for name in ("unvalued_count", "past_order_count")),
    ]
)
FORECAST = pa.struct(
    [
        ("place", WHOLE),
        *((name, NUMBER) for name in ("probability", "base_rate", "brier", "naive_brier")),
        ("scored", WHOLE),
    ]
)
US = 1_000_000


def liquidity_events(
    at: Lists,
    known: Lists,
    spread_bps: Lists,
    depth: Lists,
    measure: Lists,
    *rules: Array,
) -> Array:
    values, offsets = ragged("liquidity_events", [at, known, spread_bps, depth, measure])
    t, k, m = wholes(values[0]), wholes(values[1]), wholes(values[4])
    spread, size = numbers(values[2]), numbers(values[3])
    given = np.array([numbers(r) for r in rules])
    tables = [
        events_of(t[a:b], k[a:b], spread[a:b], size[a:b], m[a:b], given[:, i])
        for i, (a, b) in enumerate(pairwise(offsets))
    ]
    ends = np.cumsum([0, *(len(table) for table in tables)])
    rows = [row for table in tables for row in table]
    columns = list(zip(*rows, strict=True)) or [()] * len(EVENT)
    arrays = [pa.array(c, type=f.type) for c, f in zip(columns, EVENT, strict=True)]
    return list_of(EVENT, ends, arrays)


def events_of(
    at: Integers, known: Integers, spread: Floats, depth: Floats, measure: Integers, rules: Floats
) -> list[tuple[object, ...]]:
    """Events of one instrument; `spread` is NaN where a side is empty, at most 0 where crossed."""
    if at.size == 0 or np.isnan(rules).any():
        return []
    window, spacing, minimum = (int(r) for r in rules[:3])
    spread_start, spread_end, spread_floor, depth_start, depth_end = (float(r) for r in rules[3:])
    known = np.maximum.accumulate(known)
    is_void, is_crossed = np.isnan(spread), spread <= 0.0
    is_book = ~is_void & ~is_crossed
    usual = np.where(is_book, spread, np.nan)
    resting = np.where(is_book, depth, np.nan)
    one = np.zeros_like(measure)
    history = (window * US, spacing * US, minimum)
    base, count = trailing_median(at, usual, one, *history)
    wide = excursions(usual, base, count, one, spread_start, spread_end, spread_floor)
    base, count = trailing_median(at, resting, measure, *history)
    thin = excursions(resting, base, count, measure, depth_start, depth_end)
    return [
        *plain("void", is_void, at, known),
        *plain("crossed", is_crossed, at, known, -spread),
        *measured("spread_blowout", wide, at, known, usual),
        *measured("depth_collapse", thin, at, known, resting, measure),
    ]


def plain(
    kind: str,
    flags: NDArray[np.bool_],
    at: Integers,
    known: Integers,
    depth_bps: Floats | None = None,
) -> list[tuple[object, ...]]:
    """Runs of a condition that needs no history; `worst` is by how much books were crossed."""
    rows: list[tuple[object, ...]] = []
    for a, b in zip(*runs(flags), strict=True):
        last = at.size if b == NONE else b
        place = int(a) if depth_bps is None else int(a + np.argmax(depth_bps[a:last]))
        worst = None if depth_bps is None else float(depth_bps[place])
        known_us = int(known[min(last, at.size - 1)])
        rows.append(
            (kind, int(at[a]), when(at, b), int(at[place]), None, int(known[a]), known_us,
             None, None, worst, None, None)
        )  # fmt: skip
    return rows


def measured(
    kind: str,
    found: Excursions,
    at: Integers,
    known: Integers,
    x: Floats,
    measure: Integers | None = None,
) -> list[tuple[object, ...]]:
    """Excursions with what they were held to."""
    return [
        (
            kind,
            int(at[a]),
            when(at, found.end[i]),
            int(at[found.worst[i]]),
            when(at, found.half[i]),
            int(known[a]),
            int(known[found.end[i]]),  # of the last row where it is not over
            float(found.baseline[i]),
            float(found.threshold[i]),
            float(x[found.worst[i]]),
            int(found.history[i]),
            None if measure is None else int(measure[a]),
        )
        for i, a in enumerate(found.start)
    ]


def liquidation_clusters(
    at: Lists,
    known: Lists,
    is_buy: Lists,
    price: Lists,
    notional: Lists,
    since: Array,
    *rules: Array,
) -> Array:
    values, offsets = ragged("liquidation_clusters", [at, known, is_buy, price, notional])
    t, k = wholes(values[0]), wholes(values[1]).copy()
    buy = values[2].to_numpy(zero_copy_only=False)
    p, usd = numbers(values[3]), numbers(values[4])
    given = np.array([numbers(r) for r in rules])
    begin = since.fill_null(NONE).to_numpy()
    rows: list[tuple[object, ...]] = []
    ends = [0]
    for i, (a, b) in enumerate(pairwise(offsets)):
        k[a:b] = np.maximum.accumulate(k[a:b])
        if begin[i] != NONE and not np.isnan(given[:, i]).any():
            gap, window, width = (int(r) * US for r in given[:, i])
            found = clusters(t[a:b], buy[a:b].astype(np.bool_), gap)
            first = [int(t[a:b][r[0]]) for r in found.rows]
            ratio, past = branching_ratio(t[a:b], first, int(begin[i]), window, width)
            for j, members in enumerate(found.rows):
                at_rows = members + a
                row = cluster_row(t[at_rows], k[at_rows], p[at_rows], usd[at_rows], gap)
                side = "buy" if found.is_buy[j] else "sell"
                unvalued = int(np.isnan(usd[at_rows]).sum())
                bred = None if np.isnan(ratio[j]) else float(ratio[j])
                rows.append((side, *row, bred, unvalued, int(past[j])))
        ends.append(len(rows))
    columns = list(zip(*rows, strict=True)) or [()] * len(CLUSTER)
    arrays = [pa.array(c, type=f.type) for c, f in zip(columns, CLUSTER, strict=True)]
    return list_of(CLUSTER, np.array(ends), arrays)


def cluster_row(
    at: Integers, known: Integers, price: Floats, usd: Floats, gap: int
) -> tuple[object, ...]:
    """What a cluster was; that no other order follows is known a gap after the last."""
    valued = usd[~np.isnan(usd)]
    return (
        int(at[0]),
        int(at[-1]),
        max(int(known[-1]), int(at[-1]) + gap),
        at.size,
        float(valued.sum()) if valued.size else None,
        float(price[0]),
        float(price[-1]),
        float(price.min()),
        float(price.max()),
    )


def shock_forecast(step: Lists, previous: Lists, is_shock: Lists, *features: Lists) -> Array:
    values, offsets = ragged("shock_forecast", [step, previous, is_shock, *features])
    t, before = wholes(values[0]), values[1].fill_null(0).to_numpy() + NONE
    shock = values[2].fill_null(False).to_numpy(zero_copy_only=False)
    x = np.array([numbers(v) for v in values[3:]])
    found = [forecast(t[a:b], before[a:b], shock[a:b], x[:, a:b]) for a, b in pairwise(offsets)]
    columns = [pa.array(np.concatenate([np.arange(1, n + 1) for n in np.diff(offsets)] or [t]))]
    for name in ("probability", "base_rate", "brier", "naive_brier"):
        columns.append(nullable(np.concatenate([getattr(f, name) for f in found] or [x[0]])))
    columns.append(pa.array(np.concatenate([f.scored for f in found] or [t])))
    return list_of(FORECAST, offsets, columns)


def when(at: Integers, row: int) -> int | None:
    return None if row == NONE else int(at[row])


RULES = (
    "window_s", "spacing_s", "minimum_rows", "spread_start_ratio", "spread_end_ratio",
    "spread_floor_bps", "depth_start_ratio", "depth_end_ratio",
)  # fmt: skip

FEATURES = ("spread_ln", "depth_ln", "volatility_ln", "volume_ln", "shock_now", "shock_share")

LIQUIDITY = (
    SqlFunction(
        "liquidity_events",
        (
            *declared("at_us", "known_us", dtype=WHOLES),
            *declared("spread_bps", "depth_usd", dtype=NUMBERS),
            *declared("measure", dtype=WHOLES),
            *declared(*RULES),
        ),
        pa.list_(EVENT),
        "Books without a side, crossed books, spreads and depths far from the median of strictly "
        "earlier ones: when each began, was worst, halfway back and over; a spread that is NULL "
        "has no two sides, one of 0 or less is crossed.",
        liquidity_events,
    ),
    SqlFunction(
        "liquidation_clusters",
        (
            *declared("at_us", "known_us", dtype=WHOLES),
            ("is_buy", FLAGS),
            *declared("price", "notional_usd", dtype=NUMBERS),
            *declared("since_us", dtype=WHOLE),
            *declared("gap_s", "window_s", "bin_s"),
        ),
        pa.list_(CLUSTER),
        "Chains of two or more forced orders on a side of an instrument, none later than a gap "
        "after the one before, with the branching ratio of the orders strictly before each.",
        liquidation_clusters,
    ),
    SqlFunction(
        "shock_forecast",
        (
            *declared("step", "previous_place", dtype=WHOLES),
            ("is_shock", FLAGS),
            *declared(*FEATURES, dtype=NUMBERS),
        ),
        pa.list_(FORECAST),
        "Per row, in order of step, the probability of a shock in the next step from rows up to "
        "it, beside the base rate and the Brier scores of both so far; previous_place is the list "
        "position from 1 of the series' row in the step before, NULL where there is none.",
        shock_forecast,
    ),
)
