"""How does Deribit serve its tape? By sequence or time per instrument, by currency for a day."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta

import numpy as np
import polars as pl

from pipelines.simulator.expiries import future_expiries, series
from pipelines.simulator.history import DAY_US, History, day_of
from pipelines.simulator.listings import deribit_future, of_market
from pipelines.simulator.tape import CurrencyTape
from pipelines.simulator.wire import unsettled
from pipelines.simulator.wire.deribit_params import Params, invalid, not_found
from pipelines.simulator.wire.faults import Faults
from pipelines.simulator.wire.numbering import Numbering
from pipelines.simulator.wire.reply import Answer
from pipelines.simulator.world import COINS, END, EPOCH, Coin, Floats, Ints, Listing

MOST = 1_000
KINDS = ("any", "future", "option")


@dataclass(frozen=True, slots=True)
class Named:
    """An instrument that the venue has or had."""

    coin: Coin
    symbol: str
    expires: date | None
    numbering: Numbering
    listing: Listing | None  # None of options


@dataclass(frozen=True, slots=True)
class Tapes:
    """The venue's tape as it is served at one instant."""

    history: History
    faults: Faults
    now_us: int
    is_history: bool = False

    def by_instrument(self, params: Params) -> Answer:
        """Trades with sequences from `start_seq` to `end_seq`, both included."""
        named = find(self.history, params.text("instrument_name"))
        low, high = params.whole("start_seq", 0), params.whole("end_seq", 2**62)
        return self._page(named, low, high, params)

    def by_instrument_and_time(self, params: Params) -> Answer:
        """Trades of an instrument with stamps from `start_timestamp` to `end_timestamp`, ms."""
        named = find(self.history, params.text("instrument_name"))
        start, end = params.needed("start_timestamp"), params.whole("end_timestamp", 2**50)
        if end < start:
            raise invalid("end_timestamp", "must not be before start_timestamp")
        low, high = self._sequences(named, start * 1_000, end * 1_000 + 999)
        return self._page(named, low, high, params)

    def by_currency(self, params: Params) -> Answer:
        """Trades of a currency with ids from `start_id` to `end_id`, of the last day alone."""
        low, high = (
            int(params.text(name, default).rpartition("-")[2])
            for name, default in (("start_id", "0"), ("end_id", str(2**62)))
        )
        return self._currency_page(params, 0, self.now_us, low, high)

    def by_currency_and_time(self, params: Params) -> Answer:
        """Trades of a currency by time; a window older than a day is empty, without an error."""
        start = params.needed("start_timestamp") * 1_000
        end = params.whole("end_timestamp", 2**50) * 1_000 + 999
        return self._currency_page(params, start, end, 0, 2**62)

    def _sequences(self, named: Named, start_us: int, end_us: int) -> tuple[int, int]:
        """First and last sequence of a time window."""
        horizon = (END - date(1970, 1, 1)).days * DAY_US - 1
        bounds = [self._before(named, min(max(at, 0), horizon)) for at in (start_us - 1, end_us)]
        return bounds[0], bounds[1] - 1

    def _before(self, named: Named, at_us: int) -> int:
        """The first sequence after an instant."""
        day = day_of(at_us)
        first, after = named.numbering.of_day(day)
        if first == after or at_us > self.now_us + DAY_US:
            return first
        tape, rows = self._day(named, day)
        return first + int(np.searchsorted(tape.at_us[rows], at_us, "right"))

    def _day(self, named: Named, day: date) -> tuple[CurrencyTape, Ints]:
        tape = self.history.tape(named.coin, day)
        return tape, tape.rows_of(tape.symbols.index(named.symbol))

    def _page(self, named: Named, low: int, high: int, params: Params) -> Answer:
        count, newest_first = params.count(MOST), params.newest_first()
        last_day = day_of(self.now_us)
        high = min(high, named.numbering.of_day(last_day)[1] - 1)
        found: list[str] = []
        for day, first, last in named.numbering.days(low, high, newest_first=newest_first):
            tape, rows = self._day(named, day)
            start = int(tape.sequence[rows[0]])
            rows = rows[first - start : last + 1 - start]
            if newest_first:
                rows = rows[::-1]
            found += self._rows(tape, self._shown(tape, rows)[: count + 1 - len(found)])
            if len(found) > count:
                break
        return _answer(found, count, named.symbol)

    def _currency_page(
        self, params: Params, start_us: int, end_us: int, low: int, high: int
    ) -> Answer:
        coin, count, newest_first = coin_of(params), params.count(MOST), params.newest_first()
        kind = params.one_of("kind", KINDS, "any")
        if start_us == 0:
            start_us = self.now_us - DAY_US
        end_us = min(end_us, self.now_us)
        if start_us < self.now_us - DAY_US and not self.is_history:
            return _answer([], count, coin.name)
        days = [day_of(at) for at in range(start_us // DAY_US * DAY_US, end_us + 1, DAY_US)]
        found: list[str] = []
        for day in reversed(days) if newest_first else days:
            tape = self.history.tape(coin, day)
            keep = (tape.at_us >= start_us) & (tape.at_us <= end_us)
            keep &= (tape.trade_id >= low) & (tape.trade_id <= high)
            if kind != "any":
                keep &= tape.is_option[tape.symbol] == (kind == "option")
            rows = np.flatnonzero(keep)
            rows = self._shown(tape, rows[::-1] if newest_first else rows)
            found += self._rows(tape, rows[: count + 1 - len(found)])
            if len(found) > count:
                break
        return _answer(found, count, f"{coin.name}/{kind}")

    def _shown(self, tape: CurrencyTape, rows: Ints) -> Ints:
        shown = tape.at_us[rows] <= self.now_us
        if self.faults.amount("late") or self.faults.amount("lost"):
            for symbol in np.unique(tape.symbol[rows]):
                mine = tape.symbol[rows] == symbol
                ids, at_us = tape.sequence[rows[mine]], tape.at_us[rows[mine]]
                name = tape.symbols[symbol]
                shown[mine] = unsettled.is_shown(self.faults, name, ids, at_us, self.now_us)
        return rows[shown]

    def _rows(self, tape: CurrencyTape, rows: Ints) -> list[str]:
        if not len(rows):
            return []
        return encode(tape, rows, served_amount(self.faults, tape, rows, self.now_us))


def served_amount(faults: Faults, tape: CurrencyTape, rows: Ints, now_us: int) -> Floats:
    """Sizes as the venue has them by now; some are still to be corrected."""
    amount = tape.amount[rows]
    if faults.amount("revised"):
        for symbol in np.unique(tape.symbol[rows]):
            mine = tape.symbol[rows] == symbol
            at_us, ids = tape.at_us[rows[mine]], tape.sequence[rows[mine]]
            name = tape.symbols[symbol]
            first = unsettled.is_first_version(faults, name, ids, at_us, now_us)
            amount[mine] = np.where(first, 2 * amount[mine], amount[mine])
    return amount


def _answer(found: list[str], count: int, stream: str) -> Answer:
    more = "true" if len(found) > count else "false"
    return Answer('{"trades":[', found[:count], f'],"has_more":{more}}}', f"trades/{stream}")


def coin_of(params: Params) -> Coin:
    """The coin of the `currency` parameter."""
    name = params.one_of("currency", tuple(coin.name for coin in COINS))
    return next(coin for coin in COINS if coin.name == name)


def find(history: History, name: str) -> Named:
    """The instrument of that name, listed now, before or later. Refused where there is none."""
    parts = name.split("-")
    coin = next((coin for coin in COINS if coin.name == parts[0]), None)
    if coin is None or len(parts) not in (2, 4):
        raise invalid("instrument_name", "wrong format")
    if len(parts) == 2:
        return _future(history, coin, parts[1], name)
    expiry = _expiry(parts[1])
    if expiry is None:
        raise invalid("instrument_name", "wrong format")
    if not EPOCH <= expiry < END:
        raise not_found()
    known = series(coin, history.seed, history.size, expiry)
    if name not in known.symbol:
        raise not_found()
    place = known.symbol.index(name)
    ids = 1 + np.concatenate([[0], np.cumsum(known.counts[:, place])])
    numbering = Numbering(EPOCH + timedelta(days=known.opens), ids)
    return Named(coin, name, expiry, numbering, None)


def _future(history: History, coin: Coin, word: str, name: str) -> Named:
    if word == "PERPETUAL":
        listing = next(m for m in of_market("deribit", EPOCH) if m.symbol == name)
    else:
        expiry = _expiry(word)
        if expiry is None:
            raise invalid("instrument_name", "wrong format")
        if expiry not in future_expiries(expiry) or not EPOCH <= expiry < END:
            raise not_found()
        listing = deribit_future(coin, expiry)
    return Named(coin, name, listing.expires, Numbering(EPOCH, history.first_ids(listing)), listing)


def _expiry(word: str) -> date | None:
    try:
        return datetime.strptime(word, "%d%b%y").date()  # noqa: DTZ007
    except ValueError:
        return None


def encode(tape: CurrencyTape, rows: Ints, amount: np.ndarray) -> list[str]:
    """Each print as the venue's JSON; keys that do not apply are absent, not null."""
    coin = tape.symbols[0].split("-")[0]
    prefix = "" if coin == "BTC" else f"{coin}-"
    symbol = tape.symbol[rows]
    is_option = tape.is_option[symbol]
    unit = 1.0 if coin == "ETH" else 10.0
    frame = pl.DataFrame(
        {
            "trade_seq": tape.sequence[rows],
            "trade_id": prefix + pl.Series(tape.trade_id[rows]).cast(pl.String),
            "timestamp": tape.at_us[rows] // 1_000,
            "tick_direction": tape.tick_direction[rows],
            "price": tape.price[rows],
            "mark_price": tape.mark[rows],
            "instrument_name": pl.Series(tape.symbols, dtype=pl.String).gather(symbol),
            "index_price": tape.index[rows],
            "direction": np.where(tape.sign[rows] > 0, "buy", "sell"),
            "contracts": np.where(is_option, amount, np.round(amount / unit)),
            "amount": amount,
        }
    )
    texts = frame.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()
    return [
        text if not extra else f"{text[:-1]}{extra}}}"
        for text, extra in zip(texts, _extras(tape, rows, is_option), strict=True)
    ]


def _extras(tape: CurrencyTape, rows: Ints, is_option: np.ndarray) -> list[str]:
    """The text of the keys that only some prints have."""
    extras = [""] * len(rows)
    iv = np.round(100 * np.nan_to_num(tape.iv[rows]), 2)
    for i in np.flatnonzero(is_option):
        extras[i] = f',"iv":{iv[i]}'
    for i in np.flatnonzero(tape.is_block[rows]):
        extras[i] += f',"block_trade_id":"BLOCK-{tape.trade_id[rows[i]]}","block_trade_leg_count":1'
    for i in np.flatnonzero(tape.is_forced[rows]):
        extras[i] += ',"liquidation":"T"'
    return extras
