"""How is a long command stopped? At its next step, so that all it has open is closed."""

from collections.abc import Callable
from threading import Event, Thread
from typing import Generic, TypeVar

Progress = Callable[[str, int, int], None]
T = TypeVar("T")


class _Work(Generic[T]):
    """What runs in a thread, and what it came to."""

    def __init__(self, act: Callable[[Progress], T], progress: Progress) -> None:
        self._act, self._progress = act, progress
        self.stop, self.done = Event(), Event()
        self.found: list[T] = []
        self.error: BaseException | None = None

    def __call__(self) -> None:
        try:
            self.found.append(self._act(self._told))
        except BaseException as error:  # noqa: BLE001 - it is raised where it was asked for
            self.error = error
        finally:
            self.done.set()

    def _told(self, unit: str, done: int, total: int) -> None:
        if self.stop.is_set():
            raise KeyboardInterrupt
        self._progress(unit, done, total)


def stoppable(act: Callable[[Progress], T], progress: Progress) -> T:
    """The result of `act`, which Ctrl-C stops when it next tells its progress; again: at once.

    It runs beside the main thread: in the main one Dagster would catch the signal, and polars lose
    it. Raises what `act` raises, `KeyboardInterrupt` where it was stopped.
    """
    work = _Work(act, progress)
    Thread(target=work, daemon=True).start()
    try:
        _wait(work.done)
    except KeyboardInterrupt:
        work.stop.set()
        _wait(work.done)
        raise
    if work.error is not None:
        raise work.error
    return work.found[0]


def _wait(done: Event) -> None:
    while not done.wait(0.2):  # a wait without an end would not hear the signal
        pass
