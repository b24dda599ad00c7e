"""Days that did not change cost nothing; models run after what they stand on."""

import itertools
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from assets import plan
from assets.changes import Basis
from assets.plan import Model, Step
from warehouse.location import Location

D = date(2024, 7, 23)
NOW = datetime(2026, 11, 20, tzinfo=UTC)


def model(name: str, *parents: str, daily: bool = False, state: bool = False) -> Model:
    return Model(name, parents, frozenset({"trades"}), daily, state)


days = st.lists(st.dates(date(2020, 1, 1), date(2030, 1, 1)), unique=True).map(sorted)


@given(days)
def test_runs_hold_exactly_the_days_and_never_touch_each_other(found: list[date]) -> None:
    runs = plan.runs(found)
    held = [low + timedelta(n) for low, high in runs for n in range((high - low).days)]
    assert held == found
    assert all(a[1] < b[0] for a, b in itertools.pairwise(runs))


def test_an_empty_month_between_two_days_is_not_run() -> None:
    bars = model("bars", daily=True)
    found = [D, D + timedelta(1), D + timedelta(500)]
    steps = plan.steps([bars], {"trades": found}, {"trades": found})
    assert steps == [
        Step(("bars",), D, D + timedelta(2)),
        Step(("bars",), D + timedelta(500), D + timedelta(501)),
    ]


def test_a_whole_model_waits_for_every_day_of_the_daily_model_below_it() -> None:
    ordered = [
        model("view"),
        model("daily", "view", daily=True),
        model("second", "daily", daily=True),
        model("whole", "second"),
        model("last", "whole", "daily", daily=True),
    ]
    found = {"trades": [D, D + timedelta(9)]}
    names = [step.models for step in plan.steps(ordered, found, found)]
    assert names == [
        ("view",),
        ("daily", "second"),
        ("daily", "second"),
        ("whole",),
        ("last",),
        ("last",),
    ]


def test_a_model_that_carries_state_runs_from_the_first_change_on() -> None:
    held = {"trades": [D, D + timedelta(1), D + timedelta(5)]}
    changed = {"trades": [D + timedelta(1)]}
    carrying = plan.days_to_run(model("m", daily=True, state=True), changed, held)
    assert carrying == [D + timedelta(1), D + timedelta(5)]
    assert plan.days_to_run(model("m", daily=True), changed, held) == [D + timedelta(1)]


def test_a_model_that_reads_the_day_before_runs_for_the_day_after_a_change_too() -> None:
    chain = Model("chain", (), frozenset({"quotes"}), True, reads_day_before=True)
    held = {"quotes": [D, D + timedelta(1), D + timedelta(3)]}
    assert plan.days_to_run(chain, {"quotes": [D]}, held) == [D, D + timedelta(1)]
    assert plan.days_to_run(chain, {"quotes": [D + timedelta(3)]}, held) == [D + timedelta(3)]


def test_what_stands_on_a_model_that_looks_back_looks_back_too() -> None:
    def node(name: str, *parents: str, **meta: bool) -> dict[str, object]:
        return {
            "name": name,
            "resource_type": "model",
            "depends_on": {"nodes": ["source.quotes", *parents]},
            "config": {"incremental_strategy": "microbatch", "meta": meta},
        }

    sources = {"source.quotes": {"name": "quotes", "source_name": "lake"}}
    nodes = {"b": node("b", "a"), "a": node("a", reads_day_before=True), "c": node("c")}
    found = {m.name: m for m in plan.models({"nodes": nodes, "sources": sources})}
    assert list(found) in (["a", "c", "b"], ["a", "b", "c"], ["c", "a", "b"])
    assert [found[n].reads_day_before for n in "abc"] == [True, True, False]
    assert all(m.tables == {"quotes"} for m in found.values())


def test_a_daily_model_without_days_is_made_once_and_then_left_alone() -> None:
    bars = model("bars", daily=True)
    first = [Step(("bars",), plan.NO_DAY, plan.NO_DAY + plan.ONE_DAY)]
    assert plan.steps([bars], {}, {}) == first
    assert plan.steps([bars], {}, {}, frozenset({"bars"})) == []


def test_models_of_other_days_still_run_after_what_they_stand_on() -> None:
    both = Model("both", ("bars",), frozenset({"trades", "quotes"}), True, False)
    quotes = Model("first", (), frozenset({"trades", "quotes"}), True, False)
    ordered = [quotes, model("bars", daily=True), both]
    found = {"trades": [D], "quotes": [D + timedelta(1)]}
    names = [step.models for step in plan.steps(ordered, found, found)]
    assert names == [("bars",), ("first", "both")]


def test_a_day_on_which_only_instruments_changed_costs_nothing() -> None:
    quotes = Model("quotes", (), frozenset({"option_quotes", "instruments"}), True, False)
    held = {"option_quotes": [D], "instruments": [D, D + timedelta(1)]}
    assert plan.days_to_run(quotes, {"instruments": held["instruments"]}, held) == [D]


def test_only_partitions_whose_parts_differ_count_as_changed(tmp_path: Path) -> None:
    one, two = (f"trades/venue=binance/day={D + timedelta(n)}" for n in range(2))
    before = Basis("v", NOW, NOW, {one: ["a"], two: ["b"]})
    (tmp_path / "work").mkdir()
    before.write(Location(tmp_path))
    assert Basis.read(Location(tmp_path)) == before
    after = Basis("v", NOW, NOW, {one: ["a"], two: ["c"]})
    assert after.changed_since(before) == {"trades": [D + timedelta(1)]}
    assert Basis("v", NOW, NOW, {one: ["a"]}).changed_since(before) == {
        "trades": [D + timedelta(1)]
    }
    assert after.changed_since(None) == {"trades": [D, D + timedelta(1)]}


def test_a_day_that_had_not_settled_at_the_last_build_is_built_again() -> None:
    today = f"trades/venue=binance/day={NOW.date()}"
    basis = Basis("v", NOW, NOW, {today: ["a"]})
    assert basis.changed_since(basis) == {"trades": [NOW.date()]}
