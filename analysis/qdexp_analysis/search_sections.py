"""The sections of a search's report: what every format says, in this order."""

from collections.abc import Sequence

from qdexp.experiment.space import Parameter
from qdexp.results.suggestions import SuggestionRecord
from qdexp_analysis.language import say, word
from qdexp_analysis.paragraphs import Column, Section, Table
from qdexp_analysis.quantities import NONE, measured
from qdexp_analysis.search_confirmation import confirmation_section
from qdexp_analysis.search_findings import SearchFindings
from qdexp_analysis.search_importance_words import importance_section
from qdexp_analysis.search_path_words import path_sections
from qdexp_analysis.search_words import (
    budget_text,
    ending_of,
    hypervolume,
    objective_text,
    range_text,
    reason_of,
    sampler_text,
    value_text,
)

MOST_BEST = 10
"""Rows of the table of the best."""


def sections(found: SearchFindings) -> list[Section]:
    """Returns every section that has something to say, or a figure to hold."""
    made = [
        confirmation_section(found),
        _space(found),
        _course(found),
        _front(found),
        importance_section(found),
        _where(found),
        *path_sections(found),
        _best(found),
        _failures(found),
        _method(found),
    ]
    return [section for section in made if section is not None]


def _space(found: SearchFindings) -> Section:
    searched = found.searched
    columns = (
        Column(name=say("parameter"), kind="code"),
        Column(name=say("values"), kind="text"),
        Column(name=say("acts when")),
        Column(name=say("baseline"), kind="number"),
        Column(name=say("best"), kind="number"),
    )
    base = searched.baseline.suggestion.values if searched.baseline else {}
    best = found.best.suggestion.values if found.best else {}
    rows = [
        (
            each.field,
            range_text(each),
            each.when or _when(found, each),
            value_text(base.get(each.field)),
            value_text(best.get(each.field)),
        )
        for each in searched.parameters
    ]
    where = say("Every configuration satisfies: {where}.", where=searched.where)
    notes = [say("A dash: the parameter does not act there, or there is no such configuration.")]
    return Section(
        name="space",
        title=say("What was searched"),
        sentences=[where] if searched.where else [],
        tables=[Table(label=say("What was searched"), columns=columns, rows=tuple(rows))],
        notes=notes,
    )


def _when(found: SearchFindings, parameter: Parameter) -> str:
    """Returns where a parameter acts of which the spec does not say it."""
    history = found.searched.history
    is_always = all(parameter.field in each.suggestion.values for each in history)
    return say("always") if is_always else say("where the training reads it")


def _course(found: SearchFindings) -> Section | None:
    if not found.course.numbers:
        return None
    return Section(name="course", title=say("How the search went"), sentences=[_spent(found)])


def _spent(found: SearchFindings) -> str:
    reused = sum(each.suggestion.origin == "ledger" for each in found.searched.history)
    text = say("Spent: {budget}.", budget=budget_text(found))
    if not reused:
        return text
    if reused == 1:
        return say("{text} 1 configuration was in the ledger before and cost nothing.", text=text)
    return say(
        "{text} {reused} configurations were in the ledger before and cost nothing.",
        text=text,
        reused=reused,
    )


def _front(found: SearchFindings) -> Section | None:
    if found.is_single or not found.complete:
        return None
    return Section(name="front", title=say("Pareto front"), sentences=[hypervolume(found)])


def _where(found: SearchFindings) -> Section | None:
    if not found.complete:
        return None
    return Section(
        name="slices",
        title=say("Where good values lie"),
        sentences=[
            say(
                "Points are configurations that the sampler chose, most of them where it found "
                "good ones: that there are few somewhere does not say that values are bad there."
            )
        ],
    )


def _best(found: SearchFindings) -> Section:
    first = [found.complete[k] for k in found.ranking[:MOST_BEST]]
    title = say("The best {number}", number=len(first)) if first else say("Configurations")
    tables = [_suggestions(found, say("All configurations"), found.searched.history)]
    if first:
        tables.insert(0, _suggestions(found, say("The best"), first))
    return Section(
        name="configurations",
        title=title,
        tables=tables[:1] + [_folded(each) for each in tables[1:]],
        notes=[
            say(
                "Objectives are means over seeds. suggestions.csv beside this report has every "
                "configuration with all digits."
            )
        ],
    )


