"""How is the next piece made ready while this one is worked on?"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def ahead(pieces: Iterator[T]) -> Iterator[T]:
    """The same pieces, each made in a thread of its own while the one before it is worked on.

    Unpacking, parsing and writing let other threads run; one piece more is held in memory. An error
    in making a piece is raised when its turn comes.
    """
    with ThreadPoolExecutor(1) as maker:
        waiting = maker.submit(next, pieces, None)
        while (piece := waiting.result()) is not None:
            waiting = maker.submit(next, pieces, None)
            yield piece
