"""Is it said where the quotes' variance falls between expiries, though repair hides it?"""

from datetime import UTC, datetime

import duck_sql
import polars as pl
import polars.selectors as cs
import pytest

AT = datetime(2026, 3, 1, tzinfo=UTC)
EXPIRIES = tuple(datetime(2026, month, 1, tzinfo=UTC) for month in (4, 5, 6))
# Total variance at the forward; of the second expiry the quotes say less than of the first.
RAW = (0.030, 0.029, 0.060)
REPAIRED = (0.0294, 0.0296, 0.060)


@pytest.fixture(scope="module")
def skew():
    """Flat slices of three expiries, raw and repaired."""
    slices = [
        {
            "venue": "v", "underlying": "X", "expires_at": expiry, "snapshot_at": AT,
            "fit_kind": kind, "t_years": (expiry - AT).days / 365, "forward": 100.0,
            "svi_a": w - 1e-5, "svi_b": 1e-4, "svi_rho": 0.0, "svi_m": 0.0, "svi_sigma": 0.1,
            "atm_iv": (w / ((expiry - AT).days / 365)) ** 0.5, "lowest_log_moneyness": -1.0,
            "highest_log_moneyness": 1.0, "is_arbitrage_free": True, "butterfly_min_g": 0.5,
            "calendar_min_dw": 0.0, "quality_flags": [""], "available_at": AT, "staleness_s": 0.0,
        }
        for kind, totals in (("raw", RAW), ("repaired", REPAIRED))
        for expiry, w in zip(EXPIRIES, totals, strict=True)
    ]  # fmt: skip
    frames = {
        "surface_slices": pl.DataFrame(slices).with_columns(
            cs.datetime().dt.replace_time_zone(None)
        )
    }
    with duck_sql.world(frames, (), ("int_slices", "int_skew")) as connection:
        query = "from int_skew where tenor_kind = 'listed' order by expires_at"
        return connection.sql(query).pl()


def test_a_fall_of_the_raw_variance_is_kept_negative(skew):
    years = [(expiry - AT).days / 365 for expiry in EXPIRIES]
    falling = (RAW[1] - RAW[0]) / (years[1] - years[0])
    assert skew["forward_variance"][1] == pytest.approx(falling, abs=1e-12)


def test_elsewhere_the_forward_variance_is_that_of_the_surface_shown(skew):
    years = [(expiry - AT).days / 365 for expiry in EXPIRIES]
    rising = (REPAIRED[2] - REPAIRED[1]) / (years[2] - years[1])
    assert skew["forward_variance"][0] is None
    assert skew["forward_variance"][2] == pytest.approx(rising, abs=1e-12)
    assert set(skew["fit_kind"]) == {"repaired"}
