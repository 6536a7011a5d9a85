# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From the `preset:` and `set:` of a spec to the configuration that all others start from."""

import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NoReturn

from qdexp.config.configuration import Value
from qdexp.config.presets import preset
from qdexp.config.settings import Settings
from qdexp.errors import ConfigurationError
from qdexp.experiment.document import Document
from qdexp.experiment.fields import FieldReader
from qdexp.experiment.named_fields import Fields
from qdexp.experiment.own_fields import OwnFields
from qdexp.experiment.trial import Condition

NO_FACTORS: Condition = {}


def of_set(field: str, problem: str) -> ConfigurationError:
    """Returns an error of a field that the command set."""
    return ConfigurationError(f"--set {field}: {problem.removeprefix(f'{field}: ')}")


def first_named(problem: str, fields: Iterable[str]) -> str | None:
    """Returns which of the fields a message names first, or None if it names none of them."""
    patterns = {field: rf"(?<![\w.]){re.escape(field)}(?![\w.])" for field in fields}
    found = {field: re.search(pattern, problem) for field, pattern in patterns.items()}
    places = {field: match.start() for field, match in found.items() if match}
    return min(places, key=lambda field: places[field], default=None)


class BaseReader:
    """Every method returns a checked part or raises a SpecError at its place.

    Args:
        document: The spec.
        named: The fields that it may name.
        overrides: Fields to set over the spec's own `set`.
        baseline: The baseline level of each factor, which nothing else may set.
    """

    def __init__(
        self,
        document: Document,
        named: Fields,
        overrides: Mapping[str, Any],
        baseline: Condition = NO_FACTORS,
    ) -> None:
        self._document = document
        self._named = named
        self._fields = FieldReader(document, named)
        self._overrides = overrides
        self._baseline = baseline

    def changes(self) -> dict[str, Any]:
        """Returns the fields that are set for all conditions.

        Raises:
            ConfigurationError: An override does not fit the spec.
        """
        changes: dict[str, Any] = {}
        written = self._document.content.get("set")
        content = {} if written is None else written
        if not isinstance(content, dict):
            self._fail(f"set: expected fields as `field: value`, found {content!r}", "set")
        for field, value in content.items():
            self._fields.known(field, ("set", field))
            if field in self._baseline:
                problem = f"expected a field that is no factor, found '{field}', which factors vary"
                raise self._document.key_error(problem, ("set", field))
            changes[field] = self._fields.value(field, value, ("set", field))
        for field in self._overrides:
            if field in self._baseline:
                raise ConfigurationError(
                    f"--set: expected a field that is no factor, found '{field}', which "
                    f"{self._document.file} varies"
                )
        return changes | {field: self._checked(field) for field in self._overrides}

    def _checked(self, field: str) -> Value:
        try:
            return self._named.checked(field, self._overrides[field])
        except ConfigurationError as error:
            raise of_set(field, str(error)) from None

    def configuration(self, changes: Mapping[str, Any]) -> Settings:
        """Returns the configuration before a condition's levels."""
        start = self._start()
        needed = {
            field: self._baseline[field] for field in self._named.required & self._baseline.keys()
        }
        try:
            return start.replace({**changes, **needed})
        except ConfigurationError as error:
            # What is set may need a factor's level beside it: of the start's it says nothing.
            with suppress(ConfigurationError):
                return start.replace({**changes, **self._baseline})
            problem = str(error)  # at the field that it begins with, if that is written under `set`
            if (field := first_named(problem, self._overrides)) is not None:
                raise of_set(field, problem) from None
            self._fail(problem, "set", problem.partition(":")[0])

    def _fail(self, problem: str, *path: str | int) -> NoReturn:
        raise self._document.error(problem, path)

    def _start(self) -> Settings:
        name = self._document.content.get("preset")
        if isinstance(self._named, OwnFields):
            if name is not None:
                problem = f"expected no preset for {self._named.what}, found {name!r}: remove it"
                raise self._document.key_error(f"preset: {problem}", ("preset",))
            return self._named.start()
        try:
            if not isinstance(name, str):
                raise ConfigurationError(f"expected a preset's name, found {name!r}")
            return preset(name)
        except ConfigurationError as error:
            self._fail(f"preset: {error}", "preset")
