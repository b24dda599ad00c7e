"""Do rows that become columns at once become exactly what reading them one by one makes of them?"""

import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pipelines.venues.json_columns import Rows, columns, cut, whole
from pipelines.venues.json_rows import typed
from pipelines.venues.json_shape import PYTHON, Shape

SHAPE = Shape(
    {"number": "integer", "price": "number", "name": "text"},
    {"size": "decimal", "is_maker": "flag", "count": "integer", "note": "text"},
)
ROW: dict[str, Any] = {"number": 7, "price": 0.5, "name": "BTC", "size": "1.50", "is_maker": True}
LARGE = 2**63

integers = st.integers(-LARGE, LARGE - 1)
numbers = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**15), 10**15)
)
texts = st.text(st.characters(codec="utf-8"), max_size=6)
decimals = numbers.map(str)
clean = st.fixed_dictionaries(
    {"number": integers, "price": numbers, "name": texts.filter(bool)},
    optional={
        "size": decimals,
        "is_maker": st.booleans(),
        "count": integers,
        "note": st.none() | texts.filter(bool),
        "other": st.none() | integers | texts | st.lists(integers, max_size=2),
    },
)
anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=3,
)
names = st.sampled_from([*SHAPE.fields, "other"])
damaged = st.builds(lambda row, name, value: row | {name: value}, clean, names, anything)
lacking = st.builds(
    lambda row, name: {key: value for key, value in row.items() if key != name}, clean, names
)


def text_of(rows: Sequence[Any]) -> bytes:
    return json.dumps(rows, separators=(",", ":"), ensure_ascii=False).encode()


def read(text: bytes) -> list[dict[str, Any]] | None:
    """Rows by way of columns; None where the page is not clean."""
    frame = columns(text, SHAPE)
    found = None if frame is None else whole([frame], SHAPE)
    return None if found is None else found.to_dicts()


def is_promised(row: Any) -> bool:
    """What a row must be, said once more and without haste."""
    if not isinstance(row, dict) or any(row.get(name) is None for name in SHAPE.required):
        return False
    for name, kind in SHAPE.fields.items():
        value = row.get(name)
        if value is None:
            continue
        if type(value) not in PYTHON[kind] or value == "":
            return False
        if kind == "integer" and not -LARGE <= value < LARGE:
            return False
    return True


@given(st.lists(clean, max_size=5))
def test_clean_rows_are_read_as_they_are(rows):
    text = text_of(rows).decode()
    found = read(text.encode())
    if found is None:
        odd = ("\\", "[", '"count"')  # an escape, a list, an integer that may be absent
        assert any(mark in text[1:] for mark in odd), "the slow way is for what is odd"
        return
    assert found == [{name: row.get(name) for name in SHAPE.fields} for row in rows]


@given(st.lists(st.one_of(clean, damaged, lacking), min_size=1, max_size=4))
@example([ROW | {"number": 7.0}])
@example([ROW | {"number": 7.5}])
@example([ROW | {"number": True}])
@example([ROW | {"number": LARGE}])
@example([ROW | {"count": LARGE}])
@example([ROW | {"number": "7"}])
@example([ROW | {"price": True}])
@example([ROW | {"price": "0.5"}])
@example([ROW | {"name": 7}])
@example([ROW | {"name": ""}])
@example([ROW | {"name": "77"}, ROW | {"name": ""}])
@example([ROW | {"name": True}])
@example([ROW | {"size": 1.5}])
@example([ROW | {"size": ""}])
@example([ROW | {"is_maker": 1}])
@example([ROW | {"note": '"},{"'}])
@example([ROW | {"note": ":,"}])
@example([ROW | {"note": "\ud800"}])
@example([ROW, ROW | {"number": None}])
def test_whatever_is_read_at_once_is_exactly_as_promised(rows):
    try:
        text = text_of(rows)
    except UnicodeEncodeError:
        text = json.dumps(rows, separators=(",", ":")).encode()
    found = read(text)
    if found is None:
        return
    assert all(is_promised(row) for row in rows)
    assert found == [{name: row.get(name) for name in SHAPE.fields} for row in rows]


