"""Do volatilities, greeks, forwards and surfaces agree with what a venue and its quotes say?"""

import gzip
import json
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from scipy.special import ndtr

from tests.functions.recorded_chain import INPUTS, SECONDS_A_YEAR, Smile, expiries, smiles
from warehouse.functions import black, svi
from warehouse.functions.black import Status
from warehouse.functions.forwards import ParityStatus, parity
from warehouse.functions.svi import RepairStatus, SviStatus

MINUTES = "tardis/deribit_options_chain_2024-04-01_ATM.csv.gz"
BOOK = "deribit_chain_json/deribit_btc.json.gz"
CHAINS = ["2026-08-01 btc", "2026-05-21 btc", "2026-05-21 eth"]
PRINTED = 5.1e-5  # the venue prints volatilities to 1e-4
MARK_TICK = 1e-4  # coin; the minutes keep marks no finer
CAP = 500.0  # percent; the venue states no higher volatility
WILD = 200.0  # percent; above it the venue's own solver is coarser: one ask at 449 % is 7.4e-5 off


@dataclass(frozen=True, slots=True)
class Rows:
    """A venue's rows as arrays: what its volatilities are inverted from, and its greeks."""

    table: pl.DataFrame
    forward: np.ndarray
    strike: np.ndarray
    t: np.ndarray
    is_call: np.ndarray

    def of(self, column: str) -> np.ndarray:
        return self.table[column].cast(pl.Float64).to_numpy()

    def iv(self, price: str) -> tuple[np.ndarray, np.ndarray]:
        """Volatility and status of a coin price, which is worth that times the forward."""
        usd = self.of(price) * self.forward
        return black.implied_vol(usd, self.forward, self.strike, self.t, self.is_call)

    @property
    def is_sharp(self) -> np.ndarray:
        """Where a printed price tells the volatility: vega above 5 USD a point, over two days."""
        return (self.of("vega") > 5) & (self.t > 2 / 365)


@pytest.fixture(scope="module")
def ticker(reference: Path) -> Rows:
    table = pl.read_csv(reference / "deribit_ticker_20200521.csv")
    seconds = (table["expiry_ms"] - table["timestamp_ms"]).to_numpy() / 1000
    return rows(table, "underlying", "strike", seconds, table["cp"] == "C")


@pytest.fixture(scope="module")
def marks(reference: Path) -> Rows:
    instants = pl.col("timestamp", "expiry_datetime").str.to_datetime(time_zone="UTC")
    table = pl.read_csv(reference / "deribit_chain_20251230.csv").with_columns(instants)
    left = (table["expiry_datetime"] - table["timestamp"]).dt.total_microseconds().to_numpy()
    return rows(table, "futures_price", "strike", left / 1e6, table["option_type"] == "call")


@pytest.fixture(scope="module")
def minutes(recorded: Path) -> Rows:
    table = pl.read_csv(recorded / MINUTES)
    seconds = (table["expiration"] - table["timestamp"]).to_numpy() / 1e6
    return rows(table, "underlying_price", "strike_price", seconds, table["type"] == "call")


def rows(
    table: pl.DataFrame, forward: str, strike: str, seconds: np.ndarray, is_call: pl.Series
) -> Rows:
    f, k = (table[c].cast(pl.Float64).to_numpy() for c in (forward, strike))
    return Rows(table, f, k, seconds / SECONDS_A_YEAR, is_call.to_numpy())


def tell(what: str, distance: np.ndarray) -> None:
    shares = ", ".join(f"{q:.0%} {np.quantile(distance, q):.1e}" for q in (0.5, 0.9, 0.99, 1))
    print(f"{what}, {distance.size} rows: {shares}")  # noqa: T201


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_every_sharp_quote_of_the_ticker_has_the_venues_volatility(ticker, side):
    iv, status = ticker.iv(side)
    theirs = ticker.of(f"{side}_iv")
    # Where there is no quote, or no volatility above the cap, the venue states none.
    stated = (ticker.of(side) > 0) & (theirs > 0) & (theirs < CAP)
    distance = np.abs(iv - theirs / 100)
    is_sharp = ticker.is_sharp & (theirs < WILD)
    sharp, blunt = stated & is_sharp, stated & ~is_sharp
    tell(f"{side}, sharp", distance[sharp])
    tell(f"{side}, elsewhere", distance[blunt])
    assert sharp.sum() >= 90
    assert (status[stated] == Status.OK).all()
    assert distance[sharp].max() <= PRINTED
    assert np.median(distance[blunt]) <= PRINTED


def test_without_a_quote_in_the_ticker_we_have_no_volatility_either(ticker):
    for side in ("bid", "ask"):
        missing = ticker.of(side) == 0
        iv, status = ticker.iv(side)
        assert missing.sum() > 40
        assert np.isnan(iv[missing]).all()
        assert (status[missing] == Status.NO_QUOTE).all()


