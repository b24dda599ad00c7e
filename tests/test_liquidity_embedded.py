"""Are the embedded market's emptied books and forced waves found, and little else?

Its truth says where they are; the rules are those of the marts.
"""

from datetime import date

import numpy as np
import pytest

from pipelines.simulator import books, paths, prints, stress
from pipelines.simulator.listings import listings
from pipelines.simulator.world import COINS, Coin, Listing, draw_plan, epoch_us
from warehouse.functions.books import depths
from warehouse.functions.cascades import clusters
from warehouse.functions.excursions import excursions, trailing_median

SEED = 21
DAYS = (date(2026, 3, 10), date(2026, 3, 11))
HOUR, DAY = 3_600, 86_400


def depth_of(state: paths.State, listing: Listing, second: int) -> tuple[float, int]:
    """What the thinner side of a book holds, and within which width."""
    sides = books.book(state, listing, float(second))
    price, lots = (np.concatenate([getattr(s, n) for s in sides]) for n in ("price", "lots"))
    quantity = lots * listing.lot * (listing.contract_usd / price if listing.contract_usd else 1.0)
    is_bid = np.repeat([True, False], [s.price.size for s in sides])
    found = depths(is_bid, price, quantity, [0, price.size], (5.0, 10.0))
    for place, width in ((1, 10), (0, 5)):
        thinner = found.depth[0, :, place].min()
        if np.isfinite(thinner):
            return float(thinner), width
    return float(found.recorded.min()), 0


def collapses(coin: Coin, listing: Listing) -> tuple[np.ndarray, np.ndarray]:
    """When hourly books begin a collapse, by the rule of flow.liquidity_events; and the truth."""
    states = {day: paths.simulate_coin(coin, SEED, 0.01, day) for day in DAYS}
    at = np.concatenate([epoch_us(day) // 1_000_000 + np.arange(0, DAY, HOUR) for day in DAYS])
    told = [depth_of(states[d], listing, s) for d in DAYS for s in range(0, DAY, HOUR)]
    depth, width = np.array([d for d, _ in told]), np.array([w for _, w in told])
    base, count = trailing_median(at, depth, width, DAY, 10, 4)
    found = excursions(depth, base, count, width, 0.4, 0.9)
    planted = [
        epoch_us(day) // 1_000_000 + (stress.collapse(coin, SEED, day).end_s // HOUR) * HOUR
        for day in DAYS
    ]
    return at[found.start], np.array(planted)


def test_emptied_books_are_found_once_there_is_a_day_to_compare_with():
    hits, false = 0, 0
    coin = COINS[0]
    mine = [one for one in listings(DAYS[0]) if one.coin == coin]
    for listing in mine:
        starts, planted = collapses(coin, listing)
        hits += planted[1] in starts
        false += len(set(starts.tolist()) - set(planted.tolist()))
    assert hits >= 0.9 * len(mine)
    assert false <= 0.1 * len(mine) * len(DAYS)


@pytest.mark.parametrize("coin", COINS, ids=lambda coin: coin.name)
def test_planted_waves_of_forced_orders_are_clusters_and_the_largest_ones(coin):
    state = paths.simulate_coin(coin, SEED, 1.0, DAYS[0])
    perpetual = next(
        one
        for one in listings(DAYS[0])
        if (one.coin, one.market, one.expires) == (coin, "deribit", None)
    )
    tape = prints.prints(state, perpetual)
    at, is_buy = tape.at_us[tape.is_forced], tape.sign[tape.is_forced] > 0
    found = clusters(at, is_buy, 60_000_000)
    planted = stress.cascades(draw_plan(coin, DAYS[0], SEED))
    inside: set[int] = set()
    for wave in planted:
        touching = {
            i
            for i, (rows, buys) in enumerate(zip(found.rows, found.is_buy, strict=True))
            if buys == (wave.direction > 0)
            and at[rows[0]] < 1e6 * wave.end_s
            and at[rows[-1]] >= 1e6 * wave.start_s
        }
        assert max(found.rows[i].size for i in touching) >= 5
        inside |= touching
    assert len(planted) == 3
    assert all(found.rows[i].size <= 3 for i in set(range(len(found.rows))) - inside)
