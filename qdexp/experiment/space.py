"""The space that a search looks through: parameters, and which values go together."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from qdexp.experiment.trial import Condition
from qdexp.experiment.where import Predicate

Kind = Literal["float", "int", "categorical"]


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """One field that a search may change, and to what.

    Args:
        field: The dotted name of the configuration's field.
        kind: What its values are.
        low: The least value; None for a categorical one.
        high: The greatest; included, where it is a whole number of steps above `low`.
        step: Distance between neighbouring values; None for any in between.
        log: Whether values are spread evenly over their logarithm.
        choices: The values of a categorical one; empty otherwise.
        when: The expression that says for which values of other fields it acts, or None.
    """

    field: str
    kind: Kind
    low: float | None = None
    high: float | None = None
    step: float | None = None
    log: bool = False
    choices: tuple[Any, ...] = ()
    when: str | None = None

    @property
    def num_values(self) -> int | None:
        """How many values it has, or None for one without steps."""
        if self.kind == "categorical":
            return len(self.choices)
        low, high = self.bounds
        if self._spacing is None:
            return None
        return int((Decimal(str(high)) - Decimal(str(low))) / self._spacing) + 1

    @property
    def bounds(self) -> tuple[float, float]:
        """`low` and `high` of one that is not categorical."""
        assert self.low is not None
        assert self.high is not None
        return self.low, self.high

    def value(self, index: int) -> Any:  # noqa: ANN401  of any kind that a field has
        """Returns one of its values; equal ones are equal to the last bit, however found.

        Args:
            index: From 0, below `num_values`.
        """
        if self.kind == "categorical":
            return self.choices[index]
        assert self._spacing is not None
        found = Decimal(str(self.bounds[0])) + index * self._spacing
        return int(found) if self.kind == "int" else float(found)

    def values(self) -> list[Any]:
        """Returns all its values, rising or in the order of the choices; it has finitely many."""
        assert self.num_values is not None
        return [self.value(index) for index in range(self.num_values)]

    def at(self, share: float) -> Any:  # noqa: ANN401  of any kind that a field has
        """Returns the value below which a share of all values is: even shares, even values.

        Args:
            share: From 0 to 1, 1 excluded.
        """
        number = self.num_values
        if self.log:
            low, high = self.bounds
            # Each whole number has the same share of the logarithm as the reals that round to it.
            half = 0.5 if self.kind == "int" else 0.0
            begin, end = math.log(low - half), math.log(high + half)
            found = min(max(math.exp(begin + share * (end - begin)), low), high)
            return round(found) if self.kind == "int" else self.nearest(found)
        if number is not None:
            return self.value(min(int(share * number), number - 1))
        low, high = self.bounds
        return self.nearest(low + share * (high - low))

    def nearest(self, value: float) -> Any:  # noqa: ANN401  of any kind that a field has
        """Returns the value of one that is not categorical that is nearest to a number.

        Of endlessly many it is one that people can read: to a share of 1e-5 of itself where they
        are spread by their logarithm, and of the range elsewhere.
        """
        low, high = self.bounds
        if self._spacing is None:
            digits = 5 - math.floor(math.log10(high - low)) if high > low else 5
            found = float(f"{value:.6g}") if self.log else round(float(value), digits)
            return min(max(found, low), high)
        assert self.num_values is not None
        index = round((value - low) / float(self._spacing))
        return self.value(min(max(index, 0), self.num_values - 1))

    def contains(self, value: object) -> bool:
        """Tells whether a value of its field is one of its own."""
        if self.kind == "categorical":
            return value in self.choices
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        low, high = self.bounds
        return low <= value <= high and self.nearest(value) == value

    def has_place_for(self, value: object) -> bool:
        """Tells whether a value can stand beside its own: any choice can, of numbers a number.

        The baseline may have none: ``null`` for a field that is as another one unless it is given.
        """
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        return is_number or self.kind == "categorical"

    @property
    def _spacing(self) -> Decimal | None:
        if self.step is not None:
            return Decimal(str(self.step))
        return Decimal(1) if self.kind == "int" else None

    def definition(self) -> dict[str, Any]:
        """Returns what the ledger keeps: plain JSON values, without those that are not given."""
        given = {
            name: value
            for name, value in vars(self).items()
            if value is not None and value is not False and name != "choices"
        }
        return {**given, **({"choices": list(self.choices)} if self.choices else {})}


@dataclass(frozen=True, kw_only=True)
class Space:
    """What a search may suggest.

    A suggestion has a value for every parameter that acts given the values of those before it;
    one that does not act keeps the baseline's value.

    Args:
        parameters: In an order in which each one's `when` names earlier ones or fixed fields only.
        where: The expression that every suggestion satisfies, or None.
        acts: For each parameter with a `when`, by field: whether it acts, given all fields.
        holds: Whether all fields of a configuration satisfy `where`.
    """

    parameters: tuple[Parameter, ...]
    where: str | None
    acts: Mapping[str, Predicate]
    holds: Predicate

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that it may change."""
        return tuple(parameter.field for parameter in self.parameters)

    @property
    def num_combinations(self) -> int | None:
        """How many values its parameters have together; None for infinitely many."""
        numbers = [parameter.num_values for parameter in self.parameters]
        return None if None in numbers else math.prod(number or 0 for number in numbers)

    def acting(self, values: Mapping[str, Any], fixed: Mapping[str, Any]) -> Condition:
        """Returns those of `values` whose parameter acts, in the space's order.

        Args:
            values: A value for every parameter, or for every one that acts.
            fixed: All fields of the baseline's configuration.
        """
        fields, acting = dict(fixed), dict[str, Any]()
        for parameter in self.parameters:
            acts = self.acts.get(parameter.field)
            if acts is None or acts(fields):
                acting[parameter.field] = values[parameter.field]
                fields[parameter.field] = values[parameter.field]
        return acting

    def at(self, point: Sequence[float], fixed: Mapping[str, Any]) -> Condition:
        """Returns the values at a point of the unit cube, a share for each parameter."""
        shares = zip(self.parameters, point, strict=True)
        return self.acting({each.field: each.at(share) for each, share in shares}, fixed)

    def every(self, fixed: Mapping[str, Any]) -> Iterator[Condition]:
        """Yields all that finitely many values allow, `where` aside; the last varies fastest."""
        yield from self._from(0, {}, dict(fixed))

    def _from(
        self, place: int, chosen: Condition, fields: Mapping[str, Any]
    ) -> Iterator[Condition]:
        if place == len(self.parameters):
            yield chosen
            return
        parameter = self.parameters[place]
        acts = self.acts.get(parameter.field)
        if acts is not None and not acts(fields):
            yield from self._from(place + 1, chosen, fields)
            return
        for value in parameter.values():
            more = {parameter.field: value}
            yield from self._from(place + 1, {**chosen, **more}, {**fields, **more})

    def contains(self, values: Condition, fixed: Mapping[str, Any]) -> bool:
        """Tells whether these are values for just those parameters that act, and satisfy `where`.

        Args:
            values: By field.
            fixed: All fields of the baseline's configuration.
        """
        inside = all(
            each.contains(values[each.field]) for each in self.parameters if each.field in values
        )
        complete = {**fixed, **values}
        is_acting = self.acting(complete, fixed).keys() == values.keys()
        return inside and is_acting and self.holds(complete)

    def definition(self) -> dict[str, Any]:
        """Returns what the ledger keeps: plain JSON values."""
        return {"parameters": [each.definition() for each in self.parameters], "where": self.where}
