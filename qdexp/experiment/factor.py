"""A factor: a configuration field that an experiment varies."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Factor:
    """A field, the levels that are compared, and the one they are compared with.

    Args:
        field: Dotted name of the configuration field.
        levels: Its values, in the order of the spec, all different.
        baseline: One of `levels`.
    """

    field: str
    levels: tuple[Any, ...]
    baseline: Any

    def __post_init__(self) -> None:
        if self.baseline not in self.levels:
            raise ValueError(f"baseline {self.baseline!r} is not among the levels {self.levels}")
