"""How does Binance's public archive spell trades and funding?"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.simulator import files
from pipelines.simulator.prints import Prints
from pipelines.simulator.world import Listing, epoch_us, instant

FOLDER = {"spot": "spot", "um": "futures/um", "cm": "futures/cm"}
SIZE_COLUMN = {"um": "quote_qty", "cm": "base_qty"}
MICROSECONDS_SINCE = date(2025, 1, 1)  # spot archives alone
FLAWED = "binance:ETH/USDT"  # the market whose day has a hole and damaged rows


@dataclass(frozen=True, slots=True)
class Gap:
    """Ids that exist at the venue and are missing from its file, both ends included."""

    instrument_id: str
    first_id: int
    last_id: int
    started_at: datetime  # last print before the hole
    ended_at: datetime  # first print after it


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row of a file that is not a trade."""

    instrument_id: str
    trade_id: int
    reason: str


def trades_path(root: Path, market: str, symbol: str, day: date) -> Path:
    """Where the archive keeps one market's day."""
    folder = root / "data" / FOLDER[market] / "daily" / "trades" / symbol
    return folder / f"{symbol}-trades-{day.isoformat()}.zip"


def trades_csv(prints: Prints, midnight_us: int, day: date) -> pl.DataFrame:
    """Rows as the archive of that market and day writes them, as text."""
    listing, market = prints.listing, prints.listing.market
    micro = market == "spot" and day >= MICROSECONDS_SINCE
    stamp = (prints.at_us + midnight_us) // (1 if micro else 1_000)
    quantity = prints.lots * listing.lot
    other = prints.quantity_base if market == "cm" else prints.price * quantity
    maker = prints.sign < 0
    columns = {
        "id": pl.Series(prints.trade_id),
        "price": _text(prints.price, 8 if market == "spot" else None),
        "qty": _text(quantity, 8 if market == "spot" else None),
        SIZE_COLUMN.get(market, "quote_qty"): _text(other, 8 if market == "spot" else None),
        "time": pl.Series(stamp),
        "is_buyer_maker": pl.Series(np.where(maker, "true", "false")),
    }
    if market == "spot":
        columns["is_buyer_maker"] = pl.Series(np.where(maker, "True", "False"))
        columns["is_best_match"] = pl.repeat("True", len(prints), eager=True)
    return pl.DataFrame(columns)


def _text(values: np.ndarray, decimals: int | None) -> pl.Series:
    """Fixed decimals as spot writes them, else the shortest form of at most eight."""
    rounded = pl.Series(np.round(values, 8))
    if decimals is None:
        whole = bool((rounded == rounded.round(0)).all())
        return rounded.cast(pl.Int64).cast(pl.String) if whole else rounded.cast(pl.String)
    return rounded.cast(pl.Decimal(30, decimals)).cast(pl.String)


def write_trades(root: Path, prints: Prints, edges: tuple[Prints, Prints], day: date) -> list[Path]:
    """The day's zip and the edges of both neighbouring days, which prove that it is whole."""
    paths = []
    for offset, of_day in zip((-1, 0, 1), (edges[0], prints, edges[1]), strict=True):
        its_day = day + timedelta(days=offset)
        rows = trades_csv(of_day, epoch_us(its_day), its_day)
        if prints.listing.instrument_id == FLAWED and offset == 0:
            rows = _damage(rows, of_day)
        paths.append(_write_csv(root, prints.listing, its_day, rows))
    return paths


def write_day(root: Path, prints: Prints, day: date) -> Path:
    """A day's zip as the venue made it, without damage."""
    return _write_csv(root, prints.listing, day, trades_csv(prints, epoch_us(day), day))


def _write_csv(root: Path, listing: Listing, day: date, rows: pl.DataFrame) -> Path:
    path = trades_path(root, listing.market, listing.symbol, day)
    return files.write_zip(path, files.csv(rows, header=listing.market != "spot"))


def hole(of_day: Prints) -> tuple[int, int]:
    """First and last position that the flawed file leaves out."""
    first = int(0.37 * len(of_day))
    return first, first + max(5, len(of_day) // 250) - 1


def planted_gap(of_day: Prints, day: date) -> Gap:
    """The hole of the flawed file, as its neighbours in the file show it."""
    first, last = hole(of_day)
    return Gap(
        instrument_id=of_day.listing.instrument_id,
        first_id=int(of_day.trade_id[first]),
        last_id=int(of_day.trade_id[last]),
        started_at=instant(day, of_day.at_us[first - 1] / 1e6),
        ended_at=instant(day, of_day.at_us[last + 1] / 1e6),
    )


DAMAGE = (  # place in the day, column, what stands there instead, why it is no trade
    (0.11, "price", "-{}", "negative price"),
    (0.23, "qty", "", "empty quantity"),
    (0.61, "price", "n/a", "price is not a number"),
    (0.83, "qty", "0.00000000", "zero quantity"),
)


def planted_bad_rows(of_day: Prints) -> tuple[BadRow, ...]:
    """The damaged rows of the flawed file."""
    name = of_day.listing.instrument_id
    return tuple(
        BadRow(name, int(of_day.trade_id[int(share * len(of_day))]), reason)
        for share, _, _, reason in DAMAGE
    )


def _damage(rows: pl.DataFrame, of_day: Prints) -> pl.DataFrame:
    count = len(rows)
    for share, column, instead, _ in DAMAGE:
        place = int(share * count)
        value = instead.format(rows[column][place])
        rows = rows.with_columns(
            pl.when(pl.int_range(count) == place)
            .then(pl.lit(value))
            .otherwise(pl.col(column))
            .alias(column)
        )
    first, last = hole(of_day)
    return pl.concat([rows[:first], rows[last + 1 :]])


def write_funding(root: Path, symbol: str, settlements: pl.DataFrame, day: date) -> Path:
    """The month's settlements; stamps jitter by milliseconds, rates have eight decimals."""
    month = f"{day:%Y-%m}"
    folder = root / "data" / FOLDER["um"] / "monthly" / "fundingRate" / symbol
    rows = settlements.select(
        (pl.col("event_at").dt.timestamp("ms")).alias("calc_time"),
        pl.lit(8).alias("funding_interval_hours"),
        pl.col("rate").cast(pl.Decimal(12, 8)).alias("last_funding_rate"),
    )
    return files.write_zip(folder / f"{symbol}-fundingRate-{month}.zip", files.csv(rows))
