"""Order-flow imbalance: what each change of the best quotes counts, and minutes that cannot."""

import doctest

import numpy as np
import pytest
import tapes
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import imbalance, tape

NAN = float("nan")
MINUTE = 60 * tapes.SECOND
rows = st.tuples(
    st.integers(1, 4), st.integers(1, 9), st.integers(4, 7), st.integers(1, 9)
)  # bid, its size, ask, its size


def streamed(*told, every=True):
    """One quote a second from second 0 on; rows of (bid, its size, ask, its size)."""
    times = range(len(told))
    return tapes.quotes(
        *((t, bid, ask) for t, (bid, _, ask, _) in zip(times, told, strict=True)),
        sizes=[(b, a) for _, b, _, a in told],
        is_every_update=every,
    )


@pytest.mark.parametrize(
    ("after", "counts"),
    [
        ((99, 8, 101, 3), 3),  # the bid grows by 3
        ((99, 2, 101, 3), -3),  # and shrinks by 3
        ((100, 4, 101, 3), 4),  # a higher bid counts whole
        ((98, 9, 101, 3), -5),  # a lower one takes what stood
        ((99, 5, 101, 1), 2),  # two are taken from the ask
        ((99, 5, 100, 6), -6),  # a lower ask counts whole
        ((99, 5, 102, 9), 3),  # a higher one frees what stood
    ],
)
def test_each_change_counts_as_in_the_paper(after, counts):
    before = (99, 5, 101, 3)
    columns = np.array([before, after], dtype=float).T
    assert imbalance.contribution(*columns).tolist() == [counts]


@given(st.lists(rows, min_size=2, max_size=30))
def test_a_mirrored_market_leans_the_other_way(told):
    bid, bid_size, ask, ask_size = np.array(told, dtype=float).T
    one = imbalance.contribution(bid, bid_size, ask, ask_size)
    other = imbalance.contribution(-ask, ask_size, -bid, bid_size)
    np.testing.assert_allclose(one, -other)


@given(st.lists(rows, min_size=2, max_size=130))
def test_minutes_add_up_the_changes(told):
    found = imbalance.minutes(streamed(*told), 0, 3 * MINUTE)
    changes = imbalance.contribution(*np.array(told, dtype=float).T)
    assert np.isnan(found.imbalance[0])
    for i, minute in enumerate(found.minute[1:], start=1):
        part = changes[60 * minute - 1 : 60 * minute + 59]
        assert found.imbalance[i] == pytest.approx(part.sum())
        assert found.updates[i] == part.size


def test_snapshots_have_no_imbalance():
    told = [(99, 5, 101, 3), (99, 8, 101, 3)]
    found = imbalance.minutes(streamed(*told, every=False), 0, MINUTE)
    assert (found.updates[0], found.unrecorded[0]) == (2, 2)
    assert np.isnan(found.imbalance[0])
    assert np.isnan(found.depth[0])


def test_the_quote_before_the_period_makes_its_first_minute_whole():
    told = tapes.quotes((59, 99, 101), (61, 99, 101), sizes=[(5, 3), (9, 3)], is_every_update=True)
    found = imbalance.minutes(told, MINUTE, 2 * MINUTE)
    assert found.minute.tolist() == [1]
    assert found.imbalance.tolist() == [4]
    assert found.depth.tolist() == [6]


@pytest.mark.parametrize(("silence", "is_whole"), [(60, True), (61, False), (7200, False)])
def test_a_quote_after_a_silent_hole_of_the_stream_is_no_change(silence, is_whole):
    """Each of its quotes says that every update is there; none says that the stream was down."""
    after = 10 + silence
    told = tapes.quotes(
        (5, 99, 101), (10, 99, 101), (after, 50, 52), (after + 1, 50, 52), is_every_update=True
    )
    found = imbalance.minutes(told, 0, 200 * MINUTE)
    assert found.minute.tolist() == [0, after // 60]
    assert found.unrecorded.tolist() == [1, not is_whole]
    assert np.isnan(found.imbalance[1]) != is_whole


def test_a_missing_side_has_no_imbalance_and_a_crossed_book_counts_as_it_is():
    one_sided = [(1, 1, 2, 1), (1, 1, NAN, 1), (1, 1, 2, 1)]
    rows_of = [(59 + i, b, a) for i, (b, _, a, _) in enumerate(one_sided)]
    found = imbalance.minutes(tapes.quotes(*rows_of, is_every_update=True), MINUTE, 2 * MINUTE)
    assert (found.one_sided[0], found.unrecorded[0]) == (2, 0)
    assert np.isnan(found.imbalance[0])
    crossed = tapes.quotes((59, 1, 2), (61, 3, 2), is_every_update=True)
    found = imbalance.minutes(crossed, MINUTE, 2 * MINUTE)
    assert (found.crossed[0], found.imbalance[0]) == (1, 1)


def test_books_between_the_quotes_are_no_updates():
    told = streamed((99, 5, 101, 3), (50, 5, 60, 3), (99, 8, 101, 3))
    is_book = np.array([False, True, False])
    columns = {n: getattr(told, n) for n in tape.Quotes.__slots__} | {"is_book": is_book}
    assert imbalance.minutes(tape.Quotes(**columns), 0, MINUTE).updates.tolist() == [2]


def test_what_is_asked_for_beside_a_stream_takes_no_change_from_it():
    told = streamed((99, 5, 101, 3), (99, 9, 101, 3), (99, 8, 101, 3), every=True)
    asked = np.array([False, True, False])
    beside = {"is_asked": asked, "is_every_update": ~asked}
    columns = {n: getattr(told, n) for n in tape.Quotes.__slots__} | beside
    columns["at_us"] = told.at_us + MINUTE - tapes.SECOND
    found = imbalance.minutes(tape.Quotes(**columns), MINUTE, 2 * MINUTE)
    assert (found.updates[0], found.unrecorded[0], found.imbalance[0]) == (1, 0, 3)
    alone = imbalance.minutes(tapes.quotes((61, 99, 101), is_asked=True), MINUTE, 2 * MINUTE)
    assert (alone.updates[0], alone.unrecorded[0]) == (1, 1)


def test_no_quotes_are_no_minutes():
    assert imbalance.minutes(tapes.quotes(), 0, MINUTE).minute.size == 0


def test_examples_run():
    assert doctest.testmod(imbalance).failed == 0
