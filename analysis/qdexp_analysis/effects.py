"""Factorial effects: what each factor does over all levels of the others.

An effect is a linear combination of the conditions, computed for each seed and clip and then
estimated like any paired difference. It stands beside the contrasts and never replaces them: an
effect can be U-shaped. Only a complete factorial, or a regular fraction of one, has any; the
conditions that a spec lists itself enter none. Axes: k conditions, s seeds, c clips, e effects.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase

import numpy as np
from jaxtyping import Float

from qdexp.experiment.trial import Condition
from qdexp_analysis.contrasts import Scores, holm
from qdexp_analysis.design import Design, Fraction
from qdexp_analysis.factor import Axis
from qdexp_analysis.intervals import Estimate, estimate

Term = tuple[Axis, ...]
"""One axis, or the product of several."""


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The change from a factor's lowest to its highest level along a line in its logarithm.

    In a fraction it is the change from its baseline to its other level. For two factors it is their
    product's: how much the one's effect changes while the other goes all the way.

    Args:
        term: What has the effect: one factor, or two. A factor may be several that are zipped.
        ends: Where each of them begins and ends.
        aliases: Other terms that the design cannot tell from it.
        estimate: The effect, over the seeds in which every condition completed.
        p: The p value of no effect, after Holm over all effects; None if it cannot be had.
    """

    term: Term
    ends: tuple[tuple[Condition, Condition], ...]
    aliases: tuple[Term, ...] = ()
    estimate: Estimate
    p: float | None = None


def factorial_effects(
    scores: Scores, conditions: Sequence[Condition], design: Design
) -> tuple[Effect, ...]:
    """Returns the effects of factors and of their pairs, if the design has any.

    None where a trial diverged: the seeds in which all completed are a biased choice.
    """
    positions = [k for k in range(len(conditions)) if k not in design.own]
    values, seeds = scores.values[positions], scores.is_complete[positions].all(axis=0)
    if not has_effects(design) or scores.diverged[positions].any() or not seeds.any():
        return ()
    kept = [conditions[k] for k in positions]
    of = _of_fraction(design.axes, design.fraction) if design.fraction else _of_all(design.axes)
    weights = _weights(kept, design, [effect.term for effect in of])
    if weights is None:
        return ()
    by_effect = np.einsum("ek,ksc->esc", weights, values[:, seeds])
    estimates = [estimate(matrix) for matrix in by_effect]
    p = holm([e.p_two_sided for e in estimates])
    return tuple(
        Effect(term=each.term, ends=each.ends, aliases=each.aliases, estimate=e, p=corrected)
        for each, e, corrected in zip(of, estimates, p, strict=True)
    )


def has_effects(design: Design) -> bool:
    """Tells whether factors can have effects over all levels of the others."""
    if design.obstacle is not None or len(design.axes) < 2:
        return False
    return design.fraction is not None or any(axis.is_ordered for axis in design.axes)


@dataclass(frozen=True, kw_only=True)
class _Named:
    """An effect before it is estimated."""

    term: Term
    ends: tuple[tuple[Condition, Condition], ...]
    aliases: tuple[Term, ...] = ()


def _of_all(axes: Sequence[Axis]) -> list[_Named]:
    """Returns the ordered axes and their pairs."""
    ordered = [axis for axis in axes if axis.is_ordered]
    terms = [(axis,) for axis in ordered] + list(itertools.combinations(ordered, 2))
    return [_Named(term=term, ends=tuple(axis.from_lowest for axis in term)) for term in terms]


def _of_fraction(axes: Sequence[Axis], fraction: Fraction) -> list[_Named]:
    """Returns one effect for each group of those that cannot be told apart."""
    by_letter = dict(zip(ascii_lowercase, axes, strict=False))
    named: list[_Named] = []
    for words in fraction.aliases:
        term, *aliases = (tuple(by_letter[letter] for letter in word.lstrip("-")) for word in words)
        ends = tuple(axis.from_baseline for axis in term)
        named.append(_Named(term=term, ends=ends, aliases=tuple(aliases)))
    return named


def _weights(
    conditions: Sequence[Condition], design: Design, terms: Sequence[Term]
) -> Float[np.ndarray, "e k"] | None:
    """Returns what each condition counts in each effect; None if they cannot be told apart."""
    is_fraction = design.fraction is not None
    place = _side if is_fraction else _position
    rest = [] if is_fraction else [axis for axis in design.axes if not axis.is_ordered]
    columns = [
        np.ones(len(conditions)),
        *(math.prod(place(axis, conditions) for axis in term) for term in terms),
        *_indicators(conditions, rest),
    ]
    matrix = np.stack(columns, axis=1)
    if np.linalg.matrix_rank(matrix) < matrix.shape[1]:
        return None
    return np.linalg.pinv(matrix)[1 : len(terms) + 1]


def _position(axis: Axis, conditions: Sequence[Condition]) -> Float[np.ndarray, " k"]:
    """Returns where each condition is between the lowest level and the highest, centred on 0."""
    levels = np.array([float(condition[axis.factors[0].field]) for condition in conditions])
    scale = np.log(levels) if levels.min() > 0 else levels
    span = float(np.ptp(scale))
    return (scale - scale.mean()) / span if span else np.zeros(len(scale))


def _side(axis: Axis, conditions: Sequence[Condition]) -> Float[np.ndarray, " k"]:
    """Returns -1/2 for the conditions at an axis's baseline, and 1/2 for the others."""
    is_baseline = [
        all(condition[f.field] == axis.baseline[f.field] for f in axis.factors)
        for condition in conditions
    ]
    return np.where(is_baseline, -0.5, 0.5)


def _indicators(
    conditions: Sequence[Condition], axes: Sequence[Axis]
) -> list[Float[np.ndarray, " k"]]:
    return [
        np.array([float(levels.items() <= condition.items()) for condition in conditions])
        for axis in axes
        for levels in axis.levels[1:]
    ]
