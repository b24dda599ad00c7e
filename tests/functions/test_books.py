"""Is a book as deep, and an order as dear, as a plain loop over its levels finds?"""

import doctest
import math

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.functions import books
from warehouse.functions.books import NOTIONALS, WIDTHS_BPS, BookStatus, depths, ladders

RECORDED = "binance_books/lobdeep_btc_{}_2026-02-16_04.parquet"

# Prices on a coarse grid around 100, so that crossed, doubled and one-sided books come up.
levels = st.lists(
    st.tuples(st.booleans(), st.integers(-40, 40), st.integers(1, 400)), min_size=0, max_size=12
)


def flat(rows):
    is_bid = [bid for bid, _, _ in rows]
    price = [100.0 + 0.01 * (t - 20 if bid else t + 20) for bid, t, _ in rows]
    return is_bid, price, [float(q) for _, _, q in rows]


def one(rows):
    return depths(*flat(rows), [0, len(rows)])


def sides(rows):
    """Bids and asks best first, the smaller size of a price that is there twice."""
    found = ({}, {})
    for bid, price, quantity in zip(*flat(rows), strict=True):
        side = found[0 if bid else 1]
        side[price] = min(quantity, side.get(price, math.inf))
    return sorted(found[0].items(), reverse=True), sorted(found[1].items())


def filled(side, notional):
    """Mean price and levels of an order, by a plain loop; no price where the levels end."""
    left, coins, used = notional, 0.0, 0
    for price, quantity in side:
        used += 1
        taken = min(left, price * quantity)
        coins += taken / price
        left -= taken
        if left <= 0.0:
            return notional / coins, used
    return None, used


@settings(max_examples=50)
@given(levels)
def test_depths_are_those_of_a_plain_loop(rows):
    found = one(rows)
    bids, asks = sides(rows)
    assert found.levels.tolist() == [[len(bids), len(asks)]]
    assert found.doubled[0] == len(rows) - len(bids) - len(asks)
    assert found.recorded[0] == pytest.approx([sum(p * q for p, q in s) for s in (bids, asks)])
    if not bids and not asks:
        assert found.status[0] == BookStatus.EMPTY
    elif not bids or not asks:
        assert found.status[0] == BookStatus.ONE_SIDED
    elif bids[0][0] >= asks[0][0]:
        assert found.status[0] == BookStatus.CROSSED
    else:
        assert found.status[0] == BookStatus.OK
        mid = (bids[0][0] + asks[0][0]) / 2
        assert found.mid[0] == pytest.approx(mid)
        for s, side in enumerate((bids, asks)):
            for w, width in enumerate(WIDTHS_BPS):
                off = [abs(p / mid - 1) * 1e4 - 1e-6 for p, _ in side]
                within = sum(p * q for (p, q), far in zip(side, off, strict=True) if far <= width)
                known = within if off[-1] + 2e-6 >= width else math.nan
                assert found.depth[0, s, w] == pytest.approx(known, nan_ok=True)
        return
    assert np.isnan(found.mid[0])
    assert np.isnan(found.depth).all()
    assert np.isnan(ladders(*flat(rows), [0, len(rows)]).slippage_bps).all()


@settings(max_examples=50)
@given(levels, st.lists(st.integers(1, 200_000), min_size=1, max_size=5))
def test_ladders_are_those_of_a_plain_loop_and_never_better_for_more(rows, sizes):
    sizes = sorted(float(s) for s in sizes)
    found = ladders(*flat(rows), [0, len(rows)], sizes)
    bids, asks = sides(rows)
    for s, side in enumerate((asks, bids)):
        for n, size in enumerate(sizes):
            price, used = filled(side, size)
            assert found.is_fillable[0, s, n] == (price is not None)
            assert found.levels_used[0, s, n] == used
            if found.status[0] == BookStatus.OK:
                assert found.vwap[0, s, n] == pytest.approx(price or math.nan, nan_ok=True)
        paid = found.slippage_bps[0, s]
        assert (np.diff(paid[np.isfinite(paid)]) >= -1e-9).all()


def test_a_size_that_the_book_cannot_fill_has_no_slippage():
    found = ladders([True, False], [99.0, 101.0], [1.0, 2.0], [0, 2], [200.0, 202.0, 202.1])
    assert found.slippage_bps[0, 0].tolist()[:2] == pytest.approx([100.0, 100.0])
    assert np.isnan(found.slippage_bps[0, 0, 2])
    assert found.is_fillable[0].tolist() == [[True, True, False], [False, False, False]]
    assert found.levels_used[0].tolist() == [[1, 1, 1], [1, 1, 1]]


def test_a_crossed_book_has_no_middle_and_says_so():
    found = depths([True, False], [101.0, 101.0], [1.0, 1.0], [0, 2])
    assert found.status.tolist() == [BookStatus.CROSSED]
    assert np.isnan(found.mid[0])
    assert found.price[0].tolist() == [101.0, 101.0]


