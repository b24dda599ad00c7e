"""How does Tardis spell what Deribit said? Microsecond stamps, sorted by time of arrival."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.simulator import books, chain, expiries, files, funding, mixture, tape
from pipelines.simulator.chain import Quotes
from pipelines.simulator.history import History
from pipelines.simulator.listings import of_market
from pipelines.simulator.paths import State
from pipelines.simulator.prints import Prints, best_ticks
from pipelines.simulator.world import COINS, DAY_S, Floats, Ints, Listing, epoch_us, instant, stream

SILENT_COIN = "ETH"
SILENT_FROM_S, SILENT_UNTIL_S = 10 * 3_600, 12.5 * 3_600
TICKER_STEP_S = 60.0
OPEN_INTEREST_USD = {"BTC": 900_000_000, "ETH": 350_000_000}


@dataclass(frozen=True, slots=True)
class Silence:
    """A stretch in which the recorder of one instrument was deaf."""

    instrument_id: str
    started_at: datetime
    ended_at: datetime


def silence(day: date) -> Silence:
    """When nothing of the silent coin's perpetual was recorded."""
    return Silence(
        f"deribit:{SILENT_COIN}/USD:{SILENT_COIN}",
        instant(day, SILENT_FROM_S),
        instant(day, SILENT_UNTIL_S),
    )


def path(folder: Path, kind: str, day: date, group: str) -> Path:
    """The name of a downloaded Tardis file."""
    return folder / "tardis" / f"deribit_{kind}_{day.isoformat()}_{group}.csv.gz"


def is_silent(symbol: str, at: Floats) -> np.ndarray:
    """Whether the recorder heard nothing of `symbol` then (seconds after midnight)."""
    if symbol != f"{SILENT_COIN}-PERPETUAL":
        return np.zeros(len(at), dtype=bool)
    return (at >= SILENT_FROM_S) & (at < SILENT_UNTIL_S)


def _frame(symbols: pl.Series, at_us: Ints, delay_us: Ints, day: date) -> pl.DataFrame:
    """The columns that open every file: venue stamps in whole ms, arrival a little later."""
    stamp = at_us // 1_000 * 1_000 + epoch_us(day)
    return pl.DataFrame(
        {
            "exchange": pl.repeat("deribit", len(at_us), eager=True),
            "symbol": symbols,
            "timestamp": stamp,
            "local_timestamp": stamp + delay_us,
        }
    )


def _us(seconds: Floats) -> Ints:
    return np.round(seconds * 1e6).astype(np.int64)


def _delays(rng: np.random.Generator, count: int) -> Ints:
    return rng.integers(3_000, 45_000, count)


def _sorted(parts: list[pl.DataFrame], day: date) -> pl.DataFrame:
    """By arrival; a row that arrives after midnight belongs to the next day's file."""
    end = epoch_us(day) + DAY_S * 1_000_000
    rows = pl.concat(parts).filter(pl.col("local_timestamp") < end)
    return rows.sort("local_timestamp", "symbol", maintain_order=True)


def _markets(state: State) -> list[Listing]:
    return [m for m in of_market("deribit", state.day) if m.coin is state.coin]


def _best(state: State, listing: Listing, at: Floats) -> tuple[Floats, Floats]:
    bid, ask = best_ticks(state, listing, at)
    return np.round(bid * listing.tick, 2), np.round(ask * listing.tick, 2)


def quotes(
    states: dict[str, State],
    seed: int,
    day: date,
    step_s: float = 1.0,
    *,
    is_deaf: bool = True,
    streamed: Mapping[str, pl.DataFrame] | None = None,
) -> pl.DataFrame:
    """Top of book of perpetuals and futures every `step_s` seconds, amounts in USD.

    Of symbols that are `streamed` these rows instead. A recorder that `is_deaf` misses the planted
    silence.
    """
    parts = []
    for state in states.values():
        for listing in _markets(state):
            if streamed and listing.symbol in streamed:
                rows = streamed[listing.symbol]
                at = (rows["timestamp"] - epoch_us(day)).to_numpy() / 1e6
                parts.append(rows.filter(~is_silent(listing.symbol, at)) if is_deaf else rows)
                continue
            rng = stream(seed, listing.symbol, "quotes")
            at = np.arange(0.5, DAY_S - 1, step_s)
            if is_deaf:
                at = at[~is_silent(listing.symbol, at)]
            if listing.expires == day:
                at = at[at < expiries.EXPIRY_S]
            bid, ask = books.best(state, listing, at)
            unit = listing.contract_usd
            name = pl.repeat(listing.symbol, len(at), eager=True)
            parts.append(
                _frame(name, _us(at), _delays(rng, len(at)), day).with_columns(
                    ask_amount=pl.Series((ask.lots * unit).astype(float)),
                    ask_price=pl.Series(ask.price),
                    bid_price=pl.Series(bid.price),
                    bid_amount=pl.Series((bid.lots * unit).astype(float)),
                )
            )
    return _sorted(parts, day)


