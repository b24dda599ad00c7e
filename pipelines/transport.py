"""How is a venue asked, and when is its answer believed? Every HTTP answer comes through here.

An answer is believed when it has the envelope that its endpoint promises, at least one row as
promised, its rows inside what was asked, and when it is not the page before once more. Believed
answers land raw. All else is trouble: it is waited for and asked again, and in the end it is
`SourceUnavailable`, or at once `SourceRefused` where asking again changes nothing.
"""

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from threading import Lock, local
from types import TracebackType
from typing import Any

import orjson

from pipelines.archives.base import SourceRefused, SourceUnavailable
from pipelines.budget import Bucket, Budget, Stop, Stops
from pipelines.connection import Connection, Reply
from pipelines.settings import Settings
from pipelines.trouble import Patience, Trouble, quoted
from pipelines.venues.base import Endpoint, Row
from pipelines.venues.json_columns import Rows
from pipelines.venues.json_shape import PYTHON
from warehouse.location import Clock, Location
from warehouse.raw import Page, land

Complaint = Callable[[Sequence[Row]], str | None]
LONGEST_STOP_S = 3 * 86_400.0  # no venue bans for longer; what says so is asked again after it


@dataclass(frozen=True, slots=True)
class Answer:
    """A believed answer: its rows, all of it, and the page as it lands."""

    rows: Sequence[Any]
    payload: Any
    page: Page


