"""Interactions of two factors: what each does at every level of the other, and their cells.

Where an interaction holds, an effect over all levels of the other factor is a mean over changes
that differ: then the simple effects are listed. Axes: k conditions, s seeds, c clips, e effects,
a and b the levels of two factors.
"""

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from qdexp.experiment.trial import Condition
from qdexp_analysis.contrasts import Contrast, Margin, Scores, paired
from qdexp_analysis.design import Design
from qdexp_analysis.effects import Effect, Ends, control_of, judge_changes, main_weights
from qdexp_analysis.factor import Axis


@dataclass(frozen=True, kw_only=True)
class SimpleEffect:
    """What one factor does at one level of another, over all levels of the others.

    Args:
        axis: What changes.
        ends: Where it begins and ends.
        other: What stays.
        at: Its levels there.
        contrast: The change against none, judged in the family of all simple effects of the two.
    """

    axis: Axis
    ends: Ends
    other: Axis
    at: Condition
    contrast: Contrast


@dataclass(frozen=True, kw_only=True)
class Cells:
    """Two factors' combinations of levels against the baseline's, over all levels of the others.

    Args:
        axes: The factor that goes downwards, and the one that goes to the right.
        levels: Their levels, numbers in ascending order.
        shares: Difference of each cell from the baseline's cell, as a share of the baseline's mean
            if `is_relative`; nan where a condition of it has no pair.
        beyond: What is left of it when both factors' mean effects are taken away, in the same
            unit; None if a cell is empty.
        is_relative: Whether the baseline's mean is positive, so that it can be a unit.
        effects: The estimated interactions of these two.
    """

    axes: tuple[Axis, Axis]
    levels: tuple[tuple[Condition, ...], tuple[Condition, ...]]
    shares: Float[np.ndarray, "a b"]
    beyond: Float[np.ndarray, "a b"] | None
    is_relative: bool
    effects: tuple[Effect, ...]

    @property
    def holds(self) -> bool:
        """Tells whether one of their interactions differs from 0."""
        return any(effect.holds for effect in self.effects)


def simple_effects(
    scores: Scores,
    conditions: Sequence[Condition],
    design: Design,
    margin: Margin | None,
    effects: Sequence[Effect],
) -> tuple[SimpleEffect, ...]:
    """Returns what each of two factors does at every level of the other, where they interact.

    In a fraction none: the conditions at one level cannot tell an effect from its aliases.
    """
    if design.fraction is not None:
        return ()
    found: list[SimpleEffect] = []
    for pair in _pairs(effects):
        changes = [
            (change, matrix)
            for axis, other in (pair, pair[::-1])
            for change, matrix in _changes(scores, conditions, design, axis, other)
        ]
        seeds = _complete(scores, design)
        contrasts = judge_changes(
            np.stack([matrix for _, matrix in changes]),
            control_of(scores, design)[seeds],
            scores,
            margin,
            seeds,
        )
        for ((axis, ends, other, at), _), contrast in zip(changes, contrasts, strict=True):
            found.append(SimpleEffect(axis=axis, ends=ends, other=other, at=at, contrast=contrast))
    return tuple(found)


def cells(
    scores: Scores, conditions: Sequence[Condition], design: Design, effects: Sequence[Effect]
) -> tuple[Cells, ...]:
    """Returns the cells of every two factors that interact, and of two that are alone.

    The first that interact most clearly. They are means of the contrasts' own differences.
    """
    if design.is_by_difference or design.baseline is None or len(design.axes) < 2:
        return ()
    pairs = list(itertools.combinations(design.axes, 2))
    tables = [_cells(scores, conditions, design, axes, effects) for axes in pairs]
    shown = [table for table in tables if len(pairs) == 1 or table.holds]
    shown = [table for table in shown if np.isfinite(table.shares).sum() > 1]
    return tuple(sorted(shown, key=_least_p))


def ordered_levels(axis: Axis) -> tuple[Condition, ...]:
    """Returns an axis's levels: numbers ascending, else the baseline first."""
    field = axis.factors[0].field
    if axis.is_ordered:
        return tuple(sorted(axis.levels, key=lambda levels: levels[field]))
    return tuple(sorted(axis.levels, key=lambda levels: levels != axis.baseline))


