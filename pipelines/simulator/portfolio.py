"""Which positions does the demonstration hold? Two option books, one of them hedged at first."""

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


# (days to expiry at least, moneyness of the strike, call?, lots)
PLANS = {
    "BTC": (
        (3, 1.0, True, -150),
        (3, 1.0, False, -150),
        (14, 0.9, False, 100),
        (60, 1.1, True, -40),
    ),
    "ETH": (
        (3, 1.0, True, -300),
        (3, 1.0, False, -300),
        (14, 1.1, True, 200),
        (14, 0.85, False, 150),
    ),
}
EQUITY = {"BTC": 40.0, "ETH": 800.0}
# Delta at the day's start, coins. The ETH book wants an order all day, also while its perpetual's
# prices are missing: that order must be blocked.
DELTA = {"BTC": 0.0, "ETH": -250.0}


def write(folder: Path, states: dict[str, State], day: date) -> list[Path]:
    """`positions.csv` and `balances.csv`, both as of the day's first instant."""
    books = {name: legs(states[name], day) for name in PLANS}
    positions = pl.concat([_positions(states[n], b, day) for n, b in books.items()])
    balances = pl.concat([_balance(name, book, day) for name, book in books.items()])
    target = folder / "portfolio"
    target.mkdir(parents=True, exist_ok=True)
    paths = []
    for name, frame in (("positions", positions), ("balances", balances)):
        paths.append(target / f"{name}.csv")
        paths[-1].write_bytes(files.csv(frame))
    return paths


def legs(state: State, day: date) -> list[Leg]:
    """The planned options on the nearest listed strikes, priced at the day's start."""
    p, board, found = state.parameters, chain.board(state), []
    listed = expiries.expiries(day, state.size)
    for days_ahead, moneyness, is_call, lots in PLANS[state.coin.name]:
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


def _positions(state: State, book: list[Leg], day: date) -> pl.DataFrame:
    name, contract = state.coin.name, state.coin.perpetual_contract_usd
    board = chain.board(state)
    perpetual = float(state.perpetual("deribit", np.array([0.0]))[0])
    net_coins = EQUITY[name] + sum(leg.coin_delta for leg in book)
    contracts = round((DELTA[name] - net_coins) * perpetual / contract)
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
    rows.append((f"deribit:{name}/USD:{name}", float(contracts), None, round(perpetual, 2)))
    columns = ["instrument_id", "quantity_contracts", "quantity_base", "entry_price"]
    return pl.DataFrame(rows, schema=columns, orient="row", infer_schema_length=None).select(
        pl.lit(f"demo-{name.lower()}").alias("portfolio_id"),
        pl.lit(_stamp(day)).alias("as_of_at"),
        *columns,
        pl.lit("cross").alias("margin_mode"),
    )


def _balance(name: str, book: list[Leg], day: date) -> pl.DataFrame:
    premium = sum(leg.quantity * leg.mark for leg in book)
    return pl.DataFrame(
        {
            "portfolio_id": [f"demo-{name.lower()}"],
            "as_of_at": [_stamp(day)],
            "coin": [name],
            # equity is cash and what the options are worth
            "cash": [round(EQUITY[name] - premium, 8)],
            "equity": [EQUITY[name]],
            "haircut": [0.0],
        }
    )


def _stamp(day: date) -> str:
    return instant(day, 0).strftime("%Y-%m-%dT%H:%M:%SZ")
