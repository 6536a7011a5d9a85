"""The answer to an experiment's question, in a few sentences that every rendering has."""

from collections.abc import Sequence

from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.cost_words import MOST_LISTED, cost_sentences, usage_sentences
from qdexp_analysis.design_words import primary_sentences
from qdexp_analysis.findings import Findings
from qdexp_analysis.language import say, word
from qdexp_analysis.quantities import Differences, changed_by
from qdexp_analysis.search_path_words import path_answer
from qdexp_analysis.verdict_words import (
    base_text,
    doubt_text,
    interval_words,
    label_text,
    margin_text,
)


def answer(findings: Findings) -> list[str]:
    """Returns the answer to the experiment's question, in a few sentences."""
    experiment = findings.experiment
    if findings.refused is not None:
        return [
            say("No condition is ranked: {refused}.", refused=findings.refused),
            *cost_sentences(findings),
        ]
    if experiment.baseline is None:
        return [say("No condition has every factor at its baseline, so nothing can be compared.")]
    if not findings.contrasts:
        return [say("There is one condition only, so nothing can be compared.")]
    primary = path_answer(findings) + primary_sentences(findings, margin_text(findings))
    contrasts = _by_verdict(findings)
    return [*primary, *contrasts, *usage_sentences(findings), *cost_sentences(findings)]


def _by_verdict(findings: Findings) -> list[str]:
    """Returns a sentence for each better or worse condition, and one for each other group."""
    by_verdict = {
        verdict: [c for c in findings.contrasts if c.verdict == verdict]
        for verdict in ("better", "worse", "equivalent", "undecided")
    }
    sentences = [_decided(findings, c) for c in (*by_verdict["better"], *by_verdict["worse"])]
    if by_verdict["equivalent"]:
        listed = say("; ").join(_brief(findings, c) for c in by_verdict["equivalent"])
        sentences.append(
            say(
                "Equivalent to {base} within {margin}: {listed}.",
                base=base_text(findings),
                margin=margin_text(findings),
                listed=listed,
            )
        )
    return [*sentences, *_undecided(findings, by_verdict["undecided"])]


def _undecided(findings: Findings, undecided: Sequence[Contrast]) -> list[str]:
    """Returns a sentence for each reason for which conditions are undecided."""
    sentences: list[str] = []
    noisy = [c for c in undecided if c.doubt == "noise" and _includes_zero(c)]
    if noisy:
        is_short = len(noisy) <= MOST_LISTED
        texts = [(_brief if is_short else label_text)(findings, c) for c in noisy]
        sentences.append(
            say(
                "Undecided, since {noise} could explain it: {listed}.",
                noise=findings.noise,
                listed=say("; ").join(texts),
            )
        )
    explained = {contrast.condition for contrast in noisy}
    others: dict[str, list[str]] = {}
    for c in undecided:
        if c.condition not in explained:
            others.setdefault(doubt_text(findings, c), []).append(label_text(findings, c))
    for doubt, labels in others.items():
        if len(labels) == 1:
            sentences.append(say("Undecided for {label} ({doubt}).", label=labels[0], doubt=doubt))
        else:
            listed = say("; ").join(labels)
            sentences.append(
                say("Undecided for {listed} (each: {doubt}).", listed=listed, doubt=doubt)
            )
    return sentences


def _includes_zero(contrast: Contrast) -> bool:
    limits = contrast.estimate.interval if contrast.estimate else None
    return limits is None or limits[0] <= 0 <= limits[1]


def _decided(findings: Findings, contrast: Contrast) -> str:
    """Returns ``num_embeddings 16384 is better than 8192: denoising loss lower by 0.98 % ...``."""
    condition = findings.experiment.labels.text(contrast.condition)
    estimate = contrast.estimate
    if estimate is None or contrast.simultaneous is None:
        return say(
            "{condition} is {verdict} than {base}.",
            condition=condition,
            verdict=word(contrast.verdict),
            base=base_text(findings),
        )
    write = Differences(contrast)
    return say(
        "{condition} is {verdict} than {base}: {change} ({name} {interval}).",
        condition=condition,
        verdict=word(contrast.verdict),
        base=base_text(findings),
        change=changed_by(findings.primary, estimate.mean, write),
        name=interval_words(findings),
        interval=write.interval(contrast.simultaneous, is_unsigned=True),
    )


def _brief(findings: Findings, contrast: Contrast) -> str:
    """Returns a contrast as ``16384 (-0.10 %, 95 % interval -0.21 to +0.01 %)``."""
    label = label_text(findings, contrast)
    if contrast.estimate is None or contrast.simultaneous is None:
        return say("{label} (the same in every seed)", label=label)
    write = Differences(contrast)
    interval = say(
        "{name} {interval}",
        name=interval_words(findings),
        interval=write.interval(contrast.simultaneous),
    )
    return say(
        "{label} ({difference}, {interval})",
        label=label,
        difference=write.text(contrast.estimate.mean),
        interval=interval,
    )
