"""Spreads and markouts: R's figures, print by print by hand, and days that add up."""

import doctest

import numpy as np
import polars as pl
import pytest
import tapes
from hypothesis import given
from hypothesis import strategies as st

from warehouse.functions import mids, spreads, tape

NAN = float("nan")
MINUTE, DAY = 60 * tapes.SECOND, 86_400 * tapes.SECOND
MIDNIGHT = 86_400.0


def total(found: spreads.Minutes) -> dict[int, dict[str, list[float]]]:
    """Sums by minute and name; minutes in which nothing is left but times are no minutes."""
    names = [n for n in spreads.Minutes.__slots__ if n not in ("minute", "newest_us", "known_us")]
    return {
        int(m): {n: np.atleast_1d(getattr(found, n)[..., i]).tolist() for n in names}
        for i, m in enumerate(found.minute)
    }


def merged(one, other):
    """Sums of two calls."""
    keys = {*one, *other}
    empty = {n: [0.0] * len(v) for n, v in next(iter((one or other).values())).items()}
    return {
        k: {n: np.add(one.get(k, empty)[n], other.get(k, empty)[n]).tolist() for n in empty}
        for k in keys
    }


def test_effective_and_quoted_spreads_are_those_of_highfrequency(reference):
    table = pl.read_csv(reference / "highfrequency_liquidity.csv")
    names = ("PRICE", "BID", "OFR", "direction", "effectiveSpread", "quotedSpread", "midpoints")
    price, bid, ask, sign, effective, quoted, middle = (table[n].to_numpy() for n in names)
    ours = spreads.absolute(sign, price, bid, ask)
    assert table.height == 4000
    np.testing.assert_allclose(ours[0], effective, rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(ours[1], quoted, rtol=1e-9, atol=1e-12)
    places = np.arange(price.size)
    np.testing.assert_allclose(mids.asof(places, places, bid, ask).mid, middle, rtol=1e-12)


def test_a_minute_by_hand():
    trades = tapes.prints((10, 1, 101, 1), (12, -1, 98, 3), (13, 0, 500, 9))
    book = tapes.quotes((9, 99, 101), (12, 98, 102), (14.5, 101, 103), (71, 97, 99))
    found = spreads.minutes(trades, book, 0, DAY)
    assert found.minute.tolist() == [0, 1]
    assert [c[0] for c in (found.buys, found.sells, found.unsided, found.priced)] == [1, 1, 1, 2]
    assert found.turns[0] == 2
    # Weighted by value: size times the mid of 100 at both prints.
    assert found.weight[0] == 400
    assert found.effective[0] / 400 == pytest.approx((100 * 200 + 300 * 400) / 400)
    assert found.age_s[0] == 1
    assert found.later_count[:, 0].tolist() == [1, 2, 1, 0]
    # The mid of both 5 s later is 102.
    assert found.realised[1, 0] / 400 == pytest.approx((100 * -200 + 300 * 800) / 400)
    assert found.quoted_s.tolist() == [pytest.approx(10.5), pytest.approx(5)]


def test_impact_is_effective_less_realised():
    trades = tapes.prints((10, 1, 101, 1), (12, -1, 98, 3))
    book = tapes.quotes((9, 99, 101), (12, 98, 102), (14.5, 101, 103), (16, 104, 105))
    found = spreads.minutes(trades, book, 0, DAY)
    assert found.later_count[1, 0] == found.priced[0] == 2
    assert found.effective[0] == pytest.approx(found.realised[1, 0] + found.moved[1, 0], rel=1e-14)


@pytest.mark.parametrize(
    ("book", "why"),
    [
        (tapes.quotes(), "no quote at all"),
        (tapes.quotes((1, 99, 101)), "an old one"),
        (tapes.quotes((11, 99, 101)), "a later one"),
        (tapes.quotes((9, 99, 101), (10, NAN, 101)), "one side"),
        (tapes.quotes((9, 99, 101), (10, 102, 101)), "crossed"),
        (tapes.quotes((10, 0, 101)), "a bid of nothing"),
    ],
    ids=lambda x: x if isinstance(x, str) else "",
)
def test_a_print_without_a_usable_quote_has_no_spread_and_is_counted(book, why):
    found = spreads.minutes(tapes.prints((10, 1, 101, 1)), book, 0, DAY)
    assert found.buys[0] == 1, why
    assert found.priced[0] == found.weight[0] == found.effective[0] == 0, why


def test_prints_without_side_size_or_price_weigh_nothing():
    book = tapes.quotes((9, 99, 101))
    trades = tapes.prints((10, 0, 101, 1), (10, 1, 101, 0), (10, 1, 101, NAN), (10, 1, NAN, 1))
    found = spreads.minutes(trades, book, 0, DAY)
    assert (found.unsided[0], found.buys[0], found.priced[0]) == (1, 3, 1)
    assert found.weight[0] == found.effective[0] == 0


def test_without_every_update_the_mid_after_a_print_must_have_been_quoted_since():
    trades, rows = tapes.prints((10, 1, 101, 1)), [(9.5, 99, 101)]
    snapshots = spreads.minutes(trades, tapes.quotes(*rows), 0, DAY)
    stream = spreads.minutes(trades, tapes.quotes(*rows, is_every_update=True), 0, DAY)
    assert snapshots.later_count[0, 0] == 0
    assert stream.later_count[0, 0] == 1
    assert stream.moved[0, 0] == 0


def test_a_minute_is_known_when_the_last_thing_used_is():
    trades = tapes.prints((10, 1, 101, 1), known_s=[11])
    book = tapes.quotes((9, 99, 101), (12, 99, 101), known_s=[9.5, 47])
    found = spreads.minutes(trades, book, 0, DAY)
    assert found.known_us[0] == 47 * tapes.SECOND
    assert found.newest_us[0] == 12 * tapes.SECOND


def test_days_add_up_to_both_across_midnight():
    rng = np.random.default_rng(4)
    at = np.sort(rng.uniform(MIDNIGHT - 900, MIDNIGHT + 900, 400))
    trades = tapes.prints(
        *zip(
            at, rng.choice([-1, 0, 1], 400), rng.normal(100, 0.1, 400), rng.random(400), strict=True
        )
    )
    quoted = np.sort(rng.uniform(MIDNIGHT - 900, MIDNIGHT + 1200, 1500))
    middle = 100 + np.cumsum(rng.normal(0, 0.01, 1500))
    book = tapes.quotes(*zip(quoted, middle - 0.05, middle + 0.05, strict=True))
    whole = total(spreads.minutes(trades, book, 0, 2 * DAY))
    parts = [
        total(spreads.minutes(*cut(trades, book, start), start, start + DAY)) for start in (0, DAY)
    ]
    both = merged(*parts)
    assert set(whole) <= set(both)
    for minute, sums in whole.items():
        for name, values in sums.items():
            # The second day does not know who took before its carried prints.
            slack = 1 if name == "turns" and minute == 1440 else 1e-9
            np.testing.assert_allclose(both[minute][name], values, rtol=1e-12, atol=slack)
    assert any(minute < 1440 for minute in parts[1])


def cut(trades: tape.Prints, book: tape.Quotes, start: int) -> tuple[tape.Prints, tape.Quotes]:
    """What a call for the day from `start` on is given."""
    return (
        since(trades, start - 300 * tapes.SECOND, start + DAY),
        since(book, start - 305 * tapes.SECOND, start + DAY),
    )


def since(series, first: int, end: int):
    is_in = (series.at_us >= first) & (series.at_us < end)
    return type(series)(*(getattr(series, name)[is_in] for name in series.__slots__))


@given(st.lists(st.tuples(st.integers(0, 200), st.booleans()), min_size=1, max_size=20))
def test_a_taker_who_pays_the_quoted_price_pays_the_quoted_spread(rows):
    rows = sorted(rows)
    trades = tapes.prints(*((t, 1 if buy else -1, 101 if buy else 99, 2) for t, buy in rows))
    book = tapes.quotes(*((t, 99, 101) for t in range(0, 600, 3)))
    found = spreads.minutes(trades, book, 0, DAY)
    traded = found.priced > 0
    np.testing.assert_allclose(found.effective[traded] / found.weight[traded], 200)
    np.testing.assert_allclose((found.quoted / found.quoted_s)[found.quoted_s > 0], 200)
    assert found.priced.sum() == len(rows)
    np.testing.assert_allclose(found.moved, 0, atol=1e-9)


def test_a_day_of_nothing_is_nothing():
    assert spreads.minutes(tapes.prints(), tapes.quotes(), 0, DAY).minute.size == 0


def test_periods_and_series_that_are_none_are_refused():
    with pytest.raises(ValueError, match="no number of 60 s steps"):
        spreads.minutes(tapes.prints(), tapes.quotes(), 0, MINUTE + 1)
    with pytest.raises(ValueError, match="prints must ascend"):
        tapes.prints((2, 1, 1, 1), (1, 1, 1, 1))
    with pytest.raises(ValueError, match=r"quotes: columns of \[1, 2\] values"):
        tapes.quotes((1, 1, 2), sizes=[(1, 1), (1, 1)])


def test_the_spreads_of_a_day_of_gemini(recorded):
    trades, book = tapes.gemini(recorded)
    found = spreads.minutes(trades, book, 0, DAY)
    assert found.buys.sum() + found.sells.sum() == 25_222
    assert found.priced.sum() / 25_222 == pytest.approx(0.97, abs=0.03)
    weight = found.weight.sum()
    effective = found.effective.sum() / weight
    quoted = found.quoted.sum() / found.quoted_s.sum()
    given_back = found.realised.sum(axis=1) / found.later_weight.sum(axis=1)
    # A bad quote among 72,179 or a wrong side would be many times these.
    assert 3 < quoted < 8
    assert 3 < effective < 10
    # What takers paid over the mid they had lost to the market five seconds later.
    assert effective > given_back[1] > -effective


def test_the_spreads_of_five_minutes_of_bitcoin(recorded):
    path = recorded / "binance_books" / "lobdeep_btc_spot_2026-02-16_04.parquet"
    books = pl.read_parquet(path, columns=["exch_ts_ms", "best_bid", "best_ask"])
    books = books.sort("exch_ts_ms")
    at = books["exch_ts_ms"].to_numpy() * 1000
    sides = [books[c].to_numpy() for c in ("best_bid", "best_ask")]
    _, quoted = spreads.absolute(1, 0.0, *sides)
    middle = mids.asof(at, at, *sides).mid
    assert np.isfinite(quoted).all()
    # One tick of 0.01 at 68,000 is a 700th of a basis point.
    assert np.median(1e4 * quoted / middle) == pytest.approx(0.00146, rel=0.02)


def test_examples_run():
    assert doctest.testmod(spreads).failed == 0
