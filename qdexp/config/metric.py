"""The declaration of a number that a trial measures."""

from dataclasses import dataclass
from typing import Literal

Direction = Literal["lower", "higher", "neither"]


@dataclass(frozen=True, kw_only=True)
class Metric:
    """A number that a trial measures.

    Args:
        name: Its dotted name.
        direction: Which values are good; `neither` cannot be ranked.
        unit: Its unit, empty for a ratio or a count without one.
        defined_by: Configuration fields (``section.*`` for a whole section) in its definition.
        description: One sentence for tables and reports.
        words: The name as prose has it; empty where it is the last part of `name`.
        is_timing: Whether a second measurement of the same trial gives another number.
        is_reference: Whether it is what another metric is read against, and the same for all.
    """

    name: str
    direction: Direction
    unit: str = ""
    defined_by: tuple[str, ...] = ()
    description: str = ""
    words: str = ""
    is_timing: bool = False
    is_reference: bool = False

    def is_defined_by(self, field: str) -> bool:
        """Tells whether varying `field` changes what this metric means."""
        section = field.partition(".")[0] + ".*"
        return field in self.defined_by or section in self.defined_by

    @property
    def in_words(self) -> str:
        """The name as prose has it: ``denoising loss``."""
        return self.words or self.name.rpartition(".")[2].replace("_", " ")
