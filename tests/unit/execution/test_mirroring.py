"""What a tracker hears of a run, and what the next run tells it again."""

from collections.abc import Callable
from pathlib import Path

import pytest

from qdexp.errors import InterruptedRunError
from qdexp.execution.collaborators import Collaborators
from qdexp.execution.conduct import Conducted, conduct
from qdexp.execution.mirroring import NoTracker, short_provenance
from qdexp.execution.ports import Assignment, Entry, Reported
from qdexp.execution.silence import SILENT
from qdexp.experiment.reader import read_spec
from qdexp.results.ledger import Ledger
from qdexp.results.outcome import Failure, Outcome, Status
from tests.unit.execution.fakes import PROVENANCE, FakeDataset, FakeExecutor, FakeTracker, draw

SPEC = """\
name: sizes
question: Does size matter?
preset: tiny
factors:
  model.num_embeddings: {levels: [64, 128], baseline: 64}
seeds: 2
metrics: {primary: eval.denoising_loss, secondary: [eval.perplexity]}
"""
REPORTED = Reported(summary=("equivalent",), page=Path("report.html"))


def ended(status: Status) -> FakeExecutor:
    """Returns an executor that ends every trial with one status."""

    def end(assignment: Assignment) -> Outcome:
        failure = None if status == "completed" else Failure(reason="broken")
        trial_id = assignment.trial.trial_id
        return Outcome(trial_id=trial_id, status=status, step=3, failure=failure)

    return FakeExecutor(end)


def ran(
    folder: Path,
    tracker: FakeTracker | NoTracker,
    executor: FakeExecutor | None = None,
    report: Callable[[], Reported] = lambda: REPORTED,
) -> Conducted:
    spec = folder / "spec.yaml"
    spec.write_text(SPEC)
    outside = Collaborators(
        dataset=FakeDataset(),
        executor=executor or ended("completed"),
        tracker=tracker,
        display=SILENT,
        draw=draw,
        provenance=PROVENANCE,
        report=report,
    )
    return conduct(read_spec(spec), folder / "runs", outside)


def test_tracker_hears_of_the_experiment_its_trials_and_last_its_report(tmp_path: Path) -> None:
    tracker = FakeTracker()
    done = ran(tmp_path, tracker)
    assert tracker.kinds() == ["experiment", *["start", "log", "end"] * 4, "report"]
    entry = Entry(
        name="sizes",
        question="Does size matter?",
        spec=SPEC,
        metrics=("eval.denoising_loss", "eval.perplexity"),
    )
    assert tracker.calls[0] == ("experiment", entry)
    assert done.reported == REPORTED


def test_finished_experiment_opens_no_tracker_and_is_reported_all_the_same(
    tmp_path: Path,
) -> None:
    ran(tmp_path, FakeTracker())
    tracker = FakeTracker()
    assert ran(tmp_path, tracker).reported == REPORTED
    assert tracker.calls == []


def test_only_what_a_tracker_lacks_is_mirrored_again(tmp_path: Path) -> None:
    with pytest.raises(InterruptedRunError):  # the ledger has its trials from then on
        ran(tmp_path, FakeTracker(), FakeExecutor(lambda _: None))
    with Ledger(tmp_path / "runs") as ledger:
        ids = [member.trial_id for member in ledger.members("sizes")]
    ran(tmp_path, FakeTracker(unable=ids[2:], notes=["nothing answers"]))
    again = FakeTracker()
    ran(tmp_path, again)
    assert {*ids[2:]} <= again.ended() < {*ids}
    idle = FakeTracker()
    ran(tmp_path, idle)
    assert idle.calls == []


def test_report_that_could_not_be_mirrored_is_mirrored_by_the_next_run(tmp_path: Path) -> None:
    ran(tmp_path, FakeTracker(notes=["nothing answers"]))
    again = FakeTracker()
    ran(tmp_path, again)
    assert again.kinds() == ["experiment", "start", "end", "report"]


def test_interrupted_run_has_no_report(tmp_path: Path) -> None:
    tracker = FakeTracker()
    with pytest.raises(InterruptedRunError):
        ran(tmp_path, tracker, FakeExecutor(lambda _: None))
    assert "report" not in tracker.kinds()


def test_report_whose_making_was_interrupted_is_mirrored_by_the_next_run(tmp_path: Path) -> None:
    def interrupted() -> Reported:
        raise InterruptedRunError("stopped")

    with pytest.raises(InterruptedRunError):
        ran(tmp_path, FakeTracker(), report=interrupted)
    tracker = FakeTracker()
    assert ran(tmp_path, tracker).num_run == 0
    assert "report" in tracker.kinds()


def test_another_tracker_gets_what_the_first_one_has(tmp_path: Path) -> None:
    ran(tmp_path, FakeTracker())
    elsewhere = FakeTracker(place="http://host:5000")
    ran(tmp_path, elsewhere)
    assert elsewhere.kinds().count("end") == 4


def test_trial_that_runs_again_is_mirrored_with_its_new_outcome_alone(tmp_path: Path) -> None:
    ran(tmp_path, FakeTracker(notes=["nothing answers"]), ended("failed"))
    tracker = FakeTracker()
    ran(tmp_path, tracker)
    assert tracker.kinds().count("start") == tracker.kinds().count("end") == 4


def test_without_a_tracker_nothing_is_noted_as_mirrored(tmp_path: Path) -> None:
    assert ran(tmp_path, NoTracker()).num_run == 4
    assert ran(tmp_path, NoTracker()).num_run == 0
    with Ledger(tmp_path / "runs") as ledger:
        assert ledger.places() == []


def test_tags_hold_little_of_a_provenance() -> None:
    provenance = {
        "commit": "abc",
        "diff": "+ a line\n" * 1000,
        "versions": {"torch": "2.13", "ray": "2.60"},
        "hardware": {"cpus": 2},
    }
    assert short_provenance(provenance) == {
        "commit": "abc",
        "versions": "torch 2.13, ray 2.60",
        "hardware": "cpus 2",
    }
