"""What does a whole day of two option chains cost, from staging through every mart of options?

288 snapshots of two coins with 1,008 options each: 580,608 quotes, 6,912 slices. The day is built
once as it is and once with a twelfth of the snapshots, so that the price of one more is known.
"""

import os
import threading
import time
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import polars as pl

from assets.building import build
from pipelines import universe
from warehouse import lake
from warehouse.contract import LAKE_TABLES
from warehouse.functions import black, svi
from warehouse.location import Location, World

DAY = date(2026, 3, 10)
START = datetime(2026, 3, 10, tzinfo=UTC)
SPOTS = {"BTC": (70_000.0, 500.0), "ETH": (3_500.0, 5.0)}  # price and the distance of strikes
DAYS_TO_EXPIRY = (1, 2, 3, 10, 17, 24, 45, 80, 108, 199, 290, 381)
STRIKES = 42
SNAPSHOTS = 288
TICK = 0.0001
PAGE = os.sysconf("SC_PAGE_SIZE")


def run() -> list[tuple[str, str]]:
    """Seconds and memory of the day's build, dbt's own share, and the price of one snapshot."""
    few, whole = _built(SNAPSHOTS // 12), _built(SNAPSHOTS)
    one_more = (whole.models_s - few.models_s) / (SNAPSHOTS - SNAPSHOTS // 12)
    options = 2 * len(DAYS_TO_EXPIRY) * STRIKES * len(SPOTS)
    slowest = sorted(whole.by_model.items(), key=lambda item: -item[1])[:12]
    return [
        ("quotes of the day", f"{options * SNAPSHOTS:,}"),
        ("build, whole command", f"{whole.seconds:.1f} s, {few.seconds:.1f} s of a twelfth"),
        ("staging and models of options", f"{whole.models_s:.1f} s, {few.models_s:.1f} s"),
        ("dbt's own share: start, other models, tests", f"{whole.seconds - whole.models_s:.1f} s"),
        ("one more snapshot", f"{1e3 * one_more:.0f} ms, {1e6 * one_more / options:.0f} us/option"),
        ("memory of the build's process at most", f"{whole.peak_mib:,.0f} MiB"),
        *((f"  {name}", f"{seconds:.1f} s") for name, seconds in slowest),
    ]


class _Measured:
    """Times of one build."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.models_s = 0.0
        self.peak_mib = 0.0
        self.by_model: dict[str, float] = {}


def _built(snapshots: int) -> _Measured:
    with TemporaryDirectory() as folder:
        location = Location(Path(folder))
        location.claim(World("real"))
        _plant(location, snapshots)
        return _timed(location)


def _timed(location: Location) -> _Measured:
    measured, last = _Measured(), [time.perf_counter()]
    done = threading.Event()
    watcher = threading.Thread(target=_watch, args=(measured, done))
    watcher.start()
    options = {path.stem for path in Path("dbt/models/marts/options").glob("*.sql")}
    inner = {"int_option_snapshots", "int_option_flow", "int_slices", "int_skew",
             "int_expiry_variances", "int_tenor_variances", "int_vol_forecasts"}  # fmt: skip

    def told(name: str, kind: str, status: str) -> None:
        now = time.perf_counter()
        if kind == "model" and name in options | inner:
            measured.by_model[name] = now - last[0]
        last[0] = now

    started = time.perf_counter()
    try:
        build(location, clock=lambda: START + timedelta(days=2), told=told)
    finally:
        done.set()
        watcher.join()
    measured.seconds = time.perf_counter() - started
    measured.models_s = sum(measured.by_model.values())
    return measured


def _watch(measured: _Measured, done: threading.Event) -> None:
    """The largest resident size of any child, sampled."""
    while not done.wait(0.1):
        for child in _children():
            measured.peak_mib = max(measured.peak_mib, child)


def _children() -> list[float]:
    found = []
    tasks = Path("/proc/self/task")
    for task in tasks.iterdir():
        for pid in (task / "children").read_text().split():
            try:
                pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
            except FileNotFoundError:
                continue
            found.append(pages * PAGE / 2**20)
    return found


def _plant(location: Location, snapshots: int) -> None:
    for table, rows in _tables(snapshots).items():
        declared = LAKE_TABLES[table]
        frame = declared.conform(rows).sort(declared.sort)
        unit = lake.Unit("all", None, "unprovable", frame.height, "planted", 10, "none", ("aa",))
        with lake.stage(location, lake.Partition(table, "deribit", DAY)) as part:
            part.write(frame)
            lake.commit(
                location,
                lake.Partition(table, "deribit", DAY),
                units=[unit],
                parts=[part.finish(["all"])],
                checks=[],
                at=START + timedelta(days=1),
            )


def _tables(snapshots: int) -> dict[str, pl.DataFrame]:
    instruments, chains, futures = [], [], []
    step = timedelta(days=1) / snapshots
    times = [START + n * step for n in range(snapshots)]
    for coin, (price, gap) in SPOTS.items():
        rng = np.random.default_rng(len(coin) + snapshots)
        spots = price * np.exp(np.cumsum(rng.normal(0, 0.4 / np.sqrt(365 * snapshots), snapshots)))
        for days in DAYS_TO_EXPIRY:
            expiry = START + timedelta(days=days, hours=8)
            name = f"{coin}-{expiry:%-d%b%y}".upper()
            future = universe.deribit(name)
            strikes = _strikes(price, gap, days)
            listed = [universe.deribit(f"{name}-{k}-{c}") for k in strikes for c in "CP"]
            instruments += [future, *listed]
            forwards = spots * np.exp(0.05 * _years(times, expiry))
            futures.append(_books(future, times, forwards))
            chains.append(_chain(listed, times, spots, forwards, rng))
        perpetual = universe.deribit(f"{coin}-PERPETUAL")
        instruments.append(perpetual)
        futures.append(_books(perpetual, times, spots))
    return {
        "instruments": pl.DataFrame(
            universe.observations(instruments, DAY), infer_schema_length=None
        ),
        "option_quotes": pl.concat(chains),
        "quotes": pl.concat(futures),
    }


def _strikes(price: float, gap: float, days: int) -> list[int]:
    """Wider apart, the further off the expiry; none twice."""
    width = 2.5 * 0.6 * np.sqrt(days / 365)
    near = price * np.exp(np.linspace(-width, width, STRIKES))
    step = max(gap, 10 ** np.floor(np.log10(np.diff(near)[0])))
    places = np.round(near / step).astype(int)
    for n in range(1, STRIKES):
        places[n] = max(places[n], places[n - 1] + 1)
    return [int(step * place) for place in places]


def _years(times: list[datetime], expiry: datetime) -> np.ndarray:
    return np.array([(expiry - at).total_seconds() for at in times]) / 31_536_000


def _books(
    instrument: universe.Instrument, times: list[datetime], middles: np.ndarray
) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "venue": instrument.venue,
            "underlying": instrument.underlying,
            "instrument_id": instrument.instrument_id,
            "snapshot_at": times,
            "received_at": times,
            "bid_price": middles * 0.9999,
            "bid_quantity_base": 10.0,
            "ask_price": middles * 1.0001,
            "ask_quantity_base": 10.0,
            "index_price": middles,
        }
    )


def _chain(
    listed: list[universe.Instrument],
    times: list[datetime],
    spots: np.ndarray,
    forwards: np.ndarray,
    rng: np.random.Generator,
) -> pl.DataFrame:
    """Prices in ticks around Black's on a slice of its own, with venue columns as the wire has."""
    expiry = listed[0].expires_at
    if expiry is None:
        raise ValueError(f"{listed[0].instrument_id}: is no option")
    count = len(listed)
    t = np.repeat(_years(times, expiry), count)
    f = np.repeat(forwards, count)
    strike = np.tile([float(o.strike or 0) for o in listed], len(times))
    is_call = np.tile([o.option_type == "call" for o in listed], len(times))
    slice_ = (0.14 * t[0], 0.09 * np.sqrt(t[0]), -0.2, 0.0, 0.35 * np.sqrt(t[0]))
    variance = svi.total_variance(slice_, np.log(strike / f)) * t / t[0]
    sigma = np.sqrt(variance / t)
    middle = black.price(f, strike, t, sigma, is_call) / f
    half = np.maximum(2 * TICK, 0.01 * middle) * rng.uniform(0.6, 1.4, len(middle))
    bid, ask = np.floor((middle - half) / TICK) * TICK, np.ceil((middle + half) / TICK) * TICK
    names = np.tile([o.instrument_id for o in listed], len(times))
    greeks = black.greeks(f, strike, t, sigma, is_call)
    return pl.DataFrame(
        {
            "venue": listed[0].venue,
            "underlying": listed[0].underlying,
            "instrument_id": names,
            "snapshot_at": pl.Series(np.repeat(np.array(times, dtype=object), count).tolist()),
            "bid_price": np.where(bid >= TICK, bid, np.nan),
            "bid_quantity_base": 5.0,
            "ask_price": ask,
            "ask_quantity_base": 5.0,
            "mark_price": np.maximum(np.round(middle, 6), 1e-6),
            "price_unit": "coin",
            "venue_iv_mark": np.round(sigma, 4),
            "venue_delta": np.round(greeks.delta, 5),
            "underlying_price": np.round(f, 2),
            "index_price": np.repeat(spots, count),
            "open_interest_contracts": np.tile(rng.integers(0, 500, count) * 1.0, len(times)),
        }
    ).with_columns(
        pl.col("bid_price").fill_nan(None),
        quoted_at=pl.col("snapshot_at"),
        received_at=pl.col("snapshot_at"),
        open_interest_base=pl.col("open_interest_contracts"),
    )
