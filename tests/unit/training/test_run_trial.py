"""A trial from its configuration to its outcome."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from qdexp.config.metrics import metric
from qdexp.errors import CheckpointError
from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.model.predictor import Prediction, QuantizedDiffusionPredictor
from qdexp.results.outcome import Outcome, Progress
from qdexp.training import code_health, measurement
from qdexp.training import run_trial as module
from qdexp.training.run_trial import run_trial

MakeTrial = Callable[..., Trial]
MakeWorkspace = Callable[..., Workspace]
Finish = Callable[..., Outcome]


def numbers(outcome: Outcome) -> tuple[object, ...]:
    """Everything that a trial measures, but what it costs."""
    return (
        outcome.status,
        outcome.step,
        {k: v for k, v in outcome.measurements.items() if not metric(k).is_timing},
        {k: v for k, v in outcome.history.items() if not metric(k).is_timing},
        outcome.arrays,
    )


@pytest.fixture
def report_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPORT_SECONDS", -1.0)


def test_the_same_trial_gives_the_same_numbers_twice(make_trial: MakeTrial, finish: Finish) -> None:
    first = finish(make_trial(), "first")
    torch.manual_seed(1234)
    torch.rand(5)

    assert numbers(finish(make_trial(), "second")) == numbers(first)


def test_another_seed_gives_other_numbers(make_trial: MakeTrial, finish: Finish) -> None:
    assert numbers(finish(make_trial(seed=1), "b")) != numbers(finish(make_trial(seed=0), "a"))


def test_a_trial_leaves_the_global_generator_as_it_was_while_it_trains(
    make_trial: MakeTrial, make_workspace: MakeWorkspace
) -> None:
    reports = run_trial(make_trial(), make_workspace("a"))
    next(reports)
    before = torch.get_rng_state()
    list(reports)

    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.usefixtures("report_every_step")
def test_two_trials_interleaved_in_one_process_are_as_if_alone(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, finish: Finish
) -> None:
    trials = [make_trial(seed=0), make_trial(seed=1, model__num_embeddings=32)]
    running = [run_trial(t, make_workspace(f"{i}")) for i, t in enumerate(trials)]
    *_, outcomes = zip(*running, strict=True)

    for i, (trial, outcome) in enumerate(zip(trials, outcomes, strict=True)):
        assert isinstance(outcome, Outcome)
        assert numbers(outcome) == numbers(finish(trial, f"alone {i}"))


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


def test_a_loss_that_is_not_finite_ends_as_diverged_with_its_step(
    make_trial: MakeTrial, finish: Finish
) -> None:
    outcome = finish(make_trial(training__learning_rate=1e30, training__warmup_steps=0), "a")

    assert outcome.status == "diverged"
    assert outcome.failure is not None
    assert outcome.failure.step == outcome.step == 1
    assert "lower training.learning_rate" in outcome.failure.reason
    assert outcome.history["eval.curve_denoising_loss"].steps == (0,)


def test_reports_rise_in_steps_and_the_outcome_comes_last(
    make_trial: MakeTrial, make_workspace: MakeWorkspace
) -> None:
    *progress, outcome = run_trial(make_trial(), make_workspace("a"))

    assert isinstance(outcome, Outcome)
    assert all(isinstance(report, Progress) and report.num_steps == 8 for report in progress)
    assert [report.step for report in progress] == sorted({report.step for report in progress})


def test_progress_reports_are_the_history(
    make_trial: MakeTrial, make_workspace: MakeWorkspace
) -> None:
    *progress, outcome = run_trial(make_trial(training__max_steps=6), make_workspace("a"))
    assert isinstance(outcome, Outcome)

    for name in ("train.loss", "train.perplexity", "train.codebook_usage", "train.vq_loss"):
        reported = [
            (report.step, report.measurements[name])
            for report in progress
            if isinstance(report, Progress) and name in report.measurements
        ]
        series = outcome.history[name]
        assert reported == list(zip(series.steps, series.values, strict=True))
        assert series.steps == (3, 6)


def test_timings_are_no_progress_since_a_repeated_step_has_others(
    make_trial: MakeTrial, make_workspace: MakeWorkspace
) -> None:
    *progress, outcome = run_trial(make_trial(), make_workspace("a"))
    assert isinstance(outcome, Outcome)

    reported = {n for report in progress for n in getattr(report, "measurements", {})}
    assert "train.loss" in reported
    assert not any(name.startswith("cost.") for name in reported)
    assert outcome.history["cost.step_seconds"].steps == (3, 6, 8)


def test_losses_are_averaged_over_the_interval(make_trial: MakeTrial, finish: Finish) -> None:
    by_step = finish(make_trial(training__log_every_steps=1), "one").history["train.loss"].values
    by_three = finish(make_trial(), "three").history["train.loss"]

    assert by_three.steps == (3, 6, 8)
    means = [sum(by_step[:3]) / 3, sum(by_step[3:6]) / 3, sum(by_step[6:]) / 2]
    assert by_three.values == pytest.approx(means, rel=1e-12)


def test_the_training_loss_is_the_weighted_sum_of_its_parts(
    make_trial: MakeTrial, finish: Finish
) -> None:
    last = finish(make_trial(training__quantization_weight=0.3), "a").measurements

    parts = last["train.denoising_loss"] + 0.3 * last["train.vq_loss"]
    assert last["train.loss"] == pytest.approx(parts, rel=1e-6)


def test_the_last_two_checkpoints_are_kept(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, finish: Finish
) -> None:
    finish(make_trial(), "a")

    names = {path.name for path in make_workspace("a").folder.glob("*.pt")}
    assert names == {"final_checkpoint.pt", "checkpoint_step_6.pt"}


def test_what_it_cost_and_where_it_ran_are_stated(make_trial: MakeTrial, finish: Finish) -> None:
    outcome = finish(make_trial(), "a")

    assert {name for name in outcome.measurements if name.startswith("cost.")} == {
        "cost.parameters",
        "cost.step_seconds",
        "cost.train_seconds",
        "cost.eval_seconds",
        "cost.peak_memory_bytes",
    }
    assert outcome.measurements.pop("train.codebook_loss") == 0, "moving averages have none"
    assert all(value > 0 for value in outcome.measurements.values())
    assert outcome.provenance["num_threads"] == 1
    assert outcome.provenance["torch"] == torch.__version__
    assert outcome.provenance["resumed_from_step"] is None


def test_an_outcome_survives_the_journey_as_json(make_trial: MakeTrial, finish: Finish) -> None:
    outcome = finish(make_trial(), "a")

    assert Outcome.from_json(outcome.to_json()) == outcome


def test_wider_micro_batches_take_the_same_trajectory_but_for_rounding(
    make_trial: MakeTrial, finish: Finish
) -> None:
    shape = {"training__max_steps": 3, "model__dropout": 0.0}
    small = finish(make_trial(**shape), "3 x 2")
    wide = finish(
        make_trial(training__batch_size=6, training__gradient_accumulation_steps=1, **shape),
        "6 x 1",
    )

    name = "train.loss"
    assert wide.measurements[name] == pytest.approx(small.measurements[name], rel=1e-4)


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


def test_a_training_whose_measurements_are_not_numbers_diverged(
    make_trial: MakeTrial, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measurement.final_measurement

    def broken(*arguments: Any) -> measurement.Measurement:  # noqa: ANN401
        found = whole(*arguments)
        return replace(found, scalars=found.scalars | {"eval.denoising_loss": float("nan")})

    monkeypatch.setattr(measurement, "final_measurement", broken)
    outcome = finish(make_trial(), "a")

    assert outcome.status == "diverged"
    assert outcome.failure is not None
    assert "eval.denoising_loss is nan at step 8" in outcome.failure.reason


def test_a_collapse_is_told_with_the_outcome(
    make_trial: MakeTrial, finish: Finish, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_health, "COLLAPSED_SHARE", 1.1)
    outcome = finish(make_trial(), "a")

    assert any("the codebook collapsed: perplexity" in warning for warning in outcome.warnings)


def test_the_end_takes_no_place_among_the_checkpoints_of_earlier_steps(
    make_trial: MakeTrial, make_workspace: MakeWorkspace, finish: Finish
) -> None:
    finish(make_trial(training__max_steps=6), "a")
    kept = {path.name for path in make_workspace("a").folder.glob("*.pt")}

    assert kept == {"final_checkpoint.pt", "checkpoint_step_3.pt"}
