"""What a search found, in sentences: the answer, what it looked through, what it cost."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from qdexp.experiment.space import Parameter
from qdexp.results.suggestions import SuggestionRecord
from qdexp_analysis.language import say, word
from qdexp_analysis.quantities import NONE, measured, number, signed
from qdexp_analysis.search_confirm_words import confirm_sentences, hint
from qdexp_analysis.search_findings import SearchFindings
from qdexp_analysis.searched import Objective, Searched


def value_text(value: object) -> str:
    """Returns a parameter's value for readers: four digits of a number, others as they are."""
    if value is None:
        return NONE
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def values_text(values: Mapping[str, Any]) -> str:
    """Returns a configuration: ``ema_decay 0.98, num_embeddings 4096``."""
    named = (f"{field.rpartition('.')[2]} {value_text(value)}" for field, value in values.items())
    return say(", ").join(named)


def answer(found: SearchFindings) -> list[str]:
    """Returns the answer to the search's question, in a few sentences."""
    if found.best is None:
        ended = sum(each.told is not None for each in found.searched.history)
        if not ended:
            return [say("No configuration has ended yet, so there is no best one.")]
        return [
            say(
                "None of {number} configurations that ended is complete, so there is no best one: "
                "the reasons are listed below.",
                number=ended,
            )
        ]
    first = _best_sentences(found) if found.is_single else _front_sentences(found)
    return [*first, *(confirm_sentences(found) or [hint(found)])]


def _best_sentences(found: SearchFindings) -> list[str]:
    best = found.best
    assert best is not None
    known = {"metric": found.objectives[0].metric.in_words, "value": best_value(found)}
    complete, number_best = len(found.complete), best.suggestion.number
    if complete == 1:
        return [
            say(
                "Only configuration {number} is complete, with {metric} {value}: there is nothing "
                "to compare it with.",
                **known,
                number=number_best,
            )
        ]
    if not found.has_variance:
        return [
            say(
                "All {number} complete configurations have {metric} {value}: the search cannot "
                "tell them apart.",
                **known,
                number=complete,
            )
        ]
    if number_best == 0:
        return [
            say(
                "No configuration was better than the baseline ({metric} {value}) among "
                "{number} complete ones.",
                **known,
                number=complete,
            )
        ]
    first = say(
        "The best of {complete} complete configurations is number {number}: {values}.",
        complete=complete,
        number=number_best,
        values=values_text(best.suggestion.values),
    )
    return [first, _optimistic(found)]


def _optimistic(found: SearchFindings) -> str:
    base = found.baseline_values
    known = {
        "metric": found.objectives[0].metric.in_words,
        "value": best_value(found),
        "complete": len(found.complete),
    }
    if base is None:
        return say(
            "Its {metric}, {value}, is the search's optimistic value: it was chosen for being the "
            "best of {complete}, so a part of it is luck. The baseline is not complete.",
            **known,
        )
    return say(
        "Its {metric}, {value}, against {baseline} of the baseline ({change}), is the search's "
        "optimistic value: it was chosen for being the best of {complete}, so a part of it is "
        "luck.",
        **known,
        baseline=measured(float(base[0]), found.objectives[0].metric),
        change=change_text(best_of(found), float(base[0])),
    )


def best_of(found: SearchFindings) -> float:
    """Returns the best value of the primary objective."""
    return float(found.values[found.losses[:, 0].argmin(), 0])


def best_value(found: SearchFindings) -> str:
    """Returns the best value of the primary objective with its unit."""
    return measured(best_of(found), found.objectives[0].metric)


def change_text(value: float, base: float) -> str:
    """Returns how far a value is from the baseline's, in percent of it where that has a meaning."""
    if base > 0:
        return f"{signed(100 * (value / base - 1))} %"
    return signed(value - base)


def _front_sentences(found: SearchFindings) -> list[str]:
    listed = [each for each, on in zip(found.complete, found.on_front, strict=True) if on]
    names = say(", ").join(str(each.suggestion.number) for each in listed)
    text = say(
        "{number} of {complete} complete configurations are on the Pareto front, than which no "
        "other one is as good in every objective and better in one: {names}.",
        number=len(listed),
        complete=len(found.complete),
        names=names,
    )
    return [text, *(_best_in(found, k) for k in range(len(found.objectives))), hypervolume(found)]


def _best_in(found: SearchFindings, position: int) -> str:
    losses = np.where(
        found.on_front, found.losses[:, position], np.inf
    )  # of equal ones the front's
    row = int(losses.argmin())
    metric = found.objectives[position].metric
    return say(
        "The best {metric}, {value}, has number {number}: {values}. It is the search's optimistic "
        "value.",
        metric=metric.in_words,
        value=measured(float(found.values[row, position]), metric),
        number=found.complete[row].suggestion.number,
        values=values_text(found.complete[row].suggestion.values),
    )


def hypervolume(found: SearchFindings) -> str:
    """Returns how much the front dominates, and up to which point."""
    share = float(found.course.best[-1])
    return say(
        "Hypervolume: the front dominates {share} % of the box between the best value of each "
        "objective and the reference point ({reference}), a tenth of the range beyond the worst.",
        share=number(100 * share, 3),
        reference=reference_text(found),
    )


