"""Metrics beside the primary one: differences without verdicts, and their false discovery rate."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import stats

from qdexp_analysis.comparability import scores
from qdexp_analysis.contrasts import Scores, paired
from qdexp_analysis.intervals import Estimate
from qdexp_analysis.table import Experiment


@dataclass(frozen=True, kw_only=True)
class SecondaryMetric:
    """A metric shown without verdicts: exploratory, or a cost.

    Args:
        name: Its name.
        scores: It of every trial.
        estimates: The paired difference from the baseline, by condition; None where there is none.
        q: The smallest false discovery rate at which that difference would be one, over all
            exploratory metrics and conditions; None where it is not asked, or cannot be had.
    """

    name: str
    scores: Scores
    estimates: tuple[Estimate | None, ...]
    q: tuple[float | None, ...]


def secondary_metrics(
    experiment: Experiment, names: Sequence[str], *, ranked: Sequence[str]
) -> tuple[SecondaryMetric, ...]:
    """Returns metrics with their differences; those that are ranked share one family of q."""
    metrics = [_secondary(experiment, name) for name in names]
    p = [
        [
            e.p_two_sided if e is not None and metric.name in ranked else None
            for e in metric.estimates
        ]
        for metric in metrics
    ]
    q = iter(q_values([each for of_metric in p for each in of_metric]))
    return tuple(replace(metric, q=tuple(next(q) for _ in metric.estimates)) for metric in metrics)


def q_values(p_values: Sequence[float | None]) -> list[float | None]:
    """Returns p values after Benjamini and Hochberg (1995); missing ones stay so and count not."""
    known = [p for p in p_values if p is not None]
    if not known:
        return [None for _ in p_values]
    corrected = iter(np.asarray(stats.false_discovery_control(known, method="bh")).tolist())
    return [None if p is None else float(next(corrected)) for p in p_values]


def _secondary(experiment: Experiment, name: str) -> SecondaryMetric:
    values = scores(experiment, name)
    declared = experiment.declared.find(name)
    # What others are read against differs between conditions by nothing that they do, and of what
    # nobody declared it is not known what a difference means.
    is_compared = declared is not None and not declared.is_reference
    baseline = experiment.baseline if is_compared else None
    others = range(len(experiment.conditions))
    return SecondaryMetric(
        name=name,
        scores=values,
        estimates=tuple(
            None if baseline in (None, k) else paired(values, k, baseline).estimate for k in others
        ),
        q=tuple(None for _ in others),
    )
