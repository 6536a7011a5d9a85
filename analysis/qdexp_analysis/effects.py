"""Factorial effects: what each factor does over all levels of the others.

An effect is a linear combination of the conditions with one degree of freedom, computed for each
seed and clip and then judged like any paired difference, so that every effect has the error of its
own seeds and none is pooled. It stands beside the contrasts and never replaces them: an effect can
be U-shaped. Only a complete factorial, or a regular fraction of one, has any; the conditions that
a spec lists itself enter none. Axes: k conditions, s seeds, c clips, e effects.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from string import ascii_lowercase

import numpy as np
from jaxtyping import Float

from qdexp.experiment.trial import Condition
from qdexp_analysis.contrasts import Contrast, Margin, Scores, judge
from qdexp_analysis.design import Design, Fraction
from qdexp_analysis.factor import Axis
from qdexp_analysis.intervals import ALPHA, Estimate

Term = tuple[Axis, ...]
"""One axis, or the product of several."""

Ends = tuple[Condition, Condition]
"""The levels of an axis that a change goes from and to."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The change of a metric while a factor goes from one end to the other.

    Along numbers it goes from the lowest level to the highest, on a line in their logarithm; else
    from the baseline to another level. For two factors it is their product's: how much the one's
    effect changes while the other goes all the way.

    Args:
        term: What has the effect: one factor, or two. A factor may be several that are zipped.
        ends: Where each of them begins and ends.
        aliases: Other terms that the design cannot tell from it.
        contrast: The effect against none, judged in the family of all effects; `condition` is its
            place among them, and `baseline_mean` what a relative margin is a share of.
    """

    term: Term
    ends: tuple[Ends, ...]
    aliases: tuple[Term, ...] = ()
    contrast: Contrast

    @property
    def estimate(self) -> Estimate:
        """The effect, over the seeds in which every condition completed."""
        assert self.contrast.estimate is not None
        return self.contrast.estimate

    @property
    def p(self) -> float | None:
        """The p value of no effect, after Holm over all effects; None if it cannot be had."""
        return self.contrast.p

    @property
    def is_interaction(self) -> bool:
        """Tells whether it is a product's."""
        return len(self.term) > 1

    @property
    def holds(self) -> bool:
        """Tells whether it differs from 0."""
        return self.p is not None and self.p <= ALPHA


@dataclass(frozen=True, kw_only=True)
class Column:
    """Where the conditions are along one change of one axis, centred on 0 and 1 from end to end."""

    axis: Axis
    ends: Ends
    values: Float[np.ndarray, " k"]


def factorial_effects(
    scores: Scores, conditions: Sequence[Condition], design: Design, margin: Margin | None = None
) -> tuple[Effect, ...]:
    """Returns the effects of factors and of their pairs, if the design has any.

    None where a trial diverged: the seeds in which all completed are a biased choice.
    """
    positions = [k for k in range(len(conditions)) if k not in design.own]
    values, seeds = scores.values[positions], scores.is_complete[positions].all(axis=0)
    if not has_effects(design) or scores.diverged[positions].any() or not seeds.any():
        return ()
    kept = [conditions[k] for k in positions]
    named = _of_fraction(kept, design) if design.fraction else _of_all(kept, design.axes)
    weights = _weights([each.values for each in named])
    if weights is None:
        return ()
    contrasts = judge_changes(
        np.einsum("ek,ksc->esc", weights, values[:, seeds]), control_of(scores, design)[seeds],
        scores, margin, np.flatnonzero(seeds).tolist(),
    )  # fmt: skip
    return tuple(
        Effect(term=each.term, ends=each.ends, aliases=each.aliases, contrast=contrast)
        for each, contrast in zip(named, contrasts, strict=True)
    )


def has_effects(design: Design) -> bool:
    """Tells whether factors can have effects over all levels of the others."""
    return design.obstacle is None and len(design.axes) > 1


def judge_changes(
    changes: Float[np.ndarray, "e s c"],
    control: Float[np.ndarray, "s c"],
    scores: Scores,
    margin: Margin | None,
    seeds: Sequence[int],
) -> tuple[Contrast, ...]:
    """Judges changes as one family, by the same function as contrasts with the baseline.

    Args:
        changes: Each change, by seed and clip.
        control: What a relative margin is a share of, by seed and clip.
        scores: What they are changes of.
        margin: The smallest effect of interest, or None.
        seeds: Positions of these seeds among all.
    """
    family = Scores(
        values=np.concatenate([control[None], control + changes]),
        diverged=np.zeros((1 + len(changes), len(control)), dtype=bool),
        direction=scores.direction,
    )
    return tuple(
        replace(contrast, condition=place, seeds=tuple(seeds[s] for s in contrast.seeds))
        for place, contrast in enumerate(judge(family, 0, margin, scores.looks))
    )


