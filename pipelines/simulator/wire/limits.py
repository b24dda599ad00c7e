"""How much may a client ask for? The venues' budgets by real time, and what they answer beyond."""

from collections.abc import Callable
from dataclasses import dataclass, field

BINANCE_WEIGHTS = {
    "api.binance.com": 6_000,
    "fapi.binance.com": 2_400,
    "dapi.binance.com": 2_400,
}  # per minute
DERIBIT_PER_S, DERIBIT_BURST = 20.0, 100.0
IGNORED = 20  # refusals in a minute, after which the client is banned
BAN_S = 120.0


@dataclass(slots=True)
class Bucket:
    """Deribit's credits: they refill steadily up to a burst."""

    ticks: Callable[[], float]
    scale: float
    left: float = field(init=False)
    at: float = field(init=False)

    def __post_init__(self) -> None:
        self.left, self.at = DERIBIT_BURST * self.scale, self.ticks()

    def take(self) -> float:
        """Take one request's credits; the seconds to wait where there are none."""
        now = self.ticks()
        refill = (now - self.at) * DERIBIT_PER_S * self.scale
        self.left, self.at = min(DERIBIT_BURST * self.scale, self.left + refill), now
        if self.left < 1:
            return (1 - self.left) / (DERIBIT_PER_S * self.scale)
        self.left -= 1
        return 0.0


@dataclass(slots=True)
class Weights:
    """Binance's weight of one host: a fixed minute, and a ban for those who do not listen."""

    ticks: Callable[[], float]
    limit: float
    minute: int = -1
    used: int = 0
    refused: int = 0
    banned_until: float = 0.0

    def take(self, weight: int) -> tuple[int, float]:
        """Spend weight: (200, 0), or 429 or 418 and the seconds to wait."""
        now = self.ticks()
        if now < self.banned_until:
            return 418, self.banned_until - now
        if int(now // 60) != self.minute:
            self.minute, self.used, self.refused = int(now // 60), 0, 0
        if self.used + weight <= self.limit:
            self.used += weight
            return 200, 0.0
        self.refused += 1
        if self.refused > IGNORED:
            self.banned_until = now + BAN_S
            return 418, BAN_S
        return 429, 60 - now % 60
