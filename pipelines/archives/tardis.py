"""Tardis: trades, quotes, derivative_ticker and options_chain as CSV, one UTC day of arrival each.

Files are `<exchange>_<type>_<day>_<symbols>.csv.gz`, or `<symbols>.csv.gz` in the folders
`<exchange>/<type>/<year>/<month>/<day>`. `timestamp` is the venue's stamp, `local_timestamp` the
recorder's, both in microseconds; rows are in order of arrival, and the day is the day of arrival.
An empty cell is a missing value.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import polars as pl

from expectations.gate import ROW_NUMBER
from pipelines import universe
from pipelines.archives import tardis_rows
from pipelines.archives.base import (
    Decoded,
    Feed,
    Layout,
    Lines,
    Period,
    SourceRefused,
    divided,
    instants,
    outside,
)
from pipelines.archives.decoding import Dtypes, typed
from pipelines.universe import Instrument, UnknownSymbol
from warehouse.contract import FUNDING, INSTANT, OPTION_QUOTES, QUOTES, TRADES, Table

TYPES = "trades|quotes|derivative_ticker|options_chain"
FLAT = re.compile(rf"([a-z0-9-]+)_({TYPES})_(\d{{4}}-\d{{2}}-\d{{2}})_(.+)\.csv(?:\.gz)?")
NESTED = re.compile(rf"([a-z0-9-]+)/({TYPES})/(\d{{4}})/(\d{{2}})/(\d{{2}})/([^/]+)\.csv(?:\.gz)?")

# Tardis' exchange -> how its symbols are read. The venue follows from the instrument.
EXCHANGES: dict[str, Callable[[str], Instrument]] = {
    "deribit": universe.deribit,
    "binance": partial(universe.binance, "spot"),
    "binance-futures": partial(universe.binance, "um"),
    "binance-delivery": partial(universe.binance, "cm"),
}
STAMPS: Dtypes = {
    "exchange": pl.String,
    "symbol": pl.String,
    "timestamp": pl.Int64,
    "local_timestamp": pl.Int64,
}


FACTS: dict[str, type[pl.DataType] | pl.DataType] = {
    "symbol": pl.String,
    "venue": pl.String,
    "underlying": pl.String,
    "instrument_id": pl.String,
    "kind": pl.String,
    "is_inverse": pl.Boolean,
    "is_dollar": pl.Boolean,
    "contract_size": pl.Float64,
    "strike": pl.Float64,
    "option_type": pl.String,
    "expires_at": INSTANT,
}


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose rows a file holds, and which day it names."""

    exchange: str
    period: Period


def recognise(path: Path) -> Feed | None:
    """The job that the file's name describes; None where it is none of ours.

    Raises `SourceRefused` where it is ours and names no date or an exchange that we cannot read.
    """
    if found := FLAT.fullmatch(path.name):
        exchange, kind, day, _ = found.groups()
    elif found := NESTED.fullmatch("/".join(path.resolve().parts[-6:])):
        exchange, kind, *numbers, _ = found.groups()
        day = "-".join(numbers)
    else:
        return None
    try:
        period = Period.parse(day)
    except ValueError:
        raise SourceRefused(f"{path}: {day} is no day") from None
    if exchange not in EXCHANGES:
        raise SourceRefused(
            f"{path}: exchange {exchange} is not known; known are {', '.join(EXCHANGES)}"
        )
    form = FORMS[kind]
    return Feed(
        path=path,
        venue=exchange.split("-")[0],
        source=f"tardis {kind}",
        rank=30,
        period=period,
        tables=tuple(table.name for table in form.tables),
        layout=partial(layout, path, tuple(STAMPS | form.dtypes)),
        decode=partial(_decode, form, Subject(exchange, period)),
        unit=form.unit,
        keeps_last=form.keeps_last,
        is_chain=kind == "options_chain",
    )


def layout(path: Path, needed: tuple[str, ...], line: str) -> Layout:
    """The columns in the file's own order; there may be more than we need, never fewer."""
    columns = tuple(cell.strip() for cell in line.split(","))
    if missing := [name for name in needed if name not in columns]:
        raise SourceRefused(f"{path}: header {line[:200]!r} lacks {', '.join(missing)}")
    return Layout(columns, True)