def test_levels_that_are_none_are_counted_and_left_out():
    nan, inf = math.nan, math.inf
    found = depths(
        [True, True, True, True, False],
        [99.0, nan, 98.0, inf, 101.0],
        [1.0, 5.0, 0.0, 1.0, 2.0],
        [0, 5],
    )
    assert found.unusable.tolist() == [3]
    assert found.levels.tolist() == [[1, 1]]
    assert found.mid.tolist() == [100.0]


def test_levels_out_of_order_are_the_same_book():
    draw = np.random.default_rng(0)
    is_bid = np.repeat([True, False], 50)
    price = np.concatenate([100 - np.arange(1, 51) * 0.1, 100 + np.arange(1, 51) * 0.1])
    quantity = draw.exponential(size=100)
    mixed = draw.permutation(100)
    for measure in (depths, ladders):
        kept = measure(is_bid, price, quantity, [0, 100])
        shuffled = measure(is_bid[mixed], price[mixed], quantity[mixed], [0, 100])
        for name in kept.__dataclass_fields__:
            np.testing.assert_allclose(getattr(shuffled, name), getattr(kept, name), rtol=1e-13)


def test_a_price_told_twice_counts_once_with_the_smaller_size():
    found = depths([True, True, False], [99.0, 99.0, 101.0], [3.0, 2.0, 1.0], [0, 3])
    assert found.doubled.tolist() == [1]
    assert found.recorded[0, 0] == 2 * 99.0


def test_no_books_are_no_rows():
    assert depths([], [], [], [0]).mid.shape == (0,)
    assert ladders([], [], [], [0]).vwap.shape == (0, 2, len(NOTIONALS))


@pytest.mark.parametrize("offsets", [[0, 1], [1, 2], [0, 3, 2], []])
def test_offsets_that_do_not_cover_the_levels_are_refused(offsets):
    with pytest.raises(ValueError, match="offsets"):
        depths([True, False], [1.0, 2.0], [1.0, 1.0], offsets)


@pytest.fixture(scope="module", params=["fut", "spot"])
def book(request, recorded):
    """Five minutes of a recorded book, every sixtieth of its states."""
    frame = pl.read_parquet(recorded / RECORDED.format(request.param)).gather_every(60)
    side = ["bids", "asks"]
    rows = [
        (np.array(row[f"{s}_px"]), np.array(row[f"{s}_qty"]))
        for row in frame.iter_rows(named=True)
        for s in side
    ]
    price, quantity = (np.concatenate([r[i] for r in rows]) for i in (0, 1))
    each = [r[0].size for r in rows]
    is_bid = np.repeat(np.arange(len(rows)) % 2 == 0, each)
    return frame, is_bid, price, quantity, np.cumsum([0, *each])[::2]


def test_recorded_books_pay_what_a_plain_loop_pays(book):
    frame, *levels_of = book
    found = ladders(*levels_of)
    assert (found.status == BookStatus.OK).all()
    for i in (0, frame.height // 2, frame.height - 1):
        row = frame.row(i, named=True)
        mid = (row["best_bid"] + row["best_ask"]) / 2
        for s, (name, sign) in enumerate((("asks", 1), ("bids", -1))):
            side = list(zip(row[f"{name}_px"], row[f"{name}_qty"], strict=True))
            for n, size in enumerate(NOTIONALS):
                price, used = filled(side, size)
                assert found.vwap[i, s, n] == pytest.approx(price, rel=1e-12)
                assert found.levels_used[i, s, n] == used
                slippage = sign * 1e4 * (price / mid - 1)
                assert found.slippage_bps[i, s, n] == pytest.approx(slippage, abs=1e-7)


def test_recorded_books_are_dearer_for_more_and_half_a_spread_at_least(book):
    frame, *levels_of = book
    paid = ladders(*levels_of).slippage_bps
    half = 1e4 * (frame["best_ask"] - frame["best_bid"]) / (frame["best_ask"] + frame["best_bid"])
    assert (paid >= half.to_numpy()[:, None, None] - 1e-9).all()
    assert (np.diff(paid, axis=-1) >= -1e-9).all()


def test_recorded_depth_is_missing_beyond_what_was_recorded(book):
    found = depths(*book[1:])
    beyond = found.reach[:, :, None] < np.array(WIDTHS_BPS) - 1e-6
    np.testing.assert_array_equal(np.isnan(found.depth), beyond)
    assert beyond[:, :, WIDTHS_BPS.index(100)].any()  # a thousand levels do not reach 1 %
    assert not beyond[:, :, WIDTHS_BPS.index(10)].any()
    wider = found.depth[:, :, 1:] >= found.depth[:, :, :-1]
    assert wider[~beyond[:, :, 1:]].all()


def test_examples():
    assert doctest.testmod(books).failed == 0
