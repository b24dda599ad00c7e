"""How many of the trades come from those who know something, by the counts of buys and sells a day?

Easley, Kiefer, O'Hara & Paperman (1996), Journal of Finance 51: a day has news with probability
alpha, bad with probability delta; uninformed buys and sells arrive at the rates eps_b and eps_s,
informed ones at mu on the side of the news. PIN = alpha mu / (alpha mu + eps_b + eps_s).

The likelihood is that of Easley, Hvidkjaer & O'Hara (2010), Journal of Financial and Quantitative
Analysis 45, with its three kinds of days added as logarithms: as powers they overflow on days of
a few thousand trades, and a search stops at that wall instead of at the maximum. It is maximised by
expectation-maximisation from the 125 starts of Yan & Zhang (2012), Journal of Banking & Finance 36,
and from divisions of the days by their imbalance, as Ersan & Alici (2016), Journal of International
Financial Markets, Institutions and Money 43, divide them: with many trades a day a start far off
gives every day to one kind, and no search leaves it.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from warehouse.functions.compiled import kernel

Floats = NDArray[np.float64]

SHARES = np.array([0.1, 0.3, 0.5, 0.7, 0.9])
DIVISIONS = 12
FIRST_ROUNDS, ROUNDS, FINALISTS = 30, 5000, 3
TOLERANCE = 1e-10
FEWEST_DAYS = 30
# News brings three parameters more: Schwarz (1978), Annals of Statistics 6.
PARAMETERS_OF_NEWS = 3


@dataclass(frozen=True, slots=True)
class Pin:
    """Shares 0 to 1 and trades a day; all NaN where no maximum was sought.

    Where news explains the days no better than chance does, `pin`, `alpha` and `mu` are 0, `delta`
    is NaN, and the other two are the mean counts.
    """

    pin: float
    alpha: float
    delta: float
    mu: float
    eps_b: float
    eps_s: float
    log_likelihood: float
    days: int


def pin(buys: ArrayLike, sells: ArrayLike) -> Pin:
    """The most likely parameters for daily counts of buys and sells.

    Days on which either is NaN are left out; with fewer than 30, or without any buy or any sell,
    everything is NaN. News is found only where it gains more likelihood over two Poisson counts
    than Schwarz's criterion asks for three parameters: over days that are all alike the likelihood
    is flat from "no news" to "the same news every day", and any PIN in between is as good.
    ValueError where lengths differ or a count is negative.

    >>> round(pin([100] * 30, [100] * 20 + [400] * 10).alpha, 6)
    0.333333
    """
    b, s = np.array(buys, dtype=np.float64), np.array(sells, dtype=np.float64)
    if b.shape != s.shape or b.ndim != 1:
        raise ValueError(f"pin: buys of shape {b.shape}, sells of shape {s.shape}")
    is_known = np.isfinite(b) & np.isfinite(s)
    b, s = b[is_known], s[is_known]
    if (bad := np.flatnonzero((b < 0.0) | (s < 0.0))).size:
        raise ValueError(f"pin: {b[bad[0]]} buys and {s[bad[0]]} sells on a day")
    if b.size < FEWEST_DAYS or not (b.sum() > 0.0 and s.sum() > 0.0):
        none = math.nan
        return Pin(none, none, none, none, none, none, none, b.size)
    alpha, delta, mu, eps_b, eps_s = _best(b, s).tolist()
    likelihood = log_likelihood(b, s, alpha, delta, mu, eps_b, eps_s)
    buy_rate, sell_rate = float(b.mean()), float(s.mean())
    by_chance = log_likelihood(b, s, 0.0, 0.5, 0.0, buy_rate, sell_rate)
    if not likelihood - by_chance > 0.5 * PARAMETERS_OF_NEWS * math.log(b.size):
        return Pin(0.0, 0.0, math.nan, 0.0, buy_rate, sell_rate, by_chance, b.size)
    return Pin(share(alpha, mu, eps_b, eps_s), alpha, delta, mu, eps_b, eps_s, likelihood, b.size)


def share(alpha: float, mu: float, eps_b: float, eps_s: float) -> float:
    """PIN: the expected share of a day's trades that come from the informed."""
    return alpha * mu / (alpha * mu + eps_b + eps_s)


def log_likelihood(
    buys: ArrayLike,
    sells: ArrayLike,
    alpha: float,
    delta: float,
    mu: float,
    eps_b: float,
    eps_s: float,
) -> float:
    """Logarithm of the probability of the counts, independent over days."""
    b, s = np.array(buys, dtype=np.float64), np.array(sells, dtype=np.float64)
    total = 0.0
    for x, y in zip(b, s, strict=True):
        total += float(_day(x, y, alpha, delta, mu, eps_b, eps_s)[3])
        total -= math.lgamma(x + 1.0) + math.lgamma(y + 1.0)
    return total


