"""The clips behind a configuration, as the use cases see them; importing this loads no torch."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from qdexp.config.data_config import DataConfig
from qdexp.data.fingerprint import fingerprint, given_manifest
from qdexp.data.hash_index import INDEX, HashIndex
from qdexp.data.manifest import Manifest, are_whole, damaged_shard
from qdexp.data.whole_folder import parts_of
from qdexp.errors import DataError

if TYPE_CHECKING:
    from qdexp.data.video_encoding import EncodingProgress


def _nothing(_told: object) -> None:
    pass


class LatentDataset:
    """A `Dataset` whose latents are made once, in a folder per content in ``<cache>/latents``.

    Args:
        cache: Where hashes of videos are remembered, if anywhere; only `prepare` writes there.
        watch: Hears how far an encoding of videos is.
        say: Hears, in words, which videos are bad and what else is worth knowing of them.
    """

    def __init__(
        self,
        cache: Path | None = None,
        *,
        watch: "Callable[[EncodingProgress], None]" = _nothing,
        say: Callable[[str], None] = _nothing,
    ) -> None:
        self._cache = cache
        self._hashes = HashIndex(cache and cache / INDEX)
        self._watch = watch
        self._say = say

    def fingerprint(self, config: DataConfig) -> str:
        """Returns a hash of the inputs, without computing latents or importing torch.

        Raises:
            DataError: The videos or the latents are not where the configuration says, or not what
                it says.
        """
        found = fingerprint(config, self._hashes)
        if config.kind == "video_folder" and self._cache is not None:
            self._check_earlier(config, _folder(self._cache, found))
        return found

    def prepare(self, config: DataConfig, cache: Path) -> Path:
        """Makes the latents if they are missing or damaged, and returns their absolute folder.

        Raises:
            DataError: The installed libraries make other clips than every other machine, the
                inputs are not what they should be, or the cache cannot be written.
        """
        if config.kind == "latents":
            return self._checked(config)
        identity = self.fingerprint(config)
        folder = _folder(cache, identity)
        try:
            if are_whole(folder, fingerprint=identity):  # then nobody waits for torch
                manifest = Manifest.read(folder)
                shutil.rmtree(parts_of(folder), ignore_errors=True)  # of a driver that was killed
            else:
                manifest = self._made(config, folder)
            self._hashes.save()
        except OSError as error:
            raise DataError(
                f"{folder}: expected a cache that can be written, found {error}; free space there "
                "or choose another runs folder"
            ) from error
        self._tell(manifest)
        manifest.check_fits(config, Path(config.path or folder))
        return folder

    def _made(self, config: DataConfig, folder: Path) -> Manifest:
        from qdexp.data.preparation import prepare_latents  # noqa: PLC0415 - it needs torch

        return prepare_latents(config, folder, hashes=self._hashes, watch=self._watch)

    def _check_earlier(self, config: DataConfig, folder: Path) -> None:
        """Refuses more clips than there are, where that is known from an earlier encoding."""
        try:
            manifest = Manifest.read_alone(folder)
        except DataError:
            return
        manifest.check_fits(config, Path(config.path or folder))

    def _checked(self, config: DataConfig) -> Path:
        """Returns the folder of latents that are there, whole."""
        folder = Path(config.path or ".").absolute()
        manifest = given_manifest(config)
        manifest.check_fits(config, folder)
        damaged = damaged_shard(folder, manifest)
        if damaged is not None:
            raise DataError(
                f"{folder / damaged}: expected the bytes that were written, found others: encode "
                "the videos again with qdexp encode"
            )
        self._tell(manifest)
        return folder

    def _tell(self, manifest: Manifest) -> None:
        for line in notices(manifest):
            self._say(line)


def _folder(cache: Path, identity: str) -> Path:
    return cache.absolute() / "latents" / identity[:16]


def notices(manifest: Manifest) -> Iterable[str]:
    """Yields what a user should know of the videos behind latents, problems last."""
    yield from (f"note: {note}" for note in manifest.notes)
    yield from (f"bad video: {problem}" for problem in manifest.problems)
