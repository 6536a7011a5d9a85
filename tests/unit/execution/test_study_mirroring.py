"""A study is kept up in a thread; however slow or broken its mirror is, the search ends."""

import threading
from collections.abc import Sequence

import pytest
from searches import Shown

from qdexp.execution import study_mirroring
from qdexp.execution.ports import Checked
from qdexp.execution.study_mirroring import StudyMirroring
from qdexp.results.suggestions import Suggestion, SuggestionRecord


def record(number: int) -> SuggestionRecord:
    suggestion = Suggestion(number=number, values={}, origin="sampler", attributes={})
    return SuggestionRecord(
        suggestion=suggestion, suggested_at=0.0, trial_ids=(), told=None, rungs={}
    )


@pytest.mark.parametrize("num_changes", [0, 1, 5])
def test_the_last_state_is_shown_at_the_end(num_changes: int) -> None:
    shown = Shown(problem=("it is away",))
    mirroring = StudyMirroring(shown)
    for number in range(num_changes):
        mirroring.changed([record(number)])
    assert mirroring.close([record(99)]) == ("it is away",)
    assert shown.records == [record(99)]


def test_without_a_mirror_nothing_is_shown() -> None:
    mirroring = StudyMirroring(None)
    mirroring.changed([record(0)])
    assert mirroring.close([record(0)]) == ()


def test_mirror_that_never_answers_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_mirroring, "PATIENCE_SECONDS", 0.05)
    is_released = threading.Event()

    class Mute:
        def show(self, history: Sequence[SuggestionRecord]) -> Checked:
            assert history
            is_released.wait(60)
            return Checked()

    mirroring = StudyMirroring(Mute())
    mirroring.changed([record(0)])
    (problem,) = mirroring.close([record(0)])
    is_released.set()
    assert problem == (
        "the study: what writes it takes too long; `qdexp doctor` writes what is missing"
    )


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_mirror_that_breaks_is_said() -> None:
    class Broken:
        def show(self, history: Sequence[SuggestionRecord]) -> Checked:
            raise AssertionError(history)

    (problem,) = StudyMirroring(Broken()).close([record(0)])
    assert "died, see its traceback" in problem
