"""One experiment in one file: its part of the ledger, and what people read without it.

Equal content gives equal bytes: nothing in the file says when or where it was made.
"""

import hashlib
import json
import os
import sqlite3
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import IO, Any

from qdexp.errors import RequestError
from qdexp.results import schema
from qdexp.results.bundle_reading import FORMAT, LEDGER, MANIFEST, VERSION, is_part_name
from qdexp.results.folders import FINAL_CHECKPOINT, trial_folder
from qdexp.results.foreign import outcome_rows
from qdexp.results.ledger import Ledger
from qdexp.results.provenance import LONG_FACTS
from qdexp.results.records import Row
from qdexp.results.sources import RunsFolder

_THE_SAME_TIME = (1980, 1, 1, 0, 0, 0)
_CHECKPOINTS = (".pt", ".ckpt")
_PACKED = (*_CHECKPOINTS, ".gif", ".png", ".mp4")
_CHUNK = 2**20

_ABOUT = """\
The experiment {name}, as `qdexp bundle {name}` wrote it.

report/       the report: open report.html
specs/        every text that its spec has had, the last one being the present one
trials/       files of its trials: clips, pictures, logs{checkpoints}
provenance.json  where each trial ran and with what
changes/      changes of the code that were not committed, by the hash that provenance.json names
ledger.sqlite the numbers

`qdexp import FILE` adds all of it to a runs folder.
"""


_OF_TRIAL = {
    "trials": "SELECT * FROM trials WHERE trial_id = ?",
    "starts": "SELECT * FROM starts WHERE trial_id = ? ORDER BY rowid",
    "disagreements": "SELECT * FROM disagreements WHERE trial_id = ? ORDER BY sha256",
}
_OF_EXPERIMENT = {
    "specs": "SELECT NULL, experiment, recorded_at, file, text, definition FROM specs"
    " WHERE experiment = ? ORDER BY spec_id",
    "members": "SELECT * FROM members WHERE experiment = ? ORDER BY trial_id",
    "suggestions": "SELECT * FROM suggestions WHERE search = ? ORDER BY number",
    "tellings": "SELECT * FROM tellings WHERE search = ? ORDER BY number",
    "rungs": "SELECT * FROM rungs WHERE search = ? ORDER BY trial_id, step",
    "spent": "SELECT * FROM spent WHERE search = ? ORDER BY rowid",
}


@dataclass(frozen=True, kw_only=True)
class Bundled:
    """What a bundle has: trials, parts and bytes."""

    num_trials: int
    num_parts: int
    num_bytes: int


def write_bundle(
    name: str, runs: Path, report: Mapping[str, Path], out: Path, *, with_checkpoints: bool
) -> Bundled:
    """Writes an experiment into one file.

    Args:
        name: The experiment.
        runs: The runs folder.
        report: The report's files, by the name that each gets.
        out: Where to; replaced if it is there.
        with_checkpoints: Whether final checkpoints are put in.

    Raises:
        NotFoundError: There is no such experiment.
        LedgerError: The ledger cannot be read.
        RequestError: The file cannot be written.
    """
    passing = out.with_name(f".{out.name}.{os.getpid()}.tmp")
    try:
        with closing(RunsFolder(runs).ledger) as ledger, TemporaryDirectory() as folder:
            ledger.specs(name)
            with ledger.snapshot():
                slice_file = Path(folder, LEDGER)
                _write_slice(name, ledger, slice_file)
                texts = _texts(name, ledger, with_checkpoints=with_checkpoints)
            files = {f"report/{key}": path for key, path in report.items()} | {LEDGER: slice_file}
            trial_ids = [member.trial_id for member in ledger.members(name)]
            files |= dict(_trial_files(runs, trial_ids, with_checkpoints=with_checkpoints))
            num_parts = _write_archive(passing, texts, files)
        size = passing.stat().st_size
        passing.replace(out)
    except OSError as error:
        raise RequestError(
            f"--out: expected a file that can be written, found {out}: {error.strerror or error}"
        ) from None
    finally:
        passing.unlink(missing_ok=True)
    return Bundled(num_trials=len(trial_ids), num_parts=num_parts, num_bytes=size)


def _trial_files(
    runs: Path, trial_ids: list[str], *, with_checkpoints: bool
) -> Iterator[tuple[str, Path]]:
    source = RunsFolder(runs)
    with closing(source.ledger):
        for trial_id in trial_ids:
            for file in source.files(trial_id):
                part = f"trials/{trial_id}/{file.name}"
                is_wanted = with_checkpoints and file.name == FINAL_CHECKPOINT
                if is_part_name(part) and (is_wanted or not file.name.endswith(_CHECKPOINTS)):
                    yield part, trial_folder(runs, trial_id) / file.name


