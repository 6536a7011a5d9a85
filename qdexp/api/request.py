"""What is asked of `run` and `plan`, and whether it can be done here."""

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdexp.config.network_file import check_network_files
from qdexp.errors import ConfigurationError
from qdexp.experiment.reader import parse_overrides, read_spec
from qdexp.results.folders import runs_folder

if TYPE_CHECKING:
    from qdexp.experiment.spec import Spec

SpecSource = Path | str | Mapping[str, Any]
"""A spec: the path of its YAML file, or its content as a dict."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of `run` and `plan`.

    Args:
        spec: The spec's path, or its content.
        settings: ``FIELD=VALUE`` texts.
        fields: The same as values, over `settings`.
        num_seeds: Number of seeds over the spec's, or None.
        runs: The runs folder, or None for the default.
    """

    spec: SpecSource
    settings: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    num_seeds: int | None = None
    runs: Path | None = None

    def read_spec(self) -> "Spec":
        """Returns the spec with the request's changes.

        Raises:
            RequestError: The spec or a change is wrong.
        """
        source = Path(self.spec) if isinstance(self.spec, str) else self.spec
        overrides = parse_overrides(self.settings, self.num_seeds, self.fields)
        spec = read_spec(source, overrides)
        _check_trainable(spec)
        _check_networks(spec)
        return spec

    @property
    def runs_folder(self) -> Path:
        """The absolute runs folder."""
        return runs_folder(self.runs)


def _check_trainable(spec: "Spec") -> None:
    """Accepts a trainable whose module can be found; it is not imported, which may take long."""
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.append(here)  # it may be a module of the current folder
    module = spec.trainable.partition(":")[0]
    try:
        is_found = find_spec(module) is not None
    except ModuleNotFoundError:
        is_found = False
    if not is_found:
        raise ConfigurationError(
            f"{spec.file}: trainable: expected a module that can be imported from {here}, found "
            f"'{module}'"
        )


def _check_networks(spec: "Spec") -> None:
    """Accepts files of networks that are there and what they should be, each looked at once."""
    evaluations = [configuration.evaluation for _, configuration in spec.grid.conditions]
    different = {each.model_dump_json(): each for each in evaluations}
    try:
        for evaluation in different.values():
            check_network_files(evaluation)
    except ConfigurationError as error:
        raise ConfigurationError(f"{spec.file}: {error}") from None
