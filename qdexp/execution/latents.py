"""The latents that an experiment's trials read, each made once."""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.config.own_configuration import OwnConfiguration
from qdexp.execution.collaborators import Collaborators
from qdexp.experiment.plan import PlannedTrial
from qdexp.results.folders import cache_folder

if TYPE_CHECKING:
    from qdexp.config.data_config import DataConfig


class Latents:
    """Makes latents before the first trial that needs them.

    Args:
        runs: The runs folder.
        outside: Who makes them, and who hears of it.
    """

    def __init__(self, runs: Path, outside: Collaborators) -> None:
        self._runs = runs
        self._outside = outside
        self.folders: dict[DataConfig, Path] = {}

    def prepare(self, to_run: Iterable[PlannedTrial]) -> None:
        """Makes the latents that these trials need and that are not made yet."""
        for planned in to_run:
            if isinstance(planned.trial.configuration, OwnConfiguration):
                continue  # its data are its own
            data = planned.trial.ours.data
            if data not in self.folders:
                what = f"{data.kind} latents by {data.autoencoder}"
                self._outside.display.on_preparation(what)
                cache = cache_folder(self._runs)
                self.folders[data] = self._outside.dataset.prepare(data, cache)
