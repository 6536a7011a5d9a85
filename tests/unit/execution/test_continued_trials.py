"""A trial goes on from the checkpoint of another one where that changes no number."""

from qdexp.results.folders import FINAL_CHECKPOINT, checkpoint_name, trial_folder
from qdexp.results.recorder import Recorder
from tests.unit.execution.fakes import SPEC, Bench, FakeExecutor, saved

SAMPLED = """\
name: sizes
question: How many steps does sampling need?
preset: tiny
factors:
  diffusion.sampling_steps: {levels: [2, 4, 8], baseline: 4}
seeds: 1
"""


def test_trial_with_a_checkpoint_is_planned_from_its_step(bench: Bench) -> None:
    trial_id = bench.plan().trials[0].trial.trial_id
    folder = trial_folder(bench.runs, trial_id)
    folder.mkdir(parents=True)
    (folder / checkpoint_name(20)).touch()
    (folder / checkpoint_name(100)).touch()
    assert bench.plan().trials[0].reason == "from step 100"


def test_longer_trial_starts_from_the_shorter_one(bench: Bench) -> None:
    bench.conduct(FakeExecutor())
    shorter = bench.plan().trials[0].trial
    checkpoint = trial_folder(bench.runs, shorter.trial_id) / FINAL_CHECKPOINT
    checkpoint.touch()
    longer = SPEC.replace("200", "400")
    planned = bench.plan(longer).trials[0]
    assert planned.reason == f"from step 200 of trial {shorter.trial_id}"
    executor = FakeExecutor()
    bench.conduct(executor, longer)
    assert executor.assignments[0].workspace.start_from == checkpoint
    assert executor.assignments[1].workspace.start_from is None


def test_conditions_that_differ_in_sampling_are_trained_once(bench: Bench) -> None:
    executor = FakeExecutor(saved)
    bench.conduct(executor, SAMPLED)
    first, *others = executor.assignments

    assert first.workspace.start_from is None
    assert len(others) == 2
    trained = first.workspace.folder / FINAL_CHECKPOINT
    assert {each.workspace.start_from for each in others} == {trained}


def test_conditions_of_growing_length_continue_each_other(bench: Bench) -> None:
    text = SAMPLED.replace("diffusion.sampling_steps", "training.max_steps").replace("8]", "8, 6]")
    executor = FakeExecutor(saved)
    bench.conduct(executor, text)
    lengths = [each.trial.configuration.num_steps for each in executor.assignments]
    starts = [each.workspace.start_from for each in executor.assignments]

    assert lengths == [2, 4, 6, 8]
    before = [each.workspace.folder / FINAL_CHECKPOINT for each in executor.assignments]
    assert starts == [None, *before[:-1]]


def test_what_continued_an_invalidated_trial_runs_again_with_it(bench: Bench) -> None:
    text = SAMPLED.replace("diffusion.sampling_steps", "training.max_steps").replace("8]", "8, 6]")
    executor = FakeExecutor(saved)
    bench.conduct(executor, text)
    first, second, *others = executor.assignments
    with Recorder(bench.runs) as recorder:
        void = recorder.record_invalidation(second.trial.trial_id, "a bad disk")
    assert {each.trial_id for each in void} == {each.trial.trial_id for each in (second, *others)}
    again = FakeExecutor(saved)
    bench.conduct(again, text)
    lengths = sorted(each.trial.configuration.num_steps for each in again.assignments)
    assert lengths == [4, 6, 8]
    assert again.assignments[0].workspace.start_from == first.workspace.folder / FINAL_CHECKPOINT
    assert bench.plan(text).counts() == {"cached": 4}
