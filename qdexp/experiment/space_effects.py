"""Which parameters of a space a training reads, and where: the others say nothing."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from qdexp.config.configuration import Configuration
from qdexp.config.settings import Settings
from qdexp.experiment.document import Document
from qdexp.experiment.identity import DECIDING, idle_fields
from qdexp.experiment.named_fields import OURS
from qdexp.experiment.space import Parameter, Space
from qdexp.experiment.trial import Condition
from qdexp.experiment.where import Predicate, words_of


def check_effects(document: Document, space: Space, baseline: Settings) -> tuple[str, ...]:
    """Refuses a parameter that no configuration of a space reads.

    Args:
        document: The spec.
        space: Its space.
        baseline: Where all fields that are not searched have their values.

    Returns:
        A sentence for each parameter without a `when` that only some configurations read.

    Raises:
        SpecError: There is a parameter that none reads.
    """
    if not isinstance(baseline, Configuration):
        return ()  # nobody knows which of its fields are read
    effects = _Effects(space, baseline.fields())
    notes: list[str] = []
    for parameter in space.parameters:
        field = parameter.field
        if why := effects.why_never(parameter):
            problem = f"{field} has no effect where {why}: leave it out of the space, or search "
            raise document.key_error(f"{problem}where it has one", ("space", field))
        if parameter.when is None and (parts := effects.idle_parts(field)):
            notes.append(_note(field, parts, space.fields))
    return tuple(notes)


class _Effects:
    """Looks at every combination of the fields that decide what is read."""

    def __init__(self, space: Space, fixed: dict[str, Any]) -> None:
        self._space = space
        self._fixed = fixed
        self._deciding = {
            # One that does not act keeps the baseline's value.
            each.field: tuple(
                dict.fromkeys([*each.choices, *([fixed[each.field]] * bool(each.when))])
            )
            for each in space.parameters
            if each.field in DECIDING
        }
        self._cases = [
            dict(zip(self._deciding, values, strict=True))
            for values in product(*self._deciding.values())
        ]

    def why_never(self, parameter: Parameter) -> str:
        """Returns the values of other fields where a parameter is never read, or nothing."""
        field = parameter.field
        cases = list(self._possible(parameter))
        if not cases or not all(self._is_idle(field, case) for case in cases):
            return ""
        parts: list[str] = []
        for each in DECIDING:
            others = OURS.choices(each)
            changed = ({**case, each: other} for case in cases for other in others)
            if any(not self._is_idle(field, case) for case in changed):
                values = dict.fromkeys(repr({**self._fixed, **case}[each]) for case in cases)
                parts.append(f"{each} is {' or '.join(values)}")
        return " and ".join(parts)

    def idle_parts(self, field: str) -> list[Condition]:
        """Returns the values of searched fields with any of which a field is not read."""
        relevant = [each for each in self._deciding if self._depends(field, each)]
        parts: list[Condition] = []
        for case in self._cases:
            if not self._is_idle(field, case) or any(
                part.items() <= case.items() for part in parts
            ):
                continue
            alone = ({each: case[each]} for each in relevant)
            always = (part for part in alone if self._is_always_idle(field, part))
            parts.append(next(always, {each: case[each] for each in relevant}))
        return parts

    def _possible(self, parameter: Parameter) -> Iterator[Condition]:
        """Yields the cases that `when` and `where` leave, as far as these alone decide that."""
        asked = [(parameter.when, self._space.acts.get(parameter.field))]
        asked.append((self._space.where, self._space.holds))
        known = [holds for text, holds in asked if holds and text and self._is_known(text)]
        for case in self._cases:
            if _all_hold(known, {**self._fixed, **case}):
                yield case

    def _is_known(self, text: str) -> bool:
        return words_of(text) & set(self._space.fields) <= set(self._deciding)

    def _depends(self, field: str, other: str) -> bool:
        """Tells whether another field's value alone may decide whether a field is read."""
        return any(
            self._is_idle(field, case) != self._is_idle(field, {**case, other: value})
            for case in self._cases
            for value in self._deciding[other]
        )

    def _is_always_idle(self, field: str, part: Condition) -> bool:
        return all(self._is_idle(field, {**case, **part}) for case in self._cases)

    def _is_idle(self, field: str, case: Condition) -> bool:
        return field in idle_fields({**self._fixed, **case})


def _all_hold(predicates: Sequence[Predicate], fields: Mapping[str, Any]) -> bool:
    return all(holds(fields) for holds in predicates)


def _note(field: str, parts: Sequence[Condition], searched: Sequence[str]) -> str:
    """Returns where a parameter says nothing, and how its author tells the sampler."""
    where = ", or where ".join(
        " and ".join(f"{each} is {value}" for each, value in part.items()) for part in parts
    )
    when = " and ".join(_unless(part) for part in parts)
    before = searched[: searched.index(field)]
    later = [
        each for each in dict.fromkeys(f for part in parts for f in part) if each not in before
    ]
    order = f", with {' and '.join(later)} before it in the space" if later else ""
    return f"{field} has no effect where {where}: with `when: {when}`{order} the sampler knows it"


def _unless(part: Condition) -> str:
    if len(part) == 1:
        ((field, value),) = part.items()
        return f"{field} != {value!r}"
    return f"not ({' and '.join(f'{field} == {value!r}' for field, value in part.items())})"
