"""What does Deribit send? Every message that is read: where its rows stand, and their fields.

Answers wrap rows as `result`, notifications as `params.data`; the rows are the same. Fields inside
an object of a row are read as `object.field`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import polars as pl

from expectations.gate import REFUSED
from pipelines.venues import json_columns, json_rows
from pipelines.venues.json_columns import Rows
from pipelines.venues.json_rows import numbered, typed
from pipelines.venues.json_shape import POLARS, Shape, Type

LEVELS = {"bids": "bid", "asks": "ask"}
# What polars takes for a number, and is none: true.
EXACT: Mapping[Type, frozenset[type]] = {
    "integer": frozenset((int, type(None))),
    "number": frozenset((int, float, type(None))),
}
NO_VALUE: list[object] = []  # is no value of any type: stands where a field is not even null


@dataclass(frozen=True, slots=True)
class Form:
    """Rows of one kind: the keys that lead to them, what they hold, and how they are flattened.

    Fields in `present` are in every row, though they may be null: where one is absent something
    else than "none" has happened, and the row is refused.
    """

    path: tuple[str, ...]
    shape: Shape
    present: tuple[str, ...] = ()
    nested: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    is_single: bool = False
    is_table: bool = False

    def streamed(self) -> "Form":
        """The same rows inside a notification."""
        return replace(self, path=("params", "data"))


def _fields(kind: Type, names: str) -> dict[str, Type]:
    return dict.fromkeys(names.split(), kind)


# {"trade_seq":17,"trade_id":"48079573","timestamp":1590484156350,"price":8950.0,"amount":10.0,
#  "instrument_name":"BTC-PERPETUAL","direction":"sell","mark_price":8948.9,"index_price":8955.9}
TRADE = Form(
    ("result", "trades"),
    Shape(
        _fields("integer", "trade_seq timestamp")
        | _fields("text", "trade_id instrument_name direction")
        | _fields("number", "price amount"),
        _fields("number", "mark_price index_price iv contracts block_rfq_id")
        | _fields("text", "liquidation block_trade_id combo_id"),
    ),
    present=("mark_price", "index_price"),
    is_table=True,
)
# {"instrument_name":"BTC-24SEP21-40000-P","kind":"option","strike":40000.0,"option_type":"put",
#  "contract_size":1.0,"tick_size":0.0005,"min_trade_amount":0.1,"is_active":true,
#  "creation_timestamp":1606129458000,"expiration_timestamp":1632470400000}
INSTRUMENT = Form(
    ("result",),
    Shape(
        _fields("text", "instrument_name kind") | _fields("integer", "expiration_timestamp"),
        _fields("number", "contract_size tick_size min_trade_amount strike")
        | _fields("integer", "creation_timestamp")
        | _fields("text", "option_type")
        | _fields("flag", "is_active"),
    ),
    present=("contract_size", "tick_size", "min_trade_amount", "creation_timestamp", "is_active"),
)
# {"instrument_name":"BTC-28MAR25-90000-C","bid_price":0.04,"ask_price":null,"mark_price":0.042,
#  "mark_iv":55.2,"underlying_price":95000.5,"open_interest":123.5,"last":0.0415,
#  "volume_usd":950000.0,"creation_timestamp":1710000000000}
SUMMARY = Form(
    ("result",),
    Shape(
        _fields("text", "instrument_name"),
        _fields("number", "bid_price ask_price mark_price last open_interest volume_usd")
        | _fields("number", "mark_iv underlying_price")
        | _fields("integer", "creation_timestamp"),
    ),
    present=(
        *("bid_price", "ask_price", "mark_price", "last", "open_interest", "volume_usd"),
        *("underlying_price", "creation_timestamp"),
    ),
)
# {"timestamp":1626993723632,"instrument_name":"ETH-30JUL21-2800-C","mark_price":0.001972,
#  "index_price":2006.72,"best_bid_price":0.0015,"best_bid_amount":4714.0,"open_interest":12685.0,
#  "underlying_price":2003.61,"mark_iv":120.74,"stats":{"volume":869.0},"greeks":{"delta":0.03}}
TICKER = Form(
    ("result",),
    Shape(
        _fields("integer", "timestamp")
        | _fields("text", "instrument_name")
        | _fields("number", "mark_price index_price open_interest"),
        _fields("number", "best_bid_price best_bid_amount best_ask_price best_ask_amount")
        | _fields("number", "last_price stats.volume_usd current_funding funding_8h")
        | _fields("number", "mark_iv bid_iv ask_iv underlying_price")
        | _fields("number", "greeks.delta greeks.gamma greeks.vega greeks.theta"),
    ),
    nested={"stats": ("volume_usd",), "greeks": ("delta", "gamma", "vega", "theta")},
    is_single=True,
)
# What tickers hold today; those of 2021 had no volume in dollars.
FUTURE_TICKER = replace(
    TICKER,
    present=(
        *("best_bid_price", "best_bid_amount", "best_ask_price", "best_ask_amount"),
        *("last_price", "stats.volume_usd"),
    ),
)
PERPETUAL_TICKER = replace(
    TICKER, present=(*FUTURE_TICKER.present, "current_funding", "funding_8h")
)
OPTION_TICKER = replace(
    TICKER,
    present=(
        *(*FUTURE_TICKER.present, "mark_iv", "bid_iv", "ask_iv", "underlying_price"),
        *("greeks.delta", "greeks.gamma", "greeks.vega", "greeks.theta"),
    ),
)
# {"timestamp":1766554855140,"instrument_name":"BTC-PERPETUAL","bids":[[87002.5,10.0]],"asks":[]}
BOOK = Form(
    ("result",),
    Shape(
        _fields("integer", "timestamp level")
        | _fields("text", "instrument_name side")
        | _fields("number", "price amount")
    ),
    is_single=True,
)
BOOK_STEM = Shape(_fields("integer", "timestamp") | _fields("text", "instrument_name"))
# {"timestamp":1569891600000,"index_price":8222.87,"prev_index_price":8305.72,
#  "interest_8h":-0.00009234260068476106,"interest_1h":-4.739622041017375e-7}
FUNDING = Form(
    ("result",),
    Shape(_fields("integer", "timestamp") | _fields("number", "interest_1h index_price")),
)
# [1598019300000,0.21084,0.21084,0.20869,0.20869], in percent
VOLATILITY = Form(
    ("result", "data"),
    Shape(
        _fields("integer", "timestamp") | _fields("number", "open high low close"),
        places=("timestamp", "open", "high", "low", "close"),
    ),
)
# {"index_price":11628.81,"estimated_delivery_price":11628.81}; the envelope has the time
INDEX = Form(("result",), Shape(_fields("number", "index_price")), is_single=True)
STAMPED_INDEX = replace(
    INDEX, shape=Shape(_fields("number", "index_price") | _fields("integer", "usOut"))
)
# {"type":"delivery","timestamp":1590998400044,"instrument_name":"BTC-1JUN20","index_price":9502.66,
#  "mark_price":9502.66,"position":1000}
SETTLEMENT = Form(
    ("result", "settlements"),
    Shape(
        _fields("text", "type instrument_name")
        | _fields("integer", "timestamp")
        | _fields("number", "index_price mark_price")
    ),
)
# {"ticks":[1773100800000],"volume":[12.5],"cost":[750000.0],"status":"ok"}
CANDLES = Form(("result",), Shape(_fields("text", "status")), is_single=True)


def read(
    texts: Sequence[str], form: Form, known: Sequence[pl.DataFrame | None] | None = None
) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The fields of `form` by row with `row_number` and `page`; refused rows (row_number, reason).

    `known` are the `columns` of each text, where they were made already. Where one page is damaged
    the rows of all are looked at one by one.
    """
    frames = [_columns(text, form) for text in texts] if known is None else known
    clean = [frame for frame in frames if frame is not None]
    found = numbered(clean, form.shape) if clean and len(clean) == len(frames) else None
    if found is None:
        return typed([json.dumps(_flat_rows(text, form)) for text in texts], form.shape)
    return found, pl.DataFrame(schema=REFUSED)


