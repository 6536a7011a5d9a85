"""A spec's design, before it is run: its size, and what a fraction cannot tell apart."""

from typing import TYPE_CHECKING, Any

from qdexp.cli.tables import aligned
from qdexp.experiment.fraction import SHOWN_ORDER

if TYPE_CHECKING:
    from qdexp.experiment.fraction import Fraction
    from qdexp.experiment.spec import Spec
    from qdexp.experiment.trial import Condition


def design_text(spec: "Spec") -> str:
    """Returns the design's size in words, and a fraction's alias table."""
    fraction = spec.grid.fraction
    if fraction is None:
        return spec.size_in_words
    return "\n".join([spec.size_in_words, "", *_alias_table(spec, fraction)])


def design_json(spec: "Spec") -> dict[str, Any]:
    """Returns the same as data of a stable form."""
    size, definition = spec.grid.size, spec.grid.definition()
    return {
        "name": spec.grid.design,
        "in_words": spec.size_in_words,
        "conditions": size.num_conditions,
        "seeds": len(spec.seeds),
        "trials": size.num_conditions * len(spec.seeds),
        "fraction": definition["fraction"],
    }


def _alias_table(spec: "Spec", fraction: "Fraction") -> list[str]:
    axes = [axis for axis in spec.grid.axes if axis.is_varied]
    rows = [
        (letter, ", ".join(axis.fields), _levels(axis.levels[axis.baseline]), _levels(other))
        for letter, axis in zip(spec.grid.letters(), axes, strict=True)
        for other in [axis.levels[1 - axis.baseline]]
    ]
    return [
        aligned(("letter", "factor", "baseline", "other"), rows),
        "",
        f"generators: {fraction.generators}",
        f"effects that cannot be told apart (up to {SHOWN_ORDER} factors):",
        *(f"  {' = '.join(row)}" for row in fraction.aliases()),
    ]


def _levels(levels: "Condition") -> str:
    return ", ".join(str(level) for level in levels.values())
