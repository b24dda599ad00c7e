"""What can go wrong on the wire of the embedded market, and that it does the same every time."""

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from pipelines.simulator import tape
from pipelines.simulator.history import History
from pipelines.simulator.wire import faults
from pipelines.simulator.world import BTC
from tests.wire_client import AFTER, DAY, DAY_MS, ask, exchange, get

PERPETUAL = {"instrument_name": "BTC-PERPETUAL", "sorting": "asc", "count": 50}


@pytest.fixture(scope="module")
def history() -> History:
    return History(7, 0.02)


def page(market, first: int, **more):
    query = PERPETUAL | {"start_seq": first} | more
    return get(market, "deribit", "get_last_trades_by_instrument", **query)


def first_seq(history: History) -> int:
    made = history.tape(BTC, DAY)
    return int(made.first_seq[made.symbols.index("BTC-PERPETUAL")])


def of_day(rows: list[dict]) -> list[dict]:
    return [row for row in rows if row["timestamp"] < DAY_MS[1]]


def sequences(reply) -> list[int]:
    return [row["trade_seq"] for row in json.loads(reply.body)["result"]["trades"]]


# ---------- the specification


def test_a_specification_is_read_as_chances_counts_and_seconds():
    spec = faults.parse("429:0.02@3, html:0.01,drop:2,late:0.001,skew:-1.5", seed=4)
    kinds = {rule.kind: rule for rule in spec.rules}
    assert (kinds["429"].chance, kinds["429"].times, kinds["429"].seconds) == (0.02, None, 3.0)
    assert kinds["drop"].times == 2
    assert spec.amount("late") == 0.001
    assert spec.amount("skew") == -1.5
    assert spec.amount("lost") == 0.0
    assert faults.parse("") == faults.Faults()


@pytest.mark.parametrize(
    ("spec", "told"),
    [
        ("flood:0.1", "'flood'"),
        ("html:often", "'html:often'"),
        ("html:1.5", "'html:1.5'"),
        ("html:-1", "'html:-1'"),
        ("late:2", "'late:2'"),
        ("html:0.1,html:0.2", "html stands twice"),
        ("html:0.6,empty:0.6", "add up to 1.2"),
        ("slow:0.1@x", "'slow:0.1@x'"),
        ("slow:0.1@9999", "'slow:0.1@9999'"),
    ],
)
def test_a_wrong_specification_is_refused_by_the_word_that_is_wrong(spec, told):
    with pytest.raises(ValueError, match=told):
        faults.parse(spec)


# ---------- faults of a request


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_gateway_in_trouble_answers_in_its_own_words(history, status):
    reply = page(exchange(history, spec=f"{status}:1"), first_seq(history))
    assert (reply.status, reply.kind) == (status, "text/html")


@pytest.mark.parametrize(("kind", "status"), [("429", 429), ("418", 418)])
def test_errors_come_with_the_venues_words(history, kind, status):
    market = exchange(history, spec=f"{kind}:1@7")
    reply = page(market, first_seq(history))
    assert reply.status == status
    assert "code" in json.loads(reply.body)["error"]
    assert reply.headers["Retry-After"] == "7"
    market = exchange(history, spec=f"{kind}:1@7")
    reply = get(market, "um", "aggTrades", symbol="BTCUSDT")
    assert reply.status == status
    assert json.loads(reply.body)["code"] < 0
    assert market.log()["faults"] == {kind: 1}


def test_maintenance_is_said_in_each_venues_own_code(history):
    market = exchange(history, spec="maintenance:2")
    reply = page(market, first_seq(history))
    assert json.loads(reply.body)["error"]["code"] == 11051
    assert get(market, "spot", "aggTrades", symbol="BTCUSDT").status == 503


def test_bodies_are_spoilt_with_status_200(history):
    first = first_seq(history)
    good = page(exchange(history), first).body
    spoilt = {
        kind: page(exchange(history, spec=f"{kind}:1"), first)
        for kind in ("html", "truncated", "empty", "null", "short", "reset", "slow")
    }
    assert all(reply.status == 200 for reply in spoilt.values())
    assert spoilt["html"].kind == "text/html"
    assert good.startswith(spoilt["truncated"].body)
    assert 0 < len(spoilt["truncated"].body) < len(good)
    assert spoilt["empty"].body == b""
    assert json.loads(spoilt["null"].body)["result"] is None
    assert len(spoilt["short"].body) < spoilt["short"].declared == len(good)
    assert spoilt["reset"].is_cut
    assert spoilt["slow"].pause_s == 1.0
    assert spoilt["slow"].body == good


# ---------- faults of a page


def test_a_page_is_served_twice(history):
    market, first = exchange(history, spec="repeat:1"), first_seq(history)
    once = sequences(page(market, first))
    assert sequences(page(market, first + 50)) == once
    assert sequences(page(market, first + 50)) == [seq + 50 for seq in once]


