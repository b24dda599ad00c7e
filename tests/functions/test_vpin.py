"""Buckets: nothing lost, nothing doubled, and a day can be cut by itself."""

import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import sizing, vpin

prints = st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=40)
sizes = st.integers(1, 25)


def columns(rows):
    return [lots for lots, _ in rows], [is_buy for _, is_buy in rows]


def items(rows, minute=None):
    """Prints one by one, each in a minute of its own, a base coin a lot."""
    lots, is_buy = (np.array(c, dtype=np.int64) for c in columns(rows))
    minutes = np.arange(lots.size) if minute is None else np.array(minute, dtype=np.int64)
    base = lots.astype(float)
    return vpin.Items(lots, lots * is_buy, minutes, base * is_buy, base * (1 - is_buy))


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
    open_lots = data.draw(st.integers(0, first - 1))
    cut = vpin.fragments(items(rows), bucket_lots, open_lots, first)
    assert cut.buy_lots.sum() == sum(n for n, buy in rows if buy)
    assert cut.sell_lots.sum() == sum(n for n, buy in rows if not buy)
    filled = cut.buy_lots + cut.sell_lots
    assert (filled > 0).all()
    assert cut.is_full[:-1].all()
    assert (filled[1:][cut.is_full[1:]] == bucket_lots).all()
    np.testing.assert_allclose(cut.buy_base, cut.buy_lots, rtol=1e-12)
    np.testing.assert_allclose(cut.sell_base, cut.sell_lots, rtol=1e-12)


@given(prints, prints, sizes)
def test_a_bucket_carried_over_is_the_bucket_of_the_whole_series(before, after, bucket_lots):
    whole = vpin.buckets(*columns(before + after), bucket_lots)
    first = vpin.buckets(*columns(before), bucket_lots)
    held = (first.open_lots, first.open_buy_lots)
    second = vpin.buckets(*columns(after), bucket_lots, *held)
    np.testing.assert_array_equal(whole.buy_lots, [*first.buy_lots, *second.buy_lots])
    np.testing.assert_array_equal(whole.sell_lots, [*first.sell_lots, *second.sell_lots])
    ends = [*first.end_index, *(second.end_index + len(before))]
    np.testing.assert_array_equal(whole.end_index, ends)
    assert (whole.open_lots, whole.open_buy_lots) == (second.open_lots, second.open_buy_lots)
    cut = vpin.fragments(items(before), bucket_lots)
    is_open = cut.is_full.size > 0 and not cut.is_full[-1]
    buy, sell = (int(cut.buy_lots[-1]), int(cut.sell_lots[-1])) if is_open else (0, 0)
    assert held == (buy + sell, buy)


@given(st.lists(st.one_of(st.none(), prints), min_size=1, max_size=30))
def test_days_cut_by_themselves_add_up_to_the_series_cut_in_one(days):
    """The buckets of each run of days without a hole, sizes changing from day to day."""
    volumes = [sizing.NO_UNIT if day is None else sum(n for n, _ in day) for day in days]
    plan = sizing.plan(volumes)
    summed: dict[int, list[int]] = {}
    for d, day in enumerate(days):
        if not day or volumes[d] == 0:
            continue
        cut = vpin.fragments(
            items(day), plan.bucket_lots[d], plan.open_lots[d], plan.open_bucket_lots[d]
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
    plan = sizing.plan(volumes)
    assert plan.bucket_lots[0] == 2_000
    assert plan.is_own_day.tolist() == [True] + [False] * 22
    assert plan.bucket_lots[1] == 2_000
    assert plan.bucket_lots[20] == (100_000 + 19 * 50_000) / 20 / 50
    # The first day has left the window; the day without trades does not count.
    assert plan.bucket_lots[21] == 1_000
    assert plan.bucket_lots[22] == round((18 * 50_000 + 200_000) / 19 / 50)


def test_a_day_without_a_unit_drops_the_open_bucket_and_one_without_trades_does_not():
    plan = sizing.plan([130, 0, 7, sizing.NO_UNIT, 7])
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
    plan = sizing.plan([sizing.NO_UNIT, 3, 1])
    assert plan.bucket_lots.tolist() == [0, 1, 1]
    assert plan.is_restarted.tolist() == [False, False, False]


def test_one_print_can_fill_many_buckets():
    cut = vpin.fragments(items([(100, True)]), 7, 3, 5)
    assert cut.buy_lots.tolist() == [2] + [7] * 14
    assert cut.is_full.all()


@pytest.mark.parametrize(
    "sizes", [(0,), (5, 5), (5, -1), (5, 0, 0)], ids=["size", "full", "negative", "open"]
)
def test_impossible_buckets_are_refused(sizes):
    with pytest.raises(ValueError, match="vpin"):
        vpin.fragments(items([(1, True)]), *sizes)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"lots": [-1]}, "print of -1"),
        ({"lots": [1, 2]}, "shapes"),
        ({"bought_lots": [9]}, "more bought"),
        ({"bought_lots": [-1]}, "more bought"),
    ],
)
def test_impossible_prints_are_refused(change, what):
    with pytest.raises(ValueError, match=what):
        vpin.fragments(items([(5, True)])._replace(**change), 5)
    if "lots" in change:
        with pytest.raises(ValueError, match="vpin"):
            vpin.buckets(change["lots"], [True], 5)


