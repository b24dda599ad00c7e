"""Is a day of the embedded market exact, or said not to be, whatever goes wrong on the wire?"""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from pipelines.settings import Settings
from pipelines.simulator.history import History
from pipelines.simulator.wire.server import Server, serve
from pipelines.transport import Transport
from pipelines.venues.base import Proof, Window
from pipelines.venues.deribit import Deribit
from warehouse.location import Location

WINDOW = Window.day(date(2026, 3, 10))
AFTER = datetime(2026, 3, 11, 0, 40, tzinfo=UTC)
WIRE = (
    "429:0.03,500:0.03,502:0.02,503:0.03,504:0.02,maintenance:0.03,html:0.03,truncated:0.03,"
    "empty:0.03,null:0.03,short:0.03,reset:0.03,repeat:0.05,drop:0.08,reorder:0.05"
)
WORLD = "drop:0.05,late:0.02,lost:0.03,revised:0.05,skew:1.5"
Day = tuple[dict[str, list[str]], dict[str, Proof]]


@pytest.fixture(scope="module")
def market() -> Iterator[Server]:
    with serve(History(7, 0.02), at=AFTER, rate_scale=1e6) as server:
        yield server


def fetched(market: Server, folder: Path) -> Day:
    """Trade ids and proof of each unit."""
    settings = Settings(gateway=market.url, rate_scale=1e6, attempts=12, timeout_s=3)
    with Transport(
        Location(folder), clock=market.now, settings=settings, sleep=lambda seconds: None
    ) as transport:
        ids: dict[str, list[str]] = {}
        proofs: dict[str, Proof] = {}
        for piece in Deribit(transport, settings).trades("BTC", WINDOW):
            if piece.table == "trades":
                ids.setdefault(str(piece.unit), []).extend(piece.frame["trade_id"])
                if piece.proof:
                    proofs[str(piece.unit)] = piece.proof
    return ids, proofs


@pytest.fixture(scope="module")
def truth(market: Server, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """What the market says when nothing goes wrong."""
    market.use("")
    ids, proofs = fetched(market, tmp_path_factory.mktemp("truth"))
    assert {proof.status for proof in proofs.values()} == {"complete"}
    return ids


@pytest.mark.parametrize("seed", range(20))
def test_a_day_of_faults_on_the_wire_is_exact(seed, market, truth, tmp_path):
    market.use(WIRE, seed=seed)
    ids, proofs = fetched(market, tmp_path)
    assert ids == truth
    assert {proof.status for proof in proofs.values()} == {"complete"}


@pytest.mark.parametrize("seed", range(5))
def test_what_the_venue_itself_withholds_is_never_quietly_missing(seed, market, truth, tmp_path):
    market.use(WORLD, seed=seed)
    ids, proofs = fetched(market, tmp_path)
    short = {name for name in truth if set(ids[name]) != set(truth[name])}
    assert not set().union(*ids.values()) - set().union(*truth.values()), "and nothing is invented"
    for name in short:
        assert proofs[name].status == "gap"
        assert proofs[name].gaps, "the missing range is told"
