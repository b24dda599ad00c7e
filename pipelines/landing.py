"""How is what a venue sent committed, and what is said of it? Failures never replace data."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from expectations import gate
from expectations.gate import GateRefused
from pipelines import quarantine
from pipelines.arrivals import UNNAMED, Arrivals
from pipelines.continuity import API
from pipelines.venues.base import REST_RANK, Proof, Window
from warehouse.contract import INSTRUMENTS
from warehouse.lake import Check, Gap, Unit, commit, read_manifest, restate

STATUSES = ("gap", "open", "unprovable", "complete")  # from worst to best
REFUSED_BY_GATE, QUARANTINED = "gate_refused", "quarantined"
DECLARED_RANK = 20  # a venue's own list of instruments knows more than their names and the seeds
NO_END = Proof("gap", "its end did not come")


@dataclass(frozen=True, slots=True)
class Landed:
    """What was committed, and what of it was not."""

    state: str
    units: tuple[Unit, ...]
    revised: tuple[str, ...] = ()
    checks: tuple[Check, ...] = ()
    quarantined: int = 0
    errors: tuple[str, ...] = ()
    notices: tuple[str, ...] = ()


def land(arrivals: Arrivals, whole: Sequence[Unit], window: Window, at: datetime) -> Landed:
    """Commit what came, with the units of `whole`, which say something of all of it.

    A check that blocks leaves what is held, and gaps where nothing is.
    """
    arrivals.close()
    checks: list[Check] = []
    error = arrivals.failure
    try:
        checks = [*arrivals.ledger.checks((arrivals.partition.day, None)), _share(arrivals)]
        gate.require(arrivals.partition.name, checks)
    except GateRefused as refused:
        error = error or str(refused)
    if error:
        return _refused(arrivals, error, checks, whole, window, at)
    units = [_unit(arrivals, name, window) for name in _names(arrivals)]
    every = [*units, *whole]
    # First, since a snapshot is never asked for again: what was refused of it must not be lost.
    _hold_refusals(arrivals, at)
    outcome = commit(
        arrivals.location,
        arrivals.partition,
        units=[u for u in every if u.name not in arrivals.same and not _is_said(arrivals, u)],
        parts=arrivals.parts,
        checks=_with_earlier(arrivals, checks),
        at=at,
    )
    is_restated = _restate(arrivals, every, set(outcome.refused), at)
    for name in {*_names(arrivals), UNNAMED} - {*outcome.refused, *arrivals.refusals}:
        _quarantine(arrivals, name, at)  # what once was refused of it has come right
    return Landed(
        "committed" if is_restated else outcome.state,
        tuple(units),
        tuple(name for name in outcome.revised if name in arrivals.rows_of_unit),
        tuple(checks),
        sum(len(found) for found in arrivals.refusals.values()),
        (),
        (*arrivals.notices, *(f"{name}: what is held is better" for name in outcome.refused)),
    )


def worst(statuses: Sequence[str]) -> str:
    return min(statuses, key=STATUSES.index)


def _names(arrivals: Arrivals) -> list[str]:
    """The units that came; of what came beside another table, those that have rows."""
    beside = arrivals.rows_of_unit
    return sorted(beside if arrivals.is_beside else {*beside, *arrivals.proofs})


def _unit(arrivals: Arrivals, name: str, window: Window) -> Unit:
    proof = arrivals.proofs.get(name) or NO_END
    gaps, status = list(proof.gaps), proof.status
    by_gate = [refusal for refusal in arrivals.refusals.get(name, ()) if refusal.is_by_gate]
    if by_gate:
        detail = f"refused: {', '.join(sorted({refusal.reason for refusal in by_gate}))}"
        gaps.append(Gap(name, window.start, window.end, QUARANTINED, len(by_gate), detail))
        status = "gap"
    return Unit(
        name=name,
        instrument_id=None if "@" in name else name,
        status=status,
        rows=arrivals.rows_of_unit.get(name, 0),
        source=f"{arrivals.partition.venue}{API}",
        rank=DECLARED_RANK if arrivals.table is INSTRUMENTS else REST_RANK,
        proof=proof.text,
        raw=arrivals.raw.get(name, ()),
        first_sequence=proof.first_sequence,
        last_sequence=proof.last_sequence,
        gaps=tuple(gaps),
    )


def _is_said(arrivals: Arrivals, unit: Unit) -> bool:
    """Whether the like is held of a unit without rows, though perhaps in other words."""
    held = arrivals.held.unit(unit.name)
    return held is not None and not held.rows and (0, unit.status) == (unit.rows, held.status)


def _restate(arrivals: Arrivals, units: Sequence[Unit], refused: set[str], at: datetime) -> bool:
    """Of units whose rows are held already, say what is known now; whether a status changed.

    What was said before stays for those who read as of a time before, unless only words differ.
    """
    held = read_manifest(arrivals.location, arrivals.partition)
    changes = {
        own: new
        for unit in units
        if unit.name not in refused and (own := held.unit(unit.name)) is not None
        if (new := _renewed(own, unit)) is not None
    }
    words = {o: n for o, n in changes.items() if (o.status, o.gaps) == (n.status, n.gaps)}
    facts = {own: new for own, new in changes.items() if own not in words}
    if words:
        restate(arrivals.location, arrivals.partition, words)
    if facts:
        restate(arrivals.location, arrivals.partition, facts, at)
    return bool(facts)


def _renewed(held: Unit, fresh: Unit) -> Unit | None:
    """The held unit as it is known now; None where nothing is new, or what is held knows more."""
    if held.rows != fresh.rows or held.rank != fresh.rank:
        return None
    if STATUSES.index(fresh.status) < STATUSES.index(held.status):
        return None
    renewed = replace(
        held,
        status=fresh.status,
        proof=fresh.proof,
        first_sequence=fresh.first_sequence,
        last_sequence=fresh.last_sequence,
        gaps=fresh.gaps,
    )
    return None if renewed == held else renewed


def _share(arrivals: Arrivals) -> Check:
    reasons = Counter(r.reason for found in arrivals.refusals.values() for r in found)
    rows = arrivals.received - arrivals.apart
    return gate.refused_share(arrivals.table, arrivals.subject, rows, reasons)


def _with_earlier(arrivals: Arrivals, checks: Sequence[Check]) -> list[Check]:
    """Snapshots of a day are checked one by one, and the day's record sums them up."""
    if not any("@" in name for name in arrivals.rows_of_unit):
        return list(checks)
    earlier = {(c.source_path, c.expectation, c.column_name): c for c in arrivals.held.checks}
    return [
        replace(
            check,
            is_passed=check.is_passed and past.is_passed,
            evaluated_count=check.evaluated_count + past.evaluated_count,
            unexpected_count=check.unexpected_count + past.unexpected_count,
        )
        if (past := earlier.get((check.source_path, check.expectation, check.column_name)))
        else check
        for check in checks
    ]