def test_what_the_venue_caps_at_five_hundred_percent_is_dearer_than_that(ticker):
    capped = ticker.of("ask_iv") == CAP
    iv, status = ticker.iv("ask")
    assert capped.sum() > 20
    assert (status[capped] == Status.OK).all()
    assert iv[capped].min() > CAP / 100


def test_marks_of_the_chain_have_the_venues_volatility_but_for_their_lag(marks):
    iv, status = marks.iv("mark_price")
    distance = np.abs(iv - marks.of("implied_volatility"))
    tell("mark", distance[marks.is_sharp])
    assert marks.is_sharp.sum() > 600
    assert (status[marks.is_sharp] == Status.OK).all()
    assert np.median(distance[marks.is_sharp]) <= 5e-5
    assert distance[marks.is_sharp].max() < 5e-3


@pytest.mark.parametrize("side", ["bid", "ask"])
def test_at_the_money_minutes_have_the_venues_volatility_row_by_row(minutes, side):
    iv, status = minutes.iv(f"{side}_price")
    distance = np.abs(iv - minutes.of(f"{side}_iv") / 100)  # percent there
    late = minutes.t > 2 / 365
    tell(f"{side}, over two days", distance[late])
    tell(f"{side}, below", distance[~late])
    assert (minutes.t.size, late.sum()) == (240, 200)
    assert (status == Status.OK).all()
    assert distance[late].max() <= PRINTED
    assert distance.max() <= 1e-4


def test_their_mark_volatilities_give_their_marks_to_about_a_tick(minutes):
    """The mark is the one price that is older or newer than the row it stands in."""
    iv = minutes.of("mark_iv") / 100
    price = black.price(minutes.forward, minutes.strike, minutes.t, iv, minutes.is_call)
    ticks = np.abs(price / minutes.forward - minutes.of("mark_price")) / MARK_TICK
    tell("mark, in ticks", ticks)
    assert np.median(ticks) <= 0.5
    assert ticks.max() < 1.5


@pytest.mark.parametrize("of", ["ticker", "minutes"])
def test_greeks_are_the_venues_to_the_digits_it_prints(request, of):
    """Delta to 1e-5 (4 units), gamma to 1e-5, vega a point, theta a day: over two days."""
    table = request.getfixturevalue(of)
    found = black.greeks(
        table.forward, table.strike, table.t, table.of("mark_iv") / 100, table.is_call
    )
    here = table.is_sharp
    for name, ours, digits, share in [
        ("delta", found.delta, 4e-5, 0.0),
        ("gamma", found.gamma, 5.1e-6, 0.0),
        ("vega", found.vega / 100, 1e-5, 2e-4),
        ("theta", found.theta / 365, 1e-5, 2.5e-4),
    ]:
        distance, size = np.abs(ours - table.of(name))[here], np.abs(ours[here])
        tell(f"{of} {name}", distance)
        assert (distance <= digits + share * size).all(), name


def test_deltas_and_vegas_of_the_chain_are_the_venues_but_for_their_lag(marks):
    found = black.greeks(
        marks.forward, marks.strike, marks.t, marks.of("implied_volatility"), marks.is_call
    )
    here = marks.is_sharp
    delta = np.abs(found.delta - marks.of("delta"))[here]
    vega = np.abs(found.vega[here] / 100 / marks.of("vega")[here] - 1)
    tell("delta", delta)
    tell("vega, share", vega)
    assert np.median(delta) < 2e-4
    assert delta.max() < 0.01
    assert np.median(vega) < 5e-4
    assert vega.max() < 0.02


def test_two_recordings_of_one_chain_have_the_same_forwards_and_they_are_the_futures(recorded):
    """The venue's own answer, as JSON, against the rows of the archive: all 13 expiries."""
    with gzip.open(recorded / BOOK) as file:
        book = json.load(file)
    futures = {f["instrument_name"]: (f["bid_price"] + f["ask_price"]) / 2 for f in book["futures"]}
    quotes: dict[str, dict[float, list[float]]] = {}
    for option in book["options"]:
        _, expiry, strike, kind = option["instrument_name"].split("-")
        board = quotes.setdefault(expiry, {}).setdefault(float(strike), [0.0] * 4)
        side = 0 if kind == "C" else 2
        board[side : side + 2] = [option["bid_price"] or 0.0, option["ask_price"] or 0.0]
    chain = expiries(recorded)
    assert len(chain) == len(quotes) == 13
    for e in chain:
        board = quotes[e.smile.name]
        columns = np.array([[k, *board[k]] for k in sorted(board)]).T
        fit = parity(*columns, is_coin=True)
        assert fit.status is ParityStatus.OK
        assert fit.forward == pytest.approx(e.fit.forward, rel=1e-9)
        assert abs(fit.forward - futures[f"BTC-{e.smile.name}"]) <= 2 * fit.standard_error


