"""What does a venue answer? Text around rows, or a refusal in the venue's own words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """A body as text before, rows of JSON, and text after; `stream` names what is being paged."""

    head: str
    rows: Sequence[str] = ()
    tail: str = ""
    stream: str = ""
    weight: int = 1  # what the request costs of the venue's budget
    headers: Mapping[str, str] = field(default_factory=dict)

    def text(self) -> str:
        return f"{self.head}{','.join(self.rows)}{self.tail}"


@dataclass(frozen=True, slots=True)
class Refusal(Exception):
    """An error as the venue spells it."""

    status: int
    code: int
    message: str
    data: Mapping[str, object] | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Reply:
    """One HTTP answer: what is sent, and how it goes wrong on the way.

    `declared` is the Content-Length where it is not the body's; `pause_s` delays the answer;
    `is_cut` drops the connection instead of answering.
    """

    status: int
    body: bytes
    kind: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)
    declared: int | None = None
    pause_s: float = 0.0
    is_cut: bool = False
