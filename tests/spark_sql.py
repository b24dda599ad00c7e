"""What would a dbt model be on Spark, and what in it does not mean the same there?

Models are rendered with the `spark__` macros and without an engine; `breaches` walks the syntax
tree. Parsing alone catches nothing: to a parser ASOF is an alias and QUALIFY a clause like others.
"""

import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined, pass_context
from jinja2.runtime import Context

from warehouse.registry import FUNCTIONS

with warnings.catch_warnings():
    # Its own optional accelerator, which others pull in, is announced as deprecated.
    warnings.simplefilter("ignore", DeprecationWarning)
    import sqlglot
    from sqlglot import exp
    from sqlglot.dialects.spark import Spark
    from sqlglot.tokens import Token, TokenType

DBT = Path(__file__).parents[1] / "dbt"
MODELS = sorted((DBT / "models").rglob("*.sql"))
MACROS = sorted((DBT / "macros").glob("*.sql"))

# The same name, arguments and meaning on both engines, or Spark's own, which only macros spell.
ALIKE = """
    abs avg ceil coalesce concat_ws count date_trunc exp first_value floor greatest lag lead least
    ln lower max md5 min mode nullif power rank replace round row_number sqrt stddev_samp sum trim
    upper
"""
SPARKS = """
    array array_compact array_contains array_join array_sort collect_list explode max_by min_by
    named_struct percentile sequence struct timestamp_micros unix_micros
"""
# Words that stand before a parenthesis and call nothing.
KEYWORDS = """
    all and any as by case cast char date decimal distinct else exists filter from having in is join
    lateral like not on or over select then union values varchar when where
"""
ALLOWED = {*ALIKE.split(), *SPARKS.split(), *KEYWORDS.split(), *(f.name for f in FUNCTIONS)}

BANNED: dict[type[exp.Expression], str] = {
    exp.Qualify: "QUALIFY",
    exp.Lambda: "a lambda",
    exp.Comprehension: "a list comprehension",
    exp.TableSample: "a sample",
    exp.BitwiseXor: "^ (a power here, an exclusive or there)",
    exp.ILike: "ILIKE",
    exp.Pivot: "PIVOT",
}
BANNED_WORDS = {"try_cast", "asof", "positional", "exclude", "columns"}
BANNED_TOKENS = {
    TokenType.DCOLON: "::",
    TokenType.L_BRACE: "{ (a struct here)",
    TokenType.L_BRACKET: "[ (lists count from 1 here, from 0 there)",
}


class NullsElsewhere(Spark):
    """Spark that puts NULLs at the other end: an order that changes did not say where they go."""

    NULL_ORDERING = "nulls_are_large"


def rendered(path: Path) -> str:
    """The model's SQL as Spark would get it: refs are plain names, macros dispatched to Spark."""
    named = {
        "ref": lambda name: name,
        "source": lambda schema, name: f"{schema}.{name}",
        "config": lambda **_: "",
        "var": lambda name: f"the_{name}",
        "is_incremental": lambda: False,
        "return": lambda value: value,
        "adapter": Adapter,
    }
    text = "".join(p.read_text() for p in (*MACROS, path))
    return Environment(undefined=StrictUndefined).from_string(text).render(named)


class Adapter:
    """dbt's `adapter`, on Spark."""

    @staticmethod
    @pass_context
    def dispatch(context: Context, name: str, package: str) -> Any:
        return context.get(f"spark__{name}") or context[f"default__{name}"]


def breaches(sql: str) -> list[str]:
    """What in `sql` does not run on Spark or means something else there."""
    found = list(words(Spark().tokenize(sql)))
    try:
        tree, other = (sqlglot.parse_one(sql, read=d) for d in (Spark, NullsElsewhere))
    except sqlglot.ParseError as error:
        return [*found, f"does not parse: {error}"]
    for node in tree.walk():
        found += [why for kind, why in BANNED.items() if isinstance(node, kind)]
        found += clauses(node)
    for here, there in zip(tree.find_all(exp.Ordered), other.find_all(exp.Ordered), strict=True):
        if here.args.get("nulls_first") != there.args.get("nulls_first"):
            found.append(f"ORDER BY {here.this.sql()} without NULLS FIRST or LAST")
    return found


def words(tokens: Sequence[Token]) -> Iterator[str]:
    """What is wrong with the text as written: the tree has names and casts of its own."""
    for before, token, after in zip([None, *tokens], tokens, [*tokens[1:], None], strict=False):
        word = token.text.lower()
        yield from [BANNED_TOKENS[token.token_type]] if token.token_type in BANNED_TOKENS else []
        if word in BANNED_WORDS:
            yield word.upper()
        if word == "from" and (before is None or before.token_type == TokenType.L_PAREN):
            yield "FROM without SELECT"
        is_called = after is not None and after.token_type == TokenType.L_PAREN
        if is_called and word.isidentifier() and word not in ALLOWED:
            yield f"function {word}"


def clauses(node: exp.Expression) -> Iterator[str]:
    """What is wrong with a node that is not wrong as such."""
    if isinstance(node, exp.Star) and any(node.args.values()):
        yield "* with EXCLUDE, EXCEPT or REPLACE"
    if isinstance(node, exp.Distinct) and node.args.get("on"):
        yield "DISTINCT ON"
    if isinstance(node, exp.SetOperation) and node.args.get("by_name"):
        yield "UNION BY NAME"
    if isinstance(node, exp.Group) and node.args.get("all"):
        yield "GROUP BY ALL (columns are named)"
