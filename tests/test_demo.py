"""The demonstration ends complete, finds what was planted, and says what it survived."""

import json

import pytest

from hedgehouse import cli, connect
from hedgehouse.demo import FAULTS
from pipelines.simulator.wire.faults import parse

pytestmark = pytest.mark.whole

SEED = 7


def test_the_demo_tells_what_it_survived_and_what_it_found_beside_what_was_planted(
    tmp_path, capsys
):
    folder = str(tmp_path / "data")
    code = cli.run(["demo", "--seed", str(SEED), "--size", "0.002", "--json", "--data", folder])
    out, err = capsys.readouterr()
    told = json.loads(out)
    assert code == 0, err
    run = told["run"]
    # files of best quotes number nothing, so nothing proves them whole
    assert run["units"].keys() == {"complete", "unprovable"}
    assert run["units"]["unprovable"] == 6
    assert run["gaps"] == []
    met = run["market"]["faults"]
    assert sum(met.values()) > 10
    assert met.keys() <= {rule.kind for rule in parse(FAULTS).rules}
    assert run["revised_units"] > 0
    assert told["trades"]["printed"] == told["trades"]["held"] == told["trades"]["equal"] > 1_000
    assert told["atm_iv"]["slices"] > 100
    assert told["atm_iv"]["median_error"] < 0.005
    surfaces = told["surfaces"]
    assert all(row["found"] == row["planted"] > 0 for row in surfaces["arbitrage"])
    level = next(row for row in surfaces["distances"] if row["measure"] == "atm_iv")
    assert (level["tenor"], level["median"] < 1.0) == ("all", True)
    assert told["trade"]["action"] in ("buy", "sell")
    assert told["blocked"]["action"] == "do_not_trade"
    assert told["blocked"]["block_reasons"]
    assert cli.run(["signals", "--underlying", "BTC", "--data", folder]) == 0
    capsys.readouterr()
    with connect(folder) as house:
        # of the days before that came in bulk: without them nothing is high or low
        states = house.sql(
            "select distinct toxicity_state from flow.toxicity_1h "
            "where cast(hour_at as date) = date '2026-03-10' and vpin_cdf is not null"
        )
    assert "unknown" not in states["toxicity_state"]
    assert states.height > 0

    # a market of another seed does not fit into the folder
    assert cli.run(["demo", "--seed", str(SEED + 1), "--size", "0.002", "--data", folder]) == 65
    assert f"holds the market of seed {SEED}" in capsys.readouterr().err
