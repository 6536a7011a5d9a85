"""Findings of fewer conditions: what a figure can show of an experiment that has many."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.design import Design
from qdexp_analysis.exploratory import SecondaryMetric
from qdexp_analysis.findings import Findings, means_over_seeds
from qdexp_analysis.step_times import StepTimes
from qdexp_analysis.table import Experiment

MOST_CONDITIONS = 24
"""Conditions of one figure: beyond them neither lines nor labels can be told apart."""


def drawn(findings: Findings) -> tuple[int, ...]:
    """Returns the positions of the conditions that figures show: all, or those that matter most.

    Of too many, these are the baseline, the lowest and the highest means of the primary metric,
    half and half, and of those without any the first ones.
    """
    experiment = findings.experiment
    everything = range(len(experiment.conditions))
    if len(everything) <= MOST_CONDITIONS:
        return tuple(everything)
    means = means_over_seeds(findings.scores)
    kept = [] if experiment.baseline is None else [experiment.baseline]
    others = [k for k in np.argsort(means, kind="stable").tolist() if k not in kept]
    room = MOST_CONDITIONS - len(kept)
    known = [k for k in others if np.isfinite(means[k])]
    half = room // 2
    chosen = known if len(known) <= room else known[: room - half] + known[len(known) - half :]
    unknown = [k for k in others if k not in known]
    return tuple(sorted([*kept, *chosen, *unknown[: room - len(chosen)]]))


def drawn_text(findings: Findings, positions: Sequence[int]) -> str:
    """Returns which conditions a figure shows, in a sentence, or nothing where it shows all."""
    total = len(findings.experiment.conditions)
    if len(positions) == total:
        return ""
    base = "" if findings.experiment.baseline is None else "the baseline and "
    return (
        f"Drawn are {len(positions)} of {total} conditions: {base}those with the lowest and the "
        f"highest {findings.primary.in_words}. The tables have all."
    )


def of_conditions(findings: Findings, positions: Sequence[int]) -> Findings:
    """Returns what was found of some conditions, whose positions then count among these.

    Nothing is judged again: every number is that of the whole experiment.
    """
    if len(positions) == len(findings.experiment.conditions):
        return findings
    new = {old: position for position, old in enumerate(positions)}
    pairs = [
        (contrast, prospect)
        for contrast, prospect in zip(findings.contrasts, findings.prospects, strict=True)
        if contrast.condition in new
    ]
    return replace(
        findings,
        experiment=_experiment(findings.experiment, positions, new),
        scores=findings.scores.at(positions),
        contrasts=_contrasts([contrast for contrast, _ in pairs], new),
        prospects=tuple(prospect for _, prospect in pairs),
        left_out=_contrasts(findings.left_out, new),
        step_times=_step_times(findings.step_times, new),
        secondary=tuple(_secondary(metric, positions) for metric in findings.secondary),
    )


def _experiment(
    experiment: Experiment, positions: Sequence[int], new: Mapping[int, int]
) -> Experiment:
    kept = [record for record in experiment.records if experiment.place(record)[0] in new]
    return replace(
        experiment,
        conditions=tuple(experiment.conditions[k] for k in positions),
        records=tuple(kept),
        design=_design(experiment.design, new),
    )


def _design(design: Design, new: Mapping[int, int]) -> Design:
    return replace(
        design,
        own=frozenset(new[k] for k in design.own if k in new),
        baseline=None if design.baseline is None else new.get(design.baseline),
        full=None if design.full is None else new.get(design.full),
        set_back=tuple(new[k] for k in design.set_back if k in new),
    )


def _contrasts(contrasts: Sequence[Contrast], new: Mapping[int, int]) -> tuple[Contrast, ...]:
    return tuple(
        replace(contrast, condition=new[contrast.condition])
        for contrast in contrasts
        if contrast.condition in new
    )


def _step_times(times: StepTimes | None, new: Mapping[int, int]) -> StepTimes | None:
    if times is None:
        return None
    kept = (ratio for ratio in times.ratios if ratio.condition in new)
    return replace(times, ratios=tuple(replace(r, condition=new[r.condition]) for r in kept))


def _secondary(metric: SecondaryMetric, positions: Sequence[int]) -> SecondaryMetric:
    return replace(
        metric,
        scores=metric.scores.at(positions),
        estimates=tuple(metric.estimates[k] for k in positions),
        q=tuple(metric.q[k] for k in positions),
    )
