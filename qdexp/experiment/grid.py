# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From the part of a spec that says what is varied to the conditions that are compared."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from qdexp.config.configuration import Value
from qdexp.config.presets import preset
from qdexp.config.settings import Settings
from qdexp.errors import ConfigurationError, SpecError, nearest
from qdexp.experiment.designs import baseline_condition, full_factorial
from qdexp.experiment.document import Document
from qdexp.experiment.factor import Factor
from qdexp.experiment.identity import digest
from qdexp.experiment.named_fields import Fields
from qdexp.experiment.own_fields import OwnFields
from qdexp.experiment.trial import Condition, condition_label, with_effect
from qdexp.experiment.where import Predicate, WhereError, parse_where

DESIGNS = {"full_factorial": full_factorial}

MAX_CONDITIONS = 10_000
"""Combinations of levels that a spec may have: the design is made whole, in memory."""


@dataclass(frozen=True, kw_only=True)
class Grid:
    """What a spec varies and what it keeps fixed.

    Args:
        preset: The preset that all conditions start from; None for a user's own configuration.
        set: Fields changed for all conditions.
        factors: What varies.
        design: How conditions are made of the factors.
        where: The expression that conditions satisfy, or None.
        conditions: The conditions in the order of the design, each with its configuration.
    """

    preset: str | None
    set: dict[str, Any]
    factors: tuple[Factor, ...]
    design: str
    where: str | None
    conditions: tuple[tuple[Condition, Settings], ...]


def read_grid(document: Document, overrides: Mapping[str, Any], fields: Fields) -> Grid:
    """Reads and checks what a spec varies.

    Args:
        document: The spec.
        overrides: Fields to set over the spec's own `set`.
        fields: The fields that it may name.

    Raises:
        SpecError: Something in the file is wrong.
        ConfigurationError: An override does not fit the spec.
    """
    return _GridReader(document, overrides, fields).grid()


