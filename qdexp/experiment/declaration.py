"""What a user declares of a training of their own: its configuration, its metrics, its revision."""

import importlib
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from qdexp.config.metric import Direction, Metric
from qdexp.errors import ConfigurationError, RequestError, nearest
from qdexp.experiment.own_fields import OwnFields

ATTRIBUTE = "declaration"
"""Where a trainable carries its declaration."""


@dataclass(frozen=True, kw_only=True)
class Declaration:
    """What the decorator `trainable` was told; valid from birth.

    Args:
        configuration: The pydantic class of its configuration.
        metrics: What it measures and can be judged by.
        revision: From 1; raised whenever the same fields and seed give other numbers than before.
        fingerprint: Hashes the inputs of a configuration's data, or None without any.
        num_steps: Returns the steps that a configuration takes, or None where it is not known.
        without_effect: Fields that change no result, such as a number of threads.

    Raises:
        ConfigurationError: Something in it is wrong.
    """

    configuration: type[BaseModel]
    metrics: tuple[Metric, ...]
    revision: int
    fingerprint: Callable[[Any], str] | None = None
    num_steps: Callable[[Any], int] | None = None
    without_effect: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        names = self.fields().names
        if type(self.revision) is not int or self.revision < 1:
            raise ConfigurationError(
                f"revision: expected a whole number from 1, found {self.revision!r}"
            )
        for name in self.without_effect:
            if name not in names:
                raise ConfigurationError(
                    f"without_effect: expected fields of {self.configuration.__name__}, found "
                    f"{name!r}{nearest(str(name), names)}"
                )
        known: set[str] = set()
        for metric in self.metrics:
            _check(metric, names)
            if metric.name in known:
                raise ConfigurationError(
                    f"metrics: expected different names, found '{metric.name}' twice"
                )
            known.add(metric.name)

    def fields(self) -> OwnFields:
        """Returns the fields that a spec may name."""
        return OwnFields(
            self.configuration,
            revision=self.revision,
            fingerprint=self.fingerprint,
            num_steps=self.num_steps,
            without_effect=self.without_effect,
        )

    def as_json(self) -> dict[str, Any]:
        """Returns what reports need to know of it, as plain JSON values."""
        return {
            "configuration": self.configuration.__name__,
            "revision": self.revision,
            "metrics": [asdict(metric) for metric in self.metrics],
        }


def _check(metric: object, names: Sequence[str]) -> None:
    if not isinstance(metric, Metric):
        raise ConfigurationError(f"metrics: expected a qdexp.Metric, found {metric!r}")
    what = f"metrics: {metric.name!r}"
    if not metric.name.strip() or not metric.name.isprintable():
        raise ConfigurationError(f"{what}: expected a printable name")
    if metric.direction not in get_args(Direction):
        raise ConfigurationError(
            f"{what}: expected a direction ({', '.join(get_args(Direction))}), found "
            f"{metric.direction!r}"
        )
    for text in (each.name for each in fields(metric) if each.type is str):
        if not isinstance(getattr(metric, text), str):
            raise ConfigurationError(f"{what}: expected {text} as text")
    sections = {f"{name.partition('.')[0]}.*" for name in names if "." in name}
    for field in metric.defined_by:
        if field not in names and field not in sections:
            raise ConfigurationError(
                f"{what}: expected defined_by to name fields of the configuration, found "
                f"'{field}'{nearest(field, names)}"
            )


def declaration_of(name: str, folder: Path) -> Declaration | None:
    """Imports a trainable and returns what it declares, or None if it declares nothing.

    Args:
        name: ``package.module:function``; a module may lie in the current folder or in `folder`.
        folder: Where the spec is.

    Raises:
        RequestError: There is no such module or function, or importing it fails.
    """
    module_name = name.partition(":")[0]
    if module_name == "__main__":
        raise RequestError(
            "expected a module that workers can import, found '__main__': put the function into a "
            "file of its own"
        )
    folders = [str(each.absolute()) for each in dict.fromkeys((Path.cwd(), folder.absolute()))]
    sys.path.extend(each for each in folders if each not in sys.path)
    try:
        is_found = find_spec(module_name) is not None
    except (ModuleNotFoundError, ValueError):
        is_found = False
    if not is_found:
        raise RequestError(
            f"expected a module that can be imported from {' or '.join(folders)}, found "
            f"'{module_name}'"
        )
    found = getattr(imported(name), ATTRIBUTE, None)
    return found if isinstance(found, Declaration) else None


def imported(name: str) -> Callable[..., Any]:
    """Imports the function that ``package.module:function`` names.

    Raises:
        RequestError: There is no such module or function, or the module cannot be imported.
    """
    module_name, _, function_name = name.partition(":")
    expected = f"expected an importable trainable 'package.module:function', found '{name}'"
    try:
        module = importlib.import_module(module_name)
    except RequestError as error:  # a declaration in it is wrong, and says how
        raise RequestError(f"{name}: {error}") from error
    except (Exception, SystemExit) as error:
        raise RequestError(f"{expected}: {type(error).__name__}: {error}") from error
    function = getattr(module, function_name, None)
    if not callable(function):
        raise RequestError(f"{expected}: {module_name} has no function '{function_name}'")
    return function
