"""What a figure shows: the rows of the marts, in their units, at their time, and nothing else."""

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import plotly.graph_objects as go
import polars as pl
import pytest

import hedgehouse
from hedgehouse import cli, plotting
from hedgehouse.canvas import Moment
from tests.conftest import clock
from warehouse.functions import svi
from warehouse.instants import in_utc
from warehouse.location import Location

NOON = datetime(2026, 3, 10, 12, 5, tzinfo=UTC)
LAST = datetime(2026, 3, 10, 23, 5, tzinfo=UTC)
AXES = {
    "smile": ("Strike, USD per BTC", "Implied volatility, % a year", "Open interest, BTC"),
    "surface": ("Tenor, days", "Forward call delta (puts to the left)"),
    "term": ("Time to expiry, days", "Implied volatility, % a year", "25-delta, vol points"),
    "skew": ("Snapshot, UTC", "At the money, % a year", "Risk reversal, vol points"),
    "premium": ("Tenor, days", "Root of variance, % a year", "Premium, variance a year"),
}


@pytest.fixture
def house(simulated: Location):
    with hedgehouse.connect(simulated.root, clock=clock) as opened:
        yield opened


@pytest.fixture(scope="module")
def figures(simulated: Location) -> dict[str, go.Figure]:
    at = dict.fromkeys(AXES, NOON) | {"premium": None}  # its day counts at its last snapshot
    with hedgehouse.connect(simulated.root, clock=clock) as opened:
        return {kind: plotting.draw(opened, kind, "BTC", at[kind])[0] for kind in AXES}


@pytest.fixture
def said(simulated: Location, capsys: pytest.CaptureFixture[str]):
    """Runs `hedgehouse plot`: exit code and what stands on standard error."""

    def run(*arguments: str | Path) -> tuple[int, str]:
        words = ["plot", *map(str, arguments), "--data", str(simulated.root)]
        code = cli.run(words)
        return code, capsys.readouterr().err

    return run


def axis_titles(figure: go.Figure) -> set[str]:
    layout = figure.to_dict()["layout"]
    return {axis.get("title", {}).get("text") for name, axis in layout.items() if "axis" in name}


def seen(figure: go.Figure, name: str) -> go.Scatter:
    (found,) = [trace for trace in figure.data if trace.visible and trace.name == name]
    return found


def shown_expiry(figure: go.Figure) -> datetime:
    text = re.search(r"expiry (\S+ \S+) UTC", figure.layout.title.text)
    assert text is not None
    return datetime.fromisoformat(text[1])


@pytest.mark.parametrize("kind", AXES)
def test_every_axis_names_its_unit(figures, kind):
    assert set(AXES[kind]) <= axis_titles(figures[kind])


@pytest.mark.parametrize("kind", AXES)
def test_every_figure_says_as_of_when_and_from_which_market(figures, house, kind):
    title = figures[kind].layout.title.text
    at = LAST if kind == "premium" else NOON
    assert f"as of {at:%Y-%m-%d %H:%M:%S} UTC,<br>known 2026-03-1" in title
    assert f"simulated market, {house.generation}" in title


def test_filled_dots_are_the_quotes_fitted_to_with_bars_from_bid_to_ask(figures, house):
    figure = figures["smile"]
    rows = house.sql(
        "select strike, 100 * iv_bid as bid, 100 * iv_mid as mid, 100 * iv_ask as ask "
        "from options.quotes where underlying = 'BTC' and use_in_fit and snapshot_at = $at "
        "and expires_at = $expiry order by strike, option_type",
        {"at": NOON.replace(tzinfo=None), "expiry": shown_expiry(figure)},
    )
    dots = seen(figure, "deribit quotes fitted to")
    assert rows.height >= 5
    assert list(dots.x) == rows["strike"].to_list()
    np.testing.assert_allclose(dots.y, rows["mid"])
    np.testing.assert_allclose(np.add(dots.y, dots.error_y.array), rows["ask"])
    np.testing.assert_allclose(np.subtract(dots.y, dots.error_y.arrayminus), rows["bid"])


