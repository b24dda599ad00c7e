"""What was asked of Binance? Parameters read and refused as the venue does."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.simulator.wire.reply import Refusal

LEGAL = re.compile(r"[A-Z0-9_]{1,20}")
INTERVAL_MS = {
    "1m": 60_000,
    "3m": 180_000,
    "5m": 300_000,
    "15m": 900_000,
    "30m": 1_800_000,
    "1h": 3_600_000,
    "2h": 7_200_000,
    "4h": 14_400_000,
    "6h": 21_600_000,
    "8h": 28_800_000,
    "12h": 43_200_000,
    "1d": 86_400_000,
}


def refusal(code: int, message: str) -> Refusal:
    """The venue's error for a bad request."""
    return Refusal(400, code, message)


@dataclass(frozen=True, slots=True)
class Params:
    """The query of one request."""

    query: Mapping[str, str]

    def has(self, name: str) -> bool:
        return name in self.query

    def text(self, name: str) -> str:
        value = self.query.get(name, "")
        if not value:
            raise refusal(
                -1102, f"Mandatory parameter '{name}' was not sent, was empty/null, or malformed."
            )
        return value

    def symbol(self, name: str = "symbol") -> str:
        value = self.text(name)
        if not LEGAL.fullmatch(value):
            raise refusal(
                -1100, f"Illegal characters found in parameter '{name}'; legal range is "
                "'^[A-Z0-9-_.]{1,20}$'."
            )  # fmt: skip
        return value

    def whole(self, name: str) -> int | None:
        """A whole number at least zero, None where it was not sent."""
        value = self.query.get(name)
        if value is None:
            return None
        if not value.isdecimal():
            raise refusal(-1100, f"Illegal characters found in parameter '{name}'; legal range is "
                          "'^[0-9]{1,20}$'.")  # fmt: skip
        return int(value)

    def limit(self, default: int, most: int, *, is_clipped: bool) -> int:
        """How many rows; spot serves the most it can, futures refuse to serve more."""
        value = self.whole("limit")
        if value is None:
            return default
        if value < 1 or (value > most and not is_clipped):
            raise refusal(-1130, "Data sent for parameter 'limit' is not valid.")
        return min(value, most)

    def interval(self) -> int:
        value = self.text("interval")
        if value not in INTERVAL_MS:
            raise refusal(-1120, "Invalid interval.")
        return INTERVAL_MS[value]

    def window(self) -> tuple[int | None, int | None]:
        """startTime and endTime, milliseconds, both included."""
        start, end = self.whole("startTime"), self.whole("endTime")
        if start is not None and end is not None and end < start:
            raise refusal(-1023, "Start time is greater than end time.")
        return start, end
