"""Does the picture of VPIN show its rows, known by then, beside null, price and share?"""

from datetime import UTC, datetime, timedelta

import duckdb
import pytest

from hedgehouse import plotting
from hedgehouse.canvas import NothingToPlot
from warehouse.instants import in_utc

START = datetime(2026, 3, 1, tzinfo=UTC)
KNOWN, MINUTES = 60, 200


class House:
    """A warehouse of buckets and bars, one of each a minute."""

    generation = "g1"

    def __init__(self):
        self.built = duckdb.connect()
        self.built.execute(
            f"""
            create schema flow; create schema ops;
            create table flow.vpin_buckets as
                select 'X' as underlying, market as instrument_id, kind as classification,
                    n as bucket_number, timestamp '2026-03-01' + to_minutes(n) as ended_at,
                    case when n >= 49 and market = 'v:X/USD' then 0.3 + n / 1000.0 end as vpin,
                    case when n >= 49 and market = 'v:X/USD' then 0.2 end as vpin_null,
                    case when n >= 149 and market = 'v:X/USD' then 0.5 end as vpin_cdf,
                    ended_at + interval 1 minute as available_at
                from range({MINUTES}) as rows(n), unnest(['aggressor', 'bulk']) as kinds(kind),
                    unnest(['v:A/USD', 'v:X/USD']) as markets(market);
            create table flow.bars_1m as
                select distinct underlying, instrument_id,
                    timestamp '2026-03-01' + to_minutes(n) as minute_at, 100.0 + n as close_price,
                    minute_at + interval 1 minute as available_at
                from flow.vpin_buckets, range({MINUTES}) as rows(n);
            create table ops.generations as
                select 'real' as world_origin, now() as published_at, 1 as generation;
            """
        )

    def sql(self, query, parameters=None):
        return in_utc(self.built.execute(query, parameters or {}).pl())


@pytest.fixture(scope="module")
def house():
    return House()


def seen(figure):
    return {trace.name: trace for trace in figure.data if trace.visible}


def test_the_market_with_values_is_seen_first_in_three_panels(house):
    figure, moment = plotting.draw(house, "vpin", "X")
    assert moment.at == START + timedelta(minutes=MINUTES)
    assert "v:X/USD" in figure.layout.title.text
    assert figure.layout.yaxis.title.text == "Price, quote currency"
    assert figure.layout.yaxis2.title.text == "VPIN, 0 to 1"
    assert figure.layout.yaxis3.title.text == "Share of earlier buckets"
    traces = seen(figure)
    assert list(traces["price"].y[:2]) == [100.0, 101.0]
    assert traces["VPIN by the taker's side"].y[49] == pytest.approx(0.349)
    assert traces["null in bulk"].line.dash == "dash"


def test_before_there_is_a_value_there_is_a_gap(house):
    figure, _ = plotting.draw(house, "vpin", "X")
    traces = seen(figure)
    assert list(traces["VPIN in bulk"].y[47:50]) == [None, None, pytest.approx(0.349)]
    assert traces["share in bulk"].y[148:150] == (None, 0.5)
    assert not traces["VPIN in bulk"].connectgaps


def test_what_was_not_known_yet_is_not_drawn(house):
    at = START + timedelta(minutes=KNOWN)
    figure, moment = plotting.draw(house, "vpin", "X", at)
    assert moment.at == at
    traces = seen(figure)
    assert len(traces["VPIN in bulk"].y) == KNOWN
    assert len(traces["price"].y) == KNOWN
    assert "share in bulk (no value)" in traces


def test_a_coin_without_buckets_is_named(house):
    with pytest.raises(NothingToPlot, match="ETH: has no volume buckets here; there are X"):
        plotting.draw(house, "vpin", "ETH")
