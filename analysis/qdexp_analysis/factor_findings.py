"""What an experiment found about its factors, beside the contrasts of its conditions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from qdexp_analysis.aggregates import Pooled, Task, is_poolable, pool
from qdexp_analysis.comparability import refusal, scores
from qdexp_analysis.contrasts import Contrast, Margin, Scores
from qdexp_analysis.declared import COST
from qdexp_analysis.effect_sizes import EffectSize, effect_size
from qdexp_analysis.effects import Effect, factorial_effects, has_effects
from qdexp_analysis.interactions import Cells, SimpleEffect, cells, simple_effects
from qdexp_analysis.slopes import DoseResponse, dose_responses
from qdexp_analysis.table import Experiment

Family = Literal["contrasts", "effects"]


@dataclass(frozen=True, kw_only=True)
class FactorFindings:
    """What factors do.

    Args:
        family: Which family is the primary one. The design decides it, before any trial: effects
            where several factors have any over all levels of the others, else the contrasts.
        effects: The factorial effects, where the design has them; of products of two too.
        doses: The dose response of each factor of three or more numbers.
        simple: What each of two factors that interact does at every level of the other.
        cells: The combinations of two factors' levels that are shown as a map.
        sizes: Each contrast's standardized size, in their order; None where it has none.
        pooled: Every other condition against the baseline over all metrics that the spec asks for.
        pooled_metrics: Which those are.
    """

    family: Family
    effects: tuple[Effect, ...] = ()
    doses: tuple[DoseResponse, ...] = ()
    simple: tuple[SimpleEffect, ...] = ()
    cells: tuple[Cells, ...] = ()
    sizes: tuple[EffectSize | None, ...] = ()
    pooled: tuple[Pooled, ...] = ()
    pooled_metrics: tuple[str, ...] = ()


def factor_findings(
    experiment: Experiment,
    primary: Scores,
    margin: Margin | None,
    contrasts: Sequence[Contrast],
) -> FactorFindings:
    """Computes what a report says of factors on a metric that conditions are ranked on."""
    design, conditions = experiment.design, experiment.conditions
    effects = factorial_effects(primary, conditions, design, margin)
    tasks = _tasks(experiment)
    pooled = pool(tasks)
    return FactorFindings(
        family=primary_family(experiment),
        effects=effects,
        doses=dose_responses(primary, conditions, design, margin, effects),
        simple=simple_effects(primary, conditions, design, margin, effects),
        cells=cells(primary, conditions, design, effects),
        sizes=tuple(effect_size(contrast) for contrast in contrasts),
        pooled=pooled,
        pooled_metrics=tuple(task.name for task in tasks) if pooled else (),
    )


def no_factors(experiment: Experiment) -> FactorFindings:
    """Returns what is said where conditions are not ranked: nothing but the family."""
    return FactorFindings(family=primary_family(experiment))


def primary_family(experiment: Experiment) -> Family:
    """Returns which family is the primary one; no outcome changes it."""
    return "effects" if has_effects(experiment.design) else "contrasts"


def across(experiments: Sequence[Experiment], metric: str) -> tuple[Pooled, ...]:
    """Pools one metric over experiments that compare the same conditions, each on its own data.

    Nothing where they have other conditions, seeds or baselines, or are not ranked on it.
    """
    first = experiments[0]
    for other in experiments:
        if (other.conditions, other.seeds) != (first.conditions, first.seeds):
            return ()
        if other.baseline is None or refusal(other, metric) is not None:
            return ()
    return pool(
        [
            Task(name=each.name, scores=scores(each, metric), baseline=each.baseline or 0)
            for each in experiments
        ]
    )


def _tasks(experiment: Experiment) -> list[Task]:
    """Returns the metrics that the spec asks for and that conditions are ranked on."""
    if experiment.baseline is None:
        return []
    asked = dict.fromkeys((experiment.primary, *experiment.secondary))
    ranked = [name for name in asked if not name.startswith(COST) and not refusal(experiment, name)]
    tasks = [
        Task(name=name, scores=scores(experiment, name), baseline=experiment.baseline)
        for name in ranked
    ]
    return [task for task in tasks if is_poolable(task)]
