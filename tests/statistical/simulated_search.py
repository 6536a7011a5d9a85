"""A search without trials: a function's values in place of what trainings measure."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from qdexp.backends.optuna_suggester import OptunaSuggester
from qdexp.experiment.document import document_from
from qdexp.experiment.fields import FieldReader
from qdexp.experiment.search_spec import Direction, Objective, Pruning, SamplerChoice, SamplerName
from qdexp.experiment.space import Space
from qdexp.experiment.space_reader import read_space
from qdexp.experiment.trial import Condition
from qdexp.results.suggestions import Origin, Suggestion, SuggestionRecord, Told

Values = Callable[[Condition], tuple[float, ...]]


class AnyFields:
    """Fields of any name, whose values are taken as they are."""

    what = "a field"
    without_effect: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()

    def __init__(self, baseline: Mapping[str, Any]) -> None:
        self.names = tuple(baseline)
        self._baseline = baseline

    def checked(self, field: str, value: Any) -> Any:  # noqa: ANN401
        return type(self._baseline[field])(value)

    def kind(self, field: str) -> str:
        return "text" if isinstance(self._baseline[field], str) else "number"

    def choices(self, field: str) -> tuple[str, ...]:
        del field
        return ()


def space_of(
    parameters: Mapping[str, Any], baseline: Mapping[str, Any], where: str | None = None
) -> Space:
    """Returns the space that a spec's `space` and `where` say, over the baseline's fields."""
    content = {"space": parameters, **({"where": where} if where else {})}
    document = document_from(content)
    return read_space(document, FieldReader(document, AnyFields(baseline)))


@dataclass(kw_only=True)
class SimulatedSearch:
    """A search with one worker whose trials end at once."""

    space: Space
    baseline: Mapping[str, Any]
    values: Values
    sampler: SamplerName
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    directions: Sequence[Direction] = ("lower",)
    pruning: Pruning | None = None
    told: Callable[[int, Condition], Told | None] | None = None
    history: list[SuggestionRecord] = field(default_factory=list)

    def suggester(self) -> OptunaSuggester:
        objectives = [
            Objective(metric=f"f{place}", direction=direction)
            for place, direction in enumerate(self.directions)
        ]
        choice = SamplerChoice(name=self.sampler, options=self.options, seed=self.seed)
        return OptunaSuggester(self.space, objectives, choice, self.baseline, self.pruning)

    def accepts(self, values: Condition) -> bool:
        seen = [each.suggestion.values for each in self.history]
        return values not in seen and self.space.holds({**self.baseline, **values})

    def begin(self) -> None:
        """Tries the baseline."""
        self.add(self.space.acting(self.baseline, self.baseline), {}, "baseline")

    def ask(self) -> Condition | None:
        """Suggests once, tries it, and returns it."""
        found = self.suggester().suggest(self.history, self.accepts)
        if found is None:
            return None
        self.add(found.values, found.attributes, "sampler")
        return found.values

    def add(self, values: Condition, attributes: Mapping[str, Any], origin: Origin) -> None:
        number = len(self.history)
        ended = Told(ending="complete", values=self.values(values))
        suggestion = Suggestion(number=number, values=values, origin=origin, attributes=attributes)
        self.history.append(
            SuggestionRecord(
                suggestion=suggestion,
                suggested_at=1_000_000.0 + number,
                trial_ids=(f"trial{number}",),
                told=self.told(number, values) if self.told else ended,
                rungs={},
            )
        )

    def run(self, number: int) -> "SimulatedSearch":
        """Tries the baseline and then what is suggested, `number` configurations in all."""
        self.begin()
        for _ in range(number - 1):
            self.ask()
        return self

    @property
    def suggested(self) -> list[Condition]:
        return [each.suggestion.values for each in self.history]

    @property
    def found(self) -> list[tuple[float, ...]]:
        """The values of what is complete."""
        told = [each.told for each in self.history]
        return [each.values for each in told if each and each.ending == "complete"]

    @property
    def best(self) -> float:
        """The least value of the first objective."""
        return min(values[0] for values in self.found)


def as_from_the_ledger(history: Sequence[SuggestionRecord]) -> Iterator[SuggestionRecord]:
    """Yields suggestions as the ledger gives them back: what was in memory only is gone."""
    for record in history:
        made, told = record.suggestion, record.told
        content = json.loads(
            json.dumps([dict(made.values), dict(made.attributes), told and vars(told)])
        )
        values, attributes, ended = content
        yield SuggestionRecord(
            suggestion=Suggestion(
                number=made.number, values=values, origin=made.origin, attributes=attributes
            ),
            suggested_at=record.suggested_at,
            trial_ids=record.trial_ids,
            told=Told(**{**ended, "values": tuple(ended["values"])}) if ended else None,
            rungs=record.rungs,
        )
