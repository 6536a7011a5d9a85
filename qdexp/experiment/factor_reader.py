# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""From the `factors:` and `zip:` of a spec to the axes that a design varies."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from qdexp.config.configuration import Value
from qdexp.errors import nearest
from qdexp.experiment.document import Document, Path
from qdexp.experiment.factor import Axis, Factor
from qdexp.experiment.fields import FieldReader

KEYS = ("levels", "baseline", "full", "when")


@dataclass(frozen=True, kw_only=True)
class _Column:
    """One factor as it is written: a zipped one may have a level more than once."""

    factor: Factor
    written: tuple[Any, ...]
    full: Any
    has_full: bool


def read_axes(document: Document, fields: FieldReader) -> tuple[Axis, ...]:
    """Reads and checks what a spec varies, in the order of its factors.

    Raises:
        SpecError: Something in `factors:` or `zip:` is wrong.
    """
    return _FactorReader(document, fields).axes()


class _FactorReader:
    """Every method returns a part or raises at its place."""

    def __init__(self, document: Document, fields: FieldReader) -> None:
        self._document = document
        self._fields = fields
        self._factors: dict[str, Any] = self._content()

    def axes(self) -> tuple[Axis, ...]:
        groups = self._groups()
        zipped = {field for group in groups for field in group}
        columns = {field: self._column(field, is_zipped=field in zipped) for field in self._factors}
        self._check_unconditional([column.factor for column in columns.values()])
        axes: list[Axis] = []
        for field, column in columns.items():
            group = next((group for group in groups if field in group), (field,))
            if field not in zipped:
                axes.append(self._axis({field: column}))
            elif field == min(group, key=list(columns).index):
                axes.append(self._axis({name: columns[name] for name in columns if name in group}))
        return tuple(axes)

    def _fail(self, problem: str, *path: str | int) -> NoReturn:
        raise self._document.error(problem, path)

    def _content(self) -> dict[str, Any]:
        factors = self._document.content.get("factors")
        if not isinstance(factors, dict) or not factors:
            found = "none" if factors is None else repr(factors)
            expected = "at least one field with its levels and baseline"
            self._fail(f"factors: expected {expected}, found {found}: an empty grid", "factors")
        return factors

    def _column(self, field: str, *, is_zipped: bool) -> _Column:
        path = ("factors", field)
        self._fields.known(field, path)
        if field in self._fields.without_effect:
            problem = f"expected a field that changes results, found '{field}', which changes no "
            problem += "result, so its levels cannot be compared"
            raise self._document.key_error(problem, path)
        content = self._document.mapping(path, KEYS)
        levels = self._levels(field, content.get("levels"), may_repeat=is_zipped)
        if "baseline" not in content:
            problem = f"{field}: expected `baseline:`, one of {levels}, found none"
            raise self._document.key_error(problem, path)
        full = self._one_of(levels, field, "full") if "full" in content else None
        return _Column(
            factor=Factor(
                field=field,
                levels=tuple(_distinct(levels)),
                baseline=self._one_of(levels, field, "baseline"),
                when=self._when(field, content),
            ),
            written=tuple(levels),
            full=full,
            has_full="full" in content,
        )

    def _levels(self, field: str, written: Value, *, may_repeat: bool) -> list[Any]:
        path = ("factors", field, "levels")
        if not isinstance(written, list) or not written:
            self._fail(f"{field}: expected a list of levels, found {written!r}", *path)
        levels: list[Any] = []
        for index, value in enumerate(written):
            level = self._fields.value(field, value, (*path, index))
            if level in levels and not may_repeat:
                problem = f"{field}: expected different levels, found {level!r} twice"
                self._fail(problem, *path, index)
            levels.append(level)
        return levels

    def _one_of(self, levels: Sequence[Any], field: str, key: str) -> Value:
        path = ("factors", field, key)
        value = self._fields.value(field, self._factors[field][key], path)
        if value not in levels:
            article = "a baseline" if key == "baseline" else "a full level"
            self._fail(f"{field}: expected {article} among {levels}, found {value!r}", *path)
        return value

    def _when(self, field: str, content: Mapping[str, Any]) -> str | None:
        if "when" not in content:
            return None
        text, path = content["when"], ("factors", field, "when")
        self._fields.predicate(text, path)
        if field in self._fields.named_in(text):
            problem = f"when: expected other fields than {field}, which acts where this holds, "
            self._fail(f"{problem}found '{text}'", *path)
        return text

    def _check_unconditional(self, factors: Sequence[Factor]) -> None:
        if all(factor.when is not None for factor in factors):
            problem = "factors: expected at least one that acts everywhere, found `when` in each"
            self._fail(f"{problem}: give one no condition", "factors")

    def _groups(self) -> list[tuple[str, ...]]:
        """Returns the fields that are zipped, group by group."""
        written = self._document.content.get("zip", [])
        expected = "zip: expected lists of two or more factors, such as [[a.field, b.field]]"
        if not isinstance(written, list):
            self._fail(f"{expected}, found {written!r}", "zip")
        seen: set[str] = set()
        for index, group in enumerate(written):
            if not isinstance(group, list) or len(group) < 2:
                self._fail(f"{expected}, found {group!r}", "zip", index)
            for place, field in enumerate(group):
                self._check_zipped(field, seen, ("zip", index, place))
                seen.add(field)
        return [tuple(group) for group in written]

    def _check_zipped(self, field: Value, seen: set[str], path: Path) -> None:
        if not isinstance(field, str) or field not in self._factors:
            hint = nearest(str(field), self._factors)
            raise self._document.error(f"zip: expected a factor, found '{field}'{hint}", path)
        if field in seen:
            problem = f"zip: expected each factor once, found '{field}' again"
            raise self._document.error(problem, path)

    def _axis(self, columns: Mapping[str, _Column]) -> Axis:
        first = next(iter(columns))
        num_levels = len(columns[first].written)
        for field, column in columns.items():
            if len(column.written) != num_levels:
                problem = f"expected as many levels as its zipped {first} has, {num_levels}"
                where = ("factors", field, "levels")
                self._fail(f"{field}: {problem}, found {len(column.written)}", *where)
            if column.factor.when != columns[first].factor.when:
                problem = f"expected the same `when` as its zipped {first}"
                where = ("factors", field, "when")
                self._fail(f"{field}: {problem}, found {column.factor.when!r}", *where)
        rows = [
            {field: column.written[i] for field, column in columns.items()}
            for i in range(num_levels)
        ]
        for index, row in enumerate(rows):
            if row in rows[:index]:
                problem = f"expected different levels of zipped factors, found {_text(row)} twice"
                self._fail(problem, "factors", first, "levels", index)
        baseline = {field: column.factor.baseline for field, column in columns.items()}
        return Axis(
            factors=tuple(column.factor for column in columns.values()),
            levels=tuple(rows),
            baseline=self._position(rows, baseline, "baseline"),
            full=self._full(columns, rows, baseline),
        )

    def _full(
        self, columns: Mapping[str, _Column], rows: Sequence[Any], baseline: Mapping[str, Any]
    ) -> int | None:
        """Returns the position of the full level: the only one beside the baseline, if any."""
        if not any(column.has_full for column in columns.values()):
            return 1 - rows.index(baseline) if len(rows) == 2 else None
        for field, column in columns.items():
            if not column.has_full:
                problem = f"{field}: expected `full:` as its zipped factors have, found none"
                raise self._document.key_error(problem, ("factors", field))
        full = {field: column.full for field, column in columns.items()}
        position = self._position(rows, full, "full")
        if full == baseline:
            (first, *_) = columns
            problem = f"{first}: expected a full level other than the baseline, found {full[first]}"
            self._fail(problem, "factors", first, "full")
        return position

    def _position(self, rows: Sequence[Any], wanted: Mapping[str, Any], key: str) -> int:
        """Returns where all zipped factors have the level that each names."""
        if wanted not in rows:
            last = list(wanted)[-1]
            problem = f"expected a {key} at one place of the zipped levels, found {_text(wanted)}"
            self._fail(f"{last}: {problem}, which stand at different ones", "factors", last, key)
        return rows.index(wanted)


def _distinct(levels: Sequence[Any]) -> list[Any]:
    found: list[Any] = []
    for level in levels:
        if level not in found:
            found.append(level)
    return found


def _text(levels: Mapping[str, Any]) -> str:
    return " with ".join(f"{field} {level}" for field, level in levels.items())
