"""What is asked of `run`, `search` and `plan`, and whether it can be done here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qdexp.config.configuration import Configuration
from qdexp.config.network_file import check_network_files
from qdexp.errors import ConfigurationError
from qdexp.experiment.document import document_from, read_document
from qdexp.experiment.reader import Overrides, parse_overrides, read_spec
from qdexp.experiment.search_reader import read_search
from qdexp.results.folders import runs_folder

if TYPE_CHECKING:
    from qdexp.config.settings import Settings
    from qdexp.experiment.search_spec import SearchSpec
    from qdexp.experiment.spec import Spec

SpecSource = Path | str | Mapping[str, Any]
"""A spec: the path of its YAML file, or its content as a dict."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """What is asked of `run`, `search` and `plan`.

    Args:
        spec: The spec's path, or its content.
        settings: ``FIELD=VALUE`` texts.
        fields: The same as values, over `settings`.
        num_seeds: Number of seeds over the spec's, or None.
        runs: The runs folder, or None for the default.
        max_trials: The most trials that the spec may ask for, or None for the default.
        num_trials: The budget of a search over the spec's, or None.
    """

    spec: SpecSource
    settings: tuple[str, ...] = ()
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    num_seeds: int | None = None
    runs: Path | str | None = None
    max_trials: int | None = None
    num_trials: int | None = None

    def read_spec(self) -> "Spec":
        """Returns the spec with the request's changes.

        Raises:
            RequestError: The spec or a change is wrong.
        """
        spec = read_spec(self._source, self._overrides())
        _check_networks(spec.file, [each for _, each in spec.grid.conditions])
        return spec

    def read_search(self) -> "SearchSpec":
        """Returns the spec of a search with the request's changes.

        Raises:
            RequestError: The spec or a change is wrong.
        """
        search = read_search(self._source, self._overrides())
        _check_networks(search.spec.file, [search.baseline])
        return search

    def asks_for_search(self) -> bool:
        """Tells whether the spec is that of a search: it has a space.

        Raises:
            RequestError: It cannot be read.
        """
        source = self._source
        document = read_document(source) if isinstance(source, Path) else document_from(source)
        return "space" in document.content and "factors" not in document.content

    @property
    def _source(self) -> Path | Mapping[str, Any]:
        return Path(self.spec) if isinstance(self.spec, str) else self.spec

    def _overrides(self) -> Overrides:
        return parse_overrides(
            self.settings,
            self.num_seeds,
            self.fields,
            max_trials=self.max_trials,
            num_trials=self.num_trials,
        )

    @property
    def runs_folder(self) -> Path:
        """The absolute runs folder."""
        return runs_folder(self.runs)


def _check_networks(file: str, configurations: "Sequence[Settings]") -> None:
    """Accepts files of networks that are there and what they should be, each looked at once."""
    ours = [each for each in configurations if isinstance(each, Configuration)]
    evaluations = [configuration.evaluation for configuration in ours]
    different = {each.model_dump_json(): each for each in evaluations}
    try:
        for evaluation in different.values():
            check_network_files(evaluation)
    except ConfigurationError as error:
        raise ConfigurationError(f"{file}: {error}") from None
