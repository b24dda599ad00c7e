"""What all vendors share: stamps, periods, lines that do not parse, and discovery."""

from datetime import UTC, date, datetime

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import archives
from pipelines.archives.base import PER_SECOND, Lines, Period, SourceRefused, instants
from pipelines.archives.decoding import typed

SECONDS = st.integers(1_300_000_000, 4_000_000_000)
UNITS = st.sampled_from(["s", "ms", "us", "ns"])
DTYPES = {"id": pl.Int64, "price": pl.Float64, "maker": pl.Boolean}
COLUMNS = ("id", "price", "other", "maker")


@given(second=SECONDS, unit=UNITS)
def test_a_stamp_survives_in_its_own_unit_and_is_refused_in_any_other(second, unit):
    count = second * PER_SECOND[unit]
    (found,) = instants(pl.Series([count]), unit)
    assert found == datetime.fromtimestamp(second, UTC)
    for other in PER_SECOND:
        if other != unit:
            assert instants(pl.Series([count]), other).to_list() == [None]


def test_fractions_of_a_second_are_kept_to_the_microsecond():
    (ns,) = instants(pl.Series([1_723_161_257_679_123_999]), "ns")
    (ms,) = instants(pl.Series([1_723_161_257_679]), "ms")
    assert (ns.microsecond, ms.microsecond) == (679_123, 679_000)


def test_zero_and_negative_stamps_are_none():
    assert instants(pl.Series([0, -1]), "ms").to_list() == [None, None]


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("2024-07-23", date(2024, 7, 23), date(2024, 7, 24)),
        ("2024-12", date(2024, 12, 1), date(2025, 1, 1)),
        ("2024-02", date(2024, 2, 1), date(2024, 3, 1)),
    ],
)
def test_periods_are_days_or_months(text, start, end):
    assert Period.parse(text) == Period(start, end)


@pytest.mark.parametrize("text", ["2024-13", "2024-02-30", "20240701", "2024", "", "2024-1-01"])
def test_what_is_no_day_and_no_month_is_no_period(text):
    with pytest.raises(ValueError, match=r"."):
        Period.parse(text)


def test_a_clean_chunk_is_typed_and_numbered():
    frame, refused = typed(Lines(COLUMNS, b"7,1.5,x,True\n8,2,y,false\n", 11), DTYPES, DTYPES)
    assert frame.rows() == [(7, 1.5, True, 11), (8, 2.0, False, 12)]
    assert refused.is_empty()


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("7,1.5,x", "wrong_number_of_cells"),
        ("7,1.5,x,True,9", "wrong_number_of_cells"),
        ("", "wrong_number_of_cells"),
        ("seven,1.5,x,True", "id_unreadable"),
        ("7.5,1.5,x,True", "id_unreadable"),
        ("99999999999999999999,1.5,x,True", "id_unreadable"),
        ("7,1.5.2,x,True", "price_unreadable"),
        ("7,,x,True", "price_missing"),
        ("7,1.5,x,perhaps", "maker_unreadable"),
        ("\ufffd7,1.5,x,True", "id_unreadable"),
        ("7,n/a,x,True", "price_unreadable"),
    ],
)
def test_only_the_damaged_line_is_refused(line, reason):
    text = f"1,1.0,x,True\n{line}\n3,3.0,x,False\n".encode()
    frame, refused = typed(Lines(COLUMNS, text, 1), DTYPES, DTYPES)
    assert frame.rows() == [(1, 1.0, True, 1), (3, 3.0, False, 3)]
    assert refused.rows() == [(2, reason)]


def test_a_quoted_cell_may_hold_a_comma():
    frame, refused = typed(Lines(COLUMNS, b'1,1.0,"a,b",True\n', 1), DTYPES, DTYPES)
    assert frame.rows() == [(1, 1.0, True, 1)]
    assert refused.is_empty()


def test_windows_line_ends_are_read():
    frame, refused = typed(Lines(COLUMNS, b"1,1.0,x,True\r\n2,2.0,x,False\r\n", 1), DTYPES, DTYPES)
    assert frame["maker"].to_list() == [True, False]
    assert refused.is_empty()


@given(
    cells=st.lists(
        st.tuples(*(st.text('0123456789.eE+-,"tTrue ', max_size=8) for _ in COLUMNS)),
        min_size=1,
        max_size=8,
    )
)
def test_no_line_is_lost_and_none_is_counted_twice(cells):
    text = "".join(",".join(row) + "\n" for row in cells).encode()
    frame, refused = typed(Lines(COLUMNS, text, 1), DTYPES, DTYPES)
    numbers = sorted([*frame["row_number"], *refused["row_number"]])
    assert numbers == list(range(1, len(cells) + 1))
    assert not frame.select(pl.any_horizontal(pl.all().is_null().any())).item()


def test_every_module_that_recognises_files_is_found():
    assert {"binance", "portfolio", "tardis"} <= set(archives.vendors())


def test_a_file_that_no_vendor_knows_is_refused_and_named(tmp_path):
    path = tmp_path / "klines.csv"
    path.write_text("open,close\n1,2\n")
    with pytest.raises(SourceRefused, match=r"klines\.csv: unknown format; known are the files of"):
        archives.recognise(path)
