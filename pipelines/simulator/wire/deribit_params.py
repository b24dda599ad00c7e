"""What was asked of Deribit? Parameters read and refused as the venue does."""

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.simulator.wire.reply import Refusal

DEFAULT_COUNT = 10


def invalid(param: str, reason: str) -> Refusal:
    """The venue's error for a parameter."""
    return Refusal(400, -32602, "Invalid params", {"reason": reason, "param": param})


def not_found() -> Refusal:
    """The venue's error for an instrument that it never had."""
    return Refusal(400, 13020, "not_found")


@dataclass(frozen=True, slots=True)
class Params:
    """The query of one request."""

    query: Mapping[str, str]

    def text(self, name: str, default: str | None = None) -> str:
        value = self.query.get(name, default)
        if value is None:
            raise invalid(name, "this parameter is required")
        return value

    def whole(self, name: str, default: int) -> int:
        """A whole number, at least zero."""
        value = self.query.get(name, str(default))
        if not value.isdecimal():
            raise invalid(name, "must be integer")
        return int(value)

    def needed(self, name: str) -> int:
        self.text(name)
        return self.whole(name, 0)

    def count(self, most: int, default: int = DEFAULT_COUNT) -> int:
        found = self.whole("count", default)
        if not 1 <= found <= most:
            raise invalid("count", f"must be between 1 and {most}")
        return found

    def one_of(self, name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        value = self.text(name, default)
        if value not in allowed:
            raise invalid(name, "value is not in the list of allowed values")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        return self.one_of(name, ("true", "false"), "true" if default else "false") == "true"

    def newest_first(self) -> bool:
        """Only an ascending page starts at the old end."""
        return self.one_of("sorting", ("asc", "desc", "default"), "default") != "asc"
