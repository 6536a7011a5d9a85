"""The ledger's tables, and how numbers become binary blocks.

Rows are only ever added, but for `members.asked_for`, which follows the spec, and
`mirrored`, which follows the tracker. A trial's outcome with the greatest id is its last one;
what is imported and comes before others gets an id below all of them, which may be negative.
"""

import sqlite3
import sys
import zlib
from array import array
from typing import cast

from qdexp.errors import LedgerError
from qdexp.results.outcome import Array, Series

SCHEMA_VERSION = 3
LEDGER_FILE = "ledger.sqlite"

BUSY_SECONDS = 30
"""How long to wait for a process that holds the file locked."""

MOST_BLOCK_BYTES = 2**30
"""No history or array is larger; a block that claims to be is damaged or made to harm."""

_ADDED_BY_2 = """
CREATE TABLE invalidations (     -- outcomes that count no more, and why
    outcome_id     INTEGER PRIMARY KEY REFERENCES outcomes,
    invalidated_at REAL NOT NULL,
    because        TEXT NOT NULL,
    set_aside      TEXT          -- where its trial's folder was moved, '' if there was none
);
CREATE TABLE disagreements (     -- imported outcomes of trials that had another result
    trial_id   TEXT NOT NULL REFERENCES trials,
    sha256     TEXT NOT NULL,    -- of the outcome's JSON
    noticed_at REAL NOT NULL,
    origin     TEXT NOT NULL,
    outcome    BLOB NOT NULL,    -- JSON, compressed
    PRIMARY KEY (trial_id, sha256)
) WITHOUT ROWID;
CREATE TABLE texts (             -- long texts that provenance refers to, such as code changes
    sha256 TEXT PRIMARY KEY,
    text   TEXT NOT NULL
) WITHOUT ROWID;
"""

_ADDED_BY_3 = """
CREATE TABLE suggestions (       -- configurations that a search tries, in order
    search       TEXT NOT NULL,  -- the experiment's name
    number       INTEGER NOT NULL,
    suggested_at REAL NOT NULL,
    content      TEXT NOT NULL,  -- JSON: values by field, origin, attributes, trial ids
    PRIMARY KEY (search, number)
) WITHOUT ROWID;
CREATE TABLE tellings (          -- how each of them ended
    search  TEXT NOT NULL,
    number  INTEGER NOT NULL,
    told_at REAL NOT NULL,
    content TEXT NOT NULL,       -- JSON: ending, values, reason
    PRIMARY KEY (search, number)
) WITHOUT ROWID;
CREATE TABLE rungs (             -- what running trials reported where they may be stopped early
    search   TEXT NOT NULL,
    trial_id TEXT NOT NULL REFERENCES trials,
    step     INTEGER NOT NULL,
    value    REAL NOT NULL,
    PRIMARY KEY (search, trial_id, step)
) WITHOUT ROWID;
CREATE TABLE spent (             -- how long trials of a search ran, bit by bit as they did
    search      TEXT NOT NULL,
    recorded_at REAL NOT NULL,
    seconds     REAL NOT NULL,   -- in which at least one of them ran
    gpu_seconds REAL NOT NULL    -- of all of them times the GPUs of each
);
CREATE INDEX spent_on ON spent (search);
"""

TABLES = (
    """
CREATE TABLE specs (            -- every text that an experiment's spec has had
    spec_id     INTEGER PRIMARY KEY,
    experiment  TEXT NOT NULL,
    recorded_at REAL NOT NULL,  -- seconds since 1970
    file        TEXT NOT NULL,
    text        TEXT NOT NULL,
    definition  TEXT NOT NULL   -- JSON: question, factors, seeds, metrics
);
CREATE INDEX specs_of ON specs (experiment, spec_id);
CREATE TABLE trials (
    trial_id      TEXT PRIMARY KEY,
    trajectory_id TEXT NOT NULL,
    content       TEXT NOT NULL, -- JSON: the trial, complete
    recorded_at   REAL NOT NULL,
    revision      INTEGER        -- RESULTS_REVISION that is in the id; NULL if never noted
) WITHOUT ROWID;
CREATE INDEX trials_on ON trials (trajectory_id);
CREATE TABLE members (           -- which trials an experiment asks, or once asked, for
    experiment TEXT NOT NULL,
    trial_id   TEXT NOT NULL REFERENCES trials,
    position   INTEGER NOT NULL,
    condition  TEXT NOT NULL,    -- JSON: a level for every factor
    asked_for  INTEGER NOT NULL,
    PRIMARY KEY (experiment, trial_id)
) WITHOUT ROWID;
CREATE INDEX members_of ON members (trial_id);
CREATE TABLE starts (
    trial_id   TEXT NOT NULL REFERENCES trials,
    started_at REAL NOT NULL,
    started_from TEXT            -- the other trial whose checkpoint it began with, if any
);
CREATE INDEX starts_of ON starts (trial_id);
CREATE TABLE outcomes (
    outcome_id   INTEGER PRIMARY KEY,
    trial_id     TEXT NOT NULL REFERENCES trials,
    recorded_at  REAL NOT NULL,
    status       TEXT NOT NULL,
    step         INTEGER NOT NULL,
    measurements TEXT NOT NULL,  -- JSON: metric to number
    warnings     TEXT NOT NULL,  -- JSON: list of sentences
    failure      TEXT,           -- JSON: reason, kind, step, traceback
    provenance   TEXT NOT NULL   -- JSON
);
CREATE INDEX outcomes_of ON outcomes (trial_id, outcome_id);
CREATE TABLE mirrored (          -- outcomes that a tracker shows under an experiment
    experiment TEXT NOT NULL,
    outcome_id INTEGER NOT NULL REFERENCES outcomes,
    place      TEXT NOT NULL,    -- its address, without a password; '' is the runs folder's own
    PRIMARY KEY (experiment, outcome_id, place)
) WITHOUT ROWID;
CREATE TABLE blocks (
    outcome_id INTEGER NOT NULL REFERENCES outcomes,
    kind       TEXT NOT NULL,    -- history or array
    name       TEXT NOT NULL,
    block      BLOB NOT NULL,
    PRIMARY KEY (outcome_id, kind, name)
) WITHOUT ROWID;
"""
    + _ADDED_BY_2
    + _ADDED_BY_3
)

