"""Which suggestions of a search are the best, and the same in words."""

import math
from collections.abc import Callable, Sequence

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
    taken = {each.trial_ids for each in records if each.suggestion.number == 0}
    ranked: list[tuple[list[float], SuggestionRecord]] = []
    for each in records:
        values = each.objectives
        if values and all(map(math.isfinite, values)) and each.trial_ids not in taken:
            taken.add(each.trial_ids)
            ranked.append((_costs(values, directions), each))
    front = [
        (costs, each)
        for costs, each in ranked
        if not any(_dominates(other, costs) for other, _ in ranked)
    ]
    of = front if len(directions) > 1 else ranked
    of.sort(key=lambda each: (each[0][0], each[1].suggestion.number))
    return [each for _, each in of][:count]


def best_in_words(
    records: Sequence[SuggestionRecord],
    objectives: Sequence[tuple[str, Direction]],
    acting: Callable[[Condition], Condition],
) -> str:
    """Returns ``best error 0.25 (suggestion 7: rate=0.5); baseline 0.5``, or less where less.

    Args:
        records: The suggestions.
        objectives: The metrics, each with its direction.
        acting: Returns those of a suggestion's values that a training reads: others are not said.
    """
    metric = objectives[0][0]
    best = best_of(records, [direction for _, direction in objectives])
    baseline = [_value(each) for each in records[:1] if each.objectives]
    if not best:
        return f"only the baseline so far: {baseline[0]}" if baseline else "nothing found yet"
    label = f"{best[0].suggestion.number}: {condition_label(acting(best[0].suggestion.values))}"
    parts = [f"best {metric} {_value(best[0])} (suggestion {label})"]
    parts += [f"baseline {value}" for value in baseline]
    if len(objectives) > 1:
        parts.append(f"{len(best)} that none beats in all {len(objectives)} objectives")
    return "; ".join(parts)


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
    return f"{record.objectives[0]:.6g}"


def _costs(values: Sequence[float], directions: Sequence[Direction]) -> list[float]:
    """Returns the objectives so that lower is better."""
    return [
        value if direction == "lower" else -value
        for value, direction in zip(values, directions, strict=True)
    ]


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))
