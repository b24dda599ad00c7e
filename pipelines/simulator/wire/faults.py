"""What goes wrong on the wire, how often, and to which request? The same every time for a seed.

A fault is decided by the seed, the request and how often that very request has been made: asking
again can help, and running again brings the same faults.
"""

import zlib
from collections import Counter
from dataclasses import dataclass, field, replace

from pipelines.simulator import noise
from pipelines.simulator.wire.reply import Answer, Reply

KINDS = {
    "429": "too many requests, with Retry-After",
    "418": "banned, with Retry-After",
    "500": "internal error",
    "502": "bad gateway",
    "503": "unavailable",
    "504": "gateway timeout",
    "maintenance": "the venue's own maintenance code",
    "html": "an HTML page with status 200",
    "truncated": "JSON that stops in the middle, status 200",
    "empty": "nothing, status 200",
    "null": "a result of null, status 200",
    "short": "a body shorter than its Content-Length",
    "reset": "a connection that is reset instead of answered",
    "slow": "an answer that comes late",
    "repeat": "the page that was served before, once more",
    "drop": "a page that lacks some of its rows",
    "reorder": "a page whose rows are in another order",
    "late": "share of trades that appear hours after they happened",
    "lost": "share of runs of sixteen trades that are never served",
    "revised": "share of trades whose size is corrected twelve hours after their day",
    "skew": "seconds by which the venue's clock is ahead",
}
PAGES = ("repeat", "drop", "reorder")
WORLD = ("late", "lost", "revised", "skew")
AFTER_S = {"429": 1.0, "418": 120.0, "slow": 1.0}  # to wait, unless the rule says
HTML = b"<html><head><title>503 Service Unavailable</title></head><body>Be back soon.</body></html>"


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of fault: a chance per request, or so many times; `seconds` where time is meant."""

    kind: str
    chance: float
    times: int | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Faults:
    """The rules in force. None of them is a flawless market."""

    rules: tuple[Rule, ...] = ()
    seed: int = 0

    def amount(self, kind: str) -> float:
        """Of a fault of the world itself: its share or seconds, zero where it is not asked for."""
        return next((rule.chance for rule in self.rules if rule.kind == kind), 0.0)


def parse(spec: str, seed: int = 0) -> Faults:
    """Read `429:0.02,html:0.01,slow:0.01@0.5,drop:3,late:0.001,skew:1.5`.

    A number below one is a chance per request (of late, lost and revised: a share of trades), a
    whole number means so many times, `@` gives the seconds to wait. Raises ValueError naming the
    word that cannot be read.
    """
    rules = tuple(_rule(word.strip(), spec) for word in spec.split(",") if word.strip())
    twice = [kind for kind, n in Counter(rule.kind for rule in rules).items() if n > 1]
    if twice:
        raise ValueError(f"faults: {twice[0]} stands twice in {spec!r}")
    total = sum(rule.chance for rule in rules if rule.kind not in WORLD and rule.times is None)
    if total > 1:
        raise ValueError(f"faults: the chances in {spec!r} add up to {total:g}, above 1")
    return Faults(rules, seed)


def _rule(word: str, spec: str) -> Rule:
    kind, colon, amount = word.partition(":")
    if kind not in KINDS:
        raise ValueError(f"faults: {kind!r} in {spec!r} is none of {', '.join(KINDS)}")
    number, _, wait = amount.partition("@")
    try:
        value = float(number) if colon else 0.01
        seconds = float(wait) if wait else AFTER_S.get(kind, 0.0)
    except ValueError:
        raise ValueError(
            f"faults: {word!r} in {spec!r} is not kind:number or kind:number@seconds"
        ) from None
    is_whole = value >= 1 and value == int(value)
    if kind == "skew":
        return Rule(kind, value, None, 0.0)
    if not (0 <= value < 1 or (is_whole and kind not in WORLD)) or not 0 <= seconds < 3_600:
        raise ValueError(
            f"faults: {word!r} in {spec!r} is out of range: a chance is below 1, a count is whole"
        )
    return Rule(kind, value, int(value) if is_whole else None, seconds)


@dataclass(slots=True)
class Mischief:
    """The faults in force and what they did so far."""

    faults: Faults = field(default_factory=Faults)
    asked: Counter[int] = field(default_factory=Counter)
    done: Counter[str] = field(default_factory=Counter)
    pages: dict[str, str] = field(default_factory=dict)  # the last page of each stream

    def choose(self, target: str, answer: Answer) -> Rule | None:
        """The fault that this request meets, if any. `target` is the path with its query."""
        request = zlib.crc32(target.encode())
        attempt = self.asked[request]
        self.asked[request] += 1
        if not self.faults.rules:
            return None
        drawn = float(noise.uniform(noise.key(self.faults.seed, "fault"), request, attempt))
        reached = 0.0
        for rule in self.faults.rules:
            if rule.kind in WORLD:
                continue
            is_due = rule.times is not None and self.done[rule.kind] < rule.times and attempt == 0
            reached += 0.0 if rule.times is not None else rule.chance
            if (is_due or (rule.times is None and drawn < reached)) and self._fits(rule, answer):
                self.done[rule.kind] += 1
                return rule
            if rule.times is None and drawn < reached:
                return None
        return None

    def _fits(self, rule: Rule, answer: Answer) -> bool:
        if rule.kind == "repeat":
            return self.pages.get(answer.stream, answer.text()) != answer.text()
        return rule.kind not in PAGES or len(answer.rows) > 2

    def remember(self, answer: Answer) -> None:
        """Keep the page, so that it can be served again instead of the next one."""
        if answer.stream and answer.rows:
            self.pages[answer.stream] = answer.text()


def reshape(rule: Rule, answer: Answer, page: str | None) -> Answer:
    """The answer with its page repeated, with rows missing, or in another order."""
    if rule.kind == "repeat" and page is not None:
        return replace(answer, head=page, rows=(), tail="")
    rows = list(answer.rows)
    if rule.kind == "drop":
        first = len(rows) // 3
        rows[first : first + max(1, len(rows) // 10)] = []
    if rule.kind == "reorder":
        rows = rows[1::2] + rows[::2]
    return replace(answer, rows=rows)


def spoil(rule: Rule, reply: Reply, refused: Reply) -> Reply:
    """The reply as it arrives. `refused` is the venue's own error of that kind."""
    body = reply.body
    match rule.kind:
        case "429" | "418" | "maintenance":
            return refused
        case "html":
            return replace(reply, body=HTML, kind="text/html")
        case "truncated":
            return replace(reply, body=body[: max(1, len(body) * 2 // 3)])
        case "empty":
            return replace(reply, body=b"")
        case "short":
            return replace(reply, body=body[: len(body) // 2], declared=len(body))
        case "reset":
            return replace(reply, is_cut=True)
        case "slow":
            return replace(reply, pause_s=rule.seconds)
        case _:
            return reply