@given(st.lists(st.one_of(clean, damaged, lacking), max_size=4))
def test_columns_and_rows_tell_the_same(rows):
    """A page is the same rows whichever way is taken: beside a damaged row it is the slow one."""
    text = text_of(rows).decode()
    kept, refused = typed([text], SHAPE)
    slow, refused_with_one_more = typed([text, '[{"number":"x"}]'], SHAPE)
    assert refused_with_one_more.height == refused.height + 1
    assert slow.equals(kept)


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=50))
def test_no_bit_of_a_number_is_lost(values):
    found = read(text_of([ROW | {"price": value} for value in values]))
    assert found is not None
    for row, value in zip(found, values, strict=True):
        assert math.copysign(1, row["price"]) == math.copysign(1, value)
        assert row["price"] == value


@pytest.mark.parametrize(
    "text",
    [
        b"null",
        b"",
        b"[null]",
        b"[1]",
        b"{}",
        b"[{]}",
        b'[{"number":7,"price":0.5,"name":"a"},null]',
        b'[{"number":7,"price":0.5,"name":"a"},3]',
        b'[{"number":7,"price":0.5,"name":"a"}',
        b'[{"number":7,"price":0.5,"name":"a"}]x',
        b'[{"number":007,"price":0.5,"name":"a"}]',
        b'[{"number":7,"price":0.5.1,"name":"a"}]',
        b'[{"number":7,"price":,"name":"a"}]',
        b'[{"number":7,"price":.5,"name":"a"}]',
        b'[{"number":7,"price":1e400,"name":"a"}]',
        b'[{"number":7,"price":NaN,"name":"a"}]',
        b'[{"number":7,"number":8,"price":0.5,"name":"a"}]',
        b'[{"number":7,"price":0.5,"name":"a\nb"}]',
        b'[{"number":7,"price":0.5,"name":"a"},,{"number":7,"price":0.5,"name":"a"}]',
        b'[{"number":7,"price":0.5,"name":"a"}5,{"number":7,"price":0.5,"name":"a"}]',
        b'[{"number":7,"price":0.5,"name":"\\ud800"}]',
    ],
)
def test_what_is_no_clean_page_is_left_to_the_slow_way(text):
    assert read(text) is None


def test_fields_that_must_be_there_may_be_null_and_not_absent():
    rows = [ROW | {"note": None}]
    assert columns(text_of(rows), SHAPE, present=("note",)) is not None
    assert columns(text_of([ROW]), SHAPE, present=("note",)) is None
    assert columns(text_of([*rows, ROW]), SHAPE, present=("note",)) is None


PATH = ("result", "trades")


@given(st.lists(clean, max_size=4), st.booleans(), st.sampled_from([None, [1], {"a": [2]}, "]"]))
def test_a_table_is_cut_out_of_its_envelope(rows, more, behind):
    answer = {"jsonrpc": "2.0", "result": {"trades": rows, "has_more": more}, "usOut": behind}
    text = text_of(answer).decode()
    found = cut(text, PATH)
    assert found is not None or behind is not None
    envelope, inner = found or (None, b"")
    if columns(inner, SHAPE) is not None or behind is None:
        assert json.loads(inner) == rows
        assert envelope == answer | {"result": {"trades": [None], "has_more": more}}


@pytest.mark.parametrize(
    "text",
    [
        '{"result":{"trades":null}}',
        '{"result":{"trades":{"a":[]}}}',
        '{"result":[{"trades":[{"a":1}]}]}',
        '{"trades":[{"a":1}],"result":{"trades":[]}}',
        '{"error":{"data":{"trades":[1]}}}',
        '{"result":{"trades":[{"a":1}',
        '{"result":{"trades":[{"a":1}]',
        "<html>[]</html>",
        "",
        "]",
    ],
)
def test_what_does_not_hold_the_table_where_it_is_promised_is_not_cut(text):
    assert cut(text, PATH) is None


def test_a_list_is_its_own_table():
    assert cut('[{"a":1}]', ()) == ([], b'[{"a":1}]')
    assert cut('{"code":-1121}', ()) is None


def test_rows_are_a_sequence_and_equal_where_their_text_is():
    rows = Rows(text_of([ROW, ROW]), SHAPE)
    assert rows.frame is not None
    assert (len(rows), list(rows), rows[1], rows[:1]) == (2, [ROW, ROW], ROW, [ROW])
    assert rows == [ROW, ROW]
    assert rows == Rows(text_of([ROW, ROW]), SHAPE)
    assert rows != Rows(text_of([ROW]), SHAPE)
    broken = Rows(text_of([ROW, {"number": "x"}]), SHAPE)
    assert broken.frame is None
    assert len(broken) == 2
