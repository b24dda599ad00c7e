"""Is it true? Great Expectations decides row by row; what it refuses never reaches the lake."""

from collections import Counter
from collections.abc import Collection, Mapping
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
    """A blocking expectation failed for the whole: the message names table, place and value."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one promise came to on one chunk; `unexpected` counts the rows that broke it by day."""

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
    failed: set[str] = field(default_factory=set)  # promises on the whole, which name no row

    def add(self, audit: Audit) -> None:
        self.evaluated.update(audit.evaluated)
        for finding in audit.findings:
            breach = finding.promise.breach
            self.promises[breach] = finding.promise
            self.unexpected.setdefault(breach, Counter()).update(finding.unexpected)
            if not (finding.is_passed or finding.unexpected):
                self.failed.add(breach)

    def checks(self, days: Collection[date | None]) -> list[Check]:
        """Results over `days`; None stands for rows without a readable day."""
        broken = {b: sum(found[d] for d in days) for b, found in self.unexpected.items()}
        return [
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


def refuse_if_mostly_bad(subject: str, rows: int, refused: Mapping[str, int]) -> None:
    """Raise `GateRefused` where more than half of the rows broke a blocking promise."""
    count = sum(refused.values())
    if count > REFUSABLE_SHARE * rows:
        worst = max(refused, key=lambda reason: refused[reason])
        raise GateRefused(
            f"{subject}: {count} of {rows} rows were refused, {refused[worst]} of them as {worst}; "
            f"a file with more than {REFUSABLE_SHARE:.0%} bad rows is not imported"
        )


def _audit_chunk(table: Table, frame: pl.DataFrame) -> Audit:
    names = tuple(name for name in frame.columns if name != ROW_NUMBER)
    columns = _columns_finding(table, names)
    days = frame[table.time].dt.date()
    findings, reasons = [columns], pl.Series("reason", [None] * frame.height, pl.String)
    for promise, result, rows in validation.results(table, frame):
        findings.append(_finding(table, promise, result, days, rows))
        if promise.is_blocking and len(rows):
            reasons = _named_first(reasons, rows, promise.breach)
    bad = reasons.is_not_null()
    refused = frame.select(ROW_NUMBER).with_columns(reasons).filter(bad)
    kept = frame if refused.is_empty() else frame.filter(~bad)
    return Audit(kept, refused, _by_day(days), tuple(findings))


def _columns_finding(table: Table, names: tuple[str, ...]) -> Finding:
    promise = validation.suites().columns_promise(table)
    if not validation.has_columns(table, names):
        raise GateRefused(
            f"{table.name}: columns were {list(names)}, the contract's are {table.schema.names()}"
        )
    return Finding(promise, True, {})


def _finding(
    table: Table, promise: "Promise", result: Any, days: pl.Series, rows: pl.Series
) -> Finding:
    about_rows = "unexpected_count" in result["result"]
    value = result["result"].get("observed_value")  # None where the column holds nothing to judge
    if promise.is_blocking and not about_rows and not result["success"] and value is not None:
        raise GateRefused(f"{table.name}.{promise.column}: was {value}. {promise.reason}")
    # A blocking promise holds for whatever is kept, since the rows that break it are not.
    is_passed = bool(result["success"]) or promise.is_blocking
    return Finding(promise, is_passed, _by_day(days.gather(rows)) if len(rows) else {})


def _named_first(reasons: pl.Series, rows: pl.Series, breach: str) -> pl.Series:
    """A row is refused once, for the first promise that it breaks."""
    fresh = rows.filter(reasons.gather(rows).is_null())
    return reasons.scatter(fresh, breach) if len(fresh) else reasons


def _by_day(days: pl.Series) -> dict[date | None, int]:
    counts = days.rename("day").to_frame().group_by("day").len()
    return dict(counts.iter_rows())
