"""Controls beside the family: a twin that must not differ, and what quantization costs in all.

Axes: k conditions, s seeds, c clips.
"""

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float
from scipy import stats

from qdexp.experiment.controls import FIELD, NONE
from qdexp_analysis.comparability import scores
from qdexp_analysis.contrasts import Contrast, Margin, Scores, judge
from qdexp_analysis.intervals import CONFIDENCE
from qdexp_analysis.table import Experiment


@dataclass(frozen=True, kw_only=True)
class Control:
    """A control against the baseline, judged alone: it belongs to no family."""

    name: str
    contrast: Contrast


@dataclass(frozen=True, kw_only=True)
class Share:
    """A condition's difference from the baseline, as a share of what quantization costs.

    Args:
        condition: Position of the condition.
        value: 1 where it is as good as no quantizer, 0 where it is as good as the baseline.
        interval: 95 % over seeds, and over clips where they are known.
    """

    condition: int
    value: float
    interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Controls:
    """What an experiment's controls say.

    Args:
        judged: Each control against the baseline.
        shares: Of the quantization gap, for each other condition; none where the gap is not clear.
    """

    judged: tuple[Control, ...] = ()
    shares: tuple[Share, ...] = ()


def controls_of(experiment: Experiment, margin: Margin | None) -> Controls:
    """Returns the controls of an experiment, and its effects as shares of the quantization gap."""
    baseline = experiment.baseline
    names = list(dict.fromkeys(record.condition[FIELD] for record in experiment.controls))
    if baseline is None or not names:
        return Controls()
    beside = tuple({FIELD: name} for name in names)
    extended = replace(
        experiment,
        conditions=(*experiment.conditions, *beside),
        records=experiment.records + experiment.controls,
    )
    values = scores(extended, experiment.primary)
    first = len(experiment.conditions)
    judged = tuple(
        Control(name=name, contrast=_alone(values, first + place, baseline, margin))
        for place, name in enumerate(names)
    )
    if NONE not in names:
        return Controls(judged=judged)
    unquantized = first + names.index(NONE)
    shares = [share_of_gap(values, k, baseline, unquantized) for k in range(first) if k != baseline]
    return Controls(judged=judged, shares=tuple(share for share in shares if share))


def _alone(values: Scores, control: int, baseline: int, margin: Margin | None) -> Contrast:
    (contrast,) = judge(values.at([baseline, control]), 0, margin)
    return replace(contrast, condition=control)


def share_of_gap(values: Scores, condition: int, baseline: int, unquantized: int) -> Share | None:
    """Returns how much of the gap to no quantizer a condition closes, or None if that is not clear.

    A ratio of two means over the same seeds and clips: its interval is Fieller's (1954), of all
    ratios whose difference ``d - ratio * gap`` is not significantly different from 0. It is bounded
    exactly where the gap itself is significant.
    """
    all_done = values.is_complete[[condition, baseline, unquantized]].all(axis=0)
    if all_done.sum() < 2:
        return None
    control = values.values[baseline][all_done]
    difference = values.values[condition][all_done] - control
    gap = values.values[unquantized][all_done] - control
    t = float(stats.t.ppf((1 + CONFIDENCE) / 2, int(all_done.sum()) - 1))
    own, both, of_gap = t**2 * _covariances(difference, gap)
    mean, mean_gap = float(difference.mean()), float(gap.mean())
    a = mean_gap**2 - of_gap
    if a <= 0:
        return None
    b, c = mean * mean_gap - both, mean**2 - own
    root = math.sqrt(max(b**2 - a * c, 0.0))
    interval = ((b - root) / a, (b + root) / a)
    return Share(condition=condition, value=mean / mean_gap, interval=interval)


def _covariances(
    one: Float[np.ndarray, "s c"], other: Float[np.ndarray, "s c"]
) -> Float[np.ndarray, " 3"]:
    """Returns the variances and covariance of two means over seeds and clips, as `estimate` has it.

    In the order: of the one, of both, of the other.
    """
    num_seeds, num_clips = one.shape
    total = np.cov(one.mean(axis=1), other.mean(axis=1)) / num_seeds
    if num_clips > 1:
        total = total + np.cov(one.mean(axis=0), other.mean(axis=0)) / num_clips
    return np.array([total[0, 0], total[0, 1], total[1, 1]])
