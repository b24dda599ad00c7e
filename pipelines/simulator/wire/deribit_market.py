"""What does Deribit say of its markets now? Summaries, tickers, books and indices."""

import json
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import polars as pl

from pipelines.simulator import books, chain, funding, mixture
from pipelines.simulator.books import Side
from pipelines.simulator.chain import Quotes
from pipelines.simulator.expiries import future_expiries, venue_date
from pipelines.simulator.history import DAY_US, History, day_of, second_of
from pipelines.simulator.listings import of_market
from pipelines.simulator.paths import State
from pipelines.simulator.wire.deribit_params import Params, invalid
from pipelines.simulator.wire.deribit_trades import Named, coin_of, find
from pipelines.simulator.wire.reply import Answer
from pipelines.simulator.world import COINS, DAY_S, Coin, Floats, Listing

OPTION_LEVELS = 5


@dataclass(frozen=True, slots=True)
class Markets:
    """The venue's markets at one instant."""

    history: History
    now_us: int

    @property
    def day(self) -> date:
        return day_of(self.now_us)

    @property
    def second(self) -> float:
        return second_of(self.now_us)

    @property
    def ms(self) -> int:
        return self.now_us // 1_000

    def state(self, coin: Coin) -> State:
        return self.history.state(coin, self.day)

    def index(self, coin: Coin) -> float:
        return round(float(self.state(coin).spot(np.array([self.second]))[0]), 2)

    def summaries(self, params: Params) -> Answer:
        """One row per listed instrument of a currency, quoted or not."""
        coin = coin_of(params)
        kind = params.one_of("kind", ("any", "future", "option"), "any")
        rows: list[dict[str, object]] = []
        if kind != "option":
            rows += [self._future_summary(listing) for listing in self._futures(coin)]
        texts = [json.dumps(row, separators=(",", ":")) for row in rows]
        if kind != "future":
            texts += self._option_summaries(coin)
        return Answer(f"[{','.join(texts)}]")

    def ticker(self, params: Params) -> Answer:
        return _json(self._ticker(self._open(params)))

    def order_book(self, params: Params) -> Answer:
        """The ticker with the levels of both sides, best first."""
        named, depth = self._open(params), params.whole("depth", 5)
        if named.listing is not None:
            sides = books.book(self.state(named.coin), named.listing, self.second)
            unit = named.listing.contract_usd
            bids, asks = (_levels(side, unit, depth) for side in sides)
        else:
            bids, asks = self._option_levels(named, depth)
        body = self._ticker(named)
        body |= {"bids": bids, "asks": asks, "change_id": self.now_us // 100_000}
        return _json(body)

    def index_price(self, params: Params) -> Answer:
        names = {f"{coin.name.lower()}_usd": coin for coin in COINS}
        price = self.index(names[params.one_of("index_name", tuple(names))])
        return _json({"index_price": price, "estimated_delivery_price": price})

    def volatility_index(self, params: Params) -> Answer:
        """The 30-day index in percent as candles; at most 1000, the newest ones."""
        coin = coin_of(params)
        step = params.one_of("resolution", ("1", "60", "3600", "43200", "1D"))
        step_ms = DAY_S * 1_000 if step == "1D" else int(step) * 1_000
        start, end = params.needed("start_timestamp"), params.needed("end_timestamp")
        if end < start:
            raise invalid("end_timestamp", "must not be before start_timestamp")
        last = min(end, self.ms) // step_ms * step_ms
        first = -(-start // step_ms) * step_ms
        opens = np.arange(max(first, last - 999 * step_ms), last + 1, step_ms)
        rows = [self._candle(coin, int(at), step_ms) for at in opens]
        more = first if len(opens) and opens[0] > first else None
        return _json({"data": rows, "continuation": None if more is None else int(opens[0]) - 1})

    def _candle(self, coin: Coin, open_ms: int, step_ms: int) -> list[float]:
        close = min(open_ms + step_ms, self.ms)
        at = np.linspace(open_ms, close, 5) * 1_000
        values = [volatility_index(self.history, coin, int(us)) for us in at]
        return [open_ms, values[0], max(values), min(values), values[-1]]

    def _open(self, params: Params) -> Named:
        named = find(self.history, params.text("instrument_name"))
        listed = named.numbering.first if named.listing is None else named.listing.listed
        if self.day < listed or (named.expires is not None and named.expires < self.day):
            raise invalid("instrument_name", "instrument is not open")
        return named

    def _futures(self, coin: Coin) -> list[Listing]:
        return [
            m
            for m in of_market("deribit", self.day)
            if m.coin is coin and not (m.expires == self.day and self.second >= 8 * 3_600)
        ]

    # ---------- perpetuals and futures

    def _ticker(self, named: Named) -> dict[str, object]:
        if named.listing is None:
            return self._option_ticker(named)
        listing, state = named.listing, self.state(named.coin)
        bid, ask = books.book(state, listing, self.second, 1)
        mark = self._mark(listing)
        traded = self._traded(named.coin).get(named.symbol, Traded())
        unit = listing.contract_usd
        row: dict[str, object] = {
            "instrument_name": named.symbol,
            "timestamp": self.ms,
            "state": "open",
            "stats": {
                "volume": traded.volume_coin,
                "volume_usd": traded.usd,
                "volume_notional": traded.usd,
                "price_change": traded.change,
                "low": traded.low,
                "high": traded.high,
            },
            "open_interest": books.open_interest_usd(state, listing, self.second),
            "mark_price": mark,
            "index_price": self.index(named.coin),
            "estimated_delivery_price": self.index(named.coin),
            "last_price": mark if traded.last is None else traded.last,
            "settlement_price": round(float(state.fair(listing, np.array([0.0]))[0]), 2),
            "min_price": round(mark * 0.985, 2),
            "max_price": round(mark * 1.015, 2),
            "best_bid_price": float(bid.price[0]),
            "best_bid_amount": float(bid.lots[0] * unit),
            "best_ask_price": float(ask.price[0]),
            "best_ask_amount": float(ask.lots[0] * unit),
        }
        if listing.expires is None:
            row |= {**self._funding(named.coin), "interest_value": 0.0}
        return row

    def _future_summary(self, listing: Listing) -> dict[str, object]:
        state = self.state(listing.coin)
        bid, ask = books.book(state, listing, self.second, 1)
        best = float(bid.price[0]), float(ask.price[0])
        traded = self._traded(listing.coin).get(listing.symbol, Traded())
        row: dict[str, object] = {
            "instrument_name": listing.symbol,
            "base_currency": listing.coin.name,
            "quote_currency": "USD",
            "creation_timestamp": self.ms,
            "bid_price": best[0],
            "ask_price": best[1],
            "mid_price": round(sum(best) / 2, 4),
            "mark_price": self._mark(listing),
            "last": traded.last,
            "high": traded.high,
            "low": traded.low,
            "price_change": traded.change,
            "open_interest": books.open_interest_usd(state, listing, self.second),
            "volume": traded.volume_coin,
            "volume_usd": traded.usd,
            "volume_notional": traded.usd,
            "estimated_delivery_price": self.index(listing.coin),
        }
        if listing.expires is None:
            row |= self._funding(listing.coin)
        return row

    def _mark(self, listing: Listing) -> float:
        return round(float(self.state(listing.coin).fair(listing, np.array([self.second]))[0]), 2)

    def _funding(self, coin: Coin) -> dict[str, object]:
        """The rate that is being paid now, and the sum of the last eight hours."""
        minute = int(self.second // 60)
        now = funding.damped_rate(self.state(coin).premium["deribit"][minute])
        hours = funding.hourly_interest(
            coin, self.history.seed, [self.day - timedelta(days=1), self.day]
        )
        past = hours[: 24 + minute // 60][-8:]
        return {"current_funding": round(float(now), 8), "funding_8h": round(float(past.sum()), 8)}

    def _traded(self, coin: Coin) -> dict[str, "Traded"]:
        return traded_24h(self.history, coin, self.now_us)

    # ---------- options

    def _quotes(self, coin: Coin) -> Quotes:
        state = self.state(coin)
        alive = np.flatnonzero(chain.board(state).expires_s > self.second)
        return chain.quote(state, np.full(len(alive), self.second), alive)

    def _option_summaries(self, coin: Coin) -> list[str]:
        q, state = self._quotes(coin), self.state(coin)
        futures = set(future_expiries(self.day))
        traded = self._traded(coin)
        stats = [traded.get(q.board.symbol[i], Traded()) for i in q.place]
        expiries = [q.board.expiry[i] for i in q.place]
        lasts = [
            s.last if s.last is not None else _number(v) for s, v in zip(stats, q.last, strict=True)
        ]
        frame = pl.DataFrame(
            {
                "instrument_name": [q.board.symbol[i] for i in q.place],
                "base_currency": coin.name,
                "quote_currency": coin.name,
                "creation_timestamp": self.ms,
                "underlying_index": [_underlying(coin, e, futures) for e in expiries],
                "underlying_price": np.round(q.forward, 4),
                "estimated_delivery_price": self.index(coin),
                "interest_rate": 0.0,
                "bid_price": q.bid,
                "ask_price": q.ask,
                "mid_price": np.round((q.bid + q.ask) / 2, 6),
                "mark_price": np.round(q.mark, 6),
                "mark_iv": np.round(100 * np.nan_to_num(q.mark_iv), 2),
                "last": pl.Series(lasts, dtype=pl.Float64),
                "high": pl.Series([s.high for s in stats], dtype=pl.Float64),
                "low": pl.Series([s.low for s in stats], dtype=pl.Float64),
                "price_change": pl.Series([s.change for s in stats], dtype=pl.Float64),
                "open_interest": np.round(q.open_interest_lots * state.coin.option_lot, 1),
                "volume": [s.amount for s in stats],
                "volume_usd": [s.usd for s in stats],
            }
        ).with_columns(pl.col(pl.Float64).fill_nan(None))
        texts: list[str] = (
            frame.select(pl.struct(pl.all()).struct.json_encode()).to_series().to_list()
        )
        return texts

    def _option_ticker(self, named: Named) -> dict[str, object]:
        state = self.state(named.coin)
        listed = chain.board(state)
        if named.symbol not in listed.symbol:
            raise invalid("instrument_name", "instrument is not open")
        place = np.array([listed.symbol.index(named.symbol)])
        if listed.expires_s[place[0]] <= self.second:
            raise invalid("instrument_name", "instrument is not open")
        q = chain.quote(state, np.array([self.second]), place)
        worth = chain.value(state, q.at_s, place)
        vols = [chain.implied(state, worth, place, price) for price in (q.bid, q.ask)]
        lot = state.coin.option_lot
        traded = self._traded(named.coin).get(named.symbol, Traded())
        delta, gamma, vega, theta, rho = mixture.greeks(
            q.forward, listed.strike[place], q.mark_iv, q.t_years, listed.is_call[place]
        )
        return {
            "instrument_name": named.symbol,
            "timestamp": self.ms - int(1_000 * min(q.lag_s[0], 8)),
            "state": "open",
            "underlying_index": _underlying(
                named.coin, listed.expiry[place[0]], set(future_expiries(self.day))
            ),
            "underlying_price": round(float(q.forward[0]), 4),
            "stats": {
                "volume": traded.amount or None,
                "volume_usd": traded.usd or None,
                "price_change": traded.change,
                "low": traded.low,
                "high": traded.high,
            },
            "settlement_price": round(float(q.mark[0]), 6),
            "open_interest": round(float(q.open_interest_lots[0]) * lot, 1),
            "min_price": 0.0001,
            "max_price": round(float(q.mark[0]) + 0.1, 4),
            "mark_price": round(float(q.mark[0]), 6),
            "mark_iv": _percent(q.mark_iv),
            "last_price": traded.last if traded.last is not None else _number(q.last[0]),
            "interest_rate": 0.0,
            "index_price": self.index(named.coin),
            "estimated_delivery_price": self.index(named.coin),
            "greeks": {
                "vega": _rounded(vega),
                "theta": _rounded(theta),
                "rho": _rounded(rho),
                "gamma": _rounded(gamma),
                "delta": _rounded(delta),
            },
            # the venue writes zero where nobody quotes
            "bid_iv": _percent(vols[0]),
            "ask_iv": _percent(vols[1]),
            "best_bid_price": float(np.nan_to_num(q.bid[0])),
            "best_bid_amount": _amount(q.bid[0], q.bid_lots[0], lot),
            "best_ask_price": float(np.nan_to_num(q.ask[0])),
            "best_ask_amount": _amount(q.ask[0], q.ask_lots[0], lot),
        }

    def _option_levels(self, named: Named, depth: int) -> tuple[list[object], list[object]]:
        """A few levels behind the best quote, each a tick further and twice as large."""
        ticker, sides = self._option_ticker(named), []
        for side, step in (("bid", -1), ("ask", 1)):
            price, amount = (ticker[f"best_{side}_{name}"] for name in ("price", "amount"))
            levels: list[object] = []
            for _ in range(min(depth, OPTION_LEVELS)):
                if not isinstance(price, float) or not isinstance(amount, float) or price <= 0:
                    break
                levels.append([price, amount])
                tick = float(chain.tick(np.array(price)))
                price, amount = round(price + step * tick, 4), round(2 * amount, 1)
            sides.append(levels)
        return sides[0], sides[1]


@dataclass(frozen=True, slots=True)
class Traded:
    """What traded of an instrument in the last 24 hours; None where nothing did."""

    amount: float = 0.0
    usd: float = 0.0
    volume_coin: float = 0.0
    low: float | None = None
    high: float | None = None
    last: float | None = None
    change: float | None = None


def traded_24h(history: History, coin: Coin, now_us: int) -> dict[str, Traded]:
    """By instrument; instruments without a print are absent."""
    parts = []
    for day in (day_of(now_us - DAY_US), day_of(now_us)):
        tape = history.tape(coin, day)
        rows = np.flatnonzero((tape.at_us > now_us - DAY_US) & (tape.at_us <= now_us))
        is_option = tape.is_option[tape.symbol[rows]]
        amount, price = tape.amount[rows], tape.price[rows]
        parts.append(
            pl.DataFrame(
                {
                    "symbol": pl.Series(tape.symbols, dtype=pl.String).gather(tape.symbol[rows]),
                    "price": price,
                    "amount": amount,
                    "usd": np.where(is_option, amount * price * tape.index[rows], amount),
                    "coin": np.where(is_option, amount, amount / price),
                }
            )
        )
    sums = (
        pl.concat(parts)
        .group_by("symbol", maintain_order=True)
        .agg(
            pl.col("amount").sum().round(1),
            pl.col("usd").sum().round(2),
            pl.col("coin").sum().round(8),
            pl.col("price").min().alias("low"),
            pl.col("price").max().alias("high"),
            pl.col("price").last().alias("last"),
            (100 * (pl.col("price").last() / pl.col("price").first() - 1)).round(4).alias("change"),
        )
    )
    return {row[0]: Traded(*row[1:]) for row in sums.iter_rows()}


def volatility_index(history: History, coin: Coin, at_us: int) -> float:
    """Model-free volatility over 30 days in percent: minus twice the mean log return."""
    state = history.state(coin, day_of(at_us))
    t_years = 30 / 365
    variance = state.variance_at(np.array([second_of(at_us)]))
    s = mixture.total_deviation(state.parameters, variance, t_years)
    means = np.log(mixture.component_forwards(state.parameters, s))
    means -= 0.5 * (s[..., None] * state.parameters.widths) ** 2
    total = -2 * float(means[0] @ state.parameters.weights)
    return round(100 * float(np.sqrt(total / t_years)), 2)


def _json(body: object) -> Answer:
    return Answer(json.dumps(body, separators=(",", ":")))


def _levels(side: Side, unit: int, depth: int) -> list[object]:
    pairs = zip(side.price[:depth], side.lots[:depth], strict=True)
    return [[float(price), float(lots * unit)] for price, lots in pairs]


def _underlying(coin: Coin, expiry: date, futures: set[date]) -> str:
    name = f"{coin.name}-{venue_date(expiry)}"
    return name if expiry in futures else f"SYN.{name}"


def _number(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _percent(vol: Floats) -> float:
    return round(100 * float(np.nan_to_num(vol[0])), 2)


def _rounded(value: Floats) -> float:
    return round(float(np.nan_to_num(value[0])), 5)


def _amount(price: float, lots: int, lot: float) -> float:
    return 0.0 if np.isnan(price) else round(float(lots) * lot, 1)