def control_of(scores: Scores, design: Design) -> Float[np.ndarray, "s c"]:
    """Returns the baseline's values, or the mean of the design's where none is planned."""
    if design.baseline is not None:
        return scores.values[design.baseline]
    designed = [k for k in range(len(scores.values)) if k not in design.own]
    return scores.values[designed].mean(axis=0)


def columns(axis: Axis, conditions: Sequence[Condition]) -> list[Column]:
    """Returns one column for an axis of numbers, and else one for each level but the baseline."""
    if axis.is_ordered:
        return [Column(axis=axis, ends=axis.from_lowest, values=_position(axis, conditions))]
    origin = axis.baseline if axis.baseline in axis.levels else axis.levels[0]
    return [
        Column(axis=axis, ends=(origin, levels), values=_indicator(levels, conditions))
        for levels in axis.levels
        if levels != origin
    ]


def main_weights(
    axis: Axis, others: Sequence[Axis], conditions: Sequence[Condition]
) -> tuple[list[Column], Float[np.ndarray, "e k"] | None]:
    """Returns an axis's changes over all levels of others, with what each condition counts."""
    own = columns(axis, conditions)
    rest = [column.values for other in others for column in columns(other, conditions)]
    weights = _weights([*(column.values for column in own), *rest])
    return own, None if weights is None else weights[: len(own)]


@dataclass(frozen=True, kw_only=True)
class _Named:
    """An effect before it is estimated."""

    term: Term
    ends: tuple[Ends, ...]
    aliases: tuple[Term, ...] = ()
    values: Float[np.ndarray, " k"]


def _of_all(conditions: Sequence[Condition], axes: Sequence[Axis]) -> list[_Named]:
    """Returns the changes of every axis, and the products of those of two axes."""
    mains = [column for axis in axes for column in columns(axis, conditions)]
    pairs = [pair for pair in itertools.combinations(mains, 2) if pair[0].axis != pair[1].axis]
    return [_product(parts) for parts in [*((main,) for main in mains), *pairs]]


def _product(parts: tuple[Column, ...]) -> _Named:
    return _Named(
        term=tuple(part.axis for part in parts),
        ends=tuple(part.ends for part in parts),
        values=np.asarray(math.prod(part.values for part in parts)),
    )


def _of_fraction(conditions: Sequence[Condition], design: Design) -> list[_Named]:
    """Returns one effect for each group of those that cannot be told apart."""
    fraction: Fraction | None = design.fraction
    assert fraction is not None
    by_letter = dict(zip(ascii_lowercase, design.axes, strict=False))
    named: list[_Named] = []
    for words in fraction.aliases:
        term, *aliases = (tuple(by_letter[letter] for letter in word.lstrip("-")) for word in words)
        named.append(
            _Named(
                term=term,
                ends=tuple(axis.from_baseline for axis in term),
                aliases=tuple(aliases),
                values=np.asarray(math.prod(_side(axis, conditions) for axis in term)),
            )
        )
    return named


def _weights(parts: Sequence[Float[np.ndarray, " k"]]) -> Float[np.ndarray, "e k"] | None:
    """Returns what each condition counts in each effect; None if they cannot be told apart.

    They are least squares' coefficients: rows of the pseudoinverse, without the grand mean's.
    """
    matrix = np.stack([np.ones(len(parts[0])), *parts], axis=1)
    if np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        return None
    return np.linalg.pinv(matrix)[1:]


def _position(axis: Axis, conditions: Sequence[Condition]) -> Float[np.ndarray, " k"]:
    """Returns where each condition is between the lowest level and the highest, centred on 0."""
    scale = scale_of(axis, conditions)
    span = float(np.ptp(scale))
    return (scale - scale.mean()) / span if span else np.zeros(len(scale))


def scale_of(axis: Axis, conditions: Sequence[Condition]) -> Float[np.ndarray, " k"]:
    """Returns the logarithm of each condition's level, or the level where one is not positive."""
    levels = np.array([float(condition[axis.factors[0].field]) for condition in conditions])
    return np.log(levels) if is_logarithmic(axis) else levels


def is_logarithmic(axis: Axis) -> bool:
    """Tells whether all levels of an axis of numbers are positive."""
    field = axis.factors[0].field
    return min(levels[field] for levels in axis.levels) > 0


def _side(axis: Axis, conditions: Sequence[Condition]) -> Float[np.ndarray, " k"]:
    """Returns -1/2 for the conditions at an axis's baseline, and 1/2 for the others."""
    is_baseline = [
        all(condition[f.field] == axis.baseline[f.field] for f in axis.factors)
        for condition in conditions
    ]
    return np.where(is_baseline, -0.5, 0.5)


def _indicator(levels: Condition, conditions: Sequence[Condition]) -> Float[np.ndarray, " k"]:
    """Returns 1 for the conditions at a level and 0 for others, centred on 0."""
    there = np.array([float(levels.items() <= condition.items()) for condition in conditions])
    return there - there.mean()
