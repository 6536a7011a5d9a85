"""A trial from its configuration to its outcome."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from qdexp.execution.ports import Workspace
from qdexp.experiment.trial import Trial
from qdexp.results.outcome import Outcome, Progress
from qdexp.training import code_health, measurement
from qdexp.training.run_trial import run_trial
from tests.unit.training.measured_numbers import numbers

MakeTrial = Callable[..., Trial]
MakeWorkspace = Callable[..., Workspace]
Finish = Callable[..., Outcome]


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
