"""SQL functions of toxicity: what they make of missing and disordered input."""

import duckdb
import pytest

from warehouse.plugins.duckdb import bind

RULE = "0.5, 0.3, 0.9, 0.6, 10, 3"


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        bind(connection)
        yield connection


def states(connection, hours, values, rule=RULE):
    found = connection.execute(f"select toxicity_states({hours}, {values}, {rule})").fetchall()
    return [(row["hour"], row["toxicity_state"], row["past_share"]) for row in found[0][0]]


def test_a_missing_figure_is_unknown_and_no_past(connection):
    found = states(connection, "[7, 8, 9, 10, 11]", "[1, 2, null, 3, 4]::double[]")
    assert [state for _, state, _ in found] == ["unknown"] * 4 + ["toxic"]
    assert [share for *_, share in found] == [None] * 4 + [1.0]


def test_without_a_rule_nothing_is_known(connection):
    found = states(
        connection, "[1, 2, 3, 4]", "[1, 2, 3, 4]::double[]", "0.5, null, 0.9, 0.6, 10, 3"
    )
    assert [state for _, state, _ in found] == ["unknown"] * 4


def test_an_instrument_without_hours_has_no_rows(connection):
    assert states(connection, "null::bigint[]", "null::double[]") == []


def test_hours_out_of_order_are_refused(connection):
    with pytest.raises(duckdb.InvalidInputException, match="8 follows 9"):
        states(connection, "[9, 8]", "[1, 2]::double[]")
