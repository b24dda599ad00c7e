"""What does the figure of liquidity show? The rows of the marts at their time, and nothing else."""

from datetime import UTC, datetime

import duckdb
import polars as pl
import pytest

from hedgehouse.canvas import Moment, NothingToPlot
from hedgehouse.ladders import liquidity

AT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
SIZES = (1e4, 1e6)


class House:
    """Reads planted tables as the client reads a generation: instants in UTC."""

    def __init__(self) -> None:
        self.marts = duckdb.connect()
        self.marts.execute("create schema flow")

    def plant(self, table: str, rows: list[dict]) -> None:
        found = pl.DataFrame(rows)
        instants = [name for name, dtype in found.schema.items() if isinstance(dtype, pl.Datetime)]
        found = found.with_columns(pl.col(instants).dt.replace_time_zone(None))
        self.marts.register("found", found.to_arrow())
        self.marts.execute(f"create table flow.{table} as from found")

    def sql(self, query: str, parameters: dict) -> pl.DataFrame:
        found = pl.DataFrame(self.marts.execute(query, parameters).to_arrow_table())
        instants = [name for name, dtype in found.schema.items() if isinstance(dtype, pl.Datetime)]
        return found.with_columns(pl.col(instants).dt.replace_time_zone("UTC"))


def rung(instrument: str, kind: str, side: str, size: float, paid: float | None, at=AT) -> dict:
    return {
        "underlying": "BTC", "kind": kind, "instrument_id": instrument, "side": side,
        "notional_usd": size, "slippage_bps": paid, "levels_used": 3, "reach_bps": 9.0,
        "snapshot_at": at, "available_at": at,
    }  # fmt: skip


def planted(depth_10: float | None) -> House:
    house = House()
    old = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
    rungs = [
        rung(name, kind, side, size, None if size > 1e5 and name == "b:perp" else paid)
        for name, kind, paid in (
            ("a:perp", "perp", 1.0),
            ("b:perp", "perp", 2.0),
            ("a:spot", "spot", 3.0),
        )
        for side in ("buy", "sell")
        for size in SIZES
    ]
    house.plant("slippage_ladder", [*rungs, rung("a:perp", "perp", "buy", 1e6, 7.0, old)])
    split = [
        {"underlying": "BTC", "kind": "perp", "side": side, "notional_usd": size, "fee_bps": 5.0,
         "cost_bps": 5.5, "best_single_cost_bps": 6.0, "snapshot_at": AT}
        for side in ("buy", "sell")
        for size in SIZES
    ]  # fmt: skip
    house.plant("consolidated_ladder", split)
    names = (
        "depth_bid_10bps_usd",
        "depth_ask_10bps_usd",
        "depth_bid_5bps_usd",
        "depth_ask_5bps_usd",
    )
    minute = dict.fromkeys(names, depth_10) | {"depth_ask_10bps_usd": depth_10 and 2 * depth_10}
    row = {"underlying": "BTC", "instrument_id": "a:perp", "minute_at": old} | minute
    house.plant("spreads_1m", [row | {"minute_at": old.replace(minute=30)}, row])
    return house


def shown(figure, name: str):
    return [t for t in figure.data if t.visible and t.name == name]


@pytest.fixture
def moment():
    return Moment("BTC", AT, "generation", "real")


def test_a_page_is_a_kind_and_perpetuals_come_first(moment):
    figure = liquidity(planted(4e6), moment)
    assert [b.label for b in figure.layout.updatemenus[0].buttons] == ["perpetuals", "spot"]
    assert "perpetuals" in figure.layout.title.text
    assert "as of 2026-03-01 12:00:00 UTC" in figure.layout.title.text
    assert {t.name for t in figure.data if t.visible} >= {
        "a:perp",
        "b:perp",
        "buy, split over venues",
    }
    assert not shown(figure, "a:spot")


def test_only_the_last_book_is_drawn_and_what_it_cannot_fill_is_a_gap(moment):
    figure = liquidity(planted(4e6), moment)
    first = shown(figure, "a:perp")[0]
    assert list(first.x) == [10, 1_000]
    assert list(first.y) == [1.0, 1.0]
    assert list(shown(figure, "b:perp")[0].y) == [2.0, None]


def test_buying_and_selling_have_one_scale(moment):
    figure = liquidity(planted(4e6), moment)
    assert figure.layout.yaxis2.matches == "y"
    assert list(figure.layout.xaxis.tickvals) == [10, 50, 250, 1_000, 5_000]
    assert figure.layout.xaxis4.tickvals is None


def test_the_split_stands_beside_the_best_venue_alone(moment):
    figure = liquidity(planted(4e6), moment)
    assert list(shown(figure, "buy, split over venues")[0].y) == [5.5, 5.5]
    assert list(shown(figure, "sell, best venue alone")[0].y) == [6.0, 6.0]


def test_depth_is_that_of_the_thinner_side_in_millions_and_in_order(moment):
    figure = liquidity(planted(4e6), moment)
    course = shown(figure, "a:perp")[-1]
    assert list(course.y) == [4.0, 4.0]
    assert course.x[0] < course.x[1]
    assert figure.layout.yaxis4.title.text == "Depth within 10 bps, million USD"


def test_books_that_do_not_reach_show_the_course_of_slippage_instead(moment):
    figure = liquidity(planted(None), moment)
    assert list(shown(figure, "a:perp")[-1].y) == [7.0, 1.0]
    assert figure.layout.yaxis4.title.text == "Slippage of 1 million USD, bps"


def test_a_coin_without_books_has_no_figure():
    with pytest.raises(NothingToPlot, match=r"flow\.slippage_ladder"):
        liquidity(planted(4e6), Moment("ETH", AT, "generation", "real"))
