# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From the `space:` and `where:` of a spec to the space that a search looks through."""

from typing import Any, NoReturn

from qdexp.config.configuration import Value
from qdexp.experiment.document import Document, Path
from qdexp.experiment.fields import FieldReader
from qdexp.experiment.space import Parameter, Space

OF_CHOICES = ("choices", "when")
_OF_NUMBERS = ("low", "high", "step", "log", "when")
KEYS = ("choices", *_OF_NUMBERS)

MOST_STEPS = 1_000_000
"""Steps of a parameter's greatest value: finer ones drown in the rounding of numbers."""


def read_space(document: Document, fields: FieldReader) -> Space:
    """Reads and checks what a search may suggest, in the order of its parameters.

    Raises:
        SpecError: Something in `space:` or `where:` is wrong.
    """
    return _SpaceReader(document, fields).space()


class _SpaceReader:
    """Every method returns a part or raises at its place."""

    def __init__(self, document: Document, fields: FieldReader) -> None:
        self._document = document
        self._fields = fields
        self._written: dict[str, Any] = self._parameters()

    def space(self) -> Space:
        parameters = tuple(self._parameter(field) for field in self._written)
        acts = {
            each.field: self._fields.predicate(each.when, ("space", each.field, "when"))
            for each in parameters
            if each.when is not None
        }
        where = self._document.content.get("where")
        holds = self._fields.predicate(where, ("where",)) if where is not None else _anything
        return Space(parameters=parameters, where=where, acts=acts, holds=holds)

    def _fail(self, problem: str, *path: str | int) -> NoReturn:
        raise self._document.error(problem, path)

    def _parameters(self) -> dict[str, Any]:
        written = self._document.content.get("space")
        if not isinstance(written, dict) or not written:
            found = "none" if written is None else repr(written)
            expected = "at least one field with its choices, or with low and high"
            self._fail(f"space: expected {expected}, found {found}", "space")
        return written

    def _parameter(self, field: str) -> Parameter:
        path = ("space", field)
        self._fields.known(field, path)
        if field in self._fields.without_effect:
            problem = f"expected a field that changes results, found '{field}', which changes no "
            raise self._document.key_error(problem + "result: nothing can be found for it", path)
        content = self._document.mapping(path, KEYS)
        when = self._when(field, content)
        if "choices" in content:
            self._refuse_beside_choices(content, path)
            choices = self._choices(field, content["choices"])
            return Parameter(field=field, kind="categorical", choices=choices, when=when)
        return self._number(field, content, when)

    def _refuse_beside_choices(self, content: dict[str, Any], path: Path) -> None:
        for key in content:
            if key not in OF_CHOICES:
                problem = f"{path[-1]}: expected either choices or low and high, found both"
                raise self._document.key_error(problem, (*path, key))

    def _choices(self, field: str, written: Value) -> tuple[Any, ...]:
        path = ("space", field, "choices")
        expected = f"{field}: expected a list of two or more choices"
        if not isinstance(written, list) or len(written) < 2:
            self._fail(f"{expected}, found {written!r}", *path)
        choices: list[Any] = []
        for index, each in enumerate(written):
            choice = self._fields.value(field, each, (*path, index))
            if choice in choices:
                problem = f"{field}: expected different choices, found {choice!r} twice"
                self._fail(problem, *path, index)
            choices.append(choice)
        return tuple(choices)

    def _number(self, field: str, content: dict[str, Any], when: str | None) -> Parameter:
        path = ("space", field)
        low, high = (self._bound(field, content, key) for key in ("low", "high"))
        is_whole = isinstance(low, int) and isinstance(high, int)
        if low >= high:
            problem = f"{field}: expected low below high, found {low} and {high}"
            self._fail(problem, *path, "high")
        log = content.get("log", False)
        if not isinstance(log, bool):
            self._fail(f"{field}: expected log true or false, found {log!r}", *path, "log")
        if log and low <= 0:
            problem = f"{field}: expected low above 0 where log is true, found {low}"
            self._fail(problem, *path, "low")
        if log and "step" in content:
            problem = f"{field}: expected either step or log, found both: even steps are not even "
            raise self._document.key_error(f"{problem}in the logarithm", (*path, "step"))
        step = self._step(field, content["step"], low, high) if "step" in content else None
        kind = "int" if is_whole else "float"
        return Parameter(field=field, kind=kind, low=low, high=high, step=step, log=log, when=when)

    def _bound(self, field: str, content: dict[str, Any], key: str) -> float:
        path = ("space", field, key)
        if key not in content:
            problem = f"{field}: expected choices, or low and high, found no {key}"
            raise self._document.key_error(problem, ("space", field))
        value = self._fields.value(field, content[key], path)
        if isinstance(value, bool) or not isinstance(value, int | float):
            problem = f"{field}: expected a number for {key}, found {value!r}: give choices instead"
            self._fail(problem, *path)
        return value

    def _step(self, field: str, step: Value, low: float, high: float) -> float:
        path = ("space", field, "step")
        is_whole = isinstance(low, int) and isinstance(high, int)
        kinds = int if is_whole else int | float
        is_number = isinstance(step, kinds) and not isinstance(step, bool)
        if not is_number or not 0 < step <= high - low:
            expected = f"a {'whole ' if is_whole else ''}number above 0 and up to {high - low:g}"
            self._fail(f"{field}: expected {expected} for step, found {step!r}", *path)
        finest = max(abs(low), abs(high)) / MOST_STEPS
        if not is_whole and step < finest:
            problem = f"{field}: expected a step of {finest:g} or more, or none for values in "
            self._fail(f"{problem}between, found {step!r}", *path)
        return step

    def _when(self, field: str, content: dict[str, Any]) -> str | None:
        if "when" not in content:
            return None
        text, path = content["when"], ("space", field, "when")
        self._fields.predicate(text, path)
        names = list(self._written)
        later = [other for other in names[names.index(field) :] if other in self._named(text)]
        if later:
            found = "itself" if later[0] == field else f"{later[0]}, which comes later"
            problem = f"when: expected parameters before {field}, or fields that are not searched, "
            self._fail(f"{problem}found {found}", *path)
        return text

    def _named(self, text: str) -> frozenset[str]:
        return self._fields.named_in(text)


def _anything(_: object) -> bool:
    return True
