"""Which answers are believed, which are asked for again, and what is kept of them?"""

import gzip
import json as stdlib_json
import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Lock

import orjson
import pytest

from pipelines.archives.base import SourceRefused, SourceUnavailable
from pipelines.budget import Bucket, Budget, Stop, Stops
from pipelines.settings import Settings
from pipelines.transport import Transport
from pipelines.venues.base import Endpoint
from pipelines.venues.json_shape import Shape
from tests.misbehaving import Said, Server, json, result, serving
from warehouse.location import Location
from warehouse.raw import replay

START = datetime(2026, 3, 10, 12, tzinfo=UTC)
AMPLE = Budget("ample", tokens=1e6, per_s=1e6)
TRADES = Endpoint(
    method="publicGetGetLastTradesByInstrument",
    rows=("result", "trades"),
    shape=Shape({"trade_seq": "integer", "price": "number"}),
    budget=AMPLE,
    page_size=2,
    may_be_empty=True,
    is_table=True,
)
TICKER = Endpoint(
    method="publicGetTicker",
    rows=("result",),
    shape=Shape({"mark_price": "number"}),
    budget=AMPLE,
    is_single=True,
)
ROWS = [{"trade_seq": 1, "price": 60_000.5}, {"trade_seq": 2, "price": 60_001.0}]
GOOD = result({"trades": ROWS, "has_more": False})
ASK = {"instrument_name": "BTC-PERPETUAL"}


class Time:
    """Time that passes only while someone sleeps."""

    def __init__(self) -> None:
        self.seconds, self.slept, self.lock = 0.0, [], Lock()

    def now(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        with self.lock:
            self.slept.append(seconds)
            self.seconds += seconds

    def clock(self) -> datetime:
        return START + timedelta(seconds=self.seconds)


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def transport(server: Server, time: Time, tmp_path: Path) -> Iterator[Transport]:
    with open_transport(server, time, tmp_path) as transport:
        yield transport


def open_transport(server: Server, time: Time, folder: Path, **knobs: object) -> Transport:
    settings = Settings(gateway=server.address, timeout_s=5, **knobs)
    return Transport(
        Location(folder),
        clock=time.clock,
        settings=settings,
        sleep=time.sleep,
        now=time.now,
        draw=lambda: 1.0,  # the longest that may be drawn
    )


def ask(transport: Transport, endpoint: Endpoint = TRADES, **params: object) -> list[object]:
    with transport.session("deribit", "unit") as session:
        return list(session.ask(endpoint, ASK | params).rows)


BROKEN = {
    "truncated json": replace(GOOD, body=GOOD.body[:40]),
    "a page of html": Said(b"<html>back soon</html>", headers={"Content-Type": "text/html"}),
    "an empty body": Said(b"", headers={"Content-Type": "application/json"}),
    "result is null": result(None),
    "no envelope": json({"jsonrpc": "2.0"}),
    "no object at all": json([]),
    "a number": json(17),
    "a text": json("ok"),
    "null": json(None),
    "rows are an object": result({"trades": {"1": ROWS[0]}}),
    "rows are texts": result({"trades": ["BTC", "ETH"]}),
    "every row lacks a field": result({"trades": [{"trade_seq": 1}, {"trade_seq": 2}]}),
    "every row has a text for a number": result({"trades": [{"trade_seq": 1, "price": "6e4"}]}),
    "a short body": replace(GOOD, cut=10),
    "a reset": Said(is_reset=True),
    "503": json({}, 503),
    "502 in html": Said(b"<html>bad gateway</html>", 502),
    "no such status": Said(b"", 599),
    "429": json({"error": {"code": 10028, "message": "too_many_requests"}}, 429),
    "maintenance": json({"error": {"code": 11051, "message": "system_maintenance"}}, 400),
    "maintenance with 200": json({"error": {"code": 11051, "message": "system_maintenance"}}),
    "the venue wants a retry": json({"error": {"code": 10040, "message": "retry"}}, 400),
    "an error it does not explain": json({"error": {"code": 10001, "message": "error"}}),
}


@pytest.mark.parametrize("is_table", [True, False])
@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_answer_is_asked_for_again(said, is_table, server, transport):
    server.script = [said, GOOD]
    assert ask(transport, replace(TRADES, is_table=is_table)) == ROWS
    assert len(server.asked) == 2


@pytest.mark.parametrize("said", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_never_an_answer_is_an_error_and_not_an_empty_page(said, server, time, tmp_path):
    server.reaction = lambda asked: said
    with open_transport(server, time, tmp_path) as transport:
        with pytest.raises((SourceUnavailable, SourceRefused), match="BTC-PERPETUAL"):
            ask(transport)
        assert not list(tmp_path.rglob("*.zst"))
    assert len(server.asked) in (3, transport.settings.attempts)


def test_a_truly_empty_list_is_believed_where_the_endpoint_may_be_empty(server, transport):
    server.script = [result({"trades": [], "has_more": False})]
    assert ask(transport) == []


def test_a_list_that_cannot_be_empty_is_asked_for_again_when_it_is(server, transport):
    server.script = [result([]), result([{"mark_price": 1.0}])]
    listed = replace(TICKER, is_single=False)
    assert ask(transport, listed) == [{"mark_price": 1.0}]


def test_a_list_behind_the_rows_is_no_trouble(server, transport):
    behind = orjson.dumps({"result": {"trades": ROWS}, "notes": [{"a": [1]}, {"b": []}]})
    server.script = [Said(behind, headers={"Content-Type": "application/json"})]
    assert ask(transport) == ROWS


def test_an_answer_that_was_packed_is_unpacked(server, transport):
    headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    server.script = [Said(gzip.compress(GOOD.body), headers=headers)]
    assert ask(transport) == ROWS
    assert "gzip" in server.asked[0].headers["Accept-Encoding"]


def test_one_bad_row_among_good_ones_is_left_to_decoding(server, transport):
    rows = [{"trade_seq": "one"}, *ROWS]
    server.script = [result({"trades": rows})]
    assert ask(transport) == rows


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (404, b"<html>nobody lives here</html>"),
        (451, b"not in your country"),
        (400, b'{"error": {"code": -32602, "message": "Invalid params"}}'),
        (401, b"{}"),
        (200, b'{"error": {"code": 13009, "message": "unauthorized"}}'),
    ],
)
def test_a_wrong_question_is_asked_once(status, body, server, transport):
    server.script = [Said(body, status)]
    with pytest.raises(SourceRefused, match=f"BTC-PERPETUAL.*{status}"):
        ask(transport)
    assert len(server.asked) == 1