def test_the_quotes_fitted_to_fill_the_view_of_every_expiry(figures):
    figure = figures["smile"]
    dots = [trace for trace in figure.data if trace.name == "deribit quotes fitted to"]
    buttons = figure.layout.updatemenus[0].buttons
    assert len(dots) == len(buttons) >= 5
    for trace, button in zip(dots, buttons, strict=True):
        left, right = button.args[1]["xaxis3.range"]
        low, high = button.args[1]["yaxis.range"]
        assert left < min(trace.x) <= max(trace.x) < right
        assert low < min(trace.y) <= max(trace.y) < high
        assert right - left <= 1.51 * (max(trace.x) - min(trace.x))
    shown = figure.layout.updatemenus[0].active
    assert list(figure.layout.xaxis3.range) == buttons[shown].args[1]["xaxis3.range"]


def test_hollow_dots_tell_why_they_were_left_out(figures):
    hollow = seen(figures["smile"], "deribit quotes left out")
    assert hollow.marker.symbol == "circle-open"
    assert len(hollow.x) > 0
    assert {reason for _, reason in hollow.customdata} <= {"in_the_money", "too_deep"}


def test_both_fits_are_drawn_between_the_strikes_fitted_to(figures):
    figure = figures["smile"]
    used = seen(figure, "deribit quotes fitted to").x
    for kind in ("raw", "repaired"):
        curve = seen(figure, f"deribit fit, {kind}")
        np.testing.assert_allclose((curve.x[0], curve.x[-1]), (min(used), max(used)))


def test_residuals_are_of_the_repaired_fit_in_vol_points(figures, house):
    figure = figures["smile"]
    fit = house.sql(
        "select * from options.surface_slices where underlying = 'BTC' and snapshot_at = $at "
        "and expires_at = $expiry and fit_kind = 'repaired'",
        {"at": NOON.replace(tzinfo=None), "expiry": shown_expiry(figure)},
    ).row(0, named=True)
    dots = seen(figure, "deribit quotes fitted to")
    k = np.log(np.array(dots.x) / fit["forward"])
    parameters = [fit[f"svi_{name}"] for name in ("a", "b", "rho", "m", "sigma")]
    fitted = 100 * np.sqrt(svi.total_variance(parameters, k) / fit["t_years"])
    residuals = seen(figure, "deribit residual of the repaired fit").y
    np.testing.assert_allclose(residuals, np.subtract(dots.y, fitted), atol=1e-9)
    assert np.sqrt(np.mean(np.square(residuals))) == pytest.approx(100 * fit["rmse_iv"], rel=1e-6)


def test_bars_hold_all_open_interest_of_the_expiry(figures, house):
    figure = figures["smile"]
    (total,) = house.sql(
        "select sum(open_interest_base) from options.quotes where underlying = 'BTC' "
        "and snapshot_at = $at and expires_at = $expiry",
        {"at": NOON.replace(tzinfo=None), "expiry": shown_expiry(figure)},
    ).row(0)
    names = ("deribit open interest, calls", "deribit open interest, puts")
    drawn = [value for name in names for value in seen(figure, name).y if value is not None]
    assert sum(drawn) == pytest.approx(total)
    assert total > 0


def test_the_menu_of_expiries_shows_the_traces_and_badges_of_one_at_a_time(figures):
    figure = figures["smile"]
    buttons = figure.layout.updatemenus[0].buttons
    masks = np.array([button.args[0]["visible"] for button in buttons])
    assert masks.shape == (len(buttons), len(figure.data))
    assert (masks.sum(axis=0) == 1).all()
    for button in buttons:
        assert button.label in button.args[1]["title.text"]
        assert "deribit raw" in button.args[1]["annotations"][0]["text"]


def test_a_slice_with_arbitrage_has_a_badge_that_says_so(house):
    at, expiry = house.sql(
        "select snapshot_at, expires_at from options.surface_slices where underlying = 'BTC' "
        "and fit_kind = 'raw' and not is_arbitrage_free order by all limit 1"
    ).row(0)
    figure, _ = plotting.draw(house, "smile", "BTC", at)
    (button,) = [
        button
        for button in figure.layout.updatemenus[0].buttons
        if f"{expiry:%Y-%m-%d %H}" in button.label
    ]
    told = button.args[1]["annotations"][0]["text"]
    raw, repaired = told.replace("<br>", " ").split("<b>deribit repaired")
    assert "✗ arbitrage: " in raw
    assert "✓ free of arbitrage" in repaired
    assert re.search(r"RMSE \d+\.\d{3} vol points", raw)


