"""What is true of each expiry's law and smile, by the mixture's own sums and not by any fit?

The distribution, its quantiles and the variance of a variance swap have closed forms component by
component; deltas are found on the smile of the mixture's own implied vols.
"""

import numpy as np
import polars as pl

from pipelines.simulator import chain, mispricing, mixture
from pipelines.simulator.paths import State
from pipelines.simulator.world import Floats, Parameters, epoch_us

INSTANT = pl.Datetime("us", "UTC")
LEVELS = (0.01, 0.05, 0.10, 0.25, 0.50, 0.75, 0.90, 0.95, 0.99)
INDEX_DAYS = 30.0
SECANTS = 12
HALVINGS = 45


def smiles(state: State, at_s: Floats) -> pl.DataFrame:
    """One row per instant (seconds after midnight) and expiry that is listed and not bent.

    Vols are annualised decimals, `strip_iv` that of a variance swap, quantiles in US dollars.
    """
    expires_s = np.unique(chain.board(state).expires_s)
    at, expiry = (v.ravel() for v in np.meshgrid(at_s, expires_s, indexing="ij"))
    seen = (at < expiry) & ~mispricing.is_bent(state, at, expiry)
    at, expiry = at[seen], expiry[seen]
    p, t_years = state.parameters, mixture.years(expiry - at)
    forward = state.forward(at, expiry)
    deviation = mixture.total_deviation(p, state.variance_at(at), t_years)
    atm = vol_at(p, deviation, t_years, np.zeros(at.size))
    call25 = vol_at(p, deviation, t_years, delta_strikes(p, deviation, t_years, 0.25))
    put25 = vol_at(p, deviation, t_years, delta_strikes(p, deviation, t_years, 0.75))
    midnight = epoch_us(state.day)

    def instants(seconds: Floats) -> pl.Series:
        return pl.Series((seconds * 1e6).astype(np.int64) + midnight).cast(INSTANT)

    return pl.DataFrame(
        {
            "underlying": pl.repeat(state.coin.name, at.size, eager=True),
            "expires_at": instants(expiry),
            "snapshot_at": instants(at),
            "forward": forward,
            "atm_iv": atm,
            "rr25": call25 - put25,
            "bf25": 0.5 * (call25 + put25) - atm,
            "strip_iv": np.sqrt(swap_variance(p, deviation) / t_years),
            **{
                f"quantile_{round(100 * level):02d}_usd": forward * quantiles(p, deviation, level)
                for level in LEVELS
            },
        }
    )


def index(state: State, at_s: Floats) -> pl.DataFrame:
    """The variance swap's vol at 30 days: variance linear in time between listed expiries.

    One row per instant at which nothing is bent.
    """
    expires_s = np.unique(chain.board(state).expires_s)
    is_bent = mispricing.is_bent(state, at_s[:, None], expires_s).any(axis=1)
    at_s, rows = at_s[~is_bent], []
    for at in at_s:
        t_years = mixture.years(expires_s[expires_s > at] - at)
        deviation = mixture.total_deviation(state.parameters, state.variance_at(at), t_years)
        month = INDEX_DAYS / 365
        total = np.interp(month, t_years, swap_variance(state.parameters, deviation))
        rows.append(float(np.sqrt(total / month)))
    stamps = pl.Series((at_s * 1e6).astype(np.int64) + epoch_us(state.day))
    return pl.DataFrame(
        {
            "underlying": pl.repeat(state.coin.name, len(rows), eager=True),
            "snapshot_at": stamps.cast(INSTANT),
            "index_iv": rows,
        }
    )


def vol_at(p: Parameters, deviation: Floats, t_years: Floats, k: Floats) -> Floats:
    """Implied vol at ln(strike / forward) of k."""
    strike = np.exp(k)
    is_call = strike >= 1.0
    price = mixture.price(p, 1.0, strike, deviation, is_call)
    return mixture.implied_vol(price, 1.0, strike, t_years, is_call)


def delta_strikes(p: Parameters, deviation: Floats, t_years: Floats, delta: float) -> Floats:
    """ln(strike / forward) where the call's forward delta, at its own vol, is `delta`."""

    def excess(k: Floats) -> Floats:
        own = vol_at(p, deviation, t_years, k) * np.sqrt(t_years)
        return mixture.normal_cdf(own / 2 - k / own) - delta

    side = 1.0 if delta < 0.5 else -1.0
    before, at = 0.5 * side * deviation, 0.8 * side * deviation
    gap_before, gap = excess(before), excess(at)
    for _ in range(SECANTS):
        rise = gap - gap_before
        step = np.where(rise == 0, 0.0, gap * (at - before) / np.where(rise == 0, 1.0, rise))
        if np.all(np.abs(step) < 1e-10):
            break
        before, gap_before = at, gap
        at = at - np.clip(step, -0.5 * deviation, 0.5 * deviation)
        gap = excess(at)
    return at


def swap_variance(p: Parameters, deviation: Floats) -> Floats:
    """-2 E ln(S / F): what a strip of all strikes is worth."""
    means = np.log(mixture.component_forwards(p, deviation))
    own = np.asarray(deviation)[..., None] * p.widths
    return np.asarray(-2 * (means - 0.5 * own**2) @ p.weights)


def quantiles(p: Parameters, deviation: Floats, level: float) -> Floats:
    """S / F below which the law has `level` of its mass."""
    means = np.log(mixture.component_forwards(p, deviation))
    own = np.asarray(deviation)[..., None] * p.widths
    low, high = -12 * deviation, 12 * deviation
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        below = mixture.normal_cdf((middle[..., None] - means) / own + 0.5 * own) @ p.weights
        low, high = np.where(below < level, middle, low), np.where(below < level, high, middle)
    return np.asarray(np.exp(0.5 * (low + high)))
