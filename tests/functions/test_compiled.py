"""Kernels compile wherever the package lies."""

import math
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import warehouse
from warehouse.functions import compiled

PRICE = "from warehouse.functions import black; print(black.price(100, 100, 1, 0.2, True).item())"


def test_a_kernel_divides_by_zero_without_raising():
    @compiled.kernel
    def ratio(a: float, b: float) -> float:
        return a / b

    assert ratio(1.0, 0.0) == math.inf
    assert math.isnan(ratio(0.0, 0.0))


@pytest.mark.parametrize("has_home", [True, False])
def test_a_package_on_a_read_only_disk_still_computes(tmp_path, has_home):
    """Without a home folder to fall back to there is no cache at all, only a slower start."""
    source = Path(warehouse.__file__).parent
    package = tmp_path / "site" / "warehouse"
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("__pycache__", "plugins"))
    # Root may write anywhere, so the place of the cache is taken by a file.
    (package / "functions" / "__pycache__").write_text("")
    home = tmp_path / "home"
    home.mkdir() if has_home else home.write_text("")
    found = subprocess.run(
        [sys.executable, "-B", "-c", PRICE],
        cwd=tmp_path / "site",
        env={
            "PYTHONPATH": str(tmp_path / "site"),
            "HOME": str(home),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    assert float(found.stdout) == pytest.approx(7.965567455405804, rel=1e-14)
