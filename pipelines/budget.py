"""How fast may a venue be asked, and when not at all?

One bucket of tokens per budget, shared by all threads. A venue that wants to be left alone is
stopped for every process that works with the data folder, and for those that come later.
"""

import fcntl
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from warehouse.location import Clock, write_durably

LOOK_EVERY = timedelta(seconds=3)  # for what other processes were told
SKEW = timedelta(minutes=1)  # by which clocks of machines that share a folder may differ


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

    def take(self, cost: float, longest_s: float = float("inf")) -> float:
        """Take `cost` tokens; return the seconds until they are there.

        Where these are more than `longest_s`, nothing is taken.
        """
        with self._lock:
            self._refill()
            wait_s = max(0.0, (cost - self._tokens) / self._per_s)
            if wait_s <= longest_s:
                self._tokens -= cost
            return wait_s

    def hold(self, seconds: float) -> None:
        """Nobody is served for `seconds`: the venue said so."""
        with self._lock:
            self._refill()
            self._tokens = min(self._tokens, -seconds * self._per_s)

    def _refill(self) -> None:
        now = self._now()
        self._tokens = min(self._most, self._tokens + (now - self._at) * self._per_s)
        self._at = now


@dataclass(frozen=True, slots=True)
class Stop:
    """A venue said at `told_at` that it is not to be asked until `until`; `why` is one word."""

    told_at: AwareDatetime
    until: AwareDatetime
    why: str

    def holds(self, at: datetime) -> bool:
        """Whether it is in force; not when a stepped clock stands before it was told."""
        return self.told_at - SKEW <= at < self.until


STOPS = TypeAdapter(dict[str, Stop])


class Stops:
    """The stops of all venues, as the file at `path` holds them. Without the file there are none.

    Raises ValueError, naming the file, where it cannot be read.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock, self._lock = path, clock, Lock()
        self._held: Mapping[str, Stop] = {}
        self._looked_at: datetime | None = None
        self.of("")  # what the file says of all venues

    def of(self, venue: str) -> Stop | None:
        """The stop that is in force by the clock, as known `LOOK_EVERY` ago or later."""
        with self._lock:
            at = self._clock()  # here: of two threads the later one never has the earlier instant
            if self._looked_at is None or abs(at - self._looked_at) >= LOOK_EVERY:
                self._looked_at = at
                self._look(at)
            stop = self._held.get(venue)
        return stop if stop and stop.holds(at) else None

    def add(self, venue: str, stop: Stop) -> None:
        """Stop `venue` for everyone; of two stops the one that ends later holds."""
        with self._lock:
            self._held = {**self._held, venue: stop}  # even if the disk is full
            self._held = self._renew(stop.told_at, {venue: stop})

    def _look(self, at: datetime) -> None:
        self._held = self._read()
        if not all(stop.holds(at) for stop in self._held.values()):
            self._held = self._renew(at, {})

    def _renew(self, at: datetime, more: Mapping[str, Stop]) -> Mapping[str, Stop]:
        """Write the stops in force at `at`, and `more`; return them."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with _locked(self._path.parent):
            stops = {venue: stop for venue, stop in self._read().items() if stop.holds(at)}
            for venue, stop in more.items():
                stops[venue] = max(stop, stops.get(venue, stop), key=lambda one: one.until)
            write_durably(self._path, STOPS.dump_json(stops, indent=1))
        return stops

    def _read(self) -> Mapping[str, Stop]:
        try:
            return STOPS.validate_json(self._path.read_bytes())
        except FileNotFoundError:
            return {}
        except ValidationError as error:
            fault = error.errors()[0]
            place = ".".join(map(str, fault["loc"]))
            raise ValueError(
                f"{self._path}: {place or 'file'}: {fault['msg']}, was {fault['input']!r}; "
                "remove the file and every venue is asked again"
            ) from error


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
