"""A design and its effects in words: what was compared, and what each factor does."""

from collections.abc import Sequence
from string import ascii_lowercase

from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.effects import Effect, Ends, Term, has_effects
from qdexp_analysis.factor import Axis
from qdexp_analysis.findings import Findings
from qdexp_analysis.labels import condition_text
from qdexp_analysis.language import recorded, say, word
from qdexp_analysis.quantities import Differences, changed_by, p_after

MOST_ALIASES = 3
"""Aliases that one sentence lists; the table of them has more."""


def design_sentences(findings: Findings) -> list[str]:
    """Returns which conditions were chosen and why, and what a fraction cannot tell apart."""
    experiment, design = findings.experiment, findings.experiment.design
    sentences = [say("Design: {size}.", size=recorded(design.in_words))] if design.in_words else []
    if design.is_by_difference:
        if design.baseline is not None:
            levels = condition_text(experiment.conditions[design.baseline])
            sentences.append(say("The baseline: {levels}.", levels=levels))
        if design.full is not None:
            levels = condition_text(experiment.conditions[design.full])
            sentences.append(say("The full condition: {levels}.", levels=levels))
    if design.fraction is None:
        return sentences
    letters = say("; ").join(
        say("{letter} is {ends}", letter=letter, ends=ends_text(axis, axis.from_baseline))
        for letter, axis in zip(ascii_lowercase, design.axes, strict=False)
    )
    rows = [" = ".join(words) for words in design.fraction.aliases if len(words) > 1]
    return [
        *sentences,
        say(
            "From the baseline to the other level, {letters}. Generators: {generators}.",
            letters=letters,
            generators=design.fraction.generators,
        ),
        say(
            "Aliases, up to interactions of three factors: {aliases}.",
            aliases=say("; ").join(rows) or say("none"),
        ),
    ]


def effect_sentences(findings: Findings) -> list[str]:
    """Returns the effects of factors over all levels of the others, or why there are none."""
    design = findings.experiment.design
    if findings.refused or len(design.axes) < 2:
        return []
    if design.obstacle is not None:
        return [say("Not estimated: {obstacle}.", obstacle=design.obstacle)]
    num_diverged = int(findings.scores.diverged.sum())
    if num_diverged and has_effects(design):
        if num_diverged == 1:
            return [say("Not estimated: 1 trial diverged, and the others would mislead.")]
        return [
            say(
                "Not estimated: {number} trials diverged, and the others would mislead.",
                number=num_diverged,
            )
        ]
    return [effect_sentence(findings, effect) for effect in findings.effects]


def effects_note(findings: Findings) -> str:
    """Returns how effects were estimated, or nothing where there are none."""
    if not findings.effects:
        return ""
    how = _slopes() if findings.experiment.design.fraction is None else _sides()
    return say("{family} {how}", family=family_sentence(findings), how=how)


def _slopes() -> str:
    return say(
        "Each is one number per seed: along numbers, a line fitted to the logarithm of the levels, "
        "from the lowest to the highest; else the baseline's level against another. As a share of "
        "the baseline. A slope never replaces the contrasts above: effects can be U-shaped."
    )


def _sides() -> str:
    return say(
        "Each is one number per seed over the whole fraction, from a factor's baseline to its "
        "other level; as a share of the baseline. What is aliased cannot be told apart: the "
        "estimate is of all of it together."
    )


def family_sentence(findings: Findings) -> str:
    """Returns which family of several is the primary one, or nothing where there is one."""
    if findings.factors.family == "contrasts" or findings.refused is not None:
        return ""
    number = len(findings.effects)
    what = (
        say("these {number} effects", number=number)
        if number > 1
        else say("the effects of factors")
    )
    return say(
        "With several factors the primary family is {what}, under Holm's correction; "
        "the contrasts with the baseline are a second family, corrected on their own.",
        what=what,
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
        ("equivalent", say("No effect over all levels beyond {margin}", margin=margin)),
        ("undecided", say("Undecided effects over all levels")),
    ):
        if by_verdict[verdict]:
            named = say("; ").join(_name(effect) for effect in by_verdict[verdict])
            said.append(say("{start}: {named}.", start=start, named=named))
    return said


def left_out_sentences(findings: Findings) -> list[str]:
    """Returns what the full condition loses or gains without each of its factors."""
    return [_left_out(findings, contrast) for contrast in findings.left_out]


def effect_sentence(findings: Findings, effect: Effect) -> str:
    """Returns what an effect is, and what follows from it."""
    ends = ends_texts(effect)
    change = say(
        "{change}: {claim}", change=change_text(effect.contrast), claim=_claim(findings, effect)
    )
    aliased = _aliased(effect.aliases)
    if not effect.is_interaction:
        return say(
            "{ends}, over all levels of the others: {change}{aliased}.",
            ends=ends[0],
            change=change,
            aliased=aliased,
        )
    return say(
        "{one} changes the effect of {other} by {change}{aliased}.",
        one=ends[1],
        other=ends[0],
        change=change,
        aliased=aliased,
    )