def test_the_venue_says_how_long_to_wait(server, time, transport):
    limited = json({"error": {"code": 10028}}, 429, **{"Retry-After": "7"})
    server.script = [limited, GOOD]
    assert ask(transport) == ROWS
    assert sum(time.slept) == pytest.approx(7, abs=0.01)


def test_the_venue_may_name_the_time_instead(server, time, transport):
    limited = Said(b"", 503, {"Retry-After": "Tue, 10 Mar 2026 12:00:30 GMT"})
    server.script = [limited, GOOD]
    assert ask(transport) == ROWS
    assert sum(time.slept) == pytest.approx(30, abs=0.01)


def test_a_limit_makes_every_thread_wait(server, time, transport):
    server.script = [json({}, 429, **{"Retry-After": "5"})] + [GOOD] * 4
    assert ask(transport) == ROWS
    before = time.seconds
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda _: ask(transport), range(3)))
    assert before == pytest.approx(5, abs=0.01)
    assert time.seconds == pytest.approx(before, abs=0.01)


def test_waits_double_and_are_capped(server, time, tmp_path):
    server.reaction = lambda asked: Said(b"", 503)
    knobs = {"backoff_s": 1, "backoff_cap_s": 4, "attempts": 5}
    with (
        open_transport(server, time, tmp_path, **knobs) as transport,
        pytest.raises(SourceUnavailable, match="asked 5 times"),
    ):
        ask(transport)
    assert time.slept == [1, 2, 4, 4]


