"""SQL functions of prints against quotes: any order of entries, missing fields, missing periods."""

import math
import random

import duckdb
import numpy as np
import pytest

from warehouse.functions import pin
from warehouse.plugins.duckdb import bind

SECOND, DAY = 1_000_000, 86_400_000_000
PRINT = ("at_us", "sequence", "sign", "price", "size", "usd", "known_us")
QUOTE = ("at_us", "bid", "ask", "bid_size", "ask_size", "known_us", "is_book", "is_every_update")
PERIODS = ("spread_minutes", "impact_hours")


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        bind(connection)
        yield connection


def tape(seconds=300):
    """Two prints a second, some of them of one moment, and a quote a second."""
    draw = random.Random(3)
    prints, quotes = [], []
    for n in range(2 * seconds):
        at, sign, size = (n // 2) * SECOND + n % 5 // 4 * 700, draw.choice([-1, 1]), draw.random()
        price = 100 + 0.01 * sign + n / 1e4
        prints.append((at, n, sign, price, size, price * size, at + 40))
    for s in range(seconds):
        middle = 100 + s / 5e3 + draw.gauss(0, 0.01)
        quotes.append((s * SECOND, middle - 0.01, middle + 0.01, 2.0, 3.0, s * SECOND, False, True))
    return prints, quotes


def literal(names, rows):
    return [dict(zip(names, row, strict=True)) for row in rows]


def asked(connection, function, prints, quotes, start=0, end=DAY):
    query = f"select {function}($1, $2, $3, $4)"
    given = [literal(PRINT, prints), literal(QUOTE, quotes), start, end]
    return connection.execute(query, given).fetchall()[0][0]


@pytest.mark.parametrize("function", PERIODS)
def test_the_order_of_arrival_changes_no_bit(connection, function):
    prints, quotes = tape()
    expected = asked(connection, function, prints, quotes)
    assert expected
    random.Random(1).shuffle(prints)
    random.Random(2).shuffle(quotes)
    assert repr(asked(connection, function, prints, quotes)) == repr(expected)


def test_prints_of_one_moment_count_in_the_venues_order(connection):
    quotes = [(0, 99.0, 101.0, 1.0, 1.0, 0, False, False)]
    one = [(SECOND, 1, 1, 101.0, 1.0, 1.0, 0), (SECOND, 2, -1, 99.0, 1.0, 1.0, 0)]
    two = [(SECOND, 3, 1, 101.0, 1.0, 1.0, 0), (SECOND, 4, -1, 99.0, 1.0, 1.0, 0)]
    (mixed,) = asked(connection, "spread_minutes", [*one, *two], quotes)
    assert mixed["turns"] == 4
    (sorted_by_side,) = asked(
        connection,
        "spread_minutes",
        [(at, 5 * sign, sign, *rest) for at, _, sign, *rest in [*one, *two]],
        quotes,
    )
    assert sorted_by_side["turns"] == 2


@pytest.mark.parametrize(("sign", "furthest"), [(1, 103.0), (-1, 97.0)])
def test_a_sweep_without_numbers_ends_at_its_furthest_price(connection, sign, furthest):
    """Amihud's return is of a minute's last price: here that of its one sweep."""
    prints = []
    for minute in range(12):
        at, middle = 60 * minute * SECOND, 100.0 if minute < 11 else furthest - 3 * sign
        fills = [middle + sign * step for step in (2, 1, 3)] if minute == 11 else [100.0]
        prints += [(at, None, sign, price, 1.0, 1e6, at) for price in fills]
    (found,) = asked(connection, "impact_hours", prints, [])
    moved = 1e4 * abs(math.log(furthest / 100)) / 3
    assert found["amihud_n"] == 11
    assert found["amihud"] == pytest.approx(moved / 11)


def test_where_a_book_and_a_quote_tell_of_one_moment_the_quote_counts(connection):
    quotes = [
        (SECOND, 99.0, 101.0, 1.0, 1.0, 0, False, False),
        (SECOND, 49.0, 51.0, 1.0, 1.0, 0, True, False),
    ]
    for told in (quotes, quotes[::-1]):
        (found,) = asked(connection, "spread_minutes", [(SECOND, 1, 1, 101.0, 1.0, 1.0, 0)], told)
        assert (found["weight"], found["of_books"]) == (100.0, 0)


def test_an_entry_without_a_time_is_left_out_and_one_without_the_rest_counts_as_unsided(connection):
    prints = [(None, 1, 1, 101.0, 1.0, 1.0, 0), (SECOND, None, None, None, None, None, SECOND)]
    quotes = [
        (None, 1.0, 2.0, 1.0, 1.0, 0, False, False),
        (0, None, None, None, None, 0, None, None),
    ]
    (found,) = asked(connection, "spread_minutes", prints, quotes)
    assert (found["buys"], found["sells"], found["unsided"]) == (0, 0, 1)
    assert (found["priced"], found["weight"]) == (0, 0.0)
    (hour,) = asked(connection, "impact_hours", prints, quotes)
    assert (hour["prints"], hour["unsided"], hour["kyle_n"]) == (1, 1, 0)
    assert hour["kyle_lambda"] is None


def test_hours_without_quotes_and_days_without_prints_are_answers(connection):
    prints, quotes = tape()
    (hour,) = asked(connection, "impact_hours", prints, [])
    assert (hour["prints"], hour["kyle_lambda"]) == (600, None)
    assert hour["roll_n"] > 100
    assert asked(connection, "impact_hours", [], quotes) == []
    minutes = asked(connection, "spread_minutes", [], quotes)
    assert len(minutes) == 6
    assert {m["priced"] for m in minutes} == {0}


def test_without_a_period_there_is_no_answer(connection):
    prints, quotes = tape(10)
    for function in PERIODS:
        assert asked(connection, function, prints, quotes, start=None) is None
        assert asked(connection, function, prints, quotes, end=None) is None


def test_rows_of_one_call_do_not_mix(connection):
    prints, quotes = tape(60)
    alone = asked(connection, "spread_minutes", prints, quotes)
    rows = connection.execute(
        "select spread_minutes(case when n <> 1 then $1 end, $2, case when n <> 2 then 0 end, $3) "
        "from range(4) as numbers(n) order by n",
        [literal(PRINT, prints), literal(QUOTE, quotes), DAY],
    ).fetchall()
    assert rows[0][0] == rows[3][0] == alone
    assert rows[2][0] is None
    assert {m["buys"] for m in rows[1][0]} == {0}


def test_imbalances_of_sql_are_those_of_quotes_alone(connection):
    _, quotes = tape(130)
    query = "select imbalance_minutes($1, $2, $3)"
    (found,) = connection.execute(query, [literal(QUOTE, quotes), 0, DAY]).fetchall()[0]
    assert [m["updates"] for m in found] == [60, 60, 10]
    assert [m["imbalance_base"] is None for m in found] == [True, False, False]
    assert [m["depth_base"] for m in found[1:]] == [2.5, 2.5]


def test_pin_of_sql_is_that_of_python_and_null_below_thirty_days(connection):
    rng = np.random.default_rng(5)
    buys, sells = rng.poisson(100, 60), rng.poisson(100 + 300 * (rng.random(60) < 0.3))
    query = "select pin_estimate($1, $2)"
    given = [[float(x) for x in buys], [float(x) for x in sells]]
    (found,) = connection.execute(query, given).fetchall()[0]
    ours = pin.pin(buys, sells)
    assert found == {n: getattr(ours, n) for n in pin.Pin.__slots__}
    (short,) = connection.execute(query, [g[:29] for g in given]).fetchall()[0]
    assert short["days"] == 29
    assert short["pin"] is None
    holed = [[*given[0], None], [*given[1], math.nan]]
    assert connection.execute(query, holed).fetchall()[0][0] == found
