"""Which venues are there? Every module here that defines a `Venue` is one."""

from functools import cache
from importlib import import_module
from inspect import isclass
from pkgutil import iter_modules

from pipelines.venues.base import Venue


@cache
def venues() -> dict[str, type[Venue]]:
    """The venues, by their slug."""
    modules = [import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__)]
    found = [
        item
        for module in modules
        for item in vars(module).values()
        if isclass(item) and issubclass(item, Venue) and item.__module__ == module.__name__
    ]
    return {item.slug: item for item in sorted(found, key=str) if item is not Venue}


def offering(table: str) -> list[str]:
    """The venues that have a table: those that define a method of its name."""
    return [slug for slug, venue in venues().items() if hasattr(venue, table)]