def _refused(
    arrivals: Arrivals,
    error: str,
    checks: Sequence[Check],
    whole: Sequence[Unit],
    window: Window,
    at: datetime,
) -> Landed:
    """Nothing of what came is committed: a gap where nothing is held."""
    names = sorted(arrivals.raw if arrivals.is_beside else {*arrivals.raw, *arrivals.proofs})
    failed = [
        replace(
            _unit(arrivals, name, window),
            status="gap",
            rows=0,
            proof=error,
            first_sequence=None,
            last_sequence=None,
            gaps=(Gap(name, window.start, window.end, REFUSED_BY_GATE, None, error),),
        )
        for name in names
    ]
    said = {unit.name for unit in failed}
    units = [*failed, *(replace(u, status="gap", proof=error) for u in whole if u.name not in said)]
    outcome = commit(
        arrivals.location, arrivals.partition, units=units, parts=(), checks=checks, at=at
    )
    _hold_refusals(arrivals, at)
    count = sum(len(found) for found in arrivals.refusals.values())
    notices = tuple(arrivals.notices)
    return Landed(outcome.state, tuple(units), (), tuple(checks), count, (error,), notices)


def _hold_refusals(arrivals: Arrivals, at: datetime) -> None:
    for name in arrivals.refusals:
        _quarantine(arrivals, name, at)


def _quarantine(arrivals: Arrivals, name: str, at: datetime) -> None:
    quarantine.hold(
        arrivals.location,
        arrivals.refusals.get(name, []),
        table_name=arrivals.table.name,
        venue=arrivals.partition.venue,
        subject=f"{arrivals.subject} {name} {arrivals.partition.day}",
        at=at,
    )
