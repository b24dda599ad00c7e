"""Buckets: nothing lost, nothing doubled, and a day can be cut by itself."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import vpin

prints = st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=40)
sizes = st.integers(1, 25)


def columns(rows):
    return [lots for lots, _ in rows], [is_buy for _, is_buy in rows]


def by_hand(lots, is_buy, bucket_lots):
    """The same buckets, one lot at a time."""
    sides = [buy for n, buy in zip(lots, is_buy, strict=True) for _ in range(n)]
    owners = [i for i, n in enumerate(lots) for _ in range(n)]
    return [
        (owners[a], owners[a + bucket_lots - 1], sum(sides[a : a + bucket_lots]))
        for a in range(0, len(sides) - bucket_lots + 1, bucket_lots)
    ]


@given(prints, sizes)
def test_buckets_are_those_counted_lot_by_lot(rows, bucket_lots):
    lots, is_buy = columns(rows)
    found = vpin.buckets(lots, is_buy, bucket_lots)
    triples = list(zip(found.start_index, found.end_index, found.buy_lots, strict=True))
    assert triples == by_hand(lots, is_buy, bucket_lots)
    assert (found.buy_lots + found.sell_lots == bucket_lots).all()


@given(prints, sizes, sizes, st.data())
def test_fragments_hold_every_lot_once(rows, bucket_lots, first, data):
    lots, is_buy = columns(rows)
    open_lots = data.draw(st.integers(0, first - 1))
    cut = vpin.fragments(lots, is_buy, bucket_lots, open_lots, first)
    assert cut.buy_lots.sum() == sum(n for n, buy in rows if buy)
    assert cut.sell_lots.sum() == sum(n for n, buy in rows if not buy)
    filled = cut.buy_lots + cut.sell_lots
    assert (filled > 0).all()
    assert cut.is_full[:-1].all()
    assert (filled[1:][cut.is_full[1:]] == bucket_lots).all()


@given(prints, prints, sizes)
def test_a_bucket_carried_over_is_the_bucket_of_the_whole_series(before, after, bucket_lots):
    whole = vpin.buckets(*columns(before + after), bucket_lots)
    first = vpin.buckets(*columns(before), bucket_lots)
    cut = vpin.fragments(*columns(before), bucket_lots)
    is_open = cut.is_full.size > 0 and not cut.is_full[-1]
    buy, sell = (int(cut.buy_lots[-1]), int(cut.sell_lots[-1])) if is_open else (0, 0)
    second = vpin.buckets(*columns(after), bucket_lots, buy + sell, buy)
    np.testing.assert_array_equal(whole.buy_lots, [*first.buy_lots, *second.buy_lots])
    np.testing.assert_array_equal(whole.sell_lots, [*first.sell_lots, *second.sell_lots])
    ends = [*first.end_index, *(second.end_index + len(before))]
    np.testing.assert_array_equal(whole.end_index, ends)


@given(st.lists(st.one_of(st.none(), prints), min_size=1, max_size=30))
def test_days_cut_by_themselves_add_up_to_the_series_cut_in_one(days):
    """The buckets of each run of days without a hole, sizes changing from day to day."""
    volumes = [vpin.NO_UNIT if day is None else sum(n for n, _ in day) for day in days]
    plan = vpin.plan(volumes)
    summed: dict[int, list[int]] = {}
    for d, day in enumerate(days):
        if not day or volumes[d] == 0:
            continue
        cut = vpin.fragments(
            *columns(day), plan.bucket_lots[d], plan.open_lots[d], plan.open_bucket_lots[d]
        )
        for offset, buy, sell in zip(cut.bucket_offset, cut.buy_lots, cut.sell_lots, strict=True):
            held = summed.setdefault(int(plan.first_bucket[d] + offset), [0, 0])
            held[0] += int(buy)
            held[1] += int(sell)
    assert summed == cut_in_one(days, plan.bucket_lots)


def cut_in_one(days, sizes):
    """Lot by lot through the whole series: a bucket takes the size of the day that opens it."""
    buckets: dict[int, list[int]] = {}
    number, room = -1, 0
    for day, size in zip(days, sizes, strict=True):
        if day is None:
            room = 0
            continue
        for lots, is_buy in day:
            for _ in range(lots):
                if room == 0:
                    number, room = number + 1, size
                    buckets[number] = [0, 0]
                buckets[number][0 if is_buy else 1] += 1
                room -= 1
    return buckets


def test_the_size_is_a_fiftieth_of_the_mean_day_of_the_twenty_before():
    volumes = [100_000] + [50_000] * 19 + [0, 200_000, 10_000]
    plan = vpin.plan(volumes)
    assert plan.bucket_lots[0] == 2_000
    assert plan.is_own_day.tolist() == [True] + [False] * 22
    assert plan.bucket_lots[1] == 2_000
    assert plan.bucket_lots[20] == (100_000 + 19 * 50_000) / 20 / 50
    # The first day has left the window; the day without trades does not count.
    assert plan.bucket_lots[21] == 1_000
    assert plan.bucket_lots[22] == round((18 * 50_000 + 200_000) / 19 / 50)


def test_a_day_without_a_unit_drops_the_open_bucket_and_one_without_trades_does_not():
    plan = vpin.plan([130, 0, 7, vpin.NO_UNIT, 7])
    assert plan.bucket_lots[:2].tolist() == [3, 3]
    # 130 lots fill 43 buckets of 3 and leave one lot in bucket 43.
    assert plan.first_bucket[:3].tolist() == [0, 43, 43]
    assert plan.open_lots[:3].tolist() == [0, 1, 1]
    assert plan.open_bucket_lots[2] == 3
    # 7 more fill it and three of one lot... the day's own size is (130 + 0) / 50.
    assert plan.is_restarted.tolist() == [False, False, False, False, True]
    assert plan.open_lots[4] == 0
    assert plan.first_bucket[4] > plan.first_bucket[2]


def test_a_bucket_holds_at_least_one_lot_and_the_first_day_is_not_a_restart():
    plan = vpin.plan([vpin.NO_UNIT, 3, 1])
    assert plan.bucket_lots.tolist() == [0, 1, 1]
    assert plan.is_restarted.tolist() == [False, False, False]


def test_one_print_can_fill_many_buckets():
    cut = vpin.fragments([100], [True], 7, 3, 5)
    assert cut.buy_lots.tolist() == [2] + [7] * 14
    assert cut.is_full.all()


@pytest.mark.parametrize(
    "arguments",
    [
        ([1], [True], 0),
        ([1], [True], 5, 5),
        ([1], [True], 5, -1),
        ([-1], [True], 5),
        ([1, 2], [True], 5),
        ([1], [True], 5, 0, 0),
    ],
)
def test_impossible_buckets_are_refused(arguments):
    with pytest.raises(ValueError, match="vpin"):
        vpin.fragments(*arguments)


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(vpin).failed == 0
