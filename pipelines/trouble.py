"""What can be done about an answer that is not believed? Wait and ask again, or give up.

refused      the question is wrong, or not ours to ask: asking again changes nothing
banned       418: the venue is left alone until its ban ends, by everyone
limited      429 and its kin: as long as the venue says, else doubling, and for everyone
stopped      any of them, where the venue asks for too long a wait: like a ban
maintained   minutes
unexplained  an error without a class: twice more
broken       network, servers, a page that is not what it must be: doubling, drawn evenly
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime

import ccxt

from pipelines.connection import Reply
from pipelines.settings import Settings

REFUSED_CLASSES = (
    ccxt.BadRequest,
    ccxt.AuthenticationError,
    ccxt.NotSupported,
    ccxt.ArgumentsRequired,
)
# ccxt takes these for trouble with the network; they are about the question.
REFUSED_STATUS = frozenset({400, 401, 404, 405, 410, 422, 451, 501})
BY_STATUS = re.compile(r"\w+ (?:GET|POST|PUT|DELETE) ")  # begins an error that ccxt saw by status
BANNED, LIMITED, SERVER_ERROR = 418, 429, 500
UNEXPLAINED_ATTEMPTS = 3
SHOWN = 120  # characters of an answer that a message quotes


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an answer is not believed, and how many seconds to wait; None: for good.

    `is_for_all` where the venue asks everyone to wait, `is_ban` where it has shut us out,
    `is_asked` where the wait is the venue's own and not ours.
    """

    text: str
    wait_s: float | None
    is_for_all: bool = False
    is_ban: bool = False
    is_asked: bool = False


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, by the operator's settings; `draw` is even on [0, 1)."""

    settings: Settings
    draw: Callable[[], float]

    def broken(self, text: str, attempt: int) -> Trouble:
        return Trouble(text, self._drawn(self.settings.backoff_s, attempt))

    def judge(
        self, error: ccxt.BaseError, reply: Reply | None, attempt: int, at: datetime
    ) -> Trouble:
        """The trouble that ccxt's `error` is; `reply` is what came, None where nothing did."""
        text = type(error).__name__ + (quoted(reply) if reply else ", nothing came")
        asked_s = _retry_after(reply, at)
        if reply and reply.status == BANNED:
            return Trouble(text, asked_s or self.settings.ban_s, is_for_all=True, is_ban=True)
        if isinstance(error, ccxt.OnMaintenance):
            wait_s = asked_s or self._drawn(self.settings.maintenance_s, attempt)
            return Trouble(text, wait_s, is_asked=bool(asked_s))
        is_limit = isinstance(error, ccxt.RateLimitExceeded | ccxt.DDoSProtection)
        if is_limit or (reply and reply.status == LIMITED):
            return Trouble(text, max(asked_s or 0.0, 2.0 ** (attempt - 1)), is_for_all=True)
        is_its_own = bool(reply and reply.status >= SERVER_ERROR)  # whatever the code in it
        is_ours = isinstance(error, REFUSED_CLASSES) or _is_refused_by_status(error, reply)
        if is_ours and not is_its_own:
            return Trouble(text, None)
        is_explained = is_its_own or isinstance(error, ccxt.OperationFailed)
        if not is_explained and attempt >= UNEXPLAINED_ATTEMPTS:
            return Trouble(f"{text}; asked {attempt} times", None)
        wait_s = max(asked_s or 0.0, self._drawn(self.settings.backoff_s, attempt))
        return Trouble(text, wait_s, is_asked=bool(asked_s))

    def _drawn(self, first_s: float, attempt: int) -> float:
        longest = max(first_s, self.settings.backoff_cap_s)
        return self.draw() * min(longest, first_s * 2.0 ** (attempt - 1))


def quoted(reply: Reply) -> str:
    """The beginning of what came, on one line."""
    shown = " ".join(reply.text[:SHOWN].split())
    return f" ({reply.status}, {len(reply.text)} characters: {shown!r})"


def _is_refused_by_status(error: ccxt.BaseError, reply: Reply | None) -> bool:
    """Whether nothing but the status speaks; a venue's own code in the answer says more."""
    return bool(reply and reply.status in REFUSED_STATUS and BY_STATUS.match(str(error)))


def _retry_after(reply: Reply | None, at: datetime) -> float | None:
    """Seconds, given as a number or as a date; None where it is neither."""
    text = reply.headers.get("Retry-After", "").strip() if reply else ""
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(0.0, (parsedate_to_datetime(text) - at).total_seconds())
    except (TypeError, ValueError):  # no date, or one without a zone
        return None
