"""A design and its effects in words: what was compared, and what each factor does."""

from collections.abc import Sequence
from string import ascii_lowercase

from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.effects import Effect, Ends, Term, has_effects
from qdexp_analysis.factor import Axis
from qdexp_analysis.findings import Findings
from qdexp_analysis.labels import condition_text
from qdexp_analysis.quantities import Differences, p_after

MOST_ALIASES = 3
"""Aliases that one sentence lists; the table of them has more."""

SLOPES = (
    "Each is one number per seed: along numbers, a line fitted to the logarithm of the levels, "
    "from the lowest to the highest; else the baseline's level against another. As a share of the "
    "baseline. A slope never replaces the contrasts above: effects can be U-shaped."
)
SIDES = (
    "Each is one number per seed over the whole fraction, from a factor's baseline to its other "
    "level; as a share of the baseline. What is aliased cannot be told apart: the estimate is of "
    "all of it together."
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
        f"{letter} is {ends_text(axis, axis.from_baseline)}"
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
    return [effect_sentence(findings, effect) for effect in findings.effects]


def effects_note(findings: Findings) -> str:
    """Returns how effects were estimated, or nothing where there are none."""
    if not findings.effects:
        return ""
    how = SLOPES if findings.experiment.design.fraction is None else SIDES
    return f"{family_sentence(findings)} {how}"


def family_sentence(findings: Findings) -> str:
    """Returns which family of several is the primary one, or nothing where there is one."""
    if findings.factors.family == "contrasts" or findings.refused is not None:
        return ""
    number = len(findings.effects)
    what = f"these {number} effects" if number > 1 else "the effects of factors"
    return (
        f"With several factors the primary family is {what}, under Holm's correction; the "
        "contrasts with the baseline are a second family, corrected on their own."
    )


def primary_sentences(findings: Findings, margin: str) -> list[str]:
    """Returns the answer of the primary family where that is effects.

    Args:
        findings: What was found.
        margin: The smallest effect of interest, in words.
    """
    by_verdict = {
        verdict: [e for e in findings.effects if e.contrast.verdict == verdict]
        for verdict in ("better", "worse", "equivalent", "undecided")
    }
    decided = [*by_verdict["better"], *by_verdict["worse"]]
    said = [_decided(findings, effect) for effect in decided]
    for verdict, start in (
        ("equivalent", f"No effect over all levels beyond {margin}"),
        ("undecided", "Undecided effects over all levels"),
    ):
        if by_verdict[verdict]:
            named = "; ".join(_name(effect) for effect in by_verdict[verdict])
            said.append(f"{start}: {named}.")
    return said


def left_out_sentences(findings: Findings) -> list[str]:
    """Returns what the full condition loses or gains without each of its factors."""
    return [_left_out(findings, contrast) for contrast in findings.left_out]


def effect_sentence(findings: Findings, effect: Effect) -> str:
    """Returns what an effect is, and what follows from it."""
    ends = ends_texts(effect)
    change = f"{change_text(effect.contrast)}: {_claim(findings, effect)}"
    aliased = _aliased(effect.aliases)
    if not effect.is_interaction:
        return f"{ends[0]}, over all levels of the others: {change}{aliased}."
    return f"{ends[1]} changes the effect of {ends[0]} by {change}{aliased}."


def change_text(contrast: Contrast) -> str:
    """Returns ``+3.9 % (simultaneous 95 % interval +3.8 to +4.0 %, p < 0.001 after Holm)``."""
    assert contrast.estimate is not None
    write = Differences(contrast)
    interval = contrast.simultaneous
    if interval is None:
        return f"{write.text(contrast.estimate.mean)} (no uncertainty can be stated)"
    p = contrast.p_equivalent if contrast.verdict == "equivalent" else contrast.p
    limits = f"simultaneous 95 % interval {write.interval(interval)}, p {p_after(p)} after Holm"
    return f"{write.text(contrast.estimate.mean)} ({limits})"


def ends_texts(effect: Effect) -> list[str]:
    """Returns what changes in an effect: ``num_embeddings 64 to 256``, once or twice."""
    return [ends_text(axis, ends) for axis, ends in zip(effect.term, effect.ends, strict=True)]


def _claim(findings: Findings, effect: Effect) -> str:
    verdict = effect.contrast.verdict
    if effect.is_interaction and verdict in ("better", "worse"):
        return f"together {verdict} than the two add up to"
    if verdict == "undecided" and effect.contrast.doubt == "noise":
        return f"undecided, since {findings.noise} could explain it"
    return verdict


def _decided(findings: Findings, effect: Effect) -> str:
    """Returns ``num_embeddings 64 to 256 is worse over all levels of the others: ...``."""
    contrast, write = effect.contrast, Differences(effect.contrast)
    way = "lower" if effect.estimate.mean < 0 else "higher"
    much = f"{findings.primary.in_words} {way} by {write.size(effect.estimate.mean)}"
    if contrast.simultaneous is not None:
        limits = write.interval(contrast.simultaneous, is_unsigned=True)
        much += f" (simultaneous 95 % interval {limits})"
    ends = ends_texts(effect)
    aliased = _aliased(effect.aliases)
    if not effect.is_interaction:
        start = f"{ends[0]} is {contrast.verdict} over all levels of the others"
        return f"{start}: {much}{aliased}.{_depends(findings, effect)}"
    both = " and ".join(ends)
    return f"{both} are together {contrast.verdict} than they add up to: {much}{aliased}."


def _depends(findings: Findings, effect: Effect) -> str:
    """Returns what else decides a factor's effect, so that nobody takes a mean for a rule."""
    (axis,) = effect.term
    others = {
        other.name: None
        for interaction in findings.effects
        if interaction.is_interaction and interaction.holds and not interaction.aliases
        for other in interaction.term
        if axis in interaction.term and other != axis
    }
    return f" How much depends on {', '.join(others)}." if others else ""


def _name(effect: Effect) -> str:
    return " x ".join(ends_texts(effect)) + _aliased(effect.aliases).replace("; ", ", ")


def _aliased(aliases: Sequence[Term]) -> str:
    if not aliases:
        return ""
    products = [" x ".join(axis.name for axis in term) for term in aliases]
    shown = ", ".join(products[:MOST_ALIASES])
    more = len(products) - MOST_ALIASES
    return f"; aliased with {shown}" + (f" and {more} more" if more > 0 else "")


def ends_text(axis: Axis, ends: Ends) -> str:
    """Returns what changes and from where to where: ``num_embeddings 64 to 256``."""
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
