# ruff: noqa: ANN001 (fixtures whose classes are in conftest.py)
"""What is invalidated stays visible, counts nowhere, and begins from scratch."""

from pathlib import Path

import pytest

from qdexp.errors import NotFoundError, RequestError
from qdexp.results.ledger import Ledger
from qdexp.results.recorder import Recorder
from qdexp.results.standing import state_of, step_of

STUDENT = {"training__objective": "dmd"}


def test_invalidated_outcome_is_kept_and_does_not_count(machines, here) -> None:
    trial = machines.trial()
    here.runs_trial(trial)
    here.invalidates(trial, "the wrong\n  disk")
    record = here.knows(trial)
    assert record.outcome == machines.replaced(machines.completed(trial), history={}, arrays={})
    assert record.invalidated == "the wrong disk"
    assert record.counted is None
    assert not record.is_settled
    assert (state_of(record, begun=()), step_of(record, here.runs)) == ("invalidated", 0)


def test_outcome_after_it_counts(machines, here) -> None:
    trial = machines.trial()
    here.runs_trial(trial, loss=0.25)
    here.invalidates(trial)
    here.ends(machines.completed(trial, 0.5))
    assert here.counts(trial) == 0.5
    assert here.knows(trial).invalidated is None


def test_folder_is_moved_aside_each_time_under_a_new_name(machines, here) -> None:
    trial = machines.trial()
    for content in (b"first", b"second"):
        here.asks(trial)
        here.ends(machines.completed(trial))
        here.keeps(trial, "final_checkpoint.pt", content)
        here.invalidates(trial, content.decode())
        assert not here.folder(trial).exists()
    for number, content in ((1, b"first"), (2, b"second")):
        aside = Path(f"{here.folder(trial)}.invalidated-{number}")
        assert (aside / "final_checkpoint.pt").read_bytes() == content
    with Ledger(here.runs) as ledger:
        assert ledger.set_aside(trial.trial_id) == [
            (f"{trial.trial_id}.invalidated-1", "first"),
            (f"{trial.trial_id}.invalidated-2", "second"),
        ]


def test_writer_killed_before_the_folder_was_moved_is_made_up_for(
    machines, here, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = machines.trial()
    here.runs_trial(trial)
    here.keeps(trial, "final_checkpoint.pt")
    with monkeypatch.context() as patched:
        patched.setattr("qdexp.results.recorder.set_folders_aside", lambda *_: None)
        here.invalidates(trial)
    assert here.folder(trial).exists()
    Recorder(here.runs).close()
    assert not here.folder(trial).exists()
    with Ledger(here.runs) as ledger:
        assert [name for name, _ in ledger.set_aside(trial.trial_id)] == [
            f"{trial.trial_id}.invalidated-1"
        ]


def test_writer_killed_after_the_folder_was_moved_finds_it(
    machines, here, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = machines.trial()
    here.runs_trial(trial)
    here.keeps(trial, "final_checkpoint.pt")
    with monkeypatch.context() as patched:
        patched.setattr("qdexp.results.recorder.set_folders_aside", lambda *_: None)
        here.invalidates(trial, "why")
    here.folder(trial).rename(f"{here.folder(trial)}.invalidated-1")
    Recorder(here.runs).close()
    with Ledger(here.runs) as ledger:
        assert ledger.set_aside(trial.trial_id) == [(f"{trial.trial_id}.invalidated-1", "why")]


def test_folder_of_the_attempt_after_it_stays_where_it_is(machines, here) -> None:
    trial = machines.trial()
    here.runs_trial(trial)
    here.invalidates(trial)
    here.keeps(trial, "checkpoint_step_3.pt")
    Recorder(here.runs).close()
    assert (here.folder(trial) / "checkpoint_step_3.pt").exists()


def test_tracker_is_to_show_it(machines, here) -> None:
    trial = machines.trial()
    here.runs_trial(trial)
    with Recorder(here.runs) as recorder:
        recorder.record_mirrored("sizes", "", [trial.trial_id])
    here.invalidates(trial)
    with Ledger(here.runs) as ledger:
        (behind,) = ledger.unmirrored("sizes")
    assert behind.invalidated == "wrong data"


def test_students_of_an_invalidated_teacher_are_void_too(machines, here) -> None:
    student, other = machines.trial(**STUDENT), machines.trial(1, **STUDENT)
    teacher = student.teacher
    here.asks(teacher, student, other.teacher, other)
    here.ends(*(machines.completed(each) for each in (teacher, student, other.teacher, other)))
    assert here.invalidates(teacher, "bad latents") == [teacher.trial_id, student.trial_id]
    because = f"its teacher, trial {teacher.trial_id}, was invalidated: bad latents"
    assert here.knows(student).invalidated == because
    assert here.counts(other) == 0.25


def test_student_that_was_interrupted_begins_from_scratch_too(machines, here) -> None:
    student = machines.trial(**STUDENT)
    here.asks(student.teacher, student)
    here.ends(machines.completed(student.teacher))
    with Recorder(here.runs) as recorder:
        recorder.record_start(student.trial_id, 7.0)
    here.keeps(student, "checkpoint_step_3.pt")
    here.invalidates(student.teacher)
    record = here.knows(student)
    assert record.outcome is not None
    assert record.outcome.status == "cancelled"
    assert not here.folder(student).exists()


def test_what_went_on_from_its_checkpoint_is_void_and_so_on(machines, here) -> None:
    first, longer, longest, alone = (
        machines.trial(training__max_steps=steps) for steps in (200, 300, 400, 500)
    )
    here.asks(first, longer, longest, alone)
    here.ends(machines.completed(first), machines.completed(alone))
    here.ends(machines.completed(longer), started_from=first.trial_id)
    here.ends(machines.completed(longest), started_from=longer.trial_id)
    assert here.invalidates(longer) == [longer.trial_id, longest.trial_id]
    assert here.counts(first) == 0.25
    assert here.counts(alone) == 0.25
    here.ends(machines.completed(longer), started_from=first.trial_id)
    here.ends(machines.completed(longest), started_from=longer.trial_id)
    assert here.invalidates(first) == [each.trial_id for each in (first, longer, longest)]


@pytest.mark.parametrize("because", ["", "  \n", "x" * 1001, "a\x1b[2J"])
def test_reason_is_a_printable_line(machines, here, because: str) -> None:
    trial = machines.trial()
    here.runs_trial(trial)
    with pytest.raises(RequestError, match="--because: expected a reason"):
        here.invalidates(trial, because)
    assert here.counts(trial) == 0.25


def test_only_an_outcome_that_counts_can_be_invalidated(machines, here) -> None:
    trial, waiting = machines.trial(), machines.trial(1)
    here.asks(trial, waiting)
    here.ends(machines.completed(trial))
    with pytest.raises(RequestError, match="last outcome counts, found none"):
        here.invalidates(waiting)
    here.invalidates(trial, "once")
    with pytest.raises(RequestError, match="found one that was invalidated before: once"):
        here.invalidates(trial, "twice")
    with pytest.raises(NotFoundError):
        here.invalidates(machines.trial(2))
