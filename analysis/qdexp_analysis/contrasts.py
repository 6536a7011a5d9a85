"""Conditions against the baseline, judged as one family: paired by seed where there are pairs.

Axes: k conditions, s seeds, c clips.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from jaxtyping import Float

from qdexp.config.metric import Direction
from qdexp_analysis.intervals import ALPHA, Estimate, estimate, estimate_unpaired
from qdexp_analysis.looks import ONE_LOOK, Looks
from qdexp_analysis.planning import family_level
from qdexp_analysis.scores import Scores
from qdexp_analysis.simultaneous import Limits, hull, in_agreement

__all__ = ["Contrast", "Doubt", "Margin", "Scores", "Verdict", "holm", "judge", "paired"]

Verdict = Literal["better", "worse", "equivalent", "undecided"]
Doubt = Literal["no_pairs", "one_seed", "no_variance", "diverged", "noise"]


@dataclass(frozen=True, kw_only=True)
class Margin:
    """The smallest effect of interest, as a number or as a share of the baseline."""

    value: float
    is_relative: bool

    def around(self, baseline_mean: float) -> float:
        """Returns it as a difference."""
        return self.value * abs(baseline_mean) if self.is_relative else self.value


@dataclass(frozen=True, kw_only=True)
class Contrast:
    """The difference between a condition and the baseline, with its verdict.

    Args:
        condition: Position of the condition.
        baseline_mean: Mean of the baseline over the seeds that enter; 0 without any.
        estimate: The difference, condition minus baseline; None without pairs.
        differences: It by seed and clip, seeds in the order of `seeds`; no rows if not paired.
        seeds: Positions of the seeds that have both.
        p: The p value of no difference, after Holm; None if it cannot be had.
        p_equivalent: The p value of a difference beyond the margin, after Holm; None likewise.
        verdict: What follows.
        doubt: Why it is undecided, if it is.
        is_paired: Whether conditions are compared within seeds; if not, by Welch's test.
        simultaneous: The interval that goes with the verdict: with all others of its family it
            covers at 95 %, and it never contradicts the verdict; None if it cannot be had. The
            interval of `estimate` is this contrast's alone.
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
    is_paired: bool = True
    simultaneous: Limits | None = None
    decided_at: int | None = None


def judge(
    scores: Scores, baseline: int, margin: Margin | None, looks: Looks = ONE_LOOK
) -> tuple[Contrast, ...]:
    """Returns every other condition's contrast with the baseline, in the conditions' order.

    A verdict is stated only if it also holds with the worst value for every diverged trial, and
    for every failed one where failures depend on the condition.
    """
    observed = _family(scores, baseline, margin, looks)
    missing = scores.informatively_missing(baseline)
    if not missing.any():
        return observed
    pessimistic = _family(scores.with_worst_for(missing), baseline, margin, looks)
    return tuple(_surviving(*each, margin) for each in zip(observed, pessimistic, strict=True))


def paired(scores: Scores, condition: int, baseline: int) -> Contrast:
    """Returns a contrast that is not judged yet, of the seeds that have both."""
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


def _unpaired(scores: Scores, condition: int, baseline: int) -> Contrast | None:
    """Returns a contrast of all seeds that have either; None if fewer than two have one of them."""
    one, control = scores.completed(condition), scores.completed(baseline)
    if min(len(one), len(control)) < 2:
        return None
    return Contrast(
        condition=condition,
        baseline_mean=float(control.mean()),
        estimate=estimate_unpaired(one, control),
        differences=one[:0],
        seeds=(),
        is_paired=False,
    )


def _contrast(scores: Scores, condition: int, baseline: int) -> Contrast:
    """Returns the paired contrast, or the unpaired one where fewer than two pairs are complete."""
    pairs = paired(scores, condition, baseline)
    return pairs if len(pairs.seeds) > 1 else _unpaired(scores, condition, baseline) or pairs


def _family(
    scores: Scores, baseline: int, margin: Margin | None, looks: Looks
) -> tuple[Contrast, ...]:
    """Judges all contrasts; one that has no p value still counts in its family."""
    others = [k for k in range(len(scores.values)) if k != baseline]
    contrasts = [_contrast(scores, condition, baseline) for condition in others]
    p = holm([looks.two_sided(c.estimate.p_two_sided) if c.estimate else None for c in contrasts])
    p_equivalent = holm(
        [looks.one_sided(_p_equivalent(c, scores, baseline, margin)) for c in contrasts]
    )
    level = looks.level(family_level(len(contrasts)))
    contrasts = [
        replace(c, estimate=looks.at_level(c.estimate)) if c.estimate else c for c in contrasts
    ]
    return tuple(
        _judged(replace(c, p=different, p_equivalent=same), scores.direction, margin, level)
        for c, different, same in zip(contrasts, p, p_equivalent, strict=True)
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
    if contrast.is_paired:
        control = scores.values[baseline][list(contrast.seeds)]
        limit = _limit(margin, control)
        above = estimate(limit + contrast.differences)
        below = estimate(limit - contrast.differences)
    else:
        one, control = scores.completed(contrast.condition), scores.completed(baseline)
        limit = _limit(margin, control)
        above = estimate_unpaired(one, control - limit)
        below = estimate_unpaired(control + limit, one)
    if above.p_greater is None or below.p_greater is None:
        return None
    return max(above.p_greater, below.p_greater)


def _limit(margin: Margin, control: Float[np.ndarray, "s c"]) -> Float[np.ndarray, "s c"]:
    """Returns the margin as a difference from each of the baseline's values."""
    if not margin.is_relative:
        return np.full_like(control, margin.value)
    return margin.value * control * np.sign(control.mean())


def _judged(
    contrast: Contrast, direction: Direction, margin: Margin | None, level: float
) -> Contrast:
    verdict = _verdict(contrast, direction)
    doubt = _doubt(contrast) if verdict == "undecided" else None
    interval = None
    if contrast.estimate is not None and contrast.p is not None:
        interval = in_agreement(
            contrast.estimate.interval_at(1 - level),
            mean=contrast.estimate.mean,
            excludes_zero=contrast.p <= ALPHA,
            within=margin.around(contrast.baseline_mean) if margin else None,
            is_within=contrast.p_equivalent is not None and contrast.p_equivalent <= ALPHA,
        )
    return replace(contrast, verdict=verdict, doubt=doubt, simultaneous=interval)


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


def _surviving(observed: Contrast, pessimistic: Contrast, margin: Margin | None) -> Contrast:
    """Returns a contrast undecided if its verdict does not hold with the worst values.

    Its interval then reaches over both ways to see it, over 0, and at least to the margin.
    """
    if observed.verdict in ("undecided", pessimistic.verdict):
        return observed
    assert observed.estimate is not None
    interval = in_agreement(
        hull(observed.simultaneous, pessimistic.simultaneous, (0.0, 0.0)),
        mean=observed.estimate.mean,
        excludes_zero=False,
        within=margin.around(observed.baseline_mean) if margin else None,
        is_within=False,
    )
    return replace(observed, verdict="undecided", doubt="diverged", simultaneous=interval)
