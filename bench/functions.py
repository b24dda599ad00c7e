"""How fast are the numerics, beside the usual way to the same numbers? In processor time."""

import time

import numpy as np
from scipy.optimize import least_squares

from bench.volatilities import best_of_three
from warehouse.functions import black, calibration, forwards, repair, svi, vpin

OPTIONS, SLICES, STRIKES, PRINTS = 400_000, 1_000, 25, 5_000_000
COMPARED, STARTS = 100, 20
SURFACES, EXPIRIES = 20, 12


def run() -> list[tuple[str, str]]:
    """(what, result) per line."""
    return [*greeks(), *slices(), *repairs(), *parities(), *buckets()]


def greeks() -> list[tuple[str, str]]:
    rng = np.random.default_rng(1)
    k, t = 100 * np.exp(rng.normal(0, 0.3, OPTIONS)), rng.uniform(0.01, 1, OPTIONS)
    vol, is_call = rng.uniform(0.3, 1.5, OPTIONS), rng.random(OPTIONS) < 0.5
    dollars = best_of_three(lambda: black.greeks(100.0, k, t, vol, is_call))[1]
    coin = best_of_three(lambda: black.coin_greeks(100.0, k, t, vol, is_call))[1]
    return [
        (
            "eight greeks in dollars, in coin",
            f"{[round(s / OPTIONS * 1e9) for s in (dollars, coin)]} ns",
        )
    ]


def noisy_slices() -> list[np.ndarray]:
    """t, k, w, weight of slices of many shapes, one row each."""
    rng = np.random.default_rng(2)
    one = (SLICES, 1)
    t = rng.choice(np.array([1, 7, 30, 90, 365]), one) / 365
    sd = rng.uniform(0.3, 1.2, one) * np.sqrt(t)
    b, rho = rng.uniform(0.2, 1.0, one) * sd, rng.uniform(-0.8, 0.6, one)
    m, sigma = 0.3 * rng.normal(size=one) * sd, rng.uniform(0.3, 1.5, one) * sd
    a = sd**2 - b * (np.hypot(m, sigma) - rho * m)
    k = np.sort(rng.uniform(-3, 3, (SLICES, STRIKES)), axis=1) * sd
    noise = 1 + rng.choice([0.005, 0.02, 0.05], one) * rng.normal(size=k.shape)
    w = np.maximum(svi.total_variance(np.array([a, b, rho, m, sigma]), k), 0.1 * sd**2) * noise**2
    weight = (np.exp(-0.25 * (k / sd) ** 2) + 0.05) * rng.uniform(0.3, 3, k.shape)
    return [t[:, 0], k, w, weight]


def slices() -> list[tuple[str, str]]:
    t, k, w, weight = noisy_slices()
    offsets = np.arange(0, k.size + 1, STRIKES)
    flat = [a.ravel() for a in (k, w, weight)]
    ours = best_of_three(lambda: calibration.fit_many(*flat, offsets, t))[1] / SLICES
    rows, *_ = calibration.fit_many(*flat, offsets, t)
    spoilt = best_of_three(lambda: calibration.fit_many(*spoiled(k, w, t), offsets, t))[1] / SLICES
    usual, excess = [], []
    for i in range(COMPARED):
        scale = weight[i] / (2 * np.sqrt(w[i] * t[i]))
        start = time.process_time()
        least = searched(k[i], w[i], scale, i)
        usual.append((time.process_time() - start) / STARTS)
        cost = np.sum((scale * (svi.total_variance(rows[i, :5], k[i]) - w[i])) ** 2)
        excess.append(cost / least - 1)
    within = np.mean(np.array(excess) <= 1e-3)
    return [
        ("SVI slices of 25 strikes, one thread", f"{1 / ours:,.0f} a second"),
        ("the same, one quote in 100 wrong by 30 half spreads", f"{1 / spoilt:,.0f} a second"),
        ("SVI, one scipy search / ours", f"{np.mean(usual) / ours:.0f}x"),
        (
            f"SVI, within 0.1 % of the best of {STARTS} scipy searches",
            f"{within:.0%} of {COMPARED} slices, worst {max(excess):+.1e}",
        ),
    ]


def spoiled(k: np.ndarray, w: np.ndarray, t: np.ndarray) -> list[np.ndarray]:
    """Flat k, w and weight of these slices: half spreads of 2 %, some volatilities far off."""
    rng = np.random.default_rng(6)
    iv = np.sqrt(w / t[:, None])
    half = 0.02 * iv
    off = np.where(rng.random(k.shape) < 0.01, 30 * half * rng.choice([-1, 1], k.shape), 0.0)
    wrong = np.maximum(iv + off, 0.2 * iv)
    return [a.ravel() for a in (k, wrong * wrong * t[:, None], 1 / half)]


