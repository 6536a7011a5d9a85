# YAML holds what its author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false, reportUnknownArgumentType=false
# pyright: reportUnknownMemberType=false
"""A YAML 1.2 file as plain data that remembers where everything stands."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from qdexp.config.configuration import Value
from qdexp.errors import SpecError, nearest

Path = tuple[str | int, ...]
"""The keys and indices that lead to a value; the empty path is the whole document."""


@dataclass(frozen=True, kw_only=True)
class Document:
    """What a YAML file says.

    Args:
        file: The path as the user gave it, for messages.
        text: The whole text.
        content: The top-level mapping, as dicts, lists and scalars of plain types.
        positions: (line, column), from 1, of every value; of every key under ``(*path, KEY)``.
    """

    file: str
    text: str
    content: dict[str, Any]
    positions: Mapping[Path, tuple[int, int]]
    key_positions: Mapping[Path, tuple[int, int]]

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
        return SpecError(problem, file=self.file, line=line, column=column + offset)


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
    _refuse_tabs(text, file)
    content = _load(text, file)
    if not isinstance(content, Mapping):
        found = "nothing" if content is None else f"{type(content).__name__} {content!r}"
        problem = f"expected `key: value` lines, found {found[:60]}"
        raise SpecError(problem, file=file, line=1, column=1)
    values: dict[Path, tuple[int, int]] = {(): (1, 1)}
    keys: dict[Path, tuple[int, int]] = {(): (1, 1)}
    plain = _plain(content, (), values, keys)
    return Document(file=file, text=text, content=plain, positions=values, key_positions=keys)


def _hint(path: FilePath) -> str:
    """Returns the spec that a name without folder or ending was probably meant to be."""
    near = (path.with_suffix(".yaml"), FilePath("experiments") / f"{path.stem}.yaml")
    existing = [str(candidate) for candidate in near if candidate.is_file()]
    return f"; did you mean {existing[0]}?" if existing else f" (looked for {path.absolute()})"


def parse_scalar(text: str) -> Value:
    """Returns what a YAML document of this one text says, as plain data.

    Raises:
        SpecError: It is not YAML; the file is called ``--set``.
    """
    return _plain(_load(text, "--set"), (), {}, {})


def _refuse_tabs(text: str, file: str) -> None:
    for number, line in enumerate(text.splitlines(), start=1):
        indent = line[: len(line) - len(line.lstrip())]
        if "\t" in indent and line.strip():
            problem = "expected spaces, found a tab; YAML is indented with spaces only"
            raise SpecError(problem, file=file, line=number, column=indent.index("\t") + 1)


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


def _plain(
    node: Value,
    path: Path,
    values: dict[Path, tuple[int, int]],
    keys: dict[Path, tuple[int, int]],
) -> Value:
    """Turns ruamel's node into plain data and notes the position of each part."""
    marks: Any = getattr(node, "lc", None)
    if isinstance(node, Mapping):
        content: dict[str, Any] = {}
        for key, value in node.items():
            inner = (*path, str(key))
            keys[inner] = _from_one(marks.key(key))
            # ruamel places a missing value on the next line: an error points at its key instead.
            values[inner] = keys[inner] if value is None else _from_one(marks.value(key))
            content[str(key)] = _plain(value, inner, values, keys)
        return content
    if isinstance(node, Sequence) and not isinstance(node, str):
        for index in range(len(node)):
            keys[*path, index] = values[*path, index] = _from_one(marks.item(index))
        return [_plain(item, (*path, index), values, keys) for index, item in enumerate(node)]
    if isinstance(node, bool) or node is None:
        return node
    for kind in (int, float, str):
        if isinstance(node, kind):
            return kind(node)
    return node


def _from_one(position: tuple[int, int]) -> tuple[int, int]:
    line, column = position
    return line + 1, column + 1
