"""What does Deribit list, settle and chart? Instruments, funding, deliveries, candles."""

import json
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np

from pipelines.simulator import chain
from pipelines.simulator.expiries import Board, venue_date
from pipelines.simulator.history import History, day_of, second_of
from pipelines.simulator.listings import of_market
from pipelines.simulator.noise import key
from pipelines.simulator.wire.deribit_params import Params, invalid, not_found
from pipelines.simulator.wire.deribit_trades import Named, coin_of, find, served_amount
from pipelines.simulator.wire.faults import Faults
from pipelines.simulator.wire.reply import Answer
from pipelines.simulator.world import COINS, EPOCH, Coin, Ints, Listing, epoch_us

HOUR_MS = 3_600_000
EXPIRED_DAYS = 4  # how long the venue still lists what has expired
MOST_FUNDING = 744
MOST_CANDLES = 5_000
CANDLE = ("ticks", "open", "high", "low", "close", "volume", "cost")
RESOLUTIONS = ("1", "3", "5", "10", "15", "30", "60", "120", "180", "360", "720", "1D")
SETTLED_DAYS = 3  # in one page, however many rows are asked for
DELIVERY_S = (7.5 * 3_600, 8 * 3_600)  # the index is averaged over this half hour


@dataclass(frozen=True, slots=True)
class Reference:
    """What the venue has on record at one instant."""

    history: History
    faults: Faults
    now_us: int

    @property
    def day(self) -> date:
        return day_of(self.now_us)

    def instruments(self, params: Params) -> Answer:
        """What is listed, or with `expired` what was until lately."""
        names = (*(coin.name for coin in COINS), "any")
        currency = params.one_of("currency", names, "any")
        kind = params.one_of("kind", ("future", "option", "any"), "any")
        expired = params.flag("expired", default=False)
        rows = [
            row
            for coin in COINS
            if currency in (coin.name, "any")
            for row in (self._expired(coin) if expired else self._listed(coin))
            if kind in ("any", row["kind"])
        ]
        return _json(rows)

    def _listed(self, coin: Coin) -> list[dict[str, object]]:
        second = second_of(self.now_us)
        board = chain.board(self.history.state(coin, self.day))
        futures = [m for m in of_market("deribit", self.day) if m.coin is coin]
        return [
            *(future(m) for m in futures if m.expires != self.day or second < 8 * 3_600),
            *(option(coin, board, i) for i in np.flatnonzero(board.expires_s > second).tolist()),
        ]

    def _expired(self, coin: Coin) -> list[dict[str, object]]:
        rows: list[dict[str, object]] = []
        for back in range(EXPIRED_DAYS):
            day = self.day - timedelta(days=back)
            if back == 0 and second_of(self.now_us) < 8 * 3_600:
                continue
            board = chain.board(self.history.state(coin, day))
            futures = [m for m in of_market("deribit", day) if m.coin is coin and m.expires == day]
            rows += [future(m) for m in futures]
            rows += [option(coin, board, i) for i, e in enumerate(board.expiry) if e == day]
        return [{**row, "is_active": False, "state": "closed"} for row in rows]

    def funding_history(self, params: Params) -> Answer:
        """Interest of every full hour, oldest first, at most 744."""
        named = find(self.history, params.text("instrument_name"))
        if named.listing is None or named.expires is not None:
            raise invalid("instrument_name", "instrument is not a perpetual")
        start, end = params.needed("start_timestamp"), params.needed("end_timestamp")
        last = min(end, self.now_us // 1_000) // HOUR_MS
        first = max(-(-start // HOUR_MS), last - MOST_FUNDING + 1, _hour(EPOCH) + 24)
        rows = [self._hour(named.coin, hour) for hour in range(first, last + 1)]
        texts = [json.dumps(row, separators=(",", ":")) for row in rows]
        return Answer("[", texts, "]", f"funding/{named.symbol}")

    def _hour(self, coin: Coin, hour: int) -> dict[str, object]:
        """The row that is stamped at the end of an hour."""
        day = date(1970, 1, 1) + timedelta(days=(hour - 1) // 24)
        paid = self.history.interest(coin, day)
        place = 24 + (hour - 1) % 24 + 1
        return {
            "timestamp": hour * HOUR_MS,
            "index_price": self._level(coin, hour),
            "prev_index_price": self._level(coin, hour - 1),
            "interest_8h": float(paid[place - 8 : place].sum()),
            "interest_1h": float(paid[place - 1]),
        }

    def _level(self, coin: Coin, hour: int) -> float:
        at_us = hour * HOUR_MS * 1_000
        state = self.history.state(coin, day_of(at_us))
        return round(float(state.spot(np.array([second_of(at_us)]))[0]), 2)

    def settlements(self, params: Params) -> Answer:
        """Newest first: daily settlements of perpetuals, deliveries of what expired."""
        coin = coin_of(params)
        kind = params.one_of("type", ("any", "settlement", "delivery", "bankruptcy"), "any")
        count = params.count(1_000, 20)
        now_ms = self.now_us // 1_000
        until = min(params.whole("search_start_timestamp", now_ms), now_ms)
        word = params.text("continuation", "none")
        if word != "none":
            until, skip = _continued(word)
        else:
            skip = 0
        rows: list[dict[str, object]] = []
        day = day_of(until * 1_000)
        if _due_ms(day) > until:
            day -= timedelta(days=1)
        for _ in range(SETTLED_DAYS):
            if day <= EPOCH or kind == "bankruptcy":
                return _json({"settlements": rows, "continuation": "none"})
            found = [r for r in self._settled(coin, day) if kind in ("any", r["type"])][skip:]
            room = count - len(rows)
            rows += found[:room]
            if len(found) > room:
                return _settlements(rows, _due_ms(day), skip + room)
            day, skip = day - timedelta(days=1), 0
        return _settlements(rows, _due_ms(day), 0)

    def _settled(self, coin: Coin, day: date) -> list[dict[str, object]]:
        state = self.history.state(coin, day)
        price, at_ms = delivery_price(self.history, coin, day), _due_ms(day)
        tape = self.history.tape(coin, day)
        rows: list[dict[str, object]] = []
        for place, symbol in enumerate(tape.symbols):
            named = None if tape.is_option[place] else find(self.history, symbol)
            perpetual = named is not None and named.expires is None
            if named is not None and not perpetual and named.expires != day:
                continue
            if named is None and not symbol.startswith(f"{coin.name}-{venue_date(day)}-"):
                continue
            row: dict[str, object] = {
                "type": "settlement" if perpetual else "delivery",
                "timestamp": at_ms,
                "instrument_name": symbol,
                "index_price": price,
                "mark_price": _payoff(symbol, price),
                "position": float(100 + key(symbol, day) % 10_000),
                "session_profit_loss": round((key(day, symbol) % 2_000 - 1_000) / 500, 6),
            }
            if perpetual:
                fair = state.perpetual("deribit", np.array([8 * 3_600.0]))
                row |= {"mark_price": round(float(fair[0]), 2), "funding": 0.0}
            rows.append(row)
        return rows

    def delivery_prices(self, params: Params) -> Answer:
        """Newest first, one row per day."""
        names = {f"{coin.name.lower()}_usd": coin for coin in COINS}
        coin = names[params.one_of("index_name", tuple(names))]
        offset, count = params.whole("offset", 0), params.count(1_000)
        last = self.day if second_of(self.now_us) >= 8 * 3_600 else self.day - timedelta(days=1)
        total = (last - EPOCH).days
        days = [last - timedelta(days=n) for n in range(offset, min(offset + count, total))]
        data = [
            {"date": day.isoformat(), "delivery_price": delivery_price(self.history, coin, day)}
            for day in days
        ]
        return _json({"data": data, "records_total": total})

    def chart(self, params: Params) -> Answer:
        """Candles in parallel lists; minutes without a print repeat the last price."""
        named = find(self.history, params.text("instrument_name"))
        word = params.one_of("resolution", RESOLUTIONS)
        step = (1_440 if word == "1D" else int(word)) * 60_000
        start, end = params.needed("start_timestamp"), params.needed("end_timestamp")
        last = min(end, self.now_us // 1_000) // step * step
        first = max(-(-start // step) * step, last - (MOST_CANDLES - 1) * step)
        return _json(self._candles(named, first, last, step))

    def _candles(self, named: Named, first: int, last: int, step: int) -> dict[str, object]:
        at, price, amount = self._tape(named, first, last + step)
        ticks = np.arange(first, last + 1, step)
        is_option = named.listing is None
        volume = np.append(amount if is_option else amount / price, 0.0)
        cost = np.append(amount * price if is_option else amount, 0.0)
        edges = np.searchsorted(at, np.append(ticks, last + step) * 1_000)
        low, high = edges[:-1], edges[1:]
        if not edges[-1] > edges[0]:
            empty: list[object] = []
            return {**dict.fromkeys(CANDLE, empty), "status": "no_data"}
        known = high > edges[0]  # candles before the first print do not exist
        traded = (high > low)[known]
        ticks, low, high = ticks[known], low[known], high[known]
        # without a print a candle stays at the last price
        opens = np.where(traded, price[np.minimum(low, len(price) - 1)], price[high - 1])
        closes = price[high - 1]
        padded = np.append(price, price[-1])
        highs = np.where(traded, np.maximum.reduceat(padded, low), closes)
        lows = np.where(traded, np.minimum.reduceat(padded, low), closes)
        sums = [
            np.where(traded, np.add.reduceat(values, low), 0.0).round(8).tolist()
            for values in (volume, cost)
        ]
        columns = [ticks.tolist(), *(c.tolist() for c in (opens, highs, lows, closes)), *sums]
        return {**dict(zip(CANDLE, columns, strict=True)), "status": "ok"}

    def _tape(self, named: Named, first: int, end: int) -> tuple[Ints, np.ndarray, np.ndarray]:
        parts: list[tuple[Ints, np.ndarray, np.ndarray]] = []
        day = day_of(first * 1_000)
        while epoch_us(day) < min(end * 1_000, self.now_us + 1):
            start, after = named.numbering.of_day(day)
            if after > start:
                tape = self.history.tape(named.coin, day)
                rows = tape.rows_of(tape.symbols.index(named.symbol))
                rows = rows[tape.at_us[rows] <= self.now_us]
                amount = served_amount(self.faults, tape, rows, self.now_us)
                parts.append((tape.at_us[rows], tape.price[rows], amount))
            day += timedelta(days=1)
        if not parts:
            return np.zeros(0, dtype=np.int64), np.zeros(0), np.zeros(0)
        at, price, amount = (np.concatenate(column) for column in zip(*parts, strict=True))
        return at, price, amount


def _settlements(rows: list[dict[str, object]], until: int, skip: int) -> Answer:
    """A page, and where the next one begins: at a day's settlements, some of them left out."""
    return _json({"settlements": rows, "continuation": f"{until}.{skip}"})


def _continued(word: str) -> tuple[int, int]:
    until, dot, skip = word.partition(".")
    if not (dot and until.isdecimal() and skip.isdecimal()):
        raise invalid("continuation", "wrong format")
    return int(until), int(skip)


def _due_ms(day: date) -> int:
    return epoch_us(day) // 1_000 + 8 * HOUR_MS


def future(listing: Listing) -> dict[str, object]:
    """A perpetual or future as the venue lists it."""
    coin = listing.coin
    forever = listing.expires is None
    return {
        "kind": "future",
        "instrument_name": listing.symbol,
        "instrument_id": key(listing.symbol) % 1_000_000,
        "instrument_type": "reversed",
        "future_type": "reversed",
        "base_currency": coin.name,
        "quote_currency": "USD",
        "counter_currency": "USD",
        "settlement_currency": coin.name,
        "price_index": f"{coin.name.lower()}_usd",
        "settlement_period": "perpetual" if forever else "month",
        "creation_timestamp": epoch_us(listing.listed) // 1_000 + 8 * HOUR_MS,
        "expiration_timestamp": 32_503_708_800_000 if forever else _expiry_ms(listing.expires),
        "is_active": True,
        "state": "open",
        "contract_size": float(listing.contract_usd),
        "tick_size": listing.tick,
        "tick_size_steps": [],
        "min_trade_amount": float(listing.contract_usd),
        "block_trade_min_trade_amount": 200_000,
        "block_trade_tick_size": 0.01,
        "block_trade_commission": 0.00025,
        "maker_commission": 0.0,
        "taker_commission": 0.0005,
        "max_leverage": 50,
        "max_liquidation_commission": 0.0075,
        "rfq": False,
    }


def option(coin: Coin, board: Board, place: int) -> dict[str, object]:
    """An option as the venue lists it."""
    expiry = board.expiry[place]
    return {
        "kind": "option",
        "instrument_name": board.symbol[place],
        "instrument_id": key(board.symbol[place]) % 1_000_000,
        "instrument_type": "reversed",
        "option_type": "call" if board.is_call[place] else "put",
        "strike": float(board.strike[place]),
        "base_currency": coin.name,
        "quote_currency": coin.name,
        "counter_currency": "USD",
        "settlement_currency": coin.name,
        "price_index": f"{coin.name.lower()}_usd",
        "settlement_period": _period(expiry),
        "creation_timestamp": epoch_us(board.listed[place]) // 1_000 + 60_000,
        "expiration_timestamp": _expiry_ms(expiry),
        "is_active": True,
        "state": "open",
        "contract_size": 1.0,
        "tick_size": 0.0001,
        "tick_size_steps": [{"above_price": 0.005, "tick_size": 0.0005}],
        "min_trade_amount": coin.option_lot,
        "block_trade_min_trade_amount": 25,
        "block_trade_tick_size": 0.0001,
        "block_trade_commission": 0.0003,
        "maker_commission": 0.0003,
        "taker_commission": 0.0003,
        "rfq": False,
    }


def delivery_price(history: History, coin: Coin, day: date) -> float:
    """The index averaged over the half hour before eight."""
    at = np.arange(*DELIVERY_S, 4.0)
    return round(float(history.state(coin, day).spot(at).mean()), 2)


def _payoff(symbol: str, price: float) -> float:
    parts = symbol.split("-")
    if len(parts) != 4:
        return price
    inside = price - float(parts[2]) if parts[3] == "C" else float(parts[2]) - price
    return round(max(inside, 0.0) / price, 6)


def _period(expiry: date) -> str:
    if expiry.weekday() != 4:
        return "day"
    return "month" if (expiry + timedelta(days=7)).month != expiry.month else "week"


def _expiry_ms(expiry: date | None) -> int:
    if expiry is None:
        raise not_found()
    return epoch_us(expiry) // 1_000 + 8 * HOUR_MS


def _hour(day: date) -> int:
    return epoch_us(day) // 1_000 // HOUR_MS


def _json(body: object) -> Answer:
    return Answer(json.dumps(body, separators=(",", ":")))
