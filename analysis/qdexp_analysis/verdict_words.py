"""Each contrast in words: what is compared, its verdict, why it is undecided, and the remedy."""

from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.findings import Findings
from qdexp_analysis.language import say, word
from qdexp_analysis.missing_words import missing_text, pairing_text
from qdexp_analysis.planning import MOST_SEEDS
from qdexp_analysis.prospects import Prospect
from qdexp_analysis.quantities import Differences, p_after
from qdexp_analysis.standing import status_of
from qdexp_analysis.step_times import StepRatio

FEW_SEEDS = 3
"""Seeds from which a t interval is so wide that more of them are the first advice."""


def margin_text(findings: Findings) -> str:
    """Returns the smallest effect of interest: ``0.2 %`` or ``0.01``."""
    if findings.margin is None:
        return say("none stated")
    if findings.margin.is_relative:
        return say("{value:.4g} % of the baseline", value=findings.margin.value * 100)
    return f"{findings.margin.value:.4g}"


def against(findings: Findings, condition: int) -> str:
    """Returns what is compared: ``num_embeddings = 16384 against 8192``."""
    experiment = findings.experiment
    assert experiment.baseline is not None
    if len(experiment.factors) == 1 and not experiment.names:
        one, base = experiment.conditions[condition], experiment.conditions[experiment.baseline]
        (factor,) = experiment.factors
        return say(
            "{name} = {one} against {base}",
            name=factor.name,
            one=one[factor.field],
            base=base[factor.field],
        )
    labels = experiment.labels
    return say(
        "{condition} against {baseline}",
        condition=labels.text(condition),
        baseline=labels.text(experiment.baseline),
    )


def verdict_sentence(findings: Findings, contrast: Contrast, prospect: Prospect) -> str:
    """Returns a contrast's verdict in one sentence, with the reason and remedy if undecided."""
    subject = say(
        "{against}: {metric}",
        against=against(findings, contrast.condition),
        metric=findings.primary.in_words,
    )
    if contrast.estimate is None:
        doubt = doubt_text(findings, contrast)
        sentence = say("{subject} undecided: {doubt}.", subject=subject, doubt=doubt)
    elif contrast.simultaneous is None:
        sentence = _without_interval(findings, contrast, subject)
    else:
        values = {"subject": subject, **_change(findings, contrast)}
        if contrast.verdict != "undecided":
            sentence = say("{subject} {change} ({limits}): {claim}.", **values)
        else:
            sentence = say(
                "{subject} {change} ({limits}): undecided ({doubt}). {needed}",
                **values,
                doubt=doubt_text(findings, contrast),
                needed=prospect_text(findings, contrast, prospect),
            )
    return _with_notes(findings, contrast, sentence)


def _without_interval(findings: Findings, contrast: Contrast, subject: str) -> str:
    assert contrast.estimate is not None
    verdict = word(contrast.verdict)
    if contrast.verdict == "undecided":
        verdict = say("undecided ({doubt})", doubt=doubt_text(findings, contrast))
    difference = Differences(contrast).text(contrast.estimate.mean)
    return say(
        "{subject} differs by {difference}: {verdict}.",
        subject=subject,
        difference=difference,
        verdict=verdict,
    )


def _change(findings: Findings, contrast: Contrast) -> dict[str, str]:
    """Returns how much a contrast is, with its limits, and what is claimed of it."""
    assert contrast.estimate is not None
    write, mean = Differences(contrast), contrast.estimate.mean
    is_decided = contrast.verdict in ("better", "worse")
    change = say("differs by {difference}", difference=write.text(mean))
    if is_decided:
        size = write.size(mean)
        change = (
            say("lower by {size}", size=size) if mean < 0 else say("higher by {size}", size=size)
        )
    p, claim = contrast.p, word(contrast.verdict)
    if contrast.verdict == "equivalent":
        p = contrast.p_equivalent
        claim = say("equivalent within {margin}", margin=margin_text(findings))
    limits = say(
        "{name} {interval}, p {p} after Holm",
        name=interval_words(findings),
        interval=write.interval(contrast.simultaneous, is_unsigned=is_decided),
        p=p_after(p),
    )
    return {"change": change, "limits": limits, "claim": claim}