def test_a_wait_beyond_reason_is_given_up(server, transport):
    server.script = [json({}, 429, **{"Retry-After": "86400"})]
    with pytest.raises(SourceUnavailable, match="86400 s is wanted"):
        ask(transport)
    assert len(server.asked) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_venue_that_wants_too_long_a_wait_is_left_alone_until_then(
    status, server, time, transport
):
    server.script = [Said(b"", status, {"Retry-After": "3600"}), GOOD]
    for _ in range(3):
        with pytest.raises(SourceUnavailable, match="stopped until 2026-03-10T13:00:00"):
            ask(transport)
    assert (len(server.asked), time.slept) == (1, [])
    time.seconds = 3600
    assert ask(transport) == ROWS
    assert time.slept == []


def test_a_long_wait_of_our_own_stops_the_question_and_not_the_venue(server, time, tmp_path):
    server.script = [Said(b"", 503), GOOD]
    with open_transport(server, time, tmp_path, backoff_s=9, longest_wait_s=8) as transport:
        with pytest.raises(SourceUnavailable, match="9 s is wanted"):
            ask(transport)
        assert ask(transport) == ROWS


def test_a_turn_that_is_too_far_away_is_given_up_and_costs_the_others_nothing(
    server, time, tmp_path
):
    server.reaction = lambda asked: GOOD
    slow = replace(TRADES, budget=Budget("slow", tokens=1, per_s=0.1), cost=2)
    with open_transport(server, time, tmp_path, longest_wait_s=15) as transport:
        assert ask(transport, slow) == ROWS
        for _ in range(3):
            with pytest.raises(SourceUnavailable, match=r"20\.0 s away, in the budget slow"):
                ask(transport, slow)
        assert time.slept == [10]
        time.seconds += 10
        assert ask(transport, slow) == ROWS
    assert time.slept == [10, 10]


def test_a_wait_without_measure_ends_after_days(server, transport):
    server.script = [Said(b"", 418, {"Retry-After": "9" * 300})]
    with pytest.raises(SourceUnavailable, match="banned until 2026-03-13T12:00:00"):
        ask(transport)


def test_a_ban_stops_the_venue_until_it_ends(server, time, transport):
    server.script = [Said(b"banned", 418, {"Retry-After": "300"}), GOOD]
    with pytest.raises(SourceUnavailable, match="banned until 2026-03-10T12:05:00"):
        ask(transport)
    with pytest.raises(SourceUnavailable, match="banned until"):
        transport.ask("deribit", replace(TICKER, budget=Budget("other", 9, 9)), ASK, "unit")
    assert len(server.asked) == 1
    time.seconds = 301
    assert transport.stopped_until("deribit") is None
    assert ask(transport) == ROWS


def test_a_ban_is_known_to_whoever_comes_later(server, time, transport, tmp_path):
    server.script = [Said(b"banned", 418, {"Retry-After": "300"}), GOOD]
    with pytest.raises(SourceUnavailable):
        ask(transport)
    with open_transport(server, time, tmp_path) as later:
        with pytest.raises(SourceUnavailable, match="banned until 2026-03-10T12:05:00"):
            ask(later)
        assert len(server.asked) == 1
        assert later.stopped_until("binance") is None, "the others did not ban us"
        time.seconds = 300
        assert ask(later) == ROWS
    held = stdlib_json.loads((tmp_path / "work" / "banned.json").read_text())
    assert held == {}, "a ban that has passed is dropped"


def test_a_ban_is_heard_of_by_those_who_work_already(server, time, transport, tmp_path):
    server.script = [GOOD, Said(b"banned", 418, {"Retry-After": "300"})]
    assert ask(transport) == ROWS
    with open_transport(server, time, tmp_path) as other, pytest.raises(SourceUnavailable):
        ask(other)
    time.seconds += 3
    with pytest.raises(SourceUnavailable, match="banned until"):
        ask(transport)
    assert len(server.asked) == 2


def test_a_ban_is_not_shortened_and_bans_of_other_venues_are_kept(time, tmp_path):
    path = tmp_path / "work" / "banned.json"
    ends = {"deribit": (300, 60), "binance": (90, 120)}
    for n in range(2):
        for venue, seconds in ends.items():
            stop = Stop(time.clock(), time.clock() + timedelta(seconds=seconds[n]), "banned")
            Stops(path, time.clock).add(venue, stop)
    found = Stops(path, time.clock)
    assert [found.of(venue).until for venue in ends] == [
        START + timedelta(seconds=300),
        START + timedelta(seconds=120),
    ]


