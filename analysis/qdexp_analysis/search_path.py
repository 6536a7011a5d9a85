"""The way from the baseline to the best, change by change (Fawcett and Hoos, 2016).

Each round tries every change that is left, and goes on from the best.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from qdexp.experiment.trial import Condition
from qdexp_analysis.contrasts import Contrast, judge
from qdexp_analysis.findings import Findings, find, means_over_seeds
from qdexp_analysis.table import Experiment


@dataclass(frozen=True, kw_only=True)
class Step:
    """One change of the path.

    Args:
        changes: From which value to which, by field; None where a field does not act.
        position: Of the condition that it leads to.
        contrast: That one against the condition before, paired by seed: judged alone.
    """

    changes: Mapping[str, tuple[Any, Any]]
    position: int
    contrast: Contrast


@dataclass(frozen=True, kw_only=True)
class SearchPath:
    """The path as far as it was run.

    Args:
        findings: What its experiment found, each condition against the baseline.
        steps: Its changes, in order.
        is_whole: Whether it leads to the best.
    """

    findings: Findings
    steps: tuple[Step, ...]
    is_whole: bool


def search_path(experiment: Experiment) -> SearchPath | None:
    """Returns the path that an experiment in rounds went, or None without its baseline."""
    start = experiment.baseline
    if start is None:
        return None
    findings = find(experiment)
    origin = experiment.conditions[start]
    target = max(experiment.conditions, key=lambda each: len(_changes(origin, each)))
    steps: list[Step] = []
    here = start
    while (following := _next(findings, here, target)) is not None:
        pair = findings.scores.at([here, following])
        (contrast,) = judge(pair, 0, findings.margin)
        changes = _changes(experiment.conditions[here], experiment.conditions[following])
        steps.append(Step(changes=changes, position=following, contrast=contrast))
        here = following
    is_whole = experiment.conditions[here] == target and bool(steps)
    return SearchPath(findings=findings, steps=tuple(steps), is_whole=is_whole)


def _next(findings: Findings, here: int, target: Condition) -> int | None:
    """Returns the best of the conditions that are one change nearer to the target, or None."""
    conditions = findings.experiment.conditions
    left = _changes(conditions[here], target)
    nearer = [
        (len(changes), position)
        for position, each in enumerate(conditions)
        if (changes := _changes(conditions[here], each))
        and all(left.get(field) == change for field, change in changes.items())
    ]
    sign = 1.0 if findings.direction == "lower" else -1.0
    losses = sign * means_over_seeds(findings.scores)
    tried = [k for size, k in nearer if size == min(nearer)[0] and np.isfinite(losses[k])]
    return min(tried, key=lambda k: losses[k]) if tried else None


def _changes(one: Condition, other: Condition) -> dict[str, tuple[Any, Any]]:
    """Returns in what conditions differ; a field that does not act in one of them has None."""
    fields = dict.fromkeys((*one, *other))
    return {
        field: (one.get(field), other.get(field))
        for field in fields
        if one.get(field) != other.get(field)
    }
