"""Dose response: does a metric rise or fall with the logarithm of a factor's levels?

For each seed and clip a line is fitted by least squares, and a parabola whose bend says whether a
line says enough: a factor can be best in the middle. Both are judged like paired differences.
Axes: k conditions, s seeds, c clips, e factors.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from qdexp.experiment.trial import Condition
from qdexp_analysis.contrasts import Contrast, Margin, Scores
from qdexp_analysis.design import Design
from qdexp_analysis.effects import (
    Effect,
    control_of,
    has_effects,
    is_logarithmic,
    judge_changes,
    scale_of,
)
from qdexp_analysis.factor import Axis
from qdexp_analysis.intervals import ALPHA

FEWEST_LEVELS = 3
"""Levels from which there is more to say than one difference."""


@dataclass(frozen=True, kw_only=True)
class DoseResponse:
    """What a metric does along the levels of one factor.

    Args:
        axis: The factor; of zipped ones the first gives the scale.
        is_over_others: Whether it is over all levels of the others, or at their baseline.
        slope: The change along the fitted line from the lowest level to the highest. With several
            factors it is the one of the family of effects; else a family of its own.
        bend: By how much the middle of the fitted parabola is above the line between its ends; a
            family over the factors, exploratory.
        num_doublings: How often the level doubles from end to end; None where the scale is plain.
        turns: Whether the mean's parabola has its extreme between the ends.
    """

    axis: Axis
    is_over_others: bool
    slope: Contrast
    bend: Contrast
    num_doublings: float | None
    turns: bool

    @property
    def is_bent(self) -> bool:
        """Tells whether a line says too little."""
        return self.bend.p is not None and self.bend.p <= ALPHA


@dataclass(frozen=True, kw_only=True)
class _Fit:
    """Coefficients for each seed and clip of the seeds in which the line's conditions completed."""

    axis: Axis
    slope: Float[np.ndarray, "s c"]
    curvature: Float[np.ndarray, "s c"]
    linear: Float[np.ndarray, "s c"]
    seeds: Float[np.ndarray, " s"]


def dose_responses(
    scores: Scores,
    conditions: Sequence[Condition],
    design: Design,
    margin: Margin | None,
    effects: Sequence[Effect],
) -> tuple[DoseResponse, ...]:
    """Returns the dose response of each factor of three or more different numbers.

    None along conditions of which a trial diverged, or that no seed has all completed.
    """
    over_others = has_effects(design)
    if over_others and not effects:
        return ()
    fits = [_fit(scores, conditions, design, axis) for axis in design.axes if is_graded(axis)]
    found = [fit for fit in fits if fit is not None]
    if not found:
        return ()
    if over_others:
        own = {effect.term[0].name: effect.contrast for effect in effects if len(effect.term) == 1}
        slopes = [own[fit.axis.name] for fit in found]
    else:
        slopes = _judged(scores, design, margin, found, [fit.slope for fit in found])
    bends = _judged(scores, design, margin, found, [-fit.curvature / 4 for fit in found])
    return tuple(
        DoseResponse(
            axis=fit.axis,
            is_over_others=over_others,
            slope=slope,
            bend=bend,
            num_doublings=_num_doublings(fit.axis),
            turns=bool(abs(fit.linear.mean()) < abs(fit.curvature.mean())),
        )
        for fit, slope, bend in zip(found, slopes, bends, strict=True)
    )


def is_graded(axis: Axis) -> bool:
    """Tells whether an axis has three or more different numbers."""
    return axis.is_ordered and len(axis.levels) >= FEWEST_LEVELS


def along(axis: Axis, conditions: Sequence[Condition], design: Design) -> list[int]:
    """Returns the positions of the conditions that a dose response is fitted to.

    All of a complete factorial; else those that differ from the baseline along this axis alone.
    Fewer than the levels if a level is not there.
    """
    designed = [k for k in range(len(conditions)) if k not in design.own]
    if has_effects(design):
        return designed
    if design.baseline is None:
        return []
    fields = {factor.field for factor in axis.factors}
    baseline = conditions[design.baseline]
    there = [
        k
        for k in designed
        if all(conditions[k].get(f) == level for f, level in baseline.items() if f not in fields)
        and conditions[k].keys() == baseline.keys()
        and any(levels.items() <= conditions[k].items() for levels in axis.levels)
    ]
    return there if len(there) == len(axis.levels) else []


def _fit(
    scores: Scores, conditions: Sequence[Condition], design: Design, axis: Axis
) -> _Fit | None:
    positions = along(axis, conditions, design)
    if not positions or scores.diverged[positions].any():
        return None
    seeds = scores.is_complete[positions].all(axis=0)
    if design.baseline is not None:
        seeds &= scores.is_complete[design.baseline]
    if not seeds.any():
        return None
    scale = scale_of(axis, [conditions[k] for k in positions])
    place = (scale - (scale.max() + scale.min()) / 2) / np.ptp(scale)
    values = scores.values[positions][:, seeds]
    line, parabola = (np.linalg.pinv(np.vander(place, n, increasing=True)) for n in (2, 3))
    return _Fit(
        axis=axis,
        slope=np.einsum("k,ksc->sc", line[1], values),
        curvature=np.einsum("k,ksc->sc", parabola[2], values),
        linear=np.einsum("k,ksc->sc", parabola[1], values),
        seeds=np.flatnonzero(seeds),
    )


def _judged(
    scores: Scores,
    design: Design,
    margin: Margin | None,
    fits: Sequence[_Fit],
    changes: Sequence[Float[np.ndarray, "s c"]],
) -> list[Contrast]:
    """Judges changes that may have different seeds as one family."""
    every = sorted({int(seed) for fit in fits for seed in fit.seeds})
    matrix = np.full((len(fits), len(every), changes[0].shape[1]), np.nan)
    for row, (fit, change) in enumerate(zip(fits, changes, strict=True)):
        matrix[row, [every.index(int(seed)) for seed in fit.seeds]] = change
    control = control_of(scores, design)[every]
    return list(judge_changes(matrix, control, scores, margin, every))


def _num_doublings(axis: Axis) -> float | None:
    if not is_logarithmic(axis):
        return None
    field = axis.factors[0].field
    low, high = (levels[field] for levels in axis.from_lowest)
    return float(np.log2(high / low))
