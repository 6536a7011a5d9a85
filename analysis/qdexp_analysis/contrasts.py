"""Conditions against the baseline, paired by seed, judged as one family.

Axes: k conditions, s seeds, c clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

from qdexp.config.metric import Direction
from qdexp_analysis.intervals import ALPHA, Estimate, estimate
from qdexp_analysis.looks import ONE_LOOK, Looks

Verdict = Literal["better", "worse", "equivalent", "undecided"]
Doubt = Literal["no_pairs", "one_seed", "no_variance", "diverged", "noise"]


@dataclass(frozen=True, kw_only=True)
class Scores:
    """One metric of every trial of an experiment.

    Args:
        values: The metric by condition, seed and clip; nan where a trial did not complete. One
            column where only the mean over clips is known.
        diverged: The trials that diverged, by condition and seed.
        direction: Which values are good.
    """

    values: Float[np.ndarray, "k s c"]
    diverged: Bool[np.ndarray, "k s"]
    direction: Direction

    @property
    def is_complete(self) -> Bool[np.ndarray, "k s"]:
        """Tells which trials have a value."""
        return np.asarray(np.isfinite(self.values).all(axis=2))

    @property
    def means(self) -> Float[np.ndarray, "k s"]:
        """The metric by condition and seed; nan where a trial did not complete."""
        return self.values.mean(axis=2)

    def with_worst_for_diverged(self) -> "Scores":
        """Returns the same with every diverged trial given the worst completed trial's values."""
        completed = self.values[self.is_complete]
        if not len(completed):
            return self
        means = completed.mean(axis=1)
        worst = completed[means.argmin() if self.direction == "higher" else means.argmax()]
        values = self.values.copy()
        values[self.diverged] = worst
        return replace(self, values=values)


@dataclass(frozen=True, kw_only=True)
class Margin:
    """The smallest effect of interest, as a number or as a share of the baseline."""

    value: float
    is_relative: bool


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """The paired difference between a condition and the baseline, with its verdict.

    Args:
        condition: Position of the condition.
        baseline_mean: Mean of the baseline over the pairs; 0 without pairs.
        estimate: The difference, condition minus baseline; None without pairs.
        differences: It by seed and clip, seeds in the order of `seeds`.
        seeds: Positions of the seeds that have both.
        p: The p value of no difference, after Holm; None if it cannot be had.
        p_equivalent: The p value of a difference beyond the margin, after Holm; None likewise.
        verdict: What follows.
        doubt: Why it is undecided, if it is.
        decided_at: Seeds at the look that decided it, where there are several looks.
    """

    condition: int
    baseline_mean: float
    estimate: Estimate | None
    differences: Float[np.ndarray, "s c"]
    seeds: tuple[int, ...]
    p: float | None = None
    p_equivalent: float | None = None
    verdict: Verdict = "undecided"
    doubt: Doubt | None = None
    decided_at: int | None = None


def judge(
    scores: Scores, baseline: int, margin: Margin | None, looks: Looks = ONE_LOOK
) -> tuple[Contrast, ...]:
    """Returns every other condition's contrast with the baseline, in the conditions' order.

    A verdict is stated only if it also holds with the worst value for every diverged trial.
    """
    observed = _family(scores, baseline, margin, looks)
    if not scores.diverged.any():
        return observed
    pessimistic = _family(scores.with_worst_for_diverged(), baseline, margin, looks)
    return tuple(
        contrast
        if contrast.verdict in ("undecided", other.verdict)
        else replace(contrast, verdict="undecided", doubt="diverged")
        for contrast, other in zip(observed, pessimistic, strict=True)
    )


def paired(scores: Scores, condition: int, baseline: int) -> Contrast:
    """Returns a contrast that is not judged yet."""
    both = scores.is_complete[condition] & scores.is_complete[baseline]
    seeds = tuple(int(seed) for seed in np.flatnonzero(both))
    control = scores.values[baseline][both]
    differences = scores.values[condition][both] - control
    return Contrast(
        condition=condition,
        baseline_mean=float(control.mean()) if seeds else 0.0,
        estimate=estimate(differences) if seeds else None,
        differences=differences,
        seeds=seeds,
    )


def _family(
    scores: Scores, baseline: int, margin: Margin | None, looks: Looks
) -> tuple[Contrast, ...]:
    """Judges all contrasts; one that has no p value still counts in its family."""
    others = [k for k in range(len(scores.values)) if k != baseline]
    contrasts = [paired(scores, condition, baseline) for condition in others]
    p = holm([looks.two_sided(c.estimate.p_two_sided) if c.estimate else None for c in contrasts])
    p_equivalent = holm(
        [looks.one_sided(_p_equivalent(c, scores, baseline, margin)) for c in contrasts]
    )
    contrasts = [
        replace(c, estimate=looks.at_level(c.estimate)) if c.estimate else c for c in contrasts
    ]
    return tuple(
        _judged(replace(contrast, p=different, p_equivalent=equivalent), scores.direction)
        for contrast, different, equivalent in zip(contrasts, p, p_equivalent, strict=True)
    )


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Returns p values after Holm's correction; a missing one counts as 1 and stays missing."""
    # Not statsmodels' multipletests: it collects garbage at every call, a tenth of a second.
    known = np.array([1.0 if p is None else p for p in p_values])
    order = np.argsort(known)
    steps = known[order] * np.arange(len(known), 0, -1)
    corrected = np.empty_like(known)
    corrected[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return [None if p is None else float(c) for p, c in zip(p_values, corrected, strict=True)]


def _p_equivalent(
    contrast: Contrast, scores: Scores, baseline: int, margin: Margin | None
) -> float | None:
    """Returns the p value of the two one-sided tests (Schuirmann, 1987).

    A relative margin theta is tested on m_condition - (1 +- theta) m_baseline, pair by pair:
    an estimated margin would have the wrong size.
    """
    if margin is None or contrast.estimate is None:
        return None
    control = scores.values[baseline][list(contrast.seeds)]
    limit = np.full_like(control, margin.value)
    if margin.is_relative:
        limit = margin.value * control * np.sign(contrast.baseline_mean)
    above = estimate(limit + contrast.differences).p_greater
    below = estimate(limit - contrast.differences).p_greater
    return None if above is None or below is None else max(above, below)


def _judged(contrast: Contrast, direction: Direction) -> Contrast:
    verdict = _verdict(contrast, direction)
    doubt = _doubt(contrast) if verdict == "undecided" else None
    return replace(contrast, verdict=verdict, doubt=doubt)


def _verdict(contrast: Contrast, direction: Direction) -> Verdict:
    if contrast.p_equivalent is not None and contrast.p_equivalent <= ALPHA:
        return "equivalent"
    if contrast.estimate is None or contrast.p is None or contrast.p > ALPHA:
        return "undecided"
    if direction == "neither":
        return "undecided"
    is_lower = contrast.estimate.mean < 0
    return "better" if is_lower == (direction == "lower") else "worse"


def _doubt(contrast: Contrast) -> Doubt:
    if contrast.estimate is None:
        return "no_pairs"
    if contrast.estimate.num_seeds < 2:
        return "one_seed"
    return "no_variance" if contrast.estimate.interval is None else "noise"
