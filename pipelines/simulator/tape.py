"""What does each venue's tape of a day look like? Its own ids, stamps and marks, in columns."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import polars as pl

from pipelines.simulator import chain, options, prints
from pipelines.simulator.expiries import Board
from pipelines.simulator.levels import place
from pipelines.simulator.listings import of_market
from pipelines.simulator.paths import State
from pipelines.simulator.prints import Prints
from pipelines.simulator.world import Floats, Ints, epoch_us

IDS_PER_DAY = 10_000_000  # more than any day has prints
NO_KIND = -1


@dataclass(frozen=True, slots=True)
class CurrencyTape:
    """All prints of one coin at Deribit on one day, in the order in which they left the engine.

    `symbols` are the day's instruments; `symbol` is each print's place among them. `rows_of` finds
    one instrument's prints, ordered by sequence.
    """

    day: date
    symbols: tuple[str, ...]
    instrument_ids: tuple[str, ...]
    is_option: np.ndarray  # per symbol
    first_seq: Ints  # per symbol: sequence of the day's first print
    count: Ints  # per symbol
    symbol: Ints
    sequence: Ints
    trade_id: Ints
    at_us: Ints  # since 1970
    sign: Ints
    price: Floats
    amount: Floats  # USD of perpetuals and futures, coin of options
    mark: Floats
    index: Floats
    iv: Floats  # decimal; NaN but for options
    is_block: np.ndarray
    is_forced: np.ndarray
    kind: Ints  # of order flow; NO_KIND for options
    tick_direction: Ints
    by_symbol: Ints  # row numbers ordered by symbol and sequence

    def __len__(self) -> int:
        return len(self.symbol)

    def rows_of(self, symbol: int) -> Ints:
        start = int(self.count[:symbol].sum())
        return self.by_symbol[start : start + int(self.count[symbol])]


def currency_tape(state: State) -> CurrencyTape:
    """Everything of the coin that traded at Deribit on the state's day."""
    markets = [m for m in of_market("deribit", state.day) if m.coin is state.coin]
    futures = [prints.prints(state, market) for market in markets]
    listed, traded = chain.board(state), options.prints(state)
    counts = [len(p) for p in futures]
    first = [int(p.trade_id[0]) if len(p) else 1 for p in futures]
    symbol = np.concatenate(
        [np.repeat(np.arange(len(futures)), counts), traded.place + len(futures)]
    )
    columns = _future_columns(state, futures)
    lot = state.coin.option_lot
    merged = {
        "sequence": np.concatenate([columns["sequence"], traded.sequence]),
        "at_us": np.concatenate([columns["at_us"], traded.at_us]),
        "sign": np.concatenate([columns["sign"], traded.sign]),
        "price": np.concatenate([columns["price"], traded.price]),
        "amount": np.concatenate([columns["amount"], np.round(traded.lots * lot, 1)]),
        "mark": np.concatenate([columns["mark"], np.round(traded.mark, 6)]),
        "iv": np.concatenate([columns["iv"], np.round(traded.iv, 4)]),
        "is_block": np.concatenate([columns["is_block"], traded.is_block]),
        "is_forced": np.concatenate([columns["is_forced"], np.zeros(len(traded), bool)]),
        "kind": np.concatenate([columns["kind"], np.full(len(traded), NO_KIND)]),
    }
    order = np.argsort(merged["at_us"], kind="stable")
    symbol = symbol[order]
    merged = {name: values[order] for name, values in merged.items()}
    by_symbol = np.lexsort((merged["sequence"], symbol))
    return CurrencyTape(
        day=state.day,
        symbols=(*(m.symbol for m in markets), *listed.symbol),
        instrument_ids=(
            *(m.instrument_id for m in markets),
            *(unified(state, listed, i) for i in range(len(listed))),
        ),
        is_option=np.arange(len(markets) + len(listed)) >= len(markets),
        first_seq=np.concatenate([first, listed.first_seq]).astype(np.int64),
        count=np.concatenate([counts, listed.count]).astype(np.int64),
        symbol=symbol,
        trade_id=place(state.day) * IDS_PER_DAY + np.arange(len(symbol)),
        index=np.round(state.spot(merged["at_us"] / 1e6), 2),
        tick_direction=_tick_direction(merged["price"], symbol, by_symbol),
        by_symbol=by_symbol,
        **{**merged, "at_us": merged["at_us"] + epoch_us(state.day)},
    )


