"""The best suggestions of a search: one, or those that no other beats in everything."""

from collections.abc import Sequence
from typing import Literal

from qdexp.results.suggestions import SuggestionRecord


def complete(records: Sequence[SuggestionRecord]) -> list[SuggestionRecord]:
    """Returns the suggestions that have values."""
    return [each for each in records if each.told and each.told.ending == "complete"]


def ranked(
    records: Sequence[SuggestionRecord], direction: Literal["lower", "higher"]
) -> list[SuggestionRecord]:
    """Returns the suggestions that have values, the best by the first objective first.

    Of equal ones the earlier comes first.
    """
    sign = 1 if direction == "lower" else -1
    return sorted(complete(records), key=lambda each: sign * _values(each)[0])


def front(
    records: Sequence[SuggestionRecord], directions: Sequence[Literal["lower", "higher"]]
) -> list[SuggestionRecord]:
    """Returns the suggestions that no other is at least as good as in all, and better in one."""
    signs = [1 if each == "lower" else -1 for each in directions]
    points = [
        (each, tuple(sign * value for sign, value in zip(signs, _values(each), strict=True)))
        for each in complete(records)
    ]
    return [one for one, here in points if not any(_beats(there, here) for _, there in points)]


def _beats(one: Sequence[float], other: Sequence[float]) -> bool:
    pairs = list(zip(one, other, strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def _values(record: SuggestionRecord) -> tuple[float, ...]:
    assert record.told is not None
    return record.told.values
