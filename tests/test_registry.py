"""SQL functions: declared once, bound to DuckDB, missing values in and out, units as published."""

import duckdb
import numpy as np
import pyarrow as pa
import pytest

from warehouse.functions import black, grid, svi
from warehouse.plugins.duckdb import Plugin, bind, sql_type
from warehouse.registry import FUNCTIONS

VOGT = "-0.041, 0.1331, 0.306, 0.3586, 0.4153"


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        bind(connection)
        yield connection


def row(connection, select):
    return connection.execute(f"select {select}").fetchall()[0]


def test_every_function_is_declared_once_with_a_sentence_and_is_known_to_duckdb(connection):
    names = [f.name for f in FUNCTIONS]
    assert len(set(names)) == len(names)
    assert all(f.doc.endswith(".") and f.doc[0].isupper() for f in FUNCTIONS)
    known = connection.execute("select function_name from duckdb_functions()").fetchall()
    assert set(names) <= {name for (name,) in known}


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_null_in_is_null_out_or_a_status_and_never_an_exception(connection, function):
    nothing = [f"null::{sql_type(dtype)}" for _, dtype in function.arguments]
    (found,) = row(connection, f"{function.name}({', '.join(nothing)})")
    if isinstance(found, dict):
        found = [v for name, v in found.items() if not name.endswith(("status", "strikes_used"))]
        assert found == [None] * len(found)
    else:
        assert found in (None, [])


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: f.name)
def test_no_rows_in_are_no_rows_out_of_the_declared_type(function):
    empty = [pa.array([], type=dtype) for _, dtype in function.arguments]
    found = function.compute(*empty)
    assert len(found) == 0
    assert found.type == function.returns


def test_cursors_see_the_functions(connection):
    cursor = connection.cursor()
    assert cursor.execute("select black_price(100, 100, 1, 0.2, true)").fetchall()[0][0] > 7.9


def test_prices_and_volatilities_are_those_of_the_numerics_over_many_chunks(connection):
    found = connection.execute(
        """
        with options as (
            select 60000.0 as forward, 20000.0 + 20 * i as strike, 0.1 + i / 10000 as t_years,
                0.3 + i / 5000 as vol, i > 2000 as is_call
            from range(5000) as numbers(i)
        ),
        priced as (
            select *, black_price(forward, strike, t_years, vol, is_call) as price from options
        )
        select *, black_implied_vol(price, forward, strike, t_years, is_call) as solved from priced
        """
    ).fetchall()
    f, k, t, v, call, price, solved = zip(*found, strict=True)
    np.testing.assert_array_equal(price, black.price(f, k, t, v, call))
    np.testing.assert_allclose([s["iv"] for s in solved], v, rtol=1e-10)
    assert {s["solver_status"] for s in solved} == {"ok"}


def test_greeks_are_per_dollar_per_point_and_per_calendar_day(connection):
    (found,) = row(connection, "black_greeks(60000, 65000, 0.1, 0.6, true)")
    greeks = black.greeks(60_000, 65_000, 0.1, 0.6, True)
    assert found == {
        "delta": float(greeks.delta),
        "gamma": float(greeks.gamma),
        "vega_usd": float(greeks.vega) / 100,
        "theta_usd": float(greeks.theta) / 365,
    }


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ("null, 100, 100, 1, true", "no_quote"),
        ("'nan'::double, 100, 100, 1, true", "no_quote"),
        ("0, 100, 100, 1, true", "no_quote"),
        ("5, null, 100, 1, true", "not_finite"),
        ("5, 100, 100, 1, null", "not_finite"),
        ("5, 100, 100, -1, true", "expired"),
        ("5, 110, 100, 1, true", "below_intrinsic"),
        ("10, 110, 100, 1, true", "at_intrinsic"),
        ("100, 100, 100, 1, true", "above_bound"),
    ],
)
def test_a_price_without_a_volatility_has_null_and_a_status(connection, arguments, status):
    (found,) = row(connection, f"black_implied_vol({arguments})")
    assert found == {"iv": None, "solver_status": status}


