"""How do Deribit's pages become rows that know their instrument, their times and their sizes?"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import polars as pl

from expectations.gate import ROW_NUMBER
from pipelines import universe
from pipelines.archives.base import Decoded, Unit, divided, instants
from pipelines.universe import Instrument, UnknownSymbol
from pipelines.venues import deribit_wire as wire
from pipelines.venues.deribit_wire import Form
from pipelines.venues.json_rows import PAGE
from warehouse.contract import INSTANT, Table
from warehouse.raw import Page

# Multiplied by: polars divides one row exactly and several by way of the inverse.
PERCENT = 0.01
LONGEST_NAME = 64
MOST_NAMES = 16_384  # that are remembered: of two coins, a few days' chains
# What a name says by itself. Where the wire states the same it is compared, not taken.
FACTS: Mapping[str, pl.DataType | type[pl.DataType]] = {
    "instrument_name": pl.String,
    "venue": pl.String,
    "underlying": pl.String,
    "instrument_id": pl.String,
    "base": pl.String,
    "quote": pl.String,
    "settle": pl.String,
    "contract_type": pl.String,
    "named_kind": pl.String,
    "named_strike": pl.Float64,
    "named_type": pl.String,
    "named_expiry": INSTANT,
    "is_inverse": pl.Boolean,
    "is_dollar": pl.Boolean,
    "spec_size": pl.Float64,
}


@dataclass(frozen=True, slots=True)
class Read:
    """Rows with `event_at`, `received_at` and what their names say; refused rows; instruments."""

    frame: pl.DataFrame
    refused: pl.DataFrame
    instruments: frozenset[Instrument]

    def without(self, reason: pl.Expr) -> "Read":
        """The rows for which `reason` is NULL; the others are refused for it."""
        kept, refused = divided(self.frame, reason)
        return replace(self, frame=kept, refused=pl.concat([self.refused, refused]))

    def numbered_after(self, count: int) -> "Read":
        """The same rows as they are numbered after `count` others."""
        further = pl.col(ROW_NUMBER) + count
        frame, refused = self.frame.with_columns(further), self.refused.with_columns(further)
        return replace(self, frame=frame, refused=refused)

    def decoded(self, tables: Mapping[Table, pl.DataFrame]) -> Decoded:
        rows = {
            table.name: table.conform(frame).with_columns(frame[ROW_NUMBER])
            for table, frame in tables.items()
        }
        return Decoded(rows, self.refused.sort(ROW_NUMBER), self.instruments)


def read(
    pages: Sequence[Page],
    form: Form,
    day: date | None,
    stamp: str | None = "timestamp",
    unit: Unit = "ms",
    known: Sequence[pl.DataFrame | None] | None = None,
) -> Read:
    """The rows of all pages. With a `day` they name their instruments, dated then."""
    frame, refused = wire.read([page.text for page in pages], form, known)
    received = pl.Series([datetime.fromisoformat(p.received_at) for p in pages], dtype=INSTANT)
    frame = frame.with_columns(received.gather(frame[PAGE]).alias("received_at"))
    found = Read(frame, refused, frozenset())
    if stamp is not None:
        stamped = frame.with_columns(instants(frame[stamp], unit).alias("event_at"))
        unknown = pl.col(stamp).is_not_null() & pl.col("event_at").is_null()
        found = replace(found, frame=stamped).without(
            pl.when(unknown).then(pl.lit(f"{stamp}_in_another_unit"))
        )
    if day is None:
        return found
    known_names, seen = _facts(found.frame["instrument_name"].unique(), day)
    joined = found.frame.join(known_names, on="instrument_name", how="left", maintain_order="left")
    return replace(found, frame=joined, instruments=seen).without(
        pl.when(pl.col("instrument_id").is_null()).then(pl.lit("symbol_unknown"))
    )


def _facts(names: pl.Series, day: date) -> tuple[pl.DataFrame, frozenset[Instrument]]:
    found = [fact for name in names.sort() if (fact := _fact(name, day))]
    rows = [row for row, _ in found]
    return pl.DataFrame(rows, schema=FACTS), frozenset(item for _, item in found)


@lru_cache(maxsize=MOST_NAMES)
def _fact(name: str, day: date) -> tuple[Mapping[str, Any], Instrument] | None:
    """What a name says, of which a chain has hundreds and every answer the same."""
    item = instrument(name)
    if item is None:
        return None
    row = asdict(item) | {
        "instrument_name": name,
        "underlying": item.underlying,
        "instrument_id": item.instrument_id,
        "named_kind": item.kind,
        "is_inverse": item.contract_type == "inverse",
        "is_dollar": item.quote in universe.dollar_assets(),
        "spec_size": universe.spec(item, day).contract_size,
        "named_strike": item.strike,
        "named_type": item.option_type,
        "named_expiry": item.expires_at,
    }
    return row, item


def instrument(name: str) -> Instrument | None:
    """The instrument of a name, or None where it is none. Digits of any script may be in it."""
    if not name.isascii() or len(name) > LONGEST_NAME:
        return None
    try:
        return universe.deribit(name)
    except UnknownSymbol:
        return None


def named(item: Instrument) -> dict[str, pl.Expr]:
    return {
        "venue": pl.lit(item.venue),
        "underlying": pl.lit(item.underlying),
        "instrument_id": pl.lit(item.instrument_id),
    }


def sizes(amount: str, price: str, index: str) -> tuple[pl.Expr, pl.Expr]:
    """An amount in US dollars and in base coin; an option's is worth its amount of the index."""
    worth = pl.when(pl.col("named_kind") == "option").then(known(index)).otherwise(known(price))
    linear = pl.when("is_dollar").then(pl.col(amount) * worth)
    usd = pl.when(is_in_dollars()).then(amount).otherwise(linear)
    return usd, pl.when(is_in_dollars()).then(pl.col(amount) / known(price)).otherwise(amount)


def is_in_dollars() -> pl.Expr:
    return pl.col("is_inverse") & pl.col("named_kind").is_in(["perp", "future"])


def known(name: str) -> pl.Expr:
    """The value; zero stands for none."""
    return pl.when(pl.col(name) != 0).then(pl.col(name))


def iv(name: str) -> pl.Expr:
    return known(name) * PERCENT
