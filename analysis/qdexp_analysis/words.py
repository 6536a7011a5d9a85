"""Verdicts in words: one function each, so that every rendering says the same."""

import math
from collections.abc import Sequence

from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.design_words import primary_sentences
from qdexp_analysis.findings import Findings, means_over_seeds
from qdexp_analysis.missing_words import missing_text, pairing_text
from qdexp_analysis.planning import MOST_SEEDS
from qdexp_analysis.prospects import Prospect
from qdexp_analysis.quantities import Differences, measured, number, p_after
from qdexp_analysis.standing import status_of
from qdexp_analysis.step_times import STEP_SECONDS, StepRatio

MOST_LISTED = 4
"""Conditions that one sentence lists with their numbers."""

FEW_SEEDS = 3
"""Seeds from which a t interval is so wide that more of them are the first advice."""


def margin_text(findings: Findings) -> str:
    """Returns the smallest effect of interest: ``0.2 %`` or ``0.01``."""
    if findings.margin is None:
        return "none stated"
    if findings.margin.is_relative:
        return f"{findings.margin.value * 100:.4g} % of the baseline"
    return f"{findings.margin.value:.4g}"


def against(findings: Findings, condition: int) -> str:
    """Returns what is compared: ``num_embeddings = 16384 against 8192``."""
    experiment = findings.experiment
    assert experiment.baseline is not None
    if len(experiment.factors) == 1:
        one, base = experiment.conditions[condition], experiment.conditions[experiment.baseline]
        (factor,) = experiment.factors
        return f"{factor.name} = {one[factor.field]} against {base[factor.field]}"
    labels = experiment.labels
    return f"{labels.text(condition)} against {labels.text(experiment.baseline)}"


def verdict_sentence(findings: Findings, contrast: Contrast, prospect: Prospect) -> str:
    """Returns a contrast's verdict in one sentence, with the reason and remedy if undecided."""
    subject = f"{against(findings, contrast.condition)}: {findings.primary.in_words}"
    estimate = contrast.estimate
    if estimate is None:
        sentence = f"{subject} undecided: {doubt_text(findings, contrast)}."
        return _with_notes(findings, contrast, sentence)
    write = Differences(contrast)
    if contrast.simultaneous is None:
        verdict = contrast.verdict
        if verdict == "undecided":
            verdict = f"undecided ({doubt_text(findings, contrast)})"
        sentence = f"{subject} differs by {write.text(estimate.mean)}: {verdict}."
        return _with_notes(findings, contrast, sentence)
    is_decided = contrast.verdict in ("better", "worse")
    interval = write.interval(contrast.simultaneous, is_unsigned=is_decided)
    change = f"differs by {write.text(estimate.mean)}"
    if is_decided:
        change = f"{'lower' if estimate.mean < 0 else 'higher'} by {write.size(estimate.mean)}"
    p, claim = contrast.p, contrast.verdict
    if contrast.verdict == "equivalent":
        p, claim = contrast.p_equivalent, f"equivalent within {margin_text(findings)}"
    limits = f"{interval_words(findings)} {interval}, p {p_after(p)} after Holm"
    sentence = f"{subject} {change} ({limits}): {claim}"
    if contrast.verdict != "undecided":
        return _with_notes(findings, contrast, sentence + ".")
    needed = prospect_text(findings, contrast, prospect)
    sentence = f"{sentence} ({doubt_text(findings, contrast)}). {needed}"
    return _with_notes(findings, contrast, sentence)


def interval_words(findings: Findings) -> str:
    """Returns what the interval beside a verdict is called."""
    return "95 % interval" if len(findings.contrasts) < 2 else "simultaneous 95 % interval"


def _with_notes(findings: Findings, contrast: Contrast, sentence: str) -> str:
    """Returns a verdict's sentence with what else its reader has to know."""
    notes = (pairing_text(contrast), missing_text(findings, contrast))
    return " ".join((sentence, *filter(None, notes)))


def doubt_text(findings: Findings, contrast: Contrast) -> str:
    """Returns why a contrast is undecided."""
    experiment = findings.experiment
    if contrast.doubt == "no_pairs":
        statuses = {status_of(record) for record in experiment.records_at(contrast.condition)}
        if statuses == {"diverged"}:
            return "every one of its trials diverged"
        if experiment.baseline is not None and {
            status_of(record) for record in experiment.records_at(experiment.baseline)
        } == {"diverged"}:
            return "every trial of the baseline diverged"
        return "no seed has both it and the baseline completed"
    if contrast.doubt == "one_seed":
        return "one seed: no uncertainty can be stated"
    if contrast.doubt == "no_variance":
        return "every seed gave the same difference: no uncertainty can be stated"
    if contrast.doubt == "diverged":
        has_failed = (findings.scores.is_lost & ~findings.scores.diverged).any()
        lost = "the diverged and failed" if has_failed else "the diverged"
        return f"the verdict would not hold if {lost} trials had the experiment's worst value"
    if not _includes_zero(contrast):
        return (
            f"its own 95 % interval excludes 0, but {len(findings.contrasts)} contrasts were made"
        )
    return f"{findings.noise} could explain it"


