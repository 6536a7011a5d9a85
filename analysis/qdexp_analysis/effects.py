"""Factorial effects: what each ordered factor does over all levels of the others.

An effect is a linear combination of the conditions, computed for each seed and clip and then
estimated like any paired difference. It stands beside the contrasts and never replaces them: an
effect can be U-shaped. Axes: k conditions, s seeds, c clips, e effects.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from qdexp.experiment.trial import Condition
from qdexp_analysis.contrasts import Scores, holm
from qdexp_analysis.factor import Factor
from qdexp_analysis.intervals import Estimate, estimate


@dataclass(frozen=True, kw_only=True)
class Effect:
    """The change from a factor's lowest to its highest level along a line in its logarithm.

    For two factors it is their product's: how much the one's effect changes while the other goes
    from its lowest to its highest level.

    Args:
        factors: One factor, or two.
        estimate: The effect, over the seeds in which every condition completed.
        p: The p value of no effect, after Holm over all effects; None if it cannot be had.
    """

    factors: tuple[Factor, ...]
    estimate: Estimate
    p: float | None


def factorial_effects(
    scores: Scores, conditions: Sequence[Condition], factors: Sequence[Factor]
) -> tuple[Effect, ...]:
    """Returns the effects of ordered factors and of their pairs; none for a single factor.

    None either where a trial diverged: the seeds in which all completed are a biased choice.
    """
    ordered = [factor for factor in factors if factor.is_ordered]
    seeds = scores.is_complete.all(axis=0)
    if not has_effects(factors) or scores.diverged.any() or not seeds.any():
        return ()
    terms = [(f,) for f in ordered] + list(itertools.combinations(ordered, 2))
    columns = [
        np.ones(len(conditions)),
        *(math.prod(_position(f, conditions) for f in term) for term in terms),
        *_indicators(conditions, [f for f in factors if not f.is_ordered]),
    ]
    design = np.stack(columns, axis=1)
    if np.linalg.matrix_rank(design) < design.shape[1]:
        return ()
    weights = np.linalg.pinv(design)[1 : len(terms) + 1]
    by_effect = np.einsum("ek,ksc->esc", weights, scores.values[:, seeds])
    estimates = [estimate(matrix) for matrix in by_effect]
    p = holm([e.p_two_sided for e in estimates])
    return tuple(
        Effect(factors=term, estimate=e, p=corrected)
        for term, e, corrected in zip(terms, estimates, p, strict=True)
    )


def has_effects(factors: Sequence[Factor]) -> bool:
    """Tells whether factors can have effects over all levels of the others."""
    return len(factors) > 1 and any(factor.is_ordered for factor in factors)


def _position(factor: Factor, conditions: Sequence[Condition]) -> Float[np.ndarray, " k"]:
    """Returns where each condition is between the lowest level and the highest, centred on 0."""
    levels = np.array([float(condition[factor.field]) for condition in conditions])
    scale = np.log(levels) if levels.min() > 0 else levels
    span = float(np.ptp(scale))
    return (scale - scale.mean()) / span if span else np.zeros(len(scale))


def _indicators(
    conditions: Sequence[Condition], factors: Sequence[Factor]
) -> list[Float[np.ndarray, " k"]]:
    return [
        np.array([float(condition[factor.field] == level) for condition in conditions])
        for factor in factors
        for level in factor.levels[1:]
    ]
