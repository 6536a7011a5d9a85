"""What is asked of `run` and `plan`, and whether it can be done here."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdexp.config.configuration import Configuration
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
        max_trials: The most trials that the spec may ask for, or None for the default.
    """

    spec: SpecSource
    settings: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    num_seeds: int | None = None
    runs: Path | None = None
    max_trials: int | None = None

    def read_spec(self) -> "Spec":
        """Returns the spec with the request's changes.

        Raises:
            RequestError: The spec or a change is wrong.
        """
        source = Path(self.spec) if isinstance(self.spec, str) else self.spec
        overrides = parse_overrides(
            self.settings, self.num_seeds, self.fields, max_trials=self.max_trials
        )
        spec = read_spec(source, overrides)
        _check_networks(spec)
        return spec

    @property
    def runs_folder(self) -> Path:
        """The absolute runs folder."""
        return runs_folder(self.runs)


def _check_networks(spec: "Spec") -> None:
    """Accepts files of networks that are there and what they should be, each looked at once."""
    ours = [each for _, each in spec.grid.conditions if isinstance(each, Configuration)]
    evaluations = [configuration.evaluation for configuration in ours]
    different = {each.model_dump_json(): each for each in evaluations}
    try:
        for evaluation in different.values():
            check_network_files(evaluation)
    except ConfigurationError as error:
        raise ConfigurationError(f"{spec.file}: {error}") from None