def test_no_ban_is_lost_where_many_are_told_at_once(time, tmp_path):
    path = tmp_path / "work" / "banned.json"
    stop = Stop(time.clock(), time.clock() + timedelta(seconds=60), "banned")
    venues = [f"venue {n}" for n in range(24)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda venue: Stops(path, time.clock).add(venue, stop), venues))
    assert all(Stops(path, time.clock).of(venue) == stop for venue in venues)


def test_a_clock_that_stands_before_a_ban_does_not_know_of_it(server, time, transport, tmp_path):
    """A day of the embedded market may be asked for anew; what is to come is not yet so."""
    time.seconds = 86_400
    server.script = [Said(b"banned", 418, {"Retry-After": "300"}), GOOD]
    with pytest.raises(SourceUnavailable):
        ask(transport)
    time.seconds = 0
    with open_transport(server, time, tmp_path) as again:
        assert ask(again) == ROWS


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "file: Invalid JSON"),
        ('{"deribit": {"told_at": "2026-03-10", "until": 1, "why": "x"}}', "deribit.told_at"),
        ('{"deribit": {"why": "banned"}}', "deribit.told_at: Field required"),
    ],
)
def test_a_note_of_bans_that_cannot_be_read_is_an_error(text, fault, server, time, tmp_path):
    path = tmp_path / "work" / "banned.json"
    path.parent.mkdir()
    path.write_text(text)
    with pytest.raises(ValueError, match=f"banned.json: {fault}"):
        open_transport(server, time, tmp_path)


def test_a_page_that_comes_twice_is_asked_for_again(server, transport):
    later = [{"trade_seq": 3, "price": 1.0}]
    server.script = [GOOD, GOOD, result({"trades": later})]
    with transport.session("deribit", "unit") as session:
        session.ask(TRADES, ASK | {"start_seq": 1})
        assert session.ask(TRADES, ASK | {"start_seq": 3}).rows == later


def test_a_page_that_keeps_coming_is_an_error(server, transport):
    server.reaction = lambda asked: GOOD
    with transport.session("deribit", "unit") as session:
        session.ask(TRADES, ASK | {"start_seq": 1})
        with pytest.raises(SourceUnavailable, match="repeats the page before"):
            session.ask(TRADES, ASK | {"start_seq": 3})


def test_rows_that_were_not_asked_for_are_not_believed(server, transport):
    server.script = [result({"trades": [{"trade_seq": 9, "price": 1.0}]}), GOOD]

    def outside(rows):
        return "outside" if any(row["trade_seq"] > 2 for row in rows) else None

    with transport.session("deribit", "unit") as session:
        assert session.ask(TRADES, ASK, outside).rows == ROWS
    assert len(server.asked) == 2


def test_a_believed_page_can_be_replayed_and_an_unbelieved_one_is_not_kept(
    server, time, transport, tmp_path
):
    server.script = [BROKEN["truncated json"], GOOD, result({"trades": []})]
    with transport.session("deribit", "trades of 2026-03-10") as session:
        session.ask(TRADES, ASK)
        (digest,) = session.land()
        session.ask(TRADES, ASK | {"start_seq": 3})
    (page,) = replay(Location(tmp_path), "deribit", digest)
    assert page.text.encode() == GOOD.body
    assert datetime.fromisoformat(page.received_at) == time.clock()
    asked = stdlib_json.loads(page.request)
    assert asked == {
        "method": TRADES.method,
        "params": ASK,
        "unit": "trades of 2026-03-10",
    }
    assert len(list((tmp_path / "raw").rglob("*.zst"))) == 2, "leaving lands the rest"


def test_what_came_before_trouble_is_kept(server, transport, tmp_path):
    server.script = [GOOD, Said(b"", 404)]
    with transport.session("deribit", "unit") as session:
        session.ask(TRADES, ASK)
        with pytest.raises(SourceRefused):
            session.ask(TRADES, ASK | {"start_seq": 3})
    assert len(list((tmp_path / "raw").rglob("*.zst"))) == 1


