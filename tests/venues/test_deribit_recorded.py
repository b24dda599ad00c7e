"""Do Deribit's recorded messages decode, all of them, into numbers that agree with its own?"""

import gzip
import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines.archives.base import Decoded
from pipelines.venues import deribit_facts as facts
from pipelines.venues import deribit_rows as rows
from pipelines.venues import deribit_stream as stream
from pipelines.venues import deribit_wire as wire
from warehouse.contract import LAKE_TABLES
from warehouse.raw import Page

ANSWER = re.compile(r"(https\S+) -> ([\d.]+): (\{.*)")
MESSAGE = re.compile(r"(?:wss\S+ <-? ?)?([\d.]+): (\{.*)")
DAY = date(2021, 7, 22)
LENIENT = replace(wire.SUMMARY, present=())  # the recorder kept some fields only


def lines(path: Path) -> Iterator[str]:
    with gzip.open(path, "rt") as file:
        yield from file


def page(text: str, seconds: str = "1626993723") -> Page:
    return Page("recorded", text, datetime.fromtimestamp(float(seconds), UTC).isoformat())


def answers(recorded: Path) -> list[tuple[str, Page]]:
    found = [ANSWER.match(line) for line in lines(recorded / "venue_wire_31s/DERIBIT.0.gz")]
    return [(match[1], page(match[3], match[2])) for match in found if match]


def messages(recorded: Path) -> list[Page]:
    found = [MESSAGE.match(line) for line in lines(recorded / "venue_wire_31s/DERIBIT.ws.1.0.gz")]
    return [page(match[2], match[1]) for match in found if match]


def chain(recorded: Path) -> dict[str, Any]:
    with gzip.open(recorded / "deribit_chain_json/deribit_btc.json.gz") as file:
        return json.load(file)


def wrapped(found: list[Any]) -> Page:
    return page(json.dumps({"jsonrpc": "2.0", "result": found}))


def counted(decoded: Decoded) -> int:
    return sum(frame.height for frame in decoded.rows.values()) + decoded.refused.height


def assert_in_form(decoded: Decoded) -> None:
    """What is kept has no NULL where its table promises a value."""
    for name, frame in decoded.rows.items():
        required = [c.name for c in LAKE_TABLES[name].columns if not c.nullable]
        assert frame.select(required).null_count().sum_horizontal().sum() == 0, name


def test_every_recorded_instrument_decodes(recorded):
    decoded = [(url, facts.instruments([page], DAY), page) for url, page in answers(recorded)]
    assert len(decoded) == 4
    for url, found, page_ in decoded:
        came = json.loads(page_.text)["result"]
        frame = found.rows["instruments"]
        assert frame.height == len(came), url
        assert found.refused.is_empty()
        assert_in_form(found)
        by_name = {row["instrument_name"]: row for row in came}
        for row in frame.iter_rows(named=True):
            told = by_name[row["native_symbol"]]
            assert row["contract_size"] == told["contract_size"]
            assert row["strike"] == told.get("strike")
            if row["expires_at"]:
                assert row["expires_at"].timestamp() * 1000 == told["expiration_timestamp"]
                assert row["expires_at"].hour == 8
    kinds = Counter(kind for _, found, _ in decoded for kind in found.rows["instruments"]["kind"])
    assert kinds["perp"] == 19
    assert kinds["option"] == 980


def test_every_recorded_message_is_read_or_counted_by_what_it_is(recorded):
    came = messages(recorded)
    found, counts = stream.sorted_messages(came)
    assert sum(counts.values()) == len(came)
    assert counts == {"ticker": 89, "book": 46, "answer": 1, "public/subscribe": 1}
    tickers = rows.tickers(found["ticker"], DAY, form=wire.TICKER.streamed())
    assert counted(tickers) == 89
    assert tickers.refused.is_empty()
    assert_in_form(tickers)
    books = rows.books(found["book"], DAY, form=wire.BOOK.streamed())
    assert books.refused.is_empty()
    told = [json.loads(p.text)["params"]["data"] for p in found["book"]]
    levels = [len(book["bids"]) + len(book["asks"]) for book in told]
    assert books.rows["books"].height == sum(levels)
    states = books.rows["books"].select("instrument_id", "snapshot_at", "received_at")
    assert states.n_unique() == sum(map(bool, levels)) == 45, "one book was emptied"
    assert_in_form(books)


