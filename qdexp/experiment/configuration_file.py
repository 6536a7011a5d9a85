# JSON and YAML hold what their author wrote: its types are known only once they were checked here.
# pyright: reportUnknownVariableType=false
"""From a JSON or YAML file to a configuration, with every error at its line and column."""

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from qdexp.config.configuration import Configuration, Value, check_value, field_names
from qdexp.config.presets import PRESETS
from qdexp.errors import ConfigurationError, RequestError, nearest
from qdexp.experiment.base_reader import first_named, of_set
from qdexp.experiment.document import Document, read_document
from qdexp.experiment.reader import parse_overrides

_SECTIONS = tuple(dict.fromkeys(field.partition(".")[0] for field in field_names()))


def read_configuration(path: Path, settings: Sequence[str] = ()) -> Configuration:
    """Reads sections of fields, as `qdexp presets` writes them; what is not there has its default.

    Args:
        path: A JSON file, or a YAML file, which JSON is too.
        settings: ``FIELD=VALUE`` texts that are set over the file's.

    Raises:
        RequestError: The file cannot be read, or a field or a value is wrong.
    """
    changes = parse_overrides(settings, None).fields
    if not path.is_file():
        raise ConfigurationError(_nothing_at(path))
    document = read_document(path)
    fields = dict(_fields(document))
    try:
        return Configuration().replace({**fields, **changes})
    except ConfigurationError as error:
        raise _at_its_place(str(error), document, changes) from None


def _nothing_at(path: Path) -> str:
    found = "a folder" if path.is_dir() else "nothing there"
    near = [path.with_name(f"config_{path.stem}.json"), *map(path.with_suffix, (".json", ".yaml"))]
    if path.stem in PRESETS:
        near.append(Path("configs") / f"config_{path.stem}.json")
    existing = [str(file) for file in near if file.is_file()]
    hint = f"; did you mean {existing[0]}?" if existing else "; `qdexp presets` writes some"
    return f"{path}: expected a configuration as JSON or YAML, found {found}{hint}"


def _fields(document: Document) -> Iterator[tuple[str, Value]]:
    """Yields what a document says, by dotted field."""
    if "factors" in document.content:
        problem = "expected a configuration, found an experiment's spec: give it to `qdexp run`"
        raise document.key_error(problem, ("factors",))
    for section in document.mapping((), _SECTIONS):
        found = document.content[section]
        if not isinstance(found, dict):
            problem = f"{section}: expected fields as `name: value`, found {found!r}"
            raise document.error(f"{problem}; leave it out for its defaults", (section,))
        content: dict[str, Any] = found
        for name, value in content.items():
            yield _field(document, section, name), _value(document, section, name, value)


def _field(document: Document, section: str, name: str) -> str:
    field, known = f"{section}.{name}", field_names()
    if field not in known:
        elsewhere = [other for other in known if other.endswith(f".{name}")]
        hint = f"; did you mean '{elsewhere[0]}'?" if elsewhere else nearest(field, known)
        problem = f"expected a configuration field, found '{field}'{hint}"
        raise document.key_error(problem, (section, name))
    return field


def _value(document: Document, section: str, name: str, value: Value) -> Value:
    try:
        return check_value(f"{section}.{name}", value)
    except ConfigurationError as error:
        raise document.error(str(error), (section, name)) from None


def _at_its_place(problem: str, document: Document, changes: Mapping[str, Any]) -> RequestError:
    """Returns the error of fields that do not fit together, where the first of them was set."""
    named = re.findall(r"[a-z_]+\.[a-z_]+", problem)
    if (field := first_named(problem, changes)) is not None:
        return of_set(field, problem)
    written = (tuple(field.split(".")) for field in named)
    place = next((path for path in written if path in document.positions), ())
    return document.error(problem, place)