def _columns(text: str, form: Form) -> pl.DataFrame | None:
    found = json_columns.cut(text, form.path) if form.is_table else None
    frame = json_columns.columns(found[1], form.shape, form.present) if found else None
    return columns(_loaded(text, form), form) if frame is None else frame


def columns(rows: Sequence[Any] | None, form: Form) -> pl.DataFrame | None:
    """Rows as columns, or None where one has another make than the form's."""
    if isinstance(rows, Rows) and rows.frame is not None:
        return rows.frame
    if rows is None or form.is_single or form.nested or form.shape.places:
        return None
    kinds = form.shape.fields
    try:
        cells = _cells(rows, form)
        series = [
            pl.Series(name, cells.get(name, [None] * len(rows)), POLARS[kind], strict=True)
            for name, kind in kinds.items()
        ]
    except (TypeError, KeyError, AttributeError, OverflowError):
        return None
    for name, held in cells.items():
        if kinds[name] in EXACT and not set(map(type, held)) <= EXACT[kinds[name]]:
            return None
        if kinds[name] == "text" and "" in held:  # stands for none
            return None
    frame = pl.DataFrame(series)
    is_whole = not any(frame[name].null_count() for name in form.shape.required)
    return frame if is_whole else None


def row_texts(texts: Sequence[str], form: Form, numbers: Sequence[int]) -> dict[int, str]:
    """The rows with these numbers as they came, for quarantine."""
    is_flattened = form.shape is BOOK.shape  # one row of many levels
    rows = _flat_rows if is_flattened else _rows
    return json_rows.row_texts([json.dumps(rows(text, form)) for text in texts], numbers)


