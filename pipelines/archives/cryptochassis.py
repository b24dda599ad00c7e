"""CryptoChassis: prints and the best quote of each second of a spot pair, one UTC day a file.

Files are `<exchange>__<base>-<quote>__<day>__<trade|market-depth>.csv.gz`, times in seconds. Prints
have no ids; a quote is the state at the beginning of its second, `price_size` a side, and a second
may be missing. What the best quote did within a second is not recorded.
"""

import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import polars as pl

from expectations.gate import ROW_NUMBER
from pipelines import universe
from pipelines.archives.base import (
    FIRST_INSTANT,
    LAST_INSTANT,
    Decoded,
    Feed,
    Layout,
    Lines,
    Period,
    SourceRefused,
    divided,
    outside,
)
from pipelines.archives.decoding import Dtypes, typed
from pipelines.universe import Instrument
from warehouse.contract import INSTANT, QUOTES, TRADES, Table

NAME = re.compile(
    r"([a-z0-9-]+)__([a-z0-9]+)-([a-z0-9]+)__(\d{4}-\d{2}-\d{2})__(trade|market-depth)\.csv(?:\.gz)?"
)
EXCHANGES = ("gemini",)  # whose spot pairs are named base and quote, sized in the base coin
SIDES = ("bid", "ask")
MICROSECONDS = 10**6


def recognise(path: Path) -> Feed | None:
    """The job that the file's name describes; None where it is none of ours.

    Raises `SourceRefused` where it is ours and names no date or an exchange that we cannot read.
    """
    found = NAME.fullmatch(path.name)
    if found is None:
        return None
    exchange, base, quote, day, kind = found.groups()
    try:
        period = Period.parse(day)
    except ValueError:
        raise SourceRefused(f"{path}: {day} is no day") from None
    if exchange not in EXCHANGES:
        raise SourceRefused(
            f"{path}: exchange {exchange} is not known; known are {', '.join(EXCHANGES)}"
        )
    instrument = Instrument(exchange, f"{base}{quote}", "spot", base.upper(), quote.upper())
    table, dtypes, decode = KINDS[kind]
    return Feed(
        path=path,
        venue=exchange,
        source=f"cryptochassis {kind}",
        rank=20,
        period=period,
        tables=(table.name,),
        layout=partial(layout, path, tuple(dtypes)),
        decode=partial(decode, instrument, period),
    )


def layout(path: Path, columns: tuple[str, ...], line: str) -> Layout:
    """The header that this kind of file has."""
    found = tuple(cell.strip() for cell in line.split(","))
    if found != columns:
        raise SourceRefused(f"{path}: header was {line[:200]!r}, not {','.join(columns)!r}")
    return Layout(columns, True)


def trades(instrument: Instrument, period: Period, lines: Lines) -> Decoded:
    """Prints: 1625097621.647,2278.15,0.0409,1 was sold into the bid, for the buyer was the maker.

    They are named by the day and their line, so that the same file gives the same names.
    """
    frame, unreadable = typed(lines, TRADE_CELLS, required=tuple(TRADE_CELLS))
    known, strange = divided(
        frame,
        pl.when(~pl.col("is_buyer_maker").is_in([0, 1])).then(pl.lit("is_buyer_maker_unreadable")),
    )
    day = f"{period.start.isoformat()}-"
    is_dollar = instrument.quote in universe.dollar_assets()
    rows = known.with_columns(
        *_identity(instrument),
        trade_id=pl.lit(day) + pl.col(ROW_NUMBER).cast(pl.String),
        event_at=_instants(),
        side=pl.when(is_buyer_maker=1).then(pl.lit("sell")).otherwise(pl.lit("buy")),
        quantity_base="size",
        notional_usd=pl.col("price") * pl.col("size") if is_dollar else pl.lit(None),
        is_block=pl.lit(False),
        is_liquidation=pl.lit(False),
    )
    return _decoded(TRADES, instrument, period, rows, [unreadable, strange])


def quotes(instrument: Instrument, period: Period, lines: Lines) -> Decoded:
    """Best quotes: 1625097600,2271.58_1.6477,2279.63_28.479526; an empty cell is an empty side."""
    frame, unreadable = typed(lines, QUOTE_CELLS, required=("time_seconds",))
    cells = {side: _cell(side) for side in SIDES}
    split = frame.with_columns(
        pl.col(cell).str.split("_").alias(side) for side, cell in cells.items()
    ).with_columns(
        pl.col(side).list.get(place, null_on_oob=True).cast(pl.Float64, strict=False).alias(name)
        for side in SIDES
        for place, name in enumerate((f"{side}_price", f"{side}_quantity_base"))
    )
    fault = pl.coalesce(
        *(
            pl.when(
                pl.col(cell).is_not_null()
                & (
                    (pl.col(side).list.len() != 2)
                    | pl.col(f"{side}_price").is_null()
                    | pl.col(f"{side}_quantity_base").is_null()
                )
            ).then(pl.lit(f"{cell}_unreadable"))
            for side, cell in cells.items()
        ),
        pl.when(pl.all_horizontal(pl.col(cell).is_null() for cell in cells.values())).then(
            pl.lit("both_sides_missing")
        ),
    )
    known, strange = divided(split, fault)
    rows = known.with_columns(
        *_identity(instrument), snapshot_at=_instants(), is_every_update=pl.lit(False)
    )
    return _decoded(QUOTES, instrument, period, rows, [unreadable, strange])


def _cell(side: str) -> str:
    return f"{side}_price_{side}_size"


TRADE_CELLS: Dtypes = {
    "time_seconds": pl.Float64,
    "price": pl.Float64,
    "size": pl.Float64,
    "is_buyer_maker": pl.Int64,
}
QUOTE_CELLS: Dtypes = {"time_seconds": pl.Float64} | {_cell(side): pl.String for side in SIDES}
KINDS: dict[str, tuple[Table, Dtypes, Callable[[Instrument, Period, Lines], Decoded]]] = {
    "trade": (TRADES, TRADE_CELLS, trades),
    "market-depth": (QUOTES, QUOTE_CELLS, quotes),
}


def _identity(instrument: Instrument) -> list[pl.Expr]:
    return [
        pl.lit(instrument.venue).alias("venue"),
        pl.lit(instrument.underlying).alias("underlying"),
        pl.lit(instrument.instrument_id).alias("instrument_id"),
    ]


def _instants() -> pl.Expr:
    """Seconds with a fraction; NULL where they are no seconds of our century."""
    seconds = pl.col("time_seconds")
    micros = (seconds * MICROSECONDS).round()
    agrees = (seconds >= FIRST_INSTANT) & (seconds < LAST_INSTANT)
    return pl.when(agrees).then(micros).cast(pl.Int64).cast(INSTANT)


def _decoded(
    table: Table,
    instrument: Instrument,
    period: Period,
    rows: pl.DataFrame,
    refused: list[pl.DataFrame],
) -> Decoded:
    inside, elsewhere = outside(rows, period, table.time)
    conformed = table.conform(inside).with_columns(inside[ROW_NUMBER])
    every = pl.concat([*refused, elsewhere]).sort(ROW_NUMBER)
    return Decoded({table.name: conformed}, every, frozenset([instrument]))
