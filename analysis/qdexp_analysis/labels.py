"""How conditions are named: completely, or by what differs from the one that all are near to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from qdexp.experiment.trial import TEACHER, Condition
from qdexp_analysis.design import Design
from qdexp_analysis.factor import Factor
from qdexp_analysis.language import say, word
from qdexp_analysis.quantities import NONE


def condition_text(condition: Condition) -> str:
    """Returns a condition with all factors that act in it: ``min_step 20, max_step 980``."""
    named = (f"{_name(field)} {level}" for field, level in condition.items())
    return ", ".join(named) or word(TEACHER)


@dataclass(frozen=True, kw_only=True)
class Labels:
    """Names an experiment's conditions, each by its position.

    Args:
        factors: What it varies.
        conditions: What it compares.
        design: How they were chosen.
        names: Those of conditions that have one, by position: it stands for their levels.
    """

    factors: Sequence[Factor]
    conditions: Sequence[Condition]
    design: Design
    names: Mapping[int, str] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """What stands above short names: ``min_step / max_step``."""
        if self.design.is_by_difference or self.names:
            return say("condition")
        return " / ".join(factor.name for factor in self.factors)

    def short(self, position: int) -> str:
        """Returns a name for a table or an axis: ``20 / 980``, or ``full, ema_decay 0.98``."""
        if position in self.names:
            return self.names[position]
        if self.design.is_by_difference:
            return self._by_difference(position, say("baseline"), say("full"), ", ")
        condition = self.conditions[position]
        return " / ".join(str(condition.get(f.field, NONE)) for f in self.factors)

    def text(self, position: int) -> str:
        """Returns a name for a sentence: ``min_step 20, max_step 980``, or ``the baseline``."""
        if position in self.names:
            return self.names[position]
        if self.design.is_by_difference:
            return self._by_difference(
                position, say("the baseline"), say("the full condition"), say(" with ")
            )
        return condition_text(self.conditions[position])

    def difference(self, position: int, origin: int) -> str:
        """Returns the levels of a condition that are not those of another: ``ema_decay 0.98``."""
        one, other = self.conditions[position], self.conditions[origin]
        differing = {
            field: level for field, level in one.items() if field in other and other[field] != level
        }
        return condition_text(differing or one)

    def _by_difference(self, position: int, baseline: str, full: str, joint: str) -> str:
        design = self.design
        if position == design.baseline:
            return baseline
        if position == design.full:
            return full
        if position in design.set_back and design.full is not None:
            return f"{full}{joint}{self.difference(position, design.full)}"
        if design.baseline is None:
            return condition_text(self.conditions[position])
        return self.difference(position, design.baseline)


def _name(field: str) -> str:
    return field.rpartition(".")[2]
