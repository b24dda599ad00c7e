"""dbt's `adapter` for the linter: the macro of the default engine, without a database."""

from collections.abc import Callable
from typing import Any

from jinja2 import pass_context
from jinja2.runtime import Context


@pass_context
def dispatch(context: Context, name: str, package: str = "") -> Callable[..., Any]:
    """The default implementation of a macro, which stands in the same file as the macro itself."""
    return context[f"default__{name}"]
