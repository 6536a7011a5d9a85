"""The best suggestions of a search: one, or those that no other beats in everything."""

from collections.abc import Sequence
from typing import Literal

from qdexp.experiment.trial import condition_label
from qdexp.results.suggestions import SuggestionRecord

Direction = Literal["lower", "higher"]


def complete(records: Sequence[SuggestionRecord]) -> list[SuggestionRecord]:
    """Returns the suggestions that have values."""
    return [each for each in records if each.told and each.told.ending == "complete"]


def ranked(records: Sequence[SuggestionRecord], direction: Direction) -> list[SuggestionRecord]:
    """Returns the suggestions that have values, the best by the first objective first.

    Of equal ones the earlier comes first.
    """
    sign = 1 if direction == "lower" else -1
    return sorted(complete(records), key=lambda each: sign * _values(each)[0])


def front(
    records: Sequence[SuggestionRecord], directions: Sequence[Direction]
) -> list[SuggestionRecord]:
    """Returns the suggestions that no other is at least as good as in all, and better in one."""
    signs = [1 if each == "lower" else -1 for each in directions]
    points = [
        (each, tuple(sign * value for sign, value in zip(signs, _values(each), strict=True)))
        for each in complete(records)
    ]
    return [one for one, here in points if not any(_beats(there, here) for _, there in points)]


def best_in_words(
    records: Sequence[SuggestionRecord], objectives: Sequence[tuple[str, Direction]]
) -> str:
    """Returns ``best eval.toy 0.25 (suggestion 7: rate=0.5); baseline 0.5``, or less where less.

    Args:
        records: The suggestions.
        objectives: The metrics, each with its direction.
    """
    found = ranked(records, objectives[0][1])
    if not found:
        return f"none of {len(records)} configurations is complete"
    metric, best = objectives[0][0], found[0].suggestion
    label = condition_label(best.values) if best.number else "the baseline"
    text = f"best {metric} {_values(found[0])[0]:.6g} (suggestion {best.number}: {label})"
    baseline = next((each for each in found if each.suggestion.number == 0), None)
    if baseline and best.number:
        text += f"; baseline {_values(baseline)[0]:.6g}"
    if len(objectives) > 1:
        num_best = len(front(records, [direction for _, direction in objectives]))
        text += f"; {num_best} that no other beats in all {len(objectives)} objectives"
    return text


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _values(record: SuggestionRecord) -> tuple[float, ...]:
    assert record.told is not None
    return record.told.values
