"""Is a chain that is asked for at once as exact as one that is asked for option by option?"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from pipelines.settings import Settings
from pipelines.transport import Transport
from pipelines.venues import deribit_sweep
from pipelines.venues.base import Fetched, Window, milliseconds
from pipelines.venues.deribit import Deribit
from tests.misbehaving import Said, Server, serving
from tests.venues.deribit_market import DAY_MS, HOUR_MS, Market, declaration, print_row
from warehouse.location import Location
from warehouse.raw import replay

WINDOW = Window.day(date(2026, 3, 10))
START = WINDOW.start_ms
NOW = datetime(2026, 3, 11, 0, 40, tzinfo=UTC)
EXPIRY = milliseconds(datetime(2026, 3, 27, 8, tzinfo=UTC))
STRIKES = range(50_000, 62_000, 1_000)
NAMES = [f"BTC-27MAR26-{strike}-C" for strike in STRIKES]
SWEEP = "get_last_trades_by_currency_and_time"
IDLE, BUSY = 3, 0  # places of an option without a print, and of one with many


def unit(place: int) -> str:
    return f"deribit:BTC/USD:BTC-260327-{STRIKES[place]}-C"


@pytest.fixture
def market() -> Market:
    """Twelve options: some trade over both midnights, one not at all, one every few seconds."""
    market = Market(milliseconds(NOW))
    market.listed = [
        declaration(name, "option", EXPIRY, strike=float(strike), option_type="call")
        for name, strike in zip(NAMES, STRIKES, strict=True)
    ] + [declaration("BTC-27MAR26", "future", EXPIRY)]
    for place, name in enumerate(NAMES):
        count = {IDLE: 0, BUSY: 2_500}.get(place, 40 + place)
        step = (DAY_MS + 2 * HOUR_MS) // max(1, count)
        market.prints[name] = [
            print_row(name, 7 + n, START - HOUR_MS + n * step + place, 0.05, iv=60.0, amount=1.5)
            for n in range(count)
        ]
    market.history = market.prints
    return market


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as server:
        yield server


@contextmanager
def opened(server: Server, market: Market, folder: Path, now: datetime = NOW) -> Iterator[Deribit]:
    server.reaction = market
    settings = Settings(gateway=server.address, rate_scale=1e6, attempts=4)
    with Transport(
        Location(folder), clock=lambda: now, settings=settings, sleep=lambda seconds: None
    ) as transport:
        yield Deribit(transport, settings)


def day(server: Server, market: Market, folder: Path, **more: object) -> dict[str, list[Fetched]]:
    """Pieces of prints by unit, options alone."""
    found: dict[str, list[Fetched]] = {}
    with opened(server, market, folder, **more) as deribit:
        for piece in deribit.trades("BTC", WINDOW):
            if piece.table == "trades" and str(piece.unit).endswith("-C"):
                found.setdefault(str(piece.unit), []).append(piece)
    return found


def numbers(pieces: list[Fetched]) -> list[int]:
    return [n for piece in pieces for n in piece.frame["sequence"]]


def true_numbers(market: Market, place: int) -> list[int]:
    inside = range(START, START + DAY_MS)
    return [row["trade_seq"] for row in market.prints[NAMES[place]] if row["timestamp"] in inside]


def assert_exact(market: Market, found: dict[str, list[Fetched]]) -> None:
    for place in range(len(NAMES)):
        assert sorted(numbers(found[unit(place)])) == true_numbers(market, place)
        assert found[unit(place)][-1].proof.status == "complete"


def by_name(server: Server) -> list[str]:
    """The options whose prints were asked for by number."""
    return [
        asked.params["instrument_name"]
        for asked in server.asked
        if asked.path.endswith("get_last_trades_by_instrument")
        and asked.params["instrument_name"] in NAMES
    ]


def test_a_chain_costs_pages_by_its_prints_and_one_candle_an_option(server, market, tmp_path):
    assert_exact(market, day(server, market, tmp_path))
    asked = [request.path.rsplit("/", 1)[1] for request in server.asked]
    pages = -(-sum(len(true_numbers(market, place)) for place in range(len(NAMES))) // 1_000)
    assert asked.count(SWEEP) == pages + 1
    assert not by_name(server)
    assert asked.count("get_tradingview_chart_data") == len(NAMES) + 1


def test_it_brings_what_asking_one_by_one_brings(server, market, tmp_path, monkeypatch):
    at_once = day(server, market, tmp_path / "a")
    monkeypatch.setattr(deribit_sweep, "FEWEST", 1_000)
    one_by_one = day(server, market, tmp_path / "b")
    assert by_name(server)
    assert at_once.keys() == one_by_one.keys()
    for name, (piece,) in at_once.items():
        kept = piece.frame.drop("row_number")
        assert kept.equals(one_by_one[name][0].frame.drop("row_number"))
        assert (piece.proof.first_sequence, piece.proof.last_sequence) == (
            one_by_one[name][-1].proof.first_sequence,
            one_by_one[name][-1].proof.last_sequence,
        )


def test_what_came_is_what_is_kept_refused_or_apart_and_can_be_replayed(server, market, tmp_path):
    found = day(server, market, tmp_path)
    pages = [
        page
        for digest in {digest for (piece,) in found.values() for digest in piece.raw}
        for page in replay(Location(tmp_path), "deribit", digest)
    ]
    swept = [p for p in pages if "ByCurrency" in p.request and '"count": 1000' in p.request]
    came = sum(page.text.count('"trade_seq"') for page in swept)
    assert sum(piece.received for (piece,) in found.values()) == came
    (piece,) = found[unit(1)]
    number = piece.frame["row_number"][0]
    assert f'"{NAMES[1]}-' in piece.texts([number])[number]


TRUNCATED = Said(b'{"jsonrpc":"2.0","result":{"trades":[{"trade_s')
BREAKS: dict[str, Callable[[dict, dict], object]] = {
    "dropped rows": lambda page, _: page | {"trades": page["trades"][:3] + page["trades"][9:]},
    "dropped tail": lambda page, _: page | {"trades": page["trades"][:-7]},
    "dropped head": lambda page, _: page | {"trades": page["trades"][2:]},
    "nothing": lambda page, _: {"trades": [], "has_more": False},
    "the end too early": lambda page, _: page | {"has_more": False},
    "reordered": lambda page, _: page | {"trades": page["trades"][::-1]},
    "the page before": lambda page, before: before or page,
    "a damaged row": lambda page, _: (
        page | {"trades": [page["trades"][0] | {"price": "x"}, *page["trades"][1:]]}
    ),
    "no list": lambda page, _: page | {"trades": {"1": page["trades"][0]}},
    "no word of more": lambda page, _: {"trades": page["trades"]},
    "truncated": lambda page, _: TRUNCATED,
    "html": lambda page, _: Said(b"<html></html>"),
    "limit": lambda page, _: Said(b"{}", 429, {"Retry-After": "1"}),
    "unavailable": lambda page, _: Said(b"", 503),
}


@pytest.mark.parametrize("kind", BREAKS)
def test_a_chain_is_exact_though_every_page_comes_broken_once(kind, server, market, tmp_path):
    broken, before = set(), [{}]

    def tamper(method, asked, value):
        key = (asked.params.get("start_timestamp"), asked.params.get("count"))
        if method != SWEEP or key in broken:
            return value
        broken.add(key)
        said, before[0] = BREAKS[kind](value, before[0]), value
        return said

    market.tamper = tamper
    found = day(server, market, tmp_path)
    assert_exact(market, found)
    assert not any(piece.refused.height for pieces in found.values() for piece in pieces)


def test_a_print_that_only_the_sweep_lacks_is_asked_for_by_number(server, market, tmp_path):
    def tamper(method, asked, value):
        if method != SWEEP:
            return value
        held = {
            name: [row for row in rows if row["trade_id"] not in lacking]
            for name, rows in market.prints.items()
        }
        return market.get_last_trades_by_currency_and_time(asked.params, held)

    lone, last = true_numbers(market, 5)[3], true_numbers(market, 7)[-1]
    lacking = {f"{NAMES[5]}-{lone}", f"{NAMES[7]}-{last}"}
    market.tamper = tamper
    assert_exact(market, day(server, market, tmp_path))
    assert set(by_name(server)) == {NAMES[5], NAMES[7]}


def test_a_last_print_that_nobody_serves_is_a_gap(server, market, tmp_path):
    numbers_of = true_numbers(market, 7)
    candles = {name: list(rows) for name, rows in market.prints.items()}
    market.prints = market.prints | {
        NAMES[7]: [r for r in market.prints[NAMES[7]] if r["trade_seq"] < numbers_of[-1]]
    }
    held, market.history = market.prints, candles

    def tamper(method, asked, value):
        if "trades" not in method:
            return value
        return getattr(replace(market, history=held), method)(asked.params, held)

    market.tamper = tamper
    found = day(server, market, tmp_path)
    proof = found[unit(7)][-1].proof
    assert proof.status == "gap"
    assert proof.gaps[0].cause == "less_than_candle"
    assert numbers(found[unit(7)]) == numbers_of[:-1]


def test_more_prints_in_one_moment_than_a_page_holds_are_all_there(server, market, tmp_path):
    name, noon = NAMES[IDLE], START + 12 * HOUR_MS
    market.prints[name] += [
        print_row(name, n, noon, 0.05, iv=60.0, amount=1.0) for n in range(1, 2_401)
    ]
    assert_exact(market, day(server, market, tmp_path))


def test_without_the_sweep_a_chain_is_as_exact_and_says_that_it_was_not_swept(
    server, market, tmp_path
):
    market.tamper = lambda method, asked, value: Said(b"", 503) if method == SWEEP else value
    found = day(server, market, tmp_path)
    assert_exact(market, found)
    notices = [notice for pieces in found.values() for p in pieces for notice in p.notices]
    assert len(notices) == 1
    assert "not swept" in notices[0]
    assert "asked 4 times" in notices[0]


def test_a_candle_that_cannot_be_had_puts_one_option_in_doubt_and_no_other(
    server, market, tmp_path
):
    market.tamper = lambda method, asked, value: (
        Said(b"", 503)
        if "tradingview" in method and asked.params["instrument_name"] == NAMES[5]
        else value
    )
    found = day(server, market, tmp_path)
    assert set(by_name(server)) == {NAMES[5]}
    assert found[unit(5)][-1].proof.status == "complete", "its later prints show the day's end"
    assert_exact(market, found)


def test_an_option_in_no_list_is_found_by_its_prints(server, market, tmp_path):
    market.listed = market.listed[1:]
    found = day(server, market, tmp_path)
    assert sorted(numbers(found[unit(0)])) == true_numbers(market, 0)
    with opened(server, market, tmp_path) as deribit:
        named = {unit(place) for place in range(1, 12)}
        assert {piece.unit for piece in deribit.trades("BTC", WINDOW, only=named)} == named


def test_prints_of_no_known_instrument_are_told_of(server, market, tmp_path):
    strange = "BTC-CS-27MAR26-60000_65000"
    market.prints[strange] = [print_row(strange, 1, START + HOUR_MS, 0.01)]
    found = day(server, market, tmp_path)
    assert_exact(market, found)
    (notice,) = [notice for (piece,) in found.values() for notice in piece.notices]
    assert strange in notice


def test_a_chain_of_a_day_that_goes_on_is_open_and_asks_the_host_of_the_day(
    server, market, tmp_path
):
    now = WINDOW.start + timedelta(hours=6)
    market.now_ms = milliseconds(now)
    found = day(server, market, tmp_path, now=now)
    assert {pieces[-1].proof.status for pieces in found.values()} == {"open"}
    assert all(max(numbers(p), default=0) < 5_000 for p in found.values())
    hosts = {asked.path.split("/")[1] for asked in server.asked if asked.path.endswith(SWEEP)}
    assert hosts == {"www.deribit.com"}


def test_forced_prints_of_a_chain_are_liquidations_of_their_options(server, market, tmp_path):
    row = next(r for r in market.prints[NAMES[4]] if r["timestamp"] > START)
    row["liquidation"] = "M"
    with opened(server, market, tmp_path) as deribit:
        (piece,) = deribit.liquidations("BTC", WINDOW)
    assert piece.unit == unit(4)
    assert piece.frame["side"].to_list() == ["sell" if row["direction"] == "buy" else "buy"]
    assert piece.proof.status == "complete"
