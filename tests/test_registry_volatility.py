"""SQL functions of volatility: what they make of missing, impossible and disordered input."""

import duckdb
import numpy as np
import pytest

from warehouse.functions import black, forecasts, svi
from warehouse.plugins.duckdb import bind

FLAT = "0.04, 0.0, 0.0, 0.0, 0.1"
LEANING = (0.02, 0.1, -0.4, 0.05, 0.2)
STRIKES = "[80, 90, 100, 110, 120]"
CALLS = "[20, 11, 4, 1, 0.3], [21, 12, 5, 2, 0.5]"
PUTS = "[0.3, 1, 4, 11, 20], [0.5, 2, 5, 12, 21]"


@pytest.fixture(scope="module")
def connection():
    with duckdb.connect() as connection:
        bind(connection)
        yield connection


def one(connection, select):
    return connection.execute(f"select {select}").fetchall()[0][0]


@pytest.mark.parametrize(
    ("chain", "status"),
    [
        (f"{STRIKES}, {CALLS}, {PUTS}, 0.1, 100", "ok"),
        (f"{STRIKES}, {CALLS}, {PUTS}, -0.1, 100", "no_time"),
        (f"{STRIKES}, {CALLS}, {PUTS}, null, 100", "no_time"),
        (f"{STRIKES}, {CALLS}, {PUTS}, 0.1, -5", "no_forward"),
        (f"[80, 90, 90, 110, 120], {CALLS}, {PUTS}, 0.1, 100", "duplicate_strikes"),
        ("[100], [4], [5], [4], [5], 0.1, 100", "too_few_strikes"),
        ("[90, 100], [11, 4], [12, 5], [1, 4], [2, 5], 0.1, 100", "too_few_strikes"),
    ],
)
def test_a_strip_says_why_it_has_no_variance(connection, chain, status):
    found = one(connection, f"cboe_strip({chain})")
    assert found["strip_status"] == status
    assert (found["total_variance"] is not None) == (status == "ok")


def test_garbage_among_quotes_is_no_quote(connection):
    none = "[null, null, null, null, null]"
    one_sided = one(connection, f"cboe_strip({STRIKES}, {CALLS}, {none}, {none}, 0.1, 100)")
    assert one_sided["strip_status"] == "too_few_strikes"
    crossed = PUTS.replace("[0.5, 2,", "[0.1, 2,")
    zero = PUTS.replace("[0.3, 1,", "[0, 1,")
    not_a_number = PUTS.replace("[0.3, 1,", "['nan'::double, 1,")
    found = [
        one(connection, f"cboe_strip({STRIKES}, {CALLS}, {puts}, 0.1, 100)")
        for puts in (crossed, zero, not_a_number)
    ]
    assert found[0] == found[1] == found[2]
    assert found[0]["lowest_strike"] == 90


def test_variance_of_a_slice_between_strikes_that_are_the_wrong_way_round_is_none(connection):
    assert one(connection, f"svi_variance({FLAT}, -1, 1)")["total_variance"] == pytest.approx(0.04)
    wrong = one(connection, f"svi_variance({FLAT}, 1, -1)")
    assert wrong == {
        "total_variance": None, "coverage_share": None, "variance_status": "no_slice"
    }  # fmt: skip


def test_a_slice_below_zero_has_no_law(connection):
    assert one(connection, f"svi_law({FLAT})")["k_50"] == pytest.approx(-0.02)
    found = one(connection, "svi_law(-0.04, 0.1, 0.0, 0.0, 0.1)")
    assert found["law_status"] == "not_positive"
    assert found["k_50"] is found["mass"] is found["probability_below_10"] is None


@pytest.mark.parametrize("k", [-0.3, 0.0, 0.2])
def test_minimum_variance_delta_is_that_of_a_bumped_smile(connection, k):
    forward, t_years, ratio, bump = 100.0, 0.5, 1.4, 1e-3
    slices = ", ".join(map(str, LEANING))
    found = one(
        connection,
        f"svi_minimum_variance_delta({slices}, {t_years}, {forward}, {k}, {ratio})",
    )
    strike = forward * np.exp(k)
    skew, _ = (v[0] for v in svi.slope_and_curvature(np.array([LEANING]).T, [t_years]))

    def price(level: float) -> float:
        moved = np.log(level / forward)
        smile = np.sqrt(svi.total_variance(LEANING, np.log(strike / level)) / t_years)
        return float(black.price(level, strike, t_years, smile + ratio * skew * moved, True))

    expected = (price(forward + bump) - price(forward - bump)) / (2 * bump)
    assert found["minimum_variance_delta"] == pytest.approx(expected, abs=1e-6)
    assert found["delta"] != pytest.approx(expected, abs=1e-3)