class _GridReader:
    """Walks the document once; every method returns a part or raises at its place."""

    def __init__(self, document: Document, overrides: Mapping[str, Any], fields: Fields) -> None:
        self._document = document
        self._content = document.content
        self._overrides = overrides
        self._fields = fields

    def grid(self) -> Grid:
        factors = self._factors()
        changes = self._set(factors)
        baseline = baseline_condition(factors)
        base = self._base(changes, baseline)
        design = self._design()
        conditions = DESIGNS[design](factors)
        return Grid(
            preset=self._content.get("preset"),
            set=changes,
            factors=factors,
            design=design,
            where=self._content.get("where"),
            conditions=self._conditions(conditions, base, baseline),
        )

    def _fail(self, problem: str, *path: str | int) -> NoReturn:
        raise self._document.error(problem, path)

    def _value(self, field: str, value: Value, path: tuple[str | int, ...]) -> Value:
        """Returns a field's checked value as plain JSON, or fails at `path`."""
        try:
            checked = self._fields.checked(field, value)
        except ConfigurationError as error:
            self._fail(str(error), *path)
        return list(checked) if isinstance(checked, tuple) else checked

    def _known_field(self, field: str, path: tuple[str, ...]) -> None:
        if field not in self._fields.names:
            hint = nearest(field, self._fields.names)
            problem = f"expected {self._fields.what}, found '{field}'{hint}"
            raise self._document.key_error(problem, path)

    def _factors(self) -> tuple[Factor, ...]:
        factors = self._content.get("factors")
        if not isinstance(factors, dict) or not factors:
            found = "none" if factors is None else repr(factors)
            expected = "at least one field with its levels and baseline"
            self._fail(f"factors: expected {expected}, found {found}: an empty grid", "factors")
        read = tuple(self._factor(field) for field in factors)
        combinations = math.prod(len(factor.levels) for factor in read)
        if combinations > MAX_CONDITIONS:
            problem = f"expected at most {MAX_CONDITIONS} combinations of levels"
            self._fail(f"factors: {problem}, found {combinations}: vary less", "factors")
        return read

    def _factor(self, field: str) -> Factor:
        path = ("factors", field)
        self._known_field(field, path)
        if field in self._fields.without_effect:
            problem = f"expected a field that changes results, found '{field}', which changes no "
            problem += "result, so its levels cannot be compared"
            raise self._document.key_error(problem, path)
        content = self._document.mapping(path, ("levels", "baseline"))
        written = content.get("levels")
        if not isinstance(written, list) or not written:
            self._fail(f"{field}: expected a list of levels, found {written!r}", *path, "levels")
        levels: list[Any] = []
        for index, value in enumerate(written):
            level = self._value(field, value, (*path, "levels", index))
            if level in levels:
                problem = f"{field}: expected different levels, found {level!r} twice"
                self._fail(problem, *path, "levels", index)
            levels.append(level)
        if "baseline" not in content:
            problem = f"{field}: expected `baseline:`, one of {levels}, found none"
            raise self._document.key_error(problem, path)
        baseline = self._value(field, content["baseline"], (*path, "baseline"))
        if baseline not in levels:
            problem = f"{field}: expected a baseline among {levels}, found {baseline!r}"
            self._fail(problem, *path, "baseline")
        return Factor(field=field, levels=tuple(levels), baseline=baseline)

    def _set(self, factors: Sequence[Factor]) -> dict[str, Any]:
        varied = {factor.field for factor in factors}
        changes: dict[str, Any] = {}
        content = self._content.get("set") or {}
        if not isinstance(content, dict):
            self._fail(f"set: expected fields as `field: value`, found {content!r}", "set")
        for field, value in content.items():
            self._known_field(field, ("set", field))
            if field in varied:
                problem = f"expected a field that is no factor, found '{field}', which factors vary"
                raise self._document.key_error(problem, ("set", field))
            changes[field] = self._value(field, value, ("set", field))
        for field in self._overrides:
            if field in varied:
                raise ConfigurationError(
                    f"--set: expected a field that is no factor, found '{field}', which "
                    f"{self._document.file} varies"
                )
        overrides = self._overrides.items()
        return changes | {field: self._fields.checked(field, value) for field, value in overrides}

    def _base(self, changes: dict[str, Any], baseline: Condition) -> Settings:
        start = self._start()
        needed = {field: baseline[field] for field in self._fields.required & baseline.keys()}
        try:
            return start.replace(changes | needed)
        except ConfigurationError as error:
            problem = str(error)  # at the field that it begins with, if that is written under `set`
            self._fail(problem, "set", problem.partition(":")[0])

    def _start(self) -> Settings:
        name = self._content.get("preset")
        if isinstance(self._fields, OwnFields):
            if name is not None:
                problem = f"expected no preset for {self._fields.what}, found {name!r}: remove it"
                raise self._document.key_error(f"preset: {problem}", ("preset",))
            return self._fields.start()
        try:
            if not isinstance(name, str):
                raise ConfigurationError(f"expected a preset's name, found {name!r}")
            return preset(name)
        except ConfigurationError as error:
            self._fail(f"preset: {error}", "preset")

    def _where(self) -> Predicate:
        text = self._content.get("where")
        if text is None:
            return lambda _: True
        if not isinstance(text, str):
            self._fail(f"where: expected a comparison of fields, found {text!r}", "where")
        try:
            return parse_where(text, self._fields)
        except WhereError as error:
            raise self._where_error(text, error) from None

    def _where_error(self, text: str, error: WhereError) -> SpecError:
        line, column = self._document.positions["where",]
        source = self._document.text.splitlines()[line - 1]
        begin = source.find(text, column - 1)
        # A folded or quoted text may not stand in one line as it is: then point at its beginning.
        offset = begin - column + 1 + error.offset if begin >= 0 else 0
        return self._document.error(f"where: {error.problem}", ("where",), offset=offset)

    def _design(self) -> str:
        design = self._content.get("design", "full_factorial")
        if not isinstance(design, str) or design not in DESIGNS:
            self._fail(f"design: expected {' or '.join(DESIGNS)}, found {design!r}", "design")
        return design

    def _conditions(
        self, conditions: Sequence[Condition], base: Settings, baseline: Condition
    ) -> tuple[tuple[Condition, Settings], ...]:
        fixed = base.fields()
        holds = self._where()
        kept = [condition for condition in conditions if holds({**fixed, **condition})]
        if not kept:
            problem = f"expected to keep a condition, found that it refuses all {len(conditions)}"
            self._fail(f"where: {problem}", "where")
        if baseline not in kept:
            label = condition_label(baseline)
            self._fail(f"where: expected to keep the baseline ({label}), found it refused", "where")
        resolved = tuple((condition, self._resolved(base, condition)) for condition in kept)
        self._check_different(resolved)
        return resolved

    def _check_different(self, conditions: Sequence[tuple[Condition, Settings]]) -> None:
        """Refuses conditions that are one and the same trial, since a factor does not act there."""
        seen: dict[str, Condition] = {}
        for condition, configuration in conditions:
            other = seen.setdefault(digest(with_effect(configuration)), condition)
            if other is not condition:
                labels = f"{condition_label(other)} and {condition_label(condition)}"
                problem = f"expected different trials, found the same in conditions {labels}: a "
                problem += "factor has no effect there; exclude one by `where`"
                raise self._document.key_error(problem, ("factors",))

    def _resolved(self, base: Settings, condition: Condition) -> Settings:
        try:
            return base.replace(dict(condition))
        except ConfigurationError as error:
            problem = f"condition {condition_label(condition)}: {error}; exclude it by `where`"
            raise self._document.key_error(problem, ("factors",)) from None
