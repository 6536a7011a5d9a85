"""The way from the baseline to the best, change by change (Fawcett and Hoos, 2016)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from qdexp.experiment.ablation_path import Candidate, Round, path_of
from qdexp.experiment.trial import Condition
from qdexp_analysis.contrasts import Contrast, judge
from qdexp_analysis.findings import Findings

Changes = Mapping[str, tuple[Any, Any]]
"""From which value to which, by field."""


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One change that was tried from a place on the path.

    Args:
        number: Of the round, from 1.
        changes: What it changes there.
        position: Of the condition that it leads to, or None if no trial of it is asked for.
        contrast: That one against the place, paired by seed and judged alone; None likewise.
        is_kept: Whether the path goes on from there.
    """

    number: int
    changes: Changes
    position: int | None
    contrast: Contrast | None
    is_kept: bool


@dataclass(frozen=True, kw_only=True)
class SearchPath:
    """The path as far as it was walked.

    Args:
        findings: What its experiment found, each condition against the baseline.
        tried: All changes that were tried, round by round.
        is_whole: Whether it leads to the best.
        suggestion: The suggestion that it leads to, or None if that is none.
    """

    findings: Findings
    tried: tuple[Tried, ...]
    is_whole: bool
    suggestion: int | None

    @property
    def steps(self) -> tuple[Tried, ...]:
        """The changes that were kept, in order."""
        return tuple(each for each in self.tried if each.is_kept)


def is_path(findings: Findings) -> bool:
    """Tells whether an experiment walked a path."""
    return "path" in findings.experiment.spec.definition


def search_path(findings: Findings) -> SearchPath:
    """Returns the path that an experiment walked, by what it found."""
    definition = findings.experiment.spec.definition
    rounds = path_of(definition)
    tried = [
        _tried(findings, number, of, each)
        for number, of in enumerate(rounds, 1)
        for each in of.candidates
    ]
    changed = {field for each in tried if each.is_kept for field in each.changes}
    return SearchPath(
        findings=findings,
        tried=tuple(tried),
        is_whole=changed == {factor.field for factor in findings.experiment.factors},
        suggestion=(definition.get("path") or {}).get("suggestion"),
    )


def _tried(findings: Findings, number: int, of: Round, candidate: Candidate) -> Tried:
    here = _position(findings, of.before)
    there = _position(findings, candidate.condition)
    contrast = None
    if here is not None and there is not None:
        (contrast,) = judge(findings.scores.at([here, there]), 0, findings.margin)
    return Tried(
        number=number,
        changes={f: (of.before[f], candidate.condition[f]) for f in candidate.change},
        position=there,
        contrast=contrast,
        is_kept=candidate == of.kept,
    )


def _position(findings: Findings, condition: Condition) -> int | None:
    found = [k for k, each in enumerate(findings.experiment.conditions) if each == condition]
    return found[0] if found else None
