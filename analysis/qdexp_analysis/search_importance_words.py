"""Which parameters mattered, in words, with what such a share cannot see."""

from qdexp_analysis.language import say
from qdexp_analysis.paragraphs import Column, Section, Table
from qdexp_analysis.quantities import NONE, number
from qdexp_analysis.search_findings import FEWEST, PER_PARAMETER, SearchFindings, spread
from qdexp_analysis.search_words import is_flat


def importance_section(found: SearchFindings) -> Section:
    """Returns the shares of the variance, or why there are none."""
    title = say("Which parameters mattered")
    obstacle = _obstacle(found)
    if obstacle:
        return Section(name="importance", title=title, sentences=[obstacle, exact_note()])
    return Section(
        name="importance",
        title=title,
        sentences=[*_warnings(found), exact_note()],
        tables=[_table(found)],
    )


def exact_note() -> str:
    """Returns what has no such doubts."""
    return say(
        "What a parameter is worth, with intervals, is what a factorial experiment tells: with "
        "these fields as factors qdexp run reports the effects of an exact analysis of variance."
    )


def _obstacle(found: SearchFindings) -> str:
    """Returns why no share is shown, or nothing."""
    if len(found.complete) < FEWEST:
        return say(
            "{number} complete configurations are too few to share the variance out: {least} are "
            "the least.",
            number=len(found.complete),
            least=FEWEST,
        )
    if all(is_flat(found, k) for k in range(len(found.objectives))):
        return say(
            "All complete configurations have the same value, so there is no variance to share out."
        )
    if found.importances is None:
        return say("qdexp report computes this; it was not asked to here.")
    if not any(found.importances):
        return say("No parameter acts in all complete configurations, so none can be compared.")
    return ""


def _warnings(found: SearchFindings) -> list[str]:
    shown = found.importances[0] if found.importances else {}
    parameters = found.searched.parameters
    texts = [
        say(
            "fANOVA (Hutter, Hoos and Leyton-Brown, 2014): a random forest is fitted to {number} "
            "complete configurations, and the variance of what it predicts over the whole space is "
            "split into what each parameter does alone; the rest belongs to parameters together. "
            "It describes that forest: it is no test, and has no interval.",
            number=len(spread(found.complete)),
        ),
        say(
            "It cannot see what the sampler left out: where it stopped looking the forest guesses, "
            "and a parameter that it soon fixed looks unimportant."
        ),
    ]
    texts += _left_out(found)
    hidden = [each.field for each in parameters if each.field not in shown]
    if hidden:
        texts.append(
            say(
                "Not in it, since they do not act in every complete configuration: {fields}.",
                fields=say(", ").join(hidden),
            )
        )
    needed = PER_PARAMETER * len(parameters)
    if len(found.complete) < needed:
        texts.append(
            say(
                "{number} configurations are few for {parameters} parameters: with fewer than "
                "{needed} even their order may be chance.",
                number=len(found.complete),
                parameters=len(parameters),
                needed=needed,
            )
        )
    return texts


def _left_out(found: SearchFindings) -> list[str]:
    total, number = len(found.complete), len(spread(found.complete))
    text = say(
        "Of {total} complete configurations it has {number}, spread evenly over the search: with "
        "all of them it would take too long.",
        total=total,
        number=number,
    )
    return [text] if number < total else []


def _table(found: SearchFindings) -> Table:
    shares = found.importances or ()
    columns = (
        Column(name=say("parameter")),
        *(
            Column(name=say("{metric}, share alone", metric=o.metric.in_words), kind="number")
            for o in found.objectives
        ),
    )
    rows = [
        (each.field, *(share_text(of.get(each.field)) for of in shares))
        for each in found.by_importance
    ]
    rest = [share_text(rest_of(sum(of.values())) if of else None) for of in shares]
    return Table(
        label=say("Which parameters mattered"),
        columns=columns,
        rows=(*rows, (say("several together"), *rest)),
    )


def rest_of(total: float) -> float:
    """Returns what is left of the whole variance; rounding may leave less than nothing."""
    return max(1 - total, 0.0)


def share_text(share: float | None) -> str:
    """Returns a share in percent, or a dash."""
    return NONE if share is None else f"{number(100 * share, 2)} %"