def test_slices_are_fitted_row_by_row_from_lists_of_any_length(connection):
    found = connection.execute(
        """
        with quotes as (
            select n, k / 10.0 as k, 0.04 + n * 0.001 + 0.02 * (k / 10.0) * (k / 10.0) as w
            from range(2, 30) as counts(n), range(-20, 21) as strikes(k)
            where abs(k) < n
        )
        select n, svi_fit(list(k order by k), list(w order by k), list(1.0), 0.1) as fit
        from quotes group by n order by n
        """
    ).fetchall()
    assert found[0][1]["fit_status"] == "too_few_strikes"
    for n, fit in found[1:]:
        k = np.array([i / 10 for i in range(-20, 21) if abs(i) < n])
        alone = svi.fit(k, 0.04 + n * 0.001 + 0.02 * k * k, np.ones(k.size), 0.1)
        assert fit["fit_status"] == "ok"
        assert fit["rmse_iv"] == pytest.approx(alone.rmse_iv, rel=1e-6, abs=1e-12)
        assert fit["svi_b"] == pytest.approx(alone.params[1], rel=1e-6)


def test_lists_of_different_lengths_are_refused_by_name(connection):
    with pytest.raises(duckdb.InvalidInputException, match=r"svi_fit: lists of \[2, 1, 2\] values"):
        row(connection, "svi_fit([0.1, 0.2], [0.1], [1, 1], 0.1)")


def test_a_slice_is_read_at_strikes_deltas_and_the_forward(connection):
    params = [float(v) for v in VOGT.split(",")]
    (variance,) = row(connection, f"svi_total_variance({VOGT}, 0.25)")
    assert variance == float(svi.total_variance(params, 0.25))
    (at_delta,) = row(connection, f"svi_delta_iv({VOGT}, 1, 0.25)")
    assert (at_delta["iv"], at_delta["k"]) == tuple(map(float, svi.delta_iv(params, 1.0, 0.25)))
    (shape,) = row(connection, f"svi_slope_curvature({VOGT}, 1)")
    assert shape["skew_slope"] == pytest.approx(-0.1752111, abs=5e-8)
    (impossible,) = row(connection, f"svi_delta_iv({VOGT}, 1, 1.5)")
    assert impossible == {"iv": None, "k": None}


SURFACE = """[0.05, 0.2], [100, 101], [0.0005, null], [0.05, 0.1], [-0.3, -0.2], [0.01, 0.0],
    [0.1, 0.3], [-1, -1], [0.05, 0.08]"""


def test_a_surface_is_read_at_every_tenor_and_delta_and_says_between_which_slices(connection):
    # The second slice has no level: tenors from 0.05 years on have none after them.
    (cells,) = row(connection, f"surface_grid({SURFACE})")
    assert len(cells) == 13 * 19
    assert all(c["iv"] is None and c["is_extrapolated_strike"] is None for c in cells)
    assert {(c["before_place"], c["after_place"]) for c in cells} == {(None, 1), (1, None)}
    whole = SURFACE.replace("null", "0.006")
    (cells,) = row(connection, f"surface_grid({whole})")
    params = np.array([[0.0005, 0.006], [0.05, 0.1], [-0.3, -0.2], [0.01, 0.0], [0.1, 0.3]])
    ends = [[0.05, 0.2], [100, 101], [-1, -1], [0.05, 0.08], [0, 2]]
    expected = grid.grid(params, *ends)
    assert [c["iv"] for c in cells] == [None if np.isnan(v) else v for v in expected.iv.ravel()]
    thirty = [c for c in cells if c["tenor_days"] == 30]
    assert [c["delta_bucket"] for c in thirty] == list(grid.CALL_DELTAS)
    assert {(c["before_place"], c["after_place"]) for c in thirty} == {(1, 2)}
    beyond = [c["is_extrapolated_strike"] for c in thirty]
    assert beyond == [c["log_moneyness"] > 0.05 for c in thirty]
    assert beyond[0] is True
    assert beyond[-1] is False
    (tenors,) = row(connection, f"surface_tenors({whole})")
    (thirty_days,) = [t for t in tenors if t["tenor_days"] == 30]
    at = list(grid.TENOR_DAYS).index(30)
    assert thirty_days["atm_iv"] == expected.atm_iv[0, at]
    assert thirty_days["call25_iv"] == thirty[4]["iv"]
    assert thirty_days["put10_iv"] == thirty[17]["iv"]
    assert thirty_days["skew_slope"] == expected.slope[0, at]
    assert thirty_days["is_extrapolated_strike"] is True


def test_a_surface_without_slices_has_no_list_of_cells(connection):
    found = connection.execute(
        f"""select surface_grid({", ".join(["x"] * 9)}) from (values ([0.1]), ([])) as t(x)"""
    ).fetchall()
    assert [len(cells) for (cells,) in found] == [13 * 19, 0]


