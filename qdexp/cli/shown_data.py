"""One trial as data: what `qdexp show --json` prints."""

from dataclasses import asdict
from typing import Any

from qdexp.api.known import ShownTrial
from qdexp.results.outcome import Outcome
from qdexp.results.records import OtherOutcome


def shown_as_data(found: ShownTrial) -> dict[str, Any]:
    """Returns all that `qdexp show` knows of a trial, by names that stay."""
    record = found.record
    outcome = record.outcome
    return {
        "trial_id": record.trial_id,
        "state": found.state,
        "experiments": list(found.experiments),
        "seed": record.trial.seed,
        "data": record.trial.data_fingerprint,
        "trainable": record.trial.trainable,
        "revision": record.revision,
        "configuration": record.trial.configuration.fields(),
        "num_starts": record.num_starts,
        "started_at": record.started_at,
        "finished_at": record.finished_at,
        "outcome": _outcome(outcome) if outcome else None,
        "invalidated": record.invalidated,
        "set_aside": [{"folder": name, "because": why} for name, why in found.set_aside],
        "history": {name: asdict(series) for name, series in found.history.items()},
        "provenance": outcome.provenance if outcome else {},
        "changes": found.changes,
        "spec": found.spec
        and {
            "file": found.spec.file,
            "recorded_at": found.spec.recorded_at,
            "text": found.spec.text,
        },
        "others": [_other(each) for each in found.others],
        "folder": str(found.folder),
        "files": _files(found),
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "status": outcome.status,
        "step": outcome.step,
        "measurements": outcome.measurements,
        "warnings": list(outcome.warnings),
        "failure": asdict(outcome.failure) if outcome.failure else None,
    }


def _other(other: OtherOutcome) -> dict[str, Any]:
    return {
        "origin": other.origin,
        "noticed_at": other.noticed_at,
        "status": other.outcome.status,
        "measurements": other.outcome.measurements,
        "differences": [asdict(each) for each in other.numbers],
    }


def _files(found: ShownTrial) -> list[dict[str, Any]]:
    if not found.folder.is_dir():
        return []
    return [
        {"name": path.name, "bytes": path.stat().st_size}
        for path in sorted(found.folder.iterdir())
        if path.is_file()
    ]