@given(prints, sizes, st.lists(st.booleans(), max_size=40))
def test_prints_between_edges_may_be_given_as_one(rows, bucket_lots, joins):
    """Joined where no edge divides them, fragments are the same."""
    rows = [(lots, buy) for lots, buy in rows if lots]
    joined, whole, place = [], [], 0
    for n, (lots, buy) in enumerate(rows):
        starts_bucket = place % bucket_lots == 0
        if joined and not starts_bucket and n < len(joins) and joins[n] and not whole[-1]:
            last_lots, last_bought = joined[-1]
            joined[-1] = (last_lots + lots, last_bought + lots * buy)
        else:
            joined.append((lots, lots * buy))
            whole.append(False)
        place += lots
        whole[-1] = whole[-1] or (place - 1) // bucket_lots != (place - lots) // bucket_lots
    # A run that an edge divides may not be joined: leave those out.
    total = 0
    for lots, bought in joined:
        if (total + lots - 1) // bucket_lots != total // bucket_lots and 0 < bought < lots:
            return
        total += lots
    size, bought = (np.array([r[k] for r in joined], dtype=np.int64) for k in (0, 1))
    some = vpin.Items(size, bought, np.zeros_like(size), bought * 1.0, (size - bought) * 1.0)
    one, other = (vpin.fragments(i, bucket_lots) for i in (items(rows, [0] * len(rows)), some))
    for name in ("buy_lots", "sell_lots", "net_square", "net_largest", "is_full"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-12)


@given(st.lists(st.tuples(st.integers(1, 90), st.floats(0, 1)), max_size=30), sizes)
def test_a_divided_bar_keeps_its_share_to_a_lot(bars, bucket_lots):
    lots = np.array([n for n, _ in bars], dtype=np.int64)
    bought = np.array([round(n * share) for n, share in bars], dtype=np.int64)
    whole = vpin.Items(lots, bought, np.arange(lots.size), bought * 1.0, (lots - bought) * 1.0)
    cut = vpin.fragments(whole, bucket_lots)
    assert cut.buy_lots.sum() == bought.sum()
    assert (cut.buy_lots >= 0).all()
    assert (cut.sell_lots >= 0).all()
    np.testing.assert_allclose(cut.buy_base, cut.buy_lots, atol=1)
    assert cut.buy_base.sum() == pytest.approx(bought.sum())


def test_the_net_flow_of_each_minute_is_kept_in_buckets():
    rows = [(3, True), (1, False), (4, False), (2, True), (6, True)]
    cut = vpin.fragments(items(rows, [0, 0, 1, 2, 2]), 10)
    # 3 - 1 in the first minute, -4 in the second, +2 of the third; then 6 in the next bucket.
    np.testing.assert_allclose(cut.net_square, [(4 + 16 + 4) / 100, 36 / 100])
    np.testing.assert_allclose(cut.net_largest, [0.4, 0.6])


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=9))
def test_the_null_is_near_the_mean_over_all_signs(flows):
    n = np.array(flows)
    signs = np.array(np.meshgrid(*[[-1, 1]] * n.size)).reshape(n.size, -1)
    exact = np.abs(n @ signs).mean()
    found = vpin.null_imbalance((n * n).sum(), n.max())
    assert found == pytest.approx(exact, rel=0.2)
    assert found >= n.max() - 1e-12


def test_of_many_minutes_the_null_is_that_of_a_walk():
    n = np.full(400, 0.01)
    walk = np.sqrt(2 / np.pi * (n * n).sum())
    assert vpin.null_imbalance((n * n).sum(), 0.01) == pytest.approx(walk, rel=2e-3)
    assert np.isnan(vpin.null_imbalance(np.nan, np.nan))
    assert vpin.null_imbalance(0.0, 0.0) == 0


def test_the_size_of_a_bucket_is_in_whole_steps():
    plan = sizing.plan([1_000_000, 1_000_000], [1_000, 300])
    assert plan.bucket_lots.tolist() == [20_000, 20_100]
    with pytest.raises(ValueError, match="steps of 0"):
        sizing.plan([1], 0)


def test_the_deviation_rests_on_the_days_that_size_the_buckets():
    changes = np.random.default_rng(1).normal(size=(4, 30))
    sums = [np.full(4, 30.0), changes.sum(axis=1), (changes**2).sum(axis=1)]
    found = sizing.deviations([10, 10, 0, 10], *sums)
    assert found[0] == pytest.approx(changes[0].std(ddof=1))
    assert found[1] == pytest.approx(changes[0].std(ddof=1))
    # A day without volume counts for nothing, whatever its bars.
    assert found[2:] == pytest.approx([changes[:2].std(ddof=1)] * 2)
    assert np.isnan(sizing.deviations([5], [1.0], [0.1], [0.01])[0])


def test_the_examples_in_the_docstrings_run():
    assert doctest.testmod(vpin).failed == 0
