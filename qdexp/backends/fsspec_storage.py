# pyright: basic
"""A storage behind a URI: a bucket, a server, or a folder, through fsspec."""

import os
import uuid
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import fsspec
from fsspec.core import url_to_fs

from qdexp.errors import RequestError

_WHOLE_AT_ONCE = {"s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "adl", "oci", "memory"}
"""Protocols whose files appear when their last byte is there; elsewhere they are renamed then."""


class FsspecStorage:
    """A storage behind a URI.

    Args:
        uri: Such as ``s3://bucket/folder`` or ``file:///mnt/folder``.

    Raises:
        RequestError: No installed package knows its protocol.
    """

    def __init__(self, uri: str) -> None:
        try:
            self._files, self._root = url_to_fs(uri, use_listings_cache=False)
        except (ImportError, ValueError) as error:
            known = ", ".join(sorted(fsspec.available_protocols()))
            raise RequestError(
                f"--storage: expected a URI of one of the protocols {known}, found '{uri}': {error}"
            ) from error
        protocol = self._files.protocol
        names = {protocol} if isinstance(protocol, str) else set(protocol)
        self._is_whole_at_once = bool(names & _WHOLE_AT_ONCE)

    def check(self) -> None:
        """Accepts a storage that can be written, read and emptied.

        Raises:
            OSError: It cannot.
        """
        name = f"check-{uuid.uuid4().hex}"
        with _as_os_error():
            self._files.makedirs(self._root, exist_ok=True)
            self._files.pipe_file(self._path(name), b"qdexp")
            found = self._files.cat_file(self._path(name))
            self._files.rm(self._path(name))
        if found != b"qdexp":
            raise OSError(f"read {found!r} where b'qdexp' was written")

    def sizes(self, folder: str) -> Mapping[str, int]:
        """Returns the bytes of every file under a folder, by its name below it; empty if none."""
        above = self._path(folder)
        with _as_os_error():
            try:
                found = self._files.find(above, detail=True)
            except FileNotFoundError:
                return {}
        start = len(above.rstrip("/")) + 1
        return {
            path[start:]: int(each["size"] or 0)
            for path, each in found.items()
            if each["type"] == "file" and not path.endswith(".part")
        }

    def put(self, file: Path, name: str) -> None:
        """Stores a file; who reads that name sees the former content or all of the new one."""
        path = self._path(name)
        with _as_os_error():
            self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
            if self._is_whole_at_once:
                self._files.put_file(str(file), path)
                return
            partial = f"{path}.{uuid.uuid4().hex}.part"
            self._files.put_file(str(file), partial)
            self._files.mv(partial, path)

    def get(self, name: str, file: Path) -> None:
        """Fetches a file, which appears under its path with all of its content."""
        file.parent.mkdir(parents=True, exist_ok=True)
        partial = file.with_name(f"{file.name}.{os.getpid()}.part")
        try:
            with _as_os_error():
                self._files.get_file(self._path(name), str(partial))
            partial.replace(file)
        finally:
            partial.unlink(missing_ok=True)

    def remove(self, name: str) -> None:
        """Removes a file, or a folder with all in it; what is not there is removed already."""
        with _as_os_error():
            try:
                self._files.rm(self._path(name), recursive=True)
            except FileNotFoundError:
                return

    def _path(self, name: str) -> str:
        return f"{self._root.rstrip('/')}/{name}"


def usable_storage(uri: str) -> FsspecStorage:
    """Returns the storage at a URI, after it was written and read.

    Raises:
        RequestError: It cannot be.
    """
    storage = FsspecStorage(uri)
    try:
        storage.check()
    except OSError as error:
        raise RequestError(
            f"--storage: expected a storage that can be written and read, found {uri}: {error}"
        ) from error
    return storage


@contextmanager
def _as_os_error() -> Generator[None]:
    """Makes an OSError of whatever a storage's own package raises."""
    try:
        yield
    except (OSError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except Exception as error:
        raise OSError(f"{type(error).__name__}: {error}") from error
