"""Prints and quotes of tests, row by row and in seconds; and those that were recorded."""

import csv
import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from warehouse.functions.tape import Prints, Quotes

SECOND = 1_000_000
GEMINI_DAY = 1_625_097_600  # 2021-07-01


def micros(seconds: Sequence[float]) -> np.ndarray:
    return np.round(np.asarray(seconds, dtype=float) * SECOND).astype(np.int64)


def prints(*rows: tuple[float, int, float, float], known_s: Sequence[float] | None = None):
    """Rows of (seconds, sign, price, size), known at once."""
    at, sign, price, size = np.array(rows, dtype=float).reshape(-1, 4).T
    known = micros(at if known_s is None else known_s)
    return Prints(micros(at), sign.astype(np.int64), price, size, price * size, known)


def quotes(
    *rows: tuple[float, float, float],
    sizes: Sequence[tuple[float, float]] | None = None,
    known_s: Sequence[float] | None = None,
    is_book: bool = False,
    is_every_update: bool = False,
    is_asked: bool = False,
):
    """Rows of (seconds, bid, ask), known at once."""
    at, bid, ask = np.array(rows, dtype=float).reshape(-1, 3).T
    of_bid, of_ask = np.array(sizes or [(1.0, 1.0)] * at.size, dtype=float).reshape(-1, 2).T
    known = micros(at if known_s is None else known_s)
    flags = (np.full(at.size, flag) for flag in (is_book, is_every_update, is_asked))
    return Quotes(micros(at), bid, ask, of_bid, of_ask, known, *flags)


def gemini(recorded: Path) -> tuple[Prints, Quotes]:
    """ETH-USD of 2021-07-01: every print, and the best quote at the beginning of each second."""
    path = str(recorded / "gemini_ethusd" / "gemini__eth-usd__2021-07-01__{}.csv.gz")
    told = pl.read_csv(path.format("trade")).sort("time_seconds", maintain_order=True)
    book = (
        pl.read_csv(path.format("market-depth"))
        .sort("time_seconds")
        .with_columns(
            pl.col("^(bid|ask).*$").str.split("_").list.first().cast(pl.Float64, strict=False)
        )
    )
    at = (pl.col("time_seconds") - GEMINI_DAY).cast(pl.Float64)
    sign = 1 - 2 * pl.col("is_buyer_maker")
    rows = told.select(at, sign, pl.col("price", "size").cast(pl.Float64)).rows()
    return prints(*rows), quotes(*book.with_columns(at).fill_null(float("nan")).rows())


def nexo(recorded: Path) -> Prints:
    """The 24 hours of NEXOUSDT, seconds since 2024-07-23 00:00."""
    folder = recorded / "binance_vision/data/spot/daily/trades/NEXOUSDT"
    told = []
    for path in sorted(folder.glob("*.zip")):
        with zipfile.ZipFile(path) as archive:
            text = archive.read(archive.namelist()[0]).decode()
        for _, price, size, _, at, is_sell, _ in csv.reader(io.StringIO(text)):
            sign = -1 if is_sell.lower() == "true" else 1
            told.append((int(at) / 1e3 - 1_721_692_800, sign, float(price), float(size)))
    return prints(*told)
