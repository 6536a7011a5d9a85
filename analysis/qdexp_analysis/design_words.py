"""A design and its effects in words: what was compared, and what each factor does."""

from collections.abc import Sequence
from string import ascii_lowercase

import numpy as np

from qdexp.experiment.trial import Condition
from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.effects import Effect, Term, has_effects
from qdexp_analysis.factor import Axis
from qdexp_analysis.findings import Findings, means_over_seeds
from qdexp_analysis.labels import condition_text
from qdexp_analysis.quantities import Differences, p_after, signed

MOST_ALIASES = 3
"""Aliases that one sentence lists; the table of them has more."""

SLOPES = (
    "Fitted per seed along the logarithm of the levels, from the lowest to the highest; as a share "
    "of the grand mean. A slope never replaces the contrasts above: effects can be U-shaped."
)
SIDES = (
    "Estimated per seed over the whole fraction, from each factor's baseline to its other level; "
    "as a share of the grand mean. What is aliased cannot be told apart: the estimate is of all of "
    "it together."
)


def design_sentences(findings: Findings) -> list[str]:
    """Returns which conditions were chosen and why, and what a fraction cannot tell apart."""
    experiment, design = findings.experiment, findings.experiment.design
    sentences = [f"Design: {design.in_words}."] if design.in_words else []
    if design.is_by_difference:
        for name, position in (("baseline", design.baseline), ("full condition", design.full)):
            if position is not None:
                levels = condition_text(experiment.conditions[position])
                sentences.append(f"The {name}: {levels}.")
    if design.fraction is None:
        return sentences
    letters = "; ".join(
        f"{letter} is {_ends(axis, axis.from_baseline)}"
        for letter, axis in zip(ascii_lowercase, design.axes, strict=False)
    )
    rows = [" = ".join(words) for words in design.fraction.aliases if len(words) > 1]
    return [
        *sentences,
        f"From the baseline to the other level, {letters}. Generators: "
        f"{design.fraction.generators}.",
        f"Aliases, up to interactions of three factors: {'; '.join(rows) or 'none'}.",
    ]


def effect_sentences(findings: Findings) -> list[str]:
    """Returns the effects of factors over all levels of the others, or why there are none."""
    design = findings.experiment.design
    if findings.refused or len(design.axes) < 2:
        return []
    if design.obstacle is not None:
        return [f"Not estimated: {design.obstacle}."]
    num_diverged = int(findings.scores.diverged.sum())
    if num_diverged and has_effects(design):
        trials = "trial" if num_diverged == 1 else "trials"
        return [f"Not estimated: {num_diverged} {trials} diverged, and the others would mislead."]
    return [_effect(findings, effect) for effect in findings.effects]


def effects_note(findings: Findings) -> str:
    """Returns how effects were estimated, or nothing where there are none."""
    if not findings.effects:
        return ""
    return SLOPES if findings.experiment.design.fraction is None else SIDES


def left_out_sentences(findings: Findings) -> list[str]:
    """Returns what the full condition loses or gains without each of its factors."""
    return [_left_out(findings, contrast) for contrast in findings.left_out]


def _effect(findings: Findings, effect: Effect) -> str:
    ends = [_ends(axis, ends) for axis, ends in zip(effect.term, effect.ends, strict=True)]
    scale = abs(float(np.nanmean(means_over_seeds(findings.scores))))
    share = f"{signed(effect.estimate.mean / scale * 100)} %"
    interval = effect.estimate.interval
    limits = (
        "no uncertainty can be stated"
        if interval is None
        else f"95 % interval {signed(interval[0] / scale * 100)} to "
        f"{signed(interval[1] / scale * 100)} %, p {p_after(effect.p)} after Holm"
    )
    aliased = _aliased(effect.aliases)
    if len(effect.term) == 1:
        return f"{ends[0]}, over all levels of the others: {share} ({limits}){aliased}."
    return f"{ends[1]} changes the effect of {ends[0]} by {share} ({limits}){aliased}."


def _aliased(aliases: Sequence[Term]) -> str:
    if not aliases:
        return ""
    products = [" x ".join(axis.name for axis in term) for term in aliases]
    shown = ", ".join(products[:MOST_ALIASES])
    more = len(products) - MOST_ALIASES
    return f"; aliased with {shown}" + (f" and {more} more" if more > 0 else "")


def _ends(axis: Axis, ends: tuple[Condition, Condition]) -> str:
    low, high = (
        " with ".join(str(levels[factor.field]) for factor in axis.factors) for levels in ends
    )
    return f"{axis.name} {low} to {high}"


def _left_out(findings: Findings, contrast: Contrast) -> str:
    experiment = findings.experiment
    full = experiment.design.full
    assert full is not None
    changed = experiment.labels.difference(contrast.condition, full)
    subject = f"With {changed} instead: {findings.primary.in_words}"
    estimate = contrast.estimate
    if estimate is None:
        return f"{subject} undecided, since no seed has both it and the full condition completed."
    write = Differences(contrast)
    change = f"differs by {write.text(estimate.mean)}"
    if contrast.simultaneous is None:
        return f"{subject} {change}: {contrast.verdict}."
    p = contrast.p_equivalent if contrast.verdict == "equivalent" else contrast.p
    interval = write.interval(contrast.simultaneous)
    name = "95 % interval" if len(findings.left_out) < 2 else "simultaneous 95 % interval"
    limits = f"{name} {interval}, p {p_after(p)} after Holm"
    return f"{subject} {change} ({limits}): {contrast.verdict}."
