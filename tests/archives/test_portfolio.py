"""A portfolio is taken whole or refused with the row, the column and the value."""

from datetime import UTC, datetime

import polars as pl
import pytest

from pipelines.archives import portfolio
from pipelines.archives.base import SourceRefused
from pipelines.archives.portfolio import Listing

HEADER = (
    "portfolio_id,as_of_at,instrument_id,quantity_contracts,quantity_base,entry_price,margin_mode"
)
PERPETUAL, OPTION = "deribit:BTC/USD:BTC", "deribit:BTC/USD:BTC-240927-60000-C"
LINEAR, UNKNOWN_LOT = "binance:BTC/USDT:USDT", "binance:NEXO/USDT"
LISTINGS = {
    PERPETUAL: Listing("deribit", "BTC", "perp", "inverse", 10, 1),
    OPTION: Listing("deribit", "BTC", "option", "inverse", 1, 0.1),
    LINEAR: Listing("binance", "BTC", "perp", "linear", 1, 0.001),
    UNKNOWN_LOT: Listing("binance", "NEXO", "spot", None, 1, None),
}


def positions(tmp_path, *lines: str, header: str = HEADER):
    path = tmp_path / "book.csv"
    path.write_text("\n".join([header, *lines, ""]))
    statement = portfolio.recognise(path)
    assert statement is not None
    return portfolio.read(statement, portfolio.text_of(statement), LISTINGS)


def test_positions_carry_what_the_lake_knows_of_their_instrument(tmp_path):
    frame, unread = positions(
        tmp_path,
        f"book,2024-08-08T12:00:00Z,{PERPETUAL},-30,,60000,cross",
        f"book,2024-08-08T12:00:00Z,{OPTION},,1.5,,",
    )
    assert unread == ()
    first, second = frame.drop("row_number").to_dicts()
    assert first["as_of_at"] == datetime(2024, 8, 8, 12, tzinfo=UTC)
    assert (first["venue"], first["underlying"], first["quantity_contracts"]) == (
        "deribit",
        "BTC",
        -30,
    )
    assert (second["quantity_base"], second["quantity_contracts"]) == (1.5, None)


@pytest.mark.parametrize(
    ("at", "utc"),
    [
        ("2024-08-08T12:00:00Z", datetime(2024, 8, 8, 12, tzinfo=UTC)),
        ("2024-08-08 12:00", datetime(2024, 8, 8, 12, tzinfo=UTC)),
        ("2024-08-08T14:00:00+02:00", datetime(2024, 8, 8, 12, tzinfo=UTC)),
        ("2024-08-08", datetime(2024, 8, 8, tzinfo=UTC)),
    ],
)
def test_instants_are_utc_unless_they_say_otherwise(tmp_path, at, utc):
    frame, _ = positions(tmp_path, f"book,{at},{PERPETUAL},1,,,")
    assert frame["as_of_at"].to_list() == [utc]


GOOD = f"book,2024-08-08,{PERPETUAL},1,,,"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (
            "book,2024-08-08,deribit:DOGE/USD:DOGE,1,,,",
            "instrument_id: was 'deribit:DOGE/USD:DOGE'",
        ),
        (f"book,2024-08-08,{OPTION},nan,,,", "quantity_contracts: was 'nan', not a finite number"),
        (f"book,2024-08-08,{OPTION},inf,,,", "quantity_contracts: was 'inf', not a finite number"),
        (f"book,2024-08-08,{OPTION},many,,,", "quantity_contracts: was 'many', not a number"),
        (f"book,2024-08-08,{OPTION},0,,,", "quantity_contracts: was '0', and a position of zero"),
        (f"book,2024-08-08,{OPTION},,-0.0,,", "quantity_base: was '-0.0', and a position of zero"),
        (f"book,2024-08-08,{OPTION},1,1,,", "both given, one is expected"),
        (f"book,2024-08-08,{OPTION},,,,", "neither given, one is expected"),
        (f"book,2024-08-08,{OPTION},1.25,,,", r"was '1.25', not a multiple of the lot 0\.1"),
        (f"book,2024-08-08,{OPTION},,1.25,,", r"was '1.25', not a multiple of the lot 0\.1"),
        (f"book,2024-08-08,{LINEAR},,0.0005,,", r"not a multiple of the lot 0\.001"),
        (f"book,2024-08-08,{OPTION},1,,-5,", "entry_price: was '-5', out of bounds"),
        (f"book,2024-08-08,{OPTION},1,,,portfolio", "margin_mode: was 'portfolio'"),
        (f"book,2024-13-08,{OPTION},1,,,", "as_of_at: was '2024-13-08', not an ISO 8601 instant"),
        (f",2024-08-08,{OPTION},1,,,", "portfolio_id: was '', which must not be empty"),
        (f"a@b,2024-08-08,{OPTION},1,,,", "portfolio_id: was 'a@b'"),
        (GOOD, "instrument_id: was 'deribit:BTC/USD:BTC', stands in row 1 already"),
        ("book,2024-08-08", "has 2 cells, the header 7"),
    ],
)
def test_the_first_wrong_cell_refuses_the_file_by_row_column_and_value(tmp_path, line, message):
    with pytest.raises(SourceRefused, match=f"book.csv: row 2.*{message}") as refused:
        positions(tmp_path, GOOD, line)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    "line",
    [
        f"book,2024-08-08,{OPTION},-12.3,,,",  # a lot of 0.1 is no binary fraction
        f"book,2024-08-08,{LINEAR},,0.007,,",
        f"book,2024-08-08,{UNKNOWN_LOT},,0.00012345,,",
        f"book,2024-08-08,{PERPETUAL},,0.12345,,",  # coins of a contract in dollars
    ],
)
def test_a_multiple_of_the_lot_or_an_unknown_lot_is_accepted(tmp_path, line):
    frame, _ = positions(tmp_path, line)
    assert frame.height == 1