def test_recorded_states_agree_with_the_venues_own_marks_and_index(recorded):
    found, _ = stream.sorted_messages(messages(recorded))
    decoded = rows.tickers(found["ticker"], DAY, form=wire.TICKER.streamed())
    frame = decoded.rows["option_quotes"]
    told = {json.loads(p.text)["params"]["data"]["instrument_name"] for p in found["ticker"]}
    assert frame["instrument_id"].n_unique() == len(told)
    worth = frame["open_interest_usd"] / frame["open_interest_base"]
    assert (worth / frame["index_price"] - 1).abs().max() < 1e-12
    assert frame["venue_iv_mark"].is_between(0.05, 5).all()
    two_sided = frame.filter(pl.col("bid_price").is_not_null(), pl.col("ask_price").is_not_null())
    assert two_sided.height > 40
    inside = two_sided["venue_iv_mark"].is_between(
        two_sided["venue_iv_bid"], two_sided["venue_iv_ask"]
    )
    assert inside.all()
    assert frame.filter(pl.col("bid_price").is_null())["venue_iv_bid"].null_count() > 0


def test_books_rebuilt_from_changes_agree_with_the_tickers_best_prices(recorded):
    found, _ = stream.sorted_messages(messages(recorded))
    books = rows.books(found["book"], DAY, form=wire.BOOK.streamed()).rows["books"]
    tickers = rows.tickers(found["ticker"], DAY, form=wire.TICKER.streamed()).rows["option_quotes"]
    best = books.filter(level=1).pivot(
        "side", index=["instrument_id", "snapshot_at"], values="price", aggregate_function="last"
    )
    both = best.join(tickers, on=["instrument_id", "snapshot_at"]).unique(
        ["instrument_id", "snapshot_at"], keep="last"
    )
    assert both.height >= 20
    assert both.filter(pl.col("bid") != pl.col("bid_price")).is_empty()
    assert both.filter(pl.col("ask") != pl.col("ask_price")).is_empty()


def test_the_recorded_chain_decodes_whole(recorded):
    came = chain(recorded)
    at = datetime.fromisoformat(came["as_of"])
    options = rows.summaries([wrapped(came["options"])], at, form=LENIENT)
    assert options.rows["option_quotes"].height == len(came["options"]) == 868
    assert options.refused.is_empty()
    quoted = options.rows["option_quotes"].filter(pl.col("bid_price").is_not_null())
    assert 0 < quoted.height < 868, "no bid is NULL, not zero"
    futures = rows.summaries([wrapped(came["futures"])], at, form=LENIENT).rows["quotes"]
    assert futures.height == 14
    assert (futures["open_interest_contracts"] * 10 == futures["open_interest_usd"]).all()


def test_invented_fixtures_decode_and_what_has_no_name_is_refused(recorded):
    folder = recorded / "deribit_chain_json"
    at = datetime(2026, 4, 1, tzinfo=UTC)
    read = {
        name: json.loads((folder / f"deribit_{name}.json").read_text())
        for name in ("futures", "options", "instruments")
    }
    futures = rows.summaries([wrapped(read["futures"])], at, form=LENIENT)
    assert futures.rows["quotes"].height == 2
    assert futures.refused.rows() == [(3, "symbol_unknown")]
    assert rows.summaries([wrapped(read["options"])], at, form=LENIENT).refused.is_empty()
    declared = facts.instruments(
        [wrapped(read["instruments"])], at.date(), replace(wire.INSTRUMENT, present=())
    )
    assert declared.refused.is_empty()
    assert set(declared.rows["instruments"]["kind"]) == {"perp", "future", "option"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("trade_id", ""), ("trade_id", 17), ("price", True), ("price", "1"), ("price", None)),
        *(("trade_seq", 1.0), ("timestamp", 1626993723), ("direction", "zero"), ("iv", True)),
        *(("liquidation", "X"), ("instrument_name", "BTC-FS-25DEC26_PERP"), ("amount", [1])),
    ],
)
def test_one_bad_cell_costs_one_row_and_no_other(field, value):
    good = prints(1)
    bad = [*good[:2], good[2] | {field: value}, *good[3:]]
    decoded = rows.trades([page(json.dumps({"result": {"trades": bad}}))], DAY)
    assert decoded.refused["row_number"].to_list() == [3]
    assert decoded.refused["reason"][0].startswith((field, "symbol"))
    assert decoded.rows["trades"]["row_number"].to_list() == [1, 2, 4, 5]


def test_columns_and_single_rows_say_the_same():
    text = json.dumps({"result": {"trades": prints(1)}})
    damaged = json.dumps({"result": {"trades": [{}]}})
    alone, beside = (
        rows.trades([page(t) for t in texts], DAY).rows["trades"]
        for texts in ([text], [text, damaged])
    )
    assert alone.equals(beside)


# ---------- mutations
Decode = Callable[[list[Page]], Decoded]


def level_count(data: Any) -> int:
    if not isinstance(data, dict):
        return 1
    sides = [data.get(key) for key in ("bids", "asks")]
    return sum(len(side) if isinstance(side, list) else 1 for side in sides)


