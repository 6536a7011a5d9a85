# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From the `enqueue:` of a spec to the configurations that a search begins with."""

from typing import Any, NoReturn

from qdexp.config.configuration import Value
from qdexp.config.settings import Settings
from qdexp.errors import ConfigurationError, nearest
from qdexp.experiment.document import Document
from qdexp.experiment.fields import FieldReader
from qdexp.experiment.space import Parameter, Space
from qdexp.experiment.trial import Condition, condition_label


def read_enqueued(
    document: Document, fields: FieldReader, space: Space, baseline: Settings
) -> tuple[Condition, ...]:
    """Returns what is tried after the baseline; a field that one does not name is the baseline's.

    Raises:
        SpecError: One is outside of the space, or is tried already, or its values do not go
            together.
    """
    written: Value = document.content.get("enqueue", [])
    if not isinstance(written, list):
        problem = f"enqueue: expected a list of `field: value`, found {written!r}"
        raise document.error(problem, ("enqueue",))
    reader = _EnqueueReader(document, fields, space, baseline)
    return tuple(reader.one(each, index) for index, each in enumerate(written))


class _EnqueueReader:
    """Every method returns a part or raises at its place."""

    def __init__(
        self, document: Document, fields: FieldReader, space: Space, baseline: Settings
    ) -> None:
        self._document = document
        self._fields = fields
        self._space = space
        self._baseline = baseline
        self._fixed = baseline.fields()
        self._parameters = {each.field: each for each in space.parameters}
        self._taken = [space.acting(self._fixed, self._fixed)]

    def one(self, written: Value, index: int) -> Condition:
        if not isinstance(written, dict) or not written:
            self._fail(f"enqueue: expected `field: value`, found {written!r}", index)
        given = {field: self._value(field, value, index) for field, value in written.items()}
        values = self._space.acting({**self._fixed, **given}, self._fixed)
        self._check_acting(given, values, index)
        self._check_inside(values, index)
        if values in self._taken:
            problem = "expected a configuration that is not there yet, found the baseline's or one "
            self._fail(f"enqueue: {problem}from before: {condition_label(values)}", index)
        self._taken.append(values)
        return values

    def _fail(self, problem: str, *path: str | int) -> NoReturn:
        raise self._document.error(problem, ("enqueue", *path))

    def _value(self, field: str, written: Value, index: int) -> Value:
        path = ("enqueue", index, field)
        parameter = self._parameters.get(field)
        if parameter is None:
            hint = nearest(field, self._parameters)
            problem = f"enqueue: expected a parameter of the space, found '{field}'{hint}"
            raise self._document.key_error(problem, path)
        value = self._fields.value(field, written, path)
        if not parameter.contains(value):
            problem = f"enqueue: expected {field} {in_words(parameter, value)}, found {value!r}"
            self._fail(problem, index, field)
        return value

    def _check_acting(self, given: dict[str, Any], values: Condition, index: int) -> None:
        for field in given:
            if field not in values:
                when = self._parameters[field].when
                problem = f"enqueue: expected parameters that act, found {field}, which acts only "
                path = ("enqueue", index, field)
                raise self._document.key_error(f"{problem}where `{when}` holds", path)

    def _check_inside(self, values: Condition, index: int) -> None:
        for field, value in values.items():
            if not self._parameters[field].contains(value):
                problem = f"enqueue: expected a value for {field}, since the baseline's, {value!r},"
                self._fail(f"{problem} is not {in_words(self._parameters[field], value)}", index)
        if not self._space.holds({**self._fixed, **values}):
            problem = f"expected what `where` allows, {self._space.where}, found "
            self._fail(f"enqueue: {problem}{condition_label(values)}", index)
        try:
            self._baseline.replace(dict(values))
        except ConfigurationError as error:
            self._fail(f"enqueue: {error}", index)


def in_words(parameter: Parameter, value: Value) -> str:
    """Returns which values a parameter has that this is none of: ``between 0.05 and 1``."""
    if parameter.kind == "categorical":
        return f"among {list(parameter.choices)}"
    low, high = parameter.bounds
    step = f" in steps of {parameter.step:g}" if parameter.step is not None else ""
    if not step and isinstance(value, float) and low <= value <= high:
        return f"rounded as a search does, {parameter.nearest(value)!r}"
    return f"between {low:g} and {high:g}{step}"