def searched(k: np.ndarray, w: np.ndarray, scale: np.ndarray, seed: int) -> float:
    """Least cost of scipy's searches that ends where ours may: above zero, no steeper than Lee."""
    rng = np.random.default_rng(seed)
    width, top, sd = np.ptp(k), w.max(), np.sqrt(np.median(w))
    size = np.array([top, sd, 1, sd, sd])
    low = [-10 * top, 0, -0.9999, k[0] - width, 1e-3 * width]
    high = [10 * top, 2, 0.9999, k[-1] + width, 10 * width]
    least = np.inf
    for _ in range(STARTS):
        start = rng.uniform([0, 0.05, -0.8, -2, 0.1], [0.5, 1.5, 0.8, 2, 3]) * size
        found = least_squares(
            lambda p: scale * (svi.total_variance(p, k) - w),
            np.clip(start, low, high),
            bounds=(low, high),
            max_nfev=200,
            x_scale=size,
        )
        a, b, rho, _, sigma = found.x
        if a + b * sigma * np.sqrt(1 - rho * rho) > 0 and b * (1 + abs(rho)) <= 2:
            least = min(least, 2 * found.cost)
    return float(least)


def repairs() -> list[tuple[str, str]]:
    rng = np.random.default_rng(4)
    count = SURFACES * EXPIRIES
    t = np.tile(np.array([1, 2, 3, 7, 14, 21, 30, 60, 90, 150, 240, 365]) / 365, SURFACES)[:, None]
    theta, rho, eta = 0.3 * t, -0.3, 0.9
    k = np.sort(rng.uniform(-2.5, 2.5, (count, STRIKES)), axis=1) * np.sqrt(theta)
    y = eta / np.sqrt(theta) * k + rho
    w = 0.5 * theta * (1 + rho * (y - rho) + np.sqrt(y * y + 1 - rho * rho))
    half = rng.uniform(0.002, 0.03, k.shape)
    w = (np.sqrt(w / t) + half * rng.uniform(-1, 1, k.shape)) ** 2 * t
    flat = [a.ravel() for a in (k, w, 1 / half)]
    ends, years = np.arange(0, k.size + 1, STRIKES), t[:, 0]
    raw = calibration.fit_many(*flat, ends, years)[0][:, :5].copy()
    surfaces = np.arange(0, count + 1, EXPIRIES)
    seconds = best_of_three(lambda: repair.repair_many(raw, years, surfaces, *flat, ends))[1]
    _, state = repair.repair_many(raw, years, surfaces, *flat, ends)
    found = np.bincount(state[::EXPIRIES], minlength=3)
    return [
        (
            f"surfaces of {EXPIRIES} expiries repaired",
            f"{seconds / SURFACES * 1e3:.1f} ms each; clean, refitted, replaced: {found}",
        )
    ]


def parities() -> list[tuple[str, str]]:
    rng = np.random.default_rng(5)
    forward, strikes = 60_000.0, np.linspace(30_000, 120_000, 40)
    k = np.tile(strikes, SLICES)
    half = rng.uniform(0.0005, 0.003, k.size)
    middle = 1 - k / forward + half * rng.uniform(-1, 1, k.size)
    base = np.maximum(middle, 0) + 3 * half
    board = [k, base - half, base + half, base - middle - half, base - middle + half]
    ends, coin = np.arange(0, k.size + 1, 40), np.full(SLICES, True)
    dollars = [k, *(a * forward for a in board[1:])]
    each = [
        best_of_three(lambda b=b, c=c: forwards.parity_many(*b, ends, c))[1] / SLICES * 1e6
        for b, c in ((board, coin), (dollars, ~coin))
    ]
    return [("parity forward of 40 strikes, coin, dollars", f"{each[0]:.1f} us, {each[1]:.1f} us")]


def buckets() -> list[tuple[str, str]]:
    rng = np.random.default_rng(3)
    lots, is_buy = rng.integers(1, 100, PRINTS), rng.random(PRINTS) < 0.5
    ours = best_of_three(lambda: vpin.buckets(lots, is_buy, PRINTS))[1]
    read = best_of_three(lambda: (lots.sum(), is_buy.sum()))[1]
    return [("VPIN buckets / summing the two columns", f"{ours / read:.1f}x")]
