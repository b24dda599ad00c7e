"""What does Deribit's stream say? Notifications by what they are, and books after each change."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pipelines.venues.deribit_wire import LEVELS
from warehouse.raw import Page

DELETE = "delete"


def sorted_messages(messages: Iterable[Page]) -> tuple[dict[str, list[Page]], Counter[str]]:
    """Notifications by what they are (ticker, trades, book); and how many of each there were.

    Everything else is counted: answers by `answer`, our own requests by their method, heartbeats,
    and text that is no JSON as `other`. Book changes become the books that they lead to.
    """
    found: dict[str, list[Page]] = defaultdict(list)
    counts: Counter[str] = Counter()
    books: dict[Any, _Book] = {}
    for message in messages:
        kind, data = _notification(message.text)
        if kind == "book":
            kind, data = _applied(books, data)
        counts[kind] += 1
        if data is not None:
            text = json.dumps({"params": {"data": data}})
            found[kind].append(Page(message.request, text, message.received_at))
    return dict(found), counts


def _notification(text: str) -> tuple[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return "other", None
    if not isinstance(message, dict):
        return "other", None
    params, method = message.get("params"), message.get("method")
    if method == "subscription" and isinstance(params, dict):
        return str(params.get("channel")).split(".")[0], params.get("data")
    return (str(method) if method else "answer" if "result" in message else "other"), None


@dataclass(slots=True)
class _Book:
    change_id: Any
    sides: dict[str, dict[Any, Any]]


def _applied(books: dict[Any, _Book], data: Any) -> tuple[str, Any]:
    """The book after a snapshot or a change; a change that does not follow is told apart."""
    name = data.get("instrument_name") if isinstance(data, dict) else None
    if not isinstance(name, str) or not all(isinstance(data.get(key), list) for key in LEVELS):
        return "book", data  # is refused by whoever reads it
    if data.get("type") == "snapshot":
        books[name] = _Book(None, {key: {} for key in LEVELS})
    held = books.get(name)
    if held is None or held.change_id not in (None, data.get("prev_change_id")):
        books.pop(name, None)
        return "book_out_of_order", None
    try:
        for key, levels in held.sides.items():
            _change(levels, data[key])
        state = {
            key: [list(level) for level in sorted(held.sides[key].items(), reverse=key == "bids")]
            for key in LEVELS
        }
    except (TypeError, ValueError):  # levels of another make than [action, price, amount]
        books.pop(name, None)
        return "book", data
    held.change_id = data.get("change_id")
    return "book", data | state


def _change(levels: dict[Any, Any], changes: Iterable[Any]) -> None:
    for action, price, amount in changes:
        if action == DELETE:
            levels.pop(price, None)
        else:
            levels[price] = amount