def _pairs(effects: Sequence[Effect]) -> list[tuple[Axis, Axis]]:
    """Returns the pairs of factors of which an interaction holds."""
    found: list[tuple[Axis, Axis]] = []
    for effect in effects:
        if effect.is_interaction and effect.holds:
            one, other = effect.term
            if (one, other) not in found:
                found.append((one, other))
    return found


def _complete(scores: Scores, design: Design) -> list[int]:
    """Returns the seeds in which every condition of the design completed."""
    designed = [k for k in range(len(scores.values)) if k not in design.own]
    return np.flatnonzero(scores.is_complete[designed].all(axis=0)).tolist()


def _changes(
    scores: Scores, conditions: Sequence[Condition], design: Design, axis: Axis, other: Axis
) -> list[tuple[tuple[Axis, Ends, Axis, Condition], Float[np.ndarray, "s c"]]]:
    seeds = _complete(scores, design)
    rest = [each for each in design.axes if each not in (axis, other)]
    found: list[tuple[tuple[Axis, Ends, Axis, Condition], Float[np.ndarray, "s c"]]] = []
    for at in ordered_levels(other):
        there = _at(conditions, design, at)
        columns, weights = main_weights(axis, rest, [conditions[k] for k in there])
        assert weights is not None, "a complete factorial is complete at each level"
        changed = np.einsum("ek,ksc->esc", weights, scores.values[there][:, seeds])
        found += [
            ((axis, column.ends, other, at), matrix)
            for column, matrix in zip(columns, changed, strict=True)
        ]
    return found


def _at(conditions: Sequence[Condition], design: Design, levels: Mapping[str, object]) -> list[int]:
    """Returns the positions of the design's conditions that have these levels."""
    return [
        k
        for k, condition in enumerate(conditions)
        if k not in design.own and levels.items() <= condition.items()
    ]


def _cells(
    scores: Scores,
    conditions: Sequence[Condition],
    design: Design,
    axes: tuple[Axis, Axis],
    effects: Sequence[Effect],
) -> Cells:
    levels = (ordered_levels(axes[0]), ordered_levels(axes[1]))
    by_condition = [_share(scores, k, design.baseline) for k in range(len(conditions))]

    rows, columns = ([set(_at(conditions, design, at)) for at in each] for each in levels)

    def mean(there: Iterable[int]) -> float:
        found = [by_condition[k] for k in sorted(there)]
        return float(np.mean(found)) if found else np.nan

    shares = np.array([[mean(row & column) for column in columns] for row in rows])
    shares = shares - mean(_at(conditions, design, {**axes[0].baseline, **axes[1].baseline}))
    beyond = None
    if np.isfinite(shares).all():
        beyond = shares - shares.mean(axis=0) - shares.mean(axis=1, keepdims=True) + shares.mean()
    return Cells(
        axes=axes,
        levels=levels,
        shares=shares,
        beyond=beyond,
        is_relative=_unit(scores, design.baseline) is not None,
        effects=tuple(effect for effect in effects if effect.term == axes),
    )


def _share(scores: Scores, condition: int, baseline: int | None) -> float:
    """Returns a contrast's difference in the unit in which it is told; nan without pairs."""
    assert baseline is not None
    if condition == baseline:
        return 0.0
    contrast = paired(scores, condition, baseline)
    if contrast.estimate is None:
        return np.nan
    unit = contrast.baseline_mean if _unit(scores, baseline) is not None else 1.0
    return contrast.estimate.mean / unit


def _unit(scores: Scores, baseline: int | None) -> float | None:
    """Returns the baseline's mean if it is positive."""
    assert baseline is not None
    means = scores.means[baseline][scores.is_complete[baseline]]
    return float(means.mean()) if len(means) and means.min() > 0 else None


def _least_p(table: Cells) -> float:
    return min((1.0 if effect.p is None else effect.p for effect in table.effects), default=1.0)
