"""Which conditions a figure shows where an experiment has more than a reader can tell apart."""

from collections.abc import Sequence

import numpy as np

from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.findings import Findings

MOST_LINES = 10
"""Conditions in a figure of lines, each named at its end."""

MOST_ROWS = 40
"""Conditions in a figure of rows."""


def telling(findings: Findings, most: int) -> tuple[int, ...]:
    """Returns the positions of at most so many conditions, in their order.

    The baseline, then those that a verdict was reached for, then the largest differences; without
    contrasts, evenly spread ones.
    """
    num_conditions = len(findings.experiment.conditions)
    if num_conditions <= most:
        return tuple(range(num_conditions))
    if not findings.contrasts or findings.experiment.baseline is None:
        return tuple(np.linspace(0, num_conditions - 1, most).round().astype(int).tolist())
    ranked = telling_contrasts(findings.contrasts, most - 1)
    return tuple(sorted([findings.experiment.baseline, *(c.condition for c in ranked)]))


def telling_contrasts(contrasts: Sequence[Contrast], most: int) -> tuple[Contrast, ...]:
    """Returns at most so many contrasts, in their order: decided ones first, then large ones."""
    ranked = sorted(contrasts, key=lambda c: (c.verdict == "undecided", -_size(c)))
    chosen = {contrast.condition for contrast in ranked[:most]}
    return tuple(contrast for contrast in contrasts if contrast.condition in chosen)


def _size(contrast: Contrast) -> float:
    return abs(contrast.estimate.mean) if contrast.estimate is not None else -1.0