@kernel
def _day(
    b: float, s: float, alpha: float, delta: float, mu: float, eps_b: float, eps_s: float
) -> tuple[float, float, float, float]:
    """Probabilities of no, bad and good news on a day, and its likelihood without factorials."""
    calm = math.log(1.0 - alpha) + _times_log(b, eps_b) + _times_log(s, eps_s)
    bad = math.log(alpha * delta) - mu + _times_log(b, eps_b) + _times_log(s, eps_s + mu)
    good = math.log(alpha * (1.0 - delta)) - mu + _times_log(b, eps_b + mu) + _times_log(s, eps_s)
    top = max(calm, bad, good)
    p, q, r = math.exp(calm - top), math.exp(bad - top), math.exp(good - top)
    total = p + q + r
    return p / total, q / total, r / total, top + math.log(total) - eps_b - eps_s


@kernel
def _times_log(count: float, rate: float) -> float:
    """count x log(rate); nothing is sure of a rate of nothing."""
    return count * math.log(rate) if count > 0.0 else 0.0


def _best(b: Floats, s: Floats) -> Floats:
    """Where the likeliest of the starts leads: all are improved a little, the best to the end."""
    starts = np.vstack([_spread_out(b.mean(), s.mean()), _divided(b, s)])
    for rounds, kept in ((FIRST_ROUNDS, FINALISTS), (ROUNDS, 1)):
        reached = np.array([_climb(b, s, start, rounds) for start in starts])
        starts = starts[np.argsort(-np.nan_to_num(reached, nan=-np.inf), kind="stable")[:kept]]
    return np.asarray(starts[0], dtype=np.float64)


def _spread_out(buys: float, sells: float) -> Floats:
    """Starts of evenly spread shares that fit the mean counts, one row each."""
    alpha, delta, gamma = (a.ravel() for a in np.meshgrid(SHARES, SHARES, SHARES))
    eps_b = gamma * buys
    mu = (buys - eps_b) / (alpha * (1.0 - delta))
    starts = np.column_stack([alpha, delta, mu, eps_b, sells - alpha * delta * mu])
    return np.asarray(starts[starts[:, 4] > 0.0])


def _divided(b: Floats, s: Floats) -> Floats:
    """Starts by which the days of the lowest and of the highest b - s have news, one row each."""
    order = np.argsort(b - s, kind="stable")
    buys, sells = b[order], s[order]
    edges = np.linspace(0, b.size, DIVISIONS + 1).round().astype(np.int64)
    found = []
    for low in edges[:-1]:
        for high in edges[edges > low]:
            bad, good = int(low), int(b.size - high)
            if bad + good:
                eps_b, eps_s = buys[:high].mean(), sells[low:].mean()
                more = (sells[:low] - eps_s).sum() + (buys[high:] - eps_b).sum()
                mu = max(more / (bad + good), 1e-3 * (eps_b + eps_s))
                found.append(((bad + good) / b.size, bad / (bad + good), mu, eps_b, eps_s))
    return np.array(found)


@kernel
def _climb(b: Floats, s: Floats, at: Floats, rounds: int) -> float:
    """Move `at` uphill by rounds of expectation-maximisation; the likelihood where it ends."""
    reached = -math.inf
    for _ in range(rounds):
        alpha, delta, mu, eps_b, eps_s = at
        before = at.copy()
        likelihood, news, bad_news, informed_buys, informed_sells = 0.0, 0.0, 0.0, 0.0, 0.0
        for i in range(b.size):
            _, bad, good, own = _day(b[i], s[i], alpha, delta, mu, eps_b, eps_s)
            likelihood += own
            news += bad + good
            bad_news += bad
            informed_buys += good * b[i] * mu / (mu + eps_b)
            informed_sells += bad * s[i] * mu / (mu + eps_s)
        reached = likelihood
        if not news > 0.0 or not informed_buys + informed_sells > 0.0:
            break
        at[0], at[1] = news / b.size, bad_news / news
        at[2] = (informed_buys + informed_sells) / news
        at[3] = (b.sum() - informed_buys) / b.size
        at[4] = (s.sum() - informed_sells) / b.size
        if np.max(np.abs(at - before) / (np.abs(before) + 1e-300)) <= TOLERANCE:
            break
    return reached