def _future_columns(state: State, futures: list[Prints]) -> dict[str, np.ndarray]:
    def joined(parts: list[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts) if parts else np.zeros(0)

    marks = [np.round(state.fair(p.listing, p.at_us / 1e6), 2) for p in futures]
    return {
        "sequence": joined([p.trade_id for p in futures]),
        "at_us": joined([p.at_us for p in futures]),
        "sign": joined([p.sign for p in futures]),
        "price": joined([p.price for p in futures]),
        "amount": joined([(p.lots * p.listing.contract_usd).astype(float) for p in futures]),
        "mark": joined(marks),
        "iv": joined([np.full(len(p), np.nan) for p in futures]),
        "is_block": joined([p.is_block for p in futures]),
        "is_forced": joined([p.is_forced for p in futures]),
        "kind": joined([p.kind for p in futures]),
    }


def _tick_direction(price: Floats, symbol: Ints, by_symbol: Ints) -> Ints:
    """Deribit's codes: 0 plus, 1 zero-plus, 2 minus, 3 zero-minus, against the print before."""
    ordered = price[by_symbol]
    same = symbol[by_symbol][1:] == symbol[by_symbol][:-1]
    change = np.concatenate([[0], np.where(same, np.sign(np.diff(ordered)), 0)])
    # an unchanged price takes the direction of the last change
    moved = np.where(change != 0, np.arange(len(change)), 0)
    last = change[np.maximum.accumulate(moved)]
    codes = np.select([change > 0, change < 0, last >= 0], [0, 2, 1], 3)
    found = np.empty(len(codes), dtype=np.int64)
    found[by_symbol] = codes
    return found


def unified(state: State, listed: Board, place: int) -> str:
    """`deribit:BTC/USD:BTC-240927-60000-C`."""
    coin, letter = state.coin.name, "C" if listed.is_call[place] else "P"
    strike, expiry = listed.strike[place], listed.expiry[place]
    return f"deribit:{coin}/USD:{coin}-{expiry:%y%m%d}-{strike:.0f}-{letter}"


def trade_name(coin: str, number: int) -> str:
    """Deribit's spelling of a trade id: bare for BTC, with the coin for others."""
    return str(number) if coin == "BTC" else f"{coin}-{number}"


def truth(coin: str, tape: CurrencyTape) -> pl.DataFrame:
    """The tape as rows of the lake would have it, with the origin of each print."""
    names = np.array([*prints.KINDS, "option"])
    is_option = tape.is_option[tape.symbol]
    dollars = tape.amount / tape.price
    prefix = "" if coin == "BTC" else f"{coin}-"
    return pl.DataFrame(
        {
            "instrument_id": pl.Series(tape.instrument_ids, dtype=pl.String).gather(tape.symbol),
            "trade_id": prefix + pl.Series(tape.trade_id).cast(pl.String),
            "sequence": tape.sequence,
            "event_at": pl.Series(tape.at_us).cast(pl.Datetime("us", "UTC")),
            "side": pl.Series(np.where(tape.sign > 0, "buy", "sell")),
            "price": tape.price,
            "quantity_base": np.where(is_option, tape.amount, dollars),
            "is_block": pl.Series(tape.is_block),
            "is_liquidation": pl.Series(tape.is_forced),
            "origin": pl.Series(names[tape.kind]),
        }
    )


# ---------- Binance: orders aggregated by price, and the fills behind them


def first_fill(order_id: Ints) -> Ints:
    """Id of the first fill behind an aggregate: every eighth aggregate has two fills.

    >>> first_fill(np.arange(2, 6)).tolist()
    [2, 3, 5, 6]
    """
    ids = np.asarray(order_id)
    return np.asarray(ids + (ids + 4) // 8)


def order_truth(state: State, p: Prints) -> pl.DataFrame:
    """Binance's aggregates as rows of the lake; stamps in whole milliseconds."""
    frame = prints.truth(state, p).with_columns(
        pl.col("event_at").dt.truncate("1ms"), pl.Series("sequence", p.trade_id)
    )
    return frame.select(
        "instrument_id", "trade_id", "sequence", "event_at", "side", "price", "quantity_base",
        "is_block", "is_liquidation", "origin",
    )  # fmt: skip


def is_double(order_id: Ints) -> np.ndarray:
    """Whether an aggregate has two fills."""
    return np.asarray(np.asarray(order_id) % 8 == 3)