def prospect_text(findings: Findings, contrast: Contrast, prospect: Prospect) -> str:
    """Returns what it would take to decide an undecided contrast: more seeds where they are few."""
    if prospect.minimum_detectable is None:
        return "More seeds are needed."
    if not contrast.is_paired:
        detectable = Differences(contrast).size(prospect.minimum_detectable)
        return (
            "Completing the same seeds for both comes first: pairs find smaller differences than "
            f"the {detectable} that is found four times in five without them."
        )
    num_seeds, num_units = contrast.differences.shape
    clips, videos = findings.clips_and_videos
    more = "videos: hold out more" if videos < clips else "clips: raise evaluation.num_clips"
    detectable = Differences(contrast).size(prospect.minimum_detectable)
    text = f"With these trials a true difference of about {detectable} is found four times in five"
    if num_seeds <= FEW_SEEDS:
        text = f"More seeds come first: {num_seeds} say little of the spread between seeds. {text}"
    margin = margin_text(findings)
    if prospect.obstacle == "clips":
        return f"{text}; for {margin} no number of seeds is enough with these {num_units} {more}."
    if prospect.obstacle == "seeds":
        return f"{text}; {margin} would take more than {MOST_SEEDS} seeds."
    if prospect.seeds_needed is not None and prospect.seeds_needed > num_seeds:
        return f"{text}; {prospect.seeds_needed} seeds would find {margin}."
    return f"{text}."


def cost_sentences(findings: Findings) -> list[str]:
    """Returns how many times as long as the baseline's a step takes, where that is clear."""
    times = findings.step_times
    if times is None or not times.ratios:
        return []
    took = measured(times.seconds, findings.experiment.metric(STEP_SECONDS), digits=2)
    clear = [ratio for ratio in times.ratios if ratio.is_clear]
    apart = [ratio for ratio in times.ratios if not ratio.num_pairs]
    unclear = [ratio for ratio in times.ratios if ratio.num_pairs and not ratio.is_clear]
    caution = " Machines were mixed: no fair comparison." if findings.has_mixed_machines else ""
    if not clear and not apart:
        seeds = "" if any(ratio.num_pairs > 1 for ratio in unclear) else " from one seed"
        what = f"no clear difference in the time of a training step{seeds}"
        return [f"Cost: {what} (about {took}).{caution}"]
    parts = [f"a training step takes {took} with {_base(findings)}", *_times(findings, clear)]
    if unclear:
        parts.append(f"no clear difference with {_conditions(findings, unclear)}")
    if apart:
        parts.append(
            f"not compared with {_conditions(findings, apart)}, measured at another time, perhaps "
            "beside other load"
        )
    return [f"Cost: {'; '.join(parts)}.{caution}"]


def usage_sentences(findings: Findings) -> list[str]:
    """Returns how much of the codebook is used, where it was measured and can be compared."""
    metric = findings.secondary_named("eval.codebook_usage")
    if metric is None or findings.experiment.is_own:
        return []
    shares = {
        findings.experiment.labels.short(position): float(share)
        for position, share in enumerate(means_over_seeds(metric.scores))
        if math.isfinite(share)
    }
    if not shares:
        return []
    budgets = {
        record.trial.ours.evaluation.codebook_tokens for record in findings.experiment.records
    }
    over = f", over {budgets.pop():,} held-out tokens" if len(budgets) == 1 else ""
    if len(shares) > MOST_LISTED:
        low, high = min(shares.values()), max(shares.values())
        return [f"Codes used{over}: {number(low * 100, 2)} to {number(high * 100, 2)} %."]
    parts = (f"{number(share * 100, 2)} % with {label}" for label, share in shares.items())
    return [f"Codes used{over}: {', '.join(parts)}."]


def _times(findings: Findings, clear: Sequence[StepRatio]) -> list[str]:
    """Returns ratios of times with their intervals, or their range where they are many."""
    if len(clear) > MOST_LISTED:
        ratios = [ratio.ratio for ratio in clear]
        low, high = number(min(ratios), 2), number(max(ratios), 2)
        return [f"clearly different with {len(clear)} others: {low} to {high} times as long"]
    return [
        f"{_ratio(ratio)} with {_label(findings, ratio)} (95 % interval {_limits(ratio)})"
        for ratio in clear
    ]


