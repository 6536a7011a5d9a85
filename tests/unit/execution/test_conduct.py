"""Whatever happens to trials is in the ledger first, and nothing is run twice."""

from dataclasses import replace

import pytest

from qdexp.errors import InterruptedRunError, RequestError
from qdexp.execution.conduct import Conducted
from qdexp.execution.ports import Assignment
from qdexp.results.folders import trial_folder
from qdexp.results.outcome import Failure, Outcome
from tests.unit.execution.fakes import SPEC, Bench, FakeExecutor, FakeTracker, completed


def test_every_trial_runs_once_and_is_recorded(bench: Bench) -> None:
    first, again = FakeExecutor(), FakeExecutor()
    assert bench.conduct(first) == Conducted(num_run=4, num_incomplete=0, notes=())
    assert len({each.trial.trial_id for each in first.assignments}) == 4
    assert first.deadlines == [None]
    assert bench.conduct(again) == Conducted(num_run=0, num_incomplete=0, notes=())
    assert again.assignments == []
    for outcome in bench.outcomes():
        assert outcome is not None
        assert {"commit": "abc", "host": "worker"}.items() <= outcome.provenance.items()
        assert outcome.provenance["experiment"] == "sizes"


def test_new_level_runs_only_its_own_trials(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    executor = FakeExecutor()
    bench.conduct(executor, SPEC.replace("[64, 128]", "[64, 128, 256]"))
    assert {each.trial.ours.model.num_embeddings for each in executor.assignments} == {256}
    assert len(executor.assignments) == 2


def test_other_experiment_shares_trials(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    executor = FakeExecutor()
    bench.conduct(executor, SPEC.replace("name: sizes", "name: others"))
    assert executor.assignments == []


def test_failed_trial_is_recorded_and_tried_again(bench: Bench) -> None:
    def end(assignment: Assignment) -> Outcome:
        outcome = completed(assignment)
        if assignment.trial.seed == 0:
            return outcome
        failure = Failure(reason="ValueError: no", kind="exception")
        return replace(outcome, status="failed", failure=failure, measurements={}, arrays={})

    assert bench.conduct(FakeExecutor(end)).num_incomplete == 2
    again = FakeExecutor()
    assert bench.conduct(again).num_incomplete == 0
    assert {each.trial.seed for each in again.assignments} == {1}


def test_diverged_trial_is_a_result(bench: Bench) -> None:
    def end(assignment: Assignment) -> Outcome:
        failure = Failure(reason="loss is nan at step 3", step=3)
        return replace(completed(assignment), status="diverged", failure=failure)

    assert bench.conduct(FakeExecutor(end)).num_incomplete == 4
    again = FakeExecutor()
    assert bench.conduct(again).num_incomplete == 4
    assert again.assignments == []


def test_interruption_keeps_what_is_finished(bench: Bench) -> None:
    ends = iter([completed, lambda _: None])
    with pytest.raises(InterruptedRunError):
        bench.conduct(FakeExecutor(lambda assignment: next(ends)(assignment)))
    assert [outcome is not None for outcome in bench.outcomes()] == [True, False, False, False]
    assert bench.conduct(FakeExecutor()).num_run == 3


def test_executor_that_cannot_run_here_is_refused_before_anything_is_written(bench: Bench) -> None:
    executor = FakeExecutor()
    executor.refusal = "expected at most 2 CPUs, found 64"
    with pytest.raises(RequestError, match="found 64"):
        bench.conduct(executor)
    assert not bench.runs.exists()


def test_seed_s_trials_are_neighbours_so_that_early_results_are_paired(bench: Bench) -> None:
    executor = FakeExecutor()
    bench.conduct(executor)
    assert [each.trial.seed for each in executor.assignments] == [0, 0, 1, 1]


def test_tracker_hears_each_outcome_once(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    bench.conduct(FakeExecutor())
    assert bench.tracker.kinds().count("end") == 4
    (opened,) = [entry for kind, entry in bench.tracker.calls if kind == "experiment"]
    assert (opened.name, opened.question) == ("sizes", "Does size matter?")


def test_tracker_that_failed_is_caught_up_by_the_next_run(bench: Bench) -> None:
    ids = [planned.trial.trial_id for planned in bench.plan().trials]
    bench.tracker = FakeTracker(notes=["database is locked"], unable=ids)
    assert bench.conduct(FakeExecutor()).notes == ("database is locked",)
    bench.tracker = FakeTracker()
    assert bench.conduct(FakeExecutor()) == Conducted(num_run=0, num_incomplete=0, notes=())
    assert bench.tracker.kinds() == ["experiment"] + ["start", "end"] * 4
    bench.tracker = FakeTracker()
    bench.conduct(FakeExecutor())
    assert bench.tracker.calls == []


def test_picture_that_cannot_be_drawn_is_noted_once_and_loses_nothing(bench: Bench) -> None:
    def torn(assignment: Assignment) -> Outcome:
        trial_folder(bench.runs, assignment.trial.trial_id).rmdir()
        trial_folder(bench.runs, assignment.trial.trial_id).touch()
        return replace(completed(assignment), arrays={})

    done = bench.conduct(FakeExecutor(torn))
    assert (done.num_run, done.num_incomplete, len(done.notes)) == (4, 0, 4)
    assert "the pictures of trial" in done.notes[0]
    assert bench.tracker.kinds().count("end") == 4
    assert bench.conduct(FakeExecutor()).notes == ()


def test_experiment_that_shares_trials_is_mirrored_too(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    bench.tracker = FakeTracker()
    bench.conduct(FakeExecutor(), SPEC.replace("name: sizes", "name: others"))
    assert bench.tracker.kinds().count("end") == 4


def test_nothing_to_run_needs_no_executor(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    executor = FakeExecutor()
    executor.refusal = "the engine would take seconds to import"
    assert bench.conduct(executor).num_run == 0


def test_what_ran_untracked_is_caught_up_by_a_run_that_is_tracked(bench: Bench) -> None:
    bench.conduct(FakeExecutor(), is_tracked=False)
    assert not {"start", "end"} & set(bench.tracker.kinds())
    assert bench.conduct(FakeExecutor(), is_tracked=False) == Conducted(
        num_run=0, num_incomplete=0, notes=()
    )
    bench.conduct(FakeExecutor())
    assert bench.tracker.kinds().count("end") == 4


def test_plan_touches_nothing(bench: Bench) -> None:
    assert bench.plan().counts() == {"new": 4}
    assert not bench.runs.exists()


def test_changed_input_makes_trials_stale_and_says_which(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    plan = bench.plan(SPEC.replace("200}", "200, data.seed: 7}"))
    assert plan.counts() == {"stale": 4}
    assert plan.trials[0].reason == "data.seed changed from 0 to 7"


def test_level_taken_away_leaves_orphans(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    plan = bench.plan(SPEC.replace("[64, 128]", "[64]"))
    assert plan.counts() == {"cached": 2, "orphaned": 2}
