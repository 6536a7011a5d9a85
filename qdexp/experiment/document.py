# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""A YAML 1.2 file as plain data that remembers where everything stands."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from qdexp.config.configuration import Value
from qdexp.errors import SpecError, nearest

GIVEN = "<dict>"
"""What messages call a spec that a program gave."""

Path = tuple[str | int, ...]
"""The keys and indices that lead to a value; the empty path is the whole document."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a YAML file says.

    Args:
        file: The path as the user gave it, for messages.
        text: The whole text.
        content: The top-level mapping, as dicts, lists and scalars of plain types.
        positions: (line, column), from 1, of every value.
        key_positions: (line, column), from 1, of every key.
        has_lines: Whether these positions mean something to the user; else keys do.
    """

    file: str
    text: str
    content: dict[str, Any]
    positions: Mapping[Path, tuple[int, int]]
    key_positions: Mapping[Path, tuple[int, int]]
    has_lines: bool = True

    @property
    def folder(self) -> FilePath:
        """The folder that it is in."""
        return FilePath(self.file).parent if self.has_lines else FilePath()

    def error(self, problem: str, path: Path, *, offset: int = 0) -> SpecError:
        """Returns an error at a value, or at the nearest enclosing one that is written there.

        Args:
            problem: What was expected, what was found, what to do.
            path: Where.
            offset: Characters to the right of the value's beginning.
        """
        return self._at(self.positions, problem, path, offset)

    def key_error(self, problem: str, path: Path) -> SpecError:
        """Returns an error at a key instead of at its value."""
        return self._at(self.key_positions, problem, path, 0)

    def mapping(self, path: Path, valid: Sequence[str]) -> dict[str, Any]:
        """Returns the mapping at `path`.

        Raises:
            SpecError: It is none, or one of its keys is not `valid`; the message names the nearest.
        """
        content: Any = self.content
        for key in path:
            content = content[key]
        if not isinstance(content, dict):
            raise self.error(
                f"expected {', '.join(valid)} as `key: value`, found {content!r}", path
            )
        found: dict[str, Any] = content
        for key in found:
            if key not in valid:
                problem = f"expected one of {', '.join(valid)}, found '{key}'{nearest(key, valid)}"
                raise self.key_error(problem, (*path, key))
        return found

    def _at(
        self, positions: Mapping[Path, tuple[int, int]], problem: str, path: Path, offset: int
    ) -> SpecError:
        while path and path not in positions:
            path = path[:-1]
        line, column = positions.get(path, (1, 1))
        keys = None if self.has_lines else keys_in_words(path)
        return SpecError(problem, file=self.file, line=line, column=column + offset, keys=keys)


def keys_in_words(path: Path) -> str:
    """Returns the keys that lead to a value: ``['factors']['model.num_layers']``."""
    return "".join(f"[{key!r}]" for key in path)


def read_document(path: FilePath) -> Document:
    """Reads a YAML file whose top level is a mapping.

    Raises:
        SpecError: It cannot be read, or is not YAML, or not a mapping, or repeats a key.
    """
    file = str(path)
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        problem = f"expected a readable spec file, found: {error.strerror or error}{_hint(path)}"
        raise SpecError(problem, file=file, line=1, column=1) from None
    except UnicodeDecodeError as error:
        problem = f"expected UTF-8 text, found byte {error.object[error.start]:#x}"
        line = error.object[: error.start].count(b"\n") + 1
        raise SpecError(problem, file=file, line=line, column=1) from None
    return document_of(text, file)


def document_of(text: str, file: str) -> Document:
    """Reads the text of a file, with the errors of `read_document`."""
    _refuse_tabs(text, file)
    content, plain = _read(text, file)
    if not isinstance(content, dict):
        found = "nothing" if content is None else f"{type(content).__name__} {content!r}"
        problem = f"expected `key: value` lines, found {found[:60]}"
        raise SpecError(problem, file=file, line=1, column=1)
    return Document(
        file=file, text=text, content=content, positions=plain.values, key_positions=plain.keys
    )


def document_from(content: Mapping[str, Any]) -> Document:
    """Returns a document of what a program made; its text is the YAML that says the same.

    Raises:
        SpecError: Something in it is no plain data; the message begins with its keys.
    """
    buffer = StringIO()
    YAML().dump(plain_data(content, ()), buffer)
    text = buffer.getvalue()
    read, plain = _read(text, GIVEN)
    return Document(
        file=GIVEN,
        text=text,
        content=read,
        positions=plain.values,
        key_positions=plain.keys,
        has_lines=False,
    )


def plain_data(value: Value, path: Path = ()) -> Value:
    """Returns dicts, lists and scalars of plain types.

    Raises:
        SpecError: Something in it is no plain data; the message begins with its keys.
    """
    if isinstance(value, Mapping):
        return {
            _key(key, path): plain_data(inner, (*path, str(key))) for key, inner in value.items()
        }
    if isinstance(value, list | tuple):
        return [plain_data(item, (*path, index)) for index, item in enumerate(value)]
    for kind in (bool, int, float, str):  # numpy's own and enumerations may be one of these too
        if isinstance(value, kind):
            return kind(value)
    if value is None:
        return None
    problem = f"expected a text, a number, true, false, a list or a dict, found {value!r:.100}"
    raise SpecError(problem, file=GIVEN, line=1, column=1, keys=keys_in_words(path))


