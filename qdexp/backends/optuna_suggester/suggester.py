"""Suggests configurations: a function of what the ledger knows, with no state of its own."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any

import numpy as np
import optuna

from qdexp.backends.optuna_suggester.distributions import suggested_by
from qdexp.backends.optuna_suggester.quiet import quiet
from qdexp.backends.optuna_suggester.samplers import OF_OPTUNA, fresh_sampler
from qdexp.backends.optuna_suggester.sobol import sobol_points
from qdexp.backends.optuna_suggester.study import StudyOfHistory, attributes_of
from qdexp.execution.search_ports import Suggested
from qdexp.experiment.search_spec import Objective, Pruning, SamplerChoice, SearchSpec
from qdexp.experiment.space import Space
from qdexp.experiment.trial import Condition
from qdexp.results.suggestions import SuggestionRecord

Accepts = Callable[[Condition], bool]

NUM_ASKED = 20
"""Questions to a sampler before values are drawn at random instead."""

NUM_FITTED = 2
"""Such questions to a Gaussian process, which is fitted anew for each: seconds."""

NUM_POINTS = 1_000
"""Points of a quasi-random sequence before values are drawn at random instead."""

NUM_DRAWN = 100_000
"""Random draws before an endless space is taken for exhausted: a second. They are more than those
by which a spec's `where` was found to leave something, so that a search that began goes on."""

NUM_LISTED = 10_000
"""Combinations up to which a space is listed instead, so that its exhaustion is certain."""

POINT = "point"
"""The attribute that says which point of a grid or a sequence a suggestion is, from 0."""


class OptunaSuggester:
    """Suggests what one sampler finds; implements the port `Suggester`.

    Args:
        space: What may be suggested.
        objectives: What is optimised.
        sampler: What suggests.
        fixed: All fields of the baseline's configuration.
        pruning: What stops trials early, or None.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[Objective],
        sampler: SamplerChoice,
        fixed: Mapping[str, Any],
        pruning: Pruning | None = None,
    ) -> None:
        self._space = space
        self._sampler = sampler
        self._fixed = fixed
        self._studies = StudyOfHistory(space, objectives, pruning)

    def suggest(self, history: Sequence[SuggestionRecord], accepts: Accepts) -> Suggested | None:
        """Returns the next configuration to try; equal arguments, equal answers.

        Args:
            history: All suggestions so far in order, those that still run among them.
            accepts: Whether values satisfy the space's `where` and were not suggested before.

        Returns:
            What `accepts` accepts, or None if no such values were found: then there are none in a
            space of up to `NUM_LISTED` combinations, nor in any grid.
        """
        attributes: Mapping[str, Any] = {}
        for values, attributes in self._proposed(history):
            if accepts(values):
                return Suggested(values=values, attributes=attributes)
        if self._sampler.name == "grid":
            return None
        left = self._left(history, accepts)
        return None if left is None else Suggested(values=left, attributes=attributes)

    def _proposed(
        self, history: Sequence[SuggestionRecord]
    ) -> Iterator[tuple[Condition, Mapping[str, Any]]]:
        """Yields what the sampler would try next, and next if that is not accepted."""
        name = self._sampler.name
        if name in OF_OPTUNA:
            yield from self._asked(history)
        elif name == "random":
            yield from ((values, {}) for values in islice(self._drawn(history, 0), NUM_ASKED))
        else:
            points = [each.suggestion.attributes.get(POINT, -1) for each in history]
            first = max(points, default=-1) + 1
            found = self._grid(first) if name == "grid" else self._sequence(first)
            for point, values in zip(count(first), found, strict=False):
                yield values, {POINT: point}

    def _asked(
        self, history: Sequence[SuggestionRecord]
    ) -> Iterator[tuple[Condition, Mapping[str, Any]]]:
        with quiet():
            study = self._studies.study(history)
        for attempt in range(NUM_FITTED if self._sampler.name == "gp" else NUM_ASKED):
            # What was refused stays in the study as if it ran: the sampler looks elsewhere.
            with quiet():
                values = self._ask(study, self._seed(len(history), attempt))
            yield values, attributes_of(study)

    def _ask(self, study: optuna.Study, seed: int) -> Condition:
        study.sampler = fresh_sampler(self._sampler.name, self._sampler.options, seed)
        trial = study.ask()
        fields, values = dict(self._fixed), dict[str, Any]()
        for parameter in self._space.parameters:
            acts = self._space.acts.get(parameter.field)
            if acts is None or acts(fields):
                value = suggested_by(trial, parameter)
                values[parameter.field] = fields[parameter.field] = value
        return values

    def _seed(self, number: int, attempt: int) -> int:
        parts = np.random.SeedSequence([self._sampler.seed, number, attempt])
        return int(parts.generate_state(1)[0])

    def _grid(self, first: int) -> Iterator[Condition]:
        return islice(self._space.every(self._fixed), first, None)

    def _sequence(self, first: int) -> Iterator[Condition]:
        """Yields what is at the points of a quasi-random sequence."""
        points = sobol_points(len(self._space.parameters), self._sampler.seed, first)
        for point in islice(points, NUM_POINTS):
            yield self._space.at(point, self._fixed)

    def _drawn(self, history: Sequence[SuggestionRecord], stream: int) -> Iterator[Condition]:
        """Yields values at random."""
        numbers = np.random.default_rng([self._sampler.seed, len(history), stream])
        for _ in range(NUM_DRAWN):
            yield self._space.at(numbers.random(len(self._space.parameters)).tolist(), self._fixed)

    def _left(self, history: Sequence[SuggestionRecord], accepts: Accepts) -> Condition | None:
        """Returns any values that are accepted, at random."""
        total = self._space.num_combinations
        if total is None or total > NUM_LISTED:
            drawn = self._drawn(history, 1)
            return next((values for values in drawn if accepts(values)), None)
        listed = list(self._space.every(self._fixed))
        numbers = np.random.default_rng([self._sampler.seed, len(history), 1])
        order: list[int] = numbers.permutation(len(listed)).tolist()
        return next((listed[place] for place in order if accepts(listed[place])), None)


def suggester_for(search: SearchSpec) -> OptunaSuggester:
    """Returns what suggests the configurations of a search."""
    return OptunaSuggester(
        space=search.space,
        objectives=search.objectives,
        sampler=search.sampler,
        fixed=search.baseline.fields(),
        pruning=search.pruning,
    )