def row_count(text: str, path: tuple[str, ...], is_book: bool, is_single: bool) -> int:
    """How many rows came, counted without the code under test."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return 1
    whole = found
    for key in path:
        found = found.get(key) if isinstance(found, dict) else None
    if is_book:
        return level_count(whole if found is None else found)
    return len(found) if isinstance(found, list) and not is_single else 1


@cache
def payloads(recorded: Path) -> dict[str, list[str]]:
    found, _ = stream.sorted_messages(messages(recorded))
    listed = json.loads(answers(recorded)[0][1].text)["result"]
    options = chain(recorded)["options"]
    return {
        "tickers": [p.text for p in found["ticker"]],
        "books": [p.text for p in found["book"]],
        "instruments": [wrapped(listed[n : n + 5]).text for n in range(0, 100, 5)],
        "summaries": [wrapped(options[n : n + 5]).text for n in range(0, 100, 5)],
        "trades": [json.dumps({"result": {"trades": prints(n)}}) for n in range(20)],
    }


def prints(seed: int) -> list[dict[str, Any]]:
    """Prints as the venue's pages show them; none happened in the recorded half minute."""
    return [
        {
            "trade_seq": seed * 10 + n,
            "trade_id": f"{seed * 10 + n}",
            "timestamp": 1626993723632 + n,
            "instrument_name": ("BTC-PERPETUAL", "BTC-24SEP21-34000-P")[n % 2],
            "direction": ("buy", "sell")[n % 2],
            "price": 32_201.5,
            "amount": 10.0,
            "mark_price": 32_201.0,
            "index_price": 32_201.67,
            "liquidation": ("none", "T")[n % 2],
        }
        for n in range(5)
    ]


AT = datetime(2021, 7, 22, 22, 42, tzinfo=UTC)
DECODERS: dict[str, tuple[Decode, wire.Form]] = {
    "tickers": (
        lambda pages: rows.tickers(pages, DAY, AT, wire.TICKER.streamed()),
        wire.TICKER.streamed(),
    ),
    "books": (
        lambda pages: rows.books(pages, DAY, form=wire.BOOK.streamed()),
        wire.BOOK.streamed(),
    ),
    "instruments": (lambda pages: facts.instruments(pages, DAY), wire.INSTRUMENT),
    "summaries": (lambda pages: rows.summaries(pages, AT, form=LENIENT), wire.SUMMARY),
    "trades": (lambda pages: rows.trades(pages, DAY), wire.TRADE),
}
MAIN = ("option_quotes", "quotes", "books", "instruments", "trades")
VALUES: tuple[Any, ...] = (
    *(None, True, 0, -1, 1e300, 2**63, 10**400, 1.5, "", "1", "NaN", "x" * 5_000, "../../etc"),
    *([], [[]], [1], {}, {"a": 1}, "\u0664\u0665", "\ud800", "BTC-31FEB21", "BTC-24SEP21-0-C"),
)


def mutated(text: str, draw: random.Random) -> str:
    if draw.random() < 0.3:
        place = draw.randrange(len(text))
        cut = draw.choice((0, 1, 1, 5, len(text)))
        return (
            text[:place]
            + draw.choice(('"', "}", "]", "0", ",", "\\", "", "-"))
            + text[place + cut :]
        )
    found = json.loads(text)
    holder, key = draw.choice(list(places(found)))
    if isinstance(holder, dict) and draw.random() < 0.3:
        del holder[key]
    else:
        holder[key] = draw.choice(VALUES)
    return json.dumps(found)


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    inner = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    for key, item in inner:
        yield value, key
        yield from places(item)


@pytest.mark.parametrize("what", DECODERS)
@settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(seed=st.integers(0, 2**32))
def test_mutated_payloads_are_kept_or_refused_and_never_lost(what, recorded, seed):
    draw = random.Random(seed)
    decode, form = DECODERS[what]
    texts = [mutated(draw.choice(payloads(recorded)[what]), draw) for _ in range(40)]
    decoded = decode([page(text) for text in texts])
    is_book = what == "books"
    came = sum(row_count(text, form.path, is_book, form.is_single) for text in texts)
    kept = sum(frame.height for name, frame in decoded.rows.items() if name in MAIN)
    assert kept + decoded.refused.height == came
    assert decoded.refused["row_number"].is_unique().all()
    assert decoded.refused["reason"].null_count() == 0
    assert_in_form(decoded)
    numbers = decoded.refused["row_number"].to_list()
    shown = wire.row_texts(texts, form, numbers)
    assert set(shown) == set(numbers), "every refused row can be shown"
