"""Which vendor wrote a file? Every module here that can `recognise` one is asked."""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

from pipelines.archives.base import Job, SourceRefused

Recognise = Callable[[Path], Job | tuple[Job, ...] | None]


@cache
def vendors() -> dict[str, Recognise]:
    """What each vendor recognises, by the name of its module."""
    modules = {
        info.name: import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__)
    }
    return {name: m.recognise for name, m in sorted(modules.items()) if hasattr(m, "recognise")}


def recognise(path: Path) -> tuple[Job, ...]:
    """The jobs that the file is: one, or one for each venue that a table of several tells of.

    Raises `SourceRefused` where no vendor knows it.
    """
    for ask in vendors().values():
        if found := ask(path):
            return found if isinstance(found, tuple) else (found,)
    raise SourceRefused(
        f"{path}: unknown format; known are the files of {', '.join(sorted(vendors()))}"
    )
