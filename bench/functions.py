"""How fast are the numerics, beside the usual way to the same numbers?"""

import time
from collections.abc import Callable

import duckdb
import numpy as np
from scipy.optimize import brentq, least_squares

from warehouse.functions import black, calibration, svi, vpin
from warehouse.plugins.duckdb import bind

OPTIONS, SLICES, STRIKES, PRINTS = 400_000, 1_000, 25, 5_000_000


def run() -> list[tuple[str, str]]:
    """(what, result) per line."""
    return [*implied_volatilities(), *slices(), *buckets()]


def seconds(work: Callable[[], object]) -> float:
    """The best of three, once warm."""
    work()
    found = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def implied_volatilities() -> list[tuple[str, str]]:
    rng = np.random.default_rng(1)
    forward, t = 60_000.0, rng.choice(np.array([1, 7, 30, 90, 365]) / 365, OPTIONS)
    vol = rng.uniform(0.3, 1.5, OPTIONS)
    strike = forward * np.exp(1.2 * rng.normal(size=OPTIONS) * vol * np.sqrt(t))
    is_call = strike > forward
    price = black.price(forward, strike, t, vol, is_call)
    ours = seconds(lambda: black.implied_vol(price, forward, strike, t, is_call)) / OPTIONS
    found, _ = black.implied_vol(price, forward, strike, t, is_call)

    def by_brentq(count: int = 300) -> None:
        for i in range(count):
            brentq(
                lambda v, i=i: (
                    float(black.price(forward, strike[i], t[i], v, is_call[i])) - price[i]
                ),
                1e-3,
                10.0,
            )

    usual = seconds(by_brentq) / 300
    with duckdb.connect() as connection:
        bind(connection)
        rows = {"p": price, "k": strike, "t": t, "c": is_call}
        connection.execute("create table options (p double, k double, t double, c boolean)")
        connection.register("rows", rows)
        connection.execute("insert into options select p, k, t, c from rows")
        query = "select max(black_implied_vol(p, 60000, k, t, c).iv) from options"
        in_sql = seconds(lambda: connection.execute(query).fetchall()) / OPTIONS
    return [
        ("implied vol, one thread", f"{ours * 1e9:.0f} ns, error {np.abs(found - vol).max():.0e}"),
        ("implied vol, brentq on the same price / ours", f"{usual / ours:.0f}x"),
        ("implied vol, in SQL / on arrays", f"{in_sql / ours:.1f}x"),
    ]


def slices() -> list[tuple[str, str]]:
    rng = np.random.default_rng(2)
    truth = np.array([0.01, 0.1, -0.3, 0.02, 0.15])
    k = np.sort(rng.uniform(-0.6, 0.6, (SLICES, STRIKES)), axis=1)
    w = svi.total_variance(truth, k) * (1 + rng.normal(0, 0.02, k.shape)) ** 2
    weight = np.exp(-4 * k**2) + 0.05
    offsets, t = np.arange(0, k.size + 1, STRIKES), np.full(SLICES, 0.1)
    flat = [a.ravel() for a in (k, w, weight)]
    ours = seconds(lambda: calibration.fit_many(*flat, offsets, t)) / SLICES

    def cost(p: np.ndarray, i: int) -> np.ndarray:
        scale = weight[i] / (2 * np.sqrt(w[i] * 0.1))
        return np.asarray(scale * (svi.total_variance(p, k[i]) - w[i]))

    starts = ([0.01, 0.1, 0.0, 0.0, 0.1], [0.0, 0.2, -0.5, 0.1, 0.3], [0.02, 0.05, 0.3, -0.1, 0.05])

    def by_scipy(i: int) -> float:
        return 2 * min(least_squares(cost, s, args=(i,), max_nfev=300).cost for s in starts)

    usual = seconds(lambda: [by_scipy(i) for i in range(5)]) / 5
    rows, _ = calibration.fit_many(*flat, offsets, t)
    worse = [np.sum(cost(rows[i, :5], i) ** 2) / by_scipy(i) - 1 for i in range(30)]
    return [
        ("SVI slices of 25 strikes, one thread", f"{1 / ours:,.0f} a second"),
        (
            "SVI, scipy from three starts / ours",
            f"{usual / ours:.0f}x, worst cost {max(worse):+.1e}",
        ),
    ]


def buckets() -> list[tuple[str, str]]:
    rng = np.random.default_rng(3)
    lots, is_buy = rng.integers(1, 100, PRINTS), rng.random(PRINTS) < 0.5
    ours = seconds(lambda: vpin.buckets(lots, is_buy, PRINTS))
    read = seconds(lambda: (lots.sum(), is_buy.sum()))
    return [("VPIN buckets / summing the two columns", f"{ours / read:.1f}x")]


if __name__ == "__main__":
    for what, result in run():
        print(f"{what:<50}{result}")