def _key(key: object, path: Path) -> str:
    if isinstance(key, str):
        return str(key)
    problem = f"expected a text as a key, found {key!r:.100}"
    raise SpecError(problem, file=GIVEN, line=1, column=1, keys=keys_in_words(path))


def _hint(path: FilePath) -> str:
    """Returns the spec that a name without folder or ending was probably meant to be.

    `os.path` answers where pathlib raises: a name may be too long for any file.
    """
    near = (path.parent / f"{path.stem}.yaml", FilePath("experiments") / f"{path.stem}.yaml")
    existing = [str(candidate) for candidate in near if os.path.isfile(candidate)]  # noqa: PTH113
    return f"; did you mean {existing[0]}?" if existing else f" (looked for {path.absolute()})"


def parse_scalar(text: str) -> Value:
    """Returns what a YAML document of this one text says, as plain data.

    Raises:
        SpecError: It is not YAML, or no plain data; the file is called ``--set``.
    """
    content, _ = _read(text, "--set")
    return content


def _refuse_tabs(text: str, file: str) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        indent = line[: len(line) - len(line.lstrip())]
        if "\t" in indent and line.strip():
            problem = "expected spaces, found a tab; YAML is indented with spaces only"
            raise SpecError(problem, file=file, line=number, column=indent.index("\t") + 1)


def _read(text: str, file: str) -> "tuple[Value, _Plain]":
    """Returns what a text says, and the positions of its parts."""
    plain = _Plain(file)
    try:
        return plain.part(_load(text, file), ()), plain
    except RecursionError:
        problem = "expected a few levels of nesting, found more than can be read"
        raise SpecError(problem, file=file, line=1, column=1) from None


def _load(text: str, file: str) -> Value:
    try:
        return YAML(typ="rt").load(text)
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        found = (error.problem or error.context or "something else").splitlines()[0]
        if found.startswith("mapping values are not allowed"):
            found += "; put a text that contains ': ' into quotes"
        problem = f"expected YAML 1.2, found an error: {found}"
        raise SpecError(problem, file=file, line=line, column=column) from None
    except (YAMLError, ValueError) as error:
        problem = f"expected YAML 1.2, found an error: {str(error).splitlines()[0]}"
        raise SpecError(problem, file=file, line=1, column=1) from None


_Marks = Mapping[Any, tuple[int, ...]]
"""Line and column, from 1, of each item, or of each key and then of its value."""


class _Plain:
    """Turns ruamel's nodes into plain data and notes the position of each part."""

    def __init__(self, file: str) -> None:
        self._file = file
        self.values: dict[Path, tuple[int, int]] = {(): (1, 1)}
        self.keys: dict[Path, tuple[int, int]] = {(): (1, 1)}

    def part(self, node: Value, path: Path) -> Value:
        """Returns the plain data of a node whose own position is noted already."""
        if isinstance(node, Mapping):
            return self._mapping(node, path)
        if isinstance(node, list):
            marks = _marks(node)
            return [self._item(item, marks, (*path, i)) for i, item in enumerate(node)]
        if isinstance(node, bool) or node is None:
            return node
        if isinstance(node, str):
            return self._text(node, self.values[path])
        for kind in (int, float):
            if isinstance(node, kind):
                return kind(node)
        problem = f"expected a text, a number, true, false, a list or `key: value`, found {node!r}"
        raise self._error(f"{problem[:200]}; put a text into quotes", self.values[path])

    def _mapping(self, node: Mapping[Any, Any], path: Path) -> dict[str, Any]:
        marks = _marks(node)
        content: dict[str, Any] = {}
        for key, value in node.items():
            # What `<<` merged in stands elsewhere: an error points at the mapping it came into.
            line, column, *at_value = marks.get(key, self.values[path])
            position = line, column
            name = self._text(str(key), position)
            inner = (*path, name)
            self.keys[inner] = position
            # ruamel places a missing value on the next line: an error points at its key instead.
            has_place = bool(at_value) and value is not None
            self.values[inner] = (at_value[0], at_value[1]) if has_place else position
            content[name] = self.part(value, inner)
        return content

    def _item(self, node: Value, marks: _Marks, path: Path) -> Value:
        line, column = marks.get(path[-1], self.values[path[:-1]])
        self.keys[path] = self.values[path] = line, column
        return self.part(node, path)

    def _text(self, text: str, position: tuple[int, int]) -> str:
        try:
            text.encode()
        except UnicodeEncodeError:
            problem = f"expected Unicode text, found half of a surrogate pair in {text!a}"
            raise self._error(problem, position) from None
        return str(text)

    def _error(self, problem: str, position: tuple[int, int]) -> SpecError:
        line, column = position
        return SpecError(problem, file=self._file, line=line, column=column)


def _marks(node: Value) -> _Marks:
    """Returns where ruamel, which counts from 0, saw the parts of a mapping or a list."""
    seen = getattr(getattr(node, "lc", None), "data", None) or {}
    return {part: tuple(number + 1 for number in mark) for part, mark in seen.items()}
