"""A trial that goes on from a checkpoint arrives at the numbers of one that never stopped."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from qdexp.errors import CheckpointError
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.model.predictor import Prediction, QuantizedDiffusionPredictor
from qdexp.results.outcome import Outcome, Progress
from qdexp.training.run_trial import run_trial
from tests.unit.training.measured_numbers import numbers

MakeTrial = Callable[..., Trial]
MakeWorkspace = Callable[..., Workspace]
Finish = Callable[..., Outcome]

CURVE = "eval.curve_denoising_loss"


@pytest.mark.usefixtures("report_every_step")
@pytest.mark.parametrize(
    "changes", [{}, {"training__ema_weights_decay": 0.9, "training__precision": "fp16"}], ids=str
)
def test_a_trial_closed_at_any_report_goes_on_bit_for_bit(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, finish: Finish, changes: dict[str, Any]
) -> None:
    trial = make_trial(**changes)
    expected = numbers(finish(trial, "in one go"))

    reports = 1 + trial.configuration.num_steps
    for count in range(1, reports + 1):
        stopped = run_trial(trial, make_workspace(f"{count}"))
        seen = [next(stopped) for _ in range(count)]
        stopped.close()
        outcome = finish(trial, f"{count}")

        assert outcome.provenance["resumed_from_step"] == seen[-1].step
        assert numbers(outcome) == expected


@pytest.mark.usefixtures("report_every_step")
def test_a_trial_that_goes_on_tells_first_what_it_had_measured(
    make_trial: MakeTrial, make_workspace: MakeWorkspace
) -> None:
    stopped = run_trial(make_trial(), make_workspace("stopped"))
    first = next(stopped)
    assert isinstance(first, Progress)
    assert first.earlier == {}
    heard = [(first.step, first.measurements[CURVE])]
    while (report := next(stopped)).step < 3:
        heard += [(report.step, value) for value in [report.measurements.get(CURVE)] if value]
    stopped.close()
    again = run_trial(make_trial(), make_workspace("stopped"))
    reports = [each for each in again if isinstance(each, Progress)]

    assert reports[0].step >= 3
    assert reports[0].earlier[CURVE] == heard
    assert [step for step, _ in heard] == [0, 2]
    assert {len(each.earlier) for each in reports[1:]} == {0}


@pytest.mark.usefixtures("report_every_step")
def test_a_trial_that_is_stopped_again_and_again_arrives_bit_for_bit(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, finish: Finish
) -> None:
    trial = make_trial()
    for _ in range(4):
        stopped = run_trial(trial, make_workspace("stopped"))
        for _ in range(3):
            next(stopped)
        stopped.close()

    assert numbers(finish(trial, "stopped")) == numbers(finish(trial, "in one go"))


@pytest.mark.usefixtures("report_every_step")
def test_a_trial_whose_process_died_goes_on_from_its_last_checkpoint(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, finish: Finish
) -> None:
    trial = make_trial()
    dying = run_trial(trial, make_workspace("died"))
    while next(dying).step < 5:
        pass
    with pytest.raises(KeyboardInterrupt):
        dying.throw(KeyboardInterrupt)
    outcome = finish(trial, "died")

    assert outcome.provenance["resumed_from_step"] == 3
    assert numbers(outcome) == numbers(finish(trial, "in one go"))


@pytest.mark.parametrize("shorter", [3, 4, 5])
def test_a_trial_grown_from_a_shorter_one_is_the_trial_from_scratch(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, finish: Finish, shorter: int
) -> None:
    finish(make_trial(training__max_steps=shorter), "short")
    final = make_workspace("short").folder / "final_checkpoint.pt"
    grown = finish(make_trial(), "grown", start_from=final)

    assert grown.provenance["resumed_from_step"] == shorter
    assert numbers(grown) == numbers(finish(make_trial(), "scratch"))


def test_a_trial_that_differs_in_evaluation_is_only_measured(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, finish: Finish
) -> None:
    finish(make_trial(), "first")
    final = make_workspace("first").folder / "final_checkpoint.pt"
    other = make_trial(evaluation__num_levels=5)
    measured = finish(other, "second", start_from=final)
    scratch = finish(other, "scratch")

    assert measured.provenance["resumed_from_step"] == other.configuration.num_steps
    assert measured.arrays["eval.clip_errors"] == scratch.arrays["eval.clip_errors"]
    assert measured.measurements["eval.perplexity"] == scratch.measurements["eval.perplexity"]
    assert measured.history["train.loss"] == scratch.history["train.loss"]
    assert measured.history["eval.curve_denoising_loss"].steps == (8,)


def test_a_damaged_newest_checkpoint_is_passed_over_and_said_so(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, finish: Finish
) -> None:
    trial = make_trial()
    expected = finish(trial, "a")
    final = make_workspace("a").folder / "final_checkpoint.pt"
    final.write_bytes(final.read_bytes()[:-100])
    outcome = finish(trial, "a")

    assert outcome.provenance["resumed_from_step"] == 6
    assert "final_checkpoint.pt is damaged" in outcome.warnings[0]
    assert numbers(outcome) == numbers(expected)


def test_a_damaged_start_is_passed_over_for_the_beginning(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, finish: Finish
) -> None:
    start = make_workspace("broken").folder / "final_checkpoint.pt"
    start.parent.mkdir()
    start.write_bytes(b"not a checkpoint")
    outcome = finish(make_trial(), "a", start_from=start)

    assert outcome.provenance["resumed_from_step"] is None
    assert "final_checkpoint.pt is damaged" in outcome.warnings[0]


def test_a_checkpoint_of_another_trajectory_is_refused(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, finish: Finish
) -> None:
    finish(make_trial(seed=0), "first")
    final = make_workspace("first").folder / "final_checkpoint.pt"

    with pytest.raises(CheckpointError, match="trajectory"):
        finish(make_trial(seed=1), "second", start_from=final)


def test_a_checkpoint_beyond_the_end_is_refused(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, finish: Finish
) -> None:
    finish(make_trial(), "first")
    final = make_workspace("first").folder / "final_checkpoint.pt"

    with pytest.raises(CheckpointError, match="at most 7 steps, found 8"):
        finish(make_trial(training__max_steps=7), "second", start_from=final)


@pytest.mark.usefixtures("report_every_step")
def test_a_micro_batch_that_memory_made_smaller_stays_so_when_it_goes_on(
    make_trial: MakeTrial,
    make_workspace: MakeWorkspace,
    finish: Finish,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []
    forward = QuantizedDiffusionPredictor.forward

    def limited(
        self: QuantizedDiffusionPredictor, x_t: torch.Tensor, t: torch.Tensor
    ) -> Prediction:
        sizes.append(len(x_t))
        if len(x_t) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return forward(self, x_t, t)

    monkeypatch.setattr(QuantizedDiffusionPredictor, "forward", limited)
    trial = make_trial(evaluation__shown_clips=0)
    stopped = run_trial(trial, make_workspace("a"))
    for _ in range(4):
        next(stopped)
    stopped.close()
    tried = sizes.count(3)
    outcome = finish(trial, "a")

    assert tried == sizes.count(3) == 1, "memory runs out once"
    assert outcome.provenance["resumed_from_step"] == 3
    assert [w for w in outcome.warnings if "memory ran out" in w] == [
        "memory ran out at step 0: 1 instead of 3 clips in a micro-batch from there on, as many as "
        "before in an optimizer step"
    ]