def test_a_file_without_rows_is_refused(tmp_path):
    with pytest.raises(SourceRefused, match="holds no rows"):
        positions(tmp_path)


def test_columns_that_are_not_read_are_told(tmp_path):
    _, unread = positions(tmp_path, f"{GOOD},hello", header=f"{HEADER},comment")
    assert unread == ("comment",)


def test_parquet_says_what_csv_says(tmp_path):
    lines = [
        f"book,2024-08-08T12:00:00Z,{PERPETUAL},-30,,60000.5,cross",
        f"b2,2024-08-08,{OPTION},,0.3,,",
    ]
    from_csv, _ = positions(tmp_path, *lines)
    path = tmp_path / "book.parquet"
    from_csv.select(HEADER.split(",")).write_parquet(path)
    statement = portfolio.recognise(path)
    from_parquet, _ = portfolio.read(statement, portfolio.text_of(statement), LISTINGS)
    assert from_parquet.drop("row_number").equals(from_csv.drop("row_number"))


def test_balances(tmp_path):
    path = tmp_path / "cash.csv"
    path.write_text(
        "\ufeffportfolio_id,as_of_at,coin,cash,equity,haircut\nbook,2024-08-08,BTC,-1,2.5,\n"
    )
    statement = portfolio.recognise(path)
    assert statement.table == "balances"
    frame, _ = portfolio.read(statement, portfolio.text_of(statement), {})
    (row,) = frame.to_dicts()
    assert (row["coin"], row["cash"], row["equity"], row["haircut"]) == ("BTC", -1, 2.5, None)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("book,2024-08-08,BTC,1,,", "equity: was '', which must not be empty"),
        ("book,2024-08-08,BTC,1,nan,", "equity: was 'nan', not a finite number"),
        ("book,2024-08-08,BTC,1,1,1.5", "haircut: was '1.5', out of bounds"),
        ("book,2024-08-08,,1,1,", "coin: was '', which must not be empty"),
    ],
)
def test_a_wrong_balance_is_refused(tmp_path, line, message):
    path = tmp_path / "cash.csv"
    path.write_text(f"portfolio_id,as_of_at,coin,cash,equity,haircut\n{line}\n")
    statement = portfolio.recognise(path)
    with pytest.raises(SourceRefused, match=f"row 1, {message}"):
        portfolio.read(statement, portfolio.text_of(statement), {})


def test_a_damaged_parquet_is_refused(tmp_path):
    path = tmp_path / "book.parquet"
    path.write_bytes(b"PAR1 and nothing more")
    with pytest.raises(SourceRefused, match=r"book\.parquet: is damaged"):
        portfolio.recognise(path)


def test_other_tables_are_none_of_ours(tmp_path):
    path = tmp_path / "prices.parquet"
    pl.DataFrame({"price": [1.0]}).write_parquet(path)
    assert portfolio.recognise(path) is None
    assert portfolio.recognise(tmp_path / "prices.json") is None
