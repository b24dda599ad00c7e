"""What do the cells of a Tardis file mean, in the contract's units?

Each function takes rows with the file's cells, `stamped_at`, `received_at` and the facts of their
instruments, and adds the columns of the tables it fills.
"""

import polars as pl

from expectations.gate import ROW_NUMBER
from warehouse.contract import FUNDING, INSTANT, OPTION_QUOTES, QUOTES, TRADES

Tables = dict[str, pl.DataFrame]

GRID_US = 300 * 10**6
DERIBIT_FUNDING_S = 28_800  # `current_funding`: the rate per eight hours that is in force


def trades(rows: pl.DataFrame) -> Tables:
    """Prints. Amounts are US dollars on Deribit's inverse futures, contracts on Binance's."""
    usd, base = _sizes("amount", "price")
    sized = pl.col("kind") != "option"  # an option's size in dollars needs the index
    return {
        TRADES.name: rows.with_columns(
            trade_id="id",
            event_at="stamped_at",
            side=pl.when(pl.col("side").is_in(["buy", "sell"])).then("side"),
            quantity_base=base,
            quantity_contracts=_contracts("amount"),
            notional_usd=pl.when(sized).then(usd),
            is_block=pl.lit(False),
            is_liquidation=pl.lit(False),
        )
    }


def quotes(rows: pl.DataFrame) -> Tables:
    """Best bid and ask at each change: Tardis rebuilds the book, and records every one.

    Of several changes of one stamp the last is kept, so that one is missing before it. Whether the
    rows before these had the stamp of the first ones is not known: an instrument's first row is
    taken for one that follows a missing change.
    """
    stamp = pl.struct("instrument_id", "stamped_at")
    is_first = pl.col("instrument_id").is_first_distinct() & (pl.col(ROW_NUMBER) > 1)
    return {
        QUOTES.name: rows.with_columns(
            snapshot_at="stamped_at",
            bid_price=_known("bid_price"),
            bid_quantity_base=_quoted("bid"),
            ask_price=_known("ask_price"),
            ask_quantity_base=_quoted("ask"),
            is_every_update=~(stamp.is_duplicated() | is_first),
        )
    }


def derivative_ticker(rows: pl.DataFrame) -> Tables:
    """Marks, index, last price and open interest; and the funding rate in force, when it changes.

    Deribit publishes its current rate per eight hours; Binance's is the forecast of the next
    settlement, whose interval the file does not state.
    """
    usd, base = _sizes("open_interest", "mark_price")
    states = rows.with_columns(
        snapshot_at="stamped_at",
        mark_price=_known("mark_price"),
        index_price=_known("index_price"),
        last_price=_known("last_price"),
        open_interest_contracts=_contracts("open_interest"),
        open_interest_base=base,
        open_interest_usd=usd,
    )
    rate = pl.col("funding_rate")
    is_change = rate.ne_missing(rate.shift(1).over("instrument_id"))
    rates = states.filter(rate.is_not_null() & is_change).with_columns(
        kind=pl.lit("indicative"),
        event_at="stamped_at",
        rate="funding_rate",
        interval_s=pl.when(venue="deribit").then(DERIBIT_FUNDING_S),
    )
    return {QUOTES.name: states, FUNDING.name: rates}


def options_chain(rows: pl.DataFrame) -> Tables:
    """States of options, each under the first point of the five-minute grid that knows it.

    Deribit's volatilities are percent. A price or volatility of zero says that there is none.
    """
    percent = pl.when(venue="deribit").then(100.0).otherwise(1.0)
    arrival = pl.col("received_at").dt.epoch("us")
    return {
        OPTION_QUOTES.name: rows.with_columns(
            snapshot_at=(-(-arrival // GRID_US) * GRID_US).cast(INSTANT),
            quoted_at="stamped_at",
            bid_price=_known("bid_price"),
            bid_quantity_base=_quoted("bid"),
            ask_price=_known("ask_price"),
            ask_quantity_base=_quoted("ask"),
            mark_price=_known("mark_price"),
            last_price=_known("last_price"),
            price_unit=pl.when("is_inverse").then(pl.lit("coin")).otherwise(pl.lit("usd")),
            venue_iv_bid=_known("bid_iv") / percent,
            venue_iv_mark=_known("mark_iv") / percent,
            venue_iv_ask=_known("ask_iv") / percent,
            venue_delta="delta",
            venue_gamma="gamma",
            venue_vega="vega",
            venue_theta="theta",
            underlying_price=_known("underlying_price"),
            open_interest_contracts=_contracts("open_interest"),
            open_interest_base="open_interest",
            open_interest_usd=pl.col("open_interest") * _known("underlying_price"),
        )
    }


def _known(name: str) -> pl.Expr:
    """The positive value; zero stands for none."""
    return pl.when(pl.col(name) != 0).then(pl.col(name))


def _quoted(side: str) -> pl.Expr:
    """Size at the best price in base coin, where there is a price."""
    _, base = _sizes(f"{side}_amount", f"{side}_price")
    return pl.when(_known(f"{side}_price").is_not_null()).then(base)


def _sizes(amount: str, price: str) -> tuple[pl.Expr, pl.Expr]:
    """An amount in US dollars and in base coin.

    Inverse perpetuals and futures are sized in dollars by Deribit and in contracts by Binance;
    options and everything linear in the base coin.
    """
    is_dollars = pl.col("is_inverse") & (pl.col("kind") != "option")
    in_dollars = (
        pl.when(venue="deribit").then(amount).otherwise(pl.col(amount) * pl.col("contract_size"))
    )
    linear = pl.when("is_dollar").then(pl.col(amount) * pl.col(price))
    usd = pl.when(is_dollars).then(in_dollars).otherwise(linear)
    base = pl.when(is_dollars).then(in_dollars / _known(price)).otherwise(amount)
    return usd, base


def _contracts(amount: str) -> pl.Expr:
    """The amount in contracts: Binance's inverse amounts are contracts, its linear ones coins."""
    of_deribit = pl.col(amount) / pl.col("contract_size")
    is_inverse_there = pl.col("is_inverse") & (pl.col("venue") == "binance")
    return pl.when(venue="deribit").then(of_deribit).when(is_inverse_there).then(pl.col(amount))