def derivative_ticker(states: dict[str, State], seed: int, day: date) -> pl.DataFrame:
    """Funding, open interest (USD), last, index and mark of perpetuals and futures each minute."""
    parts = []
    for state in states.values():
        for place, instrument in enumerate(_markets(state)):
            rng = stream(seed, instrument.symbol, "ticker")
            at = np.arange(1.0, DAY_S, TICKER_STEP_S)
            at = at + rng.uniform(0, 5, len(at))
            at = at[~is_silent(instrument.symbol, at)]
            index, mark = state.spot(at), state.fair(instrument, at)
            last = _best(state, instrument, at)[int(rng.integers(2))]
            unit = state.coin.perpetual_contract_usd
            walk = np.cumsum(rng.normal(0, 2e-4, len(at)))
            interest = OPEN_INTEREST_USD[state.coin.name] / (1, 6, 4, 8)[place] * np.exp(walk)
            rate = funding.damped_rate(mark / index - 1).round(8)
            is_perpetual = instrument.expires is None
            name = pl.repeat(instrument.symbol, len(at), eager=True)
            parts.append(
                _frame(name, _us(at), _delays(rng, len(at)), day).with_columns(
                    # the venue pays continuously: there is no settlement time and no forecast
                    funding_timestamp=pl.lit(None, pl.Int64),
                    funding_rate=pl.Series(rate if is_perpetual else np.full(len(at), np.nan)),
                    predicted_funding_rate=pl.lit(None, pl.Float64),
                    open_interest=pl.Series(unit * np.round(interest / unit)),
                    last_price=pl.Series(last),
                    index_price=pl.Series(index.round(2)),
                    mark_price=pl.Series(mark.round(2)),
                )
            )
    return _sorted(parts, day).with_columns(pl.col("funding_rate").fill_nan(None))


def trades(prints: list[Prints], seed: int, day: date) -> pl.DataFrame:
    """Prints of the perpetuals; amounts in US dollars, ids as the venue numbers them."""
    parts = []
    for p in prints:
        rng = stream(seed, p.listing.symbol, "arrival")
        prefix = "" if p.listing.coin.name == "BTC" else f"{p.listing.coin.name}-"
        name = pl.repeat(p.listing.symbol, len(p), eager=True)
        # prints of one sweep share a message, and messages arrive in order
        message = np.cumsum(np.diff(p.at_us, prepend=-1) > 0) - 1
        arrived = np.maximum.accumulate(p.at_us + _delays(rng, len(p))[message])
        parts.append(
            _frame(name, p.at_us, arrived - p.at_us, day)
            .with_columns(
                id=pl.Series(p.trade_id).cast(pl.String).str.replace("^", prefix),
                side=pl.Series(np.where(p.sign > 0, "buy", "sell")),
                price=pl.Series(p.price),
                amount=pl.Series(p.lots * p.listing.contract_usd),
            )
            .filter(~pl.Series(is_silent(p.listing.symbol, p.at_us / 1e6)))
        )
    return _sorted(parts, day)