def test_the_inputs_of_may_have_no_pairs_to_find_a_forward_from(recorded):
    """Which is why their listed forwards are used."""
    for asset in ("btc", "eth"):
        with gzip.open(recorded / INPUTS.format(asset)) as file:
            options = [r for r in json.load(file)["inputs"] if "strike" in r]
        sides: dict[tuple[str, float], set[str]] = {}
        for r in options:
            key = r["maturity"], float(r["strike"])
            sides.setdefault(key, set()).add(r["option_type"])
        paired = sum(len(s) == 2 for s in sides.values())
        assert len(options) > 100
        assert paired < 0.05 * len(sides)


@pytest.fixture(scope="module", params=CHAINS)
def surface(request, recorded: Path) -> tuple[list[Smile], list[np.ndarray], list[np.ndarray]]:
    """Smiles of a recorded chain, their raw slices and the repaired ones."""
    day, asset = request.param.split()
    chain = smiles(recorded, asset)
    if day == "2026-08-01":
        chain = [e.smile for e in expiries(recorded)]
    quotes = [[getattr(e, n) for e in chain] for n in ("k", "total_variance", "weight")]
    t = [e.t_years for e in chain]
    fits = [svi.fit(*q, years) for *q, years in zip(*quotes, t, strict=True)]
    for e, fit in zip(chain, fits, strict=True):
        assert fit.status is SviStatus.OK or np.unique(e.k).size < 5, f"{e.name}: {fit.status.name}"
    fix = svi.repair([f.params for f in fits], t, *quotes)
    print(request.param)  # noqa: T201
    assert set(fix.status) == {RepairStatus.REFITTED}
    return chain, [f.params for f in fits], list(fix.params)


def test_the_quotes_are_met_expiry_by_expiry_and_repair_costs_little(surface):
    chain, raw, repaired = surface
    shares, worst = [], []
    for e, before, after in zip(chain, raw, repaired, strict=True):
        for params in (before, after):
            iv = np.sqrt(svi.total_variance(params, e.k) / e.t_years)
            shares.append(np.mean((iv >= e.iv_bid) & (iv <= e.iv_ask)))
            worst.append(np.abs(iv - e.iv_mid).max())
        print(  # noqa: T201
            f"  {e.name}, {e.k.size} quotes: inside bid-ask {shares[-2]:.0%} raw, {shares[-1]:.0%} "
            f"repaired; worst residual {worst[-2]:.4f}, {worst[-1]:.4f}"
        )
    weight = np.repeat([e.k.size for e in chain], 2)
    inside = [np.average(shares[i::2], weights=weight[i::2]) for i in (0, 1)]
    print(f"  all: {inside[0]:.1%} raw, {inside[1]:.1%} repaired")  # noqa: T201
    assert inside[1] > inside[0] - 0.03
    assert max(worst[1::2]) < max(worst[0::2]) + 0.02


def test_prices_of_a_repaired_surface_leave_no_butterfly_and_no_calendar_to_buy(surface):
    """In prices of a formula of our own here, at forward 1: convex, falling, dearer with time."""
    chain, _, repaired = surface
    low, high = min(e.k.min() for e in chain), max(e.k.max() for e in chain)
    strike = np.linspace(np.exp(low), np.exp(high), 2_001)
    calls = []
    for params in repaired:
        sd = np.sqrt(svi.total_variance(params, np.log(strike)))
        d1 = -np.log(strike) / sd + sd / 2
        calls.append(ndtr(d1) - strike * ndtr(d1 - sd))
    for call in calls:
        slope = np.diff(call) / np.diff(strike)
        assert slope.max() <= 1e-12
        assert slope.min() >= -1 - 1e-12
        assert np.diff(slope).min() >= -1e-11
    for earlier, later in pairwise(calls):
        assert (later - earlier).min() >= -1e-15
    for earlier, later in pairwise(repaired):
        least, _, wing = svi.calendar(earlier, later)
        assert least >= 0
        assert wing >= 0


def test_the_raw_fits_of_the_recorded_chains_do_have_what_repair_takes_away(surface):
    _, raw, _ = surface
    crossings = sum(bool(min(svi.calendar(*p)[::2]) < 0) for p in pairwise(raw))
    butterflies = sum(bool(svi.durrleman(p, np.linspace(-3, 3, 2_001)).min() < 0) for p in raw)
    print(f"{crossings} crossings, {butterflies} butterflies")  # noqa: T201
    assert crossings + butterflies > 0