UPGRADES = {
    1: """
ALTER TABLE trials ADD COLUMN revision INTEGER;
ALTER TABLE starts ADD COLUMN started_from TEXT;
ALTER TABLE mirrored RENAME TO mirrored_in_folder;
CREATE TABLE mirrored (
    experiment TEXT NOT NULL,
    outcome_id INTEGER NOT NULL REFERENCES outcomes,
    place      TEXT NOT NULL,
    PRIMARY KEY (experiment, outcome_id, place)
) WITHOUT ROWID;
INSERT INTO mirrored SELECT experiment, outcome_id, '' FROM mirrored_in_folder;
DROP TABLE mirrored_in_folder;
"""
    + _ADDED_BY_2,
    2: _ADDED_BY_3,
}
"""From each older version to the one after it."""


def is_blank(connection: sqlite3.Connection) -> bool:
    """Tells whether nothing was ever committed: the file was made and its writer then killed."""
    (num_tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    return num_tables == 0 and version == 0


def version_of(connection: sqlite3.Connection, path: str) -> int:
    """Returns the version of a ledger.

    Raises:
        LedgerError: It is not one that this code knows.
    """
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version not in (*UPGRADES, SCHEMA_VERSION):
        raise LedgerError(
            f"{path}: expected ledger version {SCHEMA_VERSION} or older, found {version}; it was "
            "written by another version of qdexp: use that one, or another runs folder"
        )
    return version


def upgrade(connection: sqlite3.Connection, path: str) -> None:
    """Brings a ledger of an older version up to this one, in one transaction.

    Raises:
        LedgerError: The version is not one that this code knows.
    """
    steps = [UPGRADES[each] for each in range(version_of(connection, path), SCHEMA_VERSION)]
    if steps:
        version = f"PRAGMA user_version = {SCHEMA_VERSION};"
        connection.executescript(f"BEGIN IMMEDIATE; {''.join(steps)} {version} COMMIT;")


def block_from_series(series: Series) -> bytes:
    """Packs a history: little-endian 64-bit steps, then values, compressed."""
    return _pack(array("q", series.steps)) + _pack(array("d", series.values))


def parts_of_block(block: bytes) -> tuple[bytes, bytes]:
    """Returns the two parts of a block, still packed: steps or a shape, and values."""
    end = 8 + int.from_bytes(block[:8], "little")
    return block[:end], block[end:]


def integers_from_part(part: bytes) -> "array[int]":
    """Unpacks the first part of a block without making objects of its numbers.

    Raises:
        ValueError: The part is damaged.
        zlib.error: Likewise.
    """
    return cast("array[int]", _unpack("q", part)[0])


def floats_from_part(part: bytes) -> "array[float]":
    """Unpacks the second part of a block without making objects of its numbers.

    Raises:
        ValueError: The part is damaged.
        zlib.error: Likewise.
    """
    return cast("array[float]", _unpack("d", part)[0])


def series_from_block(block: bytes) -> Series:
    """Unpacks what `block_from_series` packed.

    Raises:
        ValueError: The block is damaged.
        zlib.error: Likewise.
    """
    steps, rest = _unpack("q", block)
    values, _ = _unpack("d", rest)
    return Series(steps=tuple(map(int, steps)), values=tuple(values))


def block_from_array(numbers: Array) -> bytes:
    """Packs an array: its shape, then its values, each as `_pack` does."""
    return _pack(array("q", numbers.shape)) + _pack(array("d", numbers.values))


def array_from_block(block: bytes) -> Array:
    """Unpacks what `block_from_array` packed.

    Raises:
        ValueError: The block is damaged.
        zlib.error: Likewise.
    """
    shape, rest = _unpack("q", block)
    values, _ = _unpack("d", rest)
    return Array(shape=tuple(map(int, shape)), values=tuple(values))


def _pack(numbers: "array[int] | array[float]") -> bytes:
    if sys.byteorder == "big":
        numbers.byteswap()
    compressed = zlib.compress(numbers.tobytes())
    return len(compressed).to_bytes(8, "little") + compressed


def _unpack(typecode: str, block: bytes) -> tuple["array[int] | array[float]", bytes]:
    end = 8 + int.from_bytes(block[:8], "little")
    unpacking = zlib.decompressobj()
    content = unpacking.decompress(block[8:end], MOST_BLOCK_BYTES)
    if not unpacking.eof:
        raise ValueError("a block of numbers ends before its end, or has too many")
    numbers = array(typecode, content)
    if sys.byteorder == "big":
        numbers.byteswap()
    return numbers, block[end:]
