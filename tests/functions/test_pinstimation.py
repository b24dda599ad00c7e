"""VPIN in the terms of R's PINstimation: its own numbers on its own trades."""

import numpy as np
import polars as pl
import pytest

from warehouse.functions import pinstimation

SETS = [(300, 50, 250), (60, 20, 10)]


def table(path):
    """Columns as numbers where they are; R pads names and cells, and writes NA."""
    frame = pl.read_csv(path, infer_schema_length=0)
    trimmed = frame.rename(str.strip).with_columns(pl.all().str.strip_chars().replace("NA", "NaN"))
    return trimmed.with_columns(pl.all().cast(pl.Float64, strict=False))


@pytest.mark.parametrize(("bar_s", "buckets", "window"), SETS)
def test_the_package_s_own_buckets_and_days_are_found(reference, bar_s, buckets, window):
    trades = pl.read_csv(reference / "pinstimation_hfdata.csv.gz")
    at_s = trades["timestamp"].str.to_datetime().dt.epoch("s")
    found = pinstimation.vpin(at_s, trades["price"], trades["volume"], bar_s, buckets, window)
    name = f"pinstimation_vpin_tb{bar_s}_b{buckets}_s{window}"
    bucket = table(reference / f"{name}_buckets.csv.gz")
    day = table(reference / f"{name}_daily.csv")
    np.testing.assert_allclose(found.buy_volume, bucket["agg.bvol"], rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(found.imbalance, bucket["aoi"], rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(found.vpin, bucket["vpin"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.duration_s, bucket["duration"], rtol=0, atol=1e-6)
    np.testing.assert_allclose(found.day_vpin, day["dvpin"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(found.day_weighted_vpin, day["dwvpin"], rtol=0, atol=1e-10)


def test_days_without_trades_are_no_days():
    at = np.array([0.0, 30, 86_400 * 5, 86_400 * 5 + 30])
    near = np.array([0.0, 30, 86_400, 86_430])
    price, volume = [1.0, 2.0, 2.0, 1.0], [5.0, 5.0, 5.0, 5.0]
    far, close = (pinstimation.vpin(t, price, volume, 60, 2, 2) for t in (at, near))
    np.testing.assert_array_equal(far.vpin, close.vpin)
    assert far.bucket_volume == 5.0


@pytest.mark.parametrize(
    ("at", "price", "volume", "window", "what"),
    [
        ([1, 0], [1, 1], [1, 1], 1, "ascend"),
        ([0, 1], [1, np.nan], [1, 1], 1, "finite"),
        ([0, 1], [1, 1], [1, -1], 1, "not negative"),
        ([0, 1], [1, 1], [0, 0], 1, "some positive"),
        ([0, 1], [1, 1, 1], [1, 1], 1, "shape"),
        ([0, 1], [1, 1], [1, 1], 51, "window of 51, there are 50"),
    ],
)
def test_impossible_trades_are_refused(at, price, volume, window, what):
    with pytest.raises(ValueError, match=what):
        pinstimation.vpin(at, price, volume, window=window)


def test_bars_must_divide_a_day():
    with pytest.raises(ValueError, match="7 s"):
        pinstimation.vpin([0, 1], [1, 1], [1, 1], bar_s=7)
