"""The check of a search's best on fresh seeds, as a section of its report."""

from qdexp_analysis.account import completion
from qdexp_analysis.findings import Findings, means_over_seeds
from qdexp_analysis.language import say
from qdexp_analysis.paragraphs import Column, Section, Table
from qdexp_analysis.quantities import NONE, Differences, measured, p_text, sentence_case
from qdexp_analysis.search_confirm_words import confirm_sentences, hint, sentence_of
from qdexp_analysis.search_findings import Confirmed, SearchFindings


def confirmation_section(found: SearchFindings) -> Section:
    """Returns the verdicts of the check, or how to make one."""
    confirmed = found.confirmed
    title = say("Confirmation on fresh seeds")
    if confirmed is None:
        return Section(name="confirmation", title=title, sentences=[hint(found)])
    best = found.best and confirmed.contrast_of(found.best.suggestion.number)
    others = [
        sentence_case(sentence_of(confirmed, contrast))
        for contrast in confirmed.findings.contrasts
        if contrast is not best
    ]
    notes = say(
        "The search's value of a configuration was among those that it was chosen by; the "
        "confirmed one is of seeds that the search never saw. Verdicts are those of the experiment "
        "{name}, whose own report says how they are made.",
        name=confirmed.findings.experiment.name,
    )
    return Section(
        name="confirmation",
        title=title,
        sentences=[*confirm_sentences(found), *others],
        tables=[_confirmed_table(found, confirmed)],
        notes=[notes],
    )


def _confirmed_table(found: SearchFindings, confirmed: Confirmed) -> Table:
    metric = found.objectives[0].metric.in_words
    columns = (
        Column(name=say("configuration")),
        Column(name=say("verdict"), kind="status"),
        Column(name=say("{metric}, the search's", metric=metric), kind="number"),
        Column(name=say("{metric}, confirmed", metric=metric), kind="number"),
        Column(name=say("difference"), kind="number"),
        Column(name=say("95 % interval"), kind="number"),
        Column(name=say("p (Holm)"), kind="number"),
        Column(name=say("completed"), kind="number"),
    )
    rows = [
        _confirmed_row(found, confirmed, position)
        for position in range(len(confirmed.findings.experiment.conditions))
    ]
    return Table(label=say("Confirmation"), columns=columns, rows=tuple(rows))


def _confirmed_row(found: SearchFindings, confirmed: Confirmed, position: int) -> tuple[str, ...]:
    findings, number = confirmed.findings, confirmed.numbers[position]
    experiment = findings.experiment
    at = [k for k, each in enumerate(found.complete) if each.suggestion.number == number]
    searched = float(found.values[at[0], 0]) if at else None
    is_base = position == experiment.baseline
    return (
        experiment.labels.short(position),
        "baseline" if is_base else _verdict(findings, position),
        measured(searched, found.objectives[0].metric),
        measured(float(means_over_seeds(findings.scores)[position]), findings.primary),
        *_difference(findings, position),
        completion(experiment, position),
    )


def _verdict(findings: Findings, position: int) -> str:
    contrasts = [each for each in findings.contrasts if each.condition == position]
    return contrasts[0].verdict if contrasts else "not ranked"


def _difference(findings: Findings, position: int) -> tuple[str, str, str]:
    for contrast in findings.contrasts:
        if contrast.condition == position and contrast.estimate is not None:
            write = Differences(contrast)
            p = contrast.p_equivalent if contrast.verdict == "equivalent" else contrast.p
            interval = write.interval(contrast.simultaneous)
            return write.text(contrast.estimate.mean), interval, p_text(p)
    return NONE, NONE, NONE
