"""The demonstration finds what was planted, and doing it again issues nothing twice."""

import json
import shutil
from pathlib import Path

import pytest

from hedgehouse import cli
from tests.conftest import SEED
from warehouse.location import Location


@pytest.fixture(scope="module")
def demonstrated(simulated: Location, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the same market was imported, built and published before."""
    root = tmp_path_factory.mktemp("demo") / "data"
    shutil.copytree(simulated.root, root, symlinks=True)
    return root


def test_the_demo_tells_what_it_found_beside_what_was_planted(demonstrated, capsys):
    code = cli.run(
        ["demo", "--seed", str(SEED), "--size", "0.03", "--json", "--data", str(demonstrated)]
    )
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert code == 0, err
    assert told["import"]["errors"] == []
    assert told["generation"]["row_counts"]["hedging.signals"] > 0
    assert told["atm_iv"]["slices"] > told["atm_iv"]["planted_slices"] / 2
    assert told["atm_iv"]["median_error"] < 0.005
    assert told["trade"]["action"] in ("buy", "sell")
    assert told["blocked"]["action"] == "do_not_trade"
    assert told["blocked"]["block_reasons"]
    planted = told["gap"]["planted"]
    assert told["gap"]["found"]["detail"] == f"ids {planted['first_id']} to {planted['last_id']}"
    assert told["generation"]["issued_count"] == 0
    assert cli.run(["signals", "--underlying", "BTC", "--data", str(demonstrated)]) == 0


def test_a_market_of_another_seed_does_not_fit_into_the_folder(demonstrated, capsys):
    assert cli.run(["demo", "--seed", str(SEED + 1), "--data", str(demonstrated)]) == 65
    assert f"holds the market of seed {SEED}" in capsys.readouterr().err
