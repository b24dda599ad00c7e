"""How fast may a venue be asked? One bucket of tokens per budget, shared by all threads."""

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock


@dataclass(frozen=True, slots=True)
class Budget:
    """What a venue allows: `tokens` at once, and `per_s` more each second."""

    name: str
    tokens: float
    per_s: float


class Bucket:
    """Tokens of one budget, `scale` times as many as the venue's own.

    Whoever asks takes the tokens at once and is told how long to wait for them, so that threads
    are served in the order in which they ask and never more than the budget in sum.
    """

    def __init__(self, budget: Budget, scale: float, now: Callable[[], float]) -> None:
        self._most, self._per_s, self._now = budget.tokens * scale, budget.per_s * scale, now
        self._tokens, self._at, self._lock = self._most, now(), Lock()

    def take(self, cost: float) -> float:
        """Take `cost` tokens; return the seconds until they are there."""
        with self._lock:
            self._refill()
            self._tokens -= cost
            return max(0.0, -self._tokens / self._per_s)

    def hold(self, seconds: float) -> None:
        """Nobody is served for `seconds`: the venue said so."""
        with self._lock:
            self._refill()
            self._tokens = min(self._tokens, -seconds * self._per_s)

    def _refill(self) -> None:
        now = self._now()
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_s)
        self._at = now