def option_trades(states: list[State], seed: int, day: date) -> pl.DataFrame:
    """Prints of options; prices and amounts in coin."""
    parts = []
    for state in states:
        coin, told = state.coin.name, tape.currency_tape(state)
        rows = np.flatnonzero(told.is_option[told.symbol])
        at_us = told.at_us[rows] - epoch_us(day)
        arrived = np.maximum.accumulate(at_us + _delays(stream(seed, coin, "arrival"), len(rows)))
        names = pl.Series(told.symbols, dtype=pl.String).gather(told.symbol[rows])
        ids = [tape.trade_name(coin, number) for number in told.trade_id[rows].tolist()]
        parts.append(
            _frame(names, at_us, arrived - at_us, day).with_columns(
                id=pl.Series(ids, dtype=pl.String),
                side=pl.Series(np.where(told.sign[rows] > 0, "buy", "sell")),
                price=pl.Series(told.price[rows]),
                amount=pl.Series(told.amount[rows]),
            )
        )
    return _sorted(parts, day)


def options_chain(states: list[State], snapshot_s: Floats, seed: int, day: date) -> pl.DataFrame:
    """Every listed option at every snapshot, stamped a little before it; IV in percent."""
    return _sorted(
        [_chain(state, chain.snapshot(state, snapshot_s), seed, day) for state in states], day
    )


def _chain(state: State, q: Quotes, seed: int, day: date) -> pl.DataFrame:
    rng = stream(seed, state.coin.name, "options_chain")
    on, board = q.is_listed, q.board
    option = q.place[on]
    at = (q.at_s - q.lag_s)[on]
    forward, t_years, mark_iv = q.forward[on], q.t_years[on], q.mark_iv[on]
    strike, is_call = board.strike[option], board.is_call[option]
    bid, ask, mark = q.bid[on], q.ask[on], q.mark[on].round(4)

    def percent(coin_price: Floats) -> Floats:
        known = np.nan_to_num(coin_price)
        vols = mixture.implied_vol(known * forward, forward, strike, t_years, is_call)
        return np.round(100 * vols, 2)

    indexes = [underlying_index(state, expiry) for expiry in board.expiry]
    delta, gamma, vega, theta, rho = mixture.greeks(forward, strike, mark_iv, t_years, is_call)
    lot = state.coin.option_lot
    expiration = epoch_us(day) + _us(board.expires_s)
    rows = _frame(
        pl.Series(board.symbol)[option], _us(at), _delays(rng, len(at)), day
    ).with_columns(
        type=pl.Series(np.where(is_call, "call", "put")),
        strike_price=pl.Series(strike.astype(np.int64)),
        expiration=pl.Series(expiration[option]),
        open_interest=pl.Series((q.open_interest_lots[on] * lot).round(1)),
        last_price=pl.Series(q.last[on]),
        bid_price=pl.Series(bid),
        bid_amount=pl.Series(np.where(np.isnan(bid), np.nan, (q.bid_lots[on] * lot).round(1))),
        bid_iv=pl.Series(percent(bid)),
        ask_price=pl.Series(ask),
        ask_amount=pl.Series(np.where(np.isnan(ask), np.nan, (q.ask_lots[on] * lot).round(1))),
        ask_iv=pl.Series(percent(ask)),
        mark_price=pl.Series(mark),
        mark_iv=pl.Series(np.round(100 * mark_iv, 2)),
        underlying_index=pl.Series(indexes)[option],
        underlying_price=pl.Series(forward.round(4)),
        delta=pl.Series(delta.round(5)),
        gamma=pl.Series(gamma.round(5)),
        vega=pl.Series(vega.round(5)),
        theta=pl.Series(theta.round(5)),
        rho=pl.Series(rho.round(5)),
    )
    return rows.with_columns(pl.col(pl.Float64).fill_nan(None))


def underlying_index(state: State, expiry: date) -> str:
    """The future behind an expiry, or the venue's synthetic one."""
    name = f"{state.coin.name}-{expiries.venue_date(expiry)}"
    return name if expiry in expiries.future_expiries(state.day) else f"SYN.{name}"


def write_best_quotes(folder: Path, history: History, day: date) -> Path:
    """Deribit's best quotes of every second of the day, as the venue served them."""
    states = {coin.name: history.state(coin, day) for coin in COINS}
    return files.write_gzip(
        path(folder, "quotes", day, "FUTURES"), quotes(states, history.seed, day, is_deaf=False)
    )


def write(folder: Path, day: date, tables: dict[tuple[str, str], pl.DataFrame]) -> list[Path]:
    """One file per (kind, group)."""
    return [
        files.write_gzip(path(folder, kind, day, group), frame)
        for (kind, group), frame in tables.items()
    ]