class Transport:
    """The way to every venue. Threads share it, and with it the budgets."""

    def __init__(
        self,
        location: Location,
        *,
        clock: Clock,
        settings: Settings,
        sleep: Callable[[float], object] = time.sleep,
        now: Callable[[], float] = time.monotonic,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.location, self.clock, self.settings = location, clock, settings
        self._sleep, self._now = sleep, now
        self._patience = Patience(settings, draw)
        self._buckets: dict[Budget, Bucket] = {}
        self._stops = Stops(location.work / "banned.json", clock)
        self._lock, self._own = Lock(), local()
        self._connections: list[Connection] = []

    def __enter__(self) -> "Transport":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections of all threads."""
        with self._lock:
            connections, self._connections, self._own = self._connections, [], local()
        for connection in connections:
            connection.close()

    def session(self, venue: str, unit: str) -> "Session":
        """Questions that serve one unit of `venue`; what they bring lands together."""
        return Session(self, venue, unit)

    def stopped_until(self, venue: str) -> datetime | None:
        """When a venue that wants to be left alone may be asked again; None where it may be now."""
        stop = self._stops.of(venue)
        return stop.until if stop else None

    def ask(
        self,
        venue: str,
        endpoint: Endpoint,
        params: Mapping[str, Any],
        unit: str,
        complaint: Complaint | None = None,
    ) -> Answer:
        """The answer, once it is believed. `complaint` says what else is wrong with its rows.

        Raises `SourceUnavailable` where it was asked for as often as allowed, the venue has banned
        us or wants too long a wait; `SourceRefused` where asking again changes nothing.
        """
        attempt = 0
        while True:
            attempt += 1
            self._wait_turn(venue, endpoint)
            found = self._attempt(venue, endpoint, params, unit, complaint, attempt)
            if isinstance(found, Answer):
                return found
            subject = f"{venue} {endpoint.method} {json.dumps(dict(params), sort_keys=True)}"
            self._bear(venue, endpoint, subject, found, attempt)

    def _attempt(
        self,
        venue: str,
        endpoint: Endpoint,
        params: Mapping[str, Any],
        unit: str,
        complaint: Complaint | None,
        attempt: int,
    ) -> Answer | Trouble:
        connection = self._connection(venue, endpoint.host)
        table = endpoint.rows if endpoint.is_table else None
        reply, payload, error = connection.ask(endpoint.method, params, table)
        received_at = self.clock()
        if reply is None or error is not None:
            return self._patience.judge(error, reply, attempt, received_at)
        rows = promised_rows(payload, endpoint, reply)
        fault = rows if isinstance(rows, str) else complaint(rows) if complaint else None
        if isinstance(rows, str) or fault:
            return self._patience.broken(f"{fault}{quoted(reply)}", attempt)
        return Answer(rows, payload, _page(endpoint, params, unit, reply, received_at))

    def _bear(
        self, venue: str, endpoint: Endpoint, subject: str, trouble: Trouble, attempt: int
    ) -> None:
        """Wait, or raise where waiting is of no use."""
        if trouble.wait_s is None:
            raise SourceRefused(f"{subject}: {trouble.text}")
        is_too_long = trouble.wait_s > self.settings.longest_wait_s
        wanted = f"a wait of {trouble.wait_s:.0f} s is wanted"
        if trouble.is_ban:
            told = self._stop(venue, trouble.wait_s, "banned")
            raise SourceUnavailable(f"{subject}: {told}; {trouble.text}")
        if is_too_long and (trouble.is_asked or trouble.is_for_all):
            told = self._stop(venue, trouble.wait_s, "stopped")
            raise SourceUnavailable(f"{subject}: {wanted}, {told}; {trouble.text}")
        if trouble.is_for_all:
            self._bucket(endpoint.budget).hold(trouble.wait_s)
        if attempt >= self.settings.attempts:
            raise SourceUnavailable(f"{subject}: asked {attempt} times; {trouble.text}")
        if is_too_long:
            raise SourceUnavailable(f"{subject}: {wanted}; {trouble.text}")
        if not trouble.is_for_all:  # else the bucket makes everyone wait
            self._sleep(trouble.wait_s)

    def _stop(self, venue: str, wait_s: float, why: str) -> str:
        at = self.clock()
        stop = Stop(at, at + timedelta(seconds=min(wait_s, LONGEST_STOP_S)), why)
        self._stops.add(venue, stop)
        return _told(stop)

    def _wait_turn(self, venue: str, endpoint: Endpoint) -> None:
        self._demand_welcome(venue, endpoint)
        longest_s = self.settings.longest_wait_s
        wait_s = self._bucket(endpoint.budget).take(endpoint.cost, longest_s)
        if wait_s > longest_s:
            raise SourceUnavailable(
                f"{venue} {endpoint.method}: its turn is {wait_s:.1f} s away, in the budget "
                f"{endpoint.budget.name}; the longest wait is {longest_s:.1f} s"
            )
        if wait_s:
            self._sleep(wait_s)
            self._demand_welcome(venue, endpoint)  # others may have been banned in the meantime

    def _demand_welcome(self, venue: str, endpoint: Endpoint) -> None:
        if stop := self._stops.of(venue):
            raise SourceUnavailable(f"{venue} {endpoint.method}: {_told(stop)}")

    def _bucket(self, budget: Budget) -> Bucket:
        with self._lock:
            if budget not in self._buckets:
                self._buckets[budget] = Bucket(budget, self.settings.rate_scale, self._now)
            return self._buckets[budget]

    def _connection(self, venue: str, host: str | None) -> Connection:
        held: dict[str, Connection] = self._own.__dict__
        name = f"{venue} {host}"
        if name not in held:
            held[name] = Connection(venue, host, self.settings)
            with self._lock:
                self._connections.append(held[name])
        return held[name]


class Session:
    """Questions that serve one unit. Leaving the block lands what has not been landed yet."""

    def __init__(self, transport: Transport, venue: str, unit: str) -> None:
        self._transport, self._venue, self._unit = transport, venue, unit
        self._pages: list[Page] = []
        self._before: dict[str, tuple[Mapping[str, Any], Sequence[Any]]] = {}

    def __enter__(self) -> "Session":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: TracebackType | None
    ) -> None:
        self.land()

    def ask(
        self,
        endpoint: Endpoint,
        params: Mapping[str, Any],
        complaint: Complaint | None = None,
    ) -> Answer:
        """The believed answer, which waits to be landed. Raises as `Transport.ask`."""
        before = self._before.get(endpoint.method) if endpoint.page_size else None

        def wrong(rows: Sequence[Row]) -> str | None:
            if before and rows and dict(params) != before[0] and rows == before[1]:
                return "repeats the page before"
            return complaint(rows) if complaint else None

        answer = self._transport.ask(self._venue, endpoint, params, self._unit, wrong)
        if endpoint.page_size:
            self._before[endpoint.method] = (dict(params), answer.rows)
        self._pages.append(answer.page)
        return answer

    def land(self) -> tuple[str, ...]:
        """Keep the pages that came since the last landing; return the digest that names them."""
        if not self._pages:
            return ()
        digest = land(self._transport.location, self._venue, self._pages)
        self._pages = []
        return (digest,)


def _told(stop: Stop) -> str:
    return f"{stop.why} until {stop.until.isoformat()}"


def promised_rows(payload: Any, endpoint: Endpoint, reply: Reply) -> Sequence[Any] | str:
    """The rows of an answer, or how it breaks what the endpoint promises.

    Of a table the payload is but the envelope. Single bad rows are left to decoding, which refuses
    them one by one; an answer without one good row is not an answer.
    """
    if reply.rows is not None:
        table = Rows(reply.rows, endpoint.shape, endpoint.present, payload)
        if table.frame is not None and table.frame.height:
            return table
        try:
            return _row_faults(list(table), endpoint) or table
        except orjson.JSONDecodeError:  # damaged, or there is another list behind the rows
            payload = _whole(reply.text)
    if not isinstance(payload, dict | list):
        return "is no JSON"
    found: Any = payload
    for key in endpoint.rows:
        if not isinstance(found, dict) or key not in found:
            return f"lacks {key}"
        found = found[key]
    if endpoint.is_single:
        found = [found] if isinstance(found, dict) else None
    if not isinstance(found, list):
        return f"{'.'.join(endpoint.rows) or 'answer'} is no {_wanted(endpoint)}"
    return _row_faults(found, endpoint) or found


def _whole(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _row_faults(rows: Sequence[Any], endpoint: Endpoint) -> str:
    """How rows break what is promised of them all; empty where one of them is as it must be."""
    if not rows:
        return "" if endpoint.may_be_empty else "holds no rows"
    faults = []
    for row in rows:
        fault = row_fault(row, endpoint)
        if not fault:
            return ""
        faults.append(fault)
    return f"holds no row as promised: {faults[0]}"


def row_fault(row: Any, endpoint: Endpoint) -> str:
    """What a row lacks of what its endpoint promises; empty where it lacks nothing."""
    shape = endpoint.shape
    if shape.places and isinstance(row, list):
        row = dict(zip(shape.places, row, strict=False))
    if not isinstance(row, dict):
        return "not_a_row"
    for name, kind in shape.required.items():
        if type(row.get(name)) not in PYTHON[kind]:
            return f"{name}_missing" if row.get(name) is None else f"{name}_unreadable"
    return next((f"{name}_missing" for name in endpoint.present if not _holds(row, name)), "")


def _holds(row: Any, name: str) -> bool:
    """Whether `a.b` is there, though it may be null."""
    outer, _, inner = name.partition(".")
    held = row.get(outer) if inner else row
    return isinstance(held, dict) and (inner or outer) in held


def _wanted(endpoint: Endpoint) -> str:
    return "object" if endpoint.is_single else "list"


def _page(
    endpoint: Endpoint, params: Mapping[str, Any], unit: str, reply: Reply, received_at: datetime
) -> Page:
    """The request is told by our own words, in which no key and no signature stands."""
    request = {"method": endpoint.method, "params": dict(params), "unit": unit}
    if endpoint.host:
        request["host"] = endpoint.host
    return Page(json.dumps(request, sort_keys=True), reply.text, received_at.isoformat())
