"""A real chain: the strip of its listed strikes against the integral over fitted slices."""

import collections
import gzip
import json
import math
from datetime import datetime

import numpy as np
import pytest

from warehouse.functions import black, quadrature, svi, varswap
from warehouse.functions.quadrature import VarianceStatus
from warehouse.functions.varswap import StripStatus

YEAR_S = 31_536_000


@pytest.fixture(scope="module")
def expiries(recorded):
    """Of the Bitcoin chain of 2026-08-01: (t_years, forward, rows of strike and quotes in USD)."""
    with gzip.open(recorded / "deribit_chain_json/deribit_btc.json.gz") as file:
        book = json.load(file)
    at = datetime.fromisoformat(book["as_of"]).timestamp()
    ends = {i["instrument_name"]: i["expiration_timestamp"] / 1000 for i in book["instruments"]}
    listed = {f["instrument_name"]: (f["bid_price"] + f["ask_price"]) / 2 for f in book["futures"]}
    chains = collections.defaultdict(lambda: collections.defaultdict(lambda: [math.nan] * 4))
    times = {}
    for option in book["options"]:
        coin, expiry, strike, kind = option["instrument_name"].split("-")
        future = f"{coin}-{expiry}"
        times[future] = (ends[option["instrument_name"]] - at) / YEAR_S
        side = 0 if kind == "C" else 2
        quotes = [option["bid_price"] or math.nan, option["ask_price"] or math.nan]
        chains[future][float(strike)][side : side + 2] = quotes
    found = []
    for future, chain in chains.items():
        rows = np.array([[k, *np.multiply(chain[k], listed[future])] for k in sorted(chain)]).T
        found.append((times[future], listed[future], rows))
    return found


def fitted(t, forward, rows):
    strike, *quotes = rows
    is_call = strike >= forward
    bid, ask = (np.where(is_call, quotes[i], quotes[i + 2]) for i in (0, 1))
    iv, status = black.implied_vol((bid + ask) / 2, forward, strike, t, is_call)
    used = (status == black.Status.OK) & (ask > bid)
    vega = black.greeks(forward, strike, t, iv, is_call).vega
    k = np.log(strike / forward)[used]
    return svi.fit(k, (iv[used] ** 2) * t, (vega / (ask - bid))[used], t).params


def test_strip_and_slice_agree_on_every_expiry_of_two_days_and_more(expiries):
    """Slices with wings frozen at the last strikes: what lies beyond was never quoted."""
    ratios, shares = [], []
    for t, forward, rows in expiries:
        strip = varswap.replicate(*rows, t, forward=forward)
        assert strip.status is StripStatus.OK
        bounds = np.log(np.array([strip.lowest_strike, strip.highest_strike]) / forward)
        found = quadrature.slice_variance(fitted(t, forward, rows), *bounds, has_flat_wings=True)
        assert found.status == VarianceStatus.OK
        if t * 365 > 2:
            ratios.append(math.sqrt(strip.total_variance / found.total_variance))
            shares.append(float(found.coverage_share))
    assert len(expiries) == 13
    assert len(ratios) == 11
    np.testing.assert_allclose(ratios, 1.0, atol=0.05)
    assert abs(np.median(ratios) - 1.0) < 0.01
    assert min(shares) > 0.9


def test_without_a_listed_forward_the_strip_finds_the_same_one(expiries):
    for t, forward, rows in expiries:
        own = varswap.replicate(*rows, t)
        listed = varswap.replicate(*rows, t, forward=forward)
        # Coin premiums were turned into dollars at the listed forward: parity holds at it.
        assert own.forward == pytest.approx(forward, rel=1e-3)
        assert own.total_variance == pytest.approx(listed.total_variance, rel=0.02)
