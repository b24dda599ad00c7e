"""What does a venue's symbol name, and what is known of that instrument on a day?

Symbols are parsed, never looked up, so that any instrument works. Facts that a symbol does not
carry (contract size, tick, lot) come from dated seeds; what no seed states stays NULL.
"""

import csv
import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Literal

import polars as pl

from warehouse.contract import INSTRUMENTS

Market = Literal["spot", "um", "cm"]
Kind = Literal["spot", "perp", "future", "option"]

SEEDS = Path(__file__).parents[1] / "dbt" / "seeds"
EXPIRY_HOUR = 8  # UTC, on Deribit and Binance alike
MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


class UnknownSymbol(ValueError):
    """A symbol that the venue's grammar does not cover; the message names venue and symbol."""


@dataclass(frozen=True, slots=True)
class Instrument:
    """What a symbol says by itself. `settle` and `contract_type` are None for spot."""

    venue: str
    native_symbol: str
    kind: Kind
    base: str
    quote: str
    settle: str | None = None
    contract_type: Literal["linear", "inverse"] | None = None
    expires_at: datetime | None = None
    strike: float | None = None
    option_type: Literal["call", "put"] | None = None

    @property
    def underlying(self) -> str:
        return self.base

    @property
    def instrument_id(self) -> str:
        """`venue:unified-symbol`, e.g. deribit:BTC/USD:BTC-240927-60000-C."""
        text = f"{self.venue}:{self.base}/{self.quote}"
        if self.settle:
            text += f":{self.settle}"
        if self.expires_at:
            text += f"-{self.expires_at:%y%m%d}"
        if self.strike is not None and self.option_type:
            text += f"-{_plain(self.strike)}-{self.option_type[0].upper()}"
        return text


@dataclass(frozen=True, slots=True)
class Spec:
    """One contract in base coin (linear) or USD (inverse), and its smallest steps; None unknown."""

    contract_size: float | None = None
    tick_size: float | None = None
    lot_size: float | None = None


@cache
def binance(market: Market, symbol: str) -> Instrument:
    """The instrument of a symbol: NEXOUSDT (spot), BTCUSDT_240927 (um), BTCUSD_PERP (cm)."""
    pair, _, tail = symbol.partition("_")
    base, quote = _split(market, pair)
    if market == "spot" and not tail:
        return Instrument("binance", symbol, "spot", base, quote)
    if market == "um" and tail != "PERP":
        expiry = _compact_expiry(symbol, tail)
        kind: Kind = "future" if expiry else "perp"
        return Instrument("binance", symbol, kind, base, quote, quote, "linear", expiry)
    if market == "cm" and tail:
        expiry = None if tail == "PERP" else _compact_expiry(symbol, tail)
        kind = "future" if expiry else "perp"
        return Instrument("binance", symbol, kind, base, quote, base, "inverse", expiry)
    raise UnknownSymbol(f"binance {symbol}: is no symbol of the {market} market")


_DERIBIT = re.compile(
    r"(?P<base>[A-Z0-9]+?)(?:_(?P<quote>[A-Z]+))?"
    r"(?:-(?:(?P<perp>PERPETUAL)|(?P<day>\d{1,2})(?P<month>[A-Z]{3})(?P<year>\d{2})"
    r"(?:-(?P<strike>\d+(?:d\d+)?)-(?P<right>[CP]))?))?"
)


@cache
def deribit(symbol: str) -> Instrument:
    """The instrument of a Deribit symbol.

    BTC-PERPETUAL, BTC-27SEP24, BTC-1APR24-71500-C, XRP_USDC-30JUN23-0d625-C, ETH_USDC (spot).
    """
    found = _DERIBIT.fullmatch(symbol)
    if found is None or not (found["quote"] or found["perp"] or found["day"]):
        raise UnknownSymbol(f"deribit {symbol}: is no instrument name")
    base, quote = found["base"], found["quote"] or "USD"
    if not (found["perp"] or found["day"]):
        return Instrument("deribit", symbol, "spot", base, quote)
    settle = found["quote"] or base
    contract: Literal["linear", "inverse"] = "linear" if found["quote"] else "inverse"
    if found["perp"]:
        return Instrument("deribit", symbol, "perp", base, quote, settle, contract)
    expiry = _spelled_expiry(symbol, found["day"], found["month"], found["year"])
    if not found["strike"]:
        return Instrument("deribit", symbol, "future", base, quote, settle, contract, expiry)
    right: Literal["call", "put"] = "call" if found["right"] == "C" else "put"
    strike = float(found["strike"].replace("d", "."))
    return Instrument(
        "deribit", symbol, "option", base, quote, settle, contract, expiry, strike, right
    )


