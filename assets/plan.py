"""Which dbt models must run, in which order, and over which days?

A daily model (dbt's microbatch) needs nothing but its own UTC day, so it runs for the days on which
a lake table that it reads has changed; every other model is rebuilt whole. A daily model may stand
on a whole one and the other way round, so models are run in levels: whole, daily, whole, ...
Neighbouring levels share one call of dbt where their days allow, since a call costs most of a
second before it runs anything.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

# A model over no day at all is run for this one, so that its empty table exists.
NO_DAY = date(2010, 1, 1)
ONE_DAY = timedelta(days=1)
# Tables that describe others' rows: a day on which only they changed has nothing to compute.
DESCRIBING = frozenset({"instruments"})


@dataclass(frozen=True, slots=True)
class Model:
    """What planning needs of a dbt model.

    `tables` are the lake tables it reads, through others too. `rows_from` are those of them whose
    rows become its rows: on a day that holds none of theirs it has none. `carries_state`: what it
    says of a day depends on all earlier days, so it runs from the first change on.
    `reads_day_before`: on the day before as well, so it also runs for the day after a change. Both
    hold for what stands on it.
    """

    name: str
    parents: tuple[str, ...]
    tables: frozenset[str]
    rows_from: frozenset[str]
    is_daily: bool
    carries_state: bool = False
    reads_day_before: bool = False


@dataclass(frozen=True, slots=True)
class Step:
    """One call of dbt: these models, over [start, end) where they are daily."""

    models: tuple[str, ...]
    start: date | None = None
    end: date | None = None


def models(manifest: Mapping[str, Any]) -> list[Model]:
    """The models of a dbt manifest, parents before children."""
    nodes = {k: n for k, n in manifest["nodes"].items() if n["resource_type"] == "model"}
    found: dict[str, Model] = {}
    while len(found) < len(nodes):
        for key, node in nodes.items():
            parents = [p for p in node["depends_on"]["nodes"] if p in nodes]
            if key in found or any(p not in found for p in parents):
                continue
            direct = {
                manifest["sources"][p]["name"]
                for p in node["depends_on"]["nodes"]
                if p in manifest["sources"] and manifest["sources"][p]["source_name"] == "lake"
            }
            above = [found[p] for p in parents]
            meta = node["config"].get("meta", {})
            filling = direct.union(*(p.rows_from for p in above)) - DESCRIBING
            found[key] = Model(
                node["name"],
                tuple(p.name for p in above),
                frozenset(direct.union(*(p.tables for p in above))),
                frozenset(meta.get("rows_from", filling)),
                _runs_by_day(node["config"]),
                bool(meta.get("carries_state")) or any(p.carries_state for p in above),
                bool(meta.get("reads_day_before")) or any(p.reads_day_before for p in above),
            )
    return list(found.values())


def _runs_by_day(config: Mapping[str, Any]) -> bool:
    """A table keeps the strategy that its folder names and does not use it."""
    is_table = config.get("materialized") == "table"
    return config.get("incremental_strategy") == "microbatch" and not is_table


def steps(
    ordered: Sequence[Model],
    changed: Mapping[str, Iterable[date]],
    held: Mapping[str, Iterable[date]],
    existing: frozenset[str] = frozenset(),
) -> list[Step]:
    """The calls of dbt that bring `ordered` models up to date.

    `changed` and `held` give, per lake table, the days that changed and all days there are.
    `existing` names the models whose tables are there: without a changed day they are left alone.
    """
    levels = _levels(ordered)
    planned: list[Step] = []
    for level in range(max(levels.values(), default=-1) + 1):
        members = [m for m in ordered if levels[m.name] == level]
        if not members:
            continue
        if level % 2 == 0:
            planned.append(Step(tuple(m.name for m in members)))
            continue
        groups: dict[tuple[date, ...], list[str]] = {}
        for model in members:
            days = tuple(days_to_run(model, changed, held))
            if days or model.name not in existing:
                groups.setdefault(days or (NO_DAY,), []).append(model.name)
        for days, names in _parents_first(groups, members):
            planned += [Step(tuple(names), start, end) for start, end in runs(days)]
    return _joined(planned)


def _joined(planned: Sequence[Step]) -> list[Step]:
    """Neighbouring steps as one where at most one of them has days, or both have the same.

    dbt runs parents before children within a call, and a whole model heeds no days.
    """
    found: list[Step] = []
    for step in planned:
        last = found[-1] if found else None
        days = {(s.start, s.end) for s in (last, step) if s and s.start}
        if last and len(days) < 2 and not set(last.models) & set(step.models):
            start, end = days.pop() if days else (None, None)
            found[-1] = Step((*last.models, *step.models), start, end)
        else:
            found.append(step)
    return found


def days_to_run(
    model: Model, changed: Mapping[str, Iterable[date]], held: Mapping[str, Iterable[date]]
) -> list[date]:
    """The days on which a daily model's rows may differ from what it holds, sorted."""
    days = _days_of(model.tables, changed)
    if model.reads_day_before:
        days |= {day + ONE_DAY for day in days}
    filled = _days_of(model.rows_from, held)
    # A day that has lost all its rows loses those of the model, too.
    days &= filled | _days_of(model.rows_from, changed)
    if days and model.carries_state:
        days |= {day for day in filled if day > min(days)}
    return sorted(days)


def _days_of(tables: Iterable[str], days: Mapping[str, Iterable[date]]) -> set[date]:
    return {day for table in tables for day in days.get(table, ())}


def runs(days: Sequence[date]) -> list[tuple[date, date]]:
    """Sorted days as half-open runs of neighbours: an empty month costs nothing."""
    found: list[tuple[date, date]] = []
    for day in days:
        if found and found[-1][1] == day:
            found[-1] = (found[-1][0], day + ONE_DAY)
        else:
            found.append((day, day + ONE_DAY))
    return found


def _parents_first(
    groups: Mapping[tuple[date, ...], list[str]], members: Sequence[Model]
) -> list[tuple[tuple[date, ...], list[str]]]:
    """Order the groups of a level, each as one piece unless its models stand on each other's."""
    parents = {m.name: set(m.parents) for m in members}
    waiting, ordered = dict(groups), []
    while waiting:
        pending = {name for names in waiting.values() for name in names}
        ready = {days: _ready(names, parents, pending) for days, names in waiting.items()}
        days = max(waiting, key=lambda days: (ready[days] == waiting[days], len(ready[days])))
        ordered.append((days, ready[days]))
        waiting[days] = [name for name in waiting[days] if name not in ready[days]]
        if not waiting[days]:
            del waiting[days]
    return ordered


def _ready(
    names: Sequence[str], parents: Mapping[str, set[str]], pending: Collection[str]
) -> list[str]:
    """Those that stand on nothing that is pending but each other; parents come before children."""
    found: list[str] = []
    for name in names:
        if not (parents[name] & set(pending)) - set(found):
            found.append(name)
    return found


def _levels(ordered: Sequence[Model]) -> dict[str, int]:
    """Even levels are rebuilt whole, odd ones run by day; parents never stand on a later level."""
    kind = {m.name: m.is_daily for m in ordered}
    levels: dict[str, int] = {}
    for model in ordered:
        lowest = 1 if model.is_daily else 0
        for parent in model.parents:
            step = 0 if kind[parent] == model.is_daily else 1
            lowest = max(lowest, levels[parent] + step)
        levels[model.name] = lowest
    return levels
