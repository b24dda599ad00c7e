"""Which functions of volume buckets can SQL call?

What registry.py says of missing values holds here.
"""

from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from warehouse.arrow import (
    DAY,
    DAYS,
    FLAG,
    NUMBER,
    NUMBERS,
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
    record_type,
    wholes,
)
from warehouse.functions import bulk, sizing, vpin

PLAN = record_type(
    "deviation",
    day_at=DAY,
    bucket_lots=WHOLE,
    first_bucket=WHOLE,
    open_lots=WHOLE,
    open_bucket_lots=WHOLE,
    is_own_day=FLAG,
    is_restarted=FLAG,
)
FRAGMENT = record_type(
    bucket_offset=WHOLE,
    start_index=WHOLE,
    end_index=WHOLE,
    buy_lots=WHOLE,
    sell_lots=WHOLE,
    buy_base=NUMBER,
    sell_base=NUMBER,
    net_square=NUMBER,
    net_largest=NUMBER,
    is_full=FLAG,
)


def vpin_plan(days: Lists, volume_lots: Lists, step_lots: Lists, *bars: Lists) -> Array:
    (at, volume, step, *moments), offsets = ragged(
        "vpin_plan", [days, volume_lots, step_lots, *bars]
    )
    day = at.cast(pa.int32()).to_numpy()
    lots = volume.fill_null(sizing.NO_UNIT).to_numpy(zero_copy_only=False)
    steps = step.fill_null(1).to_numpy(zero_copy_only=False)
    sums = [np.nan_to_num(numbers(m)) for m in moments]
    plans = [
        day_plan(day[a:b], lots[a:b], steps[a:b], [s[a:b] for s in sums])
        for a, b in pairwise(offsets)
    ]
    none = [np.zeros(0), *sizing.plan(lots[:0])]
    columns = [np.concatenate(c) for c in zip(none, *plans, strict=True)]
    sizes = [pa.array(c, mask=c == 0) for c in (columns[1], columns[4])]
    flags = [pa.array(c, type=FLAG) for c in columns[5:]]
    first, held = pa.array(columns[2]), pa.array(columns[3])
    rows = [nullable(columns[0]), at, sizes[0], first, held, sizes[1], *flags]
    return list_of(PLAN, offsets, rows)


def day_plan(
    day: NDArray[np.int32], lots: Integers, steps: Integers, bars: list[Floats]
) -> list[NDArray[Any]]:
    """Deviation and plan of the days given; calendar days absent between them have no unit."""
    if day.size == 0:
        return [np.zeros(0), *sizing.plan(lots)]
    if (gaps := np.diff(day)).size and gaps.min() < 1:
        at = np.datetime64(int(day[1:][gaps < 1][0]), "D")
        raise ValueError(f"vpin_plan: days must ascend, {at} does not")
    place = day - day[0]
    volume = np.full(int(place[-1]) + 1, sizing.NO_UNIT, dtype=np.int64)
    step = np.ones(volume.size, dtype=np.int64)
    sums = np.zeros((len(bars), volume.size))
    volume[place], step[place], sums[:, place] = lots, steps, bars
    found = [sizing.deviations(volume, *sums), *sizing.plan(volume, step)]
    return [c[place] for c in found]


def vpin_fragments(
    lots: Lists,
    bought_lots: Lists,
    minute: Lists,
    buy_base: Lists,
    sell_base: Lists,
    *sizes: Array,
) -> Array:
    lists = [lots, bought_lots, minute, buy_base, sell_base]
    given, offsets = ragged("vpin_fragments", lists)
    if any(c.null_count for c in given):
        raise ValueError("vpin_fragments: NULL among prints, one would be lost")
    size, bought, at = map(wholes, given[:3])
    items = vpin.Items(size, bought, at, numbers(given[3]), numbers(given[4]))
    known = lots.is_valid()
    for column in (*lists[1:], *sizes):
        known = pc.and_(known, column.is_valid())
    none = vpin.fragments(items.part(0, 0), 1)
    entry = zip(*(c.to_pylist() for c in (known, *sizes)), strict=True)
    cuts = [
        vpin.fragments(items.part(a, b), each, held, first) if is_known else none
        for (a, b), (is_known, each, held, first) in zip(pairwise(offsets), entry, strict=True)
    ]
    offset, start, end, *rest = (np.concatenate(c) for c in zip(none, *cuts, strict=True))
    # SQL counts list positions from 1.
    found = [pa.array(c) for c in (offset, start + 1, end + 1, *rest)]
    ends = np.cumsum([0, *(c.is_full.size for c in cuts)])
    return list_of(FRAGMENT, ends, found, pc.invert(known))


def vpin_null(net_square: Array, net_largest: Array) -> Array:
    return nullable(vpin.null_imbalance(numbers(net_square), numbers(net_largest)))


def bulk_share(change: Array, deviation: Array, degrees: Array) -> Array:
    freedom = np.nan_to_num(numbers(degrees), nan=np.inf)
    moved, scale = numbers(change), numbers(deviation)
    out = np.empty(moved.size)
    for law in np.unique(freedom):
        here = freedom == law
        out[here] = bulk.bought_shares(moved[here], scale[here], float(law))
    return nullable(out)


BUCKETS = (
    SqlFunction(
        "vpin_plan",
        (
            ("days", DAYS),
            *declared("volume_lots", "step_lots", dtype=WHOLES),
            *declared("bar_count", "change_sum", "change_square_sum", dtype=NUMBERS),
        ),
        pa.list_(PLAN),
        "Per day of one instrument, ascending: bucket size in whole steps, the bucket open at its "
        "start, and the deviation of bars on the days that size it. Volume 0 is a day without "
        "trades, NULL, -1 or an absent day one without a committed unit.",
        vpin_plan,
    ),
    SqlFunction(
        "vpin_fragments",
        (
            *declared("lots", "bought_lots", "minute", dtype=WHOLES),
            *declared("buy_base", "sell_base", dtype=NUMBERS),
            *declared("bucket_lots", "open_lots", "open_bucket_lots", dtype=WHOLE),
        ),
        pa.list_(FRAGMENT),
        "Buckets touched by the prints of a day, the open one included; indices are list positions "
        "from 1 and bucket_offset 0 is the bucket open at the start. net_square and net_largest "
        "are of each minute's net flow, in buckets. NULL arguments give NULL.",
        vpin_fragments,
    ),
    SqlFunction(
        "vpin_null",
        declared("net_square", "net_largest"),
        NUMBER,
        "Expected absolute imbalance of a bucket, as a share of it, had each minute's net flow a "
        "side drawn anew.",
        vpin_null,
    ),
    SqlFunction(
        "bulk_share",
        declared("change", "deviation", "degrees"),
        NUMBER,
        "Share of a bar's volume bought by the law of its price change: Student's t with so many "
        "degrees of freedom, normal where they are NULL.",
        bulk_share,
    ),
)
