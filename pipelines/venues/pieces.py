"""How do decoded rows become pieces of units? Cut to the window, in order, nothing twice."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import polars as pl

from expectations.gate import REFUSED, ROW_NUMBER
from pipelines.archives.base import Decoded
from pipelines.venues.base import Fetched, Proof
from warehouse.contract import LAKE_TABLES, Table


@dataclass(frozen=True, slots=True)
class Source:
    """Where rows come from: the unit they belong to, its day, the landed pages, the rows' texts.

    `inside` says which rows were asked for; None where all were.
    """

    unit: str | None
    day: date
    raw: tuple[str, ...]
    texts: Callable[[Sequence[int]], Mapping[int, str]]
    inside: pl.Expr | None = None


def pieces(
    decoded: Decoded,
    source: Source,
    *,
    table: str,
    proof: Proof | None,
    notices: Sequence[str] = (),
) -> list[Fetched]:
    """One piece per table that has rows; that of `table` in any case, with what was refused."""
    return [
        _piece(decoded, source, LAKE_TABLES[name], proof, tuple(notices), is_main=name == table)
        for name, frame in decoded.rows.items()
        if name == table or frame.height
    ]


def _piece(
    decoded: Decoded,
    source: Source,
    table: Table,
    proof: Proof | None,
    notices: tuple[str, ...],
    *,
    is_main: bool,
) -> Fetched:
    came = decoded.rows[table.name]
    inside = came if source.inside is None else came.filter(source.inside)
    kept, again = _once(table, inside)
    refused = pl.concat([decoded.refused, again]).sort(ROW_NUMBER) if is_main else again
    apart = came.height - kept.height - again.height
    return Fetched(
        table=table.name,
        unit=source.unit,
        day=source.day,
        frame=kept.sort(table.sort, maintain_order=True),
        raw=source.raw,
        texts=source.texts,
        refused=refused,
        apart=apart,
        proof=proof,
        instruments=decoded.instruments,
        notices=notices,
    )


def _once(table: Table, frame: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """The rows without those that came twice; of two that differ the first counts."""
    key = list(table.key)
    if not frame.select(pl.struct(key).is_duplicated().any()).item():
        return frame, pl.DataFrame(schema=REFUSED)
    said = [name for name in table.schema.names() if name != "received_at"]
    distinct = frame.unique(said, keep="first", maintain_order=True)
    is_first = distinct.select(pl.struct(key).is_first_distinct()).to_series()
    again = distinct.filter(~is_first).select(ROW_NUMBER, reason=pl.lit("duplicate_key"))
    return distinct.filter(is_first), again
