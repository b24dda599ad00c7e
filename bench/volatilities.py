"""How fast and how exact are implied volatilities, beside other libraries in the same process?

Those that are not installed are named and passed over; none of them is needed for anything else.
The options are like Deribit's: tenors of a day to a year, strikes to a few deviations. Errors are
against the volatility that made the prices, where a unit in the last place of the price moves it by
less than 1e-13.
"""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module

import duckdb
import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from warehouse.functions import black
from warehouse.plugins.duckdb import bind

Floats = NDArray[np.float64]

OPTIONS, SOME, FEW = 1_000_000, 100_000, 2_000
FORWARD = 60_000.0


@dataclass(frozen=True, slots=True)
class Chain:
    price: Floats
    strike: Floats
    t: Floats
    vol: Floats
    is_call: NDArray[np.bool_]

    def part(self, first: int, last: int) -> "Chain":
        here = slice(first, last)
        return Chain(
            self.price[here], self.strike[here], self.t[here], self.vol[here], self.is_call[here]
        )


Inverse = Callable[[Chain], Floats]


def run() -> list[tuple[str, str]]:
    """(what, result) per line."""
    chain = options()
    lines = [
        ("implied vol, ours, on arrays, 1 thread", timed(ours, chain)),
        ("implied vol, ours, on arrays, 2 threads", timed(in_halves, chain)),
        *in_sql(chain),
    ]
    for name, module, size, make in RIVALS:
        what = f"implied vol, {name}"
        try:
            inverse = make(import_module(module))
        except ImportError:
            lines.append((what, "not installed"))
            continue
        lines.append((what, timed(inverse, chain.part(0, size))))
    return lines


def options() -> Chain:
    rng = np.random.default_rng(1)
    t = rng.choice(np.array([1, 7, 30, 90, 365]) / 365, OPTIONS)
    vol = rng.uniform(0.3, 1.5, OPTIONS)
    strike = FORWARD * np.exp(1.2 * rng.normal(size=OPTIONS) * vol * np.sqrt(t))
    is_call = strike > FORWARD
    return Chain(black.price(FORWARD, strike, t, vol, is_call), strike, t, vol, is_call)


def timed(inverse: Inverse, chain: Chain) -> str:
    found = inverse(chain)
    return told(best_of_three(lambda: inverse(chain)), found, chain)


def best_of_three(work: Callable[[], object]) -> tuple[float, float]:
    """Seconds on the wall and of all processors, which a busy machine does not inflate."""
    walls, cpus = [], []
    for _ in range(3):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return min(walls), min(cpus)


def told(seconds: tuple[float, float], found: Floats, chain: Chain) -> str:
    vega = black.greeks(FORWARD, chain.strike, chain.t, chain.vol, chain.is_call).vega
    is_sharp = np.spacing(chain.price) / vega < 1e-13
    error = np.abs(found - chain.vol)[is_sharp]
    wall, cpu = (1e9 * s / chain.price.size for s in seconds)
    return (
        f"{wall:,.0f} ns, of processors {cpu:,.0f}; error {np.nanmax(error):.0e}, "
        f"missing {np.isnan(error).sum()}"
    )


def ours(c: Chain) -> Floats:
    return black.implied_vol(c.price, FORWARD, c.strike, c.t, c.is_call)[0]


def in_halves(c: Chain) -> Floats:
    middle = c.price.size // 2
    with ThreadPoolExecutor(2) as pool:
        return np.concatenate(
            list(pool.map(ours, [c.part(0, middle), c.part(middle, c.price.size)]))
        )


def in_sql(c: Chain) -> list[tuple[str, str]]:
    lines = []
    with duckdb.connect() as connection:
        bind(connection)
        rows = {"n": np.arange(OPTIONS), "p": c.price, "k": c.strike, "t": c.t, "c": c.is_call}
        connection.register("rows", rows)
        connection.execute("create table options as select * from rows")
        solved = f"black_implied_vol(p, {FORWARD}, k, t, c).iv"
        found = connection.execute(f"select {solved} as iv from options order by n").fetchnumpy()
        iv = np.ma.filled(found["iv"], np.nan)
        for threads in (1, 2):
            connection.execute(f"set threads = {threads}")
            query = f"select max({solved}) from options"
            best = best_of_three(lambda query=query: connection.execute(query).fetchall())
            what = f"implied vol, ours, as a DuckDB function, threads = {threads}"
            lines.append((what, told(best, iv, c)))
    return lines


def by_pyfeng(pyfeng) -> Inverse:
    model = pyfeng.Bsm(0.5)

    def inverse(c: Chain) -> Floats:
        sign = np.where(c.is_call, 1, -1)
        with np.errstate(all="ignore"):
            return model.impvol(c.price, c.strike, FORWARD, c.t, sign)

    return inverse


def by_fast_vollib(fast_vollib) -> Inverse:
    def inverse(c: Chain) -> Floats:
        flag = np.where(c.is_call, "c", "p")
        return fast_vollib.fast_implied_volatility_black(
            c.price, FORWARD, c.strike, 0.0, c.t, flag, return_as="numpy", on_error="ignore"
        )

    return inverse


def by_fast_vollib_jaeckel(jackel) -> Inverse:
    def inverse(c: Chain) -> Floats:
        return np.asarray(jackel.jackel_iv_black(c.price, FORWARD, c.strike, c.t, c.is_call))

    return inverse


def by_quantlib(quantlib) -> Inverse:
    def one(p: float, k: float, t: float, is_call: bool) -> float:
        kind = quantlib.Option.Call if is_call else quantlib.Option.Put
        try:
            found = quantlib.blackFormulaImpliedStdDevLiRS(
                kind, k, FORWARD, p, 1.0, 0.0, quantlib.nullDouble(), 1.0, 1e-10
            )
        except RuntimeError:  # it gave up
            return np.nan
        return float(found / t**0.5)

    return lambda c: each(one, c)


def by_vollib(vollib) -> Inverse:
    def one(p: float, k: float, t: float, is_call: bool) -> float:
        return float(vollib.implied_volatility(p, FORWARD, k, 0.0, t, "c" if is_call else "p"))

    return lambda c: each(one, c)


def by_brentq(_optimize) -> Inverse:
    def one(p: float, k: float, t: float, is_call: bool) -> float:
        return float(
            brentq(
                lambda v: float(black.price(FORWARD, k, t, v, is_call)) - p, 1e-3, 10.0, xtol=1e-14
            )
        )

    return lambda c: each(one, c)


def each(one: Callable[[float, float, float, bool], float], c: Chain) -> Floats:
    columns = (a.tolist() for a in (c.price, c.strike, c.t, c.is_call))
    return np.array([one(*row) for row in zip(*columns, strict=True)])


RIVALS = (
    ("pyfeng", "pyfeng", SOME, by_pyfeng),
    ("fast_vollib", "fast_vollib", SOME, by_fast_vollib),
    ("fast_vollib's Jäckel", "fast_vollib.jackel", SOME, by_fast_vollib_jaeckel),
    ("QuantLib, LiRS, one by one", "QuantLib", FEW, by_quantlib),
    ("vollib, one by one", "vollib.black.implied_volatility", FEW, by_vollib),
    ("scipy's brentq on our price, one by one", "scipy.optimize", FEW, by_brentq),
)
