"""The state of a chain at a grid point is what was known by then, and not older than it may be."""

from datetime import UTC, datetime, timedelta

import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from pipelines.snapshots import GRID, OLDEST, Chain
from warehouse.contract import OPTION_QUOTES

START = datetime(2024, 8, 8, tzinfo=UTC)


def states(arrivals: list[tuple[str, float]]) -> pl.DataFrame:
    """Conformed rows: an option's name and the seconds after midnight at which its row arrived."""
    at = [START + timedelta(seconds=seconds) for _, seconds in arrivals]
    rows = pl.DataFrame(
        {
            "venue": "deribit",
            "underlying": [name[:3] for name, _ in arrivals],
            "instrument_id": [name for name, _ in arrivals],
            "snapshot_at": [START + -((START - one) // GRID) * GRID for one in at],
            "quoted_at": at,
            "received_at": at,
            "mark_price": [1.0 + n for n in range(len(arrivals))],
            "price_unit": "coin",
        }
    )
    return OPTION_QUOTES.conform(rows).with_columns(
        pl.int_range(1, len(arrivals) + 1).alias("row_number")
    )


def held(arrivals, expiries=None, chunk: int | None = None):
    """{(underlying, minutes after midnight): {option: row number}}."""
    chain, frame = Chain(), states(arrivals)
    for piece in frame.iter_slices(chunk or max(frame.height, 1)):
        chain.add(piece)
    return {
        (underlying, (at - START).total_seconds() / 60): dict(
            rows.select("instrument_id", "row_number").iter_rows()
        )
        for underlying, at, rows in chain.snapshots(expiries or {})
    }


def test_the_last_state_by_a_grid_point_counts():
    found = held([("BTC-a", 1), ("BTC-a", 299), ("BTC-a", 301), ("BTC-b", 300)])
    assert found == {("BTC", 5): {"BTC-a": 2, "BTC-b": 4}, ("BTC", 10): {"BTC-a": 3, "BTC-b": 4}}


def test_a_state_is_carried_for_fifteen_minutes_and_no_longer():
    feed = [("BTC-b", 60.0 * minute) for minute in range(1, 31)]
    found = held([("BTC-a", 240), *feed])
    carried = [minute for (_, minute), options in found.items() if "BTC-a" in options]
    assert carried == [5, 10, 15]
    assert len(found) == 6


def test_a_point_before_which_nothing_arrived_has_no_state():
    found = held([("BTC-a", 10), ("BTC-a", 1_810)])
    assert list(found) == [("BTC", 5), ("BTC", 35)]


def test_an_option_is_not_listed_from_its_expiry_on():
    expiries = {"BTC-a": START + timedelta(minutes=10)}
    feed = [("BTC-a", 200), ("BTC-b", 200), ("BTC-b", 400), ("BTC-b", 700)]
    found = held(feed, expiries)
    assert [sorted(options) for options in found.values()] == [
        ["BTC-a", "BTC-b"],
        ["BTC-b"],
        ["BTC-b"],
    ]


def test_each_underlying_has_its_own_snapshots():
    assert set(held([("BTC-a", 10), ("ETH-a", 400)])) == {("BTC", 5), ("ETH", 10)}


def test_a_file_of_one_stamp_keeps_that_stamp():
    found = held([("BTC-a", 77.5), ("BTC-b", 77.5), ("ETH-a", 77.5)])
    assert found == {
        ("BTC", 77.5 / 60): {"BTC-a": 1, "BTC-b": 2},
        ("ETH", 77.5 / 60): {"ETH-a": 3},
    }


def test_a_row_on_the_point_belongs_to_it():
    assert list(held([("BTC-a", 300), ("BTC-a", 600)])) == [("BTC", 5), ("BTC", 10)]


def test_a_repeated_row_is_told():
    chain, frame = Chain(), states([("BTC-a", 10), ("BTC-a", 10), ("BTC-b", 20)])
    chain.add(frame)
    assert chain.repeated()["row_number"].to_list() == [2]


def test_nothing_gives_no_snapshot():
    assert held([]) == {}


names = st.sampled_from(["BTC-a", "BTC-b", "BTC-c", "ETH-a"])
arrivals = st.lists(
    st.tuples(names, st.integers(0, 4_000)), min_size=1, max_size=40, unique=True
).map(lambda found: sorted(found, key=lambda one: one[1]))


@given(feed=arrivals, chunk=st.integers(1, 7))
def test_snapshots_are_what_their_definition_says_however_the_file_is_cut(feed, chunk):
    found = held(feed, chunk=chunk)
    expected = {}
    stamps = {second for _, second in feed}
    for underlying in {name[:3] for name, _ in feed}:
        own = [(n, name, s) for n, (name, s) in enumerate(feed, 1) if name[:3] == underlying]
        for minute in range(0, 75, 5):
            point = minute * 60
            if not any(point - GRID.seconds < s <= point for _, _, s in own):
                continue
            known = [(n, name) for n, name, s in own if point - OLDEST.seconds <= s <= point]
            expected[underlying, minute] = {name: n for n, name in known}
    if len(stamps) > 1:
        assert found == expected
    else:
        assert {minute for _, minute in found} == {next(iter(stamps)) / 60}