def interval_words(findings: Findings) -> str:
    """Returns what the interval beside a verdict is called."""
    return (
        say("95 % interval") if len(findings.contrasts) < 2 else say("simultaneous 95 % interval")
    )


def _with_notes(findings: Findings, contrast: Contrast, sentence: str) -> str:
    """Returns a verdict's sentence with what else its reader has to know."""
    notes = (pairing_text(contrast), missing_text(findings, contrast))
    return say(" ").join((sentence, *filter(None, notes)))


def doubt_text(findings: Findings, contrast: Contrast) -> str:
    """Returns why a contrast is undecided."""
    experiment = findings.experiment
    if contrast.doubt == "no_pairs":
        statuses = {status_of(record) for record in experiment.records_at(contrast.condition)}
        if statuses == {"diverged"}:
            return say("every one of its trials diverged")
        if experiment.baseline is not None and {
            status_of(record) for record in experiment.records_at(experiment.baseline)
        } == {"diverged"}:
            return say("every trial of the baseline diverged")
        return say("no seed has both it and the baseline completed")
    if contrast.doubt == "one_seed":
        return say("one seed: no uncertainty can be stated")
    if contrast.doubt == "no_variance":
        return say("every seed gave the same difference: no uncertainty can be stated")
    if contrast.doubt == "diverged":
        has_failed = (findings.scores.is_lost & ~findings.scores.diverged).any()
        if has_failed:
            return say(
                "the verdict would not hold if the diverged and failed trials had the "
                "experiment's worst value"
            )
        return say(
            "the verdict would not hold if the diverged trials had the experiment's worst value"
        )
    limits = contrast.estimate.interval if contrast.estimate else None
    if limits is not None and not limits[0] <= 0 <= limits[1]:
        return say(
            "its own 95 % interval excludes 0, but {number} contrasts were made",
            number=len(findings.contrasts),
        )
    return say("{noise} could explain it", noise=findings.noise)


def prospect_text(findings: Findings, contrast: Contrast, prospect: Prospect) -> str:
    """Returns what it would take to decide an undecided contrast: more seeds where they are few."""
    if prospect.minimum_detectable is None:
        return say("More seeds are needed.")
    detectable = Differences(contrast).size(prospect.minimum_detectable)
    if not contrast.is_paired:
        return say(
            "Completing the same seeds for both comes first: pairs find smaller differences than "
            "the {detectable} that is found four times in five without them.",
            detectable=detectable,
        )
    num_seeds = len(contrast.differences)
    text = say(
        "With these trials a true difference of about {detectable} is found four times in five",
        detectable=detectable,
    )
    if num_seeds <= FEW_SEEDS:
        text = say(
            "More seeds come first: {num_seeds} say little of the spread between seeds. {text}",
            num_seeds=num_seeds,
            text=text,
        )
    return _seeds_needed(findings, contrast, prospect, text)


def _seeds_needed(findings: Findings, contrast: Contrast, prospect: Prospect, text: str) -> str:
    num_seeds, num_units = contrast.differences.shape
    known = {"text": text, "margin": margin_text(findings)}
    if prospect.obstacle == "clips":
        clips, videos = findings.clips_and_videos
        if videos < clips:
            return say(
                "{text}; for {margin} no number of seeds is enough with these {number} videos: "
                "hold out more.",
                **known,
                number=num_units,
            )
        return say(
            "{text}; for {margin} no number of seeds is enough with these {number} clips: raise "
            "evaluation.num_clips.",
            **known,
            number=num_units,
        )
    if prospect.obstacle == "seeds":
        return say("{text}; {margin} would take more than {most} seeds.", **known, most=MOST_SEEDS)
    needed = prospect.seeds_needed
    if needed is not None and needed > num_seeds:
        return say("{text}; {needed} seeds would find {margin}.", **known, needed=needed)
    return say("{text}.", text=text)


def label_text(findings: Findings, of: Contrast | StepRatio) -> str:
    """Returns the name of a condition as tables have it."""
    return findings.experiment.labels.short(of.condition)


def base_text(findings: Findings) -> str:
    """Returns the name of the baseline as sentences have it."""
    experiment = findings.experiment
    base, labels = experiment.baseline or 0, experiment.labels
    return labels.text(base) if len(experiment.factors) > 1 else labels.short(base)
