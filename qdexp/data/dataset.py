"""The clips behind a configuration, as the use cases see them; importing this loads no torch."""

from pathlib import Path

from qdexp.config.sections import DataConfig
from qdexp.data.fingerprint import fingerprint
from qdexp.errors import DataError


class LatentDataset:
    """A `Dataset` whose latents are made once, in a folder per content in ``<cache>/latents``."""

    def fingerprint(self, config: DataConfig) -> str:
        """Returns a hash of the inputs, without computing latents or importing torch."""
        return fingerprint(config)

    def prepare(self, config: DataConfig, cache: Path) -> Path:
        """Makes the latents if they are missing or damaged, and returns their absolute folder.

        Raises:
            DataError: The installed libraries make other clips than every other machine, or the
                cache cannot be written.
        """
        from qdexp.data.preparation import prepare_latents  # noqa: PLC0415 - it needs torch

        folder = cache.absolute() / "latents" / fingerprint(config)[:16]
        try:
            prepare_latents(config, folder)
        except OSError as error:
            raise DataError(
                f"{folder}: expected a cache that can be written, found {error}; free space there "
                "or choose another runs folder"
            ) from error
        return folder
