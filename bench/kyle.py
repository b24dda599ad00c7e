"""In how many hours does the 95 % interval of Kyle's lambda hold the planted impact?

Of what the mart asks for each instrument, its own flow on its own mid from a quote a second, and of
net taker flow on the venue whose flow forms the price, spot and perpetual together, on the
perpetual's mid, which no mart asks. The planted impact is that of a dollar on either market: what
one of them hides from the other is left to each alone. A regression over ten seconds sees the
lasting impact and most of what will pass; both are compared. A few hours hold orders that were
planted to move nothing: there no impact of flow is true, and they count all the same in the first
line of each. In all of them 100 % would be a sign that flow and price were made from each other.
"""

from concurrent.futures import ProcessPoolExecutor
from datetime import date

import numpy as np
from numpy.typing import NDArray

from pipelines.simulator import prints
from pipelines.simulator.paths import State, response, simulate_coin
from pipelines.simulator.world import COINS, DAY_S, LISTINGS, MAKERS, Coin, Listing
from warehouse.functions import impact, tape
from warehouse.functions.regression import slope

Floats = NDArray[np.float64]

DAY = date(2026, 3, 10)
SEEDS = range(1, 61)
STEP_S = 10
STEPS = 3_600 // STEP_S
NORMAL_95 = 1.959964
FLOWS = ("spot and perpetual together", "spot alone, as the mart", "perpetual alone, as the mart")


def run() -> list[tuple[str, str]]:
    """(what, result) per line."""
    with ProcessPoolExecutor(2) as pool:
        days = [day for found in pool.map(of_seed, SEEDS) for day in found]
    fit, error, lasting, moved = (np.concatenate(c, axis=-1) for c in zip(*days, strict=True))
    is_still, no_placebo = lasting == 0.0, moved == 1.0
    parts = (
        ("all hours", np.full(lasting.size, True)),
        ("hours whose orders all move the price", no_placebo),
        ("of these, where no impact was planted", no_placebo & is_still),
        ("of these, where some was", no_placebo & ~is_still),
        ("hours with orders that move nothing", ~no_placebo),
    )
    seen = response(STEP_S) * lasting
    lines = [
        (f"{flow}: impact over 10 s, {part}", covered(f, e, seen, hours))
        for flow, f, e in zip(FLOWS, fit, error, strict=True)
        for part, hours in parts
    ]
    lines += [
        (f"{flow}: lasting impact, {parts[1][0]}", covered(f, e, lasting, no_placebo))
        for flow, f, e in zip(FLOWS, fit, error, strict=True)
    ]
    told = no_placebo & ~is_still
    ratios = (f"{np.nanmedian(f[told] / lasting[told]):.2f}" for f in fit)
    return [
        *lines,
        ("lambda over lasting impact, median, of each; planted over 10 s",
         f"{', '.join(ratios)}; {response(STEP_S):.2f}"),
    ]  # fmt: skip


def covered(fit: Floats, error: Floats, truth: Floats, hours: NDArray[np.bool_]) -> str:
    """The share of hours with a lambda whose interval holds the truth."""
    told = hours & ~np.isnan(fit)
    inside = np.abs(fit - truth)[told] <= NORMAL_95 * error[told]
    return f"{inside.mean():.1%} of {inside.size} hours"


def of_seed(seed: int) -> list[tuple[Floats, Floats, Floats, Floats]]:
    """Per coin and hour: lambdas and their errors, a row for each of FLOWS; the planted impact; 1
    where all orders move the price.
    """
    return [of_coin(coin, seed) for coin in COINS]


def of_coin(coin: Coin, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    state = simulate_coin(coin, seed, 1.0, DAY)
    told = {
        market: tape_of(state, next(x for x in LISTINGS if (x.coin, x.market) == (coin, market)))
        for market in MAKERS
    }
    fits = [together(told), *(alone(*told[market]) for market in MAKERS)]
    moves = np.ones(24)
    for e in state.episodes:
        if e.kind in ("one_sided", "volume"):
            moves[e.start_s // 3_600 : (e.end_s - 1) // 3_600 + 1] = 0.0
    fit, error = (np.array(column) for column in zip(*fits, strict=True))
    return fit, error, state.impact_bps, moves


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
        tape.Quotes(at_us, bid, ask, one, one, at_us, never, never),
    )


def alone(told: tape.Prints, quoted: tape.Quotes) -> tuple[Floats, Floats]:
    """Lambda and its error, hour by hour, as the mart has them."""
    found = impact.hours(told, quoted, 0, DAY_S * 1_000_000)
    fit, error = np.full((2, 24), np.nan)
    fit[found.hour], error[found.hour] = found.kyle_lambda, found.kyle_error
    return fit, error


def together(told: dict[str, tuple[tape.Prints, tape.Quotes]]) -> tuple[Floats, Floats]:
    """The same of the flow of all markets on the perpetual's mid."""
    net = np.zeros(DAY_S // STEP_S)
    for p, _ in told.values():
        net += np.bincount(p.at_us // (STEP_S * 1_000_000), p.sign * p.usd, net.size) / 1e6
    quoted = told["um"][1]
    change = 1e4 * np.diff(np.log((quoted.bid + quoted.ask)[::STEP_S]))
    fits = [slope(net[i : i + STEPS], change[i : i + STEPS]) for i in range(0, net.size, STEPS)]
    return np.array([f.slope for f in fits]), np.array([f.standard_error for f in fits])
