# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
"""Reads what a spec says of fields: their names, values, and expressions over them."""

from qdexp.config.configuration import Value
from qdexp.errors import ConfigurationError, SpecError, nearest
from qdexp.experiment.document import Document, Path
from qdexp.experiment.named_fields import Fields
from qdexp.experiment.where import Predicate, WhereError, parse_where, words_of


class FieldReader:
    """Every method returns a checked part or raises a SpecError at its place."""

    def __init__(self, document: Document, fields: Fields) -> None:
        self._document = document
        self._fields = fields

    @property
    def without_effect(self) -> frozenset[str]:
        """The fields that change no result."""
        return self._fields.without_effect

    def known(self, field: str, path: Path) -> None:
        """Refuses a key that is no configuration field."""
        if field not in self._fields.names:
            hint = nearest(field, self._fields.names)
            problem = f"expected {self._fields.what}, found '{field}'{hint}"
            raise self._document.key_error(problem, path)

    def value(self, field: str, value: Value, path: Path) -> Value:
        """Returns a field's value as plain JSON."""
        try:
            checked = self._fields.checked(field, value)
        except ConfigurationError as error:
            raise self._document.error(str(error), path) from None
        return list(checked) if isinstance(checked, tuple) else checked

    def predicate(self, text: Value, path: Path) -> Predicate:
        """Returns what an expression over fields says of a configuration."""
        key = path[-1]
        if not isinstance(text, str):
            problem = f"{key}: expected a comparison of fields, found {text!r}"
            raise self._document.error(problem, path)
        try:
            return parse_where(text, self._fields)
        except WhereError as error:
            raise self.error_inside(f"{key}: {error.problem}", text, path, error.offset) from None

    def named_in(self, text: str) -> frozenset[str]:
        """Returns the fields that a checked expression names."""
        return words_of(text) & frozenset(self._fields.names)

    def error_inside(self, problem: str, text: str, path: Path, offset: int) -> SpecError:
        """Returns an error at a character of a text in the document."""
        line, column = self._document.positions[path]
        lines = self._document.text.splitlines()
        begin = lines[line - 1].find(text, column - 1) if line <= len(lines) else -1
        # A folded or quoted text may not stand in one line as it is: then point at its beginning.
        inside = begin - column + 1 + offset if begin >= 0 else 0
        return self._document.error(problem, path, offset=inside)
