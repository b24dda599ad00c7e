"""Is it true? Great Expectations decides row by row; what it refuses never reaches the lake."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TYPE_CHECKING, Any

import polars as pl

from expectations import validation
from warehouse.contract import Table
from warehouse.lake import Check

if TYPE_CHECKING:
    from expectations.suites import Promise

ROW_NUMBER = "row_number"  # place of a row in its source, counted from 1 after the header
CHUNK_ROWS = 1_000_000  # beyond it, the memory of one validation grows out of proportion
REFUSED = pl.Schema({ROW_NUMBER: pl.Int64, "reason": pl.String})
REFUSABLE_SHARE = 0.5


class GateRefused(ValueError):
    """A blocking check failed on what would be kept: nothing of it may be committed.

    The message names the check, how many rows and why; who reads a file adds its path.
    """


@dataclass(frozen=True, slots=True)
class Finding:
    """What one promise came to on one chunk.

    `is_passed` speaks of the rows that are kept; `unexpected` counts, by day, the rows that broke
    the promise, kept or not.
    """

    promise: "Promise"
    is_passed: bool
    unexpected: Mapping[date | None, int]


@dataclass(frozen=True, slots=True)
class Audit:
    """A chunk divided: rows kept, rows refused (row_number, reason), and what was found."""

    kept: pl.DataFrame
    refused: pl.DataFrame
    evaluated: Mapping[date | None, int]
    findings: tuple[Finding, ...]


@dataclass(slots=True)
class Ledger:
    """The findings of a source, chunk by chunk, to be read by day once all was seen."""

    table: Table
    source_path: str
    evaluated: Counter[date | None] = field(default_factory=Counter)
    unexpected: dict[str, Counter[date | None]] = field(default_factory=dict)
    promises: dict[str, "Promise"] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)  # on kept rows, or on the whole
    of_source: list[Check] = field(default_factory=list)  # they speak of all days at once

    def add(self, audit: Audit) -> None:
        self.evaluated.update(audit.evaluated)
        for finding in audit.findings:
            breach = finding.promise.breach
            self.promises[breach] = finding.promise
            self.unexpected.setdefault(breach, Counter()).update(finding.unexpected)
            if not finding.is_passed and (finding.promise.is_blocking or not finding.unexpected):
                self.failed.add(breach)

    def checks(self, days: Collection[date | None]) -> list[Check]:
        """Results over `days`; None stands for rows without a readable day."""
        broken = {b: sum(found[d] for d in days) for b, found in self.unexpected.items()}
        told = [
            Check(
                self.source_path,
                breach,
                promise.column,
                promise.is_blocking,
                breach not in self.failed and (promise.is_blocking or not broken[breach]),
                sum(self.evaluated[d] for d in days),
                broken[breach],
                promise.reason,
            )
            for breach, promise in self.promises.items()
        ]
        return [*told, *self.of_source]


def audit(table: Table, frame: pl.DataFrame) -> Audit:
    """Divide `frame` (the table's columns and `row_number`) into kept and refused rows.

    Raises `GateRefused` where a blocking promise about the whole fails: wrong columns or unit.
    """
    chunks = [_audit_chunk(table, piece) for piece in frame.iter_slices(CHUNK_ROWS)]
    if not chunks:
        return _audit_chunk(table, frame)
    if len(chunks) == 1:
        return chunks[0]
    return Audit(
        pl.concat([c.kept for c in chunks]),
        pl.concat([c.refused for c in chunks]),
        sum((Counter(c.evaluated) for c in chunks), Counter()),
        tuple(finding for c in chunks for finding in c.findings),
    )


def empty(
    expectation: str,
    source_path: str,
    *,
    violations: int,
    evaluated: int,
    is_blocking: bool,
    reason: str,
) -> Check:
    """Assert by Great Expectations that a table of violations, found by polars, is empty."""
    passed = validation.is_empty(violations)
    return Check(source_path, expectation, "", is_blocking, passed, evaluated, violations, reason)


def refused_share(table: Table, source_path: str, rows: int, refused: Mapping[str, int]) -> Check:
    """The check that of `rows` no more than half were refused, for the reasons counted.

    Raises `GateRefused` where it fails.
    """
    count, most = sum(refused.values()), f"{REFUSABLE_SHARE:.0%}"
    if count > REFUSABLE_SHARE * rows:
        worst = max(refused, key=lambda reason: refused[reason])
        raise GateRefused(
            f"{table.name}: refused_share: {count} of {rows} rows were refused "
            f"({count / rows:.0%}), {refused[worst]} of them as {worst}; "
            f"a file with more than {most} bad rows is not imported"
        )
    reason = f"Of a file with more than {most} bad rows, the others are not to be trusted either."
    return Check(source_path, "refused_share", "", True, True, rows, count, reason)


def require(subject: str, checks: Iterable[Check]) -> None:
    """Raise `GateRefused` where a blocking check failed on what is kept of `subject`."""
    for check in checks:
        if check.is_blocking and not check.is_passed:
            raise GateRefused(
                f"{subject}: {check.expectation}: {check.unexpected_count} of "
                f"{check.evaluated_count} rows broke it. {check.reason}"
            )


def _audit_chunk(table: Table, frame: pl.DataFrame) -> Audit:
    names = tuple(name for name in frame.columns if name != ROW_NUMBER)
    columns = _columns_finding(table, names)
    reasons = pl.Series("reason", [None] * frame.height, pl.String)
    results = list(validation.results(table, frame))
    for promise, result, rows in results:
        _check_whole(table, promise, result)
        if promise.is_blocking and len(rows):
            reasons = _named_first(reasons, rows, promise.breach)
    bad, days = reasons.is_not_null(), frame[table.time].dt.date()
    findings = (_finding(promise, result, days, rows, bad) for promise, result, rows in results)
    refused = frame.select(ROW_NUMBER).with_columns(reasons).filter(bad)
    kept = frame if refused.is_empty() else frame.filter(~bad)
    return Audit(kept, refused, _by_day(days), (columns, *findings))


def _columns_finding(table: Table, names: tuple[str, ...]) -> Finding:
    promise = validation.suites().columns_promise(table)
    if not validation.has_columns(table, names):
        raise GateRefused(
            f"{table.name}: columns were {list(names)}, the contract's are {table.schema.names()}"
        )
    return Finding(promise, True, {})


def _check_whole(table: Table, promise: "Promise", result: Any) -> None:
    about_rows = "unexpected_count" in result["result"]
    value = result["result"].get("observed_value")  # None where the column holds nothing to judge
    if promise.is_blocking and not about_rows and not result["success"] and value is not None:
        raise GateRefused(
            f"{table.name}.{promise.column}: {promise.breach}: was {value}. {promise.reason}"
        )


def _finding(
    promise: "Promise", result: Any, days: pl.Series, rows: pl.Series, bad: pl.Series
) -> Finding:
    """A promise that rows broke holds for what is kept only if every one of them is refused."""
    unexpected = _by_day(days.gather(rows)) if len(rows) else {}
    is_passed = bool(result["success"])
    if promise.is_blocking and not is_passed:
        is_vacuous = "unexpected_count" not in result["result"]  # else the whole was stopped before
        is_passed = is_vacuous or (len(rows) > 0 and bool(bad.gather(rows).all()))
    return Finding(promise, is_passed, unexpected)


def _named_first(reasons: pl.Series, rows: pl.Series, breach: str) -> pl.Series:
    """A row is refused once, for the first promise that it breaks."""
    fresh = rows.filter(reasons.gather(rows).is_null())
    return reasons.scatter(fresh, breach) if len(fresh) else reasons


def _by_day(days: pl.Series) -> dict[date | None, int]:
    counts = days.rename("day").to_frame().group_by("day").len()
    return dict(counts.iter_rows())
