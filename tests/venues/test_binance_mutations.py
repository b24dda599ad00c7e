"""Is any row lost, and does anything break, when what was recorded of Binance comes damaged?

Whatever is done to a message, it is kept or refused with a reason: there is no third way.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations import gate
from expectations.gate import ROW_NUMBER
from pipelines.archives.base import Decoded
from pipelines.venues import binance_books as books
from pipelines.venues import binance_listing as listing
from pipelines.venues import binance_rows as rows
from pipelines.venues import binance_wire as wire
from pipelines.venues.binance_reading import Subject
from pipelines.venues.json_rows import row_texts, typed
from pipelines.venues.json_shape import Shape
from tests.venues.binance_recorded import answers, messages, routes
from warehouse.contract import LAKE_TABLES
from warehouse.raw import Page

AT = datetime(2024, 8, 8, 12, tzinfo=UTC)
SUBJECT = Subject("cm", date(2024, 8, 8), "BTCUSD_PERP")
SPOT = Subject("spot", date(2024, 8, 8), "BTCUSDT")
BATCH, BATCHES = 100, 9  # of every kind of message: with 12 kinds, 10,800 damaged messages

Decode = Callable[[Sequence[Page]], Decoded]


def of_changes(pages: Sequence[Page]) -> Decoded:
    found, _ = books.changes(SUBJECT, pages)
    return Decoded({"changes": found.frame}, found.refused)


def of_candles(pages: Sequence[Page]) -> Decoded:
    found = rows.candles(SUBJECT, pages, wire.STREAMED_CANDLE)
    return Decoded({"candles": found.frame}, found.refused)


KINDS: dict[str, tuple[wire.Form, Decode]] = {
    "trade": (
        wire.STREAMED_PRINT,
        lambda pages: rows.trades(SUBJECT, pages, wire.STREAMED_PRINT),
    ),
    "aggTrade": (wire.AGGREGATE, lambda pages: rows.trades(SUBJECT, pages)),
    "bookTicker": (
        wire.STREAMED_BEST,
        lambda pages: rows.quotes(SUBJECT, pages, wire.STREAMED_BEST),
    ),
    "depthUpdate": (wire.DEPTH_UPDATE, of_changes),
    "kline": (wire.STREAMED_CANDLE, of_candles),
    "rest print": (wire.PRINT, lambda pages: rows.trades(SPOT, pages, wire.PRINT)),
    "rest best": (wire.BEST, lambda pages: rows.quotes(SUBJECT, pages)),
    "rest mark": (wire.MARK, lambda pages: rows.marks(SUBJECT, pages)),
    "rest day": (wire.DAY_TICKER, lambda pages: rows.day_tickers(SUBJECT, pages)),
    "rest funding": (wire.FUNDING_RATE, lambda pages: rows.settlements(SUBJECT, pages)),
    "rest book": (wire.DEPTH, lambda pages: books.books(SUBJECT, AT, pages, 50)),
    "listing": (wire.LISTING, lambda pages: listing.instruments(SUBJECT, pages)),
}


@cache
def recorded_rows(recorded: Path) -> dict[str, list[dict[str, Any]]]:
    """Some undamaged rows of every kind."""
    stream = recorded / "venue_wire_31s/BINANCE_DELIVERY.ws.1.0.gz"
    found, _ = wire.sorted_streams(messages(stream))
    raw, _ = wire.sorted_streams(messages(recorded / "binance_ws_raw/cm/btcusd_perp_20240808.gz"))
    found["trade"] = raw["trade"]
    samples = {
        kind: [json.loads(page.text) for page in found[kind][:40]]
        for kind in ("trade", "aggTrade", "bookTicker", "depthUpdate", "kline")
    }
    rest = {asked: data for asked, _, data in routes(recorded) if data and "code" not in data}
    samples["rest print"] = rest["GET /api/v3/trades"]
    samples["rest best"] = rest["GET /dapi/v1/ticker/bookTicker"]
    samples["rest mark"] = rest["GET /dapi/v1/premiumIndex"]
    samples["rest day"] = rest["GET /dapi/v1/ticker/24hr"]
    samples["rest funding"] = rest["GET /dapi/v1/fundingRate"]
    depths = answers(recorded / "venue_wire_31s/BINANCE_DELIVERY.http.0.0.gz")
    samples["rest book"] = [shallow(json.loads(page.text)) for page in depths]
    (listed,) = answers(recorded / "venue_wire_31s/BINANCE_DELIVERY.0.gz")
    (page,) = listing.symbols([listed])
    samples["listing"] = json.loads(page.text)
    return samples


def shallow(book: dict[str, Any]) -> dict[str, Any]:
    return book | {side: book[side][:5] for side in ("bids", "asks")}


# ---------- damage
values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**40), 10**40),
    st.floats(allow_nan=True, allow_infinity=True),
    st.sampled_from(
        ["", "NaN", "Infinity", "-inf", "1e999", "0", "-1", "0x10", "1_0", " ", "\x00"]
    ),
    st.text(max_size=8),
    st.lists(st.one_of(st.none(), st.text(max_size=3), st.lists(st.integers())), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)
damages = st.tuples(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 3), values)


def damaged(row: dict[str, Any], field: int, way: int, value: Any) -> Any:
    """A row with one field taken away, set to something else or renamed; or something else."""
    names = list(row)
    name = names[field % len(names)]
    match way:
        case 0:
            return {n: v for n, v in row.items() if n != name}
        case 1:
            return row | {name: value}
        case 2:
            other = row[name]
            retyped = str(other) if not isinstance(other, str) else len(other)
            return row | {name: retyped}
    return value


def accounted(kind: str, came: Sequence[Any], *, in_one_page: bool) -> tuple[set[int], list[str]]:
    """Numbers of the rows kept and reasons of those refused: none is lost, none told twice."""
    texts = [json.dumps(came)] if in_one_page else [json.dumps(row) for row in came]
    pages = [Page("", text, AT.isoformat()) for text in texts]
    decoded = KINDS[kind][1](pages)
    count = (
        len(came) if in_one_page else sum(len(row) if isinstance(row, list) else 1 for row in came)
    )
    name, frame = next(iter(decoded.rows.items()))
    kept, refused = set(frame[ROW_NUMBER]), decoded.refused
    numbers = refused[ROW_NUMBER].to_list()
    assert len(numbers) == len(set(numbers))
    assert kept.isdisjoint(numbers)
    assert kept | set(numbers) == set(range(1, count + 1))
    assert set(row_texts(texts, numbers)) == set(numbers)
    reasons = refused["reason"].to_list()
    assert all(reasons)
    if name in LAKE_TABLES and frame.height:
        audit = gate.audit(LAKE_TABLES[name], frame)
        assert audit.kept.height + audit.refused.height == frame.height
        assert all(audit.refused["reason"])
    return kept, reasons


@pytest.mark.parametrize("kind", KINDS)
@settings(
    max_examples=BATCHES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(
    changes=st.lists(damages, min_size=BATCH, max_size=BATCH),
    is_one_page=st.booleans(),
)
def test_a_damaged_message_is_kept_or_refused_with_a_reason(kind, recorded, changes, is_one_page):
    whole = recorded_rows(recorded)[kind]
    came = [
        damaged(whole[place % len(whole)], field, way, value)
        for place, field, way, value in changes
    ]
    if not is_one_page:
        came = [row for row in came if row != ""]
    accounted(kind, came, in_one_page=is_one_page)


@pytest.mark.parametrize("kind", KINDS)
def test_undamaged_messages_are_kept(kind, recorded):
    whole = recorded_rows(recorded)[kind]
    kept, reasons = accounted(kind, whole, in_one_page=True)
    assert (len(kept), reasons) == (len(whole), [])


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_that_is_taken_away_or_retyped_is_noticed(kind, recorded):
    shape = KINDS[kind][0].shape
    whole = recorded_rows(recorded)[kind][-1]
    for name, wire_type in shape.fields.items():
        if name not in whole:
            continue
        for came in changed(whole, name, wire_type, is_required=name in shape.required):
            _, reasons = accounted(kind, [came], in_one_page=True)
            assert reasons, (name, came.get(name))
            assert reasons[0].startswith((name, "rate", "levels", "symbol")), (name, reasons)


def changed(
    row: dict[str, Any], name: str, wire_type: str, *, is_required: bool
) -> list[dict[str, Any]]:
    """The row without the field where it is promised, and with values of every other type."""
    others = {
        "integer": ["17", 1.5, True, [], {}],
        "number": ["17", True, [], {}],
        "decimal": [17, 1.5, True, [], {}, "many", "NaN"],
        "text": [17, 1.5, False, [], {}],
        "flag": ["true", 1, 0, [], {}],
        "levels": ["17", True, {}, [["1", "x"]], [["1"]], [[1, 2]], ["1"], [None], [["1", None]]],
    }
    found = [row | {name: other} for other in others[wire_type]]
    if is_required:
        found += [{n: v for n, v in row.items() if n != name}, row | {name: None}]
    return found


FORMS = {name: form for name, form in vars(wire).items() if isinstance(form, wire.Form)}
GOOD = {
    "integer": 17,
    "number": 1.5,
    "decimal": "1.5",
    "text": "BTCUSDT",
    "flag": True,
    "levels": [["1.5", "2"]],
}


@pytest.mark.parametrize("name", FORMS)
def test_no_form_takes_a_row_without_a_field_or_with_another_type_in_it(name):
    shape = FORMS[name].shape
    whole = {field: GOOD[wire_type] for field, wire_type in shape.fields.items()}
    assert reasons_of([whole], shape) == []
    for field, wire_type in shape.fields.items():
        is_required = field in shape.required
        damaged_rows = changed(whole, field, wire_type, is_required=is_required)
        if wire_type == "levels":  # whether levels are a book is told after this
            told_later = ([["1", "x"]], [["1"]], [["1", None]], [None])
            damaged_rows = [row for row in damaged_rows if row.get(field) not in told_later]
        for row in damaged_rows:
            (reason,) = reasons_of([row], shape)
            assert reason.startswith(field)
    if shape.places:
        cells = list(whole.values())
        assert reasons_of([cells], shape) == []
        assert reasons_of([cells[:3]], shape) == [f"{shape.places[3]}_missing"]


def reasons_of(came: list[Any], shape: Shape) -> list[str]:
    _, refused = typed([json.dumps(came)], shape)
    return refused["reason"].to_list()


# ---------- any text at all
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "p", "T", "x", "bids"]), inner, max_size=4),
    ),
    max_leaves=12,
)
EVERY_TYPE = Shape(
    {"a": "integer", "p": "decimal"},
    {"T": "number", "x": "text", "m": "flag", "bids": "levels"},
)


@settings(max_examples=500, deadline=None)
@given(st.lists(st.one_of(st.text(max_size=20), anything.map(json.dumps)), max_size=4))
def test_any_pages_at_all_are_kept_or_refused_row_by_row(texts):
    frame, refused = typed(texts, EVERY_TYPE)
    numbers = [*frame[ROW_NUMBER], *refused[ROW_NUMBER]]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert not refused["reason"].null_count()
    assert frame["a"].null_count() == frame["p"].null_count() == 0
    assert frame["p"].is_finite().all()


@pytest.mark.parametrize("text", ["null", "[null]", "[null,null]", "[]", "", "[[[[", "{" * 10**5])
def test_texts_that_once_ended_a_process_do_not(text):
    frame, refused = typed([text], EVERY_TYPE)
    assert frame.is_empty()
    assert refused.height == {"[null,null]": 2, "[]": 0}.get(text, 1)


def test_a_row_parsed_alone_is_the_row_parsed_among_others():
    """What Arrow reads at once and what is read row by row are the same rows."""
    good = [{"a": n, "p": f"{n}.25", "T": n / 2, "x": "é", "m": n % 2 == 0} for n in range(50)]
    fast, _ = typed([json.dumps(good, separators=(",", ":"))], EVERY_TYPE)
    slow, refused = typed([json.dumps([*good, {"a": 1.5}])], EVERY_TYPE)
    assert refused["reason"].to_list() == ["a_unreadable"]
    assert fast.equals(slow.cast(fast.schema))
    assert isinstance(fast["p"].dtype, pl.Float64)