def test_forecasts_from_an_hour_on_are_those_of_the_whole(connection):
    variance = np.random.default_rng(2).lognormal(-2, 0.5, 1_000).round(6).tolist()
    hours = list(range(480_000, 481_000))
    query = f"variance_forecasts({hours}, {variance}, {{}}, [24, 48])"
    whole = one(connection, query.format(hours[0]))
    late = one(connection, query.format(hours[960]))
    assert late == [row for row in whole if row["hour"] >= hours[960]]
    last = {row["horizon_hours"]: row for row in late if row["hour"] == hours[-1]}
    assert {row["har_status"] for row in last.values()} == {"ok"}
    har = forecasts.har(variance, 48)[-1]
    assert last[48]["har_variance"] == pytest.approx(har, rel=1e-12)
    assert last[24]["wild_probability"] is not None
    assert one(connection, query.format("null::bigint")) == []


def test_a_negative_variance_is_a_missing_one_and_a_missing_hour_is_said(connection):
    variance = np.random.default_rng(2).lognormal(-2, 0.5, 1_000).round(6).tolist()
    hours = list(range(480_000, 481_000))
    # Most of the last day.
    broken = [*variance[:-20], *[-1.0] * 20]
    query = "variance_forecasts({}, {}, {}, [24])"
    negative = one(connection, query.format(hours, broken, hours[-1]))
    missing = one(connection, query.format(hours[:-20], variance[:-20], hours[-21]))
    assert negative[0]["har_status"] == "missing_hours"
    assert negative[0]["har_variance"] is negative[0]["naive_variance"] is None
    assert negative[0]["hours_known"] == missing[0]["hours_known"] == 980
    assert missing[0]["har_status"] == "ok"


@pytest.mark.parametrize(
    "call",
    [
        "variance_forecasts([2, 1], [0.1, 0.1], 1, [24])",
        "forecast_losses([2, 2], [0.1, 0.1], [0.1, 0.1], [0.1, 0.1], [0.1, 0.1], 24)",
        "skew_stickiness([2, 1], [0.1, 0.1], [0.1, 0.1], [1.0, 1.0], 48)",
    ],
)
def test_steps_that_do_not_ascend_are_an_error(connection, call):
    with pytest.raises(duckdb.Error, match="must ascend"):
        one(connection, call)


def test_a_step_without_a_slice_is_a_gap_and_not_a_longer_step(connection):
    steps = [n for n in range(200) if n % 40]
    x = np.cumsum(np.random.default_rng(1).normal(0, 0.01, 200))[steps]
    iv, skew = (0.5 - 0.2 * x).tolist(), [-0.2] * len(steps)
    found = one(
        connection, f"skew_stickiness({steps}, {iv}, {skew}, {(100 * np.exp(x)).tolist()}, 200)"
    )
    assert found[-1]["ratio"] == pytest.approx(1)
    assert found[-1]["steps_used"] == len(steps) - 5
    assert all(row["ratio"] is None for row in found if row["steps_used"] < 30)


def test_bars_that_cannot_be_are_left_out_of_what_was_realised(connection):
    at = [60 * n for n in range(60)]
    draw = np.random.default_rng(3)
    close = (100 * np.exp(np.cumsum(draw.normal(0, 1e-3, 60)))).tolist()
    marks = [300 * (n + 1) for n in range(12)]
    fine = close[4::5]
    query = "realized_vols({}, {}, {}, {}, {}, {}, {}, [3600], [3600])"
    good = one(connection, query.format(at, close, close, close, close, marks, fine))
    assert len(good) == 12
    low = [*close[:-1], -1.0]
    broken = one(connection, query.format(at, close, close, low, close, marks, [*fine[:-1], 0.0]))
    for before, after in zip(good, broken, strict=True):
        assert after["estimator"] == before["estimator"]
        assert after["observations_used"] == before["observations_used"] - 1
        assert after["realized_vol"] is not None


def test_steps_before_the_first_wanted_teach_but_have_no_row_of_their_own(connection):
    lists = "list(s order by s), list(0.04 + 0.002 * sin(s) order by s), list(0.0 order by s), "
    lists += "list(0.0 order by s), list(0.0 order by s), list(1.0 order by s), "
    lists += "list(100 * exp(0.01 * cos(s)) order by s), list(0.1 order by s)"
    query = f"select smile_hedges({lists}, 24, $1) from range(30) as steps(s)"
    ((late,),) = connection.execute(query, [28]).fetchall()
    ((whole,),) = connection.execute(query, [0]).fetchall()
    assert [row["hull_white_a"] is None for row in late] == [True] * 28 + [False] * 2
    assert late[28:] == whole[28:]
    ((none,),) = connection.execute(query, [None]).fetchall()
    assert {row["hull_white_a"] for row in none} == {None}
    assert [row["step"] for row in none] == list(range(30))