def test_the_surface_is_blank_beyond_the_fitted_expiries(figures, house):
    flat, raised = figures["surface"].data
    grid = house.sql(
        "select 100 * iv as iv from options.surface_grid where underlying = 'BTC' "
        "and snapshot_at = $at order by tenor_days, delta_bucket desc",
        {"at": NOON.replace(tzinfo=None)},
    )["iv"].to_list()
    drawn = [vol for row in flat.z for vol in row]
    assert (len(flat.y), len(flat.x)) == (13, 19)
    assert any(vol is None for vol in drawn)
    assert drawn == pytest.approx(grid, nan_ok=False)
    assert [vol for row in raised.z for vol in row] == drawn


def test_listed_expiries_are_joined_by_a_line_and_the_index_stands_at_thirty_days(figures, house):
    figure = figures["term"]
    rows = house.sql(
        "select tenor_days, 100 * atm_iv as iv from options.skew where underlying = 'BTC' "
        "and tenor_kind = 'listed' and snapshot_at = $at order by tenor_days",
        {"at": NOON.replace(tzinfo=None)},
    )
    curve = seen(figure, "deribit at the money, listed")
    assert list(curve.x) == rows["tenor_days"].to_list()
    np.testing.assert_allclose(curve.y, rows["iv"])
    assert seen(figure, "deribit 30-day index, strip").x == (30.0,)


def test_the_skew_ends_at_the_snapshot_and_a_tenor_without_a_number_says_so(figures):
    figure = figures["skew"]
    assert max(figure.data[0].x) == NOON
    assert {value for trace in figure.data if "180" in trace.name for value in trace.y} == {None}
    assert any(trace.name == "180 days (no value)" for trace in figure.data)
    assert all(trace.connectgaps is False for trace in figure.data)


def test_what_has_not_closed_is_not_drawn_as_realised(figures):
    figure = figures["premium"]
    names = {trace.name for trace in figure.data}
    assert "implied" in names
    assert "realised after (no value)" in names


def test_what_was_realised_after_a_day_is_drawn_from_when_its_window_has_closed():
    """A row a day for sixty days; the window of a day closes thirty days and an hour later."""
    connection = duckdb.connect()
    connection.execute("create schema options")
    connection.execute(
        "create table options.variance_premium as select 'BTC' as underlying, 'v' as venue, "
        "30 as tenor_days, timestamp '2026-01-01' + to_days(n::int) as day_at, "
        "day_at + interval 23 hour as snapshot_at, snapshot_at + interval 721 hour as closes_at, "
        "snapshot_at as known_at, closes_at as available_at, 0.36 as implied_variance, "
        "0.25 as trailing_realized_variance, 0.25 as forecast_realized_variance, "
        "0.16 as forward_realized_variance, 0.11 as trailing_premium, 0.11 as forecast_premium, "
        "0.2::double as forward_premium from range(60) as days(n)"
    )

    class House:
        def sql(self, query: str, parameters: dict[str, object]) -> pl.DataFrame:
            return in_utc(connection.execute(query, parameters).pl())

    at = datetime(2026, 2, 9, 23, tzinfo=UTC)  # the fortieth day
    figure = plotting.KINDS["premium"](House(), Moment("BTC", at, "g", "real"))
    drawn = {(trace.name, trace.xaxis): trace.y for trace in figure.data}
    assert drawn["implied", "x2"] == pytest.approx([60.0] * 40)
    assert drawn["realised after", "x2"] == pytest.approx([40.0] * 9 + [None] * 31)
    assert drawn["implied less realised after", "x4"] == (0.2,) * 9 + (None,) * 31
    assert "known 2026-02-09 23:00:00 UTC" in figure.layout.title.text


def test_a_page_fetches_nothing(said, tmp_path):
    file = tmp_path / "smile.html"
    assert said("smile", "--underlying", "BTC", "--at", "2026-03-10T12:05Z", "-o", file)[0] == 0
    page = file.read_text()
    tags = re.findall(r"<(?:script|link|iframe)\b[^>]*>", page)
    assert len(page) > 1_000_000, "the library is inside"
    assert [tag for tag in tags if "http" in tag or "src=" in tag or "href=" in tag] == []
    assert "as of 2026-03-10 12:05:00 UTC" in page
    # Nor can it: its browser is told to refuse, and the library's bar has no button that would
    # send the figure elsewhere.
    assert "content=\"default-src 'none'; " in page
    assert "connect-src" not in page[: page.index("<body>")]
    assert '"showSendToCloud": false' in page
    assert "<title>BTC volatility smile, deribit, expiry " in page


