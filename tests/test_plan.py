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


def model(
    name: str, *parents: str, daily: bool = False, tables: tuple[str, ...] = ("trades",),
    rows_from: tuple[str, ...] | None = None, state: bool = False, looks_back: bool = False,
) -> Model:  # fmt: skip
    filling = frozenset(tables if rows_from is None else rows_from)
    return Model(name, parents, frozenset(tables), filling, daily, state, looks_back)


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
        ("view", "daily", "second"),
        ("daily", "second", "whole"),
        ("last",),
        ("last",),
    ]


def test_days_in_a_row_are_one_call() -> None:
    ordered = [
        model("view"),
        model("daily", "view", daily=True),
        model("whole", "daily"),
        model("last", "whole", daily=True),
    ]
    found = {"trades": [D, D + timedelta(1)]}
    assert plan.steps(ordered, found, found) == [
        Step(("view", "daily", "whole", "last"), D, D + timedelta(2))
    ]


@given(st.data())
def test_every_day_runs_after_all_that_its_model_stands_on(data: st.DataObject) -> None:
    tables = ("trades", "quotes")
    ordered: list[Model] = []
    for n in range(data.draw(st.integers(1, 7))):
        above = data.draw(st.lists(st.sampled_from(ordered), unique=True)) if ordered else []
        own = data.draw(st.sets(st.sampled_from(tables), min_size=not above))
        ordered.append(
            Model(
                f"m{n}",
                tuple(p.name for p in above),
                frozenset(own.union(*(p.tables for p in above))),
                frozenset(
                    data.draw(st.sets(st.sampled_from(tables)))
                    or own.union(*(p.rows_from for p in above))
                ),
                data.draw(st.booleans()),
                any(p.carries_state for p in above) or data.draw(st.booleans()),
                any(p.reads_day_before for p in above) or data.draw(st.booleans()),
            )
        )
    dates = st.sets(st.dates(D, D + timedelta(5)))
    held = {table: data.draw(dates) for table in tables}
    steps = plan.steps(ordered, held, held)
    calls = {m.name: [n for n, s in enumerate(steps) if m.name in s.models] for m in ordered}
    kind = {m.name: m.is_daily for m in ordered}
    for m in ordered:
        assert calls[m.name]
        for parent, n in itertools.product(m.parents, calls[m.name]):
            # A daily model reads a daily one up to its own day, and of a whole one everything.
            is_part = m.is_daily and kind[parent]
            read = [
                k for k in calls[parent] if not is_part or _days(steps[k])[0] < _days(steps[n])[1]
            ]
            assert max(read, default=n) <= n
        if m.is_daily:
            runs = [_days(steps[n]) for n in calls[m.name]]
            ran = [a + timedelta(k) for a, b in runs for k in range((b - a).days)]
            assert ran == (plan.days_to_run(m, held, held) or [plan.NO_DAY])


def _days(step: Step) -> tuple[date, date]:
    assert step.start is not None
    assert step.end is not None
    return step.start, step.end


def test_a_model_that_carries_state_runs_from_the_first_change_on() -> None:
    held = {"trades": [D, D + timedelta(1), D + timedelta(5)]}
    changed = {"trades": [D + timedelta(1)]}
    carrying = plan.days_to_run(model("m", daily=True, state=True), changed, held)
    assert carrying == [D + timedelta(1), D + timedelta(5)]
    assert plan.days_to_run(model("m", daily=True), changed, held) == [D + timedelta(1)]


def test_a_model_that_reads_the_day_before_runs_for_the_day_after_a_change_too() -> None:
    chain = model("chain", daily=True, tables=("quotes",), looks_back=True)
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


def test_the_rows_of_a_model_come_from_what_it_stands_on_unless_it_says_otherwise() -> None:
    def node(name: str, *parents: str, **meta: list[str]) -> dict[str, object]:
        return {
            "name": name,
            "resource_type": "model",
            "depends_on": {"nodes": list(parents)},
            "config": {"incremental_strategy": "microbatch", "meta": meta},
        }

    names = ("option_quotes", "quotes", "trades", "instruments")
    sources = {f"source.{n}": {"name": n, "source_name": "lake"} for n in names}
    nodes = {
        "chain": node("chain", "source.option_quotes", "source.quotes", "source.instruments",
                      rows_from=["option_quotes"]),
        "skew": node("skew", "chain"),
        "flow": node("flow", "skew", "source.trades", "source.instruments"),
    }  # fmt: skip
    found = {m.name: m for m in plan.models({"nodes": nodes, "sources": sources})}
    assert found["skew"].rows_from == {"option_quotes"}
    assert found["skew"].tables == {"option_quotes", "quotes", "instruments"}
    assert found["flow"].rows_from == {"option_quotes", "trades"}


def test_a_day_that_fills_none_of_a_model_costs_nothing() -> None:
    chain = model(
        "chain", daily=True, tables=("option_quotes", "quotes"), rows_from=("option_quotes",),
        looks_back=True,
    )  # fmt: skip
    held = {"option_quotes": [D], "quotes": [D - timedelta(1), D, D + timedelta(1)]}
    assert plan.days_to_run(chain, held, held) == [D]
    # What it looks back on is no day of its own, but moves one.
    assert plan.days_to_run(chain, {"quotes": [D - timedelta(1)]}, held) == [D]
    assert plan.days_to_run(chain, {"quotes": [D + timedelta(1)]}, held) == []


def test_a_day_that_lost_its_rows_is_run_once_more() -> None:
    bars = model("bars", daily=True)
    assert plan.days_to_run(bars, {"trades": [D]}, {"trades": []}) == [D]


def test_a_daily_model_without_days_is_made_once_and_then_left_alone() -> None:
    bars = model("bars", daily=True)
    first = [Step(("bars",), plan.NO_DAY, plan.NO_DAY + plan.ONE_DAY)]
    assert plan.steps([bars], {}, {}) == first
    assert plan.steps([bars], {}, {}, frozenset({"bars"})) == []


def test_models_of_other_days_still_run_after_what_they_stand_on() -> None:
    both = model("both", "bars", daily=True, tables=("trades", "quotes"))
    quotes = model("first", daily=True, tables=("trades", "quotes"))
    ordered = [quotes, model("bars", daily=True), both]
    found = {"trades": [D], "quotes": [D + timedelta(4)]}
    names = [step.models for step in plan.steps(ordered, found, found)]
    assert names == [("bars", "first", "both"), ("first", "both")]


def test_a_day_on_which_only_instruments_changed_costs_nothing() -> None:
    tables = ("option_quotes", "instruments")
    quotes = model("quotes", daily=True, tables=tables, rows_from=("option_quotes",))
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