@dataclass(frozen=True, slots=True)
class Form:
    """One of Tardis' file types: the cells it must have, and what its rows become."""

    tables: tuple[Table, ...]
    dtypes: Dtypes
    required: tuple[str, ...]
    rows: Callable[[pl.DataFrame], dict[str, pl.DataFrame]]
    unit: Callable[[str], str] = str
    keeps_last: bool = False


def _floats(names: str) -> Dtypes:
    return dict.fromkeys(names.split(), pl.Float64)


FORMS: dict[str, Form] = {
    "trades": Form(
        (TRADES,),
        {"id": pl.String, "side": pl.String} | _floats("price amount"),
        ("id", "price", "amount"),
        tardis_rows.trades,
    ),
    "quotes": Form(
        (QUOTES,),
        _floats("ask_amount ask_price bid_price bid_amount"),
        (),
        tardis_rows.quotes,
        keeps_last=True,
    ),
    "derivative_ticker": Form(
        (QUOTES, FUNDING),
        _floats("funding_rate open_interest last_price index_price mark_price"),
        (),
        tardis_rows.derivative_ticker,
        unit="{}/ticker".format,
        keeps_last=True,
    ),
    "options_chain": Form(
        (OPTION_QUOTES,),
        {"type": pl.String, "strike_price": pl.Float64, "expiration": pl.Int64}
        | _floats(
            "open_interest last_price bid_price bid_amount bid_iv ask_price ask_amount ask_iv"
        )
        | _floats("mark_price mark_iv underlying_price delta gamma vega theta"),
        ("type", "strike_price", "expiration"),
        tardis_rows.options_chain,
    ),
}


def _decode(form: Form, subject: Subject, lines: Lines) -> Decoded:
    dtypes = STAMPS | form.dtypes
    frame, unreadable = typed(lines, dtypes, required=(*STAMPS, *form.required))
    stamped = frame.with_columns(
        instants(frame["timestamp"], "us").alias("stamped_at"),
        instants(frame["local_timestamp"], "us").alias("received_at"),
    )
    known, seen = _instruments(stamped["symbol"].unique(), subject)
    told, strangers = divided(
        stamped.join(known, on="symbol", how="left"), _strangeness(form, subject)
    )
    of_day, elsewhere = outside(told, subject.period, "received_at")
    refused, rows = [unreadable, strangers, elsewhere], {}
    meant = form.rows(of_day)
    for table in form.tables:
        made = meant[table.name]
        if table is not OPTION_QUOTES:
            # A partition is a day of the venue's clock. What happened before midnight and arrived
            # after it would replace the day before if it were committed there.
            made, late = outside(made, subject.period, table.time)
            refused.append(late)
        rows[table.name] = table.conform(made).with_columns(made[ROW_NUMBER])
    return Decoded(rows, pl.concat(refused).unique(ROW_NUMBER, maintain_order=True), seen)


def _instruments(
    symbols: pl.Series, subject: Subject
) -> tuple[pl.DataFrame, frozenset[Instrument]]:
    found = {}
    for symbol in symbols.sort():
        try:
            found[symbol] = EXCHANGES[subject.exchange](symbol)
        except UnknownSymbol:
            continue  # its rows are refused one by one
    dollars = universe.dollar_assets()
    facts = [
        (
            symbol,
            item.venue,
            item.underlying,
            item.instrument_id,
            item.kind,
            item.contract_type == "inverse",
            item.quote in dollars,
            universe.spec(item, subject.period.start).contract_size,
            item.strike,
            item.option_type,
            item.expires_at,
        )
        for symbol, item in found.items()
    ]
    return pl.DataFrame(facts, schema=FACTS, orient="row"), frozenset(found.values())


def _strangeness(form: Form, subject: Subject) -> pl.Expr:
    """Why a row is not what the file's name and its own symbol say; NULL where it is."""
    reason = (
        pl.when(pl.col("exchange") != subject.exchange)
        .then(pl.lit("exchange_of_another_file"))
        .when(pl.col("instrument_id").is_null())
        .then(pl.lit("symbol_unknown"))
        .when(pl.col("stamped_at").is_null())
        .then(pl.lit("timestamp_in_another_unit"))
    )
    if OPTION_QUOTES not in form.tables:
        return reason
    agrees = (
        (pl.col("strike") == pl.col("strike_price"))
        & (pl.col("option_type") == pl.col("type"))
        & (pl.col("expires_at").dt.epoch("us") == pl.col("expiration"))
    )
    return reason.when(~agrees.fill_null(value=False)).then(pl.lit("symbol_disagrees_with_cells"))
