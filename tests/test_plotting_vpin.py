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
                    case market when 'v:A/USD' then 3.0 when 'v:X/USD' then 2.0 else 4.0 end
                        as bucket_volume_base,
                    ended_at + interval 1 minute as available_at
                from range({MINUTES}) as rows(n), unnest(['aggressor', 'bulk']) as kinds(kind),
                    unnest(['v:X/USD', 'v:A/USD', 'v:X/USD:X-260424-60000-P']) as markets(market);
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
    assert figure.layout.yaxis3.title.text == "CDF level, 0 to 1"
    traces = seen(figure)
    assert list(traces["price"].y[:2]) == [100.0, 101.0]
    assert traces["VPIN by the taker's side"].y[49] == pytest.approx(0.349)
    assert traces["null in bulk"].line.dash == "dash"


def test_markets_stand_by_their_volume_and_options_are_left_out(house):
    figure, _ = plotting.draw(house, "vpin", "X")
    labels = [button.label for button in figure.layout.updatemenus[0].buttons]
    assert labels == ["v:A/USD", "v:X/USD"]
    assert figure.layout.updatemenus[0].active == 1  # the one with values


def test_before_there_is_a_value_there_is_a_gap(house):
    figure, _ = plotting.draw(house, "vpin", "X")
    traces = seen(figure)
    assert list(traces["VPIN in bulk"].y[47:50]) == [None, None, pytest.approx(0.349)]
    assert traces["CDF level in bulk"].y[148:150] == (None, 0.5)
    assert not traces["VPIN in bulk"].connectgaps


def test_what_was_not_known_yet_is_not_drawn(house):
    at = START + timedelta(minutes=KNOWN)
    figure, moment = plotting.draw(house, "vpin", "X", at)
    assert moment.at == at
    traces = seen(figure)
    assert len(traces["VPIN in bulk"].y) == KNOWN
    assert len(traces["price"].y) == KNOWN
    assert "CDF level in bulk (no value)" in traces


def test_a_value_between_gaps_is_a_dot_and_that_of_the_null_a_ring(house):
    figure, _ = plotting.draw(house, "vpin", "X", START + timedelta(minutes=50))
    traces = seen(figure)
    assert [v for v in traces["VPIN in bulk"].y if v is not None] == [pytest.approx(0.349)]
    assert "markers" in traces["VPIN in bulk"].mode
    assert traces["null in bulk"].marker.symbol == "circle-open"
    svg = plotting.svg(figure)
    assert svg.count("fill='none' stroke='#D55E00'") >= 1


def test_a_coin_without_buckets_is_named(house):
    with pytest.raises(NothingToPlot, match="ETH: has no volume buckets here; there are X"):
        plotting.draw(house, "vpin", "ETH")