def _ratio(ratio: StepRatio) -> str:
    return f"{number(ratio.ratio, _digits(ratio))} times as long"


def _limits(ratio: StepRatio) -> str:
    assert ratio.interval is not None
    low, high = (number(limit, _digits(ratio)) for limit in ratio.interval)
    return f"{low} to {high}"


def _digits(ratio: StepRatio) -> int:
    """Returns two digits, or three where a limit that excludes 1 would be written as 1."""
    assert ratio.interval is not None
    return 3 if any(float(f"{limit:.1e}") == 1 for limit in ratio.interval) else 2


def _conditions(findings: Findings, ratios: Sequence[StepRatio]) -> str:
    if len(ratios) > MOST_LISTED:
        return f"{len(ratios)} others"
    return ", ".join(_label(findings, ratio) for ratio in ratios)


def answer(findings: Findings) -> list[str]:
    """Returns the answer to the experiment's question, in a few sentences."""
    experiment = findings.experiment
    if findings.refused is not None:
        return [f"No condition is ranked: {findings.refused}.", *cost_sentences(findings)]
    if experiment.baseline is None:
        return ["No condition has every factor at its baseline, so nothing can be compared."]
    if not findings.contrasts:
        return ["There is one condition only, so nothing can be compared."]
    said = [*primary_sentences(findings, margin_text(findings)), *_by_verdict(findings)]
    return [*said, *usage_sentences(findings), *cost_sentences(findings)]


def _by_verdict(findings: Findings) -> list[str]:
    """Returns a sentence for each better or worse condition, and one for each other group."""
    by_verdict = {
        verdict: [c for c in findings.contrasts if c.verdict == verdict]
        for verdict in ("better", "worse", "equivalent", "undecided")
    }
    sentences = [_decided(findings, c) for c in (*by_verdict["better"], *by_verdict["worse"])]
    if by_verdict["equivalent"]:
        listed = "; ".join(_brief(findings, c) for c in by_verdict["equivalent"])
        sentences.append(
            f"Equivalent to {_base(findings)} within {margin_text(findings)}: {listed}."
        )
    noisy = [c for c in by_verdict["undecided"] if c.doubt == "noise" and _includes_zero(c)]
    if noisy:
        text = _brief if len(noisy) <= MOST_LISTED else _label
        texts = [text(findings, c) for c in noisy]
        sentences.append(f"Undecided, since {findings.noise} could explain it: {'; '.join(texts)}.")
    explained = {contrast.condition for contrast in noisy}
    others: dict[str, list[str]] = {}
    for c in by_verdict["undecided"]:
        if c.condition not in explained:
            others.setdefault(doubt_text(findings, c), []).append(_label(findings, c))
    for why, of in others.items():
        sentences.append(f"Undecided for {'; '.join(of)} ({'each: ' * (len(of) > 1)}{why}).")
    return sentences


def _includes_zero(contrast: Contrast) -> bool:
    limits = contrast.estimate.interval if contrast.estimate else None
    return limits is None or limits[0] <= 0 <= limits[1]


def _decided(findings: Findings, contrast: Contrast) -> str:
    """Returns ``num_embeddings 16384 is better than 8192: denoising loss lower by 0.98 % ...``."""
    condition = findings.experiment.labels.text(contrast.condition)
    estimate = contrast.estimate
    name = findings.primary.in_words
    if estimate is None or contrast.simultaneous is None:
        return f"{condition} is {contrast.verdict} than {_base(findings)}."
    write = Differences(contrast)
    return (
        f"{condition} is {contrast.verdict} than {_base(findings)}: {name} "
        f"{'lower' if estimate.mean < 0 else 'higher'} by {write.size(estimate.mean)} "
        f"({interval_words(findings)} "
        f"{write.interval(contrast.simultaneous, is_unsigned=True)})."
    )


def _brief(findings: Findings, contrast: Contrast) -> str:
    """Returns a contrast as ``16384 (-0.10 %, 95 % interval -0.21 to +0.01 %)``."""
    label = _label(findings, contrast)
    if contrast.estimate is None or contrast.simultaneous is None:
        return f"{label} (the same in every seed)"
    write = Differences(contrast)
    interval = f"{interval_words(findings)} {write.interval(contrast.simultaneous)}"
    return f"{label} ({write.text(contrast.estimate.mean)}, {interval})"


def _label(findings: Findings, of: Contrast | StepRatio) -> str:
    return findings.experiment.labels.short(of.condition)


def _base(findings: Findings) -> str:
    experiment = findings.experiment
    base, labels = experiment.baseline or 0, experiment.labels
    return labels.text(base) if len(experiment.factors) > 1 else labels.short(base)
