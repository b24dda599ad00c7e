"""Recorded Deribit quotes, expiry by expiry, as the options marts use them."""

import gzip
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import polars as pl

from warehouse.functions import black
from warehouse.functions.forwards import Parity, parity

SECONDS_A_YEAR = 31_536_000
CHAIN = "tardis/deribit_options_chain_2026-08-01_OPTIONS.csv.gz"
FUTURES = "tardis/deribit_quotes_2026-08-01_FUTURES.csv.gz"
INPUTS = "deribit_chain_json/volsurface_{}.json.gz"
BOARD = ["strike_price", "bid_price", "ask_price", "bid_price_put", "ask_price_put"]


@dataclass(frozen=True, slots=True)
class Smile:
    """The quotes of one expiry that may be fitted, in the order of strikes."""

    name: str
    t_years: float
    k: np.ndarray
    iv_bid: np.ndarray
    iv_mid: np.ndarray
    iv_ask: np.ndarray

    @property
    def total_variance(self) -> np.ndarray:
        return self.iv_mid**2 * self.t_years

    @property
    def weight(self) -> np.ndarray:
        return 2 / (self.iv_ask - self.iv_bid)


@dataclass(frozen=True, slots=True)
class Expiry:
    """One expiry of the whole chain: its parity board and forward, and its listed future's mid."""

    smile: Smile
    board: list[np.ndarray]
    fit: Parity
    listed: float


def expiries(recorded: Path) -> list[Expiry]:
    """Of the chain of 2026-08-01, in the order of time."""
    name = pl.col("symbol").str.split("-")
    chain = pl.read_csv(recorded / CHAIN, infer_schema_length=None).with_columns(
        name.list.get(1).alias("expiry")
    )
    futures = pl.read_csv(recorded / FUTURES).select(
        name.list.get(1), (pl.col("bid_price") + pl.col("ask_price")) / 2
    )
    listed = dict(futures.iter_rows())
    found = [one(e, rows, listed[e]) for (e,), rows in chain.group_by("expiry")]
    return sorted(found, key=lambda e: e.smile.t_years)


def one(name: str, rows: pl.DataFrame, listed: float) -> Expiry:
    expires = datetime.strptime(name + " 08", "%d%b%y %H").replace(tzinfo=UTC).timestamp()
    t = (expires - rows["timestamp"][0] / 1e6) / SECONDS_A_YEAR
    calls, puts = rows.filter(type="call"), rows.filter(type="put")
    pairs = calls.join(puts, on="strike_price", suffix="_put").sort("strike_price")
    board = [pairs[c].cast(pl.Float64).to_numpy() for c in BOARD]
    fit = parity(*board, is_coin=True)
    rows = rows.sort("strike_price")
    strike, bid, ask = (
        rows[c].cast(pl.Float64).to_numpy() for c in ("strike_price", "bid_price", "ask_price")
    )
    is_call = (rows["type"] == "call").to_numpy()
    return Expiry(smile(name, t, fit.forward, strike, bid, ask, is_call), board, fit, listed)


def smiles(recorded: Path, asset: str) -> list[Smile]:
    """Of the surface inputs of 2026-05-21, which have listed forwards and no pairs."""
    with gzip.open(recorded / INPUTS.format(asset)) as file:
        table = json.load(file)
    at = datetime.fromisoformat(table["asset_curve"]["ref_date"])
    rows = table["inputs"]
    forwards = {
        r["maturity"]: 0.5 * (float(r["bid"]) + float(r["ask"]))
        for r in rows
        if r["security_type"] == "forward"
    }
    found = []
    for maturity, forward in sorted(forwards.items()):
        options = [r for r in rows if "strike" in r and r["maturity"] == maturity]
        options.sort(key=lambda r: float(r["strike"]))
        t = (datetime.fromisoformat(maturity) - at).total_seconds() / SECONDS_A_YEAR
        strike, bid, ask = (
            np.array([float(r[c] or 0) for r in options]) for c in ("strike", "bid", "ask")
        )
        is_call = np.array([r["option_type"] == "call" for r in options])
        found.append(smile(maturity, t, forward, strike, bid, ask, is_call))
    return found


def smile(
    name: str,
    t: float,
    f: float,
    strike: np.ndarray,
    bid: np.ndarray,
    ask: np.ndarray,
    is_call: np.ndarray,
) -> Smile:
    """Coin quotes out of the money, no wider than half their volatility, at most 1 % delta deep."""
    low, mid, high = (
        black.implied_vol(p * f, f, strike, t, is_call)[0] for p in (bid, 0.5 * (bid + ask), ask)
    )
    delta = np.abs(black.greeks(f, strike, t, mid, is_call).delta)
    with np.errstate(invalid="ignore"):
        usable = (is_call == (strike >= f)) & (high - low <= 0.5 * mid) & (high > low)
        usable &= delta >= 0.01
    k = np.log(strike / f)
    return Smile(name, t, k[usable], low[usable], mid[usable], high[usable])