def test_rows_are_missing_from_the_middle_of_a_page(history):
    market, first = exchange(history, spec="drop:1"), first_seq(history)
    seen = sequences(page(market, first))
    assert len(seen) == 45
    assert (seen[0], seen[-1]) == (first, first + 49)
    assert sequences(page(market, first)) == list(range(first, first + 50))


def test_rows_stand_in_another_order(history):
    market, first = exchange(history, spec="reorder:1"), first_seq(history)
    seen = sequences(page(market, first))
    assert seen != sorted(seen)
    assert sorted(seen) == list(range(first, first + 50))


# ---------- faults of the world


def test_late_trades_leave_a_hole_that_closes(history):
    made = history.tape(BTC, DAY)
    last = first_seq(history) + int(made.count[made.symbols.index("BTC-PERPETUAL")]) - 1
    evening = {"count": 1000, "end_seq": last}
    market = exchange(history, spec="late:0.2", seed=3)
    early = sequences(page(market, last - 150, **evening))
    assert 90 < len(early) < 145
    market.clock.step(AFTER + timedelta(days=1))
    assert sequences(page(market, last - 150, **evening)) == list(range(last - 150, last + 1))


def test_lost_trades_never_come_and_are_the_same_every_time(history):
    first = first_seq(history)
    market = exchange(history, spec="lost:0.3", seed=3)
    seen = sequences(page(market, first, count=1000, end_seq=first + 150))
    assert 40 < len(seen) < 145
    market.clock.step(AFTER + timedelta(days=9))
    assert sequences(page(market, first, count=1000, end_seq=first + 150)) == seen
    orders = exchange(history, spec="lost:0.3", seed=3)
    rows = ask(orders, "um", "aggTrades", symbol="BTCUSDT", startTime=DAY_MS[0], limit=1000)
    steps = {b["a"] - a["a"] for a, b in pairwise(rows)}
    assert 17 in steps  # sixteen at once


def test_a_revised_day_is_served_with_other_sizes_until_noon_of_the_next(history):
    first = first_seq(history)
    market = exchange(history, spec="revised:0.1", seed=3)
    before = json.loads(page(market, first, count=1000).body)["result"]["trades"]
    window = {"start_timestamp": DAY_MS[0], "end_timestamp": DAY_MS[1] - 1, "resolution": "1D"}
    chart = {"instrument_name": "BTC-PERPETUAL"} | window
    # the venue's own candles say what its tape says, before and after
    [cost] = ask(market, "deribit", "get_tradingview_chart_data", **chart)["cost"]
    assert cost == sum(row["amount"] for row in of_day(before))
    market.clock.step(datetime(2026, 3, 11, 12, 1, tzinfo=UTC))
    after = json.loads(page(market, first, count=1000).body)["result"]["trades"]
    [cost] = ask(market, "deribit", "get_tradingview_chart_data", **chart)["cost"]
    assert cost == sum(row["amount"] for row in of_day(after))
    pairs = zip(of_day(before), of_day(after), strict=True)
    changed = [(b, a) for b, a in pairs if b != a]
    assert 3 < len(changed) < 200
    assert all(b["amount"] == 2 * a["amount"] for b, a in changed)
    real = tape.truth("BTC", history.tape(BTC, DAY)).filter(instrument_id="deribit:BTC/USD:BTC")
    sizes = [row["amount"] / row["price"] for row in of_day(after)]
    assert sizes == pytest.approx(real["quantity_base"].to_list())


def test_a_clock_that_is_ahead_shows_in_the_venues_time_alone(history):
    market = exchange(history, spec="skew:2.5")
    reply = get(market, "deribit", "get_time")
    assert json.loads(reply.body)["result"] == int(AFTER.timestamp() * 1000) + 2500
    assert ask(market, "um", "time") == {"serverTime": int(AFTER.timestamp() * 1000) + 2500}
    assert "00:40:02" in reply.headers["Date"]
    ahead = page(market, first_seq(history)).body
    assert sequences(page(exchange(history), first_seq(history))) == [
        row["trade_seq"] for row in json.loads(ahead)["result"]["trades"]
    ]


# ---------- the same every time


def test_the_same_seed_brings_the_same_faults_whatever_else_is_asked(history):
    spec = "429:0.1,html:0.1,truncated:0.1,drop:0.1,reset:0.1"
    first = first_seq(history)

    def asked(noise: bool) -> list[tuple[int, bytes, bool]]:
        market, found = exchange(history, spec=spec, seed=11), []
        for i in range(60):
            if noise:
                get(market, "um", "aggTrades", symbol="BTCUSDT", limit=i + 1)
            reply = page(market, first + i)
            found.append((reply.status, reply.body, reply.is_cut))
        return found

    assert asked(noise=False) == asked(noise=True)
    assert len({status for status, _, _ in asked(noise=False)}) > 1


def test_asking_again_helps(history):
    market, first = exchange(history, spec="html:0.5", seed=1), first_seq(history)
    kinds = [page(market, first).kind for _ in range(40)]
    assert {"text/html", "application/json"} == set(kinds)
    assert 8 < kinds.count("text/html") < 32
