"""In how many hours does the 95 % interval of Kyle's lambda hold the truth?

Of what the mart asks for each instrument, its own flow on its own mid from a quote a second, and of
net taker flow on the venue whose flow forms the price, spot and perpetual together, on the
perpetual's mid, which no mart asks. There are two truths. The planted impact is that of a dollar on
either market: what one of them hides from the other is left to each alone. A regression over ten
seconds sees the lasting impact and most of what will pass; both are compared. A few hours hold
orders that were planted to move nothing: there no one impact of a dollar is true, and they count
all the same in the first line of each. The slope of the planted movement is what a regression would
find without any noise: of what orders alone moved the price in each step, on the same flow. It
weighs orders that move the price and orders that do not by how much their flow varies, and what
other flow moved along with this one belongs to it. Beside the interval stands that of 1.96 Newey-
West errors. In all of them 100 % would be a sign that flow and price were made from each other.
"""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from pipelines.simulator import prints
from pipelines.simulator.paths import State, moved_by_orders, response, simulate_coin
from pipelines.simulator.world import COINS, DAY_S, LISTINGS, MAKERS, Coin, Listing
from warehouse.functions import impact, tape
from warehouse.functions.regression import Slope, slope

Floats = NDArray[np.float64]

DAY = date(2026, 3, 10)
SEEDS = range(1, 61)
STEP_S = 10
STEPS = 3_600 // STEP_S
NORMAL_95 = 1.959964
FLOWS = ("spot and perpetual together", "spot alone, as the mart", "perpetual alone, as the mart")


@dataclass(frozen=True, slots=True)
class Found:
    """Of each flow of FLOWS, coin and hour: lambda, its error and its interval, and the slope of
    the planted movement on that flow.
    """

    fit: Floats
    error: Floats
    low: Floats
    high: Floats
    planted: Floats


def run() -> list[tuple[str, str]]:
    """(what, result) per line."""
    with ProcessPoolExecutor(2) as pool:
        days = [day for found in pool.map(of_seed, SEEDS) for day in found]
    figures, lasting, moved = (np.concatenate(c, axis=-1) for c in zip(*days, strict=True))
    is_still, no_placebo = lasting == 0.0, moved == 1.0
    parts = (
        ("all hours", np.full(lasting.size, True)),
        ("hours whose orders all move the price", no_placebo),
        ("of these, where no impact was planted", no_placebo & is_still),
        ("of these, where some was", no_placebo & ~is_still),
        ("hours with orders that move nothing", ~no_placebo),
    )
    told = no_placebo & ~is_still
    lines, ratios = [], []
    for flow, rows in zip(FLOWS, figures, strict=True):
        found = Found(*rows)
        truths = (
            ("a dollar's impact over 10 s", response(STEP_S) * lasting, parts),
            ("slope of the planted movement", found.planted, parts),
            ("a dollar's lasting impact", lasting, parts[1:2]),
        )
        lines += [
            (f"{flow}: {what}, {part}", covered(found, truth, hours))
            for what, truth, asked in truths
            for part, hours in asked
        ]
        ratios.append(f"{np.nanmedian(found.fit[told] / lasting[told]):.2f}")
    return [
        *lines,
        ("lambda over lasting impact, median, of each; planted over 10 s",
         f"{', '.join(ratios)}; {response(STEP_S):.2f}"),
    ]  # fmt: skip


def covered(found: Found, truth: Floats, hours: NDArray[np.bool_]) -> str:
    """The share of hours with a lambda whose interval holds the truth, and that of 1.96 errors."""
    told = hours & ~np.isnan(found.low)
    inside = ((found.low <= truth) & (truth <= found.high))[told]
    near = (np.abs(found.fit - truth) <= NORMAL_95 * found.error)[told]
    return f"{inside.mean():.1%} of {inside.size} hours, of 1.96 errors {near.mean():.1%}"


def of_seed(seed: int) -> list[tuple[Floats, Floats, Floats]]:
    """Per coin and hour: the figures of Found for each of FLOWS; the planted impact; 1 where all
    orders move the price.
    """
    return [of_coin(coin, seed) for coin in COINS]


def of_coin(coin: Coin, seed: int) -> tuple[Floats, Floats, Floats]:
    state = simulate_coin(coin, seed, 1.0, DAY)
    told = {
        market: tape_of(state, next(x for x in LISTINGS if (x.coin, x.market) == (coin, market)))
        for market in MAKERS
    }
    nets = {market: net_flow(told[market][0]) for market in MAKERS}
    both = np.sum([*nets.values()], axis=0)
    planted = 1e4 * np.diff(moved_by_orders(state)[::STEP_S])
    figures = [
        [*together(both, told["um"][1]), slopes(both, planted)],
        *([*alone(*told[market]), slopes(nets[market], planted)] for market in MAKERS),
    ]
    moves = np.ones(24)
    for e in state.episodes:
        if e.kind in ("one_sided", "volume"):
            moves[e.start_s // 3_600 : (e.end_s - 1) // 3_600 + 1] = 0.0
    return np.array(figures), state.impact_bps, moves


def tape_of(state: State, listing: Listing) -> tuple[tape.Prints, tape.Quotes]:
    """A day's prints of one market, and its best quote of each second."""
    p = prints.prints(state, listing)
    seconds = np.arange(DAY_S + 1)
    ticks = prints.best_ticks(state, listing, seconds.astype(np.float64))
    bid, ask = (np.asarray(listing.tick * side, dtype=np.float64) for side in ticks)
    one, never = np.ones(seconds.size), np.full(seconds.size, False)
    at_us = seconds * 1_000_000
    base = p.quantity_base
    return (
        tape.Prints(p.at_us, p.sign, p.price, base, p.price * base, p.at_us),
        tape.Quotes(at_us, bid, ask, one, one, at_us, never, never, never),
    )


def net_flow(p: tape.Prints) -> Floats:
    """Taker buys less sells of each step of the day, millions of US dollars."""
    step = p.at_us // (STEP_S * 1_000_000)
    return np.bincount(step, p.sign * p.usd, DAY_S // STEP_S) / 1e6


def alone(told: tape.Prints, quoted: tape.Quotes) -> Floats:
    """Lambda, its error and its interval, hour by hour, as the mart has them."""
    h = impact.hours(told, quoted, 0, DAY_S * 1_000_000)
    figures = np.full((4, 24), np.nan)
    figures[:, h.hour] = h.kyle_lambda, h.kyle_error, h.kyle_low, h.kyle_high
    return figures


def together(net: Floats, quoted: tape.Quotes) -> Floats:
    """The same of the flow of all markets on the perpetual's mid."""
    change = 1e4 * np.diff(np.log((quoted.bid + quoted.ask)[::STEP_S]))
    fits = by_hour(net, change)
    return np.array([[f.slope, f.standard_error, f.low, f.high] for f in fits]).T


def slopes(net: Floats, change: Floats) -> Floats:
    return np.array([f.slope for f in by_hour(net, change)])


def by_hour(net: Floats, change: Floats) -> list[Slope]:
    return [slope(net[i : i + STEPS], change[i : i + STEPS]) for i in range(0, net.size, STEPS)]
