"""The space that a search looks through: parameters, and which values go together."""

from collections.abc import Mapping
from dataclasses import dataclass
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

    def definition(self) -> dict[str, Any]:
        """Returns what the ledger keeps: plain JSON values, without those that are not given."""
        given = {
            name: value for name, value in vars(self).items() if value not in (None, (), False)
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

    def definition(self) -> dict[str, Any]:
        """Returns what the ledger keeps: plain JSON values."""
        return {"parameters": [each.definition() for each in self.parameters], "where": self.where}
