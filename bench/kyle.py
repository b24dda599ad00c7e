"""In how many hours does the 95 % interval of Kyle's lambda hold the planted impact?

Of net taker flow on the venue whose flow forms the price, spot and perpetual together, on the
perpetual's mid. A regression over ten seconds sees the lasting impact and most of what will pass;
both are compared. A few hours hold orders that were planted to move nothing: there no impact of
flow is true. In all of them 100 % would be a sign that flow and price were made from each other.
"""

from concurrent.futures import ProcessPoolExecutor
from datetime import date

import numpy as np
from numpy.typing import NDArray

from pipelines.simulator import prints
from pipelines.simulator.paths import response, simulate_coin
from pipelines.simulator.world import COINS, DAY_S, LISTINGS, MAKERS, Coin
from warehouse.functions.regression import slope

Floats = NDArray[np.float64]

DAY = date(2026, 3, 10)
SEEDS = range(1, 61)
STEP_S = 10
STEPS = 3_600 // STEP_S
NORMAL_95 = 1.959964


def run() -> list[tuple[str, str]]:
    """(what, result) per line."""
    with ProcessPoolExecutor(2) as pool:
        days = [day for found in pool.map(of_seed, SEEDS) for day in found]
    fit, error, lasting, moved = (np.concatenate(c) for c in zip(*days, strict=True))
    is_still = lasting == 0.0

    def covered(truth: Floats, hours: Floats | NDArray[np.bool_]) -> str:
        inside = np.abs(fit - truth) <= NORMAL_95 * error
        return f"{inside[hours].mean():.1%} of {int(hours.sum())} hours"

    seen, no_placebo = response(STEP_S) * lasting, moved == 1.0
    ratio = np.median(fit[no_placebo & ~is_still] / lasting[no_placebo & ~is_still])
    return [
        ("impact over 10 s, hours without orders that move nothing", covered(seen, no_placebo)),
        ("the same where no impact was planted", covered(seen, is_still & no_placebo)),
        ("the same where some was", covered(seen, ~is_still & no_placebo)),
        ("impact over 10 s, hours with orders that move nothing", covered(seen, ~no_placebo)),
        ("lasting impact alone, hours without them", covered(lasting, no_placebo)),
        ("lambda over lasting impact, median; planted over 10 s",
         f"{ratio:.2f}; {response(STEP_S):.2f}"),
    ]  # fmt: skip


def of_seed(seed: int) -> list[tuple[Floats, Floats, Floats, Floats]]:
    """Per hour: lambda, its error, the planted impact, 1 where all orders move the price."""
    return [of_coin(coin, seed) for coin in COINS]


def of_coin(coin: Coin, seed: int) -> tuple[Floats, Floats, Floats, Floats]:
    state = simulate_coin(coin, seed, 1.0, DAY)
    makers = [x for x in LISTINGS if x.coin is coin and x.market in MAKERS]
    net = np.zeros(DAY_S // STEP_S)
    for listing in makers:
        p = prints.prints(state, listing)
        usd = p.sign * p.price * p.quantity_base
        net += np.bincount(p.at_us // (STEP_S * 1_000_000), usd, net.size) / 1e6
    perpetual = next(x for x in makers if x.market == "um")
    edges = np.arange(0.0, DAY_S + 1, STEP_S)
    change = 1e4 * np.diff(np.log(sum(prints.best_ticks(state, perpetual, edges))))
    fits = [
        slope(net[first : first + STEPS], change[first : first + STEPS])
        for first in range(0, net.size, STEPS)
    ]
    moves = np.ones(24)
    for e in state.episodes:
        if e.kind in ("one_sided", "volume"):
            moves[e.start_s // 3_600 : (e.end_s - 1) // 3_600 + 1] = 0.0
    return (
        np.array([f.slope for f in fits]),
        np.array([f.standard_error for f in fits]),
        state.impact_bps,
        moves,
    )