def _texts(name: str, ledger: Ledger, *, with_checkpoints: bool) -> dict[str, bytes]:
    """Returns the parts for people, by name."""
    about = _ABOUT.format(name=name, checkpoints=", checkpoints" if with_checkpoints else "")
    parts = {"README.txt": about}
    for number, spec in enumerate(ledger.specs(name), 1):
        parts[f"specs/{number:03}.yaml"] = spec.text
    facts = {
        member.trial_id: member.outcome.provenance
        for member in ledger.members(name)
        if member.outcome
    }
    parts["provenance.json"] = json.dumps(facts, indent=1, sort_keys=True) + "\n"
    for sha256 in {str(each["diff"]) for each in facts.values() if "diff" in each}:
        parts[f"changes/{sha256}.diff"] = ledger.text(sha256) or ""
    return {part: text.encode() for part, text in parts.items()}


def _write_slice(name: str, ledger: Ledger, file: Path) -> None:
    """Writes a ledger that has one experiment only, with numbers that begin at 1."""
    with closing(sqlite3.connect(file, isolation_level=None)) as write:
        write.executescript(f"PRAGMA journal_mode = OFF; {schema.TABLES}")
        write.execute(f"PRAGMA user_version = {schema.SCHEMA_VERSION}")
        write.execute("BEGIN")
        for trial_id in sorted(member.trial_id for member in ledger.members(name)):
            for table, query in _OF_TRIAL.items():
                _add_all(write, table, ledger.rows(query, trial_id))
            _copy_outcomes(ledger, write, trial_id)
        for table, query in _OF_EXPERIMENT.items():
            _add_all(write, table, ledger.rows(query, name))
        for sha256 in _long_texts(write):
            _add_all(write, "texts", ledger.rows("SELECT * FROM texts WHERE sha256 = ?", sha256))
        write.execute("COMMIT")


def _add_all(write: sqlite3.Connection, table: str, rows: Iterable[Row]) -> None:
    for row in rows:
        write.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(row))})", row)


def _long_texts(write: sqlite3.Connection) -> list[str]:
    """Returns the hashes of the long texts that the copied outcomes refer to."""
    facts: list[dict[str, Any]] = [
        json.loads(row[0]) for row in write.execute("SELECT provenance FROM outcomes")
    ]
    return sorted({str(each[name]) for each in facts for name in LONG_FACTS & each.keys()})


def _copy_outcomes(ledger: Ledger, write: sqlite3.Connection, trial_id: str) -> None:
    for row in outcome_rows(ledger, trial_id):
        added = write.execute(
            "INSERT INTO outcomes VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?)", (trial_id, *row.values)
        )
        blocks = ledger.rows(
            "SELECT kind, name, block FROM blocks WHERE outcome_id = ? ORDER BY kind, name",
            row.outcome_id,
        )
        write.executemany(
            "INSERT INTO blocks VALUES (?, ?, ?, ?)",
            [(added.lastrowid, *block) for block in blocks],
        )
        if row.because is not None:
            write.execute(
                "INSERT INTO invalidations VALUES (?, ?, ?, '')",
                (added.lastrowid, row.invalidated_at, row.because),
            )


def _write_archive(path: Path, texts: Mapping[str, bytes], files: Mapping[str, Path]) -> int:
    """Writes all parts in the order of their names, and what they are last; returns how many."""
    parts: dict[str, dict[str, Any]] = {}
    with zipfile.ZipFile(path, "w") as archive:
        for name in sorted({*texts, *files}):
            with archive.open(_entry(name), "w", force_zip64=True) as part:
                parts[name] = _write_part(part, texts.get(name), files.get(name))
        manifest = {"format": FORMAT, "version": VERSION, "parts": parts}
        archive.writestr(_entry(MANIFEST), json.dumps(manifest, indent=1, sort_keys=True) + "\n")
    with path.open("rb") as written:
        os.fsync(written.fileno())
    return len(parts)


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, date_time=_THE_SAME_TIME)
    entry.compress_type = zipfile.ZIP_STORED if name.endswith(_PACKED) else zipfile.ZIP_DEFLATED
    entry.create_system = 3  # the same wherever it is made
    entry.external_attr = 0o100644 << 16
    return entry


def _write_part(part: IO[bytes], text: bytes | None, file: Path | None) -> dict[str, Any]:
    if file is None:
        size, digest = _write_chunks(part, [text or b""])
    else:
        with file.open("rb") as source:
            size, digest = _write_chunks(part, iter(lambda: source.read(_CHUNK), b""))
    return {"bytes": size, "sha256": digest}


def _write_chunks(part: IO[bytes], chunks: Iterable[bytes]) -> tuple[int, str]:
    digest, size = hashlib.sha256(), 0
    for chunk in chunks:
        part.write(chunk)
        digest.update(chunk)
        size += len(chunk)
    return size, digest.hexdigest()