def test_slices_that_cross_are_repaired_and_told_by_how_much(connection):
    k = np.linspace(-0.4, 0.4, 9)
    near, far = (0.02, 0.10, -0.3, 0.0, 0.2), (0.021, 0.05, 0.2, 0.1, 0.2)
    w = [svi.total_variance(p, k) for p in (near, far)]
    lists = [[a, b] for a, b in zip(near, far, strict=True)]
    quotes = [[*k, *k], np.concatenate(w).tolist(), [1.0] * 18]
    arguments = ", ".join(str([*map(float, v)]) for v in [*lists, [0.1, 0.2]])
    arguments += ", [9, 9], " + ", ".join(str([*map(float, v)]) for v in quotes)
    (crossing,) = row(connection, f"svi_calendar({str(near)[1:-1]}, {str(far)[1:-1]})")
    assert crossing["calendar_min_dw"] < 0
    (found,) = row(connection, f"surface_repair({arguments})")
    assert [s["place"] for s in found] == [1, 2]
    assert {s["repair_status"] for s in found} == {"refitted"}
    params = [[s[f"svi_{name}"] for name in ("a", "b", "rho", "m", "sigma")] for s in found]
    both = ", ".join(str(v) for v in (*params[0], *params[1]))
    (clean,) = row(connection, f"svi_calendar({both})")
    assert clean["calendar_min_dw"] >= 0
    assert clean["wing_excess"] >= 0
    for repaired in params:
        (least,) = row(connection, f"svi_least_g({', '.join(map(str, repaired))})")
        assert least >= 0
    assert all(0 < s["rms_change_iv"] <= s["max_change_iv"] for s in found)


def test_quotes_that_are_not_as_many_as_counted_are_refused(connection):
    one = ", ".join(["[0.1]"] * 6)
    with pytest.raises(duckdb.InvalidInputException, match="1 quotes in row 0, not as many"):
        row(connection, f"surface_repair({one}, [2], [0.1], [0.1], [1])")


def test_each_quote_is_told_what_the_others_say(connection):
    k = np.linspace(-0.5, 0.5, 11)
    params = [float(v) for v in VOGT.split(",")]
    w = svi.total_variance(params, k)
    lists = f"{k.tolist()}, {w.tolist()}, {[1.0] * 11}"
    (found,) = row(connection, f"svi_left_out({VOGT}, 1.0, {lists})")
    assert [quote["place"] for quote in found] == list(range(1, 12))
    assert [quote["quotes_left"] for quote in found] == [10] * 11
    assert [quote["iv"] for quote in found] == pytest.approx(np.sqrt(w), rel=1e-8)
    (found,) = row(connection, f"svi_left_out({VOGT}, 1.0, [0.1], [null], [null])")
    assert found == [
        {
            "place": 1,
            "iv": None,
            "error_iv": None,
            "quotes_left": 0,
            "is_inside": False,
            "is_outlier": False,
        }
    ]


def test_parity_takes_missing_sides_as_null(connection):
    (found,) = row(
        connection,
        """forward_parity([80, 90, 100, 110], [0.25, 0.19, 0.14, 0.10], [0.26, 0.20, 0.15, 0.11],
        [0.05, null, 0.14, 0.20], [0.06, 0.10, 0.15, 0.21], true)""",
    )
    assert found["parity_status"] == "ok"
    assert found["strikes_used"] == 3
    assert found["forward"] == pytest.approx(100, rel=1e-6)
    assert found["discount_factor"] is None


def test_a_band_is_that_of_the_numerics(connection):
    (found,) = row(connection, "whalley_wilmott_half_width(60000, 2e-5, 5e-4, 1e-5, 1.0)")
    assert found == pytest.approx(0.12164404, abs=5e-9)


def test_dbt_gets_the_functions_and_the_lake_on_its_connection(tmp_path):
    plugin = Plugin.create(
        "warehouse.plugins.duckdb",
        config={"root": str(tmp_path), "committed_by": "", "TimeZone": "UTC"},
    )
    with duckdb.connect() as connection:
        plugin.configure_connection(connection)
        assert row(connection, "black_price(100, 100, 1, 0.2, true)")[0] > 7.9
        assert connection.execute("select count(*) from lake.trades").fetchall() == [(0,)]
