"""Is the cheapest split the one that trying every split finds?"""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from warehouse.functions.split import Venue, splits

REFERENCE = 100.0
FEES = ((0.0,), (5.0,), (10.0, 4.0), (7.5, 7.5, 1.0))
FROM = ((0.0,), (0.0,), (0.0, 150.0), (0.0, 100.0, 250.0))


@st.composite
def venues(draw):
    """A few short books on a coarse grid of prices, so that ties and even lots are common."""
    found = []
    for _ in range(draw(st.integers(1, 3))):
        is_inverse = draw(st.booleans())
        levels = draw(st.integers(0, 3))
        ticks = draw(st.lists(st.integers(-2, 4), min_size=levels, max_size=levels, unique=True))
        sizes = draw(st.lists(st.integers(1, 5), min_size=levels, max_size=levels))
        tier = draw(st.integers(0, len(FEES) - 1))
        found.append(
            Venue(
                [False] * levels + [True] * levels,
                [REFERENCE + 0.25 * t for t in ticks] + [REFERENCE - 0.25 * t for t in ticks],
                [0.5 * s for s in sizes] * 2,
                lot=draw(st.sampled_from([30.0, 50.0, 70.0] if is_inverse else [0.25, 0.5, 0.7])),
                is_inverse=is_inverse,
                fee_bps=FEES[tier],
                fee_from_usd=FROM[tier],
            )
        )
    return found


def paid(venue: Venue, lots: int, is_buy: bool) -> tuple[float, float, float]:
    """So many lots in dollars, what they lose and what fee they pay; inf beyond the book."""
    wanted = lots * venue.lot * (1.0 if venue.is_inverse else REFERENCE)
    left, lost, value = wanted, 0.0, 0.0
    book = [
        (p, q)
        for bid, p, q in zip(venue.is_bid, venue.price, venue.quantity, strict=True)
        if bid != is_buy
    ]
    for price, quantity in sorted(book, reverse=not is_buy):
        rate = REFERENCE / price if venue.is_inverse else price / REFERENCE
        taken = min(left, quantity * (price if venue.is_inverse else REFERENCE))
        worse = (1.0 - rate) if venue.is_inverse else (rate - 1.0)
        lost += taken * (worse if is_buy else -worse)
        value += taken * rate
        left -= taken
    if left > 1e-9:
        return wanted, math.inf, math.inf
    ends = [*venue.fee_from_usd[1:], math.inf]
    fee = sum(
        rate / 1e4 * max(min(value, end) - start, 0.0)
        for rate, start, end in zip(venue.fee_bps, venue.fee_from_usd, ends, strict=True)
    )
    return wanted, lost, fee


def brute_force(offers: list[Venue], size: float, is_buy: bool) -> float:
    """The least cost in bps over all splits in whole lots; inf where none fills."""
    unit = [v.lot * (1.0 if v.is_inverse else REFERENCE) for v in offers]
    most = [math.ceil((size + max(unit)) / u) for u in unit]
    tables = [[paid(v, n, is_buy) for n in range(m + 1)] for v, m in zip(offers, most, strict=True)]
    best = math.inf
    for choice in itertools.product(*tables):
        filled = sum(c[0] for c in choice)
        if size - 1e-6 <= filled < size + max(unit) - 1e-6:
            best = min(best, 1e4 * sum(c[1] + c[2] for c in choice) / filled)
    return best


@settings(max_examples=100)
@given(venues(), st.sampled_from([25.0, 70.0, 140.0, 210.0, 400.0]))
def test_the_split_costs_what_the_best_of_all_splits_costs(offers, size):
    found = splits(offers, [size], REFERENCE)
    for side, is_buy in ((0, True), (1, False)):
        best = brute_force(offers, size, is_buy)
        if math.isinf(best):
            assert np.isnan(found.cost_bps[side, 0])
            continue
        assert found.cost_bps[side, 0] == pytest.approx(best, abs=1e-6)
        assert found.gap_bps[side, 0] == 0.0
        # and the lots it names are such a split
        rows = [paid(v, n, is_buy) for v, n in zip(offers, found.lots[side, 0], strict=True)]
        filled = sum(r[0] for r in rows)
        assert filled == pytest.approx(found.filled_usd[side, 0])
        assert filled >= size - 1e-6
        total = 1e4 * sum(r[1] + r[2] for r in rows) / filled
        assert total == pytest.approx(found.cost_bps[side, 0], abs=1e-6)
        fees = 1e4 * sum(r[2] for r in rows) / filled
        assert fees == pytest.approx(found.fee_bps[side, 0], abs=1e-6)


def test_no_venue_at_all_fills_nothing():
    found = splits([], [1000.0], REFERENCE)
    assert np.isnan(found.cost_bps).all()
    assert (found.single == -1).all()


def test_a_split_over_deep_books_is_never_dearer_than_the_best_venue_alone():
    draw = np.random.default_rng(3)
    offers = []
    for lot, is_inverse, tick, fee in (
        (0.001, False, 0.1, 5.0),
        (100.0, True, 0.1, 5.0),
        (10.0, True, 0.5, 4.0),
    ):
        gaps = tick * np.cumsum(draw.integers(1, 4, (2, 400)), axis=1)
        price = np.concatenate([89_500 - gaps[0], 89_500 + gaps[1]])
        is_bid = np.repeat([True, False], 400)
        quantity = draw.exponential(0.8, 800)
        offers.append(Venue(is_bid, price, quantity, lot, is_inverse, (fee,)))
    sizes = np.array([1e4, 1e5, 1e6, 5e6])
    found = splits(offers, sizes, 89_500.0)
    assert np.isfinite(found.cost_bps).all()
    assert (found.cost_bps <= found.single_cost_bps + 1e-9).all()
    assert (found.cost_bps[:, -1] < found.single_cost_bps[:, -1] - 0.1).all()
    assert (found.gap_bps < 1e-3).all()
    assert (found.filled_usd >= sizes - 1e-6).all()
    assert (found.filled_usd < sizes + 100.0).all()


@pytest.mark.parametrize(
    ("venue", "said"),
    [
        (Venue([False], [1.0], [1.0], lot=0.0), "a lot of 0"),
        (
            Venue([False], [1.0], [1.0], lot=1.0, fee_bps=(1.0, 2.0), fee_from_usd=(0.0, 9.0)),
            "fall",
        ),
        (Venue([False], [1.0], [1.0], lot=1.0, fee_bps=(1.0,), fee_from_usd=(5.0,)), "begin at 0"),
    ],
)
def test_terms_that_cannot_be_are_refused(venue, said):
    with pytest.raises(ValueError, match=said):
        splits([venue], [100.0], REFERENCE)
