"""What became of the best when it was checked, in sentences: whether its gain held up."""

from qdexp_analysis.contrasts import Contrast
from qdexp_analysis.language import say
from qdexp_analysis.quantities import NONE, Differences, p_text, sentence_case
from qdexp_analysis.search_findings import Confirmed, OtherObjective, SearchFindings
from qdexp_analysis.verdict_words import verdict_sentence


def confirm_sentences(found: SearchFindings) -> list[str]:
    """Returns whether the best holds up on fresh seeds; nothing where it was not checked."""
    confirmed, best = found.confirmed, found.best
    if confirmed is None or best is None:
        return []
    if confirmed.findings.refused is not None:
        reason = confirmed.findings.refused
        return [say("The confirmation ranks nothing: {reason}.", reason=reason)]
    contrast = confirmed.contrast_of(best.suggestion.number)
    if contrast is None:
        return _not_the_best(found, confirmed)
    held = [_held(confirmed, contrast), *_others(confirmed, best.suggestion.number)]
    return held + [_of_other(confirmed, each) for each in confirmed.others(found.objectives)]


def hint(found: SearchFindings) -> str:
    """Returns how to check the best, where nobody did."""
    if found.best is not None and found.best.suggestion.number == 0:
        return say("There is nothing to confirm.")
    if found.searched.declared.get("confirm"):
        return say(
            "Not confirmed yet: the same command again runs the best on fresh seeds against the "
            "baseline."
        )
    return say(
        "Not confirmed: with confirm: {example} in the spec the same command runs the best on "
        "fresh seeds against the baseline.",
        example="{top: 3, seeds: 5}",
    )


def _not_the_best(found: SearchFindings, confirmed: Confirmed) -> list[str]:
    assert found.best is not None
    number = found.best.suggestion.number
    if number == 0:
        return _others(confirmed, number)
    text = say(
        "The confirmation did not check number {number}: it was not the best then.", number=number
    )
    return [text, *_others(confirmed, number)]


def _held(confirmed: Confirmed, contrast: Contrast) -> str:
    sentence = sentence_of(confirmed, contrast)
    seeds = len(confirmed.findings.experiment.seeds)
    if _is_open(confirmed, contrast):
        return say("The confirmation has not ended: {sentence}", sentence=sentence)
    if contrast.verdict == "better":
        return say("Confirmed on {seeds} fresh seeds: {sentence}", seeds=seeds, sentence=sentence)
    if contrast.verdict == "undecided":
        return say(
            "The confirmation on {seeds} fresh seeds leaves it open: {sentence}",
            seeds=seeds,
            sentence=sentence,
        )
    return say(
        "The confirmation on {seeds} fresh seeds does not hold it up: {sentence}",
        seeds=seeds,
        sentence=sentence,
    )


def _of_other(confirmed: Confirmed, other: OtherObjective) -> str:
    """Returns how those that were checked differ from the baseline in another objective."""
    experiment = confirmed.findings.experiment
    texts: list[str] = []
    for condition in range(len(experiment.conditions)):
        difference, interval, q = difference_cells(confirmed, other, condition)
        known = {"name": experiment.labels.text(condition), "difference": difference}
        if interval != NONE:
            text = say(
                "{name}: {difference} (95 % interval {interval}, q {q})",
                **known,
                interval=interval,
                q=q,
            )
            texts.append(text)
        elif difference != NONE:
            texts.append(say("{name}: {difference}", **known))
    metric = sentence_case(other.objective.metric.in_words)
    if not texts:
        return say("{metric} of those that were checked: no pair is complete.", metric=metric)
    return say(
        "{metric} of those that were checked, against the baseline, without a verdict: {each}.",
        metric=metric,
        each=say("; ").join(texts),
    )


def difference_cells(
    confirmed: Confirmed, other: OtherObjective, condition: int
) -> tuple[str, str, str]:
    """Returns the difference from the baseline in another objective, its interval and its q."""
    contrast = other.contrast_at(condition, confirmed.findings.experiment.baseline)
    if contrast is None or contrast.estimate is None:
        return NONE, NONE, NONE
    write, q = Differences(contrast), other.measured.q[condition]
    return (
        write.text(contrast.estimate.mean),
        write.interval(contrast.estimate.interval),
        p_text(q),
    )


def _is_open(confirmed: Confirmed, contrast: Contrast) -> bool:
    """Tells whether trials of a contrast are still to come."""
    experiment = confirmed.findings.experiment
    ends = (contrast.condition, experiment.baseline)
    records = [r for k in ends if k is not None for r in experiment.records_at(k)]
    return any(r.outcome is None or not r.outcome.is_final for r in records)


def sentence_of(confirmed: Confirmed, contrast: Contrast) -> str:
    """Returns the verdict of one of the contrasts in a sentence."""
    findings = confirmed.findings
    (place,) = (k for k, each in enumerate(findings.contrasts) if each is contrast)
    return verdict_sentence(findings, contrast, findings.prospects[place])


def _others(confirmed: Confirmed, best: int) -> list[str]:
    """Returns which others that were checked are better than the baseline."""
    better = [
        confirmed.numbers[each.condition]
        for each in confirmed.findings.contrasts
        if each.verdict == "better" and confirmed.numbers[each.condition] != best
    ]
    if not better:
        return []
    names = say(", ").join(str(number) for number in better)
    return [
        say(
            "Confirmed as better than the baseline among the others that were checked: number "
            "{names}.",
            names=names,
        )
    ]
