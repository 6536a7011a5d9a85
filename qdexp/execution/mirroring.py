"""What a mirror shows of a trial, made from the ledger: for a run as for a later look."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from qdexp.execution.ports import Begun, Entry, Reported
from qdexp.experiment.trial import Condition
from qdexp.results.folders import trial_folder
from qdexp.results.ledger import Ledger, SpecRecord, TrialRecord
from qdexp.results.outcome import Outcome, Progress


class NoTracker:
    """Mirrors nothing: the ledger is all that there is."""

    place = None

    def open_experiment(self, entry: Entry) -> None:
        """Does nothing."""

    def start_trial(self, begun: Begun) -> None:
        """Does nothing."""

    def log(self, trial_id: str, progress: Progress) -> None:
        """Does nothing."""

    def end_trial(self, outcome: Outcome, files: Sequence[Path]) -> None:
        """Does nothing."""

    def end_experiment(self, reported: Reported) -> None:
        """Does nothing."""

    def newly_mirrored(self) -> Sequence[str]:
        """Returns nothing."""
        return ()

    def close(self) -> Sequence[str]:
        """Returns nothing."""
        return ()


Draw = Callable[[Outcome, Path], Sequence[Path]]

_SHORT = ("commit", "dirty", "session", "host", "command")
"""Provenance that a mirror's tags hold beside versions and hardware; the ledger has all."""


def entry_of(spec: SpecRecord) -> Entry:
    """Returns what a mirror shows of an experiment, as its spec was last."""
    definition = spec.definition
    metrics = cast("dict[str, Any]", definition.get("metrics") or {})
    named = [metrics.get("primary"), *(metrics.get("secondary") or ())]
    return Entry(
        name=spec.experiment,
        question=str(definition.get("question", "")),
        spec=spec.text,
        metrics=tuple(str(name) for name in named if name),
        is_search="search" in definition,
    )


def begun_of(record: TrialRecord, condition: Condition, provenance: Mapping[str, Any]) -> Begun:
    """Returns a begun trial, at the time of its first start, so that a replay repeats nothing.

    Args:
        record: The trial.
        condition: Its levels in the experiment.
        provenance: This driver's; an outcome's own counts before it.
    """
    known = {**provenance, **(record.outcome.provenance if record.outcome else {})}
    return Begun(
        trial=record.trial,
        condition=condition,
        tags=short_provenance(known),
        started_at=record.started_at or record.finished_at or time.time(),
    )


def whole(outcome: Outcome, ledger: Ledger) -> Outcome:
    """Returns a trial's last outcome with its history and arrays."""
    history, arrays = ledger.history(outcome.trial_id), ledger.arrays(outcome.trial_id)
    return replace(outcome, history=history, arrays=arrays)


def short_provenance(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Returns provenance as few texts: a mirror's page lists each."""
    texts = {name: str(provenance[name]) for name in _SHORT if name in provenance}
    for name in ("versions", "hardware"):
        several = provenance.get(name)
        if isinstance(several, dict):
            items = cast("dict[str, Any]", several).items()
            texts[name] = ", ".join(f"{key} {value}" for key, value in items)
    return texts


def drawn(outcome: Outcome, runs: Path, draw: Draw) -> tuple[Sequence[Path], str]:
    """Draws an outcome; returns its pictures, and in words what could not be drawn.

    One that cannot be drawn is as good a result as any other.
    """
    folder = trial_folder(runs, outcome.trial_id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return draw(outcome, folder), ""
    except (OSError, ValueError, ArithmeticError) as error:
        return (), f"the pictures of trial {outcome.trial_id}: {error}"
