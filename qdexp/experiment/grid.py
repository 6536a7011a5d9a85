# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From the part of a spec that says what is varied to the conditions that are compared."""

from collections.abc import Mapping
from dataclasses import dataclass
from string import ascii_lowercase
from typing import Any

from qdexp.config.settings import Settings
from qdexp.experiment.base_reader import BaseReader
from qdexp.experiment.compared import ConditionReader, Limit
from qdexp.experiment.design_reader import design_name, read_design
from qdexp.experiment.design_size import DesignSize
from qdexp.experiment.designs import FractionalFactorial, baseline_condition
from qdexp.experiment.document import Document
from qdexp.experiment.factor import Axis, Factor
from qdexp.experiment.factor_reader import read_axes
from qdexp.experiment.fields import FieldReader
from qdexp.experiment.fraction import Fraction
from qdexp.experiment.named_fields import Fields
from qdexp.experiment.trial import Condition


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What a spec varies and what it keeps fixed.

    Args:
        preset: The preset that all conditions start from; None for a user's own configuration.
        set: Fields changed for all conditions.
        axes: What the design varies: factors, zipped ones together.
        design: How conditions are made of them.
        fraction: Which part of the combinations, where the design is a fraction.
        where: The expression that the design's conditions satisfy, or None.
        conditions: The conditions in the order of the design, each with its configuration, and
            then those that the spec lists itself.
        baseline: The one that the others are compared with.
        full: The one that factors are left out of, where the design is that.
        own: Those that the spec lists itself.
        size: How many conditions there are, and why.
    """

    preset: str | None
    set: dict[str, Any]
    axes: tuple[Axis, ...]
    design: str
    fraction: Fraction | None
    where: str | None
    conditions: tuple[tuple[Condition, Settings], ...]
    baseline: Condition
    full: Condition | None
    own: tuple[Condition, ...]
    size: DesignSize

    @property
    def factors(self) -> tuple[Factor, ...]:
        """What varies, those that are zipped beside each other."""
        return tuple(factor for axis in self.axes for factor in axis.factors)

    def definition(self) -> dict[str, Any]:
        """Returns what the ledger keeps: plain JSON values."""
        return {
            "preset": self.preset,
            "set": self.set,
            "factors": [factor.definition() for factor in self.factors],
            "zip": [list(axis.fields) for axis in self.axes if len(axis.fields) > 1],
            "design": self.design,
            "fraction": self.fraction and self._fraction_definition(self.fraction),
            "where": self.where,
            "conditions": [dict(condition) for condition in self.own],
            "baseline": dict(self.baseline),
            "full": self.full and dict(self.full),
        }

    def _fraction_definition(self, fraction: Fraction) -> dict[str, Any]:
        return {
            "letters": self.letters(),
            "generators": fraction.generators,
            "resolution": fraction.resolution,
            "aliases": [list(row) for row in fraction.aliases()],
        }

    def letters(self) -> dict[str, list[str]]:
        """Returns the fields that a letter of the fraction's generators and aliases stands for."""
        varied = [axis for axis in self.axes if axis.is_varied]
        return dict(zip(ascii_lowercase, (list(axis.fields) for axis in varied), strict=False))


def read_grid(
    document: Document, overrides: Mapping[str, Any], fields: Fields, limit: Limit
) -> Grid:
    """Reads and checks what a spec varies.

    Args:
        document: The spec.
        overrides: Fields to set over the spec's own `set`.
        fields: The fields that it may name.
        limit: How large the experiment may be.

    Raises:
        SpecError: Something in the file is wrong.
        ConfigurationError: An override does not fit the spec.
    """
    return _GridReader(document, overrides, fields).grid(limit)


class _GridReader:
    """Walks the document once; every method returns a part or raises at its place."""

    def __init__(self, document: Document, overrides: Mapping[str, Any], named: Fields) -> None:
        self._document = document
        self._content = document.content
        self._named = named
        self._fields = FieldReader(document, named)
        self._overrides = overrides

    def grid(self, limit: Limit) -> Grid:
        axes = read_axes(self._document, self._fields)
        baseline = baseline_condition(axes)
        starting = BaseReader(self._document, self._named, self._overrides, baseline)
        changes = starting.changes()
        base = starting.configuration(changes)
        design = read_design(self._document, self._fields, axes)
        reader = ConditionReader(self._document, self._fields, axes, design, base)
        compared = reader.compared(limit)
        return Grid(
            preset=self._content.get("preset"),
            set=changes,
            axes=axes,
            design=design_name(self._content),
            fraction=design.fraction if isinstance(design, FractionalFactorial) else None,
            where=self._content.get("where"),
            conditions=compared.conditions,
            baseline=compared.baseline,
            full=compared.full,
            own=compared.own,
            size=compared.size,
        )
