"""What a venue sends is in the lake, exactly; what it did not send is a gap that says why."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from expectations.gate import REFUSED, ROW_NUMBER, GateRefused
from pipelines import arrivals, landing, live
from pipelines.archives.base import SourceUnavailable
from pipelines.live import Line, TableReport
from pipelines.observing import Register
from pipelines.universe import Instrument
from pipelines.venues.base import Fetched, Proof, snapshot_unit
from warehouse import lake
from warehouse.contract import BOOKS, INSTRUMENTS, LIQUIDATIONS, SETTLEMENTS, TRADES, Table
from warehouse.lake import Gap, Partition
from warehouse.location import Location, World, WrongWorld

DAY = date(2026, 3, 10)
MIDNIGHT = datetime(2026, 3, 10, tzinfo=UTC)
MORNING_AFTER = datetime(2026, 3, 11, 0, 40, tzinfo=UTC)
SPOT = Instrument("binance", "BTCUSDT", "spot", "BTC", "USDT")
PERP = Instrument("binance", "BTCUSDT", "perp", "BTC", "USDT", "USDT", "linear")
HOUR = timedelta(hours=1)


@dataclass(slots=True)
class Scripted:
    """A venue that sends what it is told to, or raises it."""

    said: dict[str, list[Fetched | Exception]] = field(default_factory=dict)

    def __getattr__(self, question: str) -> Callable[..., Iterator[Fetched]]:
        def answer(underlying: str, window: object, **_: object) -> Iterator[Fetched]:
            for piece in self.said.get(f"{question} {underlying}", ()):
                if isinstance(piece, Exception):
                    raise piece
                yield piece

        return answer


@dataclass(slots=True)
class Scene:
    """A line to the scripted venue, and its clock."""

    line: Line
    venue: Scripted
    at: list[datetime]

    def day(self, question: str, *, day: date = DAY) -> dict[str, TableReport]:
        return {r.table: r for r in live.ingest_day(self.line, "binance", question, day)}

    def held(self, table: Table, day: date = DAY) -> lake.Manifest:
        return lake.read_manifest(self.line.location, Partition(table.name, "binance", day))

    def rows(self, table: Table, by: datetime | None = None) -> pl.DataFrame:
        return lake.scan(self.line.location, table.name, by).collect()


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    venue, at = Scripted(), [MORNING_AFTER]
    monkeypatch.setattr(live, "venues", lambda: {"binance": lambda *_: venue})
    monkeypatch.setattr(live, "offering", lambda _: ["binance"])
    transport: Any = SimpleNamespace(clock=lambda: at[0], settings=None)
    line = Line(Location(tmp_path), transport, ("BTC",), World("simulator", seed=1))
    return Scene(line, venue, at)


def prints(
    item: Instrument,
    numbers: range | list[int],
    *,
    at: datetime = MIDNIGHT + HOUR,
    received_at: datetime = MORNING_AFTER,
    price: float = 60_000.0,
) -> pl.DataFrame:
    rows = pl.DataFrame(
        {
            "trade_id": [str(n) for n in numbers],
            "sequence": list(numbers),
            "event_at": [at + timedelta(milliseconds=n) for n in numbers],
        },
        schema={
            "trade_id": pl.String,
            "sequence": pl.Int64,
            "event_at": TRADES.schema["event_at"],
        },
    ).with_columns(
        venue=pl.lit("binance"),
        underlying=pl.lit(item.underlying),
        instrument_id=pl.lit(item.instrument_id),
        received_at=pl.lit(received_at),
        side=pl.lit("buy"),
        price=price,
        quantity_base=1.0,
        notional_usd=price,
        is_block=False,
        is_liquidation=False,
    )
    empty = pl.DataFrame(schema=TRADES.schema)
    return pl.concat([empty, TRADES.conform(_filled(rows, TRADES))])


def _filled(rows: pl.DataFrame, table: Table) -> pl.DataFrame:
    absent = {n: pl.lit(None, t) for n, t in table.schema.items() if n not in rows.columns}
    return rows.with_columns(**absent)


def piece(
    rows: pl.DataFrame,
    *,
    table: Table = TRADES,
    unit: str | None = SPOT.instrument_id,
    proof: Proof | None = None,
    items: frozenset[Instrument] = frozenset({SPOT}),
    apart: int = 0,
    refused: tuple[int, ...] = (),
) -> Fetched:
    numbered = rows.with_row_index(ROW_NUMBER, 1).cast({ROW_NUMBER: pl.Int64})
    return Fetched(
        table.name,
        unit,
        DAY,
        numbered,
        ("f" * 64,),
        lambda numbers: {n: f"row {n} as it came" for n in numbers},
        pl.DataFrame([(n, "price_unreadable") for n in refused], schema=REFUSED, orient="row"),
        apart,
        proof,
        items,
    )


def complete(rows: pl.DataFrame) -> Proof:
    first, last = int(rows["sequence"][0]), int(rows["sequence"][-1])
    return Proof("complete", f"ids {first} to {last}", first, last)


def test_what_came_is_held_with_its_instrument_and_its_proof(scene: Scene) -> None:
    rows = prints(SPOT, range(5))
    scene.venue.said["trades BTC"] = [piece(rows, proof=complete(rows))]

    report = scene.day("trades")["trades"]

    assert scene.rows(TRADES).equals(rows)
    assert (report.state, report.rows, dict(report.units)) == ("committed", 5, {"complete": 2})
    assert scene.held(TRADES).unit(SPOT.instrument_id).proof == "ids 0 to 4"  # type: ignore[union-attr]
    assert scene.rows(INSTRUMENTS)["instrument_id"].to_list() == [SPOT.instrument_id]


def test_asking_again_changes_nothing_and_what_was_known_stays_known_since_then(
    scene: Scene,
) -> None:
    first = prints(SPOT, range(5))
    scene.venue.said["trades BTC"] = [piece(first, proof=complete(first))]
    scene.day("trades")
    scene.at[0] += timedelta(days=1)
    again = prints(SPOT, range(5), received_at=scene.at[0])
    scene.venue.said["trades BTC"] = [piece(again, proof=complete(again))]

    report = scene.day("trades")["trades"]

    assert (report.state, report.revised) == ("unchanged", ())
    assert scene.rows(TRADES).equals(first)
    assert not scene.held(TRADES).former_units


def test_a_late_and_a_corrected_print_are_a_revision_known_from_their_own_receipt_on(
    scene: Scene,
) -> None:
    first = prints(SPOT, [0, 1, 3])
    scene.venue.said["trades BTC"] = [piece(first, proof=complete(first))]
    scene.day("trades")
    committed_at, scene.at[0] = scene.at[0], scene.at[0] + timedelta(days=1)
    corrected = prints(SPOT, [3], received_at=scene.at[0], price=61_000.0)
    late = prints(SPOT, [0, 1, 2], received_at=scene.at[0])
    again = pl.concat([late, corrected])
    scene.venue.said["trades BTC"] = [piece(again, proof=complete(again))]

    report = scene.day("trades")["trades"]

    assert report.revised == (SPOT.instrument_id,)
    known = {row["sequence"]: row["received_at"] for row in scene.rows(TRADES).to_dicts()}
    assert {n for n, at in known.items() if at == committed_at} == {0, 1}
    assert {n for n, at in known.items() if at == scene.at[0]} == {2, 3}
    assert scene.rows(TRADES, committed_at)["sequence"].to_list() == [0, 1, 3]


def test_a_revised_instrument_leaves_the_others_of_its_part_as_they_are(scene: Scene) -> None:
    spot, perp = prints(SPOT, range(3)), prints(PERP, range(3))
    both = frozenset({SPOT, PERP})
    scene.venue.said["trades BTC"] = [
        piece(spot, proof=complete(spot), items=both),
        piece(perp, unit=PERP.instrument_id, proof=complete(perp), items=both),
    ]
    scene.day("trades")
    more = prints(PERP, range(4))
    scene.venue.said["trades BTC"][1] = piece(
        more, unit=PERP.instrument_id, proof=complete(more), items=both
    )

    report = scene.day("trades")["trades"]

    assert report.revised == (PERP.instrument_id,)
    assert [unit.name for unit in scene.held(TRADES).former_units] == [PERP.instrument_id]
    assert scene.rows(TRADES).height == 7


def test_a_unit_of_many_rows_is_the_same_in_pieces_as_in_one(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "CHUNK_ROWS", 10)
    many, few = prints(PERP, range(95)), prints(SPOT, range(4))
    cut = [many.slice(start, 7) for start in range(0, 95, 7)]
    scene.venue.said["trades BTC"] = [
        *(piece(rows, unit=PERP.instrument_id, items=frozenset({PERP})) for rows in cut[:-1]),
        piece(cut[-1], unit=PERP.instrument_id, proof=complete(many), items=frozenset({PERP})),
        piece(few, proof=complete(few)),
    ]

    report = scene.day("trades")["trades"]

    held = scene.rows(TRADES).sort("instrument_id", "sequence")
    assert held.equals(pl.concat([few, many]).sort("instrument_id", "sequence"))
    assert dict(report.units) == {"complete": 3}
    assert scene.day("trades")["trades"].state == "unchanged"


def test_a_failed_fetch_is_a_gap_with_its_cause_and_takes_nothing_away(scene: Scene) -> None:
    rows = prints(SPOT, range(5))
    scene.venue.said["trades BTC"] = [piece(rows, proof=complete(rows))]
    scene.day("trades")
    scene.venue.said["trades BTC"] = [SourceUnavailable("binance: asked 6 times")]

    report = scene.day("trades")["trades"]

    assert scene.rows(TRADES).equals(rows)
    assert report.errors == ("binance: asked 6 times",)
    assert [gap.cause for gap in report.gaps] == ["source_unavailable"]
    assert scene.held(TRADES).unit("binance:BTC").status == "complete"  # type: ignore[union-attr]


def test_a_first_fetch_that_fails_is_seen_and_its_repair_too(scene: Scene) -> None:
    scene.venue.said["trades BTC"] = [SourceUnavailable("binance: asked 6 times")]
    scene.day("trades")
    assert scene.held(TRADES).unit("binance:BTC").status == "gap"  # type: ignore[union-attr]
    rows = prints(SPOT, range(5))
    scene.venue.said["trades BTC"] = [piece(rows, proof=complete(rows))]

    scene.day("trades")

    assert scene.held(TRADES).unit("binance:BTC").status == "complete"  # type: ignore[union-attr]
    (former,) = scene.held(TRADES).former_units
    assert [gap.cause for gap in former.gaps] == ["source_unavailable"]


def test_rows_of_a_unit_whose_end_did_not_come_are_a_gap_until_it_comes(scene: Scene) -> None:
    rows = prints(SPOT, range(5))
    gap = Gap(
        SPOT.instrument_id, MIDNIGHT + HOUR, MIDNIGHT + 24 * HOUR, "source_unavailable", None, ""
    )
    scene.venue.said["trades BTC"] = [
        piece(rows.head(3)),
        piece(rows.clear(), proof=Proof("gap", "asked 6 times", gaps=(gap,))),
    ]
    assert dict(scene.day("trades")["trades"].units) == {"gap": 2}
    assert scene.rows(TRADES).height == 3
    scene.venue.said["trades BTC"] = [piece(rows.head(2), proof=Proof("gap", "again", gaps=(gap,)))]
    scene.day("trades")
    assert scene.rows(TRADES).height == 3  # a failure that brings less takes nothing away
    scene.venue.said["trades BTC"] = [piece(rows, proof=complete(rows))]

    scene.day("trades")

    assert scene.rows(TRADES)["sequence"].to_list() == [0, 1, 2, 3, 4]


def test_a_day_without_prints_is_proven_by_a_unit_without_rows(scene: Scene) -> None:
    empty = prints(SPOT, [])
    scene.venue.said["trades BTC"] = [
        piece(empty, proof=Proof("complete", "the candle counts none"))
    ]

    report = scene.day("trades")

    unit = scene.held(TRADES).unit(SPOT.instrument_id)
    assert unit is not None
    assert (unit.status, unit.rows, unit.proof) == ("complete", 0, "the candle counts none")
    assert report["liquidations"].units == {"complete": 1}
    assert scene.held(LIQUIDATIONS).unit("binance:BTC").status == "complete"  # type: ignore[union-attr]


def test_an_answer_without_instruments_is_proven_as_a_whole(scene: Scene) -> None:
    empty = pl.DataFrame(schema=SETTLEMENTS.schema)
    proof = Proof("complete", "paged back past the start of the window")
    scene.venue.said["settlements BTC"] = [
        piece(empty, table=SETTLEMENTS, unit=None, proof=proof, items=frozenset())
    ]

    scene.day("settlements")

    (unit,) = scene.held(SETTLEMENTS).units
    assert (unit.name, unit.status, unit.proof) == ("binance:BTC", "complete", proof.text)


def test_rows_that_the_gate_refuses_are_kept_apart_and_the_unit_is_a_gap(scene: Scene) -> None:
    bad = prints(SPOT, [2], price=-1.0)
    rows = pl.concat([prints(SPOT, [0, 1]), bad, prints(SPOT, [3])])
    scene.venue.said["trades BTC"] = [piece(rows, proof=complete(rows), refused=(9,), apart=2)]

    report = scene.day("trades")["trades"]

    assert (report.received, report.rows, report.quarantined, report.apart) == (7, 3, 2, 2)
    assert [(g.cause, g.missing_count) for g in report.gaps] == [("quarantined", 1)]
    (file,) = (scene.line.location.quarantine / "trades").iterdir()
    kept = pl.read_parquet(file)
    assert dict(kept.select("row_number", "row_text").rows()) == {
        3: "row 3 as it came",
        9: "row 9 as it came",
    }
    assert kept["source_path"].unique().to_list() == [f"binance trades {SPOT.instrument_id} {DAY}"]


def test_rows_that_come_right_at_last_leave_quarantine(scene: Scene) -> None:
    bad = pl.concat([prints(SPOT, [0, 1]), prints(SPOT, [2], price=-1.0)])
    scene.venue.said["trades BTC"] = [piece(bad, proof=complete(bad))]
    scene.day("trades")
    good = prints(SPOT, range(3))
    scene.venue.said["trades BTC"] = [piece(good, proof=complete(good))]

    scene.day("trades")

    assert not list((scene.line.location.quarantine / "trades").iterdir())
    assert scene.held(TRADES).unit(SPOT.instrument_id).status == "complete"  # type: ignore[union-attr]


def test_refused_rows_are_kept_before_the_others_are_committed(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    rows = pl.concat([prints(SPOT, [0, 1]), prints(SPOT, [2], price=-1.0)])
    scene.venue.said["trades BTC"] = [piece(rows, proof=complete(rows))]
    monkeypatch.setattr(landing, "commit", killed)
    with pytest.raises(KeyboardInterrupt):
        scene.day("trades")
    (file,) = (scene.line.location.quarantine / "trades").iterdir()
    assert pl.read_parquet(file)["row_number"].to_list() == [3]


def test_what_was_said_of_a_unit_stays_said_for_those_who_read_as_of_before(scene: Scene) -> None:
    rows = prints(SPOT, range(5))
    gap = Gap(SPOT.instrument_id, MIDNIGHT, MORNING_AFTER, "less_than_candle", None, "")
    scene.venue.said["trades BTC"] = [piece(rows, proof=Proof("gap", "less", gaps=(gap,)))]
    scene.day("trades")
    before, scene.at[0] = scene.at[0], scene.at[0] + timedelta(days=1)
    scene.venue.said["trades BTC"] = [piece(rows, proof=complete(rows))]

    assert scene.day("trades")["trades"].state == "committed"

    then = {u.name: u.status for u in scene.held(TRADES).counted_units(before)}
    now = {u.name: u.status for u in scene.held(TRADES).counted_units()}
    assert then[SPOT.instrument_id] == "gap"
    assert now[SPOT.instrument_id] == "complete"
    assert scene.rows(TRADES, before).equals(rows)


def test_rows_whose_instrument_is_refused_are_a_gap(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: object, **__: object) -> None:
        raise GateRefused("instruments: were refused: strike_not_positive")

    monkeypatch.setattr(Register, "observe", refused)
    rows = prints(SPOT, range(5))
    scene.venue.said["trades BTC"] = [piece(rows, proof=complete(rows))]

    report = scene.day("trades")["trades"]

    assert report.errors == ("instruments: were refused: strike_not_positive",)
    assert {gap.cause for gap in report.gaps} == {"gate_refused"}
    assert scene.rows(TRADES).is_empty()


def test_a_folder_of_another_world_is_not_even_asked_for(scene: Scene) -> None:
    scene.line.location.claim(World("real"))
    scene.venue.said["trades BTC"] = [ValueError("was asked")]
    with pytest.raises(WrongWorld):
        scene.day("trades")


def test_an_answer_that_is_mostly_bad_is_refused_whole(scene: Scene) -> None:
    good = prints(SPOT, range(4))
    scene.venue.said["trades BTC"] = [piece(good, proof=complete(good))]
    scene.day("trades")
    bad = prints(SPOT, range(4), price=-1.0)
    scene.venue.said["trades BTC"] = [piece(bad, proof=complete(bad))]

    report = scene.day("trades")["trades"]

    assert "refused_share" in report.errors[0]
    assert scene.rows(TRADES).equals(good)
    assert scene.held(TRADES).unit(SPOT.instrument_id).status == "complete"  # type: ignore[union-attr]


def test_neighbouring_days_that_do_not_join_contradict_a_proof(scene: Scene) -> None:
    today, tomorrow = prints(SPOT, range(5)), prints(SPOT, range(9, 12), at=MORNING_AFTER)
    scene.venue.said["trades BTC"] = [piece(today, proof=complete(today))]
    scene.day("trades")
    scene.at[0] += timedelta(days=1)
    scene.venue.said["trades BTC"] = [piece(tomorrow, proof=complete(tomorrow))]

    scene.day("trades", day=date(2026, 3, 11))

    unit = scene.held(TRADES).unit(SPOT.instrument_id)
    assert unit is not None
    assert unit.status == "unprovable"
    assert "2026-03-11 does not join (id 9)" in unit.proof


@pytest.mark.parametrize(
    "name",
    [
        "../../../outside",
        "'; drop table trades; --",
        "a/b@2026-03-10T00:00:00",
        "{{ var('x') }}",
        "é\u202e",
    ],
)
def test_a_hostile_name_is_a_value_and_never_a_path(scene: Scene, name: str) -> None:
    item = Instrument("binance", name, "spot", name, "USDT")
    rows = pl.concat([prints(item, range(3)), prints(item, [3], price=-1.0)])
    scene.venue.said["trades BTC"] = [
        piece(rows, unit=item.instrument_id, proof=complete(rows), items=frozenset({item}))
    ]

    scene.day("trades")

    assert scene.rows(TRADES)["instrument_id"].unique().to_list() == [item.instrument_id]
    root = scene.line.location.root
    files = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert all(re.fullmatch(r"[a-z0-9_./=-]+", file) and ".." not in file for file in files)
    assert not (root.parent / "outside").exists()


def test_a_folder_of_another_world_takes_nothing(scene: Scene) -> None:
    scene.line.location.claim(World("real"))
    rows = prints(SPOT, range(5))
    scene.venue.said["trades BTC"] = [piece(rows, proof=complete(rows))]
    with pytest.raises(WrongWorld, match="holds real data"):
        scene.day("trades")
    assert scene.rows(TRADES).is_empty()


# ---------- snapshots
def levels(at: datetime, count: int = 3) -> pl.DataFrame:
    rows = pl.DataFrame(
        {
            "level": range(1, count + 1),
            "price": [60_000.0 - n for n in range(count)],
        }
    ).with_columns(
        venue=pl.lit("binance"),
        underlying=pl.lit("BTC"),
        instrument_id=pl.lit(SPOT.instrument_id),
        snapshot_at=pl.lit(at),
        quoted_at=pl.lit(at),
        received_at=pl.lit(at),
        side=pl.lit("bid"),
        quantity_base=1.0,
    )
    return BOOKS.conform(_filled(rows, BOOKS))


def tick(scene: Scene, at: datetime) -> TableReport:
    scene.at[0] = at
    unit = snapshot_unit("BTC", at)
    scene.venue.said["books BTC"] = [
        piece(levels(at), table=BOOKS, unit=unit, proof=Proof("complete", "all 1 instruments"))
    ]
    (report,) = live.ingest_snapshot(scene.line, "binance", at, ["books"])
    return report


def test_each_tick_is_a_part_until_the_day_is_merged_and_nobody_notices(scene: Scene) -> None:
    ticks = [MIDNIGHT + n * HOUR for n in range(24)]
    for at in ticks:
        tick(scene, at)
    before, committed_at = scene.rows(BOOKS), scene.at[0]
    assert len(scene.held(BOOKS).current_parts()) == 24
    scene.at[0] = MORNING_AFTER

    live.compact_day(scene.line, "binance", DAY)

    assert len(scene.held(BOOKS).current_parts()) == 1
    assert scene.rows(BOOKS).equals(before.sort(BOOKS.sort))
    assert scene.rows(BOOKS, committed_at).height == before.height
    assert len(scene.held(BOOKS).units) == 24


def test_a_tick_that_is_held_is_not_taken_again(scene: Scene) -> None:
    tick(scene, MIDNIGHT)
    assert tick(scene, MIDNIGHT).received == 0
    live.compact_day(scene.line, "binance", DAY)
    assert tick(scene, MIDNIGHT).received == 0


def test_the_checks_of_a_day_of_ticks_are_summed(scene: Scene) -> None:
    for n in range(3):
        tick(scene, MIDNIGHT + n * HOUR)
    evaluated = {check.evaluated_count for check in scene.held(BOOKS).checks}
    assert evaluated == {9}


def test_a_tick_that_failed_is_a_gap_and_so_is_one_that_nobody_took(scene: Scene) -> None:
    tick(scene, MIDNIGHT)
    scene.at[0] = MIDNIGHT + HOUR
    scene.venue.said["books BTC"] = [SourceUnavailable("binance: banned")]
    (failed,) = live.ingest_snapshot(scene.line, "binance", MIDNIGHT + HOUR, ["books"])
    scene.at[0] = MORNING_AFTER

    reports = {r.table: r for r in live.roll_call(scene.line, "binance", DAY, HOUR)}

    assert failed.errors == ("binance: banned",)
    (gap,) = reports["books"].gaps
    assert (gap.cause, gap.missing_count) == ("missed_tick", 22)
    assert (gap.started_at, gap.ended_at) == (MIDNIGHT + HOUR, MIDNIGHT + 24 * HOUR)
    (never,) = reports["quotes"].gaps
    assert (never.cause, never.missing_count) == ("not_retrievable", 24)


def test_a_day_of_failed_ticks_is_no_whole_day(scene: Scene) -> None:
    scene.venue.said["books BTC"] = [SourceUnavailable("binance: banned")]
    for n in range(3):
        scene.at[0] = MIDNIGHT + 8 * n * HOUR
        live.ingest_snapshot(scene.line, "binance", scene.at[0], ["books"])
    scene.at[0] = MORNING_AFTER

    live.roll_call(scene.line, "binance", DAY, 8 * HOUR)

    unit = scene.held(BOOKS).unit("binance:BTC")
    assert unit is not None
    assert (unit.status, unit.proof[:12]) == ("gap", "0 of 3 ticks")


def test_a_tick_that_comes_too_late_is_missed_and_nobody_is_asked(scene: Scene) -> None:
    tick(scene, MIDNIGHT)
    scene.at[0] = MIDNIGHT + timedelta(minutes=9)
    asked = list(scene.venue.said["books BTC"])
    (again,) = live.ingest_snapshot(scene.line, "binance", MIDNIGHT, ["books"])
    (late,) = live.ingest_snapshot(
        scene.line, "binance", MIDNIGHT + timedelta(minutes=2), ["books"]
    )
    assert scene.venue.said["books BTC"] == asked
    assert (again.gaps, again.state) == ((), "unchanged")
    assert [gap.cause for gap in late.gaps] == ["missed_tick"]
    assert scene.rows(BOOKS).height == 3


def test_the_roll_is_called_anew_without_making_revisions(scene: Scene) -> None:
    tick(scene, MIDNIGHT)
    scene.at[0] = MIDNIGHT + timedelta(minutes=30)
    (_, *_) = live.roll_call(scene.line, "binance", DAY, HOUR)
    assert scene.held(BOOKS).unit("binance:BTC").status == "open"  # type: ignore[union-attr]
    scene.at[0] = MORNING_AFTER
    live.roll_call(scene.line, "binance", DAY, HOUR)
    again = live.roll_call(scene.line, "binance", DAY, HOUR)
    assert {report.state for report in again} == {"unchanged"}
    assert scene.held(BOOKS).unit("binance:BTC").status == "gap"  # type: ignore[union-attr]
    assert not scene.held(BOOKS).former_units


def test_a_table_that_a_venue_does_not_have_is_not_spoken_of(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "offering", lambda table: ["binance"] * (table == "trades"))
    rows = prints(SPOT, range(5))
    scene.venue.said["trades BTC"] = [piece(rows, proof=complete(rows))]
    assert set(scene.day("trades")) == {"trades"}
    assert not scene.held(LIQUIDATIONS).units


@settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    cuts=st.lists(st.integers(0, 30), max_size=6),
    bad=st.sets(st.integers(0, 29), max_size=5),
    chunk=st.integers(3, 40),
)
def test_however_a_day_is_cut_every_row_is_accepted_or_quarantined(
    cuts: list[int],
    bad: set[int],
    chunk: int,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    venue = Scripted()
    monkeypatch.setattr(live, "venues", lambda: {"binance": lambda *_: venue})
    monkeypatch.setattr(arrivals, "CHUNK_ROWS", chunk)
    transport: Any = SimpleNamespace(clock=lambda: MORNING_AFTER, settings=None)
    root = tmp_path_factory.mktemp("cut")
    line = Line(Location(root), transport, ("BTC",), World("simulator", seed=1))
    rows = prints(SPOT, range(30)).with_columns(
        price=pl.when(pl.col("sequence").is_in(sorted(bad))).then(-1.0).otherwise("price")
    )
    edges = [0, *sorted(cuts), 30]
    parts = [rows.slice(a, b - a) for a, b in pairwise(edges)]
    venue.said["trades BTC"] = [
        piece(part, proof=complete(rows) if place == len(parts) - 1 else None)
        for place, part in enumerate(parts)
    ]

    report = next(r for r in live.ingest_day(line, "binance", "trades", DAY) if r.table == "trades")

    assert report.received == report.rows + report.quarantined == 30
    held = lake.scan(line.location, "trades").collect()
    assert held["sequence"].to_list() == [n for n in range(30) if n not in bad]
    assert report.units["gap" if bad else "complete"]