def test_every_request_goes_to_the_gateway_under_its_host(server, transport):
    server.reaction = lambda asked: GOOD
    ask(transport)
    ask(transport, replace(TRADES, host="https://history.deribit.com"))
    paths = [asked.path for asked in server.asked]
    tail = "/api/v2/public/get_last_trades_by_instrument"
    assert paths == [f"/www.deribit.com{tail}", f"/history.deribit.com{tail}"]
    assert transport.settings.address("https://data.binance.vision/x?y=1") == (
        f"{server.address}/data.binance.vision/x?y=1"
    )


@pytest.mark.parametrize(
    ("method", "host"),
    [
        ("publicGetAggTrades", "api.binance.com/api/v3"),
        ("fapiPublicGetAggTrades", "fapi.binance.com/fapi/v1"),
        ("dapiPublicGetAggTrades", "dapi.binance.com/dapi/v1"),
    ],
)
def test_binance_goes_to_the_gateway_too(method, host, server, transport):
    server.script = [json([{"a": 1}])]
    endpoint = Endpoint(method, (), Shape({"a": "integer"}), AMPLE)
    answer = transport.ask("binance", endpoint, {"symbol": "BTCUSDT"}, "unit")
    assert answer.rows == [{"a": 1}]
    assert server.asked[0].path == f"/{host}/aggTrades"


def test_keys_stand_in_nothing_that_is_kept_or_shown(server, time, tmp_path, caplog, monkeypatch):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("HEDGEHOUSE_KEYS__DERIBIT__KEY", "public-part")
    monkeypatch.setenv("HEDGEHOUSE_KEYS__DERIBIT__SECRET", "secret-part")
    server.script = [result({"trades": ROWS}), Said(b"nope", 404)]
    signed = replace(TRADES, method="privateGetGetUserTradesByInstrument")
    with open_transport(server, time, tmp_path) as transport:
        ask(transport, signed)
        with pytest.raises(SourceRefused) as refused:
            ask(transport, signed)
        told = [str(refused.value), repr(refused.value.__cause__), repr(transport.settings)]
    assert "public-part" in server.asked[0].headers["Authorization"], "it was signed"
    signature = server.asked[0].headers["Authorization"].split("sig=")[1].split(",")[0]
    digests = [path.name.split(".")[0] for path in (tmp_path / "raw").rglob("*.zst")]
    kept = [str(page) for d in digests for page in replay(Location(tmp_path), "deribit", d)]
    for text in (*told, *kept, caplog.text):
        assert not any(part in text for part in ("public-part", "secret-part", signature))


def test_no_budget_is_exceeded_by_any_number_of_threads(server, time, tmp_path):
    server.reaction = lambda asked: GOOD
    slow = replace(TRADES, budget=Budget("slow", tokens=4, per_s=2))
    with open_transport(server, time, tmp_path, rate_scale=0.5) as transport:
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda _: ask(transport, slow), range(12)))
        assert len(server.asked) == 12
    assert time.seconds >= 10 - 1e-9, "two tokens were there, ten had to flow in at one a second"


def test_a_bucket_gives_what_it_holds_then_what_flows_in():
    clock = Time()
    bucket = Bucket(Budget("b", tokens=3, per_s=2), scale=1, now=clock.now)
    assert [bucket.take(1) for _ in range(5)] == [0, 0, 0, 0.5, 1.0]
    clock.seconds = 100
    assert [bucket.take(1) for _ in range(4)] == [0, 0, 0, 0.5], "it never holds more than it may"
    bucket.hold(9)
    assert bucket.take(2) == pytest.approx(10)


def test_a_venue_is_asked_by_each_thread_on_a_connection_of_its_own(server, transport):
    server.reaction = lambda asked: GOOD
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: ask(transport), range(64)))
    assert answers == [ROWS] * 64


@pytest.mark.parametrize("text", ["127.0.0.1:1", "http://127.0.0.1:1/path", "ftp://h", "http://"])
def test_a_gateway_that_is_no_address_is_refused(text, monkeypatch):
    monkeypatch.setenv("HEDGEHOUSE_GATEWAY", text)
    with pytest.raises(ValueError, match="is no address such as"):
        Settings()


def test_every_knob_says_what_it_does():
    silent = [name for name, knob in Settings.model_fields.items() if not knob.description]
    assert not silent
