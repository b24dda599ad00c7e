"""A lake of option chains whose vols are known, with futures, perpetuals and portfolios beside.

Four snapshots of a coin-settled chain straddle a midnight; the last rows of each arrive 20 s after
the snapshot. Prices are Black's on a planted SVI slice, so what is recovered can be compared.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import numpy as np
import polars as pl

from pipelines import universe
from warehouse import lake
from warehouse.contract import LAKE_TABLES
from warehouse.functions import black, svi
from warehouse.location import Location

SNAPSHOTS = tuple(
    datetime(2026, 3, 10, 23, 50, tzinfo=UTC) + timedelta(minutes=5 * n) for n in range(4)
)
EXPIRIES = (datetime(2026, 3, 27, 8, tzinfo=UTC), datetime(2026, 6, 26, 8, tzinfo=UTC))
SLICES = {EXPIRIES[0]: (0.006, 0.05, -0.3, 0.01, 0.12), EXPIRIES[1]: (0.05, 0.14, -0.3, 0.02, 0.3)}
STRIKES = tuple(range(50_000, 92_500, 2_500))
# The venue's books are a minute older than the chain: those of the chain at midnight are of the day
# before.
BOOKS_BEFORE = timedelta(minutes=1)
LINEAR_FUNDED = SNAPSHOTS[1]  # no funding of the linear perpetual is known before
STATED = datetime(2026, 3, 10, tzinfo=UTC)
HALF_SPREAD = 0.0004  # coin
LATE = timedelta(seconds=20)
DONE = datetime(2026, 3, 12, tzinfo=UTC)


Row = Mapping[str, object]


def clock() -> datetime:
    """When everything here is built."""
    return DONE


def spot(at: datetime) -> float:
    """The planted index, falling 50 USD every five minutes."""
    return 70_000.0 - (at - SNAPSHOTS[0]).total_seconds() / 6


def years(at: datetime, expiry: datetime) -> float:
    """ACT/365, to the second."""
    return (expiry - at).total_seconds() / 31_536_000


def forward(at: datetime, expiry: datetime) -> float:
    """Spot at 5 % a year."""
    return float(spot(at) * np.exp(0.05 * years(at, expiry)))


def vol(at: datetime, expiry: datetime, strike: float) -> float:
    """The planted implied vol of a strike."""
    k = np.log(strike / forward(at, expiry))
    return float(np.sqrt(svi.total_variance(SLICES[expiry], k) / years(at, expiry)))


def coin_price(at: datetime, expiry: datetime, strike: float, is_call: bool) -> float:
    """The planted middle of an option, in coin."""
    f = forward(at, expiry)
    t = years(at, expiry)
    return float(black.price(f, strike, t, vol(at, expiry, strike), is_call)) / f


def commit(
    location: Location,
    table: str,
    venue: str,
    day: date,
    unit: str,
    rows: list[Mapping[str, object]],
) -> None:
    """Commit `rows` as one unit of a partition."""
    declared = LAKE_TABLES[table]
    frame = declared.conform(
        pl.DataFrame(rows, schema_overrides=_types(table, rows), infer_schema_length=None)
    ).sort(declared.sort)
    partition = lake.Partition(table, venue, day)
    held = lake.Unit(unit, None, "unprovable", frame.height, "planted", 10, "planted", ("aa",))
    with lake.stage(location, partition) as part:
        part.write(frame)
        staged = part.finish([unit])
        lake.commit(location, partition, units=[held], parts=[staged], checks=[], at=DONE)


def _types(table: str, rows: Sequence[Row]) -> dict[str, pl.DataType]:
    names = {name for row in rows for name in row}
    return {n: t for n, t in LAKE_TABLES[table].schema.items() if n in names}


def options() -> list[universe.Instrument]:
    """The listed options, both rights of every strike and expiry."""
    return [
        universe.deribit(f"BTC-{e:%-d%b%y}-{k}-{right}".upper())
        for e in EXPIRIES
        for k in STRIKES
        for right in "CP"
    ]


def plant(location: Location, snapshots: tuple[datetime, ...] = SNAPSHOTS) -> None:
    """Commit the world's market at these snapshots; each is a unit of its own."""
    listed = options()
    futures = [universe.deribit(f"BTC-{e:%-d%b%y}".upper()) for e in EXPIRIES]
    perpetual = universe.deribit("BTC-PERPETUAL")
    linear = universe.binance("um", "BTCUSDT")
    quiet = universe.binance("um", "BTCUSDT_260626")
    for day in sorted({at.date() for when in snapshots for at in (when, when - BOOKS_BEFORE)}):
        for venue, known in (
            ("deribit", [*listed, *futures, perpetual]),
            ("binance", [linear, quiet]),
        ):
            rows = universe.observations(known, day).to_dicts()
            commit(location, "instruments", venue, day, "all", rows)
    for at in snapshots:
        rows = [_option(option, at, n) for n, option in enumerate(listed)]
        commit(location, "option_quotes", "deribit", at.date(), f"BTC@{at.isoformat()}", rows)
        seen = at - BOOKS_BEFORE
        books = [_book(f, seen, forward(at, f.expires_at)) for f in futures if f.expires_at]
        books.append({**_book(perpetual, seen, spot(at) + 5), "index_price": spot(at)})
        commit(location, "quotes", "deribit", seen.date(), f"deribit@{seen.isoformat()}", books)
        late = [_book(linear, at + timedelta(seconds=s), spot(at) - 10) for s in (1, 61, 121)]
        if at == SNAPSHOTS[0]:  # and never again
            late.append(_book(quiet, at, spot(at)))
        commit(location, "quotes", "binance", at.date(), f"binance@{at.isoformat()}", late)
        prints = [_print(linear, at, n, spot(at) - 10) for n in range(3)]
        commit(location, "trades", "binance", at.date(), f"prints@{at.isoformat()}", prints)
        rate = {"kind": "indicative", "event_at": at, "rate": 0.0001, "interval_s": 28_800}
        for instrument in (perpetual, linear) if at >= LINEAR_FUNDED else (perpetual,):
            rates: list[Row] = [{**_named(instrument), **rate}]
            commit(location, "funding", instrument.venue, at.date(), at.isoformat(), rates)