def row_counts(texts: Sequence[str], form: Form) -> list[int]:
    """How many rows each page has, as `read` numbers them."""
    return [len(_flat_rows(text, form)) for text in texts]


def _cells(rows: Sequence[Any], form: Form) -> dict[str, list[Any]]:
    """Values by field. Where all rows have the fields of the first, they have no others."""
    first = set(rows[0]) if rows else set()
    needed = {*form.shape.required, *form.present}
    is_uniform = len(set(map(len, rows))) == 1
    if is_uniform:
        needed |= first & form.shape.fields.keys()
        others = first - needed
        is_uniform = all(name in row for name in others for row in rows)
    cells = {name: [row[name] for row in rows] for name in needed}
    if not is_uniform:
        optional = form.shape.optional.keys() - needed
        cells |= {name: [row.get(name) for row in rows] for name in optional}
    return cells


def _loaded(text: str, form: Form) -> list[Any] | None:
    """The rows inside their envelope; None where they are not there as a list."""
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    for key in form.path:
        found = found.get(key) if type(found) is dict else None
    return found if type(found) is list else None


def _flat_rows(text: str, form: Form) -> list[Any]:
    return [
        flat
        for row in _rows(text, form)
        for flat in (_levels(row) if form.shape is BOOK.shape else [_flat(row, form)])
    ]


def _rows(text: str, form: Form) -> list[Any]:
    """The rows inside their envelope; what has no such envelope is one row as it stands."""
    found: Any
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return [text]
    envelope = found
    for key in form.path:
        found = found.get(key) if isinstance(found, dict) else None
    if form is STAMPED_INDEX and isinstance(found, dict):
        return [found | {"usOut": envelope.get("usOut")}]
    if isinstance(found, list) and not form.is_single:
        return found
    return [envelope if found is None else found]


def _flat(row: Any, form: Form) -> Any:
    """The row with the fields of its inner objects; what must be there and is not has no value."""
    if not isinstance(row, dict):
        return row
    flat = dict(row)
    for name, keys in form.nested.items():
        held = row.get(name)
        if isinstance(held, dict):
            flat |= {f"{name}.{key}": held[key] for key in keys if key in held}
        elif held is not None:
            flat |= {f"{name}.{key}": NO_VALUE for key in keys}
    return flat | {name: NO_VALUE for name in form.present if name not in flat}


def _levels(row: Any) -> list[Any]:
    """A book as one row per level; a side that is no list is one row that cannot be read."""
    if not isinstance(row, dict):
        return [row]
    stem = {name: row.get(name) for name in ("timestamp", "instrument_name")}
    found: list[Any] = []
    for key, side in LEVELS.items():
        levels = row.get(key)
        if not isinstance(levels, list):
            found.append(stem | {"side": side, "level": 1, "price": NO_VALUE})
            continue
        for place, level in enumerate(levels, 1):
            is_pair = isinstance(level, list) and len(level) == 2
            price, amount = level if is_pair else (NO_VALUE, NO_VALUE)
            cells = {"side": side, "level": place, "price": price, "amount": amount}
            found.append(stem | cells)
    return found
