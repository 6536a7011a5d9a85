"""The best of a search as an ordinary experiment on fresh seeds, against the baseline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from qdexp.experiment.derived import Source, derived_name
from qdexp.experiment.spec_text import spec_text
from qdexp.results.best import best_of
from qdexp.results.suggestions import SuggestionRecord

if TYPE_CHECKING:
    from qdexp.experiment.search_spec import Direction


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """An experiment that checks the best of a search.

    Args:
        name: Its name.
        text: Its YAML.
        numbers: The suggestions that it checks, in the order of its conditions.
    """

    name: str
    text: str
    numbers: tuple[int, ...]


def confirmation(source: Source, records: Sequence[SuggestionRecord]) -> Confirmation | None:
    """Returns the experiment that confirms a search's best, or None if nothing is complete.

    Args:
        source: The search; its definition says how many, and on which seeds.
        records: Its suggestions.

    Raises:
        ValueError: The search asks for no confirmation.
    """
    search: Mapping[str, Any] = source.definition["search"]
    asked: Mapping[str, Any] | None = search["confirm"]
    if asked is None:
        raise ValueError(f"{source.name} asks for no confirmation")
    directions: list[Direction] = [each["direction"] for each in search["objectives"]]
    best = best_of(records, directions, asked["top"])
    if not best:
        return None
    return _confirmation(source, best, asked["seeds"], len(best_of(records, directions)))


def _confirmation(
    source: Source, best: Sequence[SuggestionRecord], seeds: Sequence[int], num_complete: int
) -> Confirmation:
    conditions = [dict(each.suggestion.values) for each in best]
    levels = source.levels(conditions)
    name = derived_name(source.name, "confirm")
    which = "the best" if len(best) == 1 else f"the best {len(best)}"
    verb = "Is" if len(best) == 1 else "Are"
    question = f"{verb} {which} of the search {source.name} better than its baseline?"
    numbers = tuple(each.suggestion.number for each in best)
    content = source.content(name, question, levels) | {
        "design": "listed",
        "conditions": [
            {field: condition[field] for field in levels if field in condition}
            for condition in conditions
        ],
        "seeds": list(seeds),
        "confirms": {"search": source.name, "suggestions": list(numbers)},
    }
    comment = [*_comment(source, numbers, num_complete), *source.where_its_trainable_is]
    return Confirmation(name=name, text=spec_text(content, comment), numbers=numbers)


def _comment(source: Source, numbers: Sequence[int], num_complete: int) -> list[str]:
    objectives: list[str] = [each["metric"] for each in source.definition["search"]["objectives"]]
    which = ", ".join(map(str, numbers))
    among = f"{num_complete} complete" if len(objectives) == 1 else f"{num_complete} on the front"
    lines = [
        f"Made by the search {source.name}: suggestions {which}, its best of {among}.",
        "Its seeds are fresh ones: chance that helped them in the search does not help them here.",
        "An experiment like any other: `qdexp run` of this file runs what is missing and reports.",
    ]
    if len(objectives) > 1:
        others = ", ".join(objectives[1:])
        lines.append(
            f"They are of the Pareto front over {objectives[0]} and {others}; the best "
            f"{objectives[0]} comes first."
        )
    return lines
