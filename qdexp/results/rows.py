"""How an outcome becomes rows of the ledger."""

import json
import sqlite3
import time
from dataclasses import asdict

from qdexp.results import schema
from qdexp.results.outcome import Outcome


def add_outcome(write: sqlite3.Connection, outcome: Outcome) -> None:
    """Adds an outcome, with its history and arrays, as its trial's last one."""
    failure = json.dumps(asdict(outcome.failure)) if outcome.failure else None
    cursor = write.execute(
        "INSERT INTO outcomes (trial_id, recorded_at, status, step, measurements,"
        " warnings, failure, provenance) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            outcome.trial_id,
            time.time(),
            outcome.status,
            outcome.step,
            json.dumps(outcome.measurements),
            json.dumps(outcome.warnings),
            failure,
            json.dumps(outcome.provenance),
        ),
    )
    blocks = [
        ("history", name, schema.block_from_series(series))
        for name, series in outcome.history.items()
    ] + [
        ("array", name, schema.block_from_array(numbers))
        for name, numbers in outcome.arrays.items()
    ]
    write.executemany(
        "INSERT INTO blocks VALUES (?, ?, ?, ?)",
        [(cursor.lastrowid, *block) for block in blocks],
    )
