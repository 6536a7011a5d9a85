"""A newest checkpoint that is damaged is passed over, aloud, for the one before."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome
from qdexp.training.run_trial import run_trial


def finished(trial: Trial, folder: Path, latents: Path) -> Outcome:
    *_, outcome = run_trial(trial, Workspace(folder=folder, latents=latents))
    assert isinstance(outcome, Outcome)
    return outcome


def truncate(content: bytearray) -> None:
    del content[len(content) // 2 :]


def lose_the_end(content: bytearray) -> None:
    del content[-1:]


def empty(content: bytearray) -> None:
    content.clear()


def flip_a_bit(content: bytearray) -> None:
    content[len(content) // 3] ^= 0b1000


def flip_a_bit_of_the_hash(content: bytearray) -> None:
    content[-1] ^= 1


@pytest.mark.parametrize(
    "damage", [truncate, lose_the_end, empty, flip_a_bit, flip_a_bit_of_the_hash]
)
def test_damaged_newest_checkpoint_is_passed_over_with_a_warning(
    trial: Trial, latents: Path, tmp_path: Path, damage: Callable[[bytearray], None]
) -> None:
    whole = finished(trial, tmp_path / "whole", latents)
    reports = run_trial(trial, Workspace(folder=tmp_path / "trial", latents=latents))
    for report in reports:
        if report.step == 4:
            break
    reports.close()
    newest = tmp_path / "trial" / "checkpoint_step_4.pt"
    content = bytearray(newest.read_bytes())
    damage(content)
    newest.write_bytes(content)

    outcome = finished(trial, tmp_path / "trial", latents)
    assert [w for w in outcome.warnings if "checkpoint_step_4.pt is damaged" in w]
    assert outcome.provenance["resumed_from_step"] == 3
    assert outcome.history["train.loss"] == whole.history["train.loss"]
    assert outcome.arrays == whole.arrays


def test_training_without_a_whole_checkpoint_begins_again(
    trial: Trial, latents: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "trial"
    whole = finished(trial, folder, latents)
    for path in folder.glob("*.pt"):
        path.write_bytes(path.read_bytes()[:100])
    outcome = finished(trial, folder, latents)
    assert outcome.provenance["resumed_from_step"] is None
    assert len([w for w in outcome.warnings if "is damaged" in w]) == 2
    assert outcome.arrays == whole.arrays