def hold(
    location: Location,
    portfolio: str,
    positions: Mapping[str, float],
    equity: float | None = None,
    at: datetime = STATED,
) -> None:
    """Commit one state of a portfolio: contracts by instrument, equity in BTC."""
    unit = f"{portfolio}@{at.isoformat()}"
    rows = [
        {
            "portfolio_id": portfolio,
            "as_of_at": at,
            "venue": name.split(":")[0],
            "underlying": "BTC",
            "instrument_id": name,
            "quantity_contracts": contracts,
        }
        for name, contracts in positions.items()
    ]
    commit(location, "positions", "portfolio", at.date(), unit, rows)
    if equity is not None:
        held = {"portfolio_id": portfolio, "as_of_at": at, "coin": "BTC", "equity": equity}
        commit(location, "balances", "portfolio", at.date(), unit, [held])


def _named(instrument: universe.Instrument) -> Row:
    return {
        "venue": instrument.venue,
        "underlying": instrument.underlying,
        "instrument_id": instrument.instrument_id,
    }


def _option(option: universe.Instrument, at: datetime, place: int) -> Row:
    if option.expires_at is None or option.strike is None:
        raise ValueError(f"{option.instrument_id}: is no option")
    middle = coin_price(at, option.expires_at, option.strike, option.option_type == "call")
    return {
        **_named(option),
        "snapshot_at": at,
        "quoted_at": at - timedelta(seconds=1),
        "received_at": at + (LATE if place % 7 == 0 else timedelta()),
        "bid_price": middle - HALF_SPREAD if middle > 2 * HALF_SPREAD else None,
        "ask_price": middle + HALF_SPREAD,
        "mark_price": middle,
        "price_unit": "coin",
    }


def _book(instrument: universe.Instrument, at: datetime, middle: float) -> Row:
    return {
        **_named(instrument),
        "snapshot_at": at,
        "received_at": at + timedelta(milliseconds=50),
        "bid_price": middle - 2.5,
        "bid_quantity_base": 10.0,
        "ask_price": middle + 2.5,
        "ask_quantity_base": 10.0,
    }


def _print(instrument: universe.Instrument, at: datetime, n: int, price: float) -> Row:
    moment = at + timedelta(seconds=10 * n)
    number = int(moment.timestamp())
    return {
        **_named(instrument),
        "trade_id": str(number),
        "event_at": moment,
        "side": "buy",
        "price": price,
        "quantity_base": 0.5,
        "notional_usd": 0.5 * price,
        "is_block": False,
        "is_liquidation": False,
        "sequence": number,
    }