def _folded(table: Table) -> Table:
    return Table(label=table.label, columns=table.columns, rows=table.rows, is_folded=True)


def _suggestions(found: SearchFindings, label: str, records: Sequence[SuggestionRecord]) -> Table:
    parameters = found.searched.parameters
    columns = (
        Column(name=say("number")),
        *(Column(name=each.metric.in_words, kind="number") for each in found.objectives),
        Column(name=say("ending"), kind="status"),
        Column(name=say("origin")),
        *(Column(name=each.field.rpartition(".")[2], kind="number") for each in parameters),
        Column(name=say("trials"), kind="code"),
    )
    rows = [_row(found, each) for each in records]
    return Table(label=label, columns=columns, rows=tuple(rows))


def _row(found: SearchFindings, record: SuggestionRecord) -> tuple[str, ...]:
    ending = ending_of(found, record)
    told = record.told.values if record.told and ending == "complete" else ()
    values = [*told, *(None for _ in found.objectives)][: len(found.objectives)]
    return (
        str(record.suggestion.number),
        *(measured(v, each.metric) for v, each in zip(values, found.objectives, strict=True)),
        ending,
        word(record.suggestion.origin),
        *(value_text(record.suggestion.values.get(p.field)) for p in found.searched.parameters),
        " ".join(record.trial_ids),
    )


def _failures(found: SearchFindings) -> Section:
    lost = [
        each for each in found.searched.history if ending_of(found, each) in ("pruned", "failed")
    ]
    title = say("Configurations that did not complete")
    if not lost:
        text = say("None was pruned, and none failed.")
        return Section(name="failures", title=title, sentences=[text])
    columns = (
        Column(name=say("number")),
        Column(name=say("ending"), kind="status"),
        Column(name=say("trials"), kind="code"),
        Column(name=say("reason"), kind="prose"),
    )
    rows = tuple(
        (
            str(each.suggestion.number),
            ending_of(found, each),
            " ".join(each.trial_ids),
            reason_of(found, each) or NONE,
        )
        for each in lost
    )
    return Section(
        name="failures",
        title=title,
        tables=[Table(label=title, columns=columns, rows=rows)],
        notes=[say("Each of them counts against the budget, and was told to the sampler.")],
    )


def _method(found: SearchFindings) -> Section:
    searched = found.searched
    texts = [
        say(
            "Objectives: {objectives}.",
            objectives=say("; ").join(objective_text(each) for each in found.objectives),
        ),
        say("Sampler: {sampler}.", sampler=sampler_text(searched)),
        _seeds_text(found.searched.experiment.seeds),
    ]
    if searched.declared.get("pruning"):
        pruning = searched.declared["pruning"]
        texts.append(
            say(
                "Pruned by {kind} on {metric} at steps {steps}, among trials of the same seed.",
                kind=pruning["kind"],
                metric=pruning["metric"],
                steps=say(", ").join(map(str, pruning["steps"])),
            )
        )
    names = [*dict.fromkeys([*(o.metric.name for o in found.objectives)])]
    texts += [
        say("{metric}: {description}", metric=name, description=description)
        for name in names
        if (description := searched.experiment.metric(name).description)
    ]
    return Section(name="method", title=say("How it was measured"), sentences=texts)


def _seeds_text(seeds: tuple[int, ...]) -> str:
    if len(seeds) < 2:
        return say(
            "An objective is of one seed, {seed}, the same for every configuration: trials of one "
            "seed share their randomness.",
            seed=seeds[0] if seeds else NONE,
        )
    return say(
        "An objective is the mean over the seeds {seeds}, the same for every configuration: trials "
        "of one seed share their randomness.",
        seeds=say(", ").join(map(str, seeds)),
    )