def spec(instrument: Instrument, day: date) -> Spec:
    """What the seeds state about `instrument` on `day`: the latest row, the most exact name."""
    settle = instrument.settle or instrument.quote
    own = "=" if settle == instrument.base else "*"
    names = ((instrument.base, settle), ("*", settle), ("*", own), ("*", "*"))
    for base, currency in names:
        rows = _specs().get((instrument.venue, instrument.kind, base, currency), ())
        begun = [row for valid_from, row in rows if valid_from <= day]
        if begun:
            return begun[-1]
    return Spec()


def observations(instruments: Iterable[Instrument], day: date) -> pl.DataFrame:
    """Rows of lake.instruments: these instruments as they were on `day`, in the table's order."""
    start = datetime.combine(day, time(), UTC)
    rows = [
        _facts(item)
        | _facts(spec(item, day))
        | {
            "instrument_id": item.instrument_id,
            "underlying": item.underlying,
            "valid_from": start,
            "valid_to": start + timedelta(days=1),
        }
        for item in instruments
    ]
    frame = pl.DataFrame(rows, schema_overrides=dict(INSTRUMENTS.schema), infer_schema_length=None)
    return INSTRUMENTS.conform(frame).sort(INSTRUMENTS.sort)


def _facts(item: Instrument | Spec) -> dict[str, object]:
    """By field, without the deep copies of `asdict`: each day asks for each instrument."""
    return {part.name: getattr(item, part.name) for part in fields(item)}


@cache
def dollar_assets() -> frozenset[str]:
    """Currencies that count as one US dollar in notional_usd."""
    return frozenset(row["asset"] for row in _seed("quote_assets") if row["is_dollar"] == "true")


@cache
def _quote_assets() -> tuple[str, ...]:
    return tuple(sorted((row["asset"] for row in _seed("quote_assets")), key=len, reverse=True))


@cache
def _specs() -> dict[tuple[str, str, str, str], list[tuple[date, Spec]]]:
    found: dict[tuple[str, str, str, str], list[tuple[date, Spec]]] = {}
    for row in sorted(_seed("contract_specs"), key=lambda r: r["valid_from"]):
        sizes = (row["contract_size"], row["tick_size"], row["lot_size"])
        facts = Spec(*(float(size) if size else None for size in sizes))
        key = (row["venue"], row["kind"], row["base"], row["settle"])
        found.setdefault(key, []).append((date.fromisoformat(row["valid_from"]), facts))
    return found


def _seed(name: str) -> list[dict[str, str]]:
    with (SEEDS / f"{name}.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def _split(market: Market, pair: str) -> tuple[str, str]:
    """Base and quote: BNBUSD is BNB in USD on COIN-M, where BUSD is none; ADAEUR is ADA in EUR.

    Of several quotes that fit, one whose base is a quote elsewhere wins, then the longest. AEUR has
    such bases alone, and many coins end in A.
    """
    fits = [
        quote
        for quote in _quote_assets()
        if pair.endswith(quote) and pair != quote and (quote == "USD") == (market == "cm")
    ]
    named = [quote for quote in fits if pair.removesuffix(quote) in _quote_assets()]
    for quote in named or [quote for quote in fits if quote != "AEUR"]:
        return pair.removesuffix(quote), quote
    raise UnknownSymbol(f"binance {pair}: ends in no quote asset of the {market} market")


def _compact_expiry(symbol: str, digits: str) -> datetime | None:
    if not digits:
        return None
    try:
        day = datetime.strptime(digits, "%y%m%d").replace(tzinfo=UTC)
    except ValueError:
        raise UnknownSymbol(f"binance {symbol}: {digits} is no expiry") from None
    return day + timedelta(hours=EXPIRY_HOUR)


def _spelled_expiry(symbol: str, day: str, month: str, year: str) -> datetime:
    """strptime's %b follows the machine's language, so months are named here."""
    try:
        place = MONTHS.index(month) + 1
        return datetime(2000 + int(year), place, int(day), EXPIRY_HOUR, tzinfo=UTC)
    except ValueError:
        raise UnknownSymbol(f"deribit {symbol}: {day}{month}{year} is no date") from None


def _plain(number: float) -> str:
    return f"{number:f}".rstrip("0").rstrip(".")
