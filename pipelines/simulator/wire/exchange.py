"""What does one request bring? Routing by host, budgets, the venue's answer, and what spoils it."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import formatdate
from urllib.parse import parse_qsl

from pipelines.simulator.history import History
from pipelines.simulator.wire import binance, deribit, faults
from pipelines.simulator.wire.clock import Clock
from pipelines.simulator.wire.faults import Faults, Mischief, Rule
from pipelines.simulator.wire.limits import BINANCE_WEIGHTS, Bucket, Weights
from pipelines.simulator.wire.reply import Answer, Refusal, Reply

DERIBIT = (deribit.HOST, deribit.HISTORY_HOST)
STATUS_TEXT = {
    "500": "Internal Server Error",
    "502": "Bad Gateway",
    "503": "Service Unavailable",
    "504": "Gateway Time-out",
}


@dataclass(slots=True)
class Exchange:
    """Every venue of the embedded market behind one address.

    The first segment of a path is the real host: `/www.deribit.com/api/v2/public/ticker`.
    `ticks` is any monotonic clock: budgets are spent in real time, whatever the world's time.
    """

    history: History
    clock: Clock
    ticks: Callable[[], float]
    rate_scale: float = 1.0
    mischief: Mischief = field(default_factory=Mischief)
    served: Counter[str] = field(default_factory=Counter)
    bucket: Bucket = field(init=False)
    weights: dict[str, Weights] = field(init=False)

    def __post_init__(self) -> None:
        self.bucket = Bucket(self.ticks, self.rate_scale)
        self.weights = {
            host: Weights(self.ticks, limit * self.rate_scale)
            for host, limit in BINANCE_WEIGHTS.items()
        }

    def use(self, spec: Faults) -> None:
        """From now on these faults; what was asked and done so far is forgotten."""
        self.mischief = Mischief(spec)

    def reply(self, path: str, query: str) -> Reply:
        """The answer to one GET."""
        _, host, rest = [*path.split("/", 2), "", ""][:3]
        rest = f"/{rest}"
        self.served[f"{host}{rest}"] += 1
        if host not in DERIBIT and host not in binance.HOSTS:
            body = json.dumps({"error": f"no venue at {host!r}"}).encode()
            return Reply(404, body)
        parameters = dict(parse_qsl(query, keep_blank_values=True))
        sorted_query = "&".join(f"{k}={v}" for k, v in sorted(parameters.items()))
        return self._spoilt(host, rest, parameters, f"{path}?{sorted_query}")

    def _spoilt(self, host: str, path: str, query: Mapping[str, str], target: str) -> Reply:
        clock_us = self._clock_us()
        headers = {"Date": formatdate(clock_us / 1e6, usegmt=True)}
        try:
            answer = self._answer(host, path, query, clock_us)
        except Refusal as refused:
            return self._refused(host, refused, headers)
        rule = self.mischief.choose(target, answer)
        if rule is not None and rule.kind in faults.PAGES:
            answer = faults.reshape(rule, answer, self.mischief.pages.get(answer.stream))
        else:
            self.mischief.remember(answer)
        try:
            used = self._spend(host, answer.weight)
        except Refusal as refused:
            return self._refused(host, refused, headers)
        if host in DERIBIT:
            answer = deribit.envelope(answer, target, clock_us)
        reply = Reply(200, answer.text().encode(), headers=headers | used)
        if rule is None:
            return reply
        if rule.kind == "null":
            body = deribit.envelope(Answer("null"), target, clock_us).text()
            return Reply(200, body.encode(), headers=headers | used)
        if rule.kind in STATUS_TEXT:
            # the gateway in front of the venue says so, not the venue
            text = f"<html><head><title>{rule.kind} {STATUS_TEXT[rule.kind]}</title></head></html>"
            return Reply(int(rule.kind), text.encode(), "text/html", headers)
        return faults.spoil(rule, reply, self._refused(host, _as_refusal(host, rule), headers))

    def _clock_us(self) -> int:
        """The venues' own clock, which may be ahead."""
        return self.clock.now_us() + round(1e6 * self.mischief.faults.amount("skew"))

    def _answer(self, host: str, path: str, query: Mapping[str, str], clock_us: int) -> Answer:
        now_us, spec = self.clock.now_us(), self.mischief.faults
        if host in DERIBIT:
            is_history = host == deribit.HISTORY_HOST
            venue = deribit.Deribit(self.history, spec, now_us, clock_us, is_history)
            return venue.answer(path, query)
        market = binance.HOSTS[host]
        return binance.Binance(self.history, spec, market, now_us, clock_us).answer(path, query)

    def _spend(self, host: str, weight: int) -> dict[str, str]:
        """Take the request from the budget: the headers that say so, or a refusal."""
        if host in DERIBIT:
            if wait_s := self.bucket.take():
                raise deribit.too_many(wait_s)
            return {}
        budget = self.weights[host]
        status, wait_s = budget.take(weight)
        if status != 200:
            raise binance.too_many(status, wait_s, budget.limit)
        used = {"X-MBX-USED-WEIGHT-1M": str(budget.used)}
        return used | ({"X-MBX-USED-WEIGHT": str(budget.used)} if host == "api.binance.com" else {})

    def _refused(self, host: str, refused: Refusal, headers: Mapping[str, str]) -> Reply:
        if host in DERIBIT:
            body = deribit.error(refused, self._clock_us())
        else:
            body = binance.error(refused)
        return Reply(refused.status, body, headers={**headers, **refused.headers})

    def log(self) -> dict[str, object]:
        """Requests by path and faults by kind."""
        return {
            "requests": dict(sorted(self.served.items())),
            "faults": dict(sorted(self.mischief.done.items())),
        }


def _as_refusal(host: str, rule: Rule) -> Refusal:
    """What a venue itself answers when a fault of this kind befalls it."""
    is_deribit = host in DERIBIT
    if rule.kind not in ("429", "418"):
        return deribit.maintenance() if is_deribit else binance.maintenance()
    status = int(rule.kind)
    if is_deribit:
        refused = deribit.too_many(rule.seconds)
    else:
        refused = binance.too_many(status, rule.seconds, BINANCE_WEIGHTS[host])
    wait = {"Retry-After": f"{rule.seconds:g}"}
    return Refusal(status, refused.code, refused.message, refused.data, wait)
