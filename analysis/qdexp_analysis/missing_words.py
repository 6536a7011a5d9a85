"""Trials that ended without a result, in words: how often, and what that does to a comparison."""

from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.findings import Findings
from qdexp_analysis.intervals import ALPHA
from qdexp_analysis.language import say
from qdexp_analysis.quantities import number, p_after


def rate_sentences(findings: Findings) -> list[str]:
    """Returns how often trials of each condition diverged; nothing if none did."""
    if not any(rate.count for rate in findings.diverged_rates):
        return []
    labels = findings.experiment.labels
    sentences: list[str] = []
    for position, rate in enumerate(findings.diverged_rates):
        if rate.interval is None:
            continue
        low, high = (number(100 * limit) for limit in rate.interval)
        share = number(100 * rate.count / rate.total)
        sentences.append(
            say(
                "{condition}: {count} of {total} ended trials diverged ({share} %, exact 95 % "
                "interval {low} to {high} %).",
                condition=labels.short(position),
                count=rate.count,
                total=rate.total,
                share=share,
                low=low,
                high=high,
            )
        )
    return sentences


def missing_text(findings: Findings, contrast: Contrast) -> str:
    """Returns whether what is missing from a contrast depends on the condition, or nothing."""
    baseline = findings.experiment.baseline
    if baseline is None:
        return ""
    p = findings.scores.p_depends(contrast.condition, baseline)
    if p is None:
        return ""
    lost = findings.scores.is_lost.sum(axis=1)
    ended = lost + findings.scores.is_complete.sum(axis=1)
    one, other = (
        say("{lost} of {ended}", lost=lost[k], ended=ended[k])
        for k in (contrast.condition, baseline)
    )
    counts = say(
        "{one} trials ended without a result, {other} of the baseline's; Fisher's exact p",
        one=one,
        other=other,
    )
    if p <= ALPHA:
        return say(
            "What is missing depends on the condition ({counts} {p}).", counts=counts, p=p_after(p)
        )
    if lost[contrast.condition] == lost[baseline]:
        return ""
    return say(
        "What is missing may depend on the condition: too few trials to tell ({counts} {p}).",
        counts=counts,
        p=p_after(p),
    )


def pairing_text(contrast: Contrast) -> str:
    """Returns that a contrast is not paired, or nothing."""
    if contrast.is_paired:
        return ""
    return say(
        "Fewer than two seeds have both completed, so all seeds of each are compared "
        "without pairs (Welch's test)."
    )
