"""Archive files as vendors write them, good and bad, for the tests of the importers."""

import gzip
import hashlib
import zipfile
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import polars as pl

from warehouse.contract import OPS_QUARANTINE
from warehouse.location import Location

DAY = date(2024, 8, 8)
FOLDERS = {"spot": "spot", "um": "futures/um", "cm": "futures/cm"}
CHAIN_HEADER = (
    "exchange,symbol,timestamp,local_timestamp,type,strike_price,expiration,open_interest,last_price,"
    "bid_price,bid_amount,bid_iv,ask_price,ask_amount,ask_iv,mark_price,mark_iv,underlying_index,"
    "underlying_price,delta,gamma,vega,theta,rho"
)


def clock() -> datetime:
    """When everything here is imported."""
    return datetime(2026, 11, 20, tzinfo=UTC)


def ms(day: date, seconds: float = 0) -> int:
    """Milliseconds since the epoch at so many seconds after midnight."""
    midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return int(midnight.timestamp() * 1_000 + seconds * 1_000)


def spot_row(number: int, day: date = DAY, price: str = "60000.00", size: str = "0.01") -> str:
    """One spot trade, `number` seconds after midnight; even ones were sold into the bid."""
    maker = "True" if number % 2 == 0 else "False"
    return f"{number},{price},{size},600,{ms(day, number)},{maker},True"


def zip_file(path: Path, text: str | bytes, *, member: str | None = None) -> Path:
    """A zip of one member, named as the archive names it unless told otherwise."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member or f"{path.stem}.csv", text)
    return path


def with_checksum(path: Path, digest: str | None = None) -> Path:
    """Write the `.CHECKSUM` beside the file, true unless a digest is given."""
    found = digest or hashlib.sha256(path.read_bytes()).hexdigest()
    path.with_name(f"{path.name}.CHECKSUM").write_text(f"{found}  {path.name}\n")
    return path


def binance(
    root: Path,
    rows: Sequence[str],
    *,
    symbol: str = "BTCUSDT",
    market: str = "spot",
    kind: str = "trades",
    period: str = "2024-08-08",
) -> Path:
    """A zip in the archive's folders, with its checksum."""
    span = "daily" if len(period) > 7 else "monthly"
    folder = root / "data" / FOLDERS[market] / span / kind / symbol
    text = "".join(f"{row}\n" for row in rows)
    return with_checksum(zip_file(folder / f"{symbol}-{kind}-{period}.zip", text))


def tardis(
    root: Path,
    kind: str,
    header: str,
    rows: Sequence[str],
    *,
    exchange: str = "deribit",
    day: date = DAY,
    group: str = "OPTIONS",
) -> Path:
    """A gzipped CSV under the name that Tardis gives it."""
    root.mkdir(parents=True, exist_ok=True)
    path = root / f"{exchange}_{kind}_{day.isoformat()}_{group}.csv.gz"
    path.write_bytes(gzip.compress("\n".join([header, *rows, ""]).encode(), mtime=0))
    return path


def option_row(seconds: float, symbol: str = "BTC-27SEP24-60000-C", bid: str = "0.05") -> str:
    """One option state that arrived so many seconds after midnight, cells as its symbol says."""
    _, expiry, strike, right = symbol.split("-")
    expires = int(datetime.strptime(f"{expiry} 08 +0000", "%d%b%y %H %z").timestamp() * 1e6)
    kind = "call" if right == "C" else "put"
    stamp = int(ms(DAY, seconds) * 1_000)
    return (
        f"deribit,{symbol},{stamp},{stamp},{kind},{strike},{expires},10,0.06,{bid},2,50,0.07,3,60,"
        "0.06,55,BTC-27SEP24,61000,0.5,0.00001,100,-50,20"
    )


def quarantined(location: Location, table: str) -> pl.DataFrame:
    """The refused rows of a table, by row number."""
    files = sorted((location.quarantine / table).glob("*.parquet"))
    frames = [pl.read_parquet(file) for file in files]
    return pl.concat([pl.DataFrame(schema=OPS_QUARANTINE.schema), *frames]).sort("row_number")
