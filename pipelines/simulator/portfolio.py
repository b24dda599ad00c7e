"""Which positions does the demonstration hold? Two option books, and an account too small."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path

import numpy as np
import polars as pl

from pipelines.simulator import chain, expiries, files, mixture
from pipelines.simulator.expiries import Board
from pipelines.simulator.paths import State
from pipelines.simulator.world import instant


@dataclass(frozen=True, slots=True)
class Leg:
    """An option position: `place` on the board, signed quantity in coin, price paid in coin."""

    place: int
    quantity: float
    mark: float
    coin_delta: float  # of the whole leg, premium included


@dataclass(frozen=True, slots=True)
class Account:
    """What an account holds at the day's start.

    `plan` lists options as (days to expiry at least, moneyness of the strike, call?, lots); `delta`
    is what a perpetual brings the account to, in coin, None where it holds none.
    """

    portfolio_id: str
    coin: str
    plan: tuple[tuple[int, float, bool, int], ...]
    equity: float
    delta: float | None


ACCOUNTS = (
    Account(
        "demo-btc",
        "BTC",
        (
            (3, 1.0, True, -150),
            (3, 1.0, False, -150),
            (14, 0.9, False, 100),
            (60, 1.1, True, -40),
        ),
        equity=40.0,
        delta=0.0,
    ),
    # It wants an order all day, also while its perpetual's prices are missing: that order must be
    # blocked.
    Account(
        "demo-eth",
        "ETH",
        (
            (3, 1.0, True, -300),
            (3, 1.0, False, -300),
            (14, 1.1, True, 200),
            (14, 0.85, False, 150),
        ),
        equity=800.0,
        delta=-250.0,
    ),
    # A risk so small that removing it costs more: that order must be blocked too.
    Account("demo-small", "BTC", ((14, 1.0, True, 1),), equity=0.02, delta=None),
)


def write(folder: Path, states: dict[str, State], day: date) -> list[Path]:
    """`positions.csv` and `balances.csv` of the coins in `states`, as of the day's start."""
    accounts = [account for account in ACCOUNTS if account.coin in states]
    books = [(account, legs(account, states[account.coin], day)) for account in accounts]
    positions = pl.concat([_positions(a, states[a.coin], book, day) for a, book in books])
    balances = pl.concat([_balance(account, book, day) for account, book in books])
    target = folder / "portfolio"
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, frame in (("positions", positions), ("balances", balances)):
        paths.append(target / f"{name}.csv")
        paths[-1].write_bytes(files.csv(frame))
    return paths


def legs(account: Account, state: State, day: date) -> list[Leg]:
    """The planned options on the nearest listed strikes, priced at the day's start."""
    p, board, found = state.parameters, chain.board(state), []
    listed = expiries.expiries(day, state.size)
    for days_ahead, moneyness, is_call, lots in account.plan:
        expiry = next(e for e in listed if (e - day).days >= days_ahead)
        expires_s = expiries.expiry_seconds(day, expiry)
        forward = float(state.forward(np.array(0.0), np.array(expires_s)))
        fits = np.flatnonzero((board.expires_s == expires_s) & (board.is_call == is_call))
        place = int(fits[np.argmin(np.abs(board.strike[fits] - moneyness * forward))])
        strike, t_years = board.strike[place], mixture.years(expires_s)
        deviation = mixture.total_deviation(p, state.variance_at(np.array(0.0)), t_years)
        usd = mixture.price(p, forward, strike, deviation, is_call)
        vol = mixture.implied_vol(usd, forward, strike, t_years, is_call)
        delta = mixture.greeks(np.array(forward), strike, vol, t_years, np.array(is_call))[0]
        quantity = round(lots * state.coin.option_lot, 1)
        mark = float(usd) / forward
        found.append(Leg(place, quantity, mark, quantity * (float(delta) - mark)))
    return found


def unified_symbol(board: Board, place: int, coin: str) -> str:
    """`deribit:BTC/USD:BTC-240927-60000-C`."""
    letter = "C" if board.is_call[place] else "P"
    return (
        f"deribit:{coin}/USD:{coin}-{board.expiry[place]:%y%m%d}-{board.strike[place]:.0f}-{letter}"
    )


def _positions(account: Account, state: State, book: list[Leg], day: date) -> pl.DataFrame:
    name, board = state.coin.name, chain.board(state)
    last = len(book) - 1  # sized in coin, the others in contracts: both spellings occur in practice
    rows = [
        (
            unified_symbol(board, leg.place, name),
            None if i == last else leg.quantity,
            leg.quantity if i == last else None,
            round(leg.mark, 4),
        )
        for i, leg in enumerate(book)
    ]
    if account.delta is not None:
        perpetual = float(state.perpetual("deribit", np.array([0.0]))[0])
        net_coins = account.equity + sum(leg.coin_delta for leg in book)
        contracts = (account.delta - net_coins) * perpetual / state.coin.perpetual_contract_usd
        hedge = float(round(contracts))
        rows.append((f"deribit:{name}/USD:{name}", hedge, None, round(perpetual, 2)))
    schema = {
        "instrument_id": pl.String,
        "quantity_contracts": pl.Float64,
        "quantity_base": pl.Float64,
        "entry_price": pl.Float64,
    }
    return pl.DataFrame(rows, schema=schema, orient="row").select(
        pl.lit(account.portfolio_id).alias("portfolio_id"),
        pl.lit(_stamp(day)).alias("as_of_at"),
        *schema,
        pl.lit("cross").alias("margin_mode"),
    )


def _balance(account: Account, book: list[Leg], day: date) -> pl.DataFrame:
    premium = sum(leg.quantity * leg.mark for leg in book)
    return pl.DataFrame(
        {
            "portfolio_id": [account.portfolio_id],
            "as_of_at": [_stamp(day)],
            "coin": [account.coin],
            # equity is cash and what the options are worth
            "cash": [round(account.equity - premium, 8)],
            "equity": [account.equity],
            "haircut": [0.0],
        }
    )


def _stamp(day: date) -> str:
    return instant(day, 0).strftime("%Y-%m-%dT%H:%M:%SZ")
