"""Which numbers MLflow shows: each metric once at each step, the named ones first, not hundreds."""

from hypothesis import given
from hypothesis import strategies as st
from mlflow.utils.validation import _validate_metric_name

from qdexp.backends.mlflow_tracker.points import (
    NUM_COLUMNS,
    columns,
    contradictions,
    name_in_mlflow,
    points_of_outcome,
    points_of_progress,
)
from qdexp.results.outcome import Outcome, Progress, Series


def test_metrics_come_as_the_experiment_names_them_then_as_tables_do() -> None:
    measured = ["train.loss", "own.metric", "eval.perplexity", "eval.denoising_loss"]
    assert columns(measured, ["eval.perplexity"]) == [
        "eval.perplexity",
        "eval.denoising_loss",
        "train.loss",
        "own.metric",
    ]


def test_family_that_the_experiment_names_stands_for_its_members() -> None:
    many = [f"a{number}" for number in range(100)]
    assert columns([*many, "zz.family.r3d18.n64"], ["zz.family"])[0] == "zz.family.r3d18.n64"
    assert len(columns(many, [])) == NUM_COLUMNS


@given(st.text(max_size=300))
def test_any_name_becomes_one_that_mlflow_takes(name: str) -> None:
    _validate_metric_name(name_in_mlflow(name))


def test_last_step_of_a_progress_is_left_to_the_outcome() -> None:
    measured = {"a": 1.0, "b": float("nan")}
    assert points_of_progress(Progress(step=5, num_steps=10, measurements=measured), []) == {
        ("a", 5): 1.0
    }
    assert points_of_progress(Progress(step=10, num_steps=10, measurements=measured), []) == {}


def test_final_measurement_takes_the_place_of_the_last_value_alone() -> None:
    outcome = Outcome(
        trial_id="t",
        status="completed",
        step=20,
        measurements={"a": 9.0, "new": 1.0, "broken": float("inf")},
        history={"a": Series(steps=(10, 20), values=(1.0, 2.0))},
    )
    assert points_of_outcome(outcome, []) == {("a", 10): 1.0, ("a", 20): 9.0, ("new", 20): 1.0}


def test_another_value_or_two_contradict_and_absence_does_not() -> None:
    wanted = {("a", 0): 1.0, ("a", 1): 2.0, ("a", 2): 3.0, ("a", 3): 4.0}
    shown = {("a", 0): {1.0}, ("a", 1): {2.5}, ("a", 2): {3.0, 3.5}, ("other", 0): {7.0}}
    assert contradictions(wanted, shown) == [("a", 1), ("a", 2)]
