"""The check of a search's best on fresh seeds, as a section of its report."""

from collections.abc import Sequence

from qdexp_analysis.account import completion
from qdexp_analysis.declared import COST
from qdexp_analysis.findings import Findings, means_over_seeds
from qdexp_analysis.language import say
from qdexp_analysis.paragraphs import Column, Section, Table
from qdexp_analysis.quantities import NONE, Differences, measured, p_text, sentence_case
from qdexp_analysis.search_confirm_words import (
    confirm_sentences,
    difference_cells,
    hint,
    sentence_of,
)
from qdexp_analysis.search_findings import Confirmed, OtherObjective, SearchFindings


def confirmation_section(found: SearchFindings) -> Section:
    """Returns the verdicts of the check, or how to make one."""
    confirmed = found.confirmed
    title = say("Confirmation on fresh seeds")
    if confirmed is None:
        return Section(name="confirmation", title=title, sentences=[hint(found)])
    best = found.best and confirmed.contrast_of(found.best.suggestion.number)
    others = [
        sentence_case(sentence_of(confirmed, each))
        for each in confirmed.findings.contrasts
        if each is not best
    ]
    notes = say(
        "The search's value of a configuration was among those that it was chosen by; the "
        "confirmed one is of seeds that the search never saw. Verdicts are those of the experiment "
        "{name}, whose own report says how they are made.",
        name=confirmed.findings.experiment.name,
    )
    beside = confirmed.others(found.objectives)
    of_others = [_other_table(found, confirmed, each) for each in beside]
    return Section(
        name="confirmation",
        title=title,
        sentences=[*confirm_sentences(found), *others],
        tables=[_confirmed_table(found, confirmed), *of_others],
        notes=[notes, *_others_notes(beside)],
    )


def _others_notes(beside: Sequence[OtherObjective]) -> list[str]:
    if not beside:
        return []
    how = say(
        "Verdicts are on the first objective, which the best were chosen by. The others have "
        "paired differences, each with the 95 % interval of it alone; q is after Benjamini and "
        "Hochberg's correction over all other measurements of the confirmation."
    )
    if not any(each.objective.metric.name.startswith(COST) for each in beside):
        return [how]
    return [how, say("Times and memory also depend on what else the machine did.")]


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


def _other_table(found: SearchFindings, confirmed: Confirmed, other: OtherObjective) -> Table:
    metric = other.objective.metric.in_words
    columns = (
        Column(name=say("configuration")),
        Column(name=say("{metric}, the search's", metric=metric), kind="number"),
        Column(name=say("{metric}, confirmed", metric=metric), kind="number"),
        Column(name=say("difference"), kind="number"),
        Column(name=say("95 % interval"), kind="number"),
        Column(name="q", kind="number"),
    )
    rows = [
        _other_row(found, confirmed, other, position)
        for position in range(len(confirmed.findings.experiment.conditions))
    ]
    label = say("Confirmation: {metric}", metric=metric)
    return Table(label=label, columns=columns, rows=tuple(rows))


def _other_row(
    found: SearchFindings, confirmed: Confirmed, other: OtherObjective, position: int
) -> tuple[str, ...]:
    metric = other.objective.metric
    means = means_over_seeds(other.measured.scores)
    return (
        confirmed.findings.experiment.labels.short(position),
        measured(_searched(found, confirmed, position, other.position), metric),
        measured(float(means[position]), metric),
        *difference_cells(confirmed, other, position),
    )


def _searched(
    found: SearchFindings, confirmed: Confirmed, position: int, objective: int
) -> float | None:
    """Returns what the search measured of an objective, or None where it did not."""
    number = confirmed.numbers[position]
    at = [k for k, each in enumerate(found.complete) if each.suggestion.number == number]
    return float(found.values[at[0], objective]) if at else None


def _confirmed_row(found: SearchFindings, confirmed: Confirmed, position: int) -> tuple[str, ...]:
    findings = confirmed.findings
    experiment = findings.experiment
    is_base = position == experiment.baseline
    return (
        experiment.labels.short(position),
        "baseline" if is_base else _verdict(findings, position),
        measured(_searched(found, confirmed, position, 0), found.objectives[0].metric),
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
