"""SQL functions of volume buckets: days by date, list positions, and what is missing."""

import datetime as dt

import duckdb
import pytest

from warehouse.functions import bulk, sizing
from warehouse.plugins.duckdb import bind

FIRST, SECOND = "date '2024-01-01'", "date '2024-01-02'"


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        bind(connection)
        yield connection


def one(connection, select):
    return connection.execute(f"select {select}").fetchall()[0][0]


def plan(days, volume):
    ones = ", ".join(["1"] * len(volume.split(",")))
    zeros = ones.replace("1", "0")
    return (
        f"vpin_plan([{days}], [{volume}], [{ones}], [{zeros}]::double[], [{zeros}]::double[], "
        f"[{zeros}]::double[])"
    )


def test_a_plan_has_one_row_per_day_and_reads_an_absent_day_as_no_unit(connection):
    days = "date '2024-01-01', '2024-01-02', '2024-01-05', '2024-01-06'"
    found = one(connection, plan(days, "130, 0, 7, null"))
    assert [day["day_at"] for day in found] == [dt.date(2024, 1, d) for d in (1, 2, 5, 6)]
    expected = sizing.plan([130, 0, sizing.NO_UNIT, sizing.NO_UNIT, 7, sizing.NO_UNIT])
    for name in ("bucket_lots", "first_bucket", "open_lots", "is_own_day", "is_restarted"):
        column = getattr(expected, name)[[0, 1, 4, 5]].tolist()
        assert [day[name] for day in found] == column
    assert [day["is_restarted"] for day in found] == [False, False, True, False]
    assert [day["deviation"] for day in found] == [None] * 4


def test_a_plan_without_any_volume_has_no_bucket_size(connection):
    found = one(connection, plan(f"{FIRST}, {SECOND}", "null, 0"))
    assert [day["bucket_lots"] for day in found] == [None, None]


def test_days_out_of_order_are_refused_by_date(connection):
    with pytest.raises(duckdb.InvalidInputException, match="days must ascend, 2024-01-01 does not"):
        one(connection, plan(f"{SECOND}, {FIRST}", "1, 1"))


def test_fragments_point_at_list_positions_and_leave_unplanned_rows_null(connection):
    found = connection.execute(
        """
        select i, vpin_fragments([3, 5, 4], [3, 0, 4], [7, 7, 8], [6, 0, 8], [0, 10, 0], size, 0, 4)
        from (values (1, 4), (2, null), (3, 6)) as days(i, size) order by i
        """
    ).fetchall()
    assert found[1][1] is None
    first = [tuple(f.values())[:7] for f in found[0][1]]
    assert first == [(0, 1, 2, 3, 1, 6, 2), (1, 2, 2, 0, 4, 0, 8), (2, 3, 3, 4, 0, 8, 0)]
    assert [f["is_full"] for f in found[0][1]] == [True] * 3
    third = [tuple(f.values())[:5] for f in found[2][1]]
    assert third == [(0, 1, 2, 3, 1), (1, 2, 3, 2, 4), (2, 3, 3, 2, 0)]
    assert [f["is_full"] for f in found[2][1]] == [True, True, False]


def test_a_null_among_prints_is_refused_since_its_volume_would_be_lost(connection):
    with pytest.raises(duckdb.InvalidInputException, match="one would be lost"):
        one(connection, "vpin_fragments([3, null], [3, 0], [1, 1], [3, 0], [0, 0], 4, 0, 4)")


def test_shares_are_of_the_law_their_row_names(connection):
    found = connection.execute(
        "select bulk_share(x, 2, d) from (values (1, null), (1, 0.25), (null, 1)) as rows(x, d)"
    ).fetchall()
    laws = [bulk.bought_shares(1.0, 2.0), bulk.bought_shares(1.0, 2.0, 0.25)]
    assert [row[0] for row in found] == [*map(float, laws), None]


def test_a_bucket_without_flow_has_no_null(connection):
    assert one(connection, "vpin_null(null, 0.1)") is None
    assert one(connection, "vpin_null(1, 1)") == 1