def change_text(contrast: Contrast) -> str:
    """Returns ``+3.9 % (simultaneous 95 % interval +3.8 to +4.0 %, p < 0.001 after Holm)``."""
    assert contrast.estimate is not None
    write = Differences(contrast)
    interval = contrast.simultaneous
    if interval is None:
        return say(
            "{difference} (no uncertainty can be stated)",
            difference=write.text(contrast.estimate.mean),
        )
    p = contrast.p_equivalent if contrast.verdict == "equivalent" else contrast.p
    limits = say(
        "simultaneous 95 % interval {interval}, p {p} after Holm",
        interval=write.interval(interval),
        p=p_after(p),
    )
    return say(
        "{difference} ({limits})", difference=write.text(contrast.estimate.mean), limits=limits
    )


def ends_texts(effect: Effect) -> list[str]:
    """Returns what changes in an effect: ``num_embeddings 64 to 256``, once or twice."""
    return [ends_text(axis, ends) for axis, ends in zip(effect.term, effect.ends, strict=True)]


def _claim(findings: Findings, effect: Effect) -> str:
    verdict = effect.contrast.verdict
    if effect.is_interaction and verdict in ("better", "worse"):
        return say("together {verdict} than the two add up to", verdict=word(verdict))
    if verdict == "undecided" and effect.contrast.doubt == "noise":
        return say("undecided, since {noise} could explain it", noise=findings.noise)
    return word(verdict)


def _decided(findings: Findings, effect: Effect) -> str:
    """Returns ``num_embeddings 64 to 256 is worse over all levels of the others: ...``."""
    contrast, write = effect.contrast, Differences(effect.contrast)
    much = changed_by(findings.primary, effect.estimate.mean, write)
    if contrast.simultaneous is not None:
        limits = write.interval(contrast.simultaneous, is_unsigned=True)
        much += say(" (simultaneous 95 % interval {limits})", limits=limits)
    ends = ends_texts(effect)
    aliased = _aliased(effect.aliases)
    if not effect.is_interaction:
        start = say(
            "{ends} is {verdict} over all levels of the others",
            ends=ends[0],
            verdict=word(contrast.verdict),
        )
        return say(
            "{start}: {much}{aliased}.{depends}",
            start=start,
            much=much,
            aliased=aliased,
            depends=_depends(findings, effect),
        )
    both = say(" and ").join(ends)
    return say(
        "{both} are together {verdict} than they add up to: {much}{aliased}.",
        both=both,
        verdict=word(contrast.verdict),
        much=much,
        aliased=aliased,
    )


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
    return say(" How much depends on {factors}.", factors=say(", ").join(others)) if others else ""


def _name(effect: Effect) -> str:
    return say(" x ").join(ends_texts(effect)) + _aliased(effect.aliases).replace("; ", ", ")


def _aliased(aliases: Sequence[Term]) -> str:
    if not aliases:
        return ""
    products = [say(" x ").join(axis.name for axis in term) for term in aliases]
    shown = say(", ").join(products[:MOST_ALIASES])
    more = len(products) - MOST_ALIASES
    return say("; aliased with {shown}", shown=shown) + (
        say(" and {more} more", more=more) if more > 0 else ""
    )


def ends_text(axis: Axis, ends: Ends) -> str:
    """Returns what changes and from where to where: ``num_embeddings 64 to 256``."""
    low, high = (
        say(" with ").join(str(levels[factor.field]) for factor in axis.factors) for levels in ends
    )
    return say("{name} {low} to {high}", name=axis.name, low=low, high=high)


def _left_out(findings: Findings, contrast: Contrast) -> str:
    experiment = findings.experiment
    full = experiment.design.full
    assert full is not None
    changed = experiment.labels.difference(contrast.condition, full)
    subject = say(
        "With {changed} instead: {metric}", changed=changed, metric=findings.primary.in_words
    )
    estimate = contrast.estimate
    if estimate is None:
        return say(
            "{subject} undecided, since no seed has both it and the full condition completed.",
            subject=subject,
        )
    write = Differences(contrast)
    change = say("differs by {difference}", difference=write.text(estimate.mean))
    if contrast.simultaneous is None:
        return say(
            "{subject} {change}: {verdict}.",
            subject=subject,
            change=change,
            verdict=word(contrast.verdict),
        )
    p = contrast.p_equivalent if contrast.verdict == "equivalent" else contrast.p
    interval = write.interval(contrast.simultaneous)
    name = say("95 % interval") if len(findings.left_out) < 2 else say("simultaneous 95 % interval")
    limits = say("{name} {interval}, p {p} after Holm", name=name, interval=interval, p=p_after(p))
    return say(
        "{subject} {change} ({limits}): {verdict}.",
        subject=subject,
        change=change,
        limits=limits,
        verdict=word(contrast.verdict),
    )
