"""A bundle that somebody sent: every part is compared with its hash before any of it is used.

Nothing in it says where a file is written: parts have one of a few forms of names, and the ledger
in it is checked row by row when it is imported.
"""

import hashlib
import json
import re
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from types import TracebackType
from typing import Any, Self

from qdexp.errors import RequestError
from qdexp.results import schema
from qdexp.results.ledger import Ledger
from qdexp.results.sources import SourceFile

FORMAT = "qdexp bundle"
VERSION = 1
MANIFEST = "manifest.json"
LEDGER = schema.LEDGER_FILE

MOST_MANIFEST_BYTES = 2**26
MOST_PARTS = 1_000_000

_TRIAL_FILE = re.compile(r"trials/([0-9a-f]{16})/([A-Za-z0-9_][A-Za-z0-9_. -]{0,150})")
_OTHER_FILE = re.compile(r"(?:report/|specs/|changes/)?[A-Za-z0-9_][A-Za-z0-9_.-]{0,150}")
_CHUNK = 2**20


def is_part_name(name: str) -> bool:
    """Tells whether a bundle may have a part of this name."""
    return bool(_TRIAL_FILE.fullmatch(name) or _OTHER_FILE.fullmatch(name))


class Bundle:
    """A bundle that was found whole; used as a context manager.

    Args:
        path: The file.

    Raises:
        RequestError: It is no bundle, is damaged, or is too large for this disk.
        LedgerError: Its ledger cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.origin = str(path.absolute())
        self._path = path
        try:
            self._archive = zipfile.ZipFile(path)
        except (OSError, zipfile.BadZipFile) as error:
            raise self._refusal("a runs folder or a bundle", str(error)) from error
        self._folder = TemporaryDirectory()
        try:
            self._parts = self._checked_manifest()
            for name in self._parts:
                self._check(name)
            self._extract_ledger()
            self.ledger = Ledger(Path(self._folder.name))
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, RuntimeError) as error:
            self._let_go()
            raise self._refusal("a whole bundle", str(error)) from error
        except BaseException:
            self._let_go()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.ledger.close()
        self._let_go()

    def _let_go(self) -> None:
        self._folder.cleanup()
        self._archive.close()

    def files(self, trial_id: str) -> Iterator[SourceFile]:
        """Yields the files that the bundle has of a trial."""
        for name, (size, _) in self._parts.items():
            match = _TRIAL_FILE.fullmatch(name)
            if match and match[1] == trial_id:
                yield SourceFile(
                    name=match[2], size=size, open=lambda name=name: self._archive.open(name)
                )

    def _checked_manifest(self) -> dict[str, tuple[int, str]]:
        """Returns size and hash of every part."""
        entries = self._archive.infolist()
        names = [entry.filename for entry in entries]
        if MANIFEST not in names:
            raise self._refusal("a bundle", f"a zip file without {MANIFEST}")
        if len(names) > MOST_PARTS or len(set(names)) != len(names):
            raise self._refusal("parts of different names", f"{len(names)} parts")
        if self._archive.getinfo(MANIFEST).file_size > MOST_MANIFEST_BYTES:
            raise self._refusal(f"a {MANIFEST} below {MOST_MANIFEST_BYTES} bytes", "a larger one")
        parts = self._parts_in(self._archive.read(MANIFEST))
        if set(parts) | {MANIFEST} != set(names):
            odd = sorted((set(parts) | {MANIFEST}) ^ set(names))
            raise self._refusal("the parts that its manifest lists", f"others: {', '.join(odd)}")
        if LEDGER not in parts:
            raise self._refusal(f"a {LEDGER} in it", "none")
        for name in parts:
            if not is_part_name(name):
                raise self._refusal("names of parts that a bundle has", repr(name))
        needed = sum(size for size, _ in parts.values())
        free = shutil.disk_usage(self._path.absolute().parent).free
        if needed > free:
            raise self._refusal(f"what fits into the {free:,} bytes that are free", f"{needed:,}")
        return parts

    def _parts_in(self, text: bytes) -> dict[str, tuple[int, str]]:
        try:
            manifest: dict[str, Any] = json.loads(text)
            found = manifest["format"], manifest["version"]
            parts = {
                str(name): (int(part["bytes"]), str(part["sha256"]))
                for name, part in manifest["parts"].items()
            }
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise self._refusal(f"a readable {MANIFEST}", repr(error)) from error
        if found != (FORMAT, VERSION):
            raise self._refusal(f"a {FORMAT} of version {VERSION}", " ".join(map(str, found)))
        return parts

    def _check(self, name: str) -> None:
        """Accepts a part whose bytes are those that the manifest says; reads no more than those."""
        size, sha256 = self._parts[name]
        entry = self._archive.getinfo(name)
        if entry.file_size != size:
            raise self._refusal(f"{name} of {size:,} bytes", f"{entry.file_size:,}")
        digest, num_read = hashlib.sha256(), 0
        with self._archive.open(name) as part:
            while chunk := part.read(_CHUNK):
                num_read += len(chunk)
                if num_read > size:
                    raise self._refusal(f"{name} of {size:,} bytes", "more")
                digest.update(chunk)
        if num_read != size or digest.hexdigest() != sha256:
            raise self._refusal(f"{name} as it was bundled", "other content")

    def _extract_ledger(self) -> None:
        with (
            self._archive.open(LEDGER) as part,
            Path(self._folder.name, LEDGER).open("wb") as target,
        ):
            shutil.copyfileobj(part, target, _CHUNK)

    def _refusal(self, expected: str, found: str) -> RequestError:
        return RequestError(
            f"{self._path}: expected {expected}, found {found}; nothing was imported: get the file "
            "anew, by `qdexp bundle` where it was made"
        )
