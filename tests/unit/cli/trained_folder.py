"""What a training leaves in its folder, and what may happen to it."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome, Progress
from qdexp.training import run_trial

TRAIN = run_trial.run_trial


def outcome(folder: str) -> Outcome:
    return Outcome.from_json((Path(folder) / "outcome.json").read_text())


def results(folder: str) -> dict[str, Any]:
    """Returns all that was measured, times and memory excepted."""
    found = outcome(folder)
    numbers = {**found.measurements, **found.history}
    return {name: value for name, value in numbers.items() if not name.startswith("cost.")}


def names(folder: str) -> set[str]:
    return {path.name for path in Path(folder).iterdir()}


def signals_at(
    monkeypatch: pytest.MonkeyPatch,
    step: int,
    *,
    number: signal.Signals = signal.SIGINT,
) -> None:
    """Lets Ctrl-C, or another signal, come while the training is on its way to a step."""

    def interrupted(trial: Trial, workspace: Workspace) -> Iterator[Progress | Outcome]:
        for report in (reports := TRAIN(trial, workspace)):
            if report.step == step:
                signal.raise_signal(number)
            try:
                yield report
            except GeneratorExit:
                reports.close()
                raise

    monkeypatch.setattr(run_trial, "run_trial", interrupted)


def damaged(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
