"""Which suggestions of a search are the best, and the same in words."""

import math
from collections.abc import Callable, Sequence

from qdexp.experiment.counting import counted
from qdexp.experiment.search_spec import Direction
from qdexp.experiment.trial import Condition, acting_values, condition_label
from qdexp.results.ledger import Ledger
from qdexp.results.suggestions import SuggestionRecord, is_search, suggestions_of


def best_of(
    records: Sequence[SuggestionRecord], directions: Sequence[Direction], count: int | None = None
) -> list[SuggestionRecord]:
    """Returns the best complete suggestions by the first objective, ties by number.

    With several objectives they are those of the Pareto front, so there may be fewer than `count`.
    The baseline is none of them, nor is what has the baseline's trials or those of a better one.

    Args:
        records: All suggestions.
        directions: Which values are better, for each objective.
        count: How many at most; all unless given.
    """
    baselines = {each.trial_ids for each in records if each.suggestion.number == 0}
    ranked = _ranked([each for each in records if each.trial_ids not in baselines], directions)
    of = _front(ranked) if len(directions) > 1 else ranked
    of.sort(key=lambda each: (each[0][0], each[1].suggestion.number))
    return [each for _, each in of][:count]


def best_in_words(
    records: Sequence[SuggestionRecord],
    objectives: Sequence[tuple[str, Direction]],
    acting: Callable[[Condition], Condition],
) -> str:
    """Returns ``best error 0.2500, baseline 0.5000: suggestion 7, rate=0.5``, or less where less.

    Args:
        records: The suggestions.
        objectives: The metrics, each with its direction.
        acting: Returns those of a suggestion's values that a training reads: others are not said.
    """
    directions: list[Direction] = [direction for _, direction in objectives]
    best = best_of(records, directions)
    baseline = [_value(each) for each in records[:1] if each.objectives]
    if not best:
        return f"only the baseline so far: {baseline[0]}" if baseline else "nothing found yet"
    found = f"best {objectives[0][0]} {_value(best[0])}"
    found += "".join(f", baseline {value}" for value in baseline)
    if len(objectives) > 1:
        size = counted(_front_size(records, directions), "configuration")
        found = f"Pareto front: {size}; {found}"
    label = condition_label(acting(best[0].suggestion.values))
    return f"{found}: suggestion {best[0].suggestion.number}, {label}"


def best_of_search(ledger: Ledger, name: str) -> str:
    """Returns the best that a search of a ledger found, in words, or nothing for an ablation."""
    if not is_search(ledger, name):
        return ""
    objectives = ledger.specs(name)[-1].definition["search"]["objectives"]
    pairs = [(each["metric"], each["direction"]) for each in objectives]
    records = suggestions_of(ledger, name)
    first = ledger.find(records[0].trial_ids[0]) if records else None

    def acting(values: Condition) -> Condition:
        return acting_values(values, first.trial.configuration) if first else values

    return best_in_words(records, pairs, acting)


def _value(record: SuggestionRecord) -> str:
    """Returns the first objective with 4 significant digits: ``0.2450``, ``12346``."""
    value = record.objectives[0]
    is_large = 1e3 <= abs(value) < 1e15
    return f"{value:.0f}" if is_large else f"{value:#.4g}".rstrip(".")


def _ranked(
    records: Sequence[SuggestionRecord], directions: Sequence[Direction]
) -> list[tuple[list[float], SuggestionRecord]]:
    """Returns those that are complete, each with its costs; what has the trials of another once."""
    first: dict[tuple[str, ...], tuple[list[float], SuggestionRecord]] = {}
    for each in records:
        values = each.objectives
        if values and all(map(math.isfinite, values)):
            first.setdefault(each.trial_ids, (_costs(values, directions), each))
    return list(first.values())


def _front(
    ranked: Sequence[tuple[list[float], SuggestionRecord]],
) -> list[tuple[list[float], SuggestionRecord]]:
    return [
        (costs, each)
        for costs, each in ranked
        if not any(_dominates(other, costs) for other, _ in ranked)
    ]


def _front_size(records: Sequence[SuggestionRecord], directions: Sequence[Direction]) -> int:
    """Returns how many no other one dominates, the baseline among them if it is one of these."""
    return len(_front(_ranked(records, directions)))


def _costs(values: Sequence[float], directions: Sequence[Direction]) -> list[float]:
    """Returns the objectives so that lower is better."""
    return [
        value if direction == "lower" else -value
        for value, direction in zip(values, directions, strict=True)
    ]


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