def reference_text(found: SearchFindings) -> str:
    """Returns the reference point of the hypervolume: ``denoising loss 0.61, ...``."""
    return say(", ").join(
        f"{each.metric.in_words} {measured(float(each.sign * point), each.metric)}"
        for each, point in zip(found.objectives, found.reference, strict=True)
    )


def unfinished(searched: Searched) -> str:
    """Returns a warning if suggestions are still open, or nothing."""
    waiting = [each.suggestion.number for each in searched.history if each.told is None]
    if not waiting and searched.history:
        return ""
    if not waiting:
        return say("Unfinished: nothing was suggested yet. The same command again goes on.")
    return say(
        "Unfinished: {waiting} of {number} configurations have not ended, so all of this may "
        "still change. The same command again goes on.",
        waiting=len(waiting),
        number=len(searched.history),
    )


def counts(found: SearchFindings) -> str:
    """Returns ``20 configurations (17 complete, 2 pruned, 1 failed)``."""
    endings = Counter(ending_of(found, each) for each in found.searched.history)
    counted = say(", ").join(
        say("{count} {status}", count=count, status=word(status))
        for status, count in endings.items()
    ) or say("nothing")
    if len(found.searched.history) == 1:
        return say("1 configuration ({counted})", counted=counted)
    return say(
        "{number} configurations ({counted})", number=len(found.searched.history), counted=counted
    )


def ending_of(found: SearchFindings, record: SuggestionRecord) -> str:
    """Returns how a suggestion stands: complete, pruned, failed, or open."""
    if record.told is None:
        return "open"
    is_told_complete = record.told.ending == "complete"
    is_known = any(each is record for each in found.complete)
    return "failed" if is_told_complete and not is_known else record.told.ending


def reason_of(found: SearchFindings, record: SuggestionRecord) -> str:
    """Returns why a suggestion is not complete, or nothing."""
    if record.told is None:
        return ""
    if record.told.ending == "complete" and ending_of(found, record) == "failed":
        return say("an objective is not a number")
    return record.told.reason


def objective_text(objective: Objective) -> str:
    """Returns ``denoising loss (eval.denoising_loss), lower is better``."""
    known = {"metric": objective.metric.in_words, "name": objective.metric.name}
    if known["metric"] == known["name"]:
        if objective.direction == "lower":
            return say("{metric}, lower is better", metric=known["name"])
        return say("{metric}, higher is better", metric=known["name"])
    if objective.direction == "lower":
        return say("{metric} ({name}), lower is better", **known)
    return say("{metric} ({name}), higher is better", **known)


def range_text(parameter: Parameter) -> str:
    """Returns what a parameter may be: ``0.05 to 1, logarithmic``."""
    if parameter.choices:
        return say(", ").join(map(value_text, parameter.choices))
    known = {"low": value_text(parameter.low), "high": value_text(parameter.high)}
    if parameter.log:
        return say("{low} to {high}, logarithmic", **known)
    if parameter.step:
        return say("{low} to {high} in steps of {step}", **known, step=value_text(parameter.step))
    return say("{low} to {high}", **known)


def _time_of_trials(seconds: float) -> str:
    """Returns how long trials took: ``42 s of trials``, ``1 min 5 s of trials``, or hours."""
    whole = round(seconds)
    if whole < 60:
        return say("{seconds} s of trials", seconds=whole)
    if whole < 3600:
        return say("{minutes} min {seconds} s of trials", minutes=whole // 60, seconds=whole % 60)
    return say("{hours} hours of trials", hours=number(seconds / 3600, 2))


def budget_text(found: SearchFindings) -> str:
    """Returns how much of the budget is spent: ``20 of 20 trials, 18 min 36 s of trials``."""
    searched = found.searched
    budget: Mapping[str, Any] = searched.declared["budget"]
    paid = [each for each in searched.history if each.suggestion.origin != "ledger"]
    num_paid = sum(len(each.trial_ids) for each in paid)
    texts = [
        say("trials: {spent}", spent=num_paid)
        if budget["trials"] is None
        else say("{spent} of {trials} trials", spent=num_paid, trials=budget["trials"]),
        _time_of_trials(sum(map(searched.seconds_of, searched.history))),
    ]
    if budget.get("hours"):
        texts.append(
            say(
                "{spent} of {most} hours in which trials ran",
                spent=number(searched.spent.seconds / 3600, 2),
                most=value_text(budget["hours"]),
            )
        )
    gpu_hours = number(searched.spent.gpu_seconds / 3600, 2)
    if budget.get("gpu_hours"):
        most = value_text(budget["gpu_hours"])
        texts.append(say("{spent} of {most} GPU-hours", spent=gpu_hours, most=most))
    elif searched.spent.gpu_seconds:
        texts.append(say("{spent} GPU-hours", spent=gpu_hours))
    return say(", ").join(texts)


def sampler_text(searched: Searched) -> str:
    """Returns what suggested: ``tpe, seed 0, n_startup_trials 8``."""
    sampler: Mapping[str, Any] = searched.declared["sampler"]
    options = [f"{name} {value_text(value)}" for name, value in sampler["options"].items()]
    return say(", ").join([sampler["name"], say("seed {seed}", seed=sampler["seed"]), *options])


def is_flat(found: SearchFindings, position: int = 0) -> bool:
    """Tells whether complete configurations do not differ in an objective."""
    return len(found.complete) < 2 or not np.ptp(found.values[:, position]) > 0
