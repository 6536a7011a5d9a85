"""Tries a space before anything runs: does it leave a configuration, and which ones?"""

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from qdexp.config.settings import Settings
from qdexp.errors import ConfigurationError
from qdexp.experiment.document import Document
from qdexp.experiment.space import Space
from qdexp.experiment.trial import Condition, condition_label

NUM_DRAWS = 10_000
"""Draws after which it is believed that `where` refuses all, or that a parameter never acts."""

NUM_BUILT = 100
"""Configurations that are made of them: enough to meet each of a parameter's choices."""


def sample_space(document: Document, space: Space, baseline: Settings) -> tuple[Settings, ...]:
    """Returns configurations of a space, drawn at random; at least one.

    Raises:
        SpecError: `where` leaves nothing, or a parameter never acts, or no values go together.
    """
    kept = _kept(document, space, baseline.fields())
    _check_acting(document, space, kept)
    built: list[Settings] = []
    refused: list[str] = []
    for values in kept[:NUM_BUILT]:
        try:
            built.append(baseline.replace(dict(values)))
        except ConfigurationError as error:
            refused.append(f"{condition_label(values)}: {error}")
    if not built:
        problem = "expected values that go together, found none among the "
        problem += f"{len(refused)} configurations drawn from it, such as {refused[0]}"
        raise document.key_error(f"space: {problem}", ("space",))
    return tuple(built)


def _kept(document: Document, space: Space, fixed: Mapping[str, Any]) -> list[Condition]:
    """Returns what `where` leaves, as much of it as it takes to see each parameter act."""
    idle = set(space.fields)
    kept: list[Condition] = []
    num_tried = 0
    for values in _drawn(space, fixed):
        num_tried += 1
        if space.holds({**fixed, **values}):
            kept.append(values)
            idle -= values.keys()
        if len(kept) >= NUM_BUILT and not idle:
            break
    if not kept:
        problem = "expected it to leave a part of the space, found that it refuses all "
        problem += f"{num_tried:,} configurations of it that were tried"
        raise document.error(f"where: {problem}", ("where",))
    return kept


def _drawn(space: Space, fixed: Mapping[str, Any]) -> Iterator[Condition]:
    """Yields all of a small space, and many of a large one, in a random order."""
    numbers = random.Random(0)
    total = space.num_combinations
    if total is not None and total <= NUM_DRAWS:
        listed = list(space.every(fixed))
        numbers.shuffle(listed)
        yield from listed
        return
    for _ in range(NUM_DRAWS):
        yield space.at([numbers.random() for _ in space.parameters], fixed)


def _check_acting(document: Document, space: Space, kept: Sequence[Condition]) -> None:
    """Refuses a conditional parameter that never acts."""
    for parameter in space.parameters:
        if not any(parameter.field in values for values in kept):
            problem = f"{parameter.field}: expected it to act somewhere, found `{parameter.when}` "
            problem += f"in none of the {len(kept):,} configurations that were tried"
            raise document.error(problem, ("space", parameter.field, "when"))
