"""What a design varies: factors, and axes of one factor or of several zipped together."""

from dataclasses import dataclass
from typing import Any

from qdexp.experiment.trial import Condition


@dataclass(frozen=True, kw_only=True)
class Factor:
    """A configuration field, the levels that are compared, and the one they are compared with.

    Args:
        field: Dotted name of the configuration field.
        levels: Its values, in the order of the spec, all different.
        baseline: One of `levels`.
        when: The expression under which it acts; elsewhere it has its baseline. None: always.
    """

    field: str
    levels: tuple[Any, ...]
    baseline: Any
    when: str | None = None

    def __post_init__(self) -> None:
        if self.baseline not in self.levels:
            raise ValueError(f"baseline {self.baseline!r} is not among the levels {self.levels}")

    def definition(self) -> dict[str, Any]:
        """Returns what the ledger keeps, as plain JSON values."""
        content = {"field": self.field, "levels": list(self.levels), "baseline": self.baseline}
        return content if self.when is None else content | {"when": self.when}


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What a design varies as one: a factor, or factors whose levels go together.

    Args:
        factors: One, or several that are zipped.
        levels: The levels of all its factors at each of its positions, all different.
        baseline: The position of the baseline.
        full: The position that a full condition has, or None where nothing says which.
    """

    factors: tuple[Factor, ...]
    levels: tuple[Condition, ...]
    baseline: int
    full: int | None

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields that it varies."""
        return tuple(factor.field for factor in self.factors)

    @property
    def is_varied(self) -> bool:
        """Tells whether it has more than one level."""
        return len(self.levels) > 1