def test_the_legend_lies_below_and_no_note_is_wider_than_a_narrow_window(figures):
    for figure in figures.values():
        assert (figure.layout.legend.orientation, figure.layout.legend.yref) == ("h", "container")
        for button in (b for menu in figure.layout.updatemenus for b in menu.buttons):
            for note in button.args[1]["annotations"]:
                assert all(len(line) <= 100 for line in note["text"].split("<br>"))
        heads = re.sub("<(?!br)[^>]*>", "", figure.layout.title.text).split("<br>")
        assert len(heads) == 3
        assert all(len(head) <= 120 for head in heads)


def test_hovering_over_a_quote_tells_its_bid_and_ask(figures):
    dots = seen(figures["smile"], "deribit quotes fitted to")
    assert all(re.fullmatch(r"bid \d+\.\d\d, ask \d+\.\d\d", told) for told in dots.text)
    low, high = (float(part.split()[1]) for part in dots.text[0].split(", "))
    assert low == pytest.approx(dots.y[0] - dots.error_y.arrayminus[0], abs=0.006)
    assert high == pytest.approx(dots.y[0] + dots.error_y.array[0], abs=0.006)


def test_a_day_alone_is_shown_as_a_day(figures):
    layout = figures["premium"].layout
    assert [at - datetime(2026, 3, 10, tzinfo=UTC) for at in layout.xaxis2.range] == [
        timedelta(hours=-12),
        timedelta(hours=12),
    ]
    assert layout.xaxis2.dtick == 86_400_000
    assert layout.yaxis3.rangemode == "tozero"


@pytest.mark.parametrize(
    ("asked", "said_of_it"),
    [
        (("--underlying", "DOGE"), "DOGE: has no options here; there are BTC, ETH"),
        (
            ("--underlying", "BTC", "--at", "2026-03-10T00:04"),
            "BTC: no snapshot of options by 2026-03-10T00:04:00Z; "
            "the first is of 2026-03-10T00:05:00Z",
        ),
        (("--underlying", "BTC", "--at", "noon"), "'noon' is not a date or time"),
    ],
)
def test_what_is_not_there_is_one_line_and_exit_code_2(said, tmp_path, asked, said_of_it):
    file = tmp_path / "term.html"
    code, error = said("term", *asked, "-o", file)
    assert code == 2
    assert said_of_it in error
    assert error.count("\n") == 1
    assert not file.exists()


def test_another_kind_of_file_is_refused(said, tmp_path):
    code, error = said("term", "--underlying", "BTC", "-o", tmp_path / "term.pdf")
    assert (code, error.count("\n")) == (2, 1)
    assert "figures are written to .html, .svg or .png" in error


@pytest.mark.parametrize("has_package", [False, True])
def test_a_machine_that_cannot_draw_a_png_names_the_page_instead(
    said, tmp_path, monkeypatch, has_package
):
    def no_browser(*_: object, **__: object) -> None:
        raise RuntimeError("Kaleido requires Google Chrome to be installed.\n\nGet it.")

    monkeypatch.setattr(plotting, "find_spec", lambda _: object() if has_package else None)
    monkeypatch.setattr(go.Figure, "write_image", no_browser)
    code, error = said("term", "--underlying", "BTC", "-o", tmp_path / "term.png")
    assert (code, error.count("\n")) == (2, 1)
    assert "a PNG needs" in error
    assert f"{tmp_path / 'term.html'} or {tmp_path / 'term.svg'} instead" in error


def test_what_was_drawn_is_told_to_machines(simulated, tmp_path, capsys):
    file = tmp_path / "skew.html"
    words = ["plot", "skew", "--underlying", "ETH", "-o", str(file), "--json"]
    assert cli.run([*words, "--data", str(simulated.root)]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["file"], told["kind"], told["underlying"]) == (str(file), "skew", "ETH")
    assert datetime.fromisoformat(told["snapshot_at"]) == LAST
