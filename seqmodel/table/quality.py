"""The verdict on a table, in words that need no Great Expectations to be read."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["critical", "warning", "info"]
Outcome = Literal["passed", "failed", "not evaluated"]


class ExampleRow(BaseModel):
    """A row that breaks a rule.

    Attributes:
        series_id: its series.
        timestamp: its moment (UTC).
        value: what the rule looked at.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    series_id: str
    timestamp: str
    value: str


class RuleResult(BaseModel):
    """What one quality rule found.

    Attributes:
        rule: name of the rule, as listed in `tasks/expectations.py`.
        says: the rule in one sentence, with its limits.
        severity: `critical` stops the run, `warning` reports, `info` notes.
        outcome: `not evaluated` when the rule itself could not be computed.
        found: what was observed, in a few words.
        bad: number of series (or rows) that break the rule.
        total: number of series (or rows) looked at.
        examples: at most five series (or columns) that break it.
        rows: of a rule on rows, at most five that break it.
        needed: what the table must have, in a few words.
        cure: what to do when the rule does not pass.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule: str
    says: str
    severity: Severity
    outcome: Outcome
    found: str
    bad: int = 0
    total: int = 0
    examples: tuple[str, ...] = ()
    rows: tuple[ExampleRow, ...] = ()
    needed: str = ""
    cure: str = ""


class Verdict(BaseModel):
    """All rules on one table."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: str
    rules: tuple[RuleResult, ...]

    @property
    def stops(self) -> tuple[RuleResult, ...]:
        """Critical rules that did not pass, worst first; not empty means: refused."""
        broken = [r for r in self.rules if r.severity == "critical" and r.outcome != "passed"]
        return tuple(sorted(broken, key=lambda r: r.bad, reverse=True))

    @property
    def failed(self) -> tuple[RuleResult, ...]:
        """Rules of lesser severity that did not pass."""
        return tuple(r for r in self.rules if r.severity != "critical" and r.outcome != "passed")

    @property
    def passed(self) -> tuple[RuleResult, ...]:
        """Rules that passed."""
        return tuple(r for r in self.rules if r.outcome == "passed")
