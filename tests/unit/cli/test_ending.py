"""A run ends with what became of its trials, and what to do."""

from pathlib import Path

from qdexp.cli.ending import MOST_GROUPS, ending
from qdexp.config.presets import preset
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Failure, FailureKind, Outcome, Status
from qdexp.results.recorder import Recorder

FIELD = "model.num_embeddings"
ASKED = [
    (
        Trial(configuration=preset("tiny").replace({FIELD: n}), seed=0, data_fingerprint="d"),
        {FIELD: n},
    )
    for n in range(64, 80)
]


def ended(runs: Path, *ends: tuple[Status, str, FailureKind | None]) -> list[str]:
    with Recorder(runs) as recorder:
        recorder.record_plan(("spec.yaml", "text", {"name": "sizes"}), ASKED[: len(ends)])
        for (trial, _), (status, reason, kind) in zip(ASKED, ends, strict=False):
            failure = Failure(reason=reason, kind=kind) if reason else None
            recorder.record_outcome(
                Outcome(trial_id=trial.trial_id, status=status, step=0, failure=failure)
            )
    return list(ending("sizes", runs, num_run=len(ends), seconds=65))


def test_all_completed_is_one_line(tmp_path: Path) -> None:
    assert ended(tmp_path, ("completed", "", None), ("completed", "", None)) == [
        "sizes: 2 trials: 2 completed (2 of them now, in 1 min 05 s)"
    ]


def test_second_run_says_that_there_was_nothing_to_do(tmp_path: Path) -> None:
    ended(tmp_path, ("completed", "", None))
    assert list(ending("sizes", tmp_path, num_run=0, seconds=1)) == [
        "sizes: 1 trial: 1 completed (nothing to run)"
    ]


def test_each_reason_is_told_once_with_what_to_do(tmp_path: Path) -> None:
    no = ("failed", "ValueError: no", "exception")
    lost = ("failed", "its worker died", "worker_lost")
    away = ("diverged", "loss is nan", None)
    head, first, second, third = ended(tmp_path, lost, no, no, away)
    assert head.startswith("sizes: 4 trials: 3 failed, 1 diverged")
    assert "2 trials, the first num_embeddings=65, seed 0: ValueError: no (mend it" in first
    assert f"`qdexp show {ASKED[1][0].trial_id[:8]}`" in first
    assert second.startswith("failed: num_embeddings=64, seed 0: its worker died (the same command")
    assert "a result" in third


def test_pruned_trials_are_told_together_after_what_is_wrong(tmp_path: Path) -> None:
    pruned = [("pruned", f"error {n} at step 5 is number {n} of 9", None) for n in range(7, 9)]
    lost = ("failed", "its worker died", "worker_lost")
    head, first, second = ended(tmp_path, *pruned, lost)  # pyright: ignore[reportArgumentType]
    assert head.startswith("sizes: 3 trials: 2 pruned, 1 failed")
    assert first.startswith("failed: num_embeddings=66")
    assert second.startswith("pruned: 2 trials, the first num_embeddings=64, seed 0: error 7 at")


def test_many_reasons_are_counted(tmp_path: Path) -> None:
    ends = [("failed", f"ValueError: {n}", "exception") for n in range(MOST_GROUPS + 3)]
    lines = ended(tmp_path, *ends)  # pyright: ignore[reportArgumentType]
    assert len(lines) == 1 + MOST_GROUPS + 1
    assert lines[-1].startswith("and 3 other reasons")
