"""How does Binance serve its tape? Aggregates and fills by id or time, candles, day statistics."""

import json
from dataclasses import dataclass, replace
from datetime import date, timedelta

import numpy as np
import polars as pl

from pipelines.simulator.history import DAY_US, History, day_of
from pipelines.simulator.prints import Prints
from pipelines.simulator.tape import first_fill, is_double
from pipelines.simulator.wire import unsettled
from pipelines.simulator.wire.binance_params import Params, refusal
from pipelines.simulator.wire.faults import Faults
from pipelines.simulator.wire.numbering import Numbering
from pipelines.simulator.wire.reply import Answer
from pipelines.simulator.world import END, EPOCH, Floats, Ints, Listing, epoch_us

HOUR_MS = 3_600_000
MOST = 1_000
PRICE_DECIMALS = {"spot": 8, "um": 2, "cm": 2}
SIZE_DECIMALS = {"spot": 8, "um": 3, "cm": 0}


@dataclass(frozen=True, slots=True)
class Tape:
    """One market's tape as it is served at one instant."""

    history: History
    faults: Faults
    listing: Listing
    now_us: int

    @property
    def numbering(self) -> Numbering:
        return Numbering(EPOCH, self.history.first_ids(self.listing))

    @property
    def is_spot(self) -> bool:
        return self.listing.market == "spot"

    def aggregates(self, params: Params) -> Answer:
        """By `fromId`, by a window of at most an hour, or the newest."""
        limit = params.limit(500, MOST, is_clipped=self.is_spot)
        start, end = params.window()
        first = params.whole("fromId")
        if first is not None and (start is not None or end is not None):
            raise refusal(-1128, "Combination of optional parameters invalid.")
        if start is not None and end is not None and end - start > HOUR_MS:
            raise refusal(-1127, "More than 1 hours between startTime and endTime.")
        rows: list[str] = []
        for prints, keep in self._pages(first, start, end, limit):
            rows += encode_aggregates(prints, self._lots(prints)[keep], keep)
        weight = 4 if self.is_spot else 20
        return Answer("[", rows, "]", f"aggTrades/{self.listing.symbol}", weight)

    def fills(self, params: Params, *, by_id: bool) -> Answer:
        """Single fills, oldest first: the newest, or those from an id."""
        limit = params.limit(500, MOST, is_clipped=self.is_spot)
        first = params.whole("fromId") if by_id else None
        # every eighth aggregate has two fills
        start = None if first is None else max(0, (first * 8) // 9 - 2)
        rows: list[str] = []
        for prints, keep in self._pages(start, None, None, limit + 4):
            rows += encode_fills(prints, self._lots(prints), keep, first)
        rows = rows[:limit] if by_id and first is not None else rows[-limit:]
        weight = 25 if self.is_spot else 20 if by_id else 5
        return Answer("[", rows, "]", f"trades/{self.listing.symbol}", weight)

    def _pages(
        self, first: int | None, start_ms: int | None, end_ms: int | None, limit: int
    ) -> list[tuple[Prints, Ints]]:
        """Days of prints with the rows to serve, oldest first."""
        numbering = self.numbering
        low, high = 0, self._before(self.now_us) - 1
        if start_ms is not None:
            low = self._before(start_ms * 1_000 - 1)
        if end_ms is not None:
            high = min(high, self._before(end_ms * 1_000 + 999) - 1)
        if first is not None:
            low = first
        is_newest = first is None and start_ms is None
        found: list[tuple[Prints, Ints]] = []
        left = limit
        for day, start, last in numbering.days(low, high, newest_first=is_newest):
            prints = self.history.prints(self.listing, day)
            offset = int(prints.trade_id[0])
            keep = self._shown(prints, np.arange(start - offset, last + 1 - offset))
            keep = keep[-left:] if is_newest else keep[:left]
            found.append((prints, keep))
            left -= len(keep)
            if left <= 0:
                break
        return found[::-1] if is_newest else found

    def _before(self, at_us: int) -> int:
        """The first id after an instant."""
        horizon = (END - date(1970, 1, 1)).days * DAY_US - 1
        at_us = min(max(at_us, epoch_us(EPOCH)), horizon)
        day = day_of(at_us)
        first, after = self.numbering.of_day(day)
        if first == after or at_us > self.now_us + DAY_US:
            return first
        prints = self.history.prints(self.listing, day)
        stamps = prints.at_us // 1_000 * 1_000 + epoch_us(day)
        return first + int(np.searchsorted(stamps, at_us, "right"))

    def _shown(self, prints: Prints, rows: Ints) -> Ints:
        at_us = prints.at_us[rows] + prints.midnight_us
        shown = unsettled.is_shown(
            self.faults, self._name, prints.trade_id[rows], at_us, self.now_us
        )
        return np.asarray(rows[shown])

    def _lots(self, prints: Prints) -> Ints:
        if not self.faults.amount("revised"):
            return prints.lots
        at_us = prints.at_us + prints.midnight_us
        first = unsettled.is_first_version(
            self.faults, self._name, prints.trade_id, at_us, self.now_us
        )
        return np.where(first, 2 * prints.lots, prints.lots)

    @property
    def _name(self) -> str:
        return f"{self.listing.market}/{self.listing.symbol}"

    # ---------- candles and statistics

    def between(self, start_us: int, end_us: int) -> "Window":
        """Every print from `start_us` until before `end_us` and not after now."""
        parts: list[tuple[Prints, Ints]] = []
        day = max(day_of(start_us), EPOCH)
        until = min(end_us, self.now_us + 1)
        while epoch_us(day) < until:
            first, after = self.numbering.of_day(day)
            if after > first:
                prints = self.history.prints(self.listing, day)
                prints = replace(prints, lots=self._lots(prints))
                at_us = prints.at_us + epoch_us(day)
                parts.append((prints, np.flatnonzero((at_us >= start_us) & (at_us < until))))
            day += timedelta(days=1)
        return Window(self.listing, parts)

    def candles(self, params: Params) -> Answer:
        """OHLC, volumes and counts; the newest ones, or those from `startTime` on."""
        step, (start, end) = params.interval(), params.window()
        limit = params.limit(500, 1_000 if self.is_spot else 1_500, is_clipped=self.is_spot)
        opens = candle_opens(step, start, end, limit, self.now_us // 1_000)
        window = self.between(int(opens[0]) * 1_000, (int(opens[-1]) + step) * 1_000)
        weight = 2 if self.is_spot else _by_limit(limit)
        return Answer("[", window.candles(opens, step), "]", "", weight)

    def day_statistics(self) -> dict[str, object]:
        """The rolling 24 hours."""
        window = self.between(self.now_us - DAY_US, self.now_us + 1)
        return window.statistics(self.now_us)


@dataclass(frozen=True, slots=True)
class Window:
    """Prints of a stretch of time."""

    listing: Listing
    parts: list[tuple[Prints, Ints]]

    def columns(self) -> tuple[Ints, Ints, Floats, Ints, Ints]:
        """Stamp, id, price, lots and taker's sign of every print."""
        if not self.parts:
            nothing = np.zeros(0, dtype=np.int64)
            return nothing, nothing, np.zeros(0), nothing, nothing
        return (
            np.concatenate([p.at_us[k] + p.midnight_us for p, k in self.parts]),
            np.concatenate([p.trade_id[k] for p, k in self.parts]),
            np.concatenate([p.price[k] for p, k in self.parts]),
            np.concatenate([p.lots[k] for p, k in self.parts]),
            np.concatenate([p.sign[k] for p, k in self.parts]),
        )

    def candles(self, opens: Ints, step: int) -> list[str]:
        """One JSON list per candle; without prints it stays at the last price."""
        at, ids, price, lots, sign = self.columns()
        size = np.round(lots * self.listing.lot, 8)
        other = self._other(size, price)
        fills = 1 + is_double(ids)
        buys = sign > 0
        edges = np.searchsorted(at, np.append(opens, opens[-1] + step) * 1_000)
        rows, close = [], float(price[0]) if len(price) else 0.0
        for open_ms, low, high in zip(opens, edges[:-1], edges[1:], strict=True):
            here = price[low:high] if high > low else np.array([close])
            close = float(here[-1])
            taken = buys[low:high]
            sums = (
                size[low:high].sum(),
                other[low:high].sum(),
                size[low:high][taken].sum(),
                other[low:high][taken].sum(),
            )
            rows.append(self._candle(int(open_ms), step, here, sums, int(fills[low:high].sum())))
        return rows

    def _candle(
        self, open_ms: int, step: int, here: Floats, sums: tuple[float, ...], count: int
    ) -> str:
        prices = (here[0], here.max(), here.min(), here[-1])
        digits, decimals = PRICE_DECIMALS[self.listing.market], SIZE_DECIMALS[self.listing.market]
        shown = [f"{p:.{digits}f}" for p in prices]
        return json.dumps(
            [
                open_ms,
                *shown,
                f"{sums[0]:.{decimals}f}",
                open_ms + step - 1,
                f"{sums[1]:.8f}",
                count,
                f"{sums[2]:.{decimals}f}",
                f"{sums[3]:.8f}",
                "0",
            ],
            separators=(",", ":"),
        )

    def statistics(self, now_us: int) -> dict[str, object]:
        """The venue's 24-hour ticker, without its quotes."""
        at, ids, price, lots, _ = self.columns()
        if not len(at):
            return {}
        size = np.round(lots * self.listing.lot, 8)
        other = self._other(size, price)
        digits, decimals = PRICE_DECIMALS[self.listing.market], SIZE_DECIMALS[self.listing.market]
        other_name = "baseVolume" if self.listing.market == "cm" else "quoteVolume"
        change, value = price[-1] - price[0], float((price * size).sum() / size.sum())
        return {
            "symbol": self.listing.symbol,
            "priceChange": f"{change:.{digits}f}",
            "priceChangePercent": f"{100 * change / price[0]:.3f}",
            "weightedAvgPrice": f"{value:.{digits}f}",
            "lastPrice": f"{price[-1]:.{digits}f}",
            "lastQty": f"{size[-1]:.{decimals}f}",
            "openPrice": f"{price[0]:.{digits}f}",
            "highPrice": f"{price.max():.{digits}f}",
            "lowPrice": f"{price.min():.{digits}f}",
            "volume": f"{size.sum():.{decimals}f}",
            other_name: f"{other.sum():.8f}",
            "openTime": (now_us - DAY_US) // 1_000,
            "closeTime": now_us // 1_000,
            "firstId": int(first_fill(ids[0])),
            "lastId": int(first_fill(ids[-1] + 1)) - 1,
            "count": int((1 + is_double(ids)).sum()),
        }

    def _other(self, size: Floats, price: Floats) -> Floats:
        """Quote volume; of COIN-M markets the volume in coin."""
        if self.listing.market == "cm":
            return np.asarray(np.round(size * self.listing.contract_usd / price, 8))
        return np.asarray(size * price)


def candle_opens(step: int, start: int | None, end: int | None, limit: int, now_ms: int) -> Ints:
    """Opening stamps, ms: from `start` on, or the newest until `end`."""
    last = min(now_ms if end is None else end, now_ms) // step * step
    if start is None:
        return np.arange(last - (limit - 1) * step, last + 1, step)
    first = -(-start // step) * step
    return np.arange(first, max(last, first) + 1, step)[:limit]


def encode_aggregates(prints: Prints, lots: Ints, keep: Ints) -> list[str]:
    """Aggregates as the venue's JSON."""
    market, day_us = prints.listing.market, prints.midnight_us
    ids = prints.trade_id[keep]
    columns: dict[str, object] = {
        "a": ids,
        "p": price_text(prints.price[keep], market),
        "q": size_text(np.asarray(lots), prints.listing),
        "f": first_fill(ids),
        "l": first_fill(ids + 1) - 1,
        "T": (prints.at_us[keep] + day_us) // 1_000,
        "m": prints.sign[keep] < 0,
    }
    if market == "spot":
        columns["M"] = np.ones(len(keep), dtype=bool)
    return _texts(pl.DataFrame(columns))


def encode_fills(prints: Prints, lots: Ints, keep: Ints, first: int | None) -> list[str]:
    """Single fills as the venue's JSON; an order of two fills shares its lots between them."""
    listing, day_us = prints.listing, prints.midnight_us
    double = is_double(prints.trade_id[keep])
    rows = np.repeat(keep, 1 + double)
    is_second = np.concatenate([[False], rows[1:] == rows[:-1]]) if len(rows) else double
    ids = first_fill(prints.trade_id[rows]) + is_second
    whole, both = lots[rows], is_double(prints.trade_id[rows])
    part = np.where(both, np.where(is_second, whole - whole // 2, whole // 2), whole)
    wanted = np.flatnonzero(ids >= (first or 0))
    rows, ids, part = rows[wanted], ids[wanted], part[wanted]
    size, price = part * listing.lot, prints.price[rows]
    other = "baseQty" if listing.market == "cm" else "quoteQty"
    value = size * listing.contract_usd / price if listing.market == "cm" else size * price
    columns: dict[str, object] = {
        "id": ids,
        "price": price_text(price, listing.market),
        "qty": size_text(part, listing),
        other: fixed(value, 8),
        "time": (prints.at_us[rows] + day_us) // 1_000,
        "isBuyerMaker": prints.sign[rows] < 0,
    }
    if listing.market == "spot":
        columns["isBestMatch"] = np.ones(len(rows), dtype=bool)
    return _texts(pl.DataFrame(columns))


def price_text(price: Floats, market: str) -> pl.Series:
    return fixed(price, PRICE_DECIMALS[market])


def size_text(lots: Ints, listing: Listing) -> pl.Series:
    """Lots as the venue writes sizes."""
    return fixed(np.asarray(lots * listing.lot, float), SIZE_DECIMALS[listing.market])


def fixed(values: Floats, decimals: int) -> pl.Series:
    """Numbers as text with so many decimals."""
    rounded = pl.Series(np.round(np.asarray(values, float), decimals))
    if decimals == 0:
        return rounded.cast(pl.Int64).cast(pl.String)
    return rounded.cast(pl.Decimal(30, decimals)).cast(pl.String)


def _texts(frame: pl.DataFrame) -> list[str]:
    found: list[str] = frame.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()
    return found


def _by_limit(limit: int) -> int:
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1_000 else 10
